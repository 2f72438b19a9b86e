"""A source of pictures becomes a data set: chosen by a seed, made alike, packed, split, hashed and described."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import platform
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, overload

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from simulacra.console import console
from simulacra.data.dataset import Dataset, Pair, content_hash, pair_hash
from simulacra.data.decoding import Recipe, SetAside, is_grey
from simulacra.data.domains import Domain, joined, open_domains
from simulacra.data.inspect import make_report
from simulacra.data.items import Item
from simulacra.data.opening import FORMAT, is_prepared, open_dataset, open_domain
from simulacra.data.options import Options, colour, parse_crop, parse_size
from simulacra.data.selection import Packing, split_counts
from simulacra.data.sheet import write_sheet
from simulacra.data.sources import Source
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.files import folder_written_aside, read_json, write_json, written_aside

__all__ = ["Options", "export_zip", "parse_crop", "parse_size", "prepare"]

SAMPLED = 256  # headers that decide between grey and rgb


@overload
def prepare(
    source: str | Path, out: str | Path, options: Options | None = None, *, b: str | Path, **settings: Any
) -> Pair: ...


@overload
def prepare(
    source: str | Path, out: str | Path, options: Options | None = None, *, b: None = None, **settings: Any
) -> Dataset | Pair: ...


def prepare(
    source: str | Path,
    out: str | Path,
    options: Options | None = None,
    *,
    b: str | Path | None = None,
    **settings: Any,
) -> Dataset | Pair:
    """Make a data set of a source (see `open_source`) in the folder `out`, and open it.

    `settings` are fields of `Options`, which stand for it: `prepare("photos", "faces", size=64)`; a size may be a
    side, "64x48" (width x height) or (H, W).

    With `b`, pictures of a second domain, or where `source` holds both in one of the known layouts (see
    `pair.parts_of`), a pair is made for games that translate: the domains stand in it as data sets `a` and `b`.

    What is there already is kept if it was made from the same pictures with the same options, and never
    overwritten. Raises SimulacraError with a sentence if nothing can be made; a single picture never is one.
    """
    options = _options(options, settings)
    out = Path(out)
    with open_domains(source, b, labels=options.labels) as domains:
        found = domains[0].whole
        told = [_source_told(domain.whole) for domain in domains]
        made: dict[str, Any] = {"options": options.told(), "source": told[0]}
        if len(domains) > 1:
            made["source"] = {"fingerprint": " ".join(each["fingerprint"] for each in told), "domains": told}
        if out.exists() or out.is_symlink():
            return _same_as(out, made)
        with folder_written_aside(out) as aside:
            if len(domains) == 1:
                _pack(found, aside, out.name, options, made)
            else:
                _pack_pair(domains, aside, out.name, options, made)
    return open_dataset(out)


def _pack(found: Source, folder: Path, name: str, options: Options, made: dict[str, Any]) -> None:
    """Make the data set of a source in a folder that is there."""
    packing = Packing(found, folder / "images.npy", _recipe(found.items, options), options)
    packing.run()
    _describe(packing, folder, name, made)


def _pack_pair(domains: Sequence[Domain], folder: Path, name: str, options: Options, made: dict[str, Any]) -> None:
    """Make the data sets `a` and `b` in a folder that is there, alike in their channels, and describe the pair."""
    if options.channels == "auto":
        kinds = {_recipe(domain.whole.items, options).channels for domain in domains}
        options = dataclasses.replace(options, channels="grey" if kinds == {"grey"} else "rgb")
    sets = []
    for letter, domain in zip("ab", domains, strict=True):
        parts = {}
        for part, source in domain.parts.items():
            into = folder / letter if len(domain.parts) == 1 else folder / f"{letter}-{part}"
            into.mkdir()
            _pack(
                source, into, domain.name, dataclasses.replace(options, split=domain.shares(part, options.split)), made
            )
            parts[part] = into
        if len(parts) > 1:
            joined(parts, folder / letter)
        sets.append(open_domain(folder / letter))
    told = {"what": Pair.WHAT, "format": FORMAT, "name": name, "domains": [domain.name for domain in domains]}
    write_json(folder / "data.json", told | {"hash": pair_hash(sets[0].hash, sets[1].hash)} | made)


def export_zip(dataset: Dataset, out: str | Path) -> None:
    """Write StyleGAN's zip: PNGs and a dataset.json with their labels (class numbers, attributes, or none).

    The names of classes and attributes are added to dataset.json, where StyleGAN does not look for them.
    Raises SimulacraError for pictures with transparency, which it cannot read.
    """
    if dataset.shape[0] == 4:
        raise SimulacraError("StyleGAN's zip has no transparency: prepare the pictures with --channels rgb.")
    names = [f"{n // 1000:05d}/img{n:08d}.png" for n in range(len(dataset))]
    told: dict[str, Any] = {"labels": None}
    if dataset.labels is not None:
        labels = [list(pair) for pair in zip(names, dataset.labels.tolist(), strict=True)]
        told = {"labels": labels, "classes": list(dataset.classes), "attributes": list(dataset.attributes)}
    with written_aside(Path(out)) as file, zipfile.ZipFile(file, "w") as archive:  # PNGs are packed already
        for name, pixels in zip(names, dataset.images, strict=True):
            packed = io.BytesIO()
            Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(packed, "PNG")
            archive.writestr(zipfile.ZipInfo(name), packed.getvalue())
        archive.writestr(zipfile.ZipInfo("dataset.json"), json.dumps(told))


def _options(options: Options | None, settings: dict[str, Any]) -> Options:
    known = {field.name for field in dataclasses.fields(Options)}
    for name in settings.keys() - known:
        raise SimulacraError(f"prepare has no setting {name!r}.{did_you_mean(name, known)}")
    size = settings.get("size")
    if isinstance(size, int | str):
        settings = settings | {"size": parse_size(str(size))}
    return dataclasses.replace(options or Options(), **settings)


def _recipe(items: Sequence[Item], options: Options) -> Recipe:
    channels = options.channels
    if channels == "auto":
        sample = items[:: max(1, len(items) // SAMPLED)]
        channels = "grey" if all(_grey(item) for item in sample) else "rgb"
    return Recipe(
        size=options.size,
        channels=channels,
        crop=options.crop,
        background=colour(options.background),
        resample=options.resample,
        min_side=options.min_side,
        max_pixels=int(options.max_megapixels * 1e6),
    )


def _grey(item: Item) -> bool:
    try:
        return is_grey(item.read())
    except SetAside:
        return True  # it has no say


def _source_told(found: Source) -> dict[str, Any]:
    return {"given": found.name, "kind": found.kind, "fingerprint": found.fingerprint()}


def _same_as(out: Path, made: dict[str, Any]) -> Dataset | Pair:
    """What is at `out`, if it is what would be made; else a sentence that says how it differs."""
    if not is_prepared(out):
        raise SimulacraError(f"{out} exists and is not a finished data set: give another name, or delete it.")
    there = read_json(out / "data.json")
    before, now = there.get("options", {}), made["options"]
    other = [key for key in now if before.get(key) != now[key]]
    if other:
        told = ", ".join(f"{key} was {before.get(key)}, not {now[key]}" for key in other)
        raise SimulacraError(f"{out} exists, made with other options ({told}): give another name, or delete it.")
    if there.get("source", {}).get("fingerprint") != made["source"]["fingerprint"]:
        raise SimulacraError(f"{out} exists, made from other pictures: give another name, or delete it.")
    console.print(f"{out} is there already, made from the same pictures in the same way.", markup=False)
    return open_dataset(out)


def _labels(source: Source, chosen: Sequence[int]) -> tuple[NDArray[Any] | None, tuple[str, ...]]:
    """The chosen pictures' labels; classes that none of them belongs to are left out."""
    if source.labels is None:
        return None, ()
    labels: NDArray[Any] = source.labels[list(chosen)]
    if not source.classes:
        return labels, ()
    used, numbers = np.unique(labels, return_inverse=True)
    return numbers.astype(np.int64), tuple(source.classes[n] for n in used)


