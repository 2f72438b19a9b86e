"""Is a run well? What is measured at each tick, what that is a sign of, and when a sign becomes a verdict.

A journal line carries the measures as numbers, the signs that it shows in view of the lines before it, and the
verdicts: signs that stay. The journal is all the memory there is, so a resume, which rewinds it, goes on exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from simulacra.data.dataset import Dataset
from simulacra.game import GAN, Batch, Settings
from simulacra.training.trainer import Trainer

Line = dict[str, Any]
Lines = Sequence[Line]  # of a journal, the last one being looked at

PICTURES = 64  # reals of each kind that D is asked about
FEWEST = 4  # with fewer, their mean says nothing
SHARE = 12  # a tick shows at least so many times the pictures that D is asked about, so that asking costs little
SIDE = 8  # pictures are compared as means over SIDE x SIDE areas: what they are of, not their grain

HOLD = 5  # ticks in a row that a sign must stay to become a verdict
PLAYS = 100  # plays of G that it must stay, where ticks are short
ENDS = 5  # ticks in a row without it that end the verdict
PAST = 1000  # lines that are looked back on

# Thresholds, each from journals of runs that learned and of runs that were broken on purpose.
OVERFIT = 0.5  # of r less two errors: on 800 to 48,000 pictures below 0.1, on 20 it comes to 0.8 and more
SURE, FADED = 0.98, 0.01  # minimax against a fast D: 1e-3 to 1e-13 of G's highest gradient; where G learns, above 0.18
RISEN = 0.15  # what G draws before it learns lies below 0.1
FALLEN = 0.25  # a dcgan that collapsed: 0.05 of its best; where G learns, above 0.5 once it has risen
GREY, YOUNG = 0.01, 300  # dead: below 0.005; an mlp that learned late lay at 0.035 after 200 plays of G
PALE, OLD = 0.05, 1000  # an mlp that drew one mean person: 0.02; the one that learned late had passed 0.06 by 500 plays
VIVID, FEW = 0.4, 0.1  # four pictures repeated: 0.75 and 0.06; an mlp that learned passed 0.4 with 0.12
LOSS = 5.0  # at 50 times the rate D's loss averages 7 to 130; where G learns, below 1.8
EXPLODED, GROWN = 100.0, 10.0  # of the median of healthy ticks; where G learns, 10 and 1.6
# a dcgan learned for 200 plays against a D that was always right, and drew twice as varied after 50
WON, MORE = 0.999, 1.1
LOST = 0.95  # at the start, D may take everything for real for 150 plays and still learn


class Health:
    """Measures a run's health. Leaves weights, buffers and modes as they were, to the bit."""

    def __init__(self, data: Dataset, valid: Dataset | None, device: torch.device, *, tick: int, shown: int) -> None:
        """data, valid: training pictures and unseen ones. tick: images between looks. shown: pictures in a preview."""
        count = min(PICTURES, tick // SHARE)
        self.reals = [_some(part, count, device) for part in (data, valid) if part is not None]  # batches
        self.spread, self.distinct = spread(_unpacked(data.images[:shown], device)) if len(data) > 1 else (0.0, 1.0)
        self.shown = min(shown, len(data))

    def measures(self, trainer: Trainer, pictures: Tensor) -> dict[str, float]:
        """What a journal line says of a run's health, rounded to six digits. `pictures`: those of the preview.

        `overfit` and its standard error: see `overfitting`. `diversity`: the mean distance between two of the
        pictures, and `distinct`: how many different ones they amount to, both as shares of the same of reals.
        """
        found = self.overfitting(trainer)
        if self.spread > 0:
            apart, distinct = spread(pictures[: self.shown], self.spread)
            found |= {"diversity": apart / self.spread, "distinct": distinct / self.distinct}
        return {name: float(f"{value:.6g}") for name, value in found.items()}

    @torch.no_grad()
    def overfitting(self, trainer: Trainer) -> dict[str, float]:
        """r = (E[D(train)] - E[D(valid)]) / (E[D(train)] - E[D(fake)]) (Karras et al. 2020, equation 1).

        0: D knows nothing by heart; 1: unseen reals look like fakes to it. D judges as it does in training, batch
        by batch. Empty when there are too few unseen pictures, or D does not tell reals from fakes.
        """
        if len(self.reals) < 2 or min(len(part.images) for part in self.reals) < FEWEST:
            return {}
        gan, kept = trainer.gan, [(buffer, buffer.clone()) for buffer in trainer.gan.buffers()]
        torch.manual_seed(0)  # the next play seeds anew
        with torch.autocast(trainer.device.type, torch.bfloat16, enabled=trainer.bf16):
            (train, fake), (valid, _) = (_judged(gan, part, trainer.micro) for part in self.reals)
        for buffer, before in kept:
            buffer.copy_(before)
        gap = train.mean() - fake.mean()
        if not gap > 0:
            return {}
        error = (train.var() / len(train) + valid.var() / len(valid)).sqrt()
        return {"overfit": float((train.mean() - valid.mean()) / gap), "overfit_error": float(error / gap)}


def spread(pictures: Tensor, scale: float | None = None) -> tuple[float, float]:
    """(the mean distance between two of `pictures` [N, C, H, W], how many different ones they amount to).

    The latter is 1 / Σ λ² over the eigenvalues of exp(-d² / 2h²) / N, the Vendi score of order 2 (Pasarkar & Dieng
    2023): k when there are k kinds of one size, alike within and far apart between. h is a tenth of `scale`, the mean
    distance between reals (between these pictures, if not given): what is nearer passes for the same.
    """
    features = adaptive_avg_pool2d(pictures.float().cpu(), SIDE).flatten(1).double()
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    n = len(features)
    apart = float(distances.sum()) / (n * (n - 1))
    width = (scale or apart) / 10
    alike = torch.exp(-((distances / width) ** 2) / 2) if width else torch.ones_like(distances)
    return apart, n * n / float(alike.square().sum())


def _some(data: Dataset, count: int, device: torch.device) -> Batch:
    """At most `count` pictures of a data set with their labels, always the same ones."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(data))[:count])
    labels = None if data.labels is None else torch.from_numpy(np.array(data.labels[chosen])).to(device)
    return Batch(_unpacked(data.images[chosen], device), labels)


def _unpacked(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Pictures [N, H, W, C] as [N, C, H, W] in [-1, 1], channels last."""
    return torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def _judged(gan: GAN, reals: Batch, micro: int) -> tuple[Tensor, Tensor]:
    """D's outputs [N], [N] for reals and as many fakes, in equal batches of at most `micro`."""
    count = -(-len(reals.images) // micro)
    labels = [None] * count if reals.labels is None else reals.labels.chunk(count)
    dealt = [Batch(*part) for part in zip(reals.images.chunk(count), labels, strict=True)]
    parts = [gan.judge(part, gan.fakes(part)) for part in dealt]
    judged, fakes = (torch.cat(side).cpu().double() for side in zip(*parts, strict=True))
    return judged, fakes


# --- signs: what the last of `lines` shows, as a sentence with its numbers, or "" ----------------------------------


def overfitting(lines: Lines, critic: bool) -> str:
    """D knows the training pictures by heart."""
    now = lines[-1]
    if "overfit" not in now or now["overfit"] - 2 * now["overfit_error"] < OVERFIT:
        return ""
    return f"D scores unseen reals {min(1.0, now['overfit']):.0%} of the way from training reals to fakes"


def stalled(lines: Lines, critic: bool) -> str:
    """D is sure, and what G has to go by is gone."""
    now, height = lines[-1], max(line.get("g_norm", 0.0) for line in lines)
    if now.get("acc_d", 0.0) < SURE or now.get("g_norm", height) >= FADED * height:
        return ""
    right = f"D is right in {now['acc_d']:.1%} of its calls"
    return f"{right} and G's gradient has faded to {now['g_norm']:.3g}, from {height:.3g} at its height"


def collapsed(lines: Lines, critic: bool) -> str:
    """The pictures are alike."""
    now = lines[-1]
    for name, what in (("diversity", "differ by"), ("distinct", "amount to")):
        best = _kept([line[name] for line in lines if name in line])
        if name in now and best >= RISEN and now[name] < FALLEN * best:
            return f"the fixed pictures {what} {now[name]:.1%} of what reals do, and did {best:.0%}"
    for alike, plays in ((GREY, YOUNG), (PALE, OLD)):
        if now.get("diversity", 1.0) < alike and now["g_plays"] >= plays:
            return f"the fixed pictures differ by {now['diversity']:.1%} of what reals do"
    if now.get("diversity", 0.0) > VIVID and now.get("distinct", 1.0) < FEW:
        return (
            f"the fixed pictures repeat each other: they amount to {now['distinct']:.0%} of the different ones in reals"
        )
    return ""


def diverged(lines: Lines, critic: bool) -> str:
    """Losses, gradients or weights explode."""
    recent = [line["adversarial" if "adversarial" in line else "d_loss"] for line in lines[-HOLD:] if "d_loss" in line]
    if not critic and len(recent) == HOLD and fmean(recent) > LOSS:
        return f"D's loss was {fmean(recent):.3g} over the last {HOLD} ticks, where a D that guesses has 1.39"
    for player in ("d", "g"):
        for name, what, limit in (("norm", "gradient", EXPLODED), ("weight", "weights", GROWN)):
            key = f"{player}_{name}"
            past = [line[key] for line in lines[:-1] if key in line and not line.get("signs")]
            now = lines[-1].get(key, 0.0)
            if len(past) >= HOLD and now > limit * median(past):
                return f"the norm of {player.upper()}'s {what} is {now:.3g}, and was {median(past):.3g}"
    return ""


def unbalanced(lines: Lines, critic: bool) -> str:
    """One side has won outright."""
    now = lines[-1]
    right, fooled = now.get("acc_d", 0.5), now.get("acc_g", 0.5)
    if not critic and right >= WON and fooled <= 1 - WON and not _improves(lines):
        return f"D is right in {right:.2%} of its calls, and the pictures become no better"
    if fooled >= LOST and now["g_plays"] >= YOUNG:
        return f"{fooled:.0%} of the fakes fool D"
    return ""


def _improves(lines: Lines) -> bool:
    """Whether the pictures differ about as reals do, or more than PLAYS plays of G ago, or it is too soon to say."""
    now = lines[-1]
    before = [line for line in lines if line["g_plays"] <= now["g_plays"] - PLAYS]
    if not before or now.get("diversity", 0.0) >= VIVID:
        return True
    return bool(now.get("diversity", 0.0) > MORE * before[-1].get("diversity", 0.0))


def _kept(values: list[float]) -> float:
    """The highest level that was kept for three values in a row: one tick is an accident."""
    return max((min(values[i : i + 3]) for i in range(len(values) - 2)), default=0.0)


# --- verdicts ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What a sign that stays comes to."""

    seen: Callable[[Lines, bool], str]
    means: str
    serious: bool  # going on makes it no better: a run may go back
    advice: str  # {lr}, {lr_d}: half of what they are; {targets}: settings that a critic has not

    @property
    def name(self) -> str:
        """What it is called in the journal."""
        return self.seen.__name__

    def advise(self, gan: type[GAN], config: Settings) -> str:
        """What to try next, as settings of this run's game."""
        targets = "" if gan.critic else "label_noise=0.1, smoothing=0.1, "
        return self.advice.format(
            lr=f"{config.lr / 2:.2g}", lr_d=f"{(config.lr_d or config.lr) / 2:.2g}", targets=targets
        )


VERDICTS = {
    verdict.name: verdict
    for verdict in (
        Verdict(
            overfitting, "D knows the training pictures by heart", False,
            "more pictures, mirror=true, dropout=0.3 (in D), or an end sooner: --measure-every keeps the best moment",
        ),
        Verdict(
            stalled, "G no longer learns", True,
            "--gan wgan-gp, or loss=nonsaturating where that is a choice, {targets}lr_d={lr_d}, dropout=0.3 (in D)",
        ),
        Verdict(
            collapsed, "G draws much the same whatever it is dealt", True,
            "--gan wgan-gp, lr={lr}, lr_d={lr_d}, {targets}dropout=0.3 (in D), or a larger batch",
        ),
        Verdict(
            diverged, "training explodes", True, "lr={lr}, lr_d={lr_d}, clip=1, or --precision fp32",
        ),
        Verdict(
            unbalanced, "one side has won", False,
            "if it is D: lr_d={lr_d}, dropout=0.3 (in D), {targets}--balance adaptive, --gan wgan-gp, or more pictures; "
            "if it is G: --balance fixed:2, lr={lr}",
        ),
    )
}  # fmt: skip


def judge(past: Lines, line: Line, *, critic: bool) -> Line:
    """What follows for a new line from those before it: `signs`, its own, and `health`, the verdicts that stand.

    A verdict begins when its sign has stayed for HOLD ticks and PLAYS plays of G, and ends ENDS ticks after it.
    """
    lines = [*past[-PAST:], line]
    seen = {name: said for name, verdict in VERDICTS.items() if (said := verdict.seen(lines, critic))}
    before = past[-1].get("health", {}) if past else {}
    health = {}
    for name, verdict in VERDICTS.items():
        if name in seen and (name in before or _stayed(past, line, name)):
            health[name] = f"{verdict.means}: {seen[name]}."
        elif name in before and any(name in each.get("signs", ()) for each in past[1 - ENDS :]):
            health[name] = before[name]
    return ({"signs": list(seen)} if seen else {}) | ({"health": health} if health else {})


def _stayed(past: Lines, line: Line, name: str) -> bool:
    """Whether a sign that `line` shows has stayed long enough."""
    since = len(past)
    while since and name in past[since - 1].get("signs", ()):
        since -= 1
    plays = line["g_plays"] - (past[since - 1]["g_plays"] if since else 0)
    return len(past) + 1 - since >= HOLD and plays >= PLAYS


def well(lines: Lines) -> int:
    """The images shown at the last line without a serious sign or verdict; 0 if there is none."""
    serious = {name for name, verdict in VERDICTS.items() if verdict.serious}
    fine = [line["nimg"] for line in lines if not serious & {*line.get("signs", ()), *line.get("health", ())}]
    return max(fine, default=0)
