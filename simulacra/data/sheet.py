"""The data sheet: one picture, and its numbers as JSON, of what a dataset holds.

Its words are English in every language: the font that matplotlib comes with has no Chinese glyphs.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulacra.data.dataset import Dataset
from simulacra.data.inspect import Report
from simulacra.data.rejects import english
from simulacra.files import atomic_file, write_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GRID = 8  # rows, and pictures in a row
INK, PALE, BLUE, RED = "#22262e", "#8b93a1", "#3d6fb4", "#c4533a"
MAX_BARS, MAX_BARS_ABOVE = 14, 5  # with names beside the bars, and above them
MEAN_OF = 4096  # pictures, at most


def write_sheet(data: Dataset, report: Report, folder: Path) -> None:
    """Write `sheet.png` and `sheet.json` into `folder`."""
    write_json(folder / "sheet.json", {**report.to_json(), "splits": dict(data.splits), "hash": data.hash})
    from matplotlib import rc_context

    # Names are drawn literally: a dollar does not start a formula, and a missing glyph is a box without a warning.
    with warnings.catch_warnings(), rc_context({"text.parse_math": False, "font.size": 9, "text.color": INK}):
        warnings.simplefilter("ignore")
        _draw(data, report, folder / "sheet.png")


def _draw(data: Dataset, report: Report, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7.9), dpi=120, facecolor="white")
    left = figure.add_gridspec(1, 1, left=0.03, right=0.535, top=0.85, bottom=0.03)
    grid = figure.add_gridspec(3, 2, left=0.645, right=0.97, top=0.85, bottom=0.04, wspace=0.35, hspace=0.42)
    figure.text(0.03, 0.94, data.name, size=20, weight="bold")
    figure.text(0.03, 0.9, _subtitle(data, report), size=10, color=PALE)
    _picture(figure.add_subplot(left[0]), random_grid(data.images), f"{min(len(data), GRID**2)} at random")
    _picture(figure.add_subplot(grid[0, 0]), _as_rgb(mean_picture(data.images)), "the mean picture")
    _sizes(figure.add_subplot(grid[0, 1]), report)
    labelled = figure.add_subplot(grid[1, :])
    if report.attributes:
        _bars(labelled, report.attributes, "attributes, share of pictures", BLUE, "{:.0%}")
    else:
        _bars(labelled, report.classes, f"classes ({len(report.classes)})", BLUE, "{:,.0f}")
    _bars(figure.add_subplot(grid[2, 0]), _handled(report), "handled", BLUE, "{:,.0f}", above=True)
    rejects = {english(reason): len(names) for reason, names in report.rejects.items()}
    _bars(figure.add_subplot(grid[2, 1]), rejects, "unusable", RED, "{:,.0f}", above=True)
    with atomic_file(path) as file:
        figure.savefig(file, format="png")


def random_grid(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A fixed random 64 of the pictures [N, H, W, C], with white lines between them: [h, w, 1, 3 or 4 channels]."""
    n, height, width, channels = images.shape
    chosen = np.sort(np.random.default_rng(0).permutation(n)[: GRID**2])
    columns = GRID if n >= GRID else n
    rows = -(-len(chosen) // columns)
    gap = max(1, height // 32)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, np.uint8)
    for place, row in enumerate(chosen):
        top, left = (place // columns) * (height + gap), (place % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = images[row]
    return _as_rgb(sheet)


def mean_picture(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mean picture [H, W, C] of evenly spaced ones among [N, H, W, C]."""
    sample = images[:: max(1, len(images) // MEAN_OF)]
    total = np.zeros(images.shape[1:], np.float64)
    for picture in sample:
        total += picture
    return np.rint(total / len(sample)).astype(np.uint8)


def _as_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


def _subtitle(data: Dataset, report: Report) -> str:
    channels, height, width = data.shape
    kinds = {1: "grey", 3: "RGB", 4: "RGBA"}
    splits = " · ".join(f"{part} {n:,}" for part, n in data.splits.items())
    alike = sum(len(group) for group in (*report.duplicates, *report.near_duplicates))
    counts = f"{len(data):,} pictures {width}x{height} {kinds[channels]}   |   {splits}   |   {alike:,} (nearly) alike"
    return f"{counts}   |   from {report.source[-48:]} ({report.kind})   |   sha256 {data.hash[:12]}"


def _picture(axes: Axes, pixels: NDArray[np.uint8], title: str) -> None:
    axes.imshow(pixels, interpolation="nearest" if pixels.shape[0] < 256 else "antialiased")
    axes.set_axis_off()
    axes.set_anchor("N")
    axes.set_title(title, size=10, loc="left", color=INK, weight="bold")


def _sizes(axes: Axes, report: Report) -> None:
    """A dot for each original size; its area grows with the number of pictures."""
    sizes = np.array(list(report.sizes), dtype=float)  # [K, 2]
    counts = np.array(list(report.sizes.values()), dtype=float)
    axes.scatter(sizes[:, 0], sizes[:, 1], s=12 + 200 * counts / counts.max(), color=BLUE, alpha=0.35, lw=0)
    low, high = sizes.min() * 0.7, sizes.max() * 1.4
    axes.plot([low, high], [low, high], color=PALE, lw=0.6, ls=":")
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
    ticks = sorted({int(sizes.min()), int(np.sqrt(sizes.min() * sizes.max())), int(sizes.max())})
    ticks = ticks if ticks[-1] > 1.6 * ticks[0] else ticks[-1:]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, labels=[str(tick) for tick in ticks])
        axis.set_ticks([], minor=True)
    _plain(axes, f"original sizes ({len(sizes):,})")
    axes.set_xlabel("width", size=8, color=PALE)
    axes.set_ylabel("height", size=8, color=PALE)


def _bars(axes: Axes, values: Mapping[str, float], title: str, colour: str, form: str, *, above: bool = False) -> None:
    """Horizontal bars, the longest first, with names beside or above them; the word "none" if there are none."""
    rows = MAX_BARS_ABOVE if above else MAX_BARS
    most = sorted(values.items(), key=lambda entry: -entry[1])
    _plain(axes, f"{title}, the {rows} most frequent" if len(most) > rows else title)
    axes.set_axis_off()
    if not most:
        axes.text(0, 0.9, "none", color=PALE, transform=axes.transAxes)
        return
    most = most[:rows]
    longest = max(value for _, value in most)
    for row, (name, value) in enumerate(most):
        axes.barh(row, value, color=colour, height=0.3 if above else 0.72)
        axes.text(value + longest * 0.02, row, form.format(value), va="center", size=7)
        if above:
            axes.text(0, row - 0.24, _short(name), va="bottom", size=7.5)
        else:
            axes.text(-longest * 0.015, row, _short(name), va="center", ha="right", size=7.5)
    axes.set_ylim(max(len(most), MAX_BARS_ABOVE) - 0.4, -0.8)
    axes.set_xlim(0, longest * 1.22)


def _plain(axes: Axes, title: str) -> None:
    axes.set_title(title, size=10, loc="left", color=INK, weight="bold")
    axes.tick_params(length=0, labelsize=8, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _handled(report: Report) -> dict[str, Any]:
    flags = ("rotated", "converted", "animated", "transparent", "enlarged", "blank")
    counts = {flag: getattr(report, flag) for flag in flags}
    return {flag: n for flag, n in counts.items() if n}


def _short(name: str) -> str:
    return name if len(name) <= 36 else f"{name[:35]}…"
