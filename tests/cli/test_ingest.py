from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Cli


@pytest.fixture
def pets(here: Path, class_folders: Callable[..., Path]) -> Path:
    return class_folders(here / "source", {"cat": 5, "dog": 5})


def test_ingest_says_what_it_made_and_what_is_next(cli: Cli, pets: Path) -> None:
    ended = cli("ingest", pets, "-d", "pets")
    assert ended.code == 0
    assert ended.out.splitlines()[0] == "new version pets@1: 10 images in 2 classes"
    assert "8 train, 2 test" in ended.out
    assert "pellucid train --dataset pets" in ended.err
    again = cli("ingest", pets, "-d", "pets")
    assert again.out.startswith("nothing new, still pets@1")


def test_ingest_as_json_is_one_document_with_the_reference(cli: Cli, pets: Path) -> None:
    found = cli("ingest", pets, "-d", "pets", "--test", "0.4", "--json").json
    assert found["ref"] == "pets@1"
    assert found["created"] is True
    assert found["version"]["counts"]["test"] == 4


def test_everything_wrong_is_counted_and_does_not_stop_the_rest(
    cli: Cli, here: Path, pets: Path, picture: Callable[..., bytes]
) -> None:
    (pets / "cat" / "empty.png").write_bytes(b"")
    (pets / "cat" / "words.jpg").write_text("no picture at all")
    (pets / "cat" / "half.png").write_bytes(picture("cat", 9)[:200])
    (pets / "cat" / "two\nlines.jpg").write_text("no picture either")
    (pets / "dog" / "cat 0 again.png").write_bytes(picture("cat", 0))
    ended = cli("ingest", pets, "-d", "pets")
    assert ended.code == 0
    assert "4 files" in ended.out
    assert "1 image under several labels: not trained on until settled" in ended.out

    shown = cli("datasets", "show", "pets")
    assert "pets@1: 10 images, the first version" in shown.out
    assert "conflicts: one image under several labels (1)" in shown.out
    assert "files set aside (4)" in shown.out
    assert "cat/two\\nlines.jpg: " in shown.out
    sample = cli("datasets", "show", "pets", "--json").json["findings"][0]["samples"][0]
    cure = f"pellucid label pets {sample[:12]} --label CLASS"
    assert cure in shown.err
    assert "no label" in cli("datasets", "lineage", "--impact", sample).out

    assert cli("label", "pets", sample[:12], "--label", "cat").out == "pets@2: 1 image labelled 'cat'\n"
    settled = cli("datasets", "show", "pets")
    assert "conflicts" not in settled.out
    assert cure not in settled.err


def test_a_mistyped_label_makes_no_class(cli: Cli, pets: Path) -> None:
    cli("ingest", pets, "-d", "pets")
    sample = cli("datasets", "show", "pets", "--rows").out.splitlines()[1].split()[0]
    ended = cli("label", "pets", sample, "--label", "caat")
    assert "has no class 'caat', it has: cat, dog; --new-class" in ended.error
    assert ended.code == 2
    found = cli("label", "pets", sample, "--label", "caat", "--new-class", "--json").json
    assert found["ref"] == "pets@2"
    assert cli("datasets", "list", "pets", "--json").json[-1]["classes"] == ["cat", "dog", "caat"]


def test_embed_is_done_once(cli: Cli, pets: Path) -> None:
    cli("ingest", pets, "-d", "pets")
    assert cli("embed", "pets").out == "10 vectors of pets are ready\n"
    assert cli("embed", "pets", "-x", "classical", "--json").json == {"dataset": "pets", "vectors": 10}


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda folder: None, 5),
        (lambda folder: (folder / "a.txt").write_text("x"), 5),
        (lambda folder: [(folder / "a").mkdir(), (folder / "a" / "a.png").write_text("x")], 5),
    ],
)
def test_a_source_without_an_image_is_one_line(cli: Cli, here: Path, make: Callable[[Path], object], code: int) -> None:
    (here / "source").mkdir()
    make(here / "source")
    ended = cli("ingest", "source", "-d", "pets")
    assert ended.error
    assert ended.code == code
    assert cli("datasets", "list", "--json").json == []


def test_a_name_that_cannot_be_one_is_refused(cli: Cli, pets: Path) -> None:
    for name in ("a/b", "../x", "", "a@1", "two\nlines"):
        assert cli("ingest", pets, "-d", name).code == 2
    assert cli("ingest", pets, "-d", "pets", "--test", "2").code == 2
