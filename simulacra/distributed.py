"""Several processes under torchrun: they share the work of training and of scores.

Gradients are averaged by hand, in one flat all-reduce after backward, with which everything travels that a step exchanges.

Nothing is wrapped, so double backward and several forwards a step work as they are. With one process, every
function here does nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

import simulacra
from simulacra.errors import SimulacraError
from simulacra.messages import Message
from simulacra.rendezvous import connect, connection

CHUNK = 1 << 26  # bytes sent at once

Value = TypeVar("Value")


def start(device: torch.device) -> None:
    """Join the other processes when torchrun started several.

    Raises `SimulacraError` where they run other code, another torch or on another kind of device.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        facts = {"simulacra": _code_version(), "torch": torch.__version__, "device": device.type}
        refuse_differences(connect(device, facts))


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
    reduce_step(tensors, {})


@torch.no_grad()
def reduce_step(
    means: Iterable[Tensor], stats: dict[str, Tensor], rows: Collection[str] = (), shares: Sequence[int] = ()
) -> dict[str, Tensor]:
    """One all-reduce for all that a step exchanges; returns the stats of all processes.

    means: float tensors, replaced by their means in place; others are left alone. stats: added up, except for those named
    in `rows` [n, ...], which are put in a row by rank. shares: pictures of each process, to which its rows are proportional.
    """
    floats = [tensor for tensor in means if tensor.is_floating_point()]
    if world() == 1 or not (floats or stats):
        return stats
    parts = [tensor.float().flatten() for tensor in floats]
    for name, value in stats.items():
        parts.append(_placed(value, shares) if name in rows else value.float().flatten())
    flat = torch.cat(parts)
    with connection():
        dist.all_reduce(flat)
    received = list(torch.split(flat, [part.numel() for part in parts]))
    if floats:
        flat[: sum(tensor.numel() for tensor in floats)] /= world()
        torch._foreach_copy_(floats, [mean.view_as(tensor) for tensor, mean in zip(floats, received, strict=False)])
    totals = {}
    for (name, value), total in zip(stats.items(), received[len(floats) :], strict=True):
        totals[name] = _unplaced(total, value) if name in rows else total.view_as(value).to(value.dtype)
    return totals


def _placed(value: Tensor, shares: Sequence[int]) -> Tensor:
    """This process's rows between zeros for those of the others: added up, they are all rows. Exact for every dtype."""
    flat = value.contiguous().flatten()
    flat = flat.float() if _fits_float(value) else flat.view(torch.uint8).float()
    each = flat.numel() // shares[rank()]
    return pad(flat, (each * sum(shares[: rank()]), each * sum(shares[rank() + 1 :])))


def _unplaced(flat: Tensor, like: Tensor) -> Tensor:
    """The rows of all processes, with the dtype and the columns of this process's own."""
    flat = flat.to(like.dtype) if _fits_float(like) else flat.to(torch.uint8).view(like.dtype)
    return flat.view(-1, *like.shape[1:])


def _fits_float(value: Tensor) -> bool:
    """Whether float32 holds every value of the tensor's dtype."""
    return value.dtype in (torch.float32, torch.bfloat16, torch.float16)


def gather(tensor: Tensor) -> Tensor:
    """Every process's tensor [n] as one [world·n], the same everywhere."""
    if world() == 1:
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(world())]
    with connection():
        dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


def agree(*flags: bool) -> list[bool]:
    """Each flag, true if it is true in any process: so Ctrl-C stops all processes at the same step."""
    if world() == 1:
        return list(flags)
    shared = torch.tensor(flags, dtype=torch.float32, device=_device())
    with connection():
        dist.all_reduce(shared, dist.ReduceOp.MAX)
    return [bool(flag) for flag in shared.tolist()]


def barrier() -> None:
    """Wait for one another."""
    if world() > 1:
        with connection():
            dist.barrier()


# --- one for all --------------------------------------------------------------------------------------------------


def exchange(value: Any) -> list[Any]:
    """Every process's value, which JSON can hold, by rank."""
    if world() == 1:
        return [value]
    content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8).to(_device())
    sizes = gather(torch.tensor([len(content)], device=content.device)).tolist()
    rows = gather(pad(content, (0, max(sizes) - len(content)))).cpu().view(world(), -1)
    return [json.loads(row[:size].numpy().tobytes()) for row, size in zip(rows, sizes, strict=True)]


