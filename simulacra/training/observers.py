"""Observers of a run: objects notified of its steps, journal lines, checkpoints and end.

    class Loud(Observer):
        def checkpoint(self, folder, nimg):
            print("saved", folder)

    simulacra.train("faces", observers=[Loud()])

An observer cannot change what is computed by using random numbers: every step sets its own seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image
from torch import Tensor

from simulacra.config import to_json
from simulacra.console import warn
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.messages import Message
from simulacra.training.run_records import JournalLine, RollbackRecord

if TYPE_CHECKING:
    from simulacra.training.run import Run
    from simulacra.training.trainer import Trainer

EARLY = (16, 8, 4, 2)  # the first tick in so many parts has previews at its first part
EARLY_STEPS = 4  # of D before the first of them, at least
NOT_SCALARS = frozenset({"nimg", "signs", "health"})  # of a journal line


class Observer:
    """Base class: every hook does nothing. Under torchrun only the first process calls observers."""

    required: ClassVar[bool] = False  # an exception in it ends the run; otherwise the observer is dropped

    def started(self, run: Run) -> None:
        """Called when the run is ready to start or resume; `run.plan` and `run.trainer` describe it."""

    def step(self, trainer: Trainer) -> None:
        """Called after each step of D or of G."""

    def tick(self, line: JournalLine) -> None:
        """Called with each new journal line."""

    def checkpoint(self, folder: Path, nimg: int) -> None:
        """Called after each checkpoint, once it is scored."""

    def rollback(self, record: RollbackRecord) -> None:
        """Called when the run has returned to an earlier checkpoint, with the line of `rollbacks.jsonl`."""

    def finished(self, ended: bool, error: BaseException | None = None) -> None:
        """Called at the end of the session. ended: the run reached its length; False: stopped, or failed with `error`."""


class Observers:
    """Observers called in order. One that raises is dropped with a warning, unless it is required."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self.observers = list(observers)

    def __call__(self, event: Callable[[Observer], None]) -> None:
        """Pass an event to every observer: `observers(lambda observer: observer.tick(line))`."""
        for observer in list(self.observers):
            try:
                event(observer)
            except Exception as error:
                if observer.required:
                    raise
                self.observers.remove(observer)
                name, reason = type(observer).__name__, f"{type(error).__name__}: {error}"
                warn("train.observer_dropped", observer=name, reason=reason)


