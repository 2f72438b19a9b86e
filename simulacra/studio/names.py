"""Names and paths that a page sends: checked, and never outside the studio's folder."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePosixPath

from simulacra.errors import SimulacraError

MOST_LETTERS = 80  # of a name
DEEPEST = 8  # folders within folders
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')  # in a file's name, on one system or another
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # on Windows


def safe_name(text: str, otherwise: str = "pictures") -> str:
    """A name of a file or folder like `text` that every system takes; `otherwise` where nothing of it is left."""
    name = FORBIDDEN.sub("_", unicodedata.normalize("NFC", text))
    name = name.strip().lstrip(".-").rstrip(". ")
    stem, dot, suffix = name.rpartition(".")
    if len(name) > MOST_LETTERS and dot and len(suffix) <= 8:  # the ending says what the file is
        name = f"{stem[: MOST_LETTERS - 1 - len(suffix)]}.{suffix}"
    name = name[:MOST_LETTERS].rstrip(". ")
    if RESERVED.fullmatch(name):
        name = f"_{name}"
    return name or otherwise


def safe_path(text: str) -> PurePosixPath:
    """A relative path of safe names. Raises `SimulacraError` for one that leads upwards or is too deep."""
    parts = PurePosixPath(text.replace("\\", "/")).parts
    if not parts or parts[0] == "/" or ".." in parts or len(parts) > DEEPEST:
        raise SimulacraError("studio.bad_path", path=text[:80])
    return PurePosixPath(*(safe_name(part, "_") for part in parts))


def unused(folder: Path, name: str) -> Path:
    """`folder / name`, with a number behind it where that is taken."""
    path, number = folder / name, 2
    while path.exists():
        path = folder / f"{name}-{number}"
        number += 1
    return path


def inside(root: Path, text: str) -> Path:
    """The path of something that exists in `root`, by its relative path. Raises `SimulacraError`."""
    path = root / text
    if text and not PurePosixPath(text).is_absolute() and "\0" not in text and path.exists():
        real, whole = path.resolve(), root.resolve()
        if real != whole and real.is_relative_to(whole) and not any(part.startswith(".") for part in Path(text).parts):
            return path
    raise SimulacraError("studio.not_there", path=text[:80])
