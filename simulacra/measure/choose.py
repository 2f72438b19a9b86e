"""The best checkpoint of a run: all checkpoints are scored with the same seeds, and the best one is marked.

A run's folder gains `scores.jsonl`, one line per scored checkpoint, and `best.json`, which `load` follows.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from simulacra.console import Advance, Begin, silent
from simulacra.data.dataset import Dataset, Pair
from simulacra.errors import SimulacraError
from simulacra.files import disk_errors, write_json
from simulacra.measure.extractors.features import Extractor, open_extractor
from simulacra.measure.model_under_test import model_under_test
from simulacra.measure.score_records import Best, ScoreLine, ScoreRecord, Standing, english
from simulacra.measure.scores import interval_record
from simulacra.measure.tasks import open_protocol
from simulacra.messages import Message, text
from simulacra.model import Model
from simulacra.storage import checkpoints, fingerprint, load

SAMPLES = 1000  # fakes per checkpoint
REALS = 2000  # at most
TERMS = ("extractor", "on", "data", "n", "n_real", "seeds", "inputs", "directions")  # equal where scores compare


class CheckpointScorer:
    """Scores checkpoints on one protocol: the same reals, the same seeds or pictures to translate, the same extractor."""

    def __init__(
        self,
        data: Dataset | Pair,
        *,
        extractor: Extractor,
        on: str | None = None,
        samples: int = SAMPLES,
    ) -> None:
        self.protocol = open_protocol(
            data, extractor=extractor, on=on, samples=samples, reals=REALS, choosing=True, begin=silent
        )

    def line(self, model: Model, nimg: int, digest: str, advance: Advance = lambda n: None) -> ScoreLine:
        """A line of `scores.jsonl`. nimg: training images shown; digest: the model's hash."""
        protocol = self.protocol
        scores = {name: score.score().to_json() for name, score in protocol.scores(model, advance).items()}
        record: Any = {"nimg": nimg, "model": digest} | protocol.terms | {"leads": protocol.leads, "scores": scores}
        line: ScoreLine = record
        return line


def read_scores(run: Path) -> list[ScoreLine]:
    """The lines of `scores.jsonl` with the terms of the newest, so that they compare: by nimg, one per checkpoint."""
    path = run / "scores.jsonl"
    if not path.exists():
        return []
    lines: list[ScoreLine] = []
    for row in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # cut short by a kill
            lines.append(json.loads(row))
    comparable = [line for line in lines if _terms(line) == _terms(lines[-1])]
    return [line for _, line in sorted({line["nimg"]: line for line in comparable}.items())]


def add_score(run: Path, line: ScoreLine) -> None:
    """Append one line to `scores.jsonl`; a line that a kill cut short stays apart."""
    path = run / "scores.jsonl"
    with disk_errors(path):
        whole = not path.exists() or path.read_bytes()[-1:] in (b"\n", b"")
        with path.open("ab") as file:
            file.write((b"" if whole else b"\n") + (json.dumps(line, allow_nan=False) + "\n").encode())


def ranking(run: Path) -> list[int]:
    """The scored checkpoints that still exist, as nimg, best first."""
    existing = {int(path.name) for path in checkpoints(run)}
    lines = [line for line in read_scores(run) if line["nimg"] in existing]
    return [line["nimg"] for line in sorted(lines, key=_leading_value)]


def since_best(run: Path) -> int:
    """Number of scored checkpoints since the best one."""
    lines = read_scores(run)
    return len(lines) - 1 - lines.index(min(lines, key=_leading_value)) if lines else 0


def mark_best(run: Path) -> Best | None:
    """Write `best.json` from `scores.jsonl`; None where no scored checkpoint exists."""
    existing = set(ranking(run))
    lines = [line for line in read_scores(run) if line["nimg"] in existing]
    if not lines:
        return None
    best, last = min(lines, key=_leading_value), lines[-1]
    record: Any = {"checkpoint": f"{best['nimg']:09d}", "model": best["model"], **_standing(best)}
    record |= {"last": _standing(last), "why": _why(best, lines), "scored": len(lines)}
    write_json(run / "best.json", record)
    chosen: Best = record
    return chosen


