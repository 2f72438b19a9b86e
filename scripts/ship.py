"""Package a run's best checkpoint: `python scripts/ship.py runs/peeps peeps`, or `runs/start-r3gan start`.

`peeps` is the bundled model that draws; run `scripts/ship_directions.py` afterwards to recompute its directions. `start`
is what `train --from bundled` starts from, and keeps D. The weights are stored as fp16. docs/benchmarks.md has the
commands that trained them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from simulacra.config import updated
from simulacra.files import read_json
from simulacra.registry import find
from simulacra.storage import load, model_folder, save_model
from simulacra.training.pretrained import START, open_pretrained

ORIGIN = ("data", "data_hash", "seed", "simulacra", "nimg")


def main(run: str, name: str) -> None:
    """Write `simulacra/models/NAME/`."""
    record = read_json(model_folder(run) / "config.json")
    gan = find(record["gan"])
    out = Path(__file__).parents[1] / "simulacra" / "models" / name
    save_model(
        load(run),
        out,
        gan=gan.name,
        config=updated(gan.Config(), record["config"], of=gan.name),
        about={key: record[key] for key in ORIGIN},
        D=open_pretrained(run).networks["D"] if name == START else None,
        dtype=torch.float16,
    )
    print(f"{out}: {sum(file.stat().st_size for file in out.iterdir()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:3])
