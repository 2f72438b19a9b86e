"""Report what is wrong with the pictures of a source before any time is spent on them."""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from simulacra.console import console, progress
from simulacra.data.decoding import DecodeOptions, ImageInfo
from simulacra.data.duplicates import exact_groups, near_groups
from simulacra.data.prepare_options import Size, as_size
from simulacra.data.rejects import Reject, english
from simulacra.data.sizing import SIDES, is_enlarged, largest_reached
from simulacra.data.source import Source
from simulacra.data.sources import open_source
from simulacra.data.writing import ArrayTarget, Outcome, Task, new_array, run
from simulacra.messages import SEPARATORS, Message, language, text

THUMBNAIL = (32, 32)
MAX_LISTED = 20  # classes and attributes that are listed one by one
MAX_NAMES = 3  # file names beside a reason; groups of duplicates
FLAGS = {
    "rotated": Message("data.rotated"),
    "converted": Message("data.converted"),
    "animated": Message("data.animated"),
    "transparent": Message("data.transparent"),
    "enlarged": Message("data.enlarged"),
    "blank": Message("data.blank"),
}
KINDS = {"folder": Message("data.kind_folder"), "data set": Message("data.kind_dataset")}  # others are names of formats


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a source holds, and what is wrong with it. All counts are pictures unless said otherwise.

    `size`: (H, W) of the prepared pictures. `rejects`: reason -> names of unusable pictures. `sizes`: (width, height) in pixels, upright -> count. `enlarged`
    counts pictures that are smaller, `converted` those with another colour profile than sRGB. `classes`:
    name -> count; `attributes`: name -> mean in [0, 1].
    `duplicates` and `near_duplicates` are groups of names. `not_pictures` counts other files, `folders` folders.
    """

    source: str
    kind: str
    found: int
    usable: int
    not_pictures: int
    size: tuple[int, int]
    rejects: Mapping[Message, Sequence[str]]
    sizes: Mapping[tuple[int, int], int]
    formats: Mapping[str, int]
    modes: Mapping[str, int]
    rotated: int
    converted: int
    animated: int
    transparent: int
    enlarged: int
    blank: int
    folders: int
    classes: Mapping[str, int]
    attributes: Mapping[str, float]
    duplicates: Sequence[Sequence[str]]
    near_duplicates: Sequence[Sequence[str]]
    notes: Sequence[Message]

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values, in English; sizes as `WxH`, the most frequent first."""
        sizes = sorted(self.sizes.items(), key=lambda entry: (-entry[1], entry[0]))
        return {
            **asdict(self),
            "rejects": {english(reason): list(names) for reason, names in self.rejects.items()},
            "sizes": {f"{width}x{height}": count for (width, height), count in sizes},
            "notes": [english(note) for note in self.notes],
        }


@dataclass
class Tally:
    """Counts properties of pictures as workers report them."""

    options: DecodeOptions
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    rejects: defaultdict[Message, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, outcome: Outcome) -> None:
        """Count one picture."""
        if outcome.info is not None:
            self._count(outcome.info, 1)
        elif outcome.reject is not None:
            self.rejects[outcome.reject.reason].append(outcome.reject.name)

    def take_back(self, info: ImageInfo, reject: Reject) -> None:
        """Count a picture as unusable after all."""
        self._count(info, -1)
        self.rejects[reject.reason].append(reject.name)

    def _count(self, info: ImageInfo, n: int) -> None:
        self.sizes[info.width, info.height] += n
        self.formats[info.format] += n
        self.modes[info.mode] += n
        for flag in ("rotated", "converted", "animated", "transparent"):
            self.flags[flag] += n * getattr(info, flag)


