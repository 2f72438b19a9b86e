"""Which copies of training pictures are found: copies planted in otherwise honest fakes, each disturbed in one way.

    python benchmarks/copies.py peeps [FOLDER ...]

FOLDER: prepared data with held-out pictures. Honest fakes are one half of the held-out pictures, the other half judges;
for `peeps` also those that the bundled model draws. Halves, and which copies are planted where, are drawn anew 20 times.
A cell is the share of the 20 draws with the verdict "copying", for copies of 1 %, 3 % and 10 %.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import simulacra
from simulacra.data.opening import open_domain
from simulacra.measure.aligned_search import AlignedSearch, Nearest, thumbnails
from simulacra.measure.copy_detection import judge
from simulacra.measure.data_copying import c_t, cells_of
from simulacra.measure.extractors.features import pictures_of
from simulacra.measure.memorisation import TRAINING, UNSEEN
from simulacra.measure.model_under_test import subsample

DRAWS, COPIES, SHARES = 20, 200, (0.0, 0.01, 0.03, 0.1)
SIGNIFICANT = 1.96


def moved(pictures: Tensor, down: int, right: int) -> Tensor:
    """Shifted, the border repeated."""
    side = pictures.shape[2]
    return F.pad(pictures, (3, 3, 3, 3), mode="replicate")[:, :, 3 + down :, 3 + right :][:, :, :side, :side]


def zoomed(pictures: Tensor, share: float) -> Tensor:
    """The middle of the pictures, `share` of their side."""
    matrix = torch.tensor([[share, 0, 0], [0, share, 0]]).expand(len(pictures), 2, 3)
    grid = F.affine_grid(matrix, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def noisy(pictures: Tensor) -> Tensor:
    """Noise of 4/255."""
    return pictures + 4 / 127.5 * torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))


DISTURBANCES: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "shift by 2 px": lambda x: moved(x, 2, -2),
    "shift by 3 px": lambda x: moved(x, -3, 2),
    "mirrored": lambda x: x.flip(3),
    "mirrored, shift by 2 px": lambda x: moved(x.flip(3), 2, 1),
    "crop by 3 %": lambda x: zoomed(x, 0.97),
    "crop by 5 %": lambda x: zoomed(x, 0.95),
    "crop by 10 %": lambda x: zoomed(x, 0.9),
    "brighter by 10 %": lambda x: (x + 0.2).clamp(-1, 1),
    "noise of 4/255": noisy,
    "blur of 3 x 3": lambda x: F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1),
}  # fmt: skip


def merged(copies: Nearest, honest: Nearest, rows: np.ndarray, planted: np.ndarray) -> tuple[np.ndarray, ...]:
    """Nearness, distance and training picture of fakes, the first of which are copies."""
    rest = rows[len(planted) :]
    return tuple(
        np.concatenate([getattr(copies, name)[planted], getattr(honest, name)[rest]])
        for name in ("nearness", "distance", "train")
    )


def table(source: str) -> None:
    """Print the table of one data set."""
    data = open_domain(source)
    train = data.split("train")
    of_train = subsample(len(train), TRAINING)
    start = time.process_time()
    search = AlignedSearch(thumbnails(pictures_of(train, of_train, 64)))
    held_out = search.nearest(
        torch.cat(
            [thumbnails(pictures_of(p, subsample(len(p), UNSEEN // 2), 64)) for p in map(data.split, ("valid", "test"))]
        )
    )
    number, originals = len(held_out.train), torch.cat(list(pictures_of(train, of_train[:COPIES], 64)))
    honest = {"held-out": held_out}
    if source == "peeps":
        honest["bundled model"] = search.nearest(thumbnails(simulacra.load_generator().pictures(range(1000))))
    for name, fakes in honest.items():
        print(
            f"\n{data.name}, {data.shape[1]} px, {name} as fakes, {len(of_train)} training, {number} held-out pictures\n"
        )
        print("| disturbance | original first | copying, 0 / 1 / 3 / 10 % copies | C_T < -1.96 |\n|---|---|---|---|")
        for how, disturb in DISTURBANCES.items():
            copies = search.nearest(thumbnails([disturb(originals)]))
            first = (copies.train == np.arange(len(originals))).mean()
            verdicts, tests = rates(search, fakes, copies, held_out, halves=fakes is held_out)
            print(f"| {how} | {first:.0%} | {' / '.join(verdicts)} | {' / '.join(tests)} |", flush=True)
    print(f"\nCPU time {time.process_time() - start:.0f} s")


def rates(
    search: AlignedSearch, fakes: Nearest, copies: Nearest, held_out: Nearest, *, halves: bool
) -> tuple[list[str], list[str]]:
    """For each share of copies: the share of draws that are called copying, and in which C_T is below -1.96 of its σ."""
    verdicts, tests = [], []
    cells = cells_of(search.windows, len(held_out.train) // (1 + halves))
    for share in SHARES:
        alarms, low = [], []
        for seed in range(DRAWS):
            source = np.random.default_rng(seed)
            judges = source.permutation(len(held_out.train))
            if halves:
                rows, judges = np.array_split(judges, 2)
            else:
                rows = source.permutation(len(fakes.train))
            planted = source.choice(len(copies.train), min(len(copies.train), round(share * len(rows))), replace=False)
            nearness, distance, nearest = merged(copies, fakes, rows, planted)
            alarms.append(judge(nearness, held_out.nearness[judges]).verdict == "copying")
            unseen_cells = cells[held_out.train[judges]]
            value = c_t(distance, cells[nearest], held_out.distance[judges], unseen_cells) or 0.0
            shares = np.bincount(unseen_cells) / len(judges)
            low.append(value < -SIGNIFICANT * np.sqrt(np.square(shares).sum()))
        verdicts.append(f"{np.mean(alarms):.0%}")
        tests.append(f"{np.mean(low):.0%}")
    return verdicts, tests


if __name__ == "__main__":
    for folder in sys.argv[1:] or ["peeps"]:
        table(folder)
