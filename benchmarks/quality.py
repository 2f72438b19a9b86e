"""Which game learns which pictures best in so many minutes on this machine, and how that compares with others.

    python benchmarks/quality.py games peeps32 fashion32 --minutes 5 --threads 1
    python benchmarks/quality.py rivals peeps32 emoji32 fashion32 --minutes 10 --threads 1 --seeds 0,1 --peers peers/bin/python

For each data set (prepared folders), row and seed: train, choose the best checkpoint, score it with fresh seeds, and
draw 64 pictures. `rivals` are what simulacra chooses by itself (`auto`), its sources' own recipes, and other toolkits
in an environment of their own (`peers.py`). `--minutes` is CPU time of training only, so that other processes take
nothing from a row; with `--device cuda` it is time by the clock. Stopped and called again, it goes on where it was; what is finished lies in `--results`, a JSON and
the pictures for each row, and is not done again: `--show` only prints it, and `--sheet` lays the pictures side by side.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch
from outside import PREVIEWS, outside, save_grid
from PIL import Image, ImageDraw
from rows import RIVALS, Row, games, lacks, row

from simulacra.data.dataset import Dataset
from simulacra.data.opening import open_domain
from simulacra.device import device_name
from simulacra.files import read_json, write_json
from simulacra.measure.choose import SAMPLES, choose
from simulacra.measure.distances import frechet
from simulacra.measure.evaluate import evaluate
from simulacra.measure.extractors.features import Extractor, open_extractor
from simulacra.measure.model_under_test import FIRST_SEED, fakes_of, reals_of
from simulacra.storage import load_generator
from simulacra.training import trainer
from simulacra.training.options import train
from simulacra.training.plan import plan
from simulacra.training.run import Run

METRICS = ("fd", "kid", "prdc", "diversity", "memorisation")
MOMENTS = 10  # checkpoints of a run to choose from, evenly in time; half as many of another toolkit, truncated or not
RESULTS = Path(__file__).with_name("results")
CELL, GAP, CAPTION = 256, 8, 16  # pixels of a sheet's grids, between them, and of what is written above them
RARELY = "1000M"  # no other checkpoints
COLUMNS = ("data", "row", "seed", "fd untrained", "fd-efl0-112", "kid-efl0-1280", "precision", "recall", "diversity",
           "copies", "images/s", "best", "alarms")  # fmt: skip


def ours(
    entry: Row, data: Dataset, run: Path, eyes: Extractor, device: torch.device, *,
    minutes: float, samples: int, choice: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Train one of our games, choose, evaluate; what is known of the run."""
    begun = (run / "config.json").exists()
    trainer.SAVE_SECONDS = max(1, round(60 * minutes / MOMENTS))
    if device.type == "cpu":
        trainer.seconds_now = time.process_time
    wall, cpu = time.monotonic(), time.process_time()
    train(
        str(data.path or data.name),
        gan=None if begun else entry.gan,
        run=run,
        minutes=minutes,
        save_every=RARELY,
        seed=seed,
        precision=entry.precision,  # type: ignore[arg-type]
        device=device.type,  # type: ignore[arg-type]
        settings={} if begun else entry.settings,
    )
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    chosen = choose(run, samples=choice, extractor=eyes, device=device)
    told, _ = evaluate(run, samples=samples, metrics=METRICS, extractor=eyes, device=device)
    seeds = range(FIRST_SEED, FIRST_SEED + PREVIEWS)
    save_grid(run / "grid.png", next(load_generator(run, device).pictures(seeds, batch=PREVIEWS)))
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    config = read_json(run / "config.json")
    return {
        "chose": config["spec"] if entry.gan is None else "",
        "settings": config["config"],
        "images": lines[-1]["nimg"],
        "best": chosen["nimg"],
        "seconds": lines[-1]["seconds"],
        "wall": wall,
        "cpu": cpu,
        "before": untrained(run, data, eyes, device, samples=choice, reals=samples),
        "certificate": told,
        "health": sorted({name for line in lines for name in line.get("health", {})}),
    }


def untrained(run: Path, data: Dataset, eyes: Extractor, device: torch.device, *, samples: int, reals: int) -> float:
    """The Fréchet distance of the run's generator as it was before its first play."""
    generator = Run(plan(run), device).trainer.gan.G
    fakes = fakes_of(generator, eyes, range(FIRST_SEED, FIRST_SEED + samples), lambda n: None)
    real = reals_of(data.split("train"), eyes, reals, lambda n: None)
    return frechet(real[eyes.fd_layer], fakes[eyes.fd_layer])


def line(told: dict[str, Any]) -> str:
    """A line of the table."""
    found = told["certificate"]["scores"]
    fd, kid = found["fd-efl0-112"], found["kid-efl0-1280"]
    cells = [
        told["data"],
        f"`{told['row']}`" + (f" ({told['chose']})" if told["chose"] else ""),
        str(told["seed"]),
        f"{told['before']:.0f}",
        f"{fd['value']:.1f} ({fd['low']:.1f}–{fd['high']:.1f})",
        f"{kid['value']:.3f} ({kid['low']:.3f}–{kid['high']:.3f})",
        *(f"{found[f'{name}-efl0-112']['value']:.2f}" for name in ("precision", "recall", "diversity")),
        told["certificate"]["memorisation"]["verdict"],
        f"{told['images'] / told['seconds']:.1f}",
        f"{told['best'] / 1000:.1f}k of {told['images'] / 1000:.1f}k",
        ", ".join(told["health"]) or "none",
    ]
    return f"| {' | '.join(cells)} |"


