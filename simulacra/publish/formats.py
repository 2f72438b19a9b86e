"""The format of an export: by its option, or by the suffix of the name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from simulacra.errors import SimulacraError

Format = Literal["onnx", "html", "folder"]
SUFFIXES: dict[str, Format] = {".onnx": "onnx", ".html": "html"}


def format_of(out: Path, chosen: Format | None = None) -> Format:
    """The format to write `out` in. Raises `SimulacraError` for a suffix that says none, or another than `chosen`."""
    by_name = SUFFIXES.get(out.suffix.lower())
    if chosen is None and by_name is None:
        names = [out.with_suffix(suffix).name for suffix in SUFFIXES]
        raise SimulacraError("export.unknown_format", path=out, onnx=names[0], html=names[1])
    if chosen is None or chosen == by_name:
        assert by_name is not None
        return by_name
    if chosen == "folder":
        if by_name is None:
            return chosen
        raise SimulacraError("export.not_a_folder", path=out, name=out.stem)
    raise SimulacraError("export.wrong_suffix", path=out, format=chosen, name=out.with_suffix(f".{chosen}").name)
