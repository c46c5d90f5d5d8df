from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid import Project
from pellucid.errors import NotFoundError, UsageError
from pellucid.flow.data.browse import Facets, Filter, Item, Order, Slice, browse, facets
from pellucid.flow.data.shelf import Shelf
from pellucid.types import Split, Status

from ...conftest import picture_bytes

Manifest = Callable[..., Path]


class Album:
    """A project and a shelf; ``pets`` has 6 cats, 3 dogs, a picture said to be both, and one without a label."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.shelf = Shelf()

    def look(self, wanted: Filter | None = None, ref: str = "pets", **window: Any) -> Slice:
        return browse(self.shelf, self.project.workspace, ref, wanted or Filter(), **window)

    def count(self, wanted: Filter | None = None) -> Facets:
        return facets(self.shelf, self.project.workspace, "pets", wanted or Filter())

    def all(self, wanted: Filter | None = None) -> tuple[Item, ...]:
        return self.look(wanted, limit=None).items


def fill(project: Project, manifest: Manifest) -> Album:
    files, rows = {}, []
    for number in range(6):
        files[f"cat/{number}.png"] = picture_bytes("cat", number)
        rows.append(
            {"path": f"cat/{number}.png", "label": "cat", "split": "train", "site": "AB"[number % 2], "year": 7}
        )
    for number in range(3):
        files[f"dog/{number}.png"] = picture_bytes("dog", number)
        rows.append({"path": f"dog/{number}.png", "label": "dog", "split": "test", "site": "A"})
    for label in ("cat", "dog"):
        files[f"both/{label}.png"] = picture_bytes("eel", 1)
        rows.append({"path": f"both/{label}.png", "label": label, "split": "train", "site": "C"})
    files["nobody.png"] = picture_bytes("eel", 2)
    rows.append({"path": "nobody.png", "label": "", "split": "train"})
    project.ingest(manifest(files, rows), "pets")
    return Album(project)


@pytest.fixture
def album(project: Project, manifest: Manifest) -> Album:
    return fill(project, manifest)


def test_everything_is_there_by_default(album: Album) -> None:
    found = album.look()
    assert (found.version, found.total, found.count, found.offset) == ("pets@1", 11, 11, 0)
    assert [item.row for item in found.items] == list(album.project.inspect("pets").rows)
    assert {item.path for item in found.items if item.row.label == "dog"} == {
        f"dog/{number}.png" for number in range(3)
    }


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Filter(labels=("cat",)), 6),
        (Filter(labels=("cat", "dog")), 9),
        (Filter(labels=("newt",)), 0),
        (Filter(splits=(Split.TEST,)), 3),
        (Filter(statuses=(Status.CONFLICT, Status.UNLABELLED)), 2),
        (Filter(labels=("cat",), splits=(Split.TEST,)), 0),
        (Filter(trust=(1, 1000)), 9),
        (Filter(trust=(0, 0)), 2),
        (Filter(findings=("conflict",)), 1),
        (Filter(findings=("nothing of the kind",)), 0),
        (Filter(metadata=(("site", "A"),)), 6),
        (Filter(metadata=(("site", "A"), ("site", "B"))), 9),
        (Filter(metadata=(("site", "A"), ("year", "7"))), 3),
        (Filter(metadata=(("colour", "red"),)), 0),
        (Filter(text="DOG/"), 3),
        (Filter(text="both/dog"), 1),  # its second file
    ],
)
def test_filters(album: Album, wanted: Filter, count: int) -> None:
    assert (album.look(wanted).count, album.count(wanted).count) == (count, count)


def test_a_picture_is_found_by_its_id(album: Album) -> None:
    row = album.look().items[5].row
    assert [item.row for item in album.all(Filter(text=row.sample[:20].upper()))] == [row]


def test_facets_count_what_another_choice_would_give(album: Album) -> None:
    found = album.count(Filter(labels=("cat",)))
    assert found.labels == {"cat": 6, "dog": 3}  # of its own kind the choice is not minded
    assert found.splits == {"train": 6, "test": 0, "trusted": 0}
    assert found.statuses["ok"] == 6
    assert found.findings == {"conflict": 0}
    assert found.metadata["site"] == {"A": 3, "B": 3, "C": 0}
    assert album.count().metadata == {"site": {"A": 6, "B": 3, "C": 1}, "year": {"7": 6}}


def test_orders(album: Album) -> None:
    trust = [item.row.trust for item in album.all(Filter(order=Order.DOUBTFUL))]
    assert trust == sorted(trust)
    labels = [item.row.label for item in album.all(Filter(order=Order.CLASS, labels=("dog", "cat")))]
    assert labels == ["cat"] * 6 + ["dog"] * 3


def test_what_files_say_is_read_again_after_an_ingest(album: Album, manifest: Manifest) -> None:
    assert album.look(Filter(metadata=(("site", "Z"),))).count == 0
    rows = [{"path": "again.png", "label": "cat", "split": "train", "site": "Z"}]
    album.project.ingest(manifest({"again.png": picture_bytes("cat", 0)}, rows, name="more.csv"), "pets")
    assert album.look(Filter(metadata=(("site", "Z"),))).count == 1


def test_the_newest_version_and_an_older_one(album: Album) -> None:
    assert album.look().version == "pets@1"
    album.project.settle("pets", [album.look().items[0].row.sample], "newt")
    assert album.look(Filter(labels=("newt",))).count == 1
    assert album.look(Filter(labels=("newt",)), ref="pets@1").count == 0
    with pytest.raises(NotFoundError):
        album.look(ref="pets@9")


@pytest.mark.parametrize(("offset", "limit"), [(-1, 1), (0, 0), (0, 501)])
def test_windows_out_of_range(album: Album, offset: int, limit: int) -> None:
    with pytest.raises(UsageError):
        album.look(offset=offset, limit=limit)


@pytest.mark.parametrize(
    "word", [("split", "dev"), ("status", "?"), ("least", "x"), ("most", "2"), ("order", "random")]
)
def test_words_that_mean_nothing(word: tuple[str, str]) -> None:
    with pytest.raises(UsageError):
        Filter.of([word])


filters = st.builds(
    Filter,
    labels=st.lists(st.sampled_from(["cat", "dog", "newt"]), unique=True).map(tuple),
    splits=st.lists(st.sampled_from(Split), unique=True).map(tuple),
    statuses=st.lists(st.sampled_from(Status), unique=True).map(tuple),
    trust=st.tuples(st.integers(0, 500), st.integers(500, 1000)),
    findings=st.sampled_from([(), ("conflict",)]),
    metadata=st.lists(st.tuples(st.sampled_from(["site", "year"]), st.sampled_from("ABC7")), max_size=2).map(tuple),
    text=st.sampled_from(["", "cat", "0", ".png"]),
    order=st.sampled_from(Order),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An album that nobody changes."""
    root = tmp_path_factory.mktemp("album")
    (root / "in").mkdir()
    lines = ["path,label,split,site"]
    for number in range(9):
        label = ("cat", "dog", "")[number % 3]
        (root / "in" / f"{number}.png").write_bytes(picture_bytes(label or "eel", number))
        lines.append(f"{number}.png,{label},{('train', 'test')[number % 2]},{'ABC'[number % 3]}")
    (root / "in" / "list.csv").write_text("\n".join(lines))
    with Project.init(root / "project") as project:
        project.ingest(root / "in" / "list.csv", "pets")
        yield Album(project)


@given(wanted=filters, size=st.integers(1, 12))
@settings(max_examples=60)
def test_windows_one_after_the_other_are_the_whole(shared: Album, wanted: Filter, size: int) -> None:
    whole = shared.look(wanted, limit=None)
    pieces = [shared.look(wanted, offset=start, limit=size) for start in range(0, whole.count + size, size)]
    assert tuple(item for piece in pieces for item in piece.items) == whole.items
    assert {piece.count for piece in pieces} == {whole.count}
    assert shared.count(wanted).count == whole.count == len({item.row.sample for item in whole.items})


@given(wanted=filters)
@settings(max_examples=60)
def test_words_of_an_address_say_the_whole_filter(wanted: Filter) -> None:
    assert Filter.of(wanted.words) == wanted


@given(wanted=filters)
@settings(max_examples=60)
def test_facets_are_what_that_choice_gives(shared: Album, wanted: Filter) -> None:
    from dataclasses import replace

    found = shared.count(wanted)
    for split, count in found.splits.items():
        assert shared.look(replace(wanted, splits=(Split(split),))).count == count
    one = Counter(item.row.label for item in shared.all(replace(wanted, labels=())))
    assert found.labels == {name: one[name] for name in found.labels}
