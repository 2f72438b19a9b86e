"""How much faster several processes train than one, and what a step sends: pictures a second, collectives, bytes.

    python benchmarks/ranks.py                        # r3gan at 32 px, batch 32, 1 and 2 processes
    python benchmarks/ranks.py --gan dcgan --side 64 --batch 64 --processes 1 2 4

Each process has one thread, and a core of its own where there are as many. The batch is that of all processes together, as
in a run that continues with more of them. The target is at least 1.7 times the speed of one process with two, on cores with
nothing else to do. Bytes are those that one process gives to the all-reduce of a step.
"""

from __future__ import annotations

import argparse
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, and for the processes

import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.distributed as dist

from simulacra import distributed
from simulacra.files import read_json, write_json
from simulacra.plugins.harness import CPU, advance, make_trainer, noise, suitable
from simulacra.plugins.processes import SERVER, free_port
from simulacra.registry import find

TARGET = 1.7
ROUNDS, STEPS, WARM = 7, 4, 4  # timed rounds of so many steps, after the first steps


def measure(rank: int, world: int, port: int, words: argparse.Namespace, result: Path) -> None:
    """One process: time the steps, and count what they send."""
    torch.set_num_threads(1)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) >= world:
        os.sched_setaffinity(0, {cores[rank]})
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world), "RANK": str(rank)}
    distributed.start(CPU)
    data = suitable(find(words.gan), noise(256, (3, words.side, words.side)))
    trainer = advance(make_trainer(words.gan, result.parent, data, batch=words.batch), WARM)
    calls: Counter[str] = Counter()
    all_reduce = dist.all_reduce

    def counted(tensor: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        calls["collectives"] += 1
        calls["bytes"] += tensor.nbytes
        return all_reduce(tensor, *arguments, **options)

    dist.all_reduce = counted
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        advance(trainer, STEPS)
        seconds.append(time.perf_counter() - began)
    # steps of D alone advance the clock of images, but each step draws or shows a batch
    record = {"rate": STEPS * words.batch / median(seconds)} | {name: n / (ROUNDS * STEPS) for name, n in calls.items()}
    if rank == 0:
        write_json(result, record | {"cores": len(cores)})
    distributed.stop()


def main() -> None:
    """Print a line for each number of processes."""
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gan", default="r3gan")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    words = parser.parse_args()
    alone = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for world in words.processes:
            result, port = Path(folder) / f"{world}.json", free_port()
            ranks = [SERVER.Process(target=measure, args=(rank, world, port, words, result)) for rank in range(world)]
            for process in ranks:
                process.start()
            for process in ranks:
                process.join()
            record = read_json(result)
            alone = alone or record["rate"]
            sent = f"{record.get('collectives', 0):.0f} collectives and {record.get('bytes', 0) / 2**20:.2f} MiB a step"
            print(f"{world} processes on {record['cores']} cores: {record['rate']:.1f} pictures a second, "
                  f"{record['rate'] / alone:.2f} times the first; {sent}", flush=True)  # fmt: skip
    print(f"(target: {TARGET} times with 2 processes on 2 idle cores)")


if __name__ == "__main__":
    main()
