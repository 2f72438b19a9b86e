"""The record of `worth` in a terminal or a log: what was fixed, the verdict, and a row for each arm and class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from simulacra.console import console, say
from simulacra.files import JsonObject
from simulacra.measure.score_records import shown
from simulacra.measure.worth_plan import Plan, trainings
from simulacra.measure.worth_verdict import augmentation
from simulacra.messages import text

MOST_LINES = 20  # of the table of classes


def print_plan(path: Path, plan: Plan) -> None:
    """Print what was fixed before the first training."""
    values: dict[str, Any] = {"arm": plan["decides"]["arm"], "against": plan["decides"]["against"]}
    values |= {"trainings": len(trainings(plan)), "steps": plan["steps"]}
    say("measure.worth_begins", path=path, train=sum(plan["train"]), unseen=sum(plan["unseen"]), **values)


def as_json(record: JsonObject) -> str:
    """The record as JSON."""
    return json.dumps(record, indent=2, ensure_ascii=False)


def print_worth(record: JsonObject) -> None:
    """Print the verdict, its evidence and where the record is."""
    plan, result = record["plan"], record["result"]
    decides = plan["decides"]
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    table.add_column(text("measure.column_arm"), overflow="fold")
    ends = "measure.column_interval"
    for column in ("measure.column_accuracy", ends, "measure.column_gain", ends):
        table.add_column(text(column), no_wrap=True)
    for name, row in result["arms"].items():
        gain = _cells(row["gain"], "+") if row["gain"] else [text("measure.worth_reference"), ""]
        cells = [_arm(plan["arms"][name], plan["flips"]), *_cells(row["accuracy"]), *gain]
        table.add_row(*map(escape, cells), style="bold" if name == decides["arm"] else "")
    console.print(table, soft_wrap=False)
    _print_classes(result)
    console.print()
    say("measure.worth_information")
    without = result["arms"]["real"]["gain"]
    if without["low"] > 0:
        say("measure.worth_augment_costs", loss=100 * without["value"], how=augmentation(plan["flips"]))
    if record["earlier"]:
        say("measure.worth_earlier", count=len(record["earlier"]))
    console.print(shown(result["sentence"]), markup=False, style="bold")
    say("measure.worth_record", path=record["path"])


def _print_classes(result: JsonObject) -> None:
    """The gain of each class in the arm that decides, the rarest first; only those at the ends where they are many."""
    rows = sorted(result["classes"], key=lambda row: row["train"])[:MOST_LINES]
    table = Table(text("measure.column_class"), text("measure.column_train"), text("measure.column_unseen"), box=None)
    for column in ("measure.column_accuracy", "measure.column_gain", "measure.column_interval"):
        table.add_column(text(column), no_wrap=True)
    for row in rows:
        accuracy, gain = _cells(row["accuracy"])[0], _cells(row["gain"], "+")
        table.add_row(*map(escape, [row["class"], str(row["train"]), str(row["unseen"]), accuracy, *gain]))
    console.print()
    console.print(table, soft_wrap=False)


def _arm(arm: dict[str, Any], flips: bool) -> str:
    if not arm["augment"]:
        return text("measure.worth_real_arm")
    how = augmentation(flips)
    if arm["ratio"]:
        return text("measure.worth_fake_arm", ratio=arm["ratio"], how=how)
    if arm["reals"] < 1:
        return text("measure.worth_part_arm", share=arm["reals"], how=how)
    return text("measure.worth_augmented_arm", how=how)


def _cells(interval: dict[str, float], sign: str = "") -> list[str]:
    """A share in points, and its interval."""
    low, high = (f"{100 * interval[end]:{sign}.1f}" for end in ("low", "high"))
    return [f"{100 * interval['value']:{sign}.1f}", text("measure.ends", low=low, high=high)]
