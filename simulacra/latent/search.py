"""Search for a latent: an evolution of many, then a descent (Adam) of the best few."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from simulacra.generator import Generator
from simulacra.latent.latent_prior import LatentPrior
from simulacra.latent.perceptual_loss import PerceptualLoss

BATCH = 64
FEATURES, OUTSIDE = (
    0.2,
    0.3,
)  # weights of feature maps and of the prior, beside the root of the mean squared pixel error
EVERY = 4  # steps between losses of feature maps, which cost several times a small generator

GENERATIONS = 0.05  # per step of the descent
POPULATION, CHILDREN = 48, 144  # of each island
ISLANDS, APART = 2, 0.6  # islands evolve apart for this share of the time, so that not all converge to one face
MUTATION = 0.8  # of a child's numbers, in standard deviations: the maximum at first

RATE = 0.03  # of Adam, in standard deviations of the model's latents
RATE_Y = 0.02  # of Adam for attributes, which range over [0, 1]
UP, DOWN = 0.05, 0.25  # shares of the steps in which the rate rises and falls
NOISE, QUIET = 0.02, 0.75  # noise in standard deviations; the share of the steps after which there is none
DROPS = (0.1, 0.25, 0.5)  # shares of the steps at which half of the starts are dropped; at the last all but one
# For forecasts: the mean share of the starts that descend, and the pictures of the evolution for each step.
MEAN_STARTS = DROPS[0] + (DROPS[1] - DROPS[0]) / 2 + (1 - DROPS[1]) / 4
EVOLVED = GENERATIONS * CHILDREN * (APART * ISLANDS + 1 - APART)


@dataclass(frozen=True, eq=False)
class Objective:
    """What a search minimises: the distance of the picture of whitened latents u and labels y to a target."""

    generator: Generator
    target: PerceptualLoss
    prior: LatentPrior

    def pictures(self, u: Tensor, y: Tensor) -> Tensor:
        """u [N, d] or [N, L, d], y [N, labels] -> pictures [N, C, H, W]."""
        latent = self.prior.from_whitened(u)
        w = latent if self.generator.num_ws else self.generator.mapping(latent, y if y.numel() else None)
        return self.generator.synthesis(w).float()

    def loss(self, pictures: Tensor, u: Tensor) -> Tensor:
        """The loss [N], without feature maps."""
        return self.target.pixels(pictures).add(1e-8).sqrt() + OUTSIDE * self.prior.penalty(u)

    def losses(self, u: Tensor, y: Tensor) -> Tensor:
        """The same of any number of latents [N], in batches."""
        parts = zip(torch.split(u, BATCH), torch.split(y, BATCH), strict=True)
        return torch.cat([self.loss(self.pictures(part, labels), part) for part, labels in parts])


Population = tuple[Tensor, Tensor, Tensor]  # u [N, d], y [N, labels], losses [N], sorted by loss


@torch.no_grad()
def evolve(
    objective: Objective,
    w: Tensor,
    y: Tensor | None,
    count: int,
    *,
    steps: int,
    keep_first: bool,
    source: torch.Generator,
    on_generation: Callable[[float, Tensor], bool],
) -> tuple[Tensor, Tensor]:
    """The best `count` (u [count, d], y) after generations of crossing and mutating latents w [N, d], best first.

    steps: of the descent, which decide the number of generations. keep_first: w[0] is returned first, whatever its
    loss. on_generation: called with the best loss and picture; True ends the evolution.
    """
    u, y = objective.prior.whiten(w), torch.empty(len(w), 0, device=w.device) if y is None else y
    first = u[:1], y[:1]
    generations = round(GENERATIONS * steps)
    starts = [(u[i::ISLANDS][:POPULATION], y[i::ISLANDS][:POPULATION]) for i in range(ISLANDS)]
    islands = [(*start, objective.losses(*start)) for start in starts if len(start[0])]
    for generation in range(generations):
        if generation == round(APART * generations):
            islands = [_merge(islands)]
        size = MUTATION * (1 - generation / generations) + MUTATION / 8
        islands = [_next_generation(objective, island, size, source) for island in islands]
        best = min(islands, key=lambda island: float(island[2][0]))
        if on_generation(float(best[2][0]), objective.pictures(best[0][:1], best[1][:1])[0]):
            break
    u, y, losses = _merge(islands)
    order = losses.argsort()[: count - keep_first]
    if keep_first:
        return torch.cat([first[0], u[order]]), torch.cat([first[1], y[order]])
    return u[order], y[order]


def _next_generation(objective: Objective, island: Population, size: float, source: torch.Generator) -> Population:
    """The best of an island and its children, which take each number from one of two parents; some are mutated."""
    u, y, losses = island
    n, d = len(u), u.shape[1]

    def mask() -> Tensor:
        return torch.rand(CHILDREN, d, generator=source) < torch.rand(CHILDREN, 1, generator=source)

    a = (torch.rand(CHILDREN, generator=source) ** 2 * n).long().to(u.device)  # better parents more often
    b = torch.randint(n, (CHILDREN,), generator=source).to(u.device)
    mutation = torch.linspace(0, size, CHILDREN)[:, None] * mask() * torch.randn(CHILDREN, d, generator=source)
    children = torch.where(mask().to(u.device), u[a], u[b]) + mutation.to(u.device)
    u, y = torch.cat([u, children]), torch.cat([y, y[a]])
    losses = torch.cat([losses, objective.losses(children, y[n:])])
    order = losses.argsort()[: max(n, POPULATION)]
    return u[order], y[order], losses[order]


def _merge(islands: list[Population]) -> Population:
    u, y, losses = zip(*islands, strict=True)
    return torch.cat(u), torch.cat(y), torch.cat(losses)


class Descent:
    """Adam on several starts at once: u [N, d] with labels y [N, labels], best first.

    descend_y: attributes descend, too. source: of the noise on u.
    """

    def __init__(
        self, objective: Objective, u: Tensor, y: Tensor, *, steps: int, descend_y: bool, source: torch.Generator
    ) -> None:
        self.objective, self.steps, self.descend_y, self.source = objective, steps, descend_y, source
        self.u = u.clone().requires_grad_()
        self.y = y.clone().requires_grad_(descend_y)
        self.loss = torch.arange(len(u), dtype=torch.float32, device=u.device)
        groups = [{"params": [self.u], "rate": RATE}, {"params": [self.y], "rate": RATE_Y}]
        self.adam = torch.optim.Adam(groups[: 1 + descend_y], RATE)

    def step(self, step: int) -> tuple[Tensor, Tensor]:
        """Take one step; returns the loss [N] and the picture [N, C, H, W] of each remaining start."""
        if any(step == round(share * self.steps) for share in DROPS):
            last = step == round(DROPS[-1] * self.steps)
            self._keep_best(1 if last else -(-len(self.u) // 2))
        t = step / self.steps
        for group in self.adam.param_groups:
            group["lr"] = group["rate"] * _ramp(t, 1 / self.steps)
        noise = torch.randn(self.u.shape, generator=self.source).to(self.u.device)
        u = self.u + NOISE * max(0.0, 1 - t / QUIET) ** 2 * noise
        pictures = self.objective.pictures(u, self.y)
        total = loss = self.objective.loss(pictures, u)
        if FEATURES and step % EVERY == 0:
            total = loss + FEATURES * self.objective.target.features(pictures)
        parameters = [group["params"][0] for group in self.adam.param_groups]
        for parameter, gradient in zip(parameters, torch.autograd.grad(total.sum(), parameters), strict=True):
            parameter.grad = gradient
        self.adam.step()
        with torch.no_grad():
            self.y.clamp_(0, 1)
        self.loss = loss.detach()
        return self.loss, pictures.detach()

    def widen(self, layers: int) -> None:
        """Give each layer a latent of its own from here on."""
        self._replace(lambda x: x[:, None].repeat(1, layers, 1) if x.dim() == 2 else x, group=0)

    def best(self) -> tuple[Tensor, Tensor]:
        """The best start: u [1, d] or [1, L, d], and its labels [labels]."""
        best = int(self.loss.argmin())
        return self.u[best : best + 1].detach(), self.y[best].detach()

    def _keep_best(self, count: int) -> None:
        order = self.loss.argsort()[:count]
        self.loss = self.loss[order]
        if not self.descend_y:
            self.y = self.y[order]
        for group in range(len(self.adam.param_groups)):
            self._replace(lambda x: x[order], group=group)

    def _replace(self, change: Callable[[Tensor], Tensor], *, group: int) -> None:
        """Change a parameter together with Adam's moments of it."""
        parameters = self.adam.param_groups[group]["params"]
        old = parameters[0]
        new = change(old.detach()).clone().requires_grad_()
        state = self.adam.state.pop(old, {})
        self.adam.state[new] = {key: change(value) if value.dim() else value for key, value in state.items()}
        parameters[0] = new
        if group:
            self.y = new
        else:
            self.u = new


def _ramp(t: float, least: float) -> float:
    """Factor of the rate at a share t of the steps: a linear rise, half a cosine down."""
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / DOWN))
    return down * min(1.0, (t + least) / UP)
