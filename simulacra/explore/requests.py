"""What came in by HTTP, made into what the drawing side knows, or a sentence."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from simulacra.errors import SimulacraError, did_you_mean
from simulacra.explore.rendering import Request
from simulacra.latent.recipe import Recipe, from_json

DEPTH = 40  # of objects within objects in a body
LONGEST = 2000  # letters of a label or a name
NAME = 60  # letters of a name that is given


def parsed(body: bytes, allowed: set[str]) -> dict[str, Any]:
    """A JSON object with no other keys than these. Raises `SimulacraError` for anything else."""
    try:
        told = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise SimulacraError(f"The request is not JSON ({error}).") from error
    if not isinstance(told, dict):
        raise SimulacraError("The request must be a JSON object.")
    for key in told:
        if key not in allowed:
            raise SimulacraError(f"The request has no {key[:40]!r}.{did_you_mean(key[:40], allowed)}")
    _measured(told, 0)
    return told


def recipe(told: Any) -> Recipe:
    """A picture's recipe from parsed JSON."""
    return from_json(told)


def recipes(told: Any) -> list[Recipe]:
    """Several."""
    if not isinstance(told, list):
        raise SimulacraError('Pictures are asked for by a list of recipes, such as [{"seed": 7}].')
    return [from_json(each) for each in told]


def request(told: dict[str, Any]) -> Request:
    """What to draw: `recipe` or `recipes`, `format`, `side`, `columns`."""
    if ("recipe" in told) == ("recipes" in told):
        raise SimulacraError("Give exactly one of recipe and recipes.")
    wanted = [recipe(told["recipe"])] if "recipe" in told else recipes(told["recipes"])
    return Request(
        recipes=wanted,
        format=told.get("format", "png"),
        side=whole(told.get("side"), "side"),
        columns=whole(told.get("columns"), "columns"),
    )


def whole(value: Any, what: str) -> int | None:
    """A whole number or None."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise SimulacraError(f"{what} is not a whole number.")
    return value


def between(value: Any, what: str, least: int, most: int) -> int:
    """A whole number in these bounds, both allowed."""
    number = whole(value, what)
    if number is None or not least <= number <= most:
        raise SimulacraError(f"{what} must be a whole number from {least} to {most}.")
    return number


def text(value: Any, what: str) -> str:
    """A short text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise SimulacraError(f"{what} must be a text that is not empty.")
    return value.strip()


def name(value: Any) -> str:
    """A name that a direction may be given."""
    given = text(value, "A name")
    if len(given) > NAME or not given.isprintable():
        raise SimulacraError(f"A name is one line of at most {NAME} letters.")
    return given


def checkpoint(told: dict[str, Any]) -> str | None:
    """The checkpoint that a request is for, None for the model that was opened."""
    return None if told.get("checkpoint") is None else text(told["checkpoint"], "checkpoint")


def values(told: str) -> tuple[float, ...]:
    """`0.1,-0.5,…` -> numbers. Whether there are enough, and small enough, is for the model to say."""
    words = told.split(",")
    try:
        return tuple(float(word) for word in words)
    except ValueError as error:
        raise SimulacraError(f"values must be numbers with commas ({str(error)[:80]}).") from error


def seed(told: str) -> int:
    """A seed from a query."""
    if not told.isascii() or not told.isdecimal() or len(told) > 10:
        raise SimulacraError("seed must be a whole number from 0 to 2^32 - 1.")
    return int(told)


def _measured(value: Any, depth: int) -> None:
    """Refuse what is deeper than any recipe, and texts longer than any name."""
    if depth > DEPTH:
        raise SimulacraError(f"The request has more than {DEPTH} objects within each other.")
    if isinstance(value, str) and len(value) > LONGEST:
        raise SimulacraError(f"A text in the request is longer than {LONGEST} letters.")
    if isinstance(value, dict):
        for key, inner in value.items():
            _measured(key, depth)
            _measured(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _measured(inner, depth + 1)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")
