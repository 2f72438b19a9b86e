"""How the API answers: pictures, a job's progress, and a sentence for everything that is wrong."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from simulacra.errors import SimulacraError
from simulacra.explore import rendering
from simulacra.explore.guard import TooLarge, said
from simulacra.explore.jobs import Job
from simulacra.explore.worker import Busy
from simulacra.latent import saved

LOOK = 0.04  # seconds between looks at a job


def described(model: rendering.Model) -> list[dict[str, Any]]:
    """Directions as JSON, without their vectors."""
    return [
        {
            "name": direction.name,
            "kind": direction.kind,
            "layers": direction.layers,
            "about": direction.about,
            "accuracy": direction.accuracy,
            "own": direction.own,
        }
        for direction in model.directions.values()
    ]


def kept(model: rendering.Model) -> dict[str, Any]:
    """The same after something was kept, with the file that it is in. shipped: the model came along, so that this is a
    file of the user's, not one beside it.
    """
    path, shipped = saved.directions_file(model.folder), saved.is_bundled(model.folder)
    return {"directions": described(model), "path": str(path.absolute()), "shipped": shipped}


def picture(data: bytes, format: rendering.Format) -> Response:
    """A picture's file as an answer."""
    return Response(data, media_type=f"image/{format}")


async def progress(job: Job) -> AsyncIterator[str]:
    """A job's news, each as it comes; old news is left out."""
    turn = 0
    try:
        while True:
            ended = job.ended  # before what is told, so that the last word is never missed
            if job.turn != turn:
                turn = job.turn
                yield f"data: {json.dumps(job.told)}\n\n"
            if ended:
                return
            await asyncio.sleep(LOOK)
    finally:
        job.cancel()


async def _refused(status: int, request: Request, error: Exception) -> Response:
    return said(status, str(error))


async def _missing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    usual = {404: f"There is nothing at {request.url.path[:80]!r}.", 405: f"{request.method} is not done here."}
    detail = (
        error.detail
        if " " in error.detail and not error.detail.istitle()
        else usual.get(error.status_code, error.detail)
    )
    return said(error.status_code, detail)


async def _fault(request: Request, error: Exception) -> Response:
    return said(500, "This is a fault of the program; the terminal says more.")


ERRORS: dict[Any, Any] = {
    SimulacraError: functools.partial(_refused, 400),
    Busy: functools.partial(_refused, 429),
    TooLarge: functools.partial(_refused, 413),
    HTTPException: _missing,
    Exception: _fault,
}
