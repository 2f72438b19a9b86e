"""The API of the lab's page: experiments in memory, a few steps a request, and the two parallel lines.

Nothing runs between requests, and no request runs long: `MOST_STEPS`, and the sizes that `lab/live.py` allows.
"""

from __future__ import annotations

import asyncio
import functools
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from simulacra.errors import SimulacraError
from simulacra.explore.refusals import NotFound, json_response
from simulacra.explore.requests import MAX_SEED, between, read_json, text
from simulacra.explore.worker import Worker
from simulacra.lab.presets import PRESETS
from simulacra.messages import text as sentence

if TYPE_CHECKING:  # torch takes seconds to import, and the studio's library does without
    from simulacra.lab.live import LiveExperiment

STATIC = Path(__file__).parent / "static"
OPENED = 4  # experiments in memory at once
TARGETS: Mapping[str, str] = {  # with the codes of their names
    "ring": "lab.ring",
    "grid": "lab.grid",
    "roll": "lab.roll",
    "distances": "lab.lines",
}
ABOUT = {
    "ring": "lab.about_ring",
    "grid": "lab.about_grid",
    "roll": "lab.about_roll",
    "distances": "lab.about_distances",
}

T = TypeVar("T")


class LabApi:
    """Routes of the lab's page. All work is done on the thread of `worker`."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._opened: OrderedDict[str, LiveExperiment] = OrderedDict()

    async def _on_worker(self, work: Callable[[], T]) -> T:
        return await asyncio.shield(asyncio.wrap_future(self.worker.submit(work)))

    async def choices(self, request: Request) -> Response:
        """The targets, the GANs that work in the plane, and the presets, in the language of the request."""
        return json_response(await self._on_worker(_choices))

    async def open(self, request: Request) -> Response:
        """Begin an experiment: {target, gan, seed, settings}; returns its description and first frame."""
        content = await read_json(request, {"target", "gan", "seed", "settings"})
        target, gan = text(content.get("target"), "target"), text(content.get("gan"), "gan")
        seed, settings = between(content.get("seed", 0), "seed", 0, MAX_SEED), _settings(content)

        def work() -> dict[str, Any]:
            import torch

            torch.set_num_threads(1)  # small networks gain nothing from more
            from simulacra.lab.live import LiveExperiment

            opened = LiveExperiment(target, gan, settings, seed)
            name = secrets.token_urlsafe(8)
            self._opened[name] = opened
            while len(self._opened) > OPENED:
                self._opened.popitem(last=False)
            return {"id": name} | opened.describe() | {"frame": opened.advance(0, "turn", {})}

        return json_response(await self._on_worker(work))

    async def describe(self, request: Request) -> Response:
        """The description of an experiment, in the language of the request."""
        return json_response(await self._on_worker(lambda: self._find(request).describe()))

    async def advance(self, request: Request) -> Response:
        """Train an experiment: {steps, of, settings}, as `LiveExperiment.advance` takes them; returns a frame."""
        content = await read_json(request, {"steps", "of", "settings"})
        from simulacra.lab.live import MOST_STEPS

        steps, settings = between(content.get("steps"), "steps", 0, MOST_STEPS), _settings(content)
        of = text(content.get("of", "turn"), "of")
        return json_response(await self._on_worker(lambda: self._find(request).advance(steps, of, settings)))

    def _find(self, request: Request) -> LiveExperiment:
        """The experiment of a request, which becomes the most recently used one."""
        name = request.path_params["name"]
        if name not in self._opened:
            raise NotFound("lab.closed", most=OPENED)
        self._opened.move_to_end(name)
        return self._opened[name]

    async def distances(self, request: Request) -> Response:
        """JS and W of two parallel lines, and their slopes, over the gap."""
        return json_response(await self._on_worker(_distances))

    async def descents(self, request: Request) -> Response:
        """The gaps along gradient descent on JS and on W: ?gap= at the start."""
        gap = _gap(request.query_params.get("gap", ""))
        return json_response(await self._on_worker(lambda: _descents(gap)))

    def routes(self) -> list[BaseRoute]:
        """The page at /lab, and its API."""

        async def page(request: Request) -> FileResponse:
            return FileResponse(STATIC / "lab.html")

        return [
            Route("/lab", page),
            Mount("/lab", StaticFiles(directory=STATIC)),
            Route("/api/lab", self.choices),
            Route("/api/lab/experiments", self.open, methods=["POST"]),
            Route("/api/lab/experiments/{name}", self.describe),
            Route("/api/lab/experiments/{name}", self.advance, methods=["POST"]),
            Route("/api/lab/distances", self.distances),
            Route("/api/lab/distances/descents", self.descents),
        ]


def _choices() -> dict[str, Any]:
    from simulacra.lab.plane import supported
    from simulacra.registry import gans

    shown = [(name, gans()[name]) for name in supported()]
    return {
        "targets": [
            {"name": name, "title": sentence(code), "about": sentence(ABOUT[name])} for name, code in TARGETS.items()
        ],
        "gans": [
            {"name": name, "title": f"{gan.title} ({gan.authors}, {gan.year})", "formulas": gan.formulas}
            for name, gan in shown
        ],
        "presets": [
            {"name": name, "title": sentence(preset.name), "about": sentence(preset.about)}
            | {"target": preset.target, "gan": preset.gan, "settings": preset.settings, "seed": preset.seed}
            for name, preset in PRESETS.items()
        ],
    }


def _settings(content: dict[str, Any]) -> dict[str, Any]:
    """The settings of a request, whose values are checked where the GAN is known."""
    settings = content.get("settings", {})
    if not isinstance(settings, dict):
        raise SimulacraError("explore.not_an_object")
    return settings


def _gap(value: str) -> float:
    """A gap from a query. Raises `SimulacraError`."""
    from simulacra.lab.distances import SPAN

    try:
        gap = float(value)
    except ValueError:
        gap = math.nan
    if not -SPAN <= gap <= SPAN:
        raise SimulacraError("lab.bad_gap", most=SPAN)
    return gap


@functools.cache
def _distances() -> dict[str, Any]:
    """In steps of 0.02, which are those of the slider."""
    from simulacra.lab.distances import SPAN, WIDTH, at_gap, wasserstein
    from simulacra.lab.divergences import jensen_shannon

    most = round(SPAN / 0.02)
    gaps = [number * 0.02 for number in range(-most, most + 1)]
    curves = {name: [at_gap(of, gap) for gap in gaps] for name, of in (("js", jensen_shannon), ("w", wasserstein))}
    return {"width": WIDTH, "gaps": gaps} | {
        name: {"values": [one.value for one in curve], "slopes": [one.slope for one in curve]}
        for name, curve in curves.items()
    }


def _descents(gap: float) -> dict[str, list[float]]:
    from simulacra.lab.distances import descent, wasserstein
    from simulacra.lab.divergences import jensen_shannon

    return {"js": descent(jensen_shannon, gap), "w": descent(wasserstein, gap)}
