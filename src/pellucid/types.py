"""The frozen values that the parts hand to each other.

Nothing here knows a file, a database or an array library; every value can be compared, hashed and shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

TRUST_SCALE = 1000  # trust is stored in thousandths, so that a version's content id never depends on rounding
KEEPER = "pellucid corrupt"  # the voter whose ground truth is what a label was before it was broken on purpose


class Role(StrEnum):
    """In what capacity a label was said; ground truth outweighs every other role."""

    GROUND_TRUTH = "ground_truth"
    ANNOTATOR = "annotator"
    USER = "user"
    MODEL = "model"


class Split(StrEnum):
    """What a sample is for. Trusted samples are known to be right and are touched by no feedback."""

    TRAIN = "train"
    TEST = "test"
    TRUSTED = "trusted"


class Status(StrEnum):
    """Whether a sample of a dataset version may be learnt from."""

    OK = "ok"
    CONFLICT = "conflict"  # its votes do not agree; nobody trains on it until that is settled
    UNLABELLED = "unlabelled"
    SET_ASIDE = "set_aside"  # usable, but using it would do harm; the row's reason says why
    SUSPECT = "suspect"  # set aside as rather wrong, by an audit or as a user's word; a new vote has it judged anew


class JobState(StrEnum):
    """The life of a training job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Right(StrEnum):
    """What a token lets its holder do over HTTP; ``admin`` implies the others."""

    PREDICT = "predict"  # ask, and look at models and their state
    FEEDBACK = "feedback"  # say what an image shows, and take it back
    ADMIN = "admin"  # promote, roll back, and all the others may do


@dataclass(frozen=True, slots=True)
class Sample:
    """One image, named by its content."""

    id: str  # sha256 of the bytes, 64 hexadecimal digits
    media_type: str  # by content, never by file name: "image/jpeg"
    width: int  # pixels, as stored, before any EXIF rotation
    height: int  # pixels
    size: int  # bytes
    sketch: bytes = field(repr=False)  # 32 x 32 grey levels, row by row: what near-duplicates are confirmed on


@dataclass(frozen=True, slots=True)
class Vote:
    """Who said which label of which sample, when, and as what. Votes are only ever added."""

    dataset: str
    sample: str  # Sample.id
    label: str
    role: Role
    voter: str
    at: datetime  # UTC
    import_id: int | None = None  # the ingest that brought it; None where a person said it directly
    model: str | None = None  # "NAME@VERSION" that a user saw when answering
    confidence: float | None = None  # 0..1, of the prediction that a user saw
    prediction: str | None = None  # Prediction.uid that the user answered
    support: float | None = None  # 0..1: the probability that model and other voters gave the label when it was said
    note: str | None = None  # what the user wrote beside it


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a dataset version's manifest."""

    sample: str  # Sample.id
    label: str | None
    trust: int  # thousandths, 0..1000: P(the label is right); of a user's label that which it is learnt by
    split: Split
    status: Status
    reason: str  # empty where there is nothing to explain
    group: str  # samples of one group never lie in two splits; a singleton's group is its own id


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A commit: the immutable content it points to, and how that came about."""

    dataset: str
    number: int  # 1, 2, 3, ... within the dataset
    content_id: str  # sha256 of the canonical rows: same content, same id, on any machine
    parents: tuple[str, ...]  # references, "trash@1"
    recipe: Mapping[str, Any]  # what was run, with all its settings
    created_at: datetime  # UTC
    classes: tuple[str, ...]  # in index order; a class that comes later is appended, nothing shifts
    counts: Mapping[str, int]  # images by split and status

    @property
    def ref(self) -> str:
        """How people name it: ``trash@3``."""
        return f"{self.dataset}@{self.number}"

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The stored index of every class."""
        return {name: index for index, name in enumerate(self.classes)}


@dataclass(frozen=True, slots=True)
class Job:
    """One training to be done exactly once, however many workers there are and however many of them die."""

    id: int
    key: str  # sha256 of all that decides the outcome; equal keys are one job
    dataset: str  # reference, "trash@3"
    model: str  # head specification, "ridge"
    extractor: str  # extractor specification, "onnx:backbone.onnx"
    settings: Mapping[str, Any]
    seed: int
    priority: int  # of the model; higher first
    state: JobState
    attempt: int  # how often it was claimed
    worker: str | None
    created_at: datetime
    finished_at: datetime | None
    message: str  # why it failed, or what it is doing
    result: str | None  # "NAME@VERSION" of the model that it made


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A trained model in the registry."""

    name: str  # of the dataset that it classifies
    version: int
    id: str  # sha256 of its model.json, which holds the digests of its other files
    dataset: str  # reference, "trash@3"
    head: str
    extractor: str  # specification
    fingerprint: str  # of the extractor: everything that changes a vector
    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    metrics: Mapping[str, float]
    created_at: datetime
    uri: str  # folder of safetensors and JSON
    aliases: tuple[str, ...] = ()  # "champion", "candidate"

    @property
    def ref(self) -> str:
        """How people name it: ``trash@2``."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a served model said of an image, and all that is needed to say later why."""

    uid: str  # 32 hexadecimal digits; what the asker knows it by
    sample: str  # Sample.id
    label: str
    confidence: float  # 0..1, calibrated
    probabilities: Mapping[str, float]
    likely: tuple[str, ...]  # the conformal set: holds the true class nine times in ten
    entropy: float  # 0..log K, in nats; higher is less certain
    novelty: float | None  # 0..1: the share of training images that lie nearer to what was learnt; None where unknown
    model: str  # "NAME@VERSION"
    ledger: int  # the newest ledger entry that the model had learnt; 0 for the model as it was trained
    at: datetime  # UTC
    actor: str | None = None  # who asked
    name: str = ""  # what the asker called the image


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer, and enough to know which model gave it."""

    path: str  # as the caller named the image
    sample: str | None  # Sample.id; None where the image could not be read
    label: str | None
    confidence: float | None  # 0..1, calibrated
    probabilities: Mapping[str, float]
    model: str  # "NAME@VERSION"
    error: str | None = None  # why there is no label
