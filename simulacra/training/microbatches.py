"""How a batch is split: into microbatches, which the processes take in turns, each with randomness of its own."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterator

import torch
from torch import Tensor

from simulacra import distributed
from simulacra.errors import SimulacraError


def largest_microbatch(batch: int, limit: int | None) -> int:
    """Pictures of a microbatch: at most `limit`, and so few that each process has one. Raises `SimulacraError` if none can."""
    processes = distributed.world()
    if batch < processes:
        raise SimulacraError("train.small_batch", batch=batch, processes=processes)
    micro = min(limit or batch, math.ceil(batch / processes))
    return micro if math.ceil(batch / micro) >= processes else batch // processes


def own_microbatches(batch: int, micro: int) -> Iterator[tuple[int, int, int]]:
    """(number, first picture, pictures) of each microbatch of this process."""
    starts = list(enumerate(range(0, batch, micro)))
    for number, start in starts[distributed.rank() :: distributed.world()]:
        yield number, start, min(micro, batch - start)


def pictures_of_ranks(batch: int, micro: int) -> list[int]:
    """The pictures of a batch that each process has, by rank."""
    counts = [min(micro, batch - start) for start in range(0, batch, micro)]
    return [sum(counts[rank :: distributed.world()]) for rank in range(distributed.world())]


def random_key(seed: int, step: int, micro: int) -> int:
    """A 63-bit seed for the randomness of one microbatch."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{step}/{micro}".encode(), digest_size=8).digest()) >> 1


def join(parts: list[dict[str, Tensor]], rows: Collection[str]) -> dict[str, Tensor]:
    """Stats of microbatches as one: those named in `rows` [n, ...] in a row, the others added up."""
    columns = {name: torch.cat([part[name].reshape(-1, *part[name].shape[1:]) for part in parts]) for name in parts[0]}
    return {name: value if name in rows else value.sum() for name, value in columns.items()}
