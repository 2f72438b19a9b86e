"""Damages of pictures for `battery.py`: functions of pictures [N, H, W, C] uint8 and a strength.

Each spoils quality, colour or place of the pictures, at rising strengths; `unseen` is the
strength up to which nobody sees it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from simulacra.measure.extractors.treatment import blur

Pictures = NDArray[np.uint8]
Kind = Literal["quality", "colour", "place"]


@dataclass(frozen=True)
class Damage:
    """A damage at rising strengths."""

    name: str
    kind: Kind
    strengths: tuple[float, ...]  # ascending damage
    unit: str
    apply: Callable[[Pictures, float], Pictures]
    unseen: float = 0.0  # nobody sees strengths up to here

    def cases(self, pictures: Pictures) -> dict[str, Pictures]:
        """The damaged pictures by name: `noise 2/255`."""
        if self.kind == "colour" and pictures.shape[3] == 1:
            return {}
        return {self.title(strength): self.apply(pictures, strength) for strength in self.strengths}

    def title(self, strength: float) -> str:
        """`noise 2/255`."""
        return f"{self.name} {strength:g}{self.unit}" if self.unit != "-" else self.name


def rounded(values: NDArray[Any]) -> Pictures:
    """Grey levels as 8 bits."""
    levels: Pictures = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return levels


def noise(pictures: Pictures, deviation: float) -> Pictures:
    """Normal noise of each pixel and channel."""
    return rounded(pictures + np.random.default_rng(1).normal(0, deviation, pictures.shape))


def blurred(pictures: Pictures, deviation: float) -> Pictures:
    """A Gaussian blur."""
    batch = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    return rounded(blur(batch, deviation, reach=5).permute(0, 2, 3, 1).numpy())


def jpeg(pictures: Pictures, quality: float) -> Pictures:
    """Saved as JPEG and read again."""

    def again(picture: Pictures) -> Pictures:
        file = io.BytesIO()
        Image.fromarray(picture.squeeze()).save(file, "JPEG", quality=int(quality))
        return np.asarray(Image.open(file)).reshape(picture.shape)

    return np.stack([again(picture) for picture in pictures])


def grid(pictures: Pictures, amplitude: float) -> Pictures:
    """A chequerboard of single pixels, as transposed convolutions leave it."""
    board = np.indices(pictures.shape[1:3]).sum(0) % 2 * 2 - 1
    return rounded(pictures + amplitude * board[None, :, :, None])


def averaged(pictures: Pictures, number: float) -> Pictures:
    """Each picture averaged with those nearest to it: what a generator draws that averages its modes."""
    rows = pictures.reshape(len(pictures), -1).astype(np.float32)
    squares = np.square(rows).sum(1)
    distances = squares[:, None] + squares[None] - 2 * rows @ rows.T
    nearest = np.argpartition(distances, int(number) - 1, axis=1)[:, : int(number)]
    return rounded(np.stack([rows[near].mean(0) for near in nearest]).reshape(pictures.shape))


def shifted(pictures: Pictures, pixels: float) -> Pictures:
    """Moved to the right; the left column is repeated."""
    return np.concatenate([pictures[:, :, :1].repeat(int(pixels), 2), pictures[:, :, : -int(pixels)]], 2)


def mirrored(pictures: Pictures, _: float) -> Pictures:
    """Mirrored left to right."""
    return pictures[:, :, ::-1].copy()


def saturated(pictures: Pictures, factor: float) -> Pictures:
    """Less saturated: 1 leaves the colours, 0 none."""
    grey = (pictures @ np.array([0.299, 0.587, 0.114]))[..., None]
    return rounded(grey + (pictures - grey) * factor)


def hue(pictures: Pictures, degrees: float) -> Pictures:
    """Colours turned about the grey axis."""
    cos, sin, third = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees)), 1 / 3
    plus, minus = third * (1 - cos) + sin / 3**0.5, third * (1 - cos) - sin / 3**0.5
    own = cos + third * (1 - cos)
    turn = np.array([[own, minus, plus], [plus, own, minus], [minus, plus, own]])
    return rounded(pictures @ turn.T)


def swapped(pictures: Pictures, _: float) -> Pictures:
    """Red and blue exchanged."""
    return np.ascontiguousarray(pictures[..., ::-1])


DAMAGES = (
    Damage("noise", "quality", (1, 2, 4, 8), "/255", noise, unseen=2),
    Damage("blur", "quality", (0.3, 0.5, 0.7, 1), " px", blurred, unseen=0.3),
    Damage("JPEG", "quality", (95, 85, 70, 50), "", jpeg),
    Damage("grid", "quality", (2, 4, 8), "/255", grid, unseen=2),
    Damage("average of", "quality", (2, 4, 8), "", averaged),
    Damage("shift", "place", (1,), " px", shifted),
    Damage("mirror", "place", (1,), "-", mirrored),
    Damage("saturation", "colour", (0.9, 0.75, 0.5), "", saturated),
    Damage("hue", "colour", (5, 15, 45), " degrees", hue),
    Damage("red and blue swapped", "colour", (1,), "-", swapped),
)
DISTINCT = (0.5, 0.2, 20)  # of the pictures, as a share or a number


def repeated(number: int) -> Mapping[str, NDArray[np.int64]]:
    """Rows of a set of `number` in which fewer and fewer pictures are distinct: their names, mildest first."""
    rows = np.arange(number)
    distinct = [round(number * share) if share < 1 else int(share) for share in DISTINCT]
    names = ("half of them twice", "a fifth five times", "20 repeated")
    return {name: rows % few for name, few in zip(names, distinct, strict=True)}


def dropped(labels: NDArray[Any], rows: NDArray[np.int64], number: int) -> Mapping[str, NDArray[np.int64]]:
    """`number` of `rows`, without pictures of one class, of two, and of half of the classes."""
    classes = np.random.default_rng(3).permutation(np.unique(labels))
    counts = {"one class dropped": 1, "two classes dropped": 2, "half of the classes dropped": len(classes) // 2}
    left = {name: rows[~np.isin(labels[rows], classes[:count])] for name, count in counts.items()}
    return {name: np.resize(chosen[:number], number) for name, chosen in left.items()}
