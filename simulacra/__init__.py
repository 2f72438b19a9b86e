"""simulacra: a folder of your own pictures becomes a generator of new ones.

import simulacra
simulacra.prepare("photos", "faces", size=64)
simulacra.train("faces", gan="dcgan", run="runs/faces", epochs=50)
simulacra.choose("runs/faces")
pictures = simulacra.load_generator("runs/faces").sample(range(16))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "GANS",
    "SimulacraError",
    "choose",
    "compare",
    "curves",
    "directions",
    "evaluate",
    "inspect",
    "learning_curve",
    "load",
    "load_generator",
    "load_translator",
    "mix",
    "open_dataset",
    "prepare",
    "project",
    "report",
    "score",
    "train",
    "translate",
    "translate_image",
    "upscale",
    "walk",
    "worth",
]

if TYPE_CHECKING:
    from simulacra.data.inspect import inspect
    from simulacra.data.opening import open_dataset
    from simulacra.data.prepare import prepare
    from simulacra.errors import SimulacraError
    from simulacra.gan import GAN
    from simulacra.latent.directions import directions
    from simulacra.latent.film import walk
    from simulacra.latent.mix import mix
    from simulacra.latent.project import project
    from simulacra.measure.choose import choose
    from simulacra.measure.compare import compare
    from simulacra.measure.evaluate import evaluate
    from simulacra.measure.worth import worth
    from simulacra.planning.learning_curve import learning_curve
    from simulacra.publish.report import report
    from simulacra.publish.scoring import score
    from simulacra.storage import load, load_generator, load_translator
    from simulacra.training.curves import curves
    from simulacra.training.options import train
    from simulacra.translation import translate, translate_image
    from simulacra.upscaling.training import upscale

    GANS: dict[str, type[GAN]]
else:
    _MODULES = {
        "GANS": "registry",
        "SimulacraError": "errors",
        "choose": "measure.choose",
        "compare": "measure.compare",
        "curves": "training.curves",
        "directions": "latent.directions",
        "evaluate": "measure.evaluate",
        "inspect": "data.inspect",
        "learning_curve": "planning.learning_curve",
        "load": "storage",
        "load_generator": "storage",
        "load_translator": "storage",
        "mix": "latent.mix",
        "open_dataset": "data.opening",
        "prepare": "data.prepare",
        "project": "latent.project",
        "report": "publish.report",
        "score": "publish.scoring",
        "train": "training.options",
        "translate": "translation",
        "translate_image": "translation",
        "upscale": "upscaling.training",
        "walk": "latent.film",
        "worth": "measure.worth",
    }

    def __getattr__(name):
        """Import on first use: torch takes seconds, and `simulacra --help` should not."""
        if name not in _MODULES:
            raise AttributeError(f"module 'simulacra' has no attribute {name!r}")
        import importlib

        module = importlib.import_module(f"simulacra.{_MODULES[name]}")
        return module.gans() if name == "GANS" else getattr(module, name)

    def __dir__():
        """The public names, imported or not."""
        return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "annotations"})
