"""The API of directions: listed, found, renamed, saved from sliders, and learned from labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError
from simulacra.explore import requests
from simulacra.explore.background import BackgroundJob, JobRunner
from simulacra.explore.drawing_api import generator
from simulacra.explore.gallery import Gallery
from simulacra.explore.library import Library
from simulacra.explore.loaded import LoadedGenerator
from simulacra.explore.refusals import json_response
from simulacra.explore.responses import saved_directions
from simulacra.explore.worker import OnWorker
from simulacra.latent.facts import direction_facts
from simulacra.messages import Message


class DirectionApi:
    """Routes under /api/directions and /api/jobs."""

    def __init__(self, library: Library, jobs: JobRunner, on_worker: OnWorker) -> None:
        self.library, self.jobs, self.on_worker = library, jobs, on_worker

    async def directions(self, request: Request) -> Response:
        """The directions of this model, in the order in which they are shown: ?checkpoint=."""
        checkpoint = request.query_params.get("checkpoint")
        directions = await self.on_worker(
            lambda: direction_facts(generator(self.library, checkpoint).directions.values())
        )
        return json_response({"directions": directions})

    async def rename(self, request: Request) -> Response:
        """Rename the direction {name} to {to}, in its file, too. Returns {directions}, {path} of the file, {bundled}."""
        content = await requests.read_json(request, {"name", "to", "checkpoint"})
        name, new = requests.text(content.get("name"), "name"), requests.direction_name(content.get("to"), "to")

        def rename(model: LoadedGenerator) -> None:
            model.rename(name, new)
            Gallery(model).rename_direction(name, new)

        return await self._change(content, rename)

    async def save(self, request: Request) -> Response:
        """Save {edits} together as a direction {name}, whose strength 1 is all of them. Returns the same as renaming."""
        content = await requests.read_json(request, {"name", "edits", "checkpoint"})
        name = requests.direction_name(content.get("name"), "name")
        edits = requests.recipe({"edits": content.get("edits", {})}).edits
        return await self._change(content, lambda model: model.save_direction(name, edits))

    async def _change(self, content: dict[str, Any], change: Callable[[LoadedGenerator], None]) -> Response:
        checkpoint = requests.checkpoint(content)

        def work() -> dict[str, Any]:
            model = generator(self.library, checkpoint)
            change(model)
            return saved_directions(model)

        return json_response(await self.on_worker(work))

    async def labels(self, request: Request) -> Response:
        """Whether directions can be learned from labels: {labels}, how many; or {why} not. ?checkpoint=."""
        checkpoint = request.query_params.get("checkpoint")
        try:
            count = await self.on_worker(lambda: label_count(generator(self.library, checkpoint)))
        except SimulacraError as error:
            return json_response({"labels": 0, "why": error})
        return json_response({"labels": count, "why": ""})

    async def find(self, request: Request) -> Response:
        """Start finding the directions of this model: {checkpoint}. Returns {job}."""
        model = await self._model(request)

        def work(job: BackgroundJob) -> dict[str, Any]:
            torch.set_num_threads(1)
            model.find_directions(lambda share, stage: job.advance(share, stage=stage))
            return {"directions": direction_facts(model.directions.values())}

        return json_response({"job": self.jobs.start(Message("explore.job_directions"), work).id})

    async def learn(self, request: Request) -> Response:
        """Start learning directions from the labels of the model's data: {checkpoint}. Returns {job}.

        Its last event has the directions, and {left_out}: the reason by the name of each label that gave none.
        """
        model = await self._model(request)
        await self.on_worker(lambda: label_count(model))  # refuses before the job starts

        def work(job: BackgroundJob) -> dict[str, Any]:
            torch.set_num_threads(1)
            left_out = model.find_directions(lambda share, stage: job.advance(share, stage=stage), labels=True)
            return saved_directions(model) | {"left_out": left_out}

        return json_response({"job": self.jobs.start(Message("explore.job_labels"), work).id})

    async def _model(self, request: Request) -> LoadedGenerator:
        checkpoint = requests.checkpoint(await requests.read_json(request, {"checkpoint"}))
        return await self.on_worker(lambda: generator(self.library, checkpoint))

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/directions", self.directions),
            Route("/api/directions/rename", self.rename, methods=["POST"]),
            Route("/api/directions/save", self.save, methods=["POST"]),
            Route("/api/directions/labels", self.labels),
            Route("/api/jobs/directions", self.find, methods=["POST"]),
            Route("/api/jobs/labels", self.learn, methods=["POST"]),
        ]


def label_count(model: LoadedGenerator) -> int:
    """How many labels the model's data have. Raises `SimulacraError` where nothing can be learned from them."""
    from simulacra.latent.attribute_classifier import (
        attribute_targets,  # the first picture need not wait for these imports
    )
    from simulacra.measure.model_under_test import model_under_test

    dataset = model_under_test(model.folder).dataset()
    assert isinstance(dataset, Dataset)
    names, _ = attribute_targets(dataset)
    return len(names)
