"""What is wrong with these pictures, before any time is spent on them."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from simulacra.console import console, progress
from simulacra.data.decoding import Facts, Recipe, crop_box
from simulacra.data.duplicates import exact_groups, near_groups
from simulacra.data.items import Item
from simulacra.data.sources import Source, open_source
from simulacra.data.writing import Job, Outcome, Task, new_array, run

THUMBNAIL = (32, 32)
MOST_TOLD = 20  # sizes, classes and groups that are listed one by one
MOST_SHOWN = 3  # names beside a reason


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found. `rejects` is reason -> names; groups hold the names of pictures that are (nearly) alike.

    `sizes` counts pictures by (width, height) as they are seen; `enlarged` counts those that are smaller than
    the pictures to be made; `attributes` holds the mean of each.
    """

    source: str
    kind: str
    found: int
    usable: int
    not_pictures: int
    rejects: Mapping[str, Sequence[str]]
    sizes: Mapping[tuple[int, int], int]
    formats: Mapping[str, int]
    modes: Mapping[str, int]
    rotated: int
    animated: int
    transparent: int
    enlarged: int
    blank: int
    folders: int
    classes: Mapping[str, int]
    attributes: Mapping[str, float]
    duplicates: Sequence[Sequence[str]]
    near_duplicates: Sequence[Sequence[str]]
    notes: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values; sizes as `WxH`, the most frequent first."""
        sizes = sorted(self.sizes.items(), key=lambda told: (-told[1], told[0]))
        return {**asdict(self), "sizes": {f"{width}x{height}": count for (width, height), count in sizes}}


@dataclass
class Tally:
    """Adds up what the workers tell."""

    recipe: Recipe
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    rejects: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, item: Item, outcome: Outcome) -> None:
        """Count one picture."""
        if outcome.facts is None:
            self.rejects[outcome.reason].append(item.name)
        else:
            self._count(outcome.facts, 1)

    def take_back(self, item: Item, facts: Facts, reason: str) -> None:
        """Set a picture aside after all."""
        self._count(facts, -1)
        self.rejects[reason].append(item.name)

    def _count(self, facts: Facts, n: int) -> None:
        self.sizes[facts.width, facts.height] += n
        self.formats[facts.format] += n
        self.modes[facts.mode] += n
        left, _, right, _ = crop_box(facts.width, facts.height, self.recipe.size, self.recipe.crop)
        self.flags["enlarged"] += n * (right - left < self.recipe.size[1])
        for flag in ("rotated", "animated", "transparent"):
            self.flags[flag] += n * getattr(facts, flag)


def make_report(
    source: Source, tally: Tally, images: NDArray[np.uint8], chosen: Sequence[int], notes: Sequence[str] = ()
) -> Report:
    """The report on `images` [N, H, W, C], where row n shows the source's item number `chosen[n]`."""
    names = [source.items[number].name for number in chosen]
    same = exact_groups(images)
    repeated = {row for group in same for row in group[1:]}
    once = [row for row in range(len(images)) if row not in repeated]
    near = near_groups(images if not repeated else images[once])
    labels = None if source.labels is None else source.labels[list(chosen)]
    by_class, by_attribute = _labels_told(source, labels)
    mixed = (
        sum(len({int(labels[row]) for row in group}) > 1 for group in same) if labels is not None and by_class else 0
    )
    rejects: dict[str, list[str]] = {reason: list(named) for reason, named in tally.rejects.items()}
    for name, reason in source.set_aside:
        rejects.setdefault(reason, []).append(name)
    rejected = sum(len(named) for named in rejects.values())
    return Report(
        source=source.name,
        kind=source.kind,
        found=len(source.items) + len(source.set_aside),
        usable=len(images),
        not_pictures=source.not_pictures,
        rejects=dict(sorted(rejects.items(), key=lambda told: (-len(told[1]), told[0]))) if rejected else {},
        sizes={size: n for size, n in tally.sizes.items() if n},
        formats={name: n for name, n in tally.formats.most_common() if n},
        modes={name: n for name, n in tally.modes.most_common() if n},
        **{flag: tally.flags[flag] for flag in ("rotated", "animated", "transparent", "enlarged")},
        blank=sum(int(picture.max()) == int(picture.min()) for picture in images),
        folders=len({source.items[number].folder for number in chosen}),
        classes=by_class,
        attributes=by_attribute,
        duplicates=[[names[row] for row in group] for group in same],
        near_duplicates=[[names[once[row]] for row in group] for group in near],
        notes=[*source.notes, *notes, *([f"{mixed} pictures occur in more than one class"] if mixed else [])],
    )


