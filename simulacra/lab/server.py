"""`simulacra lab --page`: the lab's page alone, on this machine alone; the studio serves it, too."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from simulacra.explore.guard import Guard
from simulacra.explore.refusals import HANDLERS
from simulacra.explore.server import serve, shared_routes
from simulacra.explore.worker import Worker
from simulacra.lab.api import STATIC, LabApi

HOST = "127.0.0.1"


def application(worker: Worker, host: str = HOST, token: str = "") -> ASGIApp:
    """The page, its messages and its API, guarded. token: that every request must have; empty: none."""

    async def page(request: Request) -> FileResponse:
        return FileResponse(STATIC / "lab.html")

    routes = [Route("/", page), *shared_routes(), *LabApi(worker).routes()]
    return Guard(Starlette(routes=routes, exception_handlers=HANDLERS), host=host, token=token)


def serve_lab(*, port: int, open: bool) -> None:
    """Serve until Ctrl-C. open: in the browser, too. Raises `SimulacraError` where no port is free."""
    worker = Worker()
    serve(lambda host, token: application(worker, host, token), worker.stop, port=port, host=HOST, open=open)
