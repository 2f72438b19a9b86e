"""Animations of the lab, and the frames of a run in the plane: D's field, reals, fakes and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simulacra.files import JsonObject, atomic_file

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Blue is real and orange is fake everywhere: colour-blind readers tell them apart, too.
REAL, FAKE, AVERAGE = "#0b3c6f", "#c04a00", "#5a5a5a"
FIELD = ("#f5c49a", "#ffffff", "#9fc3e6")
EXTENT = 2.7  # figures show the plane from -EXTENT to EXTENT
MOST_POINTS = 1000  # of each kind, in a figure
FRAME_MS, LAST_MS = 120, 2500
DPI = 100


def save_film(path: Path, frames: Sequence[Image.Image]) -> Path:
    """Write a looping WebP animation; the last frame stays longer."""
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
    with atomic_file(path) as file:
        options: dict[str, Any] = {"append_images": frames[1:], "duration": durations, "loop": 0}
        frames[0].save(file, "WEBP", save_all=True, quality=80, method=0, **options)
    return path


def save_still(path: Path, figure: Figure) -> Path:
    """Write a figure as PNG."""
    with atomic_file(path) as file:
        figure.savefig(file, format="png")
    return path


class FigureAnimator:
    """Redraws only a figure's moving artists: axes and their numbers take most of the time."""

    def __init__(self, figure: Figure, moving: Sequence[Artist]) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self.figure, self.moving, self.canvas = figure, moving, FigureCanvasAgg(figure)
        for artist in moving:
            artist.set_animated(True)
        self.canvas.draw()  # type: ignore[no-untyped-call]
        self.background = self.canvas.copy_from_bbox(figure.bbox)  # type: ignore[no-untyped-call]

    def frame(self) -> Image.Image:
        """The figure with the moving artists as they are now, drawn in their order."""
        self.canvas.restore_region(self.background)  # type: ignore[no-untyped-call]
        for artist in self.moving:
            self.figure.draw_artist(artist)
        pixels = np.asarray(self.canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        return Image.fromarray(pixels[:, :, :3])


@dataclass(frozen=True)
class Snapshot:
    """The plane at one step."""

    fakes: NDArray[np.float32]  # [N, 2]
    field: NDArray[np.float32]  # [S, S]: D over the plane, rows from below


class PlaneFilm:
    """The pictures of a run in the plane."""

    def __init__(self, title: str, reals: NDArray[np.float32], *, modes: int, ceiling: float, critic: bool) -> None:
        self.title, self.reals, self.modes, self.ceiling, self.critic = title, reals, modes, ceiling, critic

    def frames(
        self, snapshots: Sequence[Snapshot], lines: Sequence[JsonObject], format_line: Callable[[JsonObject], str]
    ) -> Iterator[Image.Image]:
        """A frame for each snapshot: the plane on the left, the scores so far on the right."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9.6, 5.4), dpi=DPI)
        image, reals, cloud = self.draw_plane(figure.add_axes((0.02, 0.07, 0.4725, 0.84)), snapshots[0])
        heading = figure.text(0.02, 0.945, "", fontsize=12, weight="bold")
        figure.text(0.02, 0.025, self.legend(), fontsize=8, color="#444444")
        panels = [figure.add_axes((0.57, bottom, 0.41, 0.24)) for bottom in (0.69, 0.39, 0.09)]
        curves = self.draw_scores(panels, lines)
        animator = FigureAnimator(figure, [image, reals, cloud, *(curve for curve, _ in curves), heading])
        steps = [line["plays"] for line in lines]
        for i, (snapshot, line) in enumerate(zip(snapshots, lines, strict=True)):
            image.set_data(snapshot.field)
            image.set_clim(*self.limits(snapshot.field))
            cloud.set_offsets(snapshot.fakes[:MOST_POINTS])
            heading.set_text(f"{self.title}     {format_line(line)}")
            for curve, values in curves:
                curve.set_data(steps[: i + 1], values[: i + 1])
            yield animator.frame()

    def still(self, snapshots: Sequence[Snapshot], lines: Sequence[JsonObject]) -> Figure:
        """Six snapshots of the run in a row above its curves."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(13, 5.2), dpi=DPI, layout="constrained")
        names = ("modes", "good", "loss")
        rows = [[f"{i}" for i in range(6)], [name for name in names for _ in range(2)]]
        mosaic = figure.subplot_mosaic(rows, height_ratios=(1.15, 1))  # type: ignore[arg-type]
        for i, index in enumerate(np.linspace(0, len(snapshots) - 1, 6).round().astype(int)):
            self.draw_plane(mosaic[f"{i}"], snapshots[index], dot=1.5)
            mosaic[f"{i}"].set_title(f"step {lines[index]['plays']:,}", fontsize=9)
        self.draw_scores([mosaic[name] for name in names], lines)
        for name in names:
            mosaic[name].set_xlabel("steps")
        figure.suptitle(f"{self.title}     {self.legend()}", fontsize=10)
        return figure

    def legend(self) -> str:
        """Explanation of the colours."""
        scale = "blue is a higher score" if self.critic else "blue says real, orange fake"
        return f"dark blue: reals    orange: fakes    field of D: {scale}"

    def limits(self, field: NDArray[np.float32]) -> tuple[float, float]:
        """The values of the two end colours: 0 and 1 for a probability, outer quantiles for a critic's scores."""
        if not self.critic:
            return 0.0, 1.0
        low, high = np.quantile(field, (0.02, 0.98))
        return float(low), float(max(high, low + 1e-6))

    def draw_plane(self, axes: Axes, snapshot: Snapshot, dot: float = 5.0) -> tuple[Any, Any, Any]:
        """Draw field, reals and fakes; returns their artists."""
        from matplotlib.colors import LinearSegmentedColormap

        low, high = self.limits(snapshot.field)
        image = axes.imshow(
            snapshot.field,
            cmap=LinearSegmentedColormap.from_list("field", FIELD),
            extent=(-EXTENT, EXTENT, -EXTENT, EXTENT),
            origin="lower",
            interpolation="bilinear",
            vmin=low,
            vmax=high,
        )
        reals = axes.scatter(self.reals[:MOST_POINTS, 0], self.reals[:MOST_POINTS, 1], color=REAL, s=dot, linewidths=0)
        cloud = axes.scatter(
            snapshot.fakes[:MOST_POINTS, 0],
            snapshot.fakes[:MOST_POINTS, 1],
            color=FAKE,
            s=dot,
            linewidths=0,
            alpha=0.75,
        )
        axes.set(xlim=(-EXTENT, EXTENT), ylim=(-EXTENT, EXTENT), xticks=[], yticks=[], aspect="equal")
        return image, reals, cloud

    def draw_scores(self, panels: Sequence[Axes], lines: Sequence[JsonObject]) -> list[tuple[Any, NDArray[np.float64]]]:
        """Draw modes found, good share and losses over steps; returns the curves and their values."""
        steps = [line["plays"] for line in lines]
        pairs = []
        for axes, name in zip(panels, ("modes", "good", "loss"), strict=True):
            for label, colour, width, values in _curves(lines, name):
                numbers = np.array(values, dtype=np.float64)  # None becomes NaN, a gap
                (curve,) = axes.plot(steps, numbers, label=label, color=colour, linewidth=width)
                pairs.append((curve, numbers))
            axes.set_xlim(0, max(steps[-1], 1))
            axes.grid(alpha=0.25)
            axes.tick_params(labelsize=8)
            axes.legend(loc="best", fontsize=8, framealpha=0.7)
        top, middle, bottom = panels
        top.set(ylim=(-0.04 * self.modes, 1.04 * self.modes), ylabel=f"modes found of {self.modes}")
        middle.set(ylim=(-0.04, 1.04), ylabel="good share")
        middle.axhline(self.ceiling, color=REAL, linewidth=0.8, linestyle=":")
        bottom.set_ylabel("loss")
        return pairs


def _curves(lines: Sequence[JsonObject], name: str) -> list[tuple[str, str, float, list[Any]]]:
    """(label, colour, width, values) of the two curves of a panel."""
    if name == "loss":
        return [
            (f"{s}", c, 1.2, [line.get(f"{s.lower()}_loss") for line in lines]) for s, c in (("D", REAL), ("G", FAKE))
        ]
    return [
        ("average of G", AVERAGE, 2.2, [line["average"][name] for line in lines]),
        ("G", FAKE, 1.2, [line["now"][name] for line in lines]),
    ]
