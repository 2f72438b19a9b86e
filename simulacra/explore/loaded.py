"""A model in memory with what the page needs beside it: fingerprint, directions, a faster copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from simulacra import storage
from simulacra.cascade import Cascade, cascade_at_least
from simulacra.explore.prepacked import prepacked
from simulacra.generator import Generator, as_generator
from simulacra.latent import saved
from simulacra.latent.facts import generator_facts, model_facts
from simulacra.latent.recipe import Direction, Edit
from simulacra.messages import Message
from simulacra.model import Model, Task
from simulacra.translator import Translator, as_translator


class LoadedModel:
    """A model's folder, loaded."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.folder, self.shape, self.network = folder, model.shape, model
        self.task: Task = model.task
        self.fingerprint = storage.fingerprint(folder)

    def facts(self) -> dict[str, Any]:
        """What the page must know to show only what this model can do."""
        return model_facts(self.folder, self.network)


class LoadedTranslator(LoadedModel):
    """A model that translates pictures between two domains."""

    def __init__(self, folder: Path, translator: Translator) -> None:
        super().__init__(folder, translator)
        self.translator = translator

    def facts(self) -> dict[str, Any]:
        """The names of its domains, and whether it only takes pictures of its own size."""
        return super().facts() | {"domains": list(self.translator.domains), "whole": self.translator.whole}


class LoadedGenerator(LoadedModel):
    """A model that draws pictures from latents, with its directions."""

    def __init__(self, folder: Path, generator: Generator) -> None:
        super().__init__(folder, generator)
        self.generator = generator
        self._previewed = False

    @cached_property
    def fast_generator(self) -> Generator:
        """The same generator for one picture at a time, for looking only: see `prepacked`."""
        return prepacked(self.generator)

    def preview_generator(self) -> Generator:
        """The generator for pictures that are only looked at. The first picture does not wait for the fast one."""
        first, self._previewed = not self._previewed, True
        return self.generator if first else self.fast_generator

    def cascade(self, side: int | None) -> Cascade | None:
        """The upscalers for pictures whose longer side is `side` px; None without any, and where they are not needed."""
        height = None if side is None else -(-side * self.shape[1] // max(self.shape[1:]))
        return cascade_at_least(self.folder, self.shape, height, self.generator.device)

    @cached_property
    def directions(self) -> dict[str, Direction]:
        """Directions by name, in the order in which they are shown."""
        return saved.directions_by_name(self.folder)

    def rename(self, old: str, new: str) -> None:
        """Rename a direction in its file. Raises `SimulacraError` where that cannot be."""
        saved.rename_direction(old, new, self.folder)
        self._reload_directions()

    def save_direction(self, name: str, edits: Mapping[str, Edit]) -> None:
        """Save several edits as one direction of the user's. Raises `SimulacraError` where that cannot be."""
        from simulacra.latent.combine import combine  # the first picture need not wait for this import

        saved.add_direction(combine(self.generator, name, edits, self.directions), self.folder)
        self._reload_directions()

    def find_directions(self, advance: Callable[[float, str], None], *, labels: bool = False) -> Mapping[str, Message]:
        """Find the model's directions and save them; those named by the user stay.

        advance: called with the share of the current stage that is done, and the stage. labels: learn from the labels
        of the model's data, too; returns what could not be learned, with the reason.
        """
        from simulacra.latent.directions import find_directions  # the first picture need not wait for this import

        def begin(stage: str, total: int) -> Callable[[int], None]:
            done = 0

            def on_advance(n: int) -> None:
                nonlocal done
                done += n
                advance(min(1.0, done / max(1, total)), stage)

            return on_advance

        result = find_directions(self.folder, labels=labels, device="cpu", begin=begin)
        self._reload_directions()
        return result.left_out

    def facts(self) -> dict[str, Any]:
        """The sizes of its latents, and the labels that it can be given."""
        return generator_facts(self.folder, self.generator)

    def _reload_directions(self) -> None:
        self.__dict__.pop("directions", None)


def load_model(folder: Path) -> LoadedModel:
    """Load a model of either task. Raises `SimulacraError` for a damaged one."""
    model = storage.load(folder)
    if model.task == "translate":
        return LoadedTranslator(folder, as_translator(model))
    return LoadedGenerator(folder, as_generator(model))
