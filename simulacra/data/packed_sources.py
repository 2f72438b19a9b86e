"""Sources whose pictures are stored as arrays: prepared datasets, IDX, NumPy and CIFAR."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from simulacra.data import archives, arrays
from simulacra.data.dataset import Dataset
from simulacra.data.items import ArrayRow, DatasetRow, Item
from simulacra.data.joined import JoinedImages
from simulacra.data.rejects import Reject
from simulacra.data.source import Source
from simulacra.errors import SimulacraError
from simulacra.messages import Message


def from_dataset(name: str, data: Dataset, scratch: Path) -> Source:
    """A prepared dataset as a source."""
    if isinstance(cast(Any, data.images), JoinedImages):
        joined = [Item(f"{data.name}/{n:06d}", DatasetRow(name, n), data.hash[:16]) for n in range(len(data))]
        return Source(name, "data set", joined, data.labels, data.classes, data.attributes)
    path = scratch / "images.npy" if data.path is None else data.path / "images.npy"
    if data.path is None:
        np.save(path, data.images)
    items = [Item(f"{data.name}/{n:06d}", ArrayRow(str(path), n), data.hash[:16]) for n in range(len(data))]
    return Source(name, "data set", items, data.labels, data.classes, data.attributes)


def from_idx(name: str, images: Sequence[Path], scratch: Path) -> Source:
    """Files of IDX pictures, with the labels beside them."""
    items: list[Item] = []
    labels: list[NDArray[np.int64]] = []
    for path in images:
        array = scratch / f"{path.name}.npy"
        n = arrays.unpack_idx(path, array)
        part = path.name.split("-")[0].split("images")[0] or "pictures"
        about = path.stat()
        stamp = f"{about.st_size}.{about.st_mtime_ns}"
        items += [Item(f"{part}/{row:06d}", ArrayRow(str(array), row), stamp) for row in range(n)]
        label_file = archives.idx_labels_of(path)
        if label_file is not None:
            labels.append(arrays.read_idx_labels(label_file, n))
    if len(labels) != len(images):
        return Source(name, "IDX", items, notes=(Message("data.no_label_file"),))
    numbers = np.concatenate(labels)
    classes = tuple(str(n) for n in range(int(numbers.max(initial=0)) + 1))
    return Source(name, "IDX", items, numbers, classes)


def from_numpy(name: str, path: Path, scratch: Path) -> Source:
    """The pictures of an .npy or .npz file."""
    array, sound = arrays.unpack_numpy(path, scratch)
    about = path.stat()
    stamp = f"{about.st_size}.{about.st_mtime_ns}"
    items = [Item(f"{path.stem}/{n:06d}", ArrayRow(str(array), n), stamp) for n in np.flatnonzero(sound).tolist()]
    rejects = [
        Reject(f"{path.stem}/{n:06d}", Message("data.number_not_finite")) for n in np.flatnonzero(~sound).tolist()
    ]
    return Source(name, "NumPy", items, rejects=tuple(rejects))


def from_cifar(name: str, cifar: archives.CifarFiles, scratch: Path) -> Source:
    """The pictures of a CIFAR archive."""
    items: list[Item] = []
    labels: list[int] = []
    for part, file in cifar.data:
        pixels, numbers = arrays.cifar_pixels(arrays.read_cifar(archives.read_cifar_part(file), part), part)
        array = scratch / f"{part}.npy"
        np.save(array, pixels)
        items += [Item(f"{part}/{n:06d}", ArrayRow(str(array), n), cifar.stamp) for n in range(len(pixels))]
        labels += numbers
    names = cifar.class_names()
    if labels and not 0 <= min(labels) <= max(labels) < len(names):
        raise SimulacraError("data.labels_without_names", path=name)
    return Source(name, "CIFAR", items, np.array(labels, dtype=np.int64), names)
