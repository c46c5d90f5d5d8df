"""The Open Inference Protocol, version 2, as KServe, Triton and their clients speak it.

https://github.com/kserve/open-inference-protocol: images go in as BYTES in base64, labels, confidences and
probabilities come out.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from pellucid.errors import NotFoundError, RequestError
from pellucid.flow.online.answer import Asked
from pellucid.serve.access import TOKENS
from pellucid.serve.docs import body_of
from pellucid.serve.operations import DOWN
from pellucid.serve.patience import while_connected
from pellucid.types import Right
from pellucid.version import VERSION

if TYPE_CHECKING:
    from pellucid.serve.app import Doors

_INPUT = "image"
_OUTPUTS = ("label", "confidence", "probabilities")
_MOST = 64  # images of one request
_BODY = body_of(
    {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "comes back with the answer"},
            "inputs": {
                "type": "array",
                "items": {"type": "object"},
                "description": f"one: {_INPUT}, of BYTES, its data images in base64, at most {_MOST}",
            },
            "outputs": {
                "type": "array",
                "items": {"type": "object"},
                "description": f"of {', '.join(_OUTPUTS)} those that are wanted; all where left out",
            },
        },
        "required": ["inputs"],
    },
    {"inputs": [{"name": _INPUT, "datatype": "BYTES", "shape": [1], "data": ["<base64>"]}]},
)


def routes(doors: Doors) -> APIRouter:
    """The routes, on these doors."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
    service = doors.service

    @router.get("")
    async def server() -> dict[str, Any]:
        """What the server is."""
        return {"name": "pellucid", "version": VERSION, "extensions": []}

    @router.get("/health/live", responses=DOWN)
    async def live() -> JSONResponse:
        """The process can go on."""
        found = not service.dead
        return JSONResponse({"live": found}, 200 if found else 503)

    @router.get("/health/ready", responses=DOWN)
    async def ready() -> JSONResponse:
        """The server can do its work."""
        found = service.readiness.ready
        return JSONResponse({"ready": found}, 200 if found else 503)

    @router.get("/models/{name}/ready", responses=DOWN)
    @router.get("/models/{name}/versions/{version}/ready", responses=DOWN)
    async def model_ready(name: str, version: str | None = None) -> JSONResponse:
        """The model can answer."""
        _check(name, version)
        found = service.readiness.ready
        return JSONResponse({"name": name, "ready": found}, 200 if found else 503)

    @router.get("/models/{name}", dependencies=TOKENS)
    @router.get("/models/{name}/versions/{version}", dependencies=TOKENS)
    async def model(request: Request, name: str, version: str | None = None) -> dict[str, Any]:
        """What the model takes and gives."""
        await doors.admit(request, Right.PREDICT)
        number, classes = _check(name, version)
        return {
            "name": name,
            "versions": [number],
            "platform": "pellucid",
            "inputs": [{"name": _INPUT, "datatype": "BYTES", "shape": [-1]}],
            "outputs": [
                {"name": "label", "datatype": "BYTES", "shape": [-1]},
                {"name": "confidence", "datatype": "FP32", "shape": [-1]},
                {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(classes)]},
            ],
            "parameters": {"classes": ",".join(classes)},
        }

    @router.post("/models/{name}/infer", dependencies=TOKENS, openapi_extra=_BODY)
    @router.post("/models/{name}/versions/{version}/infer", dependencies=TOKENS, openapi_extra=_BODY)
    async def infer(request: Request, name: str, version: str | None = None) -> dict[str, Any]:
        """Answers for images in base64."""
        caller = await doors.admit(request, Right.PREDICT)
        _check(name, version)
        body = await doors.uploads.read_json(request)
        if not isinstance(body, dict):
            raise RequestError("the body is no JSON object; wanted are an id and inputs")
        wanted = _wanted(body.get("outputs"), _OUTPUTS)
        images = await run_in_threadpool(_images, body.get("inputs"))
        answers = await while_connected(request, service.predict([Asked(data, caller.name) for data in images]))
        for item in answers:
            doors.metrics.note_answer(item)
        n, classes = len(answers), list(answers[0].probabilities)
        outputs = {
            "label": ("BYTES", [n], [item.label for item in answers]),
            "confidence": ("FP32", [n], [item.confidence for item in answers]),
            "probabilities": ("FP32", [n, len(classes)], [p for item in answers for p in item.probabilities.values()]),
        }
        found: dict[str, Any] = {"model_name": name, "model_version": answers[0].model.rpartition("@")[2]}
        if isinstance(body.get("id"), str):
            found["id"] = body["id"]
        found["parameters"] = {"classes": ",".join(classes), "predictions": ",".join(item.uid for item in answers)}
        found["outputs"] = [
            {"name": key, "datatype": kind, "shape": shape, "data": data}
            for key, (kind, shape, data) in outputs.items()
            if key in wanted
        ]
        return found

    def _check(name: str, version: str | None) -> tuple[str, tuple[str, ...]]:
        live = service.live
        number = str(live.model.version)
        if name != live.model.name or version not in (None, number):
            asked = name if version is None else f"{name}@{version}"
            raise NotFoundError(f"this server has no model {asked[:80]!r}; it has {live.model.ref}")
        return number, tuple(live.answerer.known.values())

    return router


def _images(inputs: Any) -> list[bytes]:
    first = inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else None
    data = first.get("data") if isinstance(first, dict) else None
    if not isinstance(first, dict) or first.get("datatype") != "BYTES" or not isinstance(data, list) or not data:
        raise RequestError(
            f'wanted is one input {{"name": "{_INPUT}", "datatype": "BYTES", "data": ["<base64>", ...]}}'
        )
    if len(data) > _MOST:
        raise RequestError(f"{len(data)} images in one request; wanted are at most {_MOST}", status=413)
    if first.get("shape") not in ([len(data)], [len(data), 1]):
        raise RequestError(f"shape {str(first.get('shape'))[:40]} does not fit {len(data)} images")
    try:
        return [base64.b64decode(item, validate=True) for item in data]
    except (TypeError, ValueError, binascii.Error):
        raise RequestError("an item of data is no base64 text; BYTES are images in base64") from None


def _wanted(outputs: Any, known: Sequence[str]) -> Sequence[str]:
    """Names of the outputs that are asked for; all of them where none is named."""
    if not isinstance(outputs, list | None):
        raise RequestError('outputs is no list; wanted is [{"name": "label"}, ...]')
    names = [item.get("name") if isinstance(item, dict) else None for item in outputs or ()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise RequestError(f"there is no output {str(unknown[0])[:40]!r}; there are {', '.join(known)}")
    return [str(name) for name in names] or known
