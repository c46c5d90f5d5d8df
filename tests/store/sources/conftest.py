"""Trees of files, and archives of them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
Files = Mapping[str, bytes | str]


@pytest.fixture
def make_tree(tmp_path: Path) -> Callable[[Files], Path]:
    """Write files by their relative names below a new folder and name that; "x/" is an empty folder."""

    def make(files: Files) -> Path:
        root = tmp_path / "offered"
        root.mkdir()
        for name, content in files.items():
            path = root / name
            if name.endswith("/"):
                path.mkdir(parents=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return make


@pytest.fixture
def make_archive(tmp_path: Path) -> Callable[[str, Files], Path]:
    """Pack files by the suffix of the archive's name."""

    def make(name: str, files: Files) -> Path:
        path = tmp_path / name
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
                for member, content in files.items():
                    packed.writestr(member, content)
            return path
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar:
            for member, content in files.items():
                data = content.encode() if isinstance(content, str) else content
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        path.write_bytes(COMPRESS[path.suffix](plain.getvalue()))
        return path

    return make
