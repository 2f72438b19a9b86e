"""Settings: a frozen dataclass, then a preset, then `key=value` words; to JSON and back.

An unknown key, a value of the wrong type and a choice that does not exist are errors with a sentence.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from simulacra.errors import SimulacraError, did_you_mean

T = TypeVar("T")


def parse_words(words: Iterable[str]) -> dict[str, str]:
    """`["gp=10", "lr=1e-4"]` -> `{"gp": "10", "lr": "1e-4"}`."""
    pairs: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise SimulacraError(f"{word!r} is not a setting: write key=value, for example lr=1e-4.")
        if key in pairs:
            raise SimulacraError(f"The setting {key!r} is given twice.")
        pairs[key] = value
    return pairs


def updated(config: T, values: Mapping[str, Any], *, of: str) -> T:
    """A copy of the dataclass `config` with `values` set; text is read as the field's type.

    `of` names the owner in messages. Raises `SimulacraError` for an unknown key or an unreadable value.
    """
    assert dataclasses.is_dataclass(config)
    hints = get_type_hints(type(config))
    known = {field.name for field in dataclasses.fields(config)}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            hint = did_you_mean(key, known) or f" It has: {', '.join(sorted(known))}."
            raise SimulacraError(f"{of} has no setting {key!r}.{hint}")
        changes[key] = _read(hints[key], value, f"{of}'s {key}")
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


RANGES: Mapping[str, Callable[[float], bool]] = {
    "at least 1": lambda number: number >= 1,
    "at least 0": lambda number: number >= 0,
    "more than 0": lambda number: number > 0,
    "at least 0 and less than 1": lambda number: 0 <= number < 1,
}


def require(config: Any, range_: str, *names: str) -> None:
    """Check that the named settings of `config` are in a range of `RANGES`, each number of a tuple too; None passes."""
    for name in names:
        value = getattr(config, name)
        numbers = value if isinstance(value, tuple) else (value,)
        if not all(number is None or RANGES[range_](number) for number in numbers):
            raise SimulacraError(f"{name} is {value}; it must be {range_}.")


def to_json(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON values (tuples become lists)."""
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(config).items()
    }


def _read(hint: Any, value: Any, where: str) -> Any:
    """Bring `value` (text from the command line, or a JSON value) to the type `hint`."""
    origin, choices = get_origin(hint), get_args(hint)
    if origin is Literal:
        value = next((choice for choice in choices if str(choice) == str(value)), value)
        if value not in choices:
            raise SimulacraError(f"{where} is {value!r}; it must be one of {', '.join(map(str, choices))}.")
        return value
    if origin in (Union, types.UnionType):
        if value is None or value == "none":
            return None
        return _read(next(choice for choice in choices if choice is not type(None)), value, where)
    if origin is tuple:
        parts = (
            value.split(",") if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else [value]
        )
        variadic = len(choices) == 2 and choices[1] is Ellipsis
        if not variadic and len(parts) != len(choices):
            raise SimulacraError(
                f"{where} takes {len(choices)} values separated by commas; {value!r} has {len(parts)}."
            )
        kinds = [choices[0]] * len(parts) if variadic else choices
        return tuple(_read(kind, part, where) for kind, part in zip(kinds, parts, strict=True))
    return _read_plain(hint, value, where)


def _read_plain(hint: Any, value: Any, where: str) -> Any:
    if hint is bool:
        words = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        if isinstance(value, bool):
            return value
        if str(value).lower() in words:
            return words[str(value).lower()]
        raise SimulacraError(f"{where} is {value!r}; it must be true or false.")
    if hint in (int, float):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if number != number or number in (float("inf"), float("-inf")) or (hint is int and number != int(number)):
            raise SimulacraError(f"{where} is {value!r}; it must be {'a whole' if hint is int else 'a'} number.")
        return hint(number)
    if hint is str:
        return str(value)
    raise TypeError(f"{where}: settings of type {hint} are not supported")
