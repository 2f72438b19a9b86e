"""A generator's upscalers, one behind the other: its pictures at two, four or eight times their size.

They are in the folder `upscale` of its run, or of a model folder: `x2`, `x4`, `x8`, each a run or a model folder of an
`Upscaler` that doubles what the one before it makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import torch
from torch import Tensor, nn

from simulacra.data.prepare_options import FACTORS
from simulacra.errors import SimulacraError
from simulacra.settings import Shape
from simulacra.storage import checkpoints, fingerprint, load_upscaler, model_folder
from simulacra.upscaler import FACTOR, Upscaler

FOLDER = "upscale"
PIXELS = 1 << 19  # of enlarged pictures at once, so that memory stays small


class Cascade(nn.Module):
    """Upscalers one behind the other, for pictures of `shape` (C, H, W). fingerprint: of their weights."""

    def __init__(self, stages: Sequence[Upscaler], shape: Shape, fingerprint: str = "") -> None:
        super().__init__()
        self.stages, self.fingerprint = nn.ModuleList(stages), fingerprint
        channels, height, width = shape
        self.factor = FACTOR ** len(stages)
        self.shape = channels, height * self.factor, width * self.factor  # of the enlarged pictures

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] -> [N, C, factor H, factor W] float32 in [-1, 1]."""
        for stage in self.stages:
            assert isinstance(stage, Upscaler)
            pictures = stage.upscale(pictures)
        return pictures

    @torch.no_grad()
    def enlarge(self, pictures: Tensor) -> Tensor:
        """`forward`, a few pictures at a time."""
        count = max(1, PIXELS // (pictures[0, 0].numel() * self.factor**2))
        return torch.cat([self(part) for part in torch.split(pictures, count)])


def home(where: str | Path | None) -> Path:
    """The folder of a model's upscalers: in its run where it is a checkpoint, else in its own folder."""
    folder = model_folder(where)
    return (folder.parent.parent if folder.parent.name == "checkpoints" else folder) / FOLDER


def stage_folder(folder: Path, factor: int) -> Path:
    """Where the upscaler whose pictures are `factor` times a generator's is stored. folder: see `home`."""
    return folder / f"x{factor}"


def factors(where: str | Path | None) -> list[int]:
    """The factors by which a model's upscalers enlarge its pictures, ascending."""
    stages = {factor: stage_folder(home(where), factor) for factor in FACTORS}
    return list(takewhile(lambda f: (stages[f] / "G.safetensors").is_file() or bool(checkpoints(stages[f])), FACTORS))


def open_cascade(
    where: str | Path | None, shape: Shape, factor: int, device: str | torch.device = "cpu"
) -> Cascade | None:
    """The upscalers of a model for a factor of `factors(where)`; None for the factor 1. shape: of the model's pictures.

    Raises `SimulacraError` for upscalers of pictures with other channels.
    """
    folders = [stage_folder(home(where), other) for other in FACTORS if other <= factor]
    stages = [load_upscaler(folder, device) for folder in folders]
    for stage, folder in zip(stages, folders, strict=True):
        if stage.shape[0] != shape[0]:
            raise SimulacraError("cascade.other_channels", path=folder, channels=stage.shape[0], needed=shape[0])
    return Cascade(stages, shape, "-".join(map(fingerprint, folders))) if stages else None


def cascade_of_size(
    where: str | Path | None, shape: Shape, size: int | None, device: str | torch.device = "cpu"
) -> Cascade | None:
    """The upscalers that bring a model's pictures to a height of `size` px; None where that is their own.

    Raises `SimulacraError` for a size that they do not reach, with the possible ones and the command to type.
    """
    height, width = shape[1:]
    own, possible = f"{width}x{height}", factors(where)
    if size is None or size == height:
        return None
    if size in [height * factor for factor in possible]:
        return open_cascade(where, shape, size // height, device)
    needed = next((factor for factor in FACTORS if size == height * factor), None)
    run = home(where).parent
    if needed is None:
        sizes = [height * factor for factor in (1, *FACTORS)]
        raise SimulacraError("cascade.impossible_size", size=size, own=own, sizes=sizes)
    if not (run / "config.json").is_file() or not checkpoints(run):
        raise SimulacraError("cascade.model_without", model=where or "peeps", size=size, own=own, factor=needed)
    raise SimulacraError("cascade.run_without", run=run, size=size, own=own, factor=needed)


def cascade_at_least(
    where: str | Path | None, shape: Shape, size: int | None, device: str | torch.device = "cpu"
) -> Cascade | None:
    """The fewest upscalers that bring a model's pictures to `size` px high or more, or all it has; None without any."""
    if size is None or size <= shape[1]:
        return None
    possible = factors(where)
    enough = [factor for factor in possible if shape[1] * factor >= size] or possible[-1:]
    return open_cascade(where, shape, enough[0], device) if enough else None
