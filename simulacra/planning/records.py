"""What a plan writes as JSON: `plan.json`, and the lines of its `scores.jsonl`."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from simulacra.files import disk_errors
from simulacra.measure.score_records import IntervalRecord

FORMAT = "simulacra-plan-1"


class Design(TypedDict):
    """What all runs of a plan have in common; fixed before the first one starts."""

    data: str  # path, or the name of a built-in dataset
    hash: str
    gan: str
    settings: dict[str, Any]
    reasons: list[str]  # for the settings
    minutes: float | None  # about, of one run; None where `total` was given
    total: int | None
    images: int  # that one run is shown
    images_per_second: float  # measured before the start
    scored_per_second: float


class PartRecord(TypedDict):
    """A part of the training pictures and the scores of its runs' checkpoints, means over seeds."""

    part: str
    pictures: int
    images: list[int]  # shown so far
    scores: list[IntervalRecord]
    runs: list[list[float]]  # by seed: the same scores of one run


class VerdictRecord(TypedDict):
    """Whether doubling helps, hurts, is flat, or is unclear; and which of both does more, where that is sure."""

    pictures: str
    training: str
    more: str | None
    sentence: str


class Gain(TypedDict):
    """What doublings bring by one score; a positive gain is an improvement."""

    better: str
    now: IntervalRecord  # with all pictures and all training
    floor: float | None
    pictures: IntervalRecord  # twice as many
    training: IntervalRecord  # twice as long
    difference: IntervalRecord  # of the training's to the pictures'
    parts: list[PartRecord]
    verdict: VerdictRecord


class LearningCurve(TypedDict):
    """`plan.json`."""

    format: str
    design: Design
    finished: bool
    seeds: NotRequired[int]
    terms: NotRequired[dict[str, Any]]  # that decide the scores
    leads: NotRequired[str]  # name of the score that decides
    scores: NotRequired[dict[str, Gain]]
    second: NotRequired[str | None]  # name of the second judge's score
    agree: NotRequired[bool | None]  # whether both judges find the same; None without a second judge
    verdict: NotRequired[str]  # by the leading score, with what to do
    folder: NotRequired[str]


class ScoreLine(TypedDict):
    """A scored checkpoint: its run, the terms that decide its scores, and value and bootstrap replicates of each."""

    run: str
    nimg: int
    model: str  # hash
    terms: dict[str, Any]
    scores: dict[str, list[float]]  # value, then replicates


def read_lines(folder: Path) -> list[ScoreLine]:
    """The scored checkpoints of a plan; a line that a kill cut short is left out."""
    path = folder / "scores.jsonl"
    lines: list[ScoreLine] = []
    for row in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with contextlib.suppress(json.JSONDecodeError):
            lines.append(json.loads(row))
    return lines


def add_line(folder: Path, line: ScoreLine) -> None:
    """Append a scored checkpoint."""
    path = folder / "scores.jsonl"
    with disk_errors(path):
        whole = not path.exists() or path.read_bytes()[-1:] in (b"\n", b"")
        with path.open("ab") as file:
            file.write((b"" if whole else b"\n") + (json.dumps(line, allow_nan=False) + "\n").encode())
