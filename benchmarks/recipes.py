"""A study of recipes: which settings draw best after equal CPU minutes of one thread, on several kinds of pictures.

    python benchmarks/recipes.py peeps32 peeps drawings64 --recipes auto,gamma/4,gamma/16 --rounds 5,15 --keep 0.34
    python benchmarks/recipes.py peeps32 peeps drawings64 --recipes before,auto --before ../before --rounds 5 --seeds 0,1

Successive halving: each round trains all recipes that are left on all data with all seeds, for its CPU minutes, and keeps
a share of them for the next: the best by the mean logarithm of both judges' distances. `before` is `auto` of another
checkout, trained by that checkout and scored by this one; `start` is `auto` with `--from bundled`. A recipe's settings
stand over those that `auto` chooses. Finished rows are kept in `--results` and not repeated, so that a stopped study resumes. `--show` only prints.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from outside import PREVIEWS, save_grid
from quality import FD, SWD

from simulacra.config import parse_words
from simulacra.data.dataset import Dataset
from simulacra.data.opening import open_domain
from simulacra.files import read_json, write_json
from simulacra.measure.evaluate import evaluate
from simulacra.measure.extractors.features import Extractor, open_extractor
from simulacra.measure.model_under_test import FIRST_SEED
from simulacra.storage import load_generator
from simulacra.training.auto import choose

METRICS = ("fd", "prdc", "swd", "diversity", "memorisation")
RESULTS = Path(__file__).with_name("results") / "recipes"
UNSEEN = 40  # pictures that a part must have to be scored on, too
SAVES = 5  # checkpoints of a run
CPU = torch.device("cpu")

# Trains with the package on the path, by its own choice or with settings; the clock is CPU time, compilers' included.
WORKER = """
import json, os, sys
import simulacra, torch
from simulacra.training import trainer
torch.set_num_threads(1)
trainer.seconds_now = lambda: sum(os.times()[:4])
trainer.SAVE_SECONDS = float(sys.argv[4])
options = json.loads(sys.argv[5])
simulacra.train(sys.argv[1], run=sys.argv[2], minutes=float(sys.argv[3]), save_every="1000M", device="cpu", **options)
"""


RECIPES: dict[str, dict[str, Any]] = {
    "auto": {},
    "bare": {"augment": "none"},
    "batch8": {"batch": 8, "lr": 7e-4},
    "batch32": {"batch": 32, "lr": 1.4e-3},
}

# So that compiling counts whole, in each run: no cache, and no workers of its own.
COMPILER = {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}


def changes(name: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What the recipe `name` changes in the settings that `auto` chooses.

    Parts are joined by `+`: a name in `RECIPES`, `gamma/4` for a quarter of the penalty's weight, or `lr=2e-3`.
    """
    settings: dict[str, Any] = {}
    for part in name.split("+"):
        if part.startswith("gamma/"):
            settings["gamma"] = [value / float(part.removeprefix("gamma/")) for value in chosen["gamma"]]
        else:
            settings |= parse_words([part]) if "=" in part else RECIPES[part]
    return settings


