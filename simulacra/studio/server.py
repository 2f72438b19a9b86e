"""`simulacra studio`: the page of a folder, its API, and the explorers of the models in it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import OrderedDict
from collections.abc import AsyncIterator
from concurrent.futures import Future
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from simulacra.errors import SimulacraError
from simulacra.explore.background import JobRunner
from simulacra.explore.guard import Guard
from simulacra.explore.refusals import HANDLERS, refusal
from simulacra.explore.server import STATIC as EXPLORER_STATIC
from simulacra.explore.server import messages, new_token, serve
from simulacra.explore.worker import Worker
from simulacra.files import disk_errors
from simulacra.lab.api import LabApi
from simulacra.studio.api import StudioApi
from simulacra.studio.names import inside

STATIC = Path(__file__).parent / "static"
MODELS = "/model/"  # addresses of explorers begin with it
BUNDLED = "@peeps"  # the bundled model among them
TOKEN = Path(".simulacra", "token")
OPENED = 3  # explorers in memory at once


class Explorers:
    """An explorer for each model of the folder, at `/model/PATH/`, opened when its page is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.worker, self.jobs = Worker(), JobRunner()
        self._opened: OrderedDict[str, Future[ASGIApp]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the page or the API of a model. The page is answered at once and opens the model anew."""
        path = scope["path"].removeprefix(MODELS)
        name, slash, _ = path.partition("/api/") if "/api/" in path else (path.removesuffix("/api"), "", "")
        answer: ASGIApp
        try:
            if slash or path.endswith("/api"):
                opened = self._opened.get(name) or self._open(name)
                self._opened.move_to_end(name)
                answer = await asyncio.shield(asyncio.wrap_future(opened))
                scope = dict(scope) | {"root_path": f"{MODELS}{name}"}
            elif not path.endswith("/"):
                answer = RedirectResponse(f"{MODELS}{path}/")
            else:
                self._open(name.rstrip("/"))
                answer = FileResponse(EXPLORER_STATIC / "index.html")
        except SimulacraError as error:
            answer = refusal(error)
        await answer(scope, receive, send)

    def _open(self, name: str) -> Future[ASGIApp]:
        """Load a model on the worker's thread. A run may have a better checkpoint than when it was last opened."""
        where = "peeps" if name == BUNDLED else inside(self.root, name)
        self._opened[name] = self.worker.submit(lambda: self._load(where))
        self._opened.move_to_end(name)
        while len(self._opened) > OPENED:
            self._opened.popitem(last=False)
        return self._opened[name]

    def _load(self, where: str | Path) -> ASGIApp:
        import torch  # takes seconds; the library's page does not wait for it

        torch.set_num_threads(1)  # a training beside it needs the others
        from simulacra.explore.api import application
        from simulacra.explore.library import Library

        return application(Library(where), self.worker, self.jobs)

    def stop(self) -> None:
        """End the threads after their current work."""
        self.jobs.stop()
        self.worker.stop()


class Studio:
    """The whole server except its socket."""

    def __init__(self, root: Path) -> None:
        self.api, self.explorers = StudioApi(root), Explorers(root)
        self.lab = LabApi(self.explorers.worker)  # the same thread: trainings seed torch's one generator

    def application(self, host: str = "127.0.0.1", token: str = "") -> ASGIApp:
        """The pages and the APIs, guarded. token: that every request must have; empty: none."""

        @contextlib.asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            yield
            self.explorers.stop()

        async def page(request: Request) -> FileResponse:
            return FileResponse(STATIC / "studio.html")

        async def model(scope: Scope, receive: Receive, send: Send) -> None:
            await self.explorers(dict(scope) | {"root_path": ""}, receive, send)

        routes = [
            Route("/", page),
            Route("/messages/{language}.json", messages),
            Mount("/static", StaticFiles(directory=EXPLORER_STATIC)),
            Mount("/studio", StaticFiles(directory=STATIC)),
            Mount("/model", model),
            *self.api.routes(),
            *self.lab.routes(),
        ]
        return Guard(Starlette(routes=routes, lifespan=lifespan, exception_handlers=HANDLERS), host=host, token=token)


def stored_token(root: Path) -> str:
    """The secret of a folder's studio. Other users of this machine can reach the page, but not read this file.

    It stays the same, so that a page that is still open finds a studio that starts anew.
    """
    path = root / TOKEN
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            contextlib.suppress(FileExistsError),
            os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file,
        ):
            file.write(new_token())
    return path.read_text().strip() or new_token()


def studio(folder: Path, *, port: int, host: str, open: bool) -> None:
    """Serve until Ctrl-C. Trainings go on after that. open: in the browser, too.

    Raises `SimulacraError` where the folder cannot be created, and where no port is free.
    """
    root = folder.expanduser().absolute()
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
    opened = Studio(root)
    serve(opened.application, opened.explorers.stop, port=port, host=host, open=open, token=stored_token(root))
    with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C exits at once
        opened.explorers.jobs.wait()
