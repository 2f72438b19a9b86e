"""The folder of a published model: weights, configuration, certificate, directions, upscalers, a grid of samples, a card.

Nothing private goes into it: of each JSON file only entries that are known to be public are kept, without paths.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import simulacra
from simulacra.cascade import factors, home, stage_folder
from simulacra.data.dataset import Dataset, Pair
from simulacra.errors import SimulacraError
from simulacra.files import JsonObject, disk_errors, read_json, write_json
from simulacra.generator import Generator
from simulacra.hub import NAMES
from simulacra.latent.recipe import Direction
from simulacra.latent.saved import open_directions, stored_file
from simulacra.measure.model_under_test import ModelUnderTest, model_under_test
from simulacra.measure.score_records import Certificate
from simulacra.model import Model
from simulacra.records import read_record
from simulacra.sampling import write_pictures
from simulacra.storage import load, model_folder, task_of
from simulacra.training.run_records import RunData, read_run

CARD, SAMPLES, CERTIFICATE = "README.md", "samples.png", "certificate.json"
CONFIG = (  # public entries of config.json
    "format", "gan", "gan_sha256", "config", "classes", "data", "data_hash", "seed", "rollbacks", "simulacra", "nimg",
)  # fmt: skip
GRID, SIDE = 6, 2048  # pictures and pixels of a side of the grid of samples, at most


@dataclass(kw_only=True)
class Contents:
    """A model, and what is published with it."""

    about: ModelUnderTest
    model: Model
    license: str
    config: JsonObject  # public
    certificate: JsonObject | None  # of this very model; public
    directions: list[Direction]
    factors: list[int]  # of the upscalers
    discriminator: bool
    run_data: RunData | None  # what the run says of its data
    data: Dataset | Pair | None  # where it is still at hand
    sheet: JsonObject = field(default_factory=dict)  # its data sheet; empty where there is none


def read_contents(where: str | Path, license: str, *, discriminator: bool) -> Contents:
    """Read a run, a checkpoint or a model folder. discriminator: publish it, too.

    Raises `SimulacraError` for what is not a model, and for a discriminator that is not there.
    """
    about = model_under_test(where)
    if discriminator and not (about.folder / "D.safetensors").is_file():
        raise SimulacraError("hub.no_discriminator", path=about.folder)
    run = read_run(about.run) if about.run else None
    contents = Contents(
        about=about,
        model=load(about.folder),
        license=license,
        config=public_config(about.config) | {"license": license},
        certificate=own_certificate(about),
        directions=open_directions(about.folder) if about.task == "draw" else [],
        factors=factors(about.folder),
        discriminator=discriminator,
        run_data=run["data"] if run else None,
        data=None,
    )
    _open_data(contents)
    return contents


def own_certificate(about: ModelUnderTest) -> JsonObject | None:
    """The public part of the certificate of this very model; None without one."""
    path = (about.run or about.folder) / CERTIFICATE
    if not path.is_file():
        return None
    record: Any = read_record(path, Certificate)
    if record["model"]["hash"] != about.hash:
        return None
    # the nearest pairs number single training pictures; the run's name is the user's
    public: JsonObject = {key: value for key, value in record.items() if key != "nearest"}
    return public | {"model": {key: record["model"][key] for key in ("hash", "gan", "nimg")}}


def public_config(about: Mapping[str, Any]) -> JsonObject:
    """A model's config.json without paths."""
    config: JsonObject = {key: about[key] for key in CONFIG if key in about} | {"task": task_of(about)}
    if "data" in config:
        config["data"] = PurePath(str(config["data"])).name
    if source := str(about.get("gan_source", "")):
        config["gan_source"] = PurePath(source).name  # of a file its name, of a package the whole
    if pretrained := about.get("pretrained"):
        config["pretrained"] = {key: pretrained[key] for key in ("hash", "nimg") if key in pretrained}
    return config


def _open_data(contents: Contents) -> None:
    """Open the data and its sheet, if they still are those that the model was trained on."""
    try:
        data = contents.about.dataset()
    except SimulacraError:
        return  # moved or deleted: the card then says what the run recorded
    if data.hash != contents.config.get("data_hash"):
        return
    contents.data = data
    sheet = data.path / "sheet.json" if data.path is not None else None
    if sheet is not None and sheet.is_file():
        record = read_json(sheet)
        contents.sheet = record if isinstance(record, dict) and record.get("hash") == data.hash else {}


def write_contents(contents: Contents, folder: Path, card: str) -> None:
    """Write everything into an empty folder. card: the text of README.md, see `card`."""
    source = contents.about.folder
    with disk_errors(folder):
        shutil.copyfile(source / "G.safetensors", folder / "G.safetensors")
        if contents.discriminator:
            shutil.copyfile(source / "D.safetensors", folder / "D.safetensors")
        if contents.directions:
            shutil.copyfile(stored_file(source), folder / "directions.safetensors")
        for factor in contents.factors:
            stage = model_folder(stage_folder(home(source), factor))
            target = folder / "upscale" / f"x{factor}"
            target.mkdir(parents=True)
            shutil.copyfile(stage / "G.safetensors", target / "G.safetensors")
            write_json(target / "config.json", public_config(read_json(stage / "config.json")))
        (folder / CARD).write_text(card, encoding="utf-8")
    write_json(folder / "config.json", contents.config)
    if contents.certificate:
        write_json(folder / CERTIFICATE, contents.certificate)
    if isinstance(contents.model, Generator):
        count = samples(contents.model) ** 2
        write_pictures(contents.model, folder, range(count), model=contents.about.hash, singles=False, grid=True)
        (folder / "grid.png").rename(folder / SAMPLES)


def samples(generator: Generator) -> int:
    """Pictures of a side of the grid of samples."""
    return max(1, min(GRID, SIDE // max(generator.shape[1:])))


def is_published(name: str) -> bool:
    """Whether a file of a repository is one that a publication writes, and the next one may delete."""
    return name in (SAMPLES, CARD) or NAMES.fullmatch(name) is not None


def origin() -> str:
    """What wrote the folder."""
    return f"simulacra {simulacra.__version__}"
