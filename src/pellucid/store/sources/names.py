"""File names: which are images, which are clutter, which are safe, and how they are shown."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"),  # as in ImageFolder
        *(".gif", ".jfif", ".avif", ".heic"),  # better set aside with a reason than overlooked
    }
)
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"})
TABLE_STEMS = ("manifest", "metadata", "groundtruth")
CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
MAX_FILES = 5_000_000  # in one source


def is_image(name: str) -> bool:
    """Whether a file name ends like an image's; case does not matter.

    >>> is_image("cat/1.JPG"), is_image("cat/README.txt")
    (True, False)
    """
    return posixpath.splitext(name)[1].lower() in IMAGE_SUFFIXES


def is_table(name: str, stem: str = "") -> bool:
    """Whether a file name ends like a table's, and is named ``stem`` where one is given.

    >>> is_table("labels.csv"), is_table("train/Metadata.jsonl", "metadata"), is_table("a.csv", "metadata")
    (True, True, False)
    """
    root, suffix = posixpath.splitext(posixpath.basename(name).lower())
    return suffix in TABLE_SUFFIXES and stem in ("", root)


def is_clutter(part: str) -> bool:
    """Whether one part of a path is hidden, or is left behind by a file manager.

    >>> is_clutter(".DS_Store"), is_clutter("Thumbs.db"), is_clutter("cat.jpg")
    (True, True, False)
    """
    return part.startswith(".") or part.lower() in CLUTTER


def within(name: str) -> str | None:
    """Bring a relative POSIX path to its shortest form; None if it is absolute or climbs out of its root.

    >>> within("./cat//a.jpg"), within("cat/../dog/b.jpg"), within("../b.jpg"), within("/etc/passwd")
    ('cat/a.jpg', 'dog/b.jpg', None, None)
    """
    if name.startswith("/") or name[1:3] in (":/", ":\\") or "\0" in name:
        return None
    short = posixpath.normpath(name)
    return None if short == ".." or short.startswith("../") else short


def printable(text: str) -> str:
    r"""Make text that every database stores: undecodable bytes and NUL become visible escapes.

    >>> printable("caf\udce9.jpg"), printable("café.jpg")
    ('caf\\udce9.jpg', 'café.jpg')
    """
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def some(names: Iterable[str], shown: int = 3) -> str:
    """Name the first few, on one line, and count the rest.

    >>> some(["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"])
    "'a.txt', 'b.txt', 'c.txt' and 2 more"
    """
    every = list(names)
    more = f" and {len(every) - shown:,} more" if len(every) > shown else ""
    return ", ".join(map(repr, every[:shown])) + more


def counted(number: int, noun: str, plural: str = "") -> str:
    """Say how many, in the right number.

    >>> counted(1, "image"), counted(2022, "image"), counted(6, "class", "classes")
    ('1 image', '2,022 images', '6 classes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
