"""How fast our training step is beside a textbook one, on the same networks and the same machine.

    python benchmarks/step.py [--rounds 8] [--variants fp32,compile,bf16,bf16-compile] [--branches "dcgan D,wgan-gp D"] [--threads 2]

Six branches: the steps of D and of G in DCGAN, WGAN and WGAN-GP at 80 px, minibatch 20. The textbook step is the
one of the usual tutorials, in `textbook.py`: G's graph is kept and differentiated in D's step; D scores the
reals, and D's weight gradients are computed, in G's step; `.item()` each step; default optimizers; contiguous fp32. Ours is
`Trainer.step`, with everything that it does. Both are timed alternately, so that a busy machine slows both; a ratio
is the median over the pairs. With `--threads 1` the time is that of the processor, which other work slows less.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from textbook import Textbook
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import addmm_flop, flop_registry

from simulacra.data.dataset import Dataset
from simulacra.data.feed import Feed
from simulacra.device import has_bf16
from simulacra.registry import configured
from simulacra.training.trainer import Trainer

SIDE, BATCH = 80, 20
BRANCHES = [f"{name} {player}" for name in ("dcgan", "wgan", "wgan-gp") for player in "DG"]
VARIANTS = ("fp32", "compile", "bf16", "bf16-compile")
CPU = torch.device("cpu")
Step = Callable[[], object]


# --- ours --------------------------------------------------------------------------------------------------


class Always:
    """A balance by which every step is one player's."""

    def __init__(self, player: str) -> None:
        self.player = player

    def next(self) -> str:
        """The player."""
        return self.player

    def uses_images(self, player: str) -> bool:
        """Every step advances the clock."""
        return True

    def update(self, player: str, stats: dict[str, Tensor]) -> None:
        """Nothing to do."""


