"""The benchmark on a small dataset: what is measured is kept, and a second run does only what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid import Project
from pellucid.errors import DataError, NotFoundError, UsageError
from pellucid.flow.training import monday_tuesday as module
from pellucid.flow.training.monday_tuesday import Benchmark, Plan, corrupted_vectors, run_benchmark
from pellucid.noise.corrupt import corrupt_image
from pellucid.protocol.method import Method
from pellucid.protocol.methods import choose_methods
from pellucid.protocol.problem import set_problem

METHODS = choose_methods(["logistic"], ratio=0.2)
PLAN = Plan("pets", METHODS, seeds=(0, 1))


@pytest.fixture(scope="module")
def pets_folder(tmp_path_factory: pytest.TempPathFactory, class_folders: Callable[..., Path]) -> Path:
    root = tmp_path_factory.mktemp("monday-tuesday")
    with Project.init(root / "project") as made:
        made.ingest(class_folders(root / "source", {"cat": 20, "dog": 20}), "pets")
    return root / "project"


@pytest.fixture
def pets(make_project: Callable[..., Project], pets_folder: Path) -> Project:
    return make_project(of=pets_folder)


def bench(project: Project, plan: Plan = PLAN, **options: Any) -> Benchmark:
    return run_benchmark(project.workspace, plan, project.workspace.reports / "bench", **options)


def test_table_plot_and_results(pets: Project) -> None:
    steps: list[tuple[str, int, int | None]] = []
    found = bench(pets, progress=lambda *step: steps.append(step))
    assert (found.computed, found.kept, dict(found.failed)) == (12, 0, {})
    assert {line.method for line in found.lines} == {method.name for method in METHODS}
    assert {line.n_seeds for line in found.lines} == {2}
    assert "| **pellucid** | all |" in (found.folder / "table.md").read_text()
    assert len((found.folder / "table.csv").read_text().splitlines()) == 7
    assert (found.folder / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert steps[-1] == ("measuring", 12, 12)
    by_name = {line.method: line.means["mean"] for line in found.lines}
    assert by_name["truth"] == 1.0  # coloured noise tells the two apart whatever hides a part of it


def test_a_second_run_measures_only_what_is_missing(pets: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench(pets, replace(PLAN, methods=METHODS[:3], seeds=(0,)))
    more = bench(pets)
    assert (first.computed, more.computed, more.kept) == (3, 9, 3)

    def never(*arguments: Any) -> None:
        raise AssertionError("nothing is to be computed")

    monkeypatch.setattr(module, "_solve", never)
    monkeypatch.setattr(module, "embed_samples", never)
    same = bench(pets)
    assert (same.computed, same.kept) == (0, 12)
    assert same.lines == more.lines


def test_what_decides_the_outcome_is_measured_anew(pets: Project) -> None:
    plan = replace(PLAN, methods=METHODS[:1], seeds=(0,))
    assert bench(pets, plan).computed == 1
    changed = [
        replace(plan, noises=(("symmetric", 0.2),)),
        replace(plan, noises=(("pair", 0.3),)),
        replace(plan, monday=10),
        replace(plan, methods=(replace(plan.methods[0], settings=(("lambda", 0.5),)),)),
    ]
    assert [bench(pets, other).computed for other in changed] == [1, 1, 1, 1]
    assert bench(pets, replace(plan, by="tuesday")).computed == 0
    assert bench(pets, plan, again=True).computed == 1


def test_several_processes_give_the_same(pets: Project) -> None:
    plan = replace(PLAN, noises=(("symmetric", 0.3), ("instance", 0.3)), methods=METHODS[:2])
    one = bench(pets, plan)
    folder = pets.workspace.reports / "other"
    two = run_benchmark(pets.workspace, plan, folder, jobs=2)
    assert (two.computed, two.kept) == (8, 0)
    assert one.lines == two.lines


def test_a_run_that_was_stopped_goes_on(pets: Project) -> None:
    def stop(what: str, done: int, total: int | None) -> None:
        if (what, done) == ("measuring", 4):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench(pets, progress=stop)
    lines = (pets.workspace.reports / "bench" / "results.jsonl").read_text().splitlines()
    assert len([json.loads(line)["key"] for line in lines]) == 4
    found = bench(pets)
    assert (found.computed, found.kept) == (8, 4)


def test_a_method_that_fails_is_told_of_and_the_others_go_on(pets: Project) -> None:
    bad = Method("bad", "", settings=(("lambda", -1.0),))
    found = bench(pets, replace(PLAN, methods=(*METHODS[:1], bad)))
    assert {line.method for line in found.lines} == {"pellucid"}
    assert "lambda" in found.failed["bad"]
    assert bench(pets, replace(PLAN, methods=(*METHODS[:1], bad))).kept == 2


def test_the_corruption_is_the_protocols_and_is_computed_once(pets: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = pets.workspace.extractor()
    ids = [row.sample for row in pets.inspect("pets").rows][:6]
    seen: list[tuple[str, int]] = []

    def watch(image: Image.Image, kind: str, seed: int) -> Any:
        seen.append((kind, seed))
        return corrupt_image(image, kind, seed)

    monkeypatch.setattr(module, "corrupt_image", watch)
    first = corrupted_vectors(pets.workspace, extractor, ids, 0)
    assert [kind for kind, _ in seen] == ["mixed"] * 6
    assert len({seed for _, seed in seen}) == 6
    again = corrupted_vectors(pets.workspace, extractor, ids[::-1], 0)
    assert len(seen) == 6
    np.testing.assert_array_equal(first, again[::-1])
    other = corrupted_vectors(pets.workspace, extractor, ids, 1)
    assert (first != other).any(axis=1).all()


def test_an_audit_sees_pictures_turned_and_by_hand_made_features(
    pets: Project, make_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = f"onnx:{make_onnx()}"
    seen: list[tuple[int, ...] | None] = []

    def watch(*words: Any, wide: Any, **more: Any) -> Any:
        seen.append(None if wide is None else (*wide[0].shape, *wide[1].shape))
        return set_problem(*words, wide=wide, **more)

    monkeypatch.setattr(module, "set_problem", watch)
    by_name = {method.name: method for method in choose_methods(["pellucid-plain"], ratio=0.2)}
    dim = 3 + pets.workspace.extractor("classical").dim
    for names, shape in ((["pellucid", "truth"], (40, dim, 20, dim)), (["pellucid-plain"], None)):
        plan = replace(PLAN, methods=tuple(by_name[name] for name in names), seeds=(0,), extractor=spec)
        found = bench(pets, plan)
        assert (found.computed, dict(found.failed), seen.pop()) == (len(names), {}, shape)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"noises": (("salt", 0.3),)}, "there are symmetric, pair, instance"),
        ({"noises": (("pair", 1.5),)}, "0 to 1"),
        ({"seeds": ()}, "nothing to do"),
        ({"methods": ()}, "nothing to do"),
        ({"by": "speed"}, "no metric 'speed'"),
        ({"monday": 1}, "at least 2"),
    ],
)
def test_an_impossible_plan_is_refused_at_once(pets: Project, change: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        bench(pets, replace(PLAN, **change))
    assert not (pets.workspace.reports / "bench").exists()


def test_a_dataset_that_is_too_small_or_not_there(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match="no dataset 'pets'"):
        bench(project)
    project.ingest(class_folders(tmp_path / "few", {"cat": 2, "dog": 2}), "pets")
    with pytest.raises(DataError, match="pets@1, seed 0: 4 groups are too few"):
        bench(project)