def inspect(
    source: str | Path,
    *,
    labels: str = "auto",
    size: tuple[int, int] = (64, 64),
    min_side: int = 8,
    max_megapixels: float = 100,
    workers: int | None = None,
) -> Report:
    """Decode every picture once and report on them all; nothing is written.

    `size` (H, W) is what `prepare` would make of them: smaller pictures are counted as `enlarged`.
    Raises SimulacraError if there is nothing to look at; no picture, however odd, is an error.
    """
    seen = Recipe(size=THUMBNAIL, channels="rgb", crop="none", min_side=min_side, max_pixels=int(max_megapixels * 1e6))
    with open_source(source, labels=labels) as found, tempfile.TemporaryDirectory(prefix="simulacra-") as room:
        packed = Path(room) / "images.npy"
        tally = Tally(Recipe(size=size, channels="rgb"))
        usable: list[int] = []
        if found.items:
            new_array(packed, len(found.items), seen)
            tasks = [Task(row, item) for row, item in enumerate(found.items)]
            with progress("looking", len(tasks)) as advance:
                for outcomes in run(Job(packed, seen), tasks, workers):
                    for outcome in outcomes:
                        tally.add(found.items[outcome.row], outcome)
                    usable += [outcome.row for outcome in outcomes if outcome.facts is not None]
                    advance(len(outcomes))
            images = np.load(packed, mmap_mode="r", allow_pickle=False)
            images = images if len(usable) == len(images) else images[usable]
        else:
            images = np.zeros((0, *THUMBNAIL, 3), np.uint8)
        return make_report(found, tally, images, usable)


def print_report(report: Report) -> None:
    """Say it to a human."""
    console.print(
        f"[bold]{escape(report.source)}[/] ({report.kind}): {report.usable} of {report.found} pictures can be used"
    )
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for what, told in _lines(report):
        table.add_row(what, escape(told))
    console.print(table)
    for reason, names in report.rejects.items():
        console.print(f"  [red]set aside[/] {len(names)}: {escape(reason)} ({escape(_some(names))})")
    for what, groups in (("the same", report.duplicates), ("nearly the same", report.near_duplicates)):
        for group in groups[:MOST_SHOWN]:
            console.print(f"  [yellow]{what}[/] {len(group)}: {escape(_some(group))}")
    for note in report.notes:
        console.print(f"  [yellow]note[/] {escape(note)}")


def _lines(report: Report) -> list[tuple[str, str]]:
    lines = []
    if report.sizes:
        by_area = sorted(report.sizes, key=lambda size: (size[0] * size[1], size))
        common, n = max(report.sizes.items(), key=lambda told: told[1])
        small, large = by_area[0], by_area[-1]
        told = f"{small[0]}x{small[1]} to {large[0]}x{large[1]}, most often {common[0]}x{common[1]} ({n})"
        lines += [("sizes", told), ("modes", _counts(report.modes)), ("formats", _counts(report.formats))]
    for flag in ("rotated", "animated", "transparent", "enlarged", "blank"):
        if count := getattr(report, flag):
            lines.append((flag, str(count)))
    if report.classes:
        lines.append((f"{len(report.classes)} classes", _counts(report.classes)))
    if report.attributes:
        lines.append((f"{len(report.attributes)} attributes", _some(list(report.attributes), MOST_TOLD)))
    for what, groups in (("duplicates", report.duplicates), ("near duplicates", report.near_duplicates)):
        if groups:
            lines.append((what, f"{sum(map(len, groups))} pictures in {len(groups)} groups"))
    if report.not_pictures:
        lines.append(("other files", f"{report.not_pictures}, left alone"))
    return lines


def _labels_told(source: Source, labels: NDArray[Any] | None) -> tuple[dict[str, int], dict[str, float]]:
    if labels is None or not len(labels):
        return {}, {}
    if source.classes:
        counts = np.bincount(labels, minlength=len(source.classes))
        return {name: int(n) for name, n in zip(source.classes, counts, strict=True) if n}, {}
    return {}, {name: round(float(mean), 4) for name, mean in zip(source.attributes, labels.mean(0), strict=True)}


def _counts(counts: Mapping[str, int]) -> str:
    most = sorted(counts.items(), key=lambda told: -told[1])
    more = f" and {len(most) - MOST_TOLD} more" if len(most) > MOST_TOLD else ""
    return ", ".join(f"{name} {n}" for name, n in most[:MOST_TOLD]) + more


def _some(names: Sequence[str], most: int = MOST_SHOWN) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
