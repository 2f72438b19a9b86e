"""What `worth` compares, fixed before anything is trained: arms, seeds, metric, classifier and the arm that decides."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.errors import SimulacraError, did_you_mean
from simulacra.measure.small_classifier import BATCH, RECIPE, classifier_input, steps_for, train_small_classifier

FEWEST_TRAIN, FEWEST_UNSEEN = 8, 10  # pictures of a class
FEWEST_SEEDS, MOST_RATIO = 3, 20.0
RESAMPLES = 1000
AGAINST = "augmented"  # the arm that fakes have to beat
ALONE = "real"
CURVE = (0.5, 0.75)  # shares of the real pictures: with the whole, a learning curve

Draw = Callable[[NDArray[Any], int], NDArray[np.uint8]]  # labels [N] or [N, A], seed -> pictures [N, H, W, C]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What a classifier is trained on."""

    reals: float = 1.0  # share of the real training pictures
    ratio: float = 0.0  # fakes for each real picture
    augment: bool = True  # mirrored and moved at random, fakes as well


class Decision(TypedDict):
    """The one comparison that decides."""

    arm: str
    against: str
    also_against: str  # fakes help only if they beat this arm, too: augmentation alone may do harm
    of: str | None  # the class whose accuracy decides; None: the mean over classes


class Plan(TypedDict):
    """Everything that is fixed before the first training."""

    decides: Decision
    metric: str
    arms: dict[str, dict[str, Any]]
    seeds: list[int]
    classes: list[str]
    train: list[int]  # real pictures of each class, which the GAN was trained on
    unseen: list[int]  # unseen real pictures of each class
    copies_left_out: int  # unseen pictures equal to a training picture
    flips: bool
    steps: int  # of every training
    classifier: dict[str, Any]
    fakes: str
    interval: dict[str, Any]
    sources: dict[str, Any]  # hashes of model and pictures


@dataclass(frozen=True, kw_only=True, eq=False)
class Pictures:
    """Real pictures with their classes, and a source of fakes."""

    train: Tensor  # [N, C, H, W] uint8
    train_classes: NDArray[np.int64]  # [N]
    conditions: NDArray[Any]  # [N] or [N, A], the labels that fakes are drawn for
    unseen: Tensor  # [M, C, H, W] uint8
    unseen_classes: NDArray[np.int64]  # [M]
    draw: Draw


def make_plan(
    pictures: Pictures, *, classes: tuple[str, ...], of: str | None, ratio: float, seeds: int, flips: bool,
    copies_left_out: int = 0, sources: Mapping[str, Any],
) -> Plan:  # fmt: skip
    """The plan for these pictures.

    of: the class that decides, `rarest`, or None for the mean over classes. ratio: fakes for each real picture in the
    arm that decides; half and twice as many are trained for information. Raises `SimulacraError` for fewer than 2
    classes, too few pictures of one, or a number out of range.
    """
    if seeds < FEWEST_SEEDS:
        raise SimulacraError("measure.worth_seeds", seeds=seeds, least=FEWEST_SEEDS)
    if not 0 < ratio <= MOST_RATIO:
        raise SimulacraError("measure.worth_ratio", ratio=ratio, most=MOST_RATIO)
    counts = np.bincount(pictures.train_classes, minlength=len(classes))
    unseen = np.bincount(pictures.unseen_classes, minlength=len(classes))
    _check_counts(classes, counts, unseen)
    if of == "rarest" and "rarest" not in classes:
        of = classes[int(counts.argmin())]
    if of is not None and of not in classes:
        raise SimulacraError("measure.worth_unknown_class", name=of, hint=did_you_mean(of, [*classes, "rarest"]))
    arms = {ALONE: Arm(augment=False), AGAINST: Arm()}
    arms |= {f"{AGAINST}-{share:g}": Arm(reals=share) for share in CURVE}
    arms |= {f"fakes-{r:g}": Arm(ratio=r) for r in (ratio, ratio / 2, ratio * 2)}
    return {
        "decides": {"arm": f"fakes-{ratio:g}", "against": AGAINST, "also_against": ALONE, "of": of},
        "metric": "share of unseen pictures whose class is recognised, mean over classes",
        "arms": {name: asdict(arm) for name, arm in arms.items()},
        "seeds": list(range(seeds)),
        "classes": list(classes),
        "train": counts.tolist(),
        "unseen": unseen.tolist(),
        "copies_left_out": copies_left_out,
        "flips": flips,
        "steps": steps_for(len(pictures.train)),
        "classifier": dict(RECIPE),
        "fakes": "classes in the same shares as the real pictures; other seeds for each training",
        "interval": {"level": 0.95, "resamples": RESAMPLES, "seed": 0, "over": "training seeds and unseen pictures"},
        "sources": dict(sources),
    }


