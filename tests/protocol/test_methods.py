"""The register, and the published system's options."""

from __future__ import annotations

import pytest

from pellucid.errors import UsageError
from pellucid.heads.head import available_heads
from pellucid.protocol.doubts import DOUBTS
from pellucid.protocol.memories import MEMORIES
from pellucid.protocol.methods import ALWAYS, METHODS, WITH_PART, choose_methods, compose, find_method, missing_library


def test_every_method_is_made_of_parts_that_exist() -> None:
    heads = available_heads()
    for name, method in METHODS.items():
        assert (name, method.memory) == (method.name, "all")
        assert method.about
        assert method.head.partition(":")[0] in heads
        assert method.doubt in DOUBTS


def test_the_rows_that_are_always_there() -> None:
    assert [method.name for method in choose_methods(["cleanlab"], ratio=0.2)] == [*ALWAYS, "cleanlab"]
    assert [method.name for method in choose_methods([], ratio=0.2)][-1] == WITH_PART[-1]
    assert {method.name for method in choose_methods([], ratio=0.2)} >= set(METHODS)
    assert [name for name, method in METHODS.items() if method.sees_truth] == ["oracle-filter", "truth", "truth-ridge"]


def test_the_ratio_reaches_those_that_forget() -> None:
    last = choose_methods(["noisy@random"], ratio=0.35)[-1]
    assert (last.memory, last.ratio, last.monday) == ("random", 0.35, "35 % random")
    assert find_method("noisy@all") == METHODS["noisy"]
    assert find_method("noisy@none").monday == "none"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("pelucid", "did you mean 'pellucid'"),
        ("xyz", "there are pellucid, monday-only"),
        ("noisy@l7", "there are all, none, random"),
        ("monday-only@none", "neither day"),
    ],
)
def test_a_name_that_nobody_has_is_refused(name: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        find_method(name)


def test_a_ratio_outside_its_range_is_refused() -> None:
    with pytest.raises(UsageError, match="0 to 1"):
        choose_methods([], ratio=1.2)


def test_composing() -> None:
    own = compose("sklearn:sklearn.naive_bayes.GaussianNB", cutoff=False, sampling="random", ratio=0.1)
    assert (own.head, own.memory, own.ratio) == ("sklearn:sklearn.naive_bayes.GaussianNB", "random", 0.1)
    assert compose("noisy", cutoff=False, sampling="all", ratio=0.2) == METHODS["noisy"]
    assert compose("ridge", cutoff=False, sampling="none", ratio=0.2).name == "ridge@none"
    for model, sampling, cutoff, why in (
        ("rigde", "all", False, "did you mean 'ridge'"),
        ("ridge", "l7", False, "no sampling 'l7'"),
        ("ridge", "all", True, "cannot cut off"),
    ):
        with pytest.raises(UsageError, match=why):
            compose(model, cutoff=cutoff, sampling=sampling, ratio=0.2)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MEMORIES["all"] is None
    monkeypatch.setattr("pellucid.protocol.methods.find_spec", lambda name: None)
    assert missing_library(METHODS["cleanlab"]) == "cleanlab"
    assert missing_library(METHODS["pellucid"]) is None
