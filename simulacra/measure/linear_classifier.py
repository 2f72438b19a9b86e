"""A small classifier on features, where labels exist: what the Inception score is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simulacra.errors import SimulacraError
from simulacra.measure.distances import Floats, checked
from simulacra.measure.intervals import FAKES, RESAMPLES, Interval, Resampled, counts, share

DECAY = 1e-3  # of the weights, on standardised features


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearReader:
    """Reads a class from features: softmax of a linear map of standardised features."""

    mean: Floats  # [D]
    scale: Floats  # [D]
    weight: Floats  # [D + 1, C], the last row is the bias
    accuracy: Interval  # on pictures it was not fitted to
    tested: NDArray[np.int64]  # which of those it was given
    most_common: float  # the accuracy of always naming the most common class

    @property
    def held_out(self) -> int:
        """How many pictures it was tested on."""
        return len(self.tested)

    def __call__(self, features: NDArray[Any]) -> Floats:
        """Probabilities [N, C] of features [N, D]."""
        return _softmax(_standard(checked(features, "pictures", least=1), self.mean, self.scale) @ self.weight)


def fit_reader(
    features: NDArray[Any],
    labels: NDArray[np.int64],
    *,
    classes: int | None = None,
    decay: float = DECAY,
    seed: int = 0,
) -> LinearReader:
    """A reader of `labels` [N] from `features` [N, D], fitted to four fifths of them and tested on the rest.

    Multinomial logistic regression with a ridge, by L-BFGS over all pictures at once in float64: the same every time.
    Raises `SimulacraError` for labels that do not fit, fewer than 10 pictures, or only one class.
    """
    taken = checked(features, "labelled pictures", least=10)
    if labels.shape != (len(taken),) or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise SimulacraError(
            f"Labels must be [N] whole numbers from 0 up for [N, D] features, not {list(labels.shape)}."
        )
    count = classes or int(labels.max()) + 1
    if len(np.unique(labels)) < 2 or labels.max() >= count:
        raise SimulacraError("The labels must name at least two classes, all below the number of classes.")
    order = np.random.default_rng([seed, 5]).permutation(len(taken))
    test, fit = order[: len(taken) // 5], order[len(taken) // 5 :]
    mean, deviation = taken[fit].mean(0), taken[fit].std(0)
    scale = np.where(deviation > 1e-6 * (np.abs(mean) + 1e-6), deviation, 1)
    weight = _fitted(_standard(taken[fit], mean, scale), labels[fit], count, decay)
    right = (_standard(taken[test], mean, scale) @ weight).argmax(1) == labels[test]
    return LinearReader(
        mean=mean,
        scale=scale,
        weight=weight,
        accuracy=share(right),
        tested=test,
        most_common=float((labels[test] == np.bincount(labels[fit]).argmax()).mean()),
    )


def inception_score(probabilities: NDArray[Any]) -> float:
    """exp E KL(p(y|x) ‖ p(y)) of probabilities [N, C] (Salimans et al. 2016): from 1 up to C, higher is better.

    Over all pictures at once, not in ten parts. Named after its network only when that is Inception.
    """
    return float(_scores(_probabilities(probabilities), np.ones((1, len(probabilities))))[0])


def resampled_inception_score(probabilities: NDArray[Any], *, seed: int = 0, resamples: int = RESAMPLES) -> Resampled:
    """`inception_score` with the fakes resampled; the reader is taken as given."""
    taken = _probabilities(probabilities)
    drawn = _scores(taken, counts(len(taken), resamples, seed, FAKES))
    return Resampled.of(inception_score(taken), drawn, least=1.0)


def _scores(taken: Floats, weights: Floats) -> Floats:
    """[B] for weights [B, N]: E KL = E Σ p log p - Σ p̄ log p̄."""
    n = weights.sum(1)
    marginal = weights @ taken / n[:, None]
    found: Floats = np.exp(weights @ _negentropy(taken) / n - _negentropy(marginal))
    return found


def _negentropy(p: Floats) -> Floats:
    return np.asarray((p * np.log(np.where(p > 0, p, 1))).sum(1))


def _probabilities(found: NDArray[Any]) -> Floats:
    taken = checked(found, "probabilities", least=1)
    if (taken < 0).any() or not np.allclose(taken.sum(1), 1, atol=1e-4):
        raise SimulacraError("Probabilities [N, C] must not be negative and must sum to 1 in each row.")
    return taken


def _standard(taken: Floats, mean: Floats, scale: Floats) -> Floats:
    return np.hstack([(taken - mean) / scale, np.ones((len(taken), 1))])


def _softmax(logits: Floats) -> Floats:
    return torch.softmax(torch.from_numpy(logits), 1).numpy()


def _fitted(inputs: Floats, labels: NDArray[np.int64], classes: int, decay: float) -> Floats:
    x, y = torch.from_numpy(inputs), torch.from_numpy(labels.astype(np.int64))
    weight = torch.zeros(x.shape[1], classes, dtype=torch.float64, requires_grad=True)
    descent = torch.optim.LBFGS([weight], max_iter=200, tolerance_grad=1e-6, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        descent.zero_grad()
        value = torch.nn.functional.cross_entropy(x @ weight, y) + decay / 2 * weight[:-1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    descent.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach().numpy()
