"""One frozen Settings, read once and passed down: pellucid.toml < environment (``PELLUCID_...``) < flags."""

from __future__ import annotations

import difflib
import math
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

_NO_SETTINGS = frozenset({"PELLUCID_DEBUG", "PELLUCID_DATA"})  # variables of that prefix with another purpose
_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^\s'\"]*(?=@)")  # up to the last "@": an unescaped one is no end
_SERVERS = ("http://", "https://")
_TOKEN = re.compile(r"(?<=://)[^:/@\s'\"]+(?=@)")  # of a server: a user name without a password is one
_SECRET = re.compile(
    r"(?<=[?&;])([^=&;?\s]*(?:password|secret|token|key|signature)[^=&;?\s]*=)[^&;#\s'\"]*", re.IGNORECASE
)


def _setting(default: Any, help: str, *, low: float | None = None, high: float | None = None) -> Any:
    metadata = {"help": help, "low": low, "high": high}
    if isinstance(default, (dict, list, Mapping)):
        return field(default_factory=lambda: MappingProxyType(dict(default)), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, repr=False)
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
    stream_url: str = _setting(
        "embedded", "what carries events: embedded, in the database, or kafka://HOST:PORT[,HOST:PORT...]"
    )
    cache_dir: str = _setting(f"{STATE_NAME}/cache", "a local folder for feature vectors; safe to delete")
    report_dir: str = _setting("reports", "a local folder for the reports that people open")
    extractor: str = _setting(
        "classical", "what turns images into vectors: classical, onnx:PATH, openvino:PATH, timm:NAME or views:NAME:SPEC"
    )
    threads: int = _setting(0, "threads that read, decode and embed; 0 takes every usable core", low=0)
    seed: int = _setting(0, "decides splits and every random choice of training", low=0, high=2**32 - 1)
    test_fraction: float = _setting(0.2, "share of images kept for testing where no split is given", low=0, high=0.9)
    trusted_fraction: float = _setting(0.0, "share set aside as trusted samples", low=0, high=0.9)
    max_image_bytes: int = _setting(64 * 2**20, "a larger image file is set aside, unread", low=1)
    max_image_pixels: int = _setting(64_000_000, "an image of more pixels is set aside, undecoded", low=1)
    lease_seconds: float = _setting(
        60.0, "a worker silent for so long has lost its job to the others", low=0.1, high=86_400
    )
    poll_seconds: float = _setting(2.0, "how often a waiting worker looks for work", low=0.01, high=86_400)
    keep_days: float = _setting(
        0.0, "days after which answers that no vote names are forgotten; 0 keeps them for ever", low=0, high=36_500
    )
    new_classes: int = _setting(
        10, "new classes that users may name, those of one token together, until another model is champion", low=0
    )
    train: Mapping[str, Any] = _setting(
        {},
        "the grid that `pellucid train` and `pellucid worker --watch` run: datasets, models, settings, ...",
    )
    retrain: Mapping[str, Any] = _setting(
        {},
        "when `pellucid worker --watch` retrains, what it trains, whether it promotes: dataset, votes, schedule, ...",
    )
    gate: Mapping[str, Any] = _setting(
        {},
        "what a candidate has to hold against the champion before it is promoted: margin, fall, floors",
    )
    drift: Mapping[str, Any] = _setting(
        {},
        "a detector that follows the champion's confidence, answer by answer: stream, settings",
    )
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __repr__(self) -> str:
        """Every setting, passwords hidden: settings end up in logs and tracebacks."""
        shown = ", ".join(f"{row['setting']}={row['value']!r}" for row in self.describe())
        return f"Settings({shown})"

    def describe(self) -> list[dict[str, Any]]:
        """Each setting with its value, passwords hidden, and where it came from."""
        return [
            {
                "setting": item.name,
                "value": hide_secrets(getattr(self, item.name)),
                "origin": self.origins.get(item.name, "default"),
            }
            for item in setting_fields()
        ]


def setting_fields() -> tuple[Field[Any], ...]:
    """The dataclass fields that are settings, in the order people see them."""
    return tuple(item for item in fields(Settings) if "help" in item.metadata)


