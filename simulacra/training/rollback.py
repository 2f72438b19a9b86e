"""`--rollback`: a run in trouble returns to its last healthy checkpoint and continues with another seed.

The trouble is a NaN or a serious verdict: diverged, collapsed, stalled. Overfitting and a player that has won do not
count, as another seed cures neither. A checkpoint is healthy if it was written before the first sign of the verdict;
without one the run starts again. When no rollback is left, the run returns once more and ends there: to continue would
end the same way, and the remaining model should be a healthy one.

A rollback ends with a line in `rollbacks.jsonl`. A run killed before that line is written continues from some checkpoint
with the old seed, meets the same trouble at the same step, and returns then. A run killed after it continues with the
new seed. Both end as if they had not been killed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulacra.errors import SimulacraError
from simulacra.files import atomic_file, discard, read_json_lines
from simulacra.messages import Message
from simulacra.records import read_lines
from simulacra.storage import best, checkpoint_folders, checkpoints
from simulacra.training import checkpoint
from simulacra.training.health import Lines, last_healthy
from simulacra.training.run_records import RollbackRecord

FILE = "rollbacks.jsonl"


def seed_after(seed: int, rollbacks: int) -> int:
    """The seed of a run after so many rollbacks; `seed` itself at first."""
    if not rollbacks:
        return seed
    return int.from_bytes(hashlib.blake2b(f"{seed}/rollback {rollbacks}".encode(), digest_size=4).digest())


def count(run: Path) -> int:
    """The number of a run's rollbacks so far."""
    return len(read_rollbacks(run))


def read_rollbacks(run: Path) -> list[RollbackRecord]:
    """The lines of a run's `rollbacks.jsonl`. Raises `SimulacraError` for a damaged one."""
    return read_lines(run / FILE, RollbackRecord, required=("verdict", "from", "to", "seed"))


def healthy_checkpoint(run: Path, lines: Lines) -> int:
    """The images of the last healthy checkpoint, by the journal's `lines`; 0 where there is none."""
    until = last_healthy(lines)
    return max((nimg for path in checkpoint.resumable(run) if (nimg := int(path.name)) <= until), default=0)


def forget(run: Path, nimg: int) -> None:
    """Delete what a run wrote after `nimg` images, except its journal.

    The newest checkpoint is deleted first: what remains after a kill is a run as it was at some time before.
    """
    _rewrite(run / "scores.jsonl", [line for line in read_json_lines(run / "scores.jsonl") if line["nimg"] <= nimg])
    if (chosen := best(run)) and int(chosen.name) > nimg:
        (run / "best.json").unlink()
    for path in reversed(checkpoint_folders(run)):
        if int(path.name) > nimg:
            discard(path)
    for path in (run / "previews").glob("*.png"):
        if path.stem.isdecimal() and int(path.stem) > nimg:
            path.unlink()


def append(run: Path, record: RollbackRecord) -> None:
    """Add a line to `rollbacks.jsonl`."""
    _rewrite(run / FILE, [*read_rollbacks(run), record])


def none_left(run: Path, nimg: int, sign: Message | str, count: int) -> SimulacraError:
    """The error of a run in trouble after its last rollback. nimg: that of the healthy checkpoint, 0 without one."""
    remaining = checkpoints(run)
    where = Message("train.ends_healthy", checkpoint=remaining[-1]) if nimg else Message("train.ends_here")
    return SimulacraError("train.no_rollback_left", sign=sign, where=where, count=count)


def _rewrite(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    if lines or path.exists():
        with atomic_file(path) as file:
            file.writelines((json.dumps(line, allow_nan=False) + "\n").encode() for line in lines)
