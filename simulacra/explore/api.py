"""The explorer's API: what a model of any task answers, and the application with the routes of its task.

A recipe is JSON such as {"seed": 7, "truncation": 0.8, "edits": {"smile": {"strength": 1.5, "layers": [0, 4]}}}; see
`simulacra.latent.recipe`. `checkpoint` names one of a run's checkpoints; without it the opened model answers.
Whatever is wrong is answered with {"error": "one sentence", "code": …, "values": …}. `GET /api` lists all routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from simulacra.errors import SimulacraError
from simulacra.explore.background import BackgroundJob, JobRunner
from simulacra.explore.direction_api import DirectionApi
from simulacra.explore.drawing_api import DrawingApi
from simulacra.explore.gallery_api import GalleryApi
from simulacra.explore.library import Library
from simulacra.explore.osc import Osc
from simulacra.explore.refusals import HANDLERS, NotFound, json_response
from simulacra.explore.responses import picture, progress
from simulacra.explore.translation_api import TranslationApi
from simulacra.explore.worker import OnWorker, Worker

T = TypeVar("T")


class CommonApi:
    """Routes of every model: facts, the run, and the jobs."""

    def __init__(self, library: Library, jobs: JobRunner, on_worker: OnWorker) -> None:
        self.library, self.jobs, self.on_worker = library, jobs, on_worker

    async def model(self, request: Request) -> Response:
        """What this model is and can do: ?checkpoint=."""
        checkpoint = request.query_params.get("checkpoint")
        return json_response(await self.on_worker(lambda: self.library.facts(checkpoint)))

    async def run(self, request: Request) -> Response:
        """What the run's files say: checkpoints, scores, previews, losses."""
        return json_response(await asyncio.to_thread(self.library.run_summary))

    async def preview(self, request: Request) -> Response:
        """The run's previews after so many images (PNG)."""
        return FileResponse(await asyncio.to_thread(self.library.preview, request.path_params["nimg"]))

    async def events(self, request: Request) -> Response:
        """A job's progress as server-sent events. Leaving before its end cancels the job."""
        return StreamingResponse(progress(self._job(request)), media_type="text/event-stream")

    async def cancel(self, request: Request) -> Response:
        """Stop a job. A photo search ends with the best result so far."""
        self._job(request).cancel()
        return json_response({})

    async def film(self, request: Request) -> Response:
        """The film of a finished job (WebP)."""
        film = self._job(request).film
        if film is None:
            raise NotFound("explore.no_film")
        return picture(film, "webp")

    async def job_picture(self, request: Request) -> Response:
        """The newest picture of a job (WebP)."""
        data = self._job(request).picture
        if data is None:
            raise NotFound("explore.no_picture")
        return picture(data, "webp")

    def _job(self, request: Request) -> BackgroundJob:
        job = self.jobs.find(request.path_params["job"])
        if job is None:
            raise NotFound("explore.no_job")
        return job

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/model", self.model),
            Route("/api/run", self.run),
            Route("/api/run/previews/{nimg}", self.preview),
            Route("/api/jobs/{job}", self.cancel, methods=["DELETE"]),
            Route("/api/jobs/{job}/events", self.events),
            Route("/api/jobs/{job}/film", self.film),
            Route("/api/jobs/{job}/picture", self.job_picture),
        ]


def application(library: Library, worker: Worker, jobs: JobRunner, osc: Osc | None = None) -> Starlette:
    """The API of the opened model. Routes of the other task refuse, and say which task the model has."""

    async def on_worker(work: Callable[[], T], client: str = "") -> T:
        return await asyncio.wrap_future(worker.submit(work, client))

    services = library, jobs, on_worker
    tasks = {
        "draw": [
            *DrawingApi(*services).routes(),
            *GalleryApi(library, on_worker).routes(),
            *DirectionApi(*services).routes(),
            *(osc or Osc()).routes(),
        ],
        "translate": TranslationApi(library, on_worker).routes(),
    }
    task = library.model().task
    routes = [*tasks.pop(task), *CommonApi(*services).routes()]
    others = [Route(route.path, _refusing(task), methods=list(route.methods or ())) for group in tasks.values() for route in group]  # fmt: skip
    return Starlette(routes=[_listing(routes), *routes, *others], exception_handlers=HANDLERS)


WRONG_TASK = {"draw": "explore.draws", "translate": "explore.translates"}


def _refusing(task: str) -> Callable[[Request], Any]:
    async def refuse(request: Request) -> Response:
        raise SimulacraError(WRONG_TASK[task])

    return refuse


def _listing(routes: Iterable[Route]) -> Route:
    async def listing(request: Request) -> Response:
        """Every route of this API, with its description."""
        return json_response({
            f"{' '.join(sorted((route.methods or set()) - {'HEAD'}))} {route.path}": " ".join((route.endpoint.__doc__ or "").split())
            for route in routes
        })  # fmt: skip

    return Route("/api", listing)
