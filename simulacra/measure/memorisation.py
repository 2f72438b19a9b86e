"""The metric `memorisation`: whether fakes are copies of training pictures, judged by real pictures held out of training.

Pictures are compared as thumbnails (`aligned_search`), not by a network's features. Measured on `peeps`: noise of 2.5
grey levels moves the features of a copy five times further from its original than held-out pictures lie (none of 150
copies was found, at either layer). `benchmarks/copies.py` measures which copies are found.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from torch import Tensor

from simulacra.measure.aligned_search import thumbnails
from simulacra.measure.attribute_accuracy import possible as takes_attributes
from simulacra.measure.copy_detection import find_copies, find_copies_by_attributes
from simulacra.measure.metrics import Metric
from simulacra.measure.model_under_test import subsample
from simulacra.measure.score_records import english
from simulacra.measure.scores import ResampledScore, Score, round_to
from simulacra.messages import Message, text

if TYPE_CHECKING:
    from simulacra.measure.context import DrawContext, Outcome

TRAINING = 20_000  # training pictures that are compared with, at most
UNSEEN = 5000  # held-out pictures at most
SPACE = "thumbnails-aligned"  # in the names of scores


def copy_scores(
    fakes: Iterable[Tensor],
    train: Iterable[Tensor],
    unseen: Iterable[Tensor] | None,
    *,
    like_train: Iterable[Tensor] | None = None,
) -> Outcome:
    """Scores by name, and the entries `memorisation`, `nearest` and perhaps `warnings` of a certificate.

    Each set is batches [n, C, H, W] in [-1, 1], read once. `unseen`: real pictures that were held out of training, or
    None. like_train: fakes with the attributes of training pictures, where `fakes` have those of unseen pictures. An
    entry of `nearest` names its pictures by their place in `fakes` (or in `like_train`, where that is its `attributes`)
    and `train`; `shift` aligns the fake, down and right, as a share of the side. Whoever calls it subsamples: `TRAINING`
    and `UNSEEN` are sensible, and cost about 1 ms a fake at most.
    """
    originals = thumbnails(train)
    held_out = thumbnails(unseen) if unseen is not None else None
    if like_train is not None and held_out is not None:
        outcome = find_copies_by_attributes(thumbnails(like_train), thumbnails(fakes), originals, held_out)
    else:
        outcome = find_copies(thumbnails(fakes), originals, held_out)
    sentence = english(outcome.statement)
    record = {"verdict": outcome.verdict, "sentence": sentence, "p": outcome.p, "z": outcome.z}
    record |= {"detectable": outcome.detectable, "training_pictures": len(originals), "held_out": outcome.held_out}
    record |= {key: outcome.sentence.values[key] for key in ("near", "expected") if key in outcome.sentence.values}
    if outcome.with_attributes:
        record["attributes"] = outcome.with_attributes
    entries: dict[str, Any] = {"memorisation": {key: round_to(value) for key, value in record.items()}}
    entries["nearest"] = [
        {key: round_to(value) for key, value in vars(near).items()} | {"shift": [round_to(part) for part in near.shift]}
        for near in outcome.nearest
    ]
    if outcome.verdict != "no sign":
        entries["warnings"] = [sentence]
    terms: dict[str, Any] = {"n": outcome.fakes, "n_real": len(originals), "better": ""}
    scores: dict[str, Score | ResampledScore] = {}
    if outcome.near is not None:
        scores[f"memorisation-{SPACE}"] = Score(
            **vars(outcome.near),
            **terms,
            what=Message("measure.what_memorisation"),
            floor=outcome.expected,
            n_floor=outcome.held_out,
        )
    if outcome.c_t is not None:
        scores[f"ct-{SPACE}"] = Score(
            **vars(outcome.c_t.interval()),
            **terms,
            what=Message("measure.what_ct"),
            floor=0.0,
            n_floor=outcome.held_out,
        )
    return scores, entries


def memorisation(context: DrawContext) -> Outcome:
    """Whether fakes are copies of training pictures, the nearest pairs, and the data-copying test."""
    data, title = context.data, text("measure.progress_copies")
    train = subsample(len(data.split("train")), TRAINING)
    parts = [part for part in ("valid", "test") if data.has(part)]
    rows = {part: subsample(len(data.split(part)), UNSEEN // len(parts)) for part in parts}
    pictures = context.pictures("train", train)
    unseen = chain.from_iterable(context.pictures(part, rows[part]) for part in parts) if parts else None
    if not (parts and takes_attributes(context)):
        scores, entries = copy_scores(context.drawn_pictures(title), pictures, unseen)
        drawn = [{"seed": context.seeds[near["fake"]]} for near in entries["nearest"]]
    else:
        places = [(part, int(row)) for part in parts for row in rows[part]]
        places = [places[i] for i in subsample(len(places), len(context.seeds))]
        learned = [("train", int(row)) for row in subsample(len(data.split("train")), len(places))]
        scores, entries = copy_scores(
            context.drawn_pictures(title, places), pictures, unseen, like_train=context.drawn_pictures(title, learned)
        )
        like = learned if entries["memorisation"].get("attributes") == "train" else places
        drawn = [
            {"seed": context.seeds[near["fake"]], "attributes_of": list(like[near["fake"]])}
            for near in entries["nearest"]
        ]
    entries["nearest"] = [
        of | {key: int(train[value]) if key == "train" else value for key, value in near.items() if key != "fake"}
        for of, near in zip(drawn, entries["nearest"], strict=True)
    ]
    return scores, entries


METRICS = (
    Metric(name="memorisation", better="", what="measure.what_memorisation", tasks=("draw",), compute=memorisation),
    Metric(
        name="ct",
        word="memorisation",
        better="",
        what="measure.what_ct",
        tasks=("draw",),
        compute=memorisation,
    ),
)
