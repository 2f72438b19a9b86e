"""Imports run downwards, floor by floor, and never back up; CONTRIBUTING shows the floors as they are."""

from __future__ import annotations

import ast
import importlib.util
import itertools
from collections.abc import Iterator
from pathlib import Path

import simulacra

ROOT = Path(simulacra.__file__).parent

# From the ground up. A room imports from its own floor only what stands to its left, and anything from below.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("messages", "errors", "files", "records", "console"),
    ("config", "settings", "device", "doctor", "rendezvous", "distributed"),
    ("model", "translator", "upscaler"),
    ("layers", "losses", "augment", "optimizers"),
    ("seeds", "interpolation", "generator", "styled", "provenance", "grid"),
    ("gan",),
    ("gans",),
    ("outside", "hub", "registry"),
    ("storage", "data", "cascade"),
    ("measure",),
    ("training", "latent"),
    ("sampling", "bulk", "translation", "publish", "upscaling", "shelf", "workflow"),
    ("explore", "lab", "studio", "plugins"),
    ("catalogue", "demo", "planning"),
    ("cli",),
)
ORDER = {room: place for place, room in enumerate(itertools.chain(*FLOORS))}


def room(module: str) -> str:
    """`simulacra.data.feed` -> `data`; the package itself is ""."""
    return module.split(".")[1] if "." in module else ""


def imports() -> Iterator[tuple[str, str, str]]:
    """(importing module, imported room, place) of every import of the package, those within functions too."""
    for path in sorted(ROOT.rglob("*.py")):
        module = ".".join(("simulacra", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "simulacra":
                targets = (
                    [f"simulacra.{alias.name}" for alias in node.names] if node.module == "simulacra" else [node.module]
                )
            elif isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names if alias.name.split(".")[0] == "simulacra"]
            for target in targets:
                yield module, room(target), str(path.relative_to(ROOT))


def test_every_room_has_a_floor() -> None:
    rooms = {path.stem for path in ROOT.iterdir() if (path.suffix == ".py" or (path / "__init__.py").exists())}
    assert rooms - {"__init__", "__main__"} == ORDER.keys()


def test_imports_run_downwards() -> None:
    front = {"", "__main__"}  # the front door opens every room, and everybody may ask for the version
    wrong = [
        f"{place}: {room(module)} imports {target}"
        for module, target, place in imports()
        if room(module) not in front
        and target in ORDER
        and target != room(module)
        and ORDER[target] > ORDER[room(module)]
    ]
    assert not wrong, "\n".join(wrong)


def test_rooms_have_no_circles_inside() -> None:
    """Modules of one room import each other in one direction at import time; a function may import later."""
    edges: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        module = ".".join(("simulacra", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("simulacra."):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                inner = {name for name in names if _is_module(name)}
                edges.setdefault(module, set()).update(inner or {node.module})
    modules = edges.keys()
    state: dict[str, int] = {}

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert state.get(module) != 1, " -> ".join((*way, module))
        if state.get(module) == 2:
            return
        state[module] = 1
        for target in edges.get(module, set()) & modules:
            if target != module:
                visit(target, (*way, module))
        state[module] = 2

    for module in modules:
        visit(module, ())


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


LONG = 300  # lines, as a rule of thumb
LONGER = {"plugins/checks.py", "publish/report/tables.py", "gans/progan.py"}  # each part stands where its name says


def test_modules_stay_short() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in ROOT.rglob("*.py")
    }
    assert {name for name, length in lengths.items() if length > LONG} <= LONGER


def test_contributing_lists_the_rooms() -> None:
    """`python scripts/rooms.py` writes the list anew."""
    script = ROOT.parent / "scripts" / "rooms.py"
    spec = importlib.util.spec_from_file_location("rooms", script)
    assert spec is not None and spec.loader is not None
    rooms = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rooms)
    assert rooms.PAGE.read_text(encoding="utf-8") == rooms.page()


def test_contributing_shows_the_floors() -> None:
    text = (ROOT.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for floor in FLOORS:
        assert " ".join(floor) in text, floor
