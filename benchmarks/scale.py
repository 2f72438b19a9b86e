"""How `prepare` and `evaluate` grow with the number of pictures: CPU time and memory of the real commands.

    python benchmarks/scale.py [--pictures 20000,100000] [--samples 1000,5000] [--size 64]

Makes folders of PNGs, smooth noise that never repeats, prepares each, and evaluates the bundled model against each. CPU
time is that of all processes of a command. Memory is the peak of its first process, as Linux counts it, without the pages
of mapped files, which the system takes back when it needs them. Both include Python and torch.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

FOLDER = 1000  # pictures of a folder
INTERVAL = 0.05  # seconds between two looks at the memory
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


def anonymous(process: int) -> float:
    """MiB of a process now, without mapped files; 0 once it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("RssAnon")), 0.0)


def run(*words: object) -> Cost:
    """Run a command of the toolkit to its end."""
    began, memory = time.perf_counter(), 0.0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen([sys.executable, "-m", "simulacra", *map(str, words)], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        memory = max(memory, anonymous(process.pid))
        time.sleep(INTERVAL)
    if process.returncode:
        raise SystemExit(f"simulacra {' '.join(map(str, words))} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu, time.perf_counter() - began, memory)


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
