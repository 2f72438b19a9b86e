"""What an exhibit's page knows of its model: facts, directions, where truncation goes, training labels, the certificate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, cast

import torch

import simulacra
from simulacra.cascade import Cascade
from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError
from simulacra.files import JsonObject
from simulacra.generator import LABEL_BANK, TYPICAL, Generator
from simulacra.latent.facts import direction_facts, generator_facts
from simulacra.latent.recipe import Direction
from simulacra.measure.model_under_test import ModelUnderTest
from simulacra.measure.score_records import Certificate
from simulacra.messages import LANGUAGES, using
from simulacra.publish.exhibit.assembling import RUNTIME
from simulacra.publish.exhibit.graphs import Graphs
from simulacra.publish.report.stored import stored_sentences
from simulacra.publish.report.tables import score_groups
from simulacra.records import read_record
from simulacra.registry import find_stored
from simulacra.sampling import enlarged_by
from simulacra.styled import StyledGenerator

Truncation = Literal["arc", "average", ""]  # towards the most typical z, towards w_avg, or none that the page knows


def truncation_of(generator: Generator) -> Truncation:
    """How the page truncates w; a GAN of another package may have a way of its own."""
    if type(generator).truncate is StyledGenerator.truncate:
        return "average"
    return "arc" if type(generator).truncate is Generator.truncate else ""


@torch.no_grad()
def first_seed(generator: Generator) -> int:
    """The seed whose picture is the most typical one: the page begins with it."""
    w = generator.mapping(generator.seeded(TYPICAL), generator.conditions(TYPICAL))[:, : generator.z_dim]
    return int((w - generator.typical()).abs().sum(1).argmin())


def blocks(generator: Generator, directions: list[Direction], graphs: Graphs) -> dict[str, bytes]:
    """Binary data of the page by id: graphs, and float32 arrays."""
    arrays = {}
    if isinstance(generator, StyledGenerator):
        arrays["average"] = generator.w_avg
    elif truncation_of(generator) == "arc":
        arrays["average"] = generator.typical()
    if directions:
        arrays["vectors"] = torch.stack([direction.vector for direction in directions])
    if generator.labels:
        assert len(generator.bank) == LABEL_BANK
        arrays["bank"] = generator.bank
    data = {name: array.detach().cpu().numpy().astype("<f4").tobytes() for name, array in arrays.items()}
    return data | {"synthesis": graphs.synthesis} | ({"mapping": graphs.mapping} if graphs.mapping else {})


def about(
    name: str,
    model: ModelUnderTest,
    generator: Generator,
    directions: list[Direction],
    graphs: Graphs,
    cascade: Cascade | None,
) -> dict[str, Any]:
    """The JSON that the page reads first. name: the title of the exhibit."""
    facts = generator_facts(model.folder, generator) | {
        "name": name, "data": _data_name(model.config), "run": False, "exhibit": True, "noise": False, "factors": [], "directions": len(directions), "nearest": 0,
        "truncation": truncation_of(generator), "mapping": graphs.mapping is not None, "shape": list(cascade.shape if cascade else generator.shape),
    }  # fmt: skip
    return {
        "facts": facts,
        "first": first_seed(generator),
        "directions": direction_facts(directions),
        "source": enlarged_by(cascade),
        "certificate": certificate(model, graphs),
    }


def training_data(model: ModelUnderTest) -> Dataset:
    """The pictures that a model was trained on. Raises `SimulacraError` where they are gone or have changed."""
    data = cast(Dataset, model.dataset())
    if data.hash != model.config.get("data_hash"):
        raise SimulacraError("export.data_changed", data=data.path or data.name, model=model.folder)
    return data.split("train")


def certificate(model: ModelUnderTest, graphs: Graphs) -> dict[str, Any]:
    """Where the model comes from, and its scores in every language."""
    pictures = None
    with suppress(SimulacraError):  # without the data, the page names their hash alone
        pictures = len(training_data(model))
    record = {
        "gan": model.config["gan"],
        "nimg": model.config.get("nimg"),
        "model": model.hash,
        "data": {"name": _data_name(model.config), "hash": model.config.get("data_hash"), "pictures": pictures},
        "pretrained": model.config.get("pretrained"),
        "teachers": find_stored(model.config, trusted=False).looks_through,
        "simulacra": simulacra.__version__,
        "runtime": json.loads((RUNTIME / "manifest.json").read_text(encoding="utf-8"))["version"],
        "difference": round(graphs.difference, 3),
        "half": graphs.half,
        "scores": None,
    }
    if scored := own_certificate(model):
        record |= {"scores": {language: _scores(scored, language) for language in LANGUAGES}}
    return record


def own_certificate(model: ModelUnderTest) -> JsonObject | None:
    """The certificate of the model's run, if it is of this model."""
    path = (model.run or model.folder) / "certificate.json"
    if not path.is_file():
        return None
    scored = cast(JsonObject, read_record(path, Certificate))
    return scored if scored["model"]["hash"] == model.hash else None


def _data_name(config: Mapping[str, Any]) -> str | None:
    """The name of the data without the folders of the machine it was on."""
    return Path(config["data"]).name if config.get("data") else None


def _scores(scored: JsonObject, language: str) -> dict[str, Any]:
    with using(language):
        sentences = stored_sentences(scored, None)
        rows = [row for group in score_groups(scored) for row in group.rows]
        return {
            "rows": [{"name": r.name, "value": r.value, "interval": r.interval, "better": r.better, "what": r.what} for r in rows],
            "warnings": [str(sentences.get(warning, warning)) for warning in scored["warnings"]],
        }  # fmt: skip


def certificate_json(model: ModelUnderTest, graphs: Graphs) -> dict[str, Any]:
    """`certificate.json` of a folder: where the model comes from, and the run's certificate as it is."""
    record = certificate(model, graphs)
    return {key: value for key, value in record.items() if key != "scores"} | {"certificate": own_certificate(model)}
