"""Speed of `prepare` compared with a bare Pillow loop over the same files on the same cores.

    python benchmarks/prepare.py

Makes temporary folders of JPEGs and PNGs, runs both in turns, and prints pictures per second and their ratio.
"Everything" includes listing, decoding, labels, duplicates, hash and data sheet.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from simulacra.data.prepare import prepare

PICTURES, SIDE, TURNS = 600, 512, 3
SIZE = 64


def make_folder(folder: Path, suffix: str) -> list[str]:
    """Make pictures that compress like photographs: noise at every scale, strongest at the coarse ones."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(PICTURES):
        pixels = np.zeros((SIDE, SIDE, 3), np.float32)
        for scale in (4, 16, 64, 256):
            coarse = rng.normal(0, 160 / scale**0.5, (scale, scale, 3)).clip(-127, 127) + 127
            layer = Image.fromarray(coarse.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            pixels += np.asarray(layer, dtype=np.float32) - 127
        path = folder / f"{number:05d}{suffix}"
        Image.fromarray((pixels + 127).clip(0, 255).astype(np.uint8)).save(path, quality=90)
        paths.append(str(path))
    return paths


def bare(path: str) -> int:
    """The shortest code for one picture."""
    with Image.open(path) as image:
        small = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return int(np.asarray(small)[0, 0, 0])


def measure(scratch: Path, suffix: str) -> None:
    """Time both in turns on one kind of file, and print the medians."""
    pictures = scratch / suffix.strip(".")
    pictures.mkdir()
    paths = make_folder(pictures, suffix)
    size = sum(Path(path).stat().st_size for path in paths) / len(paths)
    cores = len(os.sched_getaffinity(0))
    print(f"{PICTURES} {suffix} {SIDE}x{SIDE}, {size / 1000:.0f} kB on average, {cores} cores, to {SIZE}x{SIZE}")
    seconds: dict[str, list[float]] = {"bare Pillow loop": [], "prepare, everything": []}
    for _ in range(TURNS):
        start = time.perf_counter()
        with multiprocessing.Pool(cores) as pool:
            pool.map(bare, paths, chunksize=16)
        seconds["bare Pillow loop"].append(time.perf_counter() - start)
        start = time.perf_counter()
        prepare(pictures, scratch / "set", size=(SIZE, SIZE))
        seconds["prepare, everything"].append(time.perf_counter() - start)
        shutil.rmtree(scratch / "set")
    rates = {name: PICTURES / statistics.median(times) for name, times in seconds.items()}
    for name, rate in rates.items():
        print(f"  {name:20} {rate:6.0f} pictures/s")
    print(f"  ratio {rates['prepare, everything'] / rates['bare Pillow loop']:.2f} (at least 0.80 is wanted)")


def main() -> None:
    """Measure JPEG and PNG."""
    with tempfile.TemporaryDirectory() as scratch:
        for suffix in (".jpg", ".png"):
            measure(Path(scratch), suffix)


if __name__ == "__main__":
    main()
