"""On an NVIDIA GPU: a whole step - fakes, forward, penalty, gradients - recorded once as a CUDA graph and then replayed.

A step is hundreds of small kernels, and small networks wait for the processor to launch them. A replay launches them
all at once. The kernels are those of the eager step, with the same random numbers. What a GAN changes with time must be
a tensor, or part of `GAN.graph_key`: each key has its own recording. A recording ends with the gradients of this process:
the all-reduce and the optimizer come after it. See the CUDA Graphs notes of PyTorch.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from simulacra import distributed
from simulacra.console import warn
from simulacra.gan import GAN, Batch
from simulacra.messages import Message

LossAndStats = tuple[Tensor, dict[str, Tensor]]
Key = tuple[str, tuple[Any, bool], int]  # player, the GAN's graph key and whether pictures are augmented, pictures
EAGER = 3  # steps of a key before it is recorded: libraries choose and load their kernels in them
MOST = 16  # recordings, each of which holds the memory of a step


class Recording:
    """One player's step for one graph key."""

    def __init__(self, gan: GAN, eager: Callable[[str, Batch], LossAndStats], player: str, batch: Batch) -> None:
        """Record without computing. Gradients must be clear, the opponent frozen; `batch` fixes all shapes."""
        self.mine = [parameter for parameter in gan.parameters() if parameter.requires_grad]
        images, labels, others = batch
        self.inputs = Batch(images.clone(), *(side if side is None else side.clone() for side in (labels, others)))
        self.graph = torch.cuda.CUDAGraph()
        # "global" forbids the calls that NCCL's watchdog makes in a thread of its own
        mode = "thread_local" if distributed.world() > 1 else "global"
        with torch.cuda.graph(self.graph, capture_error_mode=mode):
            self.outputs = eager(player, self.inputs)
        self.gradients = [parameter.grad for parameter in self.mine]

    def __call__(self, batch: Batch) -> LossAndStats:
        """Set the gradients, update the running statistics, return the loss and the stats."""
        for place, side in zip(self.inputs, batch, strict=True):
            if place is not None and side is not None:
                place.copy_(side, non_blocking=True)
        self.graph.replay()
        for parameter, gradient in zip(self.mine, self.gradients, strict=True):
            parameter.grad = gradient
        loss, stats = self.outputs  # the next replay writes into them
        return loss.clone(), {name: value.clone() for name, value in stats.items()}


class Recorder:
    """The recordings of a run, made when their keys first come."""

    def __init__(
        self,
        gan: GAN,
        eager: Callable[[str, Batch], LossAndStats],
        prepare: Callable[[str, Batch, int], None] | None = None,
    ) -> None:
        """eager: what is recorded, a step of the compiler or an eager one. prepare: called before each that is not recorded."""
        self.gan, self.eager, self.prepare = gan, eager, prepare
        self.recordings: dict[Key, Recording] = {}
        self.eager_steps: dict[Key, int] = {}
        self.usable = True

    def __call__(self, player: str, batch: Batch, seed: int) -> LossAndStats:
        """The player's step on a batch, with randomness from `seed`. Gradients must be clear."""
        graph_key = self.gan.graph_key(player)
        key = (player, (graph_key, self.gan.augment.active), len(batch.images))
        if self.prepare and key not in self.recordings:
            self.prepare(player, batch, seed)
        if self.usable and graph_key is not None and key not in self.recordings:
            self.eager_steps[key] = self.eager_steps.get(key, 0) + 1
            if self.gan.grows:  # recordings of lower levels are not used again
                self.recordings = {other: r for other, r in self.recordings.items() if level(other) == level(key)}
            if self.eager_steps[key] > EAGER and len(self.recordings) < MOST:
                self.record(key, player, batch)
        torch.manual_seed(seed)
        if key in self.recordings:
            return self.recordings[key](batch)
        try:
            return self.eager(player, batch)
        except torch.OutOfMemoryError:
            if not self.recordings:
                raise
        self.give_up(player, Message("train.recordings_fill_memory"))
        torch.manual_seed(seed)
        return self.eager(player, batch)

    def record(self, key: Key, player: str, batch: Batch) -> None:
        """Make a recording; where that fails, warn and make none from here on."""
        try:
            self.recordings[key] = Recording(self.gan, self.eager, player, batch)
        except RuntimeError as error:  # out of memory is one, too
            torch.cuda.synchronize()
            self.give_up(player, first_line(error))

    def give_up(self, player: str, reason: Message | str) -> None:
        """Run eagerly from here on, with the same results: free the recordings and clear gradients."""
        self.usable = False
        self.recordings.clear()
        self.gan.zero_grad(set_to_none=True)
        gc.collect()
        torch.cuda.empty_cache()
        warn("train.not_recorded", player=player, reason=reason)


def level(key: Key) -> object:
    """The level in the key of a recording of a GAN that grows."""
    (graph_key, _) = key[1]
    return graph_key[0]


def first_line(error: Exception) -> str:
    """The first line of an error's text, or its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
