"""Find the directions of the model that comes along: `python scripts/ship_directions.py [--sheet sheet.png]`, minutes on a processor.

They are learned from the labels of `peeps`, made orthogonal, and given plain names; then come those found without labels.
`benchmarks/directions.py` says how good they are.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from simulacra.console import tasks
from simulacra.latent import command
from simulacra.latent.saved import FILE, save
from simulacra.storage import load_generator, model_folder

SAMPLES, COUNT = 10_000, 6
NAMES = {"long hair": "hair length", "hair": "hair colour", "skin": "skin tone", "background": "background colour"}


def main(sheet: Path | None) -> None:
    """Write `simulacra/models/peeps/directions.safetensors`."""
    with tempfile.TemporaryDirectory() as folder, tasks() as begin:
        aside = Path(folder) / FILE  # not what was found before
        told = command.find(labels="", orthogonal=True, samples=SAMPLES, count=COUNT, out=aside, begin=begin)
    out = model_folder() / FILE
    out.unlink(missing_ok=True)
    kept = save([replace(each, name=NAMES.get(each.name, each.name)) for each in told.directions], path=out)
    command.show(replace(told, directions=kept, path=out))
    if sheet is not None:
        command.write_sheet(sheet, command.sheet(load_generator(), kept))


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--sheet", type=Path, default=None)
    main(words.parse_args().sheet)
