"""Sentences by code, one catalogue a language: for errors, the terminal, the report and the page.

A catalogue is `messages/LANGUAGE/*.json`: flat objects of code -> text with `str.format` fields. A text with a plural is an object
`{"one": ..., "other": ...}`, chosen by the value `count`.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import resources
from typing import Any

LANGUAGES = ("en", "zh")
SEPARATORS = {"en": ", ", "zh": "、"}  # between the items of a list

Catalogue = Mapping[str, str | Mapping[str, str]]

_chosen: ContextVar[str | None] = ContextVar("language", default=None)
_default: str | None = None


class Message:
    """A sentence that is not rendered before it is shown, in the language of that moment."""

    def __init__(self, code: str, **values: Any) -> None:
        self.code, self.values = code, values

    def __str__(self) -> str:
        return text(self.code, **self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and (self.code, self.values) == (other.code, other.values)

    def __hash__(self) -> int:
        return hash(self.code)

    def __repr__(self) -> str:
        return f"Message({self.code!r}, **{self.values!r})"


def language() -> str:
    """The language in use: of `using`, else of `set_language`, else of the environment."""
    return _chosen.get() or _default or of_environment()


def set_language(name: str | None) -> None:
    """Use a language from now on in this process; None: the environment's."""
    global _default
    _default = name


@contextmanager
def using(name: str) -> Iterator[None]:
    """Use a language within a `with` block, in this thread or task alone."""
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def of_environment() -> str:
    """The first language of LANGUAGE, LC_ALL, LC_MESSAGES and LANG that has a catalogue; English without one."""
    for variable in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(variable):
            name = value.split(":")[0][:2].lower()
            return name if name in LANGUAGES else "en"
    return "en"


@functools.cache
def catalogue(name: str) -> Catalogue:
    """All texts of a language by code."""
    texts: dict[str, str | Mapping[str, str]] = {}
    for file in resources.files("simulacra.messages").joinpath(name).iterdir():
        if file.name.endswith(".json"):
            texts |= json.loads(file.read_text(encoding="utf-8"))
    return texts


def text(code: str, **values: Any) -> str:
    """The text of `code` in the language in use, with its fields filled in; lists are joined by commas."""
    spoken = language()
    entry = catalogue(spoken).get(code, catalogue("en").get(code))
    if entry is None:
        return code
    if not isinstance(entry, str):
        entry = entry["one" if values.get("count") == 1 and "one" in entry else "other"]
    return entry.format(**{name: _plain(value, spoken) for name, value in values.items()})


def translated(code: str, english: str) -> str:
    """The text of `code` where the language in use has one; its English stands in the code."""
    entry = catalogue(language()).get(code)
    return entry if isinstance(entry, str) else english


def _plain(value: Any, spoken: str) -> Any:
    """A value as `str.format` takes it."""
    if isinstance(value, str) or not isinstance(value, list | tuple | set | frozenset):
        return str(value) if isinstance(value, Message) else value
    return SEPARATORS[spoken].join(str(item) for item in value)
