"""The plot of a plan, and pictures of the models of all parts side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.data.dataset import Dataset
from simulacra.data.feed import to_tensor
from simulacra.files import atomic_file
from simulacra.generator import Generator
from simulacra.grid import Grid
from simulacra.planning.parts import DIVISORS, count, unseen
from simulacra.planning.records import Gain, LearningCurve

COLUMNS = 12  # pictures of each model
FIRST_SEED = 0


def draw_curve(record: LearningCurve, path: Path) -> None:
    """Write the plot: each score against the number of pictures, and against the length of the training."""
    from matplotlib.figure import Figure

    rows = len(record["scores"])
    figure = Figure(figsize=(11, 4.6 * rows), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False)
    for (left, right), (name, gain) in zip(axes, record["scores"].items(), strict=True):
        _draw_pictures(left, gain)
        _draw_training(right, gain)
        left.set_ylabel(f"{name} ({gain['better']} is better)")
    figure.suptitle(f"{path.parent.name}: {record['design']['gan']}, {record['seeds']} seed(s)")
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=110)


def _draw_pictures(axis: Any, gain: Gain) -> None:
    """Every run as a dot, the means with their intervals, and the line that extrapolates to twice as many."""
    parts = gain["parts"]
    x = np.array([part["pictures"] for part in parts], float)
    now = gain["now"]["value"]
    for part in parts:
        axis.plot([part["pictures"]] * len(part["runs"]), [run[-1] for run in part["runs"]], ".", color="0.6", zorder=1)
    ends = [part["scores"][-1] for part in parts]
    axis.errorbar(x, [end["value"] for end in ends], _reach(ends), marker="o", capsize=3, label="mean, 95 % interval")
    sign = -1 if gain["better"] == "lower" else 1
    expected = {key: now + sign * gain["pictures"][key] for key in ("value", "low", "high")}
    axis.plot([x[-1], 2 * x[-1]], [now, expected["value"]], "--", color="C3")
    reach = [[abs(expected["value"] - bound)] for bound in sorted((expected["low"], expected["high"]))]
    axis.errorbar(
        [2 * x[-1]], [expected["value"]], reach, marker="s", capsize=3, color="C3", label="twice as many, extrapolated"
    )
    _finish(axis, [*x, 2 * x[-1]], "training pictures", gain)


def _draw_training(axis: Any, gain: Gain) -> None:
    """The mean score of each part as the training goes on."""
    for index, part in enumerate(gain["parts"]):
        thousands = [nimg / 1000 for nimg in part["images"]]
        width = 2 if part is gain["parts"][-1] else 1.2
        axis.errorbar(
            thousands, [score["value"] for score in part["scores"]], _reach(part["scores"]), marker="o", markersize=4,
            capsize=2, linewidth=width, color=f"C{index}", label=f"{part['pictures']:,} pictures",
        )  # fmt: skip
    _finish(axis, thousands, "thousands of images shown", gain)


def _reach(scores: Sequence[Any]) -> list[list[float]]:
    """How far the intervals reach below and above their values."""
    return [[score["value"] - score["low"] for score in scores], [score["high"] - score["value"] for score in scores]]


def _finish(axis: Any, ticks: Sequence[float], label: str, gain: Gain) -> None:
    if gain["floor"] is not None:
        axis.axhline(gain["floor"], color="0.4", linewidth=1, linestyle=":", label="reals against reals")
    axis.set_xscale("log", base=2)
    axis.set_xticks(list(ticks), [f"{tick:,.4g}" if tick < 1000 else f"{tick:,.0f}" for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel(label)
    axis.grid(alpha=0.3)
    axis.legend(loc="best", framealpha=0.6)


def draw_models(models: Sequence[Generator], data: Dataset, path: Path) -> None:
    """Write the same seeds of each part's model, a row a part from the smallest, over a row of unseen real pictures."""
    reals = unseen(data).images[:COLUMNS]
    names = ["real", *(f"{count(data.splits['train'], part):,}" for part in DIVISORS)]
    grid = Grid(len(names) * COLUMNS, data.shape, columns=COLUMNS, names=names)
    for picture in to_tensor(reals, models[0].device):
        grid.add(picture)
    for model in models:
        for batch in model.pictures(range(FIRST_SEED, FIRST_SEED + COLUMNS)):
            for picture in batch:
                grid.add(picture)
    with atomic_file(path) as file:
        grid.image().save(file, "PNG")
