"""Where pictures come from: folders, archives, arrays and prepared sets, all seen as one list of items."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.data import archives, arrays
from simulacra.data.contents import Listing, common_folder
from simulacra.data.dataset import Dataset
from simulacra.data.items import ArrayRow, FilePart, Item, close_all, natural, printable
from simulacra.data.label_tables import Table, label, read_table
from simulacra.data.opening import is_prepared, open_domain
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.files import disk_errors

PARTS = {"train": "train", "training": "train", "val": "valid", "valid": "valid", "validation": "valid", "test": "test",
         "testing": "test"}  # fmt: skip
MOST_CLASSES = 1000  # more folders than this are people or days, not classes, unless the user says so
KNOWN_TABLES = ("list_attr_celeba.txt", "list_attr_celeba.csv", "dataset.json")


@dataclass(frozen=True, eq=False)
class Source:
    """All that was found at one place: `items` in natural order, `labels` one row for each of them.

    `labels` is None, [N] int64 (numbers of `classes`) or [N, A] float32 in [0, 1] (`attributes`). `set_aside`
    holds (name, reason) of pictures that cannot even be opened; `not_pictures` counts files that are none.
    """

    name: str
    kind: str
    items: Sequence[Item]
    labels: NDArray[Any] | None = None
    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    set_aside: tuple[tuple[str, str], ...] = ()
    not_pictures: int = 0
    notes: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """A sha256 of names, versions and labels: equal as long as nobody has touched the pictures."""
        told = hashlib.sha256(repr((self.classes, self.attributes)).encode("utf-8", "backslashreplace"))
        for item in self.items:
            told.update(f"{item.name}\0{item.stamp}\n".encode())
        if self.labels is not None:
            told.update(np.ascontiguousarray(self.labels).data)
        return told.hexdigest()


@contextlib.contextmanager
def open_source(source: str | Path, *, labels: str = "auto") -> Iterator[Source]:
    """List what lies at `source`; no picture is decoded yet. Items can be read until the block ends.

    `source` is a folder (searched to the bottom), a zip or tar, an IDX file or a folder of them, CIFAR's tar,
    a prepared data set, or "peeps". `labels` is "auto", "none", "folder" or a column of the table that lies
    with the pictures. Raises SimulacraError if there is nothing of the kind.
    """
    path = Path(source)
    if source != "peeps" and not path.exists():
        near = did_you_mean(path.name, [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else [])
        raise SimulacraError(f"There are no pictures at {source}: the path does not exist.{near}")
    with tempfile.TemporaryDirectory(prefix="simulacra-") as room:
        try:
            with disk_errors(Path(room)):
                found = _found(str(source), path, Path(room), labels)
            if not found.items and not found.set_aside:
                raise SimulacraError(f"No pictures in {source} ({found.not_pictures} other files).")
            yield found
        finally:
            close_all()


def _found(source: str, path: Path, room: Path, labels: str) -> Source:
    if source != "peeps" and not os.access(path, os.R_OK):
        raise SimulacraError(f"{source} may not be read: check its permissions.")
    if source == "peeps" or is_prepared(path):
        return _unlabelled(_from_dataset(source, open_domain(source), room), labels)
    if path.is_dir():
        images = sorted(p for p in path.iterdir() if archives.is_idx(p.name))
        if images:
            return _unlabelled(_from_idx(source, images, room), labels)
        listing = _walk(path)
        return _labelled(source, "folder", listing, labels)
    if archives.is_idx(path.name):
        return _unlabelled(_from_idx(source, [path], room), labels)
    if archives.is_tar(path):
        plain = archives.uncompressed(path, room)
        batches = archives.cifar_batches(plain)
        if batches:
            return _unlabelled(_from_cifar(source, batches, room), labels)
        return _labelled(source, "tar", archives.list_tar(plain), labels)
    if archives.is_zip(path):
        return _labelled(source, "zip", archives.list_zip(path), labels)
    raise SimulacraError(f"{source} is no folder, zip, tar or IDX file. Give the folder that the pictures are in.")


def _walk(root: Path) -> Listing:
    """Every file below `root`, links followed, each real folder once: a loop of links ends where it began."""
    listing = Listing()
    seen: set[tuple[int, int]] = set()

    def refused(error: OSError) -> None:
        where = os.path.relpath(error.filename or root, root)
        listing.set_aside.append((printable(where), "folder may not be read"))

    for here, folders, files in os.walk(root, onerror=refused, followlinks=True):
        about = Path(here).stat()
        if (about.st_dev, about.st_ino) in seen or (here != str(root) and is_prepared(Path(here))):
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = [folder for folder in folders if not folder.startswith((".", "__MACOSX"))]
        for file in files:
            path = Path(here, file)
            name = PurePosixPath(printable(str(path.relative_to(root)).replace(os.sep, "/")))
            try:
                about = path.stat()
            except OSError as error:
                listing.broken(str(name), error)
                continue
            stamp = (about.st_size, about.st_mtime_ns)
            listing.add(str(name), FilePart(str(path), stamp=stamp), f"{stamp[0]}.{stamp[1]}")
    return listing


def _labelled(source: str, kind: str, listing: Listing, want: str) -> Source:
    items = sorted(listing.items, key=lambda item: natural(item.name))
    found = Source(source, kind, items, None, (), (), tuple(listing.set_aside), listing.not_pictures)
    if want == "none" or not items:
        return found
    tables = [] if want == "folder" else _tables(listing)
    given = label(tables[0], [item.name for item in items], want) if len(tables) == 1 else None
    if given is not None and (want != "auto" or 2 * int(given.known.sum()) >= len(items)):
        lost = [(i.name, f"no row in {tables[0].name}") for i, k in zip(items, given.known, strict=True) if not k]
        return replace(
            found,
            items=[item for item, known in zip(items, given.known, strict=True) if known],
            labels=None if given.labels is None else given.labels[given.known],
            classes=given.classes,
            attributes=given.attributes,
            set_aside=(*found.set_aside, *lost),
            notes=given.notes,
        )
    if want not in ("auto", "folder"):  # more tables than one, or none
        raise SimulacraError(f"{source} has {len(tables) or 'no'} tables with columns: {want!r} cannot be found.")
    if tables:
        names = ", ".join(table.name for table in tables)
        found = replace(found, notes=(f"not used, since it is not clear what it is for: {names}",))
    return _by_folder(found, forced=want == "folder")


def _by_folder(found: Source, *, forced: bool) -> Source:
    """A class for each first folder below what all pictures share, train/ and test/ not counted."""
    shared = len(common_folder(item.name for item in found.items))
    parts = [PurePosixPath(item.name).parts[shared:-1] for item in found.items]
    if all(part and part[0].lower() in PARTS for part in parts):
        parts = [part[1:] for part in parts]
    names = [part[0] if part else "" for part in parts]
    classes = sorted(set(names), key=natural)
    if not forced and (len(classes) < 2 or len(classes) > MOST_CLASSES or "" in classes):
        return found
    number = {name: n for n, name in enumerate(classes)}
    labels = np.array([number[name] for name in names], dtype=np.int64)
    return replace(found, labels=labels, classes=tuple(name or "(top)" for name in classes))


def _tables(listing: Listing) -> list[Table]:
    """The tables that may speak of these pictures: a known one, all metadata as one, or those on top."""
    by_name = {PurePosixPath(name).name: name for name in listing.tables}
    for known in KNOWN_TABLES:
        if known in by_name:
            name = by_name[known]
            read = read_table(name, listing.tables[name].read())
            return [read] if read.rows else []
    hugging = [name for name in listing.tables if PurePosixPath(name).stem == "metadata"]
    depth = min((name.count("/") for name in listing.tables), default=0)
    top = sorted(name for name in listing.tables if name.count("/") == depth)
    read_all = [read_table(name, listing.tables[name].read()) for name in (hugging or top)]
    if hugging and len({table.columns for table in read_all}) == 1:
        rows = {file: row for table in read_all for file, row in table.rows.items()}
        return [replace(read_all[0], rows=rows)]
    return read_all


def _unlabelled(found: Source, want: str) -> Source:
    if want in ("auto", "folder"):
        return found
    if want == "none":
        return replace(found, labels=None, classes=(), attributes=())
    if want in found.attributes and found.labels is not None:
        yes = (found.labels[:, found.attributes.index(want)] > 0.5).astype(np.int64)
        return replace(found, labels=yes, classes=(f"not {want}", want), attributes=())
    hint = did_you_mean(want, found.attributes)
    raise SimulacraError(f"{found.name} has no attribute {want!r}.{hint}")


def _from_dataset(source: str, data: Dataset, room: Path) -> Source:
    path = room / "images.npy" if data.path is None else data.path / "images.npy"
    if data.path is None:
        np.save(path, data.images)
    items = [Item(f"{data.name}/{n:06d}", ArrayRow(str(path), n), data.hash[:16]) for n in range(len(data))]
    return Source(source, "data set", items, data.labels, data.classes, data.attributes)


def _from_idx(source: str, images: Sequence[Path], room: Path) -> Source:
    items: list[Item] = []
    labels: list[NDArray[np.int64]] = []
    for path in images:
        packed = room / f"{path.name}.npy"
        n = arrays.unpack_idx(path, packed)
        part = path.name.split("-")[0].split("images")[0] or "pictures"
        about = path.stat()
        stamp = f"{about.st_size}.{about.st_mtime_ns}"
        items += [Item(f"{part}/{row:06d}", ArrayRow(str(packed), row), stamp) for row in range(n)]
        beside = archives.idx_labels_of(path)
        if beside is not None:
            labels.append(arrays.read_idx_labels(beside, n))
    if len(labels) != len(images):
        return Source(source, "IDX", items, notes=("no file of labels lies beside the pictures",))
    numbers = np.concatenate(labels)
    classes = tuple(str(n) for n in range(int(numbers.max(initial=0)) + 1))
    return Source(source, "IDX", items, numbers, classes)


def _from_cifar(source: str, batches: archives.Batches, room: Path) -> Source:
    items: list[Item] = []
    labels: list[int] = []
    for part, data in batches.data:
        pixels, numbers = arrays.cifar_pixels(arrays.read_pickle(data.read(), part), part)
        packed = room / f"{part}.npy"
        np.save(packed, pixels)
        items += [Item(f"{part}/{n:06d}", ArrayRow(str(packed), n), batches.stamp) for n in range(len(pixels))]
        labels += numbers
    names = batches.class_names()
    if labels and not 0 <= min(labels) <= max(labels) < len(names):
        raise SimulacraError(f"{source} has labels without a name: it is not the archive it seems to be.")
    return Source(source, "CIFAR", items, np.array(labels, dtype=np.int64), names)
