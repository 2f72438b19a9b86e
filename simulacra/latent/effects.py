"""What a direction does to pictures, measured: how much, how, where, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from simulacra.generator import Generator
from simulacra.latent.attribute_classifier import Reader
from simulacra.latent.recipe import Direction, moved

REACH = 2.0  # strengths either way that an effect is measured between
STARTS = 24  # pictures that it is measured on
AT_ONCE = 48  # pictures drawn at a time
SEEN = 32  # pixels a side at which two changes are compared, at most
WORTH, FLIPPED = 0.5, 0.2  # deviations of a reading, and share of pictures, from which on they are worth a word
WORDS = {
    "brightness": ("brighter", "darker"),
    "contrast": ("more contrast", "less contrast"),
    "warmth": ("warmer", "bluer"),
    "green": ("greener", "pinker"),
    "colour": ("more colourful", "greyer"),
    "top": ("brighter at the top", "darker at the top"),
    "middle": ("brighter in the middle", "darker in the middle"),
    "bottom": ("brighter at the bottom", "darker at the bottom"),
    "left": ("brighter at the left", "brighter at the right"),
    "size": ("larger", "smaller"),
    "across": ("further right", "further left"),
    "down": ("lower", "higher"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Effect:
    """What strength +2 shows that -2 does not.

    amount: root mean square of the change, where black to white is 2. change: [N, c·h·w], small, each of length 1.
    shifts: of each reading, in deviations between pictures. places: [3, 3], the share of the change in each ninth.
    flips: of each attribute, by how much the share of pictures that have it grows.
    """

    amount: float
    change: Tensor
    shifts: dict[str, float]
    places: Tensor
    flips: dict[str, float]

    @property
    def sign(self) -> int:
        """-1 where the larger of the shifts is downwards, else 1."""
        told = self.flips if max(map(abs, self.flips.values()), default=0.0) >= FLIPPED else self.shifts
        return -1 if max(told.values(), key=abs) < 0 else 1

    def words(self) -> str:
        """`glasses +60 %; darker in the middle`: at most two attributes and two stats, and where it happens."""
        attributes = sorted(self.flips, key=lambda name: -abs(self.flips[name]))[:2]
        told = [f"{name} {self.flips[name]:+.0%}" for name in attributes if abs(self.flips[name]) >= FLIPPED]
        stats = sorted(self.shifts, key=lambda name: -abs(self.shifts[name]))[:2]
        seen = [WORDS[name][self.shifts[name] < 0] for name in stats if abs(self.shifts[name]) >= WORTH]
        where = self.where()
        if not seen:
            seen = [f"another shape {where}" if where else "another shape"]
        elif where and not any(where.split()[-1] in word for word in seen):
            seen.append(f"mostly {where}")
        return "; ".join(part for part in (", ".join(told), ", ".join(seen)) if part)

    def where(self) -> str:
        """`at the top`, or nothing where the change is all over."""
        rows, columns = self.places.sum(1).tolist(), self.places.sum(0).tolist()
        for shares, names in ((rows, ("at the top", "in the middle", "at the bottom")),
                              (columns, ("at the left", "in the middle", "at the right"))):  # fmt: skip
            if max(shares) > 0.5:
                return names[shares.index(max(shares))]
        return ""


@torch.no_grad()
def effects(
    generator: Generator, directions: Sequence[Direction], *, first: int = 0, starts: int = STARTS, reader: Reader | None = None
) -> list[Effect]:  # fmt: skip
    """What each direction does, measured on the pictures of `starts` seeds from `first` on.

    reader: reads attributes, which are then told, too.
    """
    seeds = range(first, first + starts)
    w = generator.mapping(generator.seeded(seeds), generator.labelled(seeds))
    before = stats(render(generator, w))
    spread = {name: float(values.std()) + 1e-6 for name, values in before.items()}
    found = []
    for direction in directions:
        plus, minus = (render(generator, moved(generator, w, direction, side * REACH)) for side in (1, -1))
        change = plus - minus
        after = zip(stats(plus).items(), stats(minus).values(), strict=True)
        small = _small(change).flatten(1)
        thirds = F.adaptive_avg_pool2d(change.square().mean((0, 1))[None], 3)[0]
        found.append(
            Effect(
                amount=float(change.square().mean().sqrt()),
                change=small / (small.norm(dim=1, keepdim=True) + 1e-12),
                shifts={name: float((a - b).mean()) / spread[name] for (name, a), b in after},
                places=thirds / (thirds.sum() + 1e-12),
                flips=_flips(reader, plus, minus),
            )
        )
    return found


def alike(one: Effect, other: Effect) -> float:
    """The mean cosine between what two directions change in the same pictures, from 0 to 1."""
    return abs(float((one.change * other.change).sum(1).mean()))


@torch.no_grad()
def render(generator: Generator, w: Tensor) -> Tensor:
    """Pictures [N, C, H, W] of any number of w."""
    return torch.cat([generator.synthesis(part).float().clamp(-1, 1) for part in torch.split(w, AT_ONCE)])


def stats(pictures: Tensor) -> dict[str, Tensor]:
    """What can be read off any pictures [N, C, H, W]: a number [N] by each of the names of `WORDS`."""
    seen = _on_white(pictures)
    grey = seen.mean(1)  # [N, H, W]
    found = {"brightness": grey.mean((1, 2)), "contrast": grey.std((1, 2))}
    if seen.shape[1] == 3:
        red, green, blue = seen.mean((2, 3)).unbind(1)
        found |= {"warmth": red - blue, "green": green - (red + blue) / 2}
        found["colour"] = (seen.amax(1) - seen.amin(1)).mean((1, 2))
    top, middle, bottom = (part.mean((1, 2)) - found["brightness"] for part in grey.tensor_split(3, 1))
    left, right = (part.mean((1, 2)) for part in grey.tensor_split(2, 2))
    found |= {"top": top, "middle": middle, "bottom": bottom, "left": left - right}
    return found | _figure(seen)


def _figure(seen: Tensor) -> dict[str, Tensor]:
    """How large what differs from the border is, and where its middle lies."""
    border = torch.cat([seen[:, :, 0], seen[:, :, :, 0], seen[:, :, :, -1]], 2).median(2).values
    weight = (seen - border[:, :, None, None]).abs().mean(1) + 1e-6  # [N, H, W]
    weight = weight / weight.amax((1, 2), keepdim=True)
    y, x = (torch.linspace(0, 1, side, device=seen.device) for side in weight.shape[1:])
    whole = weight.sum((1, 2))
    across, down = (weight.sum(1) @ x) / whole, (weight.sum(2) @ y) / whole
    return {"size": weight.mean((1, 2)), "across": across, "down": down}


def _on_white(pictures: Tensor) -> Tensor:
    if pictures.shape[1] != 4:
        return pictures
    alpha = (pictures[:, 3:] + 1) / 2
    return pictures[:, :3] * alpha + (1 - alpha)


def _small(pictures: Tensor) -> Tensor:
    side = max(pictures.shape[2:])
    return F.avg_pool2d(pictures, side // SEEN) if side >= 2 * SEEN else pictures


def _flips(reader: Reader | None, plus: Tensor, minus: Tensor) -> dict[str, float]:
    if reader is None:
        return {}
    shares = [(reader.read(torch.split(pictures, AT_ONCE)) > 0).float().mean(0) for pictures in (plus, minus)]
    return dict(zip(reader.names, (shares[0] - shares[1]).tolist(), strict=True))
