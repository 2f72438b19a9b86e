"""Labels from tables: CelebA's list, CSV, metadata.jsonl, StyleGAN's dataset.json."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.data.items import natural
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.messages import Message

FILE_COLUMNS = ("file_name", "filename", "file", "image", "image_id", "path", "name", "img")
CLASS_COLUMNS = ("label", "labels", "class", "target", "category")
METADATA = ("metadata.csv", "metadata.jsonl")
MAX_CHOICES = 32  # different words of a text column, at most, that become attributes
MAX_BYTES = 64 << 20  # of a table
MAX_COLUMNS = 4096


@dataclass(frozen=True)
class Table:
    """A table by file: `rows[file]` has one value (text or a number) per column. `count`: of its lines, kept or not."""

    name: str
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[Any]]
    count: int


@dataclass(frozen=True)
class Labels:
    """Labels of N pictures: `labels` [N] int64 or [N, A] float32; `has_row` [N]: whether the table has a row for each."""

    labels: NDArray[Any] | None
    has_row: NDArray[np.bool_]
    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    notes: tuple[Message, ...] = ()


def read_table(name: str, data: bytes, pictures: Iterable[str] | None = None) -> Table:
    """Read a table in the format that its name indicates.

    pictures: names; only rows of these stay in memory. Raises SimulacraError, with the line, if the table is damaged.
    """
    keys = None if pictures is None else {key for picture in pictures for key in _keys(picture)}
    try:
        content = data.decode("utf-8-sig")
        if name.endswith(".jsonl"):
            columns = list(_columns(_records(content)))
            rows = ([record.get(key, "") for key in columns] for record in _records(content))
            return _table(name, columns, rows, keys)
        if name.endswith(".json"):
            return _stylegan(name, json.loads(content), keys)
        if name.endswith(".txt"):
            return _celeba(name, io.StringIO(content, newline=None), keys)
        lines = csv.reader(io.StringIO(content, newline=""), delimiter=_delimiter(content))
        return _table(name, next(lines, []), filter(None, lines), keys)
    except (ValueError, TypeError, AttributeError, IndexError, KeyError, RecursionError, csv.Error) as error:
        raise SimulacraError("data.damaged_table", name=name, reason=str(error)) from error


def labels_for(table: Table, names: Sequence[str], column: str) -> Labels:
    """Labels for the pictures called `names`. `column`: the one that becomes the class, or "auto".

    "auto": a column called label, class, target or category becomes the class. Without one, numeric columns become
    attributes scaled to [0, 1], and text columns with few different words one attribute per word.

    Raises SimulacraError if there is no such column.
    """
    if column != "auto" and column not in table.columns:
        hint = did_you_mean(column, table.columns)
        raise SimulacraError("data.no_column", name=table.name, column=column, hint=hint, columns=list(table.columns))
    rows = [_row(table, name) for name in names]
    has_row = np.array([row is not None for row in rows], dtype=bool)
    if not has_row.any():
        return Labels(None, has_row)
    columns = {title: ["" if row is None else row[place] for row in rows] for place, title in enumerate(table.columns)}
    chosen = column if column != "auto" else next((c for c in columns if c.lower() in CLASS_COLUMNS), None)
    if chosen is not None:
        return _as_classes([str(value).strip() for value in columns[chosen]], has_row, column)
    return _as_attributes(table.name, columns, has_row)


def _as_classes(values: list[str], has_row: NDArray[np.bool_], column: str) -> Labels:
    """One class per value; a column of 1 and 0 (or -1) that was asked for becomes `not COLUMN` and `COLUMN`."""
    has_row = has_row & np.array([bool(value) for value in values], dtype=bool)
    classes = sorted({value for value, row in zip(values, has_row, strict=True) if row}, key=natural)
    number = {value: n for n, value in enumerate(classes)}
    labels = np.array([number.get(value, 0) for value in values], dtype=np.int64)
    if column != "auto" and {"1"} < set(classes) <= {"-1", "0", "1"} and len(classes) == 2:
        yes = np.array([value == "1" for value in values], dtype=np.int64)
        return Labels(yes, has_row, classes=(f"not {column}", column))
    return Labels(labels, has_row, classes=tuple(classes))


def _as_attributes(table: str, columns: Mapping[str, list[Any]], has_row: NDArray[np.bool_]) -> Labels:
    """Attributes from all columns that can be one, with a note on each other column."""
    attributes: dict[str, NDArray[np.float32]] = {}
    notes: list[Message] = []
    for column, values in columns.items():
        words = {str(value).strip() for value, row in zip(values, has_row, strict=True) if row}
        if "" in words:
            notes.append(Message("data.column_with_gaps", table=table, column=column))
        elif len(words) < 2:
            notes.append(Message("data.constant_column", table=table, column=column))
        elif (numbers := _numbers(values, has_row)) is not None:
            attributes[column] = numbers
        elif len(words) > MAX_CHOICES:
            notes.append(Message("data.column_of_many_words", table=table, column=column, count=len(words)))
        else:
            for word in sorted(words, key=natural):
                same = [str(value).strip() == word for value in values]
                attributes[f"{column}: {word}"] = np.array(same, dtype=np.float32)
    if not attributes:
        return Labels(None, np.ones(len(has_row), dtype=bool), notes=tuple(notes))
    labels = np.stack(list(attributes.values()), 1)
    return Labels(labels, has_row, attributes=tuple(attributes), notes=tuple(notes))


def _numbers(values: list[Any], has_row: NDArray[np.bool_]) -> NDArray[np.float32] | None:
    """The column scaled to [0, 1] (-1 and 1 become 0 and 1), or None if it does not hold numbers only."""
    try:
        numbers = np.array([float(v) if row else 0.0 for v, row in zip(values, has_row, strict=True)])
    except (ValueError, TypeError):
        return None
    if not np.isfinite(numbers).all():
        return None
    low, high = numbers[has_row].min(), numbers[has_row].max()
    if low >= 0 and high <= 1:  # a share already, or 0 and 1
        low, high = 0.0, 1.0
    if low == high:
        return None
    scaled: NDArray[np.float32] = np.clip((numbers - low) / (high - low), 0, 1).astype(np.float32)
    return scaled


def _row(table: Table, name: str) -> Sequence[Any] | None:
    """A picture's row, by the first of its keys that the table has."""
    return next((row for key in _keys(name) if (row := table.rows.get(key)) is not None), None)


