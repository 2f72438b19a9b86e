"""Thousands of pictures of a generator in one file: a zip of PNGs, or an npz of arrays; and their labels as CSV.

Pictures are written as they are drawn, so memory stays the same for any number. The file gets its name when it is
complete.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simulacra.cascade import Cascade
from simulacra.console import Advance
from simulacra.errors import SimulacraError
from simulacra.files import atomic_file, discard_abandoned
from simulacra.generator import Generator, to_image
from simulacra.provenance import png_info
from simulacra.sampling import enlarged_by, file_name, format_label
from simulacra.seeds import as_given
from simulacra.settings import Shape

BATCH = 64  # pictures drawn at once
KINDS = (".zip", ".npz")


class Sink(Protocol):
    """A file that takes pictures one by one."""

    def add(self, name: str, picture: Tensor, record: Mapping[str, Any]) -> None:
        """Append a picture [C, H, W] in [-1, 1]. name: of its file, with a folder for its class."""

    def close(self, seeds: Sequence[int], y: NDArray[Any] | None, names: Sequence[str]) -> None:
        """Append what is known at the end. y: labels [N] int64 or [N, labels] float32; names: of the labels."""


def write_bulk(
    generator: Generator,
    out: Path,
    seeds: Sequence[int],
    *,
    model: str,
    per_class: bool = False,
    labels: Path | None = None,
    label: str = "",
    cascade: Cascade | None = None,
    advance: Advance = lambda n: None,
    **options: Any,
) -> int:
    """Draw into `out`, a .zip of PNGs or an .npz of uint8 `images` [N, H, W, C] and `seeds`; returns their number.

    per_class: draw all seeds for each class, in a folder of its name. labels: a CSV with a line for each picture: its
    file, and its class or attributes. An .npz holds them as `labels` and `classes`. model: the fingerprint to record.
    options: those of `Generator.pictures`.

    Raises `SimulacraError` for a file that exists, another ending, and labels of a model that has none.
    """
    groups = _groups(generator, label, per_class)
    if labels is not None and not generator.labels:
        raise SimulacraError("sampling.no_labels")
    if out.suffix.lower() not in KINDS:
        raise SimulacraError("sampling.not_one_file", path=out)
    for path in filter(None, (out, labels)):
        if path.exists():
            raise SimulacraError("sampling.file_exists", path=path)
        discard_abandoned(path)
    shape = cascade.shape if cascade else generator.shape
    number, y = 0, []
    all_seeds: list[int] = []
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(atomic_file(out))
        table = _table(stack.enter_context(atomic_file(labels)), generator) if labels else None
        archive = stack.enter_context(zipfile.ZipFile(file, "w"))  # stored: PNGs are compressed
        total = len(groups) * len(seeds)
        sink: Sink = ZipSink(archive) if out.suffix.lower() == ".zip" else NpzSink(stack, archive, total, shape)
        for folder, wanted in groups:
            for part, pictures, rows in _batches(generator, seeds, wanted, cascade, options):
                for index, (seed, picture) in enumerate(zip(part, pictures, strict=True)):
                    name = f"{folder}{file_name(seed, options.get('noise'))}.png"
                    row = None if rows is None else rows[index]
                    sink.add(name, picture, _record(generator, seed, row, wanted, model, cascade, options))
                    if table and row is not None:
                        table(name, row)
                y += [] if rows is None else [rows if generator.attributes else rows.argmax(1)]
                all_seeds += part
                number += len(part)
                advance(len(part))
        sink.close(all_seeds, np.concatenate(y) if y else None, [*map(generator.name_of, range(generator.labels))])
    return number


def _groups(generator: Generator, label: str, per_class: bool) -> list[tuple[str, str]]:
    """(folder, label) of each class, or of all pictures together."""
    if not per_class:
        return [("", label)]
    if not generator.labels or generator.attributes:
        raise SimulacraError("sampling.no_classes")
    if label:
        raise SimulacraError("sampling.rows_of_one_class", label=format_label(generator, label))
    names = [generator.name_of(number) for number in range(generator.labels)]
    return [(f"{_folder(name)}/", str(number)) for number, name in enumerate(names)]


def _folder(name: str) -> str:
    """A class's name as that of a folder."""
    return "".join("-" if letter in '<>:"/\\|?*' or not letter.isprintable() else letter for letter in name).strip(". ")


