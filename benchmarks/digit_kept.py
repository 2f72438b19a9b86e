"""How often a translation between two sets of digits keeps the digit, which no trainer was shown.

    python benchmarks/digit_kept.py digitpair runs/digitpair-cyclegan

A pair of `benchmarks/digit_pair.py`, whose files' names begin with the digit, and a run on it. A support vector machine
that was fitted to the training pictures of the one domain reads translations of the other's held-out pictures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulacra.data.dataset import Dataset
from simulacra.data.opening import open_pair
from simulacra.measure.extractors.features import pictures_of
from simulacra.measure.translation.both_directions import held_out
from simulacra.storage import load
from simulacra.translator import OTHER, Side, Translator

AT_ONCE = 64


def part(data: Dataset, folder: Path, name: str) -> tuple[Tensor, NDArray[np.int64]]:
    """The pictures [N, C, H, W] of a part of a domain, which was prepared in `folder`, and their digits [N]."""
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    begin = sum(data.splits[each] for each in list(data.splits)[: list(data.splits).index(name)])
    some = data.split(name)
    told = [int(each.rpartition("/")[2].partition("-")[0]) for each in names[begin : begin + len(some)]]
    return torch.cat(list(pictures_of(some, np.arange(len(some)), AT_ONCE))), np.array(told)


def flat(pictures: Tensor) -> NDArray[np.float32]:
    """As rows."""
    found: NDArray[np.float32] = pictures.flatten(1).numpy()
    return found


def main() -> None:
    """A line for each direction."""
    from sklearn.svm import SVC

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a prepared pair of digits")
    parser.add_argument("run", help="a run on it, or one of its checkpoints")
    arguments = parser.parse_args()
    data, model = open_pair(arguments.data), load(arguments.run, torch.device("cpu"))
    if not isinstance(model, Translator):
        parser.error(f"{arguments.run} is not a translator")
    assert data.path is not None
    folder = data.path
    domains: dict[Side, Dataset] = {"a": data.a, "b": data.b}
    named = dict(zip(OTHER, data.domains, strict=True))
    for to, given in OTHER.items():
        pictures, digits = part(domains[to], folder / to, "train")
        reader = SVC(C=10).fit(flat(pictures), digits)
        unseen, digits = part(domains[to], folder / to, held_out(data))
        skill = (reader.predict(flat(unseen)) == digits).mean()
        pictures, digits = part(domains[given], folder / given, held_out(data))
        made = torch.cat(list(model.translations(iter(torch.split(pictures, AT_ONCE)), to)))
        kept = (reader.predict(flat(made.clamp(-1, 1))) == digits).mean()
        print(f"{named[given]} to {named[to]}: {kept:.1%} of {len(digits)} keep their digit "
              f"(the reader is right on {skill:.1%} of {named[to]})")  # fmt: skip


if __name__ == "__main__":
    main()
