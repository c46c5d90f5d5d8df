from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pellucid import Project
from pellucid.errors import DataError, IntegrityError
from pellucid.flow.training.learn import gather, learn

Manifest = Callable[..., Path]
Picture = Callable[..., bytes]


def test_material_holds_what_may_be_used(project: Project, manifest: Manifest, picture: Picture) -> None:
    rows = [
        {"file_name": f"{n}.png", "label": "cat" if n % 2 else "dog", "who": "ann", "site": n % 3} for n in range(12)
    ]
    rows += [{"file_name": "0.png", "label": "cat", "who": "bob", "site": 0}]  # a conflict
    rows += [{"file_name": "1.png", "label": "cat", "who": "bob", "site": 1}]
    rows += [{"file_name": "1.png", "label": "dog", "who": "eve", "site": 1}]  # two against one
    rows += [{"file_name": "12.png", "label": "", "who": "", "site": 0}]  # unlabelled
    for row in rows:
        row["annotator"] = row.pop("who")
    path = manifest({f"{n}.png": picture("cat" if n % 2 else "dog", n) for n in range(13)}, rows)
    version = project.ingest(path, "pets", test_fraction=0.25).version
    material = gather(project.workspace, version, project.workspace.extractor())
    train, test = material.train, material.test
    assert len(train.rows) + len(test.rows) == 11
    assert train.X.shape == (len(train.rows), project.workspace.extractor().dim)
    labels = [version.classes[index] for index in train.y]
    assert labels == [row.label for row in train.rows]
    trusts = {
        row.trust / 1000: trust
        for row, trust in zip([*train.rows, *test.rows], [*train.trust, *test.trust], strict=True)
    }
    assert trusts == {1.0: 1.0, 0.667: 0.667}
    assert set(material.slices) == {"site"}
    assert len(material.slices["site"]) == len(test.rows)
    assert train.groups is None


_GROUPED = """
import numpy as np
from pellucid.heads.ridge import RidgeClassifier

SEEN = []

class Grouped(RidgeClassifier):
    def fit(self, X, y, sample_weight=None, groups=None):
        SEEN.append((len(X), groups))
        return super().fit(X, y, sample_weight, groups)
"""


def test_groups_reach_a_head_that_holds_rows_out(
    project: Project, manifest: Manifest, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Near-copies vouch for each other where they are not left out together."""
    (tmp_path / "grouped_head.py").write_text(_GROUPED)
    monkeypatch.syspath_prepend(tmp_path)
    rows = [{"file_name": f"{n}.png", "label": "cat" if n % 2 else "dog", "patient": n // 4} for n in range(40)]
    path = manifest({f"{n}.png": picture("cat" if n % 2 else "dog", n) for n in range(40)}, rows)
    version = project.ingest(path, "pets", test_fraction=0.25, group_by="patient").version
    extractor = project.workspace.extractor()
    material = gather(project.workspace, version, extractor)
    learn(material, extractor, "grouped_head:Grouped", {}, 0)
    from importlib import import_module

    seen = import_module("grouped_head").SEEN
    assert seen
    assert all(groups is not None and len(groups) == n for n, groups in seen)
    assert max(n for n, _ in seen) == len(material.train.rows)


def test_trusted_images_judge_where_there_are_no_test_images(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    source = class_folders(tmp_path / "pets", {"cat": 10, "dog": 10})
    version = project.ingest(source, "pets", test_fraction=0.0, trusted_fraction=0.2).version
    assert len(gather(project.workspace, version, project.workspace.extractor()).test.rows) == 4


@pytest.mark.usefixtures("no_reports")
def test_a_class_that_is_only_tested_is_judged_as_missed(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    class_folders(tmp_path / "pets" / "train", {"cat": 6, "dog": 6})
    class_folders(tmp_path / "pets" / "test", {"cat": 2, "dog": 2, "eel": 2}, start=10)
    version = project.ingest(tmp_path / "pets", "pets").version
    (model,) = project.train("pets")
    assert model.classes == ("cat", "dog", "eel")
    recalls = {score.name: score.recall for score in project.evaluate(model.ref).per_class}
    assert recalls["eel"] is not None
    assert recalls["eel"].value == 0
    assert version.class_to_idx["eel"] == 2
    answer = project.predict(tmp_path / "pets" / "test" / "eel" / "10.png", model=model.ref)[0]
    assert answer.probabilities["eel"] == 0


def test_the_same_seed_gives_the_same_model(make_project: Callable[..., Project], trained_folder: Path) -> None:
    project = make_project(of=trained_folder)
    version, extractor = project.datasets("pets")[0], project.workspace.extractor()
    material = gather(project.workspace, version, extractor)
    one, two = (learn(material, extractor, "logistic", {"epochs": 5}, 3) for _ in range(2))
    assert np.array_equal(one.probabilities, two.probabilities)
    assert [point.epoch for point in one.epochs] == [1, 2, 3, 4, 5]
    assert len(one.sizes) > 1
    assert learn(material, extractor, "ridge", {}, 3).epochs == ()


def test_an_edited_manifest_is_refused(project: Project, class_folders: Callable[..., Path], tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    version = project.ingest(class_folders(tmp_path / "pets", {"cat": 5, "dog": 5}), "pets").version
    path = Path(project.workspace.blobs.path_of("manifests", version.content_id, ".parquet"))
    table = pq.read_table(path)
    labels = table.column("label").to_pylist()
    edited = table.set_column(table.schema.get_field_index("label"), "label", [labels[::-1]])
    pq.write_table(edited, path)
    with pytest.raises(IntegrityError, match="edited by hand"):
        gather(project.workspace, version, project.workspace.extractor())
    with pytest.raises(IntegrityError):
        project.inspect("pets")
    with pytest.raises(IntegrityError):
        project.ingest(tmp_path / "pets", "pets", annotator="other")


def test_errors_say_what_to_do(project: Project, class_folders: Callable[..., Path], tmp_path: Path) -> None:
    class_folders(tmp_path / "pets" / "train", {"cat": 6})
    class_folders(tmp_path / "pets" / "test", {"dog": 6}, start=10)
    version = project.ingest(tmp_path / "pets", "pets").version
    with pytest.raises(DataError, match=r"6 usable training images in 1 classes.*ingest more images"):
        gather(project.workspace, version, project.workspace.extractor())
