"""Specifications of extractors, as people see them; costs nothing to import."""

from __future__ import annotations


def short_spec(extractor: str) -> str:
    """An extractor's specification without the folders.

    >>> short_spec("onnx:/data/weights/mobilenetv2_100.onnx"), short_spec("classical")
    ('onnx:mobilenetv2_100.onnx', 'classical')
    >>> short_spec("views:mirror:onnx:/data/weights/mobilenetv2_100.onnx")
    'views:mirror:onnx:mobilenetv2_100.onnx'
    """
    if extractor.startswith("views:"):
        _, name, of = extractor.split(":", 2)
        return f"views:{name}:{short_spec(of)}"
    kind, colon, place = extractor.partition(":")
    return f"{kind}:{place.rpartition('/')[2]}" if colon and kind in ("onnx", "openvino") else extractor
