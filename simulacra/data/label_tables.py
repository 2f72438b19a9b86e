"""Tables that say what is in the pictures: CelebA's list, CSV, metadata.jsonl, StyleGAN's dataset.json."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.data.items import natural
from simulacra.errors import SimulacraError, did_you_mean

FILE_COLUMNS = ("file_name", "filename", "file", "image", "image_id", "path", "name", "img")
CLASS_COLUMNS = ("label", "labels", "class", "target", "category")
METADATA = ("metadata.csv", "metadata.jsonl")
MOST_CHOICES = 32  # a text column with more different words than this is no attribute


@dataclass(frozen=True)
class Table:
    """Rows of a table by the file they speak of: `rows[file]` is one value (text or a number) per column."""

    name: str
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Labelling:
    """Labels of N pictures: `labels` [N] int64 or [N, A] float32; `known` [N] is where there is a row."""

    labels: NDArray[Any] | None
    known: NDArray[np.bool_]
    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_table(name: str, data: bytes) -> Table:
    """Read a table by what its name promises; SimulacraError with the line if it is not one."""
    try:
        text = data.decode("utf-8-sig")
        if name.endswith(".jsonl"):
            records = [json.loads(line) for line in text.splitlines() if line.strip()]
            columns = list(dict.fromkeys(key for record in records for key in record))
            return _table(name, columns, [[record.get(key, "") for key in columns] for record in records])
        if name.endswith(".json"):
            return _stylegan(name, json.loads(text))
        if name.endswith(".txt"):
            return _celeba(name, text.splitlines())
        lines = list(csv.reader(io.StringIO(text), delimiter=_delimiter(text)))
        return _table(name, lines[0] if lines else [], [line for line in lines[1:] if line])
    except (ValueError, TypeError, AttributeError, IndexError, csv.Error) as error:
        raise SimulacraError(f"The table {name} cannot be read ({error}). Mend it, or move it away.") from error


def label(table: Table, names: Sequence[str], want: str) -> Labelling:
    """Give each of `names` its labels. `want` is "auto" or the column that becomes the class.

    Numeric columns become attributes scaled to [0, 1], text columns with few different words one attribute a
    word. A column called label, class, target or category becomes the class by itself.
    """
    if want != "auto" and want not in table.columns:
        hint = did_you_mean(want, table.columns)
        raise SimulacraError(f"{table.name} has no column {want!r}.{hint} It has: {', '.join(table.columns)}.")
    found = [_row(table, name) for name in names]
    known = np.array([row is not None for row in found], dtype=bool)
    if not known.any():
        return Labelling(None, known)
    columns = {
        column: ["" if row is None else row[place] for row in found] for place, column in enumerate(table.columns)
    }
    chosen = want if want != "auto" else next((c for c in columns if c.lower() in CLASS_COLUMNS), None)
    if chosen is not None:
        return _as_classes([str(value).strip() for value in columns[chosen]], known, want)
    return _as_attributes(table.name, columns, known)


def _as_classes(values: list[str], known: NDArray[np.bool_], want: str) -> Labelling:
    known = known & np.array([bool(value) for value in values], dtype=bool)
    classes = sorted({value for value, there in zip(values, known, strict=True) if there}, key=natural)
    number = {value: n for n, value in enumerate(classes)}
    labels = np.array([number.get(value, 0) for value in values], dtype=np.int64)
    if want != "auto" and {"1"} < set(classes) <= {"-1", "0", "1"} and len(classes) == 2:
        yes = np.array([value == "1" for value in values], dtype=np.int64)
        return Labelling(yes, known, classes=(f"not {want}", want))
    return Labelling(labels, known, classes=tuple(classes))


def _as_attributes(table: str, columns: Mapping[str, list[Any]], known: NDArray[np.bool_]) -> Labelling:
    made: dict[str, NDArray[np.float32]] = {}
    notes: list[str] = []
    for column, values in columns.items():
        there = [value for value, row in zip(values, known, strict=True) if row]
        words = {str(value).strip() for value in there}
        numbers = _numbers(values, known)
        if "" in words:
            notes.append(f"{table}: column {column!r} is left out, some of its rows are empty")
        elif len(words) < 2:
            notes.append(f"{table}: column {column!r} is left out, it is the same for all")
        elif numbers is not None:
            made[column] = numbers
        elif len(words) > MOST_CHOICES:
            notes.append(f"{table}: column {column!r} is left out, it has {len(words)} different words")
        else:
            for word in sorted(words, key=natural):
                same = [str(value).strip() == word for value in values]
                made[f"{column}: {word}"] = np.array(same, dtype=np.float32)
    if not made:
        return Labelling(None, np.ones(len(known), dtype=bool), notes=tuple(notes))
    return Labelling(np.stack(list(made.values()), 1), known, attributes=tuple(made), notes=tuple(notes))


def _numbers(values: list[Any], known: NDArray[np.bool_]) -> NDArray[np.float32] | None:
    """The column scaled to [0, 1] (so -1 and 1 become 0 and 1), or None if it is no column of numbers."""
    try:
        numbers = np.array([float(v) if row else 0.0 for v, row in zip(values, known, strict=True)])
    except (ValueError, TypeError):
        return None
    if not np.isfinite(numbers).all():
        return None
    low, high = numbers[known].min(), numbers[known].max()
    if low >= 0 and high <= 1:  # already a share, or 0 and 1
        low, high = 0.0, 1.0
    scaled: NDArray[np.float32] = np.clip((numbers - low) / (high - low), 0, 1).astype(np.float32)
    return scaled


def _row(table: Table, name: str) -> Sequence[Any] | None:
    """A picture's row: by its whole path, by a shorter and shorter end of it, without its suffix at last."""
    parts = PurePosixPath(name).parts
    for start in range(len(parts)):
        row = table.rows.get("/".join(parts[start:]))
        if row is not None:
            return row
    return table.rows.get(PurePosixPath(name).stem)


