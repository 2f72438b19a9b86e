"""The API of a model that translates: a picture of one domain as one of the other, and pictures to try it with."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulacra.data.dataset import SPLITS, Dataset, Pair
from simulacra.data.decoding import SetAside, upright_size
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.explore import requests
from simulacra.explore.guard import body
from simulacra.explore.opened import Studio
from simulacra.explore.responses import picture
from simulacra.measure.model_under_test import model_under_test, subsample
from simulacra.provenance import png_info
from simulacra.settings import Shape
from simulacra.translation.folder import TranslationSettings
from simulacra.translation.single import from_pixels, read_metadata, reason_text, to_pixels, translate_pixels
from simulacra.translation.tiles import Pixels
from simulacra.translator import OTHER, Side, as_translator

BYTES = 32 << 20  # of a picture's file, at most
PIXELS = 40_000_000  # of a picture as it comes, at most
TRANSLATED = 2_100_000  # pixels as it is translated, at most: half a minute for the paper's networks on one core
LETTERS = 200  # of a picture's name
EXAMPLES = 12  # of each domain

Show = Literal["given", "made", "back"]
T = TypeVar("T")


class Do(Protocol):
    """Has the worker do something; a client's newest wish takes the place of one that waits."""

    def __call__(self, what: Callable[[], T], client: str = "") -> Coroutine[Any, Any, T]:
        """Wait for it."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How a picture is to be translated: what the address says."""

    to: str
    keep_size: bool = False
    show: Show = "made"
    name: str = "picture"
    client: str = ""
    checkpoint: str | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Asked:
        """Raises `SimulacraError` for what is not understood."""
        known = cls.__dataclass_fields__
        for key in query:
            if key not in known:
                raise SimulacraError(f"The request has no {key[:40]!r}.{did_you_mean(key[:40], known)}")
        told: dict[str, Any] = dict(query)
        told["to"] = requests.text(told.get("to"), "to")
        if told.setdefault("show", "made") not in get_args(Show):
            raise SimulacraError(f"There is no {told['show'][:40]!r} to show: there are {', '.join(get_args(Show))}.")
        if told.setdefault("keep_size", "0") not in ("0", "1"):
            raise SimulacraError("keep_size must be 0 or 1.")
        told["keep_size"] = told["keep_size"] == "1"
        told["name"] = "".join(letter for letter in told.get("name", "") if letter.isprintable())[:LETTERS] or cls.name
        return cls(**told)


class Translations:
    """Routes under /api/translate and /api/examples."""

    def __init__(self, studio: Studio, do: Do) -> None:
        self.studio, self.do, self.shape = studio, do, studio.model().stored.shape
        self.examples = Examples(studio.folder)

    async def translate(self, request: Request) -> Response:
        """The picture whose file is the body, translated (PNG with its origin inside): ?to= a, b or a domain's name.

        &keep_size=1 leaves it as large as it is; else its shorter side becomes the model's. &show=given is the picture
        as the model sees it, back what comes back of its translation. &name= is recorded; &client= as for pictures;
        &checkpoint=.
        """
        asked = Asked.of(request.query_params)
        model = await self.do(lambda: self.studio.model(asked.checkpoint))
        translator = as_translator(model.stored)
        order = TranslationSettings(
            translator, translator.side(asked.to), asked.keep_size, asked.show == "back", model.fingerprint
        )
        data = await body(request, BYTES)
        pixels = await asyncio.to_thread(seen, data, self.shape, keep_size=asked.keep_size)
        if asked.show != "given":
            pixels = await self.do(lambda: carried_out(order, pixels), asked.client)
        return picture(await asyncio.to_thread(written, order, asked, data, pixels), "png")

    async def listed(self, request: Request) -> Response:
        """Pictures of the model's own data to try it with: {part} of the data, how many of {a} and {b}; or {why} not."""
        return JSONResponse(await asyncio.to_thread(self.examples.told))

    async def example(self, request: Request) -> Response:
        """One of them by domain and number (PNG)."""
        told = request.path_params
        return picture(await asyncio.to_thread(self.examples.file, told["side"], told["number"]), "png")

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/translate", self.translate, methods=["POST"]),
            Route("/api/examples", self.listed),
            Route("/api/examples/{side}/{number}", self.example),
        ]


class Examples:
    """Pictures of the data that a model was trained on: unseen ones, where there are any."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def part(self) -> tuple[str, dict[Side, Dataset]]:
        """The part of the data that they are from, and that part of both domains. Raises `SimulacraError` if there is none."""
        data = model_under_test(self.folder).dataset()
        if not isinstance(data, Pair):
            raise SimulacraError("The data of this model hold one kind of pictures, not two.")
        for name in reversed(SPLITS):
            if data.has(name):
                return name, {"a": data.a.split(name), "b": data.b.split(name)}
        raise SimulacraError("The data of this model have no part with pictures of both domains.")

    def told(self) -> dict[str, Any]:
        """How many there are, or why there are none."""
        try:
            name, parts = self.part
        except SimulacraError as error:
            return {"part": "", "a": 0, "b": 0, "why": str(error)}
        return {"part": name, "why": ""} | {side: min(EXAMPLES, len(data)) for side, data in parts.items()}

    def file(self, side: str, number: str) -> bytes:
        """One of them as a PNG. Raises `SimulacraError` where there is no such."""
        _, parts = self.part
        for known, data in parts.items():
            chosen = subsample(len(data), EXAMPLES)
            if known == side and number in map(str, range(len(chosen))):
                file = io.BytesIO()
                from_pixels(data.images[chosen[int(number)]]).save(file, "PNG")
                return file.getvalue()
        raise SimulacraError(f"There is no example {number[:40]!r} of {side[:40]!r}.")


def seen(data: bytes, shape: Shape, *, keep_size: bool) -> Pixels:
    """An upload as a model of `shape` (C, H, W) sees it. Raises `SimulacraError` for what cannot be used, or is too much."""
    try:
        width, height = upright_size(data, PIXELS)
        times = 1.0 if keep_size else min(shape[1:]) / min(width, height)
        count = round(width * times) * round(height * times)
        if count > TRANSLATED:
            raise SimulacraError(
                f"This picture would be translated at {round(width * times)} x {round(height * times)} pixels; on this page "
                f"{TRANSLATED / 1e6:g} million are the limit. The command takes larger ones: simulacra translate."
            )
        return to_pixels(data, shape, keep_size=keep_size)
    except SetAside as error:
        raise SimulacraError(f"The picture cannot be used: {reason_text(error)}.") from error


def carried_out(order: TranslationSettings, pixels: Pixels) -> Pixels:
    """The translation, or what comes back of it. Raises `SimulacraError` where it is too much for the memory."""
    try:
        made = translate_pixels(order.translator, pixels, order.to)
        return translate_pixels(order.translator, made, OTHER[order.to]) if order.cycle else made
    except SetAside as error:
        raise SimulacraError(f"The picture cannot be used: {reason_text(error)}.") from error


def written(order: TranslationSettings, asked: Asked, data: bytes, pixels: Pixels) -> bytes:
    """A result as the command writes it: with its origin, and what the picture says of itself."""
    about, file = read_metadata(data, pixels), io.BytesIO()
    told = order.record(asked.name, data) | ({"back": True} if asked.show == "back" else {})
    text = png_info(None if asked.show == "given" else told, about.texts)
    from_pixels(pixels).save(file, "PNG", pnginfo=text, **about.options)
    return file.getvalue()
