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

    `classes` holds the names of the two domains. A network takes any height and width from `least` up that
    `multiple` divides. `whole`: each takes pictures of its own shape as a whole; of other sizes it makes noise.
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
        for side, known in zip(OTHER, self.domains, strict=True):
            if word in (side, known.lower()):
                return side
        hint = did_you_mean(name, self.domains) or f" There are a ({self.domains[0]}) and b ({self.domains[1]})."
        raise SimulacraError(f"There is no domain called {name!r}.{hint}")

    def asked_side(self, name: str) -> Side:
        """The same for what a user says, who may have to be told that there are two. Raises `SimulacraError`."""
        if not name.strip():
            one, other = self.domains
            raise SimulacraError(
                f"Which way? This model translates to a ({one}) and to b ({other}): say --to a or --to b."
            )
        return self.side(name)

    def translate(self, images: Tensor, to: Side) -> Tensor:
        """Pictures [N, C, H, W] of the other domain -> the same as pictures of `to`, float32, of any size.

        Other sides are continued by reflection at the right and below, and cut back.
        """
        height, width = images.shape[2:]
        below, right = (max(-side % self.multiple, self.least - side) for side in (height, width))
        if right or below:
            images = F.pad(images, (0, right, 0, below), "reflect" if right < width and below < height else "replicate")
        translated: Tensor = self.into[to](images)
        return translated[:, :, :height, :width].float()

    @torch.no_grad()
    def translations(self, images: Iterator[Tensor], to: Side) -> Iterator[Tensor]:
        """The same for batches on any device, one by one, without a graph."""
        self.eval()
        for batch in images:
            yield self.translate(batch.to(self.device), to)


def as_translator(model: Model, name: str = "") -> Translator:
    """`model` if it translates. Raises `SimulacraError` for one that draws; name: what the sentence calls it."""
    if not isinstance(model, Translator):
        raise SimulacraError("translator.model_draws", model=name or Message("translator.this_model"))
    return model
