"""What a training run prints: a live line in a terminal, elsewhere a plain line for each tick."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.progress import BarColumn, Progress, TextColumn

from simulacra import distributed, messages
from simulacra.config import FROM_DATA, spelled, to_json
from simulacra.console import clock, console, say
from simulacra.measure.printing import print_best
from simulacra.measure.score_records import Best
from simulacra.messages import Message
from simulacra.training import health
from simulacra.training.forecast import longer, sentences
from simulacra.training.microbatches import pictures_of_ranks
from simulacra.training.observers import Observer
from simulacra.training.plan import Plan
from simulacra.training.run_records import JournalLine, RollbackRecord
from simulacra.training.trainer import Trainer

if TYPE_CHECKING:
    from simulacra.training.run import Run

REFRESH = 0.5  # seconds between updates of the live line
SPEED_MEMORY = 0.9  # weight of the past in the smoothed speed, from which the time left is computed
NEXT = {"draw": "train.next_sample", "translate": "train.next_translate", "upscale": "train.next_upscale"}
LABELS = {"d_loss": "D", "g_loss": "G", "acc_d": "acc D", "acc_g": "acc G"}


class TerminalObserver(Observer):
    """Prints the course of one session; nothing when `quiet`."""

    required = True

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bar: Progress | None = None
        self.speed, self.losses = 0.0, ""
        self.verdicts: set[str] = set()  # standing ones that were printed

    def say(self, code: str, **values: Any) -> None:
        """Print a message, unless quiet."""
        if not self.quiet:
            say(code, **values)

    def started(self, run: Run) -> None:
        """Print what is trained on what, and start the live line."""
        self.run, plan, trainer = run, run.plan, run.trainer
        self.began, self.first = time.monotonic(), trainer.nimg
        self.last = self.began, self.first  # time and images at the last update of the speed
        verb = Message("train.resumes", nimg=trainer.nimg) if trainer.nimg else Message("train.starts")
        self.say("train.started", folder=plan.folder, verb=verb, **facts(plan, trainer.gan), device=trainer.device)
        if plan.processes not in (None, distributed.world()):
            self.say("train.processes_changed", **_processes(plan.processes or 1, trainer))
        for reason in () if trainer.nimg else plan.reasons:
            self.say("train.reason", reason=reason)
        if plan.pretrained and not trainer.nimg:
            reason = plan.pretrained.description(trainer.gan, run.transfers, plan.freeze)
            self.say("train.reason", reason=reason)
        for sentence in sentences(plan):
            self.say("train.sentence", sentence=sentence)
        if console.is_terminal and not self.quiet:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
            self.bar = Progress(*columns, console=console, refresh_per_second=4)
            self.task = self.bar.add_task(messages.text("train.training"), total=1.0, note="")
            self.bar.start()

    def share(self) -> float:
        """The share of the run that is done, 0 to 1."""
        length, trainer = self.run.plan.clock, self.run.trainer
        if length.total is not None:
            return min(1.0, trainer.nimg / length.total)
        assert length.minutes is not None
        return min(1.0, trainer.seconds / (60 * length.minutes))

    def left(self) -> Message | str:
        """The estimated time left; empty as long as the speed is unknown."""
        length, trainer = self.run.plan.clock, self.run.trainer
        if length.minutes is not None:
            return Message("train.left", time=clock(max(0.0, 60 * length.minutes - trainer.seconds)))
        assert length.total is not None
        seconds = (length.total - trainer.nimg) / self.speed if self.speed else None
        return "" if seconds is None else Message("train.left", time=clock(seconds))

    def step(self, trainer: Trainer) -> None:
        """Refresh the live line, at most every `REFRESH` seconds."""
        now = time.monotonic()
        seconds = now - self.last[0]
        if self.quiet or seconds < REFRESH:
            return
        speed = (trainer.nimg - self.last[1]) / seconds
        self.speed = SPEED_MEMORY * self.speed + (1 - SPEED_MEMORY) * speed if self.speed else speed
        self.last = now, trainer.nimg
        if self.bar:
            values = {"images": thousands(trainer.nimg), "speed": self.speed, "left": self.left()}
            note = messages.text("train.live", **values, losses=self.losses)
            self.bar.update(self.task, completed=self.share(), note=note)

    def tick(self, line: JournalLine) -> None:
        """Print the line where there is no live one, and verdicts that begin or end."""
        numbers: Mapping[str, Any] = line
        self.losses = "  ".join(f"{label} {numbers[key]:.3g}" for key, label in LABELS.items() if key in line)
        images = thousands(line["nimg"])
        if not self.bar:
            values = {"epoch": line["epoch"], "time": clock(line["seconds"]), "speed": line["images_per_second"]}
            self.say("train.tick", images=images, **values, losses=self.losses, left=self.left())
        plan, standing = self.run.plan, health.explain(self.run.lines, critic=self.run.plan.gan.critic)
        for name, verdict in standing.items():
            if name not in self.verdicts:
                advice = health.VERDICTS[name].advise(plan.gan, plan.config)
                self.say("train.verdict", images=images, name=name, verdict=verdict, advice=advice)
        for name in sorted(self.verdicts - standing.keys()):
            self.say("train.verdict_over", images=images, name=name)
        self.verdicts = set(standing)

    def rollback(self, record: RollbackRecord) -> None:
        """Print why and where the run returned to."""
        trouble = self.run.trouble
        if trouble and record["verdict"] not in self.verdicts:
            self.say("train.trouble", sign=trouble.sign)
        if record["to"]:
            self.say("train.rolled_back", images=thousands(record["to"]), seed=record["seed"])
        else:
            self.say("train.started_again", seed=record["seed"])
        self.verdicts, self.last = set(), (time.monotonic(), self.run.trainer.nimg)

    def stopping(self) -> None:
        """Ctrl-C was pressed."""
        self.say("train.stopping")

    def finished(self, ended: bool, error: BaseException | None = None) -> None:
        """Stop the live line; print how the session ended and what to do next."""
        if self.bar:
            self.bar.stop()
        if error is not None:
            return
        plan, nimg = self.run.plan, self.run.trainer.nimg
        folder = plan.folder
        if ended and self.run.scores.enough():
            self.say("train.enough", patience=plan.patience, folder=folder, nimg=nimg)
        if not ended and not nimg:
            self.say("train.stopped_early", folder=folder)
        elif not ended:
            self.say("train.saved", folder=folder, nimg=nimg)
        elif self.run.beyond:
            self.say("train.beyond", folder=folder, nimg=nimg, longer=2 * nimg)
        elif nimg == self.first:
            self.say("train.nothing_to_do", folder=folder, nimg=nimg, longer=2 * nimg)
        else:
            hint = Message(NEXT[plan.gan.task], folder=folder)
            self.say("train.done", nimg=nimg, time=clock(time.monotonic() - self.began), hint=hint)
            advice = longer(plan, nimg, self.run.trainer.seconds)
            if advice and not self.run.scores.enough():
                self.say("train.sentence", sentence=advice)

    def chosen(self, best: Best | None) -> None:
        """The best checkpoint was scored again."""
        if best is not None and not self.quiet:
            print_best(self.run.plan.folder, best)

    def wrote(self, path: Path) -> None:
        """A file was written after the training."""
        self.say("train.wrote", path=path)


def _processes(before: int, trainer: Trainer) -> dict[str, Any]:
    """Values of the sentence on another number of processes than before."""
    parts = sorted(set(pictures_of_ranks(trainer.config.batch, trainer.micro)))
    share = "-".join(str(part) for part in (parts if len(parts) == 1 else (parts[0], parts[-1])))
    values = {
        "before": Message("train.processes", count=before),
        "now": Message("train.processes", count=distributed.world()),
    }
    return values | {"batch": trainer.config.batch, "share": share}


def facts(plan: Plan, gan: Any) -> dict[str, Any]:
    """Values of messages about a plan: GAN, data, sizes, precision."""
    channels, height, width = plan.data.shape
    parameters = {name: sum(p.numel() for p in network.parameters()) for name, network in (("g", gan.G), ("d", gan.D))}
    size = {"width": width, "height": height, "channels": channels}
    return (
        {
            "spec": plan.spec,
            "count": sum(map(len, plan.domains())),
            "pictures": plan.count(),
            "data": plan.data.name,
            "precision": plan.precision,
        }
        | size
        | parameters
    )


def describe(plan: Plan, device: torch.device) -> None:
    """Print what a plan would do: `train --dry-run`."""
    gan = plan.gan(plan.config)
    clock_, values = plan.clock, facts(plan, gan)
    verb = Message("train.would_resume" if plan.resumed else "train.would_start", folder=plan.folder)
    length = (
        Message("train.images", count=clock_.total) if clock_.total else Message("train.minutes", count=clock_.minutes)
    )
    seconds = Message("train.or_seconds", seconds=clock_.tick_seconds) if clock_.tick_seconds else ""
    say("train.described", verb=verb, **values, device=device)
    changes = _print_choice(plan)
    if plan.pretrained:
        say("train.reason", reason=plan.pretrained.description(gan, plan.pretrained.start(gan), plan.freeze))
    measure = Message("train.described_scores", measure=clock_.measure) if clock_.measure else ""
    say("train.described_length", length=length, tick=clock_.tick, seconds=seconds, save=clock_.save, measure=measure)
    for sentence in sentences(plan):
        say("train.sentence", sentence=sentence)
    idle = plan.gan.idle_settings(plan.config)
    for name, value in to_json(plan.config).items():
        if name not in (*FROM_DATA, *idle, *changes):
            console.print(f"  {name}={spelled(value)}", markup=False)


def _print_choice(plan: Plan) -> set[str]:
    """Print why `auto` chose what it did, with the settings that differ from the GAN's defaults; returns their names."""
    groups, default = plan.choice.groups if plan.choice else (), plan.gan.Config()
    explained: dict[Message | str, Mapping[str, Any]] = {reason: group for group, reason in groups}
    changes: set[str] = set()
    for reason in (*(reason for reason in plan.reasons if reason not in explained), *explained):
        names = [name for name in explained.get(reason, ()) if getattr(plan.config, name) != getattr(default, name)]
        names = [name for name in names if name not in plan.own]
        words = " ".join(f"{name}={spelled(getattr(plan.config, name))}" for name in names)
        if reason in plan.reasons:
            say("train.change" if words else "train.reason", words=words, reason=reason)
        elif words:  # the user set others of the group
            say("train.reason", reason=words)
        changes |= set(names)
    return changes


def thousands(n: int) -> str:
    """12345 -> `12.3k`."""
    return f"{n / 1000:.1f}k" if n >= 1000 else str(n)
