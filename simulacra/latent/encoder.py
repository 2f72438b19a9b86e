"""A small network from a picture to its latent, taught with the generator's own pictures: a first guess at once.

It learns from pictures whose latent is known, because the generator drew them; for a photo its guess is where the
descent of `project` starts. (Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", 2016,
arXiv:1609.03552, section 3.1, in manner.)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra.errors import SimulacraError
from simulacra.files import written_aside
from simulacra.generator import Generator
from simulacra.latent.latent_prior import near
from simulacra.latent.perceptual_loss import visible
from simulacra.measure.extractors import cache
from simulacra.settings import Shape
from simulacra.storage import SHIPPED, fingerprint, model_folder

FORMAT = "simulacra-encoder-1"
FILE = "encoder.safetensors"
WIDTHS = (32, 64, 128, 256)
GRID = 4  # pixels of a side where convolutions end
BATCH, RATE = 32, 2e-3
FIRST = 3 * 2**30  # seeds of the pictures it learns from
NOISE = 0.03  # on pictures in [0, 1]: a photo has details that no generator draws
FOLLOW = 0.02  # how fast the reported mean loss follows


class Encoder(nn.Module):
    """Pictures [N, C, H, W] in [-1, 1] -> latents [N, w]: z, or w where there is a mapping network."""

    def __init__(self, shape: Shape, numbers: int) -> None:
        super().__init__()
        halvings = min(len(WIDTHS), max(1, round(math.log2(max(shape[1:]) / GRID))))
        self.side = GRID << halvings  # pictures are made this large
        layers: list[nn.Module] = []
        inner = shape[0]
        for outer in WIDTHS[:halvings]:
            layers += [nn.Conv2d(inner, outer, 3, 2, 1), nn.GroupNorm(8, outer), nn.LeakyReLU(0.2)]
            inner = outer
        self.layers = nn.Sequential(*layers)
        self.last = nn.Sequential(nn.Linear(GRID * GRID * inner, 512), nn.LeakyReLU(0.2), nn.Linear(512, numbers))
        self.register_buffer("centre", torch.zeros(numbers))
        self.register_buffer("axes", torch.eye(numbers))
        self.centre: Tensor
        self.axes: Tensor

    def numbers(self, x: Tensor) -> Tensor:
        """Pictures as `visible` gives them [N, C, H, W] -> u [N, w], see `near`."""
        x = F.interpolate(x * 2 - 1, (self.side, self.side), mode="bilinear", antialias=True)
        u: Tensor = self.last(self.layers(x).flatten(1))
        return u

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] -> latents [N, w]."""
        return self.centre + self.numbers(visible(pictures)) @ self.axes


def train_encoder(
    generator: Generator,
    *,
    minutes: float = 3.0,
    steps: int | None = None,
    on_step: Callable[[float, float], object] = lambda share, loss: None,
) -> Encoder:
    """Teach an encoder for so many minutes, or steps if given, on pictures drawn for it.

    on_step: told the share that is done and the mean square error of u, 1 for a guess of the mean.
    """
    if not 0 < minutes <= 24 * 60:
        raise SimulacraError(f"{minutes:g} minutes are not possible for an encoder: more than 0, up to a day.")
    device, space = generator.eval().device, near(generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = Encoder(generator.shape, generator.w_dim).to(device)
    encoder.centre.copy_(space.centre)
    encoder.axes.copy_(space.axes)
    noise = torch.Generator().manual_seed(0)
    adam = torch.optim.Adam(encoder.parameters(), RATE, (0.9, 0.99))
    begun, step, mean, share = time.monotonic(), 0, 1.0, 0.0
    while share < 1:
        with torch.no_grad():
            seeds = range(FIRST + step * BATCH, FIRST + (step + 1) * BATCH)
            y = generator.labelled(seeds)
            w = generator.mapping(generator.seeded(seeds), y)
            x = visible(generator.synthesis(w).float())
            x = x + NOISE * torch.randn(x.shape, generator=noise).to(device)
            wanted = space.numbers(w[:, : generator.w_dim])
        adam.param_groups[0]["lr"] = RATE * (0.5 + 0.5 * math.cos(math.pi * share)) * min(1.0, (step + 1) / 50)
        loss = (encoder.numbers(x) - wanted).square().mean()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        step += 1
        mean += max(FOLLOW, 1 / step) * (float(loss.detach()) - mean)
        share = step / steps if steps else (time.monotonic() - begun) / (60 * minutes)
        on_step(min(1.0, share), mean)
    return encoder.eval().requires_grad_(False)


def encoder_file(where: str | Path | None) -> Path:
    """Beside the model; for the model that comes along, whose folder is the package's, in the user's cache."""
    if where is None or str(where) == SHIPPED:
        return cache.folder().parent / "encoders" / f"{fingerprint(where)}.safetensors"
    return model_folder(where) / FILE


def save_encoder(encoder: Encoder, path: Path, model: str) -> None:
    """Write an encoder that `load_encoder` reads back. model: the fingerprint of the model that it was taught by."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    with written_aside(path) as file:
        file.write(save(tensors, {"format": FORMAT, "model": model}))


def load_encoder(path: Path, generator: Generator, model: str) -> Encoder | None:
    """The encoder in a file; None where there is none, or one of another model or format, to be made anew.

    Raises `SimulacraError` for a damaged file.
    """
    if not path.is_file():
        return None
    encoder = Encoder(generator.shape, generator.w_dim)
    try:
        with safe_open(path, framework="pt") as file:
            told = file.metadata() or {}
        if told.get("format") != FORMAT or told.get("model") != model:
            return None
        encoder.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise SimulacraError(f"{path} is damaged ({error}): delete it, and it is made anew.") from error
    return encoder.to(generator.device).eval().requires_grad_(False)


def encoder_for(
    where: str | Path | None,
    generator: Generator,
    *,
    minutes: float = 3.0,
    on_step: Callable[[float, float], object] = lambda share, loss: None,
) -> Encoder:
    """The encoder kept for a model; taught and kept first where there is none yet."""
    path, model = encoder_file(where), fingerprint(where)
    encoder = load_encoder(path, generator, model)
    if encoder is None:
        encoder = train_encoder(generator, minutes=minutes, on_step=on_step)
        save_encoder(encoder, path, model)
    return encoder
