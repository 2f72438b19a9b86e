"""`simulacra score`: its rate against the bare network's, and its memory for many pictures.

    python benchmarks/score.py
    python benchmarks/score.py --memory 10000 100000

The rate is that of a folder of PNGs of 64 px: reading, decoding, hashing, features and small versions, by CPU time. "Bare"
is the extractor on the same pictures, decoded and in memory, in batches of the same size; "network" leaves out its
preprocessing and resizing, too. All run in turns in one process of one thread; the ratio is that of the medians.

The memory is the peak of one process that compares two sets of N random features of the built-in extractor's widths: all
scores with their intervals and floors, as `score` computes them. Pages of mapped files, which the system takes back when
it needs them, are counted apart.
"""

from __future__ import annotations

import argparse
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from simulacra.data.opening import open_domain
from simulacra.measure import scores
from simulacra.measure.extractors.features import Extractor, open_extractor, pictures_of, preprocess
from simulacra.measure.measured_set import Rows, measure
from simulacra.measure.metrics import feature_metrics
from simulacra.measure.picture_sets import open_set

PICTURES, TURNS, TARGET = 256, 7, 0.85


def bare(extractor: Extractor) -> Callable[[], object]:
    """The extractor on decoded pictures."""
    batches = list(pictures_of(open_domain("peeps").split("train"), np.arange(PICTURES), extractor.batch))

    def run() -> None:
        for batch in batches:
            extractor(batch)

    return run


def network(extractor: Extractor) -> Callable[[], object]:
    """The network alone, on contiguous tensors of its own size."""
    assert extractor.side
    side, data = (extractor.side, extractor.side), open_domain("peeps").split("train")
    batches = pictures_of(data, np.arange(PICTURES), extractor.batch)
    ready = [F.interpolate(preprocess(x), side, mode="bicubic", antialias=True).contiguous() for x in batches]

    @torch.no_grad()
    def run() -> None:
        for batch in ready:
            extractor.network(batch)

    return run


def whole(extractor: Extractor, folder: Path) -> Callable[[], object]:
    """From files to features."""
    for i, picture in enumerate(open_domain("peeps").split("train").images[:PICTURES]):
        Image.fromarray(picture).save(folder / f"{i:04d}.png")

    def run() -> None:
        with open_set(folder, samples=PICTURES) as pictures, tempfile.TemporaryDirectory() as scratch:
            measure(pictures, (64, 64), (PICTURES, 0), extractor, Path(scratch) / "set", lambda n: None)

    return run


def rate() -> None:
    """Print the rates and the ratio of the first two."""
    torch.set_num_threads(1)
    extractor = open_extractor()
    with tempfile.TemporaryDirectory() as folder:
        runs = {"whole": whole(extractor, Path(folder)), "bare": bare(extractor), "network": network(extractor)}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(TURNS):
            for name, run in runs.items():
                start = time.process_time()
                run()
                seconds[name].append(time.process_time() - start)
    rates = {name: PICTURES / statistics.median(times) for name, times in seconds.items()}
    for name, number in rates.items():
        print(f"{name:7} {number:6.0f} pictures a CPU second")
    print(f"whole / bare {rates['whole'] / rates['bare']:.2f} (target: at least {TARGET})")


def memory(n: int) -> None:
    """Print the peak of this process while two sets of `n` features are scored."""
    peaks = {"RssAnon": 0, "RssFile": 0}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for line in Path("/proc/self/status").read_text().splitlines():
                key, _, value = line.partition(":")
                if key in peaks:
                    peaks[key] = max(peaks[key], int(value.split()[0]))

    extractor, start = open_extractor(), time.process_time()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        sets = []
        for name in ("reals", "fakes"):
            source, features = np.random.default_rng(len(name)), {}
            for layer, width in extractor.widths.items():
                rows = Rows.new(Path(scratch) / f"{name}-{layer}.npy", n, (width,), np.float64)
                for first in range(0, n, 1000):
                    rows.add(source.standard_normal((min(1000, n - first), width)))
                features[layer] = rows.filled
            sets.append(features)
        reals, fakes = sets
        metrics = feature_metrics("draw", built_in=True)
        for group in scores.groups(metrics):
            scores.score_features(extractor, reals, fakes, group, scores.floors_of(extractor, reals, group))
    done.set()
    mib = {key: value / 1024 for key, value in peaks.items()}
    spent = time.process_time() - start
    print(f"{n:,} against {n:,}: {mib['RssAnon']:.0f} MiB of memory, {mib['RssFile']:.0f} MiB of mapped files, "
          f"{spent:.0f} CPU s")  # fmt: skip


def main() -> None:
    """Measure the rate, or the memory in a process for each number."""
    parser = argparse.ArgumentParser(description="Rate and memory of simulacra score.")
    parser.add_argument("--memory", type=int, nargs="+", default=[])
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.memory:
        rate()
    for n in options.memory:
        if options.here:
            memory(n)
        else:
            subprocess.run([sys.executable, __file__, "--here", "--memory", str(n)], check=True)


if __name__ == "__main__":
    main()
