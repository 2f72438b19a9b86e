"""The studio's API of runs: their start, their state, their pace, and other futures of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from simulacra.data import originals
from simulacra.errors import SimulacraError
from simulacra.explore.refusals import NotFound, json_response
from simulacra.explore.requests import between, read_json, text
from simulacra.shelf.entries import read_entry
from simulacra.studio.folder_api import BUILT_IN, FolderApi, post
from simulacra.studio.names import inside, safe_name, unused

MOST_MINUTES = 60 * 24 * 30
FACTOR = 2  # at which originals are kept, and pictures enlarged


class RunApi(FolderApi):
    """Routes of what is done with datasets and runs."""

    async def forecast(self, request: Request) -> Response:
        """What `train` would choose, and how long it would take: {data}. The process's lines are the answer."""
        content = await read_json(request, {"data"})
        data = text(content.get("data"), "data")
        return await self._start("forecast", f"{data} (forecast)", ["train", self._data(data), "--dry-run"])

    async def train(self, request: Request) -> Response:
        """Train on a dataset, or a run further: {data or run, minutes}; for a run, minutes beside those that it has had."""
        content = await read_json(request, {"data", "run", "minutes"})
        if ("data" in content) == ("run" in content):
            raise SimulacraError("studio.data_or_run")
        of = "data" if "data" in content else "run"
        subject = text(content[of], of)
        words = ["train", self._data(subject) if of == "data" else str(inside(self.root, subject))]
        if (minutes := content.get("minutes")) is not None:
            if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes <= MOST_MINUTES:
                raise SimulacraError("explore.out_of_range", name="minutes", least=0, most=MOST_MINUTES)
            from simulacra.explore.run_summary import run_progress  # imports torch, which takes seconds

            had = run_progress(inside(self.root, subject))["seconds"] / 60 if of == "run" else 0
            words += [f"--minutes={had + minutes:g}"]
        return await self._start("train", subject, words)

    async def score(self, request: Request) -> Response:
        """Score the checkpoints of a run and let it stand for the best: {run}."""
        content = await read_json(request, {"run"})
        run = text(content.get("run"), "run")
        return await self._start("score", run, ["choose", str(inside(self.root, run))])

    async def upscale(self, request: Request) -> Response:
        """Train a run's upscaler, for pictures of twice the size: {run}."""
        content = await read_json(request, {"run"})
        run = text(content.get("run"), "run")
        return await self._start("upscale", run, ["upscale", str(inside(self.root, run)), f"--factor={FACTOR}"])

    async def fork(self, request: Request) -> Response:
        """Begin a new run at a checkpoint of another one with other settings: {run, name, at, settings}.

        settings: `lr=1e-3 gamma=0.1`. The process's `subject` is the path of the new run.
        """
        content = await read_json(request, {"run", "name", "at", "settings"})
        parent = inside(self.root, text(content.get("run"), "run"))
        name = unused(parent.parent, safe_name(text(content.get("name"), "name"))).name
        settings = content.get("settings") or ""
        words = text(settings, "settings").split() if settings else []
        if any(word.startswith("-") or "=" not in word for word in words):
            raise SimulacraError("studio.not_settings")
        words = ["fork", str(parent), name, *words]
        if (checkpoint := content.get("at")) is not None:
            words.append(f"--at={text(checkpoint, 'at')}")
        return await self._start("fork", self._relative(parent.parent / name), words)

    async def run(self, request: Request) -> Response:
        """What a run shows of itself: ?path=."""
        path = self._inside(request)
        return json_response(await asyncio.to_thread(self._run, path))

    def _run(self, path: Path) -> dict[str, Any]:
        from simulacra.explore.run_summary import run_progress, run_summary  # imports torch, which takes seconds

        entry = read_entry(path)
        if entry is None or entry.kind != "run":
            raise NotFound("studio.not_a_run", path=path.name)
        if entry.damage:
            raise entry.damage
        subjects = {self._relative(path), entry.data, self._known(entry.source)}
        newest = next((process for process in self.processes.all() if process.subject in subjects), None)
        return {
            **run_summary(path),
            **run_progress(path),
            "name": path.name,
            "alive": entry.alive,
            "originals": originals.folder_of(Path(entry.source), FACTOR).is_dir(),
            "process": newest and newest.to_json(),
        }

    async def preview(self, request: Request) -> Response:
        """The previews of a run after so many images (PNG): ?path=&nimg=."""
        from simulacra.explore.run_summary import preview  # imports torch, which takes seconds

        path = self._inside(request)
        return FileResponse(await asyncio.to_thread(preview, path, request.query_params.get("nimg", "")))

    async def pace(self, request: Request) -> Response:
        """Pause a run that trains, let it do some steps, slow it down or let it go: {run, pace, steps}; returns {number}.

        Its state and its picture carry that number once it follows.
        """
        from simulacra.training import pace  # imports torch, which takes seconds

        content = await read_json(request, {"run", "pace", "steps"})
        run = inside(self.root, text(content.get("run"), "run"))
        steps = between(content.get("steps", 0), "steps", 0, pace.MOST_STEPS)
        entry = await asyncio.to_thread(read_entry, run)
        if entry is None or not entry.alive:
            raise SimulacraError("studio.not_training_now", run=run.name)
        number = await asyncio.to_thread(pace.order, run, text(content.get("pace"), "pace"), steps)
        return json_response({"number": number})

    async def now(self, request: Request) -> Response:
        """Where a run is that does not go at full pace: ?path=; null at full pace."""
        from simulacra.training import pace  # imports torch, which takes seconds

        return json_response(await asyncio.to_thread(pace.now, self._inside(request)))

    async def moment(self, request: Request) -> Response:
        """The pictures of a run that does not go at full pace (PNG): ?path=."""
        from simulacra.training.pace import FOLDER, PICTURE  # imports torch, which takes seconds

        picture = self._inside(request) / FOLDER / PICTURE
        if not picture.is_file():
            raise NotFound("explore.no_picture")
        return FileResponse(picture)

    async def compare(self, request: Request) -> Response:
        """Compare two models by both judges: {a, b}. The process's lines are the answer."""
        content = await read_json(request, {"a", "b"})
        a, b = (inside(self.root, text(content.get(name), name)) for name in ("a", "b"))
        return await self._start("compare", f"{self._relative(a)}, {self._relative(b)}", ["compare", str(a), str(b)])

    def _data(self, data: str) -> str:
        return data if data == BUILT_IN else str(inside(self.root, data))

    def _known(self, path: str) -> str:
        """A path in the studio's folder as the page names it."""
        whole = Path(path)
        return self._relative(whole) if whole.is_absolute() and whole.is_relative_to(self.root) else path

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            post("/api/studio/forecast", self.forecast),
            post("/api/studio/train", self.train),
            post("/api/studio/score", self.score),
            post("/api/studio/upscale", self.upscale),
            post("/api/studio/fork", self.fork),
            Route("/api/studio/run", self.run),
            Route("/api/studio/preview", self.preview),
            post("/api/studio/pace", self.pace),
            Route("/api/studio/pace", self.now),
            Route("/api/studio/moment", self.moment),
            post("/api/studio/compare", self.compare),
        ]
