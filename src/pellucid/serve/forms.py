"""The bodies that images come in: the bytes themselves, a form, or JSON with base64. Bounded, and opened nowhere.

Everything a client says about names and places is ignored: a part's ``filename`` decides only whether it is a file,
and a text that looks like a path or a URL is a text.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pellucid.errors import RequestError

_MOST_HEADERS = 8 * 1024  # bytes of the headers of one part
_MOST_MARKS = 10_000  # brackets and commas of a JSON body; each may become an object of 64 bytes and more
_SPARE_PARTS = 100  # that a form may have beyond its images and texts: empty ones, or a boundary within the data
_LONGEST_NAME = 100  # characters of a field's name
_FILE_TYPES = ("image/", "application/octet-stream")
_SHOWN = 60  # characters of what was offered that a message repeats


@dataclass(frozen=True, slots=True)
class FormLimits:
    """What a body may hold."""

    image: int  # bytes of one image
    images: int
    texts: int  # fields that are no images
    text: int  # bytes of one of them


@dataclass(slots=True)
class Form:
    """What a body holds, in its order."""

    files: list[tuple[str, bytes]] = field(default_factory=list)  # the field's name, and what should be an image
    texts: dict[str, str] = field(default_factory=dict)

    def add_file(self, name: str, data: bytes, limits: FormLimits) -> None:
        """Another image; RequestError 413 where it is one too many, or too large."""
        if len(self.files) >= limits.images:
            raise RequestError(f"more than {limits.images} images; send them in several requests", status=413)
        if len(data) > limits.image:
            raise _too_large(name, limits.image)
        self.files.append((name, data))

    def add_text(self, name: str, text: str, limits: FormLimits) -> None:
        """Another text; RequestError where it is one too many, too long, or there already."""
        if name in self.texts:
            raise RequestError(f"the field {shown(name)} comes twice; wanted is one value")
        if len(self.texts) >= limits.texts:
            raise RequestError(f"more than {limits.texts} fields that are no images", status=413)
        if len(text) > limits.text:
            raise _too_large(name, limits.text)
        self.texts[name] = text


def parse_multipart(body: bytes, boundary: bytes, limits: FormLimits) -> Form:
    """A body of ``multipart/form-data`` (RFC 7578); nothing of it is written to disk.

    A part with a file name, or of the type of an image, is an image; others are texts in UTF-8. What browsers send
    for a file that nobody chose, an empty part with an empty name, is left out.

    Raises:
        RequestError: 400 where it is malformed or cut short, 413 where a limit is passed, 415 where a file declares
            that it is no image.
    """
    most = limits.images + limits.texts + _SPARE_PARTS
    if body.count(b"\r\n--" + boundary) > most:  # each costs the parser microseconds, and there is room for millions
        raise RequestError(f"the form's boundary stands in it more than {most} times; send fewer parts", status=413)
    reader = _Reader(limits)
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RequestError(f"the form is malformed: {error}; wanted is multipart/form-data by RFC 7578") from error
    if not reader.ended:
        raise RequestError("the form is cut short: its closing boundary is missing")
    return reader.form


def parse_json(body: bytes, limits: FormLimits) -> Form:
    r"""A JSON object: ``image`` is one image in base64, ``images`` is a list of them, other members are texts.

    >>> limits = FormLimits(image=100, images=4, texts=4, text=100)
    >>> parse_json(b'{"images": ["QUI=", "data:image/png;base64,Qw=="], "label": "cat"}', limits)
    Form(files=[('images', b'AB'), ('images', b'C')], texts={'label': 'cat'})

    Raises:
        RequestError: 400 where it is malformed or of another form, 413 where a limit is passed.
    """
    value = load_json(body)
    if not isinstance(value, dict):
        raise RequestError('the body is no JSON object; wanted is {"image": "<base64>"} or {"images": [...]}')
    form = Form()
    for name, member in value.items():
        _check_name(name)
        if name in ("image", "images"):
            for item in member if isinstance(member, list) and name == "images" else [member]:
                form.add_file(name, _decoded(name, item, limits.image), limits)
        elif isinstance(member, str):
            form.add_text(name, member, limits)
        elif member is None or isinstance(member, bool | int | float):
            form.add_text(name, json.dumps(member), limits)
        else:
            raise RequestError(f"the field {shown(name)} is a {type(member).__name__}; wanted is a text or a number")
    return form


def load_json(body: bytes) -> Any:
    """The value of a JSON body of bounded complexity. Raises RequestError, 400 or 413.

    >>> load_json(b'{"label": "cat"}')
    {'label': 'cat'}
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_MARKS:
        raise RequestError(f"a JSON body with more than {_MOST_MARKS} brackets and commas", status=413)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is no JSON: {str(error)[:_SHOWN]}") from error


