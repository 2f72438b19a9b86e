"""Traits: what a classifier's logits say of a picture in one number, for attributes, choices and axes of choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.data.dataset import Dataset
from simulacra.latent.attribute_classifier import AttributeClassifier, attribute_targets

MIN_LINEAR = 0.7  # share of the variance between choices on one axis
MAX_PICTURES = 2000  # for the mean pictures of choices


@dataclass(frozen=True, kw_only=True)
class Trait:
    """Something that a picture has more or less of.

    columns: of the classifier's attributes. places: of each on the axis, its middle at 0; empty for one attribute.
    group: attributes of one group exclude each other. about: in words.
    """

    name: str
    columns: tuple[int, ...]
    places: tuple[float, ...] = ()
    group: str = ""
    about: str = ""

    @property
    def kind(self) -> str:
        """`axis`, `choice` of a group, or `attribute`."""
        return "axis" if self.places else "choice" if self.group else "attribute"

    def score(self, logits: Tensor) -> Tensor:
        """Logits [N, A] -> [N], positive where a picture has it or is on the upper side of the axis; differentiable."""
        columns = logits[:, list(self.columns)]
        if not self.places:
            return columns[:, 0]
        return columns.softmax(1) @ torch.tensor(self.places, device=logits.device)


def traits(data: Dataset, classifier: AttributeClassifier) -> list[Trait]:
    """The traits of a dataset: single attributes, an axis for each group that lies on one, then the choices.

    Attributes such as `hair: red` share a group. It lies on an axis where the first principal component of the mean
    pictures of its choices holds at least 70 % of their variance, as from dark to pale skin.
    """
    groups: dict[str, list[int]] = {}
    for column, name in enumerate(classifier.names):
        group, colon, _ = name.partition(": ")
        groups.setdefault(group if colon else "", []).append(column)
    if data.attributes:
        single = [Trait(name=classifier.names[column], columns=(column,)) for column in groups.pop("", [])]
    else:
        single, groups = [], {"class": list(range(len(classifier.names)))}
    axes = [_axis(data, classifier, group, columns) for group, columns in groups.items() if group != "class"]
    choices = [
        Trait(name=classifier.names[column], columns=(column,), group=group)
        for group, columns in groups.items()
        for column in columns
    ]
    return single + [axis for axis in axes if axis is not None] + choices


def _axis(data: Dataset, classifier: AttributeClassifier, group: str, columns: Sequence[int]) -> Trait | None:
    if len(columns) < 3:  # two always lie on a line
        return None
    means = _means(data, columns)
    if means is None:
        return None
    left, size, right = np.linalg.svd(means - means.mean(0), full_matrices=False)
    if size[0] ** 2 < MIN_LINEAR * (size**2).sum():
        return None
    # up is brighter, so that equal data give equal axes on every machine
    places = left[:, 0] * size[0] * (1 if right[0].sum() >= 0 else -1)
    places = places / np.abs(places).max()
    order = [classifier.names[columns[i]].partition(": ")[2] for i in np.argsort(places)]
    return Trait(
        name=group,
        columns=tuple(columns),
        places=tuple(float(place) for place in places),
        group=group,
        about=f"from {order[0]} to {order[-1]}",
    )


def _means(data: Dataset, columns: Sequence[int]) -> NDArray[np.float64] | None:
    """The mean picture of each choice [K, pixels]; None if a choice has no picture."""
    _, targets = attribute_targets(data)
    rows = np.random.default_rng(0).permutation(len(data))[:MAX_PICTURES]
    rows.sort()  # sequential reads
    images = data.images[rows].reshape(len(rows), -1).astype(np.float32)
    has = targets[rows][:, list(columns)]  # [N, K]
    counts = has.sum(0)
    if (counts == 0).any():
        return None
    means: NDArray[np.float64] = (has.T @ images / counts[:, None]).astype(np.float64)
    return means
