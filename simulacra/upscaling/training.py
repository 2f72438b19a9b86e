"""`simulacra upscale`: train a run's upscalers, one stage for each doubling, and compare each with bicubic enlargement.

Each stage is a run of the GAN `upscale` on the originals of the run's data at its factor, in the folder `upscale` of the
run. A stage doubles what the one before it makes: it learns the details of its own size only, larger sizes can be added
later, and the network stays small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulacra.cascade import FOLDER, open_cascade, stage_folder
from simulacra.console import Begin, silent
from simulacra.data.dataset import Dataset
from simulacra.data.opening import open_domain
from simulacra.data.originals import open_originals
from simulacra.data.prepare_options import FACTORS
from simulacra.device import choose_device
from simulacra.errors import SimulacraError
from simulacra.files import read_json, write_json
from simulacra.measure.extractors.features import open_extractor
from simulacra.training.options import TrainOptions
from simulacra.training.run import execute
from simulacra.training.run_records import read_run
from simulacra.upscaling.scores import FORMAT, compare, write_examples

GAN = "upscale"
MINUTES = 5.0  # of each stage, unless the command says otherwise
RECORD, EXAMPLES = "comparison.json", "examples.png"  # in a stage's folder

Compared = Callable[[int, dict[str, Any], Path], None]  # factor, scores, examples


def upscale(
    run: str | Path,
    *,
    factor: int = 2,
    data: str | Path | None = None,
    options: TrainOptions | None = None,
    compared: Compared = lambda factor, record, examples: None,
    begin: Begin = silent,
) -> bool:
    """Train the upscalers of a run up to `factor`, or resume them; False if that was stopped before its end.

    data: the run's pictures prepared again with originals, where its own data have none. options: length, seed and device of each stage. compared: called with the scores of each stage.
    Raises `SimulacraError` for what is no run of a generator, and for data without originals.
    """
    folder, options = Path(run).expanduser(), options or TrainOptions()
    shape, originals = _originals(folder, factor, data)
    for number, larger in originals.items():
        stage = stage_folder(folder / FOLDER, number)
        chosen = replace(options, gan=GAN, run=stage)
        if options.total is None and options.minutes is None and read_run(stage) is None:
            chosen = replace(chosen, minutes=MINUTES)
        assert larger.path is not None
        _, ended = execute(larger.path, chosen)
        if not ended:
            return False
        compared(number, comparison(folder, shape, number, larger, options.device, begin), stage / EXAMPLES)
    return True


def comparison(
    run: Path, shape: tuple[int, int, int], factor: int, originals: Dataset, device: str, begin: Begin
) -> dict[str, Any]:
    """The scores of a run's upscalers up to `factor`, measured where that was not done for these weights.

    Writes them and a picture of examples into the folder of the last stage.
    """
    place = choose_device(device)
    cascade, stage = open_cascade(run, shape, factor, place), stage_folder(run / FOLDER, factor)
    assert cascade is not None
    old = read_json(stage / RECORD) if (stage / RECORD).is_file() else {}
    if all(old.get(key) == value for key, value in _identity(cascade.fingerprint, originals).items()):
        return dict(old)
    record = compare(cascade, originals, open_extractor(device=place), begin)
    record = _identity(cascade.fingerprint, originals) | record
    write_examples(stage / EXAMPLES, cascade, originals)
    write_json(stage / RECORD, record)
    return record


def _identity(fingerprint: str, originals: Dataset) -> dict[str, Any]:
    return {"format": FORMAT, "upscaler": fingerprint, "data": originals.hash}


def _originals(folder: Path, factor: int, source: str | Path | None) -> tuple[tuple[int, int, int], dict[int, Dataset]]:
    """The shape of a run's pictures, and the originals of its data for each factor up to `factor`."""
    if factor not in FACTORS:
        raise SimulacraError("upscaling.unknown_factor", factor=factor, factors=list(FACTORS))
    stored = read_run(folder)
    if stored is None:
        raise SimulacraError("upscaling.not_a_run", path=folder)
    if stored.get("task", "draw") != "draw":
        raise SimulacraError("upscaling.not_a_generator", run=folder)
    source = source or stored["data"]["source"]
    data = open_domain(source)
    if data.hash != stored["data"]["hash"]:
        raise SimulacraError("plan.other_data", source=source, folder=folder)
    return data.shape, {other: open_originals(data, other) for other in FACTORS if other <= factor}
