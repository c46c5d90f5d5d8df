"""Images out of a request: every bound holds before anything is decoded, and nobody is waited for without end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from pellucid.errors import BusyError, ImageError, RequestError, UsageError
from pellucid.features.decode import DEFAULT_LIMITS, Limits, check_header
from pellucid.serve.forms import Form, FormLimits, load_json, parse_json, parse_multipart, shown

_FORM, _JSON, _BYTES, _IMAGE = "multipart/form-data", "application/json", "application/octet-stream", "image/"
_WANTED = f"wanted is {_IMAGE}*, {_BYTES}, {_FORM}, or {_JSON} with base64"
_SHORT = 64 * 1024  # bytes: an image whose header is read sooner, at its worst, than another thread would begin to
_HELD_WAIT = 5  # seconds after which to try again where other clients' bodies take all the memory
_DRAIN_TIMES = 3  # the largest body: how much it may go on sending
_DRAIN_SECONDS = 2.0  # that a refused client may go on sending, so that it reads the answer and not a reset


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What a request may be. The defaults take 32 photographs and hold half a gigabyte for all clients together."""

    body: int = 64 * 2**20  # bytes of the whole body
    image: Limits = DEFAULT_LIMITS  # bytes and pixels of one image
    images: int = 32
    pixels: int = 512_000_000  # of all images of a request together
    texts: int = 16  # fields that are no images
    text: int = 16 * 1024  # bytes of one of them
    held: int = 512 * 2**20  # bytes that all unfinished bodies may hold together; more are refused for the moment
    quiet: float = 10.0  # seconds without a byte after which a client is cut off
    total: float = 60.0  # seconds for the whole body

    def __post_init__(self) -> None:
        numbers = {name: getattr(self, name) for name in self.__slots__ if name != "image"}
        wrong = [f"{name}={value}" for name, value in numbers.items() if not value > 0]
        if wrong:
            raise UsageError(f"{', '.join(wrong)}; wanted is more than 0")


@dataclass(frozen=True, slots=True)
class Upload:
    """One image as a client sent it; what the client calls it is not kept."""

    data: bytes = field(repr=False)  # the whole file, not yet decoded
    field: str  # of the form or of the JSON object; empty where the body is the image
    media_type: str  # by content: "image/jpeg"
    width: int  # pixels, as its header says
    height: int  # pixels


@dataclass(frozen=True, slots=True)
class Received:
    """What a request holds."""

    images: tuple[Upload, ...]  # in the order of the body, one at least
    texts: Mapping[str, str]  # the other fields by name


