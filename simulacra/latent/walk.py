"""Walks between pictures in latent space: z moves on arcs, see `interpolation`; w of a mapping network on straight lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.generator import Generator, check_truncation
from simulacra.interpolation import interpolate_z, lerp
from simulacra.latent.recipe import Direction, Recipe, per_layer, to_json, to_w, to_z
from simulacra.seeds import as_given

Space = Literal["auto", "z", "w"]
Easing = Literal["linear", "smooth"]
BATCH = 16
PROBES = 8  # pictures compared per leg, for an even speed
MAX_FRAMES = 100_000


def ease(t: NDArray[np.float64], easing: Easing) -> NDArray[np.float64]:
    """Shares of a leg [N] in [0, 1]: unchanged for linear, 3t² - 2t³ (slow at both ends) for smooth."""
    return t if easing == "linear" else t * t * (3 - 2 * t)


class Frame(NamedTuple):
    """One picture of a walk."""

    position: float  # from 0; whole numbers are the stops
    w: Tensor  # [w] or [num_ws, w]
    picture: Tensor  # [C, H, W]


class Walk:
    """A path in latent space through the pictures of several recipes.

    directions: the model's, by name, for edited stops. space: in w legs are straight; in z they are arcs, mapped to w
    afterwards; auto is w where the model has a mapping network. Without one, w is z and both are the same.
    Raises `SimulacraError` for fewer than two stops, and in z for a stop that starts from w or is edited.
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
            raise SimulacraError("latent.too_few_stops")
        self.generator, self.recipes, self.loop, self.space = generator, tuple(stops), loop, space
        noises = {stop.noise for stop in stops}
        self.noise = noises.pop() if len(noises) == 1 else None  # other noise at each stop would flicker
        self.legs = len(stops) - (not loop)
        self.in_z = space == "z" and bool(generator.num_ws)
        if self.in_z:
            if any(stop.w or stop.edits or stop.other is not None for stop in stops):
                raise SimulacraError("latent.walk_in_z_of_edited")
            self.stops = torch.cat([to_z(generator, stop) for stop in stops])
            conditions = [generator.conditions([stop.seed or 0], stop.label) for stop in stops]
            self.y = torch.cat([y for y in conditions if y is not None]) if generator.labels else None
            if any(stop.layer_truncation for stop in stops):
                raise SimulacraError("latent.walk_in_z_by_layers")
            self.psi = torch.tensor([stop.truncation for stop in stops], device=generator.device)
        else:
            ws = [to_w(generator, stop, directions or {}) for stop in stops]
            wide = any(w.dim() == 3 for w in ws)
            self.stops = torch.cat([per_layer(generator, w) if wide else w for w in ws])

    @torch.no_grad()
    def latents_at(self, positions: NDArray[np.float64]) -> Tensor:
        """w [N, w] or [N, num_ws, w] at positions [N] from 0 to `legs`; whole numbers are the stops."""
        leg = np.minimum(positions.astype(int), self.legs - 1)
        t = torch.from_numpy(positions - leg).to(self.stops.device, self.stops.dtype)
        before, after = torch.from_numpy(leg), torch.from_numpy((leg + 1) % len(self.stops))
        a, b = self.stops[before], self.stops[after]
        if self.in_z:
            y = None if self.y is None else lerp(self.y[before], self.y[after], t)
            w = self.generator.mapping(interpolate_z(a, b, t, prior=self.generator.prior), y)
            psi = torch.lerp(self.psi[before], self.psi[after], t).tolist()
            return torch.cat([self.generator.truncate(w[i : i + 1], value) for i, value in enumerate(psi)])
        if self.generator.num_ws:
            return lerp(a, b, t if a.dim() == 2 else t[:, None].expand(a.shape[:2]))
        z = self.generator.z_dim  # the label beside z moves on a straight line
        arcs = interpolate_z(a[:, :z], b[:, :z], t, prior=self.generator.prior)
        return torch.cat([arcs, lerp(a[:, z:], b[:, z:], t)], 1)

    @torch.no_grad()
    def frames(
        self, count: int, *, easing: Easing = "smooth", even: bool = False, batch: int = BATCH
    ) -> Iterator[Frame]:
        """Yield `count` frames of the walk, in constant memory.

        The last frame of a loop is not its first again, so it repeats without a pause. easing: speed between two
        stops. even: pictures change at a constant rate, measured at `PROBES` positions per leg.
        """
        if not 2 <= count <= MAX_FRAMES:
            raise SimulacraError("latent.walk_frames", frames=count, most=MAX_FRAMES)
        self.generator.eval()
        t = np.arange(count) / (count if self.loop else count - 1) * self.legs
        leg = np.minimum(t.astype(int), self.legs - 1)
        positions = leg + ease(t - leg, easing)
        if even:
            positions = np.interp(positions / self.legs, *self._change())
        for start in range(0, count, batch):
            part = positions[start : start + batch]
            w = self.latents_at(part)
            yield from map(Frame, part.tolist(), w, self.generator.render(w, self.noise).float())

    def provenance(self, frame: Frame) -> dict[str, Any]:
        """The record of a frame: its recipe, or its position on the walk, where no recipe can hold its label."""
        if self.generator.num_ws or not self.generator.labels:
            rows = frame.w.reshape(-1, frame.w.shape[-1])[:, : self.generator.w_dim]
            return {"recipe": to_json(Recipe(w=tuple(tuple(row) for row in rows.tolist()), noise=self.noise))}
        stops = [to_json(stop) for stop in self.recipes]
        return {"walk": {"stops": stops, "loop": self.loop, "space": self.space, "place": frame.position}}

    def _change(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shares of the total change in the pictures, and the positions at which they are reached."""
        positions, previous, total = np.linspace(0, self.legs, self.legs * PROBES + 1), None, [0.0]
        for start in range(0, len(positions), BATCH):
            for picture in self.generator.synthesis(self.latents_at(positions[start : start + BATCH])).float():
                if previous is not None:
                    # strictly increasing, so that no stretch is skipped
                    total.append(total[-1] + float((picture - previous).square().mean().sqrt()) + 1e-6)
                previous = picture
        return np.asarray(total) / total[-1], positions


def seed_stops(seeds: Sequence[int], *, label: str = "", truncation: float = 1.0) -> list[Recipe]:
    """One recipe per seed. Raises `SimulacraError` for a truncation that is not finite."""
    check_truncation(truncation)
    plain = Recipe(label=label, truncation=truncation)
    return [replace(plain, seed=as_given(seed)) for seed in seeds]
