"""Files are written aside and renamed: what stands under its own name is whole, whatever was killed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from simulacra.errors import SimulacraError

ASIDE = re.compile(r"\..+\.[a-z0-9_]{8}")  # `.NAME.` and eight more: what is being written, or thrown away


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a missing permission or a file in the way into one sentence that names the place."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SimulacraError(
                f"The disk is full: {path} could not be written. Free some room and try again."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise SimulacraError(f"{path} may not be written: check its permissions.") from error
        if isinstance(error, (FileExistsError, NotADirectoryError)):
            raise SimulacraError(f"{path} cannot be written: a file stands where a folder is needed.") from error
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG, errno.EINVAL):
            raise SimulacraError(f"{path} cannot be written here ({error.strerror}): choose another place.") from error
        raise


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes its name only when the block ends well; the old one stays until then."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        aside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            aside.chmod(0o666 & ~_umask())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_written_aside(path: Path) -> Iterator[Path]:
    """A folder to fill; it takes its name only when the block ends well. `path` must not exist by then."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            yield aside
            for file in aside.rglob("*"):
                if file.is_file():
                    with file.open("rb") as opened:
                        os.fsync(opened.fileno())
            aside.chmod(0o777 & ~_umask())
            aside.rename(path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def discard(folder: Path) -> None:
    """Delete a folder that stands under its own name: renamed first, so that half of it is never met there."""
    aside = folder.rename(folder.with_name(f".{folder.name}.deletion"))
    shutil.rmtree(aside, ignore_errors=True)


def leftovers(folder: Path) -> list[Path]:
    """What a killed process left aside in a folder."""
    return [path for path in folder.glob(".*") if ASIDE.fullmatch(path.name)]


def sweep(folder: Path) -> None:
    """Delete what a killed process left aside in a folder. Only for one that nobody else writes to now."""
    for path in leftovers(folder):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, aside and renamed. NaN and infinity are refused (they are not JSON)."""
    with written_aside(path) as file:
        file.write((json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file; a missing or broken one is a sentence, not a traceback."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SimulacraError(f"{path} is missing.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SimulacraError(f"{path} is not readable JSON ({error}).") from error


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