class Uploads:
    """Reads images from requests, all of them under the same limits.

    One object serves one event loop, which alone reads and changes its count of the bytes held.
    """

    def __init__(self, limits: UploadLimits = UploadLimits()) -> None:
        self.limits = limits
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes of all bodies that are being read at this moment."""
        return self._held

    async def read(self, request: Request) -> Received:
        """The images and texts of the request's body; all is refused where one image is.

        Raises:
            RequestError: 400 malformed, 408 too slow, 411 without a length, 413 too large or too many, 415 of a type
                that is not read.
            ImageError: one is no image, or has too many pixels.
            BusyError: other clients' unfinished bodies take all the memory there is for them.
        """
        media_type, options = await self._checked(request)
        body = await self._body(request)
        if len(body) <= _SHORT and media_type.startswith(_IMAGE):
            return self._parse(body, media_type, options)
        return await asyncio.to_thread(self._parse, body, media_type, options)  # headers can be long to read

    async def read_json(self, request: Request) -> Any:
        """The request's body as JSON, within the same bounds of bytes and time.

        Raises:
            RequestError: as `read`; 400 where it is no JSON, 415 where it is said to be something else.
            BusyError: as `read`.
        """
        media_type, _ = await self._checked(request)
        body = await self._body(request)
        if media_type != _JSON:
            raise RequestError(f"the body is of type {shown(media_type)}; wanted is {_JSON}", status=415)
        return await asyncio.to_thread(load_json, body)

    async def _checked(self, request: Request) -> tuple[str, Mapping[bytes, bytes]]:
        try:
            return self._check_headers(request)
        except RequestError:
            await self._drain(request)
            raise

    def _check_headers(self, request: Request) -> tuple[str, Mapping[bytes, bytes]]:
        headers = request.headers
        media, options = parse_options_header(headers.get("content-type", ""))
        media_type = media.decode("latin-1").lower()
        if not media_type.startswith(_IMAGE) and media_type not in (_FORM, _JSON, _BYTES):
            raise RequestError(f"the body is of type {shown(media_type)}; {_WANTED}", status=415)
        if media_type == _FORM and not options.get(b"boundary"):
            raise RequestError(f"{_FORM} without a boundary; let your HTTP library write the header")
        encoding = headers.get("content-encoding", "identity")
        if encoding.strip().lower() not in ("", "identity"):
            raise RequestError(f"the body is encoded as {shown(encoding)}; send it as it is", status=415)
        length = headers.get("content-length")
        if length is None and "transfer-encoding" not in headers:
            raise RequestError("a body without a length; send Content-Length, or chunks", status=411)
        if length is not None and not (length.isascii() and length.isdecimal()):
            raise RequestError(f"Content-Length is {shown(length)}; wanted is a number")
        if length is not None and (len(length) > 18 or int(length) > self.limits.body):
            raise self._too_large()
        return media_type, options

    async def _body(self, request: Request) -> bytes:
        loop, limits, body = asyncio.get_running_loop(), self.limits, bytearray()
        last = started = loop.time()
        try:
            while True:
                try:
                    async with asyncio.timeout_at(min(last + limits.quiet, started + limits.total)):
                        message = await request.receive()
                except TimeoutError:
                    raise RequestError(
                        f"{len(body)} bytes came and then too little for too long; wanted is a byte every "
                        f"{limits.quiet:g} s and all within {limits.total:g} s",
                        status=408,
                    ) from None
                if message["type"] == "http.disconnect":
                    raise RequestError(f"the client left after {len(body)} bytes of its body")
                chunk, more = message.get("body", b""), message.get("more_body", False)
                refusal = self._refusal(len(body), len(chunk))
                if refusal is not None:
                    if more:
                        await self._drain(request)
                    raise refusal
                body += chunk
                self._held += len(chunk)
                last = loop.time() if chunk else last
                if not more:
                    return bytes(body)
        finally:
            self._held -= len(body)

    def _refusal(self, had: int, more: int) -> RequestError | BusyError | None:
        """Why a body cannot grow by so many bytes."""
        if had + more > self.limits.body:
            return self._too_large()
        if self._held + more > self.limits.held:
            text = f"too many images are being sent at this moment; try again in {_HELD_WAIT} s"
            return BusyError(text, retry_after=_HELD_WAIT)
        return None

    async def _drain(self, request: Request) -> None:
        """Forgets what a refused client still sends, within bounds: else the connection's reset outruns the answer."""
        if "expect" in request.headers:  # it waits to be asked for its body, and will not be
            return
        seen = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while seen <= _DRAIN_TIMES * self.limits.body:
                    message = await request.receive()
                    seen += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    def _parse(self, body: bytes, media_type: str, options: Mapping[bytes, bytes]) -> Received:
        limits = self.limits
        bounds = FormLimits(limits.image.max_bytes, limits.images, limits.texts, limits.text)
        if media_type == _FORM:
            form = parse_multipart(body, options[b"boundary"], bounds)
        elif media_type == _JSON:
            form = parse_json(body, bounds)
        else:
            form = Form([("", body)])
        if not form.files:
            raise RequestError(f"the body holds no image; {_WANTED}")
        images, pixels = [], 0
        for number, (name, data) in enumerate(form.files, 1):
            try:
                header = check_header(data, limits.image)
            except ImageError as error:
                where = f"image {number} of {len(form.files)}: " if len(form.files) > 1 else ""
                raise ImageError(error.reason, where + error.detail) from error
            pixels += header.width * header.height
            if pixels > limits.pixels:
                raise ImageError("too many pixels", f"more than {limits.pixels} in all; send fewer images at a time")
            images.append(Upload(data, name, header.media_type, header.width, header.height))
        return Received(tuple(images), MappingProxyType(form.texts))

    def _too_large(self) -> RequestError:
        return RequestError(
            f"the body has more than {self.limits.body} bytes; send fewer or smaller images", status=413
        )
