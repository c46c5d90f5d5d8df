from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pellucid.noise.compound import Compound, compound, fit_compound
from pellucid.noise.evidence import Evidence
from pellucid.noise.inject import inject_labels
from pellucid.noise.instance import Instance, fit_instance, instance
from pellucid.noise.rules import auto
from pellucid.noise.transition import fit_transition, transition


def test_the_posterior_by_hand() -> None:
    # temperatures 1 and 1, a = b = 0: doubt turns a label with rho = 0.95 / 2; what is left follows T
    T = np.array([[0.9, 0.1], [0.2, 0.8]])
    evidence = Evidence(np.array([[0.3, 0.7]]), np.array([0]), np.ones(1), np.zeros(1, dtype=bool))
    fitted, rho = Compound(T, None, Instance(np.zeros(4), np.zeros(1)), 2), 0.475
    # of the second class 0.3 of what doubt turns goes to the first, and all of it, as there is no third
    joint = np.array([0.3 * (1 - rho) * 0.9, 0.7 * ((1 - rho) * 0.2 + rho)])
    np.testing.assert_allclose(fitted.verdict(evidence).posterior, [joint / joint.sum()])
    trusted = replace(evidence, trusted=np.array([True]))
    np.testing.assert_allclose(fitted.verdict(trusted).posterior, [[1, 0]])


def test_it_finds_labels_that_are_lost_both_ways(world: Callable[..., Any], f1: Callable[..., float]) -> None:
    it = world(n=3000, K=8, spread=10.0)
    slips = inject_labels(it.truth, "instance", 0.2, 1, pred_probs=it.q)
    # and a fifth of all goes to the first class
    taken = np.random.default_rng(2).random(3000) < 0.2
    given = np.where(taken, 0, slips.labels)
    evidence, wrong = it.evidence(given), given != it.truth
    both, alone = compound(evidence), (transition(evidence), instance(evidence))
    assert both.worth is not None
    assert all(verdict.worth is not None and both.worth > verdict.worth + 10 for verdict in alone)
    assert f1(both.suspect, wrong) > max(f1(verdict.suspect, wrong) for verdict in alone) + 0.02
    assert auto(evidence).rule == "compound"
    assert auto(replace(evidence, taught_back=True)).rule != "compound"


def test_of_an_overconfident_model_auto_believes_no_doubt(world: Callable[..., Any]) -> None:
    it = world(n=1000, spread=2.0)
    p = it.q**4
    evidence = it.evidence(it.truth, p / p.sum(axis=1, keepdims=True))
    assert fit_compound(evidence, fit_transition(evidence), fit_instance(evidence)).flattened
    assert auto(evidence).rule != "compound"
    assert not fit_compound(it.evidence(it.truth, it.q), fit_transition(evidence), fit_instance(evidence)).flattened


@pytest.mark.parametrize("spread", [2.0, 6.0])
def test_it_leaves_clean_labels_alone(world: Callable[..., Any], spread: float) -> None:
    it = world(spread=spread)
    assert compound(it.evidence(it.truth)).suspect.mean() <= 0.02


def test_a_row_of_weight_two_is_two_rows(world: Callable[..., Any]) -> None:
    it = world(n=300)
    given, rows = inject_labels(it.truth, "pair", 0.3, 1).labels, np.arange(300)
    index = np.concatenate([rows, rows])
    twice = Evidence(it.q[index], given[index], np.ones(600), np.zeros(600, dtype=bool))
    heavy = replace(it.evidence(given), weight=np.full(300, 2.0))
    np.testing.assert_allclose(compound(heavy).posterior, compound(twice).posterior[:300], atol=0.01)
