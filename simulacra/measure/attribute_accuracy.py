"""Whether fakes have the attributes that they were asked for, for a model that is told attributes.

No further pictures are drawn. A logistic regression for each attribute reads it from features, taught by training
pictures. What is told is how often it gives a fake that was asked to have the attribute more than one that was not,
the area under its curve (Mann & Whitney 1947): 0.5 is chance, and beside it stands the same of reals it had not seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simulacra.errors import SimulacraError
from simulacra.measure.context import Evidence
from simulacra.measure.distances import Floats, checked
from simulacra.measure.intervals import FAKES, RESAMPLES, Resampled, counts
from simulacra.measure.scores import Score, round_to

FEWEST = 5  # pictures that have an attribute, and that have it not; with fewer nothing is told of it
DECAY = 1e-2  # of the weights, on standardised features
HAS = 0.5  # from here on a picture has the attribute

Has = NDArray[np.bool_]
Line = dict[str, Any]


def possible(evidence: Evidence) -> bool:
    """Whether the model is told the attributes that the data has."""
    model, data = evidence.generator, evidence.data
    return bool(model.labels) and model.attributes and model.classes == data.attributes


def attributes(evidence: Evidence) -> tuple[dict[str, Score], Line]:
    """How well each attribute binds, and the mean. Raises `SimulacraError` where no attributes are told."""
    if not possible(evidence):
        raise SimulacraError(
            f"The model is not told the attributes of {evidence.data.name}: leave attributes out of --metrics, or train "
            "one with conditional=true on pictures with attributes."
        )
    eyes, y = evidence.extractor, evidence.generator.labelled(evidence.seeds)
    assert y is not None
    features, labels = evidence.labelled
    logits, real, tested = _read(features, labels > HAS, evidence.fakes[eyes.kid_layer])
    asked, true = y.cpu().numpy() > HAS, labels[tested] > HAS
    weights = np.vstack([np.ones(len(asked)), counts(len(asked), RESAMPLES, 0, FAKES)])
    lines, found = list[Line](), list[tuple[Floats, float]]()
    for i, name in enumerate(evidence.data.attributes):
        line: Line = {"attribute": name, "n": int(asked[:, i].sum()), "agreement": None, "agreement_real": None}
        if min(_rarer(asked[:, i]), _rarer(true[:, i])) >= FEWEST:
            areas = _areas(logits[:, i], asked[:, i], weights)
            whole = Resampled.of(float(areas[0]), areas[1:]).interval()
            alone = float(_areas(real[:, i], true[:, i], np.ones((1, len(true))))[0])
            line["agreement"] = {key: round_to(min(value, 1.0)) for key, value in vars(whole).items()}
            line["agreement_real"] = round_to(alone)
            found.append((areas, alone))
        lines.append(line)
    told: Line = {"attributes": {"lines": lines, "held_out": len(tested), "fewest": FEWEST}}
    return (_mean(evidence, found, len(tested)) if found else {}), told


def _mean(evidence: Evidence, found: list[tuple[Floats, float]], held_out: int) -> dict[str, Score]:
    """The mean over the attributes that can be told of."""
    eyes, areas = evidence.extractor, np.mean([each for each, _ in found], axis=0)
    whole = Resampled.of(float(areas[0]), areas[1:]).interval()
    score = Score(
        value=whole.value,
        low=whole.low,
        high=min(whole.high, 1.0),
        n=len(evidence.seeds),
        n_real=len(evidence.labelled[0]),
        better="higher",
        what=f"mean over {len(found)} attributes of how often a fake that was asked to have it is read as having it more "
        "than one that was not; 0.5 is chance, and beside it stand reals that the reader had not seen",
        floor=float(np.mean([alone for _, alone in found])),
        n_floor=held_out,
    )
    return {f"attributes-{eyes.name}-{eyes.kid_layer}": score}


def _rarer(has: Has) -> int:
    """Pictures that have it, or have it not, whichever are fewer."""
    return int(min(has.sum(), (~has).sum()))


def _read(features: NDArray[Any], has: Has, fakes: NDArray[Any]) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """The logits [N, A] of fakes, those of the fifth of `features` that was kept from the reader, and which those are."""
    taken = checked(features, "labelled pictures", least=10)
    order = np.random.default_rng([0, 5]).permutation(len(taken))
    test, fit = order[: len(taken) // 5], order[len(taken) // 5 :]
    mean, deviation = taken[fit].mean(0), taken[fit].std(0)
    scale = np.where(deviation > 1e-6 * (np.abs(mean) + 1e-6), deviation, 1)
    weight, bias = _fitted(torch.from_numpy((taken[fit] - mean) / scale), torch.from_numpy(has[fit]).double())
    sides = [(checked(side, "pictures", least=1) - mean) / scale @ weight + bias for side in (fakes, taken[test])]
    return sides[0], sides[1], test


def _fitted(x: torch.Tensor, y: torch.Tensor) -> tuple[Floats, Floats]:
    """Weights [D, A] and biases [A] of the regressions, by L-BFGS over all pictures at once: the same every time."""
    weight = torch.zeros(x.shape[1], y.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(y.shape[1], dtype=torch.float64, requires_grad=True)
    descent = torch.optim.LBFGS([weight, bias], max_iter=100, tolerance_grad=1e-5, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        descent.zero_grad()
        each = torch.nn.functional.binary_cross_entropy_with_logits(torch.addmm(bias, x, weight), y, reduction="sum")
        value = each / len(x) + DECAY / 2 * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    descent.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach().numpy(), bias.detach().numpy()


def _areas(logits: Floats, has: Has, weights: Floats) -> Floats:
    """How often one that has it is given more than one that has it not, a tie as half: [B] for weights [B, N]."""
    order = np.argsort(logits, kind="stable")
    ranked, yes = logits[order], has[order]
    no = np.cumsum(np.where(yes, 0.0, weights[:, order]), axis=1)
    no = np.hstack([np.zeros((len(weights), 1)), no])
    below, upto = np.searchsorted(ranked, ranked[yes], "left"), np.searchsorted(ranked, ranked[yes], "right")
    wins = (weights[:, order][:, yes] * (no[:, below] + no[:, upto]) / 2).sum(1)
    pairs = weights[:, has].sum(1) * weights[:, ~has].sum(1)
    areas: Floats = np.where(pairs > 0, wins / np.maximum(pairs, 1.0), 0.5)
    return areas