def ours(branch: str, variant: str, pictures: np.ndarray, folder: Path) -> Trainer:
    """A trainer with a preset's settings, whose steps are all of one branch."""
    name, player = branch.split()
    gan, config = configured(f"{name}:faces80", (3, SIDE, SIDE), {})
    data = Dataset("noise", None, pictures, None, (), (), {"train": len(pictures), "valid": 0, "test": 0}, "")
    built = gan(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    precision = "bf16" if variant.startswith("bf16") else "fp32"
    feed = Feed(data, CPU, seed=0)
    trainer = Trainer(built, feed, folder, seed=0, precision=precision, compiled=variant.endswith("compile"))
    trainer.balance = Always(player)  # type: ignore[assignment]
    return trainer


# --- measuring ---------------------------------------------------------------------------------------------


def seconds(step: Step) -> float:
    """Duration of one step: the processor's time where one thread computes."""
    now = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    began = now()
    step()
    return now() - began


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts floating point operations of convolutions and products. (`FlopCounterMode`, whose formulas these are,
    stops at a gradient by the input of a network.)"""

    formulas = flop_registry | {torch.ops.aten.addmm_: addmm_flop}
    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and count it."""
        result = func(*args, **(kwargs or {}))
        if formula := self.formulas.get(func._overloadpacket):
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def gigaflops(step: Step) -> float:
    """Operations of a step per picture, in units of 10⁹."""
    with Operations() as counter:  # type: ignore[no-untyped-call]
        step()
    return float(counter.total) / BATCH / 1e9


def peak(dtype: torch.dtype, rounds: int = 8) -> float:
    """GFLOP/s of a matrix product or a large convolution on this machine, whichever is more."""
    a, b = torch.randn(1536, 1536, dtype=dtype), torch.randn(1536, 1536, dtype=dtype)
    x = torch.randn(BATCH, 128, 40, 40, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(128, 128, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
    loads: list[tuple[float, Step]] = [
        (2 * 1536**3, lambda: torch.mm(a, b)),
        (2 * 128 * 128 * 9 * 1600 * BATCH, lambda: F.conv2d(x, weight, padding=1)),
    ]
    return max(flop / min(seconds(load) for _ in range(rounds)) for flop, load in loads) / 1e9


def hardware() -> str:
    """The machine as one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    level = torch.backends.cpu.get_cpu_capability()
    bf16 = "bf16" if has_bf16(CPU) else "no bf16"
    return f"{model}, {level}, {bf16}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def measure(branch: str, variants: list[str], rounds: int, folder: Path) -> dict[str, Any]:
    """One branch: pictures a second, ratios and GFLOP per picture of the textbook and of each variant."""
    name, player = branch.split()
    pictures = np.random.default_rng(0).integers(0, 256, (400, SIDE, SIDE, 3), np.uint8)
    floats = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()
    textbook = Textbook(name, floats, BATCH)
    steps: dict[str, Step] = {"textbook": textbook.step_d if player == "D" else textbook.step_g}
    trainers = {variant: ours(branch, variant, pictures, folder) for variant in variants}
    steps |= {variant: trainer.step for variant, trainer in trainers.items()}
    # The first step of each is a warm-up; it is counted on eager ones, as a compiled graph shows no operations.
    work = {name: step() if name.endswith("compile") else gigaflops(step) for name, step in steps.items()}
    times = {name: list[float]() for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(seconds(step))
    result: dict[str, Any] = {}
    for name, durations in times.items():
        ratios = [theirs / mine for theirs, mine in zip(times["textbook"], durations, strict=True)]
        result[name] = {"rate": BATCH / statistics.median(durations), "gflop": work[name]}
        result[name] |= {"ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
    for name, trainer in trainers.items():
        if trainer.compiler:
            result[name]["used"] = trainer.compiler.chosen[player]
            eager = name.removesuffix("compile").removesuffix("-") or "fp32"
            result[name]["gflop"] = result.get(eager, {}).get("gflop") or gigaflops(
                ours(branch, eager, pictures, folder).step
            )
    return result


def main() -> None:
    """Parse, measure, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--variants", default="fp32,bf16", help=f"of {', '.join(VARIANTS)} (default: %(default)s)")
    parser.add_argument("--branches", default=",".join(BRANCHES))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--force-bf16", action="store_true", help="also where the hardware has no bf16")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    variants, branches = arguments.variants.split(","), arguments.branches.split(",")
    if unknown := (set(variants) - set(VARIANTS)) | (set(branches) - set(BRANCHES)):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    print(f"{hardware()}\n")
    if not (has_bf16(CPU) or arguments.force_bf16) and any(name.startswith("bf16") for name in variants):
        variants = [name for name in variants if not name.startswith("bf16")]
        print("bf16: this CPU has none, skipped (--force-bf16 runs it all the same).\n")
    most = peak(torch.float32)
    peaks = {name: peak(torch.bfloat16) if name.startswith("bf16") else most for name in ("textbook", *variants)}
    print("Peak, GFLOP/s:", ", ".join(f"{name} {value:.0f}" for name, value in peaks.items()))
    print(
        "\n| branch | step | pictures/s | ratio (min-max) | GFLOP/picture | share of peak |\n|---|---|---|---|---|---|"
    )
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for branch in branches:
            results[branch] = measure(branch, variants, arguments.rounds, Path(folder))
            for name, row in results[branch].items():
                share = row["gflop"] * row["rate"] / peaks[name]
                label = name if row.get("used", True) else f"{name} (found slower: eager)"
                spread = f"{row['ratio']:.2f}x ({row['low']:.2f}-{row['high']:.2f})"
                print(
                    f"| {branch} | {label} | {row['rate']:.0f} | {spread} | {row['gflop']:.2f} | {share:.0%} |",
                    flush=True,
                )
            gc.collect()
    print()
    for name in variants:
        ratios = [results[branch][name]["ratio"] for branch in branches]
        print(f"Geometric mean, {name}: {statistics.geometric_mean(ratios):.2f}x")
        ceilings = [peaks[name] / r[name]["gflop"] / r["textbook"]["rate"] for r in results.values()]
        print(f"At the whole of the peak it would be {statistics.geometric_mean(ceilings):.2f}x")
    if arguments.json:
        arguments.json.write_text(json.dumps({"hardware": hardware(), "peaks": peaks, "branches": results}, indent=1))


if __name__ == "__main__":
    main()
