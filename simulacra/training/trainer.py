"""One run's networks, optimizers and clock: a step of one player, and the loop around it.

The clock is images shown. All randomness and the order of the data are functions of (seed, step, microbatch),
so an exact resume needs no random state, and the number of processes is not part of a run's identity.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from simulacra import distributed
from simulacra.data.feed import Feed
from simulacra.errors import SimulacraError
from simulacra.gan import GAN, Batch, check_players
from simulacra.messages import Message
from simulacra.seeds import seed_all
from simulacra.storage import checkpoints
from simulacra.training import balance, checkpoint
from simulacra.training.clock import Clock
from simulacra.training.compiled import make_compiler
from simulacra.training.cuda_graphs import LossAndStats, Recorder
from simulacra.training.ema import EMA
from simulacra.training.journal import Journal, Meter, memory
from simulacra.training.microbatches import join, largest_microbatch, own_microbatches, pictures_of_ranks, random_key
from simulacra.training.readback import LossWatch, SharedFlags
from simulacra.training.run_records import JournalLine

SAVE_SECONDS = 300  # a checkpoint is written at least this often, so that a kill costs little
seconds_now = time.monotonic  # the clock of runs by minutes; a benchmark may count CPU time instead


class TrainingDiverged(SimulacraError):
    """The run cannot continue from here, only from an earlier checkpoint."""

    def __init__(self, code: str, *, verdict: str, sign: Message | str, **values: Any) -> None:
        """verdict: its name in the journal. sign: the sentence that says what was observed."""
        super().__init__(code, sign=sign, **values)
        self.verdict, self.sign = verdict, sign


class Trainer:
    """A GAN in training, with its optimizers, average, balance and clock."""

    def __init__(
        self,
        gan: GAN,
        feed: Feed,
        folder: Path,
        *,
        seed: int,
        precision: str = "fp32",
        micro: int | None = None,
        about: dict[str, Any] | None = None,
        compiled: bool = False,
    ) -> None:
        self.gan, self.feed, self.folder, self.seed, self.about = gan, feed, folder, seed, about or {}
        self.device, self.config, self.bf16 = feed.device, gan.config, precision == "bf16"
        self.micro = largest_microbatch(self.config.batch, micro)
        check_players(gan)
        self.networks: dict[str, nn.Module] = {"D": gan.D, "G": gan.G}
        self.parameters = {player: list(network.parameters()) for player, network in self.networks.items()}
        self.losses: dict[str, Callable[[Batch], LossAndStats]] = {"D": gan.d_loss, "G": gan.g_loss}
        self.optimizers = gan.optimizers()
        self.rates = {player: [group["lr"] for group in o.param_groups] for player, o in self.optimizers.items()}
        single = self.micro * distributed.world() == self.config.batch  # microbatch in each process
        recorded = single and self.device.type == "cuda"
        options: dict[str, Any] = {"single": single, "bf16": self.bf16, "recorded": recorded}
        self.compiler = make_compiler(gan, self.backward, **options) if compiled else None
        steps = (self.compiler.step, self.compiler.prepare) if self.compiler else (self.backward, None)
        self.recorder = Recorder(gan, *steps) if recorded else None
        self.ema = EMA(gan.G, self.config.ema)
        self.rows = {"real", "fake", *gan.unreduced_stats}  # stats with a row a picture
        self.balance = balance.make(self.config.balance, critic=gan.critic)
        self.steps, self.nimg, self.seconds = {"D": 0, "G": 0}, 0, 0.0
        self.meter, self.loss_watch, self.flags = Meter(), LossWatch(self.device), SharedFlags(self.device)
        self.journal = Journal(folder / "journal.jsonl")

    # --- one step ---------------------------------------------------------------------------------------

    def step(self) -> None:
        """One step of one player: its loss on a batch, gradients, optimizer."""
        player = self.balance.next()
        parameters, optimizer, number = self.parameters[player], self.optimizers[player], sum(self.steps.values())

        # freeze the opponent and set what depends on time
        for name, network in self.networks.items():
            network.requires_grad_(name == player)
        for parameter in parameters:
            parameter.grad = None
        self.gan.on_step_start(self.nimg, self.steps)

        # forward and backward, averaged over the processes
        loss, stats = self.gradients(player, number)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        loss, stats = self.exchange(gradients, loss, stats)
        self.meter.add(f"{player.lower()}_norm", get_total_norm(gradients))

        # update the weights
        if self.config.clip:
            nn.utils.clip_grad_value_(parameters, self.config.clip)
        for group, rate in zip(optimizer.param_groups, self.rates[player], strict=True):
            group["lr"] = rate * self.gan.rate(self.steps[player])
            if betas := self.gan.momenta():
                group["betas"] = betas
        optimizer.step()

        # advance the clock; clamp D, or move the average of G
        self.steps[player] += 1
        self.nimg += self.config.batch if self.balance.uses_images(player) else 0
        if player == "D":
            self.gan.constrain()
        else:
            self.ema.update(self.nimg, self.gan.half_life())

        # report the stats
        self.balance.update(player, stats)
        self.gan.on_step_end(player, stats)
        reduced = {name: value for name, value in stats.items() if name not in self.gan.unreduced_stats}
        self.meter.add_step(player, loss, reduced, critic=self.gan.critic)
        if (diverged := self.loss_watch.add(number, loss)) is not None:
            raise self.diverged(Message("train.the_loss"), diverged)

    def gradients(self, player: str, step: int) -> LossAndStats:
        """Backward over this process's microbatches; returns their part of the mean loss, and their stats."""
        batch, micro, world = self.config.batch, self.microbatch(), distributed.world()
        graph = (self.recorder or self.compiler) if micro * world == batch else None
        parts: list[dict[str, Tensor]] = []
        for number, start, count in own_microbatches(batch, micro):
            key, share = random_key(self.seed, step, number), count / batch
            seed_all(self.device, key)
            reals = self.feed.batch(self.nimg + start, count)
            loss, stats = graph(player, reals, key) if graph else self.backward(player, reals, share * world)
            if share == 1:
                return loss, stats
            scaled = {name: value if name in self.rows else value * share for name, value in stats.items()}
            parts.append({"loss": loss * share} | scaled)
        joined = join(parts, self.rows)
        return joined.pop("loss"), joined

    def exchange(self, gradients: list[Tensor], loss: Tensor, stats: dict[str, Tensor]) -> LossAndStats:
        """Average gradients and all buffers, which would drift apart otherwise, and join the loss and the stats."""
        if distributed.world() == 1:
            return loss, stats
        shares = pictures_of_ranks(self.config.batch, self.microbatch())
        sent = {"loss": loss, "flags": self.flags.tensor()} | stats
        joined = distributed.reduce_step([*gradients, *self.gan.buffers()], sent, self.rows, shares)
        self.flags.arrived(joined.pop("flags"))
        return joined.pop("loss"), joined

    def microbatch(self) -> int:
        """Pictures of a microbatch now: `micro`, or a divisor of it that fits in memory by the GAN's word."""
        most = self.gan.max_microbatch()
        if most is None or most >= self.micro:
            return self.micro
        return next(count for count in range(max(1, most), 0, -1) if self.micro % count == 0)

    def backward(self, player: str, batch: Batch, share: float = 1.0) -> LossAndStats:
        """Loss and stats of a batch; adds `share` of its gradients to those of the parameters."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss, stats = self.losses[player](batch)
        (loss * share).backward()  # type: ignore[no-untyped-call]
        return loss.detach(), {name: value.detach() for name, value in stats.items()}

    def check_losses(self) -> None:
        """Raise `TrainingDiverged` when any loss so far was not finite."""
        if (diverged := self.loss_watch.first()) is not None:
            raise self.diverged(Message("train.the_loss"), diverged)

    def check_weights(self) -> None:
        """Raise `TrainingDiverged` when a weight is not finite: a finite loss can have gradients that are not."""
        values = [*self.gan.state_dict().values(), *self.ema.average.state_dict().values()]
        finite = torch.stack([torch.isfinite(value).all() for value in values if value.is_floating_point()])
        if not finite.all():
            raise self.diverged(Message("train.a_weight"), sum(self.steps.values()) - 1)

    def diverged(self, what: Message, step: int) -> TrainingDiverged:
        """The error for `what` being NaN or infinite after step number `step`."""
        sign = Message("train.not_finite", what=what, step=step, nimg=self.nimg)
        if existing := checkpoints(self.folder):
            return TrainingDiverged("train.diverged", verdict="diverged", sign=sign, checkpoint=existing[-1])
        return TrainingDiverged("train.diverged_early", verdict="diverged", sign=sign)

    # --- the loop ---------------------------------------------------------------------------------------

    def fit(
        self,
        clock: Clock,
        *,
        on_tick: Callable[[JournalLine], None],
        on_checkpoint: Callable[[bool], bool] = lambda measure: False,
        on_step: Callable[[], None] = lambda: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Step until the clock's end. True when it was reached, False when `should_stop()` came before.

        `on_tick(line)` is called with each journal line, `on_step()` after each step, and `on_checkpoint(measure)` after
        each checkpoint, with whether it is due to be scored; True from it ends the run.
        """
        began, before, self.waited, self.should_stop = seconds_now(), self.seconds, 0.0, should_stop
        self.flags.start()
        tick_at, tick_nimg, saved_at, previous = began, self.nimg, began, self.nimg

        def flags() -> list[bool]:
            now = seconds_now()
            over = clock.minutes is not None and self.seconds >= clock.minutes * 60
            late = clock.tick_seconds is not None and now - tick_at > clock.tick_seconds and self.nimg != tick_nimg
            return [should_stop(), over, now - saved_at > SAVE_SECONDS, late]

        while True:
            # 1. what is due? All processes must agree.
            stopped, over, stale, late = self.flags.agreed(flags)
            ended = over or (clock.total is not None and self.nimg >= clock.total)

            # 2. a journal line
            if late or self.nimg // clock.tick != previous // clock.tick or (ended and self.nimg != tick_nimg):
                self.check_losses()
                now = seconds_now()
                line = self.journal_line(images_per_second=(self.nimg - tick_nimg) / max(now - tick_at, 1e-9))
                tick_at, tick_nimg, self.meter = now, self.nimg, Meter()
                self.flags.forget()
                on_tick(line)

            # 3. a checkpoint
            measure = bool(clock.measure and (self.nimg // clock.measure != previous // clock.measure or ended))
            due = stale or measure or self.nimg // clock.save != previous // clock.save
            if self.nimg and (ended or stopped or (self.nimg != previous and due)):
                self.check_losses()
                self.check_weights()
                self.save()
                (enough,) = distributed.agree(on_checkpoint(measure))
                ended, saved_at = ended or enough, seconds_now()
                self.flags.forget()
            if ended or stopped:
                return ended

            # 4. a step
            previous = self.nimg
            self.flags.send(flags)
            self.step()
            on_step()
            self.seconds = before + seconds_now() - began - self.waited  # an observer may have waited

    def journal_line(self, *, images_per_second: float) -> JournalLine:
        """The clock, the means since the last line, the norms of the weights, speed and memory."""
        line: dict[str, Any] = {"nimg": self.nimg, "epoch": round(self.feed.epochs(self.nimg), 4)}
        line |= {"seconds": round(self.seconds, 3), "d_plays": self.steps["D"], "g_plays": self.steps["G"]}
        for player in self.parameters:
            self.meter.add(f"{player.lower()}_weight", get_total_norm(self.parameters[player]))
        line |= self.meter.read()
        for name, value in line.items():
            if not math.isfinite(value):
                raise self.diverged(Message("train.the_mean", name=name), sum(self.steps.values()) - 1)
        line |= {"images_per_second": round(images_per_second, 2)} | memory(self.device)
        return cast(JournalLine, line)

    # --- state ------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint, on the first process."""
        about = self.about | {"nimg": self.nimg}
        distributed.of_first(
            lambda: str(checkpoint.save(self.folder, self.nimg, self.ema, self.gan, self.state_dict(), about=about))
        )

    def state_dict(self) -> dict[str, Any]:
        """All that an exact resume needs."""
        return {
            "gan": self.gan.state_dict(),
            "ema": self.ema.average.state_dict(),
            "ema_nimg": self.ema.nimg,
            "optimizers": {player: optimizer.state_dict() for player, optimizer in self.optimizers.items()},
            "balance": self.balance.state_dict(),
            "compiled": dict(self.compiler.chosen) if self.compiler else {},
            "meter": {"sums": self.meter.sums, "counts": self.meter.counts},
            "plays": self.steps,
            "nimg": self.nimg,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`."""
        self.gan.load_state_dict(state["gan"])
        self.ema.average.load_state_dict(state["ema"])
        self.ema.nimg = state["ema_nimg"]
        for player, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][player])
        self.balance.load_state_dict(state["balance"])
        if self.compiler:
            self.compiler.chosen = dict(state["compiled"])
        self.meter.sums, self.meter.counts = state["meter"]["sums"], state["meter"]["counts"]
        self.loss_watch.clear()
        self.steps, self.nimg, self.seconds = dict(state["plays"]), state["nimg"], state["seconds"]
