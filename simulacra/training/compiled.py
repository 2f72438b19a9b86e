"""`--compile`: a whole step - fakes, forward, penalty, gradients - as one compiled graph.

A gradient penalty differentiates D twice, which `torch.compile` around D does not allow. So the eager step is first
traced below autograd (`make_fx`), gradients included, and only that flat graph is compiled: nothing in it is left to
differentiate. (Never set `torch._dynamo.config.trace_autograd_ops` instead: it silently drops the second-order terms of
custom functions.)

The graph ends with the gradients of this process: the all-reduce and the optimizer come after it. On an NVIDIA GPU the
compiled step is recorded in turn, as eager ones are (`cuda_graphs.py`).

A GAN whose losses change with time has a graph for each of its graph keys, as on a GPU (`cuda_graphs.py`).

Compiling does not always pay, so the first step of each kind is timed both ways. The two differ in the last bits:
the choice is part of a checkpoint, and a resumed run keeps it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from simulacra import distributed
from simulacra.console import warn
from simulacra.errors import SimulacraError
from simulacra.gan import GAN, Batch
from simulacra.messages import Message
from simulacra.seeds import seed_all
from simulacra.training.cuda_graphs import EAGER, LossAndStats, Recording, first_line

TRIALS = 3  # steps timed each way


class CompiledStep:
    """One player's loss, stats and gradients on a batch, as one graph."""

    def __init__(self, gan: GAN, player: str, batch: Batch, *, bf16: bool) -> None:
        """Trace and compile. The opponent must be frozen; `batch` fixes all shapes."""
        parameters = list(gan.parameters())
        self.mine = [parameter for parameter in parameters if parameter.requires_grad]
        self.state = [*parameters, *gan.buffers()]
        # Traced on copies: tracing computes a step, which would change the running statistics.
        graph = make_fx(_functional(gan, player, bf16))(batch, [tensor.detach().clone() for tensor in self.state])
        # Random numbers come from torch's own generators: for one seed they equal those of the eager step, except for
        # dropout, which uses other draws.
        self.graph: Any = torch.compile(graph, fullgraph=True, dynamic=False, options={"fallback_random": True})

    @torch.no_grad()
    def __call__(self, batch: Batch) -> LossAndStats:
        """Set the gradients, update the running statistics, return the loss and the stats."""
        loss, stats, gradients = self.graph(batch, [tensor.detach() for tensor in self.state])
        for parameter, gradient in zip(self.mine, gradients, strict=True):
            parameter.grad = gradient
        return loss, stats


def _functional(gan: GAN, player: str, bf16: bool) -> Callable[[Batch, list[Tensor]], Any]:
    """The step as a function of the batch and of the GAN's parameters and buffers."""
    loss_of = _Loss(gan, player)
    names = [name for name, _ in loss_of.named_parameters()] + [name for name, _ in loss_of.named_buffers()]
    learning = [name for name, parameter in loss_of.named_parameters() if parameter.requires_grad]

    def step(batch: Batch, tensors: list[Tensor]) -> Any:
        state = dict(zip(names, tensors, strict=True))
        state |= {name: state[name].detach().requires_grad_() for name in learning}
        with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=bf16):
            loss, stats = torch.func.functional_call(loss_of, state, (batch,))
        gradients = torch.autograd.grad(loss, [state[name] for name in learning], allow_unused=True)
        return loss.detach(), {name: value.detach() for name, value in stats.items()}, gradients

    return step


def _with_player(step: Callable[[Batch], LossAndStats]) -> Callable[[str, Batch], LossAndStats]:
    """A step of one player in the form that a recording takes."""
    return lambda _, batch: step(batch)


class _Loss(nn.Module):
    """A GAN's loss as the forward of a module, which `functional_call` needs."""

    def __init__(self, gan: GAN, player: str) -> None:
        super().__init__()
        self.gan, self.player = gan, player

    def forward(self, batch: Batch) -> LossAndStats:
        """The player's loss and stats."""
        return self.gan.d_loss(batch) if self.player == "D" else self.gan.g_loss(batch)


def make_compiler(
    gan: GAN, eager: Callable[[str, Batch], LossAndStats], *, single: bool, bf16: bool, recorded: bool = False
) -> Compiler | None:
    """A run's compiler, or None, with a warning, where compiling does not apply. single: one microbatch in each process."""
    if not single:
        reason = Message("train.microbatches")
    elif gan.graph_key("D") is None and not gan.grows:
        reason = Message("train.losses_change", gan=gan.name)
    else:
        return Compiler(gan, eager, bf16=bf16, recorded=recorded)
    if distributed.rank() == 0:
        warn("train.compile_not_applicable", reason=reason)
    return None


