"""How often a translation between two sets of digits keeps the digit, which training does not use.

    python benchmarks/digit_accuracy.py digitpair runs/digitpair-cyclegan

Needs a pair of `benchmarks/digit_pair.py`, whose file names begin with the digit, and a run on it. A support vector
machine, fitted to the training pictures of one domain, classifies translations of held-out pictures of the other.
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

BATCH = 64


def part(data: Dataset, folder: Path, name: str) -> tuple[Tensor, NDArray[np.int64]]:
    """Pictures [N, C, H, W] of a part of the domain prepared in `folder`, and their digits [N]."""
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    parts = list(data.splits)
    begin = sum(data.splits[earlier] for earlier in parts[: parts.index(name)])
    view = data.split(name)
    digits = [int(file.rpartition("/")[2].partition("-")[0]) for file in names[begin : begin + len(view)]]
    return torch.cat(list(pictures_of(view, np.arange(len(view)), BATCH))), np.array(digits)


def flat(pictures: Tensor) -> NDArray[np.float32]:
    """One row per picture."""
    rows: NDArray[np.float32] = pictures.flatten(1).numpy()
    return rows


def main() -> None:
    """Print a line per direction."""
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
    names = dict(zip(OTHER, data.domains, strict=True))
    for to, source in OTHER.items():
        pictures, digits = part(domains[to], folder / to, "train")
        classifier = SVC(C=10).fit(flat(pictures), digits)
        unseen, digits = part(domains[to], folder / to, held_out(data))
        of_reals = (classifier.predict(flat(unseen)) == digits).mean()
        pictures, digits = part(domains[source], folder / source, held_out(data))
        translated = torch.cat(list(model.translations(iter(torch.split(pictures, BATCH)), to)))
        accuracy = (classifier.predict(flat(translated.clamp(-1, 1))) == digits).mean()
        print(f"{names[source]} to {names[to]}: {accuracy:.1%} of {len(digits)} keep their digit "
              f"(the classifier is right on {of_reals:.1%} of {names[to]})")  # fmt: skip


if __name__ == "__main__":
    main()
