"""What several processes must have in common, compared before the first step: where they differ, all end with a sentence.

The run's folder is that of the first process, which alone reads and writes it; on other machines there need be none.
"""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from simulacra import distributed
from simulacra.data.dataset import verify
from simulacra.data.opening import open_dataset
from simulacra.errors import SimulacraError
from simulacra.registry import provenance
from simulacra.training import checkpoint
from simulacra.training.clock import Clock
from simulacra.training.existing import Existing, source_of
from simulacra.training.options import TrainOptions
from simulacra.training.plan import Plan, Values, plan
from simulacra.training.run_records import read_run

HASH = 12  # characters shown of a hash
OPTIONS = {"tick": "every", "save": "save_every", "measure": "measure_every"}  # entries of a clock by their options


def compare(data: str | Path, options: TrainOptions, settings: Values) -> Existing | None:
    """Compare data, settings and where the run stands in all processes; returns the run of the first one.

    None for one process alone. Raises `SimulacraError` in every process where one differs, or cannot start.
    """
    if distributed.world() == 1:
        return None
    known = distributed.of_first(lambda: _existing(data, options, settings))
    first = Existing(Path(known["folder"]), known["stored"])
    content = distributed.together(lambda: open_dataset(source_of(data, first.stored)).hash)
    distributed.refuse_differences(distributed.exchange({"data": content[:HASH]}))
    resolved = distributed.together(lambda: plan(data, options, settings, first=first))
    distributed.refuse_differences(distributed.exchange(_settings(resolved)))
    own = options.run.expanduser() if options.run else first.folder
    _refuse_newer(distributed.exchange([str(own.resolve()), _newest(own)]))
    return first


def _existing(data: str | Path, options: TrainOptions, settings: Values) -> dict[str, Any]:
    """The run's folder, and its `config.json` or None."""
    resolved = plan(data, options, settings)
    return {"folder": str(resolved.folder), "stored": read_run(resolved.folder) if resolved.resumed else None}


def _settings(resolved: Plan) -> dict[str, Any]:
    """All that decides a run, by the names that a command gives it."""
    own = resolved.identity()
    shown: dict[str, Any] = {
        name: own[name] for name in ("gan", "seed", "precision", "compile", "micro", "freeze")
    } | own["config"]
    shown |= provenance(resolved.gan.name)
    shown["from"] = own["pretrained"] and own["pretrained"]["hash"][:HASH]
    shown |= {OPTIONS.get(name, name): value for name, value in asdict(resolved.clock).items()}
    return shown | {"patience": resolved.patience, "rollback": resolved.rollback}


def _newest(folder: Path) -> int:
    """The images at which a run in `folder` would resume; 0 where there is none."""
    return max((int(path.name) for path in checkpoint.resumable(folder)), default=0)


def _refuse_newer(places: list[tuple[str, int]]) -> None:
    """Raise `SimulacraError` where another process's folder holds a newer checkpoint than the first one's.

    places: the folder and its newest checkpoint's images, by rank.
    """
    first, begins = places[0]
    for rank, (folder, nimg) in enumerate(places):
        if nimg > begins:
            raise SimulacraError(
                "train.newer_elsewhere", rank=rank, folder=folder, nimg=nimg, first=first, begins=begins
            )


def same_length(resolved: Plan) -> Plan:
    """The plan with what the first process has made of the run's journal and of its machine: scores, patience, compiling."""
    known = distributed.of_first(lambda: (asdict(resolved.clock), resolved.patience, resolved.compile))
    return replace(resolved, clock=Clock(**known[0]), patience=known[1], compile=known[2])


def verify_data(source: str) -> None:
    """Recompute the hash of the data once on each machine. Raises `SimulacraError` in all processes if it has changed."""
    first_here = os.environ.get("LOCAL_RANK", "0") == "0"  # as torchrun counts the processes of a machine
    distributed.together(lambda: verify(open_dataset(source)) if first_here else None)
