"""Recognise and list zip, tar, IDX and CIFAR files. Nothing is extracted under a name that an archive chooses."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Self

from simulacra.data.arrays import read_cifar
from simulacra.data.contents import NAMED_TABLES, SIDES, Listing
from simulacra.data.items import FilePart, ZipMember, printable, read_errors
from simulacra.data.rejects import Reject, UnusablePicture
from simulacra.data.unpacking import write_within_room
from simulacra.errors import SimulacraError
from simulacra.messages import Message

LINK = Message("data.link_in_archive")
CIFAR_FOLDERS = ("cifar-10-batches-py", "cifar-100-python")
CIFAR_BYTES = 256 << 20  # of a part, at most; the largest has 155 MB
NAME_BYTES = 1 << 20  # of a header for long names, at most: tarfile reads it into memory
LONG_HEADERS = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
CHUNK = 1 << 20  # bytes
CIFAR_PARTS = (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "train", "test")


@dataclass(frozen=True)
class CifarFiles:
    """The files of a CIFAR archive: (name, file) of each batch of pictures, and the file with the class names."""

    data: Sequence[tuple[str, FilePart]]
    meta: FilePart
    stamp: str

    def class_names(self) -> tuple[str, ...]:
        """The ten names, or the hundred fine ones."""
        meta = read_cifar(read_cifar_part(self.meta), "meta")
        names = meta.get("label_names") or meta.get("fine_label_names") or []
        return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)


class _Member(tarfile.TarInfo):
    """A member of a tar, none of whose headers is large."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The member of a header block. Raises TarError for one that announces a large header."""
        member = super().frombuf(buf, encoding, errors)
        if member.type in LONG_HEADERS and member.size > NAME_BYTES:
            raise tarfile.ReadError(f"a header of {member.size:,} bytes")
        return member


def read_cifar_part(part: FilePart) -> bytes:
    """The bytes of a file of CIFAR. Raises SimulacraError for one that cannot be read, or is too large."""
    try:
        with read_errors():
            return part.read(CIFAR_BYTES)
    except UnusablePicture as error:
        raise SimulacraError("data.damaged_archive", path=part.path, reason=error.reason) from error


def is_idx(name: str) -> bool:
    """Whether a file name is that of IDX pictures, such as train-images-idx3-ubyte.gz."""
    return "idx3" in name and name.endswith(("ubyte", "ubyte.gz")) and not name.startswith(".")


def idx_labels_of(images: Path) -> Path | None:
    """The file of labels beside a file of IDX pictures, compressed or not; None if there is none."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    return next((p for p in (images.with_name(name), images.with_name(f"{name}.gz")) if p.is_file()), None)


def is_zip(path: Path) -> bool:
    """Whether the file is a zip, whatever its name."""
    return zipfile.is_zipfile(path)


def is_tar(path: Path) -> bool:
    """Whether the file is a tar, compressed or not."""
    try:
        with _opener(path)(path, "rb") as file:
            _Member.frombuf(file.read(tarfile.BLOCKSIZE), tarfile.ENCODING, "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return True  # an empty one
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError):
        return False
    return True


def uncompressed(path: Path, scratch: Path) -> Path:
    """The tar itself, or its uncompressed copy in the folder `scratch`: a tar with random access."""
    opener = _opener(path)
    if opener is open:
        return path
    out = scratch / "pictures.tar"
    try:
        with opener(path, "rb") as compressed, out.open("wb") as plain:
            write_within_room(iter(partial(compressed.read, CHUNK), b""), plain, path, scratch)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise _damaged(path, error) from error
    return out


def _opener(path: Path) -> Callable[[Path, Literal["rb"]], IO[bytes]]:
    """What opens a file as it was before it was compressed."""
    openers: dict[bytes, Callable[[Path, Literal["rb"]], IO[bytes]]] = {
        b"\x1f\x8b": gzip.open,  # type: ignore[dict-item]
        b"BZ": bz2.open,
        b"\xfd7": lzma.open,
    }
    with path.open("rb") as file:
        return openers.get(file.read(2), open)


def _members(path: Path) -> Iterator[tarfile.TarInfo]:
    """The members of an uncompressed tar, in constant memory. Raises SimulacraError for a damaged one."""
    try:
        with tarfile.open(path, "r:", tarinfo=_Member) as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]
                yield member
    except (tarfile.TarError, OSError) as error:
        raise _damaged(path, error) from error


def list_tar(path: Path, listing: Listing | None = None, prefix: str = "") -> Listing:
    """The files of an uncompressed tar, each as a part of it, added to a listing. Links are rejected."""
    listing = Listing() if listing is None else listing
    stamp = path.stat().st_size, path.stat().st_mtime_ns
    for member in _members(path):
        name = prefix + printable(member.name).removeprefix("./")
        if member.isreg():
            part = FilePart(str(path), member.offset_data, member.size, stamp)
            if name.endswith(SIDES) and PurePosixPath(name).name not in NAMED_TABLES:
                listing.sides[name] = part
            listing.add(name, part, f"{member.size}.{member.mtime:.0f}")
        elif member.issym() or member.islnk():
            listing.rejects.append(Reject(name, LINK))
    return listing


def list_zip(path: Path) -> Listing:
    """The files of a zip."""
    listing = Listing()
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    place = ZipMember(str(path), info.filename)
                    listing.add(printable(info.filename), place, f"{info.file_size}.{info.CRC}")
    except (zipfile.BadZipFile, OSError) as error:
        raise _damaged(path, error) from error
    return listing


def cifar_files(path: Path) -> CifarFiles | None:
    """CIFAR's files, or None if the tar holds other folders than CIFAR's."""
    stat = path.stat()
    parts: dict[str, FilePart] = {}
    for member in _members(path):
        name = PurePosixPath(member.name)
        if name.parts and name.parts[0] not in CIFAR_FOLDERS:
            return None
        parts[name.name] = FilePart(str(path), member.offset_data, member.size)
    meta = parts.get("batches.meta") or parts.get("meta")
    data = [(name, parts[name]) for name in CIFAR_PARTS if name in parts]
    return CifarFiles(data, meta, f"{stat.st_size}.{stat.st_mtime_ns}") if meta and data else None


def _damaged(path: Path, error: Exception) -> SimulacraError:
    return SimulacraError("data.damaged_archive", path=path, reason=str(error))