def _keys(name: str) -> Iterator[str]:
    """How a table may call a picture: by its path, by ever shorter ends of it, then without the suffix."""
    parts = PurePosixPath(name).parts
    for start in range(len(parts)):
        yield "/".join(parts[start:])
    yield PurePosixPath(name).stem


def _records(content: str) -> Iterator[Any]:
    """The records of a .jsonl."""
    return (json.loads(line) for line in io.StringIO(content, newline=None) if line.strip())


def _columns(records: Iterable[Any]) -> Mapping[str, None]:
    """All keys of the records, in the order in which they come first."""
    columns: dict[str, None] = {}
    for record in records:
        columns |= dict.fromkeys(record)
        _check_columns(columns)
    return columns


def _check_columns(columns: Sequence[str] | Mapping[str, None]) -> None:
    if len(columns) > MAX_COLUMNS:
        raise ValueError(f"more than {MAX_COLUMNS} columns")


def _table(name: str, columns: Sequence[str], lines: Iterable[Sequence[Any]], keys: Set[str] | None) -> Table:
    """The table of these lines, read one at a time. keys: of the rows that are kept; None: all."""
    _check_columns(columns)
    lowered = [str(column).strip().lower() for column in columns]
    at = next((lowered.index(file) for file in FILE_COLUMNS if file in lowered), 0)
    folder = PurePosixPath(name).parent
    rows: dict[str, Sequence[Any]] = {}
    number = 1
    for number, line in enumerate(lines, start=2):
        if len(line) != len(columns):
            raise ValueError(f"line {number} has {len(line)} fields, not {len(columns)}")
        file = str(line[at]).strip().replace("\\", "/")
        if keys is not None and file.rpartition("/")[2] not in keys:
            continue
        path = str(folder / file)
        row = [value for place, value in enumerate(line) if place != at]
        rows[path] = row
        if not name.endswith(METADATA):  # these describe their own folder only
            rows.setdefault(file, row)
    named = [str(column).strip() for place, column in enumerate(columns) if place != at]
    return Table(name, tuple(named), rows, number - 1)


def _celeba(name: str, lines: Iterator[str], keys: Set[str] | None) -> Table:
    """CelebA's list: a count, the attributes' names, then one line per picture with its -1 and 1."""
    next(lines, "")
    titles = next(lines, None)
    if titles is None:
        raise ValueError("line 2 must hold the attributes' names")
    return _table(name, ["file_name", *titles.split()], (line.split() for line in lines if line.strip()), keys)


def _stylegan(name: str, record: Any, keys: Set[str] | None) -> Table:
    """StyleGAN's dataset.json: a class number, or a vector, for each file; or no labels."""
    labels = record["labels"] or []
    names = record.get("classes")  # an addition of `export_zip`: StyleGAN has numbers only
    if labels and isinstance(labels[0][1], list):
        columns = record.get("attributes") or [f"attribute {n}" for n in range(len(labels[0][1]))]
        return _table(name, ["file_name", *columns], ([file, *values] for file, values in labels), keys)
    return _table(name, ["file_name", "label"], ([f, names[n] if names else n] for f, n in labels), keys)


def _delimiter(content: str) -> str:
    head = content.split("\n", 1)[0]
    return max(",;\t", key=head.count)
