"""How `prepare` and `evaluate` grow with the number of pictures: CPU time and memory of the real commands.

    python benchmarks/scale.py [--pictures 20000,100000] [--samples 1000,5000] [--size 64]

Makes folders of PNGs, smooth noise that never repeats, prepares each, and evaluates the bundled model against each. CPU
time is that of all processes of a command, memory the peak of its largest process; both include Python and torch.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

FOLDER = 1000  # pictures of a folder
COARSE = 8  # side of the noise before it is enlarged


class Cost(NamedTuple):
    """CPU seconds, seconds, and MiB."""

    cpu: float
    seconds: float
    memory: float


def make_pictures(folder: Path, count: int, size: int) -> None:
    """Write `count` PNGs."""
    rng = np.random.default_rng(0)
    for number in range(count):
        place = folder / f"{number // FOLDER:04d}" / f"{number:06d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        noise = Image.fromarray(rng.integers(0, 256, (COARSE, COARSE, 3), np.uint8))
        noise.resize((size, size), Image.Resampling.BICUBIC).save(place, compress_level=1)


def run(*words: object) -> Cost:
    """Run a command of the toolkit to its end."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "simulacra", *map(str, words)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"simulacra {' '.join(map(str, words))} failed")
    return Cost(used.ru_utime + used.ru_stime, time.perf_counter() - began, used.ru_maxrss / 1024)


def main() -> None:
    """Measure, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--pictures", default="20000,100000", help="pictures of each folder (default: %(default)s)")
    parser.add_argument("--samples", default="1000,5000", help="--samples of evaluate (default: %(default)s)")
    parser.add_argument("--size", type=int, default=64)
    arguments = parser.parse_args()
    print("| command | pictures | CPU seconds | ms a picture | seconds | peak memory, MiB |\n|---|---|---|---|---|---|")

    def row(command: str, pictures: int, each: int, cost: Cost) -> None:
        print(
            f"| {command} | {pictures:,} | {cost.cpu:.1f} | {cost.cpu / each * 1e3:.2f} | {cost.seconds:.1f} | {cost.memory:.0f} |",
            flush=True,
        )

    for count in map(int, arguments.pictures.split(",")):
        with tempfile.TemporaryDirectory() as name:
            source, data = Path(name) / "pictures", Path(name) / "data"
            make_pictures(source, count, arguments.size)
            row("prepare", count, count, run("prepare", source, data, "--size", arguments.size))
            for samples in map(int, arguments.samples.split(",")):
                out = Path(name) / f"{samples}.json"
                words = ("evaluate", "peeps", "--data", data, "--samples", samples, "--threads", 1, "--out", out)
                row(f"evaluate --samples {samples}", count, samples, run(*words))


if __name__ == "__main__":
    main()
