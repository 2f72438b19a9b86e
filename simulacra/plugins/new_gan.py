"""`simulacra new-gan`: a small installable package with a GAN that works, to be changed into another."""

from __future__ import annotations

import datetime
import re
from importlib import resources
from pathlib import Path

import simulacra
from simulacra.errors import SimulacraError
from simulacra.files import atomic_folder
from simulacra.registry import gans

FILES = {  # of the template -> in the package; {module} is the import name
    "README.md.txt": "README.md",
    "pyproject.toml.txt": "pyproject.toml",
    "gan.py.txt": "{module}/gan.py",
    "test_gan.py.txt": "tests/test_gan.py",
}


def new_gan(name: str, out: Path | None = None) -> Path:
    """Write the package of a GAN called `name` into the folder `out`, ./NAME if not given; returns that folder.

    Raises `SimulacraError` for a name that is taken or no package name, and for a folder that exists.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise SimulacraError("plugins.name", name=name)
    if name in gans():
        raise SimulacraError("plugins.taken", name=name)
    folder = Path(name) if out is None else out.expanduser()
    if folder.exists():
        raise SimulacraError("plugins.folder_exists", folder=folder)
    module = name.replace("-", "_")
    values = {"name": name, "module": module, "title": "".join(part.capitalize() for part in name.split("-"))}
    values |= {"version": simulacra.__version__, "year": str(datetime.date.today().year)}
    template = resources.files("simulacra.plugins") / "template"
    with atomic_folder(folder) as aside:
        for source, place in FILES.items():
            path = aside / place.format(module=module)
            path.parent.mkdir(parents=True, exist_ok=True)
            text = (template / source).read_text(encoding="utf-8")
            path.write_text(text.format(**values), encoding="utf-8")
        (aside / module / "__init__.py").write_text(
            f'"""{values["title"]}: a GAN for simulacra."""\n', encoding="utf-8"
        )
    return folder
