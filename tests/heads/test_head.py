from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pellucid.errors import ConfigError, IntegrityError, UsageError, VersionError
from pellucid.heads import head as module
from pellucid.heads.head import (
    HEADS,
    PROTOCOL,
    available_heads,
    build_head,
    head_settings,
    iterates,
    learn_trusting,
    load_head,
    save_head,
    source_digest,
)

OWN_HEAD = """
import numpy as np

class Shares:
    def __init__(self, prior=1.0, seed=None):
        self.prior, self.seed = prior, seed
    def fit(self, X, y, sample_weight=None):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = (counts + self.prior) / (counts + self.prior).sum()
        return self
    def predict_proba(self, X):
        return np.tile(self.shares_, (len(X), 1))
    def to_arrays(self):
        return {"shares": self.shares_}, {"classes": self.classes_.tolist()}
    @classmethod
    def from_arrays(cls, arrays, meta):
        head = cls()
        head.classes_, head.shares_ = np.array(meta["classes"]), arrays["shares"]
        return head

class NoHead:
    def fit(self, X, y): ...
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The specification of a user's own head, in a module on the path."""
    (tmp_path / "head_of_mine.py").write_text(OWN_HEAD)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "head_of_mine", raising=False)
    return "head_of_mine:Shares"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that packages with these entry points are installed."""

    def install(**points: str) -> None:
        found = [EntryPoint(name, value, module.ENTRY_POINT_GROUP) for name, value in points.items()]
        monkeypatch.setattr(module, "entry_points", lambda group: found if group == module.ENTRY_POINT_GROUP else [])

    return install


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    head = build_head("ridge", {}, seed=0).fit([[0.0], [1.0]], [0, 1])
    return tmp_path, save_head(head, tmp_path)


def test_the_registry_cannot_be_changed_by_accident() -> None:
    with pytest.raises(TypeError):
        HEADS["mine"] = "mine:Head"  # type: ignore[index]  # the point of the test
    available_heads().clear()
    assert "ridge" in available_heads()


def test_a_package_adds_a_head(installed: Callable[..., None], own: str, tmp_path: Path) -> None:
    installed(shares=own)
    head = build_head("shares", {"prior": 0.0}, seed=3).fit(np.zeros((4, 1)), [0, 1, 1, 1])
    digests = save_head(head, tmp_path / "head")
    assert json.loads((tmp_path / "head" / "head.json").read_text())["head"] == "shares"
    assert load_head(tmp_path / "head", digests).predict_proba(np.zeros((1, 1))).tolist() == [[0.25, 0.75]]


def test_a_second_registration_raises(installed: Callable[..., None], own: str) -> None:
    installed(ridge=own)
    with pytest.raises(ConfigError, match="'ridge' is registered twice"):
        available_heads()


def test_a_class_of_ones_own(own: str, tmp_path: Path) -> None:
    assert head_settings(own) == {"prior": 1.0}
    head: Any = build_head(own, {"prior": 0.0}, seed=3)
    assert (head.prior, head.seed, iterates(head)) == (0.0, 3, False)
    head.fit(np.zeros((4, 1)), [0, 1, 1, 1])
    digests = save_head(head, tmp_path / "head")
    with pytest.raises(UsageError, match="not registered"):
        load_head(tmp_path / "head", digests)  # importing a class runs its code
    again = load_head(tmp_path / "head", digests, trusted=True)
    assert again.predict_proba(np.zeros((1, 1))).tolist() == [[0.25, 0.75]]


def test_the_source_of_a_class_of_ones_own_is_part_of_what_was_trained(own: str, tmp_path: Path) -> None:
    before = source_digest(own)
    assert before == hashlib.sha256(OWN_HEAD.encode()).hexdigest()
    (tmp_path / "head_of_mine.py").write_text(OWN_HEAD + "# edited\n")
    assert source_digest(own) != before
    assert source_digest("ridge") == source_digest("sklearn:sklearn.naive_bayes.GaussianNB") == ""


@pytest.mark.parametrize(
    "spec",
    [
        "rigde",
        "",
        ":",
        "ridge:",
        "ridge:more",
        "nowhere:Head",
        "head_of_mine:Nothing",
        "head_of_mine:NoHead",
        "json:dumps",
    ],
)
def test_what_is_no_head(spec: str, own: str) -> None:
    with pytest.raises(UsageError) as caught:
        head_settings(spec)
    assert "ridge" in str(caught.value) or "lacks" in str(caught.value)


def test_the_setting_is_called_lambda() -> None:
    assert build_head("ridge", {"lambda": 3}, seed=0).__dict__ == {"l2": 3}
    with pytest.raises(UsageError, match="'ridge' has no setting l2; it accepts lambda"):
        build_head("ridge", {"l2": 3}, seed=0)
    with pytest.raises(UsageError, match="lambda 'high'"):
        build_head("ridge", {"lambda": "high"}, seed=0)


def test_same_head_same_files(saved: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    folder, digests = saved
    assert save_head(load_head(folder, digests), tmp_path / "again") == digests


def rewritten(folder: Path, digests: dict[str, str], change: Callable[[dict[str, Any]], Any]) -> dict[str, str]:
    """The digests after head.json was changed by somebody who also recorded the new digest."""
    data = json.dumps(change(json.loads((folder / "head.json").read_text()))).encode()
    (folder / "head.json").write_bytes(data)
    return {**digests, "head.json": hashlib.sha256(data).hexdigest()}


def test_a_newer_protocol(saved: tuple[Path, dict[str, str]]) -> None:
    folder, digests = saved
    forged = rewritten(folder, digests, lambda content: {"protocol": PROTOCOL + 1, "other": 1})
    with pytest.raises(VersionError, match="upgrade Pellucid"):
        load_head(folder, forged)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: [],
        lambda content: {},
        lambda content: {**content, "protocol": 0},
        lambda content: {**content, "protocol": True},
        lambda content: {**content, "protocol": "1"},
        lambda content: {**content, "head": 1},
        lambda content: {**content, "meta": []},
        lambda content: {**content, "more": 1},
    ],
)
def test_unsound_content(saved: tuple[Path, dict[str, str]], change: Callable[[Any], Any]) -> None:
    folder, digests = saved
    with pytest.raises(IntegrityError, match="needs exactly"):
        load_head(folder, rewritten(folder, digests, change))


@pytest.mark.parametrize("name", ["head.json", "head.safetensors"])
def test_files_of_another_format(saved: tuple[Path, dict[str, str]], name: str) -> None:
    folder, digests = saved
    (folder / name).write_bytes(b"\x80\x04 pickled")
    forged = {**digests, name: hashlib.sha256(b"\x80\x04 pickled").hexdigest()}
    with pytest.raises(IntegrityError, match="cannot be read"):
        load_head(folder, forged)


@pytest.mark.parametrize("spec", ["ridge", "kernel"])
def test_trust_is_learnt_as_strength_where_a_head_knows_it(spec: str) -> None:
    X, y, trust = np.eye(6).repeat(2, axis=0), np.arange(12) // 6, np.r_[np.ones(9), 0.75, 0.5, 0.0]
    found = learn_trusting(build_head(spec, {}, seed=0), X, y, trust).predict_proba(X)
    strong: Any = build_head(spec, {}, seed=0)
    strong.fit(X[:-1], y[:-1], strength=np.r_[np.ones(9), 0.5, 0.0])
    np.testing.assert_allclose(found, strong.predict_proba(X), atol=1e-12)


def test_trust_that_rounding_has_lifted_above_one_is_one() -> None:
    X, y = np.eye(4), np.array([0, 0, 1, 1])
    found = learn_trusting(build_head("ridge", {}, seed=0), X, y, np.full(4, 1 + 4e-16))
    np.testing.assert_array_equal(found.predict_proba(X), build_head("ridge", {}, seed=0).fit(X, y).predict_proba(X))


def test_trust_is_the_weight_for_any_other_head() -> None:
    X, y, trust = np.eye(6).repeat(2, axis=0), np.arange(12) // 6, np.linspace(0, 1, 12)
    found = learn_trusting(build_head("logistic", {}, seed=0), X, y, trust)
    weighed = build_head("logistic", {}, seed=0).fit(X, y, sample_weight=trust)
    np.testing.assert_array_equal(found.predict_proba(X), weighed.predict_proba(X))
