"""The pace of a run, changed while it trains: paused, a number of steps, or slow motion, with the pictures of the moment.

Another process writes `pace/order.json` into the run's folder, and the run answers with `pace/now.json` and
`pace/now.png`. Time spent waiting is not training time. A run starts at full pace, and leaves nothing when it ends.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, get_args

from simulacra import distributed
from simulacra.errors import SimulacraError
from simulacra.files import read_json, write_json
from simulacra.records import wrong_entry
from simulacra.training import trainer as trainer_module
from simulacra.training.observers import Observer

if TYPE_CHECKING:
    from simulacra.training.run import Run
    from simulacra.training.trainer import Trainer

Pace = Literal["full", "slow", "paused"]
FOLDER, ORDER, NOW, PICTURE = "pace", "order.json", "now.json", "now.png"
LOOK = 0.1  # seconds between looks at the order while waiting
SLOW = 1.0  # seconds of a step in slow motion, at least
MOST_STEPS = 100_000
LOSSES = ("d_loss", "g_loss")


class Order(TypedDict):
    """What is asked of a run. steps: of D or of G, before it pauses; number: a new one for each order."""

    pace: str
    steps: int
    number: int


class Now(TypedDict):
    """Where a run is that does not go at full pace: the order, images shown, steps, mean losses since the last journal line."""

    number: int
    pace: str
    nimg: int
    steps: dict[str, int]
    losses: dict[str, float]


def order(run: Path, pace: str, steps: int = 0) -> int:
    """Ask a run for a pace: "full", "slow", or "paused" after so many steps; returns the order's number.

    Raises `SimulacraError` for another pace, and for too many steps.
    """
    if pace not in get_args(Pace) or not 0 <= steps <= MOST_STEPS:
        raise SimulacraError("train.bad_pace", pace=pace, steps=steps, most=MOST_STEPS)
    number = time.time_ns() // 1_000_000
    write_json(run / FOLDER / ORDER, Order(pace=pace, steps=steps, number=number))
    return number


def now(run: Path) -> Now | None:
    """Where a run is; None at full pace, and while it does not train."""
    try:
        content: Now = read_json(run / FOLDER / NOW)
    except SimulacraError:
        return None
    return content if wrong_entry(content, Now) is None else None


class Pacer(Observer):
    """Keeps a run to the pace that is asked for. Several processes on one run always go at full pace."""

    required = True

    def started(self, run: Run) -> None:
        """Forget the orders of an earlier session."""
        self.run, self.folder = run, run.plan.folder / FOLDER
        shutil.rmtree(self.folder, ignore_errors=True)
        self.order = Order(pace="full", steps=0, number=0)
        self.left = 0  # steps before it pauses

    def step(self, trainer: Trainer) -> None:
        """Wait as long as the order says."""
        self._read()
        self.left = max(0, self.left - 1)
        pace = self.order["pace"]
        if pace == "full" or (pace == "paused" and self.left) or distributed.world() > 1:
            return
        began, clock = time.monotonic(), trainer_module.seconds_now()
        self._show(trainer)
        while not (self._is_over(time.monotonic() - began) or trainer.should_stop()):
            time.sleep(LOOK)
            if self._read() and not self._is_over(0):
                self._show(trainer)
        trainer.waited += trainer_module.seconds_now() - clock
        if self.order["pace"] == "full":
            shutil.rmtree(self.folder, ignore_errors=True)

    def finished(self, ended: bool, error: BaseException | None = None) -> None:
        """Leave nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_over(self, seconds: float) -> bool:
        """Whether the next step is due, so many seconds after the last one."""
        pace = self.order["pace"]
        return pace == "full" or (seconds >= SLOW if pace == "slow" else self.left > 0)

    def _read(self) -> bool:
        """Whether there is a new order, which is then followed. What cannot be read is no order."""
        if not (self.folder / ORDER).exists():  # before each step, so quickly
            return False
        try:
            content: Order = read_json(self.folder / ORDER)
        except SimulacraError:
            return False
        if wrong_entry(content, Order) is not None or content["number"] == self.order["number"]:
            return False
        self.order, self.left = content, content["steps"]
        return True

    def _show(self, trainer: Trainer) -> None:
        """Write the pictures and the state of this moment."""
        self.run.previews.save(self.folder / PICTURE, list(self.run.previews.draw(trainer.ema.average)))
        losses = {name: value for name, value in trainer.meter.read().items() if name in LOSSES}
        order = {"number": self.order["number"], "pace": self.order["pace"]}
        write_json(self.folder / NOW, order | {"nimg": trainer.nimg, "steps": trainer.steps, "losses": losses})
