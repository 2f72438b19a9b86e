"""Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks. Zhu, Park, Isola, Efros. 2017.

    D:  1/2 (E[(D_b(b) - 1)²] + E[D_b(G_b(a))²]) + 1/2 (E[(D_a(a) - 1)²] + E[D_a(G_a(b))²])
    G:  E[(D_b(G_b(a)) - 1)²] + E[(D_a(G_a(b)) - 1)²]
        + λ (E[|G_a(G_b(a)) - a|] + E[|G_b(G_a(b)) - b|]) + λ_id (E[|G_b(b) - b|] + E[|G_a(a) - a|])

G_b makes pictures of domain b of those of a, and G_a the other way; D_a and D_b judge patches. D also sees earlier fakes,
from a pool; the rate is constant for the first half of the run and falls to zero over the second. As an option the critics
play R3GAN's game (`loss=relativistic`: a pairing loss with R1 and R2) on the same patches.

What comes back whole may still be wrong: nothing in the game says which picture goes with which. As an option (`match`)
each picture is drawn to its match among those of the other domain, which optimal transport finds anew as G learns:

    λ_m (E[|G_b(a) - match(a)|] + E[|G_a(b) - match(b)|])
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra import gan, losses
from simulacra.augment.cut import cut
from simulacra.config import require, setting
from simulacra.errors import SimulacraError
from simulacra.gan import Batch, Preset
from simulacra.gans.dcgan import initialise
from simulacra.layers import Conv2d, ConvTranspose2d, InstanceNorm2d, Pool
from simulacra.layers.pseudo_pairs import Matches, apart, reduced
from simulacra.translator import OTHER, Side, Translator

SLOPE = 0.2
LITTLE = 0.1  # of what a layer draws at first, where it draws a change
LARGE = 256  # a shorter side from which G has 9 residual blocks, not 6
ALIKE = 4  # fillings of the bank in which matches are the pictures most alike, as translations are none yet
SQUARES, RELATIVISTIC = {"loss": "squares"}, {"loss": "relativistic"}
LEAST = 8  # of a side: the halvings leave 2 x 2


@dataclass(frozen=True, kw_only=True)
class Settings(gan.Settings):
    """The paper's settings."""

    network: Literal["residual", "unet"] = setting(
        "residual", "Architecture of G: unet costs a fraction, and translates pictures of this size only."
    )
    output: Literal["tanh", "linear"] = setting("tanh", when={"change": False})
    label_noise: float = setting(0.0, when=SQUARES)
    smoothing: float = setting(0.0, when=SQUARES)
    features: int = setting(64, "Channels at the full side; of unet at half of it.")
    fine: int = setting(0, "Channels of two more convolutions at the full side; 0 for none.", when={"network": "unet"})
    blocks: int = setting(0, "Residual blocks; 0 for 6, and 9 from 256 px on.", when={"network": "residual"})
    norm: Literal["instance", "none"] = setting("instance", "Normalisation; none lets G keep the colours of a picture.")
    change: bool = setting(False, "G computes a change of the picture instead of the whole: for similar domains.")
    halvings: int = setting(3, "Halvings in D: 3 for patches of 70 px, 2 for 34 px; fewer for small pictures.")
    loss: Literal["squares", "relativistic"] = setting("squares", "Adversarial loss.")
    gamma: float = setting(0.1, "Weight γ of R1 and R2.", when=RELATIVISTIC)
    lazy: int = setting(
        1, "R1 and R2 are taken at every so many steps of D, with as much more weight.", when=RELATIVISTIC
    )
    cycle: float = setting(10.0, "Weight λ of the cycle loss.")
    same: float = setting(5.0, "Weight of the identity loss: a picture of the target domain should stay as it is.")
    match: float = setting(0.0, "Weight of the distance to pseudo-pairs, found by optimal transport; 0 for none.")
    bank: int = setting(
        1024, "Pictures of each domain among which pseudo-pairs are found.", when={"match": "more than 0"}
    )
    pool: int = setting(50, "Earlier fakes that D may see again; 0 for none.")
    zoom: float = setting(1.12, "Pictures are enlarged by this factor and cropped at random.")
    flip: bool = setting(True, "Mirror half of the pictures.")
    length: float = setting(0.0, "Images until the learning rate is 0, constant for the first half; 0 for the run's.")
    batch: int = 1
    epochs: float = 200.0
    betas: tuple[float, float] = (0.5, 0.999)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 1", "features", "halvings", "zoom", "lazy", "bank")
        require(self, "at least 0", "fine", "blocks", "gamma", "cycle", "same", "match", "pool", "length")
        if min(self.shape[1:]) < LEAST:
            raise SimulacraError(
                f"Pictures of {self.shape[2]}x{self.shape[1]} are too small: sides from {LEAST} up are."
            )


