"""Names of attributes and descriptions of effects in the language in use. Files keep them in English."""

from __future__ import annotations

import re

from simulacra.messages import catalogue, language, text

KINDS = {
    "learned attribute": "latent.kind_learned_attribute",
    "learned axis": "latent.kind_learned_axis",
    "learned choice": "latent.kind_learned_choice",
}


def title(name: str) -> str:
    """An attribute, a class or a group in the language in use; a name that the catalogue lacks stays."""
    if (code := _code(name)) in catalogue(language()):
        return text(code)
    if numbered := re.fullmatch(r"(.+) (\d+)", name):
        return f"{title(numbered[1])} {numbered[2]}"
    group, colon, value = name.partition(": ")
    if colon and _code(group) in catalogue(language()):
        return text("directions.group", group=title(group), value=title(value))
    return name


def effect(about: str) -> str:
    """What a direction does, from its English description such as "glasses +60%; darker in the middle"."""
    parts = [text("directions.separator").join(map(_part, part.split(", "))) for part in about.split("; ")]
    return text("directions.part_separator").join(parts)


def kind(name: str) -> str:
    """How a direction was found."""
    return text(KINDS[name]) if name in KINDS else name


def _code(name: str) -> str:
    return f"directions.{name.replace(' ', '_')}"


def _part(words: str) -> str:
    if change := re.fullmatch(r"from (.+) to (.+)", words):
        return text("directions.from_to", source=title(change[1]), target=title(change[2]))
    amount = re.fullmatch(r"(.+) ([+-][\d.]+%?)", words)
    return f"{title(amount[1])} {amount[2]}" if amount else title(words)
