"""Device and precision of this process, as the options `--device` and `--precision` name them."""

from __future__ import annotations

import os
import platform

import torch

from simulacra.errors import SimulacraError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "bf16", "fp32")


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `mps` -> this process's device. Raises `SimulacraError` for one that is missing."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    if name not in available:
        raise SimulacraError("device.unknown", name=name, names=DEVICES)
    if not available[name]:
        raise SimulacraError("device.missing", name=name)
    return torch.device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if name == "cuda" else name)


def set_threads(threads: int | None) -> None:
    """Limit torch to so many processor threads; None leaves its default. Raises `SimulacraError` out of 1 to 1024."""
    if threads is None:
        return
    if not 1 <= threads <= 1024:
        raise SimulacraError("device.threads", threads=threads)
    torch.set_num_threads(threads)


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware computes in bf16, so that bf16 is faster than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return False


def choose_precision(name: str, device: torch.device) -> str:
    """`auto` -> `bf16` where the hardware has it, else `fp32`."""
    if name not in PRECISIONS:
        raise SimulacraError("device.unknown_precision", name=name, names=PRECISIONS)
    if name == "auto":
        return "bf16" if has_bf16(device) else "fp32"
    return name


def device_name(device: torch.device) -> str:
    """The device's name in records, such as `NVIDIA H200` or `x86_64 processor, 4 threads`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    threads = torch.get_num_threads()
    return f"{platform.machine()} processor, {threads} thread{'' if threads == 1 else 's'}"
