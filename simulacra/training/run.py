"""Carry out a plan: the run's folder, ticks, checkpoints, rollbacks, and a clean stop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

import simulacra
from simulacra import distributed, messages
from simulacra.console import silent, tasks
from simulacra.data.feed import Feed
from simulacra.data.opening import open_dataset
from simulacra.device import choose_device
from simulacra.errors import SimulacraError
from simulacra.files import sweep, write_json
from simulacra.measure.choose import mark_best, ranking, read_best
from simulacra.messages import Message
from simulacra.storage import checkpoint_folders
from simulacra.training import agreement, checkpoint, health, pace, rollback
from simulacra.training.curves import drawings
from simulacra.training.forecast import forecast
from simulacra.training.journal import read_journal
from simulacra.training.observers import JournalWriter, Observer, Observers, PreviewWriter, named_observers
from simulacra.training.options import TrainOptions
from simulacra.training.plan import Plan, Values
from simulacra.training.pretrained import freeze
from simulacra.training.previews import open_previews
from simulacra.training.run_config import config_json
from simulacra.training.run_records import JournalLine, RollbackRecord, RunConfig, read_run
from simulacra.training.scoring import RunScores
from simulacra.training.session import run_lock, stop_on_signal
from simulacra.training.terminal import TerminalObserver
from simulacra.training.threads import restored
from simulacra.training.trainer import Trainer, TrainingDiverged
from simulacra.training.transfer import Transfer


@restored()
def execute(
    data: str | Path,
    options: TrainOptions | None = None,
    settings: Values | None = None,
    observers: Iterable[Observer] = (),
    *,
    draw: bool = False,
) -> tuple[Path, bool]:
    """Train as `simulacra.train` does; returns the run's folder, and whether the run reached its end.

    draw: also draw curves and film at the end.
    """
    options = options or TrainOptions()
    guests = [*observers, *named_observers(options.observe)]
    device = choose_device(options.device)
    distributed.start(device)
    try:
        existing = agreement.compare(data, options, settings or {})
        resolved = forecast(data, options, settings or {}, lambda trial: make_trainer(trial, device)[0], existing)
        resolved = agreement.same_length(resolved)
        agreement.verify_data(resolved.source)
        first = distributed.rank() == 0
        terminal = TerminalObserver(quiet=options.quiet or not first)
        run = Run(resolved, device, disk=options.disk, observers=[terminal, *guests] if first else [])
        with contextlib.ExitStack() as held:
            distributed.of_first(lambda: held.enter_context(run_lock(resolved.folder)))
            run.prepare_folder()
            with stop_on_signal(terminal.stopping) as should_stop:
                ended = run.execute(should_stop)
            with contextlib.nullcontext(silent) if terminal.quiet else tasks() as advance:
                terminal.chosen(run.scores.measure_best_anew(advance))
            if draw and first and run.lines:
                for path in drawings(resolved.folder):
                    terminal.wrote(path)
            distributed.barrier()  # torchrun restarts no process that has ended
    finally:
        distributed.stop()
    return resolved.folder, ended


def make_trainer(plan: Plan, device: torch.device, rollbacks: int = 0) -> tuple[Trainer, dict[str, Transfer]]:
    """A trainer before its first step, with the seed that is due after so many rollbacks; and what it has taken over."""
    seed = rollback.seed_after(plan.seed, rollbacks)
    torch.manual_seed(seed)
    feed = Feed(plan.data, device, seed=seed, mirror=plan.config.mirror)
    gan = plan.gan(plan.config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    transfers = plan.pretrained.start(gan) if plan.pretrained else {}
    feed.attach_labels(gan.G)
    about = {
        "data": plan.data.name,
        "data_hash": plan.data.hash,
        "seed": plan.seed,
        "rollbacks": rollbacks,
        "simulacra": simulacra.__version__,
    }
    if plan.pretrained:
        about["pretrained"] = plan.pretrained.record() | {"source": Path(plan.pretrained.source).name}
    trainer = Trainer(
        gan, feed, plan.folder, seed=seed, precision=plan.precision, micro=plan.micro, about=about,
        compiled=plan.compile,
    )  # fmt: skip
    if D := transfers.get("D"):
        freeze(trainer, D.lower, plan.freeze)
    return trainer, transfers


class Run:
    """A plan being carried out."""

    def __init__(
        self, plan: Plan, device: torch.device, *, disk: float | None = None, observers: Iterable[Observer] = ()
    ) -> None:
        """disk: GB that checkpoints may take."""
        self.plan, self.device, self.disk = plan, device, disk
        self.observers = Observers([PreviewWriter(), JournalWriter(), pace.Pacer(), *observers])
        self.scores = RunScores(plan, device)
        self.lines: list[JournalLine] = []
        self.rollbacks = distributed.of_first(lambda: rollback.count(plan.folder))
        self.trouble: TrainingDiverged | None = None  # of the last rollback
        self.trainer, self.transfers = make_trainer(plan, device, self.rollbacks)
        self.nimg = 0  # after the last step
        self.session_start = 0, 0.0  # images shown and seconds of training before this session
        dataset = open_dataset(plan.source)
        valid = dataset.split("valid") if dataset.has("valid") else None
        self.previews = open_previews(dataset, self.trainer.gan.G)
        self.pictures: Tensor  # the previews of the last tick [N, C, H, W]
        self.health = health.Health(plan.data, valid, device, tick=plan.clock.tick, shown=self.previews.count)

    # --- the folder -------------------------------------------------------------------------------------

    def prepare_folder(self) -> None:
        """Make the folder, or bring it back to its last checkpoint, whose model is written anew if it is damaged.

        Whatever is damaged beyond that raises `SimulacraError` before anything is written.
        """
        distributed.of_first(self.check_folder)
        self.resume()
        self.session_start = self.trainer.nimg, self.trainer.seconds
        if self.trainer.nimg:
            self.trainer.save()
        distributed.of_first(self.write_folder)

    def check_folder(self) -> None:
        """Raise `SimulacraError` where something is damaged that a resume needs."""
        folder = self.plan.folder
        if checkpoint_folders(folder) and not checkpoint.resumable(folder):
            raise SimulacraError("train.no_states", folder=folder)
        read_best(folder)
        ranking(folder)
        read_journal(folder / "journal.jsonl")

    def write_folder(self) -> None:
        """Write what a run has before its first step, and delete what came after its last checkpoint."""
        folder = self.plan.folder
        for path in (folder, folder / "checkpoints", folder / "previews"):
            sweep(path)
        write_json(folder / "config.json", self.config())
        if self.plan.pretrained:
            self.plan.pretrained.save(folder)
        self.lines = self.trainer.journal.rewind(self.trainer.nimg)
        self.previews.save(folder / "previews" / "real.png", self.previews.reals(self.trainer.feed))

    def resume(self) -> None:
        """Load the last checkpoint with a state, if there is one; other processes take the state of the first one."""
        trainer = self.trainer
        distributed.of_first(lambda: checkpoint.restore_last(self.plan.folder, self.device, trainer.load_state_dict))
        distributed.copy_first(trainer.state_dict, trainer.load_state_dict, self.device)
        self.nimg = trainer.nimg

    def config(self) -> RunConfig:
        """The content of `config.json`; a run that is beyond the length asked for keeps its own."""
        config, folder = config_json(self.plan, self.device), self.plan.folder
        if self.beyond and (stored := read_run(folder)):
            config["length"] = stored["length"]
        return config

    @property
    def beyond(self) -> bool:
        """Whether the run had passed the length that is asked for before this session."""
        clock, trainer = self.plan.clock, self.trainer
        if clock.minutes is not None:
            return self.session_start[1] > 60 * clock.minutes + 1
        return clock.total is not None and self.session_start[0] >= clock.total + trainer.config.batch

    # --- training ---------------------------------------------------------------------------------------

    def execute(self, should_stop: Callable[[], bool]) -> bool:
        """Train to the plan's end, or until scores no longer improve; True when it ended by itself."""
        self.observers(lambda observer: observer.started(self))
        try:
            ended = self.train_with_rollbacks(should_stop)
        except BaseException as error:
            failure = error
            self.observers(lambda observer: observer.finished(False, failure))
            raise
        self.observers(lambda observer: observer.finished(ended))
        return ended

    def train_with_rollbacks(self, should_stop: Callable[[], bool]) -> bool:
        """Train; on trouble return to a healthy checkpoint as often as the plan allows."""
        (over,) = distributed.agree(distributed.rank() == 0 and self.scores.enough())
        if over:
            return True
        while True:
            try:
                return self.trainer.fit(
                    self.plan.clock,
                    on_tick=self.on_tick,
                    on_checkpoint=self.on_checkpoint,
                    on_step=self.on_step,
                    should_stop=should_stop,
                )
            except TrainingDiverged as error:
                if not self.plan.rollback:
                    raise
                self.trouble = error.with_traceback(None)  # its frames would keep the old trainer
            record = self.roll_back(self.trouble)
            if distributed.rank() == 0:
                self.observers(lambda observer, record=record: observer.rollback(record))  # type: ignore[misc]

    def on_step(self) -> None:
        """Let the augmentation adapt to unseen pictures, and pass the step to the observers."""
        augment, before, self.nimg = self.trainer.gan.augment, self.nimg, self.trainer.nimg
        if augment.due(before, self.nimg):
            augment.steer(self.health.overfitting(self.trainer).get("overfit", 0.0))
        self.observers(lambda observer: observer.step(self.trainer))

    def on_tick(self, line: JournalLine) -> None:
        """Draw the previews, add the health to the line and pass it to the observers."""
        if distributed.rank() == 0:
            self.pictures = self.previews.draw(self.trainer.ema.average)
            measures = self.health.measures(self.trainer, self.previews.shuffled(self.pictures))
            line = cast(JournalLine, line | measures)
            line = cast(JournalLine, line | health.assess(self.lines, line, critic=self.plan.gan.critic))
            self.lines.append(line)
            self.observers(lambda observer: observer.tick(line))
        self.check_verdicts(line)

    def check_verdicts(self, line: JournalLine) -> None:
        """Raise `TrainingDiverged`, in all processes, when a serious verdict stands and the run may roll back."""
        if not self.plan.rollback:
            return
        serious = [name for name in line.get("health", {}) if health.VERDICTS[name].serious]
        if distributed.agree(bool(serious))[0]:
            name, sign = "unwell", Message("train.unhealthy_elsewhere")
            if serious:
                name = serious[0]
                sign = health.explain(self.lines, critic=self.plan.gan.critic)[name]
            raise TrainingDiverged("train.unhealthy", verdict=name, sign=sign)

    def on_checkpoint(self, measure: bool) -> bool:
        """Score the checkpoint if that is due, thin out older ones; True when scores no longer improve."""
        enough = measure and self.scores.measure(self.trainer.ema.average, self.trainer.nimg)
        if distributed.rank() == 0:
            folder, nimg = self.plan.folder, self.trainer.nimg
            checkpoint.thin_out(
                folder,
                images_per_epoch=self.trainer.feed.n,
                budget=None if self.disk is None else self.disk * 1e9,
                best=ranking(folder),
                whole=[rollback.healthy_checkpoint(folder, self.lines)],  # a later session may have --rollback
            )
            path = folder / "checkpoints" / f"{nimg:09d}"
            self.observers(lambda observer: observer.checkpoint(path, nimg))
        return enough

    def roll_back(self, trouble: TrainingDiverged) -> RollbackRecord:
        """Return to the last healthy checkpoint, or to the beginning, with another seed.

        Returns the line of `rollbacks.jsonl`. Raises `SimulacraError` when no rollback is left: the run ends at that
        checkpoint then.
        """
        folder, seconds, final = self.plan.folder, self.trainer.seconds, self.rollbacks >= self.plan.rollback
        seed = rollback.seed_after(self.plan.seed, self.rollbacks + 1)
        with messages.using("en"):
            record: RollbackRecord = {"verdict": trouble.verdict, "seen": str(trouble.sign), "from": self.trainer.nimg}
        record |= {"seed": seed}
        if distributed.rank() == 0:
            to = record["to"] = rollback.healthy_checkpoint(folder, self.lines)
            if to or not final:  # a sick model is better than none
                rollback.forget(folder, to)
                mark_best(folder)
                self.lines = self.trainer.journal.rewind(to)
            if not final:
                rollback.append(folder, record)
        distributed.barrier()
        if final:
            raise rollback.none_left(folder, record.get("to", 0), trouble.sign, self.rollbacks)
        self.rollbacks += 1
        del self.trainer  # frees its memory before the next one is made
        self.trainer, self.transfers = make_trainer(self.plan, self.device, self.rollbacks)
        self.resume()
        self.trainer.seconds = seconds  # the time was spent
        return record
