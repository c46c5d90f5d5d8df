"""The contract that every head fulfils, the visible registry, and the files that a head is stored as.

A head turns feature vectors into class probabilities. It is named by a *specification*: a name of the
registry (``ridge``), a name with an argument (``sklearn:sklearn.naive_bayes.GaussianNB``), or any importable
class that fulfils the contract (``my_package.heads:MyHead``). A package adds names by entry points of the
group ``pellucid.heads``, each ``name = "package.module:Class"``.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import ConfigError, IntegrityError, UsageError, VersionError
from pellucid.heads.statistic import strength

# The number of the format that save_head writes. To change the format:
#
# 1. raise PROTOCOL by one, once per release, and say in CHANGELOG.md what changed;
# 2. keep reading every older number: turn its content into today's in load_head, before from_arrays sees it,
#    and never check older content less strictly than today's (a forger chooses the number);
# 3. keep a folder written by the old protocol under tests/heads/protocols/ and a test that loads it.
#
# A head that changes its own arrays or meta writes a version into its meta and follows the same three steps.
PROTOCOL = 1

ARRAYS_FILE = "head.safetensors"
CONTENT_FILE = "head.json"

# Every built-in head, as "module:Class" so that none is imported before it is asked for.
HEADS: Mapping[str, str] = MappingProxyType(
    {
        "hedge": "pellucid.heads.hedge:HedgeClassifier",
        "kernel": "pellucid.heads.kernel:KernelClassifier",
        "logistic": "pellucid.heads.logistic:LogisticClassifier",
        "network": "pellucid.heads.network:NetworkClassifier",
        "ridge": "pellucid.heads.ridge:RidgeClassifier",
        "slda": "pellucid.heads.slda:StreamingLDA",
        "sklearn": "pellucid.heads.sklearn_head:SklearnHead",
    }
)
ENTRY_POINT_GROUP = "pellucid.heads"

_SEED_NAMES = ("random_state", "seed")  # keywords that receive the seed and are no setting of the user's
_USER_NAMES = MappingProxyType({"l2": "lambda"})  # "lambda" cannot be a keyword in Python


class Head(Protocol):
    """What every head can do; ``tests/contracts/test_heads.py`` is the contract in full.

    A head trained in epochs takes ``on_epoch: Callable[[int, Head], None] | None = None`` in ``fit`` and
    calls it after each; one that holds rows out to judge itself may take ``groups: ArrayLike | None = None``,
    names of what has to be held out together; one that knows better than to weigh a doubtful label by its trust may
    take ``strength: ArrayLike | None = None``, see `learn_trusting`. A class may have
    ``check_settings(self) -> None``, which raises UsageError where a keyword of its constructor has a value that
    cannot be used. Keywords of the constructor are the head's settings; each needs a default, and one named ``seed``
    or ``random_state`` receives the seed. ``needs: ClassVar[str]`` names a package that only learning imports, see
    `lacking`.
    """

    classes_: NDArray[Any]  # (K,) sorted; the classes of the rows of positive weight

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn features X (n, d) under labels y (n,); a row of weight 0 counts for nothing.

        Raises DataError for fewer than two classes, for NaN or infinity, and for lengths that do not agree.
        """
        ...

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Probabilities (n, K) in the order of ``classes_``; rows sum to 1."""
        ...

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """All that ``from_arrays`` needs: arrays for safetensors, and the rest as plain JSON."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """The fitted head again; raises IntegrityError before it constructs anything from unsound content."""
        ...


def available_heads() -> dict[str, str]:
    """Names and classes of every registered head, built in or from an entry point.

    Raises ConfigError where a name is registered a second time; whoever only builds a head gets the built-in one.

    >>> available_heads()["ridge"]
    'pellucid.heads.ridge:RidgeClassifier'
    """
    found = dict(HEADS)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name in found:
            raise ConfigError(
                f"head {point.name!r} is registered twice, as {found[point.name]} and as {point.value}; "
                "rename the entry point of one, or uninstall its package"
            )
        found[point.name] = point.value
    return found


def head_settings(spec: str) -> dict[str, Any]:
    """The settings that a head accepts, by the user's names, with their defaults.

    Raises UsageError where nothing answers to ``spec``.

    >>> head_settings("ridge")
    {'lambda': 'loo'}
    """
    head_class, arguments = _resolve(spec)
    keywords = _keywords(head_class, arguments)
    return {_USER_NAMES.get(name, name): keywords[name] for name in keywords if name not in _SEED_NAMES}


def lacking(spec: str) -> str:
    """Why a head cannot be trained here, and how to mend it; empty where it can.

    A class names in ``needs`` the package that it imports only while it learns; the extra has the same name.

    Raises UsageError where nothing answers to ``spec``.

    >>> lacking("ridge")
    ''
    """
    needs = getattr(_resolve(spec)[0], "needs", "")
    if not needs or importlib.util.find_spec(needs) is not None:
        return ""
    return f"needs the extra {needs!r}: pip install 'pellucid[{needs}]'"


def build_head(spec: str, settings: Mapping[str, Any], *, seed: int) -> Head:
    """A head that is ready to fit.

    Raises UsageError for an unknown specification or setting, naming what is accepted, and for a bad value.

    >>> build_head("ridge", {"lambda": 0.1}, seed=0)
    RidgeClassifier(l2=0.1)
    """
    head_class, arguments = _resolve(spec)
    accepted = _keywords(head_class, arguments)
    by_user_name = {_USER_NAMES.get(name, name): name for name in accepted if name not in _SEED_NAMES}
    unknown = sorted(set(settings) - set(by_user_name))
    if unknown:
        wanted = ", ".join(sorted(by_user_name)) or "no settings at all"
        raise UsageError(f"head {spec!r} has no setting {', '.join(unknown)}; it accepts {wanted}")
    keywords = {by_user_name[name]: value for name, value in settings.items()}
    keywords.update({name: seed for name in _SEED_NAMES if name in accepted})
    head = head_class(*arguments, **keywords)
    if hasattr(head, "check_settings"):
        head.check_settings()
    return cast(Head, head)


def source_digest(spec: str) -> str:
    """The sha256 of the file that a class of one's own is written in; empty for what a package registers.

    >>> source_digest("ridge")
    ''
    """
    if _registered(spec.partition(":")[0]):
        return ""
    try:
        file = inspect.getsourcefile(_import_head(spec))
        return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
    except (OSError, TypeError):
        return ""


def iterates(head: Head) -> bool:
    """Whether the head learns in epochs, so that ``fit`` takes ``on_epoch``.

    >>> iterates(build_head("logistic", {}, seed=0)), iterates(build_head("ridge", {}, seed=0))
    (True, False)
    """
    return _takes(head, "on_epoch")


def takes_groups(head: Head) -> bool:
    """Whether ``fit`` takes ``groups``: near-copies to be left out together where the head judges itself.

    >>> takes_groups(build_head("ridge", {}, seed=0)), takes_groups(build_head("logistic", {}, seed=0))
    (True, False)
    """
    return _takes(head, "groups")


def learn_trusting(
    head: Head,
    X: NDArray[np.floating[Any]],
    y: NDArray[np.intp],
    trust: NDArray[np.float64],
    **more: Any,
) -> Head:
    """Fit the head on labels y (n,) that are right with the probability ``trust`` (n,), 0..1.

    A head whose ``fit`` takes ``strength`` gets what `pellucid.heads.statistic.strength` makes of it, and any other
    one the trust as weight. Trust of 0 leaves a row out. ``more`` goes to ``fit`` as it is.

    >>> head = learn_trusting(build_head("ridge", {}, seed=0), np.eye(4), np.array([0, 0, 1, 1]), np.ones(4))
    >>> head.predict_proba(np.eye(4)).argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """
    if not _takes(head, "strength"):
        return head.fit(X, y, sample_weight=trust, **more)
    learnt = trust > 0
    more["strength"] = strength(trust, max(2, len(np.unique(y[learnt]))))  # of one class the head itself complains
    return head.fit(X, y, sample_weight=learnt.astype(np.float64), **more)


def _takes(head: Head, name: str) -> bool:
    return name in inspect.signature(head.fit).parameters


def save_head(head: Head, folder: Path) -> dict[str, str]:
    """Write a fitted head into ``folder``; returns the sha256 of each file by its name.

    Nothing is pickled: arrays go to safetensors, all else to JSON with the number of the protocol.
    """
    from safetensors.numpy import save

    arrays, meta = head.to_arrays()
    path = f"{type(head).__module__}:{type(head).__qualname__}"
    built_in = next((name for name, known in HEADS.items() if known == path), None)
    name = built_in or next((name for name, known in available_heads().items() if known == path), path)
    content = {"protocol": PROTOCOL, "head": name, "meta": meta}
    files = {
        ARRAYS_FILE: save({name: np.ascontiguousarray(array) for name, array in arrays.items()}),
        CONTENT_FILE: json.dumps(content, indent=2, sort_keys=True, allow_nan=False).encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in files.items():
        (folder / file).write_bytes(data)
    return {file: hashlib.sha256(data).hexdigest() for file, data in files.items()}


def load_head(folder: Path, digests: Mapping[str, str], *, trusted: bool = False) -> Head:
    """The head that ``save_head`` wrote, once its digests, its format and its shapes have been checked.

    A class that is not registered is imported only where the caller knows the folder to be ``trusted``: importing
    runs its code.

    Raises IntegrityError for content that is missing, damaged or edited, VersionError for a newer protocol, and
    UsageError for a class that is neither registered nor trusted.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    data = {file: _checked_bytes(folder / file, digests.get(file)) for file in (ARRAYS_FILE, CONTENT_FILE)}
    try:
        content = json.loads(data[CONTENT_FILE])
        arrays = load(data[ARRAYS_FILE])
    except (ValueError, KeyError, SafetensorError) as error:
        raise IntegrityError(f"the head in {folder} cannot be read ({error}); restore or train it again") from error
    protocol = content.get("protocol") if isinstance(content, dict) else None
    if isinstance(protocol, int) and protocol > PROTOCOL:
        raise VersionError(
            f"the head in {folder} has protocol {protocol}, this Pellucid reads up to {PROTOCOL}; upgrade Pellucid"
        )
    wanted = {"protocol": int, "head": str, "meta": dict}
    if protocol != PROTOCOL or {key: type(value) for key, value in content.items()} != wanted:
        raise IntegrityError(f"{folder / CONTENT_FILE} needs exactly a protocol of 1 or more, a head and its meta")
    known = _registered(content["head"])
    if known is None and not trusted:
        raise UsageError(
            f"the head in {folder} is of the class {content['head']!r}, which is not registered; if you trust it, "
            f"offer it as an entry point of {ENTRY_POINT_GROUP!r}, or load the model from its project"
        )
    head_class = _import_head(known or content["head"])
    return cast(Head, head_class.from_arrays(arrays, content["meta"]))


