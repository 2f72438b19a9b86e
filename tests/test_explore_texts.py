"""The page's texts: every code is in both catalogues and used, and names of directions have a Chinese title."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from simulacra.data.portraits import peeps
from simulacra.explore.server import PAGE_CODES, STATIC, page_messages
from simulacra.latent.effects import WORDS
from simulacra.latent.saved import open_directions
from simulacra.messages import LANGUAGES, catalogue

CHINESE = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
SOURCE = "".join(file.read_text() for file in sorted(STATIC.iterdir()) if file.suffix in (".js", ".html"))
USED = set(re.findall(r'"(page\.\w+)"', SOURCE))
PLACES = ("at the top", "in the middle", "at the bottom", "at the left", "at the right")


def texts(language: str, prefix: str) -> dict[str, list[str]]:
    """The forms of each text of a room, by code."""
    entries = {code: entry for code, entry in catalogue(language).items() if code.startswith(prefix)}
    return {code: [entry] if isinstance(entry, str) else list(entry.values()) for code, entry in entries.items()}


def fields(forms: list[str]) -> set[str]:
    return {name for form in forms for _, name, _, _ in Formatter().parse(form) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_uses_the_codes_that_the_catalogue_has(language: str) -> None:
    assert len(USED) > 150
    assert texts(language, "page.").keys() == USED


def test_both_languages_fill_in_the_same_fields() -> None:
    for prefix in PAGE_CODES:
        english, chinese = texts("en", prefix), texts("zh", prefix)
        assert english.keys() == chinese.keys()
        for code, forms in english.items():
            assert fields(chinese[code]) == fields(forms), code


def test_texts_with_fields_are_given_values() -> None:
    bare = set(re.findall(r'\bt\("(page\.\w+)"\)', SOURCE)) | set(re.findall(r'data-\w+="(page\.\w+)"', SOURCE))
    assert not [code for code, forms in texts("en", "page.").items() if code in bare and fields(forms)]


def test_every_text_of_the_page_is_in_chinese() -> None:
    for prefix in PAGE_CODES:
        for code, forms in texts("zh", prefix).items():
            words = re.sub(r"{\w+}|simulacra|[^a-zA-Z]", "", "".join(texts("en", prefix)[code]))
            assert CHINESE.search("".join(forms)) or not words, code


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_gets_no_other_codes(language: str) -> None:
    assert '"explore.' not in page_messages(language) and '"page.random"' in page_messages(language)


def titled(name: str) -> bool:
    """Whether the catalogues have a name: `directions.` and the name, with _ for spaces."""
    return f"directions.{name.replace(' ', '_')}" in texts("zh", "directions.")


def test_every_word_of_an_effect_has_a_title() -> None:
    assert all(titled(word) for pair in WORDS.values() for word in pair)
    assert all(titled(f"{start} {place}") for start in ("another shape", "mostly") for place in PLACES)
    assert titled("another shape")


def test_every_attribute_of_the_bundled_model_has_a_title() -> None:
    assert all(titled(part) for name in peeps().attributes for part in name.split(": "))
    names = [re.sub(r" \d+$", "", direction.name) for direction in open_directions(None)]
    assert all(titled(part) for name in names for part in name.split(": "))


def test_a_name_of_a_direction_is_its_english_title() -> None:
    for code, (text,) in texts("en", "directions.").items():
        if not fields([text]) and not code.endswith("separator"):
            assert code == f"directions.{text.replace(' ', '_')}"
