"""Is a run well? What is measured at each tick, what that is a sign of, and when a sign becomes a verdict.

A journal line carries the measures as numbers, the signs that it shows in view of the lines before it, and the
verdicts: signs that stay. The journal is all the memory there is, so a resume, which rewinds it, goes on exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor

from simulacra.data.dataset import Dataset, Pair
from simulacra.data.feed import unpacked
from simulacra.gan import GAN, Batch, Settings
from simulacra.training.diversity import REALS, Leak, interleaved, some, spread
from simulacra.training.trainer import Trainer

Line = dict[str, Any]
Lines = Sequence[Line]  # of a journal, the last one being looked at

PICTURES = 64  # reals of each kind that D is asked about
FEWEST = 4  # with fewer, their mean says nothing
SHARE = 12  # a tick shows at least so many times the pictures that D is asked about, so that asking costs little

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
LEAK = 0.5  # halfway from reals to augmented reals
WON, MORE = 0.999, 1.1
LOST = 0.95  # at the start, D may take everything for real for 150 plays and still learn


class Health:
    """Measures a run's health. Leaves weights, buffers and modes as they were, to the bit."""

    def __init__(
        self, data: Dataset | Pair, valid: Dataset | Pair | None, device: torch.device, *, tick: int, shown: int
    ) -> None:
        """data, valid: training pictures and unseen ones. tick: images between looks. shown: pictures in a preview."""
        count = min(PICTURES, tick // SHARE)
        self.reals = [some(part, count, device) for part in (data, valid) if part is not None]  # batches
        reals = interleaved(data, REALS)
        self.spread, self.distinct = spread(unpacked(reals.images[:shown], device)) if len(reals) > 1 else (0.0, 1.0)
        self.shown = min(shown, len(reals))
        self.leak = Leak(reals, tick // 2)  # augmenting costs far less than asking D

    def measures(self, trainer: Trainer, pictures: Tensor) -> dict[str, float]:
        """What a journal line says of a run's health, rounded to six digits. `pictures`: those of the preview.

        `overfit` and its standard error: see `overfitting`. `diversity`: the mean distance between two of the
        pictures, and `distinct`: how many different ones they amount to, both as shares of the same of reals. `leak`
        and its standard error, where there is augmentation: see `Leak`; `augment_p`: its probability, if it adapts.
        """
        found = self.overfitting(trainer) | self.leak.measures(trainer.gan.augment, pictures)
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
            (train, fake), (valid, _) = (_judged(gan, part, trainer.part()) for part in self.reals)
        for buffer, before in kept:
            buffer.copy_(before)
        gap = train.mean() - fake.mean()
        if not gap > 0:
            return {}
        error = (train.var() / len(train) + valid.var() / len(valid)).sqrt()
        return {"overfit": float((train.mean() - valid.mean()) / gap), "overfit_error": float(error / gap)}


def _judged(gan: GAN, reals: Batch, micro: int) -> tuple[Tensor, Tensor]:
    """D's outputs [N], [N] for reals and as many fakes, in equal batches of at most `micro`."""
    count = -(-len(reals.images) // micro)
    sides = ([None] * count if side is None else side.chunk(count) for side in reals)
    dealt = [Batch(*part) for part in zip(*sides, strict=True)]
    parts = [gan.discriminate_pair(part, gan.generate(part, grad=False)) for part in dealt]
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


def leaking(lines: Lines, critic: bool) -> str:
    """G draws what only the augmentation makes."""
    now = lines[-1]
    if "leak" not in now or now["leak"] - 2 * now["leak_error"] < LEAK:
        return ""
    return f"the fixed pictures lie {min(1.0, now['leak']):.0%} of the way from reals to augmented reals"


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
        targets = "" if not gan.targeted else "label_noise=0.1, smoothing=0.1, "
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
        Verdict(
            leaking, "G draws what the augmentation makes", False,
            "--augment ada where it is diff, augment_target=0.4, or fewer augment_kinds, only those that pictures can bear",
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
