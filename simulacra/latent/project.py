"""A picture's latent: what a generator must be given to draw a picture that it did not make.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv:1912.04958, appendix D, in manner:
Adam on one latent, its rate ramped up and down, noise on the latent that fades. Beside their feature distance stands
one of pixels at several scales; several starts go together as one batch, of which the worst are dropped.

A model of drawn people has glasses or has none, and descent alone does not come from the one to the other: so the starts
are bred first, by crossing and changing the latents of the closest guesses.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.generator import Generator
from simulacra.latent.latent_prior import Near, near
from simulacra.latent.perceptual_loss import Closeness, psnr
from simulacra.latent.recipe import Recipe, latents

RATE = 0.03  # of Adam, in standard deviations of the model's own latents
RATE_Y = 0.02  # for attributes, which go from 0 to 1
UP, DOWN = 0.05, 0.25  # shares of the steps in which the rate rises and falls
NOISE, QUIET = 0.02, 0.75  # in standard deviations; the share of the steps after which there is none
PERCEIVED, STRAYED = 0.2, 0.3  # weights beside the root of the mean square pixel error
EVERY = 4  # steps between those that look at features, which cost several times a small generator
GUESSES, BATCH = 1024, 64
BRED, KEPT, CHILDREN = 0.05, 48, 144  # generations a step; of each island its size, and what comes to it
ISLANDS, APART = 2, 0.6  # bred apart for this share of the time, so that not all end at the first good face
CHANGED = 0.8  # of a child's numbers, in standard deviations, at first and at most
FIRST = 2**31  # the first guess: seeds up there are nobody's
DROPS = (0.1, 0.25, 0.5)  # of the steps: half of the starts are dropped, and all but the best at the last
WIDEN = 0.4  # of the steps: from here on each layer has a latent of its own
MOST_STARTS, MOST_STEPS = 64, 100_000


class Progress(NamedTuple):
    """Where a projection is, for whoever watches."""

    step: int  # done so far, from 1; 0 while starts are bred
    steps: int
    loss: float  # of the best start, as all that follow
    psnr: float  # dB
    picture: Tensor  # [C, H, W], as tried: with noise


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """What was found for a picture."""

    recipe: Recipe  # draws `picture`
    picture: Tensor  # [C, H, W] in [-1, 1]
    target: Tensor  # [C, H, W], the picture as the model could see it
    psnr: float  # dB, of both as 8 bits
    perceived: float  # distance of feature maps, 0 for the same picture
    length: float  # of the latent: about 1 for the model's own
    course: tuple[tuple[float, float], ...]  # (loss, psnr) of the best start after each step
    seconds: float
    stopped: bool  # before its time


def project(
    generator: Generator,
    target: Tensor,
    *,
    steps: int = 500,
    starts: int = 4,
    seed: int = 0,
    label: str = "",
    wide: bool = False,
    encoder: Callable[[Tensor], Tensor] | None = None,
    on_step: Callable[[Progress], object] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Projection:
    """Search for the latent whose picture is `target` [C, H, W]; see `as_seen` for a photo.

    starts: bred from the closest of `GUESSES` pictures of the model's own, descended together, the worst dropped on the
    way.
    seed: decides guesses and noise. label: see `Generator.labelled`; if not given it is found, too: a class by the
    guesses, attributes by descent. wide: each layer gets a latent of its own, where the model has layers: closer to
    the picture, farther from the model. encoder: pictures [N, C, H, W] -> latents [N, w], one more start.
    on_step: told after each generation and each step. stop: asked before each; the best so far is then returned.
    Raises `SimulacraError` for a picture of another shape, a model without layers, and odd numbers.
    """
    _check(generator, target, steps, starts, wide)
    begun = time.monotonic()
    generator.eval()
    target = target.to(generator.device, torch.float32).clamp(-1, 1)
    closeness = Closeness(target)
    search = _Search(generator, closeness, near(generator), steps=steps, seed=seed, label=label)
    w, y = _guessed(generator, target, closeness, starts, seed, label, encoder)
    course: list[tuple[float, float]] = []
    stopped = False

    def seen(loss: float, picture: Tensor) -> bool:
        on_step(Progress(0, steps, loss, float(psnr(picture[None], target)), picture))
        return stop()

    search.begin(*search.bred(w, y, starts, fixed=encoder is not None, seen=seen))
    for step in range(steps):
        if stopped := stop():
            break
        if wide and step == round(WIDEN * steps):
            search.widen()
        loss, pictures = search.step(step)
        best = int(loss.argmin())
        course.append((float(loss[best]), float(psnr(pictures[best : best + 1], target))))
        on_step(Progress(step + 1, steps, *course[-1], pictures[best]))
    recipe, length = search.found()
    with torch.no_grad():
        picture = generator.synthesis(latents(generator, recipe, {})).float()
        return Projection(
            recipe=recipe, picture=picture[0], target=target, psnr=float(psnr(picture, target)),
            perceived=float(closeness.perceived(picture)), length=length, course=tuple(course),
            seconds=time.monotonic() - begun, stopped=stopped,
        )  # fmt: skip


class _Search:
    """The starts, and one step of them."""

    def __init__(
        self, generator: Generator, closeness: Closeness, space: Near, *, steps: int, seed: int, label: str
    ) -> None:
        self.generator, self.closeness, self.space, self.steps = generator, closeness, space, steps
        self.label = label
        self.random = torch.Generator().manual_seed(seed)
        # a mapping network has the label in w already
        self.descend_y = generator.attributes and not generator.num_ws and not label
        self.u = self.y = self.loss = torch.empty(0)
        self.adam: torch.optim.Adam

    @torch.no_grad()
    def bred(
        self, w: Tensor, y: Tensor | None, starts: int, *, fixed: bool, seen: Callable[[float, Tensor], bool]
    ) -> tuple[Tensor, Tensor]:
        """The closest of many generations of latents [N, w] with labels [N, labels]: u [starts, d] and labels, the best first.

        Those with the best pixels stay; children take each number from one of two of them, and some are changed a little.
        fixed: the first latent is a start, whatever the others are. seen: told after each generation, and says when to stop.
        """
        u, y = self.space.numbers(w), torch.empty(len(w), 0, device=w.device) if y is None else y
        first = u[:1], y[:1]
        generations = round(BRED * self.steps)
        islands = [(u[i::ISLANDS][:KEPT], y[i::ISLANDS][:KEPT]) for i in range(ISLANDS)]
        folk = [(*each, self._far(*each)) for each in islands if len(each[0])]
        for generation in range(generations):
            if generation == round(APART * generations):
                folk = [_together(folk)]
            size = CHANGED * (1 - generation / generations) + CHANGED / 8
            folk = [self._next(*each, size) for each in folk]
            best = min(folk, key=lambda each: float(each[2][0]))
            if seen(float(best[2][0]), self._drawn(best[0][:1], best[1][:1])[0]):
                break
        u, y, far = _together(folk)
        order = far.argsort()[: starts - fixed]
        if fixed:
            return torch.cat([first[0], u[order]]), torch.cat([first[1], y[order]])
        return u[order], y[order]

    def _next(self, u: Tensor, y: Tensor, far: Tensor, size: float) -> tuple[Tensor, Tensor, Tensor]:
        """The next generation of an island: its latents, labels and losses, the best first."""
        n, many, d = len(u), CHILDREN, u.shape[1]

        def some() -> Tensor:
            return torch.rand(many, d, generator=self.random) < torch.rand(many, 1, generator=self.random)

        one = (torch.rand(many, generator=self.random) ** 2 * n).long().to(u.device)  # the better, the more children
        other = torch.randint(n, (many,), generator=self.random).to(u.device)
        change = torch.linspace(0, size, many)[:, None] * some() * torch.randn(many, d, generator=self.random)
        children = torch.where(some().to(u.device), u[one], u[other]) + change.to(u.device)
        u, y = torch.cat([u, children]), torch.cat([y, y[one]])
        far = torch.cat([far, self._far(children, y[n:])])
        order = far.argsort()[: max(n, KEPT)]
        return u[order], y[order], far[order]

    def _far(self, u: Tensor, y: Tensor) -> Tensor:
        """The loss [N] of latents [N, d] with labels [N, labels], but for features."""
        found = []
        for start in range(0, len(u), BATCH):
            part = u[start : start + BATCH]
            pixels = self.closeness.pixels(self._drawn(part, y[start : start + BATCH]))
            found.append(pixels.add(1e-8).sqrt() + STRAYED * self.space.strayed(part))
        return torch.cat(found)

    def _drawn(self, u: Tensor, y: Tensor) -> Tensor:
        latent = self.space.latent(u)
        w = latent if self.generator.num_ws else self.generator.mapping(latent, y if y.numel() else None)
        return self.generator.synthesis(w).float()

    def begin(self, u: Tensor, y: Tensor) -> None:
        """From these numbers [N, d], with labels [N, labels] where the model takes them, the best first."""
        self.u = u.clone().requires_grad_()
        self.y = y.clone().requires_grad_(self.descend_y)
        self.loss = torch.arange(len(u), dtype=torch.float32, device=u.device)
        groups = [{"params": [self.u], "rate": RATE}, {"params": [self.y], "rate": RATE_Y}]
        self.adam = torch.optim.Adam(groups[: 1 + self.descend_y], RATE)

    def step(self, step: int) -> tuple[Tensor, Tensor]:
        """One step -> the loss [N] and the picture [N, C, H, W] of each start that is left."""
        if any(step == round(at * self.steps) for at in DROPS):
            last = step == round(DROPS[-1] * self.steps)
            self._keep(1 if last else -(-len(self.u) // 2))
        t = step / self.steps
        for group in self.adam.param_groups:
            group["lr"] = group["rate"] * _ramp(t, 1 / self.steps)
        noise = torch.randn(self.u.shape, generator=self.random).to(self.u.device)
        u = self.u + NOISE * max(0.0, 1 - t / QUIET) ** 2 * noise
        pictures = self._drawn(u, self.y)
        loss = self.closeness.pixels(pictures).add(1e-8).sqrt() + STRAYED * self.space.strayed(u)
        total = loss
        if PERCEIVED and step % EVERY == 0:
            total = loss + PERCEIVED * self.closeness.perceived(pictures)
        chosen = [group["params"][0] for group in self.adam.param_groups]
        for parameter, gradient in zip(chosen, torch.autograd.grad(total.sum(), chosen), strict=True):
            parameter.grad = gradient
        self.adam.step()
        with torch.no_grad():
            self.y.clamp_(0, 1)
        self.loss = loss.detach()
        return self.loss, pictures.detach()

    def widen(self) -> None:
        """From here on, a latent for each layer."""
        layers = self.generator.num_ws
        self._replace(lambda of: of[:, None].repeat(1, layers, 1) if of.dim() == 2 else of, only=0)

    @torch.no_grad()
    def found(self) -> tuple[Recipe, float]:
        """The best start's recipe, and the length of its latent."""
        best = int(self.loss.argmin())
        u, y = self.u[best : best + 1].detach(), self.y[best]
        rows = self.space.latent(u).reshape(-1, u.shape[-1])
        label = self.label if self.generator.num_ws else _spelled(self.generator, y)
        recipe = Recipe(w=tuple(tuple(row) for row in rows.tolist()), label=label)
        return recipe, float(self.space.length(u))

    def _keep(self, count: int) -> None:
        kept = self.loss.argsort()[:count]
        self.loss = self.loss[kept]
        if not self.descend_y:
            self.y = self.y[kept]
        for number in range(len(self.adam.param_groups)):
            self._replace(lambda of: of[kept], only=number)

    def _replace(self, change: Callable[[Tensor], Tensor], *, only: int) -> None:
        """Change what Adam descends, and its memory of it alike."""
        group = self.adam.param_groups[only]
        old = group["params"][0]
        new = change(old.detach()).clone().requires_grad_()
        memory = self.adam.state.pop(old, {})
        self.adam.state[new] = {key: change(value) if value.dim() else value for key, value in memory.items()}
        group["params"][0] = new
        if only:
            self.y = new
        else:
            self.u = new


