"""Folders that are read by file name: on this machine, or at an address such as s3://bucket/faces, through fsspec."""

from __future__ import annotations

import os
import posixpath
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from simulacra.errors import SimulacraError
from simulacra.files import disk_errors

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
TRIES = 5  # of a read, before it is given up
FIRST_WAIT = 0.2  # seconds before the second try; each further wait is twice as long
HOSTS = ("http", "https")  # protocols whose addresses begin with a host; in others it is a bucket of one's account
PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs", "hf": "huggingface-hub"}


class Store(Protocol):
    """A folder whose files are read by name."""

    place: str

    def read(self, name: str) -> bytes:
        """A whole file."""
        ...

    def read_range(self, name: str, start: int, size: int) -> bytes:
        """`size` bytes of a file from `start`; fewer where it ends before."""
        ...


class LocalFolder:
    """A folder on this machine."""

    def __init__(self, path: Path) -> None:
        self.path, self.place = path, str(path)

    def read(self, name: str) -> bytes:
        """A whole file. Raises SimulacraError where it cannot be read."""
        return self._read(name, lambda path: path.read_bytes())

    def read_range(self, name: str, start: int, size: int) -> bytes:
        """`size` bytes of a file from `start`. Raises SimulacraError where it cannot be read."""

        def part(path: Path) -> bytes:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(size)

        return self._read(name, part)

    def _read(self, name: str, read: Callable[[Path], bytes]) -> bytes:
        path = self.path / name
        try:
            return read(path)
        except FileNotFoundError as error:
            raise SimulacraError("files.missing", path=path) from error
        except OSError as error:
            raise SimulacraError("files.unreadable", path=path, reason=error.strerror) from error


class RemoteFolder:
    """A folder at an address. A read that fails is tried again a few times, with longer and longer waits between."""

    def __init__(self, address: str) -> None:
        """Raises SimulacraError for an address whose packages are not installed, or whose protocol is unknown."""
        self.place = address.rstrip("/")
        self.fs, self.root = _filesystem(self.place)

    def read(self, name: str) -> bytes:
        """A whole file. Raises SimulacraError where it cannot be read."""
        return self._patiently(name, lambda path: self.fs.cat_file(path))

    def read_range(self, name: str, start: int, size: int) -> bytes:
        """`size` bytes of a file from `start`. Raises SimulacraError where they cannot be read."""

        def part(path: str) -> bytes:
            data: bytes = self.fs.cat_file(path, start=start, end=start + size)
            if len(data) != size:  # a connection that broke off, or a server that ignores ranges
                raise OSError(f"{len(data)} bytes in place of {size}")
            return data

        return self._patiently(name, part)

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file."""
        try:
            self.fs.makedirs(self.root, exist_ok=True)
            self.fs.pipe_file(f"{self.root}/{name}", data)
        except Exception as error:  # each protocol raises its own
            raise SimulacraError("data.address_not_written", place=f"{self.place}/{name}", reason=error) from error

    def _patiently(self, name: str, read: Callable[[str], bytes]) -> bytes:
        wait, place = FIRST_WAIT, f"{self.place}/{name}"
        for attempt in range(1, TRIES + 1):
            try:
                return read(f"{self.root}/{name}")
            except (FileNotFoundError, PermissionError) as error:  # waiting does not help
                raise SimulacraError("data.address_missing", place=place, reason=error) from error
            except Exception as error:  # a network fails in any way, and each protocol raises its own exceptions
                if attempt == TRIES:
                    raise SimulacraError("data.address_unreadable", place=place, tries=TRIES, reason=error) from error
            time.sleep(wait)
            wait *= 2
        raise AssertionError  # the last try returns or raises


def is_address(where: object) -> bool:
    """Whether `where` is an address such as s3://bucket/faces, not a path."""
    return isinstance(where, str) and ADDRESS.match(where) is not None


def open_store(where: str | Path) -> Store:
    """The folder at a path or an address."""
    return RemoteFolder(str(where)) if is_address(where) else LocalFolder(Path(where).expanduser())


def relative(place: str, base: str) -> str:
    """How the folder `base` names `place`: relative where both are paths, or addresses of one protocol."""
    if is_address(place) != is_address(base):
        return place if is_address(place) else str(Path(place).resolve())
    if is_address(place):
        (protocol, rest), (own, start) = place.split("://", 1), base.split("://", 1)
        return posixpath.relpath(f"/{rest.lstrip('/')}", f"/{start.lstrip('/')}") if protocol == own else place
    try:
        return Path(os.path.relpath(Path(place).resolve(), Path(base).resolve())).as_posix()
    except ValueError:  # another drive of Windows
        return str(Path(place).resolve())


def resolve(place: str, base: str) -> str:
    """The path or address that the folder `base` calls `place`.

    Raises SimulacraError where an address names a path of this machine, an address of another protocol, or for HTTP
    another host: whoever wrote it could have anything read here.
    """
    if not is_address(base):
        return place if is_address(place) else os.path.normpath(Path(base) / place)
    protocol, rest = base.split("://", 1)
    if is_address(place):
        resolved = place
    else:
        path = posixpath.normpath(posixpath.join("/", rest.lstrip("/"), place)).lstrip("/")
        resolved = f"{protocol}://{'/' if rest.startswith('/') else ''}{path}"
    same_protocol = resolved.split("://", 1)[0] == protocol and not posixpath.isabs(place) and "\\" not in place
    if not same_protocol or (protocol in HOSTS and urlsplit(resolved).netloc != urlsplit(base).netloc):
        raise SimulacraError("data.foreign_place", place=place, base=base, protocol=protocol)
    return resolved


def write_to(place: str, files: Path) -> None:
    """Copy the files of a folder to an address, `data.json` last."""
    folder = RemoteFolder(place)
    for file in sorted(files.iterdir(), key=lambda path: path.name == "data.json"):
        with disk_errors(file):
            folder.write(file.name, file.read_bytes())


def _filesystem(address: str) -> tuple[Any, str]:
    protocol = address.split("://", 1)[0].lower()
    try:
        from fsspec.core import url_to_fs

        fs, root = url_to_fs(address)
    except ImportError as error:
        install = PACKAGES.get(protocol, "'simulacra[remote]'")
        raise SimulacraError("data.address_needs_package", place=address, install=install) from error
    except Exception as error:  # an unknown protocol, or settings that are refused
        raise SimulacraError("data.address_refused", place=address, reason=error) from error
    return fs, root.rstrip("/")
