"""Replay: the training images that a learner keeps of an older version, beside all that came since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.flow.training.learn import Material, Portion
from pellucid.flow.workspace import Workspace
from pellucid.replay.closest import closest_pairs
from pellucid.store.datasets import get_version
from pellucid.store.manifests import read_manifest
from pellucid.types import Split, Status

REPLAY = "replay"  # the setting of a job; no head has one of that name


def replayed(workspace: Workspace, material: Material, wanted: Mapping[str, Any]) -> Material:
    """The material with only a part of the old training images: the closest pairs, as the published system keeps them.

    Old is what the older version trained on under the same label. Where nothing is old, or nothing new, all stays.

    Args:
        wanted: ``share``, 0..1, of the old images to keep, and ``since``, the older version's reference.

    Raises:
        NotFoundError: there is no such version.
    """
    with workspace.database.read() as connection:
        older = get_version(connection, str(wanted["since"]))
    known = {
        (row.sample, row.label)
        for row in read_manifest(workspace.blobs, older.content_id)
        if row.split is Split.TRAIN and row.status is Status.OK
    }
    train = material.train
    is_old = np.array([(row.sample, row.label) in known for row in train.rows], dtype=bool)
    old, new = np.flatnonzero(is_old), np.flatnonzero(~is_old)
    if not len(old) or not len(new):
        return material
    n_keep = round(float(wanted["share"]) * len(old))
    kept = closest_pairs(train.X[old], train.y[old], n_keep, train.X[new], train.y[new])
    rows = np.sort(np.concatenate([old[kept], new]))
    portion = Portion(tuple(train.rows[row] for row in rows), train.X[rows], train.y[rows], train.trust[rows])
    return replace(material, train=portion)
