"""The best checkpoint of a run: all checkpoints are scored with the same seeds, and the best one is marked.

A run's folder gains `scores.jsonl`, one line per scored checkpoint, and `best.json`, which `load` follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from simulacra import distributed
from simulacra.console import Advance, Begin, silent
from simulacra.data.dataset import Dataset, Pair
from simulacra.errors import SimulacraError
from simulacra.files import append_json_line, write_json
from simulacra.measure.extractors.features import Extractor, open_extractor
from simulacra.measure.intervals import Resampled
from simulacra.measure.model_under_test import model_under_test
from simulacra.measure.score_records import Best, ScoreLine, Standing, english
from simulacra.measure.scores import interval_record
from simulacra.measure.tasks import open_protocol
from simulacra.messages import Message, text
from simulacra.model import Model
from simulacra.records import read_lines, read_record
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
        taught: bool = False,
    ) -> None:
        self.protocol = open_protocol(
            data, extractor=extractor, on=on, samples=samples, reals=REALS, choosing=True, begin=silent, taught=taught
        )

    def line(self, model: Model, nimg: int, digest: str, advance: Advance = lambda n: None) -> ScoreLine:
        """A line of `scores.jsonl`. nimg: training images shown; digest: the model's hash."""
        protocol = self.protocol
        scores = {name: score.score().to_json() for name, score in protocol.scores(model, advance).items()}
        record: Any = {"nimg": nimg, "model": digest} | protocol.terms
        record |= {"leads": protocol.leads, "second": protocol.second, "scores": scores}
        line: ScoreLine = record
        return line


def read_scores(run: Path) -> list[ScoreLine]:
    """The lines of `scores.jsonl` with the terms of the newest, so that they compare: by nimg, one per checkpoint."""
    lines = read_score_lines(run)
    comparable = [line for line in lines if _terms(line) == _terms(lines[-1])]
    return [line for _, line in sorted({line["nimg"]: line for line in comparable}.items())]


def read_score_lines(run: Path) -> list[ScoreLine]:
    """All lines of `scores.jsonl`, in order. Raises `SimulacraError` for a damaged one."""
    path = run / "scores.jsonl"
    lines = read_lines(path, ScoreLine, torn=True)
    for line in lines:
        if line["leads"] not in line["scores"]:
            raise SimulacraError("files.damaged_entry", path=path, entry=f"scores.{line['leads']}", folder=run)
    return lines


def read_best(run: Path) -> Best | None:
    """The run's `best.json`; None where no checkpoint was chosen. Raises `SimulacraError` for a damaged one."""
    path = run / "best.json"
    return read_record(path, Best) if path.is_file() else None


def add_score(run: Path, line: ScoreLine) -> None:
    """Append one line to `scores.jsonl`; a line that a kill cut short stays apart."""
    append_json_line(run / "scores.jsonl", line)


def ranking(run: Path) -> list[int]:
    """The scored checkpoints that still exist, as nimg, best first."""
    existing = {int(path.name) for path in checkpoints(run)}
    lines = [line for line in read_scores(run) if line["nimg"] in existing]
    return [line["nimg"] for line in sorted(lines, key=_leading_value)]


def since_best(run: Path) -> int:
    """Number of scored checkpoints since the best one."""
    lines = read_scores(run)
    return len(lines) - 1 - lines.index(min(lines, key=_leading_value)) if lines else 0


def mark_best(run: Path, anew: dict[str, Any] | None = None) -> Best | None:
    """Write `best.json` from `scores.jsonl`; None where no scored checkpoint exists.

    The lowest of many scores owes a part to chance. So what `best.json` reports are the scores `anew`, of other seeds
    (see `score_anew`); by default those in the file, if the choice is the same. Without them it reports the scores of
    the choice, which stay beside them as `choice`.
    """
    existing = set(ranking(run))
    lines = [line for line in read_scores(run) if line["nimg"] in existing]
    if not lines:
        return None
    best, last = min(lines, key=_leading_value), lines[-1]
    record: Any = {"checkpoint": f"{best['nimg']:09d}", "model": best["model"], **_standing(best)}
    record |= {"last": _standing(last), "scored": len(lines)}
    record["choice"] = {"best": _ends(record), "last": _ends(record["last"])}
    if anew := anew or _scores_anew(run, record):
        record |= _ends(anew["best"]) | {"anew": anew}
        record["last"] |= _ends(anew["last"])
    if second := _second(best, lines):
        record["second"] = second
    record["why"] = _why(record, best, lines)
    write_json(run / "best.json", record)
    chosen: Best = record
    return chosen


