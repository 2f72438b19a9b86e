"""Many pictures in one download: a zip that is written while it is sent, and a contact sheet."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from PIL import Image

from simulacra.errors import SimulacraError
from simulacra.explore import rendering
from simulacra.explore.loaded import LoadedGenerator
from simulacra.explore.refusals import Busy
from simulacra.explore.rendering import RenderRequest
from simulacra.explore.worker import OnWorker
from simulacra.grid import MAX_SIDE
from simulacra.latent.recipe import Recipe, to_json
from simulacra.messages import text

LEFT_OUT = "left_out.txt"  # in a zip: the pictures that cannot be drawn, with the reason
BATCH = 12  # pictures of a contact sheet that are drawn at once; the page's own requests come in between
GAP = 8  # pixels between pictures of a contact sheet
SHEET_SIDE = 256  # pixels of a picture in it, at most
PAUSE = 0.1  # seconds after which a full queue is asked again

T = TypeVar("T")


async def zip_of(
    model: LoadedGenerator, recipes: Sequence[Recipe], side: int | None, on_worker: OnWorker
) -> AsyncIterator[bytes]:
    """A zip of one PNG for each recipe, with the recipe inside, in parts: memory holds one picture at a time."""
    sent = _Parts()
    left_out = []
    with ZipFile(sent, "w", ZIP_STORED) as archive:  # a PNG is compressed already
        for number, recipe in enumerate(recipes, 1):
            name = f"{number:04d}-{_name(recipe.seed)}"
            request = RenderRequest(recipes=[recipe], side=side)
            try:
                picture = await _patiently(on_worker, lambda request=request: rendering.render(model, request).data)  # type: ignore[misc]
            except Busy:
                raise
            except SimulacraError as error:
                left_out.append(f"{name}{text('page.colon')}{error}")
                continue
            archive.writestr(ZipInfo(f"{name}.png", time.localtime()[:6]), picture)
            yield sent.take()
        if left_out:
            archive.writestr(ZipInfo(LEFT_OUT, time.localtime()[:6]), "\n".join(left_out) + "\n")
    yield sent.take()


async def contact_sheet(model: LoadedGenerator, recipes: Sequence[Recipe], on_worker: OnWorker) -> bytes:
    """A PNG of all pictures side by side, with their recipes inside. Those that cannot be drawn are left out.

    Raises `SimulacraError` where none can be drawn.
    """
    drawable, error = await _patiently(on_worker, lambda: _drawable(model, recipes))
    if not drawable:
        raise error or SimulacraError("explore.no_stars")
    columns = max(1, round(len(drawable) ** 0.5))
    rows = -(-len(drawable) // columns)
    longest = max(model.shape[1:])
    side = min(max(longest, 128), SHEET_SIDE, MAX_SIDE // max(columns, rows) - GAP)
    height, width = (max(1, round(length * side / longest)) for length in model.shape[1:])
    channels = model.shape[0]
    sheet = Image.new("RGBA" if channels == 4 else "RGB", (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP), "white")  # fmt: skip
    for first in range(0, len(drawable), BATCH):
        batch = drawable[first : first + BATCH]
        tiles = await _patiently(on_worker, lambda batch=batch: rendering.images(model, batch))  # type: ignore[misc]
        for number, tile in enumerate(tiles, first):
            y, x = divmod(number, columns)
            place = (GAP + x * (width + GAP), GAP + y * (height + GAP))
            sheet.paste(tile.resize((width, height), Image.Resampling.LANCZOS), place)
    source = {"model": model.fingerprint, "recipes": [to_json(recipe) for recipe in drawable]}
    return await asyncio.to_thread(rendering.encode, sheet, "png", source)


def _name(seed: int | str | None) -> str:
    """The start of a recipe as part of a file's name; a seed may be a word of any letters."""
    return "shaped" if seed is None else "seed" + re.sub(r"[^\w -]", "_", str(seed))


def _drawable(model: LoadedGenerator, recipes: Sequence[Recipe]) -> tuple[list[Recipe], SimulacraError | None]:
    """The recipes that this model can follow, and what is wrong with the last of the others."""
    result, wrong = [], None
    for recipe in recipes:
        try:
            rendering.check(model, recipe)
            result.append(recipe)
        except SimulacraError as error:
            wrong = error
    return result, wrong


async def _patiently(on_worker: OnWorker, work: Callable[[], T]) -> T:
    """The worker's result; a full queue is waited for."""
    while True:
        try:
            answer: Awaitable[T] = on_worker(work)
            return await answer
        except Busy as error:
            if error.code != "explore.queue_full":
                raise
            await asyncio.sleep(PAUSE)


class _Parts:
    """A file that holds what was written since the last `take`."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing to do: a zip calls it."""

    def close(self) -> None:
        """The same."""

    def take(self) -> bytes:
        parts, self._parts = b"".join(self._parts), []
        return parts