class Compiler:
    """The compiled steps of a run, and for each kind of step whether it is used."""

    def __init__(
        self, gan: GAN, eager: Callable[[str, Batch], LossAndStats], *, bf16: bool, recorded: bool = False
    ) -> None:
        """recorded: a `Recorder` records the steps, so that recorded ones are timed."""
        self.gan, self.eager, self.bf16, self.recorded = gan, eager, bf16, recorded
        self.chosen: dict[str, bool] = {}  # by kind, from its first step on
        self.compiled: dict[str, CompiledStep] = {}

    def __call__(self, player: str, batch: Batch, seed: int) -> LossAndStats:
        """The player's step on a batch, with randomness from `seed`. Gradients must be clear."""
        self.prepare(player, batch, seed)
        seed_all(batch.images.device, seed)
        return self.step(player, batch)

    def prepare(self, player: str, batch: Batch, seed: int) -> None:
        """Choose how the step runs, and compile it, where that is not yet done."""
        if self.gan.graph_key(player) is None:
            return
        kind = self.kind(player)
        if kind not in self.chosen:
            self.choose(kind, player, batch, seed)
        elif self.chosen[kind] and kind not in self.compiled:
            self.build_again(kind, player, batch)

    def step(self, player: str, batch: Batch) -> LossAndStats:
        """The step as it was chosen, which a CUDA graph can record; eager between two levels of a GAN that grows."""
        if self.gan.graph_key(player) is not None and self.chosen[kind := self.kind(player)]:
            return self.compiled[kind](batch)
        return self.eager(player, batch)

    def kind(self, player: str) -> str:
        """`D`, or `D True` with a graph key, or `D True bare` while the augmentation rests."""
        key = self.gan.graph_key(player)
        return (player if key == () else f"{player} {key}") + ("" if self.gan.augment.active else " bare")

    def choose(self, kind: str, player: str, batch: Batch, seed: int) -> None:
        """Time both ways; weights, buffers and gradients stay as they were. All processes make the same choice."""
        began, step, reason, times = time.monotonic(), None, "", None
        with self.undone():
            try:
                step = self.build(player, batch)
            except Exception as error:
                reason = first_line(error)
            seconds = time.monotonic() - began
            if step is not None:
                ways = self.ways(step, player, batch)
                trials = [[self.timed(way, batch, seed) for way in ways] for _ in range(TRIALS)]
                times = [min(column) for column in zip(*trials, strict=True)]
        everyone = distributed.exchange([times, reason])
        if reasons := [reason for times, reason in everyone if times is None]:
            self.chosen[kind] = False
            self.report("train.not_compiled", player=player, reason=reasons[0])
            return
        compiled, eager = (max(column) for column in zip(*(times for times, _ in everyone), strict=True))
        self.chosen[kind] = compiled < eager
        if self.chosen[kind] and step is not None:
            self.compiled[kind] = step
        code = "train.compiled_used" if self.chosen[kind] else "train.compiled_not_used"
        self.report(code, player=player, seconds=seconds, speed=eager / compiled)

    def ways(self, step: CompiledStep, player: str, batch: Batch) -> list[Callable[[Batch], LossAndStats]]:
        """The compiled step and the eager one as the run will take them: recorded, where that is done and succeeds."""
        ways: list[Callable[[Batch], LossAndStats]] = [step, lambda batch: self.eager(player, batch)]
        if not self.recorded:
            return ways
        recordings: list[Callable[[Batch], LossAndStats]] = []
        try:
            for way in ways:
                for _ in range(EAGER):  # libraries choose and load their kernels
                    self.gan.zero_grad(set_to_none=True)
                    way(batch)
                self.gan.zero_grad(set_to_none=True)
                recordings.append(Recording(self.gan, _with_player(way), player, batch))
            return recordings
        except RuntimeError:  # the recorder will meet it, too, and say so
            torch.cuda.synchronize()
            return ways

    def report(self, code: str, **values: Any) -> None:
        """Print a sentence in the first process."""
        if distributed.rank() == 0:
            warn(code, **values)

    def build(self, player: str, batch: Batch) -> CompiledStep:
        """Compile a player's step, and run it once: only then does torch compile it."""
        step = CompiledStep(self.gan, player, batch, bf16=self.bf16)
        step(batch)
        return step

    def build_again(self, kind: str, player: str, batch: Batch) -> None:
        """Compile after a resume: eager steps would not lead to the same weights."""
        with self.undone():
            try:
                self.compiled[kind] = self.build(player, batch)
            except Exception as error:
                raise SimulacraError("train.not_compiled_again", player=player, reason=first_line(error)) from error

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """Restore buffers and clear gradients afterwards."""
        saved = [(buffer, buffer.clone()) for buffer in self.gan.buffers()]
        try:
            yield
        finally:
            for buffer, before in saved:
                buffer.copy_(before)
            self.gan.zero_grad(set_to_none=True)

    def timed(self, step: Callable[[Batch], LossAndStats], batch: Batch, seed: int) -> float:
        """Seconds of one step."""
        self.gan.zero_grad(set_to_none=True)
        seed_all(batch.images.device, seed)
        began = time.perf_counter()
        loss, _ = step(batch)
        if loss.device.type != "cpu":
            torch.accelerator.synchronize()
        return time.perf_counter() - began