def hide_secrets(value: Any) -> Any:
    """The value with the password of any URL in it replaced by ``***``, in tables and lists too.

    >>> hide_secrets("postgresql://ann:hunter2@db/pellucid")
    'postgresql://ann:***@db/pellucid'
    >>> hide_secrets({"url": "postgresql://db/pellucid?user=ann&password=hunter2"})
    {'url': 'postgresql://db/pellucid?user=ann&password=***'}
    >>> hide_secrets("https://ghp_abc@git.example.org/mlflow")
    'https://***@git.example.org/mlflow'
    """
    if isinstance(value, str):
        shown = _SECRET.sub(r"\1***", _PASSWORD.sub(r"\1:***", value))
        return _TOKEN.sub("***", shown) if shown.startswith(_SERVERS) else shown
    if isinstance(value, Mapping):
        return {key: hide_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [hide_secrets(item) for item in value]
    return value


def find_root(start: Path) -> Path:
    """The nearest folder at or above ``start`` that holds a pellucid.toml.

    Raises:
        NotFoundError: there is none, or ``start`` does not exist; the message says how to make one.
    """
    here = start.resolve()
    if not here.is_dir():
        raise NotFoundError(f"{here} is no folder; name a project's folder, or make one with `pellucid init {start}`")
    for folder in (here, *here.parents):
        if os.path.isfile(folder / CONFIG_NAME):  # noqa: PTH113 - an unreadable folder above is no error
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
    file = str(root / CONFIG_NAME)
    variables = {ENV_PREFIX + name.upper(): name for name in known}
    for name in environ:
        if name.startswith(ENV_PREFIX) and name not in variables and name not in _NO_SETTINGS:
            near = difflib.get_close_matches(name, variables, n=1, cutoff=0.85)
            if near:  # any other variable may be for another program
                raise ConfigError(f"the environment's {name} is no setting; did you mean {near[0]}?")
    given: list[tuple[str, str, Any]] = [(name, file, value) for name, value in _read_file(root / CONFIG_NAME).items()]
    given += [
        (name, variable, _parse(known[name], environ[variable], variable))
        for variable, name in variables.items()
        if variable in environ
    ]
    given += [(name, f"-c {name}", value) for name, value in (flags or {}).items() if value is not None]
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, origin, value in given:
        values[name] = _checked(_known(name, known, origin), value, origin)
        origins[name] = origin
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
        name = name.strip()
        if not equals:
            raise ConfigError(f"-c {hide_secrets(text)!r} has no '='; wanted is NAME=VALUE, such as threads=1")
        found[name] = _parse(_known(name, known, "-c"), value, f"-c {name}")
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
        if item.default is not MISSING:
            lines += [f"# {item.metadata['help']}", f"# {item.name} = {_toml(item.default)}", ""]
    lines += [
        "# What `pellucid train` runs when no flags are given, and `pellucid worker --watch` runs on every new",
        "# version: each data set x each model x each setting. A model may carry a priority: higher trains first.",
        "# [train]",
        '# datasets = ["NAME"]',
        '# models = ["kernel", "ridge"]',
        "# priorities = { kernel = 10 }",
        '# settings = { lambda = ["loo", 0.1, 1.0] }',
        "",
        "# When `pellucid worker --watch` retrains by itself. Each condition fires once, however many workers look;",
        "# where nothing new was said, nothing is trained.",
        "# [retrain]",
        '# dataset = "NAME"',
        "# votes = 100  # so many new votes since the last retraining",
        '# schedule = "0 3 * * *"  # cron, UTC: minute, hour, day of the month, month, day of the week',
        "# accuracy_fall = 5  # points by which the votes on recent answers lie below the champion's test accuracy",
        "# drift = true  # an alarm of the drift detectors",
        '# models = ["kernel"]',
        '# settings = { lambda = ["loo", 1.0] }',
        "# clean = true  # audit the labels first",
        "# replay = 0.2  # also train each model on the new images and this share of the old ones, the closest pairs",
        '# promote = "never"  # or "gate": a candidate that passes the gate becomes champion',
        "",
        "# What the gate asks of a candidate, on the half of the trusted images that is the gate's.",
        "# [gate]",
        "# margin = 0.05  # by how much less accurate it may at most be, with the whole 95 % interval",
        "# fall = 0.1  # by how much a class's recall may fall",
        '# floors = { "*" = 0.5, NAME = 0.8 }  # least recall of a class; "*" stands for all others',
        "",
        "# A detector that follows the confidence of the newest answers in their order, for `pellucid drift`, and for",
        "# [retrain] drift.",
        "# [drift]",
        '# stream = "page-hinkley"  # or "river:ADWIN", "river:KSWIN", ..., with the extra drift',
        "# settings = { threshold = 10.0 }",
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


def _known(name: str, known: Mapping[str, Field[Any]], origin: str) -> Field[Any]:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(known)}"
        raise ConfigError(f"{origin}: unknown setting '{name}'; {hint}")
    return known[name]


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
        shown = hide_secrets(text)
        raise ConfigError(f"{origin} is {shown!r}; wanted is {_wanted(item)}, as in {CONFIG_NAME}") from None


def _checked(item: Field[Any], value: Any, origin: str) -> Any:
    kind = _kind(item)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    low, high = item.metadata["low"], item.metadata["high"]
    if (
        not isinstance(value, kind)
        or isinstance(value, bool)
        or (isinstance(value, str) and (not value.strip() or "\0" in value))
        or (isinstance(value, float) and not math.isfinite(value))
        or (low is not None and value < low)
        or (high is not None and value > high)
    ):
        raise ConfigError(f"{origin}: {item.name} is {hide_secrets(value)!r}; wanted is {_wanted(item)}")
    return MappingProxyType(value) if isinstance(value, dict) else value


def _wanted(item: Field[Any]) -> str:
    names = {str: "a text that is not empty", int: "a whole number", float: "a number", dict: "a table"}
    low, high = item.metadata["low"], item.metadata["high"]
    bounds = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
    return " ".join([names[_kind(item)], " and ".join(bounds)]).strip()


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