def score_anew(
    run: Path, scorer: CheckpointScorer, load_checkpoint: Callable[[int], Model], advance: Begin = silent
) -> Best | None:
    """Mark the best, and score it and the last one again, with seeds or pictures that had no part in the choice.

    Costs two scores, or one where the best is the last; nothing where `best.json` has them already. The result depends on
    the checkpoints and the data alone, so it is the same after any number of interruptions. load_checkpoint: the model by
    its nimg. The first process alone reads and writes the run's folder.
    """
    best = distributed.of_first(lambda: mark_best(run))
    if best is None or "anew" in best:
        return best
    protocol, scores = scorer.protocol.fresh(), dict[str, Resampled]()
    for name, nimg, title in (
        ("best", best["nimg"], text("measure.progress_best_again")),
        ("last", best["last"]["nimg"], text("measure.progress_last_again")),
    ):
        if name == "last" and nimg == best["nimg"]:
            scores[name] = scores["best"]
            continue
        scores[name] = protocol.lead(load_checkpoint(nimg), advance(title, protocol.total))
    scores["difference"] = scores["best"].minus(scores["last"])
    record = protocol.source | {"by": scorer.protocol.leads}
    anew = record | {name: interval_record(score) for name, score in scores.items()}
    return distributed.of_first(lambda: mark_best(run, anew))


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
    that are scored on the same terms already are not scored again. Several processes share the fakes, and each needs the run's
    folder and the data. Returns the contents of `best.json`.

    Raises `SimulacraError` where there is no run, no checkpoint, or no picture to compare with.
    """
    run = Path(where).expanduser()
    with distributed.group(torch.device(device)):
        folders = distributed.together(lambda: _checkpoints(run))
        extractor = extractor or open_extractor(device=device)
        last = model_under_test(folders[-1])
        scorer = CheckpointScorer(
            last.dataset(data), extractor=extractor, on=on, samples=samples, taught=last.taught_by(extractor)
        )
        terms = _terms(scorer.protocol.terms)
        lines = distributed.of_first(lambda: [line for line in read_scores(run) if _terms(line) == terms])
        scored = {(line["nimg"], line["model"]) for line in lines}
        for folder in folders:
            key = (int(folder.name), fingerprint(folder))
            if key not in scored:
                begun = advance(text("measure.progress_scoring", name=folder.name), scorer.protocol.total)
                line = scorer.line(load(folder, device), *key, begun)
                if distributed.rank() == 0:
                    add_score(run, line)
        best = score_anew(run, scorer, lambda nimg: load(run / "checkpoints" / f"{nimg:09d}", device), advance)
    assert best is not None
    return best


def _checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run. Raises `SimulacraError` where there is none."""
    folders = checkpoints(run)
    if not folders:
        raise SimulacraError("measure.no_checkpoints", run=run)
    return folders


def _scores_anew(run: Path, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The scores of other seeds in `best.json`, if they are of the same checkpoints, chosen by the same scores."""
    old: Any = read_best(run)
    if old is None:
        return None
    same = all(old.get(key) == record[key] for key in ("model", "nimg", "by", "choice"))
    return old.get("anew") if same and old["last"]["nimg"] == record["last"]["nimg"] else None


def _terms(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: record.get(key) for key in TERMS}


def _leading_value(line: ScoreLine) -> float:
    return float(line["scores"][line["leads"]]["value"])


def _standing(line: ScoreLine) -> Standing:
    standing: Any = {"nimg": line["nimg"], "by": line["leads"]} | _ends(line["scores"][line["leads"]])
    whole: Standing = standing
    return whole


def _ends(score: Mapping[str, Any]) -> dict[str, float]:
    return {key: score[key] for key in ("value", "low", "high")}


def _why(record: Mapping[str, Any], best: ScoreLine, lines: list[ScoreLine]) -> str:
    """A sentence on the choice, and another where a second score would choose otherwise: neither is the truth."""
    anew, last = record.get("anew"), record["last"]
    values = {"nimg": record["nimg"], "score": record["by"], "number": record["scored"], "value": _interval(record)}
    values |= {"last": last["nimg"], "last_value": _interval(last)}
    if anew:
        values |= {"source": _source(anew), "difference": _interval(anew["difference"])}
    if record["nimg"] == last["nimg"]:
        message = Message("measure.best_is_last_anew" if anew else "measure.best_is_last", **values)
    elif not anew:
        code = "measure.best_apart" if record["high"] < last["low"] else "measure.best_overlaps"
        message = Message(code, **values)
    elif anew["difference"]["high"] < 0:
        message = Message("measure.best_better_anew", **values)
    elif anew["difference"]["low"] > 0:
        message = Message("measure.best_worse_anew", **values)
    else:
        message = Message("measure.best_unsure_anew", **values)
    if dissent := _dissent(record.get("second"), best, lines):
        message = Message("measure.best_with_dissent", why=message, dissent=dissent)
    return english(message)


def _source(anew: Mapping[str, Any]) -> Message:
    if "inputs" in anew:
        return Message("measure.other_pictures", part=anew["inputs"])
    return Message("measure.other_seeds")


def _second(best: ScoreLine, lines: list[ScoreLine]) -> dict[str, Any] | None:
    """The checkpoint that the second judge would choose; None for scores without one."""
    name = best.get("second")
    if not name or any(name not in line["scores"] for line in lines):
        return None
    other = min(lines, key=lambda line: float(line["scores"][name]["value"]))
    standing = {"checkpoint": f"{other['nimg']:09d}", "nimg": other["nimg"], "by": name}
    return standing | _ends(other["scores"][name])


def _dissent(second: Mapping[str, Any] | None, best: ScoreLine, lines: list[ScoreLine]) -> Message | None:
    """What the second judge would choose; else whether Fréchet distance and KID disagree for certain."""
    if second:
        own = best["scores"][second["by"]]
        values = {"score": second["by"], "nimg": second["nimg"], "value": _interval(second), "own": _interval(own)}
        if second["nimg"] == best["nimg"]:
            return Message("measure.second_agrees", **values)
        apart = second["high"] < own["low"]
        return Message("measure.second_dissents" if apart else "measure.second_leans", **values)
    for name in best["scores"]:
        if name != best["leads"] and name.startswith(("fd-", "kid-")):
            other = min(lines, key=lambda line: float(line["scores"][name]["value"]))
            if other is not best and other["scores"][name]["high"] < best["scores"][name]["low"]:
                return Message("measure.best_dissent", score=name, nimg=other["nimg"])
    return None


def _interval(score: Mapping[str, Any]) -> Message:
    return Message("measure.interval", value=score["value"], low=score["low"], high=score["high"])
