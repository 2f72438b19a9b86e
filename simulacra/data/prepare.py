"""Turn a source of pictures into a dataset: choose by a seed, decode, pack, split, hash and describe."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import platform
import shutil
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Unpack, overload

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from simulacra.console import say, warn
from simulacra.data.dataset import Dataset, Pair, content_hash, pair_hash
from simulacra.data.decoding import DecodeOptions, is_grey
from simulacra.data.domains import Domain, merge_parts, open_domains
from simulacra.data.inspect import make_report
from simulacra.data.items import Item
from simulacra.data.journal import JOURNAL, ORIGIN, Journal
from simulacra.data.opening import FORMAT, is_prepared, open_dataset, open_domain
from simulacra.data.originals import write_originals
from simulacra.data.prepare_options import PrepareOptions, PrepareSettings, resolve_options, rgb
from simulacra.data.rejects import UnusablePicture, english
from simulacra.data.selection import Packer, split_counts
from simulacra.data.sheet import write_sheet
from simulacra.data.sizing import choose_size
from simulacra.data.source import Source
from simulacra.errors import SimulacraError
from simulacra.files import CLAIM, atomic_file, claimed_folder, read_json, write_json
from simulacra.messages import Message

SAMPLED = 256  # headers that decide between grey and rgb

Place = str | Path


@overload
def prepare(
    source: Place, out: Place, options: PrepareOptions | None = None, *, b: Place, **settings: Unpack[PrepareSettings]
) -> Pair: ...


@overload
def prepare(
    source: Place,
    out: Place,
    options: PrepareOptions | None = None,
    *,
    b: None = None,
    **settings: Unpack[PrepareSettings],
) -> Dataset | Pair: ...


def prepare(
    source: Place,
    out: Place,
    options: PrepareOptions | None = None,
    *,
    b: Place | None = None,
    **settings: Unpack[PrepareSettings],
) -> Dataset | Pair:
    """Make a dataset of a source (see `open_source`) in the folder `out`, and open it.

    Keywords are fields of `PrepareOptions`: `prepare("photos", "faces", size=64)`. `size` is a side in pixels,
    "64x48" (width x height), (H, W) or "auto", the largest of 32, 48, 64, 96 and 128 that most pictures reach.

    `b`: pictures of a second domain; the result is a pair for GANs that translate between `source` and `b`. A `source`
    that holds two domains in a known layout (see `domains.parts_of`) becomes a pair as well.

    An existing `out` is never overwritten: it is opened if it was made from the same pictures with the same options.
    After a kill, the same call resumes after the pictures that are on the disk; a pair begins anew.
    Raises SimulacraError if it was not, and if no picture is usable. A damaged picture is left out.
    """
    options, out = resolve_options(options, settings), Path(out)
    with open_domains(source, b, labels=options.labels) as domains:
        if options.keep_originals and len(domains) > 1:
            raise SimulacraError("data.originals_of_pair")
        if options.size == "auto":
            options = dataclasses.replace(options, size=size_before(out) or _auto_size(domains, options))
        sources = [_source_json(domain.whole) for domain in domains]
        origin: dict[str, Any] = {"options": options.to_json(), "source": sources[0]}
        if len(domains) > 1:
            fingerprints = " ".join(record["fingerprint"] for record in sources)
            origin["source"] = {"fingerprint": fingerprints, "domains": sources}
        if out.exists() or out.is_symlink():
            check_same(out, origin)
            say("data.already_prepared", path=out)
            return open_dataset(out)
        work = origin | {"versions": versions()}
        with claimed_folder(out, lambda folder: _is_begun(folder, work)) as aside:
            if len(domains) == 1:
                _clear(aside)
                write_json(aside / ORIGIN, work)
                _pack(domains[0].whole, aside, out.name, options, origin)
                (aside / ORIGIN).unlink()
            else:
                _pack_pair(domains, aside, out.name, options, origin)
    return open_dataset(out)


def export_zip(dataset: Dataset, out: str | Path) -> None:
    """Write StyleGAN's zip: PNGs and a dataset.json with their labels (class numbers, attributes, or none).

    dataset.json also gets the names of classes and attributes, which StyleGAN ignores. Raises SimulacraError for
    pictures with transparency, which StyleGAN cannot read.
    """
    if dataset.shape[0] == 4:
        raise SimulacraError("data.zip_without_transparency")
    names = [f"{n // 1000:05d}/img{n:08d}.png" for n in range(len(dataset))]
    record: dict[str, Any] = {"labels": None}
    if dataset.labels is not None:
        labels = [list(entry) for entry in zip(names, dataset.labels.tolist(), strict=True)]
        record = {"labels": labels, "classes": list(dataset.classes), "attributes": list(dataset.attributes)}
    with atomic_file(Path(out)) as file, zipfile.ZipFile(file, "w") as archive:  # stored: PNGs are compressed
        for name, pixels in zip(names, dataset.images, strict=True):
            png = io.BytesIO()
            Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(png, "PNG")
            archive.writestr(zipfile.ZipInfo(name), png.getvalue())
        archive.writestr(zipfile.ZipInfo("dataset.json"), json.dumps(record))


def _pack(source: Source, folder: Path, name: str, options: PrepareOptions, origin: dict[str, Any]) -> None:
    """Make the dataset of a source in an existing folder."""
    journal = Journal(folder / JOURNAL)
    packer = Packer(source, folder / "images.npy", choose_decoding(source.items, options), options, journal)
    packer.run()
    _describe(packer, folder, name, origin)
    journal.path.unlink()


def _is_begun(folder: Path, work: dict[str, Any]) -> bool:
    """Whether the same work was begun in a folder."""
    try:
        return (folder / "images.npy").exists() and bool(read_json(folder / ORIGIN) == work)
    except SimulacraError:  # killed before it was written; or a pair, which begins anew
        return False


def _clear(folder: Path) -> None:
    """Delete what a killed process wrote beside the pictures: it is written anew."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in (CLAIM, JOURNAL, "images.npy"):
            path.unlink()


