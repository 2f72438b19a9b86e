"""The API of directions that a person makes: sliders kept under a name, and directions learned from labels."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import torch
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError
from simulacra.explore import requests
from simulacra.explore.guard import body
from simulacra.explore.jobs import Job, Jobs
from simulacra.explore.opened import Studio
from simulacra.explore.rendering import Model
from simulacra.explore.responses import kept

BYTES = 1 << 20  # of a body, at most

Do = Callable[[Callable[[], Any]], Awaitable[Any]]  # has the worker do something


class Sliders:
    """Routes under /api/directions and /api/jobs."""

    def __init__(self, studio: Studio, jobs: Jobs, do: Do) -> None:
        self.studio, self.jobs, self.do = studio, jobs, do

    async def save(self, request: Request) -> Response:
        """Keep what {edits} do together as a direction {name}, whose strength 1 is all of them: as for renaming."""
        told = requests.parsed(await body(request, BYTES), {"name", "edits", "checkpoint"})
        name, checkpoint = requests.name(told.get("name")), requests.checkpoint(told)
        edits = requests.recipe({"edits": told.get("edits", {})}).edits

        def made() -> dict[str, Any]:
            model = self.studio.model(checkpoint)
            model.keep(name, edits)
            return kept(model)

        return JSONResponse(await self.do(made))

    async def learnable(self, request: Request) -> Response:
        """Whether directions can be learned from labels: {labels}, how many; or {why} not. ?checkpoint=."""
        checkpoint = request.query_params.get("checkpoint")
        return JSONResponse(await self.do(lambda: learnable(self.studio.model(checkpoint))))

    async def learn(self, request: Request) -> Response:
        """Begin to learn directions from the labels of the model's data: {checkpoint}. Returns {job}.

        Its end tells the directions and {left_out}, what could not be learned, by name, with the reason.
        """
        checkpoint = requests.checkpoint(requests.parsed(await body(request, BYTES), {"checkpoint"}))
        model = await self.do(lambda: self.studio.model(checkpoint))
        if why := (await self.do(lambda: learnable(model)))["why"]:
            raise SimulacraError(why)

        def work(job: Job) -> dict[str, Any]:
            torch.set_num_threads(1)
            left_out = model.discover(lambda share, stage: job.go_on(share, stage=stage), labels=True)
            return kept(model) | {"left_out": left_out}

        return JSONResponse({"job": self.jobs.start("lesson from labels", work).id})

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/directions/save", self.save, methods=["POST"]),
            Route("/api/directions/labels", self.learnable),
            Route("/api/jobs/labels", self.learn, methods=["POST"]),
        ]


def learnable(model: Model) -> dict[str, Any]:
    """How many labels a model's data have, and why nothing can be learned from them, if so."""
    from simulacra.latent.attribute_classifier import attribute_targets  # what the first picture need not wait for
    from simulacra.measure.model_under_test import model_under_test

    try:
        data = model_under_test(model.folder).dataset()
        assert isinstance(data, Dataset)
        names, _ = attribute_targets(data)
    except SimulacraError as error:
        return {"labels": 0, "why": str(error)}
    return {"labels": len(names), "why": ""}
