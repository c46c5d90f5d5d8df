"""Chain: from a prediction back to the model, the dataset version, the votes and the files behind it."""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.flow.workspace import Workspace
from pellucid.store.aliases import Change, history_of
from pellucid.store.datasets import get_version
from pellucid.store.ingests import Sighting, sightings_of
from pellucid.store.ledger import Entry, entries_of
from pellucid.store.models import get_model
from pellucid.store.predictions import answer_of
from pellucid.store.votes import votes_of
from pellucid.types import Answer, DatasetVersion, ModelVersion, Vote


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Everything that a prediction rests on, and what has been said of its image."""

    answer: Answer
    model: ModelVersion
    version: DatasetVersion  # that the model was trained on
    champions: tuple[Change, ...]  # the production history of the name up to the answer, oldest first
    votes: tuple[Vote, ...]  # on the image, oldest first; those that count
    files: tuple[Sighting, ...]  # where the image was ingested from; empty for one that came with the question
    learnt: tuple[Entry, ...]  # how the image stood in the model, entry by entry


def chain(workspace: Workspace, uid: str) -> Chain:
    """What lies behind the answer of that uid.

    Raises:
        NotFoundError: there is none.
    """
    with workspace.database.read() as connection:
        answer = answer_of(connection, uid)
        model = get_model(connection, answer.model)
        history = history_of(connection, model.name)
        return Chain(
            answer=answer,
            model=model,
            version=get_version(connection, model.dataset),
            champions=tuple(change for change in history if change.at <= answer.at),
            votes=tuple(votes_of(connection, model.name, [answer.sample]).get(answer.sample, ())),
            files=tuple(sightings_of(connection, model.name, [answer.sample]).get(answer.sample, ())),
            learnt=tuple(entries_of(connection, model, answer.sample)),
        )
