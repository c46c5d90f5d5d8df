"""Belief: from the posterior of an audit to one label and one weight."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.errors import UsageError
from pellucid.noise import Audit
from pellucid.noise.belief import ACTIONS, believe

POSTERIOR = np.array([[0.9, 0.1, 0.0], [0.1, 0.3, 0.6], [0.2, 0.35, 0.45], [0.45, 0.3, 0.25]])


@pytest.fixture
def found() -> Audit:
    """Four cats and dogs, of which the second and the third are suspected, and the last one is doubtful."""
    classes = np.array(["cat", "dog", "eel"])
    given = np.array(["cat", "dog", "dog", "cat"])
    trust = np.array([0.9, 0.3, 0.35, 0.45])
    suspect = np.array([False, True, True, False])
    suggested = np.array(["cat", "eel", "eel", "cat"])
    return Audit(given, trust, trust, POSTERIOR, suspect, suggested, 0.4, np.eye(3), classes, "argmax", "by hand")


def test_relabelling_gives_each_row_the_probability_of_its_label(found: Audit) -> None:
    belief = believe(found, action="relabel")
    assert belief.labels.tolist() == ["cat", "eel", "eel", "cat"]
    assert belief.weight.tolist() == [0.9, 0.6, 0.45, 0.45]
    assert belief.fate.tolist() == ["kept", "relabelled", "relabelled", "kept"]


def test_weighing_keeps_every_label(found: Audit) -> None:
    belief = believe(found, action="weigh")
    assert belief.labels.tolist() == found.given.tolist()
    assert belief.weight.tolist() == found.trust.tolist()
    assert set(belief.fate) == {"kept"}


def test_dropping_weighs_all_or_nothing(found: Audit) -> None:
    belief = believe(found, action="drop")
    assert belief.weight.tolist() == [1, 0, 0, 1]
    assert belief.fate.tolist() == ["kept", "dropped", "dropped", "kept"]


def test_a_suspect_whose_label_is_likeliest_after_all_keeps_it(found: Audit) -> None:
    posterior = POSTERIOR.copy()
    posterior[2] = [0.3, 0.4, 0.3]
    object.__setattr__(found, "posterior", posterior)
    belief = believe(found, action="relabel")
    assert (belief.labels[2], belief.weight[2], belief.fate[2]) == ("dog", 0.35, "kept")


def test_an_unknown_action_is_named_with_those_there_are(found: Audit) -> None:
    with pytest.raises(UsageError, match="'burn'; the actions are relabel, weigh, drop"):
        believe(found, action="burn")
    assert set(ACTIONS) == {"relabel", "weigh", "drop"}
