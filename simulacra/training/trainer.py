"""The loop: play, tick, checkpoint, done?

The clock is images shown. All randomness and the order of the data are functions of (seed, play, micro-batch),
so an exact resume needs no random state, and the number of processes is not part of a run's identity.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from simulacra.data.feed import Feed
from simulacra.errors import SimulacraError
from simulacra.gan import GAN, Batch
from simulacra.storage import checkpoints
from simulacra.training import balance, checkpoint, distributed
from simulacra.training.compiled import Outcome, compiler
from simulacra.training.cuda_graphs import Recorder
from simulacra.training.ema import EMA
from simulacra.training.journal import Journal, Meter, memory

SAVE_SECONDS = 300  # at least this often a checkpoint is written, so that a kill costs little
seconds_now = time.monotonic  # the clock of runs by minutes; a benchmark may count CPU time instead
CHECK_EVERY = 32  # plays between looks at the losses on an accelerator, where each look makes it wait


@dataclass(frozen=True, kw_only=True)
class Clock:
    """When things happen, in images shown."""

    total: int | None  # the end, or None: train for `minutes`
    minutes: float | None
    tick: int  # a journal line and a preview
    tick_seconds: float | None = None  # the same, after so many seconds without
    save: int  # a checkpoint
    measure: int | None = None  # a checkpoint that is scored


class Unwell(SimulacraError):
    """The run cannot go on as it is: there is nothing to go on with but an earlier checkpoint."""

    def __init__(self, verdict: str, seen: str, then: str = "") -> None:
        """verdict: its name. seen, then: what was seen and what follows for a user, as sentences."""
        super().__init__(f"{seen} {then}".strip())
        self.verdict, self.seen = verdict, seen


class Trainer:
    """One run: the game, its players' optimizers, the average, the balance and the clock."""

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
        self.device, self.config = feed.device, gan.config
        self.bf16 = precision == "bf16"
        self.micro = micro or math.ceil(self.config.batch / distributed.world())
        if distributed.world() > 1 and self.config.batch % (self.micro * distributed.world()):
            raise SimulacraError(
                f"A batch of {self.config.batch} in parts of {self.micro} cannot be dealt evenly to {distributed.world()} "
                "processes: choose another batch, micro or number of processes."
            )
        self.sides: dict[str, nn.Module] = {"D": gan.D, "G": gan.G}
        self.losses: dict[str, Callable[..., tuple[Tensor, dict[str, Tensor]]]] = {
            "D": gan.d_loss,
            "G": gan.g_loss,
        }
        self.optimizers = gan.optimizers()
        self.rates = {player: [group["lr"] for group in o.param_groups] for player, o in self.optimizers.items()}
        self.compiler = compiler(gan, self.backward, micro=self.micro, bf16=self.bf16) if compiled else None
        whole = self.micro >= self.config.batch and distributed.world() == 1 and self.compiler is None
        self.recorder = Recorder(gan, self.backward) if whole and self.device.type == "cuda" else None
        self.ema = EMA(gan.G, self.config.ema)
        self.balance = balance.make(self.config.balance, critic=gan.critic)
        self.steps = {"D": 0, "G": 0}
        self.nimg, self.seconds = 0, 0.0
        self.meter, self.unread = Meter(), list[tuple[int, Tensor]]()
        self.journal = Journal(folder / "journal.jsonl")

    # --- one play ---------------------------------------------------------------------------------------

    def step(self) -> None:
        """One player's turn: its loss on one batch, its gradients, its step."""
        player = self.balance.next()
        side, step = self.sides[player], sum(self.steps.values())
        for name, network in self.sides.items():
            network.requires_grad_(name == player)
        side.zero_grad(set_to_none=True)
        self.gan.on_step_start(self.nimg, self.steps)
        loss, stats = self.gradients(player, step)
        distributed.average_play(side, self.gan)
        self.meter.add(
            f"{player.lower()}_norm", get_total_norm([p.grad for p in side.parameters() if p.grad is not None])
        )
        if self.config.clip:
            nn.utils.clip_grad_value_(side.parameters(), self.config.clip)
        optimizer = self.optimizers[player]
        for group, rate in zip(optimizer.param_groups, self.rates[player], strict=True):
            group["lr"] = rate * self.gan.rate(self.steps[player])
            if betas := self.gan.momenta():
                group["betas"] = betas
        optimizer.step()
        self.steps[player] += 1
        shown = self.config.batch if self.balance.shows(player) else 0
        self.nimg += shown
        if player == "D":
            self.gan.constrain()
        else:
            self.ema.update(self.nimg, self.gan.half_life())
        self.balance.update(player, stats)
        self.gan.on_step_end(player, stats)
        told = {name: value for name, value in stats.items() if name not in self.gan.unreduced_stats}
        self.meter.add_play(player, loss, told, critic=self.gan.critic)
        self.watch(step, loss)

    def gradients(self, player: str, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Backward over this process's micro-batches; the mean loss and the stats of all of them."""
        batch, part, parts = self.config.batch, self.part(), list[dict[str, Tensor]]()
        whole = {"real", "fake", *self.gan.unreduced_stats}
        if self.compiler is not None:
            return self.compiler(player, self.feed.batch(self.nimg, batch), _key(self.seed, step, 0))
        if self.recorder is not None and part >= batch:
            return self.recorder(player, self.feed.batch(self.nimg, batch), _key(self.seed, step, 0))
        starts = range(0, batch, part)
        for i, start in list(enumerate(starts))[distributed.rank() :: distributed.world()]:
            count = min(part, batch - start)
            torch.manual_seed(_key(self.seed, step, i))
            share = count / batch
            dealt = self.feed.batch(self.nimg + start, count)
            loss, seen = self.backward(player, dealt, share * distributed.world())
            parts.append(
                {"loss": loss * share}
                | {name: value if name in whole else value * share for name, value in seen.items()}
            )
        if len(parts) == 1 and distributed.world() == 1:
            joined = parts[0]
        else:
            columns = {
                name: torch.cat([part[name].reshape(-1, *part[name].shape[1:]) for part in parts]) for name in parts[0]
            }
            gathered = {name: distributed.gather(value) for name, value in columns.items()}
            joined = {name: value if name in whole else value.sum() for name, value in gathered.items()}
        return joined.pop("loss"), joined

    def part(self) -> int:
        """Pictures of a micro-batch at this moment: as `micro` says, or a divisor of it that the game says fits."""
        fits = self.gan.max_microbatch()
        if fits is None or fits >= self.micro:
            return self.micro
        return next(count for count in range(max(1, fits), 0, -1) if self.micro % count == 0)

    def backward(self, player: str, batch: Batch, share: float = 1.0) -> Outcome:
        """The loss and the stats of a batch; adds its `share` of the gradients."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss, stats = self.losses[player](batch)
        (loss * share).backward()  # type: ignore[no-untyped-call]
        return loss.detach(), {name: value.detach() for name, value in stats.items()}

    def watch(self, step: int, loss: Tensor) -> None:
        """Stop at once when a loss is not finite, and say at which play it happened."""
        self.unread.append((step, loss))
        if self.device.type == "cpu" or len(self.unread) >= CHECK_EVERY:
            self.look()

    def look(self) -> None:
        """Read the losses not looked at yet."""
        if not self.unread:
            return
        finite = torch.isfinite(torch.stack([loss for _, loss in self.unread])).tolist()
        steps, self.unread = [step for step, _ in self.unread], []
        if not all(finite):
            raise self.broken("The loss", steps[finite.index(False)])

    def look_at_weights(self) -> None:
        """Before a checkpoint: a finite loss may have had a gradient that was not, and a step may have overflowed."""
        held = [*self.gan.state_dict().values(), *self.ema.average.state_dict().values()]
        finite = torch.stack([torch.isfinite(value).all() for value in held if value.is_floating_point()])
        if not finite.all():
            raise self.broken("A weight", sum(self.steps.values()) - 1)

    def broken(self, what: str, step: int) -> Unwell:
        """What to say when `what` is not finite after play number `step`."""
        kept = checkpoints(self.folder)
        back = f"The last good checkpoint is {kept[-1]}" if kept else "No checkpoint was written yet"
        return Unwell(
            "diverged",
            f"{what} became NaN or infinite at play {step} ({self.nimg} images).",
            f"Training has stopped. {back}; try a smaller lr, or precision fp32, in a new run, or --rollback 3, which lets "
            "this one try other seeds.",
        )

    # --- the run ----------------------------------------------------------------------------------------

    def train(
        self,
        clock: Clock,
        *,
        tick: Callable[[dict[str, Any]], None],
        saved: Callable[[bool], bool] = lambda measure: False,
        played: Callable[[], None] = lambda: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Play until the clock's end. True when it was reached, False when `stop()` asked for a halt before.

        `tick(line)` is called with each journal line, `played()` after each play, and `saved(measure)` after each
        checkpoint, with whether it is due to be scored: True from it ends the run.
        """
        began, before = seconds_now(), self.seconds
        last, mark, kept = (began, self.nimg), self.nimg, began
        while True:
            over = clock.minutes is not None and self.seconds >= clock.minutes * 60
            now = seconds_now()
            late = clock.tick_seconds is not None and now - last[0] > clock.tick_seconds and self.nimg != last[1]
            halted, over, timely, late = distributed.agree(stop(), over, now - kept > SAVE_SECONDS, late)
            ended = over or (clock.total is not None and self.nimg >= clock.total)
            due = late or self.nimg // clock.tick != mark // clock.tick or (ended and self.nimg != last[1])
            if due:
                self.look()
                now = seconds_now()
                line = self.line((self.nimg - last[1]) / max(now - last[0], 1e-9))
                last, self.meter = (now, self.nimg), Meter()
                tick(line)
            measure = clock.measure is not None and (self.nimg // clock.measure != mark // clock.measure or ended)
            timely = timely or measure or self.nimg // clock.save != mark // clock.save
            if self.nimg and (ended or halted or (self.nimg != mark and timely)):
                self.look()
                self.look_at_weights()
                self.save()
                (enough,) = distributed.agree(saved(measure))
                ended, kept = ended or enough, seconds_now()
            if ended or halted:
                return ended
            mark = self.nimg
            self.step()
            played()
            self.seconds = before + seconds_now() - began

    def line(self, speed: float) -> dict[str, Any]:
        """A journal line: the clock, the means since the last one, the size of the weights, speed and memory."""
        line: dict[str, Any] = {"nimg": self.nimg, "epoch": round(self.feed.passes(self.nimg), 4)}
        line |= {"seconds": round(self.seconds, 3), "d_plays": self.steps["D"], "g_plays": self.steps["G"]}
        for player, side in self.sides.items():
            self.meter.add(f"{player.lower()}_weight", get_total_norm(side.parameters()))
        line |= self.meter.read()
        for name, value in line.items():
            if not math.isfinite(value):
                raise self.broken(f"The mean of {name}", sum(self.steps.values()) - 1)
        return line | {"images_per_second": round(speed, 2), "memory_mib": memory(self.device)}

    def save(self) -> None:
        """Write a checkpoint of this moment, on the first process."""
        if distributed.rank() == 0:
            checkpoint.save(
                self.folder,
                self.nimg,
                self.ema,
                self.state_dict(),
                gan=self.gan.name,
                config=self.config,
                about=self.about | {"nimg": self.nimg},
            )
        distributed.barrier()

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
        """Go on from `state_dict()`; the journal is cut back to that moment."""
        self.gan.load_state_dict(state["gan"])
        self.ema.average.load_state_dict(state["ema"])
        self.ema.nimg = state["ema_nimg"]
        for player, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][player])
        self.balance.load_state_dict(state["balance"])
        if self.compiler:
            self.compiler.chosen = dict(state["compiled"])
        self.meter.sums, self.meter.counts = state["meter"]["sums"], state["meter"]["counts"]
        self.unread = []
        self.steps, self.nimg, self.seconds = dict(state["plays"]), state["nimg"], state["seconds"]


def _key(seed: int, step: int, micro: int) -> int:
    """A 63-bit seed for a play's randomness."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{step}/{micro}".encode(), digest_size=8).digest()) >> 1
