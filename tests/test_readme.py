"""READMEs and docs: short enough, the same in both languages, and nothing they point at is missing."""

import ast
import dataclasses
import inspect
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

import simulacra
from simulacra import cli
from simulacra.cli import language
from simulacra.registry import gans

ROOT = Path(__file__).parents[1]
READMES = (ROOT / "README.md", ROOT / "README.zh.md")
PAGES = sorted([*READMES, *(ROOT / "docs").rglob("*.md")])
LIMIT = 9_000  # bytes of a README


def name(path: Path) -> str:
    """A page as a test's parameter."""
    return path.relative_to(ROOT).as_posix()


page = pytest.mark.parametrize("path", PAGES, ids=name)


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
    picture, command = text.index("](docs/teaser.webp)"), text.index("\nmake demo\n```")
    assert picture < command < text.index("\n## ")


def code(path: Path) -> list[str]:
    """The code blocks, without comments."""
    blocks = re.findall(r"^```(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [re.sub(r" *#.*", "", block) for block in blocks]


def figures(path: Path) -> list[list[str]]:
    """The numbers of each row of a table."""
    rows = re.findall(r"^\|.*", prose(path), re.MULTILINE)
    return [re.findall(r"\d[\d.,]*", row) for row in rows]


@pytest.mark.parametrize("content", [code, figures, lambda path: re.findall(r"!\[[^\]]*\]\(([^)]+)\)", prose(path))])
def test_the_readmes_hold_the_same_code_figures_and_pictures(content: Callable[[Path], list[object]]) -> None:
    english, chinese = map(content, READMES)
    assert english == chinese
    assert len(english) > 1


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


@pytest.mark.parametrize("english", [path for path in PAGES if ".zh." not in path.name], ids=name)
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


def simulacra_lines(path: Path) -> list[str]:
    """The arguments of every `simulacra` command in code blocks, with those in brackets."""
    parts = [part for line in commands(path) for part in line.replace("\\", "").split("&&")]
    matches = [re.match(r"\s*(?:.* -m (?:-- )?)?simulacra(?:\.cli)? (\S.*)", part) for part in parts]
    return [re.sub(r"[\[\]]", "", match.group(1)) for match in matches if match]


@page
def test_commands_in_code_blocks_can_be_typed(path: Path) -> None:
    """Every command, argument and option exists; further options of `train` are settings of a GAN."""
    settings = {field.name for gan in gans().values() for field in dataclasses.fields(gan.Config)}
    for line in simulacra_lines(path):
        function, bound, _ = cli.app.parse_args(shlex.split(line), exit_on_error=False, print_error=False)
        if function.__name__ == "train":
            words = [word.partition("=")[0] for word in bound.args[1:]]
            assert {*words, *(name.replace("-", "_") for name in bound.kwargs)} <= {
                *settings,
                "options",
                "dry_run",
                "size",
            }, line


@page
def test_python_in_code_blocks_calls_what_there_is(path: Path) -> None:
    """Functions of simulacra exist and take such arguments."""
    for block in re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        for node in ast.walk(ast.parse(block)):
            if not isinstance(node, ast.Call) or not re.fullmatch(r"simulacra\.\w+", ast.unparse(node.func)):
                continue
            function = getattr(simulacra, ast.unparse(node.func).removeprefix("simulacra."))
            inspect.signature(function).bind(*node.args, **{str(word.arg): None for word in node.keywords})


@page
def test_commands_in_sentences_exist(path: Path) -> None:
    names = dict(language.commands(cli.app))
    for line in re.findall(r"`simulacra ([a-z][^`]*)`", prose(path)):
        name, *words = line.split()
        assert name in names, line
        options = {word.lstrip("-").partition("=")[0].replace("-", "_") for word in words if word.startswith("--")}
        assert options <= {*language.parameters(names[name]), "help"}, line


@pytest.mark.parametrize("end", ["", ".zh"])
def test_the_troubleshooting_page_quotes_what_the_program_says(end: str) -> None:
    page = ROOT / "docs" / "guide" / f"troubleshooting{end}.md"
    files = (ROOT / "simulacra" / "messages" / (end.removeprefix(".") or "en")).glob("*.json")
    said = [str(text) for file in files for text in json.loads(file.read_text(encoding="utf-8")).values()]
    quotes = re.findall(r"^> (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(quotes) > 20
    for quote in quotes:
        parts = [part.strip() for part in quote.split("…")]
        assert any(all(part in text for part in parts) for text in said), quote
