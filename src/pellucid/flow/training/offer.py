"""What a form may offer to train, and what a grid comes to before anybody starts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pellucid.errors import PellucidError, UsageError
from pellucid.flow.training.grid import DEFAULT_MODEL, Grid, expand, grid_of, parse_settings
from pellucid.flow.workspace import Workspace
from pellucid.heads.head import available_heads, head_settings, lacking
from pellucid.store.datasets import list_versions
from pellucid.store.jobs import JobSpec, states_of, used_specs
from pellucid.store.models import list_models
from pellucid.types import DatasetVersion, JobState, Split

MAX_SEED = 2**32 - 1
MOST_JOBS = 500  # of one grid; more are a slip of the hand, or a case for the command line


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be chosen. Nothing else is taken from a form: naming a class or a file would run or read it."""

    versions: tuple[DatasetVersion, ...]  # that can be trained on, newest first
    models: Mapping[str, Mapping[str, Any]]  # head specification -> its settings with their defaults
    lacking: Mapping[str, str]  # head specification -> why it cannot be trained here; only those that cannot
    extractors: tuple[str, ...]  # specifications, the one to begin with first
    chosen: Grid  # what to begin with: pellucid.toml's [train], or the default on the newest version


@dataclass(frozen=True, slots=True)
class Forecast:
    """What starting a grid would do."""

    jobs: int  # combinations
    new: int  # jobs that would be queued for the first time
    again: int  # jobs that failed or were cancelled, and would be tried again
    open: int  # jobs that wait or run already
    done: int  # jobs that are done, and would not be done again
    specs: tuple[JobSpec, ...]

    @property
    def starts(self) -> int:
        """Jobs that would be put into the queue."""
        return self.new + self.again


def offer(workspace: Workspace) -> Offer:
    """What this project can train: its versions, the heads that are registered or were used, and so the extractors."""
    settings = workspace.settings
    with workspace.database.read() as connection:
        versions = sorted(list_versions(connection), key=lambda item: item.created_at, reverse=True)
        models, extractors = used_specs(connection)
        newest = sorted(list_models(connection), key=lambda item: item.created_at, reverse=True)
    grid = grid_of(settings) or Grid(datasets=(), seed=settings.seed)
    known, unable = {}, {}
    for spec in dict.fromkeys([DEFAULT_MODEL, *grid.models, *_plain_heads(), *models]):
        with suppress(PellucidError):  # what was used once may be gone by now
            known[spec] = head_settings(spec)
            if reason := lacking(spec):
                unable[spec] = reason
    if not grid.extractors and newest:
        grid = replace(grid, extractors=(newest[0].extractor,))  # what the models in use look through
    usable = tuple(item for item in versions if item.counts.get(Split.TRAIN, 0))
    if not grid.datasets and usable:
        grid = replace(grid, datasets=(usable[0].ref,))
    specs = dict.fromkeys([*grid.extractors, settings.extractor, *extractors])
    return Offer(usable, known, unable, tuple(specs), grid)


def form_grid(
    offered: Offer,
    datasets: Sequence[str],
    models: Sequence[str],
    settings: Mapping[tuple[str, str], str],
    extractors: Sequence[str],
    *,
    priority: int = 0,
    seed: int = 0,
) -> Grid:
    """The grid that a form describes.

    Args:
        settings: by model and setting the values as they were typed, separated by commas; empty for the default.

    Raises:
        UsageError: something was not offered.
    """
    refs = {version.ref for version in offered.versions}
    for what, given, known in (
        ("version", datasets, refs),
        ("model", models, offered.models),
        ("extractor", extractors, offered.extractors),
    ):
        strange = sorted(set(given) - set(known))
        if strange:
            raise UsageError(f"the {what} {strange[0]!r} is not offered here; the command line takes any")
        if not given:
            raise UsageError(f"no {what} is chosen; choose at least one")
    for model in models:
        if model in offered.lacking:
            raise UsageError(f"{model} {offered.lacking[model]}")
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"the seed is {seed}; wanted is a whole number from 0 to {MAX_SEED}")
    texts = [f"{model}.{name}={text}" for (model, name), text in settings.items() if model in models and text.strip()]
    return Grid(
        datasets=tuple(datasets),
        models=tuple(models),
        settings=parse_settings(texts),
        extractors=tuple(extractors),
        priorities=dict.fromkeys(models, priority),
        seed=seed,
    )


def forecast(workspace: Workspace, grid: Grid) -> Forecast:
    """What starting the grid would do; changes nothing.

    Raises:
        UsageError: the grid is too large, or wrong as ``expand`` says.
        NotFoundError: a version or an extractor's file does not exist.
    """
    combinations = 1
    for values in grid.settings.values():
        combinations *= max(1, len(values))
    if combinations > MOST_JOBS:
        raise UsageError(f"{combinations} combinations of settings are too many; wanted are {MOST_JOBS} jobs at most")
    specs = {spec.key: spec for spec in expand(workspace, grid)}
    if len(specs) > MOST_JOBS:
        raise UsageError(f"{len(specs)} jobs are too many for one grid; wanted are {MOST_JOBS} at most")
    with workspace.database.read() as connection:
        states = states_of(connection, specs)
    counts = Counter(states.values())
    return Forecast(
        jobs=len(specs),
        new=len(specs) - len(states),
        again=counts[JobState.FAILED] + counts[JobState.CANCELLED],
        open=counts[JobState.QUEUED] + counts[JobState.RUNNING],
        done=counts[JobState.DONE],
        specs=tuple(specs.values()),
    )


def _plain_heads() -> list[str]:
    """The registered heads that are whole by their name; ``sklearn`` wants a class, whose import takes seconds."""
    return [name for name in available_heads() if name != "sklearn"]
