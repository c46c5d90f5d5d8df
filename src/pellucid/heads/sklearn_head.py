"""Any scikit-learn classifier as a head, by its import path: ``sklearn:sklearn.svm.LinearSVC``."""

from __future__ import annotations

import importlib
import inspect
import zipfile
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import skops.io
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone, is_classifier
from sklearn.model_selection import StratifiedKFold
from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

from pellucid.errors import IntegrityError, TrainingError, UsageError
from pellucid.heads import stored
from pellucid.heads.inputs import HeadInputError, LearningSet, learning_set, query_rows
from pellucid.heads.temperature import fit_temperature, probabilities

FOLDS = 5  # of the cross-validation that gives a classifier without probabilities its temperature


class SklearnHead:
    """A classifier that follows scikit-learn's conventions, named by its import path.

    One with ``predict_proba`` is asked for its own probabilities. One with ``decision_function`` only, such
    as ``sklearn.svm.LinearSVC``, gets softmax(scores / T), with T from the scores of a stratified
    cross-validation, and so is fitted up to six times. The classifier is stored by skops, which pickles
    nothing.

    Parameters
    ----------
    import_path
        ``package.module.Class``; it has to be importable wherever the model is loaded.
    params
        The classifier's own parameters, as keywords; ``random_state``, where it has one, is Pellucid's seed.

    Attributes
    ----------
    classes_ : (K,) the classes of the rows of positive weight, sorted
    classifier_ : the fitted classifier; it learns the indices 0..K-1 of ``classes_``
    temperature_ : T where the classifier has scores only, else None

    >>> head = SklearnHead("sklearn.naive_bayes.GaussianNB").fit([[0.0], [0.1], [0.9], [1.0]], [3, 3, 7, 7])
    >>> head.predict_proba([[0.95]]).round(6)
    array([[0., 1.]])
    """

    def __init__(self, import_path: str, **params: Any) -> None:
        self.import_path = import_path
        self.params = params

    @classmethod
    def settings(cls, import_path: str) -> dict[str, Any]:
        """The classifier's parameters with their defaults. Raises UsageError for what is no classifier."""
        return dict(_construct(import_path, {}).get_params(deep=False))

    def check_settings(self) -> None:
        """Raise UsageError where the classifier itself refuses a parameter's value."""
        classifier = _construct(self.import_path, self.params)
        if hasattr(classifier, "_parameter_constraints"):  # what scikit-learn's own classifiers call first in fit
            try:
                classifier._validate_params()
            except ValueError as error:
                raise UsageError(f"sklearn:{self.import_path}: {_one_line(error)}") from error

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn features X (n, d) under labels y (n,); rows of weight 0 are left out.

        Raises DataError for what cannot be learnt, and for weights that differ where the classifier takes
        none.
        """
        classifier = _construct(self.import_path, self.params)
        data = learning_set(classifier, X, y, sample_weight)
        rows = data.weight > 0
        data = LearningSet(data.X[rows], data.y[rows], data.weight[rows], data.strength[rows], data.classes)
        calibrates = not hasattr(classifier, "predict_proba")
        self.temperature_ = self._held_out_temperature(classifier, data) if calibrates else None
        self.classifier_ = _fit(classifier, data)
        self.classes_ = data.classes
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n, K) in the order of ``classes_``; rows sum to 1."""
        rows = query_rows(self.classifier_, X)
        if self.temperature_ is None:
            return np.asarray(self.classifier_.predict_proba(rows), dtype=np.float64)
        return probabilities(_scores(self.classifier_, rows, len(self.classes_)), self.temperature_)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class, (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The classifier's skops archive as bytes. Raises TrainingError where skops cannot store it."""
        try:
            archive = skops.io.dumps(self.classifier_, compression=zipfile.ZIP_DEFLATED)
        except UnsupportedTypeException as error:
            raise TrainingError(f"sklearn:{self.import_path} cannot be stored: {_one_line(error)}") from error
        meta = {
            "classes": stored.pack_classes(self.classes_),
            "import_path": self.import_path,
            "params": self.params,
            "temperature": self.temperature_,
        }
        return {"skops": np.frombuffer(archive, dtype=np.uint8)}, meta

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """The fitted head again.

        The archive is audited first: it may hold what skops itself trusts, classes of scikit-learn, and the
        one class that ``import_path`` names; all else, any function among it, raises IntegrityError.
        """
        stored.expect_names(arrays, {"skops"})
        stored.expect_names(meta, {"classes", "import_path", "params", "temperature"})
        archive, path, params = arrays["skops"], meta["import_path"], meta["params"]
        if archive.dtype != np.uint8 or archive.ndim != 1:
            raise IntegrityError(f"stored skops is {archive.dtype} {archive.shape}, wanted is uint8 (any,)")
        if not isinstance(path, str) or not isinstance(params, dict):
            raise IntegrityError("stored import_path and params are not a string and a mapping")
        head = cls(path, **params)
        head.classes_ = stored.take_classes(meta)
        head.temperature_ = None
        if meta["temperature"] is not None:
            head.temperature_ = stored.take_number(meta, "temperature", above=0)
        head.classifier_ = _load_audited(archive.tobytes(), _import_class(path))
        if list(getattr(head.classifier_, "classes_", [])) != list(range(len(head.classes_))):
            raise IntegrityError(f"stored sklearn:{path} has not learnt the {len(head.classes_)} recorded classes")
        return head

    def _held_out_temperature(self, classifier: Any, data: LearningSet) -> float:
        rarest = int(np.bincount(data.y).min())
        if rarest < 2:
            raise HeadInputError(f"sklearn:{self.import_path} needs 2 rows of each class for its probabilities, got 1")
        folds = StratifiedKFold(min(FOLDS, rarest), shuffle=True, random_state=self.params.get("random_state", 0))
        scores = np.empty((len(data.y), len(data.classes)))
        for seen, held_out in folds.split(data.X, data.y):
            part = LearningSet(data.X[seen], data.y[seen], data.weight[seen], data.strength[seen], data.classes)
            scores[held_out] = _scores(_fit(clone(classifier), part), data.X[held_out], len(data.classes))
        return fit_temperature(scores, data.y, data.weight)


def _import_class(path: str) -> type[Any]:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"no classifier sklearn:{path} ({error}); give its full import path, as in "
            "sklearn:sklearn.ensemble.RandomForestClassifier"
        ) from error
    if not isinstance(found, type):
        raise UsageError(f"sklearn:{path} is no class but a {type(found).__name__}")
    return found


