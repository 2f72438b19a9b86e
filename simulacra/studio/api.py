"""The studio's API: the library, pictures on their way in, and processes; see `run_api` for what is done with runs.

Everything is named by its path in the studio's folder. Nothing outside it is written; a source of pictures may lie anywhere
on this machine.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from simulacra.errors import SimulacraError
from simulacra.explore.refusals import NotFound, json_response
from simulacra.explore.requests import read_json, text
from simulacra.shelf.entries import Entry, entries, read_entry
from simulacra.shelf.moving import rename, restore, throw_away, thrown_away
from simulacra.studio import pictures
from simulacra.studio.folder_api import BUILT_IN, FolderApi, post
from simulacra.studio.names import inside, safe_name, unused
from simulacra.studio.processes import Processes
from simulacra.studio.run_api import FACTOR, RunApi


class StudioApi(FolderApi):
    """Routes of the studio of one folder."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, Processes(root))

    # --- the library ----------------------------------------------------------------------------------------------

    async def library(self, request: Request) -> Response:
        """All datasets, runs and models of the folder, what runs, and the bin."""
        return json_response(await asyncio.to_thread(self._library))

    def _library(self) -> dict[str, Any]:
        return {
            "folder": str(self.root),
            "entries": [self._entry(entry) for entry in entries(self.root)],
            "bin": [self._entry(entry) for entry in self._thrown_away()],
            "processes": [process.to_json() for process in self.processes.all() if process.state == "running"],
        }

    def _entry(self, entry: Entry) -> dict[str, Any]:
        """An entry as JSON, its path relative to the studio's folder."""
        return entry.to_json() | {"path": self._relative(entry.path), "picture": entry.picture is not None}

    def _thrown_away(self) -> list[Entry]:
        return [entry for folder in (self.root, self.root / "runs") for entry in thrown_away(folder)]

    async def picture(self, request: Request) -> Response:
        """A picture of an entry: ?path=."""
        entry = await asyncio.to_thread(read_entry, self._inside(request))
        if entry is None or entry.picture is None:
            raise NotFound("explore.no_picture")
        return FileResponse(entry.picture)

    async def rename(self, request: Request) -> Response:
        """Give an entry another name: {path, name}."""
        content = await read_json(request, {"path", "name"})
        path = inside(self.root, text(content.get("path"), "path"))
        name = safe_name(text(content.get("name"), "name"))
        renamed = await asyncio.to_thread(rename, path, name, library=self.root)
        return json_response({"path": self._relative(renamed)})

    async def throw_away(self, request: Request) -> Response:
        """Move an entry into the bin: {path}."""
        content = await read_json(request, {"path"})
        path = inside(self.root, text(content.get("path"), "path"))
        await asyncio.to_thread(throw_away, path, library=self.root)
        return json_response({})

    async def restore(self, request: Request) -> Response:
        """Bring an entry back from the bin: {path}, as the library names it."""
        content = await read_json(request, {"path"})
        wanted = text(content.get("path"), "path")
        for entry in await asyncio.to_thread(self._thrown_away):
            if self._relative(entry.path) == wanted:
                return json_response({"path": self._relative(await asyncio.to_thread(restore, entry.path))})
        raise NotFound("studio.not_there", path=wanted[:80])

    # --- pictures on their way in -----------------------------------------------------------------------------------

    async def new_pictures(self, request: Request) -> Response:
        """Make a folder for an upload: {name}; returns its path."""
        content = await read_json(request, {"name"})
        folder = await asyncio.to_thread(pictures.new_folder, self.root, text(content.get("name"), "name"))
        return json_response({"path": folder})

    async def upload(self, request: Request) -> Response:
        """One file of an upload as the body: ?into=FOLDER&path=. Without a path, a tar of several files."""
        folder = inside(self.root, request.query_params.get("into", ""))
        if folder.parent != self.root / pictures.PLACE or not folder.is_dir():
            raise SimulacraError("studio.not_there", path=folder.name[:80])
        path = request.query_params.get("path")
        if path is None:
            return json_response({"files": await pictures.receive_many(folder, request.stream())})
        return json_response({"bytes": await pictures.receive(folder, path, request.stream())})

    async def examples(self, request: Request) -> Response:
        """A few pictures as `prepare` would make them (PNG): ?source=&size=&crop=."""
        query = request.query_params
        source, size, crop = (
            self._source(query.get("source", "")),
            query.get("size", "auto"),
            query.get("crop", "centre"),
        )
        data = await asyncio.to_thread(pictures.examples, source, size, crop)
        return Response(data, media_type="image/png")

    async def inspect(self, request: Request) -> Response:
        """Look at the pictures of a source: {source}. The process's `result` is the report."""
        content = await read_json(request, {"source"})
        source = self._source(text(content.get("source"), "source"))
        return await self._start("inspect", str(content["source"]), ["inspect", str(source), "--json"])

    async def prepare(self, request: Request) -> Response:
        """Make a dataset: {source, name, size, crop, drop_duplicates, keep_originals}. The process's `subject` is its path."""
        content = await read_json(request, {"source", "name", "size", "crop", "drop_duplicates", "keep_originals"})
        source = self._source(text(content.get("source"), "source"))
        target = unused(self.root, safe_name(text(content.get("name"), "name")))
        words = ["prepare", str(source), str(target)]
        words += [f"--size={text(content.get('size', 'auto'), 'size')}"]
        words += [f"--crop={text(content.get('crop', 'centre'), 'crop')}"]
        words += ["--drop-duplicates"] if content.get("drop_duplicates") is True else []
        words += [f"--keep-originals={FACTOR}"] if content.get("keep_originals") is True else []
        return await self._start("prepare", target.name, words)

    # --- processes --------------------------------------------------------------------------------------------------

    async def process(self, request: Request) -> Response:
        """How a process is: its state, its last lines, and the result that it printed."""
        name = request.path_params["process"]
        process = await asyncio.to_thread(self.processes.find, name)
        result = self.processes.result(name) if process.kind == "inspect" and process.state == "done" else None
        return json_response(process.to_json() | {"result": result})

    async def stop(self, request: Request) -> Response:
        """Stop a process as Ctrl-C does: a training saves."""
        await asyncio.to_thread(self.processes.stop, request.path_params["process"])
        return json_response({})

    def _source(self, source: str) -> Path | str:
        """Where pictures come from: an upload, a path on this machine, or the built-in people."""
        if source == BUILT_IN:
            return source
        path = Path(source).expanduser()
        return path if path.is_absolute() else pictures.source_of(inside(self.root, source))

    def routes(self) -> list[Route]:
        """All of them."""

        return [
            Route("/api/studio", self.library),
            Route("/api/studio/picture", self.picture),
            post("/api/studio/rename", self.rename),
            post("/api/studio/throw-away", self.throw_away),
            post("/api/studio/restore", self.restore),
            post("/api/studio/pictures", self.new_pictures),
            post("/api/studio/upload", self.upload),
            Route("/api/studio/examples", self.examples),
            post("/api/studio/inspect", self.inspect),
            post("/api/studio/prepare", self.prepare),
            *RunApi(self.root, self.processes).routes(),
            Route("/api/studio/processes/{process}", self.process),
            Route("/api/studio/processes/{process}", self.stop, methods=["DELETE"]),
        ]
