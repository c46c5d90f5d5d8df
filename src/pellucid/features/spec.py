"""Specifications of extractors, as people see them; costs nothing to import."""

from __future__ import annotations


def short_spec(extractor: str) -> str:
    """An extractor's specification without the folders.

    >>> short_spec("onnx:/data/weights/mobilenetv2_100.onnx"), short_spec("classical")
    ('onnx:mobilenetv2_100.onnx', 'classical')
    """
    kind, colon, place = extractor.partition(":")
    return f"{kind}:{place.rpartition('/')[2]}" if colon and kind in ("onnx", "openvino") else extractor
