"""The `config.json` of a run: what it says of a plan, and how that of an existing run is read."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

import simulacra
from simulacra import messages
from simulacra.device import device_name
from simulacra.errors import SimulacraError
from simulacra.records import check_record
from simulacra.registry import provenance
from simulacra.storage import read_versioned
from simulacra.training.run_records import RunConfig, to_reasons

if TYPE_CHECKING:
    from simulacra.training.plan import Plan

FORMAT = "simulacra-run-1"
# What an entry stands for in a run that was written before there was such an entry
ABSENT: dict[str, Any] = {"compile": False, "micro": None, "freeze": 0, "pretrained": None}


def read_run(folder: Path) -> RunConfig | None:
    """The `config.json` of a run's folder, or None where there is no run.

    Raises `SimulacraError` for a damaged one, and for one of a later version.
    """
    path = folder / "config.json"
    if (folder / "G.safetensors").exists():
        return None
    has_trained = (folder / "checkpoints").is_dir() and (folder / "journal.jsonl").exists()
    if not path.is_file():
        if has_trained:
            raise SimulacraError("train.config_missing", path=path, folder=folder)
        return None
    try:
        config = read_versioned(path, FORMAT)
    except SimulacraError as error:
        if error.code != "files.not_json" or not has_trained:
            raise
        raise SimulacraError("files.damaged", folder=folder, **error.values) from error
    if config is None:
        if has_trained:
            raise SimulacraError("files.damaged_entry", path=path, entry="format", folder=folder)
        return None
    check_record(config, RunConfig, path)
    if not _is_shape(config["config"].get("shape")):
        raise SimulacraError("files.damaged_entry", path=path, entry="config.shape", folder=folder)
    return cast(RunConfig, ABSENT | config)


def _is_shape(value: Any) -> bool:
    """Whether a stored value is a picture's (C, H, W)."""
    return isinstance(value, list) and len(value) == 3 and all(type(side) is int and side > 0 for side in value)


def config_json(plan: Plan, device: torch.device) -> RunConfig:
    """The content of `config.json` for a plan that is carried out on `device`."""
    clock, identity = plan.clock, plan.identity()
    with messages.using("en"):
        why = [str(reason) for reason in plan.reasons]
    data = {"name": plan.data.name, "source": plan.source, "shape": list(plan.data.shape)}
    config: dict[str, Any] = {"format": FORMAT, "task": plan.gan.task, "spec": plan.spec, "why": why}
    config |= {"reasons": to_reasons(plan.reasons)} | identity | {"data": identity["data"] | data}
    config |= {"threads": torch.get_num_threads()}
    config |= provenance(plan.gan.name)
    config["length"] = {
        "total": clock.total,
        "minutes": clock.minutes,
        "tick": clock.tick,
        "save": clock.save,
        "tick_seconds": clock.tick_seconds,
        "measure": clock.measure,
        "schedule": clock.schedule,
        "patience": plan.patience,
        "rollback": plan.rollback,
    }
    config["versions"] = {
        "simulacra": simulacra.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device_name(device),
    }
    return cast(RunConfig, config)
