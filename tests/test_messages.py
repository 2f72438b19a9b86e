"""The catalogues: the same codes and fields in every language, all of them used, and no code without a text."""

from __future__ import annotations

import ast
import json
import re
import string
from pathlib import Path

import pytest

import simulacra
from simulacra import messages
from simulacra.errors import SimulacraError
from simulacra.messages import LANGUAGES, Message

ROOT = Path(simulacra.__file__).parent
CODE = re.compile(r"[a-z]+(\.[a-z0-9_]+)+")
TRANSLATED = [language for language in LANGUAGES if language != "en"]
# English of these stands in the code: docstrings of commands, and the metadata of settings.
IN_CODE = ("help.", "settings.")


def texts(language: str) -> dict[str, list[str]]:
    """Every text of a language by code; a plural has several."""
    return {
        code: [entry] if isinstance(entry, str) else list(entry.values())
        for code, entry in messages.catalogue(language).items()
        if not code.startswith(IN_CODE)
    }


def fields(text: str) -> set[str]:
    return {name.split(".")[0].split("[")[0] for _, name, _, _ in string.Formatter().parse(text) if name}


def constants(path: Path) -> set[str]:
    """All strings in a module that may be codes."""
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value)
    }


PREFIX = re.compile(r"[a-z]+\.([a-z_]+\.)?")


def prefixes(path: Path) -> set[str]:
    """The constant beginnings of f-strings and template strings that may be codes."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return set(re.findall(r"`([a-z]+\.(?:[a-z_]+\.)?)\$\{", text))
    strings = (node.values[0] for node in ast.walk(ast.parse(text)) if isinstance(node, ast.JoinedStr))
    return {
        node.value
        for node in strings
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and PREFIX.fullmatch(node.value)
    }


def used() -> set[str]:
    """Codes that code, templates and the page use."""
    codes = set[str]()
    beginnings = tuple(prefix for path in ROOT.rglob("*") if path.suffix in (".py", ".js") for prefix in prefixes(path))
    codes |= {code for code in texts("en") if beginnings and code.startswith(beginnings)}
    for path in ROOT.rglob("*"):
        if path.suffix == ".py":
            codes |= constants(path)
        elif path.suffix in (".j2", ".js", ".html"):
            text = path.read_text(encoding="utf-8")
            codes |= {match.group(1) for match in re.finditer(r"[\"'`]([a-z]+(?:\.[a-z0-9_]+)+)[\"'`]", text)}
    return codes


@pytest.mark.parametrize("language", TRANSLATED)
def test_languages_have_the_same_codes(language: str) -> None:
    assert texts(language).keys() == texts("en").keys()


@pytest.mark.parametrize("language", TRANSLATED)
def test_languages_have_the_same_fields(language: str) -> None:
    other = texts(language)
    for code, english in texts("en").items():
        wanted = set().union(*map(fields, english))
        assert set().union(*map(fields, other[code])) | {"count"} == wanted | {"count"}, code


def test_no_code_stands_twice() -> None:
    for language in LANGUAGES:
        codes: list[str] = []
        for path in sorted((ROOT / "messages" / language).glob("*.json")):
            pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
            codes += [code for code, _ in pairs]
            assert [code for code, _ in pairs] == sorted(code for code, _ in pairs), f"{path.name} is not sorted"
        assert len(codes) == len(set(codes))


def test_every_text_is_used() -> None:
    assert not texts("en").keys() - used()


def test_errors_are_raised_by_code() -> None:
    """Every `SimulacraError(...)`, `Message(...)`, `text(...)`, `say(...)` and `warn(...)` has a code of the catalogue."""
    speakers = {"SimulacraError", "Message", "say", "warn", "text", "CheckFailed", "Skipped"}
    codes, wrong = texts("en").keys() | messages.catalogue("zh").keys(), []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and node.args):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            place = f"{path.relative_to(ROOT)}:{node.lineno}"
            if name in speakers and isinstance(first, ast.JoinedStr) and not _is_prefix(first):
                wrong.append(f"{place}: a sentence")
            if name in speakers and isinstance(first, ast.Constant) and isinstance(first.value, str):
                if CODE.fullmatch(first.value) and first.value not in codes:
                    wrong.append(f"{place}: {first.value}")
                elif name in {"SimulacraError", "CheckFailed", "Skipped"} and first.value not in codes:
                    wrong.append(f"{place}: a sentence")
    assert not wrong, "\n".join(wrong)


def test_every_call_gives_the_values_of_its_text() -> None:
    """A missing value would make the sentence itself fail."""
    english, wrong = texts("en"), []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
                continue
            code = node.args[0].value
            if not isinstance(code, str) or code not in english or any(word.arg is None for word in node.keywords):
                continue
            missing = set().union(*map(fields, english[code])) - {word.arg for word in node.keywords}
            plural = len(english[code]) > 1 and "count" not in {word.arg for word in node.keywords}
            if missing or plural:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {code} lacks {missing or 'count'}")
    assert not wrong, "\n".join(wrong)


def _is_prefix(node: ast.JoinedStr) -> bool:
    """Whether an f-string is a code with a variable part, such as f"help.{command}"."""
    first = node.values[0]
    return isinstance(first, ast.Constant) and re.fullmatch(r"[a-z]+\.([a-z_]+\.)?", str(first.value)) is not None


def test_a_sentence_is_rendered_in_the_language_in_use() -> None:
    error = SimulacraError("cli.unknown_command", word="fly", hint=Message("errors.did_you_mean", name="list"))
    assert str(error) == "There is no command 'fly'. Did you mean 'list'?"
    with messages.using("zh"):
        assert "没有名为 'fly' 的命令" in str(error) and "'list'" in str(error)
    assert str(error).startswith("There is no command"), "the language of a block ends with it"


def test_plurals_and_lists() -> None:
    assert messages.text("check.summary.failed", count=1, total=3) == "1 of 3 checks failed."
    assert messages.text("check.summary.failed", count=2, total=3) == "2 of 3 checks failed."
    assert messages.text("cli.choice", option="--a", value="b", choices=["c", "d"], hint="").endswith("c, d.")


@pytest.mark.parametrize(
    ("environment", "language"),
    [({"LANG": "zh_CN.UTF-8"}, "zh"), ({"LANG": "de_DE"}, "en"), ({}, "en"), ({"LC_ALL": "C", "LANG": "zh_CN"}, "en"),
     ({"LANGUAGE": "zh:en", "LANG": "en_US"}, "zh")],
)  # fmt: skip
def test_the_environment_names_the_language(
    environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert messages.of_environment() == language
