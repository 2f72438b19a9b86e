"""What a reader's logits say of a picture in one number: single attributes, choices, and axes that choices lie on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.data.dataset import Dataset
from simulacra.latent.attribute_classifier import Reader, questions

STRAIGHT = 0.7  # share of what tells choices apart that must lie on one axis
PICTURES = 2000  # that the means of choices are taken over, at most


@dataclass(frozen=True, kw_only=True)
class Trait:
    """Something that a picture has more or less of.

    columns: of the reader's attributes. places: of each of them on the axis, the middle at 0; none for one attribute
    alone. group: attributes of the same group exclude each other. about: in words.
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
        """Logits [N, A] -> [N], above 0 where a picture has it, or is on the upper side of the axis; differentiable."""
        chosen = logits[:, list(self.columns)]
        if not self.places:
            return chosen[:, 0]
        return chosen.softmax(1) @ torch.tensor(self.places, device=logits.device)


def traits(data: Dataset, reader: Reader) -> list[Trait]:
    """What can be learned from a data set: single attributes, an axis for each group that lies on one, then the choices.

    A group is what attributes such as `hair: red` share. It lies on an axis where the mean pictures of its choices do:
    where their first principal component holds at least 70 % of their variance, as from dark to pale skin.
    """
    groups: dict[str, list[int]] = {}
    for column, name in enumerate(reader.names):
        group, colon, _ = name.partition(": ")
        groups.setdefault(group if colon else "", []).append(column)
    if data.attributes:
        single = [Trait(name=reader.names[column], columns=(column,)) for column in groups.pop("", [])]
    else:
        single, groups = [], {"class": list(range(len(reader.names)))}
    axes = [_axis(data, reader, group, columns) for group, columns in groups.items() if group != "class"]
    choices = [
        Trait(name=reader.names[column], columns=(column,), group=group)
        for group, columns in groups.items()
        for column in columns
    ]
    return single + [axis for axis in axes if axis is not None] + choices


def _axis(data: Dataset, reader: Reader, group: str, columns: Sequence[int]) -> Trait | None:
    if len(columns) < 3:  # two always lie on a line
        return None
    means = _means(data, columns)
    if means is None:
        return None
    left, size, right = np.linalg.svd(means - means.mean(0), full_matrices=False)
    if size[0] ** 2 < STRAIGHT * (size**2).sum():
        return None
    # Upwards is brighter, so that the same data give the same axis everywhere.
    places = left[:, 0] * size[0] * (1 if right[0].sum() >= 0 else -1)
    places = places / np.abs(places).max()
    order = [reader.names[columns[i]].partition(": ")[2] for i in np.argsort(places)]
    return Trait(
        name=group,
        columns=tuple(columns),
        places=tuple(float(place) for place in places),
        group=group,
        about=f"from {order[0]} to {order[-1]}",
    )


def _means(data: Dataset, columns: Sequence[int]) -> NDArray[np.float64] | None:
    """The mean picture of each choice [K, pixels]; None where one of them has no picture."""
    _, wanted = questions(data)
    taken = np.random.default_rng(0).permutation(len(data))[:PICTURES]
    taken.sort()  # in the order of the file
    images = data.images[taken].reshape(len(taken), -1).astype(np.float32)
    has = wanted[taken][:, list(columns)]  # [N, K]
    counts = has.sum(0)
    if (counts == 0).any():
        return None
    means: NDArray[np.float64] = (has.T @ images / counts[:, None]).astype(np.float64)
    return means
