"""How far a training is, in words: its steps by their number, what is done of them, and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pellucid.flow.training.queue import part_done

_STEPS: Mapping[str, str] = MappingProxyType(
    {
        "embedding": "looking at the images",
        "training": "learning from them",
        "judging": "judging on the test images",
        "registering and reporting": "storing the model and writing its report",
    }
)


def step_in_words(message: str) -> str:
    """What a worker says of its training.

    >>> step_in_words("embedding 25/100"), step_in_words("training"), step_in_words("")
    ('Step 1 of 4: looking at the images, 25 of 100', 'Step 2 of 4: learning from them', 'Starting')
    """
    step, counts = _parts(message)
    if step not in _STEPS:
        return message[:1].upper() + message[1:] if message else "Starting"
    done = f", {counts.replace('/', ' of ')}" if counts else ""
    return f"Step {list(_STEPS).index(step) + 1} of {len(_STEPS)}: {_STEPS[step]}{done}"


def share_done(message: str) -> float:
    """The share of all steps that is done, 0 to 1; steps take unlike times, so it is no share of the time.

    >>> share_done("embedding 50/100"), share_done("judging 3/6"), share_done("starting")
    (0.125, 0.625, 0.0)
    """
    step, _ = _parts(message)
    if step not in _STEPS:
        return 0.0
    return (list(_STEPS).index(step) + (part_done(message) or 0.0)) / len(_STEPS)


def machine_of(worker: str | None) -> str:
    """The machine that a worker runs on; its process is nobody's business but the log's.

    >>> machine_of("vm:24165:e2c8bc3c")
    'vm'
    """
    return (worker or "").partition(":")[0]


def _parts(message: str) -> tuple[str, str]:
    """The step, and how many of how many."""
    step, _, last = message.rpartition(" ")
    return (step, last) if part_done(message) is not None else (message, "")
