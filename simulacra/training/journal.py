"""A line a tick in `journal.jsonl`, and the running means behind it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simulacra.files import disk_errors, written_aside
from simulacra.training.balance import accuracies


class Meter:
    """Means of what the plays report, summed where they are: nothing is read back before `read`."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, name: str, value: Tensor) -> None:
        """One more value of `name`."""
        value = value.detach().float()
        self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts[name] = self.counts.get(name, 0) + 1

    def add_play(self, player: str, loss: Tensor, stats: dict[str, Tensor], *, critic: bool) -> None:
        """A play's loss, mean D(x) and D(G(z)) (probabilities, or scores of a critic), accuracies and the rest."""
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
        """The means so far, rounded to six digits; one transfer from the device."""
        if not self.sums:
            return {}
        values = torch.stack([self.sums[name] / self.counts[name] for name in self.sums]).tolist()
        return {name: float(f"{value:.6g}") for name, value in zip(self.sums, values, strict=True)}


class Journal:
    """The run's `journal.jsonl`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rewind(self, nimg: int) -> list[dict[str, Any]]:
        """Drop the lines after `nimg` images: the plays they tell of are about to be played again. Returns the rest."""
        lines = [line for line in read(self.path) if line["nimg"] <= nimg]
        with written_aside(self.path) as file:
            file.writelines((json.dumps(line) + "\n").encode() for line in lines)
        return lines

    def write(self, line: dict[str, Any]) -> None:
        """Append one line, whole."""
        with disk_errors(self.path), self.path.open("ab") as file:
            file.write((json.dumps(line, allow_nan=False) + "\n").encode())


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; a last line cut short by a kill is left out."""
    lines: list[dict[str, Any]] = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:
                break
    return lines


def memory(device: torch.device) -> float:
    """The most memory used so far, in MiB: of the accelerator, or of this process on a CPU."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
