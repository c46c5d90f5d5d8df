"""Edit: the next version of a dataset out of rows that something other than votes has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.errors import ConcurrencyError
from pellucid.flow.data.version import RETRACTED, count_rows, rules_of, without_retracted
from pellucid.flow.workspace import Workspace
from pellucid.store.datasets import commit_version, findings_of, get_version, latest_version
from pellucid.store.ingests import finish_ingest
from pellucid.store.manifests import content_id, read_manifest, write_manifest
from pellucid.store.retractions import newest_retraction
from pellucid.store.votes import add_votes
from pellucid.types import DatasetVersion, Row, Vote


def commit_rows(
    workspace: Workspace,
    base: DatasetVersion,
    rows: Sequence[Row],
    *,
    recipe: Mapping[str, Any],
    votes: Sequence[Vote] = (),
    ingest_id: int | None = None,
    alike: DatasetVersion | None = None,
) -> tuple[DatasetVersion, bool]:
    """Commits the rows on top of ``base``, the dataset's newest version; votes and ingest count from then on.

    What was found of the dataset, conflicts and leaks, is as of the version that the rows are ``alike``; ``base`` where
    None.

    Returns:
        The version, and whether it is new: rows that are those of ``base`` make none, and record nothing.

    Raises:
        ConcurrencyError: the dataset has got another version meanwhile; nothing was changed.
    """
    name = content_id(rows)
    if name == base.content_id:
        return base, False
    write_manifest(workspace.blobs, rows, name)
    labels = {row.label for row in rows if row.label is not None}
    with workspace.database.write() as connection:
        made = commit_version(
            connection,
            name=base.dataset,
            parent=base,
            parents=[base.ref],
            content_id=name,
            classes=[*base.classes, *sorted(labels.difference(base.classes))],
            recipe={**recipe, **rules_of(base).to_dict()},
            counts=count_rows(rows),
            findings=findings_of(connection, alike or base),
            ingest_id=ingest_id,
        )
        add_votes(connection, votes)
        if ingest_id is not None:
            finish_ingest(connection, ingest_id)
    return made, True


def newest_of(workspace: Workspace, ref: str) -> tuple[DatasetVersion, tuple[Row, ...]]:
    """The version that is named, which has to be its dataset's newest one, and its rows.

    Raises:
        NotFoundError: there is no such version.
        ConcurrencyError: it is not the newest; an edit of an older one would undo what came after it.
    """
    with workspace.database.read() as connection:
        version = get_version(connection, ref)
        newest = latest_version(connection, version.dataset)
    if newest is not None and newest.number != version.number:
        raise ConcurrencyError(
            f"{version.ref} is not the newest version, {newest.ref} is; name that one, or "
            f"`pellucid datasets revert {version.ref}` first"
        )
    return version, read_manifest(workspace.blobs, version.content_id)


def revert(workspace: Workspace, ref: str) -> tuple[DatasetVersion, bool]:
    """Makes what the version holds the dataset's newest version again; nothing of what came after it is lost.

    What was taken back since stays so: such a label is what the other votes that the version knew say together, and the
    recipe's ``taken_back`` counts these images.

    Returns:
        The version, and whether it is new: reverting to the newest one does nothing.

    Raises:
        NotFoundError: there is no such version.
        ConcurrencyError: the dataset has got another version meanwhile.
    """
    with workspace.database.read() as connection:
        wanted = get_version(connection, ref)
        newest = latest_version(connection, wanted.dataset) or wanted
        rows = read_manifest(workspace.blobs, wanted.content_id)
        changed = without_retracted(connection, wanted, rows)
        upto = newest_retraction(connection, wanted.dataset)
    recipe: dict[str, Any] = {"verb": "revert", "to": wanted.ref}
    if upto:
        recipe[RETRACTED] = upto
    if changed:
        recipe["taken_back"] = len(changed)
    return commit_rows(workspace, newest, [changed.get(row.sample, row) for row in rows], recipe=recipe, alike=wanted)
