"""`lab bimodal`: the descent of each divergence as a film, with its numbers and what they say about GANs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from simulacra.console import console
from simulacra.files import write_json
from simulacra.lab.animation import DPI, FAKE, FIELD, REAL, Screen, save_film
from simulacra.lab.divergences import (
    CENTRES,
    LINE,
    OBJECTIVES,
    START,
    STEPS,
    WEIGHTS,
    WIDTH,
    Fit,
    fit,
    log_gaussian,
    mixture,
    moments,
)

FORMAT = "simulacra-lab-1"
EVERY = 6  # steps a frame
SPAN = 6.0  # the line is shown from -SPAN to SPAN
LESSON = (
    "Maximum likelihood descends KL(p‖q), which is enormous where q leaves out what p has: one Gaussian must cover both, and "
    "the valley between them too. KL(q‖p) is enormous where q has what p has not: one Gaussian settles on one mode; on which, "
    "the start decides. At the best D, the minimax loss is 2 JS - log 4 (Goodfellow et al. 2014, theorem 1), and the "
    "non-saturating loss has the gradient of KL(q‖p) - 2 JS (Arjovsky & Bottou 2017, theorem 2.5), which seeks modes as well. "
    "JS lies between: the descent covered both, at {broad:.3f}, though one mode alone would be {single:.3f}. None of this by "
    "itself explains why GANs collapse: a G that can be p has its minimum there under all four. In play, D is never the best "
    "one, and G runs to wherever the D of the moment is most deceived: simulacra lab ring."
)


def bimodal(folder: Path) -> list[Path]:
    """Fit, print, and write `lab.json`, `film.webp` and `still.png`; all of it is the same each time."""
    fits = {name: fit(each.of, steps=STEPS) for name, each in OBJECTIVES.items()}
    log_p = mixture()
    told = {name: each.describe(log_p) for name, each in fits.items()}
    for name, end in told.items():
        objective = OBJECTIVES[name]
        console.print(
            f"{objective.formula:21} μ {end['mu']:6.3f}   σ {end['sigma']:.3f}   {end['left']:4.0%} left, {end['right']:4.0%} "
            f"right   KL(p‖q) {end['forward']:6.3f}   JS {end['js']:.3f}   KL(q‖p) {end['reverse']:.3f}   {objective.what}",
            markup=False,
        )
    mean, variance = moments()
    lesson = LESSON.format(broad=told["js"]["js"], single=told["reverse"]["js"])
    console.print(f"p itself has mean {mean:.3f} and deviation {variance**0.5:.3f}.\n\n{lesson}", markup=False)
    mixed = {"weights": WEIGHTS, "centres": CENTRES, "width": WIDTH, "mean": mean, "variance": variance}
    record = {"format": FORMAT, "target": "bimodal", "p": mixed, "start": START, "steps": STEPS, "fits": told}
    write_json(folder / "lab.json", record)
    drawn = list(frames(fits))
    still = folder / "still.png"
    drawn[-1].save(still)
    return [folder / "lab.json", save_film(folder / "film.webp", drawn), still]


def frames(fits: Mapping[str, Fit]) -> Iterator[Image.Image]:
    """p and the q of each objective, every so many steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 6.4), dpi=DPI)
    shown = (LINE.abs() <= SPAN).numpy()
    line, p = LINE.numpy()[shown], mixture().exp().numpy()[shown]
    moving = []
    for name, place in zip(fits, ((0.05, 0.51), (0.54, 0.51), (0.05, 0.05), (0.54, 0.05)), strict=True):
        axes = figure.add_axes((*place, 0.43, 0.36))
        axes.fill_between(line, p, color=FIELD[2])
        axes.plot(line, p, color=REAL, linewidth=1.2)
        axes.set(xlim=(-SPAN, SPAN), ylim=(0, 0.9))
        axes.tick_params(labelsize=8)
        axes.set_title(f"{OBJECTIVES[name].formula}: {OBJECTIVES[name].what}", fontsize=9.5, loc="left")
        (curve,) = axes.plot([], [], color=FAKE, linewidth=2)
        moving.append((curve, axes.text(0.98, 0.95, "", transform=axes.transAxes, ha="right", va="top", fontsize=9)))
    figure.text(0.05, 0.955, "One Gaussian q fitted to two, p", fontsize=12, weight="bold")
    figure.text(
        0.05, 0.925, "blue: p     orange: q, by gradient descent from the same start", fontsize=9, color="#444444"
    )
    step_text = figure.text(0.97, 0.955, "", fontsize=11, ha="right")
    screen = Screen(figure, [*(artist for pair in moving for artist in pair), step_text])
    for step in np.unique(np.append(np.arange(0, STEPS, EVERY), STEPS)):
        for (curve, text), each in zip(moving, fits.values(), strict=True):
            mu, sigma, value = each.path[step]
            curve.set_data(line, log_gaussian(mu, sigma).exp().numpy()[shown])
            text.set_text(f"μ {mu:.2f}   σ {sigma:.2f}\n{value:.3f} nats")
        step_text.set_text(f"step {step}")
        yield screen.frame()
