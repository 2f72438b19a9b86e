"""On an NVIDIA GPU: a whole play - fakes, forward, penalty, gradients - recorded once as a CUDA graph and then replayed.

A play is hundreds of small kernels, and small networks wait for the processor to send them. A replay sends them all at
once. The kernels are those of the eager play, on its seeds' random numbers; what a game changes with time must be a
tensor, or be told by `GAN.graph_key`, as each phase has a recording of its own. See the CUDA Graphs notes of PyTorch.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

from simulacra.console import errors
from simulacra.gan import GAN, Batch

Outcome = tuple[Tensor, dict[str, Tensor]]  # a loss and its stats
Key = tuple[str, Hashable, int]  # player, phase, pictures
EAGER = 3  # plays of a phase before it is recorded: libraries choose and load their kernels in them
MOST = 16  # recordings, each of which holds the memory of a play


class Recording:
    """One player's play in one phase of the game."""

    def __init__(self, gan: GAN, eager: Callable[[str, Batch], Outcome], player: str, batch: Batch) -> None:
        """Record, without playing. Gradients must be clear, the opponent frozen; `batch` fixes all shapes."""
        self.mine = [parameter for parameter in gan.parameters() if parameter.requires_grad]
        images, labels, others = batch
        self.dealt = Batch(images.clone(), *(side if side is None else side.clone() for side in (labels, others)))
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.outcome = eager(player, self.dealt)
        self.gradients = [parameter.grad for parameter in self.mine]

    def __call__(self, batch: Batch) -> Outcome:
        """Play: sets the gradients, moves the running statistics, returns the loss and the stats."""
        for place, side in zip(self.dealt, batch, strict=True):
            if place is not None and side is not None:
                place.copy_(side, non_blocking=True)
        self.graph.replay()
        for parameter, gradient in zip(self.mine, self.gradients, strict=True):
            parameter.grad = gradient
        loss, stats = self.outcome  # the next replay writes into them
        return loss.clone(), {name: value.clone() for name, value in stats.items()}


class Recorder:
    """The recordings of a run, made when their phases come."""

    def __init__(self, gan: GAN, eager: Callable[[str, Batch], Outcome]) -> None:
        self.gan, self.eager = gan, eager
        self.recordings: dict[Key, Recording] = {}
        self.played: dict[Key, int] = {}
        self.works = True

    def __call__(self, player: str, batch: Batch, seed: int) -> Outcome:
        """The player's turn on a batch, with its randomness from `seed`. Gradients must be clear."""
        phase = self.gan.graph_key(player)
        key = (player, phase, len(batch.images))
        if self.works and phase is not None and key not in self.recordings:
            self.played[key] = self.played.get(key, 0) + 1
            if self.played[key] > EAGER and len(self.recordings) < MOST:
                self.record(key, player, batch)
        torch.manual_seed(seed)
        if key in self.recordings:
            return self.recordings[key](batch)
        try:
            return self.eager(player, batch)
        except torch.OutOfMemoryError:
            if not self.recordings:
                raise
        self.give_up(player, "the recordings leave too little memory for it")
        torch.manual_seed(seed)
        return self.eager(player, batch)

    def record(self, key: Key, player: str, batch: Batch) -> None:
        """Make a recording, or say why there is none and will be none."""
        try:
            self.recordings[key] = Recording(self.gan, self.eager, player, batch)
        except RuntimeError as error:  # too little memory is one, too
            torch.cuda.synchronize()
            self.give_up(player, (str(error).strip() or type(error).__name__).splitlines()[0])

    def give_up(self, player: str, why: str) -> None:
        """Play eagerly from here on; the numbers are the same. Frees the recordings, and clears gradients."""
        self.works = False
        self.recordings.clear()
        self.gan.zero_grad(set_to_none=True)
        gc.collect()
        torch.cuda.empty_cache()
        errors.print(
            f"{player}'s play cannot be recorded as a CUDA graph ({why}): training runs eagerly.", markup=False
        )
