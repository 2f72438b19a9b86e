"""Write the list of rooms in CONTRIBUTING.md: every module of the package with the first clause of its docstring.

python scripts/rooms.py
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "simulacra"
PAGE = ROOT / "CONTRIBUTING.md"
WIDTH, NAMES = 140, 30  # characters of a line, and of a module's name before the text
BEGIN, END = "<!-- rooms: written by scripts/rooms.py -->\n", "<!-- end of rooms -->\n"


def meaning(module: Path, room: int) -> str:
    """The first sentence of a module's docstring, or as much of it as `room` characters hold."""
    text = (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    text = re.split(r"\.\s", " ".join(text.split()))[0].rstrip(".")
    while len(text) > room:
        shorter = re.sub(r"(;|:|,| \(| - | and | where | by | with | that )(?!.*\1).*$", "", text)
        text = shorter if shorter != text else text[:room].rsplit(" ", 1)[0]
    return text[:1].upper() + text[1:]


def entry(name: str, module: Path, indent: int) -> str:
    """One line of the list."""
    return f"{' ' * indent}{name:<{NAMES - indent}} {meaning(module, WIDTH - NAMES - 1)}"


def rooms() -> str:
    """The whole list, as a block of code."""
    lines = ["```", "simulacra/"]
    for place in sorted(PACKAGE.iterdir(), key=lambda path: path.stem):
        if place.suffix == ".py" and not place.stem.startswith("__"):
            lines.append(entry(place.name, place, 2))
        elif (place / "__init__.py").exists():
            lines.append(entry(f"{place.name}/", place / "__init__.py", 2))
            modules = (path for path in sorted(place.rglob("*.py")) if not path.stem.startswith("__"))
            lines += [entry(path.relative_to(place).as_posix(), path, 4) for path in modules]
    return "\n".join([*lines, "```", ""])


def page() -> str:
    """CONTRIBUTING.md with the list as the package has it now."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return f"{before}{BEGIN}{rooms()}{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}\n")
