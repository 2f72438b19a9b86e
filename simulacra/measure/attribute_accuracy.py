"""The metric `attributes` of a model conditional on attributes: whether fakes show the ones they were drawn for.

No further pictures are drawn. A logistic regression per attribute, fitted to training pictures, reads it from
features. The score is the area under its curve (Mann & Whitney 1947): how often it ranks a fake drawn with the
attribute above one drawn without. 0.5 is chance; held-out reals give the value to compare with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from simulacra.errors import SimulacraError
from simulacra.files import JsonObject
from simulacra.measure.distances import Floats, checked
from simulacra.measure.intervals import FAKES, RESAMPLES, Resampled, counts
from simulacra.measure.linear_classifier import FEWEST_LABELLED
from simulacra.measure.metrics import Metric
from simulacra.measure.scores import Score, round_to
from simulacra.messages import Message

if TYPE_CHECKING:
    from simulacra.measure.context import DrawContext, Outcome

FEWEST = 5  # pictures with the attribute, and without; with fewer it is not scored
DECAY = 1e-2  # of the weights, on standardised features
HAS = 0.5  # from this value on a picture has the attribute

Mask = NDArray[np.bool_]


def possible(context: DrawContext) -> bool:
    """Whether the model is conditional on the attributes of the data."""
    model, data = context.generator, context.data
    return bool(model.labels) and model.attributes and model.classes == data.attributes


def attributes(context: DrawContext) -> Outcome:
    """The accuracy of each attribute, and the mean. Raises `SimulacraError` for a model without these attributes."""
    if not possible(context):
        raise SimulacraError("measure.no_attributes", data=context.data.name)
    extractor, y = context.extractor, context.generator.conditions(context.seeds)
    assert y is not None
    features, labels = context.labelled
    logits, real, tested = _logits(features, labels > HAS, context.fakes[extractor.kid_layer])
    fake_has, real_has = y.cpu().numpy() > HAS, labels[tested] > HAS
    weights = np.vstack([np.ones(len(fake_has)), counts(len(fake_has), RESAMPLES, 0, FAKES)])
    lines, scored = list[JsonObject](), list[tuple[Floats, float]]()
    for i, name in enumerate(context.data.attributes):
        line: JsonObject = {
            "attribute": name,
            "n": int(fake_has[:, i].sum()),
            "agreement": None,
            "agreement_real": None,
        }
        if min(_rarer(fake_has[:, i]), _rarer(real_has[:, i])) >= FEWEST:
            areas = _areas(logits[:, i], fake_has[:, i], weights)
            interval = Resampled.of(float(areas[0]), areas[1:]).interval()
            of_reals = float(_areas(real[:, i], real_has[:, i], np.ones((1, len(real_has))))[0])
            line["agreement"] = {key: round_to(min(value, 1.0)) for key, value in vars(interval).items()}
            line["agreement_real"] = round_to(of_reals)
            scored.append((areas, of_reals))
        lines.append(line)
    entry: JsonObject = {"attributes": {"lines": lines, "held_out": len(tested), "fewest": FEWEST}}
    return (_mean(context, scored, len(tested)) if scored else {}), entry


def _mean(context: DrawContext, scored: list[tuple[Floats, float]], held_out: int) -> dict[str, Score]:
    """The mean over the attributes that are scored."""
    extractor, areas = context.extractor, np.mean([values for values, _ in scored], axis=0)
    interval = Resampled.of(float(areas[0]), areas[1:]).interval()
    score = Score(
        value=interval.value,
        low=interval.low,
        high=min(interval.high, 1.0),
        n=len(context.seeds),
        n_real=len(context.labelled[0]),
        better="higher",
        what=Message("measure.what_attributes_of", attributes=len(scored)),
        floor=float(np.mean([of_reals for _, of_reals in scored])),
        n_floor=held_out,
    )
    return {f"attributes-{extractor.name}-{extractor.kid_layer}": score}


def _rarer(mask: Mask) -> int:
    """Pictures with or without the attribute, whichever are fewer."""
    return int(min(mask.sum(), (~mask).sum()))


def _logits(features: NDArray[Any], mask: Mask, fakes: NDArray[Any]) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Logits [N, A] of the fakes, and of the fifth of `features` that is held out; the indices of that fifth."""
    values = checked(features, Message("measure.set_labelled"), least=FEWEST_LABELLED)
    order = np.random.default_rng([0, 5]).permutation(len(values))
    test, fit = order[: len(values) // 5], order[len(values) // 5 :]
    mean, deviation = values[fit].mean(0), values[fit].std(0)
    scale = np.where(deviation > 1e-6 * (np.abs(mean) + 1e-6), deviation, 1)
    weight, bias = _fit(torch.from_numpy((values[fit] - mean) / scale), torch.from_numpy(mask[fit]).double())
    sides = [
        (checked(side, Message("measure.set_pictures"), least=1) - mean) / scale @ weight + bias
        for side in (fakes, values[test])
    ]
    return sides[0], sides[1], test


def _fit(x: torch.Tensor, y: torch.Tensor) -> tuple[Floats, Floats]:
    """Weights [D, A] and biases [A] of the regressions, by L-BFGS over all pictures at once: deterministic."""
    weight = torch.zeros(x.shape[1], y.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(y.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, tolerance_grad=1e-5, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = torch.nn.functional.binary_cross_entropy_with_logits(torch.addmm(bias, x, weight), y, reduction="sum")
        value = total / len(x) + DECAY / 2 * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach().numpy(), bias.detach().numpy()


def _areas(logits: Floats, mask: Mask, weights: Floats) -> Floats:
    """How often one with the attribute ranks above one without, a tie as half: [B] for weights [B, N]."""
    order = np.argsort(logits, kind="stable")
    ranked, yes = logits[order], mask[order]
    no = np.cumsum(np.where(yes, 0.0, weights[:, order]), axis=1)
    no = np.hstack([np.zeros((len(weights), 1)), no])
    below, upto = np.searchsorted(ranked, ranked[yes], "left"), np.searchsorted(ranked, ranked[yes], "right")
    wins = (weights[:, order][:, yes] * (no[:, below] + no[:, upto]) / 2).sum(1)
    pairs = weights[:, mask].sum(1) * weights[:, ~mask].sum(1)
    areas: Floats = np.where(pairs > 0, wins / np.maximum(pairs, 1.0), 0.5)
    return areas


METRICS = (
    Metric(
        name="attributes", better="higher", what="measure.what_attributes", tasks=("draw",), compute=attributes,
        possible=lambda context: possible(context) and context.classifiable,
    ),
)  # fmt: skip
