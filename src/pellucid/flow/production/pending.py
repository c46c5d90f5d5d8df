"""Pending: what only a person can decide."""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.flow.workspace import Workspace
from pellucid.store.aliases import CHAMPION, alias_state, history_of
from pellucid.store.datasets import get_version
from pellucid.store.manifests import read_manifest
from pellucid.store.verdicts import verdicts_of
from pellucid.types import TRUST_SCALE, Split, Status


@dataclass(frozen=True, slots=True)
class Labels:
    """How far the labels of a dataset's newest version are to be believed."""

    version: str  # "trash@3"
    labels: int  # that are learnt from
    trust: float | None  # 0..1, their mean; None where there is none
    doubted: int  # of them, with a trust below one half
    conflicts: int  # images whose votes do not agree, on which nobody trains
    suspects: int  # images set aside because an audit, or what is known of a user, speaks against their label
    unlabelled: int


def label_trust(workspace: Workspace, dataset: str) -> Labels:
    """The labels of the newest version, weighed.

    Raises:
        NotFoundError: there is no such dataset.
        IntegrityError: the version's manifest is damaged.
    """
    with workspace.database.read() as connection:
        version = get_version(connection, dataset)
    rows = read_manifest(workspace.blobs, version.content_id)
    trusts = [row.trust for row in rows if row.status is Status.OK and row.split is not Split.TEST and row.label]
    status = [row.status for row in rows]
    return Labels(
        version=version.ref,
        labels=len(trusts),
        trust=sum(trusts) / len(trusts) / TRUST_SCALE if trusts else None,
        doubted=sum(2 * trust < TRUST_SCALE for trust in trusts),
        conflicts=status.count(Status.CONFLICT),
        suspects=status.count(Status.SUSPECT),
        unlabelled=status.count(Status.UNLABELLED),
    )


def refused_candidates(workspace: Workspace, dataset: str) -> list[str]:
    """Models younger than the champion that the gate has refused last, newest first: is it right, or is the gate?

    One that somebody has promoted all the same waits for nobody.
    """
    with workspace.database.read() as connection:
        champion = alias_state(connection, dataset, CHAMPION).version or 0
        tried = {item.version for item in history_of(connection, dataset) if item.alias == CHAMPION}
        last = {verdict.candidate: verdict for verdict in verdicts_of(connection, dataset)}
    refused = [item for item in last.values() if item.judged and not item.passed and item.candidate > champion]
    numbers = sorted({item.candidate for item in refused} - tried, reverse=True)
    return [f"{dataset}@{number}" for number in numbers]
