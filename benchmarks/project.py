"""How well pictures are found again: the model's own at fresh seeds, and real ones that it has never seen.

    python benchmarks/project.py [MODEL] [--steps 500] [--own 10] [--real 10]

Own pictures are rounded to 8 bits, as a saved file would be; their seeds are not among the guesses of a projection.
Real ones are the first of the test part of the model's data set. Seconds are on the clock, and the processor's, which
a busy machine does not lengthen; with OMP_NUM_THREADS=1 they are of one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor

from simulacra.data.opening import open_domain
from simulacra.files import read_json
from simulacra.latent.perceptual_loss import rounded
from simulacra.latent.project import Projection, project
from simulacra.storage import load_generator, model_folder

FIRST, WANTED, SHARE = 7_000_000, 28.0, 0.9  # seed; dB; of the own pictures


def told(what: str, found: list[Projection], processor: float, steps: int) -> list[float]:
    """A line for each picture and one for all of them; returns their PSNR."""
    decibels = [projection.psnr for projection in found]
    each = statistics.median(projection.seconds for projection in found)
    processor /= len(found)
    print(f"{what}: median PSNR {statistics.median(decibels):.1f} dB, least {min(decibels):.1f} dB", end=", ")
    print(f"length {statistics.median(p.length for p in found):.2f}, ", end="")
    print(f"{each:.1f} s a picture; of the processor {processor:.1f} s, {1000 * processor / steps:.0f} ms a step")
    print("  " + " ".join(f"{value:.1f}" for value in decibels))
    return decibels


def main() -> None:
    """Own pictures, then real ones."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--data", help="the data set of the real ones, if not the one that the model names")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--starts", type=int, default=4)
    parser.add_argument("--own", type=int, default=10)
    parser.add_argument("--real", type=int, default=10)
    parser.add_argument("--wide", action="store_true", help="a latent for each layer")
    asked = parser.parse_args()
    generator = load_generator(asked.model)

    def found(targets: list[Tensor]) -> tuple[list[Projection], float]:
        options = {"steps": asked.steps, "starts": asked.starts, "wide": asked.wide}
        begun = time.process_time()
        return [project(generator, target, **options) for target in targets], time.process_time() - begun

    print(f"{asked.steps} steps, {asked.starts} starts, {torch.get_num_threads()} threads")
    if asked.own:
        own = [picture for batch in generator.pictures(range(FIRST, FIRST + asked.own)) for picture in rounded(batch)]
        decibels = told("own pictures", *found(own), asked.steps)
        reached = sum(value >= WANTED for value in decibels)
        print(f"  {reached} of {len(decibels)} reach {WANTED:g} dB (wanted: {SHARE:.0%})")
    if asked.real:
        data = open_domain(asked.data or read_json(model_folder(asked.model) / "config.json")["data"]).split("test")
        images = torch.from_numpy(data.images[: asked.real].copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
        told("held-out reals", *found(list(images)), asked.steps)


if __name__ == "__main__":
    main()
