"""DCGAN, WGAN and WGAN-GP at 80 px as the usual tutorials train them: what `step.py` measures against.

Plain on purpose: G's graph is kept and differentiated in D's step; D scores the reals, and D's weight gradients are
computed, in G's step; `.item()` each step; default optimizers; contiguous fp32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Z = 128


class Textbook:
    """The networks and the two steps as the tutorials have them."""

    def __init__(self, name: str, pictures: Tensor, batch: int) -> None:
        self.name, self.pictures, self.batch = name, pictures, batch
        norm = (lambda n: nn.InstanceNorm2d(n, affine=True)) if name == "wgan-gp" else nn.BatchNorm2d
        g: list[nn.Module] = [nn.ConvTranspose2d(Z, 512, 5, bias=False), nn.BatchNorm2d(512), nn.ReLU()]
        for inner in (512, 256, 128):
            outer = inner // 2
            g += [nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU()]
        self.G = nn.Sequential(*g, nn.ConvTranspose2d(64, 3, 4, 2, 1), nn.Tanh())
        d: list[nn.Module] = [nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
        for inner in (64, 128, 256):
            d += [nn.Conv2d(inner, inner * 2, 4, 2, 1, bias=False), norm(inner * 2), nn.LeakyReLU(0.2)]
        self.D = nn.Sequential(*d, nn.Conv2d(512, 1, 5), nn.Flatten(0))
        makers: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
            "dcgan": lambda p: torch.optim.Adam(p, 2e-4, (0.5, 0.999)),
            "wgan": lambda p: torch.optim.RMSprop(p, 5e-5),
            "wgan-gp": lambda p: torch.optim.Adam(p, 1e-4, (0.0, 0.999)),
        }
        self.d_optimizer = makers[name](self.D.parameters())
        self.g_optimizer = makers[name](self.G.parameters())
        self.losses: list[float] = []

    def draw(self) -> tuple[Tensor, Tensor]:
        """Reals, and fakes with G's graph."""
        real = self.pictures[torch.randint(len(self.pictures), (self.batch,))]
        return real, self.G(torch.randn(self.batch, Z, 1, 1))

    def step_d(self) -> None:
        """D's step."""
        real, fake = self.draw()
        real_scores, fake_scores = self.D(real), self.D(fake)
        if self.name == "dcgan":
            loss = F.binary_cross_entropy_with_logits(real_scores, torch.ones(self.batch))
            loss = loss + F.binary_cross_entropy_with_logits(fake_scores, torch.zeros(self.batch))
        else:
            loss = fake_scores.mean() - real_scores.mean()
        if self.name == "wgan-gp":
            loss = loss + 10 * self.penalty(real, fake.detach())
        self.d_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.d_optimizer.step()
        if self.name == "wgan":
            for parameter in self.D.parameters():
                parameter.data.clamp_(-0.1, 0.1)
        self.losses.append(loss.item())

    def penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        """(‖∇D‖ - 1)² between reals and fakes."""
        epsilon = torch.rand(self.batch, 1, 1, 1)
        mixed = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
        scores = self.D(mixed)
        gradients = torch.autograd.grad(scores, mixed, torch.ones_like(scores), create_graph=True, retain_graph=True)
        result: Tensor = ((gradients[0].view(self.batch, -1).norm(2, dim=1) - 1) ** 2).mean()
        return result

    def step_g(self) -> None:
        """G's step."""
        real, fake = self.draw()
        real_scores, fake_scores = self.D(real), self.D(fake)
        if self.name == "dcgan":
            loss = F.binary_cross_entropy_with_logits(fake_scores, torch.ones(self.batch))
        else:
            loss = -fake_scores.mean()
        self.g_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.g_optimizer.step()
        self.losses.append(loss.item() + 0 * real_scores.mean().item())
