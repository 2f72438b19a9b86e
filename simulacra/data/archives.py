"""Recognise and list zip, tar, IDX and CIFAR files. Nothing is extracted under a name that an archive chooses."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from simulacra.data.arrays import read_cifar
from simulacra.data.contents import Listing
from simulacra.data.items import FilePart, ZipMember, printable
from simulacra.data.rejects import Reject
from simulacra.errors import SimulacraError
from simulacra.messages import Message

LINK = Message("data.link_in_archive")
CIFAR_FOLDERS = ("cifar-10-batches-py", "cifar-100-python")
CIFAR_PARTS = (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "train", "test")


@dataclass(frozen=True)
class CifarFiles:
    """The files of a CIFAR archive: (name, file) of each batch of pictures, and the file with the class names."""

    data: Sequence[tuple[str, FilePart]]
    meta: FilePart
    stamp: str

    def class_names(self) -> tuple[str, ...]:
        """The ten names, or the hundred fine ones."""
        meta = read_cifar(self.meta.read(), "meta")
        names = meta.get("label_names") or meta.get("fine_label_names") or []
        return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)


def is_idx(name: str) -> bool:
    """Whether a file name is that of IDX pictures, such as train-images-idx3-ubyte.gz."""
    return "idx3" in name and name.endswith(("ubyte", "ubyte.gz")) and not name.startswith(".")


def idx_labels_of(images: Path) -> Path | None:
    """The file of labels beside a file of IDX pictures, compressed or not; None if there is none."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    return next((p for p in (images.with_name(name), images.with_name(f"{name}.gz")) if p.exists()), None)


def is_zip(path: Path) -> bool:
    """Whether the file is a zip, whatever its name."""
    return zipfile.is_zipfile(path)


def is_tar(path: Path) -> bool:
    """Whether the file is a tar, compressed or not."""
    try:
        return tarfile.is_tarfile(path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return False


def uncompressed(path: Path, scratch: Path) -> Path:
    """The tar itself, or its uncompressed copy in the folder `scratch`: a tar with random access."""
    with path.open("rb") as file:
        start = file.read(6)
    openers: dict[bytes, Callable[[Path, Literal["rb"]], IO[bytes]]] = {
        b"\x1f\x8b": gzip.open,  # type: ignore[dict-item]
        b"BZ": bz2.open,
        b"\xfd7": lzma.open,
    }
    if start[:2] not in openers:
        return path
    out = scratch / "pictures.tar"
    try:
        with openers[start[:2]](path, "rb") as compressed, out.open("wb") as plain:
            shutil.copyfileobj(compressed, plain, 1 << 20)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise _damaged(path, error) from error
    return out


def list_tar(path: Path) -> Listing:
    """The files of an uncompressed tar, each as a part of it. Links are rejected."""
    listing = Listing()
    stat = path.stat()
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                name = printable(member.name).removeprefix("./")
                if member.isreg():
                    part = FilePart(str(path), member.offset_data, member.size, (stat.st_size, stat.st_mtime_ns))
                    listing.add(name, part, f"{member.size}.{member.mtime:.0f}")
                elif member.issym() or member.islnk():
                    listing.rejects.append(Reject(name, LINK))
    except (tarfile.TarError, OSError) as error:
        raise _damaged(path, error) from error
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
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if name.parts and name.parts[0] not in CIFAR_FOLDERS:
                    return None
                parts[name.name] = FilePart(str(path), member.offset_data, member.size)
    except tarfile.TarError as error:
        raise _damaged(path, error) from error
    meta = parts.get("batches.meta") or parts.get("meta")
    data = [(name, parts[name]) for name in CIFAR_PARTS if name in parts]
    return CifarFiles(data, meta, f"{stat.st_size}.{stat.st_mtime_ns}") if meta and data else None


def _damaged(path: Path, error: Exception) -> SimulacraError:
    return SimulacraError("data.damaged_archive", path=path, reason=str(error))
