from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from pellucid.errors import DataError, IntegrityError, UsageError
from pellucid.heads.head import build_head, head_settings, load_head, save_head
from pellucid.heads.sklearn_head import SklearnHead

OWN_CLASSIFIER = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

class Shares(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = counts / counts.sum()
        self.n_features_in_ = X.shape[1]
        return self
    def predict_proba(self, X):
        return np.tile(self.shares_, (len(X), 1))

def no_class(): ...
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The import path of a user's classifier, which takes no weights and which skops has never heard of."""
    (tmp_path / "shares_of_mine.py").write_text(OWN_CLASSIFIER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shares_of_mine", raising=False)
    return "shares_of_mine.Shares"


def test_probabilities_are_those_of_the_classifier() -> None:
    X, y = load_digits(n_class=3, return_X_y=True)
    head = build_head("sklearn:sklearn.linear_model.LogisticRegression", {"C": 0.01}, seed=0).fit(X, y)
    expected = LogisticRegression(C=0.01, random_state=0).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(head.predict_proba(X), expected)


def test_scores_become_calibrated_probabilities() -> None:
    X, y = load_digits(return_X_y=True)
    head = SklearnHead("sklearn.svm.LinearSVC", random_state=0).fit(X[:900], y[:900])
    right = head.predict(X[900:]) == y[900:]
    assert abs(head.predict_proba(X[900:]).max(axis=1).mean() - right.mean()) < 0.05
    peer = LinearSVC(random_state=0).fit(X[:900], y[:900])
    np.testing.assert_array_equal(head.predict(X[900:]), peer.predict(X[900:]))


@pytest.mark.parametrize(
    "path",
    [
        "sklearn.ensemble.RandomForestClassifier",
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.neighbors.KNeighborsClassifier",
        "sklearn.svm.SVC",
    ],
)
def test_well_known_classifiers_come_back(path: str, tmp_path: Path) -> None:
    X, y = load_digits(n_class=3, return_X_y=True)
    head = build_head(f"sklearn:{path}", {}, seed=3).fit(X[:150], y[:150])
    again = load_head(tmp_path, save_head(head, tmp_path))
    np.testing.assert_array_equal(again.predict_proba(X), head.predict_proba(X))


def test_a_class_of_ones_own(own: str, tmp_path: Path) -> None:
    X, y = np.zeros((4, 2)), ["a", "b", "b", "b"]
    head = build_head(f"sklearn:{own}", {}, seed=0).fit(X, y)
    again = load_head(tmp_path / "head", save_head(head, tmp_path / "head"))
    assert again.predict_proba(X[:1]).tolist() == [[0.25, 0.75]]
    head.fit(X, y, [1, 1, 0, 0])  # weights of 0 and 1 need nothing of the classifier
    assert head.predict_proba(X[:1]).tolist() == [[0.5, 0.5]]
    with pytest.raises(DataError, match="takes no sample weights"):
        head.fit(X, y, [1, 1, 0.5, 1])


def test_the_seed_reaches_random_state() -> None:
    assert "random_state" not in head_settings("sklearn:sklearn.svm.LinearSVC")
    head: Any = build_head("sklearn:sklearn.svm.LinearSVC", {}, seed=5)
    assert head.params == {"random_state": 5}


@pytest.mark.parametrize(
    "spec",
    [
        "sklearn",
        "sklearn:",
        "sklearn:nowhere.Nothing",
        "sklearn:sklearn.svm.Nothing",
        "sklearn:LinearSVC",
        "sklearn:sklearn.linear_model.Ridge",  # a regressor
        "sklearn:sklearn.preprocessing.StandardScaler",
        "sklearn:sklearn.multiclass.OneVsRestClassifier",  # needs an estimator
        "sklearn:sklearn.semi_supervised.SelfTrainingClassifier",
        "sklearn:shares_of_mine.no_class",
        "sklearn:json.loads",
    ],
)
def test_what_is_no_classifier(spec: str, own: str) -> None:
    with pytest.raises(UsageError, match="sklearn:"):
        build_head(spec, {}, seed=0)


def test_bad_values_are_refused_before_fit() -> None:
    with pytest.raises(UsageError, match="'C' parameter"):
        build_head("sklearn:sklearn.svm.LinearSVC", {"C": -1}, seed=0)


def test_what_the_classifier_cannot_learn() -> None:
    with pytest.raises(DataError, match="Negative values"):
        SklearnHead("sklearn.naive_bayes.MultinomialNB").fit([[-1.0], [1.0]], [0, 1])
    with pytest.raises(DataError, match="2 rows of each class"):
        SklearnHead("sklearn.svm.LinearSVC").fit([[-1.0], [1.0], [2.0]], [0, 1, 1])
    X, y = load_digits(n_class=4, return_X_y=True)
    with pytest.raises(UsageError, match="gives 6 scores for 4 classes"):
        SklearnHead("sklearn.svm.SVC", decision_function_shape="ovo").fit(X, y)


def stored(classifier: Any, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    arrays = {"skops": np.frombuffer(skops.io.dumps(classifier), dtype=np.uint8)}
    meta = {
        "classes": {"dtype": "<i8", "values": [0, 1]},
        "import_path": "sklearn.svm.LinearSVC",
        "params": {},
        "temperature": 1.0,
    }
    return arrays, {**meta, **changes}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: stored(LinearSVC()), "has not learnt"),
        (lambda: stored(LinearSVC().fit([[0.0], [1.0], [2.0]], [0, 1, 2])), "has not learnt the 2"),
        (lambda: stored(LogisticRegression().fit([[0.0], [1.0]], [0, 1])), "is a LogisticRegression"),
        (lambda: stored(FunctionTransformer(Path.unlink)), "unlink"),
        (lambda: stored(FunctionTransformer(load_digits)), "load_digits"),
        (lambda: stored(LinearSVC(), import_path=3), "import_path"),
        (lambda: stored(LinearSVC(), params=[]), "params"),
        (lambda: stored(LinearSVC(), temperature=-1.0), "temperature"),
        (lambda: ({"skops": np.zeros(9, dtype=np.uint8)}, stored(LinearSVC())[1]), "cannot be read"),
    ],
)
def test_unsound_archives_are_refused(content: Any, message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        SklearnHead.from_arrays(*content())
