"""What a folder or an archive holds: pictures, tables, and files that are neither."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from simulacra.data.items import FilePart, Item, ZipMember

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".icns", ".avif", ".heic", ".heif", ".hif", ".jp2"),
    *(".j2k", ".jpx", ".mpo", ".pcx", ".sgi", ".dds", ".qoi"),
)
TABLES = (".csv", ".tsv", ".jsonl")
NAMED_TABLES = ("list_attr_celeba.txt", "dataset.json")


@dataclass
class Listing:
    """Files sorted by what their names promise."""

    items: list[Item] = field(default_factory=list)
    tables: dict[str, FilePart | ZipMember] = field(default_factory=dict)
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    not_pictures: int = 0

    def add(self, name: str, place: FilePart | ZipMember, stamp: str) -> None:
        """Put one file where it belongs. Hidden files and what is no picture are only counted."""
        path = PurePosixPath(name)
        if any(part.startswith(".") or part == "__MACOSX" for part in path.parts):
            self.not_pictures += 1
        elif path.suffix.lower() in TABLES or path.name in NAMED_TABLES:
            self.tables[name] = place
        elif path.suffix.lower() in SUFFIXES:
            self.items.append(Item(name, place, stamp))
        else:
            self.not_pictures += 1

    def broken(self, name: str, error: OSError) -> None:
        """Note a file that cannot even be looked at."""
        if PurePosixPath(name).suffix.lower() not in SUFFIXES:
            self.not_pictures += 1
            return
        reasons = {
            errno.ELOOP: "a link to itself",
            errno.ENOENT: "a link to nothing",
            errno.EACCES: "may not be read (permission)",
        }
        self.set_aside.append((name, reasons.get(error.errno or 0, "cannot be read")))


def common_folder(names: Iterable[str]) -> tuple[str, ...]:
    """The folders that all of these lie in: archives like to have one around everything."""
    common: tuple[str, ...] | None = None
    for name in names:
        parts = PurePosixPath(name).parts[:-1]
        common = parts if common is None else common
        while parts[: len(common)] != common:
            common = common[:-1]
    return common or ()
