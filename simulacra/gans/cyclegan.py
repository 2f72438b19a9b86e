"""Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks. Zhu, Park, Isola, Efros. 2017.

    D:  1/2 (E[(D_b(b) - 1)²] + E[D_b(G_b(a))²]) + 1/2 (E[(D_a(a) - 1)²] + E[D_a(G_a(b))²])
    G:  E[(D_b(G_b(a)) - 1)²] + E[(D_a(G_a(b)) - 1)²]
        + λ (E[|G_a(G_b(a)) - a|] + E[|G_b(G_a(b)) - b|]) + λ_id (E[|G_b(b) - b|] + E[|G_a(a) - a|])

G_b translates pictures of domain a to b, and G_a back; D_a and D_b score patches. A pool mixes earlier fakes into D's
batches. The learning rate is constant for the first half of the run and falls to zero over the second half. With
`loss=relativistic` the discriminators use R3GAN's relativistic loss with R1 and R2 on the same patches.

Cycle consistency alone may pair the wrong pictures. `match` pulls each translation towards a pseudo-pair in the other
domain, found by optimal transport and recomputed as G learns:

    λ_m (E[|G_b(a) - match(a)|] + E[|G_a(b) - match(b)|])
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra import gan, losses
from simulacra.augment.cut import cut
from simulacra.config import require, setting
from simulacra.errors import SimulacraError
from simulacra.gan import Batch, Preset
from simulacra.gans.cyclegan_networks import SMALLEST, Generator, PatchDiscriminator
from simulacra.layers import Pool
from simulacra.layers.pseudo_pairs import PseudoPairBank, downscale, pairwise_l1
from simulacra.layers.renamed import RenamedTensors
from simulacra.settings import DEFAULTS
from simulacra.translator import OTHER, Side

WARMUP_FILLINGS = 4  # fillings of the bank for which pseudo-pairs compare inputs, as translations are still poor
SQUARES, RELATIVISTIC = {"loss": "squares"}, {"loss": "relativistic"}


@dataclass(frozen=True, kw_only=True)
class Settings(gan.Settings):
    """The paper's settings."""

    of_the_networks: ClassVar[frozenset[str]] = gan.Settings.of_the_networks | {
        *("network", "features", "fine", "blocks", "norm", "change", "halvings"),
    }

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
        1, "Interval between steps of D with R1 and R2; their weight is multiplied by it.", when=RELATIVISTIC
    )
    cycle: float = setting(10.0, "Weight λ of the cycle loss.")
    same: float = setting(5.0, "Weight of the identity loss: a picture of the target domain should stay as it is.")
    match: float = setting(0.0, "Weight of the distance to pseudo-pairs, found by optimal transport; 0 for none.")
    bank: int = setting(
        1024, "Pictures of each domain among which to find pseudo-pairs.", when={"match": "more than 0"}
    )
    pool: int = setting(50, "Size of the pool of earlier fakes for D; 0 for none.")
    zoom: float = setting(1.12, "Factor by which pictures are enlarged before a random crop.")
    flip: bool = setting(True, "Mirror half of the pictures.")
    length: float = setting(0.0, "Images until the learning rate is 0, constant for the first half; 0 for the run's.")
    batch: int = 1
    epochs: float = 200.0
    betas: tuple[float, float] = (0.5, 0.999)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "at least 1", "features", "halvings", "zoom", "lazy", "bank")
        require(self, "at least 0", "fine", "blocks", "gamma", "cycle", "same", "match", "pool", "length")
        if min(self.shape[1:]) < SMALLEST:
            height, width = self.shape[1:]
            raise SimulacraError("gan.picture_too_small", height=height, width=width, side=SMALLEST)