def together(work: Callable[[], Value]) -> Value:
    """`work()` in every process; where one of them raises a `SimulacraError`, all do."""
    error: SimulacraError | None = None
    value: list[Value] = []
    try:
        value.append(work())
    except SimulacraError as caught:
        if world() == 1:
            raise
        error = caught
    try:
        sentences = exchange(str(error) if error else None)
    finally:
        if error:
            raise error
    for other, sentence in enumerate(sentences):
        if sentence is not None:
            raise SimulacraError("train.failed_elsewhere", rank=other, sentence=sentence)
    return value[0]


def of_first(work: Callable[[], Value]) -> Value:
    """What `work()` returns in the first process, which alone runs it. JSON must be able to hold it."""
    mine = together(lambda: work() if rank() == 0 else None)
    value: Value = exchange(mine)[0]
    return value


def refuse_differences(facts: Sequence[dict[str, Any]]) -> None:
    """Raise `SimulacraError` that names each fact, and the values it has in which processes. facts: by rank."""
    differing = []
    for name in dict.fromkeys(name for known in facts for name in known):
        ranks: dict[str, list[int]] = {}
        for process, known in enumerate(facts):
            ranks.setdefault(str(known.get(name)), []).append(process)
        if len(ranks) > 1:
            values = [
                Message("train.value_in", value=value, ranks=there, count=len(there)) for value, there in ranks.items()
            ]
            differing.append(Message("train.differing", name=name, values=values))
    if differing:
        raise SimulacraError("train.processes_differ", differing=differing)


def copy_first(
    state_dict: Callable[[], dict[str, Any]], load_state_dict: Callable[[dict[str, Any]], Any], device: torch.device
) -> None:
    """Load the state of the first process in all others."""
    if world() == 1:
        return
    content = torch.empty(0, dtype=torch.uint8)
    if rank() == 0:
        buffer = io.BytesIO()
        torch.save(state_dict(), buffer)
        content = torch.frombuffer(buffer.getbuffer(), dtype=torch.uint8)
    size = of_first(lambda: len(content))
    received = _broadcast(content, size, 0)
    if rank():
        load_state_dict(torch.load(io.BytesIO(received), map_location=device, weights_only=True))


def _broadcast(content: Tensor, size: int, source: int) -> bytearray:
    """`size` bytes of the process `source`, a `CHUNK` at a time; empty in that process. content: the bytes there."""
    received = bytearray()
    for begin in range(0, size, CHUNK):
        count = min(CHUNK, size - begin)
        part = content[begin : begin + count] if rank() == source else torch.empty(count, dtype=torch.uint8)
        part = part.to(_device())
        with connection():
            dist.broadcast(part, source)
        received += part.cpu().numpy().tobytes() if rank() != source else b""
    return received


# --- work that is shared ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def group(device: torch.device) -> Iterator[None]:
    """Join the other processes for the block, as `start` does, unless they are joined already."""
    joined = not dist.is_initialized()
    start(device)
    try:
        yield
        if joined:
            barrier()  # torchrun restarts no process that has ended
    finally:
        if joined:
            stop()


def share(total: int, block: int) -> tuple[int, int]:
    """(start, stop) of this process's part of `total` things: whole blocks, as the last of all may not be."""
    blocks = math.ceil(total / block)
    start, stop = (blocks * number // world() * block for number in (rank(), rank() + 1))
    return min(start, total), min(stop, total)


def progress_of_all(advance: Callable[[int], object], own: int, total: int) -> Callable[[int], None]:
    """`advance` for this process's `own` of `total` things: it counts as if the others were as far."""
    done = 0

    def advance_own(count: int) -> None:
        nonlocal done
        before, done = done, done + count
        advance(round(done * total / own) - round(before * total / own))

    return advance_own


def rows_of_all(rows: NDArray[Any], at_once: int = 1 << 12) -> Iterator[NDArray[Any]]:
    """The rows [n, ...] of every process by rank, at most `at_once` at a time: equal bits everywhere."""
    if world() == 1:
        yield rows
        return
    for source, shape in enumerate(exchange(list(rows.shape))):
        for begin in range(0, shape[0], at_once):
            part = np.ascontiguousarray(rows[begin : begin + at_once])
            content = torch.from_numpy(part.reshape(-1).view(np.uint8))
            shape_of_part = (min(at_once, shape[0] - begin), *shape[1:])
            received = _broadcast(content, math.prod(shape_of_part) * rows.itemsize, source)
            yield part if source == rank() else np.frombuffer(received, rows.dtype).reshape(shape_of_part)


def _device() -> str:
    """Where a tensor must be to be sent."""
    return "cuda" if dist.is_initialized() and dist.get_backend() == "nccl" else "cpu"


def _code_version() -> str:
    """The version of the package, and the start of a hash of its code."""
    digest, folder = hashlib.sha256(), Path(simulacra.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{simulacra.__version__} ({digest.hexdigest()[:12]})"
