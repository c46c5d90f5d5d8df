"""The HTTP sender: a client of the server's API that waits where it is told to."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx

from pellucid.config import hide_secrets
from pellucid.errors import AccessError, NotFoundError, RightError, StorageError, UsageError
from pellucid.flow.production.simulate import Shown, Visit
from pellucid.stream.sender import Halted, Reply

TIMEOUT = 30.0  # seconds that a server may be silent in the middle of an answer
PATIENCE = 60.0  # seconds for which one request is sent again and again

_FIRST_PAUSE = 0.2  # seconds before the first new try; each pause is twice the one before
_LONGEST_PAUSE = 10.0  # seconds
_LATER = frozenset({409, 429, 502, 503, 504})  # statuses that say: the same request may be taken later
_HOW = "make one with `pellucid tokens create NAME --role predict --role feedback`"
_WHERE = "give it as PELLUCID_TOKEN or in a file by --token-file"


class HttpSender:
    """Asks ``POST /predict`` and answers by ``POST /feedback``, under the visit's id, so that it counts once.

    Args:
        url: of the server, ``http://HOST:PORT``.
        token: None for a server that is open.
        new_classes: lets users name classes that the model does not know.
        parallel: requests that may be under way at once.
        patience: seconds; a server that was away for longer is given up.

    Raises:
        UsageError: the URL is none, or the token cannot be one.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        new_classes: bool = False,
        parallel: int = 1,
        timeout: float = TIMEOUT,
        patience: float = PATIENCE,
    ) -> None:
        self.parallel = parallel
        self._url = _checked(url)
        self._new_classes = new_classes
        self._patience = patience
        limits = httpx.Limits(max_connections=parallel, max_keepalive_connections=parallel)
        self._client = httpx.Client(base_url=self._url, headers=_headers(token), timeout=timeout, limits=limits)

    def send(self, visit: Visit, shown: Shown, at: datetime, stop: threading.Event) -> Reply:
        """See ``Sender``.

        Raises:
            AccessError, RightError: the token is not known, or not good for it.
            NotFoundError: there is no Pellucid at the URL, or it has no model.
            StorageError: the server was away for too long.
        """
        headers = {"Content-Type": shown.media_type}
        response, seconds, retries = self._ask("/predict", stop, content=shown.data, headers=headers)
        reply = Reply(predict_seconds=seconds, retries=retries)
        if response.status_code >= 400:
            return replace(reply, error=_complaint("predict", response))
        try:
            [answer] = response.json()["predictions"]
            uid = str(answer["id"])
            reply = replace(reply, prediction=str(answer["label"]), confidence=float(answer["confidence"]))
        except (ValueError, KeyError, TypeError):
            return replace(reply, error="predict: the answer is not as Pellucid's server gives it")
        said: dict[str, Any] = {"prediction": uid, "label": visit.said, "id": visit.id, "voter": visit.user}
        if self._new_classes:
            said["new_class"] = True
        try:
            response, seconds, retries = self._ask("/feedback", stop, json=said)
        except Halted:
            return replace(reply, error="stopped before the label was said")
        reply = replace(reply, feedback_seconds=seconds, retries=reply.retries + retries)
        if response.status_code >= 400:
            return replace(reply, error=_complaint("feedback", response))
        try:
            heard = response.json()
            label = None if heard["label"] is None else str(heard["label"])
            trust, weight = float(heard["trust"]), float(heard["weight"])
            return replace(reply, action=str(heard["action"]), label=label, trust=trust, weight=weight)
        except (ValueError, KeyError, TypeError):
            return replace(reply, error="feedback: the answer is not as Pellucid's server gives it")

    def gather(self) -> dict[str, Reply]:
        """See ``Sender``; everything was answered at once."""
        return {}

    def close(self) -> None:
        """See ``Sender``."""
        self._client.close()

    def _ask(self, path: str, stop: threading.Event, **request: Any) -> tuple[httpx.Response, float, int]:
        """The answer, the seconds that it took, and how often the request had been sent before."""
        until, pause, retries = time.monotonic() + self._patience, _FIRST_PAUSE, 0
        while not stop.is_set():
            began, wait = time.perf_counter(), None
            try:
                response = self._client.post(path, **request)
            except httpx.TransportError as error:
                why = f"{type(error).__name__}: {error}"
            except RuntimeError:  # the client was closed by another thread, because all is to end
                raise Halted from None
            else:
                self._check(response)
                if response.status_code not in _LATER:
                    return response, time.perf_counter() - began, retries
                why, wait = _complaint(path.removeprefix("/"), response), _retry_after(response.headers)
            retries += 1
            wait = pause * random.uniform(0.5, 1.0) if wait is None else wait  # noqa: S311 - so that many spread
            pause = min(2 * pause, _LONGEST_PAUSE)
            if time.monotonic() + wait > until:
                raise StorageError(
                    f"{hide_secrets(self._url)} did not do what it was asked within {self._patience:g} s ({why}); "
                    "check that the server runs and is not overloaded, and run the same command again to go on"
                )
            stop.wait(wait)
        raise Halted

    def _check(self, response: httpx.Response) -> None:
        """Raises for what no later request would change."""
        status = response.status_code
        if status == 401:
            raise AccessError(f"the server refuses the token: {_said(response)}; {_WHERE}, or {_HOW}")
        if status == 403:
            raise RightError(f"the token is not good for this: {_said(response)}; {_HOW}")
        if status in {404, 405} or response.has_redirect_location:
            raise NotFoundError(
                f"{hide_secrets(str(response.url))} answers {status}: {_said(response)}; "
                "wanted is the URL of a Pellucid server that has a champion, by --url"
            )


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise UsageError(f"the URL {hide_secrets(url)!r} names no server; wanted is http://HOST:PORT or https://HOST")
    if parsed.userinfo:
        raise UsageError(f"the URL {hide_secrets(url)!r} holds a name or a password; {_WHERE}")
    return url


def _headers(token: str | None) -> dict[str, str]:
    if token is None:
        return {}
    if not token.isascii() or not token.isprintable() or " " in token or not token:
        raise UsageError(f"the token is empty, or holds a space or what no token holds; {_WHERE}")
    return {"Authorization": f"Bearer {token}"}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that the server asks for; None where it names none, or a date."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None


def _complaint(what: str, response: httpx.Response) -> str:
    return f"{what}: {response.status_code}, {_said(response)}"


def _said(response: httpx.Response) -> str:
    """What the server says is wrong, on one line and not too long."""
    readers: tuple[Callable[[], str], ...] = (lambda: str(response.json()["error"]), lambda: response.text)
    for read in readers:
        try:
            return " ".join(read().split())[:300] or response.reason_phrase
        except (ValueError, KeyError, TypeError):
            continue
    return response.reason_phrase