@gan.register
class CycleGAN(RenamedTensors, gan.GAN):
    """Two translators between two domains, trained to be inverse to each other."""

    renamed_tensors: ClassVar[Mapping[str, str]] = {"matches": "pseudo_pairs"}

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
            {"features": 32, "batch": 4, "lr": 4e-4, "epochs": 100}, "the paper's losses, narrower, for a CPU"
        ),
        DEFAULTS: Preset({}, "the defaults below, without what auto changes for pictures and machine"),
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
        self.D = nn.ModuleDict({side: PatchDiscriminator(config) for side in OTHER})
        self.pool, self.nimg = Pool(config.pool, dict.fromkeys(OTHER, config.shape)), 0
        self.pseudo_pairs = PseudoPairBank(config.bank, config.shape) if config.match else None
        self.has_pseudo_pairs = False  # whether the bank has been full
        self.due = True  # whether the next step of D has the penalties

    @classmethod
    def generator(cls, config: Any) -> Generator:
        """The untrained G alone."""
        return Generator(config)

    @classmethod
    def resolve(cls, config: Any, total: int | None) -> Any:
        """Set `length` to the run's length if it is unset. Raises `SimulacraError` if the run is longer than `length`."""
        if total and config.length and total > config.length:
            raise SimulacraError("gan.run_longer_than_rate", length=round(config.length), total=total)
        return replace(config, length=float(total)) if total and not config.length else config

    def on_step_start(self, nimg: int, steps: Mapping[str, int]) -> None:
        """Update the schedules of the learning rate, the pool, the penalties and the pseudo-pairs."""
        self.nimg, self.pool.count = nimg, steps["D"] * self.config.batch
        self.due = steps["D"] % self.config.lazy == 0
        self.has_pseudo_pairs = self.pseudo_pairs is not None and self.pool.count >= self.pseudo_pairs.size

    def graph_key(self, player: str) -> Hashable | None:
        """Whether a step has penalties (D) or pseudo-pairs (G); None until the pool is full."""
        if self.pool.count < self.pool.size:
            return None
        return self.due if player == "D" else self.has_pseudo_pairs

    def rate(self, steps: int) -> float:
        """Factor on the learning rate: 1 for the first half, then linear to 0 (appendix 7.1 of the paper)."""
        length = self.config.length
        return min(1.0, max(0.0, 2 - 2 * self.nimg / length)) if length else 1.0

    # --- pictures --------------------------------------------------------------------------------------------

    def crop_pair(self, batch: Batch) -> dict[Side, Tensor]:
        """Enlarge, crop and mirror the real pictures of both domains."""
        assert batch.others is not None
        zoom, flip = self.config.zoom, self.config.flip
        return {"a": cut(batch.images, zoom, flip=flip), "b": cut(batch.others, zoom, flip=flip)}

    def draw_pseudo_pairs(self, n: int) -> tuple[dict[Side, Tensor], dict[Side, Tensor]]:
        """n earlier pictures of each domain, and the pseudo-pairs of their translations."""
        assert self.pseudo_pairs is not None
        real, matches = dict[Side, Tensor](), dict[Side, Tensor]()
        for side in OTHER:
            both = torch.cat(self.pseudo_pairs.draw(side, n), 1)  # cropped alike
            real[side], matches[OTHER[side]] = cut(both, self.config.zoom, flip=self.config.flip).chunk(2, 1)
        return real, matches

    def generate(self, batch: Batch, *, grad: bool = True) -> Tensor:
        """Translate a batch to a, then to b: [2N, C, H, W]."""
        assert batch.others is not None
        with torch.set_grad_enabled(grad and torch.is_grad_enabled()):
            return torch.cat([self.G.translate(batch.others, "a"), self.G.translate(batch.images, "b")])

    def scores(self, images: Tensor, side: Side) -> Tensor:
        """A domain's discriminator on augmented pictures: [N, patches]."""
        scores: Tensor = self.D[side](self.augment(images))
        return scores.float()

    def discriminate_pair(self, batch: Batch, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Mean scores [2N], [2N] of reals and of fakes from `generate`: a's, then b's."""
        assert batch.others is not None
        sides = zip(OTHER, (batch.images, batch.others), fake.chunk(2), strict=True)
        scores = [(self.scores(real, side).mean(1), self.scores(fake, side).mean(1)) for side, real, fake in sides]
        return torch.cat([real for real, _ in scores]), torch.cat([fake for _, fake in scores])

    @torch.no_grad()
    def on_step_end(self, player: str, stats: Mapping[str, Tensor]) -> None:
        """Store the fakes of a step of D in the pool, and its reals in the bank of pseudo-pairs."""
        super().on_step_end(player, stats)
        if player == "D":
            self.pool.keep({side: stats[f"past_{side}"] for side in OTHER}, stats["rows"])
            if self.pseudo_pairs:
                self.update_pseudo_pairs(self.pseudo_pairs, {side: stats[f"real_{side}"] for side in OTHER})

    def update_pseudo_pairs(self, bank: PseudoPairBank, real: Mapping[Side, Tensor]) -> None:
        """Add real pictures to the bank; recompute the pairs after every `bank.size` pictures."""
        start, n = self.pool.count, len(real["a"])
        bank.add(real, start)
        fillings, over = divmod(start + n, bank.size)
        if over >= n or not fillings:
            return
        bank.commit()
        real_a, real_b = (torch.cat([downscale(chunk) for chunk in bank.chunks(side)]) for side in OTHER)
        if fillings <= WARMUP_FILLINGS:
            bank.assign(pairwise_l1(real_a, real_b))
        else:
            to_b, to_a = (
                torch.cat([downscale(self.G.translate(chunk, OTHER[side])) for chunk in bank.chunks(side)])
                for side in OTHER
            )
            bank.assign(pairwise_l1(to_b, real_b) + pairwise_l1(real_a, to_a))

    # --- the losses --------------------------------------------------------------------------------------------

    def d_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The losses of both discriminators, each halved with `loss=squares`."""
        real = self.crop_pair(batch)
        with torch.no_grad():
            fresh: dict[Side, Tensor] = {side: self.G.translate(real[OTHER[side]], side) for side in OTHER}
        fakes, rows = self.pool(fresh)
        (loss_a, stats_a), (loss_b, stats_b) = (self.critic_loss(side, real[side], fakes[side]) for side in OTHER)
        stats = {name: torch.cat([stats_a[name], stats_b[name]]) for name in ("real", "fake")}
        for name in stats_a.keys() - stats.keys():
            stats[name] = stats_a[name] + stats_b[name]
        stats |= {f"past_{side}": fresh[side] for side in OTHER} | {"rows": rows}
        if self.pseudo_pairs:
            assert batch.others is not None
            stats |= {"real_a": batch.images, "real_b": batch.others}
        return loss_a + loss_b, stats

    def critic_loss(self, side: Side, real: Tensor, fake: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """One discriminator's loss on reals and fakes [N, C, H, W], and its stats."""
        penalised = self.due and self.config.loss == "relativistic"
        images = torch.cat([real, fake]).detach().requires_grad_(penalised)  # one batch: norms are per picture
        scores = self.scores(images, side)
        reals, fakes = scores.chunk(2)
        stats = {"real": reals.mean(1), "fake": fakes.mean(1)}
        if self.config.loss == "squares":
            return losses.squares_d(reals, fakes, *self.targets(reals)) / 2, stats
        stats["adversarial"] = adversarial = losses.relativistic_d(reals, fakes)
        if not penalised:
            return adversarial, stats
        r1, r2 = (part.mean() for part in losses.squared_gradients(scores.mean(1), images).chunk(2))
        return adversarial + self.config.gamma * self.config.lazy / 2 * (r1 + r2), stats | {"r1": r1, "r2": r2}

    def g_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The adversarial, cycle, identity and pseudo-pair losses of both translations."""
        config, n, identity = self.config, len(batch.images), self.config.same > 0
        real, matches = self.draw_pseudo_pairs(n) if self.has_pseudo_pairs else (self.crop_pair(batch), {})
        fakes, same = dict[Side, Tensor](), dict[Side, Tensor]()
        for side in OTHER:  # norms are per picture, so both inputs may share a batch
            inputs = [real[OTHER[side]], *([real[side]] if identity else [])]
            outputs = self.G.translate(torch.cat(inputs), side)
            fakes[side], same[side] = outputs[:n], outputs[n:]
        stats, adversarial = dict[str, Tensor](), torch.zeros((), device=batch.images.device)
        fake = []
        for side in OTHER:
            scores = self.scores(fakes[side], side)
            fake.append(scores.mean(1))
            if config.loss == "squares":
                adversarial = adversarial + losses.squares_g(scores)
            else:
                with torch.no_grad():
                    reals = self.scores(real[side], side)
                adversarial = adversarial + losses.relativistic_g(reals, scores)
        cycle = sum(F.l1_loss(self.G.translate(fakes[OTHER[side]], side), real[side]) for side in OTHER)
        loss = adversarial + config.cycle * cycle
        stats |= {"fake": torch.cat(fake), "cycle": torch.as_tensor(cycle)}
        if matches:
            match = sum(F.l1_loss(fakes[side], matches[side]) for side in OTHER)
            loss, stats["match"] = loss + config.match * match, torch.as_tensor(match)
        if identity:
            identity_loss = sum(F.l1_loss(same[side], real[side]) for side in OTHER)
            loss, stats["same"] = loss + config.same * identity_loss, torch.as_tensor(identity_loss)
        return loss, stats
