"""A static Space beside a model: its exhibit, a page that draws in the browser of whoever opens it."""

from __future__ import annotations

import json
from pathlib import Path

from simulacra.errors import SimulacraError
from simulacra.generator import Generator
from simulacra.hub import HubName
from simulacra.measure.model_under_test import ModelUnderTest
from simulacra.publish.exhibit.writing import write_folder
from simulacra.publish.hub.contents import CARD, Contents
from simulacra.publish.onnx import check_extra


def check_space(about: ModelUnderTest) -> None:
    """Raise `SimulacraError` for a model that does not draw, and where the extra `onnx` is not installed."""
    if about.task != "draw":
        raise SimulacraError("hub.space_without_pictures", model=about.name)
    check_extra()


def write_space(contents: Contents, name: HubName, published: Path, folder: Path) -> None:
    """Write the exhibit into a new folder. published: the model's folder for the Hub, so that the page knows no more."""
    assert isinstance(contents.model, Generator)
    write_folder(contents.model, published, folder)
    title = name.repository.rpartition("/")[2]
    values = {"title": title, "sdk": "static", "license": contents.license, "models": [name.repository]}
    head = [f"{key}: {json.dumps(value)}" for key, value in values.items()]
    (folder / CARD).write_text("\n".join(["---", *head, "---", ""]), encoding="utf-8")
