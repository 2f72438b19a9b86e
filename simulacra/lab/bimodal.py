"""`lab bimodal`: each descent as a film, its numbers, and what they mean for GANs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from simulacra.console import say
from simulacra.files import write_json
from simulacra.lab.animation import DPI, FAKE, FIELD, REAL, FigureAnimator, save_film
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
    mixture_moments,
)
from simulacra.messages import text, using

FORMAT = "simulacra-lab-1"
STEPS_PER_FRAME = 6
SPAN = 6.0  # the film shows the line from -SPAN to SPAN


def bimodal(folder: Path) -> list[Path]:
    """Fit, print, and write `lab.json`, `film.webp` and `still.png`; deterministic."""
    fits = {name: fit(objective.divergence, steps=STEPS) for name, objective in OBJECTIVES.items()}
    log_p = mixture()
    summaries = {name: descent.summary(log_p) for name, descent in fits.items()}
    for name, summary in summaries.items():
        objective = OBJECTIVES[name]
        say("lab.bimodal_fit", formula=objective.formula, meaning=text(objective.meaning), **summary)
    mean, variance = mixture_moments()
    say("lab.bimodal_moments", mean=mean, deviation=variance**0.5)
    say("lab.bimodal_lesson", broad=summaries["js"]["js"], single=summaries["reverse"]["js"])
    mixed = {"weights": WEIGHTS, "centres": CENTRES, "width": WIDTH, "mean": mean, "variance": variance}
    record = {"format": FORMAT, "target": "bimodal", "p": mixed, "start": START, "steps": STEPS, "fits": summaries}
    write_json(folder / "lab.json", record)
    with using("en"):
        images = list(frames(fits))
    still = folder / "still.png"
    images[-1].save(still)
    return [folder / "lab.json", save_film(folder / "film.webp", images), still]


def frames(fits: Mapping[str, Fit]) -> Iterator[Image.Image]:
    """Frames of p and of each objective's q, in the language in use."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 6.4), dpi=DPI)
    visible = (LINE.abs() <= SPAN).numpy()
    line, p = LINE.numpy()[visible], mixture().exp().numpy()[visible]
    moving = []
    for name, place in zip(fits, ((0.05, 0.51), (0.54, 0.51), (0.05, 0.05), (0.54, 0.05)), strict=True):
        axes = figure.add_axes((*place, 0.43, 0.36))
        axes.fill_between(line, p, color=FIELD[2])
        axes.plot(line, p, color=REAL, linewidth=1.2)
        axes.set(xlim=(-SPAN, SPAN), ylim=(0, 0.9))
        axes.tick_params(labelsize=8)
        axes.set_title(f"{OBJECTIVES[name].formula}: {text(OBJECTIVES[name].meaning)}", fontsize=9.5, loc="left")
        (curve,) = axes.plot([], [], color=FAKE, linewidth=2)
        moving.append((curve, axes.text(0.98, 0.95, "", transform=axes.transAxes, ha="right", va="top", fontsize=9)))
    figure.text(0.05, 0.955, "One Gaussian q fitted to two, p", fontsize=12, weight="bold")
    figure.text(
        0.05, 0.925, "blue: p     orange: q, by gradient descent from the same start", fontsize=9, color="#444444"
    )
    step_text = figure.text(0.97, 0.955, "", fontsize=11, ha="right")
    animator = FigureAnimator(figure, [*(artist for pair in moving for artist in pair), step_text])
    for step in np.unique(np.append(np.arange(0, STEPS, STEPS_PER_FRAME), STEPS)):
        for (curve, label), descent in zip(moving, fits.values(), strict=True):
            mu, sigma, value = descent.path[step]
            curve.set_data(line, log_gaussian(mu, sigma).exp().numpy()[visible])
            label.set_text(f"μ {mu:.2f}   σ {sigma:.2f}\n{value:.3f} nats")
        step_text.set_text(f"step {step}")
        yield animator.frame()