def make_report(source: Source, tally: Tally, images: NDArray[np.uint8], chosen: Sequence[int]) -> Report:
    """The report on `images` [N, H, W, C], where row n shows the source's item number `chosen[n]`."""
    options = tally.options
    names = [source.items[number].name for number in chosen]
    same = exact_groups(images)
    repeated = {row for group in same for row in group[1:]}
    once = [row for row in range(len(images)) if row not in repeated]
    near = near_groups(images if not repeated else images[once])
    labels = None if source.labels is None else source.labels[list(chosen)]
    classes, attributes = _label_counts(source, labels)
    notes = list(source.notes)
    if labels is not None and classes:
        mixed = sum(len({int(labels[row]) for row in group}) > 1 for group in same)
        notes += [Message("data.in_several_classes", count=mixed)] if mixed else []
    rejects: dict[Message, list[str]] = {reason: list(rejected) for reason, rejected in tally.rejects.items()}
    for reject in source.rejects:
        rejects.setdefault(reject.reason, []).append(reject.name)
    return Report(
        source=source.name,
        kind=source.kind,
        found=len(source.items) + len(source.rejects),
        usable=len(images),
        not_pictures=source.not_pictures,
        size=options.size,
        rejects=dict(sorted(rejects.items(), key=lambda entry: (-len(entry[1]), english(entry[0])))),
        sizes={size: n for size, n in tally.sizes.items() if n},
        formats={name: n for name, n in tally.formats.most_common() if n},
        modes={name: n for name, n in tally.modes.most_common() if n},
        **{flag: tally.flags[flag] for flag in ("rotated", "converted", "animated", "transparent")},
        enlarged=sum(n for size, n in tally.sizes.items() if is_enlarged(*size, options.size, options.crop)),
        blank=sum(int(picture.max()) == int(picture.min()) for picture in images),
        folders=len({source.items[number].folder for number in chosen}),
        classes=classes,
        attributes=attributes,
        duplicates=[[names[row] for row in group] for group in same],
        near_duplicates=[[names[once[row]] for row in group] for group in near],
        notes=notes,
    )


def inspect(
    source: str | Path,
    *,
    labels: str = "auto",
    size: Size = "auto",
    min_side: int = 8,
    max_megapixels: float = 100,
    workers: int | None = None,
    output: Console | None = None,
) -> Report:
    """Decode every picture of a source once and report on them; nothing is written.

    `source` and `labels`: see `open_source`. `size`: side in pixels, "WIDTHxHEIGHT", "auto" or (H, W), as of
    `prepare`; smaller pictures are counted as `enlarged`. Pictures with a side below `min_side` pixels or more than
    `max_megapixels` million pixels are counted as unusable. `workers`: processes; None: one per core.
    `output`: where progress is shown; by default the terminal.

    Raises SimulacraError if there are no pictures. A damaged picture is part of the report, not an error.
    """
    max_pixels = int(max_megapixels * 1e6)
    decoding = DecodeOptions(size=THUMBNAIL, channels="rgb", crop="none", min_side=min_side, max_pixels=max_pixels)
    wanted = as_size(size)
    tally = Tally(DecodeOptions(size=(SIDES[0],) * 2 if isinstance(wanted, str) else wanted, channels="rgb"))
    with open_source(source, labels=labels) as opened, tempfile.TemporaryDirectory(prefix="simulacra-") as scratch:
        target = ArrayTarget(Path(scratch) / "images.npy", decoding)
        usable: list[int] = []
        if not opened.items:
            return make_report(opened, tally, np.zeros((0, *THUMBNAIL, 3), np.uint8), usable)
        new_array(target, len(opened.items))
        tasks = [Task(row, item) for row, item in enumerate(opened.items)]
        with progress(text("data.inspecting"), len(tasks), output=output) as advance:
            for outcomes in run(target, tasks, workers):
                for outcome in outcomes:
                    tally.add(outcome)
                usable += [outcome.row for outcome in outcomes if outcome.info is not None]
                advance(len(outcomes))
        if wanted == "auto":
            tally.options = replace(tally.options, size=(largest_reached(tally.sizes),) * 2)
        images = np.load(target.path, mmap_mode="r", allow_pickle=False)
        return make_report(opened, tally, images if len(usable) == len(images) else images[usable], usable)