def _pack_pair(
    domains: Sequence[Domain], folder: Path, name: str, options: PrepareOptions, origin: dict[str, Any]
) -> None:
    """Make the datasets `a` and `b`, with equal channels, in an existing folder, and describe the pair."""
    if options.channels == "auto":
        channels = {choose_decoding(domain.whole.items, options).channels for domain in domains}
        options = dataclasses.replace(options, channels="grey" if channels == {"grey"} else "rgb")
    hashes = []
    for letter, domain in zip("ab", domains, strict=True):
        parts = {}
        for part, source in domain.parts.items():
            into = folder / letter if len(domain.parts) == 1 else folder / f"{letter}-{part}"
            into.mkdir()
            split = domain.shares(part, options.split)
            _pack(source, into, domain.name, dataclasses.replace(options, split=split), origin)
            parts[part] = into
        if len(parts) > 1:
            merge_parts(parts, folder / letter)
        hashes.append(open_domain(folder / letter).hash)
    record = {"what": Pair.WHAT, "format": FORMAT, "name": name, "domains": [domain.name for domain in domains]}
    write_json(folder / "data.json", record | {"hash": pair_hash(*hashes)} | origin)


def choose_decoding(items: Sequence[Item], options: PrepareOptions) -> DecodeOptions:
    """How to decode these pictures; "auto" channels are decided by a sample of them."""
    channels = options.channels
    if channels == "auto":
        sample = items[:: max(1, len(items) // SAMPLED)]
        channels = "grey" if all(_may_be_grey(item) for item in sample) else "rgb"
    assert options.size != "auto"  # `prepare` has chosen one
    return DecodeOptions(
        size=options.size,
        channels=channels,
        crop=options.crop,
        background=rgb(options.background),
        resample=options.resample,
        min_side=options.min_side,
        max_pixels=int(options.max_megapixels * 1e6),
    )


def _may_be_grey(item: Item) -> bool:
    try:
        return is_grey(item.read())
    except UnusablePicture:
        return True


def _auto_size(domains: Sequence[Domain], options: PrepareOptions) -> tuple[int, int]:
    return choose_size([list(domain.whole.items) for domain in domains], options)


def size_before(out: Path) -> tuple[int, int] | None:
    """The size (H, W) of the dataset at `out`, which auto takes again; None where there is none."""
    size = read_json(out / "data.json").get("options", {}).get("size") if is_prepared(out) else None
    return (int(size[0]), int(size[1])) if isinstance(size, list) else None


def _source_json(source: Source) -> dict[str, Any]:
    return {"given": source.name, "kind": source.kind, "fingerprint": source.fingerprint()}


def check_same(out: Path, origin: dict[str, Any]) -> None:
    """Raise SimulacraError, saying how it differs, if `out` holds anything but the dataset of this origin."""
    if not is_prepared(out):
        raise SimulacraError("data.out_is_not_a_dataset", path=out)
    stored = read_json(out / "data.json")
    before, now = stored.get("options", {}), origin["options"]
    changed = [
        Message(
            "data.option_was", name=name.replace("_", "-"), before=_spelled(before.get(name)), now=_spelled(now[name])
        )
        for name in now
        if before.get(name) != now[name]
    ]
    if changed:
        raise SimulacraError("data.out_has_other_options", path=out, options=changed)
    if stored.get("source", {}).get("fingerprint") != origin["source"]["fingerprint"]:
        raise SimulacraError("data.out_has_other_pictures", path=out)


def _spelled(value: Any) -> Message | str:
    """An option's value as one types it."""
    if value is None:
        return Message("data.not_given")
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _labels(source: Source, chosen: Sequence[int]) -> tuple[NDArray[Any] | None, tuple[str, ...]]:
    """Labels of the chosen pictures and the names of their classes; classes without a picture are left out."""
    if source.labels is None:
        return None, ()
    labels: NDArray[Any] = source.labels[list(chosen)]
    if not source.classes:
        return labels, ()
    used, numbers = np.unique(labels, return_inverse=True)
    return numbers.astype(np.int64), tuple(source.classes[n] for n in used)


def _describe(packer: Packer, folder: Path, name: str, origin: dict[str, Any]) -> None:
    """Write everything beside the pictures; data.json, which makes the folder a dataset, comes last."""
    source, chosen = packer.source, packer.chosen
    images = np.load(packer.target.path, mmap_mode="r", allow_pickle=False)
    labels, classes = _labels(source, chosen)
    if labels is not None:
        np.save(folder / "labels.npy", labels)
    splits = split_counts(len(chosen), packer.options.split)
    digest = content_hash(images, labels, classes, source.attributes)
    report = make_report(source, packer.tally, images, chosen)
    write_json(folder / "names.json", [source.items[number].name for number in chosen])
    write_json(folder / "rejects.json", [reject.to_json() for reject in packer.rejects])
    if report.enlarged:
        height, width = report.size
        warn(
            "data.enlarged_pictures", name=name, count=report.enlarged, whole=len(chosen), size=f"{width}x{height}",
            side=min(report.size),
        )  # fmt: skip
    data = Dataset(name, None, images, labels, classes, source.attributes, splits, digest)
    write_sheet(data, report, folder)
    record = {"name": name, "shape": list(images.shape), "splits": splits, "hash": digest}
    record |= {"classes": list(classes), "attributes": list(source.attributes), **origin}
    if packer.options.keep_originals:
        record["originals"] = write_originals(packer, folder, name, splits)
    record |= {"notes": [english(note) for note in report.notes], "versions": versions()}
    write_json(folder / "data.json", {"what": Dataset.WHAT, "format": FORMAT} | record)


def versions() -> dict[str, str]:
    """The versions that decide what is prepared, for data.json."""
    record = {"python": platform.python_version(), "numpy": np.__version__, "pillow": PIL.__version__}
    with contextlib.suppress(metadata.PackageNotFoundError):
        record["simulacra"] = metadata.version("simulacra")
    return record
