"""What lies under a folder: datasets, pairs, runs and models, each with what its small files say.

No weights are read and torch is not imported, so hundreds of runs take moments. A damaged one is an entry too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from simulacra.errors import SimulacraError, near_path
from simulacra.measure.score_records import Best
from simulacra.records import read_record, wrong_entry
from simulacra.training.run_records import ForkRecord, JournalLine, read_run
from simulacra.training.session import is_locked

DEPTH = 4  # of folders below the one that is listed
TAIL = 1 << 16  # bytes at a journal's end that hold its last line
UPSCALERS = "upscale"  # folder of a run's upscalers, which are no entries of their own

Kind = Literal["dataset", "pair", "run", "model"]
WHAT: dict[str, Kind] = {"simulacra data set": "dataset", "simulacra joined data": "dataset", "simulacra pair": "pair"}


class DataRecord(TypedDict):
    """What is read of the data.json of a dataset."""

    what: str
    shape: list[int]  # N, H, W, C
    hash: str


class PairRecord(TypedDict):
    """What is read of the data.json of a pair."""

    what: str
    hash: str


class ModelRecord(TypedDict):
    """What is read of the config.json of a model that belongs to no run."""

    gan: str
    config: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Score:
    """The leading score of a run's best checkpoint, with the ends of its 95 % interval."""

    name: str
    value: float
    low: float
    high: float
    nimg: int  # of that checkpoint


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A dataset, a pair, a run or a model. None: not known, or of another kind."""

    path: Path
    name: str  # relative to the folder that was listed
    kind: Kind
    changed: float  # when its files were last written, in seconds since 1970
    alive: bool = False  # a process is training it
    drawable: bool = False  # holds a model that can be opened, which a run does from its first checkpoint on
    damage: SimulacraError | None = None  # the sentence says what to do
    picture: Path | None = None  # a grid of pictures: the newest preview, or the data sheet
    pictures: int | None = None  # of a dataset; of a run those that it is trained on
    size: tuple[int, int] | None = None  # (H, W) in pixels
    hash: str = ""  # of the data
    data: str = ""  # name of a run's dataset
    source: str = ""  # its path
    task: str = ""  # draw, translate or upscale; empty for models of 0.1
    gan: str = ""
    nimg: int = 0  # images shown so far
    seconds: float = 0.0  # of training so far
    total: int | None = None  # length of the run in images
    minutes: float | None = None  # length of the run in minutes
    score: Score | None = None
    verdicts: dict[str, str] | None = None  # that stand at the last journal line: name -> English sentence
    fork: ForkRecord | None = None  # the checkpoint of another run that it began from

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON values."""
        values = {key: value for key, value in vars(self).items() if key not in ("damage", "score")}
        values |= {"path": str(self.path), "picture": self.picture and str(self.picture)}
        values |= {"size": self.size and list(self.size), "score": self.score and vars(self.score)}
        return values | {"damage": self.damage and str(self.damage)}


