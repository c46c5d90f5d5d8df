"""Croissant 1.1 metadata (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html) of an exported dataset."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pellucid.types import DatasetVersion

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "image/jpeg": ".jpg",
        "image/png": ".png",
        "image/webp": ".webp",
        "image/bmp": ".bmp",
        "image/gif": ".gif",
        "image/tiff": ".tif",
    }
)  # media type -> file name ending

_FIELDS = {
    "label": ("sc:Text", "The class of the image."),
    "split": ("sc:Text", "train, test, or trusted: labels known to be right."),
    "trust": ("sc:Float", "How far the label is to be believed, 0 to 1."),
    "status": ("sc:Text", "ok, conflict, unlabelled or set_aside."),
    "group": ("sc:Text", "Images of one group are not independent; no split divides a group."),
    "sample": ("sc:Text", "The sha256 of the image file."),
}


def croissant(
    version: DatasetVersion,
    manifest: str,
    manifest_digest: str,
    metadata_keys: Sequence[str],
    media_types: Collection[str],
) -> str:
    """The JSON-LD text that describes an export of the version.

    Args:
        manifest: file name of the exported CSV, whose column ``file_name`` joins it with the images.
        manifest_digest: its sha256.
        metadata_keys: its further columns.
        media_types: of the images.
    """
    formats = [media_type for media_type in FORMATS if media_type in media_types]
    descriptions = _FIELDS | {key: ("sc:Text", f"{key}, as it came with the images.") for key in metadata_keys}
    # Joined by the files' own names, each of which is there once: mlcroissant finds no full path equal to a text.
    key = _field("file_name", "sc:Text", "Name of the image file.", {"fileObject": {"@id": manifest}})
    key["source"]["transform"] = {"regex": r"(?:.*/)?([^/]+)$"}
    key["references"] = {"fileSet": {"@id": "image-files"}, "extract": {"fileProperty": "filename"}}
    fields = [
        _field(name, kind, text, {"fileObject": {"@id": manifest}}) for name, (kind, text) in descriptions.items()
    ]
    image = _field("image", "sc:ImageObject", "The picture.", {"fileSet": {"@id": "image-files"}})
    image["source"]["extract"] = {"fileProperty": "content"}
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": version.dataset,
        "description": f"{version.dataset}, version {version.number}: images of {', '.join(version.classes)}.",
        "version": f"{version.number}.0.0",
        "datePublished": version.created_at.date().isoformat(),
        "identifier": version.content_id,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": manifest,
                "name": manifest,
                "contentUrl": manifest,
                "encodingFormat": "text/csv",
                "sha256": manifest_digest,
            },
            {
                "@type": "cr:FileSet",
                "@id": "image-files",
                "name": "image-files",
                "encodingFormat": formats,
                "includes": [f"**/*{FORMATS[media_type]}" for media_type in formats],
            },
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "images",
                "name": "images",
                "key": {"@id": "images/file_name"},
                "field": [key, *fields, image],
            }
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _field(name: str, kind: str, text: str, source: dict[str, Any]) -> dict[str, Any]:
    extract = {} if "fileSet" in source else {"extract": {"column": name}}
    return {
        "@type": "cr:Field",
        "@id": f"images/{_id(name)}",
        "name": name,
        "description": text,
        "dataType": kind,
        "source": {**source, **extract},
    }


def _id(name: str) -> str:
    """The name as an ``@id`` takes it, which may hold no space; distinct for distinct names.

    >>> _id("site"), _id("taken at")
    ('site', 'taken-20at')
    """
    return "".join(sign if sign.isalnum() or sign in "_." else f"-{ord(sign):02x}" for sign in name)


_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