def table(found: list[dict[str, Any]]) -> str:
    """All rows in Markdown, the best of each data set first, below its floor of reals against reals."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    for data in dict.fromkeys(each["data"] for each in found):
        those = sorted((e for e in found if e["data"] == data), key=lambda e: float(fd_of(e)["value"]))
        kid = those[0]["certificate"]["scores"]["kid-efl0-1280"]
        floors = [f"{fd_of(those[0])['floor']:.1f}", f"{kid['floor']:.4f}"]
        lines.append(f"| {' | '.join([data, 'reals against reals', '', '', *floors, *[''] * (len(COLUMNS) - 6)])} |")
        lines += [line(each) for each in those]
    return "\n".join(lines)


def sheet(found: list[dict[str, Any]], words: argparse.Namespace) -> Image.Image:
    """The pictures of the rows, first seeds only: a row for each data set, best KID first."""
    rows = []
    for data in dict.fromkeys(each["data"] for each in found):
        those = [each for each in found if each["data"] == data and each["seed"] == int(words.seeds.split(",")[0])]
        rows.append(sorted(those, key=lambda e: float(e["certificate"]["scores"]["kid-efl0-1280"]["value"])))
    width = max(len(row) for row in rows)
    whole = Image.new("RGB", (width * (CELL + GAP), len(rows) * (CELL + CAPTION)), "white")
    draw = ImageDraw.Draw(whole)
    for y, row_of in enumerate(rows):
        for x, told in enumerate(row_of):
            name = f"{told['data']}-{told['row'].replace(':', '-')}-{words.minutes:g}min-{told['seed']}.webp"
            left, top = x * (CELL + GAP), y * (CELL + CAPTION)
            with Image.open(words.results / name) as grid:
                whole.paste(grid.convert("RGB").resize((CELL, CELL), Image.Resampling.NEAREST), (left, top + CAPTION))
            kid = told["certificate"]["scores"]["kid-efl0-1280"]["value"]
            draw.text((left + 2, top + 2), f"{told['data']}  {told['row']}  KID {kid:.3f}", "black")
    return whole


def fd_of(told: dict[str, Any]) -> dict[str, Any]:
    """The Fréchet distance of a row."""
    found: dict[str, Any] = told["certificate"]["scores"]["fd-efl0-112"]
    return found


def finished(words: argparse.Namespace) -> list[dict[str, Any]]:
    """Every row on every data set with every seed, done now or before."""
    found, eyes = [], None
    names = words.rows.split(",") if words.rows else (games() if words.what == "games" else RIVALS)
    for source in words.data:
        data = open_domain(source)
        for entry in map(row, names):
            why = "no --peers was given." if entry.peer and not words.peers else lacks(entry, data)
            for seed in map(int, words.seeds.split(",")):
                run = words.out / f"{data.name}-{entry.name.replace(':', '-')}-{words.minutes:g}min-{seed}"
                done = words.results / f"{run.name}.json"
                if not done.exists():
                    if why or words.show:
                        print(f"{run.name} is left out: {why or 'it is not finished.'}", file=sys.stderr)
                        continue
                    eyes = eyes or open_extractor(device=words.device)
                    told = one(entry, data, run, seed, eyes, words)
                    with Image.open(run / "grid.png") as grid:
                        grid.save(done.with_suffix(".webp"), quality=90, method=6)
                    write_json(done, told)
                found.append(read_json(done))
    return found


def one(entry: Row, data: Dataset, run: Path, seed: int, eyes: Extractor, words: argparse.Namespace) -> dict[str, Any]:
    """One row, trained and scored; said as soon as it is there."""
    shared: dict[str, Any] = {"minutes": words.minutes, "samples": words.samples, "choice": words.choice, "seed": seed}
    if entry.peer:
        more = {"moments": MOMENTS // 2, "threads": words.threads, "words": METRICS}
        told = outside(words.peers, entry.name, data, run, eyes, **shared, **more)
    else:
        told = ours(entry, data, run, eyes, words.device, **shared)
    named = {"data": data.name, "row": entry.name, "seed": seed, "minutes": words.minutes, "threads": words.threads}
    told = named | {"machine": f"{platform.machine()}, {device_name(words.device)}, torch {torch.__version__}"} | told
    print(line(told), flush=True)
    return told


def main() -> None:
    """The games or the rivals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("games", "rivals"))
    parser.add_argument("data", nargs="+", help="prepared folders, or peeps")
    parser.add_argument("--rows", help="games with or without a preset, or +labels; and names of rows.py, with commas")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--samples", type=int, default=5000, help="fakes that the best checkpoint is scored with")
    parser.add_argument("--choice", type=int, default=SAMPLES, help="fakes that each checkpoint is scored with")
    parser.add_argument("--out", type=Path, default=Path("runs/quality"), help="where the runs are kept")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where what is finished is kept")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--peers", type=Path, help="the Python of the other toolkits' environment")
    parser.add_argument("--show", action="store_true", help="train nothing; print what is finished")
    parser.add_argument("--sheet", type=Path, help="a PNG or WebP to write: the pictures of all rows, named")
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    words.out.mkdir(parents=True, exist_ok=True)
    words.results.mkdir(parents=True, exist_ok=True)
    if found := finished(words):
        if words.sheet:
            sheet(found, words).save(words.sheet, quality=85)
        kind = "CPU" if words.device.type == "cpu" else "GPU"
        machines = " / ".join(dict.fromkeys(each["machine"] for each in found))
        print(
            f"\n{words.minutes:g} {kind} minutes of training each, {found[0]['threads']} threads, {machines}\n\n{table(found)}"
        )


if __name__ == "__main__":
    main()
