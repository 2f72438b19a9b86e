"""`simulacra explore`: the page at once, and the API as soon as the model is loaded."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator
from concurrent.futures import Future
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from simulacra.console import console, errors
from simulacra.errors import SimulacraError
from simulacra.explore.guard import Guard, said
from simulacra.explore.jobs import Jobs
from simulacra.explore.worker import Worker

STATIC = Path(__file__).parent / "static"
PORTS = 20  # tried, from the one asked for
HEADERS = 256 * 1024  # bytes of a request's line and headers, at most


class Explorer:
    """The whole server but its socket. `ready` holds the API, or what went wrong, once the model is loaded."""

    def __init__(self, where: str | Path | None) -> None:
        self.worker, self.jobs = Worker(), Jobs()
        self.ready: Future[ASGIApp] = self.worker.submit(lambda: self._load(where))

    def _load(self, where: str | Path | None) -> ASGIApp:
        import torch  # seconds, which the page does not wait for

        torch.set_num_threads(1)  # a second one is slower as soon as the machine does anything else
        from simulacra.explore.api import application
        from simulacra.explore.opened import Studio

        return application(Studio(where), self.worker, self.jobs)

    async def api(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The API, for which a request waits."""
        try:
            ready = await asyncio.shield(asyncio.wrap_future(self.ready))
        except SimulacraError as error:
            await said(400, str(error))(scope, receive, send)
            return
        await ready(scope, receive, send)

    def application(self, host: str = "127.0.0.1") -> ASGIApp:
        """The page and the API, guarded."""

        @contextlib.asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            yield
            self.stop()

        async def page(request: Request) -> FileResponse:
            return FileResponse(STATIC / "index.html")

        routes = [
            Route("/", page),
            Mount("/static", StaticFiles(directory=STATIC)),
            Mount("/", self.api),
        ]
        return Guard(Starlette(routes=routes, lifespan=lifespan), host=host)

    def stop(self) -> None:
        """End the threads after what they do now."""
        self.jobs.stop()
        self.worker.stop()


class _Server(uvicorn.Server):
    """Tells long jobs to end before it waits for connections to close."""

    explorer: Explorer

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.explorer.stop()
        await super().shutdown(sockets)


def explore(where: str | None, *, port: int, host: str, open: bool) -> None:
    """Serve until Ctrl-C. open: in the browser, too.

    Raises `SimulacraError` for what is not a model, and where no port can be had.
    """
    if where is not None and where != "peeps" and not Path(where).expanduser().exists():
        raise SimulacraError(f"{where} does not exist: give a run's folder, a model's folder, or peeps.")
    taken = listen(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{taken.getsockname()[1]}/"
    if taken.getsockname()[1] != port and port:
        console.print(f"Port {port} is taken; this is the next free one.", markup=False)
    if not is_loopback(host):
        errors.print(f"Whoever can reach {host} can use this page: only do this in a network you trust.", markup=False)
    explorer = Explorer(where)
    config = uvicorn.Config(
        explorer.application(host),
        log_level="warning",
        access_log=False,
        h11_max_incomplete_event_size=HEADERS,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    server.explorer = explorer

    def loaded(ready: Future[ASGIApp]) -> None:
        if ready.exception() is not None:
            server.should_exit = True

    explorer.ready.add_done_callback(loaded)
    console.print(f"{address}  Ctrl-C ends it.", markup=False)
    if open and (sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(address)
    with taken, contextlib.suppress(KeyboardInterrupt):  # uvicorn has ended well by then
        server.run([taken])
    with contextlib.suppress(KeyboardInterrupt):  # a second one: at once
        explorer.jobs.wait()
    if explorer.ready.done() and (error := explorer.ready.exception()) is not None:
        raise error


def listen(host: str, port: int) -> socket.socket:
    """A socket on this port, or on the next one that is free. Raises `SimulacraError` where there is none."""
    if not 0 <= port <= 65535:
        raise SimulacraError(f"--port is {port}; it must be from 0 to 65535.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise SimulacraError(f"--host {host!r} is not a name or number of this machine ({error.strerror}).") from error
    for number in range(port, min(port + PORTS, 65536)):
        # asyncio sends at once (TCP_NODELAY) only where the protocol is named: else each answer waits 40 ms for its body
        taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name == "posix":  # where it means a socket that is closing, not one in use
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((address[0], number))
            taken.listen(128)
            return taken
        except OSError as error:
            taken.close()
            why = error.strerror
    raise SimulacraError(f"No port from {port} to {number} of {host} can be had ({why}): choose another with --port.")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
