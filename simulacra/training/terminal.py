"""What a training run says: a live line in a terminal, a plain line a tick elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn

from simulacra.console import clock, console
from simulacra.training.health import VERDICTS
from simulacra.training.plan import Plan
from simulacra.training.trainer import Trainer

REFRESH = 0.5  # seconds between updates of the live line
SPEED_MEMORY = 0.9  # of the smoothed speed that the time left is reckoned with


class Show:
    """The voice of one sitting. Silent when `quiet`."""

    def __init__(self, plan: Plan, current: Callable[[], Trainer], *, quiet: bool) -> None:
        """current: gives the run's trainer, which a rollback replaces."""
        self.plan, self.current, self.quiet = plan, current, quiet
        self.began, self.first = time.monotonic(), self.trainer.nimg
        self.seen, self.speed = (self.began, self.first), 0.0
        self.bar: Progress | None = None
        self.losses = ""
        self.standing: set[str] = set()  # verdicts that were said

    @property
    def trainer(self) -> Trainer:
        """The run's trainer at the moment."""
        return self.current()

    def __enter__(self) -> Show:
        if self.quiet:
            return self
        plan, trainer = self.plan, self.trainer
        parameters = [sum(p.numel() for p in side.parameters()) / 1e6 for side in (trainer.gan.G, trainer.gan.D)]
        verb = f"goes on from {trainer.nimg} images" if trainer.nimg else "begins"
        channels, height, width = plan.data.shape
        console.print(
            f"{plan.folder} {verb}: {plan.spec} on {plan.count()} pictures of {width}x{height}x{channels} ({plan.data.name}), "
            f"G {parameters[0]:.2f} M and D {parameters[1]:.2f} M parameters, {plan.precision} on {trainer.device}.",
            markup=False,
        )
        for reason in () if trainer.nimg else plan.why:
            console.print(f"  {reason}", markup=False)
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
            self.bar = Progress(*columns, console=console, refresh_per_second=4)
            self.task = self.bar.add_task("training", total=1.0, note="")
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()

    def share(self) -> float:
        """How much of the run is done, 0 to 1."""
        length = self.plan.clock
        if length.total is not None:
            return min(1.0, self.trainer.nimg / length.total)
        assert length.minutes is not None
        return min(1.0, self.trainer.seconds / (60 * length.minutes))

    def left(self) -> str:
        """The time left, as far as one can tell."""
        length = self.plan.clock
        if length.minutes is not None:
            return clock(max(0.0, 60 * length.minutes - self.trainer.seconds))
        assert length.total is not None
        return clock((length.total - self.trainer.nimg) / self.speed) if self.speed else "?"

    def play(self, trainer: Trainer) -> None:
        """After each play: refresh the live line now and then."""
        now = time.monotonic()
        seconds = now - self.seen[0]
        if self.quiet or seconds < REFRESH:
            return
        fresh = (trainer.nimg - self.seen[1]) / seconds
        self.speed = SPEED_MEMORY * self.speed + (1 - SPEED_MEMORY) * fresh if self.speed else fresh
        self.seen = (now, trainer.nimg)
        if self.bar:
            note = f"{_count(trainer.nimg)} images  {self.speed:.0f}/s  {self.left()} left  {self.losses}"
            self.bar.update(self.task, completed=self.share(), note=note)

    def tick(self, line: dict[str, Any]) -> None:
        """After each journal line."""
        short = {"d_loss": "D", "g_loss": "G", "acc_d": "acc D", "acc_g": "acc G"}
        self.losses = "  ".join(f"{name} {line[key]:.3g}" for key, name in short.items() if key in line)
        if not self.quiet and not self.bar:
            console.print(
                f"{_count(line['nimg'])} images  epoch {line['epoch']:.1f}  {clock(line['seconds'])}  "
                f"{line['images_per_second']:.0f}/s  {self.losses}  {self.left()} left",
                markup=False,
            )
        self.verdicts(line.get("health", {}))

    def verdicts(self, standing: Mapping[str, str]) -> None:
        """Say of each verdict once that it began, and once that it ended."""
        plan, at = self.plan, f"{_count(self.trainer.nimg)} images"
        news = [
            f"{at}: {name}! {said} To try: {VERDICTS[name].advise(plan.gan, plan.config)}."
            for name, said in standing.items()
            if name not in self.standing
        ]
        news += [f"{at}: no longer {name}." for name in sorted(self.standing - standing.keys())]
        self.standing = set(standing)
        for said in news if not self.quiet else ():
            console.print(said, markup=False)

    def went_back(self, told: dict[str, Any]) -> None:
        """The run has returned to an earlier checkpoint."""
        said = "" if told["verdict"] in self.standing else f"{told['seen']} "
        self.standing, self.seen = set(), (time.monotonic(), self.trainer.nimg)
        if not self.quiet:
            where = f"to {_count(told['to'])} images, its last healthy checkpoint" if told["to"] else "to its beginning"
            console.print(f"{said}The run goes back {where}, and on with seed {told['seed']}.", markup=False)

    def stopping(self) -> None:
        """Ctrl-C was pressed."""
        if not self.quiet:
            console.print("Stopping after this step; once more to stop at once.")

    def finished(self, ended: bool, *, enough: bool = False) -> None:
        """The sitting is over; `enough`: because the scores no longer improve."""
        if self.quiet:
            return
        if self.bar:
            self.bar.stop()
        folder, nimg = self.plan.folder, self.trainer.nimg
        if enough and ended:
            console.print(
                f"{self.plan.patience} scores in a row brought no new best: {folder} ends at {nimg} images and stands for its "
                f"best checkpoint. --patience 0 trains on; simulacra choose {folder} says more.",
                markup=False,
            )
        if not ended:
            console.print(f"Saved at {nimg} images. Go on with: simulacra train {folder}", markup=False)
        elif nimg == self.first:
            console.print(
                f"{folder} has already reached its length ({nimg} images): give a longer one to go on.",
                markup=False,
            )
        else:
            took = clock(time.monotonic() - self.began)
            draw = f"Draw with: simulacra sample {folder} pictures/"
            if self.plan.gan.task == "translate":
                draw = f"Translate with: simulacra translate {folder} pictures/ translated/ --to b"
            console.print(f"Done: {nimg} images, {took} this time. {draw}", markup=False)

    def drew(self, path: Path) -> None:
        """A file was drawn."""
        if not self.quiet:
            console.print(f"  {path}", markup=False)


def _count(n: int) -> str:
    return f"{n / 1000:.1f}k" if n >= 1000 else str(n)
