"""List the pictures of a source: a folder, an archive, arrays or a prepared dataset."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from simulacra.data import archives
from simulacra.data.contents import Listing, common_folder
from simulacra.data.items import FilePart, close_all, natural, printable, read_errors
from simulacra.data.label_tables import MAX_BYTES, Table, labels_for, read_table
from simulacra.data.opening import is_prepared, open_domain
from simulacra.data.packed_sources import from_cifar, from_dataset, from_idx, from_numpy
from simulacra.data.parquet import from_parquet, parquet_files
from simulacra.data.rejects import Reject, UnusablePicture
from simulacra.data.source import Source
from simulacra.data.stores import is_address
from simulacra.data.webdataset import list_tars, side_table, tars_in
from simulacra.errors import SimulacraError, did_you_mean, near_path
from simulacra.files import disk_errors
from simulacra.messages import Message

PARTS = {"train": "train", "training": "train", "val": "valid", "valid": "valid", "validation": "valid", "test": "test",
         "testing": "test"}  # fmt: skip
MAX_CLASSES = 1000  # more folders are people or days rather than classes, unless asked for
NUMPY = (".npy", ".npz")
KNOWN_TABLES = ("list_attr_celeba.txt", "list_attr_celeba.csv", "dataset.json")


@contextlib.contextmanager
def open_source(source: str | Path, *, labels: str = "auto") -> Iterator[Source]:
    """List the pictures of a source without decoding them. Its items can be read until the block ends.

    `source`: a folder (searched recursively), a zip or tar, a folder of WebDataset tars, parquet files, an IDX file or a folder of them, CIFAR's tar, an .npy or
    .npz of pictures, a prepared dataset, or "peeps". `labels`: "auto", "none", "folder", or a column of the table beside the pictures.

    Raises SimulacraError if there are no pictures, or no such labels.
    """
    path = Path(source)
    if source != "peeps" and not is_address(source) and not path.exists():
        raise SimulacraError("data.no_source", path=source, hint=near_path(path, ["peeps"]))
    with tempfile.TemporaryDirectory(prefix="simulacra-") as scratch:
        try:
            with disk_errors(Path(scratch)):
                opened = _open(str(source), path, Path(scratch), labels)
            if not opened.items and not opened.rejects:
                code = "data.no_pictures" if opened.not_pictures else "data.no_files"
                raise SimulacraError(code, path=source, count=opened.not_pictures)
            yield opened
        finally:
            close_all()


def _open(name: str, path: Path, scratch: Path, labels: str) -> Source:
    """The source at a path, by what lies there."""
    if name == "peeps" or is_prepared(name):
        return _choose_labels(from_dataset(name, open_domain(name), scratch), labels)
    if not os.access(path, os.R_OK):
        raise SimulacraError("data.source_without_permission", path=name)
    if path.is_dir():
        idx_files = sorted(p for p in path.iterdir() if archives.is_idx(p.name) and p.is_file())
        if idx_files:
            return _choose_labels(from_idx(name, idx_files, scratch), labels)
        listing = _walk(path)
        if not listing.items and (files := parquet_files(path)):
            return from_parquet(name, path, files, labels)
        if not listing.items and (tars := tars_in(path)):
            listing = list_tars(tars)
            return _find_labels(name, "tar", listing, labels if listing.sides or labels != "auto" else "none")
        return _find_labels(name, "folder", listing, labels)
    if not path.is_file():  # reading a named pipe would wait for ever
        raise SimulacraError("data.not_a_source", path=name)
    if archives.is_idx(path.name):
        return _choose_labels(from_idx(name, [path], scratch), labels)
    if files := parquet_files(path):
        return from_parquet(name, path, files, labels)
    if path.suffix.lower() in NUMPY:
        return _choose_labels(from_numpy(name, path, scratch), labels)
    if archives.is_tar(path):
        tar = archives.uncompressed(path, scratch)
        cifar = archives.cifar_files(tar)
        if cifar:
            return _choose_labels(from_cifar(name, cifar, scratch), labels)
        return _find_labels(name, "tar", archives.list_tar(tar), labels)
    if archives.is_zip(path):
        return _find_labels(name, "zip", archives.list_zip(path), labels)
    raise SimulacraError("data.not_a_source", path=name)


def _walk(root: Path) -> Listing:
    """All files below `root`. Links are followed, and each real folder is listed once, so loops end."""
    listing = Listing()
    visited: set[tuple[int, int]] = set()

    def refused(error: OSError) -> None:
        folder = os.path.relpath(error.filename or root, root)
        listing.rejects.append(Reject(printable(folder), Message("data.folder_without_permission")))

    for here, folders, files in os.walk(root, onerror=refused, followlinks=True):
        about = Path(here).stat()
        if (about.st_dev, about.st_ino) in visited or (here != str(root) and is_prepared(Path(here))):
            folders.clear()
            continue
        visited.add((about.st_dev, about.st_ino))
        folders[:] = [folder for folder in folders if not folder.startswith((".", "__MACOSX"))]
        for file in files:
            path = Path(here, file)
            name = PurePosixPath(printable(str(path.relative_to(root)).replace(os.sep, "/")))
            try:
                about = path.stat()
            except OSError as error:
                listing.add_unreadable(str(name), error)
                continue
            stamp = (about.st_size, about.st_mtime_ns)
            listing.add(str(name), FilePart(str(path), stamp=stamp), f"{stamp[0]}.{stamp[1]}")
    return listing


def _find_labels(name: str, kind: str, listing: Listing, wanted: str) -> Source:
    """The source of a listing, labelled by its table, else by its folders."""
    items = sorted(listing.items, key=lambda item: natural(item.name))
    source = Source(name, kind, items, None, (), (), tuple(listing.rejects), listing.other_files)
    if wanted == "none" or not items:
        return source
    tables = [] if wanted == "folder" else _tables(listing)
    if not tables and wanted != "folder" and (sides := side_table(listing)):
        tables = [sides]
    labels = labels_for(tables[0], [item.name for item in items], wanted) if len(tables) == 1 else None
    if labels is not None and (wanted != "auto" or 2 * int(labels.has_row.sum()) >= len(items)):
        no_row = Message("data.no_row", table=tables[0].name)
        rows = list(zip(items, labels.has_row, strict=True))
        return replace(
            source,
            items=[item for item, has_row in rows if has_row],
            labels=None if labels.labels is None else labels.labels[labels.has_row],
            classes=labels.classes,
            attributes=labels.attributes,
            rejects=(*source.rejects, *(Reject(item.name, no_row) for item, has_row in rows if not has_row)),
            notes=labels.notes,
        )
    if wanted not in ("auto", "folder"):
        raise SimulacraError("data.not_one_table", path=name, count=len(tables), column=wanted)
    if tables:
        source = replace(source, notes=(Message("data.unused_tables", tables=[table.name for table in tables]),))
    return _label_by_folder(source, forced=wanted == "folder")


def _label_by_folder(source: Source, *, forced: bool) -> Source:
    """A class per first folder below those that all pictures share; folders train/ and test/ do not count."""
    shared = len(common_folder(item.name for item in source.items))
    parts = [PurePosixPath(item.name).parts[shared:-1] for item in source.items]
    if all(part and part[0].lower() in PARTS for part in parts):
        parts = [part[1:] for part in parts]
    names = [part[0] if part else "" for part in parts]
    classes = sorted(set(names), key=natural)
    if not forced and (len(classes) < 2 or len(classes) > MAX_CLASSES or "" in classes):
        return source
    number = {name: n for n, name in enumerate(classes)}
    labels = np.array([number[name] for name in names], dtype=np.int64)
    return replace(source, labels=labels, classes=tuple(name or "(top)" for name in classes))


def _tables(listing: Listing) -> list[Table]:
    """The tables that may describe the pictures: a well-known one, all metadata files as one, or those at the top."""
    by_name = {PurePosixPath(name).name: name for name in listing.tables}
    for title in KNOWN_TABLES:
        if title in by_name:
            name = by_name[title]
            table = _read(listing, name)
            return [table] if table.count else []
    metadata = [name for name in listing.tables if PurePosixPath(name).stem == "metadata"]
    depth = min((name.count("/") for name in listing.tables), default=0)
    top = sorted(name for name in listing.tables if name.count("/") == depth)
    tables = [_read(listing, name) for name in (metadata or top)]
    if metadata and len({table.columns for table in tables}) == 1:
        rows = {file: row for table in tables for file, row in table.rows.items()}
        return [replace(tables[0], rows=rows)]
    return tables


def _read(listing: Listing, name: str) -> Table:
    """One of its tables, with the rows of its pictures. Raises SimulacraError if it cannot be read, or is too large."""
    try:
        with read_errors():
            data = listing.tables[name].read(MAX_BYTES)
    except UnusablePicture as error:
        raise SimulacraError("data.unreadable_table", name=name, reason=error.reason) from error
    return read_table(name, data, [item.name for item in listing.items])


def _choose_labels(source: Source, wanted: str) -> Source:
    """A source that brings its labels, with all of them, none, or one attribute as the class."""
    if wanted in ("auto", "folder"):
        return source
    if wanted == "none":
        return replace(source, labels=None, classes=(), attributes=())
    if wanted in source.attributes and source.labels is not None:
        yes = (source.labels[:, source.attributes.index(wanted)] > 0.5).astype(np.int64)
        return replace(source, labels=yes, classes=(f"not {wanted}", wanted), attributes=())
    hint = did_you_mean(wanted, source.attributes)
    raise SimulacraError(
        "data.no_attribute", path=source.name, attribute=wanted, hint=hint, names=list(source.attributes)
    )
