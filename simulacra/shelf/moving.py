"""Rename an entry, throw it into a bin, and bring it back. Nothing is deleted, and what refers to it is kept right.

The bin is the folder `.bin` beside an entry; each thing in it has a numbered folder of its own, so that names never meet.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from simulacra.errors import SimulacraError, near_path
from simulacra.files import disk_errors, read_json, write_json
from simulacra.shelf.entries import Entry, config_files, entries, read_entry, stages
from simulacra.training.session import is_locked

BIN = ".bin"
LONGEST = 200  # bytes of a name
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]|^[. ]|[. ]$')  # in a name, on one system or another


def rename(path: str | Path, name: str, *, library: str | Path | None = None) -> Path:
    """Give an entry another name; returns its new path. Runs under `library` that refer to it follow.

    library: by default the folder of the entry. Raises `SimulacraError` for a name that cannot be one or is taken, and
    while a process trains the run, or a run on the data.
    """
    entry = _entry(path)
    if not name or FORBIDDEN.search(name) or len(name.encode()) > LONGEST:
        raise SimulacraError("shelf.impossible_name", name=name)
    new = entry.path.with_name(name)
    if new.exists() or new.is_symlink():
        raise SimulacraError("shelf.name_taken", path=new)
    others = entries(entry.path.parent if library is None else library)
    _refuse_busy(entry, others)
    old = entry.path.resolve()
    with disk_errors(new):
        entry.path.rename(new)
    for other in others:
        if other.kind == "run":
            follow(other if other.path.resolve() != old else _entry(new), old, new.resolve())
    return new


def follow(run: Entry, old: Path, new: Path) -> None:
    """Let a run's records name the path `new` where they name `old` or something in it: its data, and its parent."""
    for file in config_files(run):
        config = read_json(file)
        parts = [(config.get("data"), "source"), (config.get("fork"), "run")] if isinstance(config, dict) else []
        changed = False
        for record, key in parts:
            where = Path(record[key]) if isinstance(record, dict) and isinstance(record.get(key), str) else None
            if where is not None and where.is_relative_to(old):
                record[key], changed = str(new / where.relative_to(old)), True  # type: ignore[index]
        if changed:
            write_json(file, config)


def throw_away(path: str | Path, *, library: str | Path | None = None) -> Path:
    """Move an entry into the bin; returns its path there, for `restore`. Raises `SimulacraError` as `rename` does."""
    entry = _entry(path)
    _refuse_busy(entry, entries(entry.path.parent if library is None else library))
    folder = entry.path.parent / BIN
    with disk_errors(folder):
        place = next(place for number in itertools.count(1) if not (place := folder / str(number)).exists())
        place.mkdir(parents=True)
        thrown = entry.path.rename(place / entry.path.name)
    return thrown


def thrown_away(folder: str | Path) -> list[Entry]:
    """What lies in the bin of a folder, the newest first."""
    places = (Path(folder) / BIN).glob("*/*/")
    thrown = [entry for path in places if (entry := read_entry(path)) is not None]
    return sorted(thrown, key=lambda entry: entry.path.parent.stat().st_mtime, reverse=True)


def restore(path: str | Path) -> Path:
    """Bring an entry back from the bin; returns its path. Raises `SimulacraError` where its name is taken by now."""
    thrown = _entry(path).path
    if thrown.parent.parent.name != BIN:
        raise SimulacraError("shelf.not_in_the_bin", path=thrown)
    back = thrown.parent.parent.parent / thrown.name
    if back.exists() or back.is_symlink():
        raise SimulacraError("shelf.name_taken", path=back)
    with disk_errors(back):
        thrown.rename(back)
        thrown.parent.rmdir()
    return back


def _entry(path: str | Path) -> Entry:
    folder = Path(path).expanduser().absolute()
    entry = read_entry(folder) if folder.is_dir() else None
    if entry is None:
        raise SimulacraError("shelf.no_entry", path=folder, hint="" if folder.exists() else near_path(folder))
    return entry


def _refuse_busy(entry: Entry, others: list[Entry]) -> None:
    """Raise `SimulacraError` while a process trains a run, one of its upscalers, or a run on the data."""
    for folder in (entry.path, *stages(entry.path)):
        if is_locked(folder):
            raise SimulacraError("train.locked", folder=folder)
    own = entry.path.resolve()
    for other in others:
        if other.alive and other.source and Path(other.source).is_relative_to(own):
            raise SimulacraError("shelf.data_in_use", path=entry.path, run=other.path)
