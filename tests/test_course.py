"""The course: a page and a picture for each GAN, formulas that become MathML, and notebooks that are up to date and run."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import shlex
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import Cli

sys.path.append(str(Path(__file__).parent.parent / "scripts"))

import notebooks

from simulacra.data import portraits
from simulacra.lab.plane import PlaneExperiment
from simulacra.registry import gans

ROOT = Path(__file__).parents[1]
COURSE = notebooks.COURSE
PAGES = sorted(COURSE.glob("*.md"))
RUN = notebooks.pages()
SMALL = {"STEPS": 4, "TOTAL": 64}
PICTURE_LIMIT = 60_000  # bytes

needs_docutils = pytest.mark.skipif(find_spec("docutils") is None, reason="no docutils: pip install 'simulacra[docs]'")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A twentieth of the built-in people, and none of the figures, which take longer than all the rest."""
    monkeypatch.setattr(PlaneExperiment, "finish", lambda *_: ({}, []))
    monkeypatch.setattr("simulacra.data.sheet._draw", lambda *_: None)
    monkeypatch.setattr("simulacra.training.run.drawings", lambda *_: [])
    few = portraits._rows()[:150]
    monkeypatch.setattr(portraits, "_rows", lambda: few)
    portraits.peeps.cache_clear()
    yield
    portraits.peeps.cache_clear()


def names(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", paths, ids=lambda path: path.name)


def test_every_gan_that_draws_or_translates_has_its_page_in_both_languages() -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    for name, gan in gans().items():
        if gan.task != "upscale" and not gan.source:
            about = [text for text in texts if f": {name}, {gan.year}\n" in text]
            assert len(about) == 2 and all(gan.paper in text for text in about), name


@names(PAGES)
def test_functions_of_the_table_are_in_their_files(page: Path) -> None:
    rows = re.findall(r"^\|[^|\n]+\| `(simulacra/[\w/]+\.py)` \| (.+) \|$", page.read_text(encoding="utf-8"), re.M)
    for file, functions in rows:
        tree = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
        defined = {node.name for node in tree if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert set(re.findall(r"`(\w+)`", functions)) <= defined, file
    assert rows or not re.match(r"(0[1-9]|1[01])-", page.name)


def test_pictures_are_small_and_all_are_shown() -> None:
    shown = {name for page in PAGES for name in re.findall(r"!\[[^\]]*\]\(([\w.-]+)\)", page.read_text("utf-8"))}
    assert shown == {path.name for path in COURSE.glob("*.webp")}
    for name in shown:
        assert (COURSE / name).stat().st_size < PICTURE_LIMIT, name
        with Image.open(COURSE / name) as picture:
            picture.load()


@needs_docutils
@names(PAGES)
def test_formulas_become_mathml(page: Path) -> None:
    from mathml import mathml

    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    formulas = re.findall(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", prose, re.DOTALL)
    for formula in ("".join(found) for found in formulas):
        assert "<math" in mathml(formula), formula


@names(RUN)
def test_the_notebook_is_up_to_date(page: Path) -> None:
    """Otherwise: python scripts/notebooks.py."""
    text = page.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert text == notebooks.notebook(page)
    assert all(cell.get("outputs", []) == [] for cell in json.loads(text)["cells"])


@pytest.mark.usefixtures("quick")
@names(RUN)
def test_the_notebook_runs(page: Path, run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell, with small lengths; what a Python cell prints is what its page shows."""
    monkeypatch.chdir(tmp_path)
    cells = json.loads(page.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    space: dict[str, Any] = {"__name__": "__main__"}
    printed = []
    for source in ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"):
        if source.startswith("!"):
            for line in source.format(**space).splitlines():
                status, _, err = run_cli(*shlex.split(line.removeprefix("!simulacra ")))
                assert status == 0, f"{line}: {err}"
            continue
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(source, space)
        space |= {name: small for name, small in SMALL.items() if name in space}
        printed += [out.getvalue()] if out.getvalue() else []
    assert printed == re.findall(r"^```text\n(.*?)^```\n", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_lengths_of_a_page_must_agree() -> None:
    assert notebooks.lengths("lab ring --plays 40\nlab grid --plays 40\ntrain x --total 9") == {"STEPS": 40, "TOTAL": 9}
    with pytest.raises(ValueError, match="STEPS"):
        notebooks.lengths("--plays 40 --plays 41")


@needs_docutils
def test_a_space_follows_the_name_of_a_function() -> None:
    from mathml import mathml

    assert 'em"/>' in mathml(r"\log D") and 'em"/>' not in mathml(r"\log(D)")
