"""Refusals of the explorer, each with its HTTP status, and JSON in the language in use."""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from simulacra.errors import SimulacraError


class Forbidden(SimulacraError):
    """The request does not come from the explorer's own page."""


class NotFound(SimulacraError):
    """The request names something that does not exist."""


class TooLarge(SimulacraError):
    """The request's body is beyond its limit."""


class Busy(SimulacraError):
    """Not now: the queue is full, a newer request came, or a job is running."""


STATUS = {Forbidden: 403, NotFound: 404, TooLarge: 413, Busy: 429}


def json_response(content: Any, status: int = 200, background: BackgroundTask | None = None) -> Response:
    """JSON. Messages and errors inside are rendered in the language in use. background: what is done once it is sent."""
    return Response(to_json(content), status, media_type="application/json", background=background)


def to_json(content: Any) -> str:
    """JSON text in ASCII. Messages and errors become their sentences."""
    return json.dumps(content, default=str, allow_nan=False)


def refusal(error: SimulacraError, status: int = 400) -> Response:
    """An error as {error, code, values}: its sentence in the language in use, and what the sentence is made of."""
    values = {name: _json_value(value) for name, value in error.values.items()}
    content = {"error": str(error), "code": error.code, "values": values}
    return json_response(content, STATUS.get(type(error), status))


def _json_value(value: Any) -> Any:
    plain = isinstance(value, str | int | None) or (isinstance(value, float) and math.isfinite(value))
    return value if plain else str(value)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, SimulacraError)
    return refusal(error)


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own errors: unknown addresses and methods."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return refusal(SimulacraError("explore.wrong_method", method=request.method), 405)
    return refusal(SimulacraError("explore.nothing_there", path=request.url.path[:80]), error.status_code)


async def _dropped(request: Request, error: Exception) -> Response:
    """The client left before its request was whole: nobody reads this answer, and it is no fault."""
    return Response(status_code=400)


async def _fault(request: Request, error: Exception) -> Response:
    return refusal(SimulacraError("explore.fault"), 500)


HANDLERS: dict[Any, Any] = {
    SimulacraError: _refused,
    HTTPException: _http_error,
    ClientDisconnect: _dropped,
    Exception: _fault,
}
