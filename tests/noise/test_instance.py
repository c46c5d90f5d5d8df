from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pellucid.noise.evidence import DOUBT, Evidence, entropy, logs_of, tempered
from pellucid.noise.inject import inject_labels
from pellucid.noise.instance import Instance, _log_likelihood, _parts, fit_instance, instance


def test_the_joint_by_hand() -> None:
    # temperatures 1 and 1, a = b = 0: rho = 0.95 / 2 for every row
    evidence = Evidence(np.array([[0.6, 0.3, 0.1]]), np.array([1]), np.ones(1), np.zeros(1, dtype=bool))
    fitted = Instance(np.zeros(4), np.zeros(1))
    rho = 0.475
    np.testing.assert_allclose(
        fitted.joint(evidence), [[0.6 * rho * 0.3 / 0.4, 0.3 * (1 - rho), 0.1 * rho * 0.3 / 0.9]]
    )
    np.testing.assert_allclose(fitted.joint(replace(evidence, trusted=np.array([True]))), [[0, 0.3, 0]])


def test_over_all_labels_the_probabilities_sum_to_one() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(4), 5)
    fitted = Instance(np.array([-0.5, 0.3, 2.0, 0.2]), np.sort(np.random.default_rng(1).random(50)))
    total = np.zeros(5)
    for label in range(4):
        evidence = Evidence(p, np.full(5, label), np.ones(5), np.zeros(5, dtype=bool))
        total += fitted.joint(evidence).sum(axis=1)
    np.testing.assert_allclose(total, 1)


def test_a_models_own_errors_are_not_the_labels(world: Callable[..., Any]) -> None:
    it = world(spread=3.0)
    evidence = it.evidence(it.truth)
    assert (evidence.margin < 0).mean() > 0.2
    assert instance(evidence).suspect.mean() < 0.02


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_it_tells_peoples_mistakes_from_the_models(
    world: Callable[..., Any], f1: Callable[..., float], rate: float
) -> None:
    it = world(spread=10.0)
    noise = inject_labels(it.truth, "instance", rate, 1, pred_probs=it.q)
    verdict = instance(it.evidence(noise.labels))
    assert f1(verdict.suspect, noise.changed) > 0.7
    assert 1 - verdict.posterior[np.arange(1500), noise.labels].mean() == pytest.approx(rate, abs=0.05)


def test_the_less_sure_the_model_the_less_a_label_is_believed(world: Callable[..., Any]) -> None:
    it = world(spread=10.0)
    noise = inject_labels(it.truth, "instance", 0.3, 1, pred_probs=it.q)
    assert fit_instance(it.evidence(noise.labels)).parameters[2] > 1


@pytest.mark.parametrize("parameters", [(-1.5, 0.3, 2.0, -0.5), (-2.0, -1.5, 4.0, -1.5), (0.5, -5.0, 0.0, 1.0)])
def test_the_slopes_are_those_of_the_likelihood(parameters: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    evidence = Evidence(
        rng.dirichlet(np.full(5, 0.5), 300), rng.integers(0, 5, 300), rng.random(300), rng.random(300) < 0.1
    )
    logs = logs_of(evidence.p)
    unsure, at = rng.random(300), np.array(parameters)
    emission = rng.random((300, 5))
    value, slopes = _log_likelihood(at, logs, unsure, evidence, emission)
    joint = np.add(*_parts(at, logs, unsure, evidence, emission))
    doubt = entropy(tempered(logs, float(np.exp(at[0]))))
    assert value == pytest.approx(evidence.weight @ (np.log(joint.sum(axis=1)) - DOUBT * doubt))
    steps = 1e-5 * np.eye(4)
    values = [[_log_likelihood(at + s * sign, logs, unsure, evidence, emission)[0] for sign in (1, -1)] for s in steps]
    differences = [(up - down) / 2e-5 for up, down in values]
    np.testing.assert_allclose(slopes, differences, rtol=1e-4, atol=1e-3)
