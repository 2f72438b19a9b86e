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
from simulacra.latent.inversion import Projection, invert
from simulacra.latent.perceptual_loss import quantise
from simulacra.storage import load_generator, model_folder

FIRST, WANTED, SHARE = 7_000_000, 28.0, 0.9  # seed; dB; of the own pictures


def report(title: str, projections: list[Projection], processor: float, steps: int) -> list[float]:
    """Print a line for each picture and one for all of them; returns their PSNR in dB."""
    psnr = [projection.psnr for projection in projections]
    seconds = statistics.median(projection.seconds for projection in projections)
    processor /= len(projections)
    print(f"{title}: median PSNR {statistics.median(psnr):.1f} dB, least {min(psnr):.1f} dB", end=", ")
    print(f"length {statistics.median(p.radius for p in projections):.2f}, ", end="")
    print(f"{seconds:.1f} s a picture; of the processor {processor:.1f} s, {1000 * processor / steps:.0f} ms a step")
    print("  " + " ".join(f"{value:.1f}" for value in psnr))
    return psnr


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
    options = parser.parse_args()
    generator = load_generator(options.model)

    def project(targets: list[Tensor]) -> tuple[list[Projection], float]:
        settings = {"steps": options.steps, "starts": options.starts, "wide": options.wide}
        begun = time.process_time()
        return [invert(generator, target, **settings) for target in targets], time.process_time() - begun

    print(f"{options.steps} steps, {options.starts} starts, {torch.get_num_threads()} threads")
    if options.own:
        own = [
            picture for batch in generator.pictures(range(FIRST, FIRST + options.own)) for picture in quantise(batch)
        ]
        psnr = report("own pictures", *project(own), options.steps)
        reached = sum(value >= WANTED for value in psnr)
        print(f"  {reached} of {len(psnr)} reach {WANTED:g} dB (wanted: {SHARE:.0%})")
    if options.real:
        data = open_domain(options.data or read_json(model_folder(options.model) / "config.json")["data"]).split("test")
        images = torch.from_numpy(data.images[: options.real].copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
        report("held-out reals", *project(list(images)), options.steps)


if __name__ == "__main__":
    main()
