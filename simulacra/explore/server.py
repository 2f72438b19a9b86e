"""`simulacra explore`: serves the page at once, and the API as soon as the model is loaded."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import json
import os
import secrets
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from simulacra.console import say, warn
from simulacra.errors import SimulacraError
from simulacra.explore.background import JobRunner
from simulacra.explore.connection import TimedProtocol
from simulacra.explore.guard import Guard
from simulacra.explore.osc import Osc
from simulacra.explore.refusals import HANDLERS, NotFound, refusal
from simulacra.explore.worker import Worker
from simulacra.hub import is_hub, open_folder
from simulacra.messages import LANGUAGES, catalogue

STATIC = Path(__file__).parent / "static"
PAGE_CODES = ("page.", "directions.", "studio.", "lab.page_")  # of the messages that pages render themselves
PORTS = 20  # tried, from the wanted one on
MAX_HEADERS = 256 * 1024  # bytes of a request's line and headers


class Explorer:
    """The whole server except its socket. `ready` holds the API once the model is loaded, or the error."""

    def __init__(self, where: str | Path | None, osc: Osc | None = None) -> None:
        self.worker, self.jobs, self.osc = Worker(), JobRunner(), osc or Osc()
        self.ready: Future[ASGIApp] = self.worker.submit(lambda: self._load(where))

    def _load(self, where: str | Path | None) -> ASGIApp:
        import torch  # takes seconds; the page does not wait for it

        torch.set_num_threads(1)  # a second thread is slower as soon as the machine does anything else
        from simulacra.explore.api import application
        from simulacra.explore.library import Library

        return application(Library(where), self.worker, self.jobs, self.osc)

    async def api(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The API. Requests wait until the model is loaded."""
        try:
            ready = await asyncio.shield(asyncio.wrap_future(self.ready))
        except SimulacraError as error:
            await refusal(error)(scope, receive, send)
            return
        await ready(scope, receive, send)

    def application(self, host: str = "127.0.0.1", token: str = "") -> ASGIApp:
        """The page, its messages and the API, guarded. token: that every request must have; empty: none."""

        @contextlib.asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            yield
            self.stop()

        routes = [*shared_routes(), *self.routes()]
        return Guard(Starlette(routes=routes, lifespan=lifespan, exception_handlers=HANDLERS), host=host, token=token)

    def routes(self) -> list[BaseRoute]:
        """The page and the API of this model. They may be mounted anywhere: the page's requests follow its address."""
        return [Route("/", page), Mount("/", self.api)]

    def stop(self) -> None:
        """End the threads after their current work."""
        self.osc.close()
        self.jobs.stop()
        self.worker.stop()


def shared_routes() -> list[BaseRoute]:
    """What the pages of all models share, at the root of the server: their files and messages."""
    return [Route("/messages/{language}.json", messages), Mount("/static", StaticFiles(directory=STATIC))]


async def page(request: Request) -> Response:
    """The page of a model. Its address ends with a slash."""
    return FileResponse(STATIC / "index.html")


async def messages(request: Request) -> Response:
    """The catalogue of a language: code -> text, of the codes that the page renders itself."""
    language = request.path_params["language"]
    if language not in LANGUAGES:
        raise NotFound("explore.nothing_there", path=request.url.path[:80])
    return Response(page_messages(language), media_type="application/json")


@functools.cache
def page_messages(language: str) -> str:
    """`messages` as JSON."""
    texts = {code: text for code, text in catalogue(language).items() if code.startswith(PAGE_CODES)}
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":"))


class _Server(uvicorn.Server):
    """Ends long jobs before it waits for connections to close."""

    stop: Callable[[], None]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.stop()
        await super().shutdown(sockets)


def explore(where: str | None, *, port: int, host: str, open: bool, osc: int | None = None, osc_to: str = "") -> None:
    """Serve until Ctrl-C. open: in the browser, too. osc, osc_to: see `Osc`.

    Raises `SimulacraError` for what is not a model, and where no port is free.
    """
    if is_hub(where):
        open_folder(str(where))  # downloaded before the page is served
    elif where is not None and where != "peeps" and not Path(where).expanduser().exists():
        raise SimulacraError("explore.no_model", path=where)
    explorer = Explorer(where, Osc(osc, osc_to, host=host))

    def prepared(server: uvicorn.Server) -> None:
        def on_loaded(ready: Future[ASGIApp]) -> None:
            if ready.exception() is not None:
                server.should_exit = True

        explorer.ready.add_done_callback(on_loaded)

    serve(explorer.application, explorer.stop, port=port, host=host, open=open, prepared=prepared)
    with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C exits at once
        explorer.jobs.wait()
    if explorer.ready.done() and (error := explorer.ready.exception()) is not None:
        raise error


def serve(
    application: Callable[[str, str], ASGIApp],
    stop: Callable[[], None],
    *,
    port: int,
    host: str,
    open: bool,
    prepared: Callable[[uvicorn.Server], None] = lambda server: None,
    token: str = "",
) -> None:
    """Serve `application(host, token)` until Ctrl-C; prints its address. open: in the browser, too.

    stop: called when the server ends. prepared: called before it begins. token: that every request must have; where other
    machines can reach the server, there always is one. Raises `SimulacraError` where no port is free.
    """
    bound = listen(host, port)
    number = bound.getsockname()[1]
    if number != port and port:
        say("explore.next_port", port=port)
    if not is_loopback(host):
        warn("explore.open_network", host=host)
    token = token or ("" if is_loopback(host) else new_token())
    server = _Server(uvicorn_config(application(host, token)))
    server.stop = stop
    prepared(server)
    address = f"http://{f'[{host}]' if ':' in host else host}:{number}/{f'?token={token}' if token else ''}"
    say("explore.serving", address=address)
    if open and (sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(address)
    with bound, contextlib.suppress(KeyboardInterrupt):  # uvicorn has shut down by then
        server.run([bound])


def uvicorn_config(application: ASGIApp) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        application,
        http=TimedProtocol,
        ws="none",
        log_level="warning",
        access_log=False,
        h11_max_incomplete_event_size=MAX_HEADERS,
        timeout_graceful_shutdown=2,
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket on this port, or on the next free one. Raises `SimulacraError` where there is none."""
    if not 0 <= port <= 65535:
        raise SimulacraError("explore.bad_port", port=port)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise SimulacraError("explore.bad_host", host=host, reason=error.strerror) from error
    last = min(port + PORTS, 65536) - 1
    for number in range(port, last + 1):
        # asyncio sends at once (TCP_NODELAY) only if the protocol is named: else each answer waits 40 ms for its body
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name == "posix":  # elsewhere SO_REUSEADDR would share a port that is in use
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((address[0], number))
            bound.listen(128)
            return bound
        except OSError as error:
            bound.close()
            reason = error.strerror
    raise SimulacraError("explore.no_free_port", first=port, last=last, host=host, reason=reason)


def new_token() -> str:
    """A secret that nobody guesses."""
    return secrets.token_urlsafe(16)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
