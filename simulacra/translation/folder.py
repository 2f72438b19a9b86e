"""Many pictures through a translator: where their translations go, what is there already, what could not be used."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from simulacra.console import Advance
from simulacra.data.archives import is_idx, is_tar, is_zip
from simulacra.data.contents import SUFFIXES
from simulacra.data.decoding import Data, SetAside
from simulacra.data.items import FilePart, Item, printable
from simulacra.data.sources import open_source
from simulacra.device import choose_device
from simulacra.errors import SimulacraError
from simulacra.provenance import read_provenance, write_png
from simulacra.storage import fingerprint, load_translator
from simulacra.translation.single import Metadata, as_image, as_pixels, metadata, said, through
from simulacra.translation.tiles import Pixels
from simulacra.translator import OTHER, Side, Translator

CYCLE = ".cycle"  # between a picture's name and its suffix: what comes back of its translation
LONGEST = 240  # bytes of a file's name: file systems take 255, and it is written under a longer name first


@dataclass(frozen=True)
class Translated:
    """What became of the pictures: how many were translated, how many had been, and (name, reason) of the others."""

    to: str  # the domain's name
    made: int
    kept: int
    set_aside: tuple[tuple[str, str], ...]
    paths: tuple[Path, ...]  # of all results
    beware: str = ""  # what may be wrong with all of them


@dataclass(frozen=True)
class Order:
    """How pictures are to be translated, and what the results say of that."""

    translator: Translator
    to: Side
    keep_size: bool
    cycle: bool
    model: str  # its fingerprint

    def told(self, name: str, data: Data) -> dict[str, Any]:
        """What the translation of a picture says of itself."""
        read = np.ascontiguousarray(data).data if isinstance(data, np.ndarray) else data
        content = hashlib.sha256(read).hexdigest()[:16]  # type: ignore[arg-type]
        told = {"model": self.model, "to": self.to, "source": name, "sha256": content}
        return told | ({"size": "kept"} if self.keep_size else {})


@dataclass(frozen=True)
class Job:
    """One picture, and where its translation goes; `back` is where that goes which comes back of it."""

    item: Item
    path: Path
    back: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Both, or one."""
        return (self.path,) if self.back is None else (self.path, self.back)


def translate(
    model: str | Path,
    source: str | Path,
    out: str | Path,
    to: str = "",
    *,
    keep_size: bool = False,
    cycle: bool = False,
    device: str = "auto",
    begin: Callable[[str, int], Advance] = lambda what, total: lambda n: None,
) -> Translated:
    """Translate a picture, or all in a folder or an archive, into PNGs of the same names in the folder `out`.

    model: a run, a checkpoint or a model's folder. to: a, b or a domain's name. keep_size: see `translate_image`.
    cycle: what comes back of each translation is written beside it, as NAME.cycle.png.
    Pictures that cannot be used are set aside with a reason. A result that is there already is left. Raises
    `SimulacraError`, before anything is translated, where another file stands in the way.
    """
    translator = load_translator(model, choose_device(device))
    order = Order(translator, translator.asked_side(to), keep_size, cycle, fingerprint(model))
    with opened(Path(source), Path(out)) as (items, lost):
        jobs, kept, done = list[Job](), list[Job](), begin("Looking", len(items))
        for job in planned(items, Path(out), single=_is_picture(Path(source)), cycle=cycle):
            _check_apart(job, Path(source), Path(out))
            (kept if is_there(job, order) else jobs).append(job)
            done(1)
        lost = [*lost, *_carried_out(jobs, order, begin("Translating", len(jobs)))]
    failed = {name for name, _ in lost}
    paths = tuple(path for job in (*kept, *jobs) if job.item.name not in failed for path in job.paths)
    made = sum(job.item.name not in failed for job in jobs)
    height, width = translator.shape[1:]
    beware = (
        f"This model learned pictures of {width}x{height} as a whole (network=unet): others may come out as noise. Leave out "
        "--keep-size, or train with network=residual."
    )
    told = beware if keep_size and translator.whole else ""
    return Translated(translator.domains[order.to == "b"], made, len(kept), tuple(lost), paths, told)


