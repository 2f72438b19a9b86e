"""Sort the files of a folder or archive by name: pictures, tables, and everything else."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from simulacra.data.items import FilePart, Item, ZipMember
from simulacra.data.rejects import Reject
from simulacra.messages import Message

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".icns", ".avif", ".heic", ".heif", ".hif", ".jp2"),
    *(".j2k", ".jpx", ".mpo", ".pcx", ".sgi", ".dds", ".qoi"),
)
TABLES = (".csv", ".tsv", ".jsonl")
SIDES = (".cls", ".json")  # labels beside each picture of a WebDataset
NAMED_TABLES = ("list_attr_celeba.txt", "dataset.json")
LINK_FAULTS = {
    errno.ELOOP: Message("data.link_to_itself"),
    errno.ENOENT: Message("data.link_to_nothing"),
    errno.EACCES: Message("data.no_permission"),
}


@dataclass
class Listing:
    """Files by what their names promise; `other_files` counts those that are neither pictures nor tables."""

    items: list[Item] = field(default_factory=list)
    tables: dict[str, FilePart | ZipMember] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    other_files: int = 0
    sides: dict[str, FilePart] = field(default_factory=dict)  # labels beside each picture of a WebDataset, by name

    def add(self, name: str, place: FilePart | ZipMember, stamp: str) -> None:
        """Add a file. Hidden files are only counted."""
        path = PurePosixPath(name)
        if any(part.startswith(".") or part == "__MACOSX" for part in path.parts):
            self.other_files += 1
        elif path.suffix.lower() in TABLES or path.name in NAMED_TABLES:
            self.tables[name] = place
        elif path.suffix.lower() in SUFFIXES:
            self.items.append(Item(name, place, stamp))
        else:
            self.other_files += 1

    def add_unreadable(self, name: str, error: OSError) -> None:
        """Add a file that `stat` failed on."""
        if PurePosixPath(name).suffix.lower() not in SUFFIXES:
            self.other_files += 1
            return
        self.rejects.append(Reject(name, LINK_FAULTS.get(error.errno or 0, Message("data.cannot_be_read"))))


def common_folder(names: Iterable[str]) -> tuple[str, ...]:
    """The folders that all these files share: archives often have one around everything."""
    common: tuple[str, ...] | None = None
    for name in names:
        parts = PurePosixPath(name).parts[:-1]
        common = parts if common is None else common
        while parts[: len(common)] != common:
            common = common[:-1]
    return common or ()
