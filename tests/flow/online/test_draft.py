"""Drafts: what is learnt in a transaction stands or falls with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pellucid import Project
from pellucid.errors import NotFoundError, UsageError
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.draft import drafting
from pellucid.flow.online.feedback import Heard, Said, hear, hear_within
from pellucid.flow.online.live import LiveModel
from pellucid.flow.online.place import NOWHERE
from pellucid.store.blobs import digest_of
from pellucid.store.ledger import entries_after
from pellucid.store.votes import find_votes
from pellucid.types import Role


@pytest.fixture
def live(make_project: Callable[..., Project], trained_folder: Path, picture: Callable[..., bytes]) -> LiveModel:
    """The model ``pets@1``, which six images were shown: dogs of the numbers 100 to 105."""
    project = make_project(of=trained_folder)
    made = LiveModel(project.workspace, project.model("pets@1"))
    answer(project.workspace, made.answerer, [Asked(picture("dog", 100 + n)) for n in range(6)])
    return made


@pytest.fixture
def shown(picture: Callable[..., bytes]) -> list[str]:
    return [digest_of(picture("dog", 100 + n)) for n in range(6)]


def probabilities(live: LiveModel) -> NDArray[np.float64]:
    with live.workspace.database.read() as connection:
        X = live.look_up(connection, sorted(live.rows)).X
    return live.newest().reply(X)[0]


def recorded(live: LiveModel) -> tuple[int, int]:
    """How many votes and entries of the ledger there are, but for those of the ingest."""
    with live.workspace.database.read() as connection:
        votes = find_votes(connection, "pets", voter="ann")
        return len(votes), len(entries_after(connection, live.model, 0))


def test_several_are_heard_in_one_transaction_as_they_are_one_by_one(
    live: LiveModel, shown: list[str], make_project: Callable[..., Project]
) -> None:
    alone = LiveModel(live.workspace, live.model)
    words = [Said(name, "cat" if n % 3 else "dog", "ann", Role.GROUND_TRUTH) for n, name in enumerate(shown)]
    words += [Said(shown[0], label, "ann", Role.GROUND_TRUTH) for label in ("cat", "dog")]
    with drafting(live) as draft, live.workspace.database.write() as connection:
        heard = [hear_within(draft, connection, said) for said in words]
        assert live.answerer.ledger == 0, "nobody sees it before it is committed"
    assert [item.action for item in heard] == ["learnt"] * 8
    assert live.answerer.ledger == live.ledger == heard[-1].ledger
    assert recorded(live) == (8, 8)
    with live.workspace.database.read() as connection:
        alone.follow(connection)
    assert alone.learnt() == dict(live.learnt())
    assert probabilities(alone) == pytest.approx(probabilities(live), abs=1e-6)


def test_what_is_not_committed_is_undone_in_memory_too(live: LiveModel, shown: list[str]) -> None:
    hear(live, Said(shown[0], "dog", "ann"))
    before, stands, ledger = probabilities(live), dict(live.learnt()), live.ledger
    with (  # noqa: PT012 - what is learnt before the error is the point
        pytest.raises(ZeroDivisionError),
        drafting(live) as draft,
        live.workspace.database.write() as connection,
    ):
        for name in shown:
            hear_within(draft, connection, Said(name, "dog", "ann"))
        assert dict(live.learnt()) != stands
        raise ZeroDivisionError
    assert dict(live.learnt()) == stands
    assert (live.ledger, live.answerer.ledger) == (ledger, ledger)
    assert probabilities(live) == pytest.approx(before, abs=1e-6)
    assert recorded(live) == (1, 1)
    assert hear(live, Said(shown[1], "dog", "ann")).action == "learnt"


def test_one_that_is_refused_leaves_those_before_it(live: LiveModel, shown: list[str]) -> None:
    with drafting(live) as draft, live.workspace.database.write() as connection:
        hear_within(draft, connection, Said(shown[0], "dog", "ann"))
        stands = dict(live.learnt())
        for said, error in (
            (Said(shown[1], "zebra", "ann"), UsageError),
            (Said(shown[1], " ", "ann"), UsageError),
            (Said("0" * 64, "cat", "ann"), NotFoundError),
        ):
            with pytest.raises(error), connection.begin_nested():
                hear_within(draft, connection, said)
        assert dict(live.learnt()) == stands
        hear_within(draft, connection, Said(shown[2], "dog", "ann"))
    assert recorded(live) == (2, 2)
    assert set(live.learnt()) >= {shown[0], shown[2]}
    assert shown[1] not in live.learnt()


def test_others_entries_are_taken_in_once_and_are_not_undone(live: LiveModel, shown: list[str]) -> None:
    other = LiveModel(live.workspace, live.model)
    hear(other, Said(shown[0], "dog", "bob"))
    with (  # noqa: PT012 - what is learnt before the error is the point
        pytest.raises(ZeroDivisionError),
        drafting(live) as draft,
        live.workspace.database.write() as connection,
    ):
        hear_within(draft, connection, Said(shown[1], "dog", "ann"))
        raise ZeroDivisionError
    assert live.ledger == other.ledger
    assert live.stands(shown[0]) == other.stands(shown[0])
    assert live.stands(shown[1]) == NOWHERE


def test_the_same_key_counts_once_within_a_transaction(live: LiveModel, shown: list[str]) -> None:
    said = Said(shown[0], "dog", "ann", key="k")
    with drafting(live) as draft, live.workspace.database.write() as connection:
        twice: list[Heard] = [hear_within(draft, connection, said, source="s") for _ in range(2)]
    assert twice[0] == twice[1] == hear(live, said, source="s")
    assert recorded(live) == (1, 1)


def test_an_answer_is_known_by_the_uid_that_was_asked_for(live: LiveModel, picture: Callable[..., bytes]) -> None:
    asked = [Asked(picture("cat", 100), uid="mine"), Asked(picture("cat", 101))]
    first, second = answer(live.workspace, live.answerer, asked)
    assert getattr(first, "uid", "") == "mine"
    assert len(getattr(second, "uid", "")) == 32
