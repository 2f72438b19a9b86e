"""What a plan prints: before it starts, and when it is done."""

from __future__ import annotations

import json

from rich.table import Table

from simulacra.console import clock, console, say
from simulacra.measure.printing import ARROWS
from simulacra.measure.score_records import shown
from simulacra.messages import text
from simulacra.planning.design import SAVES
from simulacra.planning.records import Gain, LearningCurve
from simulacra.planning.study import MOMENTS, Study


def describe(study: Study) -> None:
    """Print what is trained on what, and how long it still takes."""
    design, training, scoring = study.design, *study.seconds_left()
    runs = study.runs()
    say(
        "planning.described",
        folder=study.folder, gan=design["gan"], runs=len(runs), seeds=study.seeds, images=design["images"],
        pictures=study.data.splits["train"], unseen=len(study.data) - study.data.splits["train"],
        score=study.protocol.leads, done=sum(study.is_trained(*run) for run in runs),
    )  # fmt: skip
    for reason in design["reasons"]:
        say("train.reason", reason=shown(reason))
    say("planning.time", time=clock(training + scoring), training=clock(training), scoring=clock(scoring))


def print_curve(curve: LearningCurve) -> None:
    """Print the scores of all parts as the training went on, the verdict, and where the pictures are."""
    for name, gain in curve["scores"].items():
        _print_scores(name, gain)
    console.print(shown(curve["verdict"]), markup=False)
    if second := curve["second"]:
        findings = shown(curve["scores"][second]["verdict"]["sentence"])
        if curve["agree"]:
            say("planning.second_agrees", score=second)
        else:
            say("planning.second_differs", score=second, findings=findings)
    if curve["seeds"] == 1:
        say("planning.one_seed")
    say("planning.written", folder=curve["folder"])


def _print_scores(name: str, gain: Gain) -> None:
    """Print a score of all parts."""
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    table.add_column(text("planning.column_pictures"), justify="right")
    for moment in MOMENTS[:-1]:
        table.add_column(text("planning.column_after", share=f"{moment}/{SAVES}"), justify="right")
    table.add_column(text("planning.column_end", score=f"{name} {ARROWS.get(gain['better'], '')}"))
    for part in gain["parts"]:
        *before, end = part["scores"]
        values = [f"{score['value']:.3g}" for score in before]
        table.add_row(f"{part['pictures']:,}", *values, text("measure.interval", **end))
    console.print(table, soft_wrap=False)
    if gain["floor"] is not None:
        say("planning.floor", floor=gain["floor"])
    console.print()


def print_json(curve: LearningCurve) -> None:
    """Print `plan.json`."""
    print(json.dumps(curve, indent=2, ensure_ascii=False, allow_nan=False))
