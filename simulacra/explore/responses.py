"""What the API answers with: pictures, directions, and a job's progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response

from simulacra.explore.background import BackgroundJob
from simulacra.explore.loaded import LoadedGenerator
from simulacra.explore.refusals import to_json
from simulacra.explore.rendering import Format
from simulacra.latent import saved
from simulacra.latent.facts import direction_facts

POLL = 0.04  # seconds between looks at a job


def picture(data: bytes, format: Format) -> Response:
    """A picture's file."""
    return Response(data, media_type=f"image/{format}")


def saved_directions(model: LoadedGenerator) -> dict[str, Any]:
    """The directions, and the path of their file. bundled: it is in the user's data folder, not next to the model."""
    path, bundled = saved.directions_file(model.folder), saved.is_read_only(model.folder)
    return {"directions": direction_facts(model.directions.values()), "path": str(path.absolute()), "bundled": bundled}


async def progress(job: BackgroundJob) -> AsyncIterator[str]:
    """A job's news as server-sent events. Only the newest is sent; leaving before the end cancels the job."""
    version = 0
    try:
        while True:
            ended = job.ended  # read before the news, so that the last one is never missed
            if job.version != version:
                version = job.version
                yield f"data: {to_json(job.news)}\n\n"
            if ended:
                return
            await asyncio.sleep(POLL)
    finally:
        job.cancel()
