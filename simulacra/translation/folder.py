"""Translation of many pictures: names of the results, results that exist already, and pictures that are set aside."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from simulacra.console import Advance, Begin, silent
from simulacra.data.archives import is_idx, is_tar, is_zip
from simulacra.data.contents import SUFFIXES
from simulacra.data.decoding import Data
from simulacra.data.items import FilePart, Item, printable
from simulacra.data.rejects import UnusablePicture
from simulacra.data.sources import open_source
from simulacra.device import choose_device
from simulacra.errors import SimulacraError
from simulacra.messages import Message, text
from simulacra.provenance import read_provenance, write_png
from simulacra.storage import fingerprint, load_translator
from simulacra.translation.single import (
    Metadata,
    from_pixels,
    read_metadata,
    to_pixels,
    translate_pixels,
)
from simulacra.translation.tiles import Pixels
from simulacra.translator import OTHER, Side, Translator

CYCLE = ".cycle"  # in the name of a round trip, before the suffix
MAX_NAME = 240  # bytes: file systems allow 255, and a file is first written under a longer name


@dataclass(frozen=True)
class TranslationSummary:
    """Result of `translate`."""

    to: str  # name of the domain
    translated: int
    existing: int  # translated by an earlier call
    set_aside: tuple[tuple[str, str], ...]  # (name, reason)
    paths: tuple[Path, ...]  # of all results
    warning: Message | None = None  # of all results


@dataclass(frozen=True)
class TranslationSettings:
    """How pictures are translated, and what their provenance records."""

    translator: Translator
    to: Side
    keep_size: bool
    cycle: bool
    model: str  # fingerprint

    def record(self, name: str, data: Data) -> dict[str, Any]:
        """The provenance of a picture's translation."""
        content = np.ascontiguousarray(data).data if isinstance(data, np.ndarray) else data
        digest = hashlib.sha256(content).hexdigest()[:16]  # type: ignore[arg-type]
        record = {"model": self.model, "to": self.to, "source": name, "sha256": digest}
        return record | ({"size": "kept"} if self.keep_size else {})


@dataclass(frozen=True)
class PlannedTranslation:
    """One picture, the path of its translation, and that of its round trip."""

    item: Item
    path: Path
    back: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """One or both paths."""
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
    begin: Begin = silent,
) -> TranslationSummary:
    """Translate a picture, or all in a folder or archive, into PNGs of the same names in the folder `out`.

    model: a run, a checkpoint or a model's folder. to: a, b or a domain's name. keep_size: see `translate_image`.
    cycle: also write each translation translated back, as NAME.cycle.png.
    Pictures that cannot be used are set aside with a reason; existing results stay. Raises `SimulacraError` before any
    translation if another file is in the way.
    """
    translator = load_translator(model, choose_device(device))
    settings = TranslationSettings(translator, translator.require_side(to), keep_size, cycle, fingerprint(model))
    existing, pending = list[PlannedTranslation](), list[PlannedTranslation]()
    with open_pictures(Path(source), Path(out)) as (items, set_aside):
        advance = begin(text("translation.progress_check"), len(items))
        for plan in plan_translations(items, Path(out), single=_is_picture(Path(source)), cycle=cycle):
            _check_outside(plan, Path(source), Path(out))
            (existing if is_translated(plan, settings) else pending).append(plan)
            advance(1)
        failed = dict(_carry_out(pending, settings, begin(text("translation.progress_translate"), len(pending))))
    done = [plan for plan in pending if plan.item.name not in failed]
    height, width = translator.shape[1:]
    warning = Message("translation.whole_pictures", width=width, height=height)
    return TranslationSummary(
        to=translator.domains[settings.to == "b"],
        translated=len(done),
        existing=len(existing),
        set_aside=(*set_aside, *failed.items()),
        paths=tuple(path for plan in (*existing, *done) for path in plan.paths),
        warning=warning if keep_size and translator.whole else None,
    )


@contextlib.contextmanager
def open_pictures(source: Path, out: Path) -> Iterator[tuple[list[Item], list[tuple[str, str]]]]:
    """Yield the pictures at `source` outside of `out`, and (name, reason) of those that cannot be opened.

    Raises `SimulacraError` for a source without pictures, and for an `out` that is not a folder for others.
    """
    if out.exists() and out.resolve() == source.resolve():
        raise SimulacraError("translation.out_is_source", path=out)
    if _is_picture(source):
        yield [Item(printable(source.name), FilePart(str(source)))], []
        return
    if out.exists() and not out.is_dir():
        raise SimulacraError("translation.out_is_a_file", path=out)
    with open_source(source, labels="none") as opened:
        nested = source.resolve() in out.resolve().parents
        items = [item for item in opened.items if not (nested and _is_inside(item, out))]
        if not items and not opened.rejects:
            raise SimulacraError("translation.no_pictures", source=source, out=out)
        yield items, [(reject.name, str(reject)) for reject in opened.rejects]


