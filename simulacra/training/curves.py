"""Loss and accuracy curves of a run, and a film of its previews."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from simulacra.errors import SimulacraError, near_path
from simulacra.files import atomic_file
from simulacra.training.journal import read_journal

PANELS = {
    "loss": {"d_loss": "D", "g_loss": "G"},
    "mean output of D": {
        "D(x)": "reals",
        "D(G(z)) before": "fakes, as D learns",
        "D(G(z)) after": "fakes, as G learns",
    },
    "accuracy": {"acc_d": "D: right calls", "acc_g": "G: fakes that fool D"},
}
FEW = 5  # points of a curve: with fewer, each is marked, as a single point has no line
FRAME_SECONDS = 0.12
LAST_SECONDS = 2.0
FRAMES = 240  # at most; a long run is thinned

T = TypeVar("T")


def points(lines: Sequence[Mapping[str, Any]], key: str) -> tuple[list[float], list[float]]:
    """Thousands of images shown, and values, of the journal lines that have `key`."""
    pairs = [(line["nimg"] / 1000, line[key]) for line in lines if key in line]
    return [x for x, _ in pairs], [y for _, y in pairs]


def stills(run: Path) -> list[Path]:
    """A run's previews, oldest first."""
    numbered = [path for path in (run / "previews").glob("*.png") if path.stem.isdecimal()]
    return sorted(numbered, key=lambda path: int(path.stem))


def open_preview(path: Path) -> Image.Image:
    """The picture of a file in a run's `previews/`, in memory. Raises `SimulacraError` for a damaged one."""
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except Exception as error:  # damaged bytes can raise anything in a decoder
        raise SimulacraError("train.damaged_preview", path=path, run=path.parent.parent) from error


def thinned(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of `items`, evenly spaced, including the first and the last."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / max(1, most - 1))] for i in range(most)]


def draw_curves(run: Path) -> list[Path]:
    """Write `curves.png` and `curves.svg` from the run's journal. Raises `SimulacraError` when it is empty."""
    from matplotlib.figure import Figure

    if not run.exists():
        raise SimulacraError("train.no_run", run=run, hint=near_path(run))
    lines = read_journal(run / "journal.jsonl")
    if not lines:
        raise SimulacraError("train.no_journal", run=run)
    figure = Figure(figsize=(10, 9), layout="constrained")
    axes = figure.subplots(len(PANELS), 1, sharex=True)
    for axis, (title, curves) in zip(axes, PANELS.items(), strict=True):
        for key, label in curves.items():
            x, y = points(lines, key)
            axis.plot(x, y, label=label, linewidth=1.2, marker="." if len(x) < FEW else "")
        axis.set_ylabel(title)
        axis.grid(alpha=0.3)
        axis.legend(loc="best", framealpha=0.6)
    axes[-1].set_xlabel("thousands of images shown")
    axes[-1].set_ylim(-0.02, 1.02)
    figure.suptitle(run.name)
    paths = [run / "curves.png", run / "curves.svg"]
    for path in paths:
        with atomic_file(path) as file:
            figure.savefig(file, format=path.suffix[1:], dpi=110)
    return paths


def make_film(run: Path) -> Path:
    """Write `film.webp`, an animation of the previews. Raises `SimulacraError` when there are none."""
    chosen = thinned(stills(run), FRAMES)
    if not chosen:
        raise SimulacraError("train.no_previews", run=run)
    frames = []
    for still in chosen:
        image = open_preview(still)
        frames.append(image.convert("RGBA" if image.mode == "RGBA" else "RGB"))
    milliseconds = [round(1000 * FRAME_SECONDS)] * (len(frames) - 1) + [round(1000 * LAST_SECONDS)]
    path = run / "film.webp"
    with atomic_file(path) as file:
        options: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": milliseconds, "loop": 0}
        frames[0].save(file, "WEBP", quality=80, method=3, **options)
    return path


def drawings(run: Path) -> list[Path]:
    """`curves` for a run with a journal; without previews there is no film."""
    return [*draw_curves(run), *([make_film(run)] if stills(run) else [])]


def curves(run: str | Path) -> list[Path]:
    """Draw a run's curves (PNG, SVG) and a film of its previews (WebP); returns the files.

    run: its folder; it may still be training. Raises `SimulacraError` when there is nothing to draw yet.
    """
    run = Path(run).expanduser()
    return [*draw_curves(run), make_film(run)]
