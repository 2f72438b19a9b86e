"""`journal.jsonl`, a line a tick, and the running means in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from simulacra.files import atomic_file, disk_errors, sync
from simulacra.records import read_lines
from simulacra.training.balance import accuracies
from simulacra.training.run_records import JournalLine

REQUIRED = ("nimg", "epoch", "seconds", "d_plays", "g_plays", "images_per_second")  # entries of every journal line


class Meter:
    """Running means of stats, summed on the device: nothing is transferred before `read`."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Add one value of `name`."""
        value = value.detach().float()
        self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts[name] = self.counts.get(name, 0) + 1

    def add_step(self, player: str, loss: Tensor, stats: dict[str, Tensor], *, critic: bool) -> None:
        """Add the loss of a step, mean D(x) and D(G(z)) (probabilities, or a critic's scores), accuracies and other stats."""
        self.add("d_loss" if player == "D" else "g_loss", loss)
        squash = (lambda x: x) if critic else torch.sigmoid
        if "real" in stats:
            self.add("D(x)", squash(stats["real"]).mean())
        if "fake" in stats:
            when = "before" if player == "D" else "after"
            self.add(f"D(G(z)) {when}", squash(stats["fake"]).mean())
        if "real" in stats and "fake" in stats:
            right, fooled = accuracies(stats["real"], stats["fake"], critic=critic)
            self.add("acc_d", right)
            self.add("acc_g", fooled)
        for name in stats.keys() - {"real", "fake"}:
            self.add(name, stats[name])

    def read(self) -> dict[str, float]:
        """The means so far, rounded to six digits, in one transfer from the device."""
        if not self.sums:
            return {}
        values = torch.stack([self.sums[name] / self.counts[name] for name in self.sums]).tolist()
        return {name: float(f"{value:.6g}") for name, value in zip(self.sums, values, strict=True)}


class Journal:
    """The run's `journal.jsonl`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rewind(self, nimg: int) -> list[JournalLine]:
        """Drop the lines after `nimg` images, whose steps are about to be repeated; returns the remaining ones."""
        lines = [line for line in read_journal(self.path) if line["nimg"] <= nimg]
        with atomic_file(self.path) as file:
            file.writelines((json.dumps(line) + "\n").encode() for line in lines)
        return lines

    def write(self, line: JournalLine) -> None:
        """Append one line; it is on the disk before the checkpoint that follows, so that a power cut leaves no gap."""
        with disk_errors(self.path), self.path.open("ab") as file:
            file.write((json.dumps(line, allow_nan=False) + "\n").encode())
            sync(file)


def read_journal(path: Path) -> list[JournalLine]:
    """The lines of a journal; a last line cut short by a kill is left out, a missing file has none.

    Raises `SimulacraError` for a damaged line.
    """
    return read_lines(path, JournalLine, required=REQUIRED)


def memory(device: torch.device) -> dict[str, float]:
    """`memory_mib`, the peak of the accelerator, or of this process on a CPU; empty where it is not known (Windows)."""
    if device.type == "cuda":
        return {"memory_mib": round(torch.cuda.max_memory_allocated(device) / 2**20, 1)}
    try:
        import resource
    except ImportError:
        return {}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"memory_mib": round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)}
