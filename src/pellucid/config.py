"""One frozen Settings, read once and passed down: pellucid.toml < environment (``PELLUCID_...``) < flags."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pellucid.errors import ConfigError, NotFoundError

CONFIG_NAME = "pellucid.toml"
STATE_NAME = ".pellucid"
ENV_PREFIX = "PELLUCID_"

_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@\s]*(?=@)")


def _setting(default: Any, help: str, *, low: float | None = None, high: float | None = None) -> Any:
    metadata = {"help": help, "low": low, "high": high}
    if isinstance(default, (dict, list, Mapping)):
        return field(default_factory=lambda: MappingProxyType(dict(default)), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of a project; locations are URLs or paths relative to the project's folder.

    >>> Settings().test_fraction
    0.2
    """

    database_url: str = _setting(
        f"sqlite:///{STATE_NAME}/pellucid.db", "where the records live: SQLite, or postgresql+psycopg://..."
    )
    blob_url: str = _setting(
        f"{STATE_NAME}/blobs", "where images, manifests and weights live: a folder, or s3://bucket/prefix"
    )
    artifact_url: str = _setting(
        f"{STATE_NAME}/artifacts", "where models and reports live: a folder, or s3://bucket/prefix"
    )
    mlflow_url: str = _setting(
        f"sqlite:///{STATE_NAME}/mlflow.db", "MLflow's tracking and registry: a database URL or a server's"
    )
    cache_dir: str = _setting(f"{STATE_NAME}/cache", "a local folder for feature vectors; safe to delete")
    report_dir: str = _setting("reports", "a local folder for the reports that people open")
    extractor: str = _setting("classical", "what turns images into vectors: classical, onnx:PATH or timm:NAME")
    threads: int = _setting(0, "threads that read, decode and embed; 0 takes every usable core", low=0)
    seed: int = _setting(0, "decides splits and every random choice of training", low=0)
    test_fraction: float = _setting(0.2, "share of images kept for testing where no split is given", low=0, high=0.9)
    trusted_fraction: float = _setting(0.0, "share set aside as trusted samples", low=0, high=0.9)
    max_image_bytes: int = _setting(64 * 2**20, "a larger image file is set aside, unread", low=1)
    max_image_pixels: int = _setting(64_000_000, "an image of more pixels is set aside, undecoded", low=1)
    lease_seconds: float = _setting(60.0, "a worker silent for so long has lost its job to the others", low=0.1)
    poll_seconds: float = _setting(2.0, "how often a waiting worker looks for work", low=0.01)
    train: Mapping[str, Any] = _setting(
        {},
        "the grid that `pellucid train` and `pellucid worker --watch` run: datasets, models, settings, ...",
    )
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    def describe(self) -> list[dict[str, Any]]:
        """Each setting with its value, passwords hidden, and where it came from."""
        return [
            {
                "setting": item.name,
                "value": hide_secrets(_plain(getattr(self, item.name))),
                "origin": self.origins.get(item.name, "default"),
            }
            for item in setting_fields()
        ]


def setting_fields() -> tuple[Field[Any], ...]:
    """The dataclass fields that are settings, in the order people see them."""
    return tuple(item for item in fields(Settings) if "help" in item.metadata)


def hide_secrets(value: Any) -> Any:
    """The value with the password of any URL in it replaced by ``***``.

    >>> hide_secrets("postgresql://ann:hunter2@db/pellucid")
    'postgresql://ann:***@db/pellucid'
    """
    return _PASSWORD.sub(r"\1:***", value) if isinstance(value, str) else value


def find_root(start: Path) -> Path:
    """The nearest folder at or above ``start`` that holds a pellucid.toml.

    Raises:
        NotFoundError: there is none; the message says how to make one.
    """
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder
    raise NotFoundError(
        f"no {CONFIG_NAME} in {here} or any folder above it; run `pellucid init` here, or name a project with --project"
    )


