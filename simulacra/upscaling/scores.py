"""How good an upscaler is, on originals that it was not trained on, beside two ways that need no training.

Each original is reduced, rounded to 8 bits and enlarged again. `bicubic` is interpolation alone; `sharpened` adds an
unsharp mask, a generic sharpening: y + `AMOUNT` (y - blurred y), a Gaussian of `DEVIATION` px. PSNR and SSIM compare each
picture with its original; the judges of `measure` compare the set with the set of originals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulacra.cascade import Cascade
from simulacra.console import Begin, silent
from simulacra.data.dataset import Dataset
from simulacra.data.feed import to_tensor
from simulacra.files import atomic_file
from simulacra.grid import Grid
from simulacra.layers.filters import enlarge, reduce
from simulacra.measure import scores
from simulacra.measure.extractors.features import Extractor, features_of
from simulacra.measure.extractors.treatment import blur
from simulacra.measure.model_under_test import identity, subsample
from simulacra.measure.translation.similarity import ssim
from simulacra.messages import text

FORMAT = "simulacra-upscale-1"
SAMPLES = 500  # originals compared, at most
FEWEST = 5  # of them; with fewer, the judges' scores are chance
BATCH = 16
DEVIATION, AMOUNT = 1.0, 0.5  # of the unsharp mask: moderate, as sharpening for the screen is
REACH = 4  # px of its blur
EXAMPLES = 8  # pictures shown

Method = Callable[[Tensor], Tensor]


def sharpened(small: Tensor, factor: int) -> Tensor:
    """Pictures enlarged bicubically and sharpened by an unsharp mask."""
    large = enlarge(small, factor).clamp(-1, 1)
    return large + AMOUNT * (large - blur(large, DEVIATION, REACH))


def methods(cascade: Cascade) -> dict[str, Method]:
    """The ways to enlarge pictures, by name."""
    factor = cascade.factor
    return {
        "upscaler": cascade.enlarge,
        "bicubic": partial(enlarge, factor=factor),
        "sharpened": partial(sharpened, factor=factor),
    }


def unseen(originals: Dataset) -> tuple[str, Dataset]:
    """The largest part that no upscaler is trained on, and its name; the training part where there is no other."""
    part = max(("test", "valid"), key=lambda name: originals.splits.get(name, 0))
    part = part if originals.has(part) else "train"
    return part, originals.split(part)


@torch.no_grad()
def compare(cascade: Cascade, originals: Dataset, extractor: Extractor, begin: Begin = silent) -> dict[str, Any]:
    """The scores of upscalers and of the other methods, as JSON.

    originals: the whole dataset of them, of the size of the enlarged pictures.
    """
    part, data = unseen(originals)
    rows, device = subsample(len(data), SAMPLES), next(cascade.parameters()).device
    large = [to_tensor(data.images[rows[i : i + BATCH]], device) for i in range(0, len(rows), BATCH)]
    small = [rounded(reduce(batch, cascade.factor)) for batch in large]
    step = begin(text("upscaling.progress"), len(rows) * (1 + len(methods(cascade))))
    real = features_of(extractor, large, len(rows), step)
    metrics = [metric for metric in scores.judges("draw") if metric and len(rows) >= FEWEST]
    table: dict[str, dict[str, float]] = {}
    for name, method in methods(cascade).items():
        fakes = [rounded(method(batch)) for batch in small]
        values = {"psnr": np.concatenate([psnr(a, b) for a, b in zip(fakes, large, strict=True)]).mean()}
        values["ssim"] = np.concatenate([_ssim(a, b) for a, b in zip(fakes, large, strict=True)]).mean()
        fake = features_of(extractor, fakes, len(rows), step)
        values |= {key: value.value for key, value in scores.resampled(extractor, real, fake, metrics).items()}
        table[name] = {key: scores.round_to(float(value)) for key, value in values.items()}
    record = {"format": FORMAT, "data": originals.hash, "part": part, "n": len(rows), "shape": list(originals.shape)}
    return record | {"extractor": identity(extractor), "unsharp": [DEVIATION, AMOUNT], "scores": table}


def rounded(images: Tensor) -> Tensor:
    """Pictures as a file of 8 bits holds them."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def psnr(one: Tensor, other: Tensor) -> np.ndarray[Any, Any]:
    """The peak signal-to-noise ratio [N] in dB of pictures [N, C, H, W] in [-1, 1]; at most 60, for equal ones."""
    error = ((one.double() - other.double()) / 2).square().mean((1, 2, 3)).clamp(min=1e-6)
    return (-10 * error.log10()).cpu().numpy()


def _ssim(one: Tensor, other: Tensor) -> np.ndarray[Any, Any]:
    return ssim(one / 2 + 0.5, other / 2 + 0.5).cpu().numpy()


def better(record: Mapping[str, Any]) -> bool | None:
    """Whether both judges place the upscaler before both other methods; None where there were too few pictures for them."""
    table = record["scores"]
    judges = [name for name in table["upscaler"] if name not in ("psnr", "ssim")]
    if not judges:
        return None
    return all(table["upscaler"][name] < table[other][name] for name in judges for other in ("bicubic", "sharpened"))


@torch.no_grad()
def write_examples(path: Path, cascade: Cascade, originals: Dataset) -> None:
    """Write unseen pictures as rows: reduced, bicubic, by the upscalers, original."""
    _, data = unseen(originals)
    large = to_tensor(data.images[:EXAMPLES], next(cascade.parameters()).device)
    factor = cascade.factor
    small = rounded(reduce(large, factor))
    pixels = small.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    rows = {"reduced": pixels, "bicubic": enlarge(small, factor), "upscaler": cascade.enlarge(small), "original": large}
    channels, height, width = originals.shape
    shown = max(1, 128 // height)  # small pictures are shown larger, pixel by pixel
    names = [text(f"upscaling.{name}") for name in rows]
    grid = Grid(4 * len(large), (channels, height * shown, width * shown), columns=len(large), names=names)
    for row in rows.values():
        for picture in row:
            grid.add(picture.repeat_interleave(shown, 1).repeat_interleave(shown, 2))
    with atomic_file(path) as file:
        grid.image().save(file, "PNG")
