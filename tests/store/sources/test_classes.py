"""Class folders, with and without splits above them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pellucid.errors import SourceError
from pellucid.store.sources import open_source
from pellucid.types import Split

Files = Mapping[str, bytes | str]


def test_what_is_no_image_is_left_out_and_counted(make_tree: Callable[[Files], Path]) -> None:
    clutter = dict.fromkeys(("cat/.DS_Store", "cat/Thumbs.db", "desktop.ini", "__MACOSX/1.jpg", ".git/2.jpg"), "x")
    root = make_tree(
        {"cat/1.jpg": "x", "cat/README.txt": "x", "dog/2.jpg": "x", "loose.jpg": "x", "cow/": "", **clutter}
    )
    with open_source(root) as source:
        assert [(item.path, item.label) for item in source.items] == [
            ("cat/1.jpg", "cat"),
            ("dog/2.jpg", "dog"),
            ("loose.jpg", None),
        ]
        assert source.warnings == (
            "1 image in no class folder, taken as unlabelled: 'loose.jpg'",
            "1 class folder without an image: 'cow'",
            "1 file left out for a suffix that is no image's: 'cat/README.txt'",
        )
        assert source.description.endswith(": 3 images in 2 classes ('cat', 'dog')")


def test_any_content_under_an_images_suffix_is_an_item(make_tree: Callable[[Files], Path]) -> None:
    with open_source(make_tree({"cat/text.jpg": "not a picture", "cat/empty.png": ""})) as source:
        assert [item.read() for item in source.items] == [b"", b"not a picture"]


def test_validation_is_test_where_there_is_none(make_tree: Callable[[Files], Path]) -> None:
    with open_source(make_tree({"train/cat/1.jpg": "x", "val/cat/2.jpg": "x"})) as source:
        assert [item.split for item in source.items] == [Split.TRAIN, Split.TEST]
        assert source.warnings == ("'val' counts as test, as there is no test split",)


def test_validation_is_train_beside_a_test_split(make_tree: Callable[[Files], Path]) -> None:
    with open_source(make_tree({"testing/cat/1.jpg": "x", "Valid/cat/2.jpg": "x"})) as source:
        assert [item.split for item in source.items] == [Split.TRAIN, Split.TEST]
        assert source.warnings == ("'Valid' counts as train, as there is a test split too",)


def test_images_directly_in_a_split_are_unlabelled(make_tree: Callable[[Files], Path]) -> None:
    root = make_tree({"train/cat/1.jpg": "x", "train/dog/": "", "test/2.jpg": "x", "3.jpg": "x"})
    with open_source(root) as source:
        assert [(item.path, item.label, item.split) for item in source.items] == [
            ("3.jpg", None, None),
            ("test/2.jpg", None, Split.TEST),
            ("train/cat/1.jpg", "cat", Split.TRAIN),
        ]
        assert source.warnings == (
            "2 images in no class folder, taken as unlabelled: '3.jpg', 'test/2.jpg'",
            "1 class folder without an image: 'train/dog'",
        )


@pytest.mark.parametrize("layout", ["folders", "splits"])
def test_no_class_folder(layout: str, make_tree: Callable[[Files], Path]) -> None:
    with (
        pytest.raises(SourceError, match="holds 2 images but none in a class folder; lay them out as"),
        open_source(make_tree({"1.jpg": "x", "2.jpg": "x"}), layout=layout),
    ):
        pass
