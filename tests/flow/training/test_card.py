from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pellucid import Project
from pellucid.evaluate.evaluation import ClassScore, Estimate
from pellucid.flow.training.card import _weakest


def test_it_tells_what_how_good_and_where_not(make_project: Callable[..., Project], trained_folder: Path) -> None:
    card = make_project(of=trained_folder).card("pets@1")
    assert card.startswith("# kernel, trained on dataset version pets@1\n")
    assert "18 training images, 6 test images." in card
    assert "**Where it fails most**: nowhere yet" in card
    assert "| accuracy | 1.000 | " in card
    assert "| cat | 9 | 3 | 1.000 |" in card
    assert "What it is not for" in card


def test_names_cannot_break_its_tables(
    project: Project, manifest: Callable[..., Path], picture: Callable[..., bytes], tmp_path: Path
) -> None:
    labels = ["<b>cat|dog\n# eel", "newt"]
    files = {f"{n}.png": picture("cat" if n % 2 else "dog", n) for n in range(12)}
    rows = [{"file_name": f"{n}.png", "label": labels[n % 2]} for n in range(12)]
    project.ingest(manifest(files, rows), "pets", test_fraction=0.3)
    (model,) = project.train("pets")
    assert "| &lt;b>cat\\|dog # eel | 4 | 2 |" in project.card(model.ref)
    assert project.export_model(model.ref, tmp_path / "model").classes == tuple(sorted(labels))


def test_only_classes_with_mistakes_are_named_as_weak() -> None:
    recalls = {"cat": 1.0, "dog": 0.75, "eel": 0.5}
    scores = [ClassScore(name, None, Estimate(value, 0, 1), None, 4, 4) for name, value in recalls.items()]
    assert _weakest([*scores, ClassScore("newt", None, None, None, 0, 0)]) == "eel (recall 0.500), dog (recall 0.750)."
