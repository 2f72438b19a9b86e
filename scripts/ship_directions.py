"""Find the directions of the bundled model: `python scripts/ship_directions.py [--sheet sheet.png]`, minutes on a CPU.

They are learned from the labels of `peeps`, made orthogonal, and given plain names; then come those found without labels.
`benchmarks/directions.py` measures them.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from simulacra.console import tasks
from simulacra.latent.directions import direction_sheet, find_directions, print_directions, write_sheet
from simulacra.latent.saved import FILE, save_directions
from simulacra.storage import load_generator, model_folder

SAMPLES, COUNT = 10_000, 6
NAMES = {"long hair": "hair length", "hair": "hair colour", "skin": "skin tone", "background": "background colour"}


def main(sheet: Path | None) -> None:
    """Write `simulacra/models/peeps/directions.safetensors`."""
    with tempfile.TemporaryDirectory() as folder, tasks() as begin:
        aside = Path(folder) / FILE  # an empty place: earlier directions would not be found again
        found = find_directions(
            labels=True, orthogonal=True, samples=SAMPLES, count=COUNT, out=aside, device="cpu", begin=begin
        )
    out = model_folder() / FILE
    out.unlink(missing_ok=True)
    renamed = [replace(direction, name=NAMES.get(direction.name, direction.name)) for direction in found.directions]
    saved = save_directions(renamed, path=out)
    print_directions(replace(found, directions=saved, path=out))
    if sheet is not None:
        write_sheet(sheet, direction_sheet(load_generator(), saved))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, default=None)
    main(parser.parse_args().sheet)
