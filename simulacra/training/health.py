"""The health of a run: what is measured at each tick, its signs of trouble, and the verdicts that they lead to.

A journal line holds the measures as numbers, the signs that it shows in view of the lines before it, and the verdicts:
signs that persist. All of this follows from the journal alone, so a resume, which rewinds the journal, is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor

from simulacra import messages
from simulacra.data.dataset import Dataset, Pair
from simulacra.data.feed import to_tensor
from simulacra.gan import GAN, Batch, Settings
from simulacra.messages import Message
from simulacra.training.diversity import REALS, Leak, alternating, fixed_batch, spread
from simulacra.training.trainer import Trainer

Lines = Sequence[Mapping[str, Any]]  # of a journal; the last one is examined
Sign = Callable[[Lines, bool], Message | None]  # what the last line shows; the flag: D is a critic

PICTURES = 64  # reals of each kind that D scores
FEWEST = 4  # with fewer, their mean says nothing
SHARE = 12  # images of a tick for each picture that D scores, at least, so that measuring costs little

HOLD = 5  # ticks in a row that a sign must last to become a verdict
STEPS = 100  # steps of G that it must last, where ticks are short
ENDS = 5  # ticks in a row without the sign that end the verdict
PAST = 1000  # lines before the last one that are examined

# Thresholds, each from journals of runs that learned and of runs that were broken on purpose.
OVERFIT = 0.5  # of r less two errors: on 800 to 48,000 pictures below 0.1, on 20 it reaches 0.8 and more
SURE, FADED = 0.98, 0.01  # minimax against a fast D: 1e-3 to 1e-13 of G's highest gradient; where G learns, above 0.18
RISEN = 0.15  # before G learns, diversity is below 0.1
FALLEN = 0.25  # a dcgan that collapsed: 0.05 of its best; where G learns, above 0.5 once it has risen
GREY, YOUNG = 0.01, 300  # dead: below 0.005; an mlp that learned late had 0.035 after 200 steps of G
PALE, OLD = 0.05, 1000  # an mlp that drew one mean person: 0.02; the one that learned late had passed 0.06 by 500 steps
VIVID, FEW = 0.4, 0.1  # four pictures repeated: 0.75 and 0.06; an mlp that learned passed 0.4 with 0.12
LOSS = 5.0  # at 50 times the rate D's loss averages 7 to 130; where G learns, below 1.8
EXPLODED, GROWN = 100.0, 10.0  # of the median of healthy ticks; where G learns, 10 and 1.6
# a dcgan learned for 200 steps against a D that was always right, and drew twice as varied after 50
LEAK = 0.5  # halfway from reals to augmented reals
WON, MORE = 0.999, 1.1
LOST = 0.95  # at the start, D may take everything for real for 150 steps and still learn


class Health:
    """Measures a run's health. Weights, buffers and modes stay as they are, to the bit."""

    def __init__(
        self, data: Dataset | Pair, valid: Dataset | Pair | None, device: torch.device, *, tick: int, shown: int
    ) -> None:
        """data, valid: training and unseen pictures. tick: images between measurements. shown: pictures of a preview."""
        count = min(PICTURES, tick // SHARE)
        self.reals = [fixed_batch(part, count, device) for part in (data, valid) if part is not None]
        reals = alternating(data, REALS)
        self.shown = min(shown, len(reals))
        several = self.shown > 1
        self.spread, self.distinct = spread(to_tensor(reals.images[:shown], device)) if several else (0.0, 1.0)
        self.leak = Leak(reals, tick // 2)  # augmenting costs far less than scoring by D

    def measures(self, trainer: Trainer, pictures: Tensor) -> dict[str, float]:
        """The numbers of a journal line about health, rounded to six digits. `pictures`: the preview's [N, C, H, W].

        `overfit` and its standard error: see `overfitting`. `diversity`: mean distance between two pictures, and
        `distinct`: effective number of distinct ones, each relative to that of reals. `leak` and its standard error,
        with augmentation: see `Leak`. `augment_p`: the probability of adaptive augmentation.
        """
        values = self.overfitting(trainer) | self.leak.measures(trainer.gan.augment, pictures)
        if self.spread > 0:
            distance, distinct = spread(pictures[: self.shown], self.spread)
            values |= {"diversity": distance / self.spread, "distinct": distinct / self.distinct}
        return {name: float(f"{value:.6g}") for name, value in values.items()}

    @torch.no_grad()
    def overfitting(self, trainer: Trainer) -> dict[str, float]:
        """r = (E[D(train)] - E[D(valid)]) / (E[D(train)] - E[D(fake)]) (Karras et al. 2020, equation 1).

        0: D has memorised nothing; 1: D takes unseen reals for fakes. D scores as in training, batch by batch.
        Empty with too few unseen pictures, or when D does not tell reals from fakes.
        """
        if len(self.reals) < 2 or min(len(batch.images) for batch in self.reals) < FEWEST:
            return {}
        gan, saved = trainer.gan, [(buffer, buffer.clone()) for buffer in trainer.gan.buffers()]
        torch.manual_seed(0)  # every step sets its own seed
        with torch.autocast(trainer.device.type, torch.bfloat16, enabled=trainer.bf16):
            (train, fake), (valid, _) = (_scores(gan, batch, trainer.microbatch()) for batch in self.reals)
        for buffer, before in saved:
            buffer.copy_(before)
        gap = train.mean() - fake.mean()
        if not gap > 0:
            return {}
        error = (train.var() / len(train) + valid.var() / len(valid)).sqrt()
        return {"overfit": float((train.mean() - valid.mean()) / gap), "overfit_error": float(error / gap)}


def _scores(gan: GAN, reals: Batch, micro: int) -> tuple[Tensor, Tensor]:
    """D's outputs [N], [N] for reals and as many fakes, in equal batches of at most `micro`."""
    count = -(-len(reals.images) // micro)
    columns = ([None] * count if column is None else column.chunk(count) for column in reals)
    batches = [Batch(*parts) for parts in zip(*columns, strict=True)]
    outputs = [gan.discriminate_pair(batch, gan.generate(batch, grad=False)) for batch in batches]
    real, fake = (torch.cat(side).cpu().double() for side in zip(*outputs, strict=True))
    return real, fake


# --- signs of the last of `lines`: a message with its numbers, or None ---------------------------------------------


def overfitting(lines: Lines, critic: bool) -> Message | None:
    """D has memorised the training pictures."""
    now = lines[-1]
    if "overfit" not in now or now["overfit"] - 2 * now["overfit_error"] < OVERFIT:
        return None
    return Message("health.overfitting_sign", share=min(1.0, now["overfit"]))


def stalled(lines: Lines, critic: bool) -> Message | None:
    """D is sure, and G's gradient has vanished."""
    now, height = lines[-1], max(line.get("g_norm", 0.0) for line in lines)
    if now.get("acc_d", 0.0) < SURE or now.get("g_norm", height) >= FADED * height:
        return None
    return Message("health.stalled_sign", accuracy=now["acc_d"], gradient=now["g_norm"], highest=height)


def collapsed(lines: Lines, critic: bool) -> Message | None:
    """The pictures are alike."""
    now = lines[-1]
    for name, code in (("diversity", "health.less_diverse"), ("distinct", "health.less_distinct")):
        best = _sustained([line[name] for line in lines if name in line])
        if name in now and best >= RISEN and now[name] < FALLEN * best:
            return Message(code, share=now[name], best=best)
    for limit, steps in ((GREY, YOUNG), (PALE, OLD)):
        if now.get("diversity", 1.0) < limit and now["g_plays"] >= steps:
            return Message("health.not_diverse", share=now["diversity"])
    if now.get("diversity", 0.0) > VIVID and now.get("distinct", 1.0) < FEW:
        return Message("health.repeating", share=now["distinct"])
    return None


def diverged(lines: Lines, critic: bool) -> Message | None:
    """Losses, gradients or weights explode."""
    recent = [line["adversarial" if "adversarial" in line else "d_loss"] for line in lines[-HOLD:] if "d_loss" in line]
    if not critic and len(recent) == HOLD and fmean(recent) > LOSS:
        return Message("health.large_loss", loss=fmean(recent), ticks=HOLD)
    for player in ("d", "g"):
        for name, code, limit in (("norm", "health.gradient", EXPLODED), ("weight", "health.weights", GROWN)):
            key = f"{player}_{name}"
            # a gradient of 0 is that of a player that waits
            past = [line[key] for line in lines[:-1] if line.get(key) and not line.get("signs")]
            now = lines[-1].get(key, 0.0)
            if len(past) >= HOLD and now > limit * median(past):
                return Message(code, player=player.upper(), norm=now, before=median(past))
    return None


def unbalanced(lines: Lines, critic: bool) -> Message | None:
    """One player has won."""
    now = lines[-1]
    right, fooled = now.get("acc_d", 0.5), now.get("acc_g", 0.5)
    if not critic and right >= WON and fooled <= 1 - WON and not _improves(lines):
        return Message("health.d_won", accuracy=right)
    if fooled >= LOST and now["g_plays"] >= YOUNG:
        return Message("health.g_won", share=fooled)
    return None


def leaking(lines: Lines, critic: bool) -> Message | None:
    """G draws augmented pictures."""
    now = lines[-1]
    if "leak" not in now or now["leak"] - 2 * now["leak_error"] < LEAK:
        return None
    return Message("health.leaking_sign", share=min(1.0, now["leak"]))


def _improves(lines: Lines) -> bool:
    """Whether pictures differ about as reals do, or more than STEPS steps of G ago; True before that many steps."""
    now = lines[-1]
    before = [line for line in lines if line["g_plays"] <= now["g_plays"] - STEPS]
    if not before or now.get("diversity", 0.0) >= VIVID:
        return True
    return bool(now.get("diversity", 0.0) > MORE * before[-1].get("diversity", 0.0))


def _sustained(values: list[float]) -> float:
    """The highest level held for three values in a row: a single tick may be chance."""
    return max((min(values[i : i + 3]) for i in range(len(values) - 2)), default=0.0)


# --- verdicts ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """A sign that persists."""

    sign: Sign
    meaning: str  # code of a message
    advice: str  # code of a message about settings to try
    serious: bool  # continuing does not help: the run may return to a checkpoint

    @property
    def name(self) -> str:
        """Its name in the journal."""
        return self.sign.__name__

    def message(self, sign: Message) -> Message:
        """The verdict as one sentence."""
        return Message("health.verdict", meaning=Message(self.meaning), sign=sign)

    def advise(self, gan: type[GAN], config: Settings) -> str:
        """What to try next, as settings of this run's GAN, in the language in use."""
        targets = "label_noise=0.1, smoothing=0.1, " if gan.targeted else ""
        lr, lr_d = config.lr / 2, (config.lr_d or config.lr) / 2
        return messages.text(self.advice, lr=lr, lr_d=lr_d, targets=targets)


VERDICTS = {
    verdict.name: verdict
    for verdict in (
        Verdict(overfitting, "health.overfitting", "health.overfitting_advice", serious=False),
        Verdict(stalled, "health.stalled", "health.stalled_advice", serious=True),
        Verdict(collapsed, "health.collapsed", "health.collapsed_advice", serious=True),
        Verdict(diverged, "health.diverged", "health.diverged_advice", serious=True),
        Verdict(unbalanced, "health.unbalanced", "health.unbalanced_advice", serious=False),
        Verdict(leaking, "health.leaking", "health.leaking_advice", serious=False),
    )
}


def assess(past: Lines, line: Mapping[str, Any], *, critic: bool) -> dict[str, Any]:
    """`signs` and `health` (standing verdicts, in English) of a new line, in view of those before it.

    A verdict begins when its sign has lasted HOLD ticks and STEPS steps of G, and ends after ENDS ticks without it.
    """
    lines = [*past[-PAST:], line]
    signs = {name: sign for name, verdict in VERDICTS.items() if (sign := verdict.sign(lines, critic))}
    before = past[-1].get("health", {}) if past else {}
    health = {}
    for name, verdict in VERDICTS.items():
        if name in signs and (name in before or _lasted(past, line, name)):
            with messages.using("en"):
                health[name] = str(verdict.message(signs[name]))
        elif name in before and any(name in earlier.get("signs", ()) for earlier in past[1 - ENDS :]):
            health[name] = before[name]
    return ({"signs": list(signs)} if signs else {}) | ({"health": health} if health else {})


def _lasted(past: Lines, line: Mapping[str, Any], name: str) -> bool:
    """Whether a sign that `line` shows has lasted long enough."""
    since = len(past)
    while since and name in past[since - 1].get("signs", ()):
        since -= 1
    steps = line["g_plays"] - (past[since - 1]["g_plays"] if since else 0)
    return len(past) + 1 - since >= HOLD and steps >= STEPS


def explain(lines: Lines, *, critic: bool) -> dict[str, Message]:
    """The verdicts that stand at the last of `lines`, as messages: computed again from the numbers of the journal."""
    explained = {}
    for name in lines[-1].get("health", {}) if lines else ():
        end = next((i for i in range(len(lines), 0, -1) if name in lines[i - 1].get("signs", ())), 0)
        sign = VERDICTS[name].sign(lines[max(0, end - 1 - PAST) : end], critic) if end and name in VERDICTS else None
        explained[name] = VERDICTS[name].message(sign) if sign else Message(lines[-1]["health"][name])
    return explained


def last_healthy(lines: Lines) -> int:
    """The images shown at the last line without a serious sign or verdict; 0 if there is none."""
    serious = {name for name, verdict in VERDICTS.items() if verdict.serious}
    fine = [line["nimg"] for line in lines if not serious & {*line.get("signs", ()), *line.get("health", ())}]
    return max(fine, default=0)
