"""A linear classifier of the data's classes on features: tells which class a fake looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simulacra.errors import SimulacraError
from simulacra.measure.distances import Floats, checked
from simulacra.measure.intervals import Interval, share
from simulacra.messages import Message

DECAY = 1e-3  # of the weights, on standardised features
FEWEST_LABELLED = 10  # pictures: a fifth of them tests it


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearClassifier:
    """Class probabilities from features: softmax of a linear map of standardised features."""

    mean: Floats  # [D]
    scale: Floats  # [D]
    weight: Floats  # [D + 1, C], the last row is the bias
    accuracy: Interval  # on pictures it was not fitted to
    tested: NDArray[np.int64]  # their indices
    most_common: float  # the accuracy of always naming the most common class

    @property
    def held_out(self) -> int:
        """Number of pictures it was tested on."""
        return len(self.tested)

    def __call__(self, features: NDArray[Any]) -> Floats:
        """Probabilities [N, C] of features [N, D]."""
        values = checked(features, Message("measure.set_pictures"), least=1)
        return _softmax(_standardised(values, self.mean, self.scale) @ self.weight)


def fit_classifier(
    features: NDArray[Any],
    labels: NDArray[np.int64],
    *,
    classes: int | None = None,
    decay: float = DECAY,
    seed: int = 0,
) -> LinearClassifier:
    """Fit a classifier of `labels` [N] to four fifths of `features` [N, D] and test it on the rest.

    Multinomial logistic regression with a ridge, by L-BFGS over all pictures at once in float64: deterministic.
    Raises `SimulacraError` for labels that do not fit, fewer than `FEWEST_LABELLED` pictures, or a single class.
    """
    values = checked(features, Message("measure.set_labelled"), least=FEWEST_LABELLED)
    if labels.shape != (len(values),) or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise SimulacraError("measure.label_shape", shape=str(list(labels.shape)))
    count = classes or int(labels.max()) + 1
    if len(np.unique(labels)) < 2 or labels.max() >= count:
        raise SimulacraError("measure.label_classes")
    order = np.random.default_rng([seed, 5]).permutation(len(values))
    test, fit = order[: len(values) // 5], order[len(values) // 5 :]
    mean, deviation = values[fit].mean(0), values[fit].std(0)
    scale = np.where(deviation > 1e-6 * (np.abs(mean) + 1e-6), deviation, 1)
    weight = _fit(_standardised(values[fit], mean, scale), labels[fit], count, decay)
    correct = (_standardised(values[test], mean, scale) @ weight).argmax(1) == labels[test]
    return LinearClassifier(
        mean=mean,
        scale=scale,
        weight=weight,
        accuracy=share(correct),
        tested=test,
        most_common=float((labels[test] == np.bincount(labels[fit]).argmax()).mean()),
    )


def _standardised(features: Floats, mean: Floats, scale: Floats) -> Floats:
    return np.hstack([(features - mean) / scale, np.ones((len(features), 1))])


def _softmax(logits: Floats) -> Floats:
    return torch.softmax(torch.from_numpy(logits), 1).numpy()


def _fit(inputs: Floats, labels: NDArray[np.int64], classes: int, decay: float) -> Floats:
    x, y = torch.from_numpy(inputs), torch.from_numpy(labels.astype(np.int64))
    weight = torch.zeros(x.shape[1], classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=200, tolerance_grad=1e-6, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(x @ weight, y) + decay / 2 * weight[:-1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach().numpy()
