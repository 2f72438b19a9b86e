"""`simulacra lab`: one experiment from its name to its files."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import simulacra
from simulacra.config import to_json
from simulacra.console import clock, console
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.files import disk_errors, write_json
from simulacra.lab import digits
from simulacra.lab.bimodal import FORMAT, bimodal
from simulacra.lab.experiment import Experiment, Length, Line, build, play
from simulacra.lab.plane import PlaneExperiment, require_supported
from simulacra.lab.targets import TARGETS
from simulacra.training.session import stop_on_signal

WHAT: Mapping[str, str] = {name: make().what for name, make in TARGETS.items()} | {
    "digits": "three digits stacked as red, green and blue: a thousand modes (pip install 'simulacra[lab]')",
    "bimodal": "no game: one Gaussian fitted to two, by forward and reverse KL and what stands behind GAN losses",
}
TRY = (
    "simulacra lab ring --gan mlp",
    "simulacra lab ring --gan mlp betas=0.5,0.999",
    "simulacra lab ring --gan dcgan lr_d=2e-4",
    "simulacra lab grid --gan wgan-gp",
)
SAID = 12  # lines of a run in a log


@dataclass(frozen=True)
class Result:
    """What came of it: the folder, whether the end was reached, and what `lab.json` holds."""

    folder: Path
    ended: bool
    record: Mapping[str, Any]


def list_targets() -> None:
    """Print the targets, a line each."""
    for name, what in WHAT.items():
        console.print(f"{name:8} {what}", markup=False)
    console.print("\nTry:", markup=False)
    for line in TRY:
        console.print(f"  {line}", markup=False)


def run(
    target: str,
    *,
    gan: str | None = None,
    settings: Mapping[str, Any] | None = None,
    out: Path | None = None,
    plays: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
) -> Result:
    """Play one experiment and write `lab.json`, `film.webp` and `still.png` into a folder of its own.

    target: one of `WHAT`. gan: the game, with or without a preset; `mlp` in the plane, `dcgan` on digits. settings: the
    game's, over the preset's over the laboratory's. out: the folder, new or empty; lab/TARGET-GAN (-2, -3, …) if not
    given. plays: of both sides together. minutes: of playing. Ctrl-C ends the play and still writes what there is.

    Raises `SimulacraError` for an unknown target or bad settings, for a folder with something in it, for a game that
    cannot play there, and, after all is written, for one that broke (NaN).
    """
    if target not in WHAT:
        hint = did_you_mean(target, WHAT) or f" There are: {', '.join(WHAT)}."
        raise SimulacraError(f"The laboratory has no {target!r}.{hint}")
    if out is not None and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise SimulacraError(f"{out} is there already, and nothing in it is overwritten: give another --out.")
    if target == "bimodal":
        if gan is not None or settings or plays is not None or minutes is not None:
            raise SimulacraError(
                "bimodal is without a game: it takes no --gan, no settings, no --plays and no --minutes."
            )
        folder = out or free("bimodal")
        claim(folder)
        say(*bimodal(folder))
        return Result(folder, True, {})
    with threads(1 if target in TARGETS else torch.get_num_threads()):
        return experiment(target, gan, settings or {}, out, asked(plays, minutes), seed)


def asked(plays: int | None, minutes: float | None) -> Length | None:
    """The length that was asked for, if any."""
    return Length(plays=plays, minutes=minutes) if (plays, minutes) != (None, None) else None


def experiment(
    target: str, gan: str | None, settings: Mapping[str, Any], out: Path | None, length: Length | None, seed: int
) -> Result:
    """One experiment with a game."""
    bench, spec = bench_of(target, gan)
    folder = out or free(f"{target}-{spec.replace(':', '-')}")
    trainer = build(bench, spec, settings, folder=folder, seed=seed)
    claim(folder)
    parameters = {name: sum(p.numel() for p in getattr(trainer.gan, name).parameters()) for name in "GD"}
    title = " ".join([f"{target} · {spec}", *(f"{key}={value}" for key, value in settings.items())])
    ceiling = bench.ceiling()
    console.print(f"{title}: G {parameters['G']:,} and D {parameters['D']:,} parameters", markup=False)
    console.print(f"reals: {bench.in_words(ceiling)}", markup=False)
    with stop_on_signal(lambda: console.print("Stopping here; once more to stop at once.")) as stop:
        lines, ended = play(bench, trainer, length or bench.length, looked=Voice(bench), stop=stop)
    record = {"format": FORMAT, "target": target, "gan": spec, "seed": seed, "ended": ended}
    record |= {"settings": to_json(trainer.config), "parameters": parameters, "reals": ceiling, "looks": lines}
    record |= {"versions": {"simulacra": simulacra.__version__, "torch": torch.__version__}}
    write_json(folder / "lab.json", record)
    console.print(f"{lines[-1]['plays']:,} plays in {clock(lines[-1]['seconds'])}; drawing.", markup=False)
    told, paths = bench.finish(folder, title, lines, trainer)
    write_json(folder / "lab.json", record | told)
    say(folder / "lab.json", *paths)
    if "broken" in lines[-1]:
        raise SimulacraError(lines[-1]["broken"])
    return Result(folder, ended, record | told)


def bench_of(target: str, gan: str | None) -> tuple[Experiment, str]:
    """The experiment, and the game that plays it."""
    if target in TARGETS:
        spec = gan or "mlp"
        require_supported(spec.partition(":")[0])
        return PlaneExperiment(target), spec
    return digits.DigitsExperiment(*digits.load()), gan or "dcgan"


class Voice:
    """Says a dozen of the lines of a run, evenly over it, and the last."""

    def __init__(self, bench: Experiment) -> None:
        self.bench, self.said = bench, 0

    def __call__(self, line: Line, share: float) -> None:
        """One line, and how much of the run is done."""
        if share * SAID >= self.said:
            self.said = int(share * SAID) + 1
            console.print(self.bench.describe(line), markup=False)


def free(name: str) -> Path:
    """lab/NAME, with a number if that is taken."""
    numbered = (Path("lab") / (name if i == 1 else f"{name}-{i}") for i in itertools.count(1))
    return next(path for path in numbered if not path.exists())


def claim(folder: Path) -> None:
    """Make the folder, once nothing more can be refused."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def say(*paths: Path) -> None:
    """Print what was written."""
    for path in paths:
        console.print(f"  {path}", markup=False)


@contextlib.contextmanager
def threads(n: int) -> Iterator[None]:
    """So many threads within: nets of the plane gain nothing from more, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