def _describe(packing: Packing, aside: Path, name: str, made: dict[str, Any]) -> None:
    """Everything beside the pictures; data.json, which makes the folder a data set, is the last."""
    source, chosen = packing.source, packing.chosen
    images = np.load(packing.path, mmap_mode="r", allow_pickle=False)
    labels, classes = _labels(source, chosen)
    if labels is not None:
        np.save(aside / "labels.npy", labels)
    splits = split_counts(len(chosen), packing.options.split)
    digest = content_hash(images, labels, classes, source.attributes)
    report = make_report(source, packing.tally, images, chosen)
    write_json(aside / "names.json", [source.items[number].name for number in chosen])
    write_json(aside / "rejects.json", packing.rejects)
    data = Dataset(name, None, images, labels, classes, source.attributes, splits, digest)
    write_sheet(data, report, aside)
    told = {"name": name, "shape": list(images.shape), "splits": splits, "hash": digest}
    labelled = {"classes": list(classes), "attributes": list(source.attributes)}
    versions = {"python": platform.python_version(), "numpy": np.__version__, "pillow": PIL.__version__}
    with contextlib.suppress(metadata.PackageNotFoundError):
        versions["simulacra"] = metadata.version("simulacra")
    write_json(
        aside / "data.json",
        {
            "what": Dataset.WHAT,
            "format": FORMAT,
            **told,
            **labelled,
            **made,
            "notes": report.notes,
            "versions": versions,
        },
    )
