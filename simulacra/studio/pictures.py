"""Pictures on their way into the studio: uploads, and what the first look at them shows."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simulacra.data.decoding import DecodeOptions, decode
from simulacra.data.prepare_options import PrepareOptions, parse_crop, parse_size
from simulacra.data.rejects import UnusablePicture
from simulacra.data.sources import open_source
from simulacra.errors import SimulacraError
from simulacra.explore.refusals import TooLarge
from simulacra.files import disk_errors
from simulacra.studio.names import safe_name, safe_path, unused

PLACE = "pictures"  # folder of uploads, in the studio's folder
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
PICTURE_BYTES, ARCHIVE_BYTES = 128 << 20, 16 << 30  # of a file, at most
TOGETHER = "tar"  # name of a body that holds many files
ROOM = 512 << 20  # bytes of the disk that stay free
READING = threading.Lock()  # sources share their open archives
EXAMPLES = 5
TRIES = 40  # pictures that are looked at for the examples
UNDECIDED = (64, 64)  # size of the examples where `prepare` chooses the size


def new_folder(root: Path, name: str) -> str:
    """Make a folder for an upload; returns its path in the studio's folder."""
    place = root / PLACE
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        folder = unused(place, safe_name(name))
        folder.mkdir()
    return folder.relative_to(root).as_posix()


async def receive(folder: Path, path: str, content: AsyncIterator[bytes]) -> int:
    """Write one uploaded file below `folder`; returns its bytes. The file appears when it is whole.

    Raises `TooLarge` beyond a limit, and `SimulacraError` for a bad path or a full disk.
    """
    target = folder / safe_path(path)
    most = ARCHIVE_BYTES if target.name.lower().endswith(ARCHIVES) else PICTURE_BYTES
    with disk_errors(target), _arriving(target) as file:
        return await _write(file, content, min(most, _room(folder)), path)


async def receive_many(folder: Path, content: AsyncIterator[bytes]) -> int:
    """Write the files of an uploaded tar below `folder`, so that many small ones are one request; returns how many.

    Raises `TooLarge` beyond a limit, and `SimulacraError` for a bad path, a damaged tar or a full disk.
    """
    with disk_errors(folder), tempfile.TemporaryFile(dir=folder) as file:
        await _write(file, content, min(PICTURE_BYTES, _room(folder)), TOGETHER)
        file.seek(0)
        return await asyncio.to_thread(_unpack, file, folder)


def _unpack(file: IO[bytes], folder: Path) -> int:
    count = 0
    try:
        with tarfile.open(fileobj=file, mode="r:") as packed:
            for member in packed:
                content = packed.extractfile(member) if member.isreg() else None
                if content is None:
                    raise SimulacraError("studio.bad_path", path=member.name[:80])
                target = folder / safe_path(member.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with _arriving(target) as arriving:
                    shutil.copyfileobj(content, arriving)
                count += 1
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise SimulacraError("studio.damaged_upload") from error
    return count


async def _write(file: IO[bytes], content: AsyncIterator[bytes], most: int, path: str) -> int:
    """Write a body of at most `most` bytes; `path` is for the error."""
    size = 0
    async for part in content:
        size += len(part)
        if size > most:
            raise TooLarge("studio.file_too_large", path=path[:80], limit=most >> 20)
        file.write(part)
    return size


def _room(folder: Path) -> int:
    """Bytes that may still be written."""
    return max(0, shutil.disk_usage(folder).free - ROOM)


@contextlib.contextmanager
def _arriving(target: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name when the block ends without an error. Unlike `atomic_file` it is not synced: it can be sent again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


def source_of(folder: Path) -> Path:
    """What to prepare of an upload: its only file where that is an archive, else the folder."""
    files = [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
    if len(files) == 1 and files[0].name.lower().endswith(ARCHIVES):
        return files[0]
    return folder


def examples(source: str | Path, size: str, crop: str) -> bytes:
    """A few pictures of a source, spread over it, as `prepare` would make them, side by side (PNG).

    Raises `SimulacraError` for an impossible size or crop, and for a source without usable pictures.
    """
    options = PrepareOptions(size=parse_size(size), crop=parse_crop(crop))
    given = UNDECIDED if isinstance(options.size, str) else options.size
    decoding = DecodeOptions(size=given, channels="rgb", crop=options.crop)
    shown: list[NDArray[np.uint8]] = []
    with READING, open_source(source) as opened:
        count = len(opened.items)
        spread = sorted({round(place * (count - 1) / max(1, TRIES - 1)) for place in range(TRIES)}) if count else []
        order = [*spread[:: max(1, len(spread) // EXAMPLES)], *spread]
        for number in dict.fromkeys(order):
            if len(shown) == EXAMPLES:
                break
            try:
                shown.append(decode(opened.items[number].read(), decoding)[0])
            except UnusablePicture:
                continue
    if not shown:
        raise SimulacraError("studio.no_pictures", source=Path(source).name)
    sheet = np.concatenate(
        [picture if picture.shape[-1] == 3 else np.repeat(picture, 3, -1) for picture in shown], axis=1
    )
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "png")
    return file.getvalue()
