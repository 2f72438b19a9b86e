"""Shards: what preparing, joining and reading cost in CPU time and memory, here and over HTTP.

    python benchmarks/shards.py [--pictures 20000 100000] [--side 16] [--shards 8]

Makes tars of PNGs of noise, prepares them in shards, joins these and reads one epoch in batches of 64. Each step is a
process of its own, on one core: its CPU time counts all that it starts, its memory is the peak beyond what it had
before, pages of mapped files included. The server of the last rows is the one of the tests, in another process.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

BATCH = 64
TITLES = {
    "prepare": "prepare, all shards",
    "join": "join",
    "plain": "read one array",
    "local": "read the shards, here",
    "cold": "read over HTTP, empty cache",
    "warm": "read over HTTP, full cache",
    "memory": "read at memory://",
}


def make_tars(folder: Path, pictures: int, side: int, tars: int) -> None:
    """Pictures of noise as PNGs."""
    rng = np.random.default_rng(0)
    for tar in range(tars):
        with tarfile.open(folder / f"{tar:03d}.tar", "w") as archive:
            for number in range(tar * pictures // tars, (tar + 1) * pictures // tars):
                file = io.BytesIO()
                pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(file, "PNG", compress_level=1)
                member = tarfile.TarInfo(f"{number:08d}.png")
                member.size = file.tell()
                file.seek(0)
                archive.addfile(member, file)


def prepare_one(root: Path, side: int, share: str) -> None:
    """One shard."""
    from simulacra.data.prepare_options import PrepareOptions
    from simulacra.data.shard_format import parse_share
    from simulacra.data.shards import prepare_shard

    out = root / f"shard-{share.split('/')[0]}"
    prepare_shard(root / "tars", out, parse_share(share), PrepareOptions(size=(side, side), workers=1))


def join_all(root: Path, shards: int) -> None:
    """All shards, then also one array of them to compare with."""
    from simulacra.data.join import join

    join(root / "joined", [root / f"shard-{number}" for number in range(1, shards + 1)])


def read(place: str) -> None:
    """One epoch of the training pictures of a dataset, or of an array."""
    import torch

    from simulacra.data.dataset import Dataset
    from simulacra.data.feed import Feed
    from simulacra.data.opening import open_domain

    if place.endswith(".npy"):
        images = np.load(place, mmap_mode="r")
        data = Dataset("array", None, images, None, (), (), {"train": len(images), "valid": 0, "test": 0}, "")
    else:
        data = open_domain(place).split("train")
    torch.set_num_threads(1)
    feed = Feed(data, torch.device("cpu"), seed=0)
    for start in range(0, len(data) - BATCH + 1, BATCH):
        feed.batch(start, BATCH)


def fill_memory(root: Path, shards: int) -> str:
    """Copy everything to memory://; returns the address."""
    import fsspec

    for name in ("joined", *(f"shard-{number}" for number in range(1, shards + 1))):
        fsspec.filesystem("memory").put(str(root / name), f"bench/{name}", recursive=True)
    return "memory://bench/joined"


def phase(name: str, root: Path, side: int, shards: int, place: str) -> None:
    """Carry out one step in this process, and print what it cost as JSON."""
    import torch  # noqa: F401  (what the memory is compared with)

    import simulacra.data.join
    import simulacra.data.shards  # noqa: F401

    place = fill_memory(root, shards) if name == "memory" else place
    work: dict[str, Callable[[], None]] = {
        "prepare": lambda: prepare_one(root, side, place),
        "join": lambda: join_all(root, shards),
    }
    before, wall = _usage(), time.perf_counter()
    work.get(name, lambda: read(place))()
    after = _usage()
    print(json.dumps({"cpu": after[0] - before[0], "wall": time.perf_counter() - wall, "mb": after[1] - before[1]}))


def _usage() -> tuple[float, float]:
    """CPU seconds and peak memory in MB, children included."""
    whos = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(who.ru_utime + who.ru_stime for who in whos), max(who.ru_maxrss for who in whos) / 1e3


def run(name: str, root: Path, side: int, shards: int, place: str = "") -> dict[str, float]:
    """One step in a process of its own."""
    words = ["--phase", name, "--root", str(root), "--side", str(side), "--shards", str(shards), "--place", place]
    environment = os.environ | {"SIMULACRA_CACHE": str(root / "cache")}
    done = subprocess.run(
        [sys.executable, __file__, *words], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    costs: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return costs


def serve(root: Path, address: Any) -> None:
    """Serve a folder in another process until that is ended."""
    sys.path.append(str(Path(__file__).parent.parent / "tests"))
    from serving import FileServer

    server = FileServer(root)
    address.send(server.address("joined"))
    server.serve_forever()


def measure(root: Path, pictures: int, side: int, shards: int) -> dict[str, dict[str, float]]:
    """The costs of all steps."""
    (root / "tars").mkdir()
    make_tars(root / "tars", pictures, side, shards)
    parts = [run("prepare", root, side, shards, f"{number}/{shards}") for number in range(1, shards + 1)]
    costs = {"prepare": {key: sum(part[key] for part in parts) for key in ("cpu", "wall")}}
    costs["prepare"]["mb"] = max(part["mb"] for part in parts)
    costs["join"] = run("join", root, side, shards)
    from simulacra.data.opening import open_domain

    np.save(root / "array.npy", np.asarray(open_domain(root / "joined").split("train").images))
    costs["plain"] = run("plain", root, side, shards, str(root / "array.npy"))
    costs["local"] = run("local", root, side, shards, str(root / "joined"))
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(root, there), daemon=True)
    server.start()
    address = here.recv()
    for name in ("cold", "warm"):
        costs[name] = run(name, root, side, shards, address)
    server.terminate()
    costs["memory"] = run("memory", root, side, shards)
    return costs


def main() -> None:
    """Measure each number of pictures, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--side", type=int, default=16)
    parser.add_argument("--shards", type=int, default=8)
    for name in ("phase", "root", "place"):
        parser.add_argument(f"--{name}", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase:
        phase(options.phase, Path(options.root), options.side, options.shards, options.place)
        return
    print(
        "| step | pictures | CPU seconds | pictures per CPU second | seconds | peak memory, MB |\n|---|---|---|---|---|---|"
    )
    rows: list[str] = []
    for pictures in options.pictures:
        with tempfile.TemporaryDirectory() as scratch:
            costs = measure(Path(scratch), pictures, options.side, options.shards)
        for name, cost in costs.items():
            n = pictures if name in ("prepare", "join") else int(0.8 * pictures)
            rows.append(
                f"| {TITLES[name]} | {n:,} | {cost['cpu']:.2f} | {n / cost['cpu']:,.0f} | {cost['wall']:.1f} | {cost['mb']:.0f} |"
            )
    print("\n".join(sorted(rows, key=lambda row: list(TITLES.values()).index(row.split(" | ")[0].strip("| ")))))


if __name__ == "__main__":
    main()
