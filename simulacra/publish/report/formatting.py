"""Numbers as a reader wants them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Score = Mapping[str, Any]


def number(value: Any, decimals: int | None = None) -> str:
    """A number with `decimals`, or four significant digits; text as it is; a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    if decimals is not None:
        return f"{value:z,.{decimals}f}".replace("-", "−")  # z: no negative zero
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return text.replace("-", "−")


def decimals(*scores: Score) -> int:
    """How many decimals show two digits of the widest interval among `scores`."""
    widths = [abs(s["high"] - s["low"]) for s in scores if s.get("low") is not None and s.get("high") is not None]
    width = max((w for w in widths if math.isfinite(w)), default=0.0)
    if width <= 0:
        largest = max((abs(s["value"]) for s in scores if s.get("value")), default=0.0)
        width = largest / 100
    return min(6, max(0, 1 - math.floor(math.log10(width)))) if width > 0 else 3


def interval(score: Score, places: int) -> str:
    """`0.381 to 0.443`, or nothing where there is no interval."""
    if score.get("low") is None or score.get("high") is None:
        return ""
    return f"{number(float(score['low']), places)} to {number(float(score['high']), places)}"


def short(count: int) -> str:
    """Images as `246k` or `1.2M`."""
    return f"{count / 1e6:.3g}M" if count >= 999_500 else f"{count / 1e3:.3g}k" if count >= 1000 else str(count)


def duration(seconds: float) -> str:
    """`42 s`, `12 min`, `1 h 38 min`, `3 d 4 h`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def day(seconds: float) -> str:
    """Seconds since 1970 as a date and time, in UTC so that it reads the same everywhere."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def pixels(shape: Any) -> str:
    """(C, H, W) as `64 × 64 RGB`."""
    channels, height, width = shape
    return f"{width} × {height} {({1: 'grey', 3: 'RGB', 4: 'RGBA'}).get(channels, f'with {channels} channels')}"
