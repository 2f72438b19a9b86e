"""Reading requests: bodies, JSON and query values, checked. All functions raise `SimulacraError` for what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from starlette.requests import Request

from simulacra.errors import SimulacraError, did_you_mean
from simulacra.explore.refusals import TooLarge

if TYPE_CHECKING:  # torch takes seconds to import, and the studio's library does without
    from simulacra.explore.rendering import RenderRequest
    from simulacra.latent.recipe import Recipe

JSON_BYTES, PICTURE_BYTES = 1 << 20, 32 << 20  # of a body, at most
MAX_DEPTH = 40  # of objects within objects
MAX_TEXT = 2000  # letters of a label or a name in a request
MAX_NAME = 60  # letters of a direction's new name
MAX_SEED = 2**32 - 1


async def read_body(request: Request, most: int) -> bytes:
    """The body, read no further than `most` bytes. Raises `TooLarge`."""
    error = TooLarge("explore.too_large", limit=most // 1024)
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > most:
        raise error
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise error
        parts.append(part)
    return b"".join(parts)


async def read_json(request: Request, keys: set[str]) -> dict[str, Any]:
    """The body as a JSON object with no other keys than these."""
    body = await read_body(request, JSON_BYTES)
    try:
        content = json.loads(body, parse_constant=_not_a_number)
    except (ValueError, RecursionError) as error:
        raise SimulacraError("explore.not_json", reason=str(error)[:80]) from error
    if not isinstance(content, dict):
        raise SimulacraError("explore.not_an_object")
    check_keys(content, keys)
    check_size(content)
    return content


def check_keys(content: Any, keys: Any) -> None:
    """Refuse keys that the request does not have."""
    for key in content:
        if key not in keys:
            raise SimulacraError("explore.unknown_key", key=key[:40], hint=did_you_mean(key[:40], keys))


def recipe(content: Any) -> Recipe:
    """A picture's recipe from parsed JSON."""
    from simulacra.latent.recipe import from_json

    return from_json(content)


def recipes(content: Any) -> list[Recipe]:
    """Several."""
    if not isinstance(content, list):
        raise SimulacraError("explore.recipes_not_a_list")
    return [recipe(item) for item in content]


def render_request(content: dict[str, Any]) -> RenderRequest:
    """What to draw: `recipe` or `recipes`, `format`, `side`, `columns`."""
    from simulacra.explore.rendering import RenderRequest

    if ("recipe" in content) == ("recipes" in content):
        raise SimulacraError("explore.recipe_or_recipes")
    return RenderRequest(
        recipes=[recipe(content["recipe"])] if "recipe" in content else recipes(content["recipes"]),
        format=content.get("format", "png"),
        side=whole_number(content.get("side"), "side"),
        columns=whole_number(content.get("columns"), "columns"),
    )


def whole_number(value: Any, name: str) -> int | None:
    """A whole number or None."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise SimulacraError("explore.not_whole", name=name)
    return value


def between(value: Any, name: str, least: int, most: int) -> int:
    """A whole number in these bounds, both included."""
    number = whole_number(value, name)
    if number is None or not least <= number <= most:
        raise SimulacraError("explore.out_of_range", name=name, least=least, most=most)
    return number


def text(value: Any, name: str) -> str:
    """A text that is not empty, without spaces around it."""
    if not isinstance(value, str) or not value.strip():
        raise SimulacraError("explore.empty_text", name=name)
    return value.strip()


def direction_name(value: Any, name: str) -> str:
    """A name that a direction may be given."""
    word = text(value, name)
    if len(word) > MAX_NAME or not word.isprintable():
        raise SimulacraError("explore.bad_name", most=MAX_NAME)
    return word


def checkpoint(content: dict[str, Any]) -> str | None:
    """The checkpoint that a request is for; None: the opened model."""
    return None if content.get("checkpoint") is None else text(content["checkpoint"], "checkpoint")


def numbers(value: str) -> tuple[float, ...]:
    """`0.1,-0.5,…` as numbers. The model checks how many there are, and how large."""
    try:
        return tuple(float(word) for word in value.split(","))
    except ValueError as error:
        raise SimulacraError("explore.values", reason=str(error)[:80]) from error


def seed(value: str) -> int:
    """A seed from a query."""
    if not value.isascii() or not value.isdecimal() or len(value) > 10:
        raise SimulacraError("explore.out_of_range", name="seed", least=0, most=MAX_SEED)
    return int(value)


def check_size(value: Any, depth: int = 0) -> None:
    """Refuse what is deeper than any recipe, and texts longer than any name."""
    if depth > MAX_DEPTH:
        raise SimulacraError("explore.too_deep", most=MAX_DEPTH)
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise SimulacraError("explore.text_too_long", most=MAX_TEXT)
    if isinstance(value, dict):
        for key, inner in value.items():
            check_size(key, depth)
            check_size(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            check_size(inner, depth + 1)


def _not_a_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")
