"""Several processes under torchrun: gradients are averaged by hand, one flat all-reduce after backward.

Nothing is wrapped, so double backward and several forwards a step work as they are. With one process, every
function here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

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
    """This process's number; 0 writes files and prints."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


@torch.no_grad()
def average(tensors: Iterable[Tensor]) -> None:
    """Replace each float tensor by its mean over the processes, in place, in one transfer."""
    floats = [tensor for tensor in tensors if tensor.is_floating_point()]
    if world() == 1 or not floats:
        return
    flat = torch.cat([tensor.float().flatten() for tensor in floats])
    dist.all_reduce(flat)
    flat /= world()
    for tensor, mean in zip(floats, torch.split(flat, [tensor.numel() for tensor in floats]), strict=True):
        tensor.copy_(mean.view_as(tensor))


def average_step(gradients: list[Tensor], gan: nn.Module) -> None:
    """After backward: average the player's gradients, and all buffers, which would drift apart otherwise."""
    if world() > 1:
        average([*gradients, *gan.buffers()])


def join(parts: list[dict[str, Tensor]], whole: Collection[str]) -> dict[str, Tensor]:
    """Stats of microbatches, of all processes, as one: those named in `whole` [N, ...] in a row, the others summed."""
    if len(parts) == 1 and world() == 1:
        return parts[0]
    columns = {name: torch.cat([part[name].reshape(-1, *part[name].shape[1:]) for part in parts]) for name in parts[0]}
    gathered = {name: gather(value) for name, value in columns.items()}
    return {name: value if name in whole else value.sum() for name, value in gathered.items()}


def gather(tensor: Tensor) -> Tensor:
    """Every process's tensor [n] as one [world·n], the same everywhere."""
    if world() == 1:
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(world())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


def agree(*flags: bool) -> list[bool]:
    """Each flag, true if it is true in any process: so Ctrl-C stops all processes at the same step."""
    if world() == 1:
        return list(flags)
    shared = torch.tensor(flags, dtype=torch.float32, device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return [bool(flag) for flag in shared.tolist()]


def barrier() -> None:
    """Wait for one another."""
    if world() > 1:
        dist.barrier()
