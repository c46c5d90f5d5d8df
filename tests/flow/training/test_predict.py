from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.errors import ImageError, IntegrityError, NotFoundError, UsageError
from pellucid.flow.training import predict as module
from pellucid.flow.training.predict import read_bounded

Picture = Callable[..., bytes]


@pytest.fixture
def pets(make_project: Callable[..., Project], trained_folder: Path) -> Project:
    project = make_project(of=trained_folder)
    project.promote("pets@1")
    return project


@pytest.fixture
def pictures(picture: Picture, tmp_path: Path) -> Path:
    """new/: two cats, a dog in a sub-folder, a text file, and a JPEG that is none."""
    files = {
        "b cat.png": picture("cat", 101),
        "a.jpeg": picture("cat", 102, format="JPEG"),
        "sub/Dog.PNG": picture("dog", 103),
        "notes.txt": b"no image",
        "broken.jpg": b"no image either",
    }
    for name, data in files.items():
        (tmp_path / "new" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "new" / name).write_bytes(data)
    return tmp_path / "new"


def test_a_folder_in_order_with_an_error_entry_for_what_cannot_be_used(pets: Project, pictures: Path) -> None:
    answers = pets.predict(pictures)
    assert [Path(answer.path).relative_to(pictures).as_posix() for answer in answers] == [
        "a.jpeg",
        "b cat.png",
        "broken.jpg",
        "sub/Dog.PNG",
    ]
    assert [answer.label for answer in answers] == ["cat", "cat", None, "dog"]
    broken = answers[2]
    assert broken.error is not None
    assert broken.error.startswith("not an image")
    assert (broken.confidence, broken.probabilities) == (None, {})
    for answer in (answers[0], answers[1], answers[3]):
        assert answer.model == "pets@1"
        assert answer.error is None
        assert sum(answer.probabilities.values()) == pytest.approx(1)
        assert answer.confidence == max(answer.probabilities.values()) == answer.probabilities[str(answer.label)]


def test_paths_keep_their_order_and_their_repeats(pets: Project, pictures: Path) -> None:
    asked = [pictures / "sub" / "Dog.PNG", pictures / "a.jpeg", pictures / "sub" / "Dog.PNG"]
    assert [answer.path for answer in pets.predict(*asked)] == [str(path) for path in asked]


def test_chunks_change_nothing(pets: Project, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pets.predict(pictures)
    monkeypatch.setattr(module, "_CHUNK", 1)
    single = pets.predict(pictures)
    assert [(one.path, one.label, one.error) for one in single] == [(one.path, one.label, one.error) for one in whole]
    for one, other in zip(single, whole, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities)


def test_a_training_image_in_other_clothes_is_found_again(pets: Project, picture: Picture, tmp_path: Path) -> None:
    (tmp_path / "any name.bin").write_bytes(picture("dog", 0))
    (answer,) = pets.predict(tmp_path / "any name.bin")
    assert answer.sample in {row.sample for row in pets.inspect("pets").rows}
    assert answer.label == "dog"


def test_a_file_that_changed_is_a_new_image(pets: Project, picture: Picture, tmp_path: Path) -> None:
    path = tmp_path / "camera.png"
    path.write_bytes(picture("cat", 200))
    (before,) = pets.predict(path)
    path.write_bytes(picture("dog", 200))
    (after,) = pets.predict(path)
    assert (before.label, after.label) == ("cat", "dog")
    assert before.sample != after.sample


def test_answers_are_kept_unless_told_not_to(pets: Project, pictures: Path) -> None:
    first = pets.predict(pictures)[0]
    assert first.sample is not None
    pets.predict(pictures, record=False)
    with pets.workspace.database.read() as connection:
        from pellucid.store.predictions import count_by_model, predictions_of

        (kept,) = predictions_of(connection, first.sample)
        assert count_by_model(connection) == {"pets@1": 3}
    assert (kept["label"], kept["path"], kept["model_version"]) == ("cat", first.path, 1)
    assert kept["probabilities"] == dict(first.probabilities)


def test_what_is_not_there_is_an_error_before_anything_is_answered(
    pets: Project, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        pets.predict(pictures, tmp_path / "gone.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match="holds no image file"):
        pets.predict(tmp_path / "empty")


def test_which_model_is_meant(
    pets: Project, make_project: Callable[..., Project], trained_folder: Path, pictures: Path
) -> None:
    assert {pets.choose_model(ref).ref for ref in (None, "pets", "pets@champion", "pets@1")} == {"pets@1"}
    with pytest.raises(NotFoundError, match="no model pets@7"):
        pets.predict(pictures, model="pets@7")
    with pytest.raises(NotFoundError, match="no model named 'birds'"):
        pets.predict(pictures, model="birds")
    with pytest.raises(NotFoundError, match="no champion yet; `pellucid models promote pets@1`"):
        make_project("other", of=trained_folder).predict(pictures)
    with pytest.raises(NotFoundError, match="has no model yet"):
        make_project("bare").predict(pictures)


@pytest.mark.usefixtures("no_reports")
def test_several_models_have_to_be_named(pets: Project, class_folders: Callable[..., Path], tmp_path: Path) -> None:
    pets.ingest(class_folders(tmp_path / "birds", {"cat": 6, "dog": 6}, start=70), "birds", test_fraction=0.3)
    pets.train("birds")
    with pytest.raises(UsageError, match="birds, pets; choose one with --model"):
        pets.choose_model()


def test_a_file_that_is_too_large_gets_an_error_entry(
    pets: Project, make_project: Callable[..., Project], pictures: Path
) -> None:
    answers = make_project(max_image_bytes=1000).predict(pictures / "b cat.png", pictures / "broken.jpg")
    assert [str(answer.error).partition(":")[0] for answer in answers] == ["too large", "not an image"]


def test_an_unreadable_path_gets_an_error_entry(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="unreadable"):
        read_bounded(tmp_path, 10)


@pytest.mark.parametrize("name", ["model.json", "head.safetensors"])
def test_an_edited_model_answers_nothing(pets: Project, pictures: Path, name: str) -> None:
    own = pets.workspace.artifacts.fetch_folder("models", pets.model("pets@1").id, Path()) / name
    own.write_bytes(own.read_bytes().replace(b"0", b"1", 1) + b" ")
    with pytest.raises(IntegrityError):
        pets.predict(pictures)
    with pytest.raises(IntegrityError):
        pets.promote("pets@1", alias="candidate")
