"""JSON objects of files, checked against their TypedDict: an edited or damaged file is a sentence that names the entry."""

from __future__ import annotations

import functools
import json
import math
import types
from collections.abc import Collection
from pathlib import Path
from typing import Any, NotRequired, Required, TypeVar, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from simulacra.errors import SimulacraError
from simulacra.files import JsonObject, read_json

T = TypeVar("T")


def read_record(path: Path, kind: type[T]) -> T:
    """The JSON object in a file of a run's folder, checked against the TypedDict `kind`.

    Raises `SimulacraError` that names the first entry which is missing or of another type.
    """
    try:
        value = read_json(path)
    except SimulacraError as error:
        if error.code != "files.not_json":
            raise
        raise SimulacraError("files.damaged", folder=path.parent, **error.values) from error
    check_record(value, kind, path)
    return cast(T, value)


def check_record(value: Any, kind: type, path: Path) -> None:
    """Raise `SimulacraError` where `value` is not of the TypedDict `kind`. path: its file, in a run's folder."""
    entry = wrong_entry(value, kind)
    if entry is not None:
        raise SimulacraError("files.damaged_entry", path=path, entry=entry or "{}", folder=path.parent)


def read_versioned(path: Path, form: str) -> JsonObject | None:
    """The JSON object in `path` if its `format` is `form`, such as `simulacra-run-1`; None if it is something else.

    Raises `SimulacraError` for a file of a later version's format, with the version to install.
    """
    record = read_json(path)
    stored = record.get("format") if isinstance(record, dict) else None
    kind = form.rpartition("-")[0]
    if isinstance(stored, str) and stored != form and stored.rpartition("-")[0] == kind:
        raise SimulacraError("storage.newer_format", path=path, format=stored, own=form, version=writer_of(record))
    return record if stored == form else None


def writer_of(record: JsonObject) -> str:
    """The words that install the version which wrote a file."""
    versions = record.get("versions")
    version = versions.get("simulacra") if isinstance(versions, dict) else record.get("simulacra")
    return f"simulacra=={version}" if isinstance(version, str) else "simulacra"


def read_lines(path: Path, kind: type[T], *, required: Collection[str] = (), torn: bool = False) -> list[T]:
    """The lines of a JSONL file of a run's folder, checked against the TypedDict `kind`; a missing file has none.

    A last line cut short by a kill is left out; with `torn` so are others that are no JSON, where a file is appended to
    after such a kill. required: entries beside those that `kind` requires. Raises `SimulacraError` for a damaged line.
    """
    good, damaged = sort_lines(path, kind, required=required, torn=torn)
    if damaged:
        raise SimulacraError("files.damaged_line", line=damaged[0], path=path, folder=path.parent)
    return [value for _, value in good]


def sort_lines(
    path: Path, kind: type[T], *, required: Collection[str] = (), torn: bool = False
) -> tuple[list[tuple[int, T]], list[int]]:
    """The good lines of a JSONL file with their numbers from 1, and the numbers of the damaged ones; see `read_lines`."""
    good: list[tuple[int, T]] = []
    damaged: list[int] = []
    if not path.is_file():
        return good, damaged
    texts = path.read_bytes().split(b"\n")
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        try:
            value = json.loads(text.decode())
        except (ValueError, RecursionError) as error:
            cut = isinstance(error, json.JSONDecodeError) and (torn or number == len(texts))
            damaged += [] if cut else [number]
            continue
        if wrong_entry(value, kind) is None and all(name in value for name in required):
            good.append((number, value))
        else:
            damaged.append(number)
    return good, damaged


def wrong_entry(value: Any, kind: Any) -> str | None:
    """The first entry of `value` that is missing or not of the type `kind`, such as `length.tick`; None if all are right.

    Empty for `value` itself. Entries that `kind` does not know are allowed: a later version may have written them.
    """
    origin, choices = get_origin(kind), get_args(kind)
    if kind is Any:
        return None
    if is_typeddict(kind):
        if not isinstance(value, dict):
            return ""
        hints = _hints(kind)
        missing = next((name for name in _required(kind) if name not in value), None)
        return missing or _first({name: (value[name], hints[name]) for name in hints if name in value})
    if origin in (Required, NotRequired):
        return wrong_entry(value, choices[0])
    if origin in (Union, types.UnionType):
        return None if any(wrong_entry(value, choice) is None for choice in choices) else ""
    if origin is dict:
        return _first({str(k): (v, choices[1]) for k, v in value.items()}) if isinstance(value, dict) else ""
    if origin is list:
        return _first({str(i): (v, choices[0]) for i, v in enumerate(value)}) if isinstance(value, list) else ""
    return None if _is_scalar(value, kind) else ""


def _first(entries: dict[str, tuple[Any, Any]]) -> str | None:
    """The name of the first wrong one of entries of value and type."""
    for name, (value, kind) in entries.items():
        if (inner := wrong_entry(value, kind)) is not None:
            return f"{name}.{inner}" if inner else name
    return None


def _is_scalar(value: Any, kind: Any) -> bool:
    if kind in (int, float):
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return number and (kind is float or isinstance(value, int))
    return value is None if kind in (None, type(None)) else isinstance(value, kind)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


@functools.cache
def _required(kind: Any) -> tuple[str, ...]:
    """The required entries of a TypedDict; its own list of them is wrong where annotations are strings."""
    origins = {name: get_origin(hint) for name, hint in _hints(kind).items()}
    return tuple(
        name for name, origin in origins.items() if origin is Required or (kind.__total__ and origin is not NotRequired)
    )
