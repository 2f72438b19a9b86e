"""The contract of what is left when training ends: latent -> embed -> render."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from simulacra.errors import SimulacraError, did_you_mean
from simulacra.model import Model, Task
from simulacra.settings import Settings

REMEMBERED = 1024  # labels of the training pictures that a conditional generator keeps
LABEL = 7  # beside a seed, for the draw of its label

Layers = tuple[int, int] | None  # from the first up to, not including, the second; None is all


class Generator(Model):
    """A model that draws: latent z and condition y -> `mapping` -> w -> `synthesis` -> pictures.

    A condition y is always [N, labels] float32 inside: one-hot for a class, or attributes in [0, 1]. Without a
    mapping network w is z with what tells of y beside it: [z | ...].
    """

    task: ClassVar[Task] = "draw"

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.z_dim, self.prior = config.z, config.prior
        self.labels, self.attributes = config.labels, config.attributes
        self.num_ws = 0  # layers that can each have a w of their own: `render` then takes [N, num_ws, w], too
        if self.labels:
            empty = torch.zeros(REMEMBERED, self.labels) if self.attributes else torch.zeros(REMEMBERED).long()
            self.register_buffer("bank", empty)  # labels of training pictures: what a seed without a label is given
        self.bank: Tensor

    @property
    def w_dim(self) -> int:
        """Numbers of w, without what tells of a label."""
        return self.z_dim

    def draw(self, n: int) -> Tensor:
        """`n` fresh latents [n, z] from the prior, on the generator's device."""
        if self.prior == "uniform":
            return torch.rand(n, self.z_dim, device=self.device) * 2 - 1
        return torch.randn(n, self.z_dim, device=self.device)

    def seeded(self, seeds: Sequence[int]) -> Tensor:
        """One latent per seed [N, z], the same alone and in a batch: a picture is named by a number."""
        rows = []
        for seed in seeds:
            source = torch.Generator().manual_seed(int(seed))
            if self.prior == "uniform":
                rows.append(torch.rand(self.z_dim, generator=source) * 2 - 1)
            else:
                rows.append(torch.randn(self.z_dim, generator=source))
        return torch.stack(rows).to(self.device)

    # --- labels ---------------------------------------------------------------------------------------------

    def encode(self, y: Tensor) -> Tensor:
        """Classes [N] int64 -> one-hot [N, labels] float32; attributes [N, labels] pass."""
        # one_hot would look at the classes first, which neither a compiled play nor a fast one can wait for
        return (y if y.is_floating_point() else y[:, None] == torch.arange(self.labels, device=y.device)).float()

    def remember(self, labels: Tensor) -> None:
        """Keep training labels ([N] or [N, labels]) to draw from, so that seeds have the labels of the data.

        Classes are kept in the shares that they have, to 1 in `REMEMBERED`; attributes as whole rows.
        """
        n = len(labels)
        order = labels.argsort() if labels.dim() == 1 else torch.randperm(n, generator=torch.Generator().manual_seed(0))
        evenly = (torch.arange(REMEMBERED) * 2 + 1) * n // (2 * REMEMBERED)
        self.bank.copy_(labels[order[evenly]])

    def labelled(self, seeds: Sequence[int], label: str = "") -> Tensor | None:
        """The condition [N, labels] of each seed, or None where the generator takes none.

        label: a class by name or number for all of them; or attributes with commas, such as `glasses, smile=0.5,
        hair: red`. What it leaves open comes from the labels of the data, decided by the seed. Raises
        `SimulacraError` for a label that does not exist.
        """
        asked = self.asked(label)
        if not self.labels:
            return None
        if asked and not self.attributes:
            return self.encode(torch.full((len(seeds),), next(iter(asked)), device=self.device))
        size, bits = len(self.bank), (1 << 64) - 1
        drawn = [int(np.random.default_rng([int(seed) & bits, LABEL]).integers(size)) for seed in seeds]
        y = self.encode(self.bank[drawn])
        for group in {self._group(number) for number in asked} - {""}:  # `hair: red` leaves no other hair
            told = [value for number, value in asked.items() if self._group(number) == group]
            y[:, [self._group(i) == group for i in range(self.labels)]] *= max(0.0, 1 - sum(told))
        for number, value in asked.items():
            y[:, number] = value
        return y

    def asked(self, label: str) -> dict[int, float]:
        """What `label` asks for: a class's number with 1, or those of attributes with their values; see `labelled`."""
        text = label.strip()
        if not text:
            return {}
        if not self.labels:
            raise SimulacraError(
                f"This model was trained without labels and cannot be asked for {text!r}: train one with conditional=true."
            )
        if not self.attributes or text in self.classes:
            return {self._number(text): 1.0}
        made = {}
        for word in text.split(","):
            name, equals, amount = (part.strip() for part in word.partition("="))
            number, value = self._number(name), 1.0
            if equals:
                try:
                    value = float(amount)
                except ValueError:
                    value = float("nan")
            if not 0 <= value <= 1:
                raise SimulacraError(f"{word.strip()!r}: an attribute is a number from 0 to 1, such as {name}=0.5.")
            made[number] = value
        return made

    def name_of(self, number: int) -> str:
        """What a class or attribute is called; its number where the data gives no names."""
        return self.classes[number] if self.classes else str(number)

    def _group(self, number: int) -> str:
        """`hair` of the attribute `hair: red`; empty for one that stands alone."""
        group, colon, _ = self.name_of(number).partition(":")
        return group if colon else ""

    def _number(self, label: str) -> int:
        """A class or attribute by its name, or by its number where no name is that."""
        if label in self.classes:
            return self.classes.index(label)
        if label.isdecimal() and int(label) < self.labels:
            return int(label)
        what, known = "attribute" if self.attributes else "class", self.classes or (f"0 to {self.labels - 1}",)
        some = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
        hint = did_you_mean(label, known) or f" There are: {some}."
        raise SimulacraError(f"There is no {what} called {label!r}.{hint}")

    # --- latent -> picture ----------------------------------------------------------------------------------

    def mapping(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Latent z [N, z], condition y [N, labels] -> w; z itself where there is neither mapping network nor y."""
        return z if y is None else torch.cat([z, y], 1)

    def truncate(self, w: Tensor, psi: float, y: Tensor | None = None, layers: Layers = None) -> Tensor:
        """w pulled towards its centre: w̄ + ψ (w - w̄). Where w is z, the centre is 0 and what tells of y stays.

        layers: only in these, where the model has layers. Raises `SimulacraError` where it has none.
        """
        if layers is not None:
            raise SimulacraError("This model has no layers: it can only be truncated as a whole.")
        return torch.cat([w[:, : self.z_dim] * psi, w[:, self.z_dim :]], 1)

    def synthesis(self, w: Tensor) -> Tensor:
        """w -> pictures [N, C, H, W]."""
        raise TypeError(f"{type(self).__name__} must define synthesis")

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Latents [N, z], and labels where the generator takes them -> pictures [N, C, H, W] float32 in [-1, 1]."""
        if (y is None) == bool(self.labels):
            told = "needs labels" if self.labels else "takes no labels"
            raise SimulacraError(f"This generator {told}.")
        return self.synthesis(self.mapping(z, y if y is None else self.encode(y))).float()

    @torch.no_grad()
    def pictures(
        self,
        seeds: Sequence[int],
        *,
        label: str = "",
        truncation: float = 1.0,
        layers: Layers = None,
        min_latent: float = 0.0,
        batch: int = 64,
    ) -> Iterator[Tensor]:
        """Batches of pictures [n, C, H, W] for `seeds`, in constant memory.

        label: see `labelled`. truncation: ψ in w̄ + ψ (w - w̄); 1 leaves the picture as it is, 0 gives the mean
            picture. layers: where the model has layers, those that are truncated.
        min_latent: every number of z is moved out to at least this size, keeping its sign: latents near zero
            are rare in training and tend to give deformed pictures.
        """
        if not min_latent >= 0:
            raise SimulacraError(f"min_latent is {min_latent}; it must not be negative.")
        self.eval()
        for start in range(0, len(seeds), batch):
            part = seeds[start : start + batch]
            z, y = self.seeded(part), self.labelled(part, label)
            if min_latent:
                z = torch.where(z < 0, -1.0, 1.0) * z.abs().clamp(min=min_latent)
            w = self.mapping(z, y)
            if truncation != 1 or layers is not None:
                w = self.truncate(w, truncation, y, layers)
            yield self.synthesis(w).float()

    def sample(
        self, seeds: Sequence[int], *, label: str = "", truncation: float = 1.0, min_latent: float = 0.0
    ) -> list[Image.Image]:
        """One PIL picture per seed; see `pictures` for the options and for a stream in constant memory."""
        batches = self.pictures(seeds, label=label, truncation=truncation, min_latent=min_latent)
        return [to_image(picture) for batch in batches for picture in batch]


def to_image(picture: Tensor) -> Image.Image:
    """One picture [C, H, W] in [-1, 1] as a PIL image: grey, RGB or RGBA."""
    array = (picture.clamp(-1, 1) * 127.5 + 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def as_generator(model: Model) -> Generator:
    """`model` if it draws. Raises `SimulacraError` for one that translates."""
    if not isinstance(model, Generator):
        a, b = model.classes or ("a", "b")
        raise SimulacraError("generator.model_translates", a=a, b=b)
    return model
