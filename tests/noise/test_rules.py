from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pellucid.errors import UsageError
from pellucid.noise.inject import inject_labels
from pellucid.noise.rules import RULES, judge


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("K", [2, 5])
def test_every_rule_answers_with_probabilities_and_spares_whom_it_trusts(
    world: Callable[..., Any], rule: str, K: int
) -> None:
    it = world(n=400, K=K)
    noise = inject_labels(it.truth, "symmetric", 0.3, 1)
    evidence = replace(it.evidence(noise.labels), trusted=~noise.changed & (np.arange(400) % 2 == 0))
    verdict = judge(evidence, rule)
    assert verdict.rule in RULES
    assert verdict.rule != "auto"
    np.testing.assert_allclose(verdict.posterior.sum(axis=1), 1)
    assert (verdict.posterior >= 0).all()
    assert "\n" not in verdict.why
    if rule != "mixture":  # which sees margins only; the audit sets its trusted rows right
        assert not verdict.suspect[evidence.trusted].any()
    assert verdict.suspect[noise.changed & ~evidence.trusted].mean() > verdict.suspect[~noise.changed].mean() + 0.2


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_minds_zeros_or_the_order_of_rows(world: Callable[..., Any], rule: str) -> None:
    it = world(n=300)
    p = np.where(it.q < 0.05, 0, it.q)
    p /= p.sum(axis=1, keepdims=True)
    given = inject_labels(it.truth, "pair", 0.2, 1).labels
    turned = np.random.default_rng(0).permutation(300)
    verdict, other = judge(it.evidence(given, p), rule), judge(it.evidence(given[turned], p[turned]), rule)
    assert np.isfinite(verdict.posterior).all()
    np.testing.assert_allclose(other.posterior, verdict.posterior[turned], atol=1e-3)
    assert (other.suspect == verdict.suspect[turned]).mean() > 0.99


@pytest.mark.parametrize(
    ("kind", "rate", "rule"), [("pair", 0.2, "transition"), ("pair", 0.4, "transition"), ("instance", 0.3, "instance")]
)
def test_auto_sees_which_kind_of_noise_it_is(world: Callable[..., Any], kind: str, rate: float, rule: str) -> None:
    it = world(spread=10.0)
    probabilities = it.q if kind == "instance" else None
    noise = inject_labels(it.truth, kind, rate, 1, pred_probs=probabilities)
    p = it.said(noise.matrix) if kind == "pair" else it.q
    verdict = judge(it.evidence(noise.labels, p), "auto")
    assert verdict.rule == rule
    assert "explains the labels" in verdict.why


@pytest.mark.parametrize("kind", ["symmetric", "pair", "instance"])
@pytest.mark.parametrize("rate", [0.05, 0.2, 0.4])
def test_auto_is_above_argmax_at_every_rate(
    world: Callable[..., Any], f1: Callable[..., float], kind: str, rate: float
) -> None:
    it = world()
    noise = inject_labels(it.truth, kind, rate, 1, pred_probs=it.q if kind == "instance" else None)
    p = it.q if kind == "instance" else it.said(noise.matrix)
    evidence = it.evidence(noise.labels, p)
    found = f1(judge(evidence, "auto").suspect, noise.changed)
    assert found > f1(evidence.margin < 0, noise.changed) - 0.02
    if kind != "instance" and rate < 0.4:
        assert found > f1(evidence.margin < 0, noise.changed) + 0.03


@pytest.mark.parametrize("spread", [2.0, 4.0, 10.0])
def test_auto_drops_next_to_nothing_where_nothing_is_wrong(world: Callable[..., Any], spread: float) -> None:
    it = world(spread=spread)
    assert judge(it.evidence(it.truth), "auto").suspect.mean() <= 0.01


def test_a_rule_that_nobody_has() -> None:
    with pytest.raises(UsageError, match="auto, mixture, argmax"):
        judge(None, "guess")  # type: ignore[arg-type]  # never looked at
