"""The explorer's API: pictures, numbers, directions, jobs and runs, as JSON and bytes.

A recipe is JSON such as {"seed": 7, "truncation": 0.8, "edits": {"smile": {"strength": 1.5, "layers": [0, 4]}}}; see
`simulacra.latent.recipe`. `checkpoint` names one of a run's checkpoints where another than its best is meant.
Whatever is wrong is answered with {"error": "one sentence"}. `GET /api` lists all this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from simulacra.errors import SimulacraError
from simulacra.explore import rendering, requests
from simulacra.explore.guard import body
from simulacra.explore.jobs import Job, Jobs
from simulacra.explore.opened import Studio
from simulacra.explore.responses import ERRORS, described, kept, picture, progress
from simulacra.explore.sliders import Sliders
from simulacra.explore.translate import Translations
from simulacra.explore.worker import Worker
from simulacra.gan import to_image
from simulacra.latent.inversion import Progress, invert
from simulacra.latent.project import preprocess_photo
from simulacra.latent.recipe import Recipe, to_json

JSON_BYTES, PICTURE_BYTES = 1 << 20, 32 << 20  # of a body, at most
PIXELS = 40_000_000  # of a photo, at most
STEPS = (10, 5000)  # of a projection
FRAMES = (2, 120)  # of a film, from one picture to the next
STOPS = 24  # pictures of a film, at most
FILM_SIDES = (16, 512)

T = TypeVar("T")


class Api:
    """What is asked of a studio by HTTP. All drawing is done by one worker."""

    def __init__(self, studio: Studio, worker: Worker, jobs: Jobs) -> None:
        self.studio, self.worker, self.jobs = studio, worker, jobs
        self.translations = Translations(studio, self.do)

    async def do(self, what: Callable[[], T], client: str = "") -> T:
        """Have the worker do it."""
        return await asyncio.wrap_future(self.worker.submit(what, client))

    async def generate(self, request: Request) -> Response:
        """One PNG. ?values=v0,v1,… are the numbers of z; or ?seed=7; with &label= and &truncation=, too."""
        query = request.query_params
        start: dict[str, Any] = {}
        if "values" in query:
            start["z"] = requests.values(query["values"])
        if "seed" in query:
            start["seed"] = requests.seed(query["seed"])
        (truncation,) = requests.values(query.get("truncation", "1"))[:1]
        recipe = Recipe(**start, label=query.get("label", "")[: requests.LONGEST], truncation=truncation)
        wanted = rendering.Request(recipes=[recipe])
        return picture(*await self.do(lambda: rendering.render(self.studio.model(), wanted)))

    async def picture(self, request: Request) -> Response:
        """A picture of {recipe} or a sheet of {recipes}, {columns}; {format} auto, webp, jpeg or png; {side} in pixels.

        {client}: a page's name for itself; its newest request takes the place of one that still waits (429).
        """
        told = requests.parsed(
            await body(request, JSON_BYTES),
            {"recipe", "recipes", "format", "side", "columns", "client", "checkpoint"},
        )
        wanted, checkpoint = requests.request(told), requests.checkpoint(told)
        client = requests.text(told["client"], "client") if "client" in told else ""
        return picture(*await self.do(lambda: rendering.render(self.studio.model(checkpoint), wanted), client))

    async def numbers(self, request: Request) -> Response:
        """The z (null where there is none), w and label of {recipe}."""
        told = requests.parsed(await body(request, JSON_BYTES), {"recipe", "checkpoint"})
        recipe, checkpoint = requests.recipe(told.get("recipe")), requests.checkpoint(told)
        return JSONResponse(await self.do(lambda: rendering.numbers(self.studio.model(checkpoint), recipe)))

    async def children(self, request: Request) -> Response:
        """Recipes of {count} children of the pictures {one} and {other}; {seed} makes others."""
        told = requests.parsed(await body(request, JSON_BYTES), {"one", "other", "count", "seed", "checkpoint"})
        parents = requests.recipe(told.get("one")), requests.recipe(told.get("other"))
        count, checkpoint = requests.between(told.get("count"), "count", 1, rendering.MOST), requests.checkpoint(told)
        seed = requests.between(told.get("seed"), "seed", 0, 2**32 - 1)
        found = await self.do(lambda: rendering.bred(self.studio.model(checkpoint), parents, count, seed))
        return JSONResponse({"recipes": found})

    async def model(self, request: Request) -> Response:
        """What this model is and can do: ?checkpoint=."""
        checkpoint = request.query_params.get("checkpoint")
        return JSONResponse(await self.do(lambda: self.studio.facts(checkpoint)))

    async def directions(self, request: Request) -> Response:
        """The directions of this model, in the order in which they are shown: ?checkpoint=."""
        checkpoint = request.query_params.get("checkpoint")
        return JSONResponse({"directions": await self.do(lambda: described(self.studio.model(checkpoint)))})

    async def rename(self, request: Request) -> Response:
        """Call the direction {name} {to}, and keep it so: {directions}, {path} of their file, {shipped}."""
        told = requests.parsed(await body(request, JSON_BYTES), {"name", "to", "checkpoint"})
        name, new, checkpoint = (
            requests.text(told.get("name"), "name"),
            requests.name(told.get("to")),
            requests.checkpoint(told),
        )

        def renamed() -> dict[str, Any]:
            model = self.studio.model(checkpoint)
            model.rename(name, new)
            return kept(model)

        return JSONResponse(await self.do(renamed))

    async def open(self, request: Request) -> Response:
        """The recipe inside a saved picture, whose file is the body: {model, recipe}, or {} where it has none."""
        data = await body(request, PICTURE_BYTES)
        return JSONResponse(await asyncio.to_thread(rendering.read, data) or {})

    # --- jobs -----------------------------------------------------------------------------------------------

    async def photo(self, request: Request) -> Response:
        """Begin to look for the latent of a photo, whose file is the body: ?steps= &checkpoint=. Returns {job}."""
        query = request.query_params
        steps = requests.between(requests.seed(query.get("steps", "300")), "steps", *STEPS)
        data = await body(request, PICTURE_BYTES)
        model = await self.do(lambda: self.studio.model(query.get("checkpoint")))
        target = await asyncio.to_thread(preprocess_photo, data, model.stored.shape, max_pixels=PIXELS)

        def work(job: Job) -> dict[str, Any]:
            def on_step(now: Progress) -> None:
                if job.stale() or now.step == now.steps:
                    job.picture = rendering.encoded(to_image(now.picture), "webp", {})
                    job.tell(now.step / now.steps, step=now.step, psnr=round(now.psnr, 2))

            torch.set_num_threads(1)
            found = invert(model.generator, target, steps=steps, on_step=on_step, stop=job.stopped)
            return {"recipe": to_json(found.recipe), "psnr": round(found.psnr, 2)}

        return JSONResponse({"job": self.jobs.start("search for a photo", work).id})

    async def discover(self, request: Request) -> Response:
        """Begin to look for the directions of this model: {checkpoint}. Returns {job}."""
        told = requests.parsed(await body(request, JSON_BYTES), {"checkpoint"})
        checkpoint = requests.checkpoint(told)
        model = await self.do(lambda: self.studio.model(checkpoint))

        def work(job: Job) -> dict[str, Any]:
            torch.set_num_threads(1)
            model.discover(lambda share, stage: job.go_on(share, stage=stage))
            return {"directions": described(model)}

        return JSONResponse({"job": self.jobs.start("search for directions", work).id})

    async def walk(self, request: Request) -> Response:
        """Begin a film through {recipes}: {frames} from one to the next, {side} in pixels. Returns {job}."""
        told = requests.parsed(await body(request, JSON_BYTES), {"recipes", "frames", "side", "checkpoint"})
        recipes, checkpoint = requests.recipes(told.get("recipes")), requests.checkpoint(told)
        if not 2 <= len(recipes) <= STOPS:
            raise SimulacraError(f"A film goes through 2 to {STOPS} pictures; {len(recipes)} were given.")
        frames = requests.between(told.get("frames", 24), "frames", *FRAMES)
        side = requests.between(told.get("side", 256), "side", *FILM_SIDES)
        model = await self.do(lambda: self.studio.model(checkpoint))

        def work(job: Job) -> dict[str, Any]:
            torch.set_num_threads(1)
            job.result = rendering.walk(model, recipes, frames, side, job.go_on)
            return {"film": f"/api/jobs/{job.id}/film"}

        return JSONResponse({"job": self.jobs.start("film", work).id})

    async def events(self, request: Request) -> Response:
        """A job's progress as server-sent events; who leaves before the end cancels the job."""
        return StreamingResponse(progress(self._job(request)), media_type="text/event-stream")

    async def cancel(self, request: Request) -> Response:
        """Stop a job; a search for a photo ends with the best so far."""
        self._job(request).cancel()
        return JSONResponse({})

    async def film(self, request: Request) -> Response:
        """The film that a job made (WebP)."""
        result = self._job(request).result
        if result is None:
            raise HTTPException(404, "This job has made no film, or not yet.")
        return picture(result, "webp")

    async def seen(self, request: Request) -> Response:
        """The newest picture of a job, where it has any (WebP)."""
        found = self._job(request).picture
        if found is None:
            raise HTTPException(404, "This job has no picture, or not yet.")
        return picture(found, "webp")

    def _job(self, request: Request) -> Job:
        job = self.jobs.find(request.path_params["job"])
        if job is None:
            raise HTTPException(404, "There is no such job, or it is long over.")
        return job

    # --- runs -----------------------------------------------------------------------------------------------

    async def run(self, request: Request) -> Response:
        """What the run's files say: checkpoints, scores, previews, losses."""
        return JSONResponse(await asyncio.to_thread(self.studio.told))

    async def preview(self, request: Request) -> Response:
        """The run's previews after so many images (PNG)."""
        return FileResponse(await asyncio.to_thread(self.studio.preview, request.path_params["nimg"]))

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/generate", self.generate),
            Route("/api", self.help),
            Route("/api/model", self.model),
            Route("/api/picture", self.picture, methods=["POST"]),
            Route("/api/numbers", self.numbers, methods=["POST"]),
            Route("/api/children", self.children, methods=["POST"]),
            Route("/api/directions", self.directions),
            Route("/api/directions/rename", self.rename, methods=["POST"]),
            *Sliders(self.studio, self.jobs, self.do).routes(),
            Route("/api/open", self.open, methods=["POST"]),
            *self.translations.routes(),
            Route("/api/jobs/photo", self.photo, methods=["POST"]),
            Route("/api/jobs/directions", self.discover, methods=["POST"]),
            Route("/api/jobs/walk", self.walk, methods=["POST"]),
            Route("/api/jobs/{job}", self.cancel, methods=["DELETE"]),
            Route("/api/jobs/{job}/events", self.events),
            Route("/api/jobs/{job}/film", self.film),
            Route("/api/jobs/{job}/picture", self.seen),
            Route("/api/run", self.run),
            Route("/api/run/previews/{nimg}", self.preview),
        ]

    async def help(self, request: Request) -> Response:
        """Every address of this API, and what it is for."""
        told = {f"{' '.join(sorted((route.methods or set()) - {'HEAD'}))} {route.path}": " ".join((route.endpoint.__doc__ or "").split())
                for route in self.routes()}  # fmt: skip
        return JSONResponse(told)


def application(studio: Studio, worker: Worker, jobs: Jobs) -> Starlette:
    """The API as an application of its own."""
    return Starlette(routes=Api(studio, worker, jobs).routes(), exception_handlers=ERRORS)