def choose(
    where: str | Path,
    *,
    data: str | Path | None = None,
    on: str | None = None,
    samples: int = SAMPLES,
    extractor: Extractor | None = None,
    device: str | torch.device = "cpu",
    advance: Begin = silent,
) -> Best:
    """Score every checkpoint of a run, mark the best, and score it and the last one again with other seeds.

    where: the run's folder. data, on: the reals; by default the run's own training pictures. samples: fakes per
    checkpoint, for a translator in each direction (see `measure.translation.evaluation` for its inputs). Checkpoints
    that are scored on the same terms already are not scored again. Returns the contents of `best.json`.

    Raises `SimulacraError` where there is no run, no checkpoint, or no picture to compare with.
    """
    run = Path(where).expanduser()
    folders = checkpoints(run)
    if not folders:
        raise SimulacraError("measure.no_checkpoints", run=run)
    extractor = extractor or open_extractor(device=device)
    scorer = CheckpointScorer(model_under_test(folders[-1]).dataset(data), extractor=extractor, on=on, samples=samples)
    terms = _terms(scorer.protocol.terms)
    scored = {(line["nimg"], line["model"]) for line in read_scores(run) if _terms(line) == terms}
    for folder in folders:
        key = (int(folder.name), fingerprint(folder))
        if key not in scored:
            begun = advance(text("measure.progress_scoring", name=folder.name), scorer.protocol.total)
            add_score(run, scorer.line(load(folder, device), *key, begun))
    best = mark_best(run)
    assert best is not None
    best["anew"] = _score_again(run, best, scorer, device, advance)
    write_json(run / "best.json", best)
    return best


def _score_again(
    run: Path, best: Best, scorer: CheckpointScorer, device: str | torch.device, advance: Begin
) -> dict[str, Any]:
    """The best and the last checkpoint, scored with seeds or pictures that had no part in the choice."""
    protocol = scorer.protocol.fresh()
    scores = {}
    for name, nimg, title in (
        ("best", best["nimg"], text("measure.progress_best_again")),
        ("last", best["last"]["nimg"], text("measure.progress_last_again")),
    ):
        model = load(run / "checkpoints" / f"{nimg:09d}", device)
        scores[name] = protocol.lead(model, advance(title, protocol.total))
    scores["difference"] = scores["best"].minus(scores["last"])
    record = protocol.source | {"by": scorer.protocol.leads}
    return record | {name: interval_record(score) for name, score in scores.items()}


def _terms(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: record.get(key) for key in TERMS}


def _leading_value(line: ScoreLine) -> float:
    return float(line["scores"][line["leads"]]["value"])


def _standing(line: ScoreLine) -> Standing:
    score = line["scores"][line["leads"]]
    return {"nimg": line["nimg"], "by": line["leads"]} | {key: score[key] for key in ("value", "low", "high")}  # type: ignore[return-value]


def _why(best: ScoreLine, lines: list[ScoreLine]) -> str:
    """One sentence, and another where the Fréchet distance and KID disagree: neither is the truth."""
    last, name = lines[-1], best["leads"]
    score, other = best["scores"][name], last["scores"][name]
    values = {"nimg": best["nimg"], "score": name, "number": len(lines), "value": _interval(score)}
    values |= {"last": last["nimg"], "last_value": _interval(other)}
    if best is last:
        message = Message("measure.best_is_last", **values)
    elif score["high"] < other["low"]:
        message = Message("measure.best_apart", **values)
    else:
        message = Message("measure.best_overlaps", **values)
    if dissent := _dissent(best, lines):
        message = Message("measure.best_with_dissent", why=message, dissent=dissent)
    return english(message)


def _dissent(best: ScoreLine, lines: list[ScoreLine]) -> Message | None:
    for name in best["scores"]:
        if name != best["leads"] and name.startswith(("fd-", "kid-")):
            other = min(lines, key=lambda line: float(line["scores"][name]["value"]))
            if other is not best and other["scores"][name]["high"] < best["scores"][name]["low"]:
                return Message("measure.best_dissent", score=name, nimg=other["nimg"])
    return None


def _interval(score: ScoreRecord) -> Message:
    return Message("measure.interval", value=score["value"], low=score["low"], high=score["high"])