class PreviewWriter(Observer):
    """Writes the previews of each tick to `previews/NIMG.png`, and some before the first tick, which may take minutes."""

    required = True

    def started(self, run: Run) -> None:
        """Note the run."""
        self.run = run
        tick, batch = run.plan.clock.tick, run.trainer.config.batch
        early = [tick // part for part in EARLY] if tick >= EARLY[0] * EARLY_STEPS * batch else []
        self.early = [nimg for nimg in early if nimg > run.trainer.nimg]

    def step(self, trainer: Trainer) -> None:
        """Draw the previews where an early moment has come."""
        if self.early and trainer.nimg >= self.early[0]:
            self.early = [nimg for nimg in self.early if nimg > trainer.nimg]
            self._write(trainer.nimg, list(self.run.previews.draw(trainer.ema.average)))

    def tick(self, line: JournalLine) -> None:
        """Write the pictures drawn for this line."""
        self._write(line["nimg"], list(self.run.pictures))

    def _write(self, nimg: int, pictures: list[Tensor]) -> None:
        self.run.previews.save(self.run.plan.folder / "previews" / f"{nimg:09d}.png", pictures)


class JournalWriter(Observer):
    """Appends each line to `journal.jsonl`."""

    required = True

    def started(self, run: Run) -> None:
        """Note the run."""
        self.run = run

    def tick(self, line: JournalLine) -> None:
        """Append the line."""
        self.run.trainer.journal.write(line)


class TensorBoard(Observer):
    """Scalars and previews as TensorBoard event files. Needs the extra `tensorboard`."""

    def __init__(self, folder: str | Path | None = None) -> None:
        """folder: where to write; default `tensorboard/` in the run."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise SimulacraError("train.observer_missing", observer="TensorBoard", extra="tensorboard") from error
        self.make_writer: Any = SummaryWriter
        self.folder = folder

    def started(self, run: Run) -> None:
        """Open the event file; lines after a resume replace those of before."""
        self.run = run
        self.writer = self._open(run.trainer.nimg)

    def _open(self, nimg: int) -> Any:
        """A writer that hides what was written after `nimg` images."""
        return self.make_writer(str(self.folder or self.run.plan.folder / "tensorboard"), purge_step=nimg + 1)

    def tick(self, line: JournalLine) -> None:
        """Write the numbers of the line and the preview."""
        for name, value in scalars(line).items():
            self.writer.add_scalar(name, value, line["nimg"])
        for name, sentence in line.get("health", {}).items():
            self.writer.add_text(f"health/{name}", sentence, line["nimg"])
        self.writer.add_image("previews", preview(self.run, line), line["nimg"], dataformats="HWC")
        self.writer.flush()

    def rollback(self, record: RollbackRecord) -> None:
        """Hide what was written after the checkpoint."""
        self.writer.close()
        self.writer = self._open(record["to"])

    def finished(self, ended: bool, error: BaseException | None = None) -> None:
        """Close the event file."""
        self.writer.close()


class WandB(Observer):
    """Scalars and previews as a run of Weights & Biases. Needs the extra `wandb`."""

    def __init__(self, project: str = "simulacra", *, mode: str = "offline", **options: Any) -> None:
        """mode: `offline` writes to `wandb/` in the run, for `wandb sync`; `online` sends. options: of `wandb.init`."""
        try:
            import wandb
        except ImportError as error:
            raise SimulacraError("train.observer_missing", observer="Weights & Biases", extra="wandb") from error
        self.wandb: Any = wandb
        self.options: dict[str, Any] = {"project": project, "mode": mode} | options

    def started(self, run: Run) -> None:
        """Begin a run of W&B with the settings as its config."""
        self.run, plan = run, run.plan
        config = {"gan": plan.spec, "seed": plan.seed, "precision": plan.precision} | to_json(plan.config)
        options = {"dir": str(plan.folder), "name": plan.folder.name, "config": config} | self.options
        self.log = self.wandb.init(**options)
        self.log.define_metric("*", step_metric="nimg")  # which may go back, where W&B's own step must not

    def tick(self, line: JournalLine) -> None:
        """Log the numbers of the line and the preview."""
        picture = self.wandb.Image(preview(self.run, line))
        self.log.log({"nimg": line["nimg"], "previews": picture} | scalars(line))

    def finished(self, ended: bool, error: BaseException | None = None) -> None:
        """End the run of W&B."""
        self.log.finish(exit_code=1 if error else 0)


NAMED: Mapping[str, Callable[[], Observer]] = {"tensorboard": TensorBoard, "wandb": WandB}


def named_observers(names: str | None) -> list[Observer]:
    """`"tensorboard,wandb"` -> observers. Raises `SimulacraError` for an unknown name or a missing package."""
    observers = []
    for name in (names or "").split(","):
        name = name.strip()
        if name and name not in NAMED:
            hint = did_you_mean(name, NAMED) or Message("train.observers", names=list(NAMED))
            raise SimulacraError("train.unknown_observer", name=name, hint=hint)
        observers += [NAMED[name]()] if name else []
    return observers


def scalars(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a journal line by name, without its clock."""
    return {name: value for name, value in line.items() if name not in NOT_SCALARS}


def preview(run: Run, line: JournalLine) -> np.ndarray[Any, Any]:
    """The preview of a journal line [H, W, 3] uint8."""
    with Image.open(run.plan.folder / "previews" / f"{line['nimg']:09d}.png") as image:
        return np.asarray(image.convert("RGB"))
