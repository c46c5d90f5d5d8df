"""What errors are over HTTP: a status, ``{"error": "..."}``, and nothing that is none of the client's business."""

from __future__ import annotations

import logging
import math
import secrets
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pellucid import errors
from pellucid.config import hide_secrets

STATUSES: Mapping[type[errors.PellucidError], int] = {
    errors.UsageError: 400,
    errors.SourceError: 400,
    errors.AccessError: 401,
    errors.RightError: 403,
    errors.NotFoundError: 404,
    errors.ConcurrencyError: 409,
    errors.DataError: 422,
    errors.ImageError: 422,
    errors.RateError: 429,
    errors.StorageError: 503,
    errors.BusyError: 503,
}  # the nearest base class counts; what is not here is a fault of the server's, 500
IMAGE_STATUSES: Mapping[str, int] = {
    "too large": 413,
    "too many pixels": 413,
    "not an image": 415,
    "unsupported": 415,
}  # ImageError.reason -> status, where it is not 422
# What is said of pydantic's types of faults; of others its own words.
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "missing": "is missing; give it",
        "extra_forbidden": "is no field of this request; leave it out, /docs names those that there are",
        "string_type": "is no text; give a text in quotes",
        "string_too_short": "is too short; wanted is at least {min_length} characters",
        "string_too_long": "is too long; wanted are at most {max_length} characters",
        "string_pattern_mismatch": "has another form than is wanted, or holds control characters; see /docs",
        "int_parsing": "is no whole number; give one",
        "int_type": "is no whole number; give one",
        "int_from_float": "is no whole number; give one",
        "float_parsing": "is no number; give one",
        "float_type": "is no number; give one",
        "literal_error": "is none of {expected}",
        "greater_than_equal": "is too small; wanted is {ge} or more",
        "less_than_equal": "is too large; wanted is {le} or less",
        "json_invalid": "is no JSON ({error}); give an object like those in /docs",
        "model_type": "is no object; give one like those in /docs",
        "model_attributes_type": "is no object; give one like those in /docs",
        "dict_type": "is no object; give one like those in /docs",
        "list_type": "is no list; give one",
    }
)

_FAULT = 500
_STORAGE_WAIT = 5  # seconds after which a client may ask again where the database is away
_BEFORE_THE_BODY = frozenset({400, 401, 403, 408, 411, 413, 415, 429, 503})  # may be answered with the body unread


class Refused(BaseModel):
    """The body of every answer that is an error."""

    error: str = Field(description="what was offered, what is wanted, and how to mend it")


def status_of(error: errors.PellucidError) -> int:
    """The HTTP status of an error.

    >>> status_of(errors.NotFoundError("no model")), status_of(errors.ImageError("too large", "9 bytes"))
    (404, 413)
    """
    if isinstance(error, errors.RequestError):
        return error.status
    if isinstance(error, errors.ImageError):
        return IMAGE_STATUSES.get(error.reason, STATUSES[errors.ImageError])
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), _FAULT)


def add_answers(app: FastAPI) -> None:
    """Makes every error of the app an answer in one form.

    A Pellucid error that the client can mend says how. A fault of the server's, a storage that is away, or an
    exception that nobody expected, is answered with a short id; the log has the id, with the reason and without
    secrets.
    """
    app.add_exception_handler(errors.PellucidError, _answer_ours)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_middleware(_Faults)


class _Faults:
    """Answers what nobody expected. A handler of Starlette's would answer too, and raise it again for all to log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except ClientDisconnect:  # nobody is there to be answered
            return
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            await _fault(Request(scope), error, _FAULT)(scope, receive, send)


async def _answer_ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.PellucidError)  # noqa: S101 - for the type checker
    status = status_of(error)
    if status == _FAULT or isinstance(error, errors.StorageError):
        return _fault(request, error, status)
    headers = {}
    if isinstance(error, errors.BusyError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _answer(request, status, str(hide_secrets(str(error))), headers)


async def _answer_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    return _answer(request, error.status_code, str(error.detail), dict(error.headers or {}))


async def _answer_invalid(request: Request, error: Exception) -> JSONResponse:
    """What is wrong and where, but not what was sent: that may be a secret in the wrong place."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker
    return _answer(request, 422, "; ".join(map(in_words, error.errors())), {})


def in_words(fault: Mapping[str, Any]) -> str:
    """One of pydantic's findings: where it is, and what is wanted there.

    >>> in_words({"loc": ("body", "label"), "type": "string_too_long", "msg": "...", "ctx": {"max_length": 200}})
    'body.label is too long; wanted are at most 200 characters'
    """
    where = ".".join(part for part in fault["loc"] if isinstance(part, str)) or "the body"
    said = _WORDS.get(str(fault["type"]))
    return f"{where}: {fault['msg']}" if said is None else f"{where} {said.format(**(fault.get('ctx') or {}))}"


def _fault(request: Request, error: Exception, status: int) -> JSONResponse:
    fault = secrets.token_hex(4)
    text = hide_secrets("".join(traceback.format_exception(error)))
    logging.getLogger(__name__).error("fault %s at %s %r:\n%s", fault, request.method, request.url.path, text)
    if status == _FAULT:
        return _answer(request, status, f"a fault of the server's; its log has more under {fault}", {})
    said = f"the server cannot reach its storage; try again in {_STORAGE_WAIT} s, its log has more under {fault}"
    return _answer(request, status, said, {"Retry-After": str(_STORAGE_WAIT)})


def _answer(request: Request, status: int, text: str, headers: Mapping[str, str]) -> JSONResponse:
    closing = {}
    sent = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if sent and status in _BEFORE_THE_BODY:
        closing["Connection"] = "close"  # what is left of the body would be read as the next request, or waited for
    return JSONResponse({"error": text}, status, {**headers, **closing})
