"""The entries of a folder in a terminal or a log: a table with the forks below their parents, or JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.table import Table
from rich.text import Text

from simulacra.console import console, say
from simulacra.messages import Message, catalogue, text
from simulacra.shelf.entries import Entry, tree

COLUMNS = (
    "shelf.column_name", "shelf.column_kind", "shelf.column_pictures", "shelf.column_size", "shelf.column_images",
    "shelf.column_score", "shelf.column_health", "shelf.column_changed",
)  # fmt: skip
AGES = ((86400, "shelf.days_ago"), (3600, "shelf.hours_ago"), (60, "shelf.minutes_ago"))


def print_entries(folder: Path, listed: list[Entry]) -> None:
    """Print the table, what is damaged with the command that helps, and what the score means."""
    if not listed:
        say("shelf.empty", path=folder)
        return
    _print_rows([text(code) for code in COLUMNS], [_cells(depth, entry, time.time()) for depth, entry in tree(listed)])
    for entry in listed:
        if entry.damage is not None:
            console.print(str(entry.damage), markup=False)
    if any(entry.score for entry in listed):
        say("shelf.score_meaning")


def _print_rows(titles: list[str], rows: list[list[str]]) -> None:
    """Print a table that fits a terminal; in a log or a pipe, one line a row, however long."""
    if console.is_terminal:
        table = Table(box=None, pad_edge=False)
        for title in titles:
            table.add_column(title, overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table, soft_wrap=False)
        return
    widths = [max(map(cell_len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        padded = (set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True))
        console.print("  ".join(padded).rstrip(), markup=False)


def print_json(listed: list[Entry]) -> None:
    """Print the entries as JSON, in the table's order."""
    console.print(
        json.dumps([entry.to_json() for _, entry in tree(listed)], indent=2, ensure_ascii=False), markup=False
    )


def _cells(depth: int, entry: Entry, now: float) -> list[str]:
    name = "  " * (depth - 1) + "└ " + entry.name if depth else entry.name
    kind = entry.gan if entry.gan else text(f"shelf.kind.{entry.kind}")
    size = "x".join(map(str, reversed(entry.size))) if entry.size else ""
    score = f"{entry.score.value:.4g} ({entry.score.low:.4g}–{entry.score.high:.4g})" if entry.score else ""
    pictures, images = (f"{number:,}" if number else "" for number in (entry.pictures, entry.nimg))
    changed = text("shelf.alive") if entry.alive else str(age(now - entry.changed))
    return [name, kind, pictures, size, images, score, health(entry), changed]


def health(entry: Entry) -> str:
    """The standing verdicts on a run in a few words; empty where nothing was measured."""
    if entry.damage is not None:
        return text("shelf.is_damaged")
    if entry.verdicts is None:
        return ""
    names = {name: Message(f"health.{name}") for name in sorted(entry.verdicts)}
    known = [words if words.code in catalogue("en") else name for name, words in names.items()]
    return text("shelf.verdicts", verdicts=known) if known else text("shelf.healthy")


def age(seconds: float) -> Message:
    """How long ago something was, in its largest unit."""
    for unit, code in AGES:
        if seconds >= unit:
            return Message(code, count=int(seconds // unit))
    return Message("shelf.just_now")
