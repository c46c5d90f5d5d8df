"""The grid: n data sets x m models x o settings, expanded into jobs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pellucid.config import Settings
from pellucid.errors import ConfigError, UsageError
from pellucid.flow.workspace import Workspace
from pellucid.heads.head import build_head, head_settings, source_digest
from pellucid.store.datasets import get_version
from pellucid.store.jobs import JobSpec, enqueue
from pellucid.types import Job

_KEYS = {
    "datasets": list,
    "models": list,
    "settings": dict,
    "extractors": list,
    "priorities": dict,
    "seed": int,
}


DEFAULT_MODEL = "kernel"  # head specification


@dataclass(frozen=True, slots=True)
class Grid:
    """What to train: every dataset with every model under every combination of settings."""

    datasets: tuple[str, ...]  # references, "trash" or "trash@2"
    models: tuple[str, ...] = (DEFAULT_MODEL,)  # head specifications
    settings: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # values by setting, or by "model.setting"
    extractors: tuple[str, ...] = ()  # specifications; the project's own where empty
    priorities: Mapping[str, int] = field(default_factory=dict)  # by model; higher trains first
    seed: int = 0


def parse_settings(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The values of ``--set NAME=VALUE[,VALUE...]`` options.

    >>> parse_settings(["lambda=loo,0.1,1", "logistic.epochs=50"])
    {'lambda': ['loo', 0.1, 1], 'logistic.epochs': [50]}

    Raises:
        UsageError: a text has no name or no value.
    """
    settings: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not (name.strip() and equals and values.strip()):
            raise UsageError(f"--set {text!r} sets nothing; wanted is NAME=VALUE or NAME=VALUE,VALUE,...")
        settings.setdefault(name.strip(), []).extend(_value(value.strip()) for value in values.split(","))
    return settings


def grid_of(settings: Settings) -> Grid | None:
    """The grid in pellucid.toml's [train], or None where there is none.

    Raises:
        ConfigError: a key is unknown or a value of the wrong type.
    """
    table = settings.train
    if not table:
        return None
    for key, value in table.items():
        if key not in _KEYS:
            raise ConfigError(f"[train] has an unknown key '{key}'; known are: {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
            raise ConfigError(f"[train] {key} is {value!r}; wanted is a {_KEYS[key].__name__}")
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            raise ConfigError(f"[train] {key} is {value!r}; wanted is a list of texts")
    for model, priority in table.get("priorities", {}).items():
        if not isinstance(priority, int) or isinstance(priority, bool):
            raise ConfigError(f"[train] priorities has {model} = {priority!r}; wanted is a whole number")
    values = {key: value if isinstance(value, list) else [value] for key, value in table.get("settings", {}).items()}
    return Grid(
        datasets=tuple(table.get("datasets", ())),
        models=tuple(table.get("models", (DEFAULT_MODEL,))),
        settings=values,
        extractors=tuple(table.get("extractors", ())),
        priorities=dict(table.get("priorities", {})),
        seed=int(table.get("seed", settings.seed)),
    )


def expand(workspace: Workspace, grid: Grid) -> list[JobSpec]:
    """The jobs of the grid; a setting counts for the models that have it.

    Raises:
        UsageError: a model is unknown, a setting fits no model, or its value cannot be used.
        NotFoundError: a dataset or version does not exist.
    """
    if not grid.datasets:
        raise UsageError(
            "no dataset to train on was named; name one with --dataset NAME, or in pellucid.toml's [train]"
        )
    for name, values in {**grid.settings, "models": grid.models}.items():
        if not values:
            raise UsageError(f"{name} has no value, so there is nothing to train; give at least one, or leave it out")
    accepted = {model: head_settings(model) for model in grid.models}
    code = {model: source_digest(model) for model in accepted}
    axes = {model: _axes(grid, model, accepted[model]) for model in accepted}
    _check_settings(grid, accepted, axes)
    with workspace.database.read() as connection:
        versions = [get_version(connection, ref) for ref in dict.fromkeys(grid.datasets)]
    extractors = [workspace.extractor(spec) for spec in grid.extractors or (None,)]
    specs = []
    for version, extractor, model in itertools.product(versions, extractors, dict.fromkeys(grid.models)):
        for settings in _combinations(axes[model]):
            build_head(model, settings, seed=grid.seed)
            specs.append(
                JobSpec(
                    dataset=version.dataset,
                    number=version.number,
                    content_id=version.content_id,
                    model=model,
                    extractor=extractor.spec,
                    fingerprint=extractor.fingerprint,
                    settings=settings,
                    seed=grid.seed,
                    code=code[model],
                    priority=grid.priorities.get(model, 0),
                )
            )
    return specs


def submit(workspace: Workspace, grid: Grid, *, again: bool = True) -> list[Job]:
    """Puts the grid's jobs into the queue; combinations that are done already are not done again.

    Args:
        again: whether what failed or was cancelled is tried once more.
    """
    specs = expand(workspace, grid)
    with workspace.database.write() as connection:
        return enqueue(workspace.database, connection, specs, again=again)


Axes = Mapping[str, tuple[str, Sequence[Any]]]  # a model's setting -> its name in the grid, and the values


def _axes(grid: Grid, model: str, accepted: Mapping[str, Any]) -> Axes:
    """The grid's settings that count for the model; one for this model alone goes before one for all."""
    own = f"{model}."
    shared = {name: (name, values) for name, values in grid.settings.items() if name in accepted}
    special = {
        name.removeprefix(own): (name, values)
        for name, values in grid.settings.items()
        if name.startswith(own) and name.removeprefix(own) in accepted
    }
    return shared | special


def _check_settings(grid: Grid, accepted: Mapping[str, Mapping[str, Any]], axes: Mapping[str, Axes]) -> None:
    special = {name for own in axes.values() for name, _ in own.values()}
    for name in grid.settings:
        if name not in special and not any(name in own for own in accepted.values()):
            owners = [model for model in accepted if name.startswith(f"{model}.")] or list(accepted)
            have = "; ".join(f"{owner} has {', '.join(accepted[owner]) or 'none'}" for owner in owners)
            raise UsageError(f"no model of this grid has the setting {name!r}: {have}")


def _combinations(axes: Axes) -> list[dict[str, Any]]:
    combinations = itertools.product(*(values for _, values in axes.values()))
    return [dict(sorted(zip(axes, values, strict=True))) for values in combinations]


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        number = json.loads(text)
    except ValueError:
        return text
    return number if isinstance(number, int | float) else text
