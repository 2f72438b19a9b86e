"""The language of the command line: `--lang`, and the help texts of other languages.

English help stands in the docstrings of the commands. Other languages have it in their catalogues: `help.COMMAND` is what a
command does, `help.COMMAND.PARAMETER` what a parameter means.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cyclopts import App, Group

from simulacra import messages
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.messages import text

OPTION = "--lang"


def take_language(words: list[str]) -> tuple[list[str], str | None]:
    """The words without `--lang NAME` (or `--lang=NAME`), and that name; None: the environment decides.

    Raises `SimulacraError` for a language without a catalogue.
    """
    left: list[str] = []
    language = None
    for word in (remaining := iter(words)):
        if word == "--":
            return [*left, word, *remaining], language
        if word == OPTION:
            language = next(remaining, "")
        elif word.startswith(f"{OPTION}="):
            language = word.partition("=")[2]
        else:
            left.append(word)
    return left, None if language is None else _checked(language)


def _checked(language: str) -> str:
    name = language[:2].lower()
    if name not in messages.LANGUAGES:
        hint = did_you_mean(language, messages.LANGUAGES)
        raise SimulacraError("cli.language", language=language, languages=messages.LANGUAGES, hint=hint)
    return name


def localise(app: App, groups: Sequence[str], group_of: Mapping[str, str], examples: Mapping[str, str]) -> None:
    """Put the app's titles, helps and examples into the language in use; `group_of` and `examples` are by command."""
    titled = {name: Group(text(f"cli.group.{name}"), sort_key=number) for number, name in enumerate(groups)}
    app.help = text("cli.about")
    app.help_epilogue = text("cli.epilogue")
    app.group_commands = Group(text("cli.group.options"), sort_key=len(groups))
    for name, sub in commands(app):
        sub.group = titled[group_of[name]]
        sub.group_arguments = Group(text("cli.group.arguments"), sort_key=0)
        sub.group_parameters = Group(text("cli.group.options"), sort_key=1)
        sub.help_epilogue = text("cli.example", example=examples[name])
        for owner in documented(sub):
            _translate(owner, name)


def commands(app: App) -> Iterator[tuple[str, App]]:
    """The app's own commands by name, in the order of their registration."""
    for name in app:
        if not name.startswith("-"):
            yield name, app[name]


def parameters(sub: App) -> list[str]:
    """The names of a command's parameters, those of an options dataclass among them."""
    function = sub.default_command
    assert function is not None
    names = []
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        fields = getattr(_plain(parameter.annotation), "__dataclass_fields__", None)
        names += [option_of(field) for field in fields.values()] if fields else [name]
    return names


def option_of(field: Any) -> str:
    """The name of the option of a field of an options dataclass."""
    return str(field.metadata.get("option", field.name))


def documented(sub: App) -> list[Any]:
    """What holds a command's docstrings: its function, and its options dataclass if it has one."""
    function = sub.default_command
    assert function is not None
    hints = (
        _plain(parameter.annotation) for parameter in inspect.signature(function, eval_str=True).parameters.values()
    )
    return [function, *(hint for hint in hints if hasattr(hint, "__dataclass_fields__"))]


def _plain(hint: Any) -> Any:
    """`Annotated[X, ...]` -> X."""
    return getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint


_ENGLISH: dict[Any, str | None] = {}  # docstrings as they are written


def _translate(owner: Any, command: str) -> None:
    """Give a command's function, or its options, a docstring in the language in use."""
    english = _ENGLISH.setdefault(owner, owner.__doc__)
    catalogue = messages.catalogue(messages.language())
    prefix = f"help.{command}."
    texts = {code.removeprefix(prefix): text(code) for code in catalogue if code.startswith(prefix)}
    if hasattr(owner, "__dataclass_fields__"):
        fields = owner.__dataclass_fields__
        texts = {name: texts.get(option_of(field), field.metadata["meaning"]) for name, field in fields.items()}
    elif f"help.{command}" not in catalogue:
        owner.__doc__ = english
        return
    lines = [text(f"help.{command}"), "", "Parameters", "----------"]
    owner.__doc__ = "\n".join([*lines, *(f"{name}\n    {meaning}" for name, meaning in texts.items())])
