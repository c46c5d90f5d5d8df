"""Names."""

from __future__ import annotations

import posixpath

from hypothesis import given
from hypothesis import strategies as st

from pellucid.store.sources.names import IMAGE_SUFFIXES, is_image, printable, within

PARTS = st.lists(st.sampled_from(["..", ".", "", "a", "b"]), min_size=1)


def test_all_of_image_folders_suffixes_in_any_case() -> None:
    for suffix in (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"):
        assert suffix in IMAGE_SUFFIXES
        assert is_image(f"a.b{suffix.upper()}")


@given(PARTS)
def test_a_safe_name_never_leaves_its_root(parts: list[str]) -> None:
    name = "/".join(parts)
    safe = within(name)
    reached = posixpath.normpath(f"/r/o/o/t/{name}")
    if safe is not None:
        assert posixpath.normpath(f"/r/o/o/t/{safe}") == reached
        assert f"{reached}/".startswith("/r/o/o/t/")
    else:
        assert name.startswith("/") or not f"{reached}/".startswith("/r/o/o/t/")


@given(st.text(st.characters()))
def test_printable_text_is_encodable_and_stays_what_it_is_if_it_was(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown
    assert "\0" not in shown
    assert shown.encode().decode() == shown
