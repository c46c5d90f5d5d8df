"""The app: who may, how often and how much, before the routes of every protocol."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.requests import Request

from pellucid.features.decode import Limits
from pellucid.serve import api, invocations, openinference, operations
from pellucid.serve.access import Access, Caller, OpenAccess
from pellucid.serve.answers import Refused, add_answers
from pellucid.serve.docs import add_docs
from pellucid.serve.metrics import Metrics
from pellucid.serve.metrics_http import SECONDS, Timing
from pellucid.serve.pulse import Pulse
from pellucid.serve.rates import Rates
from pellucid.serve.service import Service
from pellucid.serve.uploads import UploadLimits, Uploads
from pellucid.types import Right
from pellucid.version import VERSION

_ABOUT = """An image classifier that keeps itself right. Ask by `POST /predict`, say what is right by `POST /feedback`.

Show a token as `Authorization: Bearer plt_...`; `pellucid tokens create` makes one."""


@dataclass(frozen=True, slots=True)
class Doors:
    """What every route has at hand."""

    service: Service
    metrics: Metrics
    uploads: Uploads
    access: Access | OpenAccess
    rates: Rates
    pulse: Pulse

    async def admit(self, request: Request, right: Right) -> Caller:
        """Who asks, if that is allowed.

        Raises:
            AccessError: no good token was shown.
            RightError: the token is not for this.
            RateError: it asks too often.
        """
        caller = await self.access.identify(request.headers)
        caller.need(right)
        self.rates.take(caller.name, caller.per_minute)
        return caller


def create_app(service: Service, *, access: Access | OpenAccess | None = None) -> FastAPI:
    """The app of a service, which it starts and closes; tokens are asked for unless ``access`` is another."""
    settings = service.workspace.settings
    images = Limits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    metrics = Metrics(service)
    doors = Doors(
        service=service,
        metrics=metrics,
        uploads=Uploads(UploadLimits(image=images)),
        access=access or Access.of(service.workspace.database),
        rates=Rates(),
        pulse=Pulse(metrics.take, SECONDS),
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(service.start)
        doors.pulse.start()
        yield
        await asyncio.to_thread(doors.pulse.close)
        await asyncio.to_thread(doors.metrics.close)
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title="Pellucid",
        version=VERSION,
        description=_ABOUT,
        lifespan=lifespan,
        redirect_slashes=False,  # it would send clients to whatever Host they named
        docs_url=None,  # their pages load scripts from other hosts; `add_docs` makes our own
        redoc_url=None,
        responses={"default": {"model": Refused, "description": "Refused, or failed."}},
    )
    add_answers(app)
    for module in (api, openinference, invocations, operations):
        app.include_router(module.routes(doors))
    add_docs(app)
    app.add_middleware(Timing, metrics=doors.metrics.http)
    app.state.doors = doors
    return app
