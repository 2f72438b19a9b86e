"""What single translations are like: what comes back, what should stay as it is, and how near the true partner is.

Differences are L1, a pixel from 0 to 1. A translator can hide a picture in its translation, in detail that nobody sees, and
so bring it back whatever the translation shows (Chu, Zhmoginov, Sandler. CycleGAN, a Master of Steganography. 2017,
arXiv:1712.02950). So the way back is also tried from a translation as a file would hold it, rounded to 8 bits, under a noise
that the eye hardly sees. With c the error of the way there and back, c' that under the disturbance, and e the disturbance:

    honesty = √(c² + e²) / c', at most 1
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.measure.intervals import Resampled, resampled_mean
from simulacra.measure.translation.ssim import ssim
from simulacra.translator import OTHER, Side, Translator

NOISE = 2 / 255  # standard deviation, of a pixel from 0 to 1
HONEST, HIDING = 0.8, 0.5  # from here on, below

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cycle:
    """Of each picture [N]: L1 between it and what comes back, the same under the disturbance, and the disturbance."""

    clean: Values
    disturbed: Values
    disturbance: Values


def l1(x: Tensor, y: Tensor) -> Values:
    """[N]: the mean difference of pictures [N, C, H, W] in [-1, 1], a pixel from 0 to 1."""
    found: Values = ((x.double() - y.double()).abs().mean((1, 2, 3)) / 2).cpu().numpy()
    return found


@torch.no_grad()
def cycled(translator: Translator, batches: Iterable[Tensor], to: Side) -> Cycle:
    """Pictures in [-1, 1] there and back. The noise depends on a picture's place alone."""
    translator.eval()
    clean, disturbed, disturbance = list[Values](), list[Values](), list[Values]()
    done, back = 0, OTHER[to]
    for batch in batches:
        images = batch.to(translator.device)
        there = translator.translate(images, to)
        shown = _disturbed(there, done)
        clean.append(l1(translator.translate(there, back), images))
        disturbed.append(l1(translator.translate(shown, back), images))
        disturbance.append(l1(shown, there))
        done += len(images)
    return Cycle(*(np.concatenate(values) for values in (clean, disturbed, disturbance)))


def _disturbed(pictures: Tensor, first: int) -> Tensor:
    """Rounded to 8 bits, with noise; they are pictures number `first` and so on."""
    noise = [np.random.default_rng([5, first + i]).standard_normal(pictures.shape[1:]) for i in range(len(pictures))]
    rounded = (pictures.clamp(-1, 1) * 127.5 + 127.5).round() / 127.5 - 1
    return rounded + 2 * NOISE * torch.from_numpy(np.stack(noise)).to(pictures)


def honesty(cycle: Cycle) -> Resampled:
    """1: what comes back depends on what is seen; near 0: on what is hidden."""
    clean, disturbed, disturbance = (resampled_mean(each) for each in (cycle.clean, cycle.disturbed, cycle.disturbance))

    def share(c: Values, after: Values, e: Values) -> Values:
        found: Values = np.minimum(np.sqrt(c**2 + e**2) / np.maximum(after, 1e-12), 1)
        return found

    value = share(*(np.array([each.value]) for each in (clean, disturbed, disturbance)))
    drawn = share(clean.replicates, disturbed.replicates, disturbance.replicates)
    return Resampled.of(float(value[0]), drawn, least=0.0)


def verdict(value: float, clean: float, disturbed: float, way: str) -> tuple[str, str]:
    """A word and a sentence. `way`: `horses to zebras`."""
    seen = (
        f"With its translation rounded to 8 bits and noise of 2/255 on it, a picture comes back with an error of "
        f"{disturbed:.4f} (a pixel from 0 to 1), without with {clean:.4f}: honesty {value:.2f}."
    )
    if value >= HONEST:
        return "honest", f"{way}: no sign that what comes back depends on detail that nobody sees. {seen}"
    if value >= HIDING:
        return "partly", f"{way}: what comes back depends in part on detail that nobody sees. {seen}"
    return "hiding", (
        f"{way}: the translation hides the picture in detail that nobody sees, so that the clean cycle error says nothing "
        f"about what it shows. {seen}"
    )


@torch.no_grad()
def stayed(translator: Translator, batches: Iterable[Tensor], to: Side) -> Values:
    """[N]: L1 between pictures that are of the domain `to` already and what is made of them."""
    translator.eval()
    given = (batch.to(translator.device) for batch in batches)
    return np.concatenate([l1(translator.translate(images, to), images) for images in given])


@dataclass(frozen=True, eq=False)
class Nearness:
    """Of each picture [N] with a true partner: how far from it the translation is, and the picture itself was."""

    l1: Values
    l1_untranslated: Values
    ssim: Values
    ssim_untranslated: Values


@torch.no_grad()
def nearness(translator: Translator, batches: Iterable[Tensor], partners: Iterable[Tensor], to: Side) -> Nearness:
    """Pictures and their partners, in batches of the same sizes."""
    translator.eval()
    found: list[list[Values]] = [[], [], [], []]
    for batch, true in zip(batches, partners, strict=True):
        images = batch.to(translator.device)
        aim, made = true.to(images), translator.translate(images, to).clamp(-1, 1)
        pairs = [(made, aim), (images, aim)]
        values = [l1(*pair) for pair in pairs]
        values += [ssim((x + 1) / 2, (y + 1) / 2).cpu().numpy() for x, y in pairs]
        for held, value in zip(found, values, strict=True):
            held.append(value)
    return Nearness(*(np.concatenate(values) for values in found))
