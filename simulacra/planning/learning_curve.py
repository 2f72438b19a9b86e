"""`simulacra plan`: trains on an eighth, a quarter, half and all of the pictures, and says what more would bring."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from simulacra.console import Begin, silent
from simulacra.device import choose_device, set_threads
from simulacra.errors import SimulacraError
from simulacra.measure.extractors.features import open_extractor
from simulacra.measure.protocol import SeedProtocol
from simulacra.planning.design import new_design, refuse_changes, stored_design
from simulacra.planning.parts import UNSEEN, open_whole, unseen
from simulacra.planning.records import LearningCurve
from simulacra.planning.study import Study
from simulacra.training.clock import parse_count
from simulacra.training.plan import AUTO
from simulacra.training.session import run_lock

SEEDS, SAMPLES = 2, 1000
REALS = 2000  # at most

Device = Literal["auto", "cpu", "cuda", "mps"]


def learning_curve(
    data: str | Path,
    *,
    out: str | Path | None = None,
    minutes: float | None = None,
    total: str | int | None = None,
    seeds: int = SEEDS,
    gan: str | None = None,
    samples: int = SAMPLES,
    device: Device = "auto",
    threads: int | None = None,
    begin: Begin = silent,
) -> LearningCurve:
    """Train on an eighth, a quarter, half and all of the training pictures, and say what twice as many would bring.

    data: a prepared dataset, or `peeps`. out: the folder, by default `runs/DATA-plan`; a second call resumes it.
    minutes: about the length of one run (3). All runs are shown the same number of images, which a short trial works
    out; total: that number itself. seeds: runs of each part. gan: as for `train`; all runs have the settings that suit
    all pictures. samples: fakes that a score is computed from.

    Models are scored on the valid and test parts, with the same seeds. Returns the contents of `plan.json`; `plan.png`
    and `pictures.png` stand beside it. Raises `SimulacraError` for bad input, and `KeyboardInterrupt` on Ctrl-C, which
    saves first.
    """
    set_threads(threads)
    study = open_study(
        data, out=out, minutes=minutes, total=total, seeds=seeds, gan=gan, samples=samples, device=device, begin=begin,
    )  # fmt: skip
    return carry_out(study, begin)


def carry_out(study: Study, begin: Begin = silent) -> LearningCurve:
    """Execute a study, alone in its folder."""
    with run_lock(study.folder):
        return study.execute(begin)


def open_study(
    data: str | Path,
    *,
    out: str | Path | None = None,
    minutes: float | None = None,
    total: str | int | None = None,
    seeds: int = SEEDS,
    gan: str | None = None,
    samples: int = SAMPLES,
    device: Device = "auto",
    begin: Begin = silent,
) -> Study:
    """A study that is ready to start, or to resume; nothing is written. Raises `SimulacraError` for bad input."""
    if minutes is not None and total is not None:
        raise SimulacraError("planning.two_lengths")
    for name, value, least in (("--minutes", minutes, 0.001), ("--seeds", seeds, 1), ("--samples", samples, 2)):
        if value is not None and not least <= value < 1e6:
            raise SimulacraError("planning.number", name=name, value=value, least=least)
    whole = open_whole(data)
    folder = Path(out or Path("runs") / f"{whole.name}-plan").expanduser()
    stored = stored_design(folder)
    images = None if total is None else parse_count(total)
    if stored is not None:
        wanted = {"gan": None if gan == AUTO else gan, "minutes": minutes, "total": images}
        refuse_changes(folder, stored, whole.hash, wanted)
    elif folder.exists() and (not folder.is_dir() or any(path.name != ".lock" for path in folder.iterdir())):
        raise SimulacraError("planning.not_a_plan", folder=folder)
    place = choose_device(device)
    extractor = open_extractor(device=place)
    protocol = SeedProtocol(
        unseen(whole), extractor=extractor, on=UNSEEN, samples=samples, reals=REALS, choosing=True, begin=begin
    )
    design = stored or new_design(
        whole, gan=gan, minutes=minutes, total=images, device=device, place=place, extractor=extractor, begin=begin,
    )  # fmt: skip
    return Study(
        data=whole, folder=folder, design=design, seeds=seeds, device=device, extractor=extractor, protocol=protocol
    )
