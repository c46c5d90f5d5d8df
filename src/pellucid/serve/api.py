"""Pellucid's own routes: predict, feedback, samples, and where an answer came from."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Path
from fastapi.encoders import jsonable_encoder
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pellucid.errors import RequestError
from pellucid.flow.online.answer import Asked
from pellucid.flow.online.feedback import Heard, Said
from pellucid.flow.production.chain import chain
from pellucid.serve.access import TOKENS
from pellucid.serve.answers import in_words
from pellucid.serve.docs import body_of
from pellucid.serve.patience import while_connected
from pellucid.store.aliases import history_of
from pellucid.store.predictions import answer_of
from pellucid.store.samples import stored_ids
from pellucid.types import Answer, Right

_LINE = r"^[^\x00-\x1f\x7f]*$"  # no control characters, which no database and no page would take
_TEXT = r"^[^\x00]*$"
L = TypeVar("L", bound="Label")

if TYPE_CHECKING:
    from pellucid.serve.access import Caller
    from pellucid.serve.app import Doors

_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "properties": {"image": {"type": "string", "format": "binary"}},
        "required": ["image"],
    },
    "example": {"image": "@photo.jpg"},
}
_SAID = {"prediction": "the id of an answer", "label": "cat", "id": "your own name for it"}
_IMAGES = {
    "requestBody": {"required": True, "content": {"image/*": _BYTES, "multipart/form-data": _FORM}},
}


class Label(BaseModel):
    """What somebody says of an image."""

    model_config = ConfigDict(extra="forbid")

    label: str = Field(min_length=1, max_length=200, pattern=_LINE, description="what the image shows")
    note: str | None = Field(None, max_length=2000, pattern=_TEXT)
    id: str | None = Field(
        None, min_length=1, max_length=200, pattern=_LINE, description="your own name for it: it counts once"
    )
    voter: str | None = Field(
        None, min_length=1, max_length=200, pattern=_LINE, description="who says so, of those behind the token"
    )
    new_class: bool = Field(False, description="the label is a class that nobody has used yet")


class Feedback(Label):
    """What somebody says of an answer, or of an image that the project has."""

    prediction: str | None = Field(None, min_length=32, max_length=32, description="the id that the answer came with")
    sample: str | None = Field(None, min_length=64, max_length=64, description="or the sha256 of an image")


class Direct(APIRoute):
    """A route whose function takes the request as it is and gives the response: FastAPI resolves nothing for it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function itself."""
        return self.endpoint


def routes(doors: Doors) -> APIRouter:
    """The routes, on these doors."""
    router = APIRouter(tags=["Pellucid"])
    service, workspace = doors.service, doors.service.workspace

    async def predict(request: Request) -> JSONResponse:
        """Answers for one image as the body, or several in a form."""
        caller = await doors.admit(request, Right.PREDICT)
        received = await doors.uploads.read(request)
        asked = [Asked(image.data, caller.name, image.field) for image in received.images]
        answers = await while_connected(request, service.predict(asked))
        return JSONResponse({"predictions": [_shown(doors, item) for item in answers]})

    router.add_api_route(
        "/predict",
        predict,
        methods=["POST"],
        dependencies=TOKENS,
        openapi_extra=_IMAGES,
        route_class_override=Direct,
    )

    @router.post("/feedback", dependencies=TOKENS, openapi_extra=body_of(Feedback.model_json_schema(), _SAID))
    async def feedback(request: Request) -> dict[str, Any]:
        """Says what is right; it is learnt at once, and the answer tells what became of it."""
        caller = await doors.admit(request, Right.FEEDBACK)
        given = _validated(Feedback, await doors.uploads.read_json(request))
        said = await run_in_threadpool(_said, given, caller)
        heard = await service.hear(said, f"http:{caller.name}")
        if not heard.again:
            doors.metrics.note_heard(heard)
        return _told(heard)

    @router.post(
        "/samples",
        dependencies=TOKENS,
        openapi_extra=body_of(_sample_form(), {"image": "@photo.jpg", "label": "cat"}, "multipart/form-data"),
    )
    async def samples(request: Request) -> dict[str, Any]:
        """A picture with its label: answered, kept, and learnt at once."""
        caller = await doors.admit(request, Right.FEEDBACK)
        received = await doors.uploads.read(request)
        if len(received.images) != 1:
            raise RequestError(f"{len(received.images)} images came; send one image with its label")
        given = _validated(Label, dict(received.texts))
        (answer,) = await service.predict([Asked(received.images[0].data, caller.name, received.images[0].field)])
        said = Said(
            answer.sample,
            given.label,
            _voter(given, caller),
            prediction=answer.uid,
            model=answer.model,
            confidence=answer.confidence,
            note=given.note,
            key=given.id,
            new_class=given.new_class,
        )
        heard = await service.hear(said, f"http:{caller.name}")
        if not heard.again:
            doors.metrics.note_heard(heard)
        return {"prediction": _shown(doors, answer), "heard": _told(heard)}

    @router.get("/predictions/{uid}", dependencies=TOKENS)
    async def prediction(
        request: Request, uid: Annotated[str, Path(min_length=32, max_length=32, pattern="^[0-9a-f]+$")]
    ) -> dict[str, Any]:
        """What an answer rests on: model, dataset version, votes, files."""
        await doors.admit(request, Right.PREDICT)
        return dict(jsonable_encoder(await run_in_threadpool(chain, workspace, uid)))

    @router.get("/history", dependencies=TOKENS)
    async def history(request: Request) -> dict[str, Any]:
        """Who was champion when, by whom, and why; oldest first."""
        await doors.admit(request, Right.PREDICT)

        def read() -> list[Any]:
            with workspace.database.read() as connection:
                return list(jsonable_encoder(history_of(connection, service.live.model.name)))

        return {"history": await run_in_threadpool(read)}

    def _said(given: Feedback, caller: Caller) -> Said:
        if (given.prediction is None) == (given.sample is None):
            raise RequestError("give either the prediction's id or the sample's")
        answer, sample = None, given.sample
        with workspace.database.read() as connection:
            if given.prediction is not None:
                answer = answer_of(connection, given.prediction)
                sample = answer.sample
                name = service.live.model.name
                if answer.model.rpartition("@")[0] != name:
                    raise RequestError(f"{answer.model} gave that answer; this server learns for {name}", status=409)
            elif not stored_ids(connection, [str(sample)]):
                raise RequestError(f"the project has no image {str(sample)[:12]!r}...; send it to /samples", status=404)
        return Said(
            sample=str(sample),
            label=given.label,
            voter=_voter(given, caller),
            prediction=given.prediction,
            model=None if answer is None else answer.model,
            confidence=None if answer is None else answer.confidence,
            note=given.note,
            key=given.id,
            new_class=given.new_class,
        )

    return router


def _shown(doors: Doors, answer: Answer) -> dict[str, Any]:
    """By hand: what turns any object into JSON takes as long as all the rest of a request's bookkeeping."""
    doors.metrics.note_answer(answer)
    return {
        "id": answer.uid,
        "sample": answer.sample,
        "label": answer.label,
        "confidence": answer.confidence,
        "probabilities": dict(answer.probabilities),
        "likely": list(answer.likely),
        "entropy": answer.entropy,
        "novelty": answer.novelty,
        "model": answer.model,
        "ledger": answer.ledger,
        "at": answer.at.isoformat(),
    }


def _told(heard: Heard) -> dict[str, Any]:
    """Word for word the same to whoever comes again under the same id."""
    told = dict(jsonable_encoder(heard))
    del told["again"]
    return told


def _voter(given: Label, caller: Caller) -> str:
    """Nobody can speak in the name of another token."""
    return f"{caller.name}/{given.voter}" if given.voter else caller.name


def _validated(kind: type[L], value: Any) -> L:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise RequestError(in_words(error.errors(include_url=False, include_input=False)[0]), status=422) from None


def _sample_form() -> dict[str, Any]:
    """What is said of an image, and the image."""
    schema = Label.model_json_schema()
    schema["properties"] = {"image": {"type": "string", "format": "binary"}, **schema["properties"]}
    return schema | {"title": "Sample", "required": ["image", *schema["required"]]}
