"""Frozen dataclasses of settings: explanations, conditions, `key=value` words, ranges and JSON.

Unknown keys, values of the wrong type and unknown choices raise `SimulacraError`.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from simulacra.errors import SimulacraError, did_you_mean
from simulacra.messages import Message

T = TypeVar("T")
FROM_DATA = frozenset({"shape", "labels", "attributes"})  # what a data set decides, no setting
Condition = Mapping[str, Any]  # setting -> its value, a tuple of values, or a key of `RANGES`
BOOLEANS = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)


def setting(default: T, text: str = "", *, when: Condition | Sequence[Condition] | None = None) -> T:
    """A field of a settings dataclass with its explanation.

    text: one sentence; if empty, a subclass inherits it. when: conditions on other settings, one of which must hold for
    this setting to have an effect.
    """
    metadata: dict[str, Any] = {"text": text} if text else {}
    if when is not None:
        metadata["when"] = (when,) if isinstance(when, Mapping) else tuple(when)
    return dataclasses.field(default=default, metadata=metadata)


def explanation(cls: type, name: str) -> str:
    """The explanation of a setting of a settings class; empty if it has none."""
    return str(_metadata(cls, name, "text") or "")


def unmet(config: Any, name: str) -> str | None:
    """The words that would give setting `name` an effect, such as `network=mlp`; None if it already has one."""
    conditions: Sequence[Condition] = _metadata(type(config), name, "when") or ()
    if not conditions or any(all(_holds(config, *item) for item in condition.items()) for condition in conditions):
        return None
    missing = (
        " ".join(_as_word(*item) for item in condition.items() if not _holds(config, *item)) for condition in conditions
    )
    return min(missing, key=len)


def _metadata(cls: type, name: str, key: str) -> Any:
    """A field's metadata under `key`, from the most derived class that has it."""
    for parent in cls.__mro__:
        field = parent.__dict__.get("__dataclass_fields__", {}).get(name)
        if field is not None and key in field.metadata:
            return field.metadata[key]
    return None


def _holds(config: Any, name: str, wanted: Any) -> bool:
    value = getattr(config, name)
    if isinstance(wanted, str) and wanted in RANGES:
        return value is None or RANGES[wanted](value)
    return value in wanted if isinstance(wanted, tuple) else bool(value == wanted)


def _as_word(name: str, wanted: Any) -> str:
    """A condition as a `name=value` word, with the first of several values."""
    if isinstance(wanted, str) and wanted in RANGES:
        return f"{name}>0"
    value = wanted[0] if isinstance(wanted, tuple) else wanted
    return f"{name}={spelled(value)}"


def spelled(value: object) -> str:
    """A setting's value as a user types it."""
    if isinstance(value, list | tuple):
        return ",".join(map(spelled, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def parse_words(words: Iterable[str]) -> dict[str, str]:
    """`["gp=10", "lr=1e-4"]` -> `{"gp": "10", "lr": "1e-4"}`."""
    pairs: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise SimulacraError("config.not_a_setting", word=word)
        if key in pairs:
            raise SimulacraError("config.given_twice", name=key)
        pairs[key] = value
    return pairs


def updated(config: T, values: Mapping[str, Any], *, of: str) -> T:
    """A copy of the dataclass `config` with `values` set; strings are parsed as the field's type.

    of: the owner in error messages. Raises `SimulacraError` for an unknown key or an unreadable value.
    """
    assert dataclasses.is_dataclass(config)
    hints = get_type_hints(type(config))
    names = {field.name for field in dataclasses.fields(config)}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key not in names:
            hint = did_you_mean(key, names) or Message("config.choices", names=sorted(names))
            raise SimulacraError("config.unknown_setting", owner=of, name=key, hint=hint)
        changes[key] = _convert(hints[key], value, Message("config.owned", owner=of, name=key))
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


RANGES: Mapping[str, Callable[[float], bool]] = {
    "at least 1": lambda number: number >= 1,
    "at least 0": lambda number: number >= 0,
    "more than 0": lambda number: number > 0,
    "at least 0 and less than 1": lambda number: 0 <= number < 1,
}
OUT_OF_RANGE = {
    "at least 1": "config.less_than_1",
    "at least 0": "config.less_than_0",
    "more than 0": "config.not_positive",
    "at least 0 and less than 1": "config.not_a_share",
}


def require(config: Any, range_: str, *names: str) -> None:
    """Check that settings `names` of `config`, or all numbers of a tuple, are in a range of `RANGES`; None passes."""
    for name in names:
        value = getattr(config, name)
        numbers = value if isinstance(value, tuple) else (value,)
        if not all(number is None or RANGES[range_](number) for number in numbers):
            raise SimulacraError(OUT_OF_RANGE[range_], name=name, value=str(value))


def to_json(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON values (tuples become lists)."""
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(config).items()
    }


def _convert(hint: Any, value: Any, where: Message) -> Any:
    """Convert `value`, a string from the command line or a JSON value, to the type `hint`."""
    origin, choices = get_origin(hint), get_args(hint)
    if origin is Literal:
        value = next((choice for choice in choices if str(choice) == str(value)), value)
        if value not in choices:
            raise SimulacraError("config.not_a_choice", where=where, value=value, choices=choices)
        return value
    if origin in (Union, types.UnionType):
        if value is None or value == "none":
            return None
        return _convert(next(choice for choice in choices if choice is not type(None)), value, where)
    if origin is tuple:
        parts = (
            value.split(",") if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else [value]
        )
        variadic = len(choices) == 2 and choices[1] is Ellipsis
        if not variadic and len(parts) != len(choices):
            raise SimulacraError(
                "config.wrong_length", where=where, value=str(value), wanted=len(choices), count=len(parts)
            )
        kinds = [choices[0]] * len(parts) if variadic else choices
        return tuple(_convert(kind, part, where) for kind, part in zip(kinds, parts, strict=True))
    return _convert_scalar(hint, value, where)


def _convert_scalar(hint: Any, value: Any, where: Message) -> Any:
    if hint is bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() in BOOLEANS:
            return BOOLEANS[str(value).lower()]
        raise SimulacraError("config.not_a_boolean", where=where, value=value)
    if hint in (int, float):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = float("nan")
        if not math.isfinite(number) or (hint is int and number != int(number)):
            code = "config.not_whole" if hint is int else "config.not_a_number"
            raise SimulacraError(code, where=where, value=value)
        return hint(number)
    if hint is str:
        if not isinstance(value, str | int | float):
            raise SimulacraError("config.not_a_text", where=where, value=str(value))
        return str(value)
    raise TypeError(f"{where}: settings of type {hint} are not supported")