# --- networks ----------------------------------------------------------------------------------------------------


def normed(config: Settings, layer: nn.Module, channels: int) -> list[nn.Module]:
    """A convolution to `channels`, and its norm if there are norms."""
    return [layer, InstanceNorm2d(channels)] if config.norm == "instance" else [layer]


def convolutions(network: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    """A network's convolutions in order."""
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]


def balanced(network: nn.Module, slope: float) -> None:
    """Weights that keep the variance through rectifiers where no norm does (He et al. 2015), biases 0."""
    for layer in convolutions(network):
        heard = layer.in_channels * math.prod(layer.kernel_size)
        if isinstance(layer, nn.ConvTranspose2d):
            heard //= math.prod(layer.stride)
        nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / (1 + slope**2) / heard))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class Residual(nn.Module):
    """x + what two convolutions of 3x3, normalised or not, make of it."""

    def __init__(self, config: Settings, channels: int) -> None:
        super().__init__()
        plain = config.norm == "none"
        first, last = (Conv2d(channels, channels, 3, bias=plain) for _ in range(2))
        layers: list[nn.Module] = [nn.ReflectionPad2d(1), *normed(config, first, channels), nn.ReLU()]
        layers += [nn.ReflectionPad2d(1), *normed(config, last, channels)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        y: Tensor = x + self.layers(x)
        return y


class Changed(nn.Module):
    """A network that draws what to change: x + what it draws, cut to [-1, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        changed: Tensor = x.float() + self.network(x).float()
        within = changed.clamp(-1, 1)
        if not self.training:
            return within
        return changed + (within - changed).detach()  # what is cut off is still taught, or white could never darken


class UNet(nn.Module):
    """A picture -> halved to 2 to 3 pixels or five times, doubled as often, beside what was seen at each side -> a picture.

    The other generator of the authors' code, as pix2pix has it (Isola et al. 2017, section 6.1.1). There a picture's pixels
    are drawn four at once by the last layer alone, and flat colours are never quite flat: with `fine`, two more
    convolutions see them beside the picture itself.
    """

    def __init__(self, config: Settings, halvings: int) -> None:
        super().__init__()
        channels, plain = config.shape[0], config.norm == "none"
        drawn = config.fine or channels
        widths = [channels, *(config.features * min(1 << i, 8) for i in range(halvings))]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, (inner, outer) in enumerate(itertools.pairwise(widths)):
            bare = plain or i in (0, halvings - 1)  # norms of a few pixels would leave nothing
            halved = Conv2d(inner, outer, 4, 2, 1, bias=bare)
            self.down.append(nn.Sequential(*([halved] if bare else normed(config, halved, outer)), nn.LeakyReLU(SLOPE)))
        for i in range(halvings, 0, -1):
            heard = widths[i] * (1 if i == halvings else 2)
            doubled = ConvTranspose2d(heard, widths[i - 1] if i > 1 else drawn, 4, 2, 1, bias=plain or i == 1)
            self.up.append(nn.Sequential(*normed(config, doubled, widths[i - 1]), nn.ReLU()) if i > 1 else doubled)
        self.fine: nn.Sequential | None = None
        if config.fine:
            between = Conv2d(drawn + channels, drawn, 3, 1, 1)
            self.fine = nn.Sequential(between, nn.ReLU(), Conv2d(drawn, channels, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        picture, seen = x, list[Tensor]()
        for layer in self.down:
            x = layer(x)
            seen.append(x)
        for i, layer in enumerate(self.up):
            x = layer(torch.cat([x, seen[-1 - i]], 1) if i else x)
        return x if self.fine is None else self.fine(torch.cat([F.relu(x), picture], 1))


def unet_halvings(config: Settings) -> int:
    """How often a U-Net halves its picture."""
    return min(5, int(math.log2(min(config.shape[1:]))) - 1)


def translating(config: Settings) -> nn.Module:
    """A translation's network."""
    layers = [UNet(config, unet_halvings(config))] if config.network == "unet" else residual(config)
    made = nn.Sequential(*layers)
    if config.norm == "none":
        balanced(made, SLOPE if config.network == "unet" else 0.0)
        for block in made:
            if isinstance(block, Residual):
                nn.init.zeros_(convolutions(block)[-1].weight)  # fixup (Zhang et al. 2019): each begins as x
    else:
        initialise(made)
    if config.change:
        with torch.no_grad():
            convolutions(made)[-1].weight.mul_(LITTLE)
        return Changed(made)
    return nn.Sequential(*made, nn.Tanh() if config.output == "tanh" else nn.Identity())


def residual(config: Settings) -> list[nn.Module]:
    """A picture -> 7x7, halved twice, residual blocks, doubled twice, 7x7 -> a picture."""
    channels, wide, plain = config.shape[0], config.features, config.norm == "none"
    blocks = config.blocks or (9 if min(config.shape[1:]) >= LARGE else 6)
    layers: list[nn.Module] = [nn.ReflectionPad2d(3)]
    layers += [*normed(config, Conv2d(channels, wide, 7, bias=plain), wide), nn.ReLU()]
    for inner in (wide, 2 * wide):
        layers += [*normed(config, Conv2d(inner, 2 * inner, 3, 2, 1, bias=plain), 2 * inner), nn.ReLU()]
    layers += [Residual(config, 4 * wide) for _ in range(blocks)]
    for inner in (4 * wide, 2 * wide):
        doubled = ConvTranspose2d(inner, inner // 2, 3, 2, 1, output_padding=1, bias=plain)
        layers += [*normed(config, doubled, inner // 2), nn.ReLU()]
    layers += [nn.ReflectionPad2d(3), Conv2d(wide, channels, 7)]
    return layers


class Generator(Translator):
    """G_b and G_a."""

    multiple, least = 4, LEAST

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        if config.network == "unet":
            self.multiple = self.least = 1 << unet_halvings(config)
            self.whole = True
        self.into["b"], self.into["a"] = translating(config), translating(config)


class Critic(nn.Module):
    """A picture -> a score for each of its patches."""

    def __init__(self, config: Settings) -> None:
        super().__init__()
        halvings = min(config.halvings, int(math.log2(min(config.shape[1:]))) - 2)
        layers: list[nn.Module] = [Conv2d(config.shape[0], config.features, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        inner = config.features
        for i in range(halvings):
            outer = config.features * min(2 << i, 8)
            halved = Conv2d(inner, outer, 4, 2 if i < halvings - 1 else 1, 1, bias=config.norm == "none")
            layers += [*normed(config, halved, outer), nn.LeakyReLU(SLOPE)]
            inner = outer
        self.layers = nn.Sequential(*layers, nn.Dropout(config.dropout), Conv2d(inner, 1, 4, 1, 1))
        if config.norm == "none":
            balanced(self, SLOPE)
        else:
            initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures [N, C, H, W] -> scores [N, patches]."""
        scores: Tensor = self.layers(images).flatten(1)
        return scores


# --- the game ----------------------------------------------------------------------------------------------------


@gan.register
class CycleGAN(gan.GAN):
    """Two domains, two translations, and what comes back must be what went out."""

    name, title, year = "cyclegan", "CycleGAN, unpaired translation", 2017
    authors = "Zhu, Park, Isola, Efros"
    paper = "arXiv:1703.10593"
    suits = "Two folders of pictures, to turn one kind into the other without pairs."
    formulas = (
        "1/2 (E[(D_b(b) - 1)²] + E[D_b(G_b(a))²]), and the same for a",
        "E[(D_b(G_b(a)) - 1)²] + λ E[|G_a(G_b(a)) - a|] + λ_id E[|G_b(b) - b|], and the same for a",
    )
    critic, targeted, task = True, True, "translate"
    unused = {  # noqa: RUF012
        **{"z": "gan.no_latent", "prior": "gan.no_latent", "separate": "gan.own_batches", "lr_decay": "gan.own_rate"}
    }
    unreduced_stats = frozenset({"past_a", "past_b", "rows", "real_a", "real_b"})
    Config = Settings
    presets = {  # noqa: RUF012
        "small": Preset(
            {"features": 32, "batch": 4, "lr": 4e-4, "epochs": 100}, "the paper's game, narrower, for a processor"
        ),
        "tiny": Preset({"features": 4, "blocks": 1, "batch": 4, "pool": 6}, "for tests"),
        "tiny-unet": Preset(
            {
                "network": "unet",
                "features": 4,
                "batch": 4,
                "pool": 6,
                "loss": "relativistic",
                "fine": 4,
                "lazy": 2,
                "norm": "none",
                "match": 1.0,
                "bank": 6,
            },
            "for tests",
        ),
    }
    config: Settings
    G: Generator
    D: nn.ModuleDict

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self.G = self.generator(config)
        self.D = nn.ModuleDict({side: Critic(config) for side in OTHER})
        self.pool, self.nimg = Pool(config.pool, dict.fromkeys(OTHER, config.shape)), 0
        self.matches = Matches(config.bank, config.shape) if config.match else None
        self.matched = False  # whether there are matches by now
        self.due = True  # whether the next play of D is one with the penalties

    @classmethod
    def generator(cls, config: Any) -> Generator:
        """The two translations alone."""
        return Generator(config)

    @classmethod
    def resolve(cls, config: Any, total: int | None) -> Any:
        """The rate runs out with the run, where its length is known. Raises `SimulacraError` for a run that outlasts it."""
        if total and config.length and total > config.length:
            raise SimulacraError(
                f"The rate falls to zero at {config.length:.0f} images: nothing is learned in a run of {total}. Begin a new "
                "one of that length, or with a larger length=."
            )
        return replace(config, length=float(total)) if total and not config.length else config

    def on_step_start(self, nimg: int, steps: Mapping[str, int]) -> None:
        """The rate follows the images shown; the pool and the penalties, D's plays."""
        self.nimg, self.pool.seen = nimg, steps["D"] * self.config.batch
        self.due = steps["D"] % self.config.lazy == 0
        self.matched = self.matches is not None and self.pool.seen >= self.matches.size

    def graph_key(self, player: str) -> Hashable | None:
        """The same once the pool is full, but for the penalties and whether there are matches."""
        if self.pool.seen < self.pool.size:
            return None
        return self.due if player == "D" else self.matched

    def rate(self, steps: int) -> float:
        """Constant for the first half, then linear to zero (appendix 7.1 of the paper)."""
        length = self.config.length
        return min(1.0, max(0.0, 2 - 2 * self.nimg / length)) if length else 1.0

    # --- pictures --------------------------------------------------------------------------------------------

    def dealt_pair(self, batch: Batch) -> dict[Side, Tensor]:
        """Both domains' pictures as both players see them."""
        assert batch.others is not None
        zoom, flip = self.config.zoom, self.config.flip
        return {"a": cut(batch.images, zoom, flip=flip), "b": cut(batch.others, zoom, flip=flip)}

    def matched_pair(self, n: int) -> tuple[dict[Side, Tensor], dict[Side, Tensor]]:
        """n pictures of each domain that were shown before, and what their translations should be: their matches."""
        assert self.matches is not None
        real, matches = dict[Side, Tensor](), dict[Side, Tensor]()
        for side in OTHER:
            both = torch.cat(self.matches.draw(side, n), 1)  # cut as one
            real[side], matches[OTHER[side]] = cut(both, self.config.zoom, flip=self.config.flip).chunk(2, 1)
        return real, matches

    def generate(self, batch: Batch, *, grad: bool = True) -> Tensor:
        """Translations of a batch: those to a, then those to b [2N, C, H, W]."""
        assert batch.others is not None
        with torch.set_grad_enabled(grad and torch.is_grad_enabled()):
            return torch.cat([self.G.translate(batch.others, "a"), self.G.translate(batch.images, "b")])

    def scores(self, images: Tensor, side: Side) -> Tensor:
        """The scores [N, patches] that a domain's critic gives pictures as it sees them in training."""
        scores: Tensor = self.D[side](self.augment(images))
        return scores.float()

    def discriminate_pair(self, batch: Batch, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Mean scores [2N], [2N] of reals and of fakes as `fakes` gives them: a's, then b's."""
        assert batch.others is not None
        sides = zip(OTHER, (batch.images, batch.others), fake.chunk(2), strict=True)
        told = [(self.scores(real, side).mean(1), self.scores(made, side).mean(1)) for side, real, made in sides]
        return torch.cat([real for real, _ in told]), torch.cat([made for _, made in told])

    @torch.no_grad()
    def on_step_end(self, player: str, stats: Mapping[str, Tensor]) -> None:
        """After a play of D its fakes go into the pool."""
        super().on_step_end(player, stats)
        if player == "D":
            self.pool.keep({side: stats[f"past_{side}"] for side in OTHER}, stats["rows"])
            if self.matches:
                self.remember(self.matches, {side: stats[f"real_{side}"] for side in OTHER})

    def remember(self, matches: Matches, real: Mapping[Side, Tensor]) -> None:
        """Keep pictures to match, and match them anew whenever the bank has been filled."""
        seen, n = self.pool.seen, len(real["a"])
        matches.keep(real, seen)
        fillings, over = divmod(seen + n, matches.size)
        if over >= n or not fillings:
            return
        matches.renew()
        seen_a, seen_b = (torch.cat([reduced(part) for part in matches.parts(side)]) for side in OTHER)
        if fillings <= ALIKE:
            matches.match(apart(seen_a, seen_b))
        else:
            to_b, to_a = (
                torch.cat([reduced(self.G.translate(part, OTHER[side])) for part in matches.parts(side)])
                for side in OTHER
            )
            matches.match(apart(to_b, seen_b) + apart(seen_a, to_a))

    # --- the losses --------------------------------------------------------------------------------------------

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Both critics' losses, with the weight that halves D's pace."""
        real = self.dealt_pair(batch)
        with torch.no_grad():
            fresh: dict[Side, Tensor] = {side: self.G.translate(real[OTHER[side]], side) for side in OTHER}
        shown, rows = self.pool(fresh)
        parts = [self.critic_loss(side, real[side], shown[side]) for side in OTHER]
        stats = {name: torch.cat([told[name] for _, told in parts]) for name in ("real", "fake")}
        for name in parts[0][1].keys() - stats.keys():
            stats[name] = parts[0][1][name] + parts[1][1][name]
        stats |= {f"past_{side}": fresh[side] for side in OTHER} | {"rows": rows}
        if self.matches:
            assert batch.others is not None
            stats |= {"real_a": batch.images, "real_b": batch.others}
        return parts[0][0] + parts[1][0], stats

    def critic_loss(self, side: Side, real: Tensor, fake: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """One critic's loss on pictures [N, C, H, W] of its domain and fakes of it, with its mean scores [N]."""
        if self.config.loss == "squares":
            reals, fakes = self.scores(real, side), self.scores(fake, side)
            loss = losses.squares_d(reals, fakes, *self.targets(reals)) / 2
            return loss, {"real": reals.mean(1), "fake": fakes.mean(1)}
        images = [each.detach().requires_grad_(self.due) for each in (real, fake)]
        reals, fakes = (self.scores(each, side) for each in images)
        adversarial = losses.relativistic_d(reals, fakes)
        stats = {"real": reals.mean(1), "fake": fakes.mean(1), "adversarial": adversarial}
        if not self.due:
            return adversarial, stats
        r1, r2 = (
            losses.squared_gradient(scores.mean(1), each) for scores, each in zip((reals, fakes), images, strict=True)
        )
        return adversarial + self.config.gamma * self.config.lazy / 2 * (r1 + r2), stats | {"r1": r1, "r2": r2}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """What the critics say, what comes back, what should stay as it is, and what matches say, of both translations."""
        config, n, keep = self.config, len(batch.images), self.config.same > 0
        real, matches = self.matched_pair(n) if self.matched else (self.dealt_pair(batch), {})
        fakes, stayed = dict[Side, Tensor](), dict[Side, Tensor]()
        for side in OTHER:  # norms are of single pictures, so that all of a network's may go through it at once
            given = [real[OTHER[side]], *([real[side]] if keep else [])]
            made = self.G.translate(torch.cat(given), side)
            fakes[side], stayed[side] = made[:n], made[n:]
        stats, adversarial = dict[str, Tensor](), torch.zeros((), device=batch.images.device)
        told = []
        for side in OTHER:
            scores = self.scores(fakes[side], side)
            told.append(scores.mean(1))
            if config.loss == "squares":
                adversarial = adversarial + losses.squares_g(scores)
            else:
                with torch.no_grad():
                    reals = self.scores(real[side], side)
                adversarial = adversarial + losses.relativistic_g(reals, scores)
        cycle = sum(F.l1_loss(self.G.translate(fakes[OTHER[side]], side), real[side]) for side in OTHER)
        loss = adversarial + config.cycle * cycle
        stats |= {"fake": torch.cat(told), "cycle": torch.as_tensor(cycle)}
        if matches:
            match = sum(F.l1_loss(fakes[side], matches[side]) for side in OTHER)
            loss, stats["match"] = loss + config.match * match, torch.as_tensor(match)
        if keep:
            same = sum(F.l1_loss(stayed[side], real[side]) for side in OTHER)
            loss, stats["same"] = loss + config.same * same, torch.as_tensor(same)
        return loss, stats
