"""Package a run's best checkpoint: `python scripts/ship.py runs/peeps peeps`, or `runs/start-r3gan start`.

`peeps` is the bundled model that draws; run `scripts/ship_directions.py` after it to recompute its directions. `start` is
what `train --from bundled` starts from, and keeps D. A third argument `--upscalers` packages the run's upscalers alone,
behind the model that is there: they learn from the pictures, not from G. The weights are stored as fp16.
docs/benchmarks.md has the commands that trained them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from simulacra.cascade import FOLDER, factors, home, stage_folder
from simulacra.config import updated
from simulacra.files import read_json
from simulacra.model import Model
from simulacra.registry import find
from simulacra.storage import load, load_upscaler, model_folder, save_model
from simulacra.training.pretrained import START, open_pretrained

ORIGIN = ("data", "data_hash", "seed", "simulacra", "nimg", "pretrained")


def main(run: str, name: str, only: str = "") -> None:
    """Write `simulacra/models/NAME/`: the model and its upscalers, or these alone."""
    out = Path(__file__).parents[1] / "simulacra" / "models" / name
    if only != "--upscalers":
        ship(model_folder(run), out, load(run), open_pretrained(run).networks["D"] if name == START else None)
    for factor in factors(run):
        stage = stage_folder(home(run), factor)
        ship(model_folder(stage), stage_folder(out / FOLDER, factor), load_upscaler(stage))
    print(f"{out}: {sum(path.stat().st_size for path in out.rglob('*.*')) / 1e6:.2f} MB")


def ship(source: Path, out: Path, model: Model, D: nn.Module | None = None) -> None:
    """Write a model as fp16."""
    record = read_json(source / "config.json")
    gan = find(record["gan"])
    config = updated(gan.Config(), record["config"], of=gan.name)
    about = {key: record[key] for key in ORIGIN if key in record}
    save_model(model, out, gan=gan.name, config=config, about=about, D=D, dtype=torch.float16)


if __name__ == "__main__":
    main(*sys.argv[1:4])
