"""The tables. The database holds the invariants: what must be unique or present is said here, not in code."""

from __future__ import annotations

from pellucid.store.schema.columns import UTCDateTime, metadata
from pellucid.store.schema.data import (
    alias,
    alias_history,
    dataset,
    dataset_version,
    finding,
    ingest,
    job,
    model,
    prediction,
    sample,
    set_aside,
    sighting,
    vote,
)
from pellucid.store.schema.loop import (
    firing,
    ledger,
    live_vector,
    receipt,
    retracted_vote,
    retraction,
    stream_event,
    stream_offset,
    token,
    verdict,
)
from pellucid.store.schema.pages import (
    act,
    reservation,
    session,
    shadow,
    shadow_answer,
)

__all__ = [
    "UTCDateTime",
    "act",
    "alias",
    "alias_history",
    "dataset",
    "dataset_version",
    "finding",
    "firing",
    "ingest",
    "job",
    "ledger",
    "live_vector",
    "metadata",
    "model",
    "prediction",
    "receipt",
    "reservation",
    "retracted_vote",
    "retraction",
    "sample",
    "session",
    "set_aside",
    "shadow",
    "shadow_answer",
    "sighting",
    "stream_event",
    "stream_offset",
    "token",
    "verdict",
    "vote",
]