def print_json(report: Report) -> None:
    """Print a report as one line of JSON, its sentences in the language in use."""
    spoken = {
        "rejects": {str(reason): list(names) for reason, names in report.rejects.items()},
        "notes": list(map(str, report.notes)),
    }
    print(json.dumps(report.to_json() | spoken, ensure_ascii=False))


def print_report(report: Report) -> None:
    """Print a report to the terminal."""
    kind = KINDS.get(report.kind, report.kind)
    title = text("data.usable", source=report.source, kind=kind, usable=report.usable, count=report.found)
    console.print(f"[bold]{escape(title)}[/]")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(report):
        table.add_row(escape(name), escape(value))
    console.print(table, soft_wrap=False)
    for reason, names in report.rejects.items():
        value = text("data.unusable", count=len(names), reason=reason, names=_first(names))
        console.print(f"  [red]{escape(value)}[/]")
    for group in report.duplicates[:MAX_NAMES]:
        console.print(f"  [yellow]{escape(text('data.same', count=len(group), names=_first(group)))}[/]")
    for group in report.near_duplicates[:MAX_NAMES]:
        console.print(f"  [yellow]{escape(text('data.nearly_same', count=len(group), names=_first(group)))}[/]")
    for note in report.notes:
        console.print(f"  [yellow]{escape(text('data.note', note=note))}[/]")


def _lines(report: Report) -> list[tuple[str, str]]:
    """Rows of the table: title and value."""
    lines: list[tuple[str, str]] = []
    if report.sizes:
        by_area = sorted(report.sizes, key=lambda size: (size[0] * size[1], size))
        common, n = max(report.sizes.items(), key=lambda entry: entry[1])
        small, large = by_area[0], by_area[-1]
        size_range = text(
            "data.size_range", smallest=f"{small[0]}x{small[1]}", largest=f"{large[0]}x{large[1]}",
            common=f"{common[0]}x{common[1]}", count=n,
        )  # fmt: skip
        lines.append((text("data.sizes"), size_range if len(by_area) > 1 else f"{small[0]}x{small[1]}"))
        lines.append((text("data.target_size"), f"{report.size[1]}x{report.size[0]}"))
        lines += [(text("data.modes"), _counts(report.modes)), (text("data.formats"), _counts(report.formats))]
    lines += [(str(title), f"{count:,}") for flag, title in FLAGS.items() if (count := getattr(report, flag))]
    if report.classes:
        lines.append((text("data.classes", count=len(report.classes)), _counts(report.classes)))
    if report.attributes:
        name = text("data.attributes", count=len(report.attributes))
        lines.append((name, _first(list(report.attributes), MAX_LISTED)))
    for title, groups in (("data.duplicates", report.duplicates), ("data.near_duplicates", report.near_duplicates)):
        if groups:
            value = text("data.in_groups", pictures=sum(map(len, groups)), count=len(groups))
            lines.append((text(title), value))
    if report.not_pictures:
        lines.append((text("data.other_files"), text("data.left_alone", count=report.not_pictures)))
    return lines


def _label_counts(source: Source, labels: NDArray[Any] | None) -> tuple[dict[str, int], dict[str, float]]:
    """Pictures of each class, and the mean of each attribute."""
    if labels is None or not len(labels):
        return {}, {}
    if source.classes:
        counts = np.bincount(labels, minlength=len(source.classes))
        return {name: int(n) for name, n in zip(source.classes, counts, strict=True) if n}, {}
    return {}, {name: round(float(mean), 4) for name, mean in zip(source.attributes, labels.mean(0), strict=True)}


def _counts(counts: Mapping[str, int]) -> str:
    most = sorted(counts.items(), key=lambda entry: -entry[1])
    return _first([f"{name} {n:,}" for name, n in most], MAX_LISTED)


def _first(names: Sequence[str], most: int = MAX_NAMES) -> str:
    """The first names, and how many more there are."""
    listed = SEPARATORS[language()].join(names[:most])
    return text("data.and_more", names=listed, count=len(names) - most) if len(names) > most else listed
