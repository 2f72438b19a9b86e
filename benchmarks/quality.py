"""Which GAN learns which pictures best in a few minutes on this machine, compared with other toolkits.

    python benchmarks/quality.py games peeps32 fashion32 --minutes 5 --threads 1
    python benchmarks/quality.py rivals peeps32 emoji32 fashion32 --minutes 10 --threads 1 --seeds 0,1 --peers peers/bin/python

For each dataset (a prepared folder), row and seed: train, choose the best checkpoint, score it with fresh seeds, and
draw 64 pictures. `rivals` are simulacra's own choice (`auto`), recipes of its sources, and other toolkits in an
environment of their own (`peers.py`). `--minutes` is CPU time of training alone, so other processes do not shorten a
row; with `--device cuda` it is wall-clock time. A stopped benchmark resumes. Finished rows are kept in `--results`, each
as JSON and pictures, and not repeated; a run that is trained is only scored. `--show` only prints them, `--sheet` puts the pictures side by side.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from outside import PREVIEWS, outside, save_grid
from PIL import Image, ImageDraw
from rows import RIVALS, Row, drawing_gans, obstacle, row

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

METRICS = ("fd", "kid", "prdc", "diversity", "swd", "memorisation")
FD, SWD = "fd-efl0d-112", "swd-pyramid"  # the two judges; the first decides
MOMENTS = 10  # checkpoints of a run to choose from, evenly in time; half as many of another toolkit, truncated or not
RESULTS = Path(__file__).with_name("results")
CELL, GAP, CAPTION = 256, 8, 16  # pixels of a sheet's grids, the gaps, and the captions
RARELY = "1000M"  # no other checkpoints
COLUMNS = ("data", "row", "seed", "fd untrained", FD, SWD, "precision", "recall", "diversity",
           "copies", "images/s", "best", "alarms")  # fmt: skip


def ours(
    entry: Row, data: Dataset, run: Path, extractor: Extractor, device: torch.device, *,
    minutes: float, samples: int, choice: int, seed: int, also: Extractor | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train one of our GANs, choose, evaluate; returns a record of the run."""
    if not (run / "trained.json").exists():
        train_row(entry, data, run, device, minutes=minutes, seed=seed)
    times = read_json(run / "trained.json")
    chosen = choose(run, samples=choice, extractor=extractor, device=device)
    certificate, _ = evaluate(run, samples=samples, metrics=METRICS, extractor=extractor, device=device)
    if also:
        further, _ = evaluate(
            run, samples=samples, metrics=("fd",), extractor=also, out=run / f"certificate-{also.name}.json"
        )
        certificate["scores"] |= further["scores"]
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
        **times,
        "before": untrained(run, data, extractor, device, samples=choice, reals=samples),
        "certificate": certificate,
        "second": chosen.get("second"),
        "health": sorted({name for line in lines for name in line.get("health", {})}),
    }


def train_row(entry: Row, data: Dataset, run: Path, device: torch.device, *, minutes: float, seed: int) -> None:
    """Train one of our GANs; `trained.json` holds its seconds."""
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
        measure_every=0,
        seed=seed,
        precision=entry.precision,  # type: ignore[arg-type]
        device=device.type,  # type: ignore[arg-type]
        settings={} if begun else entry.settings,
    )
    write_json(run / "trained.json", {"wall": time.monotonic() - wall, "cpu": time.process_time() - cpu})


def untrained(
    run: Path, data: Dataset, extractor: Extractor, device: torch.device, *, samples: int, reals: int
) -> float:
    """The Fréchet distance of the run's generator before its first step."""
    generator = Run(plan(run), device).trainer.gan.G
    fakes = fakes_of(generator, extractor, range(FIRST_SEED, FIRST_SEED + samples), lambda n: None)
    real = reals_of(data.split("train"), extractor, reals, lambda n: None)
    return frechet(real[extractor.fd_layer], fakes[extractor.fd_layer])


def line(record: dict[str, Any], further: Sequence[str] = ()) -> str:
    """A line of the table. further: names of scores that get a column more."""
    scores = record["certificate"]["scores"]
    fd, swd = scores[FD], scores[SWD]
    cells = [
        record["data"],
        f"`{record['row']}`" + (f" ({record['chose']})" if record["chose"] else ""),
        str(record["seed"]),
        f"{record['before']:.0f}",
        f"{fd['value']:.1f} ({fd['low']:.1f}–{fd['high']:.1f})",
        f"{swd['value']:.3f} ({swd['low']:.3f}–{swd['high']:.3f})",
        *(f"{scores[f'{name}-efl0d-112']['value']:.2f}" for name in ("precision", "recall", "diversity")),
        record["certificate"]["memorisation"]["verdict"],
        f"{record['images'] / record['seconds']:.1f}",
        f"{record['best'] / 1000:.1f}k of {record['images'] / 1000:.1f}k",
        ", ".join(record["health"]) or "none",
        *(f"{scores[name]['value']:.1f}" if name in scores else "" for name in further),
    ]
    return f"| {' | '.join(cells)} |"


def table(records: list[dict[str, Any]]) -> str:
    """All rows in Markdown, the best of each dataset first, below its floor of reals against reals."""
    further = sorted({name for e in records for name in e["certificate"]["scores"] if name.startswith("fd-")} - {FD})
    columns = (*COLUMNS, *further)
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for data in dict.fromkeys(item["data"] for item in records):
        items = sorted((e for e in records if e["data"] == data), key=lambda e: float(fd_of(e)["value"]))
        swd = items[0]["certificate"]["scores"][SWD]
        floors = [f"{fd_of(items[0])['floor']:.1f}", f"{swd['floor']:.3f}"]
        lines.append(f"| {' | '.join([data, 'reals against reals', '', '', *floors, *[''] * (len(columns) - 6)])} |")
        lines += [line(item, further) for item in items]
    return "\n".join(lines)


