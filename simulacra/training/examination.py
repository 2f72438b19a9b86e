"""The outcome of `simulacra doctor RUN`: what was repaired and what could not be, and how it is printed."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from simulacra.console import say
from simulacra.errors import SimulacraError
from simulacra.messages import Message
from simulacra.storage import checkpoints
from simulacra.training import checkpoint

DAMAGED = ".damaged"  # after the name of what was set aside


@dataclass
class Examination:
    """The state of a run: sentences on what was repaired, and on what could not be."""

    run: Path
    repaired: list[Message] = field(default_factory=list)
    remaining: list[Message] = field(default_factory=list)

    def set_aside(self, path: Path, reason: Message | SimulacraError | str, advice: Message | str = "") -> None:
        """Rename a damaged file or folder, so that nothing reads it any more."""
        target = _free_name(path)
        path.rename(target)
        self.repaired.append(Message("doctor.set_aside", path=path, target=target.name, reason=reason, advice=advice))


def keep_copy(path: Path) -> str:
    """Copy a file that is about to be repaired; the name of the copy."""
    return shutil.copyfile(path, _free_name(path)).name


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}{DAMAGED}{number or ''}") for number in itertools.count())
    return next(name for name in names if not name.exists())


def picture_damage(path: Path) -> str | None:
    """Why a picture cannot be read; None if it can."""
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as error:  # damaged bytes can raise anything in a decoder
        return str(error).partition("\n")[0] or type(error).__name__
    return None


def print_examination(examination: Examination) -> None:
    """Print what was repaired, what could not be, and how the run stands now."""
    for sentence in examination.repaired:
        say("doctor.repaired", sentence=sentence)
    for sentence in examination.remaining:
        say("doctor.remains", sentence=sentence)
    counts = {"checkpoints": len(checkpoints(examination.run)), "resumable": len(checkpoint.resumable(examination.run))}
    if not examination.remaining:
        say("doctor.whole_again" if examination.repaired else "doctor.whole", run=examination.run, **counts)