def _together(folk: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """All islands as one."""
    us, ys, losses = zip(*folk, strict=True)
    return torch.cat(us), torch.cat(ys), torch.cat(losses)


def _ramp(t: float, least: float) -> float:
    """The rate's factor at a share of the steps: linear up, half a cosine down."""
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / DOWN))
    return down * min(1.0, (t + least) / UP)


@torch.no_grad()
def _guessed(
    generator: Generator,
    target: Tensor,
    closeness: Closeness,
    starts: int,
    seed: int,
    label: str,
    encoder: Callable[[Tensor], Tensor] | None,
) -> tuple[Tensor, Tensor | None]:
    """Latents [N, w] of the model's own pictures closest to the target, the best first, and their labels."""
    seeds = [FIRST + (seed * GUESSES + i) % FIRST for i in range(GUESSES)]
    latent, y = generator.seeded(seeds), generator.labelled(seeds, label)
    if generator.num_ws:
        latent = generator.mapping(latent, y)
    if encoder is not None:  # with the label of the closest guess
        latent = torch.cat([latent, encoder(target[None])])
        y = y if y is None else torch.cat([y, y[_by_pixels(generator, closeness, latent[:-1], y).argmin()][None]])
    far = _by_pixels(generator, closeness, latent, y)
    if encoder is not None:
        far[-1] = -1  # it starts, whatever the others are
    classes = None if y is None or generator.attributes else y.argmax(1)
    best = _spread(far, classes)[: max(starts, ISLANDS * KEPT)]
    return latent[best], y if y is None else y[best]


