"""What each of the usual habits does to the ring: modes covered by a GAN with one setting changed, by seed.

    python benchmarks/habits.py [--seeds 3] [--steps 4000] [--only NAME ...]

The first rows change one setting of a healthy GAN, `mlp betas=0.5,0.999` with the lab's own settings. The rows from
`high-momentum` on change one of a sick one, the same with the rates of 2014, `mlp`. The columns are the modes of eight that
the average of G covers after the last step, a number for each seed; the mean share of good samples there; and the mean
modes of G itself over the second half of the run, which shows whether they were kept. One thread, no film.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import torch

from simulacra.config import parse_words
from simulacra.files import JsonObject
from simulacra.lab.experiment import ExperimentLength, build_trainer, run_steps
from simulacra.lab.plane import PlaneExperiment

LOW = "--gan mlp betas=0.5,0.999"
HABITS: Mapping[str, str] = {  # name -> words of `simulacra lab ring`
    "low-momentum": LOW,
    "tanh": f"{LOW} output=tanh",
    "minimax": f"{LOW} loss=minimax",
    "uniform": f"{LOW} prior=uniform",
    "apart": f"{LOW} separate=true",
    "smoothing": f"{LOW} smoothing=0.1",
    "label-noise": f"{LOW} label_noise=0.1",
    "no-momentum": "--gan mlp betas=0,0.999",
    "rmsprop": "--gan mlp optimizer=rmsprop",
    "dropout": f"{LOW} dropout=0.4",
    "five-steps": f"{LOW} balance=fixed:5",
    "adaptive": f"{LOW} balance=adaptive",
    "slow-d": f"{LOW} lr_d=2e-4",
    "clip": f"{LOW} clip=0.01",
    "high-momentum": "--gan mlp",
    "high-minimax": "--gan mlp loss=minimax",
    "high-smoothing": "--gan mlp smoothing=0.1",
    "high-label-noise": "--gan mlp label_noise=0.1",
    "high-dropout": "--gan mlp dropout=0.4",
    "high-five-steps": "--gan mlp balance=fixed:5",
    "high-adaptive": "--gan mlp balance=adaptive",
    "high-wgan-gp": "--gan wgan-gp betas=0.9,0.999",
    "high-r3gan": "--gan r3gan betas=0.9,0.999",
}


def covered(gan: str, words: list[str], seed: int, steps: int) -> list[JsonObject]:
    """The evaluations of one run in the plane."""
    experiment = PlaneExperiment("ring", mesh=2)  # nobody looks at D's field
    experiment.evaluations = 16
    trainer = build_trainer(experiment, gan, parse_words(words), folder=Path("lab"), seed=seed)
    length = ExperimentLength(steps=steps, minutes=None)
    lines, _, error = run_steps(experiment, trainer, length, on_line=lambda *_: None, stop=lambda: False)
    if error is not None:
        raise error
    return lines


def row(name: str, seeds: int, steps: int) -> str:
    """A row of the table."""
    _, gan, *words = HABITS[name].split()
    runs = [covered(gan, words, seed, steps) for seed in range(seeds)]
    modes = " ".join(str(lines[-1]["average"]["modes"]) for lines in runs)
    good = fmean(lines[-1]["average"]["good"] for lines in runs)
    late = fmean(line["now"]["modes"] for lines in runs for line in lines[len(lines) // 2 :])
    return f"| {name} | `{HABITS[name]}` | {modes} | {good:.0%} | {late:.1f} |"


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--only", nargs="+", choices=HABITS, default=list(HABITS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| row | `simulacra lab ring` | modes, by seed | good | modes of G in the second half |\n|---|---|---|---|---|"
    )
    for name in options.only:
        print(row(name, options.seeds, options.steps), flush=True)


if __name__ == "__main__":
    main()
