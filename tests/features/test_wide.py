"""A wide look: what is looked at beside, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pellucid.features.extractor import open_extractor
from pellucid.features.wide import join, wide_specs

DIMS = (4, 7)


@pytest.mark.parametrize(
    ("spec", "seen"),
    [
        ("onnx:{}", "views:turns:onnx:{}"),
        ("views:mirror:onnx:{}", "views:mirror:onnx:{}"),  # it has views already
        ("openvino:{}", "views:turns:openvino:{}"),
    ],
)
def test_a_network_is_turned_and_has_hand_made_features_beside(
    make_onnx: Callable[..., Path], spec: str, seen: str
) -> None:
    path = make_onnx()
    parts = wide_specs(open_extractor(spec.format(path)))
    assert parts == (seen.format(path), "classical")
    for part in parts:
        open_extractor(part)


@pytest.mark.parametrize("spec", ["classical", "views:turns:classical"])
def test_hand_made_features_have_nothing_new_beside(spec: str) -> None:
    assert wide_specs(open_extractor(spec)) == ()


def test_each_part_counts_by_its_share_whatever_its_length() -> None:
    rng = np.random.default_rng(0)
    seen, made = (rng.normal(size=(5, d)).astype(np.float32) for d in DIMS)
    both = join([seen, made], DIMS)
    assert both.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(both[:, :4], axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(both[:, 4:], axis=1), 0.5, rtol=1e-6)
    scaled = [np.float32(9) * seen, made / np.float32(9)]
    np.testing.assert_allclose(join(scaled, DIMS), both, rtol=1e-5)
    assert not join([np.zeros_like(seen), made], DIMS)[:, :4].any()
