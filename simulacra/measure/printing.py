"""Scores as a reader sees them in a terminal or a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from simulacra.console import console

MOST_CLASSES = 20  # lines of a table of them
BEFORE = "-untranslated"


def print_certificate(told: dict[str, Any], path: Path | None) -> None:
    """The scores with their intervals, the leading one first, and what to beware of."""
    model, data = told["model"], told["data"]
    who = model["run"] or model["folder"]
    when = f" at {model['nimg']} images" if model["nimg"] else ""
    if "directions" in told:
        console.print(f"{who} ({model['gan']}{when}), which translates {data['name']}", markup=False)
        _print_directions(told)
    else:
        against = f"{told['n']} pictures against {data['pictures']} of {data['name']} ({data['on']})"
        console.print(f"{who} ({model['gan']}{when}): {against}", markup=False)
        order = sorted(told["scores"], key=lambda name: name != told["leads"])
        _print_scores({name: told["scores"][name] for name in order}, told["leads"])
    if "within" in told:
        _print_within(told["within"])
    if "attributes" in told:
        _print_attributes(told["attributes"]["lines"])
    for warning in told["warnings"]:
        console.print(f"Beware: {warning}", markup=False)
    if path is not None:
        console.print(f"Certificate: {path}", markup=False)


def _print_scores(
    scores: Mapping[str, dict[str, Any]], leads: str, before: Mapping[str, dict[str, Any]] | None = None, n: int = 0
) -> None:
    """A line a score. before: those of untranslated pictures, where there is such a thing. n: what need not be said."""
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for column in ("score", "", "value", "95 % interval", "reals : reals", *(["before"] if before else [])):
        table.add_column(column, no_wrap=True)
    for name, score in scores.items():
        floor = _short(score["floor"]) + (f" (n {score['n_floor']})" if score["n_floor"] not in (None, n) else "")
        interval = f"{_short(score['low'])} to {_short(score['high'])}" if score["low"] is not None else ""
        style = "bold" if name == leads else ""
        arrow = {"lower": "↓", "higher": "↑"}.get(score["better"], "")
        cells = [name, arrow, f"{score['value']:.4g}", interval, floor]
        table.add_row(*cells, _short((before or {}).get(name, {}).get("value")), style=style)
    console.print(table)


def _print_directions(told: dict[str, Any]) -> None:
    """A table a direction, and the means of both that lead."""
    for name, line in told["directions"].items():
        against = f"{line['n']} pictures ({told['data']['inputs']}) against {line['n_real']} ({told['data']['on']})"
        console.print(f"\n{name}, {line['from']} to {line['to']}: {against}", markup=False)
        shown, before = by_direction(told["scores"], name)
        _print_scores(shown, "", before, line["n"])
        if said := told.get("honesty", {}).get(name):
            console.print(said["sentence"], markup=False)
    shown, before = by_direction(told["scores"], "mean")
    if shown:
        console.print("\nMeans of both directions:", markup=False)
        _print_scores(shown, told["leads"].rpartition(":")[0], before, told["n"])


def by_direction(
    scores: Mapping[str, dict[str, Any]], direction: str
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """A direction's scores without its name, and those of untranslated pictures by the names of what they stand beside."""
    mine = {name.rpartition(":")[0]: score for name, score in scores.items() if name.endswith(f":{direction}")}
    before = {name.removesuffix(BEFORE): score for name, score in mine.items() if name.endswith(BEFORE)}
    return {name: score for name, score in mine.items() if not name.endswith(BEFORE)}, before


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
    again = f"with pictures of {anew['inputs']}" if "inputs" in anew else "with other seeds"
    said = f"Judged anew {again}: {name} {_with(anew['best'])}"
    if told["nimg"] != told["last"]["nimg"]:
        gap = anew["difference"]
        sure = "better than the last" if gap["high"] < 0 else "not surely better than the last"
        said += f", the last {_with(anew['last'])}, difference {_with(gap)}: {sure}"
    console.print(f"{said}.", markup=False)
    verb = "translate" if "inputs" in anew else "sample"
    does = "translates" if "inputs" in anew else "draws"
    console.print(f"simulacra {verb} {run} now {does} with it; all scores: {run / 'scores.jsonl'}", markup=False)


def print_comparison(told: dict[str, Any]) -> None:
    """One line a score."""
    for key in "ab":
        console.print(f"{key}: {told[key]['name']}", markup=False)
    source = f"seeds {told['seeds']}" if "seeds" in told else f"{told['inputs']}, in each direction"
    against = f"{told['n_real']} of {told['data']} ({told['on']})"
    console.print(f"{told['n']} pictures each ({source}) against {against}", markup=False)
    if "directions" not in told:
        order = sorted(told["scores"], key=lambda name: name != told["leads"])
        _print_differences({name: told["scores"][name] for name in order}, told["leads"])
    for name, line in told.get("directions", {}).items():
        console.print(f"\n{name}, {line['from']} to {line['to']}:", markup=False)
        _print_differences(by_direction(told["scores"], name)[0], "")
    if "directions" in told:
        console.print("\nMeans of both directions:", markup=False)
        _print_differences(by_direction(told["scores"], "mean")[0], told["leads"].rpartition(":")[0])


def _print_differences(scores: Mapping[str, dict[str, Any]], leads: str) -> None:
    """A line a score."""
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for column in ("score", "a", "b", "a - b", "95 % interval", "better"):
        table.add_column(column, no_wrap=True)
    for name, score in scores.items():
        gap, style = score["difference"], "bold" if name == leads else ""
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
    return "" if value is None else f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _percent(share: dict[str, Any] | None) -> str:
    return "" if share is None else f"{share['value']:.0%}"


def _with(score: dict[str, Any]) -> str:
    return f"{_short(score['value'])} ({_short(score['low'])} to {_short(score['high'])})"
