"""Cache of features on disk, by a hash of everything they depend on. Any file may be deleted at any time."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.errors import SimulacraError
from simulacra.files import atomic_file, cache_folder

LIMIT = 1 << 30  # bytes; the least recently used files are deleted


def folder() -> Path:
    """The folder of features in the cache."""
    return cache_folder() / "features"


def path_for(key: Mapping[str, Any]) -> Path:
    """The file of features that depend on `key`, a JSON object."""
    return folder() / f"{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()}.safetensors"


def load(path: Path) -> dict[str, NDArray[np.float32]] | None:
    """Features [N, D] by layer; None if the file is missing, or damaged in a single bit."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            features = {layer: file.get_tensor(layer) for layer in file.keys()}  # noqa: SIM118
            sound = (file.metadata() or {}).get("sha256") == _digest(features)
        if sound:
            os.utime(path)  # marks it as used
    except (OSError, ValueError, SafetensorError):
        return None
    return features if sound else None


def store(path: Path, features: Mapping[str, NDArray[np.float32]]) -> None:
    """Store features. Without permission or space nothing is stored, and they are computed again next time."""
    from safetensors.numpy import save

    try:
        with atomic_file(path) as file:
            file.write(save(dict(features), {"sha256": _digest(features)}))
        _shrink(path.parent)
    except (SimulacraError, OSError):  # a score does not fail for want of a cache
        return


def _digest(features: Mapping[str, NDArray[np.float32]]) -> str:
    digest = hashlib.sha256()
    for layer, values in sorted(features.items()):
        digest.update(f"{layer} {values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _shrink(folder: Path) -> None:
    """Delete the least recently used files until the rest fits."""
    files = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in folder.glob("*.safetensors"))
    total = sum(size for _, size, _ in files)
    for _, size, path in files:
        if total <= LIMIT:
            break
        path.unlink(missing_ok=True)
        total -= size
