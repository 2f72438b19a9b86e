"""Answers to a command line that cannot be parsed: one sentence, the usage and an example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_origin

from cyclopts import App
from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
)

from simulacra.cli.language import commands, parameters
from simulacra.errors import did_you_mean, near_name
from simulacra.messages import Message, text


def explain(app: App, error: CycloptsError, words: Sequence[str], examples: Mapping[str, str]) -> str:
    """The lines to print for `error`: what is wrong, how the command is used, and an example."""
    name = next(iter(error.command_chain or ()), None)
    lines = [f"simulacra: {_sentence(app, error, name)}"]
    if name is None:
        return "\n".join([*lines, text("cli.see_help", command="simulacra --help")])
    usage = " ".join(["simulacra", name, *_places(app[name])])
    lines += [text("cli.usage", usage=usage), text("cli.example", example=examples[name])]
    return "\n".join([*lines, text("cli.see_help", command=f"simulacra {name} --help")])


def _sentence(app: App, error: CycloptsError, name: str | None) -> str:
    """What is wrong, in one sentence."""
    if isinstance(error, UnknownCommandError):
        word = next(iter(error.unused_tokens or ()), "")
        names = [command for command, _ in commands(app)]
        return text("cli.unknown_command", word=word, hint=did_you_mean(word, names))
    if isinstance(error, UnknownOptionError):
        option = error.token.keyword or error.token.value
        return text("cli.unknown_option", option=option, command=name, hint=_near_option(app, name, option))
    if isinstance(error, MissingArgumentError):
        if keyword := error.keyword or (error.argument is not None and error.argument.keys and error.argument.name):
            return _missing_value(error, keyword)
        return text("cli.missing_argument", command=name, argument=_label(error))
    if isinstance(error, CoercionError) and error.token is not None and error.argument is not None:
        return _unreadable(error)
    if isinstance(error, RepeatArgumentError):
        return text("cli.repeated", option=error.token.keyword)
    unused = " ".join(error.unused_tokens or ())
    return text("cli.unused", words=unused) if unused else str(error).strip()


def _missing_value(error: MissingArgumentError, option: str) -> str:
    """An option without its value, or with too few."""
    if error.argument is not None:
        if choices := error.argument.get_choices():
            return text("cli.missing_choice", option=option, choices=list(choices))
        if count := len(getattr(error.argument.hint, "__args__", ())) * (get_origin(error.argument.hint) is tuple):
            default = error.argument.field_info.default
            return text("cli.missing_values", option=option, count=count, example=" ".join(map(str, default)))
    return text("cli.missing_value", option=option)


def _unreadable(error: CoercionError) -> str:
    """A value of the wrong type, or none of the choices."""
    assert error.token is not None and error.argument is not None
    option, value = error.token.keyword or error.argument.name, error.token.value
    if choices := error.argument.get_choices():
        return text("cli.choice", option=option, value=value, choices=list(choices), hint=did_you_mean(value, choices))
    kinds = {int: "cli.whole_number", float: "cli.number", bool: "cli.true_or_false"}
    hint = error.argument.hint
    code = next(
        (code for kind, code in kinds.items() if kind is hint or kind in getattr(hint, "__args__", ())), "cli.value"
    )
    return text(code, option=option, value=value)


def _near_option(app: App, name: str | None, option: str) -> Message | str:
    """A hint at the option that `option` nearly is."""
    if name is None:
        return ""
    places = [place.strip("[]").lower() for place in _places(app[name])[:-1]]
    if (place := option.lstrip("-")) in places:
        usage = " ".join(["simulacra", name, *_places(app[name])])
        return Message("cli.by_place", option=option, place=places.index(place) + 1, usage=usage)
    names = [parameter for parameter in parameters(app[name]) if parameter not in places]
    near = near_name(
        option.lstrip("-"), [name.replace("_", "-") for name in names]
    )  # dashes would make all names alike
    if near is None and "settings" in places:
        return Message("cli.settings_are_words")
    return Message("errors.did_you_mean", name=f"--{near}") if near else ""


def _label(error: MissingArgumentError) -> str:
    return "" if error.argument is None else error.argument.name


def _places(sub: App) -> list[str]:
    """The places of a command's line: required ones in capitals, others in brackets."""
    places = []
    for argument in sub.assemble_argument_collection():
        if argument.field_info.is_positional_only:
            label = argument.name.strip("-").upper()
            places.append(label if argument.required else f"[{label}]")
    return [*places, "[OPTIONS]"]
