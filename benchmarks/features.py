"""Speed of feature extraction: from packed pictures to numpy, against the bare network on prepared tensors.

    python benchmarks/features.py

"Whole" includes preprocessing and resizing of uint8 pictures of 64 px; "bare" runs the same network in the same backend
on 128 px tensors, in batches of the same size. All run in turns; the ratio is that of the medians.
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

PICTURES, TURNS, TARGET = 128, 9, 0.85


def batches(data: Dataset, size: int) -> list[Tensor]:
    """Batches of pictures in [-1, 1], as our networks take them."""
    packed = torch.from_numpy(np.array(data.images[:PICTURES])).permute(0, 3, 1, 2)
    return [packed[start : start + size].float() / 127.5 - 1 for start in range(0, PICTURES, size)]


def whole(extractor: Extractor, data: Dataset) -> Callable[[], object]:
    """From uint8 pictures in memory to numpy."""
    return lambda: features_of(extractor, batches(data, extractor.batch), PICTURES)


def bare(extractor: Extractor, data: Dataset) -> Callable[[], object]:
    """The network alone, on contiguous tensors in its fastest layout."""
    assert extractor.side
    layout = torch.channels_last if extractor.backend == "torch" else torch.contiguous_format
    side = (extractor.side, extractor.side)
    prepared = [
        F.interpolate(preprocess(batch), side, mode="bicubic", antialias=True)
        for batch in batches(data, extractor.batch)
    ]
    prepared = [batch.contiguous(memory_format=layout) for batch in prepared]

    @torch.no_grad()
    def run() -> None:
        for batch in prepared:
            extractor.network(batch)

    return run


def main() -> None:
    """Measure both backends, whole and bare."""
    data = open_domain("peeps").split("train")
    variants: dict[str, Callable[[], object]] = {}
    backends: tuple[Backend, ...] = ("torch", "onnxruntime")
    for backend in backends:
        extractor = open_extractor(backend=backend)
        variants |= {f"{backend}, whole": whole(extractor, data), f"{backend}, bare": bare(extractor, data)}
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(TURNS):
        for name, run in variants.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    rates = {name: PICTURES / statistics.median(times) for name, times in seconds.items()}
    print(f"{PICTURES} pictures {data.shape[2]}x{data.shape[1]}, {torch.get_num_threads()} threads, {TURNS} turns")
    for name, rate in rates.items():
        print(f"  {name:20} {rate:6.0f} pictures/s")
    for backend in backends:
        ratio = rates[f"{backend}, whole"] / rates[f"{backend}, bare"]
        print(f"  {backend}: whole / bare {ratio:.2f} (target: at least {TARGET})")
    print(f"  onnxruntime / torch, whole {rates['onnxruntime, whole'] / rates['torch, whole']:.2f}")


if __name__ == "__main__":
    main()
