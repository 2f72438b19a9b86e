"""simulacra: a folder of your own pictures becomes a generator of new ones.

import simulacra
simulacra.prepare("photos", "faces", size=64)
simulacra.train("faces", gan="dcgan", run="runs/faces", epochs=50)
simulacra.choose("runs/faces")
pictures = simulacra.load("runs/faces").sample(range(16))
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = [
    "GANS",
    "SimulacraError",
    "choose",
    "compare",
    "evaluate",
    "load",
    "open_dataset",
    "prepare",
    "report",
    "train",
    "translate",
    "translate_image",
]

_HOMES = {
    "GANS": ("simulacra.registry", "gans"),
    "SimulacraError": ("simulacra.errors", "SimulacraError"),
    "choose": ("simulacra.measure.choose", "choose"),
    "compare": ("simulacra.measure.compare", "compare"),
    "evaluate": ("simulacra.measure.evaluate", "evaluate"),
    "load": ("simulacra.storage", "load"),
    "open_dataset": ("simulacra.data.opening", "open_dataset"),
    "prepare": ("simulacra.data.prepare", "prepare"),
    "report": ("simulacra.publish.report", "report"),
    "train": ("simulacra.training.options", "train"),
    "translate": ("simulacra.translation", "translate"),
    "translate_image": ("simulacra.translation", "translate_image"),
}


def __getattr__(name: str) -> Any:
    """Import on first use: torch takes seconds, and `simulacra --help` should not."""
    if name not in _HOMES:
        raise AttributeError(f"module 'simulacra' has no attribute {name!r}")
    import importlib

    module, attribute = _HOMES[name]
    value = getattr(importlib.import_module(module), attribute)
    return value() if name == "GANS" else value
