"""How fast the step that `auto` chooses is beside that of another commit, on the same pictures and machine.

    git worktree add ../before ecb74d2
    python benchmarks/commits.py ../before peeps32 peeps [--rounds 8] [--steps 64]

Each version runs in a process of its own, one thread, and takes its turns, so that a busy machine slows both. CPU
time of whole steps of the trainer, both players. A ratio is the median over the rounds, with the range.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
WORKER = """
import sys, time
import simulacra, torch
from simulacra.training.trainer import Trainer
data, folder, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
name = "step" if hasattr(Trainer, "step") else "play"  # its older name
step, taken, begun = getattr(Trainer, name), 0, 0.0
def turn(trainer):
    global taken, begun
    if taken % steps == 0:
        if taken:
            print(trainer.config.batch * steps / 2, time.process_time() - begun, flush=True)
        if not sys.stdin.readline():
            sys.exit()
        begun = time.process_time()
    taken += 1
    step(trainer)
setattr(Trainer, name, turn)
torch.set_num_threads(1)
simulacra.train(data, run=folder, total="1000M", seed=0, device="cpu")
"""


def pair(line: str) -> tuple[float, float] | None:
    """The two numbers of a worker's line; None for other lines."""
    try:
        pictures, seconds = map(float, line.split())
    except ValueError:
        return None
    return pictures, seconds


class Version:
    """A process that takes steps with the package of a checkout."""

    def __init__(self, checkout: Path, data: str, folder: Path, steps: int) -> None:
        environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", WORKER, data, str(folder), str(steps)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def rate(self) -> float:
        """Pictures per CPU second of one turn."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        pictures, seconds = next(numbers for line in self.process.stdout if (numbers := pair(line)))
        return pictures / seconds

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="a checkout of the other commit")
    parser.add_argument("data", nargs="+", help="prepared folders, or peeps")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=64, help="steps of a turn")
    options = parser.parse_args()
    for data in options.data:
        with tempfile.TemporaryDirectory() as folder:
            checkouts = (options.before.resolve(), HERE)
            versions = [Version(e, data, Path(folder, str(i)), options.steps) for i, e in enumerate(checkouts)]
            for version in versions:
                version.rate()  # to warm up
            rounds = [[version.rate() for version in versions] for _ in range(options.rounds)]
            for version in versions:
                version.close()
        before, now = (statistics.median(rates) for rates in zip(*rounds, strict=True))
        ratios = [now / before for before, now in rounds]
        least, most = min(ratios), max(ratios)
        print(
            f"{data}: {before:.0f} -> {now:.0f} pictures/s, {statistics.median(ratios):.2f}x ({least:.2f}-{most:.2f})"
        )


if __name__ == "__main__":
    main()
