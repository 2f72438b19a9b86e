"""The API of the gallery: stars and history, their zip and contact sheet, and the picture that the page shows first."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.explore import album, rendering, requests
from simulacra.explore.drawing_api import generator
from simulacra.explore.gallery import Gallery
from simulacra.explore.library import Library
from simulacra.explore.loaded import LoadedGenerator
from simulacra.explore.refusals import json_response
from simulacra.explore.responses import picture
from simulacra.explore.worker import OnWorker
from simulacra.latent.recipe import Recipe, from_json

CHANGES = ("star", "unstar", "history")


class GalleryApi:
    """Routes under /api/gallery, and /api/first."""

    def __init__(self, library: Library, on_worker: OnWorker) -> None:
        self.library, self.on_worker = library, on_worker

    async def first(self, request: Request) -> Response:
        """The recipe of a typical picture of the opened model, to begin with: {recipe}."""
        model = await self._model(None)
        gallery = Gallery(model)
        with suppress(SimulacraError):  # a damaged file: the gallery itself says so, and the page opens all the same
            seed = (await asyncio.to_thread(gallery.read)).first
            if seed is not None:
                return json_response({"recipe": {"seed": seed}})
        seed, points = await self.on_worker(lambda: rendering.typical_seed(model.generator))
        # On a slow machine this page shows the most typical picture of a few; the next one that of all.
        return json_response({"recipe": {"seed": seed}}, background=BackgroundTask(self._compare_all, model, points))

    async def _compare_all(self, model: LoadedGenerator, points: Tensor) -> None:
        """Compare the rest of the pictures, one at a time so that the page's own come in between, and keep the result."""
        with suppress(SimulacraError):  # a full queue, the end of the server, a folder that cannot be written to
            while len(points) < rendering.TYPICAL:
                current = points
                _, points = await self.on_worker(lambda: rendering.typical_seed(model.generator, current, 0.0))  # noqa: B023
            seed, _ = rendering.typical_seed(model.generator, points)
            await asyncio.to_thread(Gallery(model).remember_first, seed)

    async def gallery(self, request: Request) -> Response:
        """What is kept of this model, as recipes with the newest last: {stars}, {history}. ?checkpoint=."""
        model = await self._model(request.query_params.get("checkpoint"))
        contents = await asyncio.to_thread(Gallery(model).read)
        return json_response({"stars": contents.stars, "history": contents.history})

    async def change(self, request: Request) -> Response:
        """Change what is kept: {star}, {unstar} and {history} are lists of recipes. Returns {stars}."""
        content = await requests.read_json(request, {*CHANGES, "checkpoint"})
        changes = {name: requests.recipes(content.get(name, [])) for name in CHANGES}
        model = await self._model(requests.checkpoint(content))

        def check() -> None:
            for recipe in (*changes["star"], *changes["history"]):
                rendering.check(model, recipe)

        await self.on_worker(check)
        contents = await asyncio.to_thread(Gallery(model).change, **changes)
        return json_response({"stars": contents.stars})

    async def zip(self, request: Request) -> Response:
        """A zip of the starred pictures, each a PNG with its recipe inside: ?side= in pixels &checkpoint=."""
        query = request.query_params
        side = requests.between(requests.seed(query["side"]), "side", *rendering.SIDES) if "side" in query else None
        model, stars = await self._stars(query.get("checkpoint"))
        parts = album.zip_of(model, stars, side, self.on_worker)
        return StreamingResponse(parts, media_type="application/zip", headers={"content-disposition": "attachment"})

    async def sheet(self, request: Request) -> Response:
        """A contact sheet of the starred pictures (PNG): ?checkpoint=."""
        model, stars = await self._stars(request.query_params.get("checkpoint"))
        return picture(await album.contact_sheet(model, stars, self.on_worker), "png")

    async def _model(self, checkpoint: str | None) -> LoadedGenerator:
        return await self.on_worker(lambda: generator(self.library, checkpoint))

    async def _stars(self, checkpoint: str | None) -> tuple[LoadedGenerator, list[Recipe]]:
        """The model and its starred pictures. Raises `SimulacraError` where there are none."""
        model = await self._model(checkpoint)
        contents = await asyncio.to_thread(Gallery(model).read)
        if not contents.stars:
            raise SimulacraError("explore.no_stars")
        return model, [from_json(recipe) for recipe in contents.stars]

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/first", self.first),
            Route("/api/gallery", self.gallery),
            Route("/api/gallery", self.change, methods=["PATCH"]),
            Route("/api/gallery/zip", self.zip),
            Route("/api/gallery/sheet", self.sheet),
        ]