def _checked_bytes(file: Path, digest: str | None) -> bytes:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{file} cannot be read ({error.strerror}); restore it or train again") from error
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise IntegrityError(
            f"{file} has sha256 {found[:12]}..., recorded is {(digest or 'none')[:12]}: damaged or edited; "
            "restore it or train again"
        )
    return data


def _registered(name: str) -> str | None:
    """The class of a registered head. All installed packages are asked only for what is not built in: that is slow."""
    return HEADS.get(name) or available_heads().get(name)


def _resolve(spec: str) -> tuple[type[Any], tuple[str, ...]]:
    """The class behind a specification, and what its constructor takes before the settings."""
    name, colon, argument = spec.partition(":")
    registered = _registered(name)
    if registered is None:
        return _import_head(spec), ()
    head_class = _import_head(registered)
    takes_argument = hasattr(head_class, "settings")
    if takes_argument != bool(argument) or (colon and not argument):
        form = f"{name}:IMPORT.PATH" if takes_argument else name
        raise UsageError(f"head {spec!r} should read {form!r}")
    return head_class, (argument,) if argument else ()


def _import_head(path: str) -> type[Any]:
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise UsageError(
            f"no head {path!r} ({error}); there are {', '.join(sorted(available_heads()))}, "
            "and your own class as package.module:Class"
        ) from error
    missing = [method for method in _METHODS if not callable(getattr(found, method, None))]
    if not isinstance(found, type) or missing:
        raise UsageError(f"{path!r} is no head: it lacks {', '.join(missing)}; see pellucid.heads.head.Head")
    return found


_METHODS = ("fit", "predict_proba", "to_arrays", "from_arrays")


def _keywords(head_class: type[Any], arguments: tuple[str, ...]) -> dict[str, Any]:
    """Keywords of the constructor with their defaults; a class that takes an argument says them itself."""
    if arguments:
        return dict(head_class.settings(*arguments))
    parameters = inspect.signature(head_class).parameters.values()
    return {p.name: p.default for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