def shown(value: object) -> str:
    """What a client offered, short and harmless enough to stand in a message."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


class _Reader:
    """Takes what the parser finds; the limits hold while it reads."""

    def __init__(self, limits: FormLimits) -> None:
        self.form = Form()
        self.ended = False
        self._limits = limits
        self._begin()

    def callbacks(self) -> Mapping[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._header(1, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._take,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._line = [b"", b""]
        self._header_bytes = 0
        self._pieces: list[bytes] = []
        self._size = 0

    def _header(self, which: int, data: bytes) -> None:
        self._header_bytes += len(data)
        if self._header_bytes > _MOST_HEADERS:
            raise RequestError(f"a part with more than {_MOST_HEADERS} bytes of headers", status=413)
        self._line[which] += data

    def _end_header(self) -> None:
        name, value = self._line
        self._headers[name.lower()] = value
        self._line = [b"", b""]

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            raise RequestError('a part without `Content-Disposition: form-data; name="..."`')
        self._name = options[b"name"].decode("utf-8", "replace")
        _check_name(self._name)
        media, _ = parse_options_header(self._headers.get(b"content-type"))
        media_type = media.decode("latin-1").lower()
        self._is_file = b"filename" in options or media_type.startswith(_FILE_TYPES)
        self._is_named = bool(options.get(b"filename", b"x"))
        if self._is_file and media_type and not media_type.startswith(_FILE_TYPES):
            raise RequestError(f"the field {shown(self._name)} is {shown(media_type)}; wanted is an image", status=415)

    def _take(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        most = self._limits.image if self._is_file else self._limits.text
        if self._size > most:
            raise _too_large(self._name, most)
        self._pieces.append(data[start:end])

    def _end(self) -> None:
        data = b"".join(self._pieces)
        if not self._is_file:
            try:
                self.form.add_text(self._name, data.decode(), self._limits)
            except UnicodeDecodeError as error:
                raise RequestError(f"the field {shown(self._name)} is no text in UTF-8") from error
        elif data or self._is_named:
            self.form.add_file(self._name, data, self._limits)

    def _finish(self) -> None:
        self.ended = True


def _decoded(name: str, value: object, most: int) -> bytes:
    if not isinstance(value, str):
        raise RequestError(f"the field {name} holds a {type(value).__name__}; wanted is an image's bytes in base64")
    text = value.partition(",")[2] if value.startswith("data:") else value
    if len(text) // 4 * 3 > most * 1.1 + 3:  # some allowance for broken lines
        raise _too_large(name, most)
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except ValueError as error:  # also what is not ASCII
        raise RequestError(
            f"the field {name} begins with {shown(value[:20])} and is no base64; "
            "wanted are the image's own bytes, for nothing is fetched from a path or a URL"
        ) from error


def _check_name(name: str) -> None:
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise RequestError(
            f"the field name {shown(name)} cannot be used; wanted are 1 to {_LONGEST_NAME} printable characters"
        )


def _too_large(name: str, most: int) -> RequestError:
    return RequestError(f"the field {shown(name)} is larger than {most} bytes", status=413)
