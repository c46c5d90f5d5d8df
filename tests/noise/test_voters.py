from __future__ import annotations

import numpy as np
import pytest

from pellucid.noise.voters import credence, with_records


def test_a_careless_voters_votes_lose_and_a_careful_ones_gain() -> None:
    trust = np.concatenate([np.full(50, 0.95), np.full(40, 0.05), np.full(2, 0.5)])
    posterior = np.stack([trust, (1 - trust) * 0.75, (1 - trust) * 0.25], axis=1)
    voter = np.concatenate([np.zeros(50), np.ones(40), [0, 1]]).astype(np.intp)
    result = with_records(posterior, np.zeros(92, dtype=np.intp), voter, np.ones(92))
    careful, careless = result[90], result[91]
    assert careful[0] > 0.8
    assert careless[0] < 0.2
    np.testing.assert_allclose(result.sum(axis=1), 1)
    np.testing.assert_allclose(result[:, 1], 3 * result[:, 2])  # what is not right is divided as before


def test_one_voter_alone_is_everybody() -> None:
    posterior = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    index = np.arange(20) % 3
    np.testing.assert_allclose(with_records(posterior, index, np.zeros(20, dtype=np.intp), np.ones(20)), posterior)


def test_a_single_vote_moves_little_and_certainty_not_at_all() -> None:
    posterior = np.array([[0.9, 0.1]] * 30 + [[0.3, 0.7]] + [[1.0, 0.0], [0.0, 1.0]])
    voter = np.array([0] * 30 + [1, 1, 0])
    result = with_records(posterior, np.zeros(33, dtype=np.intp), voter, np.ones(33))
    assert result[30, 0] == pytest.approx(0.3, abs=0.1)
    assert result[31:, 0].tolist() == pytest.approx([1, 0])
    assert np.isfinite(result).all()


def test_names_of_voters_and_order_of_rows_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    posterior, index, voter = rng.dirichlet(np.ones(3), 40), rng.integers(0, 3, 40), rng.integers(0, 4, 40)
    weight = rng.random(40)
    turned = rng.permutation(40)
    result = with_records(posterior, index, voter, weight)
    other = with_records(posterior[turned], index[turned], 3 - voter[turned], weight[turned])
    np.testing.assert_allclose(other, result[turned])


def test_a_bad_voter_among_good_ones_is_doubted_in_full() -> None:
    voter = np.repeat([0, 1, 2], [500, 40, 1])
    contradicted = np.concatenate([np.arange(500) < 80, np.ones(40), [1]])  # the learner errs in 80 of 500
    wrong = np.concatenate([0.15 * contradicted[:500], np.full(40, 0.9), [0.9]])
    found = credence(wrong, contradicted, voter)
    good, bad, new = found[0], found[500], found[540]
    assert good < 0.25
    assert bad == 1
    share = (0.9 + 10 * wrong.sum() / 121) / 11
    assert new == pytest.approx((2 * share) ** 2)


def test_where_nothing_is_contradicted_nothing_is_held_back() -> None:
    assert credence(np.full(5, 0.01), np.zeros(5), None).tolist() == [1] * 5
