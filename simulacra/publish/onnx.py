"""A generator as ONNX: latents z [N, z] in, pictures [N, C, H, W] float32 in [-1, 1] out; N is free.

A conditional one takes y [N, labels] float32, too: one-hot for a class, or attributes in [0, 1].
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from simulacra.doctor import missing
from simulacra.errors import SimulacraError
from simulacra.files import written_aside
from simulacra.game import Generator


def export(generator: Generator, out: Path) -> Path:
    """Write `generator` to the file `out`. Raises `SimulacraError` when the extra is missing or `out` exists."""
    if gone := missing("onnx"):
        raise SimulacraError(f"Exporting to ONNX needs {', '.join(gone)}: pip install 'simulacra[onnx]'")
    if out.exists():
        raise SimulacraError(f"{out} exists: choose another name.")
    inputs = {"z": generator.seeded([0, 1]), "y": generator.labelled([0, 1])}
    inputs = {name: value for name, value in inputs.items() if value is not None}
    several = torch.export.Dim("N")
    names = {
        "input_names": list(inputs),
        "output_names": ["images"],
        "dynamic_shapes": {name: {0: several} for name in inputs},
    }
    with tempfile.TemporaryDirectory() as folder, _silence():
        aside = Path(folder) / "G.onnx"
        torch.onnx.export(
            generator.eval(),
            tuple(inputs.values()),
            aside,
            dynamo=True,
            external_data=False,
            verbose=False,
            **names,  # type: ignore[arg-type]
        )
        with written_aside(out) as file:
            file.write(aside.read_bytes())
    return out


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The exporter prints, warns and logs of its own internals."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
