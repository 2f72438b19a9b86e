"""What recording plays as CUDA graphs brings on a GPU, and whether the weights stay the eager ones.

    python benchmarks/recorded.py [--plays 40] [--games dcgan,r3gan]

Each game plays noise of 32 px three times with the same seed: eagerly, recorded, and eagerly again. Where some kernels
add up in no fixed order, even the two eager runs differ; what recording changes is to be seen beside that.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulacra.data.dataset import Dataset, Pair
from simulacra.data.feed import Feed
from simulacra.device import device_name
from simulacra.registry import configured
from simulacra.training.trainer import Trainer

CUDA = torch.device("cuda")
SIDE, PICTURES, KINDS = 32, 256, 3
CASES: list[tuple[str, dict[str, Any]]] = [
    ("mlp", {}),
    ("dcgan", {}),
    ("wgan-gp", {}),
    ("sngan", {}),
    ("cgan", {}),
    ("r3gan", {"network": "conv", "lazy": 4, "augment": "diff", "batch": 32}),
    ("r3gan", {"batch": 32}),
    ("stylegan2", {"batch": 32}),
    ("cyclegan", {"batch": 8, "pool": 8, "loss": "relativistic", "gamma": 1.0, "features": 32}),
]


def noise(game: str) -> Dataset | Pair:
    """Pictures of noise, of two domains or with labels where the game wants them."""
    source = np.random.default_rng(0)
    images, others = (source.integers(0, 256, (PICTURES, SIDE, SIDE, 3), np.uint8) for _ in range(2))
    parts = {"train": PICTURES, "valid": 0, "test": 0}
    labels = source.integers(0, KINDS, PICTURES) if game == "cgan" else None
    names = tuple("abc"[:KINDS]) if game == "cgan" else ()
    made = Dataset("noise", None, images, labels, names, (), parts, "")
    if game != "cyclegan":
        return made
    b = Dataset("b", None, others, None, (), (), parts, "")
    return Pair("noise", None, made, b, ("a", "b"), "")


def played(game: str, settings: dict[str, Any], plays: int, *, recorded: bool, folder: Path) -> tuple[Tensor, float]:
    """The weights after so many plays, and the milliseconds of one of the later half."""
    torch.manual_seed(0)
    data = noise(game)
    gan, config = configured(game, (3, SIDE, SIDE), settings, labels=0 if isinstance(data, Pair) else len(data.classes))
    feed = Feed(data, CUDA, seed=0)
    built = gan(gan.resolve(config, 100_000)).to(CUDA, memory_format=torch.channels_last)  # type: ignore[call-overload]
    feed.attach_labels(built.G)
    made = Trainer(built, feed, folder, seed=0, precision="bf16")
    if not recorded:
        made.recorder = None
    for _ in range(plays - plays // 2):
        made.step()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(plays // 2):
        made.step()
    torch.cuda.synchronize()
    taken = 1000 * (time.perf_counter() - began) / (plays // 2)
    return torch.cat([value.flatten().float() for value in built.state_dict().values()]), taken


def main() -> None:
    """Each case, a line of a table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--plays", type=int, default=40)
    parser.add_argument("--games", default="", help="with commas; all if not given")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("this machine, or this build of torch, has no GPU")
    print(f"{device_name(CUDA)}, torch {torch.__version__}, {SIDE} px, bf16, {asked.plays} plays\n")
    print("| game | eager, ms a play | recorded | | weights differ by | two eager runs by |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for game, settings in CASES:
            if asked.games and game not in asked.games.split(","):
                continue
            same: dict[str, Any] = {"plays": asked.plays, "folder": Path(folder)}
            runs = [played(game, settings, recorded=recorded, **same) for recorded in (False, True, False)]
            (one, slow), (other, fast), (again, _) = runs
            apart = [float((each - one).norm() / one.norm()) for each in (other, again)]
            words = " ".join(f"{key}={value}" for key, value in settings.items())
            print(
                f"| {game} {words} | {slow:.2f} | {fast:.2f} | {slow / fast:.1f}x | {apart[0]:.1e} | {apart[1]:.1e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
