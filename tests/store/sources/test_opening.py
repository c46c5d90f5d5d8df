"""The door: what a path may be, and what every layout gives, from a folder or from an archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pellucid.errors import SourceError, UsageError
from pellucid.store.sources import LAYOUTS, Item, open_source
from pellucid.types import Split

Files = Mapping[str, bytes | str]
Row = tuple[str, str | None, Split | None]

EXAMPLES: Mapping[str, tuple[Files, list[Row]]] = {
    "folders": (
        {"cat/1.jpg": "a", "cat/old/2.JPEG": "b", "dog/3.png": "c"},
        [("cat/1.jpg", "cat", None), ("cat/old/2.JPEG", "cat", None), ("dog/3.png", "dog", None)],
    ),
    "splits": (
        {"Train/cat/1.jpg": "a", "Train/dog/2.jpg": "b", "test/cat/3.jpg": "c", "trusted/dog/4.jpg": "d"},
        [
            ("Train/cat/1.jpg", "cat", Split.TRAIN),
            ("Train/dog/2.jpg", "dog", Split.TRAIN),
            ("test/cat/3.jpg", "cat", Split.TEST),
            ("trusted/dog/4.jpg", "dog", Split.TRUSTED),
        ],
    ),
    "groundtruth": (
        {
            "train/groundtruth.csv": "image,class\n1.jpg,cat\n",
            "train/1.jpg": "a",
            "test/groundtruth.csv": "image,class\n2.jpg,dog\n",
            "test/2.jpg": "b",
        },
        [("test/2.jpg", "dog", Split.TEST), ("train/1.jpg", "cat", Split.TRAIN)],
    ),
    "metadata": (
        {
            "train/metadata.jsonl": '{"file_name": "1.jpg", "label": 0}\n',
            "train/1.jpg": "a",
            "validation/metadata.jsonl": '{"file_name": "2.jpg", "label": 1}\n',
            "validation/2.jpg": "b",
        },
        [("train/1.jpg", "0", Split.TRAIN), ("validation/2.jpg", "1", Split.TEST)],
    ),
    "manifest": (
        {
            "manifest.csv": "file,label,split\nall/1.jpg,cat,train\nall/2.jpg,,\n",
            "all/1.jpg": "a",
            "all/2.jpg": "b",
        },
        [("all/1.jpg", "cat", Split.TRAIN), ("all/2.jpg", None, None)],
    ),
}


def rows(items: object) -> list[Row]:
    assert isinstance(items, list)
    assert all(isinstance(item, Item) for item in items)
    return [(item.path, item.label, item.split) for item in items]


def test_every_layout_has_an_example() -> None:
    assert set(EXAMPLES) == set(LAYOUTS)


@pytest.mark.parametrize("wrapper", ["", "wrapped/twice/"])
@pytest.mark.parametrize("packing", ["folder", "a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
@pytest.mark.parametrize("layout", EXAMPLES)
def test_every_layout_from_everywhere(
    layout: str,
    packing: str,
    wrapper: str,
    make_tree: Callable[[Files], Path],
    make_archive: Callable[[str, Files], Path],
) -> None:
    files, expected = EXAMPLES[layout]
    wrapped = {wrapper + name: content for name, content in files.items()}
    path = make_tree(wrapped) if packing == "folder" else make_archive(packing, wrapped)
    with open_source(path) as source:
        assert source.layout == layout
        assert rows(source.items) == expected
        assert [item.read() for item in source.items] == [str(files[item.path]).encode() for item in source.items]
        assert source.location == str(path)
        assert "\n" not in source.description
        assert f"{len(expected)}" in source.description
        assert ("looked through" in source.description) == bool(wrapper)
    with open_source(path, layout=layout) as source:
        assert rows(source.items) == expected


@pytest.mark.parametrize("packing", ["folder", "a.zip", "a.tar", "a.tar.xz"])
def test_threads_read_at_once(
    packing: str, make_tree: Callable[[Files], Path], make_archive: Callable[[str, Files], Path]
) -> None:
    files = {f"class {i % 7}/{i}.jpg": f"{i}," * (i * 50) for i in range(200)}
    path = make_tree(files) if packing == "folder" else make_archive(packing, files)
    with open_source(path) as source, ThreadPoolExecutor(8) as pool:
        read = dict(zip([i.path for i in source.items], pool.map(Item.read, source.items), strict=True))
    assert read == {name: content.encode() for name, content in files.items()}


def test_the_same_tree_gives_the_same_order_however_it_was_written(
    make_archive: Callable[[str, Files], Path],
) -> None:
    names = ["b/1.jpg", "a/10.jpg", "a/2.jpg", "B/1.jpg", "é/1.jpg"]
    for archive in ("a.zip", "a.tar"):
        for order in (names, names[::-1]):
            with open_source(make_archive(archive, dict.fromkeys(order, b"x"))) as source:
                assert [item.path for item in source.items] == sorted(names)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no '.*gone'; offer"), open_source(tmp_path / "gone"):
        pass


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.csv").touch()
    (tmp_path / "a.zip").touch()
    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(SourceError, match="cannot list the folder"), open_source(tmp_path):
        pass
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with (
        pytest.raises(SourceError, match=r"cannot read '.*a\.csv': Permission denied"),
        open_source(tmp_path / "a.csv"),
    ):
        pass
    monkeypatch.setattr(Path, "open", refuse)
    with (
        pytest.raises(SourceError, match=r"cannot read '.*a\.zip': Permission denied"),
        open_source(tmp_path / "a.zip"),
    ):
        pass
    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(SourceError, match="cannot look at"), open_source(tmp_path):
        pass


def test_neither_folder_nor_archive_nor_table(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with (
        pytest.raises(SourceError, match="none of: a folder, an archive"),
        open_source(tmp_path / "notes.txt"),
    ):
        pass
    with pytest.raises(SourceError, match="none of"), open_source("/dev/null"):
        pass


def test_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no layout 'imagenet'; known: auto, manifest"):
        open_source(tmp_path, layout="imagenet").__enter__()


@pytest.mark.parametrize("packing", ["folder", "a.zip", "a.tar", "a.tar.gz"])
def test_empty(packing: str, make_tree: Callable[[Files], Path], make_archive: Callable[[str, Files], Path]) -> None:
    path = make_tree({".hidden/1.jpg": "x", "Thumbs.db": "x"}) if packing == "folder" else make_archive(packing, {})
    with pytest.raises(SourceError, match="is empty"), open_source(path):
        pass


def test_a_table_can_only_be_read_as_one(make_tree: Callable[[Files], Path]) -> None:
    root = make_tree({"any.csv": "file,label\ncat/1.jpg,cat\n", "cat/1.jpg": "x"})
    for layout in ("auto", "manifest", "metadata"):
        with open_source(root / "any.csv", layout=layout) as source:
            assert rows(source.items) == [("cat/1.jpg", "cat", None)]
            assert source.layout == ("manifest" if layout == "auto" else layout)
            assert source.location == str(root / "any.csv")
    with pytest.raises(SourceError, match="is a table, not folders"):
        open_source(root / "any.csv", layout="folders").__enter__()
