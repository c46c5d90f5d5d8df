"""What errors are to a client: a status, a sentence, and no secret."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from pellucid import errors
from pellucid.serve.answers import IMAGE_STATUSES, STATUSES, add_answers, status_of

from .conftest import Ask

SECRET = "postgresql://ann:hunter2@db/pellucid"


class Vote(BaseModel):
    label: int


def app_that_raises(error: Exception) -> FastAPI:
    app = FastAPI()
    add_answers(app)

    @app.get("/")
    async def fail() -> None:
        raise error

    @app.post("/votes")
    async def vote(vote: Vote) -> int:
        return vote.label

    return app


EXPECTED = [
    (errors.UsageError("x"), 400),
    (errors.SourceError("x"), 400),
    (errors.AccessError("x"), 401),
    (errors.RightError("x"), 403),
    (errors.NotFoundError("x"), 404),
    (errors.ConcurrencyError("x"), 409),
    (errors.DataError("x"), 422),
    (errors.ImageError("truncated", "x"), 422),
    (errors.ImageError("too large", "x"), 413),
    (errors.ImageError("not an image", "x"), 415),
    (errors.RequestError("x", status=408), 408),
    (errors.RateError("x", retry_after=2.2), 429),
    (errors.BusyError("x"), 503),
]


@pytest.mark.parametrize(("error", "status"), EXPECTED)
def test_what_the_client_can_mend_is_said(ask: Ask, error: errors.PellucidError, status: int) -> None:
    answer = ask(app_that_raises(error), "GET", "/")
    assert (answer.status_code, answer.json()) == (status, {"error": str(error)})
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


def test_who_comes_too_often_hears_when_to_come_again(ask: Ask) -> None:
    waits = {0.1: "1", 2.2: "3", 60.0: "60"}
    for seconds, header in waits.items():
        for kind in (errors.BusyError, errors.RateError):
            answer = ask(app_that_raises(kind("x", retry_after=seconds)), "GET", "/")
            assert answer.headers["retry-after"] == header


FAULTS = [
    (errors.ConfigError(f"{SECRET} is wrong"), 500),
    (errors.IntegrityError(f"{SECRET} is damaged"), 500),
    (errors.PellucidError(f"{SECRET}"), 500),
    (RuntimeError(f"cannot reach {SECRET}"), 500),
    (errors.StorageError(f"{SECRET} is away"), 503),
]


@pytest.mark.parametrize(("error", "status"), FAULTS)
def test_a_fault_is_an_id_for_the_client_and_a_reason_in_the_log(
    ask: Ask, caplog: pytest.LogCaptureFixture, error: Exception, status: int
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = ask(app_that_raises(error), "GET", "/?token=plt_x")
    assert answer.status_code == status
    [record] = [record for record in caplog.records if record.name == "pellucid.serve.answers"]
    said, logged = answer.json()["error"], record.getMessage()
    fault = said.rpartition(" ")[2]
    assert len(fault) == 8
    assert f"fault {fault} at GET '/'" in logged
    assert f"{type(error).__name__}: " in logged
    for secret in ("hunter2", "plt_x"):
        assert secret not in said + logged
    assert "Traceback" not in said
    assert "postgresql" not in said


def test_an_invalid_body_is_not_repeated(ask: Ask) -> None:
    answer = ask(app_that_raises(ValueError()), "POST", "/votes", json={"label": SECRET})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("body.label is ")
    assert SECRET not in answer.text


def test_what_the_framework_refuses_has_the_same_form(ask: Ask) -> None:
    app = app_that_raises(HTTPException(418, "short and stout", {"X-Pot": "tea"}))
    answer = ask(app, "GET", "/")
    assert (answer.status_code, answer.json()) == (418, {"error": "short and stout"})
    assert answer.headers["x-pot"] == "tea"
    assert ask(app, "GET", "/nowhere").json() == {"error": "Not Found"}
    answer = ask(app, "DELETE", "/")
    assert (answer.status_code, list(answer.json()), answer.headers["allow"]) == (405, ["error"], "GET")


def test_a_refused_body_closes_the_connection_and_nothing_else_does(ask: Ask) -> None:
    app = app_that_raises(errors.BusyError("x"))
    assert ask(app, "GET", "/", content=b"body").headers["connection"] == "close"
    assert "connection" not in ask(app, "GET", "/").headers
    gone = app_that_raises(errors.NotFoundError("x"))
    assert "connection" not in ask(gone, "GET", "/", content=b"body").headers


def test_nobody_is_answered_who_has_left(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [],
        "query_string": b"",
        "app": None,
    }
    asyncio.run(app_that_raises(ClientDisconnect())(scope, receive, send))
    assert (sent, caplog.records) == ([], [])


def test_every_error_has_a_status_and_none_is_named_in_vain() -> None:
    kinds = [item for item in vars(errors).values() if isinstance(item, type)]
    for kind in kinds:
        error = kind("truncated", "x") if kind is errors.ImageError else kind("x")
        assert 400 <= status_of(error) <= 503
    assert set(STATUSES) <= set(kinds)
    assert set(IMAGE_STATUSES.values()) == {413, 415}


def test_a_new_kind_of_an_error_has_its_parent_s_status() -> None:
    class WorseError(errors.RateError):
        pass

    assert status_of(WorseError("x")) == 429
