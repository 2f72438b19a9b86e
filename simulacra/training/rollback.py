"""`--rollback`: a run that is no longer well goes back to its last healthy checkpoint, and on with another seed.

A NaN sends it back, and so does a serious verdict: diverged, collapsed, stalled. Overfitting and a side that has won do
not: another seed cures neither. Healthy is a checkpoint written before the first sign of what became the verdict;
without one the run begins anew. When it has gone back as often as it may, it returns once more and stops there: what
follows would be the same, and the model that stays should be a healthy one.

Going back ends with a line in `rollbacks.jsonl`. A run killed before that line stands goes on from some checkpoint
with the old seed, meets with the same trouble at the same play, and goes back then; one killed after it goes on with
the new seed. Either way it ends as if it had not been killed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from simulacra.errors import SimulacraError
from simulacra.files import discard, read_json, written_aside
from simulacra.storage import checkpoints
from simulacra.training import checkpoint
from simulacra.training.health import Lines, well
from simulacra.training.journal import read

FILE = "rollbacks.jsonl"


def seed_after(seed: int, rollbacks: int) -> int:
    """The seed that a run of `seed` goes on with after so many rollbacks: its own at first."""
    if not rollbacks:
        return seed
    return int.from_bytes(hashlib.blake2b(f"{seed}/rollback {rollbacks}".encode(), digest_size=4).digest())


def count(run: Path) -> int:
    """How often a run has gone back."""
    return len(read(run / FILE))


def healthy(run: Path, lines: Lines) -> int:
    """The images of the last checkpoint to go back to, by the journal's `lines`; 0 where there is none."""
    until = well(lines)
    return max((nimg for path in checkpoint.resumable(run) if (nimg := int(path.name)) <= until), default=0)


def forget(run: Path, nimg: int) -> None:
    """Delete what a run wrote after `nimg` images, but for its journal.

    The newest checkpoint goes first: whatever is left after a kill is a run as it was at some time before.
    """
    _rewrite(run / "scores.jsonl", [line for line in read(run / "scores.jsonl") if line["nimg"] <= nimg])
    best = run / "best.json"
    if best.exists() and read_json(best)["nimg"] > nimg:
        best.unlink()
    for path in reversed(checkpoints(run)):
        if int(path.name) > nimg:
            discard(path)
    for path in (run / "previews").glob("*.png"):
        if path.stem.isdecimal() and int(path.stem) > nimg:
            path.unlink()


def record(run: Path, line: dict[str, Any]) -> None:
    """One more line in `rollbacks.jsonl`."""
    _rewrite(run / FILE, [*read(run / FILE), line])


def enough(run: Path, told: dict[str, Any], times: int) -> SimulacraError:
    """What to say when a run that is not well has gone back as often as it may."""
    kept = checkpoints(run)
    where = f"It ends with {kept[-1]}, its last healthy checkpoint" if told.get("to") else "It ends as it is"
    often = "once" if times == 1 else f"{times} times"
    return SimulacraError(
        f"{told['seen']} The run has gone back {often} already. {where}: try other settings in a new run, or this one with a "
        "larger --rollback."
    )


def _rewrite(path: Path, lines: list[dict[str, Any]]) -> None:
    if lines or path.exists():
        with written_aside(path) as file:
            file.writelines((json.dumps(line, allow_nan=False) + "\n").encode() for line in lines)