def _construct(path: str, params: Mapping[str, Any]) -> Any:
    found = _import_class(path)
    try:
        classifier = found(**params)
        known = hasattr(classifier, "get_params") and is_classifier(classifier)
    except (TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"sklearn:{path} cannot be constructed: {_one_line(error)}") from error
    if not known or not (hasattr(classifier, "predict_proba") or hasattr(classifier, "decision_function")):
        raise UsageError(f"sklearn:{path} is no scikit-learn classifier with predict_proba or decision_function")
    return classifier


def _fit(classifier: Any, data: LearningSet) -> Any:
    weights = {}
    if (data.weight != 1).any():
        if "sample_weight" not in inspect.signature(classifier.fit).parameters:
            raise HeadInputError(f"{type(classifier).__name__} takes no sample weights other than 0 and 1")
        weights = {"sample_weight": data.weight}
    try:
        return classifier.fit(data.X, data.y, **weights)
    except ValueError as error:
        raise HeadInputError(f"{type(classifier).__name__} cannot learn this: {_one_line(error)}") from error


def _scores(classifier: Any, X: NDArray[np.floating], n_classes: int) -> NDArray[np.float64]:
    scores = np.asarray(classifier.decision_function(X), dtype=np.float64)
    if scores.ndim == 1:
        scores = np.column_stack((-scores, scores)) / 2
    if scores.shape[1] != n_classes:
        raise UsageError(
            f"{type(classifier).__name__} gives {scores.shape[1]} scores for {n_classes} classes; "
            "one for each is wanted"
        )
    return scores


def _load_audited(archive: bytes, wanted: type[Any]) -> Any:
    try:
        untrusted = skops.io.get_untrusted_types(data=archive)
        refused = [name for name in untrusted if not _may_hold(name, wanted)]
        if refused:
            raise IntegrityError(f"the stored classifier holds {', '.join(refused)}, which is not loaded")
        classifier = skops.io.loads(archive, trusted=untrusted)
    except (zipfile.BadZipFile, UntrustedTypesFoundException, ValueError, TypeError, LookupError) as error:
        raise IntegrityError(f"the stored classifier cannot be read: {_one_line(error)}") from error
    if type(classifier) is not wanted:
        raise IntegrityError(f"the stored classifier is a {type(classifier).__name__}, not a {wanted.__name__}")
    return classifier


def _may_hold(name: str, wanted: type[Any]) -> bool:
    """Whether a type unknown to skops may be loaded: the recorded class, or any class of scikit-learn."""
    if name == f"{wanted.__module__}.{wanted.__qualname__}":
        return True
    module, _, attribute = name.rpartition(".")
    if not module.startswith("sklearn."):
        return False
    found = getattr(importlib.import_module(module), attribute, None)
    return isinstance(found, type) and found.__module__.startswith("sklearn.")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
