"""Effect of a direction on pictures: how much changes, what, and where, in numbers and in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from simulacra.generator import Generator
from simulacra.latent.attribute_classifier import AttributeClassifier
from simulacra.latent.recipe import Direction, move

REACH = 2.0  # an effect is measured between this strength and its negative
STARTS = 24  # pictures that it is measured on
BATCH = 48
SIDE = 32  # pixels at which two changes are compared
MIN_AMOUNT = 4 / 255  # of an effect that can be seen: two levels of 255, where black to white is 2
MIN_SHIFT, MIN_FLIP = 0.5, 0.2  # standard deviations of a statistic, and share of pictures, that are worth a word
# (for growth, for decline) of each statistic. Saved with directions, so these words are a file format.
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
    """Change of pictures from strength -2 to +2.

    amount: root mean square of the change, where black to white is 2. change: [N, c·h·w], small, each of length 1.
    shifts: of each statistic, in standard deviations between pictures. places: [3, 3], share of the change in each
    ninth. flips: growth of the share of pictures with each attribute.
    """

    amount: float
    change: Tensor
    shifts: dict[str, float]
    places: Tensor
    flips: dict[str, float]

    @property
    def sign(self) -> int:
        """-1 where the largest shift is a decline, else 1."""
        values = self.flips if max(map(abs, self.flips.values()), default=0.0) >= MIN_FLIP else self.shifts
        return -1 if max(values.values(), key=abs) < 0 else 1

    def words(self) -> str:
        """`glasses +60 %; darker in the middle`: at most two attributes and two statistics, and where it happens."""
        attributes = sorted(self.flips, key=lambda name: -abs(self.flips[name]))[:2]
        flips = [f"{name} {self.flips[name]:+.0%}" for name in attributes if abs(self.flips[name]) >= MIN_FLIP]
        names = sorted(self.shifts, key=lambda name: -abs(self.shifts[name]))[:2]
        shifts = [WORDS[name][self.shifts[name] < 0] for name in names if abs(self.shifts[name]) >= MIN_SHIFT]
        where = self.where()
        if not shifts:
            shifts = [f"another shape {where}" if where else "another shape"]
        elif where and not any(where.split()[-1] in word for word in shifts):
            shifts.append(f"mostly {where}")
        return "; ".join(part for part in (", ".join(flips), ", ".join(shifts)) if part)

    def where(self) -> str:
        """`at the top`; empty where the change is spread."""
        rows, columns = self.places.sum(1).tolist(), self.places.sum(0).tolist()
        for shares, names in ((rows, ("at the top", "in the middle", "at the bottom")),
                              (columns, ("at the left", "in the middle", "at the right"))):  # fmt: skip
            if max(shares) > 0.5:
                return names[shares.index(max(shares))]
        return ""


@torch.no_grad()
def measure_effects(
    generator: Generator,
    directions: Sequence[Direction],
    *,
    first: int = 0,
    starts: int = STARTS,
    classifier: AttributeClassifier | None = None,
) -> list[Effect]:
    """The effect of each direction on the pictures of `starts` seeds from `first` on.

    classifier: of the attributes in `Effect.flips`.
    """
    seeds = range(first, first + starts)
    w = generator.mapping(generator.seeded(seeds), generator.conditions(seeds))
    deviations = {name: float(values.std()) + 1e-6 for name, values in statistics(draw(generator, w)).items()}
    effects = []
    for direction in directions:
        plus, minus = (draw(generator, move(generator, w, direction, side * REACH)) for side in (1, -1))
        change = plus - minus
        pairs = zip(statistics(plus).items(), statistics(minus).values(), strict=True)
        small = _shrink(change).flatten(1)
        ninths = F.adaptive_avg_pool2d(change.square().mean((0, 1))[None], 3)[0]
        effects.append(
            Effect(
                amount=float(change.square().mean().sqrt()),
                change=small / (small.norm(dim=1, keepdim=True) + 1e-12),
                shifts={name: float((a - b).mean()) / deviations[name] for (name, a), b in pairs},
                places=ninths / (ninths.sum() + 1e-12),
                flips=_flips(classifier, plus, minus),
            )
        )
    return effects


@torch.no_grad()
def noise_floor(generator: Generator, *, first: int = 0, starts: int = STARTS) -> float:
    """The least amount of an effect that stands out from noise, on the pictures of `starts` seeds from `first` on.

    It is what other noise changes where the model has some, and at least `MIN_AMOUNT`.
    """
    if not generator.has_noise:
        return MIN_AMOUNT
    seeds = range(first, first + starts)
    w = generator.mapping(generator.seeded(seeds), generator.conditions(seeds))
    one, other = (generator.render(w, noise).float().clamp(-1, 1) for noise in (0, 1))
    return max(MIN_AMOUNT, float((one - other).square().mean().sqrt()))


def is_description(name: str) -> bool:
    """Whether a direction's name only says how pictures change, such as `darker 2`: nobody has named what it does."""
    words = re.sub(r" \d+$", "", name)
    return words.startswith("another shape") or any(words in pair for pair in WORDS.values())


