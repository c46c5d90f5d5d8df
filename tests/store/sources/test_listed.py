"""Tables of images: whose rows become which items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pellucid.errors import ImageError, SourceError
from pellucid.store.sources import open_source
from pellucid.types import Split

Files = Mapping[str, bytes | str]


def test_two_annotators_of_one_image_are_two_items(make_tree: Callable[[Files], Path]) -> None:
    table = "filename,category,worker,site,note\n1.jpg,cat,ann,A,\n1.jpg,dog,bob,A,unsure\n2.jpg,,,B,\n"
    with open_source(make_tree({"manifest.csv": table, "1.jpg": "x", "2.jpg": "y"})) as source:
        assert [(item.path, item.label, item.annotator, dict(item.metadata)) for item in source.items] == [
            ("1.jpg", "cat", "ann", {"site": "A"}),
            ("1.jpg", "dog", "bob", {"site": "A", "note": "unsure"}),
            ("2.jpg", None, None, {"site": "B"}),
        ]
        assert source.description == (
            "manifest in 'manifest.csv' (file from 'filename', label from 'category', annotator "
            "from 'worker', 2 columns of metadata): 3 rows for 2 images in 2 classes ('cat', 'dog')"
        )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone.jpg", "missing"),
        ("", "missing"),
        ("cat", "unreadable"),
        ("../outside.jpg", "unsafe path"),
        ("cat/../../outside.jpg", "unsafe path"),
        ("/etc/hostname", "unsafe path"),
        ("C:\\images\\1.jpg", "unsafe path"),
        ("..\\outside.jpg", "unsafe path"),
        ("same.jpg", "ambiguous path"),
        ("x" * 5000 + ".jpg", "unreadable"),
    ],
)
def test_a_row_whose_image_cannot_be_read(name: str, reason: str, make_tree: Callable[[Files], Path]) -> None:
    root = make_tree({"manifest.csv": f"file,label\n{name},cat\n", "cat/same.jpg": "x", "dog/same.jpg": "x"})
    (root.parent / "outside.jpg").write_text("secret")
    with open_source(root) as source:
        (item,) = source.items
        assert item.path == (name or "line 2 of 'manifest.csv'")
        with pytest.raises(ImageError) as caught:
            item.read()
        assert caught.value.reason == reason


@pytest.mark.parametrize("spelling", ["./a b.jpg", "cat/../a b.jpg", " a b.jpg ", ".\\a b.jpg", "{root}/a b.jpg"])
def test_spellings_of_one_path(spelling: str, make_tree: Callable[[Files], Path]) -> None:
    root = make_tree({"cat/": "", "a b.jpg": "x"})
    (root / "manifest.csv").write_text(f"file,label\n{spelling.format(root=root)},cat\n")
    with open_source(root) as source:
        assert [(item.path, item.read()) for item in source.items] == [("a b.jpg", b"x")]


def test_groundtruth_at_the_top_with_a_split_column(make_tree: Callable[[Files], Path]) -> None:
    table = "image,label,set\n1.jpg,cat,train\n1.jpg,dog,test\ntrain/2.jpg,cat,test\n"
    files = {"groundtruth.csv": table, "train/1.jpg": "a", "test/1.jpg": "b", "train/2.jpg": "c"}
    with open_source(make_tree(files)) as source:
        assert [(item.path, item.label, item.split) for item in source.items] == [
            ("test/1.jpg", "dog", Split.TEST),
            ("train/1.jpg", "cat", Split.TRAIN),
            ("train/2.jpg", "cat", Split.TEST),
        ]


def test_groundtruth_at_the_top_without_a_split_column(make_tree: Callable[[Files], Path]) -> None:
    table = "image,label\n1.jpg,cat\ntest/2.jpg,dog\ngone.jpg,dog\n"
    files = {"groundtruth.csv": table, "train/images/1.jpg": "a", "test/2.jpg": "b"}
    with open_source(make_tree(files)) as source:
        assert [(item.path, item.label, item.split) for item in source.items] == [
            ("gone.jpg", "dog", None),
            ("test/2.jpg", "dog", Split.TEST),
            ("train/images/1.jpg", "cat", Split.TRAIN),
        ]


def test_folders_tell_the_split_only_if_all_do(make_tree: Callable[[Files], Path]) -> None:
    table = "image,label\ntrain/1.jpg,train\nbus/2.jpg,bus\n"
    with open_source(make_tree({"manifest.csv": table, "train/1.jpg": "a", "bus/2.jpg": "b"})) as source:
        assert [item.split for item in source.items] == [None, None]


def test_a_table_in_a_splits_folder_may_name_images_from_the_top(make_tree: Callable[[Files], Path]) -> None:
    files = {"train/metadata.csv": "file_name,label\ntrain/1.jpg,cat\n../all/2.jpg,dog\n"}
    with open_source(make_tree({**files, "train/1.jpg": "a", "all/2.jpg": "b"})) as source:
        assert [(item.path, item.split, item.read()) for item in source.items] == [
            ("all/2.jpg", Split.TRAIN, b"b"),
            ("train/1.jpg", Split.TRAIN, b"a"),
        ]


def test_the_splits_of_all_tables_are_weighed_together(make_tree: Callable[[Files], Path]) -> None:
    table = "file_name,label\n1.jpg,cat\n"
    files = {
        f"{split}/{name}": text for split in ("val", "test") for name, text in (("metadata.csv", table), ("1.jpg", "x"))
    }
    with open_source(make_tree(files)) as source:
        assert [item.split for item in source.items] == [Split.TEST, Split.TRAIN]
        assert source.warnings == ("'val' counts as train, as there is a test split too",)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "label,site\ncat,A\n",
            "'manifest.csv' has no file column; seen: 'label', 'site'; accepted: file, file_name",
        ),
        (
            "file,site\n1.jpg,A\n",
            "'manifest.csv' has no label column; seen: 'file', 'site'; accepted: label, class",
        ),
        ("", "has no file column; seen: none"),
        ("file,label\n", "'manifest.csv' lists no image"),
        (
            "file,label,split\n1.jpg,cat,train\n2.jpg,cat,fold 3\n",
            "line 3 of 'manifest.csv' has the unknown split 'fold 3'",
        ),
    ],
)
def test_a_table_that_cannot_be_used(table: str, message: str, make_tree: Callable[[Files], Path]) -> None:
    with pytest.raises(SourceError) as caught, open_source(make_tree({"manifest.csv": table, "1.jpg": "x"})):
        pass
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_nested_label_is_refused(make_tree: Callable[[Files], Path]) -> None:
    root = make_tree({"manifest.jsonl": '{"file": "1.jpg", "label": "cat"}\n{"file": "2.jpg", "label": ["cat"]}\n'})
    with (
        pytest.raises(SourceError, match=r"line 2 of 'manifest.jsonl' holds a list in 'label'"),
        open_source(root),
    ):
        pass


def test_a_table_that_leads_outside_is_refused(make_tree: Callable[[Files], Path]) -> None:
    root = make_tree({"cat/1.jpg": "x"})
    (root.parent / "outside.csv").write_text("file,label\ncat/1.jpg,cat\n")
    (root / "manifest.csv").symlink_to(root.parent / "outside.csv")
    with (
        pytest.raises(SourceError, match=r"cannot read the table 'manifest.csv' .*unsafe path"),
        open_source(root),
    ):
        pass
    with open_source(root / "manifest.csv") as source:  # whoever offers the link itself means it
        assert [item.read() for item in source.items] == [b"x"]


def test_text_that_no_database_stores_is_escaped(make_tree: Callable[[Files], Path]) -> None:
    row = r'{"file": "\ud800.jpg", "label": "c\u0000at", "annotator": "\udce9", "a\ud800": "b\ud800"}'
    with open_source(make_tree({"manifest.jsonl": row, "1.jpg": "x"})) as source:
        (item,) = source.items
        assert (item.path, item.label, item.annotator) == ("\\ud800.jpg", "c\\x00at", "\\udce9")
        assert item.metadata == {"a\\ud800": "b\\ud800"}
        with pytest.raises(ImageError, match="missing"):
            item.read()
