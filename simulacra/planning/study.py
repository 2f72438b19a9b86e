"""A plan being carried out: the runs on all parts, their scores, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.console import Begin, warn
from simulacra.data.dataset import Dataset
from simulacra.files import write_json
from simulacra.generator import as_generator
from simulacra.measure import scores
from simulacra.measure.extractors.features import Extractor
from simulacra.measure.intervals import Interval
from simulacra.measure.metrics import Metric
from simulacra.measure.protocol import SeedProtocol
from simulacra.measure.score_records import IntervalRecord, english
from simulacra.messages import Message, text
from simulacra.planning import drawing
from simulacra.planning.design import SAVES, unchanged
from simulacra.planning.gains import ScoreTable, decide, findings, sentence
from simulacra.planning.parts import DIVISORS, TITLES, count, write_part
from simulacra.planning.records import (
    FORMAT,
    Design,
    Gain,
    LearningCurve,
    PartRecord,
    ScoreLine,
    VerdictRecord,
    add_line,
    read_lines,
)
from simulacra.storage import checkpoints, fingerprint, load
from simulacra.training.observers import Observer
from simulacra.training.options import TrainOptions
from simulacra.training.run import Run, execute
from simulacra.training.trainer import Trainer

MOMENTS = (1, 2, 4, 8)  # of the `SAVES` checkpoints of a run, those that are scored


@dataclass(frozen=True, kw_only=True)
class Study:
    """Runs on all parts of `data`, with `seeds` runs of each part."""

    data: Dataset
    folder: Path
    design: Design
    seeds: int
    device: str
    extractor: Extractor
    protocol: SeedProtocol

    def runs(self) -> list[tuple[str, int]]:
        """Part and seed of every run, in order."""
        return [(part, seed) for seed in range(self.seeds) for part in DIVISORS]

    def run_folder(self, part: str, seed: int) -> Path:
        """The folder of a run."""
        return self.folder / "runs" / f"{part}-{seed}"

    def is_trained(self, part: str, seed: int) -> bool:
        """Whether a run has reached its length."""
        last = checkpoints(self.run_folder(part, seed))[-1:]
        return bool(last) and int(last[0].name) >= self.design["images"]

    def seconds_left(self) -> tuple[float, float]:
        """About the seconds that training and scoring still take."""
        untrained = sum(not self.is_trained(*run) for run in self.runs())
        unscored = max(0, len(self.runs()) * len(MOMENTS) - len(self.score_lines()))
        training = untrained * self.design["images"] / self.design["images_per_second"]
        return training, unscored * self.protocol.total / self.design["scored_per_second"]

    def execute(self, begin: Begin) -> LearningCurve:
        """Train and score all runs that are not yet, write `plan.json` and the pictures, and return the record."""
        record: LearningCurve = {"format": FORMAT, "design": self.design, "finished": False}
        write_json(self.folder / "plan.json", record)
        for number, (part, seed) in enumerate(self.runs(), 1):
            title = {"number": number, "of": len(self.runs()), "part": text(TITLES[part]), "seed": seed}
            self.train(part, seed, begin, title)
            self.score(part, seed, begin, title)
        record |= self.results()
        write_json(self.folder / "plan.json", record)
        drawing.draw_curve(record, self.folder / "plan.png")
        models = [as_generator(load(self.moments(part, 0)[-1], self.protocol.extractor.device)) for part in DIVISORS]
        drawing.draw_models(models, self.data, self.folder / "pictures.png")
        return record

    def train(self, part: str, seed: int, begin: Begin, title: dict[str, Any]) -> None:
        """Train a run to its length. Raises `KeyboardInterrupt` when it was stopped; it is saved then."""
        if self.is_trained(part, seed):
            return
        source = self.data.source
        if part != "all":
            folder = self.folder / "data" / f"{part}-{seed}"
            write_part(self.data, folder, part, seed)
            source = str(folder)
        images = self.design["images"]
        options = TrainOptions(
            gan=unchanged(self.design["gan"], self.design["settings"]), run=self.run_folder(part, seed), total=images, save_every=images // SAVES,
            measure_every=0, seed=seed, device=self.device, quiet=True,  # type: ignore[arg-type]
        )  # fmt: skip
        progress = ProgressObserver(begin(text("planning.training", **title), images))
        _, ended = execute(source, options, self.design["settings"], [progress])
        if not ended:
            warn("planning.saved", folder=self.folder)
            raise KeyboardInterrupt

    # --- scores -------------------------------------------------------------------------------------------------

    def metrics(self) -> list[Metric]:
        """The metrics that the plan looks at: the leading one, and that of the second judge."""
        second = scores.second_metric("draw")
        return [self.protocol.lead_metric, *([second] if second else [])]

    def terms(self) -> dict[str, Any]:
        """What decides the scores."""
        return self.protocol.terms | {
            "scores": [scores.score_name(metric, self.extractor) for metric in self.metrics()]
        }

    def moments(self, part: str, seed: int) -> list[Path]:
        """The checkpoints of a run that are scored."""
        folders = checkpoints(self.run_folder(part, seed))
        starts = [self.design["images"] * moment // SAVES for moment in MOMENTS]
        return [next(folder for folder in folders if int(folder.name) >= start) for start in starts]

    def score_lines(self) -> dict[tuple[str, int], ScoreLine]:
        """The lines of checkpoints that were scored on these terms, by run and images."""
        terms = self.terms()
        return {(line["run"], line["nimg"]): line for line in read_lines(self.folder) if line["terms"] == terms}

    def score(self, part: str, seed: int, begin: Begin, title: dict[str, Any]) -> None:
        """Score the checkpoints of a run that are not yet."""
        lines, protocol = self.score_lines(), self.protocol
        name = self.run_folder(part, seed).name
        todo = {}
        for folder in self.moments(part, seed):
            line = lines.get((name, int(folder.name)))
            if line is None or line["model"] != fingerprint(folder):
                todo[folder] = fingerprint(folder)
        if not todo:
            return
        advance = begin(text("planning.scoring", **title), len(todo) * protocol.total)
        for folder, digest in todo.items():
            fakes = protocol.fakes(load(folder, protocol.extractor.device), advance)
            values = scores.resampled(protocol.extractor, protocol.reals, fakes, self.metrics())
            by_name = {
                key: [scores.round_to(float(number)) for number in (score.value, *score.replicates)]
                for key, score in values.items()
            }
            add_line(self.folder, {"run": name, "nimg": int(folder.name), "model": digest, "terms": self.terms(),
                                   "scores": by_name})  # fmt: skip

    # --- results ------------------------------------------------------------------------------------------------

    def results(self) -> LearningCurve:
        """The entries of `plan.json` that follow from the scores."""
        gains = {scores.score_name(metric, self.extractor): self.gain(metric) for metric in self.metrics()}
        leads, second = self.protocol.leads, self.protocol.second
        same = agree(gains[leads]["verdict"], gains[second]["verdict"]) if second else None
        return {
            "format": FORMAT, "design": self.design, "finished": True, "seeds": self.seeds, "terms": self.terms(),
            "leads": leads, "second": second, "agree": same, "scores": gains,
            "verdict": gains[leads]["verdict"]["sentence"], "folder": str(self.folder),
        }  # fmt: skip

    def gain(self, metric: Metric) -> Gain:
        """What doublings bring by one metric."""
        lines, name = self.score_lines(), scores.score_name(metric, self.extractor)
        rows = np.array(
            [
                [
                    [lines[f"{part}-{seed}", int(folder.name)]["scores"][name] for folder in self.moments(part, seed)]
                    for seed in range(self.seeds)
                ]
                for part in DIVISORS
            ]
        )  # [P, S, T, 1 + B]
        table = ScoreTable(rows[..., 0], rows[..., 1:], higher=metric.better == "higher")
        gains, now = table.gains(), table.score(-1)
        verdict = decide(gains, now.value)
        minutes, images = self.design["minutes"], self.design["images"]
        longer = f"--minutes {2 * minutes:g}" if minutes else f"--total {2 * images}"
        words = sentence(verdict, gains, data=self.design["data"], longer=longer, seeds=self.seeds)
        if metric is not self.protocol.lead_metric:  # one of both gives the advice
            words = Message("planning.findings", **findings(verdict, gains))
        floor = scores.floors_of(self.extractor, self.protocol.reals, [metric])[name]
        return {
            "better": metric.better, "now": _record(now), "floor": floor and scores.round_to(floor.value),
            "pictures": _record(gains.pictures), "training": _record(gains.training),
            "difference": _record(gains.difference), "parts": [self._part(index, table) for index in range(len(DIVISORS))],
            "verdict": {**verdict._asdict(), "sentence": english(words)},  # type: ignore[typeddict-item]
        }  # fmt: skip

    def _part(self, index: int, table: ScoreTable) -> PartRecord:
        part = list(DIVISORS)[index]
        return {
            "part": part,
            "pictures": count(self.data.splits["train"], part),
            "images": [int(folder.name) for folder in self.moments(part, 0)],
            "scores": [_record(table.score(index, moment)) for moment in range(len(MOMENTS))],
            "runs": [[scores.round_to(float(value)) for value in run] for run in table.values[index]],
        }


def agree(first: VerdictRecord, second: VerdictRecord) -> bool:
    """Whether two verdicts say the same of the pictures and of the training."""
    return (first["pictures"], first["training"]) == (second["pictures"], second["training"])


def _record(interval: Interval) -> IntervalRecord:
    record: Any = {key: scores.round_to(value) for key, value in vars(interval).items()}
    checked: IntervalRecord = record
    return checked


class ProgressObserver(Observer):
    """Advances a progress bar by the images that a run was shown."""

    def __init__(self, advance: Any) -> None:
        self.advance, self.last = advance, 0

    def started(self, run: Run) -> None:
        """Advance to where the run resumes."""
        self.step(run.trainer)

    def step(self, trainer: Trainer) -> None:
        """Advance by the images since the last step."""
        self.advance(trainer.nimg - self.last)
        self.last = trainer.nimg
