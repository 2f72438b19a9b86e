"""Which game learns which pictures best in so many minutes on this machine.

    python benchmarks/quality.py peeps32 emoji32 fashion28 --minutes 5

For each data set (prepared folders) and game: train, choose the best checkpoint, score it with fresh seeds. A table
in Markdown follows. Stopped and called again, it goes on where it was; what is finished is not done again.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import torch

from simulacra.game import gans
from simulacra.measure.choose import choose
from simulacra.measure.evaluate import evaluate
from simulacra.training.run import train

METRICS = ("fd", "kid", "prdc", "diversity", "memorisation")
# Networks and rates for small pictures and few minutes; a game without a line here runs with its own settings.
SETTINGS: dict[str, dict[str, Any]] = {
    "dcgan": {"features": 32, "batch": 32, "lr": 4e-4, "lr_d": 1e-4, "ema": 5000},
    "wgan": {"features": 32, "batch": 32, "lr": 2e-4, "clamp": 0.03, "balance": "fixed:2", "ema": 5000},
    "wgan-gp": {"features": 32, "batch": 32, "lr": 4e-4, "balance": "fixed:2", "norm_d": "layer", "ema": 5000},
}
SAVE_EVERY = {"mlp": "30k"}  # images; the others learn slower and gain sooner
USUAL = "10k"


def one(data: str, game: str, out: Path, minutes: float, samples: int) -> dict[str, Any]:
    """Train, choose, evaluate; what is done already is read back."""
    run = out / f"{Path(data).name}-{game}"
    done = run / "quality.json"
    if done.exists():
        stored: dict[str, Any] = json.loads(done.read_text())
        return stored
    train(
        data,
        gan=game,
        run=run,
        minutes=minutes,
        save_every=SAVE_EVERY.get(game, USUAL),
        settings={} if (run / "config.json").exists() else SETTINGS.get(game, {}),
    )
    chosen = choose(run)
    certificate, _ = evaluate(run, samples=samples, metrics=METRICS)
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    told = {"data": Path(data).name, "game": game, "minutes": minutes, "images": lines[-1]["nimg"]}
    told |= {"best": chosen["nimg"], "anew": chosen["anew"], "scores": certificate["scores"]}
    told |= {
        "warnings": certificate["warnings"],
        "health": sorted({name for line in lines for name in line.get("health", {})}),
    }
    done.write_text(json.dumps(told, indent=2))
    return told


def row(told: dict[str, Any]) -> str:
    """A line of the table."""
    scores = told["scores"]
    fd, kid = scores["fd-efl0-112"], scores["kid-efl0-1280"]
    cells = [
        told["data"],
        f"`{told['game']}`",
        f"{fd['value']:.0f} ({fd['low']:.0f}–{fd['high']:.0f})",
        f"{kid['value']:.3f} ({kid['low']:.3f}–{kid['high']:.3f})",
        *(f"{scores[f'{name}-efl0-112']['value']:.2f}" for name in ("precision", "recall", "coverage", "diversity")),
        f"{told['best'] / 1000:.0f}k of {told['images'] / 1000:.0f}k",
        ", ".join(told["health"]) or "none",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """All games on all data sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--games", default=",".join(gans()))
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--out", type=Path, default=Path("runs/quality"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    found = [
        one(data, game, told.out, told.minutes, told.samples) for data in told.data for game in told.games.split(",")
    ]
    print(
        f"{told.minutes:g} minutes of training each, {told.threads} threads, {platform.machine()}, torch {torch.__version__}"
    )
    print("| data | game | fd-efl0-112 | kid-efl0-1280 | precision | recall | coverage | diversity | best | alarms |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for data in dict.fromkeys(each["data"] for each in found):
        floor = next(e for e in found if e["data"] == data)["scores"]
        cells = [f"{floor['fd-efl0-112']['floor']:.1f}", f"{floor['kid-efl0-1280']['floor']:.4f}"]
        print(f"| {data} | reals against reals | {' | '.join(cells)} | | | | | | |")
        for each in sorted((e for e in found if e["data"] == data), key=lambda e: e["scores"]["fd-efl0-112"]["value"]):
            print(row(each))


if __name__ == "__main__":
    main()
