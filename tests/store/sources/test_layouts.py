"""Recognition: explicit, ordered, and refused where it would be a guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pellucid.errors import SourceError
from pellucid.store.sources import open_source

Files = Mapping[str, bytes | str]
TABLE = "file,label\ncat/1.jpg,cat\n"


def test_a_manifest_comes_before_the_folders_it_lists(make_tree: Callable[[Files], Path]) -> None:
    root = make_tree({"cat/1.jpg": "x", "dog/2.jpg": "x", "manifest.csv": TABLE})
    with open_source(root) as source:
        assert source.layout == "manifest"
        assert source.warnings == ("1 image left out as no table lists them: 'dog/2.jpg'",)
    with open_source(root, layout="folders") as source:
        assert [item.label for item in source.items] == ["cat", "dog"]
        assert source.warnings == ("1 file left out for a suffix that is no image's: 'manifest.csv'",)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"1.jpg": "x", "2.jpg": "x"},
            "no known layout (seen: 2 images, 2 of them in no folder; no folders)",
        ),
        ({"README.txt": "x"}, "no known layout (seen: 0 images, 0 of them in no folder; no folders"),
        ({"train/1.jpg": "x", "test/2.jpg": "x"}, "folders 'test', 'train'"),
        ({"images/1.jpg": "x", "labels.csv": TABLE}, "other files 'labels.csv'"),
        ({"cat/": "", "dog/": "", "notes.txt": "x"}, "folders 'cat', 'dog'"),
        ({"manifest.csv": TABLE, "metadata.csv": TABLE}, "could have any of the layouts manifest, metadata"),
        ({"train/cat/1.jpg": "x", "more/2.jpg": "x"}, "could have any of the layouts splits, folders"),
        ({"manifest.csv": TABLE, "manifest.jsonl": ""}, "several tables: 'manifest.csv', 'manifest.jsonl'"),
        ({"metadata.csv": TABLE, "train/metadata.csv": TABLE}, "several tables"),
    ],
)
def test_none_or_several_fit(files: Files, message: str, make_tree: Callable[[Files], Path]) -> None:
    with pytest.raises(SourceError) as caught, open_source(make_tree(files)):
        pass
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("manifest", "holds no manifest.csv"),
        ("metadata", "holds no metadata.csv"),
        ("groundtruth", "holds no groundtruth.csv"),
        ("splits", "unknown split folder 'cat'"),
    ],
)
def test_a_layout_that_does_not_fit(layout: str, message: str, make_tree: Callable[[Files], Path]) -> None:
    with pytest.raises(SourceError, match=message), open_source(make_tree({"cat/1.jpg": "x"}), layout=layout):
        pass


def test_the_only_table_is_the_manifest_when_told(make_tree: Callable[[Files], Path]) -> None:
    root = make_tree({"images/1.jpg": "x", "labels.csv": "file,label\nimages/1.jpg,cat\n"})
    with open_source(root, layout="manifest") as source:
        assert [item.label for item in source.items] == ["cat"]


def test_a_class_may_be_named_like_a_split(make_tree: Callable[[Files], Path]) -> None:
    with open_source(make_tree({"train/1.jpg": "x", "bus/2.jpg": "x"})) as source:
        assert [item.label for item in source.items] == ["bus", "train"]


def test_one_class_is_not_taken_for_a_wrapper(make_tree: Callable[[Files], Path]) -> None:
    with open_source(make_tree({"cat/1.jpg": "x", "cat/notes.csv": "x"})) as source:
        assert [(item.path, item.label) for item in source.items] == [("cat/1.jpg", "cat")]


def test_a_full_class_beside_an_empty_one_is_not_taken_for_a_wrapper(
    make_tree: Callable[[Files], Path],
) -> None:
    with open_source(make_tree({"cat/old/1.jpg": "x", "dog/": ""})) as source:
        assert [item.label for item in source.items] == ["cat"]
        assert source.warnings == ("1 class folder without an image: 'dog'",)


def test_one_split_is_not_taken_for_a_wrapper(make_tree: Callable[[Files], Path]) -> None:
    with open_source(make_tree({"train/cat/1.jpg": "x", "train/dog/2.jpg": "x"})) as source:
        assert source.layout == "splits"
