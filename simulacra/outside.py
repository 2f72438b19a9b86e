"""GANs that are not part of the package: entry points of installed packages, and Python files by path."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

from simulacra import messages
from simulacra.errors import SimulacraError

GROUP = "simulacra.gans"  # of entry points; each names a GAN class, or a module that registers GANs


def installed() -> list[tuple[str, Any]]:
    """(package, class or module) of every entry point; one that cannot be imported is a warning."""
    return _installed(tuple(sys.path))


@functools.cache
def _installed(search_path: tuple[str, ...]) -> list[tuple[str, Any]]:
    objects: list[tuple[str, Any]] = []
    for entry in importlib.metadata.entry_points(group=GROUP):
        package = entry.dist.name if entry.dist else entry.value
        try:
            objects.append((package, entry.load()))
        except Exception as error:  # whatever is wrong in a package, the other GANs stay usable
            text = messages.text("gan.broken_package", package=package, entry=entry.value, error=repr(error))
            warnings.warn(text, UserWarning, stacklevel=3)
    return objects


def from_file(path: Path) -> ModuleType:
    """The module in a Python file, executed once for each content. Raises `SimulacraError` where it cannot be."""
    if not path.is_file():
        raise SimulacraError("gan.missing_file", path=path)
    name = f"simulacra_file_{path.stem}_{sha256(path)[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up here
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise SimulacraError("gan.broken_file", path=path, error=repr(error)) from error
    return module


def from_module(name: str) -> ModuleType:
    """An importable module by its dotted name. Raises `SimulacraError` where it cannot be imported."""
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise SimulacraError("gan.broken_module", module=name, error=repr(error)) from error


def sha256(path: Path) -> str:
    """A file's content hash in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
