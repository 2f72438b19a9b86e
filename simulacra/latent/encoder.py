"""Encoder: a small network from pictures to latents, for a first guess of an inversion.

It learns from pictures that the generator draws, whose latents are known; for a photo its guess is one more start of
the inversion. (In the manner of Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", 2016,
arXiv:1609.03552, section 3.1.)
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
from simulacra.files import atomic_file
from simulacra.generator import Generator
from simulacra.latent.latent_prior import latent_prior
from simulacra.latent.perceptual_loss import premultiply
from simulacra.latent.saved import is_read_only
from simulacra.measure.extractors import cache
from simulacra.settings import Shape
from simulacra.storage import fingerprint, model_folder

FORMAT = "simulacra-encoder-1"
FILE = "encoder.safetensors"
WIDTHS = (32, 64, 128, 256)
GRID = 4  # pixels of a side after the convolutions
BATCH, RATE = 32, 2e-3
MAX_MINUTES = 24 * 60
FIRST_SEED = 3 * 2**30  # of the pictures that it is trained on
NOISE = 0.03  # on pictures in [0, 1]: a photo has details that no generator draws
SMOOTHING = 0.02  # of the reported mean loss


class Encoder(nn.Module):
    """Pictures [N, C, H, W] in [-1, 1] -> latents [N, w]: z, or w where there is a mapping network."""

    def __init__(self, shape: Shape, size: int) -> None:
        super().__init__()
        halvings = min(len(WIDTHS), max(1, round(math.log2(max(shape[1:]) / GRID))))
        self.side = GRID << halvings  # pictures are resized to this
        layers: list[nn.Module] = []
        inner = shape[0]
        for outer in WIDTHS[:halvings]:
            layers += [nn.Conv2d(inner, outer, 3, 2, 1), nn.GroupNorm(8, outer), nn.LeakyReLU(0.2)]
            inner = outer
        self.layers = nn.Sequential(*layers)
        self.last = nn.Sequential(nn.Linear(GRID * GRID * inner, 512), nn.LeakyReLU(0.2), nn.Linear(512, size))
        self.register_buffer("centre", torch.zeros(size))  # the prior's mean; the name is of the file format
        self.register_buffer("axes", torch.eye(size))
        self.centre: Tensor
        self.axes: Tensor

    def whitened(self, x: Tensor) -> Tensor:
        """Pictures as `premultiply` returns them [N, C, H, W] -> u [N, w], see `LatentPrior`."""
        x = F.interpolate(x * 2 - 1, (self.side, self.side), mode="bilinear", antialias=True)
        u: Tensor = self.last(self.layers(x).flatten(1))
        return u

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] -> latents [N, w]."""
        return self.centre + self.whitened(premultiply(pictures)) @ self.axes


def train_encoder(
    generator: Generator,
    *,
    minutes: float = 3.0,
    steps: int | None = None,
    on_step: Callable[[float, float], object] = lambda share, loss: None,
) -> Encoder:
    """Train an encoder on pictures of the generator, for some minutes, or steps if given.

    on_step: called with the share that is done, and the mean squared error of u (1 for a guess of the mean).
    """
    if not 0 < minutes <= MAX_MINUTES:
        raise SimulacraError("latent.encoder_minutes", minutes=minutes)
    device, prior = generator.eval().device, latent_prior(generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = Encoder(generator.shape, generator.w_dim).to(device)
    encoder.centre.copy_(prior.mean)
    encoder.axes.copy_(prior.axes)
    noise = torch.Generator().manual_seed(0)
    adam = torch.optim.Adam(encoder.parameters(), RATE, (0.9, 0.99))
    begun, step, mean, share = time.monotonic(), 0, 1.0, 0.0
    while share < 1:
        with torch.no_grad():
            seeds = range(FIRST_SEED + step * BATCH, FIRST_SEED + (step + 1) * BATCH)
            w = generator.mapping(generator.seeded(seeds), generator.conditions(seeds))
            x = premultiply(generator.synthesis(w).float())
            x = x + NOISE * torch.randn(x.shape, generator=noise).to(device)
            u = prior.whiten(w[:, : generator.w_dim])
        adam.param_groups[0]["lr"] = RATE * (0.5 + 0.5 * math.cos(math.pi * share)) * min(1.0, (step + 1) / 50)
        loss = (encoder.whitened(x) - u).square().mean()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        step += 1
        mean += max(SMOOTHING, 1 / step) * (float(loss.detach()) - mean)
        share = step / steps if steps else (time.monotonic() - begun) / (60 * minutes)
        on_step(min(1.0, share), mean)
    return encoder.eval().requires_grad_(False)


def encoder_file(model: str | Path | None) -> Path:
    """The encoder's file: beside the model; for a bundled or downloaded model, in the user's cache."""
    if is_read_only(model_folder(model)):
        return cache.folder().parent / "encoders" / f"{fingerprint(model)}.safetensors"
    return model_folder(model) / FILE


def save_encoder(encoder: Encoder, path: Path, model: str) -> None:
    """Write an encoder for `load_encoder`. model: the fingerprint of the model that it was trained on."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    with atomic_file(path) as file:
        file.write(save(tensors, {"format": FORMAT, "model": model}))


def load_encoder(path: Path, generator: Generator, model: str) -> Encoder | None:
    """The encoder in a file; None where there is none, or one of another model or format.

    Raises `SimulacraError` for a damaged file.
    """
    if not path.is_file():
        return None
    encoder = Encoder(generator.shape, generator.w_dim)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT or metadata.get("model") != model:
            return None
        encoder.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise SimulacraError("latent.encoder_damaged", path=path, reason=error) from error
    return encoder.to(generator.device).eval().requires_grad_(False)


def encoder_for(
    model: str | Path | None,
    generator: Generator,
    *,
    minutes: float = 3.0,
    on_step: Callable[[float, float], object] = lambda share, loss: None,
) -> Encoder:
    """The saved encoder of a model; trained and saved first where there is none."""
    path, model_hash = encoder_file(model), fingerprint(model)
    encoder = load_encoder(path, generator, model_hash)
    if encoder is None:
        encoder = train_encoder(generator, minutes=minutes, on_step=on_step)
        save_encoder(encoder, path, model_hash)
    return encoder
