"""Settle: a person says what an image shows, as ground truth, and the dataset gets a new version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pellucid.errors import NotFoundError, UsageError
from pellucid.flow.data.version import commit_votes, rules_of
from pellucid.flow.environment import current_user
from pellucid.flow.workspace import Workspace
from pellucid.store.datasets import get_version
from pellucid.store.manifests import read_manifest
from pellucid.types import DatasetVersion, Role, Vote

_DIGITS = 4  # of an id that a person has to type at least


def settle(
    workspace: Workspace, dataset: str, samples: Sequence[str], label: str, *, voter: str | None = None
) -> DatasetVersion:
    """Adds a ground-truth vote to each sample and commits what follows from it.

    The votes and the version come together: where this is stopped, neither is there. Repeating what stands already
    makes no new version.

    Args:
        samples: ids, or at least the first four digits of them.
        label: what the images show; it may be a class that the dataset does not have yet.
        voter: who says so; the user of the operating system where None.

    Raises:
        NotFoundError: the dataset has no such sample, or several whose ids begin so.
        UsageError: the label is blank.
    """
    if not label.strip():
        raise UsageError(f"{label!r} is no label; name what the images show")
    with workspace.database.read() as connection:
        version = get_version(connection, dataset)
        newest = get_version(connection, version.dataset)
    members = [row.sample for row in read_manifest(workspace.blobs, newest.content_id)]
    ids = list(dict.fromkeys(_member(newest, members, prefix) for prefix in samples))
    who, now, rules = voter or current_user(), datetime.now(UTC), rules_of(newest)
    votes = [Vote(newest.dataset, name, label.strip(), Role.GROUND_TRUTH, who, now) for name in ids]
    recipe = {"verb": "settle", "samples": ids, "label": label.strip(), "voter": who, **rules.to_dict()}
    made, _, _ = commit_votes(workspace, newest.dataset, rules=rules, recipe=recipe, votes=votes)
    return made


def _member(version: DatasetVersion, members: Sequence[str], prefix: str) -> str:
    wanted = prefix.lower()
    found = [name for name in members if name.startswith(wanted)] if len(wanted) >= _DIGITS else []
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} samples that begin" if found else "no sample that begins"
    raise NotFoundError(
        f"{version.ref} has {what} with {prefix!r}; wanted are at least the first {_DIGITS} of an id's 64 hexadecimal "
        "digits: `pellucid datasets show --rows` lists them"
    )