def _table(name: str, columns: Sequence[str], lines: Sequence[Sequence[Any]]) -> Table:
    lowered = [str(column).strip().lower() for column in columns]
    at = next((lowered.index(file) for file in FILE_COLUMNS if file in lowered), 0)
    folder = PurePosixPath(name).parent
    rows = {}
    for number, line in enumerate(lines, start=2):
        if len(line) != len(columns):
            raise ValueError(f"line {number} has {len(line)} fields, not {len(columns)}")
        file = str(line[at]).strip().replace("\\", "/")
        row = [value for place, value in enumerate(line) if place != at]
        rows[str(folder / file)] = row
        if not name.endswith(METADATA):  # these speak of their own folder only
            rows.setdefault(file, row)
    named = [str(column).strip() for place, column in enumerate(columns) if place != at]
    return Table(name, tuple(named), rows)


def _celeba(name: str, lines: Sequence[str]) -> Table:
    """CelebA's list: how many pictures, the attributes' names, then a picture and its -1 and 1 a line."""
    columns = ["file_name", *lines[1].split()]
    return _table(name, columns, [line.split() for line in lines[2:] if line.strip()])


def _stylegan(name: str, told: Any) -> Table:
    """StyleGAN's dataset.json: a class number, or a vector, for each file; or no labels at all."""
    labels = told["labels"] or []
    names = told.get("classes")  # ours: StyleGAN knows numbers only
    if labels and isinstance(labels[0][1], list):
        columns = told.get("attributes") or [f"attribute {n}" for n in range(len(labels[0][1]))]
        return _table(name, ["file_name", *columns], [[file, *values] for file, values in labels])
    return _table(name, ["file_name", "label"], [[f, names[n] if names else n] for f, n in labels])


def _delimiter(text: str) -> str:
    head = text.split("\n", 1)[0]
    return max(",;\t", key=head.count)
