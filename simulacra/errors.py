"""The one exception a user may see: a sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SimulacraError(Exception):
    """Something the user can put right. The message is for a human; the command line prints it alone."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`" Did you mean 'dcgan'?"` for a near miss, else an empty string; to be appended to a message."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
