"""Ranges of layers as text, `0-3`, and truncation by ranges, `0-3=0.5,4-7=0.8`."""

from __future__ import annotations

from simulacra.errors import SimulacraError
from simulacra.generator import LayerTruncation

MAX_TRUNCATION = 2.0  # absolute value


def parse_layers(text: str) -> tuple[int, int] | None:
    """`0-3` -> (0, 4) and `2` -> (2, 3), (first, end) with the end excluded; None for an empty text."""
    if not text:
        return None
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
        raise SimulacraError("latent.not_layers", text=text)
    return int(first), int(last or first) + 1


def format_layers(layers: tuple[int, int]) -> str:
    """(0, 4) -> `0-3`."""
    return f"{layers[0]}-{layers[1] - 1}"


def parse_layer_truncation(text: str) -> LayerTruncation:
    """`0-3=0.5,4-7=0.8` -> {(0, 4): 0.5, (4, 8): 0.8}. Raises `SimulacraError` for anything else."""
    values: dict[tuple[int, int], float] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, _, amount = word.partition("=")
        layers = parse_layers(name.strip())
        try:
            psi = float(amount)
        except ValueError:
            psi = float("nan")
        if layers is None or not abs(psi) <= MAX_TRUNCATION:
            raise SimulacraError("latent.not_layer_truncation", word=word, most=MAX_TRUNCATION)
        values[layers] = psi
    return values
