from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.mixture import GaussianMixture

from pellucid.noise.evidence import Evidence
from pellucid.noise.mixture import mixture


def evidence(margin: NDArray[np.float64]) -> Evidence:
    p = np.stack([(1 + margin) / 2, (1 - margin) / 2], axis=1)
    n = len(margin)
    return Evidence(p, np.zeros(n, dtype=np.intp), np.ones(n), np.zeros(n, dtype=bool))


def two_hills() -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    hills = np.concatenate([rng.normal(-0.5, 0.1, 300), rng.normal(0.6, 0.1, 700)])
    return np.asarray(np.clip(hills, -1, 1))


def test_it_is_the_mixture_that_scikit_learn_fits() -> None:
    margin = two_hills()
    reference = GaussianMixture(2, random_state=0, tol=1e-8, max_iter=500).fit(margin[:, None])
    upper = int(reference.means_[:, 0].argmax())
    between = np.abs(margin) < 0.4  # beyond the means trust is made to rise on
    expected = reference.predict_proba(margin[:, None])[:, upper]
    np.testing.assert_allclose(mixture(evidence(margin)).posterior[between, 0], expected[between], atol=1e-3)


def test_two_hills_are_told_apart() -> None:
    verdict = mixture(evidence(two_hills()))
    assert verdict.suspect.tolist() == [True] * 300 + [False] * 700
    np.testing.assert_allclose(verdict.posterior.sum(axis=1), 1)


def test_trust_never_falls_as_the_margin_rises() -> None:
    wide = np.concatenate([norm.ppf(np.linspace(0.01, 0.99, 99)) * 0.35 - 0.1, np.full(200, 0.7)])
    margin = np.sort(np.clip(wide, -1, 1))
    assert (np.diff(mixture(evidence(margin)).posterior[:, 0]) >= 0).all()


@pytest.mark.parametrize("margin", [np.full(5, 0.3), np.array([0.2])])
def test_one_value_is_one_hill(margin: NDArray[np.float64]) -> None:
    assert not mixture(evidence(margin)).suspect.any()


def test_a_model_that_gives_the_others_nothing_divides_doubt_evenly() -> None:
    p = np.array([[1.0, 0, 0]] * 5 + [[0.0, 0.5, 0.5]] * 5)
    found = Evidence(p, np.zeros(10, dtype=np.intp), np.ones(10), np.zeros(10, dtype=bool))
    posterior = mixture(found).posterior
    np.testing.assert_allclose(posterior.sum(axis=1), 1)
    assert np.isfinite(posterior).all()
