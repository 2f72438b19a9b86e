"""How fast features are: the whole way from packed pictures beside the bare network on ready tensors.

    python benchmarks/features.py

"Whole" takes uint8 pictures of 64 px from memory through the treatment, the resizing and the network to numpy;
"bare" is the same network in the same backend on 128 px tensors that lie ready, in batches of the same size. All
run in turns; the ratio is that of the medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from simulacra.data.dataset import Dataset
from simulacra.data.opening import open_domain
from simulacra.measure.extractors.features import Backend, Extractor, features_of, open_extractor, preprocess

PICTURES, TURNS, WANTED = 128, 9, 0.85


def batches(data: Dataset, size: int) -> list[Tensor]:
    """The pictures as the networks of this house see them, [-1, 1]."""
    packed = torch.from_numpy(np.array(data.images[:PICTURES])).permute(0, 3, 1, 2)
    return [packed[start : start + size].float() / 127.5 - 1 for start in range(0, PICTURES, size)]


def whole(extractor: Extractor, data: Dataset) -> Callable[[], object]:
    """From uint8 pictures in memory to numpy."""
    return lambda: features_of(extractor, batches(data, extractor.batch), PICTURES)


def bare(extractor: Extractor, data: Dataset) -> Callable[[], object]:
    """The network alone, on contiguous tensors in the layout that it is fastest with."""
    assert extractor.side
    layout = torch.channels_last if extractor.backend == "torch" else torch.contiguous_format
    side = (extractor.side, extractor.side)
    ready = [
        F.interpolate(preprocess(batch), side, mode="bicubic", antialias=True)
        for batch in batches(data, extractor.batch)
    ]
    ready = [batch.contiguous(memory_format=layout) for batch in ready]

    @torch.no_grad()
    def run() -> None:
        for batch in ready:
            extractor.network(batch)

    return run


def main() -> None:
    """Both backends, whole and bare."""
    data = open_domain("peeps").split("train")
    ways: dict[str, Callable[[], object]] = {}
    backends: tuple[Backend, ...] = ("torch", "onnxruntime")
    for backend in backends:
        extractor = open_extractor(backend=backend)
        ways |= {f"{backend}, whole": whole(extractor, data), f"{backend}, bare": bare(extractor, data)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TURNS):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    rates = {name: PICTURES / statistics.median(taken) for name, taken in seconds.items()}
    print(f"{PICTURES} pictures {data.shape[2]}x{data.shape[1]}, {torch.get_num_threads()} threads, {TURNS} turns")
    for name, rate in rates.items():
        print(f"  {name:20} {rate:6.0f} pictures/s")
    for backend in backends:
        ratio = rates[f"{backend}, whole"] / rates[f"{backend}, bare"]
        print(f"  {backend}: whole / bare {ratio:.2f} (at least {WANTED} is wanted)")
    print(f"  onnxruntime / torch, whole {rates['onnxruntime, whole'] / rates['torch, whole']:.2f}")


if __name__ == "__main__":
    main()