def entries(folder: str | Path) -> list[Entry]:
    """The entries under a folder, by name; the folder itself where it is one.

    Hidden folders and those of an entry are not entered. Raises `SimulacraError` for what is no folder.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise SimulacraError("shelf.no_folder", path=root, hint=near_path(root))
    return sorted(_walk(root, root, DEPTH), key=lambda entry: entry.name.casefold())


def _walk(folder: Path, root: Path, depth: int) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as listing:
            inner = {item.name: item.is_dir() for item in listing}
    except OSError:
        return  # a folder of another user: nothing of it can be shown
    if entry := read_entry(folder, inner, root):
        yield entry
    elif depth:
        for name in sorted(name for name, is_folder in inner.items() if is_folder and not name.startswith(".")):
            yield from _walk(folder / name, root, depth - 1)


def read_entry(path: Path, inner: Iterable[str] | None = None, root: Path | None = None) -> Entry | None:
    """The entry in a folder; None where there is none.

    inner: the names in the folder, if they are known. root: the folder that `Entry.name` is relative to; by default
    the one above.
    """
    names = set(inner) if inner is not None else {item.name for item in path.iterdir()}
    kind = _kind(path, names)
    if kind is None:
        return None
    relative = path.relative_to(root) if root and path != root else Path(path.resolve().name)
    files = [path / name for name in ("config.json", "journal.jsonl", "best.json", "data.json") if name in names]
    try:
        changed = max((file.stat().st_mtime for file in (*files, path / "checkpoints") if file.exists()), default=0.0)
        about: dict[str, Any] = {"path": path, "name": relative.as_posix(), "kind": kind}
        about |= {"changed": changed or path.stat().st_mtime, "alive": ".lock" in names and is_locked(path)}
    except OSError:
        return None  # deleted since it was listed
    try:
        facts = {"dataset": _dataset, "pair": _pair, "run": _run, "model": _model}[kind](path)
    except SimulacraError as error:
        return Entry(**about, damage=error)
    except OSError as error:
        return Entry(**about, damage=SimulacraError("files.unreadable", path=path, reason=error.strerror))
    return None if facts is None else Entry(**about, **facts)


def _kind(path: Path, names: set[str]) -> Kind | None:
    """What a folder holds, by the names in it; for prepared data, by its data.json."""
    if "images.npy" in names:
        return "dataset"
    if "data.json" in names:
        try:
            return WHAT.get(read_record(path / "data.json", PairRecord)["what"])
        except SimulacraError:
            return "pair" if {"a", "b"} <= names else None
    if "G.safetensors" in names:
        return "model"
    return "run" if "journal.jsonl" in names or "config.json" in names else None


# --- what the files of each kind say ------------------------------------------------------------------------------


def _dataset(path: Path) -> dict[str, Any]:
    if not (path / "data.json").exists():
        raise SimulacraError("data.half_written", path=path)
    try:
        record = read_record(path / "data.json", DataRecord)
        count, height, width, _ = record["shape"]
    except (SimulacraError, ValueError) as error:
        raise SimulacraError("data.damaged_dataset", path=path) from error
    return {"pictures": count, "size": (height, width), "hash": record["hash"], "picture": _file(path / "sheet.png")}


def _pair(path: Path) -> dict[str, Any]:
    try:
        first, second = (_dataset(path / letter) for letter in "ab")
        digest = read_record(path / "data.json", PairRecord)["hash"]
    except SimulacraError as error:
        raise SimulacraError("data.damaged_pair", path=path) from error
    return first | {"pictures": first["pictures"] + second["pictures"], "hash": digest}


def _model(path: Path) -> dict[str, Any] | None:
    if not (path / "config.json").exists():
        return None
    record: Any = read_record(path / "config.json", ModelRecord)
    sides = record["config"].get("shape", [])[1:]
    size = tuple(sides) if len(sides) == 2 else None
    return {"gan": record["gan"], "task": str(record.get("task", "")), "size": size, "drawable": True}


def _run(path: Path) -> dict[str, Any] | None:
    try:
        config = read_run(path)
    except SimulacraError as error:
        if error.code != "files.not_json":
            raise
        raise SimulacraError("files.damaged", folder=path, **error.values) from error
    if config is None:
        return None
    _, height, width = config["config"]["shape"]
    facts: dict[str, Any] = {"gan": config["spec"], "task": config.get("task", "draw"), "size": (height, width)}
    data, length, line = config["data"], config["length"], last_line(path / "journal.jsonl")
    facts |= {"data": data["name"], "source": data["source"], "hash": data["hash"], "pictures": data.get("pictures")}
    facts |= {"total": length["total"], "minutes": length["minutes"], "fork": config.get("fork")}
    numbers = _checkpoints(path)
    if line is not None:
        facts |= {"seconds": line["seconds"], "verdicts": line.get("health", {})}
    facts |= {"nimg": max([line["nimg"] if line else 0, *numbers]), "drawable": bool(numbers)}
    return facts | {"score": _score(path, numbers), "picture": _newest_preview(path / "previews")}


def _checkpoints(run: Path) -> list[int]:
    """The images shown at a run's checkpoints. Raises `SimulacraError` where the newest one is not whole."""
    folder = run / "checkpoints"
    names = [path.name for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
    if names:
        last = folder / max(names, key=int)
        if not (last / "config.json").is_file() or not (last / "G.safetensors").is_file():
            raise SimulacraError("storage.damaged_checkpoint", path=last, run=run)
    return [int(name) for name in names]


def _score(run: Path, checkpoints: list[int]) -> Score | None:
    """The score in best.json. Raises `SimulacraError` where that is damaged or its checkpoint is gone."""
    if not (run / "best.json").is_file():
        return None
    best = read_record(run / "best.json", Best)
    if best["nimg"] not in checkpoints:
        raise SimulacraError("files.damaged_entry", path=run / "best.json", entry="checkpoint", folder=run)
    return Score(name=best["by"], value=best["value"], low=best["low"], high=best["high"], nimg=best["nimg"])


def last_line(journal: Path) -> JournalLine | None:
    """The last whole line of a journal; None without one. Raises `SimulacraError` where it is damaged."""
    if not journal.is_file():
        return None
    with journal.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
        *lines, _ = file.read().split(b"\n")  # what follows the last line was cut short by a kill
    if not lines:
        return None
    try:
        line: Any = json.loads(lines[-1])
    except (ValueError, RecursionError):
        line = None
    if wrong_entry(line, JournalLine) is not None or not {"nimg", "seconds"} <= line.keys():
        raise SimulacraError("shelf.damaged_journal", path=journal, run=journal.parent)
    last: JournalLine = line
    return last


def _newest_preview(folder: Path) -> Path | None:
    paths = folder.iterdir() if folder.is_dir() else []
    stills = [path for path in paths if path.suffix == ".png" and path.stem.isdecimal()]
    return max(stills, key=lambda path: int(path.stem), default=None)


def _file(path: Path) -> Path | None:
    return path if path.is_file() else None


# --- forks ----------------------------------------------------------------------------------------------------------


def tree(listed: list[Entry]) -> list[tuple[int, Entry]]:
    """The entries with their depth below the run that they were forked from: forks follow their parent.

    A fork whose parent is not among them has the depth 0.
    """
    by_path = {entry.path.resolve(): entry for entry in listed}
    children: dict[Path | None, list[Entry]] = {}
    for entry in listed:
        parent = by_path.get(Path(entry.fork["run"])) if entry.fork else None
        children.setdefault(parent.path if parent and parent is not entry else None, []).append(entry)
    ordered: list[tuple[int, Entry]] = []

    def add(parent: Path | None, depth: int) -> None:
        for entry in children.pop(parent, ()):
            ordered.append((depth, entry))
            add(entry.path, depth + 1)

    add(None, 0)
    while children:  # records that were edited by hand into a circle
        add(next(iter(children)), 0)
    return ordered


def stages(run: Path) -> list[Path]:
    """The folders of a run's upscalers, each a run of its own."""
    folder = run / UPSCALERS
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def config_files(entry: Entry) -> list[Path]:
    """The config.json of a run and those of its upscalers."""
    return [path for folder in (entry.path, *stages(entry.path)) if (path := folder / "config.json").is_file()]
