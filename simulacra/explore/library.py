"""What was opened: a model, or a run with the models of its checkpoints; and what the run's files say."""

from __future__ import annotations

import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from simulacra import storage
from simulacra.errors import SimulacraError
from simulacra.explore.loaded import LoadedModel, load_model
from simulacra.measure.choose import read_best, read_scores
from simulacra.measure.score_records import ScoreLine
from simulacra.training.curves import stills
from simulacra.training.journal import read_journal

MODELS = 4  # in memory at once
TRAINING_AGE = 90.0  # seconds after its last journal line in which a run counts as training
CURVE = ("nimg", "d_loss", "g_loss")


class Library:
    """The models of a model's folder or of a run's. Only one thread may call `model`.

    Raises `SimulacraError` when there is no model at `where`.
    """

    def __init__(self, where: str | Path | None) -> None:
        self.folder = storage.model_folder(where)
        path = Path(where).expanduser() if where is not None else self.folder
        self.run = path if (path / "checkpoints").is_dir() else None
        self.name = self.folder.name if self.run is None else self.run.resolve().name
        self._models: OrderedDict[Path, LoadedModel] = OrderedDict()
        self.model()

    def model(self, checkpoint: str | None = None) -> LoadedModel:
        """The opened model, or the model of one of the run's checkpoints, by the name of its folder."""
        folder = self.folder if checkpoint is None else self._checkpoint(checkpoint)
        if folder not in self._models:
            self._models[folder] = load_model(folder)
        self._models.move_to_end(folder)
        while len(self._models) > MODELS:  # the opened one always stays
            del self._models[next(path for path in self._models if path != self.folder)]
        return self._models[folder]

    def facts(self, checkpoint: str | None = None) -> dict[str, Any]:
        """`LoadedModel.facts`, with the name, and whether this is a run."""
        return {"name": self.name, "run": self.run is not None} | self.model(checkpoint).facts()

    def run_summary(self) -> dict[str, Any]:
        """The run's checkpoints, scores, previews and losses, and whether it is training now."""
        run = self._run()
        journal = run / "journal.jsonl"
        lines = read_journal(journal)
        age = time.time() - journal.stat().st_mtime if journal.exists() else None
        best = read_best(run)
        return {
            "checkpoints": [path.name for path in storage.checkpoints(run)],
            "opened": self.folder.name,
            "best": best and best["checkpoint"],
            "scores": [_leading_score(line) for line in read_scores(run)],
            "previews": [int(path.stem) for path in stills(run)],
            "journal": [{key: line.get(key) for key in CURVE} for line in lines[-400:]],
            "training": age is not None and age < TRAINING_AGE,
        }

    def preview(self, nimg: str) -> Path:
        """The file of the previews after `nimg` images."""
        for path in stills(self._run()):
            if path.stem.lstrip("0") == nimg.lstrip("0"):
                return path
        raise SimulacraError("explore.no_preview", nimg=nimg[:40])

    def _run(self) -> Path:
        if self.run is None:
            raise SimulacraError("explore.not_a_run")
        return self.run

    def _checkpoint(self, name: str) -> Path:
        for path in storage.checkpoints(self._run()):
            if path.name == name:
                return path
        raise SimulacraError("explore.no_checkpoint", name=name[:40])


def _leading_score(line: ScoreLine) -> dict[str, Any]:
    """The score that decides, of a line of scores.jsonl, with its interval."""
    score = line["scores"][line["leads"]]
    return {"nimg": line["nimg"], "name": line["leads"]} | {
        "value": score["value"],
        "low": score["low"],
        "high": score["high"],
    }
