"""The API of a model that translates: a picture of one domain into the other, and example pictures."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulacra.data.dataset import SPLITS, Dataset, Pair
from simulacra.data.decoding import upright_size
from simulacra.data.rejects import UnusablePicture
from simulacra.errors import SimulacraError
from simulacra.explore import requests
from simulacra.explore.library import Library
from simulacra.explore.loaded import LoadedTranslator
from simulacra.explore.refusals import json_response
from simulacra.explore.responses import picture
from simulacra.explore.worker import OnWorker
from simulacra.measure.model_under_test import model_under_test, subsample
from simulacra.provenance import png_info
from simulacra.settings import Shape
from simulacra.translation.folder import TranslationSettings
from simulacra.translation.single import from_pixels, read_metadata, to_pixels, translate_pixels
from simulacra.translation.tiles import Pixels
from simulacra.translator import OTHER, Side

UPLOAD_PIXELS = 40_000_000  # of an uploaded picture, at most
MAX_PIXELS = 2_100_000  # that are translated: half a minute for the paper's networks on one core
MAX_NAME = 200  # letters of a picture's name
EXAMPLES = 12  # of each domain

Show = Literal["input", "output", "cycle"]


@dataclass(frozen=True, kw_only=True)
class TranslationQuery:
    """How to translate a picture, from the query of a request."""

    to: str
    keep_size: bool = False
    show: Show = "output"
    name: str = "picture"
    client: str = ""
    checkpoint: str | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> TranslationQuery:
        """Raises `SimulacraError` for what is not understood."""
        requests.check_keys(query, [field.name for field in fields(cls)])
        values: dict[str, Any] = dict(query)
        values["to"] = requests.text(values.get("to"), "to")
        if values.setdefault("show", "output") not in get_args(Show):
            raise SimulacraError("explore.show", show=values["show"][:40], choices=list(get_args(Show)))
        if values.setdefault("keep_size", "0") not in ("0", "1"):
            raise SimulacraError("explore.keep_size")
        values["keep_size"] = values["keep_size"] == "1"
        printable = "".join(letter for letter in values.get("name", "") if letter.isprintable())
        values["name"] = printable[:MAX_NAME] or cls.name
        return cls(**values)


class TranslationApi:
    """Routes under /api/translate and /api/examples."""

    def __init__(self, library: Library, on_worker: OnWorker) -> None:
        self.library, self.on_worker = library, on_worker
        self.shape = library.model().shape
        self.examples = Examples(library.folder)

    async def translate(self, request: Request) -> Response:
        """Translate the picture whose file is the body (PNG with its origin inside): ?to= a, b or a domain's name.

        &keep_size=1 keeps its size; else its shorter side becomes the model's. &show=input is the picture as the model
        receives it; cycle is its translation translated back. &name= is recorded; &client= as for pictures;
        &checkpoint=.
        """
        query = TranslationQuery.parse(request.query_params)
        model = await self.on_worker(lambda: self.library.model(query.checkpoint))
        assert isinstance(model, LoadedTranslator)
        to = model.translator.side(query.to)
        cycle = query.show == "cycle"
        settings = TranslationSettings(model.translator, to, query.keep_size, cycle, model.fingerprint)
        data = await requests.read_body(request, requests.PICTURE_BYTES)
        pixels = await asyncio.to_thread(model_input, data, self.shape, keep_size=query.keep_size)
        if query.show != "input":
            pixels = await self.on_worker(lambda: run_translator(settings, pixels), query.client)
        return picture(await asyncio.to_thread(encode, settings, query, data, pixels), "png")

    async def list_examples(self, request: Request) -> Response:
        """Example pictures of the model's data: the {part} of the data, how many of {a} and {b}; or {why} there are none."""
        return json_response(await asyncio.to_thread(self.examples.summary))

    async def example(self, request: Request) -> Response:
        """One example by its domain (a or b) and number (PNG)."""
        path = request.path_params
        return picture(await asyncio.to_thread(self.examples.file, path["side"], path["number"]), "png")

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/translate", self.translate, methods=["POST"]),
            Route("/api/examples", self.list_examples),
            Route("/api/examples/{side}/{number}", self.example),
        ]


class Examples:
    """Pictures of a model's data; of a part that it was not trained on, where there is one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def part(self) -> tuple[str, dict[Side, Dataset]]:
        """The name of the part, and its pictures of both domains. Raises `SimulacraError` if there are none."""
        data = model_under_test(self.folder).dataset()
        if not isinstance(data, Pair):
            raise SimulacraError("explore.one_domain")
        for name in reversed(SPLITS):
            if data.has(name):
                return name, {"a": data.a.split(name), "b": data.b.split(name)}
        raise SimulacraError("explore.no_common_part")

    def summary(self) -> dict[str, Any]:
        """How many there are, or why there are none."""
        try:
            name, domains = self.part
        except SimulacraError as error:
            return {"part": "", "a": 0, "b": 0, "why": error}
        return {"part": name, "why": ""} | {side: min(EXAMPLES, len(data)) for side, data in domains.items()}

    def file(self, side: str, number: str) -> bytes:
        """One of them as a PNG. Raises `SimulacraError` for a domain or number that does not exist."""
        _, domains = self.part
        for name, data in domains.items():
            indices = subsample(len(data), EXAMPLES)
            if name == side and number in map(str, range(len(indices))):
                file = io.BytesIO()
                from_pixels(data.images[indices[int(number)]]).save(file, "PNG")
                return file.getvalue()
        raise SimulacraError("explore.no_example", number=number[:40], domain=side[:40])


def model_input(data: bytes, shape: Shape, *, keep_size: bool) -> Pixels:
    """An upload as a model of `shape` (C, H, W) receives it. Raises `SimulacraError` for what cannot be used or is too large."""
    try:
        width, height = upright_size(data, UPLOAD_PIXELS)
        scale = 1.0 if keep_size else min(shape[1:]) / min(width, height)
        width, height = round(width * scale), round(height * scale)
        if width * height > MAX_PIXELS:
            raise SimulacraError("explore.translation_too_large", width=width, height=height, limit=MAX_PIXELS / 1e6)
        return to_pixels(data, shape, keep_size=keep_size)
    except UnusablePicture as error:
        raise SimulacraError("translation.unusable_picture", reason=error) from error


def run_translator(settings: TranslationSettings, pixels: Pixels) -> Pixels:
    """The translation, or its translation back. Raises `SimulacraError` where the memory does not suffice."""
    try:
        output = translate_pixels(settings.translator, pixels, settings.to)
        return translate_pixels(settings.translator, output, OTHER[settings.to]) if settings.cycle else output
    except UnusablePicture as error:
        raise SimulacraError("translation.unusable_picture", reason=error) from error


def encode(settings: TranslationSettings, query: TranslationQuery, data: bytes, pixels: Pixels) -> bytes:
    """A result as `simulacra translate` writes it: a PNG with its origin, and the upload's own metadata."""
    own, file = read_metadata(data, pixels), io.BytesIO()
    source = settings.record(query.name, data) | ({"back": True} if query.show == "cycle" else {})
    text = png_info(None if query.show == "input" else source, own.texts)
    from_pixels(pixels).save(file, "PNG", pnginfo=text, **own.options)
    return file.getvalue()