def _check_counts(classes: tuple[str, ...], train: NDArray[np.int64], unseen: NDArray[np.int64]) -> None:
    if len(classes) < 2:
        raise SimulacraError("measure.worth_one_class", count=len(classes))
    for code, counts, least in (
        ("measure.worth_few_train", train, FEWEST_TRAIN),
        ("measure.worth_few_unseen", unseen, FEWEST_UNSEEN),
    ):
        fewest = int(counts.argmin())
        if counts[fewest] < least:
            raise SimulacraError(code, name=classes[fewest], count=int(counts[fewest]), least=least)


def plan_hash(plan: Plan) -> str:
    """16 hex digits of everything that is fixed."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:16]


def trainings(plan: Plan) -> list[tuple[str, int]]:
    """All trainings as (arm, seed): seed by seed, so that a plan that was stopped has whole comparisons."""
    return [(arm, seed) for seed in plan["seeds"] for arm in plan["arms"]]


def correct(plan: Plan, pictures: Pictures, arm: str, seed: int) -> NDArray[np.bool_]:
    """[M]: which unseen pictures a classifier trained on an arm recognises."""
    settings = Arm(**plan["arms"][arm])
    source = np.random.default_rng([seed, 17])
    rows = _part(pictures.train_classes, settings.reals, source)
    images, labels = [pictures.train[torch.from_numpy(rows).to(pictures.train.device)]], [pictures.train_classes[rows]]
    if settings.ratio:
        shown = plan["steps"] * BATCH  # pictures: more fakes than that are never looked at
        models = _repeat(pictures.train_classes, min(round(settings.ratio * len(rows)), shown), source)
        fakes = classifier_input(pictures.draw(pictures.conditions[models], seed))
        images.append(fakes.to(pictures.train.device))
        labels.append(pictures.train_classes[models])
    network = train_small_classifier(
        torch.cat(images), torch.from_numpy(np.concatenate(labels)).to(pictures.train.device),
        classes=len(plan["classes"]), steps=plan["steps"], seed=seed,
        crops=settings.augment, flips=settings.augment and plan["flips"],
    )  # fmt: skip
    hits: NDArray[np.bool_] = network.classify(pictures.unseen) == pictures.unseen_classes
    return hits


def _part(classes: NDArray[np.int64], share: float, source: np.random.Generator) -> NDArray[np.int64]:
    """Rows of a random share of each class, sorted."""
    rows = [np.flatnonzero(classes == number) for number in np.unique(classes)]
    parts = [source.permutation(of_class)[: round(share * len(of_class))] for of_class in rows]
    return np.sort(np.concatenate(parts))


def _repeat(classes: NDArray[np.int64], number: int, source: np.random.Generator) -> NDArray[np.int64]:
    """`number` rows: all of them as often as it goes, the rest at random with the shares of the classes."""
    whole, rest = divmod(number, len(classes))
    order = source.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    evenly = (np.arange(rest) * 2 + 1) * len(classes) // (2 * max(rest, 1))
    return np.concatenate([np.tile(np.arange(len(classes)), whole), order[evenly]])
