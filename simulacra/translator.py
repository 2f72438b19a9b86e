"""`Translator`, the contract of a model that translates: pictures of one domain -> pictures of the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra.errors import SimulacraError, did_you_mean
from simulacra.messages import Message
from simulacra.model import Model, Task
from simulacra.settings import Settings

Side = Literal["a", "b"]
OTHER: dict[Side, Side] = {"a": "b", "b": "a"}


class Translator(Model):
    """A model of two networks: `into.b` takes pictures of domain a to b, `into.a` those of b to a.

    `classes` holds the names of the two domains. A network takes any height and width that are at least `least` and a
    multiple of `multiple`. `whole`: it only works on pictures of `shape`, and makes noise of other sizes.
    """

    task: ClassVar[Task] = "translate"
    multiple: int = 1
    least: int = 1
    whole: bool = False

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.into = nn.ModuleDict()

    @property
    def domains(self) -> tuple[str, str]:
        """The names of a and b."""
        return (self.classes[0], self.classes[1]) if len(self.classes) > 1 else ("a", "b")

    def side(self, name: str) -> Side:
        """`a` or `b`, by letter or by a domain's name. Raises `SimulacraError` for another."""
        word = name.strip().lower()
        for side, domain in zip(OTHER, self.domains, strict=True):
            if word in (side, domain.lower()):
                return side
        one, other = self.domains
        hint = did_you_mean(name, self.domains) or Message("translator.choices", a=one, b=other)
        raise SimulacraError("translator.unknown_domain", name=name, hint=hint)

    def require_side(self, name: str) -> Side:
        """`side` of a user's `--to`. Raises `SimulacraError`, which names both domains, where it is empty."""
        if not name.strip():
            one, other = self.domains
            raise SimulacraError("translator.which_way", a=one, b=other)
        return self.side(name)

    def translate(self, images: Tensor, to: Side) -> Tensor:
        """Translate pictures [N, C, H, W] of any size to the domain `to`: float32 of the same shape.

        Sides that the network cannot take are padded by reflection at the right and below, and cropped back.
        """
        height, width = images.shape[2:]
        below, right = (max(-side % self.multiple, self.least - side) for side in (height, width))
        if right or below:
            images = F.pad(images, (0, right, 0, below), "reflect" if right < width and below < height else "replicate")
        translated: Tensor = self.into[to](images)
        return translated[:, :, :height, :width].float()

    @torch.no_grad()
    def translations(self, images: Iterator[Tensor], to: Side) -> Iterator[Tensor]:
        """`translate` for batches on any device, one by one, without gradients."""
        self.eval()
        for batch in images:
            yield self.translate(batch.to(self.device), to)


def as_translator(model: Model, name: str = "") -> Translator:
    """`model` if it translates. Raises `SimulacraError` for one that draws; name: what the sentence calls it."""
    if not isinstance(model, Translator):
        raise SimulacraError("translator.model_draws", model=name or Message("translator.this_model"))
    return model