def _batches(
    generator: Generator, seeds: Sequence[int], label: str, cascade: Cascade | None, options: Mapping[str, Any]
) -> Iterator[tuple[list[int], Tensor, NDArray[np.float32] | None]]:
    """Seeds, pictures [n, C, H, W] and conditions [n, labels] of one batch after the other."""
    for start in range(0, len(seeds), BATCH):
        part = list(seeds[start : start + BATCH])
        (pictures,) = generator.pictures(part, label=label, batch=BATCH, **options)
        y = generator.conditions(part, label)
        yield part, cascade.enlarge(pictures) if cascade else pictures, None if y is None else y.cpu().numpy()


def _record(
    generator: Generator, seed: int, y: NDArray[np.float32] | None, label: str, model: str, cascade: Cascade | None,
    options: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """The provenance of a picture, as `sampling.write_pictures` records it."""
    named = format_label(generator, label)
    if y is not None and not generator.attributes:
        named = generator.name_of(int(y.argmax()))
    stated = {name: value for name, value in options.items() if name != "bf16" or value}
    record = {"model": model, **stated, **enlarged_by(cascade), "seed": as_given(seed)}
    return record | ({"label": named} if named else {})


def _table(file: Any, generator: Generator) -> Callable[[str, NDArray[np.float32]], None]:
    """Writes the CSV's head; returns the function that writes a line for a file and its condition."""
    names = [generator.name_of(number) for number in range(generator.labels)]

    def line(cells: Sequence[str]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        file.write(text.getvalue().encode())

    line(["file", *(names if generator.attributes else ["label"])])
    if generator.attributes:
        return lambda name, y: line([name, *(f"{value:g}" for value in y)])
    return lambda name, y: line([name, names[int(y.argmax())]])


class ZipSink:
    """PNGs with their provenance."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive

    def add(self, name: str, picture: Tensor, record: Mapping[str, Any]) -> None:
        """Append a PNG."""
        png = io.BytesIO()
        to_image(picture).save(png, "PNG", pnginfo=png_info(record))
        self.archive.writestr(zipfile.ZipInfo(name), png.getvalue())

    def close(self, seeds: Sequence[int], y: NDArray[Any] | None, names: Sequence[str]) -> None:
        """Nothing: every PNG says what it is."""


class NpzSink:
    """Arrays in NumPy's format, the pictures first."""

    def __init__(self, stack: contextlib.ExitStack, archive: zipfile.ZipFile, total: int, shape: Shape) -> None:
        channels, height, width = shape
        self.archive = archive
        self.images = stack.enter_context(archive.open("images.npy", "w", force_zip64=True))
        header = {"descr": "|u1", "fortran_order": False, "shape": (total, height, width, channels)}
        np.lib.format.write_array_header_1_0(self.images, header)
        self.records: dict[str, Any] = {}

    def add(self, name: str, picture: Tensor, record: Mapping[str, Any]) -> None:
        """Append pixels."""
        self.images.write(np.ascontiguousarray(np.asarray(to_image(picture))).tobytes())
        self.records = {key: value for key, value in record.items() if key not in ("seed", "label")}

    def close(self, seeds: Sequence[int], y: NDArray[Any] | None, names: Sequence[str]) -> None:
        """Append the seeds, the labels and their names, and the provenance that all pictures share."""
        self.images.close()
        arrays: dict[str, NDArray[Any]] = {"seeds": np.array(seeds, np.int64)}
        arrays |= {} if y is None else {"labels": y, "classes": np.array(names)}
        arrays["provenance"] = np.array(json.dumps(self.records))
        for name, array in arrays.items():
            with self.archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
