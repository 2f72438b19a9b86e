"""What the files of a run say: checkpoints, scores, previews, losses, verdicts, and how far it is."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

from simulacra import storage
from simulacra.errors import SimulacraError
from simulacra.measure.choose import read_best, read_scores
from simulacra.measure.score_records import ScoreLine
from simulacra.messages import Message
from simulacra.registry import find
from simulacra.settings import from_stored
from simulacra.training import health
from simulacra.training.curves import stills
from simulacra.training.forecast import OVERHEAD
from simulacra.training.journal import read_journal
from simulacra.training.run_records import read_run

TRAINING_AGE = 90.0  # seconds after its last journal line in which a run counts as training
CURVE = ("nimg", "d_loss", "g_loss")
SHOWN = 400  # lines of the journal that are shown
RECENT = 10  # lines of the journal from which the speed is read


def run_summary(run: Path) -> dict[str, Any]:
    """Checkpoints, scores, previews and losses of a run, and whether it is training now."""
    journal = run / "journal.jsonl"
    lines = read_journal(journal)
    age = time.time() - journal.stat().st_mtime if journal.exists() else None
    best = read_best(run)
    return {
        "checkpoints": [path.name for path in storage.checkpoints(run)],
        "best": best and best["checkpoint"],
        "scores": [_leading_score(line) for line in read_scores(run)],
        "previews": [int(path.stem) for path in stills(run)],
        "journal": [{key: line.get(key) for key in CURVE} for line in lines[-SHOWN:]],
        "training": age is not None and age < TRAINING_AGE,
    }


def run_progress(run: Path) -> dict[str, Any]:
    """How far a run is, how fast, how long it still takes, why its settings are as they are, and what is wrong with it.

    `left`: seconds until the length that it was given; None where that is unknown. `health`: for each verdict that stands
    its name, its sentence, its advice, and the images shown at the preview of that moment.
    """
    config, lines = read_run(run), read_journal(run / "journal.jsonl")
    if config is None:
        raise SimulacraError("studio.not_a_run", path=run.name)
    gan = find(config["gan"])
    length, last = config["length"], lines[-1] if lines else None
    images, seconds = (last["nimg"], last["seconds"]) if last else (0, 0.0)
    speed = median(line["images_per_second"] for line in lines[-RECENT:]) if lines else None
    left = None
    if length["minutes"] is not None:
        left = max(0.0, 60 * length["minutes"] - seconds)
    elif length["total"] is not None and speed:
        left = max(0.0, (length["total"] - images) / speed / (1 - OVERHEAD))
    verdicts = []
    settings = from_stored(gan.Config, config["config"], of=config["gan"]) if last and last.get("health") else None
    for name, message in health.explain(lines, critic=gan.critic).items():
        verdict = health.VERDICTS.get(name)
        verdicts.append({
            "name": name,
            "sentence": message,
            "advice": verdict.advise(gan, settings) if verdict and settings else "",
            "since": _since(lines, name),
        })  # fmt: skip
    return {
        "gan": config["spec"],
        "data": config["data"]["name"],
        "shape": config["data"].get("shape"),
        "reasons": [Message(reason["code"], **reason["values"]) for reason in config.get("reasons", [])],
        "images": images,
        "seconds": seconds,
        "speed": speed,
        "length": {"total": length["total"], "minutes": length["minutes"]},
        "left": left,
        "health": verdicts,
    }


def preview(run: Path, nimg: str) -> Path:
    """The file of a run's previews after `nimg` images. Raises `SimulacraError`."""
    for path in stills(run):
        if path.stem.lstrip("0") == nimg.lstrip("0"):
            return path
    raise SimulacraError("explore.no_preview", nimg=nimg[:40])


def _since(lines: health.Lines, name: str) -> int:
    """The images shown at the line where a standing verdict began."""
    first = len(lines) - 1
    while first > 0 and name in lines[first - 1].get("health", {}):
        first -= 1
    return int(lines[first]["nimg"])


def _leading_score(line: ScoreLine) -> dict[str, Any]:
    """The score that decides, of a line of scores.jsonl, with its interval."""
    score = line["scores"][line["leads"]]
    return {"nimg": line["nimg"], "name": line["leads"]} | {
        "value": score["value"],
        "low": score["low"],
        "high": score["high"],
    }
