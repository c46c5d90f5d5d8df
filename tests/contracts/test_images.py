"""Packs of images: one suite for every database and every place that files can be kept in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from pellucid.errors import IntegrityError, NotFoundError
from pellucid.store.blobs import Blobs, digest_of
from pellucid.store.database import Database
from pellucid.store.images import MAGIC, Images
from pellucid.store.samples import add_samples
from pellucid.types import Sample

PICTURES = {digest_of(data): data for data in (b"a picture", b"", b"another picture" * 1000)}


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs.open(str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue("s3"))


def keep(database: Database, images: Images, pictures: Mapping[str, bytes], *, lost: set[str] | None = None) -> None:
    places = images.keep(pictures)
    rows = [
        (Sample(name, "image/png", 1, 1, len(data), bytes(1024)), places[name].pack, places[name].offset)
        for name, data in pictures.items()
    ]
    with database.write() as connection:
        add_samples(database, connection, rows, lost=lost or set())


def test_every_image_comes_back(database: Database, blobs: Blobs) -> None:
    images = Images(database, blobs)
    keep(database, images, PICTURES)
    assert {name: images.get(name) for name in PICTURES} == PICTURES
    assert {name: read() for name, read in images.readers(list(PICTURES)).items()} == PICTURES
    assert images.intact() == {bytes.fromhex(name) for name in PICTURES}
    assert len(blobs.sizes("packs", suffix=".pack")) == 1
    assert images.keep({}) == {}


def test_a_pack_tells_what_it_holds(database: Database, blobs: Blobs) -> None:
    place = next(iter(Images(database, blobs).keep(PICTURES).values()))
    data = blobs.get("packs", place.pack, suffix=".pack")
    assert data.endswith(MAGIC)
    length = int.from_bytes(data[-16:-8], "big")
    index = json.loads(data[-16 - length : -16])
    assert {name: data[start : start + size] for name, (start, size) in index.items()} == PICTURES


def test_what_is_not_there_or_not_right_is_told(database: Database, blobs: Blobs) -> None:
    images = Images(database, blobs)
    with pytest.raises(NotFoundError, match="no image aaaaaaaaaaaa"):
        images.get("a" * 64)
    liar = digest_of(b"what was meant")
    keep(database, images, {liar: b"what was kept!"})
    with pytest.raises(IntegrityError, match="damaged or edited"):
        images.get(liar)


def test_an_image_whose_pack_is_gone_can_be_kept_again(database: Database, tmp_path: Path) -> None:
    images = Images(database, Blobs.open(str(tmp_path / "store")))
    keep(database, images, PICTURES)
    for pack in (tmp_path / "store").rglob("*.pack"):
        pack.unlink()
    assert images.intact() == set()
    with pytest.raises(NotFoundError, match="removed from the store by hand"):
        images.get(digest_of(b"a picture"))
    one = digest_of(b"a picture")
    keep(database, images, {one: b"a picture"}, lost=set(PICTURES))
    assert images.get(one) == b"a picture"
    assert images.intact() == {bytes.fromhex(one)}


def test_an_image_whose_pack_was_cut_short_can_be_kept_again(database: Database, tmp_path: Path) -> None:
    images = Images(database, Blobs.open(str(tmp_path / "store")))
    keep(database, images, PICTURES)
    for pack in (tmp_path / "store").rglob("*.pack"):
        pack.write_bytes(pack.read_bytes()[:1])
    assert images.intact() == set()
    keep(database, images, PICTURES, lost=set(PICTURES))
    assert len(images.intact()) == len(PICTURES)
    assert images.get(digest_of(b"a picture")) == b"a picture"


def test_a_sample_that_is_there_keeps_its_place(database: Database, tmp_path: Path) -> None:
    images = Images(database, Blobs.open(str(tmp_path / "store")))
    keep(database, images, PICTURES)
    one = digest_of(b"a picture")
    keep(database, images, {one: b"a picture"})
    assert len({place.pack for place in images.keep(PICTURES).values()}) == 1
    assert images.get(one) == b"a picture"
