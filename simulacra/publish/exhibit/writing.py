"""Write an exhibit: one HTML file, or a folder for a static web space."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from simulacra.cascade import Cascade
from simulacra.errors import SimulacraError
from simulacra.files import atomic_file, atomic_folder, write_json
from simulacra.generator import Generator
from simulacra.latent.saved import open_directions
from simulacra.measure.model_under_test import ModelUnderTest, model_under_test
from simulacra.messages import LANGUAGES, catalogue
from simulacra.publish.exhibit.assembling import html
from simulacra.publish.exhibit.contents import about, blocks, certificate_json, training_data
from simulacra.publish.exhibit.graphs import Graphs, graphs
from simulacra.publish.exhibit.nearest import thumbnails
from simulacra.publish.onnx import check_extra, export
from simulacra.storage import SHIPPED

CODES = ("page.", "directions.", "exhibit.")  # of the messages in the page


class Exhibit(NamedTuple):
    """A page, and what it was made of."""

    page: str
    graphs: Graphs
    model: ModelUnderTest


def exhibit(
    generator: Generator, where: str | Path | None, *, cascade: Cascade | None = None, nearest: bool = False
) -> Exhibit:
    """The page of a generator. where: its run or folder. nearest: carry thumbnails of the training pictures.

    Raises `SimulacraError` if the extra `onnx` is not installed, and with `nearest` where the training pictures are gone.
    """
    check_extra()
    model = model_under_test(where)
    small = thumbnails(training_data(model)) if nearest else None
    directions = open_directions(where)
    drawn = graphs(generator, gan=str(model.config["gan"]), cascade=cascade)
    record: dict[str, Any] = about(_title(where, model), model, generator, directions, drawn, cascade)
    data = blocks(generator, directions, drawn)
    if small:
        data |= {"thumbnails": small.shown, "features": small.compared}
        record["nearest"], record["facts"]["nearest"] = small.layout, small.layout["count"]
    texts = {
        name: {code: text for code, text in catalogue(name).items() if code.startswith(CODES)} for name in LANGUAGES
    }
    return Exhibit(html(texts, record, data), drawn, model)


def write_html(
    generator: Generator, where: str | Path | None, out: Path, *, cascade: Cascade | None = None, nearest: bool = False
) -> Path:
    """Write an exhibit into the file `out`; returns it. Raises `SimulacraError` like `exhibit`, and where `out` exists."""
    if out.exists():
        raise SimulacraError("export.file_exists", path=out)
    page = exhibit(generator, where, cascade=cascade, nearest=nearest).page.encode()
    with atomic_file(out) as file:
        file.write(page)
    return out


def write_folder(
    generator: Generator, where: str | Path | None, out: Path, *, cascade: Cascade | None = None, nearest: bool = False
) -> Path:
    """Write `index.html`, `model.onnx` and `certificate.json` into the new folder `out`; otherwise like `write_html`."""
    if out.exists():
        raise SimulacraError("export.file_exists", path=out)
    made = exhibit(generator, where, cascade=cascade, nearest=nearest)
    with atomic_folder(out) as folder:
        (folder / "index.html").write_text(made.page, encoding="utf-8", newline="\n")
        export(generator, folder / "model.onnx", gan=str(made.model.config["gan"]), cascade=cascade)
        write_json(folder / "certificate.json", certificate_json(made.model, made.graphs))
    return out


def _title(where: str | Path | None, model: ModelUnderTest) -> str:
    """The name of the run or the model's folder."""
    if where is None or str(where) == SHIPPED:
        return SHIPPED
    return model.run.resolve().name if model.run else model.folder.resolve().name
