"""A copy of a dataset whose attributes are the signs of principal components of its thumbnails.

    python benchmarks/codes.py emoji64 24          # makes emoji64c24, for benchmarks/recipes.py

The components are those of the training part. Prints the share of the variance that they keep, and how many different
codes the training pictures have.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np

from simulacra.data.dataset import content_hash

SIDE = 8  # of a thumbnail


def main(source: Path, bits: int) -> None:
    """Write the copy beside the dataset."""
    target = source.with_name(f"{source.name}c{bits}")
    shutil.copytree(source, target)
    images, record = np.load(source / "images.npy"), json.loads((source / "data.json").read_text())
    n, height, width, channels = images.shape
    blocks = images.reshape(n, SIDE, height // SIDE, SIDE, width // SIDE, channels)
    thumbnails = blocks.mean((2, 4)).reshape(n, -1) / 255
    train = thumbnails[: record["splits"]["train"]]
    _, spread, components = np.linalg.svd(train - train.mean(0), full_matrices=False)
    codes = (thumbnails - train.mean(0)) @ components[:bits].T
    labels = (codes > np.median(codes[: len(train)], 0)).astype(np.float32)
    names = tuple(f"code {i}" for i in range(bits))
    np.save(target / "labels.npy", labels)
    record |= {"name": target.name, "classes": [], "attributes": names}
    record["hash"] = content_hash(images, labels, (), names)
    (target / "data.json").write_text(json.dumps(record))
    different = len(np.unique(labels[: len(train)], axis=0))
    print(
        f"{(spread[:bits] ** 2).sum() / (spread**2).sum():.0%} of the variance; {different:,} codes of {len(train):,}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
