"""A way through latents, from picture to picture.

z of a normal prior goes along a great circle, its length in proportion (White, "Sampling Generative Networks", 2016,
arXiv:1609.04468): on the straight line between two of them the length would sink to 1/√2, where the model has hardly
been. z of a uniform prior does so after Φ⁻¹ has made it normal, and comes back by Φ, so that each step is still
uniform. w of a mapping network goes straight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.generator import Generator
from simulacra.latent.recipe import Direction, Recipe, each, latent, latents, to_json

Space = Literal["auto", "z", "w"]
Easing = Literal["linear", "smooth"]
TINY = 1e-7  # a length, and the sine of an angle, that are taken for 0
EDGE = 1e-6  # from the walls of a uniform prior, where Φ⁻¹ would be infinite
BATCH = 16
LOOKS = 8  # at the picture, from stop to stop, for an even speed
MOST_FRAMES = 100_000


def lerp(one: Tensor, other: Tensor, t: Tensor) -> Tensor:
    """one, other [..., d], t [...] from 0 to 1 -> the straight line between them [..., d]."""
    t = t[..., None].to(one.dtype)
    return one * (1 - t) + other * t


def slerp(one: Tensor, other: Tensor, t: Tensor) -> Tensor:
    """one, other [N, d], t [N] from 0 to 1 -> the great circle between them [N, d], lengths in proportion.

    Opposite ones go round by an axis that both least lie along; from or to zero the way is straight.
    """
    # on the processor: not every device has so many digits, and latents are small
    x, y, share = one.cpu().double(), other.cpu().double(), t.cpu().double()[:, None]
    lengths = x.norm(dim=1, keepdim=True), y.norm(dim=1, keepdim=True)
    a, b = x / lengths[0].clamp(min=TINY), y / lengths[1].clamp(min=TINY)
    cosine = (a * b).sum(1, keepdim=True)
    across = b - cosine * a
    sine = across.norm(dim=1, keepdim=True)
    aside = torch.zeros_like(a).scatter_(1, a.abs().argmin(1, keepdim=True), 1.0)
    aside = aside - (a * aside).sum(1, keepdim=True) * a
    across = torch.where(sine < TINY, aside, across)
    across = across / across.norm(dim=1, keepdim=True).clamp(min=TINY)
    angle = share * torch.atan2(sine, cosine)  # better near 0 and π than from the cosine alone
    direction = torch.cos(angle) * a + torch.sin(angle) * across
    arc = direction * (lengths[0] * (1 - share) + lengths[1] * share)
    straight = x * (1 - share) + y * share
    return torch.where((lengths[0] < TINY) | (lengths[1] < TINY), straight, arc).to(one)


def between(one: Tensor, other: Tensor, t: Tensor, *, prior: str) -> Tensor:
    """Latents z [N, z] of a normal or uniform prior, t [N] from 0 to 1 -> [N, z], each as likely as its ends."""
    if prior != "uniform":
        return slerp(one, other, t)
    normal = [torch.special.ndtri((x.cpu().double() / 2 + 0.5).clamp(EDGE, 1 - EDGE)) for x in (one, other)]
    arc: Tensor = torch.special.ndtr(slerp(normal[0], normal[1], t)) * 2 - 1
    return arc.to(one)


def eased(t: NDArray[np.float64], easing: Easing) -> NDArray[np.float64]:
    """Shares of the way [N] from 0 to 1, at an even speed, or slow at both ends (3t² - 2t³)."""
    return t if easing == "linear" else t * t * (3 - 2 * t)


class Moment(NamedTuple):
    """One picture of a walk."""

    place: float  # from 0; whole numbers are the stops
    w: Tensor  # [w] or [styles, w]
    picture: Tensor  # [C, H, W]


class Walk:
    """A way through several pictures: where it is at any moment.

    directions: the model's own, by name, where stops are edited. space: w goes straight; z goes on arcs, and then is embedded; auto is w where there is a mapping network. Without
    one w is z, so that both are the same. Raises `SimulacraError` for fewer than two stops, and where z is asked for
    and a stop has none (it starts from w, or was edited).
    """

    def __init__(
        self,
        generator: Generator,
        stops: Sequence[Recipe],
        directions: Mapping[str, Direction] | None = None,
        *,
        loop: bool = True,
        space: Space = "auto",
    ) -> None:
        if len(stops) < 2:
            raise SimulacraError("A walk needs at least two pictures to go between, such as --seeds 1,5,9.")
        self.generator, self.recipes, self.loop, self.space = generator, tuple(stops), loop, space
        self.legs = len(stops) - (not loop)
        self.by_z = space == "z" and bool(generator.num_ws)
        if self.by_z:
            for stop in stops:
                if stop.w or stop.edits or stop.other is not None:
                    raise SimulacraError(
                        "A walk in z goes between seeds or z alone: walk in w between edited pictures."
                    )
            self.stops = torch.cat([latent(generator, stop) for stop in stops])
            told = [generator.labelled([stop.seed or 0], stop.label) for stop in stops]
            self.y = torch.cat([y for y in told if y is not None]) if generator.labels else None
            self.pulls = torch.tensor([stop.truncation for stop in stops], device=generator.device)
        else:
            found = [latents(generator, stop, directions or {}) for stop in stops]
            wide = any(w.dim() == 3 for w in found)
            self.stops = torch.cat([each(generator, w) if wide else w for w in found])

    @torch.no_grad()
    def at(self, places: NDArray[np.float64]) -> Tensor:
        """w [N, w] or [N, styles, w] at places [N] from 0 to `legs`: whole numbers are the stops."""
        leg = np.minimum(places.astype(int), self.legs - 1)
        t = torch.from_numpy(places - leg).to(self.stops.device, self.stops.dtype)
        before, after = torch.from_numpy(leg), torch.from_numpy((leg + 1) % len(self.stops))
        one, other = self.stops[before], self.stops[after]
        if self.by_z:
            y = None if self.y is None else lerp(self.y[before], self.y[after], t)
            w = self.generator.mapping(between(one, other, t, prior=self.generator.prior), y)
            pulls = torch.lerp(self.pulls[before], self.pulls[after], t).tolist()
            return torch.cat([self.generator.truncate(w[i : i + 1], pull) for i, pull in enumerate(pulls)])
        if self.generator.num_ws:
            return lerp(one, other, t if one.dim() == 2 else t[:, None].expand(one.shape[:2]))
        z = self.generator.z_dim  # what tells of a label stands beside it, and goes straight
        arcs = between(one[:, :z], other[:, :z], t, prior=self.generator.prior)
        return torch.cat([arcs, lerp(one[:, z:], other[:, z:], t)], 1)

    @torch.no_grad()
    def pictures(
        self, count: int, *, easing: Easing = "smooth", even: bool = False, batch: int = BATCH
    ) -> Iterator[Moment]:
        """`count` moments of the walk, in constant memory.

        A loop's last moment is not its first again, so that it plays on without a halt. easing: the speed between
        two stops. even: moments are as far apart as their pictures differ, at `LOOKS` looks a leg.
        """
        if not 2 <= count <= MOST_FRAMES:
            raise SimulacraError(f"A walk of {count} pictures is not possible: 2 to {MOST_FRAMES} are.")
        self.generator.eval()
        t = np.arange(count) / (count if self.loop else count - 1) * self.legs
        leg = np.minimum(t.astype(int), self.legs - 1)
        places = leg + eased(t - leg, easing)
        if even:
            places = np.interp(places / self.legs, *self._pace())
        for start in range(0, count, batch):
            w = self.at(places[start : start + batch])
            yield from map(Moment, places[start : start + batch].tolist(), w, self.generator.synthesis(w).float())

    def told(self, moment: Moment) -> dict[str, Any]:
        """What a picture of the walk can say of itself: its recipe, or its place on the walk between two labels."""
        if self.generator.num_ws or not self.generator.labels:
            rows = moment.w.reshape(-1, moment.w.shape[-1])[:, : self.generator.w_dim]
            return {"recipe": to_json(Recipe(w=tuple(tuple(row) for row in rows.tolist())))}
        stops = [to_json(stop) for stop in self.recipes]
        return {"walk": {"stops": stops, "loop": self.loop, "space": self.space, "place": moment.place}}

    def _pace(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shares of all that changes in the pictures, and the places where so much of it is done."""
        places, before, done = np.linspace(0, self.legs, self.legs * LOOKS + 1), None, [0.0]
        for start in range(0, len(places), BATCH):
            for picture in self.generator.synthesis(self.at(places[start : start + BATCH])).float():
                if before is not None:
                    # never nothing, so that no stretch is jumped over
                    done.append(done[-1] + float((picture - before).square().mean().sqrt()) + 1e-6)
                before = picture
        return np.asarray(done) / done[-1], places


def stops_of(seeds: Sequence[int], *, label: str = "", truncation: float = 1.0) -> list[Recipe]:
    """A recipe a seed."""
    plain = Recipe(label=label, truncation=truncation)
    return [replace(plain, seed=seed) for seed in seeds]
