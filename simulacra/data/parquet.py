"""Parquet files with a column of pictures, as datasets of the Hugging Face Hub have them.

A picture is a struct with `bytes`, or bytes alone. Files are listed by their footers and their columns of labels; pictures
are read row group by row group, when they are decoded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from simulacra.data.items import Item, ParquetRow
from simulacra.data.label_tables import CLASS_COLUMNS, Table, labels_for
from simulacra.data.source import Source
from simulacra.doctor import missing
from simulacra.errors import SimulacraError
from simulacra.messages import Message

SUFFIX = ".parquet"
SIMPLE = ("bool", "int", "uint", "float", "double", "halffloat", "string", "large_string", "dictionary")


def parquet_files(path: Path) -> list[Path]:
    """The parquet file at a path, or those in the folder there and below it, sorted by name."""
    if path.is_dir():
        return sorted(file for file in path.rglob(f"*{SUFFIX}") if file.is_file() and not file.name.startswith("."))
    return [path] if path.suffix.lower() == SUFFIX else []


def from_parquet(name: str, root: Path, files: Sequence[Path], wanted: str) -> Source:
    """The pictures of parquet files of one schema.

    wanted: "auto" (a column called label, class, ..., or all simple columns as attributes), "none", or a column.
    Raises SimulacraError where they cannot be read, or their columns are not clear.
    """
    if missing("parquet"):
        raise SimulacraError("data.needs_parquet", path=name)
    column, simple = _columns(files[0])
    items: list[Item] = []
    rows: dict[str, Sequence[Any]] = {}
    for path in files:
        if _columns(path) != (column, simple):
            raise SimulacraError("data.other_columns", path=path, first=files[0])
        place = path.name if path == root else path.relative_to(root).as_posix()
        listed = _items(path, place.removesuffix(SUFFIX), column)
        items += listed
        if wanted != "none" and simple:
            values = _file(str(path)).read(columns=list(simple)).to_pydict()
            lines = zip(*(_spelled(path, title, values[title]) for title in simple), strict=True)
            rows |= dict(zip((item.name for item in listed), lines, strict=True))
    source = Source(name, "parquet", items)
    if wanted in ("none", "folder") or not simple:
        return source
    table = Table(name, simple, rows, len(rows))
    labels = labels_for(table, [item.name for item in items], wanted)
    if not labels.has_row.all():  # as of a split whose labels are kept back
        gaps = Message("data.column_with_gaps", table=name, column=wanted if wanted != "auto" else simple[0])
        return Source(name, "parquet", items, notes=(*labels.notes, gaps))
    return Source(name, "parquet", items, labels.labels, labels.classes, labels.attributes, notes=labels.notes)


def _items(path: Path, name: str, column: str) -> list[Item]:
    about, metadata = path.stat(), _file(str(path)).metadata
    stamp = f"{about.st_size}.{about.st_mtime_ns}"
    items: list[Item] = []
    for group in range(metadata.num_row_groups):
        rows = range(metadata.row_group(group).num_rows)
        first = len(items)
        items += [Item(f"{name}/{first + n:06d}", ParquetRow(str(path), column, group, n), stamp) for n in rows]
    return items


def _columns(path: Path) -> tuple[str, tuple[str, ...]]:
    """The column of pictures of a file, and those that may be labels: a class column first."""
    schema = _file(str(path)).schema_arrow
    pictures = [field.name for field in schema if _holds_pictures(field.type)]
    if not pictures:
        raise SimulacraError("data.no_picture_column", path=path, columns=schema.names)
    if len(pictures) > 1:
        raise SimulacraError("data.not_one_picture_column", path=path, columns=pictures)
    simple = [field.name for field in schema if str(field.type).rstrip("0123456789").split("<")[0] in SIMPLE]
    return pictures[0], tuple(sorted(simple, key=lambda title: title.lower() not in CLASS_COLUMNS))


def _holds_pictures(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        return any(kind.field(n).name == "bytes" for n in range(kind.num_fields))
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _spelled(path: Path, column: str, values: list[Any]) -> list[Any]:
    """Values of a column as a table spells them: a missing one is empty, a class has its name."""
    metadata = _file(str(path)).schema_arrow.metadata or {}
    try:
        feature = json.loads(metadata[b"huggingface"])["info"]["features"][column]
        names = list(feature["names"]) if feature["_type"] == "ClassLabel" else None
    except (KeyError, TypeError, ValueError):
        names = None
    if names is not None:
        return [names[n] if isinstance(n, int) and 0 <= n < len(names) else "" for n in values]
    return ["" if value is None else int(value) if isinstance(value, bool) else value for value in values]


@lru_cache(maxsize=4)
def _file(path: str) -> Any:
    import pyarrow.parquet
    from pyarrow import ArrowException

    try:
        return pyarrow.parquet.ParquetFile(path)
    except (ArrowException, OSError, ValueError) as error:
        raise SimulacraError("data.damaged_parquet", path=path, reason=str(error)[:200]) from error


@lru_cache(maxsize=1)
def _group(path: str, column: str, group: int) -> Any:
    """The column of one row group."""
    table = _file(path).read_row_group(group, columns=[column])
    return table.column(column)


def read_picture(path: str, column: str, group: int, row: int) -> bytes | None:
    """The bytes of a picture; None where its row has none. Raises ValueError for a damaged file."""
    from pyarrow import ArrowException

    try:
        value = _group(path, column, group)[row].as_py()
    except (ArrowException, SimulacraError) as error:
        raise ValueError(str(error)[:200]) from error
    data: bytes | None = value["bytes"] if isinstance(value, dict) else value
    return data


def close() -> None:
    """Close the files that this process has opened."""
    _file.cache_clear()
    _group.cache_clear()
