"""`simulacra lab`: one experiment, from its name to its files."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import simulacra
from simulacra.config import to_json
from simulacra.console import clock, console, say
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.files import JsonObject, disk_errors, write_json
from simulacra.lab import digits
from simulacra.lab.bimodal import FORMAT, bimodal
from simulacra.lab.distances import distances
from simulacra.lab.experiment import Experiment, ExperimentLength, build_trainer, run_steps
from simulacra.lab.plane import PlaneExperiment, require_supported
from simulacra.lab.targets import TARGETS
from simulacra.messages import text
from simulacra.registry import find
from simulacra.training.session import stop_on_signal

DESCRIPTIONS: Mapping[str, str] = {
    "ring": "lab.ring",
    "grid": "lab.grid",
    "roll": "lab.roll",
    "digits": "lab.digits",
    "bimodal": "lab.bimodal",
    "distances": "lab.distances",
}
WITHOUT_GAN: Mapping[str, Callable[[Path], list[Path]]] = {"bimodal": bimodal, "distances": distances}
EXAMPLES = (
    "simulacra lab ring --gan mlp",
    "simulacra lab ring --gan mlp betas=0.5,0.999",
    "simulacra lab ring --gan dcgan lr_d=2e-4",
    "simulacra lab grid --gan wgan-gp",
)
PRINTED_LINES = 12  # of a run


@dataclass(frozen=True)
class LabResult:
    """The folder of an experiment, whether its end was reached, and the content of `lab.json`."""

    folder: Path
    ended: bool
    record: Mapping[str, Any]


def list_targets() -> None:
    """Print the experiments, one per line, and examples."""
    for name, code in DESCRIPTIONS.items():
        console.print(f"{name:9} {text(code)}", markup=False)
    say("lab.try")
    for example in EXAMPLES:
        console.print(f"  {example}", markup=False)
    say("lab.try_page")


def run_lab(
    target: str,
    *,
    gan: str | None = None,
    settings: Mapping[str, Any] | None = None,
    out: Path | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
) -> LabResult:
    """Run one experiment and write `lab.json`, `film.webp` and `still.png` into a folder of its own.

    target: one of `DESCRIPTIONS`. gan: with or without a preset; `mlp` in the plane and `dcgan` on digits by default.
    settings: of the GAN; they override the preset's, and those the lab's. out: a new or empty folder; by default
    lab/TARGET-GAN (-2, -3, …). steps: of both players together. minutes: of training. Ctrl-C ends the experiment early
    and still writes its files.

    Raises `SimulacraError` for an unknown target, bad settings, a folder with files in it, a GAN that the experiment
    cannot train, and, after all files are written, for training that diverged (NaN).
    """
    if target not in DESCRIPTIONS:
        hint = did_you_mean(target, DESCRIPTIONS)
        raise SimulacraError("lab.unknown_target", name=target, names=list(DESCRIPTIONS), hint=hint)
    if out is not None and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise SimulacraError("lab.out_exists", path=out)
    length = None
    if (steps, minutes) != (None, None):
        length = ExperimentLength(steps=steps, minutes=minutes)
    if target in WITHOUT_GAN:
        if gan is not None or settings or length:
            raise SimulacraError("lab.without_gan", target=target)
        folder = out or unused_folder(target)
        make_folder(folder)
        print_paths(*WITHOUT_GAN[target](folder))
        return LabResult(folder, True, {})
    # The plane's small networks gain nothing from more threads, and lose much on a busy machine.
    with torch_threads(1 if target in TARGETS else torch.get_num_threads()):
        return _run_experiment(target, gan, settings or {}, out, length, seed)


def _run_experiment(
    target: str,
    gan: str | None,
    settings: Mapping[str, Any],
    out: Path | None,
    length: ExperimentLength | None,
    seed: int,
) -> LabResult:
    """An experiment that trains a GAN."""
    experiment, spec = open_experiment(target, gan)
    folder = out or unused_folder(f"{target}-{spec.replace(':', '-')}")
    trainer = build_trainer(experiment, spec, settings, folder=folder, seed=seed)
    make_folder(folder)
    parameters = {name: sum(p.numel() for p in getattr(trainer.gan, name).parameters()) for name in "GD"}
    title = " ".join([f"{target} · {spec}", *(f"{key}={value}" for key, value in settings.items())])
    reals = experiment.score_reals()
    say("lab.parameters", title=title, g=parameters["G"], d=parameters["D"])
    say("lab.reals", scores=experiment.format_scores(reals))
    with stop_on_signal(lambda: say("lab.stopping")) as stop:
        lines, ended, error = run_steps(
            experiment, trainer, length or experiment.length, on_line=LinePrinter(experiment), stop=stop
        )
    record = {"format": FORMAT, "target": target, "gan": spec, "seed": seed, "ended": ended}
    record |= {"settings": to_json(trainer.config), "parameters": parameters, "reals": reals, "looks": lines}
    record |= {"versions": {"simulacra": simulacra.__version__, "torch": torch.__version__}}
    write_json(folder / "lab.json", record)
    say("lab.drawing", steps=lines[-1]["plays"], time=clock(lines[-1]["seconds"]))
    final, paths = experiment.finish(folder, title, lines, trainer)
    write_json(folder / "lab.json", record | final)
    print_paths(folder / "lab.json", *paths)
    if error is not None:
        raise error
    return LabResult(folder, ended, record | final)


def open_experiment(target: str, gan: str | None) -> tuple[Experiment, str]:
    """The experiment, and the GAN that it trains."""
    if target in TARGETS:
        spec = gan or "mlp"
        require_supported(spec.partition(":")[0])
        return PlaneExperiment(target), spec
    find(gan or "dcgan")  # before a classifier is trained
    return digits.DigitsExperiment(*digits.load_digits()), gan or "dcgan"


class LinePrinter:
    """Prints `PRINTED_LINES` evaluations, evenly spaced over a run, and the last."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.printed = experiment, 0

    def __call__(self, line: JsonObject, share: float) -> None:
        """Print `line` if it is due at this share of the run."""
        if share * PRINTED_LINES >= self.printed:
            self.printed = int(share * PRINTED_LINES) + 1
            console.print(self.experiment.format_line(line), markup=False)


def unused_folder(name: str) -> Path:
    """lab/NAME, with a number if it exists."""
    numbered = (Path("lab") / (name if i == 1 else f"{name}-{i}") for i in itertools.count(1))
    return next(path for path in numbered if not path.exists())


def make_folder(folder: Path) -> None:
    """Make the output folder; called after all checks, so that a refused command leaves none."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def print_paths(*paths: Path) -> None:
    """Print the files that were written."""
    for path in paths:
        console.print(f"  {path}", markup=False)


@contextlib.contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Use `n` threads of torch within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
