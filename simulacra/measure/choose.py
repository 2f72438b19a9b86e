"""The best moment of a run: every kept checkpoint scored with the same seeds, and the best one marked.

A run's folder gains `scores.jsonl`, a line a scored checkpoint, and `best.json`, which `load` follows.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from simulacra.data.dataset import Dataset, Pair
from simulacra.errors import SimulacraError
from simulacra.files import disk_errors, write_json
from simulacra.measure import scores
from simulacra.measure.extractors.features import Extractor, open_extractor
from simulacra.measure.intervals import Resampled
from simulacra.measure.model_under_test import Advance, model_under_test
from simulacra.measure.protocol import open_bench
from simulacra.model import Model
from simulacra.storage import checkpoints, fingerprint, load

SAMPLES = 1000  # fakes a checkpoint
REALS = 2000  # at most

Line = dict[str, Any]


class CheckpointScorer:
    """Scores generators on the same bench: the same reals, the same seeds or pictures to translate, the same extractor."""

    def __init__(
        self,
        data: Dataset | Pair,
        *,
        extractor: Extractor,
        on: str | None = None,
        samples: int = SAMPLES,
        advance: Advance = lambda n: None,
    ) -> None:
        self.bench = open_bench(
            data,
            extractor=extractor,
            on=on,
            samples=samples,
            reals=REALS,
            choosing=True,
            begin=lambda what, total: advance,
        )

    @property
    def terms(self) -> dict[str, Any]:
        """What decides the scores."""
        return self.bench.terms

    @property
    def leads(self) -> str:
        """The score that decides."""
        return self.bench.leads

    def line(self, trained: Model, nimg: int, model: str, advance: Advance = lambda n: None) -> Line:
        """A line of `scores.jsonl`."""
        told = {name: each.score().told() for name, each in self.bench.measured(trained, advance).items()}
        return {"nimg": nimg, "model": model} | self.terms | {"leads": self.leads, "scores": told}


def read_scores(run: Path) -> list[Line]:
    """The lines of `scores.jsonl` that can be compared: those on the terms of the newest, by nimg, one a checkpoint."""
    path = run / "scores.jsonl"
    if not path.exists():
        return []
    lines: list[Line] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # cut short by a kill
            lines.append(json.loads(text))
    same = [line for line in lines if _terms(line) == _terms(lines[-1])]
    return [line for _, line in sorted({line["nimg"]: line for line in same}.items())]


def add_score(run: Path, line: Line) -> None:
    """Append one line, whole."""
    path = run / "scores.jsonl"
    with disk_errors(path):
        whole = not path.exists() or path.read_bytes()[-1:] in (b"\n", b"")
        with path.open("ab") as file:
            file.write((b"" if whole else b"\n") + (json.dumps(line, allow_nan=False) + "\n").encode())


def ranking(run: Path) -> list[int]:
    """The scored checkpoints that are still there, as nimg, best first."""
    there = {int(path.name): path for path in checkpoints(run)}
    lines = [line for line in read_scores(run) if line["nimg"] in there]
    return [line["nimg"] for line in sorted(lines, key=_rank)]


def since_best(run: Path) -> int:
    """How many scores in a row have come since the best one."""
    lines = read_scores(run)
    return len(lines) - 1 - lines.index(min(lines, key=_rank)) if lines else 0


def mark_best(run: Path) -> Line | None:
    """Write `best.json` from `scores.jsonl`; None when no scored checkpoint is there."""
    there = set(ranking(run))
    lines = [line for line in read_scores(run) if line["nimg"] in there]
    if not lines:
        return None
    best, last = min(lines, key=_rank), lines[-1]
    told = {"checkpoint": f"{best['nimg']:09d}", "model": best["model"], **_short(best), "last": _short(last)}
    told |= {"why": f"{_why(best, last, len(lines))}{_dissent(best, lines)}", "scored": len(lines)}
    write_json(run / "best.json", told)
    return told


def choose(
    where: str | Path,
    *,
    data: str | Path | None = None,
    on: str | None = None,
    samples: int = SAMPLES,
    extractor: Extractor | None = None,
    device: str | torch.device = "cpu",
    advance: Callable[[str, int], Advance] = lambda what, total: lambda n: None,
) -> Line:
    """Score every kept checkpoint of a run, mark the best, and judge it and the last one anew with other seeds.

    where: the run's folder. data, on: the reals, the run's own training pictures if not given. samples: fakes a
    checkpoint, of a translator in each direction (what it translates: see `measure.translation`). Checkpoints already scored on the same terms are not scored again. Returns what `best.json` holds.
    Raises `SimulacraError` when there is no run, no checkpoint, or no picture to compare with.
    """
    run = Path(where).expanduser()
    kept = checkpoints(run)
    if not kept:
        raise SimulacraError(f"{run} is no run with checkpoints to choose from: train one, or name its folder.")
    extractor = extractor or open_extractor(device=device)
    pictures = model_under_test(kept[-1]).dataset(data)
    judge = CheckpointScorer(pictures, extractor=extractor, on=on, samples=samples)
    known = {(line["nimg"], line["model"]) for line in read_scores(run) if _terms(line) == _terms(judge.terms)}
    for folder in kept:
        key = (int(folder.name), fingerprint(folder))
        if key not in known:
            add_score(run, judge.line(load(folder, device), *key, advance(f"Scoring {folder.name}", judge.bench.total)))
    told = mark_best(run)
    assert told is not None
    told["anew"] = _anew(run, told, judge, device, advance)
    write_json(run / "best.json", told)
    return told


def _anew(
    run: Path,
    told: Line,
    judge: CheckpointScorer,
    device: str | torch.device,
    advance: Callable[[str, int], Advance],
) -> Line:
    """The best and the last checkpoint, judged with seeds or pictures that had no part in the choice."""
    bench, kind = judge.bench.fresh(), judge.leads.partition("-")[0]
    made = {}
    for name, nimg in (("best", told["nimg"]), ("last", told["last"]["nimg"])):
        generator = load(run / "checkpoints" / f"{nimg:09d}", device)
        made[name] = bench.lead(generator, kind, advance(f"The {name} anew", bench.total))
    made["difference"] = made["best"].minus(made["last"])
    anew: Line = bench.source | {"by": judge.leads}
    return anew | {name: told_interval(score) for name, score in made.items()}


def told_interval(score: Resampled) -> Line:
    """A resampled score as JSON."""
    return {key: scores.round_to(value) for key, value in vars(score.interval()).items()}


def _terms(line: Line) -> Line:
    keys = ("extractor", "on", "data", "n", "n_real", "seeds", "inputs", "directions")
    return {key: line.get(key) for key in keys}


def _rank(line: Line) -> float:
    return float(line["scores"][line["leads"]]["value"])


def _short(line: Line) -> Line:
    score = line["scores"][line["leads"]]
    return {"nimg": line["nimg"], "by": line["leads"]} | {key: score[key] for key in ("value", "low", "high")}


def _why(best: Line, last: Line, count: int) -> str:
    """One sentence."""
    name, own = best["leads"], best["scores"][best["leads"]]
    said = f"{best['nimg']} images has the lowest {name} of {count} checkpoints: {_said(own)}"
    if best is last:
        return f"{said}; it is the last one."
    other = last["scores"][name]
    apart = own["high"] < other["low"]
    verdict = "their intervals are apart" if apart else "their intervals overlap, so the last may be as good"
    return f"{said}; the last, at {last['nimg']} images, has {_said(other)}; {verdict}."


def _dissent(best: Line, lines: list[Line]) -> str:
    """Where the Fréchet distance and KID disagree, that is said: neither is the truth."""
    for name in best["scores"]:
        if name != best["leads"] and name.startswith(("fd-", "kid-")):
            other = min(lines, key=lambda line: float(line["scores"][name]["value"]))
            if other is not best and other["scores"][name]["high"] < best["scores"][name]["low"]:
                return f" Look at both: {name} would choose {other['nimg']} images."
    return ""


def _said(score: Line) -> str:
    return f"{score['value']:.4g} ({score['low']:.4g} to {score['high']:.4g})"