def load_settings(
    root: Path, *, environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
) -> Settings:
    """Reads the settings of the project at ``root``; later sources win: file, environment, flags.

    Args:
        root: the folder that holds pellucid.toml.
        environ: environment variables; ``os.environ`` where None.
        flags: settings given on the command line; None values count as not given.

    Raises:
        ConfigError: the file is no TOML, or a key is unknown, or a value has the wrong type or range.
    """
    environ = os.environ if environ is None else environ
    known = {item.name: item for item in setting_fields()}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, value in _read_file(root / CONFIG_NAME).items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(known)}"
            raise ConfigError(f"{root / CONFIG_NAME}: unknown setting '{name}'; {hint}")
        values[name] = _checked(known[name], value, origin := str(root / CONFIG_NAME))
        origins[name] = origin
    for name, item in known.items():
        variable = ENV_PREFIX + name.upper()
        if variable in environ:
            values[name] = _checked(item, _parse(item, environ[variable], variable), variable)
            origins[name] = variable
    for name, value in (flags or {}).items():
        if value is not None:
            values[name] = _checked(known[name], value, flag := f"-c {name}")
            origins[name] = flag
    return Settings(**values, origins=MappingProxyType(origins))


def parse_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """The settings of ``NAME=VALUE`` texts, values as in the environment.

    >>> parse_overrides(["threads=1", "extractor=classical"])
    {'threads': 1, 'extractor': 'classical'}

    Raises:
        ConfigError: a text names no setting, or its value cannot be read.
    """
    known = {item.name: item for item in setting_fields()}
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise ConfigError(f"{text!r} overrides no setting; wanted is NAME=VALUE with one of: {', '.join(known)}")
        found[name] = _parse(known[name], value, f"-c {name}")
    return found


def config_template() -> str:
    """The commented pellucid.toml that ``pellucid init`` writes: every setting, its default and its meaning."""
    lines = [
        "# A Pellucid project. Every setting stands here with its default; remove the '#' to change one.",
        "# The environment (PELLUCID_DATABASE_URL, ...) overrides this file, and flags override both.",
        "# Put no password here: give such a URL as PELLUCID_DATABASE_URL.",
        "",
    ]
    for item in setting_fields():
        if item.name != "train":
            lines += [f"# {item.metadata['help']}", f"# {item.name} = {_toml(item.default)}", ""]
    lines += [
        "# What `pellucid train` runs when no flags are given, and `pellucid worker --watch` runs on every new",
        "# version: each data set x each model x each setting. A model may carry a priority: higher trains first.",
        "# [train]",
        '# datasets = ["NAME"]',
        '# models = ["ridge", "logistic"]',
        "# priorities = { ridge = 10 }",
        '# settings = { lambda = ["loo", 0.1, 1.0] }',
        "",
    ]
    return "\n".join(lines)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"{path} does not exist; run `pellucid init` to make a project") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML file: {error}; mend that line") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; check its permissions") from None


def _kind(item: Field[Any]) -> type:
    default = item.default if item.default is not MISSING else {}
    return dict if isinstance(default, dict) else type(default)


def _parse(item: Field[Any], text: str, origin: str) -> Any:
    kind = _kind(item)
    if kind is str:
        return text
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        raise ConfigError(f"{origin} is {text!r}; wanted is {_wanted(item)}, as in pellucid.toml") from None


def _checked(item: Field[Any], value: Any, origin: str) -> Any:
    kind = _kind(item)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ConfigError(f"{origin}: {item.name} is {value!r}; wanted is {_wanted(item)}")
    low, high = item.metadata["low"], item.metadata["high"]
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise ConfigError(f"{origin}: {item.name} is {value!r}; wanted is {_wanted(item)}")
    return MappingProxyType(value) if isinstance(value, dict) else value


def _wanted(item: Field[Any]) -> str:
    names = {str: "a text", int: "a whole number", float: "a number", dict: "a table"}
    low, high = item.metadata["low"], item.metadata["high"]
    bounds = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
    return " ".join([names[_kind(item)], " and ".join(bounds)]).strip()


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
