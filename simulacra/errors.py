"""The one exception a user may see: a sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simulacra import messages
from simulacra.messages import Message


class SimulacraError(Exception):
    """Something the user can put right: a code of the catalogue and the values of its sentence.

    `str(error)` is the sentence in the language in use; the command line prints it alone.
    """

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code)
        self.code, self.values = code, values

    def __str__(self) -> str:
        return messages.text(self.code, **self.values)


def near_name(word: str, names: Iterable[str]) -> str | None:
    """The name that `word` nearly is, or None."""
    return next(iter(difflib.get_close_matches(word, list(names), n=1)), None)


def near_path(path: Path, besides: Iterable[str] = ()) -> Message | str:
    """The hint of `did_you_mean` at a file or folder beside `path`, which does not exist, or at a name of `besides`."""
    beside: dict[str, str] = {}
    with contextlib.suppress(OSError):
        beside = {entry.name: str(path.with_name(entry.name)) for entry in path.parent.iterdir()}
    near = near_name(path.name, [*beside, *besides])
    return Message("errors.did_you_mean", name=beside.get(near, near)) if near else ""


def did_you_mean(word: str, names: Iterable[str]) -> Message | str:
    """`" Did you mean 'dcgan'?"` for a near miss, else an empty string; to be appended to a message."""
    near = near_name(word, names)
    return Message("errors.did_you_mean", name=near) if near else ""