def plan_translations(items: Sequence[Item], out: Path, *, single: bool, cycle: bool) -> Iterator[PlannedTranslation]:
    """Paths of the translations: photo.jpg becomes photo.png, in the same subfolder.

    a.jpg and a.png of one folder become a.jpg.png and a.png.png. single: `out` may be the name of the file.
    """
    if single and out.suffix.lower() in SUFFIXES and not out.is_dir():
        if out.suffix.lower() != ".png":
            raise SimulacraError("translation.not_a_png", name=out.with_suffix(".png").name)
        yield PlannedTranslation(items[0], out, out.with_name(f"{out.stem}{CYCLE}.png") if cycle else None)
        return
    stems = [str(PurePosixPath(item.name).with_suffix("")) for item in items]
    counts = Counter(stem.casefold() for stem in stems)  # some file systems ignore case
    used: set[str] = set()
    for item, plain in zip(items, stems, strict=True):
        numbered = (item.name + (f"-{n}" if n > 1 else "") for n in itertools.count(1))
        for stem in itertools.chain([plain] if counts[plain.casefold()] == 1 else [], numbered):
            names = [f"{stem}.png", *([f"{stem}{CYCLE}.png"] if cycle else [])]
            if not used & {name.casefold() for name in names}:
                break
        used |= {name.casefold() for name in names}
        yield PlannedTranslation(item, *(out / name for name in names))


def is_translated(plan: PlannedTranslation, settings: TranslationSettings) -> bool:
    """Whether all results of a picture exist. Raises `SimulacraError` if something else is in their place."""
    existing = [path for path in plan.paths if os.path.lexists(path)]
    if not existing:
        return False
    try:
        record = settings.record(plan.item.name, plan.item.read())
    except UnusablePicture:
        return False  # it will be set aside again
    for path in existing:
        if not _matches(path, record | ({"back": True} if path == plan.back else {})):
            raise SimulacraError("translation.another_picture", path=path)
    return len(existing) == len(plan.paths)


def _matches(path: Path, record: dict[str, Any]) -> bool:
    """Whether a file is the translation of the same content, under any name."""
    return (read_provenance(path) or {}) | {"source": ""} == record | {"source": ""}


def _is_picture(source: Path) -> bool:
    """Whether the source is one picture, not a file of many."""
    return source.is_file() and not (is_idx(source.name) or is_zip(source) or is_tar(source))


def _check_outside(plan: PlannedTranslation, source: Path, out: Path) -> None:
    """Raise `SimulacraError` for a result among the pictures, where the next call would translate it."""
    source, out = source.resolve(), out.resolve()
    if source.is_dir() and source not in out.parents and source in plan.path.resolve().parents:
        raise SimulacraError("translation.out_among_pictures", path=plan.path)


def _is_inside(item: Item, folder: Path) -> bool:
    return isinstance(item.place, FilePart) and folder.resolve() in Path(item.place.path).resolve().parents


def _carry_out(
    plans: Sequence[PlannedTranslation], settings: TranslationSettings, advance: Advance
) -> Iterator[tuple[str, str]]:
    """Translate and write; yield (name, reason) of pictures that are set aside."""
    for plan in plans:
        try:
            if len(os.fsencode(plan.paths[-1].name)) > MAX_NAME:
                raise UnusablePicture("translation.name_too_long")
            _translate_file(plan, settings)
        except UnusablePicture as error:
            yield plan.item.name, str(error)
        advance(1)


def _translate_file(plan: PlannedTranslation, settings: TranslationSettings) -> None:
    data, translator = plan.item.read(), settings.translator
    record = settings.record(plan.item.name, data)
    pixels = to_pixels(data, translator.shape, keep_size=settings.keep_size)
    translation = translate_pixels(translator, pixels, settings.to)
    metadata = read_metadata(data, translation)
    _write(translation, plan.path, record, metadata)
    if plan.back is not None:
        round_trip = translate_pixels(translator, translation, OTHER[settings.to])
        _write(round_trip, plan.back, record | {"back": True}, metadata)


def _write(pixels: Pixels, path: Path, record: dict[str, Any], metadata: Metadata) -> None:
    """Write a result unless it exists."""
    if not path.exists():
        write_png(from_pixels(pixels), path, record, texts=metadata.texts, **metadata.options)
