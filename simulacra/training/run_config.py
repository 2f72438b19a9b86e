"""The `config.json` of a run: what it says of a plan."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any, cast

import torch

import simulacra
from simulacra import distributed, messages
from simulacra.device import device_name
from simulacra.registry import provenance
from simulacra.training.run_records import FORMAT, RunConfig, to_reasons

if TYPE_CHECKING:
    from simulacra.training.plan import Plan


def config_json(plan: Plan, device: torch.device) -> RunConfig:
    """The content of `config.json` for a plan that is carried out on `device`."""
    clock, identity = plan.clock, plan.identity()
    with messages.using("en"):
        why = [str(reason) for reason in plan.reasons]
    data = {"name": plan.data.name, "source": plan.source, "shape": list(plan.data.shape)}
    config: dict[str, Any] = {"format": FORMAT, "task": plan.gan.task, "spec": plan.spec, "why": why}
    config |= {"reasons": to_reasons(plan.reasons)} | identity | {"data": identity["data"] | data}
    config |= {"threads": torch.get_num_threads(), "processes": distributed.world()}
    config |= provenance(plan.gan.name)
    if plan.fork is not None:
        config["fork"] = plan.fork
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
