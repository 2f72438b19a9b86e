"""Write the course's notebooks: `python scripts/notebooks.py` makes docs/course/NN-name.ipynb of every English page.

Blocks marked `sh` (one command a line) and `python` become cells to run; all else stays text. The lengths of a page's
commands, `--plays` and `--total`, become the numbers STEPS and TOTAL of the first cell. A notebook holds no outputs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
COURSE = ROOT / "docs" / "course"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
LENGTHS = {"STEPS": "--plays", "TOTAL": "--total"}
COLAB = "https://colab.research.google.com"

Cell = dict[str, Any]


def pages() -> list[Path]:
    """The English pages that have something to run, in order."""
    english = (page for page in sorted(COURSE.glob("*.md")) if not page.name.endswith(".zh.md"))
    return [page for page in english if BLOCK.search(page.read_text(encoding="utf-8"))]


def lengths(text: str) -> dict[str, int]:
    """The lengths of a page's commands. Raises `ValueError` if they differ, as one number could not stand for them."""
    found = {name: {int(n) for n in re.findall(rf"{option} (\d+)", text)} for name, option in LENGTHS.items()}
    if several := [name for name, numbers in found.items() if len(numbers) > 1]:
        raise ValueError(f"different lengths on one page: {several}")
    return {name: numbers.pop() for name, numbers in found.items() if numbers}


def code(kind: str, block: str) -> str:
    """The source of a cell: Python as it is, or commands behind `!` with the lengths by name."""
    if kind == "python":
        return block.rstrip()
    for name, option in LENGTHS.items():
        block = re.sub(rf"{option} \d+", f"{option} {{{name}}}", block)
    return "\n".join(f"!{line}" for line in block.splitlines() if line)


def cell(kind: str, source: str) -> Cell:
    """A cell of nbformat 4.4."""
    lines = source.splitlines(keepends=True)
    rest: Cell = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, **rest, "source": lines}


def repository() -> str | None:
    """The address on GitHub in CITATION.cff, as owner/name."""
    found = re.search(
        r"^repository-code:.*github\.com/([\w.-]+/[\w.-]+)", (ROOT / "CITATION.cff").read_text("utf-8"), re.M
    )
    return found and found[1].removesuffix(".git")


def badge(name: str) -> str:
    """How to open the notebook on a machine of Colab's."""
    address = repository()
    if address is None:
        return f"*To run this page on Colab, upload `docs/course/{name}` there. It needs simulacra: `pip install .` in this repository.*"
    link = f"{COLAB}/github/{address}/blob/main/docs/course/{name}"
    install = f"`!pip install git+https://github.com/{address}`"
    return f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({link}) It needs simulacra: {install}."


def cells(page: Path) -> Iterator[Cell]:
    """The cells of a page's notebook."""
    text = page.read_text(encoding="utf-8")
    heading, _, rest = text.partition("\n")
    yield cell("markdown", f"{heading}\n\n{badge(page.with_suffix('.ipynb').name)}")
    if numbers := lengths(text):
        yield cell("code", "\n".join(f"{name} = {number}" for name, number in numbers.items()))
    end = 0
    for block in BLOCK.finditer(rest):
        if prose := rest[end : block.start()].strip():
            yield cell("markdown", prose)
        yield cell("code", code(*block.groups()))
        end = block.end()
    if prose := rest[end:].strip():
        yield cell("markdown", prose)


def notebook(page: Path) -> str:
    """The notebook of a page as JSON."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {"cells": list(cells(page)), "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    for page in pages():
        page.with_suffix(".ipynb").write_text(notebook(page), encoding="utf-8")
