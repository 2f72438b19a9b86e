"""Several processes under torchrun: gradients are averaged by hand, one flat all-reduce after backward.

Nothing is wrapped, so double backward and several forwards a play just work. With one process, every
function here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


def start(device: torch.device) -> None:
    """Join the other processes when torchrun started several."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")


def stop() -> None:
    """Leave the group, if one was joined."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """This process's number; 0 writes files and speaks."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


@torch.no_grad()
def average(tensors: Iterable[Tensor]) -> None:
    """Replace each float tensor by its mean over the processes, in place, in one transfer."""
    held = [tensor for tensor in tensors if tensor.is_floating_point()]
    if world() == 1 or not held:
        return
    flat = torch.cat([tensor.float().flatten() for tensor in held])
    dist.all_reduce(flat)
    flat /= world()
    for tensor, mean in zip(held, torch.split(flat, [tensor.numel() for tensor in held]), strict=True):
        tensor.copy_(mean.view_as(tensor))


def average_play(player: nn.Module, game: nn.Module) -> None:
    """After backward: the player's gradients, and the game's buffers, which drift apart otherwise."""
    average([p.grad for p in player.parameters() if p.grad is not None] + list(game.buffers()))


def gather(tensor: Tensor) -> Tensor:
    """Every process's tensor [n] as one [world·n], the same everywhere."""
    if world() == 1:
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(world())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


def agree(*flags: bool) -> list[bool]:
    """Each flag is true everywhere if it is true anywhere: a Ctrl-C stops all processes at the same play."""
    if world() == 1:
        return list(flags)
    shared = torch.tensor(flags, dtype=torch.float32, device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return [bool(flag) for flag in shared.tolist()]


def barrier() -> None:
    """Wait for one another."""
    if world() > 1:
        dist.barrier()
