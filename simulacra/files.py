"""Atomic writes: files and folders get a temporary name and are renamed when complete, so none is left half-written."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from filelock import BaseFileLock, FileLock, Timeout

from simulacra.errors import SimulacraError

JsonObject = dict[str, Any]  # from a JSON file

CLAIM = ".lock"  # in a folder of `claimed_folder`, held by the process that writes it
CLAIM_SECONDS = 60.0  # that a folder may be without it
ABANDONED_SECONDS = 600.0  # since the last write to a temporary file
SUFFIX = len(".12345678")  # of a temporary name
TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")  # `.NAME.` and eight characters, during a write or a deletion


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Convert common disk errors (full, no permission, file in the way) to a `SimulacraError` about `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SimulacraError("files.disk_full", path=path) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise SimulacraError("files.not_permitted", path=path) from error
        if isinstance(error, (FileExistsError, NotADirectoryError)):
            raise SimulacraError("files.file_in_the_way", path=path) from error
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG, errno.EINVAL):
            raise SimulacraError("files.cannot_write", path=path, reason=error.strerror) from error
        raise


def sync(file: BinaryIO) -> None:
    """Wait until what was written to an open file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that replaces `path` when the block ends without an error."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                sync(file)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path, begun: Path | None = None) -> Iterator[Path]:
    """A folder that becomes `path` when the block ends without an error. `path` must not exist by then.

    begun: such a folder of a killed process, to be used again.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = begun or Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    with file.open("rb+") as handle:  # Windows refuses to sync what is open for reading alone
                        os.fsync(handle.fileno())
            temporary.chmod(0o777 & ~_umask())
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def claimed_folder(path: Path, is_begun: Callable[[Path], bool] = lambda folder: False) -> Iterator[Path]:
    """`atomic_folder` for long work: what killed processes left of the same `path` is deleted, while others go on.

    is_begun: whether a folder of a killed process holds the same work; it is used again.
    """
    claim: BaseFileLock | None = None
    for folder in path.parent.glob(f".{glob.escape(path.name)}.*"):
        if folder.is_dir() and len(folder.suffix) == SUFFIX and _is_abandoned(folder):
            if claim or not is_begun(folder):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            lock = FileLock(folder / CLAIM)
            with contextlib.suppress(Timeout):  # another process was faster
                lock.acquire(timeout=0)
                claim = lock
    with atomic_folder(path, Path(claim.lock_file).parent if claim else None) as temporary:
        if claim is None:
            claim = FileLock(temporary / CLAIM)
            claim.acquire()
        try:
            yield temporary
        finally:
            claim.release()
        (temporary / CLAIM).unlink(missing_ok=True)


def _is_abandoned(folder: Path) -> bool:
    """Whether no process works in a folder of `claimed_folder`: it would hold the lock, or be about to take or drop it."""
    lock = folder / CLAIM
    if not lock.exists():
        return time.time() - folder.stat().st_mtime > CLAIM_SECONDS
    try:
        with FileLock(lock, timeout=0):
            return True
    except Timeout:
        return False


def discard(folder: Path) -> None:
    """Delete a folder, renaming it first, so that a kill leaves no half-deleted one under its name."""
    temporary = folder.rename(folder.with_name(f".{folder.name}.deletion"))
    shutil.rmtree(temporary, ignore_errors=True)


def leftovers(folder: Path) -> list[Path]:
    """Temporary files and folders of a killed process in `folder`."""
    return [path for path in folder.glob(".*") if TEMPORARY.fullmatch(path.name)]


def discard_abandoned(path: Path) -> None:
    """Delete what a killed process left of `path`: temporary files that nobody has written to for a while."""
    for file in path.parent.glob(f".{glob.escape(path.name)}.*"):
        if TEMPORARY.fullmatch(file.name) and file.is_file() and time.time() - file.stat().st_mtime > ABANDONED_SECONDS:
            file.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete temporary files of a killed process. Safe only while no other process writes to `folder`."""
    for path in leftovers(folder):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. Raises `ValueError` for NaN and infinity, which JSON lacks."""
    with atomic_file(path) as file:
        file.write((json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises `SimulacraError` if it is missing, damaged or not a regular file."""
    try:
        if path.exists() and not path.is_file():  # reading a named pipe would wait for ever
            raise SimulacraError("files.not_a_file", path=path)
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SimulacraError("files.missing", path=path) from error
    except OSError as error:
        raise SimulacraError("files.unreadable", path=path, reason=error.strerror) from error
    except (ValueError, RecursionError) as error:
        raise SimulacraError("files.not_json", path=path, reason=error) from error


def append_json_line(path: Path, value: Any) -> None:
    """Append `value` as one line of JSON; a line that a kill cut short stays apart."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = not path.exists() or path.read_bytes()[-1:] in (b"\n", b"")
        with path.open("ab") as file:
            file.write((b"" if whole else b"\n") + (json.dumps(value, allow_nan=False) + "\n").encode())
            sync(file)


def read_json_lines(path: Path) -> list[Any]:
    """The lines of a file of JSON lines, without those that cannot be read; empty where there is no file."""
    values: list[Any] = []
    if path.exists():
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                values.append(json.loads(line))
    return values


def cache_folder() -> Path:
    """The folder of what can be computed or downloaded again: $SIMULACRA_CACHE, or the user's cache folder."""
    import platformdirs

    chosen = os.environ.get("SIMULACRA_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("simulacra")


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
