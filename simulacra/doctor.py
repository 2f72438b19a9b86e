"""The state of this machine: versions, devices, which extras work, and how to install those that do not."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
from typing import Any

from simulacra.messages import text

# extra -> the code of its purpose, and the modules it needs
EXTRAS = {
    "onnx": ("doctor.onnx", ("onnx", "onnxscript", "onnxruntime")),
    "heif": ("doctor.heif", ("pillow_heif",)),
    "film": ("doctor.film", ("av",)),
    "hub": ("doctor.hub", ("huggingface_hub",)),
    "lab": ("doctor.lab", ("mlxtend.data",)),
    "tensorboard": ("doctor.tensorboard", ("tensorboard",)),
    "wandb": ("doctor.wandb", ("wandb",)),
    "osc": ("doctor.osc", ("pythonosc",)),
    "remote": ("doctor.remote", ("fsspec", "aiohttp")),
    "parquet": ("doctor.parquet", ("pyarrow.parquet",)),
    "inception": ("doctor.inception", ("torch_fidelity",)),
}
CORE = ("torch", "numpy", "pillow", "safetensors", "matplotlib", "rich", "cyclopts")
LABEL_CELLS = 13  # width of the first column in a terminal


def examine() -> dict[str, Any]:
    """Versions, devices, the compiler, and for each extra the modules it lacks."""
    import torch

    import simulacra
    from simulacra.device import choose_precision, has_bf16

    bf16 = text("doctor.bf16") if has_bf16(torch.device("cpu")) else text("doctor.no_bf16")
    cpu = f"{platform.processor() or platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    devices: dict[str, Any] = {"cpu": text("doctor.cpu", name=cpu, count=os.cpu_count(), bf16=bf16)}
    for i in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(i).total_memory / 2**30
        devices[f"cuda:{i}"] = f"{torch.cuda.get_device_name(i)}, {memory:.0f} GiB"
    if torch.backends.mps.is_available():
        devices["mps"] = "Apple GPU"
    if torch.version.cuda and not torch.cuda.is_available():
        devices["cpu"] = text("doctor.unused_cuda", name=devices["cpu"], cuda=torch.version.cuda)
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


def print_report() -> None:
    """Print what `examine` finds, one item per line."""
    from rich.cells import set_cell_size

    from simulacra.console import console

    findings = examine()
    versions = ", ".join(f"{name} {version}" for name, version in findings["packages"].items())
    lines = [
        ("simulacra", findings["simulacra"]),
        ("python", findings["python"]),
        (text("doctor.label_system"), findings["system"]),
        (text("doctor.label_packages"), versions),
        *((text("doctor.label_device"), f"{name}: {device}") for name, device in findings["devices"].items()),
        (text("doctor.label_default"), findings["default"]),
        (text("doctor.label_compiler"), findings["compiler"] or text("doctor.no_compiler")),
    ]
    for name, reasons in findings["extras"].items():
        purpose = text(EXTRAS[name][0])
        if reasons:
            reason = "; ".join(f"{module}: {error}" for module, error in reasons.items())
            status = text("doctor.extra_missing", name=name, purpose=purpose, reason=reason)
        else:
            status = text("doctor.extra_works", name=name, purpose=purpose)
        lines.append((text("doctor.label_extra"), status))
    for label, finding in lines:
        console.print(set_cell_size(label, LABEL_CELLS) + finding, markup=False)
