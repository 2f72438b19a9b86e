"""What depends on a model's task, in one place: the protocol for many models, the context for one.

A new task adds a class of each kind here and metrics with its name.
"""

from __future__ import annotations

from typing import Any

from simulacra.console import Begin, silent
from simulacra.data.dataset import Dataset, Pair
from simulacra.errors import SimulacraError
from simulacra.generator import as_generator
from simulacra.measure.context import DrawContext, EvaluationContext
from simulacra.measure.extractors.features import Extractor
from simulacra.measure.model_under_test import ModelUnderTest
from simulacra.measure.protocol import ScoringProtocol, SeedProtocol
from simulacra.measure.translation.evaluation import TranslationContext, TranslationProtocol
from simulacra.model import Model
from simulacra.translator import as_translator


def open_protocol(
    data: Dataset | Pair,
    *,
    extractor: Extractor,
    on: str | None,
    samples: int,
    reals: int,
    choosing: bool,
    begin: Begin = silent,
    taught: bool = False,
) -> ScoringProtocol:
    """The protocol for models of the pictures of `data`: translators where it is a pair.

    taught: the losses of a model look through the extractor's network, so that the second judge decides alone.
    choosing: for the choice of a checkpoint; else for reported scores, which use other seeds or pictures.
    Raises `SimulacraError` for fewer than 2 samples or real pictures.
    """
    if samples < 2:
        raise SimulacraError("measure.samples", samples=samples)
    options: dict[str, Any] = {"extractor": extractor, "on": on, "samples": samples, "reals": reals}
    options |= {"choosing": choosing, "begin": begin, "taught": taught}
    return TranslationProtocol(data, **options) if isinstance(data, Pair) else SeedProtocol(data, **options)


def open_context(
    about: ModelUnderTest,
    model: Model,
    data: Dataset | Pair,
    *,
    extractor: Extractor,
    on: str | None,
    samples: int,
    first_seed: int,
    begin: Begin,
) -> EvaluationContext:
    """The context in which one model is scored. Raises `SimulacraError` for a part with fewer than 2 pictures."""
    if isinstance(data, Pair):
        protocol = TranslationProtocol(
            data,
            extractor=extractor,
            on=on,
            samples=samples,
            reals=samples,
            choosing=False,
            begin=begin,
            taught=about.taught_by(extractor),
        )
        return TranslationContext(generator=as_translator(model), protocol=protocol)
    on = on or "train"
    if len(data.split(on)) < 2:
        raise SimulacraError("measure.one_picture", part=on, data=data.name)
    return DrawContext(
        generator=as_generator(model),
        extractor=extractor,
        data=data,
        on=on,
        seeds=range(first_seed, first_seed + samples),
        begin=begin,
        mirrored=bool(about.config["config"].get("mirror")),
        taught=about.taught_by(extractor),
    )
