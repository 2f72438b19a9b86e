"""Numbers and sentences as the page shows them, in the language in use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from simulacra.messages import Message, text

PARTS = {"train": "report.part_train", "valid": "report.part_valid", "test": "report.part_test"}
COLOUR_MODES = {1: "report.grey", 3: "RGB", 4: "RGBA"}  # by channels
NONE = "–"  # in the place of a missing number


def html(code: str, **values: Any) -> Markup:
    """The text of `code`, whose own markup stays; names in `values` are escaped."""
    return Markup(text(code, **{key: _escaped(value) for key, value in values.items()}))


def _escaped(value: Any) -> Any:
    return escape(value) if isinstance(value, str | Message) else value


def number(value: Any, decimals: int | None = None) -> str:
    """A number with `decimals`, or four significant digits; text stays as it is; a dash for None."""
    if value is None:
        return NONE
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value):
        return text("report.not_a_number") if math.isnan(value) else text("report.infinite")
    if decimals is not None:
        return f"{value:z,.{decimals}f}".replace("-", "−")  # z: no negative zero
    digits = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return digits.replace("-", "−")


def decimals(*scores: Mapping[str, Any]) -> int:
    """How many decimals show two digits of the widest interval among `scores`."""
    widths = [abs(s["high"] - s["low"]) for s in scores if s.get("low") is not None and s.get("high") is not None]
    width = max((w for w in widths if math.isfinite(w)), default=0.0)
    if width <= 0:
        largest = max((abs(s["value"]) for s in scores if s.get("value")), default=0.0)
        width = largest / 100
    return min(6, max(0, 1 - math.floor(math.log10(width)))) if width > 0 else 3


def interval(score: Mapping[str, Any], places: int) -> str:
    """`0.381 to 0.443`; empty without an interval."""
    if score.get("low") is None or score.get("high") is None:
        return ""
    return text("report.range", low=number(float(score["low"]), places), high=number(float(score["high"]), places))


def short(count: int) -> str:
    """Images as `246k` or `1.2M`."""
    return f"{count / 1e6:.3g}M" if count >= 999_500 else f"{count / 1e3:.3g}k" if count >= 1000 else str(count)


def duration(seconds: float) -> str:
    """`42 s`, `12 min`, `1 h 38 min`, `3 d 4 h`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return text("report.seconds", seconds=f"{seconds:.0f}")
    if minutes < 60:
        return text("report.minutes", minutes=minutes)
    if minutes < 48 * 60:
        return text("report.hours", hours=minutes // 60, minutes=minutes % 60)
    return text("report.days", days=minutes // 1440, hours=minutes % 1440 // 60)


def day(seconds: float) -> str:
    """Seconds since 1970 as a date and time, in UTC so that it reads the same everywhere."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def pixels(shape: Any) -> str:
    """(C, H, W) as `64 × 64 RGB`."""
    channels, height, width = shape
    mode = text(COLOUR_MODES.get(channels, "report.channels"), channels=channels)
    return f"{width} × {height} {mode}"


def part_name(part: str) -> str:
    """A part of a data set in words; an unknown one stays as it is."""
    return text(PARTS.get(part, part))
