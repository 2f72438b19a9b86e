"""The metric `pairs`: translations against their ground truth, where file names tell which pictures of two domains match.

Only scores use these pairs: never training, never a choice of checkpoints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.data.dataset import Pair
from simulacra.files import read_json
from simulacra.measure.distances import Floats
from simulacra.measure.extractors.features import pictures_of
from simulacra.measure.intervals import Resampled, resampled_mean
from simulacra.measure.metrics import Metric
from simulacra.measure.model_under_test import BATCH
from simulacra.measure.scores import ResampledScore
from simulacra.measure.translation.both_directions import TranslationDirection, ratio
from simulacra.measure.translation.cycle import named_scores
from simulacra.measure.translation.similarity import l1, ssim
from simulacra.translator import Side, Translator

if TYPE_CHECKING:
    from simulacra.measure.context import Outcome
    from simulacra.measure.translation.evaluation import TranslationContext


PAIRED = 0.5  # share of the smaller domain that must have namesakes: `1.png` in both folders may be chance


def ground_truth_pairs(data: Pair, part: str) -> NDArray[np.int64]:
    """Rows [K, 2] in `part` of both domains whose files have the same name, whatever their extensions.

    data: a whole pair. A name that a domain has twice is left out. Empty where file names are not stored, or where fewer
    than `PAIRED` of the smaller domain's pictures have one in the other domain.
    """
    none = np.empty((0, 2), np.int64)
    if data.path is None:
        return none
    rows, everything = [], []
    for letter, domain in (("a", data.a), ("b", data.b)):
        names = _names(data.path / letter / "names.json")
        if len(names) != len(domain):
            return none
        parts = list(domain.splits)
        begin = sum(domain.splits[earlier] for earlier in parts[: parts.index(part)])
        stems = [PurePosixPath(name).stem for name in names]
        everything.append(set(stems))
        stems = stems[begin : begin + domain.splits[part]]
        counts = Counter(stems)
        rows.append({stem: row for row, stem in enumerate(stems) if counts[stem] == 1})
    if len(everything[0] & everything[1]) < PAIRED * min(map(len, everything)):
        return none
    a, b = rows
    return np.array([(row, b[stem]) for stem, row in a.items() if stem in b], np.int64).reshape(-1, 2)


def _names(path: Path) -> list[str]:
    names = read_json(path) if path.is_file() else []
    return [str(name) for name in names] if isinstance(names, list) else []


@dataclass(frozen=True, eq=False)
class TruthErrors:
    """Per picture [N] with a ground truth: L1 and SSIM to it, of the translation and of the picture itself."""

    l1: Floats
    l1_untranslated: Floats
    ssim: Floats
    ssim_untranslated: Floats


@torch.no_grad()
def truth_errors(translator: Translator, batches: Iterable[Tensor], truths: Iterable[Tensor], to: Side) -> TruthErrors:
    """Compare translations with their ground truths, given in batches of the same sizes."""
    translator.eval()
    columns: list[list[Floats]] = [[], [], [], []]
    for batch, truth in zip(batches, truths, strict=True):
        images = batch.to(translator.device)
        target, translated = truth.to(images), translator.translate(images, to).clamp(-1, 1)
        pairs = [(translated, target), (images, target)]
        values = [l1(*pair) for pair in pairs]
        values += [ssim((x + 1) / 2, (y + 1) / 2).cpu().numpy() for x, y in pairs]
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return TruthErrors(*(np.concatenate(column) for column in columns))


def pairs(context: TranslationContext) -> Outcome:
    """L1 and SSIM to the ground truth, also before translation, and their ratios, for each direction."""
    scores: dict[str, ResampledScore] = {}
    rows = ground_truth_pairs(context.data, context.part)
    for direction in context.directions:
        advance = context.begin("pairs", direction)
        scores |= _pairs(context.generator, direction, rows)
        advance(direction.n)
    return scores, {}


def _pairs(
    translator: Translator, direction: TranslationDirection, rows: NDArray[np.int64]
) -> dict[str, ResampledScore]:
    given, target = rows.T if direction.to == "b" else rows.T[::-1]
    translated = np.isin(given, direction.input_rows)
    given, target = given[translated], target[translated]
    if len(given) < 2:
        return {}
    truths = pictures_of(direction.targets, target, BATCH)
    errors = truth_errors(translator, direction.batches(given), truths, direction.to)
    values: dict[str, Resampled] = {
        "pair-l1": resampled_mean(errors.l1),
        "pair-l1-untranslated": resampled_mean(errors.l1_untranslated),
        "pair-ssim": resampled_mean(errors.ssim),
        "pair-ssim-untranslated": resampled_mean(errors.ssim_untranslated),
    }
    lacking = [resampled_mean(1 - similarity) for similarity in (errors.ssim, errors.ssim_untranslated)]
    ratios = {
        "pair-l1-ratio": ratio(values["pair-l1"], values["pair-l1-untranslated"]),
        "pair-dssim-ratio": ratio(*lacking),
    }
    values |= {name: value for name, value in ratios.items() if value is not None}
    return direction.named(named_scores(values, len(given), len(given)))


def _possible(context: TranslationContext) -> bool:
    return len(ground_truth_pairs(context.data, context.part)) > 1


_metric = partial(Metric, word="pairs", tasks=("translate",), compute=pairs, possible=_possible)
METRICS = (
    _metric(name="pair-l1", better="lower", what="measure.what_pair_l1"),
    _metric(name="pair-l1-untranslated", better="", what="measure.what_pair_untranslated"),
    _metric(name="pair-l1-ratio", better="lower", what="measure.what_pair_l1_ratio"),
    _metric(name="pair-ssim", better="higher", what="measure.what_pair_ssim"),
    _metric(name="pair-ssim-untranslated", better="", what="measure.what_pair_untranslated"),
    _metric(name="pair-dssim-ratio", better="lower", what="measure.what_pair_dssim_ratio"),
)
