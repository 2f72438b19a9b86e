"""`--compile`: a whole play - fakes, forward, penalty, gradients - as one compiled graph.

`torch.compile` around D cannot be differentiated twice, which a gradient penalty must. So the eager play is traced
below autograd first (`make_fx`), its gradients included, and only that flat graph is compiled: there is nothing
left in it to differentiate. (Never set `torch._dynamo.config.trace_autograd_ops` instead: it drops the
second-order terms of custom functions without a word.)

Compiling does not always pay, so each player's first play is timed both ways. The two differ in the last bits:
what was chosen is part of a checkpoint, and a run that goes on goes on the same way.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from simulacra.console import errors
from simulacra.errors import SimulacraError
from simulacra.gan import GAN, Batch
from simulacra.training import distributed

Outcome = tuple[Tensor, dict[str, Tensor]]  # a loss and its stats
TRIALS = 3  # plays timed each way


class Play:
    """One player's loss, stats and gradients on a batch, as one graph."""

    def __init__(self, gan: GAN, player: str, batch: Batch, *, bf16: bool) -> None:
        """Trace and compile. The opponent must be frozen; `batch` fixes all shapes."""
        parameters = list(gan.parameters())
        self.mine = [parameter for parameter in parameters if parameter.requires_grad]
        self.state = [*parameters, *gan.buffers()]
        # Traced on copies: tracing really plays, and would move the running statistics.
        graph = make_fx(_functional(gan, player, bf16))(batch, [tensor.detach().clone() for tensor in self.state])
        # Random numbers come from torch's own generators, so that they are eager's for the play's seed (but for
        # dropout, whose masks are cut from other draws).
        self.graph: Any = torch.compile(graph, fullgraph=True, dynamic=False, options={"fallback_random": True})

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Outcome:
        """Play: sets the gradients, moves the running statistics, returns the loss and the stats."""
        loss, stats, gradients = self.graph(batch, [tensor.detach() for tensor in self.state])
        for parameter, gradient in zip(self.mine, gradients, strict=True):
            # A fused optimizer walks both in memory order.
            same = gradient is None or gradient.stride() == parameter.stride()
            parameter.grad = gradient if same else torch.empty_like(parameter).copy_(gradient)
        return loss, stats


def _functional(gan: GAN, player: str, bf16: bool) -> Callable[[Batch, list[Tensor]], Any]:
    """The play as a function of the batch and of the game's parameters and buffers."""
    loss_of = _Loss(gan, player)
    names = [name for name, _ in loss_of.named_parameters()] + [name for name, _ in loss_of.named_buffers()]
    learning = [name for name, parameter in loss_of.named_parameters() if parameter.requires_grad]

    def play(batch: Batch, tensors: list[Tensor]) -> Any:
        state = dict(zip(names, tensors, strict=True))
        state |= {name: state[name].detach().requires_grad_() for name in learning}
        with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=bf16):
            loss, stats = torch.func.functional_call(loss_of, state, (batch,))
        gradients = torch.autograd.grad(loss, [state[name] for name in learning], allow_unused=True)
        return loss.detach(), {name: value.detach() for name, value in stats.items()}, gradients

    return play


class _Loss(nn.Module):
    """A game's loss as a module's forward, which is what `functional_call` calls."""

    def __init__(self, gan: GAN, player: str) -> None:
        super().__init__()
        self.gan, self.player = gan, player

    def forward(self, batch: Batch) -> Outcome:
        """The player's loss and stats."""
        return self.gan.d_loss(batch) if self.player == "D" else self.gan.g_loss(batch)


def compiler(gan: GAN, eager: Callable[[str, Batch], Outcome], *, micro: int, bf16: bool) -> Compiler | None:
    """A run's compiler, or None, said aloud, where compiling does not apply."""
    why = None
    if distributed.world() > 1:
        why = "a run of several processes"
    elif micro < gan.config.batch:
        why = "a batch played in parts (--micro)"
    elif type(gan).on_step_start is not GAN.on_step_start:
        why = f"{gan.name}: its losses change with time"
    if why is None:
        return Compiler(gan, eager, bf16=bf16)
    if distributed.rank() == 0:
        errors.print(f"--compile does not apply to {why}; training runs eagerly.", markup=False)
    return None


class Compiler:
    """Both players' compiled plays, and for each player which way was chosen."""

    def __init__(self, gan: GAN, eager: Callable[[str, Batch], Outcome], *, bf16: bool) -> None:
        self.gan, self.eager, self.bf16 = gan, eager, bf16
        self.chosen: dict[str, bool] = {}  # by player; empty until its first play
        self.plays: dict[str, Play] = {}

    def __call__(self, player: str, batch: Batch, seed: int) -> Outcome:
        """The player's turn on a batch, with its randomness from `seed`. Gradients must be clear."""
        if player not in self.chosen:
            self.choose(player, batch, seed)
        elif self.chosen[player] and player not in self.plays:
            self.build_again(player, batch)
        torch.manual_seed(seed)
        return self.plays[player](batch) if self.chosen[player] else self.eager(player, batch)

    def choose(self, player: str, batch: Batch, seed: int) -> None:
        """Time both ways; weights, buffers and gradients stay as they were."""
        began = time.monotonic()
        with self.undone():
            try:
                play = self.build(player, batch)
            except Exception as error:
                self.chosen[player] = False
                errors.print(f"{player}'s play cannot be compiled ({_first(error)}): it runs eagerly.", markup=False)
                return
            seconds = time.monotonic() - began
            ways: list[Callable[[Batch], Outcome]] = [play, lambda dealt: self.eager(player, dealt)]
            trials = [[self.timed(way, batch, seed) for way in ways] for _ in range(TRIALS)]
        mine, theirs = (min(times) for times in zip(*trials, strict=True))
        self.chosen[player] = mine < theirs
        if self.chosen[player]:
            self.plays[player] = play
        verdict = f"{theirs / mine:.2f}x as fast as eager, {'used' if self.chosen[player] else 'not used'}"
        errors.print(f"{player}'s play compiled in {seconds:.0f} s: {verdict}.", markup=False)

    def build(self, player: str, batch: Batch) -> Play:
        """Compile a player's play, and run it once: only then is it really compiled."""
        play = Play(self.gan, player, batch, bf16=self.bf16)
        play(batch)
        return play

    def build_again(self, player: str, batch: Batch) -> None:
        """Compile after a resume; eager plays would not end in the same weights."""
        with self.undone():
            try:
                self.plays[player] = self.build(player, batch)
            except Exception as error:
                raise SimulacraError(
                    f"This run was compiled so far, and {player}'s play cannot be compiled here ({_first(error)}): see "
                    "simulacra doctor for the compiler, or start a new run without --compile."
                ) from error

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """Puts buffers and gradients back."""
        kept = [(buffer, buffer.clone()) for buffer in self.gan.buffers()]
        try:
            yield
        finally:
            for buffer, before in kept:
                buffer.copy_(before)
            self.gan.zero_grad(set_to_none=True)

    def timed(self, play: Callable[[Batch], Outcome], batch: Batch, seed: int) -> float:
        """Seconds that one play takes."""
        self.gan.zero_grad(set_to_none=True)
        torch.manual_seed(seed)
        began = time.perf_counter()
        loss, _ = play(batch)
        if loss.device.type != "cpu":
            torch.accelerator.synchronize()
        return time.perf_counter() - began


def _first(error: Exception) -> str:
    """An error's first line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
