"""The commands that the README and the start pages print are run in their order, on few pictures and for few steps."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import Cli
from test_readme import READMES, ROOT, simulacra_lines

PAGES = [path for path in (READMES[0], *sorted((ROOT / "docs" / "start").glob("*.md"))) if ".zh" not in path.name]
FOLDERS = ("photos", "drawings", "generated", "others")
LENGTHS = ("--minutes", "--total", "--count", "--seeds")
SHORT = {  # instead of the lengths
    "prepare": "--limit 10",
    "train": "--total 32 --measure-every 0 --device cpu",
    "fork": "--total 48",
    "lab ring": "--plays 2",
    "sample": "--count 5 --device cpu",
    "walk": "--seconds 0.1",
    "directions": "--samples 32 --count 1",
    "evaluate": "--samples 10 --metrics fd",
}
NOT_RUN = {
    **dict.fromkeys(("explore", "studio", "--page"), "a server"),
    **dict.fromkeys(("demo", "export", "check-gan", "score", "compare", "distances", "wgan-gp"), "takes seconds"),
    "plan": "needs 114 pictures",
    "worth": "needs a model of labels",
    "mygan/mygan/gan.py:Mygan": "would stay registered",
}


def shortened(line: str) -> list[str]:
    """The words of a command, with few steps instead of its length, and the current folder as the home."""
    words = shlex.split(line)
    for option in LENGTHS:
        if option in words:
            del words[words.index(option) : words.index(option) + 2]
    short = SHORT.get(words[0]) or SHORT.get(" ".join(words[:2]), "")
    return [word.removeprefix("~/") for word in words] + short.split()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_commands_of_a_page_run_in_their_order(
    page: Path, run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
        for i in range(10):
            pixels = np.kron(random.integers(0, 255, (4, 4, 3)), np.ones((18, 18, 1))).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
    for line in simulacra_lines(page):
        if not NOT_RUN.keys() & set(line.split()):
            status, _, err = run_cli(*shortened(line))
            assert status == 0, f"simulacra {line}: {err}"
