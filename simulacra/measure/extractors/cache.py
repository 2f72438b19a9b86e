"""Features of data sets on disk, named by a hash of all they depend on; any of it may be deleted at any time."""

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
from simulacra.files import written_aside

ROOM = 1 << 30  # bytes; the files used longest ago make way


def folder() -> Path:
    """Where: $SIMULACRA_CACHE, or the user's cache folder."""
    import platformdirs

    told = os.environ.get("SIMULACRA_CACHE")
    return (Path(told) if told else platformdirs.user_cache_path("simulacra")) / "features"


def path_for(what: Mapping[str, Any]) -> Path:
    """The file for features that depend on `what`."""
    return folder() / f"{hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()}.safetensors"


def load(path: Path) -> dict[str, NDArray[np.float32]] | None:
    """Features [N, D] by layer; None if the file is missing or damaged in a single bit."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            found = {layer: file.get_tensor(layer) for layer in file.keys()}  # noqa: SIM118
            sound = (file.metadata() or {}).get("sha256") == _digest(found)
        if sound:
            os.utime(path)  # used now
    except (OSError, ValueError, SafetensorError):
        return None
    return found if sound else None


def store(path: Path, features: Mapping[str, NDArray[np.float32]]) -> None:
    """Keep features. Where they cannot be kept (no permission, a full disk) they are computed again next time."""
    from safetensors.numpy import save

    try:
        with written_aside(path) as file:
            file.write(save(dict(features), {"sha256": _digest(features)}))
        _make_room(path.parent)
    except (SimulacraError, OSError):  # a cache is a convenience: a score does not fail for want of one
        return


def _digest(features: Mapping[str, NDArray[np.float32]]) -> str:
    digest = hashlib.sha256()
    for layer, values in sorted(features.items()):
        digest.update(f"{layer} {values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _make_room(where: Path) -> None:
    """Delete what was used longest ago until the rest fits."""
    files = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in where.glob("*.safetensors"))
    held = sum(size for _, size, _ in files)
    for _, size, path in files:
        if held <= ROOM:
            break
        path.unlink(missing_ok=True)
        held -= size
