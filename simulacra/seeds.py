"""Seeds as text: `0-2,7` names the pictures 0, 1, 2 and 7, `my cat` another one; and torch's own seed."""

from __future__ import annotations

import hashlib
import operator
import re
import unicodedata
from collections.abc import Iterable, Sequence

import torch

from simulacra.errors import SimulacraError

MOST = 10_000_000  # seeds in one text


LONGEST = 100  # characters of a word
NUMBER = re.compile(r"[+-]?(0[xob][0-9a-f_]+|[0-9][0-9_.]*e[+-]?[0-9]+)", re.IGNORECASE)  # other spellings of one


class WordSeed(int):
    """A seed that was given as a word, which it remembers; for the rest a number like any other."""

    word: str

    def __new__(cls, word: str) -> WordSeed:
        """The first 63 bits of the SHA-256 of the word's UTF-8 in NFC. Raises `SimulacraError` for what is no word."""
        word = unicodedata.normalize("NFC", word.strip())
        if not is_word(word):
            raise SimulacraError("sampling.not_a_seed", seed=word)
        seed = super().__new__(cls, int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big") >> 1)
        seed.word = word
        return seed


def is_word(text: str) -> bool:
    """Whether a text is a word or words, rather than a number or what was meant as one, such as 1.5, 3- or 0x10."""
    number = all(letter.isdigit() or letter in "+-., " for letter in text)
    if number or not text.isprintable() or len(text) > LONGEST:
        return False
    return not NUMBER.fullmatch(text) and not any("\ud800" <= letter <= "\udfff" for letter in text)


def parse_seeds(seeds: str | Iterable[int | str]) -> list[int]:
    """Seeds in order, from a text such as `0-99`, `7`, `1,5,10-12` or `my cat`, or from numbers and words.

    Raises `SimulacraError` for a text that names no seeds, and for what is no seed.
    """
    if not isinstance(seeds, str):
        return [check_seed(seed) for seed in seeds]
    numbers: list[int] = []
    for part in seeds.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            if not is_word(part.strip()):
                raise SimulacraError("sampling.not_seeds", text=seeds)
            numbers.append(WordSeed(part))
            continue
        if dash and int(last) < int(first):
            raise SimulacraError("sampling.not_seeds", text=seeds)
        if int(last or first) >= 2**32:  # torch takes no larger one on a CPU
            raise SimulacraError("sampling.seed_too_large", seed=last or first)
        if int(last or first) - int(first) + len(numbers) >= MOST:
            raise SimulacraError("sampling.too_many_seeds", text=seeds, most=MOST)
        numbers.extend(range(int(first), int(last or first) + 1))
    return numbers


def check_seed(seed: int | str) -> int:
    """The seed as a number; that of a word remembers it.

    Raises `SimulacraError` for anything but a word and a whole number from 0 to 2^63 - 1.
    """
    if isinstance(seed, WordSeed):
        return seed
    if isinstance(seed, str):
        return WordSeed(seed)
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**63:
        raise SimulacraError("sampling.not_a_seed", seed=str(seed))
    return number


def as_given(seed: int) -> int | str:
    """The word that a seed was given as, or its number: what records keep."""
    return seed.word if isinstance(seed, WordSeed) else seed


def format_seeds(seeds: Sequence[int]) -> str:
    """`[0, 1, 2, 7]` -> `0-2,7`; words stand as they were given."""
    spans: list[list[int]] = []
    for seed in seeds:
        if spans and seed == spans[-1][1] + 1 and not isinstance(seed, WordSeed):
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    return ",".join(str(as_given(first)) if first == last else f"{first}-{last}" for first, last in spans)


def seed_all(device: torch.device, seed: int) -> None:
    """Seed torch's randomness on `device`. `torch.manual_seed` seeds every device, at 0.3 ms a call."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
