"""Which device, which precision: what `auto` comes to on this machine."""

from __future__ import annotations

import platform

import torch

from simulacra.errors import SimulacraError
from simulacra.training import distributed

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "bf16", "fp32")


def choose_device(asked: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `mps` -> this process's device. Raises `SimulacraError` for one that is not there."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return distributed.local_device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    if asked not in there:
        raise SimulacraError(f"There is no device {asked!r}; it must be one of {', '.join(DEVICES)}.")
    if not there[asked]:
        raise SimulacraError(
            f"This machine, or this build of torch, has no {asked} device; use --device cpu. simulacra doctor says more."
        )
    return distributed.local_device(asked)


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 arithmetic is in the hardware, so that it is faster than fp32 and not slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return False


def choose_precision(asked: str, device: torch.device) -> str:
    """`auto` -> `bf16` where the hardware has it, else `fp32`."""
    if asked not in PRECISIONS:
        raise SimulacraError(f"The precision is {asked!r}; it must be one of {', '.join(PRECISIONS)}.")
    if asked == "auto":
        return "bf16" if has_bf16(device) else "fp32"
    return asked


def device_name(device: torch.device) -> str:
    """What a reader would call it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return {"mps": "Apple GPU"}.get(device.type, f"{platform.machine()} processor, {torch.get_num_threads()} threads")
