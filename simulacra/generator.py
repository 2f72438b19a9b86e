"""`Generator`, the contract of a model that draws: latent -> mapping -> w -> synthesis -> pictures."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from simulacra.errors import SimulacraError, did_you_mean
from simulacra.interpolation import interpolate_z
from simulacra.messages import Message
from simulacra.model import Model, Task
from simulacra.seeds import check_seed, parse_seeds
from simulacra.settings import Settings

LABEL_BANK = 1024  # training labels that a conditional generator stores
LABEL = 7  # second number of the seed for a label
TYPICAL = range(32)  # seeds among which the most typical latent is sought

Layers = tuple[int, int] | None  # the first, and the one after the last; None: all
LayerTruncation = Mapping[tuple[int, int], float]  # ψ by range of layers, the last one excluded


class Generator(Model):
    """A model that draws: latent z and condition y -> `mapping` -> w -> `synthesis` -> pictures.

    A condition y is [N, labels] float32: one-hot classes, or attributes in [0, 1]. Without a mapping network w is z,
    followed by the numbers of the label: [z | ...].
    """

    task: ClassVar[Task] = "draw"
    has_noise: ClassVar[bool] = False  # whether layers add noise, which can be drawn anew

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.z_dim, self.prior = config.z, config.prior
        self.labels, self.attributes = config.labels, config.attributes
        self._typical: Tensor | None = None
        self.num_ws = 0  # layers with a w each: `synthesis` also takes [N, num_ws, w]; 0: a single w
        if self.labels:
            empty = torch.zeros(LABEL_BANK, self.labels) if self.attributes else torch.zeros(LABEL_BANK).long()
            self.register_buffer("bank", empty)  # training labels: a seed without a label takes one of them
        self.bank: Tensor

    @property
    def w_dim(self) -> int:
        """Numbers of w, without those of a label."""
        return self.z_dim

    def draw(self, n: int) -> Tensor:
        """`n` fresh latents [n, z] from the prior, on the generator's device."""
        if self.prior == "uniform":
            return torch.rand(n, self.z_dim, device=self.device) * 2 - 1
        return torch.randn(n, self.z_dim, device=self.device)

    def seeded(self, seeds: Sequence[int | str]) -> Tensor:
        """One latent per seed [N, z], the same whatever the batch; a seed is a number or a word.

        Raises `SimulacraError` for what is no seed.
        """
        rows = []
        for seed in map(check_seed, seeds):
            source = torch.Generator().manual_seed(seed)
            if self.prior == "uniform":
                rows.append(torch.rand(self.z_dim, generator=source) * 2 - 1)
            else:
                rows.append(torch.randn(self.z_dim, generator=source))
        return torch.stack(rows).to(self.device)

    # --- labels ---------------------------------------------------------------------------------------------

    def encode(self, y: Tensor) -> Tensor:
        """Classes [N] int64 -> one-hot [N, labels] float32; attributes [N, labels] pass."""
        # one_hot reads the classes back from the device, which breaks compiled steps and CUDA graphs
        return (y if y.is_floating_point() else y[:, None] == torch.arange(self.labels, device=y.device)).float()

    def store_labels(self, labels: Tensor) -> None:
        """Store training labels ([N] or [N, labels]) for seeds to draw from.

        Classes keep their shares to 1 in `LABEL_BANK`; attributes are stored as whole rows.
        """
        n = len(labels)
        order = labels.argsort() if labels.dim() == 1 else torch.randperm(n, generator=torch.Generator().manual_seed(0))
        evenly = (torch.arange(LABEL_BANK) * 2 + 1) * n // (2 * LABEL_BANK)
        self.bank.copy_(labels[order[evenly]])

    def conditions(self, seeds: Sequence[int | str], label: str = "") -> Tensor | None:
        """The condition [N, labels] of each seed; None for a generator without labels.

        label: a class by name or number, for all seeds; or attributes with commas, such as `glasses, smile=0.5, hair:
        red`. Whatever is not named comes from a training label that the seed picks. Raises `SimulacraError` for a label
        that does not exist.
        """
        values = self.parse_label(label)
        if not self.labels:
            return None
        if values and not self.attributes:
            return self.encode(torch.full((len(seeds),), next(iter(values)), device=self.device))
        size, bits = len(self.bank), (1 << 64) - 1
        numbers = (check_seed(seed) if isinstance(seed, str) else int(seed) for seed in seeds)
        rows = [int(np.random.default_rng([number & bits, LABEL]).integers(size)) for number in numbers]
        y = self.encode(self.bank[rows])
        for group in {self._group(number) for number in values} - {""}:  # `hair: red` leaves no other hair
            total = sum(value for number, value in values.items() if self._group(number) == group)
            y[:, [self._group(i) == group for i in range(self.labels)]] *= max(0.0, 1 - total)
        for number, value in values.items():
            y[:, number] = value
        return y

    def parse_label(self, label: str) -> dict[int, float]:
        """Parse a label: a class's number with 1, or numbers of attributes with their values; see `conditions`."""
        text = label.strip()
        if not text:
            return {}
        if not self.labels:
            raise SimulacraError("generator.no_labels", label=text)
        if not self.attributes or text in self.classes:
            return {self._number(text): 1.0}
        values = {}
        for word in text.split(","):
            name, equals, amount = (part.strip() for part in word.partition("="))
            number, value = self._number(name), 1.0
            if equals:
                try:
                    value = float(amount)
                except ValueError:
                    value = float("nan")
            if not 0 <= value <= 1:
                raise SimulacraError("generator.bad_attribute", word=word.strip(), name=name)
            values[number] = value
        return values

    def name_of(self, number: int) -> str:
        """The name of a class or attribute; its number where the data gives no names."""
        return self.classes[number] if self.classes else str(number)

    def _group(self, number: int) -> str:
        """`hair` of the attribute `hair: red`; empty for one without a group."""
        group, colon, _ = self.name_of(number).partition(":")
        return group if colon else ""

    def _number(self, label: str) -> int:
        """The number of a class or attribute, given by name, or by number where that is no name."""
        if label in self.classes:
            return self.classes.index(label)
        if label.isdecimal() and int(label) < self.labels:
            return int(label)
        names = self.classes or (f"0 - {self.labels - 1}",)
        more = Message("generator.and_more", count=len(names) - 12) if len(names) > 12 else ""
        hint = did_you_mean(label, names) or Message("generator.choices", names=names[:12], more=more)
        raise SimulacraError(
            "generator.unknown_attribute" if self.attributes else "generator.unknown_class", name=label, hint=hint
        )

    # --- latent -> picture ----------------------------------------------------------------------------------

    def mapping(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Latent z [N, z], condition y [N, labels] -> w; here z, followed by y."""
        return z if y is None else torch.cat([z, y], 1)

    def truncate(self, w: Tensor, psi: float, y: Tensor | None = None, layers: Layers = None) -> Tensor:
        """Truncate w to w̄ + ψ (w - w̄). Where w is z, it moves on an arc towards `typical`; the numbers of the label stay.

        No arc leads through short latents: none were drawn in training, and their pictures melt.
        layers: truncate these alone. Raises `SimulacraError` for a model without layers.
        """
        if layers is not None:
            raise SimulacraError("generator.no_layers")
        if psi == 1:
            return w
        z = w[:, : self.z_dim]
        start, share = self.typical().to(z).expand_as(z), torch.full((len(z),), float(psi))
        return torch.cat([interpolate_z(start, z, share, prior=self.prior), w[:, self.z_dim :]], 1)

    @torch.no_grad()
    def typical(self) -> Tensor:
        """The w [z], without its label, of the seed in `TYPICAL` whose picture is nearest to the mean of all these pictures."""
        if self._typical is None:
            w = self.mapping(self.seeded(TYPICAL), self.conditions(TYPICAL))
            pictures = torch.cat([self.synthesis(part).float() for part in w.chunk(4)])
            distances = (pictures - pictures.mean(0)).square().flatten(1).sum(1)
            self._typical = w[distances.argmin(), : self.z_dim]
        return self._typical

    def train(self, mode: bool = True) -> Self:
        """As in torch; what `typical` found belongs to the weights before."""
        self._typical = self._typical if not mode else None
        return super().train(mode)

    def synthesis(self, w: Tensor) -> Tensor:
        """w -> pictures [N, C, H, W]."""
        raise TypeError(f"{type(self).__name__} must define synthesis")

    def render(self, w: Tensor, noise: int | None = None) -> Tensor:
        """w -> pictures [N, C, H, W]; noise: seed that draws the layers' noise anew, None for the stored one.

        Raises `SimulacraError` for a model without noise.
        """
        if noise is not None:
            raise SimulacraError("generator.no_noise")
        return self.synthesis(w)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Latents [N, z], and labels where the generator takes them -> pictures [N, C, H, W] float32 in [-1, 1]."""
        if (y is None) == bool(self.labels):
            raise SimulacraError("generator.needs_labels" if self.labels else "generator.takes_no_labels")
        return self.synthesis(self.mapping(z, y if y is None else self.encode(y))).float()

    @torch.no_grad()
    def pictures(
        self,
        seeds: Sequence[int | str] | str,
        *,
        label: str = "",
        y: Tensor | None = None,
        truncation: float = 1.0,
        layers: Layers = None,
        layer_truncation: LayerTruncation | None = None,
        noise: int | None = None,
        min_latent: float = 0.0,
        bf16: bool = False,
        batch: int = 64,
    ) -> Iterator[Tensor]:
        """Batches of pictures [n, C, H, W] for `seeds`, in constant memory.

        seeds: numbers and words, or a text such as "0-3,my cat".

        label: see `conditions`. y: labels [N] or [N, labels], one per seed, in its place. truncation: ψ, see `truncate`;
            1 changes nothing, 0 gives the most typical picture. layers: truncate these alone.
        layer_truncation: a further ψ for each range of layers. noise: see `render`.
        min_latent: every number of z gets at least this absolute value: latents near 0 are rare in training and tend to
            give deformed pictures.
        bf16: render in bf16, which is faster where the hardware has it; pixels differ by about 0.2 of 255 levels on average, and
            by up to 16 at edges.

        Raises `SimulacraError` for what is no seed, a truncation that is not finite, and a negative min_latent.
        """
        for psi in (truncation, *(layer_truncation or {}).values()):
            check_truncation(psi)
        seeds = parse_seeds(seeds) if isinstance(seeds, str) else seeds
        for seed in (*seeds, *([] if noise is None else [noise])):
            check_seed(seed)
        if not min_latent >= 0:
            raise SimulacraError("generator.negative_min_latent", value=min_latent)
        self.eval()
        for start in range(0, len(seeds), batch):
            part = seeds[start : start + batch]
            z = self.seeded(part)
            condition = (
                self.conditions(part, label) if y is None else self.encode(y[start : start + batch].to(self.device))
            )
            if min_latent:
                z = torch.where(z < 0, -1.0, 1.0) * z.abs().clamp(min=min_latent)
            w = self.mapping(z, condition)
            if truncation != 1 or layers is not None:
                w = self.truncate(w, truncation, condition, layers)
            for chosen, psi in (layer_truncation or {}).items():
                w = self.truncate(w, psi, condition, chosen)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                pictures = self.render(w, noise)
            yield pictures.float()

    def sample(
        self, seeds: Sequence[int | str] | str, *, label: str = "", truncation: float = 1.0, min_latent: float = 0.0
    ) -> list[Image.Image]:
        """One PIL picture per seed; see `pictures` for the options and for a stream in constant memory."""
        batches = self.pictures(seeds, label=label, truncation=truncation, min_latent=min_latent)
        return [to_image(picture) for batch in batches for picture in batch]


def check_truncation(value: float) -> None:
    """Raise `SimulacraError` for a truncation that is not a finite number."""
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise SimulacraError("generator.bad_truncation", value=str(value))


def to_image(picture: Tensor) -> Image.Image:
    """One picture [C, H, W] in [-1, 1] as a PIL image: grey, RGB or RGBA."""
    array = (picture.clamp(-1, 1) * 127.5 + 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def as_generator(model: Model) -> Generator:
    """`model` if it draws. Raises `SimulacraError` for one that translates or enlarges pictures."""
    if model.task == "upscale":
        raise SimulacraError("generator.model_enlarges")
    if not isinstance(model, Generator):
        a, b = model.classes or ("a", "b")
        raise SimulacraError("generator.model_translates", a=a, b=b)
    return model
