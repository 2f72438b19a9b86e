"""What the tests of publishing share: a tiny run with everything that can be published, in a folder with a telling name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from measuring import stand_in
from PIL import Image
from support import noise

import simulacra
from simulacra.latent.recipe import Direction
from simulacra.latent.saved import add_direction
from simulacra.storage import load_generator, model_folder

HOME = "home-of-nobody-else"  # a part of all paths
PHOTO = "holiday-with-aunt"  # a part of the names of all pictures
RUN = "third-attempt"


def make_run(folder: Path) -> Path:
    """A run of two checkpoints with a certificate, directions and an upscaler."""
    home = folder / HOME
    (home / "photos").mkdir(parents=True)
    for i, pixels in enumerate(noise(24, (3, 16, 16))):
        Image.fromarray(pixels).save(home / "photos" / f"{PHOTO}-{i}.png")
    simulacra.prepare(home / "photos", home / "faces", size=16, split=(0.5, 0.5, 0), workers=1)
    run = home / RUN
    simulacra.train(home / "faces", gan="mlp:tiny", run=run, total=32)
    simulacra.evaluate(run, samples=8, metrics=["fd", "memorisation"], extractor=stand_in())
    w = load_generator(run).w_dim
    add_direction(Direction(name="warmer", vector=torch.arange(w).float() + 1, kind="own"), run)
    shutil.copytree(model_folder() / "upscale", run / "upscale")
    return run


def rewrite(path: Path, change: Callable[[Any], object]) -> None:
    """Change a JSON file."""
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder by name."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


class Terminal:
    """A terminal in which somebody types lines."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    def isatty(self) -> bool:
        """It is one."""
        return True

    def readline(self, *_: object) -> str:
        """The next line."""
        return self.lines.pop(0) + "\n" if self.lines else ""
