"""Folders: links, odd names and odd files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from pellucid.errors import ImageError, SourceError
from pellucid.store.sources import open_source

Files = Mapping[str, bytes | str]


def reasons(path: Path, max_image_bytes: int = 1000) -> dict[str, str]:
    """Read every item; name its content, or the reason why there is none."""
    found = {}
    with open_source(path, max_image_bytes=max_image_bytes) as source:
        for item in source.items:
            try:
                found[item.path] = item.read().decode()
            except ImageError as error:
                found[item.path] = error.reason
    return found


def test_links_to_files(make_tree: Callable[[Files], Path]) -> None:
    root = make_tree({"cat/1.jpg": "one"})
    (root.parent / "outside.jpg").write_text("secret")
    (root / "cat/in.jpg").symlink_to("1.jpg")
    (root / "cat/out.jpg").symlink_to(root.parent / "outside.jpg")
    (root / "cat/up.jpg").symlink_to("../../outside.jpg")
    (root / "cat/dangling.jpg").symlink_to("gone.jpg")
    (root / "cat/self.jpg").symlink_to("self.jpg")
    assert reasons(root) == {
        "cat/1.jpg": "one",
        "cat/in.jpg": "one",
        "cat/out.jpg": "unsafe path",
        "cat/up.jpg": "unsafe path",
        "cat/dangling.jpg": "missing",
        "cat/self.jpg": "unreadable",
    }


def test_links_to_folders(make_tree: Callable[[Files], Path]) -> None:
    root = make_tree({"all/cat/1.jpg": "one", "dog/2.jpg": "two"})
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "3.jpg").write_text("secret")
    (root / "cat").symlink_to("all/cat")
    (root / "out").symlink_to(outside)
    (root / "dog/loop").symlink_to("..")
    (root / "all/cat/loop").symlink_to("../../dog")
    (root / "manifest.csv").write_text("file,label\nout/3.jpg,cat\ncat/1.jpg,cat\n")
    assert reasons(root) == {"out/3.jpg": "unsafe path", "cat/1.jpg": "one"}
    with open_source(root, layout="folders") as source:
        assert [item.path for item in source.items] == [
            "all/cat/1.jpg",
            "all/cat/loop/2.jpg",
            "cat/1.jpg",
            "dog/2.jpg",
        ]
        assert source.warnings[0].startswith("4 of the entries are links to folders outside, above or behind")


def test_the_root_itself_may_be_a_link(make_tree: Callable[[Files], Path]) -> None:
    root = make_tree({"cat/1.jpg": "one"})
    (root.parent / "link").symlink_to(root)
    assert reasons(root.parent / "link") == {"cat/1.jpg": "one"}


def test_odd_names(make_tree: Callable[[Files], Path]) -> None:
    names = ["a b.jpg", "ü.jpg", "日本.jpg", "line\nbreak.jpg", "'\".jpg", "%20.jpg", "a\\b.jpg", "-.JPG"]
    root = make_tree({f"class one/{name}": name for name in names})
    (root / os.fsdecode(b"class one/caf\xe9.jpg")).write_text("latin")
    (root / os.fsdecode(b"caf\xe9")).mkdir()
    (root / os.fsdecode(b"caf\xe9/1.jpg")).write_text("class")
    assert reasons(root) == {
        **{f"class one/{name}": name for name in names},
        "class one/caf\\udce9.jpg": "latin",
        "caf\\udce9/1.jpg": "class",
    }
    with open_source(root) as source:
        assert {item.label for item in source.items} == {"class one", "caf\\udce9"}
        assert "\n" not in source.description


def test_special_files(make_tree: Callable[[Files], Path]) -> None:
    root = make_tree({"cat/1.jpg": "one", "manifest.csv": "file,label\ncat/pipe.jpg,cat\n"})
    os.mkfifo(root / "cat/pipe.jpg")
    assert reasons(root) == {"cat/pipe.jpg": "unreadable"}
    with open_source(root, layout="folders") as source:
        assert (
            source.warnings[0] == "1 of the entries are neither files nor folders and are passed over: 'cat/pipe.jpg'"
        )


def test_a_size_cap(make_tree: Callable[[Files], Path]) -> None:
    assert reasons(make_tree({"cat/10.jpg": "x" * 10, "cat/11.jpg": "x" * 11}), max_image_bytes=10) == {
        "cat/10.jpg": "x" * 10,
        "cat/11.jpg": "too large",
    }


def test_a_file_that_vanishes_after_listing(make_tree: Callable[[Files], Path]) -> None:
    root = make_tree({"cat/1.jpg": "one", "cat/2.jpg": "two"})
    with open_source(root) as source:
        (root / "cat/1.jpg").unlink()
        with pytest.raises(ImageError, match=r"missing: there is no file 'cat/1\.jpg'"):
            source.items[0].read()
        assert source.items[1].read() == b"two"


def test_an_unreadable_folder_below_is_told(
    make_tree: Callable[[Files], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree({"cat/1.jpg": "one", "dog/2.jpg": "two"})
    scan = os.scandir

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        if path.endswith("/dog"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr("os.scandir", refuse)
    with open_source(root) as source:
        assert [item.path for item in source.items] == ["cat/1.jpg"]
        assert source.warnings[0] == "1 of the entries cannot be read and are passed over: 'dog'"


def test_a_cap_on_files(make_tree: Callable[[Files], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.store.sources.folder.MAX_FILES", 2)
    with pytest.raises(SourceError, match="holds over 2 files"):
        open_source(make_tree({f"cat/{i}.jpg": "x" for i in range(3)})).__enter__()
