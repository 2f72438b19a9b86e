"""The page in Chinese: no sentence of the server, and no word of ours, is left in English."""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import simulacra
from simulacra.data.opening import open_domain
from simulacra.explore.server import STATIC
from simulacra.latent.effects import WORDS
from simulacra.latent.saved import open_directions

ROOT = Path(simulacra.__file__).parent
# Where what the page shows is said. Its other sentences are for a terminal, or for who calls Python.
SAID = ("explore", "latent/recipe.py", "latent/saved.py", "latent/combine.py", "latent/directions.py", "latent/learn.py",
        "latent/attributes.py", "latent/walk.py", "latent/project.py", "generator.py", "styled.py", "model.py", "files.py",
        "translator.py", "translation/pictures.py", "measure/subject.py", "data/dataset.py", "data/pictures.py")  # fmt: skip
TERMINAL = {"explore/server.py"}
RAISED = {"SimulacraError", "Busy", "TooLarge", "HTTPException", "SetAside", "said"}
RETURNED = {"refusal", "_unfit", "_doubtful", "_twice", "_elsewhere"}  # functions whose strings are reasons
ELSEWHERE = (
    "This generator {}.",
    "min_latent is",
    "This model has no layers, so that each could",
)  # no way leads there from the page
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def spelled(node: ast.expr) -> Iterator[str]:
    """What a string in the source may become, with {} for what is filled in."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in values)  # type: ignore[misc]
        case ast.IfExp(body=body, orelse=orelse):
            yield from itertools.chain(spelled(body), spelled(orelse))
        case ast.BoolOp(values=values):
            yield from itertools.chain.from_iterable(map(spelled, values))


def sentences(path: Path) -> set[str]:
    """All that a file says when it refuses something."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name in RETURNED:
            for each in ast.walk(node):
                if isinstance(each, ast.Return) and each.value is not None:
                    found |= set(spelled(each.value))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in RAISED:
            count = 1 if node.func.id == "SetAside" else 2  # type: ignore[attr-defined]  # its second is a detail
            found |= {text for argument in node.args[:count] for text in spelled(argument)}
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "start":
            found |= {text for argument in node.args[:1] for text in spelled(argument)}  # what a job is
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) in ("hint", "why", "some"):
            found |= set(spelled(node.value))
    return {text.strip() for text in found if len(re.sub(r"\W|{}", "", text)) > 1}


def keys() -> dict[str, str]:
    """English -> Chinese, as the page has it."""
    lines = re.findall(r'^  (\[".*"\]),$', (STATIC / "sentences.js").read_text(), re.MULTILINE)
    return dict(json.loads(line) for line in lines)


def pattern(english: str) -> re.Pattern[str]:
    return re.compile("(.*?)".join(re.escape(part) for part in re.split(r"\{\d\}", english)), re.DOTALL)


def test_every_sentence_of_the_server_has_a_chinese_one() -> None:
    known = [pattern(english) for english in keys()]
    missing = []
    for place in SAID:
        files = sorted((ROOT / place).glob("*.py")) if (ROOT / place).is_dir() else [ROOT / place]
        for file in files:
            if str(file.relative_to(ROOT)) in TERMINAL:
                continue
            for text in sorted(sentences(file)):
                if not text.startswith(ELSEWHERE) and not any(each.fullmatch(text) for each in known):
                    missing.append(f"{file.relative_to(ROOT)}: {text}")
    assert not missing, "\n".join(missing)


def test_what_is_filled_in_is_in_the_english_sentence_too() -> None:
    told = keys()
    assert len(told) > 80
    for english, chinese in told.items():
        assert CHINESE.search(chinese), english
        assert set(re.findall(r"\{\d\}", chinese)) <= set(re.findall(r"\{\d\}", english)), english


def words() -> set[str]:
    """The words that directions and people are told in."""
    text = (STATIC / "named.js").read_text().split("const WORDS = {")[1].split("\n};")[0]
    pairs = re.findall(r'(?:"([^"]+)"|(\w+)): "([^"]+)"', text)
    assert all(CHINESE.search(chinese) for _, _, chinese in pairs)
    return {quoted or bare for quoted, bare, _ in pairs}


def test_every_word_of_a_description_has_a_chinese_one() -> None:
    assert {word for pair in WORDS.values() for word in pair} <= words()
    source = (ROOT / "latent/effects.py").read_text()
    assert set(re.findall(r'"(at the \w+|in the \w+)"', source)) <= words()


def test_every_attribute_of_the_built_in_people_has_a_chinese_name() -> None:
    parts = {part for name in open_domain("peeps").attributes for part in name.split(": ")}
    assert parts <= words()
    names = {part for each in open_directions(None) for part in re.sub(r" \d+$", "", each.name).split(": ")}
    assert names <= words()


def test_both_languages_have_every_word_of_the_page() -> None:
    lines = re.findall(r'^  (\w+): (\[".*"\]),$', (STATIC / "words.js").read_text(), re.MULTILINE)
    told = {name: json.loads(pair) for name, pair in lines}
    assert len(told) > 120
    for name, (english, chinese) in told.items():
        assert set(re.findall(r"\{\d\}", english)) == set(re.findall(r"\{\d\}", chinese)), name
        assert CHINESE.search(chinese) or not re.search("[a-z]{3}", english.replace("simulacra", "")), name
    source = "".join(file.read_text() for file in STATIC.glob("*.js")) + (STATIC / "index.html").read_text()
    used = set(re.findall(r'\bt\("(\w+)"', source)) | set(re.findall(r'data-(?:t|title|label)="(\w+)"', source))
    assert used <= set(told), used - set(told)


@pytest.mark.parametrize("name", ["sentences.js", "words.js", "named.js"])
def test_no_word_is_told_twice(name: str) -> None:
    found = re.findall(r'^  (?:\["(.*?)", "|(\w+): \[")', (STATIC / name).read_text(), re.MULTILINE)
    assert len(set(found)) == len(found)
