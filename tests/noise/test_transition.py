from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pellucid.noise.evidence import Evidence
from pellucid.noise.inject import inject_labels
from pellucid.noise.transition import Transition, deconvolve, fit_transition, transition

PAIR = 0.6 * np.eye(4) + 0.4 * np.roll(np.eye(4), 1, axis=1)


def test_the_posterior_by_hand() -> None:
    T = np.array([[0.9, 0.1], [0.2, 0.8]])
    evidence = Evidence(np.array([[0.3, 0.7]]), np.array([0]), np.ones(1), np.zeros(1, dtype=bool))
    np.testing.assert_allclose(Transition(T, None, 1.0, 0).joint(evidence), [[0.3 * 0.9, 0.7 * 0.2]])
    # at a temperature of 1/2 beliefs are squared before they are normalised
    np.testing.assert_allclose(Transition(T, None, 0.5, 0).beliefs(evidence), [[9 / 58, 49 / 58]])
    # a trusted label is the class
    np.testing.assert_allclose(
        Transition(T, None, 1.0, 0).joint(replace(evidence, trusted=np.array([True]))), [[0.3, 0.0]]
    )


def test_deconvolution_undoes_the_mixing() -> None:
    q = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    np.testing.assert_allclose(deconvolve(q, np.eye(4)), q, atol=1e-12)
    T = 0.8 * np.eye(4) + 0.05
    np.testing.assert_allclose(deconvolve(q @ T, T), q, atol=0.02)
    np.testing.assert_allclose(deconvolve(q, PAIR).sum(axis=1), 1)


@pytest.mark.parametrize("kind", ["symmetric", "pair"])
@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_the_matrix_and_the_beliefs_are_recovered(world: Callable[..., Any], kind: str, rate: float) -> None:
    it = world(n=3000)
    noise = inject_labels(it.truth, kind, rate, 1)
    evidence = it.evidence(noise.labels, it.said(noise.matrix))  # what the best model of the given labels says
    fitted = fit_transition(evidence)
    assert np.abs(fitted.matrix - noise.matrix).max() < 0.08
    sure = it.q.max(axis=1) > 0.9
    assert (fitted.beliefs(evidence).argmax(axis=1) == it.q.argmax(axis=1))[sure].mean() > 0.93


def test_at_forty_percent_to_the_next_class_it_finds_what_the_margin_cannot(
    world: Callable[..., Any], f1: Callable[..., float]
) -> None:
    it = world()
    noise = inject_labels(it.truth, "pair", 0.4, 1)
    evidence = it.evidence(noise.labels, it.said(noise.matrix))
    verdict = transition(evidence)
    assert f1(verdict.suspect, noise.changed) > 0.85
    assert f1(verdict.suspect, noise.changed) > f1(evidence.margin < 0, noise.changed) + 0.05
    # and where the label is wrong, it says which one is right
    found = verdict.suspect & noise.changed
    assert (verdict.posterior.argmax(axis=1) == it.truth)[found].mean() > 0.95


def test_a_model_that_learnt_corrected_labels_is_not_deconvolved(world: Callable[..., Any]) -> None:
    it = world()
    noise = inject_labels(it.truth, "pair", 0.4, 1)
    fitted = fit_transition(replace(it.evidence(noise.labels), learnt_given=False))
    assert fitted.mixing is None
    assert np.abs(fitted.matrix - noise.matrix).max() < 0.08


def test_a_models_own_errors_are_not_the_labels(world: Callable[..., Any]) -> None:
    it = world(spread=3.0)
    evidence = it.evidence(it.truth)
    assert (evidence.margin < 0).mean() > 0.2
    assert transition(evidence).suspect.mean() < 0.01


def test_rows_of_weight_zero_decide_nothing_and_are_judged(world: Callable[..., Any]) -> None:
    it = world()
    given = inject_labels(it.truth, "symmetric", 0.2, 1).labels
    heavy = it.evidence(given)
    doubled = Evidence(
        np.concatenate([heavy.p, heavy.p]),
        np.concatenate([given, (given + 1) % 4]),
        np.concatenate([heavy.weight, np.zeros(len(given))]),
        np.zeros(2 * len(given), dtype=bool),
    )
    np.testing.assert_allclose(fit_transition(doubled).matrix, fit_transition(heavy).matrix)
    assert transition(doubled).suspect[len(given) :].mean() > 0.7
