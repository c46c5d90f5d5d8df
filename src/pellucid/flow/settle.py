"""Settle: a person says what an image shows, as ground truth, and the dataset gets a new version."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime

from pellucid.errors import NotFoundError
from pellucid.flow.version import commit_votes, rules_of
from pellucid.flow.workspace import Workspace
from pellucid.store.datasets import get_version
from pellucid.store.manifests import read_manifest
from pellucid.store.samples import find_sample
from pellucid.store.votes import add_votes
from pellucid.types import DatasetVersion, Role, Vote


def settle(
    workspace: Workspace, dataset: str, samples: Sequence[str], label: str, *, voter: str | None = None
) -> DatasetVersion:
    """Adds a ground-truth vote to each sample and commits what follows from it.

    Args:
        samples: ids, or at least the first four digits of them.
        label: what the images show; it may be a class that the dataset does not have yet.
        voter: who says so; the user of the operating system where None.

    Raises:
        NotFoundError: the dataset has no such sample.
    """
    with workspace.database.read() as connection:
        version = get_version(connection, dataset)
        ids = [find_sample(connection, prefix).id for prefix in samples]
    members = {row.sample for row in read_manifest(workspace.blobs, version.content_id)}
    for name in ids:
        if name not in members:
            raise NotFoundError(f"{version.ref} has no sample {name[:12]}; `pellucid datasets show --rows` lists them")
    who, now = voter or getpass.getuser(), datetime.now(UTC)
    votes = [Vote(version.dataset, name, label, Role.GROUND_TRUTH, who, now) for name in ids]
    with workspace.database.write() as connection:
        add_votes(connection, votes)
    recipe = {"verb": "settle", "samples": ids, "label": label, "voter": who, **rules_of(version).to_dict()}
    made, _, _ = commit_votes(workspace, version.dataset, rules=rules_of(version), recipe=recipe, touched=ids)
    return made
