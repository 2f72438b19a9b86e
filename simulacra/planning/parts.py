"""Nested parts of a training set as prepared datasets, and the pictures that no run is trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.data.dataset import SPLITS, Dataset, content_hash
from simulacra.data.opening import FORMAT, is_prepared, open_domain
from simulacra.data.stores import is_address
from simulacra.errors import SimulacraError
from simulacra.files import atomic_folder, write_json

DIVISORS = {"eighth": 8, "quarter": 4, "half": 2, "all": 1}  # parts of the training pictures, smallest first
TITLES = {
    "eighth": "planning.part_eighth",
    "quarter": "planning.part_quarter",
    "half": "planning.part_half",
    "all": "planning.part_all",
}
LEAST = 64  # training pictures: an eighth holds 8
UNSEEN = "unseen"  # name of the part that all models are scored on
LEAST_UNSEEN = 50


def nested_order(n: int, labels: NDArray[Any] | None, seed: int) -> NDArray[np.int64]:
    """A random order of `n` pictures whose every beginning holds the classes in nearly the shares of the whole.

    labels: class numbers [n] int64; anything else, such as attributes, has no part in the order.
    """
    order = np.random.default_rng(seed).permutation(n)
    if labels is None or labels.ndim != 1:
        return order
    place = np.empty(n)  # of each picture within its class, 0 to 1
    for number in np.unique(labels):
        rows = np.flatnonzero(labels[order] == number)
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return order[np.argsort(place, kind="stable")]


def count(n: int, part: str) -> int:
    """Pictures of a part of `n`."""
    return n // DIVISORS[part]


def check_counts(data: Dataset) -> None:
    """Raise `SimulacraError`, which says what to type, for too few training or unseen pictures."""
    source = data.path or data.name
    if len(data) < LEAST + LEAST_UNSEEN:
        raise SimulacraError("planning.few", data=source, count=len(data), least=LEAST + LEAST_UNSEEN)
    trained = data.splits["train"]
    if trained >= LEAST and len(data) - trained >= LEAST_UNSEEN:
        return
    share = min(0.25, max(0.1, np.ceil(100 * LEAST_UNSEEN / 2 / len(data)) / 100))
    raise SimulacraError(
        "planning.few_unseen", data=source, trained=trained, unseen=len(data) - trained, least=LEAST,
        least_unseen=LEAST_UNSEEN, new=f"{data.name}-split", size=f"{data.images.shape[2]}x{data.images.shape[1]}",
        split=f"{1 - 2 * share:.2g} {share:.2g} {share:.2g}",
    )  # fmt: skip


def unseen(data: Dataset) -> Dataset:
    """The valid and test parts together, as a view with the one part `UNSEEN`."""
    rows = slice(data.splits["train"], len(data))
    labels = None if data.labels is None else data.labels[rows]
    return replace(data, images=data.images[rows], labels=labels, splits={UNSEEN: len(data) - data.splits["train"]})


def write_part(data: Dataset, folder: Path, part: str, seed: int) -> None:
    """Write a part of the training pictures as a prepared dataset with the whole valid and test parts.

    A part holds the smaller ones of the same seed. A folder that is a prepared dataset stays as it is.
    """
    if is_prepared(folder):
        return
    train = data.split("train")
    rows = np.sort(nested_order(len(train), train.labels, seed)[: count(len(train), part)])
    rows = np.concatenate([rows, np.arange(len(train), len(data))])
    images = data.images[rows]
    labels = None if data.labels is None else data.labels[rows]
    splits = {name: data.splits[name] for name in SPLITS} | {"train": count(len(train), part)}
    record = {"what": Dataset.WHAT, "format": FORMAT, "name": f"{data.name}-{folder.name}", "shape": list(images.shape)}
    record |= {"splits": splits, "classes": list(data.classes), "attributes": list(data.attributes)}
    record |= {"hash": content_hash(images, labels, data.classes, data.attributes), "part_of": data.hash}
    with atomic_folder(folder) as aside:
        np.save(aside / "images.npy", images)
        if labels is not None:
            np.save(aside / "labels.npy", labels)
        write_json(aside / "data.json", record)


def open_whole(source: str | Path) -> Dataset:
    """The dataset to plan for. Raises `SimulacraError` for a pair, a folder that is not prepared, and too few pictures."""
    data = open_domain(source if source == "peeps" or is_address(source) else Path(source).expanduser())
    check_counts(data)
    return data
