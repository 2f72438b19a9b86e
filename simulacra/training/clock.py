"""When things happen in a run, in images shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulacra.errors import SimulacraError
from simulacra.gan import Settings
from simulacra.training.options import TrainOptions
from simulacra.training.run_records import RunLength

TICKS = 100  # journal lines and previews in a run of known length
TICK_SECONDS = 15.0  # at least between those of a run whose length is in minutes


@dataclass(frozen=True, kw_only=True)
class Clock:
    """When things happen, in images shown."""

    total: int | None  # the end; None: train for `minutes`
    minutes: float | None
    tick: int  # between journal lines with previews
    tick_seconds: float | None = None  # a journal line is also written after so many seconds
    save: int  # between checkpoints
    measure: int | None = None  # between checkpoints that are scored; 0: none is; None: undecided, and none is
    schedule: int | None = None  # images that the schedules of the settings were laid out for; None: unknown


def parse_count(text: str | int) -> int:
    """`200k` -> 200000; also `1.5M` and plain numbers. Raises `SimulacraError` for anything else."""
    word = str(text).strip().lower()
    scale = {"k": 1_000, "m": 1_000_000}.get(word[-1:], 1)
    try:
        count = float(word[:-1] if scale > 1 else word) * scale
    except ValueError:
        count = float("nan")
    if not 1 <= count < 1e15:
        raise SimulacraError("plan.not_a_count", text=text)
    return round(count)


def resolve_clock(
    config: Settings,
    n: int,
    options: TrainOptions,
    stored: RunLength | None,
    *,
    images: int | None = None,
    schedule: int | None = None,
) -> Clock:
    """The clock of a run on `n` pictures: of the options, else of the existing run, else derived from the length.

    images: the length where none is given; by default the epochs of the settings. schedule: that of the schedules where
    minutes decide.
    """
    minutes, default = options.minutes, images
    if options.total is None and options.epochs is None and minutes is None and stored:
        images, minutes = stored["total"], stored["minutes"]
    elif minutes is not None:
        images = None
    elif options.total is not None:
        images = parse_count(options.total)
    elif options.epochs is None and default is not None:
        images = default
    else:
        images = max(1, round((options.epochs or config.epochs) * n))
    before: Mapping[str, Any] = stored or {}
    tick = parse_count(options.every) if options.every is not None else before.get("tick")
    tick = tick or max(config.batch, images // TICKS if images else n)
    timed = options.every is None and (not before or before.get("tick_seconds") is not None)
    seconds = max(TICK_SECONDS, 60 * minutes / TICKS) if minutes is not None and timed else None
    save = parse_count(options.save_every) if options.save_every is not None else before.get("save")
    save = save or max(config.batch, min(10 * n, images // 10 if images else 10 * n))
    never = str(options.measure_every) == "0"
    measure = (
        before.get("measure") if options.measure_every is None else 0 if never else parse_count(options.measure_every)
    )
    schedule = before.get("schedule") or images or schedule
    return Clock(
        total=images, minutes=minutes, tick=tick, tick_seconds=seconds, save=save, measure=measure, schedule=schedule
    )
