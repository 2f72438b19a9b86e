"""The command line in its languages: help, errors and the choice between them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from simulacra import cli, messages
from simulacra.cli.entry import EXAMPLES, GROUPS
from simulacra.cli.language import commands, documented, option_of, parameters, take_language
from simulacra.errors import SimulacraError

NAMES = [name for name, _ in commands(cli.app)]


def simulacra(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("LANG", "LC_ALL", "LC_MESSAGES", "LANGUAGE")
    }
    return subprocess.run(
        [sys.executable, "-m", "simulacra.cli", *words],
        capture_output=True, text=True, encoding="utf-8", env=inherited | {"PYTHONUTF8": "1", "COLUMNS": "200"} | environment,
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_parameter_has_help_in_chinese(name: str) -> None:
    catalogue = messages.catalogue("zh")
    wanted = {f"help.{name}", *(f"help.{name}.{parameter}" for parameter in parameters(cli.app[name]))}
    assert wanted == {code for code in catalogue if code == f"help.{name}" or code.startswith(f"help.{name}.")}


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_meaning_in_english(name: str) -> None:
    sub = cli.app[name]
    with messages.using("en"):
        text = " ".join(str(owner.__doc__) for owner in documented(sub))
    owners = [getattr(owner, "__dataclass_fields__", {}) for owner in documented(sub)]
    fields = {option_of(field) for owner in owners for field in owner.values()}
    assert all(f"    {parameter}\n" in text for parameter in set(parameters(sub)) - fields)
    assert EXAMPLES[name].startswith(f"simulacra {name}")


def test_groups_follow_the_work() -> None:
    out = simulacra("--help").stdout
    titles = [f"─ {messages.text(f'cli.group.{group}')} ─" for group in GROUPS]
    places = [out.index(title) for title in titles if title in out]
    assert places == sorted(places) and len(places) >= 6
    names = ["inspect", "prepare", "train", "evaluate", "sample", "export"]
    assert [out.index(f"│ {name} ") for name in names] == sorted(out.index(f"│ {name} ") for name in names)


def test_help_is_chinese_by_option_and_by_environment() -> None:
    with messages.using("zh"):
        about, usage = messages.text("cli.about"), messages.text("help.sample")
    assert about in simulacra("--lang", "zh", "--help").stdout
    assert about in simulacra("--help", LANG="zh_CN.UTF-8").stdout
    assert usage in simulacra("sample", "--help", "--lang=zh").stdout
    assert about not in simulacra("--help", "--lang", "en", LANG="zh_CN.UTF-8").stdout
    assert about not in simulacra("--help", LANG="de_DE.UTF-8").stdout


def test_errors_are_chinese() -> None:
    wrong = simulacra("sampel", "--lang", "zh")
    assert wrong.returncode == 2 and "没有名为 'sampel' 的命令" in wrong.stderr and "'sample'" in wrong.stderr
    missing = simulacra("walk", "peeps", LANG="zh_CN.UTF-8")
    assert missing.returncode == 2 and "walk 缺少参数 OUT" in missing.stderr and "示例：" in missing.stderr


def test_an_unknown_language_is_one_sentence() -> None:
    wrong = simulacra("list", "--lang", "zhe9"[2:])
    assert wrong.returncode == 1 and wrong.stderr.count("\n") == 1 and "en, zh" in wrong.stderr


def test_the_option_stands_anywhere_but_after_two_dashes() -> None:
    assert take_language(["a", "--lang", "zh_CN", "b"]) == (["a", "b"], "zh")
    assert take_language(["a", "--", "--lang", "zh"]) == (["a", "--", "--lang", "zh"], None)
    with pytest.raises(SimulacraError) as caught:
        take_language(["--lang"])
    assert caught.value.code == "cli.language"
