"""What is open: one model, or a run with all its checkpoints; and what a run tells of itself."""

from __future__ import annotations

import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from simulacra import storage as models
from simulacra.errors import SimulacraError
from simulacra.explore.rendering import Model
from simulacra.files import read_json
from simulacra.measure.choose import read_scores
from simulacra.training.curves import stills
from simulacra.training.journal import read

OPEN = 4  # models in memory at once
STIRRING = 90.0  # seconds after its last line in which a run counts as training
CURVE = ("nimg", "d_loss", "g_loss")


class Studio:
    """A model's folder or a run's, opened. Only one thread may ask it for models.

    Raises `SimulacraError` when there is no model at `where`.
    """

    def __init__(self, where: str | Path | None) -> None:
        self.folder = models.model_folder(where)
        path = Path(where).expanduser() if where is not None else self.folder
        self.run = path if (path / "checkpoints").is_dir() else None
        self.name = self.folder.name if self.run is None else self.run.resolve().name
        self._open: OrderedDict[Path, Model] = OrderedDict()
        self.model()

    def model(self, checkpoint: str | None = None) -> Model:
        """The model, or that of one of the run's checkpoints, by the name of its folder."""
        folder = self.folder if checkpoint is None else self._checkpoint(checkpoint)
        if folder not in self._open:
            self._open[folder] = Model(folder)
        self._open.move_to_end(folder)
        while len(self._open) > OPEN:  # the main one is not let go
            del self._open[next(path for path in self._open if path != self.folder)]
        return self._open[folder]

    def facts(self, checkpoint: str | None = None) -> dict[str, Any]:
        """See `Model.facts`; with the name, and whether this is a run."""
        return {"name": self.name, "run": self.run is not None} | self.model(checkpoint).facts()

    def told(self) -> dict[str, Any]:
        """What the run's files say: checkpoints, scores, previews, losses, and whether it is training now."""
        run = self._run()
        lines = read(run / "journal.jsonl")
        journal = run / "journal.jsonl"
        age = time.time() - journal.stat().st_mtime if journal.exists() else None
        best = read_json(run / "best.json") if (run / "best.json").is_file() else {}
        scores = []
        for line in read_scores(run):
            score = line["scores"][line["leads"]]
            scores.append(
                {"nimg": line["nimg"], "name": line["leads"]} | {k: score[k] for k in ("value", "low", "high")}
            )
        return {
            "checkpoints": [path.name for path in models.checkpoints(run)],
            "opened": self.folder.name,
            "best": best.get("checkpoint"),
            "scores": scores,
            "previews": [int(path.stem) for path in stills(run)],
            "journal": [{key: line.get(key) for key in CURVE} for line in lines[-400:]],
            "training": age is not None and age < STIRRING,
        }

    def preview(self, nimg: str) -> Path:
        """The file of the previews after `nimg` images."""
        for path in stills(self._run()):
            if path.stem.lstrip("0") == nimg.lstrip("0"):
                return path
        raise SimulacraError(f"This run has no preview after {nimg[:40]} images.")

    def _run(self) -> Path:
        if self.run is None:
            raise SimulacraError("A model was opened, not a run: open a run's folder to see its checkpoints.")
        return self.run

    def _checkpoint(self, name: str) -> Path:
        for path in models.checkpoints(self._run()):
            if path.name == name:
                return path
        raise SimulacraError(f"This run has no checkpoint called {name!r}; it may have been thinned out.")
