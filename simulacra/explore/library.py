"""What was opened: a model, or a run with the models of its checkpoints; and what the run's files say."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

from simulacra import storage
from simulacra.errors import SimulacraError
from simulacra.explore.loaded import LoadedModel, load_model
from simulacra.explore.run_summary import preview, run_summary

MODELS = 4  # in memory at once


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
        """`run_summary.run_summary`, with the name of the opened checkpoint."""
        return run_summary(self._run()) | {"opened": self.folder.name}

    def preview(self, nimg: str) -> Path:
        """The file of the previews after `nimg` images."""
        return preview(self._run(), nimg)

    def _run(self) -> Path:
        if self.run is None:
            raise SimulacraError("explore.not_a_run")
        return self.run

    def _checkpoint(self, name: str) -> Path:
        for path in storage.checkpoints(self._run()):
            if path.name == name:
                return path
        raise SimulacraError("explore.no_checkpoint", name=name[:40])
