from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Cli

MODEL = ("-m", "pets@1")


@pytest.fixture
def asked(trained: Path, picture: Callable[..., bytes]) -> Path:
    """Pictures to ask about, under difficult names; and two files that are none."""
    folder = trained / "asked"
    folder.mkdir()
    for number, name in enumerate(["a b.png", "new\nline.png", "ünï.png", os.fsdecode(b"bad\xff.png")]):
        (folder / name).write_bytes(picture("cat", 100 + number))
    (folder / "empty.png").write_bytes(b"")
    (folder / "words.jpg").write_text("hello")
    return folder


def test_a_table_has_a_line_for_every_image_whatever_its_name(cli: Cli, asked: Path) -> None:
    ended = cli("predict", "asked", *MODEL)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert len(lines) == 1 + 6
    assert lines[0].split() == ["image", "label", "confidence", "then", "model"]
    for name in ("a b.png", "new\\nline.png", "ünï.png", "bad\\udcff.png"):
        assert sum(f"asked/{name}  " in line and " cat " in line for line in lines) == 1, name
    assert ended.err == "2 of 6 images could not be used\n"


def test_json_has_a_line_for_every_image_with_all_probabilities(cli: Cli, asked: Path) -> None:
    lines = cli("predict", "asked", *MODEL, "--json").lines
    assert {line["path"] for line in lines} == {str(path.relative_to(asked.parent)) for path in asked.iterdir()}
    for line in lines:
        assert line["model"] == "pets@1"
        assert (line["label"] is None) == (line["error"] is not None)
        if line["label"]:
            assert sum(line["probabilities"].values()) == pytest.approx(1)
            assert line["confidence"] == max(line["probabilities"].values())


def test_csv_is_read_back_as_it_was(cli: Cli, asked: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("predict", "asked", *MODEL, "--csv").out, newline="")))
    assert {row["path"] for row in rows} == {str(path.relative_to(asked.parent)) for path in asked.iterdir()}
    good = [row for row in rows if row["label"]]
    assert len(good) == 4
    assert all(float(row["p(cat)"]) + float(row["p(dog)"]) == pytest.approx(1, abs=1e-5) for row in good)


def test_a_list_on_stdin_in_lines(cli: Cli, asked: Path) -> None:
    lines = cli("predict", "-", *MODEL, "--json", stdin="asked/a b.png\r\n\nasked/ünï.png".encode()).lines
    assert [line["path"] for line in lines] == ["asked/a b.png", "asked/ünï.png"]


def test_a_list_on_stdin_ended_by_nul_takes_every_name(cli: Cli, asked: Path) -> None:
    names = [os.path.join(b"asked", name) for name in sorted(os.listdir(os.fsencode(asked))) if name.endswith(b".png")]  # noqa: PTH118, PTH208 - bytes
    lines = cli("predict", "-", *MODEL, "--json", stdin=b"".join(name + b"\0" for name in names)).lines
    assert [os.fsencode(line["path"]) for line in lines] == names


@pytest.mark.parametrize("stdin", [b"", b"\n\n", b"\0"])
def test_an_empty_list_on_stdin_is_one_line(cli: Cli, trained: Path, stdin: bytes) -> None:
    ended = cli("predict", "-", *MODEL, stdin=stdin)
    assert "stdin names no image" in ended.error
    assert ended.code == 2


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_if_no_image_can_be_used_that_is_an_error_but_the_reasons_are_printed(
    cli: Cli, asked: Path, form: list[str]
) -> None:
    ended = cli("predict", asked / "empty.png", asked / "words.jpg", *MODEL, *form)
    assert ended.code == 6
    assert "none of the 2 images could be used" in ended.error
    assert "empty" in ended.out
    assert "not an image" in ended.out


def test_what_is_not_there_is_said_before_anything_is_answered(cli: Cli, asked: Path) -> None:
    ended = cli("predict", "asked/a b.png", "asked/nope.png", *MODEL)
    assert "asked/nope.png does not exist" in ended.error
    assert (ended.code, ended.out) == (4, "")
    (asked / "nothing").mkdir()
    assert "holds no image" in cli("predict", "asked/nothing", *MODEL).error
    assert "has no champion yet" in cli("predict", "asked").error


def test_no_record_leaves_no_trace(cli: Cli, asked: Path) -> None:
    sample = cli("predict", "asked/a b.png", *MODEL, "--no-record", "--json").lines[0]["sample"]
    assert "no sample" in cli("datasets", "lineage", "--impact", sample).error or (
        "predicted" not in cli("datasets", "lineage", "--impact", sample).out
    )