@dataclass(frozen=True)
class Trial:
    """A recipe on a data set for some minutes with a seed."""

    data: Dataset
    recipe: str
    minutes: float
    seed: int

    @property
    def name(self) -> str:
        """The name of its files."""
        return f"{self.data.name}-{self.recipe.replace('/', '_')}-{self.minutes:g}min-{self.seed}"

    def options(self) -> dict[str, Any]:
        """Those of `train`: without any, the package chooses by itself."""
        if self.recipe == "before":
            return {"seed": self.seed}
        plain: dict[str, Any] = {"seed": self.seed, "measure_every": 0}
        if self.recipe == "auto":
            return plain
        if self.recipe == "start":
            return plain | {"pretrained": "bundled"}
        choice = choose(self.data.split("train"), CPU, unseen=self.data.splits["valid"])
        own = changes(self.recipe, choice.settings)
        settings = choice.settings_beside(own) | own
        return plain | {"gan": choice.spec, "settings": settings}

    def record(self, options: argparse.Namespace, extractor: Extractor) -> dict[str, Any]:
        """Train and score it, or read what is finished."""
        done = options.results / f"{self.name}.json"
        if not done.exists() and not options.show:
            run = options.out / self.name
            if not (run / "trained.json").exists():
                self.train(run, options.before if self.recipe == "before" else Path(__file__).resolve().parents[1])
            write_json(done, self.scores(run, extractor) | {"recipe": self.recipe, "data": self.data.name})
            print(f"{self.name}: {text(read_json(done))}", flush=True)
        return read_json(done) if done.exists() else {}

    def train(self, run: Path, checkout: Path) -> None:
        """Train it in a process of its own, with the package of a checkout."""
        environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"} | COMPILER
        arguments = [str(self.data.path or self.data.name), run, self.minutes, 60 * self.minutes / SAVES]
        words = [sys.executable, "-P", "-c", WORKER, *map(str, arguments), json.dumps(self.options())]
        began = time.monotonic()
        subprocess.run(words, check=True, env=environment, stdout=subprocess.DEVNULL)
        write_json(run / "trained.json", {"wall": round(time.monotonic() - began)})

    def scores(self, run: Path, extractor: Extractor) -> dict[str, Any]:
        """Both judges' words on the last checkpoint, against the training pictures and unseen ones."""
        lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
        unseen = [part for part in ("valid", "test") if self.data.splits[part] >= UNSEEN]
        certificates = {
            part: evaluate(run, samples=2000, metrics=METRICS, on=part, extractor=extractor, out=run / f"{part}.json")[
                0
            ]
            for part in ("train", *unseen[:1])
        }
        seeds = range(FIRST_SEED, FIRST_SEED + PREVIEWS)
        save_grid(run / "grid.png", next(load_generator(run, CPU).pictures(seeds, batch=PREVIEWS)))
        scores = {part: certificate["scores"] for part, certificate in certificates.items()}
        copies = certificates["train"]["memorisation"]
        return {"images": lines[-1]["nimg"], "seconds": lines[-1]["seconds"], "scores": scores, "copies": copies}


def text(record: dict[str, Any]) -> str:
    """`35.1 · 0.062 · 0.41 · 0.20`: both judges, smaller is better, and precision, recall, greater is better; `copying`."""
    if not record:
        return ""
    scores = record["scores"]["train"]
    values = [scores[name]["value"] for name in (FD, SWD, "precision-efl0d-112", "recall-efl0d-112")]
    copying = " · copying" if record.get("copies", {}).get("verdict") == "copying" else ""
    return "{:.1f} · {:.3f} · {:.2f} · {:.2f}".format(*values) + copying


def rank(records: Sequence[dict[str, Any]]) -> float:
    """The mean logarithm of both judges' distances."""
    return statistics.mean(
        math.log(max(e["scores"]["train"][name]["value"], 1e-9)) for e in records for name in (FD, SWD)
    )


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="prepared folders, or peeps")
    parser.add_argument(
        "--recipes",
        required=True,
        help=f"before, start, {', '.join(RECIPES)}, gamma/4, lr=2e-3 and the like; joined by +",
    )
    parser.add_argument("--rounds", default="5", help="CPU minutes of each round")
    parser.add_argument("--keep", type=float, default=0.5, help="share of the recipes that reach the next round")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--before", type=Path, help="a checkout of another commit")
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"), help="folder of the runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of finished rows")
    parser.add_argument("--show", action="store_true", help="only print finished rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for folder in (options.out, options.results):
        folder.mkdir(parents=True, exist_ok=True)
    extractor, data = open_extractor(), [open_domain(source) for source in options.data]
    recipes = options.recipes.split(",")
    for minutes in map(float, options.rounds.split(",")):
        trials = {
            (e, d.name, s): Trial(d, e, minutes, s)
            for s in map(int, options.seeds.split(","))
            for e in recipes
            for d in data
        }
        records = {key: trial.record(options, extractor) for key, trial in trials.items()}
        ranks = {e: rank(rows) for e in recipes if all(rows := [r for (name, _, _), r in records.items() if name == e])}
        recipes = sorted(ranks, key=lambda e: ranks[e])
        print(f"\n{minutes:g} CPU minutes of one thread\n\n| recipe | {' | '.join(d.name for d in data)} | mean |")
        print("|" + "---|" * (len(data) + 2))
        for e in recipes:
            cells = [
                " / ".join(text(r) for (name, of, _), r in records.items() if (name, of) == (e, d.name)) for d in data
            ]
            print(f"| {e} | {' | '.join(cells)} | {math.exp(ranks[e] - min(ranks.values())):.2f} |")
        recipes = recipes[: max(1, math.ceil(len(recipes) * options.keep))]


if __name__ == "__main__":
    main()
