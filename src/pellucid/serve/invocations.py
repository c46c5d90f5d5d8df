"""MLflow's scoring protocol, so that what asks a model served by MLflow can ask this server."""

from __future__ import annotations

import base64
import binascii
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from pellucid.errors import RequestError
from pellucid.flow.online.answer import Asked
from pellucid.serve.access import TOKENS
from pellucid.serve.docs import body_of
from pellucid.serve.patience import while_connected
from pellucid.types import Answer, Right

if TYPE_CHECKING:
    from pellucid.serve.app import Doors

_MOST = 64  # images of one request
_FORMS = '{"inputs": ["<base64>"]}, {"instances": [...]}, {"dataframe_split": ...} or {"dataframe_records": ...}'
_BODY = body_of(
    {
        "type": "object",
        "properties": {
            "inputs": {"type": "array", "items": {"type": "string"}, "description": "images in base64"},
            "instances": {"type": "array", "description": "the same"},
            "dataframe_split": {"type": "object", "description": "or a table, whose first column they are"},
            "dataframe_records": {"type": "array", "items": {"type": "object"}, "description": "or its rows"},
        },
    },
    {"inputs": ["<base64>"]},
)


def routes(doors: Doors) -> APIRouter:
    """The routes, on these doors."""
    router = APIRouter(tags=["MLflow"])

    @router.get("/ping", response_class=PlainTextResponse)
    async def ping() -> PlainTextResponse:
        """The model can answer."""
        return PlainTextResponse("\n", 200 if doors.service.readiness.ready else 503)

    @router.get("/version", response_class=PlainTextResponse)
    async def mlflow_version() -> PlainTextResponse:
        """Of MLflow, whose protocol this is."""
        return PlainTextResponse(version("mlflow-skinny"))

    @router.post("/invocations", dependencies=TOKENS, openapi_extra=_BODY)
    async def invocations(request: Request) -> dict[str, Any]:
        """Answers for images in base64, one row each."""
        caller = await doors.admit(request, Right.PREDICT)
        images = await run_in_threadpool(_images, await doors.uploads.read_json(request))
        asked = [Asked(data, caller.name) for data in images]
        answers = await while_connected(request, doors.service.predict(asked))
        for item in answers:
            doors.metrics.note_answer(item)
        return {"predictions": [_row(item) for item in answers]}

    return router


def _row(answer: Answer) -> dict[str, Any]:
    """As the model that MLflow loads would answer, and the id that feedback names."""
    shares = {f"p({name})": share for name, share in answer.probabilities.items()}
    return {"label": answer.label, "confidence": answer.confidence, **shares, "error": None, "prediction": answer.uid}


def _images(body: Any) -> list[bytes]:
    rows = _rows(body)
    if not rows or len(rows) > _MOST:
        raise RequestError(f"{len(rows)} images in one request; wanted are 1 to {_MOST}", status=413 if rows else 400)
    try:
        return [base64.b64decode(item, validate=True) for item in rows]
    except (TypeError, ValueError, binascii.Error):
        raise RequestError("an image is no base64 text") from None


def _rows(body: Any) -> list[Any]:
    """The first column, in whatever of MLflow's forms it came."""
    if not isinstance(body, dict):
        raise RequestError(f"the body is no JSON object; wanted is {_FORMS}")
    for name in ("inputs", "instances"):
        given = body.get(name)
        if isinstance(given, dict) and len(given) == 1:  # one column by its name
            (given,) = given.values()
        if isinstance(given, list):
            return [_first(item) for item in given]
    split = body.get("dataframe_split")
    if isinstance(split, dict) and isinstance(split.get("data"), list):
        return [_first(item) for item in split["data"]]
    if isinstance(body.get("dataframe_records"), list):
        return [_first(item) for item in body["dataframe_records"]]
    raise RequestError(f"the body holds none of MLflow's forms; wanted is {_FORMS}")


def _first(item: Any) -> Any:
    if isinstance(item, dict):
        item = list(item.values())
    return item[0] if isinstance(item, list) and item else item
