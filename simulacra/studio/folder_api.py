"""What the parts of the studio's API share: the folder, its processes, and how both are named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulacra.explore.refusals import json_response
from simulacra.studio.names import inside
from simulacra.studio.processes import Process, Processes

BUILT_IN = "peeps"


def post(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    """A route that takes a body."""
    return Route(path, endpoint, methods=["POST"])


class FolderApi:
    """Routes of one folder."""

    def __init__(self, root: Path, processes: Processes) -> None:
        self.root, self.processes = root, processes

    async def _start(self, kind: str, subject: str, words: list[str]) -> Response:
        process: Process = await asyncio.to_thread(self.processes.start, kind, subject, words)
        return json_response(process.to_json())

    def _inside(self, request: Request) -> Path:
        return inside(self.root, request.query_params.get("path", ""))

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()
