"""Training Generative Adversarial Networks with Limited Data. Karras et al. 2020. arXiv:2006.06676.

Every transform is applied with probability p, to each picture by itself, and p follows from how sure D is: an
augmentation that leaves enough pictures as they are can be undone in the distribution, so it does not leak into
what G draws.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from simulacra.augment import base, transforms
from simulacra.layers.renamed import RenamedTensors
from simulacra.settings import MOST, Settings

EVERY = 4  # steps of D between changes of p (appendix C)


class AdaptiveAugment(RenamedTensors, base.Random):
    """ADA: p rises while the mean sign of D on reals lies above its target, and falls below."""

    renamed_tensors: ClassVar[Mapping[str, str]] = {"plays": "steps"}

    def __init__(self, config: Settings) -> None:
        super().__init__()
        self.changes = _changes(config.kinds_of_augmentation())
        self.target, self.images = config.augment_target, config.augment_images
        self.register_buffer("p", torch.tensor(config.augment_p))
        for name in ("signs", "seen", "steps"):  # since p last changed; whole numbers, so that they are exact
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))
        self.p: Tensor
        self.signs: Tensor
        self.seen: Tensor
        self.steps: Tensor

    def augmented(self, x: Tensor) -> Tensor:
        """Pictures [N, C, H, W] -> the same, each transform applied with probability p; untouched pictures stay equal to the bit."""
        p, changed, applied = self.p.to(x.dtype), x, list[Tensor]()
        for change in self.changes:
            changed, on = change(changed, p)
            applied.append(on)
        return torch.where(base.per_picture(torch.cat(applied).amax(0) > 0), changed, x)

    @torch.no_grad()
    def update(self, real: Tensor, fake: Tensor, *, critic: bool) -> None:
        """Count D's signs on reals; a critic's score has no sign, so that of real less fake, in pairs.

        Every fourth time p moves by the images seen since, over the images in which it could go from 0 to 1
        (section 3.1). Nothing is read back from the device.
        """
        self.signs += (real - fake if critic else real).sign().sum().long()
        self.seen += len(real)
        self.steps += 1
        due = self.steps >= EVERY
        step = (self.signs / self.seen - self.target).sign() * self.seen / self.images
        self.p.copy_((self.p + due * step).clamp(0, MOST))
        for count in (self.signs, self.seen, self.steps):
            count *= ~due


def _changes(kinds: tuple[str, ...]) -> list[Callable[[Tensor, Tensor], transforms.Changed]]:
    """The transforms of these kinds, in the paper's order."""
    changes: list[Callable[[Tensor, Tensor], transforms.Changed]] = []
    blit, geometric = "blit" in kinds, "geometric" in kinds
    if blit or geometric:
        changes.append(functools.partial(transforms.move, blit=blit, geometric=geometric))
    others = (("colour", transforms.colour), ("filter", transforms.bands), ("corrupt", transforms.corrupt))
    return changes + [change for kind, change in others if kind in kinds]
