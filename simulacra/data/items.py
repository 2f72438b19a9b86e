"""Where a picture is stored: in a file, a zip, an array. Small values that can be sent to a worker process."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from simulacra.data.rejects import UnusablePicture

NUMBER = re.compile(r"\d+")
MAX_DIGITS = 4000  # that Python converts to a number
MAX_BYTES = 1 << 30  # larger picture files are not read into memory


@dataclass(frozen=True, slots=True)
class FilePart:
    """A whole file, or `size` bytes of one from `offset` (a member of a tar)."""

    path: str
    offset: int = 0
    size: int | None = None
    stamp: tuple[int, int] | None = None  # size and mtime in ns when the source was listed

    def read(self, most: int = MAX_BYTES) -> bytes:
        """The bytes. Raises UnusablePicture for a file that has changed, is not a regular one, or has more than `most`."""
        # O_NONBLOCK: opening a named pipe called x.png would wait for ever.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(self.path, flags), "rb") as file:
            now = os.fstat(file.fileno())
            if not stat.S_ISREG(now.st_mode):
                raise UnusablePicture("data.not_a_regular_file")
            if self.stamp is not None and self.stamp != (now.st_size, now.st_mtime_ns):
                raise UnusablePicture("data.changed_while_reading")
            size = now.st_size if self.size is None else self.size
            if size > most:
                raise UnusablePicture("data.too_many_bytes", limit=most >> 20)
            file.seek(self.offset)
            return file.read(size)


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A member of a zip."""

    path: str
    member: str

    def read(self, most: int = MAX_BYTES) -> bytes:
        """The bytes. Raises UnusablePicture for a member that is encrypted, damaged, or larger than `most` bytes."""
        archive = _zip(self.path)
        info = archive.getinfo(self.member)
        if info.flag_bits & 1:
            raise UnusablePicture("data.encrypted")
        if info.file_size > most:
            raise UnusablePicture("data.too_many_bytes", limit=most >> 20)
        try:
            with archive.open(info) as file:
                # Without a number, a member is unpacked whole even if it holds more than it says.
                return file.read(info.file_size)
        except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error) as error:
            raise UnusablePicture("data.damaged_picture", str(error)) from error


@dataclass(frozen=True, slots=True)
class ArrayRow:
    """Row `index` of an .npy file with pictures [N, H, W] or [N, H, W, C] uint8."""

    path: str
    index: int

    def read(self) -> NDArray[np.uint8]:
        """The pixels."""
        pixels: NDArray[np.uint8] = np.array(_array(self.path)[self.index])
        return pixels


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """Picture `index` of a dataset that was joined from shards."""

    dataset: str
    index: int

    def read(self) -> NDArray[np.uint8]:
        """The pixels. Raises SimulacraError where they do not match their hash."""
        pixels: NDArray[np.uint8] = _images(self.dataset)[self.index]
        return pixels


@dataclass(frozen=True, slots=True)
class ParquetRow:
    """A row of a row group of a parquet file, in its column of pictures."""

    path: str
    column: str
    group: int
    row: int

    def read(self) -> bytes:
        """The bytes. Raises UnusablePicture for a row without a picture, ValueError for a damaged file."""
        from simulacra.data.parquet import read_picture  # which needs an extra

        data = read_picture(self.path, self.column, self.group, self.row)
        if data is None:
            raise UnusablePicture("data.no_picture_in_row")
        return data


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a source. `name` and `folder` are printable; `stamp` identifies its version."""

    name: str
    place: FilePart | ZipMember | ArrayRow | DatasetRow | ParquetRow
    stamp: str = ""

    @property
    def folder(self) -> str:
        """Its folder in the source, "" at the top."""
        parent = str(PurePosixPath(self.name).parent)
        return "" if parent == "." else parent

    def read(self) -> bytes | NDArray[np.uint8]:
        """A file's bytes, or pixels. Raises UnusablePicture, and nothing else."""
        with read_errors():
            return self.place.read()


@contextlib.contextmanager
def read_errors() -> Iterator[None]:
    """Convert every exception of reading a file to UnusablePicture."""
    try:
        yield
    except FileNotFoundError as error:
        raise UnusablePicture("data.gone_while_reading") from error
    except PermissionError as error:
        raise UnusablePicture("data.no_permission") from error
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise UnusablePicture("data.cannot_be_read", str(error)) from error


def natural(name: str) -> tuple[str, str]:
    """A sort key that puts `face10` after `face9`: numbers are compared by their length first, and come before letters."""
    return NUMBER.sub(_sortable, name.casefold()), name


def _sortable(number: re.Match[str]) -> str:
    digits = str(int(number[0])) if len(number[0]) < MAX_DIGITS else number[0]
    return f"\0{chr(len(digits))}{digits}"  # one text for each name: millions of them are sorted


def printable(name: str | bytes) -> str:
    """A file name as printable text: bytes that are not UTF-8 become `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def close_all() -> None:
    """Close the archives and arrays that this process has opened."""
    _zip.cache_clear()
    _array.cache_clear()
    _images.cache_clear()
    if parquet := sys.modules.get("simulacra.data.parquet"):
        parquet.close()


@lru_cache(maxsize=2)
def _zip(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


@lru_cache(maxsize=8)
def _array(path: str) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = np.load(Path(path), mmap_mode="r", allow_pickle=False)
    return pixels


@lru_cache(maxsize=2)
def _images(dataset: str) -> NDArray[np.uint8]:
    from simulacra.data.opening import open_domain  # which imports more than items are worth

    return open_domain(dataset).images