@contextlib.contextmanager
def opened(source: Path, out: Path) -> Iterator[tuple[list[Item], list[tuple[str, str]]]]:
    """The pictures at `source` that do not lie in `out`, and (name, reason) of those that cannot even be opened.

    Raises `SimulacraError` where there are none, or `out` is no folder to put others in.
    """
    if out.exists() and out.resolve() == source.resolve():
        raise SimulacraError(f"{out} is what is to be translated: choose another place for the result.")
    if _is_picture(source):
        yield [Item(printable(source.name), FilePart(str(source)))], []
        return
    if out.exists() and not out.is_dir():
        raise SimulacraError(f"{out} is a file: name a folder for the translations.")
    with open_source(source, labels="none") as found:
        inside = source.resolve() in out.resolve().parents
        items = [item for item in found.items if not (inside and _lies_in(item, out))]
        if not items and not found.set_aside:
            raise SimulacraError(f"No pictures in {source}, apart from the translations in {out}.")
        yield items, list(found.set_aside)


def planned(items: Sequence[Item], out: Path, *, single: bool, cycle: bool) -> Iterator[Job]:
    """Where each picture's translation goes: photo.jpg to photo.png, in the folders that it lies in.

    Where a folder has an a.jpg and an a.png, they go to a.jpg.png and a.png.png. single: `out` may be the file's name.
    """
    if single and out.suffix.lower() in SUFFIXES and not out.is_dir():
        if out.suffix.lower() != ".png":
            raise SimulacraError(f"Translations are written as PNG: call it {out.with_suffix('.png').name}.")
        yield Job(items[0], out, out.with_name(f"{out.stem}{CYCLE}.png") if cycle else None)
        return
    plain = [str(PurePosixPath(item.name).with_suffix("")) for item in items]
    often = Counter(name.casefold() for name in plain)  # some file systems tell no A from a
    taken: set[str] = set()
    for item, name in zip(items, plain, strict=True):
        further = (item.name + (f"-{n}" if n > 1 else "") for n in itertools.count(1))
        for stem in itertools.chain([name] if often[name.casefold()] == 1 else [], further):
            names = [f"{stem}.png", *([f"{stem}{CYCLE}.png"] if cycle else [])]
            if not taken & {each.casefold() for each in names}:
                break
        taken |= {each.casefold() for each in names}
        yield Job(item, *(out / each for each in names))


def is_there(job: Job, order: Order) -> bool:
    """Whether all of a picture's results stand where they should. Raises `SimulacraError` if something else does."""
    standing = [path for path in job.paths if os.path.lexists(path)]
    if not standing:
        return False
    try:
        told = order.told(job.item.name, job.item.read())
    except SetAside:
        return False  # it will be set aside again
    for path in standing:
        if not _same(path, told | ({"back": True} if path == job.back else {})):
            raise SimulacraError(f"{path} exists and is another picture: choose another folder, or move it away.")
    return len(standing) == len(job.paths)


def _same(path: Path, told: dict[str, Any]) -> bool:
    """Whether a file is the translation of the same content, whatever that was called."""
    return (read_provenance(path) or {}) | {"source": ""} == told | {"source": ""}


def _is_picture(source: Path) -> bool:
    """Whether this is to be one picture, not many in one file."""
    return source.is_file() and not (is_idx(source.name) or is_zip(source) or is_tar(source))


def _check_apart(job: Job, source: Path, out: Path) -> None:
    """Raise `SimulacraError` for a result that would lie among the pictures, where the next run would find it."""
    here, there = source.resolve(), out.resolve()
    if here.is_dir() and here not in there.parents and here in job.path.resolve().parents:
        raise SimulacraError(f"{job.path} would lie among the pictures to be translated: choose another folder.")


def _lies_in(item: Item, folder: Path) -> bool:
    return isinstance(item.place, FilePart) and folder.resolve() in Path(item.place.path).resolve().parents


def _carried_out(jobs: Sequence[Job], order: Order, advance: Advance) -> Iterator[tuple[str, str]]:
    """Translate and write; yields (name, reason) of what could not be."""
    for job in jobs:
        try:
            if len(os.fsencode(job.paths[-1].name)) > LONGEST:
                raise SetAside("its name is too long")
            _translated(job, order)
        except SetAside as error:
            yield job.item.name, said(error)
        advance(1)


def _translated(job: Job, order: Order) -> None:
    data = job.item.read()
    told = order.told(job.item.name, data)
    made = through(order.translator, as_pixels(data, order.translator.shape, keep_size=order.keep_size), order.to)
    about = metadata(data, made)
    _write(made, job.path, told, about)
    if job.back is not None:
        _write(through(order.translator, made, OTHER[order.to]), job.back, told | {"back": True}, about)


def _write(pixels: Pixels, path: Path, told: dict[str, Any], about: Metadata) -> None:
    """Write a result, unless it is there."""
    if not path.exists():
        write_png(as_image(pixels), path, told, texts=about.texts, **about.options)
