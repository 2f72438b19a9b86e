"""The API of a model that draws: pictures, their numbers, children, films, and the search for a photo."""

from __future__ import annotations

import asyncio
from typing import Any

import torch
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulacra.errors import SimulacraError
from simulacra.explore import rendering, requests
from simulacra.explore.background import BackgroundJob, JobRunner
from simulacra.explore.library import Library
from simulacra.explore.loaded import LoadedGenerator
from simulacra.explore.refusals import json_response
from simulacra.explore.responses import picture
from simulacra.explore.worker import OnWorker
from simulacra.generator import to_image
from simulacra.latent.inversion import Progress, invert, pace
from simulacra.latent.project import preprocess_photo
from simulacra.latent.recipe import Recipe, to_json
from simulacra.messages import Message
from simulacra.seeds import is_word

PHOTO_PIXELS = 40_000_000  # at most
STEPS = (10, 5000)  # of a latent inversion
FRAMES = (2, 120)  # of a film, from one picture to the next
STOPS = (2, 24)  # pictures of a film
FILM_SIDES = (16, 512)


class DrawingApi:
    """Routes that draw from recipes. One worker does all drawing."""

    def __init__(self, library: Library, jobs: JobRunner, on_worker: OnWorker) -> None:
        self.library, self.jobs, self.on_worker = library, jobs, on_worker

    async def generate(self, request: Request) -> Response:
        """One PNG. ?values=v0,v1,… are the numbers of z; or ?seed=7, ?seed=my%20cat. Also &label= and &truncation=."""
        query = request.query_params
        start: dict[str, Any] = {}
        if "values" in query:
            start["z"] = requests.numbers(query["values"])
        if "seed" in query:
            start["seed"] = query["seed"] if is_word(query["seed"]) else requests.seed(query["seed"])
        truncation = requests.numbers(query.get("truncation", "1"))[0]
        recipe = Recipe(**start, label=query.get("label", "")[: requests.MAX_TEXT], truncation=truncation)
        return await self._render(rendering.RenderRequest(recipes=[recipe]))

    async def picture(self, request: Request) -> Response:
        """A picture of {recipe} or a sheet of {recipes}, {columns}; {format} auto, webp, jpeg or png; {side} in pixels.

        {client}: any name of a page; its newest request replaces its waiting one (429).
        """
        keys = {"recipe", "recipes", "format", "side", "columns", "client", "checkpoint"}
        content = await requests.read_json(request, keys)
        client = requests.text(content["client"], "client") if "client" in content else ""
        return await self._render(requests.render_request(content), requests.checkpoint(content), client)

    async def _render(
        self, render_request: rendering.RenderRequest, checkpoint: str | None = None, client: str = ""
    ) -> Response:
        return picture(
            *await self.on_worker(lambda: rendering.render(generator(self.library, checkpoint), render_request), client)
        )

    async def numbers(self, request: Request) -> Response:
        """The z (null: it has none), w and label of {recipe}."""
        content = await requests.read_json(request, {"recipe", "checkpoint"})
        recipe, checkpoint = requests.recipe(content.get("recipe")), requests.checkpoint(content)
        return json_response(
            await self.on_worker(lambda: rendering.latent_numbers(generator(self.library, checkpoint), recipe))
        )

    async def children(self, request: Request) -> Response:
        """Recipes of {count} children of the pictures {a} and {b}; {seed} varies them."""
        content = await requests.read_json(request, {"a", "b", "count", "seed", "checkpoint"})
        parents = requests.recipe(content.get("a")), requests.recipe(content.get("b"))
        count = requests.between(content.get("count"), "count", 1, rendering.MAX_PICTURES)
        seed = requests.between(content.get("seed"), "seed", 0, requests.MAX_SEED)
        checkpoint = requests.checkpoint(content)
        recipes = await self.on_worker(
            lambda: rendering.breed(generator(self.library, checkpoint), parents, count, seed)
        )
        return json_response({"recipes": recipes})

    async def open(self, request: Request) -> Response:
        """The recipe inside a saved picture, whose file is the body: {model, recipe}, or {} where it has none."""
        data = await requests.read_body(request, requests.PICTURE_BYTES)
        recipe = await asyncio.to_thread(rendering.read_recipe, data) or {}
        requests.check_size(recipe)
        return json_response(recipe)

    async def pace(self, request: Request) -> Response:
        """Seconds that the search for a photo takes here: {start}, and {step} for each step. ?checkpoint=."""
        checkpoint = request.query_params.get("checkpoint")
        start, step = await self.on_worker(lambda: pace(generator(self.library, checkpoint).generator))
        return json_response({"start": start, "step": step})

    async def photo(self, request: Request) -> Response:
        """Start the latent inversion of a photo, whose file is the body: ?steps= &checkpoint=. Returns {job}."""
        query = request.query_params
        steps = requests.between(requests.seed(query.get("steps", "300")), "steps", *STEPS)
        data = await requests.read_body(request, requests.PICTURE_BYTES)
        model = await self.on_worker(lambda: generator(self.library, query.get("checkpoint")))
        target = await asyncio.to_thread(preprocess_photo, data, model.generator.shape, max_pixels=PHOTO_PIXELS)

        def work(job: BackgroundJob) -> dict[str, Any]:
            def on_step(progress: Progress) -> None:
                if job.report_due() or progress.step == progress.steps:
                    job.picture = rendering.encode(to_image(progress.picture), "webp", {})
                    job.report(progress.step / progress.steps, step=progress.step, psnr=round(progress.psnr, 2))

            torch.set_num_threads(1)
            result = invert(model.generator, target, steps=steps, on_step=on_step, stop=job.cancelled)
            return {"recipe": to_json(result.recipe), "psnr": round(result.psnr, 2)}

        return json_response({"job": self.jobs.start(Message("explore.job_photo"), work).id})

    async def walk(self, request: Request) -> Response:
        """Start a film through {recipes}: {frames} from one to the next, {side} in pixels. Returns {job}."""
        content = await requests.read_json(request, {"recipes", "frames", "side", "checkpoint"})
        recipes, checkpoint = requests.recipes(content.get("recipes")), requests.checkpoint(content)
        if not STOPS[0] <= len(recipes) <= STOPS[1]:
            raise SimulacraError("explore.film_stops", count=len(recipes), least=STOPS[0], most=STOPS[1])
        frames = requests.between(content.get("frames", 24), "frames", *FRAMES)
        side = requests.between(content.get("side", 256), "side", *FILM_SIDES)
        model = await self.on_worker(lambda: generator(self.library, checkpoint))

        def work(job: BackgroundJob) -> dict[str, Any]:
            torch.set_num_threads(1)
            job.film = rendering.walk(model, recipes, frames, side, job.advance)
            return {"film": f"api/jobs/{job.id}/film"}

        return json_response({"job": self.jobs.start(Message("explore.job_film"), work).id})

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/generate", self.generate),
            Route("/api/picture", self.picture, methods=["POST"]),
            Route("/api/numbers", self.numbers, methods=["POST"]),
            Route("/api/children", self.children, methods=["POST"]),
            Route("/api/open", self.open, methods=["POST"]),
            Route("/api/photo/pace", self.pace),
            Route("/api/jobs/photo", self.photo, methods=["POST"]),
            Route("/api/jobs/walk", self.walk, methods=["POST"]),
        ]


def generator(library: Library, checkpoint: str | None) -> LoadedGenerator:
    """The model of a checkpoint, None for the opened one. All models of a library have its task."""
    model = library.model(checkpoint)
    assert isinstance(model, LoadedGenerator)
    return model
