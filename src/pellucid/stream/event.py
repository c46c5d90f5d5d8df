"""Event: one CloudEvents 1.0 event, and its binary-mode headers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType

from pellucid.errors import DataError

IMAGE = "ai.pellucid.image.v1"  # the data are the bytes of an image that is to be classified
FEEDBACK = "ai.pellucid.feedback.v1"  # the data say in JSON which label somebody gives
PREDICTION = "ai.pellucid.prediction.v1"  # the data say in JSON what a model answered

MAX_HEADER_BYTES = 64 * 1024  # names and values of all headers together; what others must forward at least
MAX_DATA_BYTES = 64 * 2**20  # as large as an image may be by default
MAX_NAME = 256  # characters of id, source and type

_SPEC = "1.0"
_NAME = re.compile(r"[a-z0-9]{1,20}")
_RESERVED = frozenset({"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "data"})
_URI = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_MEDIA = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:\s*;.*)?")
_TIME = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:[Zz]|([+-])(\d{2}):(\d{2}))", re.ASCII
)
_STRUCTURED = "application/cloudevents"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, by whose account, and the data about it. Source and id together name it for ever.

    Raises:
        DataError: an attribute is not as CloudEvents 1.0 wants it; the message says which and why.

    >>> event = Event(id="7", source="/cameras/3", type=IMAGE, data=b"...", datacontenttype="image/png")
    >>> event.headers()
    (('content-type', 'image/png'), ('ce_specversion', '1.0'), ('ce_id', '7'),
     ('ce_source', '/cameras/3'), ('ce_type', 'ai.pellucid.image.v1'))
    >>> from_headers([(name, value.encode()) for name, value in event.headers()], event.data) == event
    True
    """

    id: str  # unique within the source, 1..256 characters; a repeated event keeps it
    source: str  # URI reference of who reports it, 1..256 characters
    type: str  # what kind of thing happened, 1..256 characters
    time: datetime | None = None  # UTC; when it happened
    subject: str | None = None  # what it happened to
    datacontenttype: str | None = None  # media type of the data
    data: bytes = field(default=b"", repr=False)
    extensions: Mapping[str, str] = field(default_factory=dict, hash=False)  # [a-z0-9], 1..20 characters -> text

    def __post_init__(self) -> None:
        for name in ("id", "source", "type"):
            value = getattr(self, name)
            _check_text(name, value)
            if not 1 <= len(value) <= MAX_NAME:
                raise DataError(f"the event's {name} has {len(value)} characters; wanted are 1 to {MAX_NAME}")
        if not _URI.fullmatch(self.source):
            raise DataError(f"the event's source is {self.source!r}; wanted is a URI reference, such as /cameras/3")
        if self.subject is not None:
            _check_text("subject", self.subject)
            if not self.subject:
                raise DataError("the event's subject is empty; leave it out where there is none")
        if self.datacontenttype is not None:
            _check_text("datacontenttype", self.datacontenttype)
            if not _MEDIA.fullmatch(self.datacontenttype):
                raise DataError(
                    f"the event's datacontenttype is {self.datacontenttype!r}; wanted is a media type: image/png"
                )
        if self.time is not None:
            if self.time.tzinfo is None:
                raise DataError(f"the event's time is {self.time}, without a zone; wanted is one in UTC")
            object.__setattr__(self, "time", self.time.astimezone(UTC))
        for name, text in self.extensions.items():
            if name in _RESERVED or not _NAME.fullmatch(name):
                raise DataError(
                    f"{name!r} cannot name an extension; wanted are 1 to 20 of a-z and 0-9, and no attribute"
                )
            _check_text(name, text)
        object.__setattr__(self, "extensions", MappingProxyType(dict(self.extensions)))
        object.__setattr__(self, "data", bytes(self.data))
        _check_headers((name, value.encode()) for name, value in self.headers())

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers of the Kafka protocol binding's binary mode; the data are the message's value as they are."""
        found: list[tuple[str, str]] = []
        if self.datacontenttype is not None:
            found.append(("content-type", self.datacontenttype))
        found += [("ce_specversion", _SPEC), ("ce_id", self.id), ("ce_source", self.source), ("ce_type", self.type)]
        if self.time is not None:
            found.append(("ce_time", self.time.replace(tzinfo=None).isoformat() + "Z"))
        if self.subject is not None:
            found.append(("ce_subject", self.subject))
        return (*found, *((f"ce_{name}", value) for name, value in sorted(self.extensions.items())))


def from_headers(
    headers: Iterable[tuple[str, bytes | None]], data: bytes | None, *, max_data_bytes: int = MAX_DATA_BYTES
) -> Event:
    """The event that a message's headers and value hold in binary mode; sizes are checked before all else.

    Headers other than ``content-type`` and ``ce_*`` are other people's and are passed over.

    Raises:
        DataError: it is none, or one that breaks CloudEvents 1.0, or too large; the message says why.
    """
    headers, data = list(headers), data or b""
    _check_headers(headers)
    check_data(data, max_data_bytes)
    found: dict[str, str] = {}
    for header, raw in headers:
        if header != "content-type" and not header.startswith("ce_"):
            continue
        name = "datacontenttype" if header == "content-type" else header.removeprefix("ce_")
        if name in found or header == "ce_datacontenttype":
            raise DataError(f"the header {header} says again what another one says; wanted is each attribute once")
        try:
            found[name] = (raw or b"").decode()
        except UnicodeDecodeError as error:
            raise DataError(f"the header {header} is not UTF-8: {error.reason} at byte {error.start}") from None
    if found.get("datacontenttype", "").lower().startswith(_STRUCTURED):
        raise DataError("it is a CloudEvent in structured or batched mode; wanted is binary mode, one event a message")
    missing = [f"ce_{name}" for name in ("specversion", "id", "source", "type") if name not in found]
    if missing:
        raise DataError(f"it has no {', '.join(missing)}; wanted is a CloudEvent in binary mode")
    if found["specversion"] != _SPEC:
        raise DataError(f"it has ce_specversion {found['specversion'][:20]!r}; wanted is {_SPEC}")
    return Event(
        id=found["id"],
        source=found["source"],
        type=found["type"],
        time=parse_time(found["time"]) if "time" in found else None,
        subject=found.get("subject"),
        datacontenttype=found.get("datacontenttype"),
        data=data,
        extensions={name: value for name, value in found.items() if name not in _RESERVED - {"data"}},
    )


def parse_time(text: str) -> datetime:
    """The UTC time that an RFC 3339 text names; digits beyond microseconds are cut off.

    >>> parse_time("2026-03-01T12:00:00.25+02:00")
    datetime.datetime(2026, 3, 1, 10, 0, 0, 250000, tzinfo=datetime.timezone.utc)

    Raises:
        DataError: it names none.
    """
    found = _TIME.fullmatch(text)
    wanted = "wanted is RFC 3339: 2026-03-01T12:00:00Z"
    if not found:
        raise DataError(f"the event's time is {text[:64]!r}; {wanted}")
    *date, fraction, sign, hours, minutes = found.groups()
    try:
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        zone = timezone(-offset if sign == "-" else offset)
        year, month, day, hour, minute, second = (int(part) for part in date)
        micro = int((fraction or "").ljust(6, "0")[:6])
        return datetime(year, month, day, hour, minute, second, micro, zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DataError(f"the event's time is {text[:64]!r}: {error}; {wanted}") from None


def check_data(data: bytes, max_bytes: int) -> None:
    """Raises DataError for data of more than ``max_bytes``."""
    if len(data) > max_bytes:
        raise DataError(f"the event's data have {len(data):,} bytes; wanted are at most {max_bytes:,}")


def _check_headers(headers: Iterable[tuple[str, bytes | None]]) -> None:
    size = sum(len(name) + len(value or b"") for name, value in headers)
    if size > MAX_HEADER_BYTES:
        raise DataError(f"the event's headers have {size:,} bytes; wanted are at most {MAX_HEADER_BYTES:,}")


def _check_text(name: str, text: str) -> None:
    # CloudEvents' String: no control characters, no lone surrogates, no code points that are no characters.
    for character in text:
        point = ord(character)
        if unicodedata.category(character) in {"Cc", "Cs"} or point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF:
            raise DataError(f"the event's {name} holds U+{point:04X}, which CloudEvents allows in no text")
