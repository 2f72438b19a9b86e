"""Training Generative Adversarial Networks with Limited Data. Karras et al. 2020. arXiv:2006.06676.

Each transform applies to each picture with probability p, which adapts to D's overfitting. While enough pictures stay
unchanged, G can recover the distribution without augmentation, so augmentations do not leak into its pictures.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from simulacra.augment import base, transforms
from simulacra.layers.renamed import RenamedTensors
from simulacra.settings import MOST, Settings

Transform = Callable[[Tensor, Tensor], transforms.ImagesAndMask]
EVERY = 4  # steps of D between changes of p (appendix C)
IMAGES = 5_000  # between changes of p by unseen pictures, as it costs many steps to score them


class AdaptiveAugment(RenamedTensors, base.Random):
    """ADA: p rises while its sensor is above a target, and falls while it is below.

    Sensors (section 3.1): r_t, the mean sign of D on reals, or r_v, the overfitting that unseen pictures reveal.
    """

    renamed_tensors: ClassVar[Mapping[str, str]] = {"plays": "steps", "seen": "num_reals"}

    def __init__(self, config: Settings) -> None:
        super().__init__()
        self.transforms = _transforms(config.kinds_of_augmentation(), config.augment_colour)
        self.target, self.images = config.augment_target, config.augment_images
        self.register_buffer("p", torch.tensor(config.augment_p))
        for name in ("signs", "num_reals", "steps"):  # since p last changed; integers, to be exact
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))
        self.unseen = config.augment_sensor == "unseen"
        self.p: Tensor
        self.signs: Tensor
        self.num_reals: Tensor
        self.steps: Tensor

    @functools.cached_property
    def active(self) -> bool:  # type: ignore[override]
        """False while unseen pictures keep p at 0: then pictures pass unchanged."""
        return not self.unseen or bool(self.p > 0)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self.__dict__.pop("active", None)  # follows the loaded p

    def due(self, before: int, nimg: int) -> bool:
        """Whether p adapts to unseen pictures, and `IMAGES` more have been shown."""
        return self.unseen and nimg // IMAGES > before // IMAGES

    def steer(self, overfit: float) -> None:
        """Move p towards the target of r_v."""
        step = IMAGES / self.images * (1 if overfit > self.target else -1)
        self.p.copy_((self.p + step).clamp(0, MOST))
        self.active = bool(self.p > 0)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] -> the same shape; differentiable, any number of times."""
        return super().forward(images) if self.active else images

    def transform(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] with each transform applied with probability p; pictures without any stay equal to the bit."""
        p, output, masks = self.p.to(x.dtype), x, list[Tensor]()
        for transform in self.transforms:
            output, mask = transform(output, p)
            masks.append(mask)
        return torch.where(base.per_picture(torch.cat(masks).amax(0) > 0), output, x)

    @torch.no_grad()
    def update(self, real: Tensor, fake: Tensor, *, critic: bool) -> None:
        """Sum up D's signs on reals, or a critic's signs of real minus fake, as its scores have no zero point.

        Every fourth call moves p by the number of reals since the last move, divided by `augment_images` (section 3.1).
        Nothing is read back from the device.
        """
        if self.unseen:
            return
        self.signs += (real - fake if critic else real).sign().sum().long()
        self.num_reals += len(real)
        self.steps += 1
        due = self.steps >= EVERY
        step = (self.signs / self.num_reals - self.target).sign() * self.num_reals / self.images
        self.p.copy_((self.p + due * step).clamp(0, MOST))
        for count in (self.signs, self.num_reals, self.steps):
            count *= ~due


def _transforms(kinds: tuple[str, ...], colour: float) -> list[Transform]:
    """The transforms of these kinds, in the paper's order; colour: the factor on the probability of these."""
    blit, geometric = "blit" in kinds, "geometric" in kinds
    moves = [functools.partial(transforms.move, blit=blit, geometric=geometric)] if blit or geometric else []
    by_kind: tuple[tuple[str, Transform], ...] = (
        ("colour", transforms.colour if colour == 1 else lambda x, p: transforms.colour(x, colour * p)),
        *(("filter", transforms.bands), ("corrupt", transforms.corrupt), ("cutout", transforms.cutout)),
    )
    return [*moves, *(transform for kind, transform in by_kind if kind in kinds)]
