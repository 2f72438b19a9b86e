"""READMEs and docs: short enough, the same in both languages, and nothing they point at is missing."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
READMES = (ROOT / "README.md", ROOT / "README.zh.md")
PAGES = sorted([*READMES, *(ROOT / "docs").glob("*.md")])
LIMIT = 12_000  # bytes of a README

page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)


def prose(path: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def headings(path: Path) -> list[tuple[int, str]]:
    """Level and text of every heading."""
    return [(len(marks), text) for marks, text in re.findall(r"^(#+) (.+)$", prose(path), re.MULTILINE)]


def anchors(path: Path) -> set[str]:
    """The fragments that GitHub gives to the headings."""
    return {re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-") for _, text in headings(path)}


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_a_readme_is_short_and_begins_with_a_picture_and_a_command(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) <= LIMIT
    picture, command = text.index("](docs/teaser.png)"), text.index("```\nmake demo\n```")
    assert picture < command < text.index("\n## ")


@page
def test_relative_links_resolve(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(path))
    assert links
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        file, _, fragment = unquote(link).partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        if fragment:
            assert fragment in anchors(target), link


@page
def test_named_files_of_the_repository_exist(path: Path) -> None:
    named = re.findall(r"(?:benchmarks|scripts)/\w[\w/]*\.py", path.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("english", [path for path in PAGES if ".zh." not in path.name], ids=lambda path: path.name)
def test_both_languages_have_the_same_headings_commands_and_links_to_each_other(english: Path) -> None:
    chinese = english.with_suffix(".zh.md")
    assert [level for level, _ in headings(english)] == [level for level, _ in headings(chinese)]
    assert commands(english) == commands(chinese)
    for path, other in ((english, chinese), (chinese, english)):
        assert f"]({other.name})" in path.read_text(encoding="utf-8").split("\n## ")[0]


def commands(path: Path) -> list[str]:
    """The lines of the code blocks that run something, without comments."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [re.sub(r"\s+#.*", "", line) for block in blocks for line in block.splitlines()]
    return [line for line in lines if re.match(r"simulacra|python|pip|make|torchrun|import|run", line)]
