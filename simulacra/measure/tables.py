"""Scores as a reader sees them in a terminal or a log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from simulacra.console import console

MOST_CLASSES = 20  # lines of a table of them


def print_certificate(told: dict[str, Any], path: Path | None) -> None:
    """The scores with their intervals, the leading one first, and what to beware of."""
    model, data = told["model"], told["data"]
    who = model["run"] or model["folder"]
    when = f" at {model['nimg']} images" if model["nimg"] else ""
    console.print(
        f"{who} ({model['gan']}{when}): {told['n']} pictures against {data['pictures']} of {data['name']} ({data['on']})",
        markup=False,
    )
    table = Table(box=None)
    for column in ("score", "", "value", "95 % interval", "reals : reals"):
        table.add_column(column, no_wrap=True)
    order = sorted(told["scores"], key=lambda name: name != told["leads"])
    for name in order:
        score = told["scores"][name]
        floor = _short(score["floor"]) + (f" (n {score['n_floor']})" if score["n_floor"] else "")
        interval = f"{_short(score['low'])} to {_short(score['high'])}" if score["low"] is not None else ""
        style = "bold" if name == told["leads"] else ""
        arrow = {"lower": "↓", "higher": "↑"}.get(score["better"], "")
        table.add_row(name, arrow, f"{score['value']:.4g}", interval, floor, style=style)
    console.print(table)
    if "within" in told:
        _print_within(told["within"])
    if "attributes" in told:
        _print_attributes(told["attributes"]["lines"])
    for warning in told["warnings"]:
        console.print(f"Beware: {warning}", markup=False)
    if path is not None:
        console.print(f"Certificate: {path}", markup=False)


def _print_within(told: dict[str, Any]) -> None:
    """A line a class, those that the fewest fakes are read as first where there are many."""
    lines = told["classes"]
    shown = lines if len(lines) <= MOST_CLASSES else weakest(lines, MOST_CLASSES)
    names = list(dict.fromkeys(name for line in lines for name in line["scores"]))
    which = "" if shown is lines else f", the {len(shown)} of {len(lines)} least often read as asked"
    console.print(f"\nWithin each class{which}:", markup=False)
    table = Table(box=None)
    table.add_column("class", overflow="fold")
    for column in ("fakes", *(each for name in names for each in (f"{name.partition('-')[0]} ↓", "95 % interval"))):
        table.add_column(column, no_wrap=True)
    table.add_column("read as it ↑", no_wrap=True)
    table.add_column("reals", no_wrap=True)
    table.add_column("else as", overflow="fold")
    for line in shown:
        cells = [line["class"], str(line["n"])]
        for name in names:
            score = line["scores"].get(name)
            cells += (
                [_short(score["value"]), f"{_short(score['low'])} to {_short(score['high'])}"] if score else ["–", ""]
            )
        cells += [_percent(line["agreement"]), _percent(line["agreement_real"])]
        cells.append(f"{line['else_read_as']} {line['else_share']:.0%}" if line["else_read_as"] is not None else "")
        table.add_row(*map(escape, cells))
    console.print(table)
    if any(not line["scores"] for line in lines):
        console.print(f"– : fewer than {told['fewest']} fakes or reals of the class.", markup=False)


def _print_attributes(lines: list[dict[str, Any]]) -> None:
    """A line an attribute, those that are read worst from the fakes first where there are many."""
    shown = lines if len(lines) <= MOST_CLASSES else weakest(lines, MOST_CLASSES)
    which = "" if shown is lines else f", the {len(shown)} of {len(lines)} read worst"
    console.print(f"\nEach attribute{which} (0.5 is chance):", markup=False)
    table = Table("attribute", "fakes with it", "read from fakes ↑", "95 % interval", "from reals", box=None)
    for line in shown:
        score, cells = line["agreement"], [line["attribute"], str(line["n"])]
        if score:
            cells += [_short(score["value"]), f"{_short(score['low'])} to {_short(score['high'])}"]
        table.add_row(*map(escape, [*cells, _short(line["agreement_real"])] if score else [*cells, "–", "", "–"]))
    console.print(table)


def weakest(lines: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The `count` classes whose fakes are least often read as the class, those without fakes last."""
    return sorted(lines, key=lambda line: line["agreement"]["value"] if line["agreement"] else 2.0)[:count]


def print_choice(run: Path, told: dict[str, Any]) -> None:
    """Which checkpoint, and why."""
    anew, name = told["anew"], told["by"]
    console.print(f"Best: {run / 'checkpoints' / told['checkpoint']}", markup=False)
    console.print(told["why"], markup=False)
    if told["nimg"] != told["last"]["nimg"]:
        gap = anew["difference"]
        sure = "better than the last" if gap["high"] < 0 else "not surely better than the last"
        console.print(
            f"Judged anew with other seeds: {name} {_with(anew['best'])}, the last {_with(anew['last'])}, "
            f"difference {_with(gap)}: {sure}.",
            markup=False,
        )
    else:
        console.print(f"Judged anew with other seeds: {name} {_with(anew['best'])}.", markup=False)
    console.print(f"simulacra sample {run} now draws with it; all scores: {run / 'scores.jsonl'}", markup=False)


def print_comparison(told: dict[str, Any]) -> None:
    """One line a score."""
    for key in "ab":
        console.print(f"{key}: {told[key]['name']}", markup=False)
    console.print(
        f"{told['n']} pictures each (seeds {told['seeds']}) against {told['n_real']} of {told['data']} ({told['on']})",
        markup=False,
    )
    table = Table(box=None)
    for column in ("score", "a", "b", "a - b", "95 % interval", "better"):
        table.add_column(column, no_wrap=True)
    for name in sorted(told["scores"], key=lambda name: name != told["leads"]):
        score, gap = told["scores"][name], told["scores"][name]["difference"]
        style = "bold" if name == told["leads"] else ""
        table.add_row(
            name,
            _short(score["a"]["value"]),
            _short(score["b"]["value"]),
            _short(gap["value"]),
            f"{_short(gap['low'])} to {_short(gap['high'])}",
            score["better"] or "cannot tell",
            style=style,
        )
    console.print(table)


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _percent(share: dict[str, Any] | None) -> str:
    return "" if share is None else f"{share['value']:.0%}"


def _with(score: dict[str, Any]) -> str:
    return f"{_short(score['value'])} ({_short(score['low'])} to {_short(score['high'])})"