def similarity(a: Effect, b: Effect) -> float:
    """Absolute mean cosine, in [0, 1], between what two directions change in the same pictures."""
    return abs(float((a.change * b.change).sum(1).mean()))


@torch.no_grad()
def draw(generator: Generator, w: Tensor) -> Tensor:
    """Pictures [N, C, H, W] in [-1, 1] of any number of w, in batches."""
    return torch.cat([generator.synthesis(part).float().clamp(-1, 1) for part in torch.split(w, BATCH)])


def statistics(pictures: Tensor) -> dict[str, Tensor]:
    """Statistics [N] of pictures [N, C, H, W], under the names of `WORDS`; those of colour for RGB alone."""
    x = _on_white(pictures)
    grey = x.mean(1)  # [N, H, W]
    values = {"brightness": grey.mean((1, 2)), "contrast": grey.std((1, 2))}
    if x.shape[1] == 3:
        red, green, blue = x.mean((2, 3)).unbind(1)
        values |= {"warmth": red - blue, "green": green - (red + blue) / 2}
        values["colour"] = (x.amax(1) - x.amin(1)).mean((1, 2))
    top, middle, bottom = (part.mean((1, 2)) - values["brightness"] for part in grey.tensor_split(3, 1))
    left, right = (part.mean((1, 2)) for part in grey.tensor_split(2, 2))
    values |= {"top": top, "middle": middle, "bottom": bottom, "left": left - right}
    return values | _figure(x)


def _figure(x: Tensor) -> dict[str, Tensor]:
    """Size and centre of what differs from the border."""
    border = torch.cat([x[:, :, 0], x[:, :, :, 0], x[:, :, :, -1]], 2).median(2).values
    weight = (x - border[:, :, None, None]).abs().mean(1) + 1e-6  # [N, H, W]
    weight = weight / weight.amax((1, 2), keepdim=True)
    rows, columns = (torch.linspace(0, 1, side, device=x.device) for side in weight.shape[1:])
    total = weight.sum((1, 2))
    across, down = (weight.sum(1) @ columns) / total, (weight.sum(2) @ rows) / total
    return {"size": weight.mean((1, 2)), "across": across, "down": down}


def _on_white(pictures: Tensor) -> Tensor:
    if pictures.shape[1] != 4:
        return pictures
    alpha = (pictures[:, 3:] + 1) / 2
    return pictures[:, :3] * alpha + (1 - alpha)


def _shrink(pictures: Tensor) -> Tensor:
    side = max(pictures.shape[2:])
    return F.avg_pool2d(pictures, side // SIDE) if side >= 2 * SIDE else pictures


def _flips(classifier: AttributeClassifier | None, plus: Tensor, minus: Tensor) -> dict[str, float]:
    if classifier is None:
        return {}
    shares = [(classifier.classify(torch.split(pictures, BATCH)) > 0).float().mean(0) for pictures in (plus, minus)]
    return dict(zip(classifier.names, (shares[0] - shares[1]).tolist(), strict=True))
