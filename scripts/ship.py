"""Make a run's best checkpoint the bundled model: `python scripts/ship.py runs/peeps`.

The weights are stored as fp16. Run `scripts/ship_directions.py` afterwards to recompute its directions. The bundled model
was trained on a GPU in six minutes: docs/benchmarks.md has the command.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from simulacra.config import updated
from simulacra.files import read_json
from simulacra.registry import find
from simulacra.storage import load, model_folder, save_model

ORIGIN = ("data", "data_hash", "seed", "simulacra", "nimg")


def main(run: str) -> None:
    """Write `simulacra/models/peeps/`."""
    record = read_json(model_folder(run) / "config.json")
    gan = find(record["gan"])
    out = Path(__file__).parents[1] / "simulacra" / "models" / "peeps"
    save_model(
        load(run),
        out,
        gan=gan.name,
        config=updated(gan.Config(), record["config"], of=gan.name),
        about={key: record[key] for key in ORIGIN},
        dtype=torch.float16,
    )
    print(f"{out}: {sum(file.stat().st_size for file in out.iterdir()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1])