def _spread(far: Tensor, classes: Tensor | None) -> Tensor:
    """The order of guesses [N] by closeness; with classes first the best of each, then the second best of each …"""
    order = far.argsort()
    if classes is None:
        return order
    seen: dict[int, int] = {}
    turns = []
    for number in classes[order].tolist():
        turns.append(seen.get(number, 0))
        seen[number] = turns[-1] + 1
    return order[torch.tensor(turns, device=order.device).argsort(stable=True)]


def _by_pixels(generator: Generator, closeness: Closeness, latent: Tensor, y: Tensor | None) -> Tensor:
    """How far the pictures of many latents are from the target [N]."""
    found = []
    for start in range(0, len(latent), BATCH):
        part = latent[start : start + BATCH]
        w = part if generator.num_ws else generator.mapping(part, y if y is None else y[start : start + BATCH])
        found.append(closeness.pixels(generator.synthesis(w).float()))
    return torch.cat(found)


def _spelled(generator: Generator, y: Tensor) -> str:
    """A label [labels] as a text that gives it again, to four figures."""
    if not len(y):
        return ""
    if not generator.attributes:
        return generator.name_of(int(y.argmax()))
    return ", ".join(f"{generator.name_of(i)}={value:.4g}" for i, value in enumerate(y.tolist()))


def _check(generator: Generator, target: Tensor, steps: int, starts: int, wide: bool) -> None:
    if tuple(target.shape) != tuple(generator.shape):
        told = "x".join(str(side) for side in target.shape)
        raise SimulacraError(
            f"The picture is {told} (channels, height, width) and this model's are "
            f"{'x'.join(str(side) for side in generator.shape)}: prepare it with as_seen."
        )
    if not bool(target.isfinite().all()):
        raise SimulacraError("The picture holds numbers that are none (NaN or infinity).")
    if not 1 <= steps <= MOST_STEPS:
        raise SimulacraError(f"{steps} steps are not possible: 1 to {MOST_STEPS} are.")
    if not 1 <= starts <= MOST_STARTS:
        raise SimulacraError(f"{starts} starts are not possible: 1 to {MOST_STARTS} are.")
    if wide and not generator.num_ws:
        raise SimulacraError(
            "This model has no layers, so that each could have a latent of its own: leave wide out, or take StyleGAN or StyleGAN2."
        )
