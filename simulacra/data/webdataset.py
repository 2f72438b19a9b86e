"""Tars as the WebDataset library reads them: a picture `KEY.jpg` has its label in `KEY.cls` or `KEY.json` beside it."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from simulacra.data.archives import list_tar
from simulacra.data.contents import Listing
from simulacra.data.items import read_errors
from simulacra.data.label_tables import CLASS_COLUMNS, Table
from simulacra.data.rejects import UnusablePicture

TITLE = "label"
MAX_BYTES = 1 << 20  # of a file with a label


def tars_in(folder: Path) -> list[Path]:
    """The tars in a folder, by name."""
    return sorted(path for path in folder.glob("*.tar") if path.is_file())


def list_tars(tars: list[Path]) -> Listing:
    """The files of all tars; each name begins with that of its tar."""
    listing = Listing()
    for tar in tars:
        list_tar(tar, listing, f"{tar.stem}/")
    return listing


def side_table(listing: Listing) -> Table | None:
    """The labels beside the pictures as a table; None where no picture has any."""
    sides = {_key(name): place for name, place in listing.sides.items() if name.endswith(".json")}
    sides |= {_key(name): place for name, place in listing.sides.items() if name.endswith(".cls")}
    rows = {}
    for item in listing.items:
        if (place := sides.get(_key(item.name))) is not None:
            try:
                with read_errors():
                    label = _label(place.read(MAX_BYTES))
            except UnusablePicture:
                continue  # as a picture without a label, which is set aside with this reason
            if label:
                rows[item.name] = [label]
    return Table("WebDataset", (TITLE,), rows, len(rows)) if rows else None


def _key(name: str) -> str:
    """What the files of one sample share: the name up to the first dot behind the folders."""
    path = PurePosixPath(name)
    return str(path.parent / path.name.split(".", 1)[0])


def _label(data: bytes) -> str:
    """The label in a file: a number or a word, or an entry of a JSON object; empty where there is none."""
    text = data.decode("utf-8", "replace").strip()
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(record, dict):
        return text
    named = {str(key).lower(): value for key, value in record.items()}
    value = next((named[key] for key in (*CLASS_COLUMNS, "cls") if key in named), "")
    return str(value).strip() if isinstance(value, str | int) else ""