def sheet(records: list[dict[str, Any]], options: argparse.Namespace) -> Image.Image:
    """The pictures of the rows with the first seed: a row per dataset, the best first."""
    rows = []
    for data in dict.fromkeys(item["data"] for item in records):
        items = [item for item in records if item["data"] == data and item["seed"] == int(options.seeds.split(",")[0])]
        rows.append(sorted(items, key=lambda e: float(fd_of(e)["value"])))
    width = max(len(row) for row in rows)
    whole = Image.new("RGB", (width * (CELL + GAP), len(rows) * (CELL + CAPTION)), "white")
    draw = ImageDraw.Draw(whole)
    for y, row_of in enumerate(rows):
        for x, record in enumerate(row_of):
            name = f"{record['data']}-{record['row'].replace(':', '-')}-{options.minutes:g}min-{record['seed']}.webp"
            left, top = x * (CELL + GAP), y * (CELL + CAPTION)
            with Image.open(options.results / name) as grid:
                whole.paste(grid.convert("RGB").resize((CELL, CELL), Image.Resampling.NEAREST), (left, top + CAPTION))
            title = f"{record['data']}  {record['row']}  {fd_of(record)['value']:.0f}"
            draw.text((left + 2, top + 2), title, "black")
    return whole


def fd_of(record: dict[str, Any]) -> dict[str, Any]:
    """The Fréchet distance of a row."""
    score: dict[str, Any] = record["certificate"]["scores"][FD]
    return score


def finished(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The records of every row on every dataset with every seed, trained now or earlier."""
    records, extractor, also = [], None, None
    names = options.rows.split(",") if options.rows else (drawing_gans() if options.what == "games" else RIVALS)
    for source in options.data:
        data = open_domain(source)
        for entry in map(row, names):
            why = "no --peers was given." if entry.peer and not options.peers else obstacle(entry, data)
            for seed in map(int, options.seeds.split(",")):
                run = options.out / f"{data.name}-{entry.name.replace(':', '-')}-{options.minutes:g}min-{seed}"
                done = options.results / f"{run.name}.json"
                if not scored(done):
                    if why or options.show:
                        print(f"{run.name} is left out: {why or 'it is not finished.'}", file=sys.stderr)
                        continue
                    extractor = extractor or open_extractor(device=options.device)
                    if options.also and not also:
                        also = open_extractor(options.also, device=options.device, weights=options.weights)
                    record = one(entry, data, run, seed, extractor, also, options)
                    with Image.open(run / "grid.png") as grid:
                        grid.save(done.with_suffix(".webp"), quality=90, method=6)
                    write_json(done, record)
                records.append(read_json(done))
    return records


def scored(done: Path) -> bool:
    """Whether a row is finished, with the scores of today."""
    return done.exists() and FD in read_json(done)["certificate"]["scores"]


def one(
    entry: Row,
    data: Dataset,
    run: Path,
    seed: int,
    extractor: Extractor,
    also: Extractor | None,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Train and score one row and print its line."""
    shared: dict[str, Any] = {
        "minutes": options.minutes,
        "samples": options.samples,
        "choice": options.choice,
        "seed": seed,
        "also": also,
    }
    if entry.peer:
        more = {"moments": MOMENTS // 2, "threads": options.threads, "words": METRICS}
        record = outside(options.peers, entry.name, data, run, extractor, **shared, **more)
    else:
        record = ours(entry, data, run, extractor, options.device, **shared)
    named = {"data": data.name, "row": entry.name, "seed": seed, "minutes": options.minutes, "threads": options.threads}
    record = (
        named | {"machine": f"{platform.machine()}, {device_name(options.device)}, torch {torch.__version__}"} | record
    )
    print(line(record), flush=True)
    return record


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("games", "rivals"))
    parser.add_argument("data", nargs="+", help="prepared folders, or peeps")
    parser.add_argument(
        "--rows", help="names of rows.py, with commas: GANs, with :preset or +labels, recipes, toolkits"
    )
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--samples", type=int, default=5000, help="fakes that the best checkpoint is scored with")
    parser.add_argument("--choice", type=int, default=SAMPLES, help="fakes that each checkpoint is scored with")
    parser.add_argument("--out", type=Path, default=Path("runs/quality"), help="folder of the runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of finished rows")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--peers", type=Path, help="the Python of the other toolkits' environment")
    parser.add_argument("--also", help="an extractor that adds a column, such as inception with --weights")
    parser.add_argument("--weights", type=Path, help="the weight file of that extractor")
    parser.add_argument("--show", action="store_true", help="only print finished rows")
    parser.add_argument("--sheet", type=Path, help="a PNG or WebP of the pictures of all rows")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    options.results.mkdir(parents=True, exist_ok=True)
    if records := finished(options):
        if options.sheet:
            sheet(records, options).save(options.sheet, quality=85)
        kind = "CPU" if options.device.type == "cpu" else "GPU"
        machines = " / ".join(dict.fromkeys(item["machine"] for item in records))
        print(
            f"\n{options.minutes:g} {kind} minutes of training each, {records[0]['threads']} threads, {machines}\n\n{table(records)}"
        )


if __name__ == "__main__":
    main()
