"""`lab distances`: why Wasserstein. A line is to be moved onto a parallel one, by Jensen-Shannon and by Wasserstein.

Example 1 of Arjovsky, Chintala, Bottou 2017: p is a line in the plane, q a parallel one at a gap of θ. Where they do not
overlap, JS is log 2 whatever the gap, with gradient 0, and KL is infinite; W is the gap, with gradient 1. Both lines are
alike along their length, so that all distances are those of the positions across: here Gaussians of width `WIDTH`, as
lines without width have no densities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from simulacra.console import say
from simulacra.files import write_json
from simulacra.lab.animation import DPI, FAKE, REAL, FigureAnimator, save_film
from simulacra.lab.bimodal import FORMAT
from simulacra.lab.divergences import STEP, integral, jensen_shannon, kl, log_gaussian
from simulacra.messages import using

WIDTH = 0.05  # standard deviation of a position across its line
GAPS = (2.0, 1.0, 0.5, 0.25, 0.1, 0.05, 0.0)  # in the table
START = 1.0  # the gap from which both descents begin
STEPS, RATE = 120, 0.02  # of gradient descent; the rate falls to zero as a cosine
STEPS_PER_FRAME = 2
SPAN = 2.2  # figures show gaps from -SPAN to SPAN

Distance = Callable[[Tensor, Tensor], Tensor]  # log p and log q on divergences.LINE -> a number


def wasserstein(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Wasserstein-1 distance in one dimension: the integral of |P - Q|, the distribution functions."""
    return integral(((log_p.exp() - log_q.exp()).cumsum(0) * STEP).abs())


class Value(NamedTuple):
    """A distance at a gap, and its slope: the gradient by the gap that a generator would follow."""

    value: float
    slope: float


def at_gap(distance: Distance, gap: float) -> Value:
    """A distance of two lines at a gap."""
    theta = torch.tensor(gap, dtype=torch.float64, requires_grad=True)
    value = distance(log_gaussian(0.0, WIDTH), log_gaussian(theta, WIDTH))
    (slope,) = torch.autograd.grad(value, theta)
    return Value(float(value.detach()), float(slope))


def descent(distance: Distance, start: float = START) -> list[float]:
    """The gap after each step of gradient descent on a distance, the start included."""
    gaps = [start]
    for step in range(STEPS):
        rate = RATE * (1 + math.cos(math.pi * step / STEPS)) / 2
        gaps.append(gaps[-1] - rate * at_gap(distance, gaps[-1]).slope)
    return gaps


def distances(folder: Path) -> list[Path]:
    """Measure, descend, print, and write `lab.json`, `film.webp` and `still.png`; deterministic."""
    table = []
    for gap in GAPS:
        js, w = at_gap(jensen_shannon, gap), at_gap(wasserstein, gap)
        row = {"gap": gap, "kl": at_gap(kl, gap).value, "js": js.value, "js_slope": js.slope}
        row |= {"w": w.value, "w_slope": w.slope}
        table.append({key: round(number, 6) + 0.0 for key, number in row.items()})
        say("lab.distances_row", **table[-1])
    paths = {"js": descent(jensen_shannon), "w": descent(wasserstein)}
    ends = {name: round(gaps[-1], 6) for name, gaps in paths.items()}
    say("lab.distances_descents", steps=STEPS, start=START, **ends)
    say("lab.distances_lesson")
    record = {"format": FORMAT, "target": "distances", "width": WIDTH, "start": START, "steps": STEPS}
    write_json(folder / "lab.json", record | {"gaps": table, "ends": ends})
    with using("en"):
        images = list(frames(paths))
    still = folder / "still.png"
    images[-1].save(still)
    return [folder / "lab.json", save_film(folder / "film.webp", images), still]


def frames(paths: Mapping[str, list[float]]) -> Iterator[Image.Image]:
    """Frames of both descents: the lines on the left, the distance by the gap on the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 6.0), dpi=DPI)
    gaps = np.linspace(-SPAN, SPAN, 89)
    moving = []
    rows = (("js", jensen_shannon, "Jensen-Shannon, nats", 0.53), ("w", wasserstein, "Wasserstein", 0.08))
    for name, distance, title, bottom in rows:
        plane, curve = figure.add_axes((0.05, bottom, 0.4, 0.33)), figure.add_axes((0.55, bottom, 0.42, 0.33))
        plane.plot([0, 0], [0, 1], color=REAL, linewidth=4)
        plane.set(xlim=(-SPAN, SPAN), ylim=(-0.1, 1.1), yticks=[])
        plane.set_title(f"q moves by gradient descent on {title.partition(',')[0]}", fontsize=9.5, loc="left")
        curve.plot(gaps, [at_gap(distance, float(gap)).value for gap in gaps], color=REAL, linewidth=1.5)
        curve.set_xlim(-SPAN, SPAN)
        curve.set_title(f"{title}, by the gap", fontsize=9.5, loc="left")
        for axes in (plane, curve):
            axes.tick_params(labelsize=8)
        (line,), (dot,) = plane.plot([], [], color=FAKE, linewidth=4), curve.plot([], [], "o", color=FAKE, markersize=8)
        label = curve.text(0.97, 0.12, "", transform=curve.transAxes, ha="right")
        moving.append((paths[name], distance, line, dot, label))
    figure.text(0.05, 0.955, "Two parallel lines, p and q", fontsize=12, weight="bold")
    figure.text(0.05, 0.925, "blue: p     orange: q, from the same start", fontsize=9, color="#444444")
    step_text = figure.text(0.97, 0.955, "", fontsize=11, ha="right")
    animator = FigureAnimator(figure, [*(artist for row in moving for artist in row[2:]), step_text])
    for step in range(0, STEPS + 1, STEPS_PER_FRAME):
        for path, distance, line, dot, label in moving:
            value = at_gap(distance, path[step])
            line.set_data([path[step]] * 2, [0, 1])
            dot.set_data([path[step]], [value.value])
            label.set_text(f"{value.value:.3f}, slope {round(value.slope, 3) + 0.0:.3f}")
        step_text.set_text(f"step {step}")
        yield animator.frame()
