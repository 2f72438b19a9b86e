"""A plan carried out: the run's folder, previews, a clean stop, and what is drawn at the end."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import simulacra
from simulacra.config import to_json
from simulacra.console import console
from simulacra.data.dataset import Pair, verify
from simulacra.data.feed import Feed
from simulacra.data.opening import open_dataset
from simulacra.device import choose_device, device_name
from simulacra.errors import SimulacraError
from simulacra.files import sweep, write_json
from simulacra.measure.choose import CheckpointScorer, add_score, mark_best, ranking, read_scores, since_best
from simulacra.measure.extractors.features import open_extractor
from simulacra.storage import checkpoints, fingerprint
from simulacra.training import checkpoint, distributed, health, rollback
from simulacra.training.curves import draw_curves, make_film
from simulacra.training.plan import FORMAT, Plan, plan
from simulacra.training.previews import Previews, Translations
from simulacra.training.session import only_one, stop_on_signal
from simulacra.training.terminal import Show
from simulacra.training.trainer import Trainer, Unwell


def train(
    data: str | Path,
    *,
    device: str = "auto",
    disk: float | None = None,
    quiet: bool = False,
    **options: Any,
) -> Path:
    """Train a GAN on a prepared data set, or go on with a run; returns the run's folder.

    data: a prepared data set, `peeps`, or the folder of a run to go on with.
    device: `auto`, `cpu`, `cuda` or `mps`. disk: bytes that the checkpoints may take. quiet: say nothing.
    options: those of `plan` - gan, run, total, epochs, minutes, balance, augment, precision, seed, settings, and so on.

    Ctrl-C finishes the step, saves and returns. Raises `SimulacraError` for bad input, a changed setting or
    data set, a full disk, or a loss that is no longer finite; what was kept before stays.
    """
    return carry_out(data, device=device, disk=disk, quiet=quiet, **options)[0]


def carry_out(
    data: str | Path,
    *,
    device: str = "auto",
    disk: float | None = None,
    quiet: bool = False,
    draw: bool = False,
    **options: Any,
) -> tuple[Path, bool]:
    """`train`, saying also whether the run reached its end; with `draw`, curves and film follow."""
    where = choose_device(device)
    distributed.start(where)
    try:
        made = plan(data, device=device, **options)
        verify(open_dataset(made.source))
        first = distributed.rank() == 0
        run = Run(made, where, disk)
        with only_one(made.folder) if first else contextlib.nullcontext():
            run.prepare_folder()
            with (
                Show(made, lambda: run.trainer, quiet=quiet or not first) as show,
                stop_on_signal(show.stopping) as stop,
            ):
                ended = run.train(show.tick, show.play, stop, show.went_back)
                show.finished(ended, enough=run.enough())
            if draw and first and run.trainer.nimg:
                for path in [*draw_curves(made.folder), make_film(made.folder)]:
                    show.drew(path)
    finally:
        distributed.stop()
    return made.folder, ended


def describe(data: str | Path, *, device: str = "auto", **options: Any) -> None:
    """Say what a training command would do, and do nothing."""
    made = plan(data, device=device, **options)
    length = f"{made.clock.total} images" if made.clock.total else f"{made.clock.minutes} minutes"
    seconds = f" or {made.clock.tick_seconds:g} s" if made.clock.tick_seconds else ""
    gan = made.gan(made.config)
    g, d = (sum(p.numel() for p in side.parameters()) for side in (gan.G, gan.D))
    channels, height, width = made.data.shape
    console.print(f"{'goes on with' if made.resumed else 'new run'}: {made.folder}", markup=False)
    pictures = f"{made.count()} training pictures of {width}x{height}x{channels}"
    console.print(f"data: {made.data.name}, {pictures}", markup=False)
    console.print(
        f"game: {made.spec}, G {g:,} and D {d:,} parameters, {made.precision} on {choose_device(device)}", markup=False
    )
    for reason in made.why:
        console.print(f"  {reason}", markup=False)
    console.print(
        f"length: {length}; journal every {made.clock.tick} images{seconds}, checkpoint every {made.clock.save}",
        markup=False,
    )
    for key, value in to_json(made.config).items():
        console.print(f"  {key}={','.join(map(str, value)) if isinstance(value, list) else value}", markup=False)


class Run:
    """A plan being carried out."""

    def __init__(self, plan: Plan, device: torch.device, disk: float | None) -> None:
        self.plan, self.device, self.disk = plan, device, disk
        self.scorer: CheckpointScorer | None = None  # made when first needed
        whole = open_dataset(plan.source)
        valid = whole.split("valid") if whole.has("valid") else None
        self.lines: list[dict[str, Any]] = []  # of the journal
        self.rollbacks = rollback.count(plan.folder)
        self.trainer = self.begin()
        self.previews = Translations(whole) if isinstance(whole, Pair) else Previews(self.trainer.gan.G)
        self.health = health.Health(plan.data, valid, device, tick=plan.clock.tick, shown=self.previews.count)

    def begin(self) -> Trainer:
        """The game before its first play, with the seed that is due after so many rollbacks."""
        plan, device, seed = self.plan, self.device, rollback.seed_after(self.plan.seed, self.rollbacks)
        torch.manual_seed(seed)
        feed = Feed(plan.data, device, seed=seed, mirror=plan.config.mirror)
        gan = plan.gan(plan.config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        feed.tell(gan.G)
        about = {
            "data": plan.data.name,
            "data_hash": plan.data.hash,
            "seed": plan.seed,
            "rollbacks": self.rollbacks,
            "simulacra": simulacra.__version__,
        }
        return Trainer(
            gan,
            feed,
            plan.folder,
            seed=seed,
            precision=plan.precision,
            micro=plan.micro,
            about=about,
            compiled=plan.compile,
        )

    def prepare_folder(self) -> None:
        """Make the folder, or bring it back to its last checkpoint."""
        plan, trainer = self.plan, self.trainer
        if checkpoints(plan.folder) and not checkpoint.resumable(plan.folder):
            raise SimulacraError(
                f"The checkpoints in {plan.folder} are models without the state of a resume: start a new run with another --run."
            )
        self.resume()
        if distributed.rank() == 0:
            for folder in (plan.folder, plan.folder / "checkpoints", plan.folder / "previews"):
                sweep(folder)
            write_json(plan.folder / "config.json", self.record())
            self.lines = trainer.journal.rewind(trainer.nimg)
            self.previews.save(plan.folder / "previews" / "real.png", self.previews.reals(trainer.feed))
        distributed.barrier()

    def resume(self) -> None:
        """Go on from the last checkpoint that allows it, if there is one."""
        if kept := checkpoint.resumable(self.plan.folder):
            self.trainer.load_state_dict(checkpoint.load(kept[-1], self.device))

    def record(self) -> dict[str, Any]:
        """What `config.json` holds."""
        plan, clock = self.plan, self.plan.clock
        length = {"total": clock.total, "minutes": clock.minutes, "tick": clock.tick, "save": clock.save}
        length |= {
            "tick_seconds": clock.tick_seconds,
            "measure": clock.measure,
            "patience": plan.patience,
            "rollback": plan.rollback,
        }
        versions = {
            "simulacra": simulacra.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": device_name(self.device),
        }
        record = (
            {"format": FORMAT, "spec": plan.spec, "why": list(plan.why)}
            | plan.identity()
            | {"length": length, "versions": versions}
        )
        record["data"] = record["data"] | {
            "name": plan.data.name,
            "source": plan.source,
            "shape": list(plan.data.shape),
        }
        return record

    def preview(self) -> torch.Tensor:
        """Draw the fixed seeds with the averaged generator; returns the pictures [N, C, H, W]."""
        pictures = self.previews.draw(self.trainer.ema.average)
        self.previews.save(self.plan.folder / "previews" / f"{self.trainer.nimg:09d}.png", list(pictures))
        return self.previews.mixed(pictures)

    def examined(self, line: dict[str, Any]) -> dict[str, Any]:
        """A journal line with what it says of the run's health."""
        line = line | self.health.measures(self.trainer, self.preview())
        return line | health.judge(self.lines, line, critic=self.trainer.gan.critic)

    def measure(self) -> bool:
        """Score the checkpoint just written and mark the best; True when the scores have stopped improving."""
        if self.scorer is None:
            pictures = open_dataset(self.plan.source)
            self.scorer = CheckpointScorer(pictures, extractor=open_extractor(device=self.device))
        run, nimg = self.plan.folder, self.trainer.nimg
        if nimg not in {line["nimg"] for line in read_scores(run)}:
            model = fingerprint(run / "checkpoints" / f"{nimg:09d}")
            add_score(run, self.scorer.line(self.trainer.ema.average, nimg, model))
        mark_best(run)
        return self.enough()

    def enough(self) -> bool:
        """Whether so many scores in a row brought no new best that the run ends."""
        patience = self.plan.patience if self.plan.clock.measure else 0
        return bool(patience) and since_best(self.plan.folder) >= patience

    def train(
        self,
        on_tick: Callable[[dict[str, Any]], None],
        on_play: Callable[[Trainer], None],
        stop: Callable[[], bool],
        on_return: Callable[[dict[str, Any]], None],
    ) -> bool:
        """Train to the plan's end, or until its scores no longer improve; True when it ended by itself."""
        (over,) = distributed.agree(distributed.rank() == 0 and self.enough())
        if over:
            return True

        def tick(line: dict[str, Any]) -> None:
            if distributed.rank() == 0:
                line = self.examined(line)
                self.trainer.journal.write(line)
                self.lines.append(line)
                on_tick(line)
            self.look_back(line)

        def saved(measure: bool) -> bool:
            enough = False
            if distributed.rank() == 0:
                enough = measure and self.measure()
                folder, shown = self.plan.folder, self.trainer.feed.n
                whole = [rollback.healthy(folder, self.lines)]  # a later sitting may have --rollback
                checkpoint.thin_out(folder, images_per_epoch=shown, budget=self.disk, best=ranking(folder), whole=whole)
            return enough

        while True:
            try:
                return self.trainer.train(
                    self.plan.clock, tick=tick, stop=stop, played=lambda: on_play(self.trainer), saved=saved
                )
            except Unwell as error:
                if not self.plan.rollback:
                    raise
                trouble = error.with_traceback(None)  # its frames would keep the old trainer
            told = self.go_back(trouble)
            if distributed.rank() == 0:
                on_return(told)

    def look_back(self, line: dict[str, Any]) -> None:
        """Raise `Unwell`, in all processes, when a serious verdict stands and the run may go back."""
        if not self.plan.rollback:
            return
        standing = [name for name in line.get("health", {}) if health.VERDICTS[name].serious]
        if distributed.agree(bool(standing))[0]:
            name = standing[0] if standing else "unwell"
            raise Unwell(name, line.get("health", {}).get(name, "The first process found the run no longer well"))

    def go_back(self, trouble: Unwell) -> dict[str, Any]:
        """Return to the last healthy checkpoint, or to the beginning, and go on from there with another seed.

        Returns the line of `rollbacks.jsonl`. Raises `SimulacraError` when the run has gone back as often as it may:
        it ends at that checkpoint then.
        """
        folder, seconds, final = self.plan.folder, self.trainer.seconds, self.rollbacks >= self.plan.rollback
        told: dict[str, Any] = {"verdict": trouble.verdict, "seen": trouble.seen, "from": self.trainer.nimg}
        told["seed"] = rollback.seed_after(self.plan.seed, self.rollbacks + 1)
        if distributed.rank() == 0:
            told["to"] = rollback.healthy(folder, self.lines)
            if told["to"] or not final:  # a sick model is more than none
                rollback.forget(folder, told["to"])
                mark_best(folder)
                self.lines = self.trainer.journal.rewind(told["to"])
            if not final:
                rollback.record(folder, told)
        distributed.barrier()
        if final:
            raise rollback.enough(folder, told, self.rollbacks)
        self.rollbacks += 1
        del self.trainer  # its memory, before another one is made
        self.trainer = self.begin()
        self.resume()
        self.trainer.seconds = seconds  # the time was spent
        return told
