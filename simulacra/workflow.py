"""`simulacra train PICTURES`: from a folder of pictures to a grid of new ones. Each stage resumes by the same command.

The pictures are prepared into the folder `data` beside the runs. Unchanged ones are not prepared again; changed ones
become another dataset, under a name with a number, and so another run.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from simulacra.console import say, tasks
from simulacra.data.dataset import Dataset, Pair
from simulacra.data.opening import open_dataset
from simulacra.data.prepare import prepare
from simulacra.data.printing import print_prepared
from simulacra.device import choose_device
from simulacra.errors import SimulacraError
from simulacra.generator import Generator
from simulacra.measure.choose import choose, read_best
from simulacra.measure.printing import print_choice
from simulacra.sampling import write_pictures
from simulacra.shelf.entries import read_entry
from simulacra.storage import checkpoints, fingerprint, load, model_folder
from simulacra.training.options import TrainOptions
from simulacra.training.plan import Values
from simulacra.training.run import execute

RUNS = Path("runs")
DATA = "data"  # folder of the prepared pictures, beside the runs
GRID = 64  # pictures
OTHERS = ("data.out_has_other_pictures", "data.out_has_other_options", "data.out_is_not_a_dataset")


def is_pictures(source: str) -> bool:
    """Whether a path is neither prepared data nor a run or a model, so that its pictures are to be prepared first."""
    path = Path(source).expanduser()
    if source == "peeps" or not path.exists():
        return False
    return not path.is_dir() or read_entry(path) is None


def train_on_pictures(source: str, options: TrainOptions, settings: Values, size: str = "auto") -> bool:
    """Prepare, train, choose, draw a grid, and say where everything is; False when Ctrl-C stopped the training.

    size: of the prepared pictures, as `prepare` takes it.

    Raises `SimulacraError` as `prepare` and `train` do, and where the runs would lie among the pictures.
    """
    pictures = Path(source).expanduser()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # each of the processes would prepare them
        raise SimulacraError("data.not_prepared", path=pictures, name=pictures.name or "faces")
    say("train.stage_prepare", source=pictures)
    data = prepare_beside_runs(pictures, options, size)
    say("train.stage_train", data=data.path)
    run, ended = execute(str(data.path), options, settings, draw=True)
    if not ended:
        return False
    best = read_best(run)
    if (best is None or "anew" not in best) and str(options.measure_every) != "0":
        say("train.stage_choose", count=len(checkpoints(run)))
        with tasks() as begin:
            print_choice(run, choose(run, device=choose_device(options.device), advance=begin))
    picture = draw_grid(run)
    values = {"count": len(data), "source": pictures, "data": data.path, "run": run, "picture": picture}
    say("train.whole_way", **values, checkpoint=model_folder(run).name, film=run / "film.webp")
    return True


def prepare_beside_runs(pictures: Path, options: TrainOptions, size: str = "auto") -> Dataset | Pair:
    """The pictures as a dataset beside the runs: the one that was made of them before, or a new one."""
    runs = RUNS if options.run is None else options.run.expanduser().parent
    whole = pictures.resolve()
    if runs.resolve().is_relative_to(whole):
        raise SimulacraError("train.runs_among_pictures", source=pictures, runs=runs)
    name = whole.stem if whole.is_file() else whole.name
    before = None
    for number in itertools.count(1):
        out = runs / DATA / (name if number == 1 else f"{name}-{number}")
        exists = out.exists()
        if before is not None and not exists:
            say("train.pictures_changed", source=pictures, old=before, new=out)
        try:
            data = prepare(pictures, out, size=size, workers=options.threads)
        except SimulacraError as error:
            if error.code not in OTHERS:
                raise
            before = out
            continue
        if not exists:
            print_prepared(out, data)
        return open_dataset(out)
    raise AssertionError  # the numbers do not end


def draw_grid(run: Path) -> Path:
    """A picture of what the run's model draws: a grid of the first seeds, or the last previews of another task."""
    model, folder = load(run), model_folder(run)
    if not isinstance(model, Generator):
        return run / "previews" / f"{folder.name}.png"
    digest = fingerprint(folder)
    out = run / "pictures" / f"{folder.name}-{digest[:8]}"
    write_pictures(model, out, range(GRID), model=digest, singles=False, grid=True)
    return out / "grid.png"
