"""Choose pictures of a source at random, and replace those that turn out to be unusable."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.console import Advance, progress, say
from simulacra.data.dataset import SPLITS
from simulacra.data.decoding import DecodeOptions, ImageInfo
from simulacra.data.duplicates import digests
from simulacra.data.inspect import Tally
from simulacra.data.items import Item, ParquetRow
from simulacra.data.journal import Journal
from simulacra.data.prepare_options import PrepareOptions
from simulacra.data.rejects import Reject
from simulacra.data.source import Source
from simulacra.data.writing import ArrayTarget, Outcome, Task, new_array, run, shorten
from simulacra.errors import SimulacraError
from simulacra.files import sync
from simulacra.messages import Message, text

BATCH = 2048  # pictures that are decoded before they are safe from a kill
DUPLICATE = Message("data.duplicate")


def shuffled(items: Sequence[Item], seed: int) -> list[int]:
    """The items' numbers in an order that depends only on the seed and each item's name.

    Adding or removing a picture does not change the order of the others.
    """

    return sorted(range(len(items)), key=lambda number: (order_key(seed, items[number].name), number))


def order_key(seed: int, name: str) -> bytes:
    """What the order of pictures is sorted by: a function of the seed and the picture's name."""
    seeded = f"{seed}\0{name}".encode("utf-8", "backslashreplace")
    return hashlib.blake2b(seeded, digest_size=8).digest()


def select(order: Sequence[int], folders: Sequence[str], per_folder: int | None, limit: int | None) -> list[int]:
    """The first items of `order`, at most `per_folder` from each folder and `limit` in all."""
    counts: Counter[str] = Counter()
    chosen: list[int] = []
    for number in order:
        if limit is not None and len(chosen) >= limit:
            break
        if per_folder is None or counts[folders[number]] < per_folder:
            counts[folders[number]] += 1
            chosen.append(number)
    return chosen


def split_counts(n: int, shares: tuple[float, float, float]) -> dict[str, int]:
    """How many of n pictures go to train, valid and test; train gets what rounding leaves."""
    valid, test = (int(n * share + 1e-9) for share in shares[1:])
    return dict(zip(SPLITS, (n - valid - test, valid, test), strict=True))


class Packer:
    """Fills an .npy file with pictures. The next in order replaces one that is unusable, as long as there is one."""

    def __init__(
        self, source: Source, path: Path, decoding: DecodeOptions, options: PrepareOptions, journal: Journal
    ) -> None:
        self.source, self.options, self.journal = source, options, journal
        self.target = ArrayTarget(path, decoding)
        self.tally = Tally(decoding)
        self.rejects: list[Reject] = list(source.rejects)
        self.chosen: list[int] = []  # the item in each row

    def run(self) -> None:
        """Fill the file with usable pictures only, in shuffled order. Raises SimulacraError if there are none."""
        items, options = self.source.items, self.options
        folders = [item.folder for item in items]
        left = shuffled(items, options.seed)
        selected = select(left, folders, options.per_folder, options.limit)
        self.rows: list[int | None] = [None] * len(selected)
        self.infos: dict[int, ImageInfo] = {}
        self.digests: set[str] = set()
        if self.journal.resumes:
            say("data.resumed", source=self.source.name)
        elif selected:
            new_array(self.target, len(selected))
        with progress(text("data.preparing"), len(selected)) as advance:
            while new := sorted(set(selected) - self.infos.keys(), key=self._places(selected)):
                failed = self._fill(new, advance)
                left = [number for number in left if number not in failed]
                selected = select(left, folders, options.per_folder, options.limit)
        self._close_gaps()

    @staticmethod
    def _places(selected: Sequence[int]) -> Callable[[int], int]:
        return {number: place for place, number in enumerate(selected)}.__getitem__

    def _fill(self, new: Sequence[int], advance: Advance) -> set[int]:
        """Decode new items into the free rows; returns those that are unusable."""
        free = [row for row, number in enumerate(self.rows) if number is None]
        owner = dict(zip(free, new, strict=False))
        items = self.source.items
        failed: set[int] = set()
        filled: list[int] = []
        tasks = [Task(row, items[number]) for row, number in owner.items()]
        if any(isinstance(task.item.place, ParquetRow) for task in tasks):
            tasks.sort(key=lambda task: owner[task.row])  # so that each row group is read once
        for start in range(0, len(tasks), BATCH):
            again, step = self.journal.resumes, partial(self._decode, tasks[start : start + BATCH], advance)
            for entry in self.journal.once(step):
                outcome = Outcome.from_json(entry)
                number = owner[outcome.row]
                self.tally.add(outcome)
                if outcome.info is not None:
                    self.infos[number] = outcome.info
                    self.rows[outcome.row] = number
                    filled.append(outcome.row)
                    advance(again)
                elif outcome.reject is not None:
                    failed.add(number)
                    self.rejects.append(outcome.reject)
        return failed | (self._drop_duplicates(sorted(filled)) if self.options.drop_duplicates else set())

    def _decode(self, tasks: Sequence[Task], advance: Advance) -> list[Any]:
        """Decode pictures into their rows on the disk; returns the outcomes as JSON values."""
        done = []
        for outcomes in run(self.target, tasks, self.options.workers):
            done += [outcome.to_json() for outcome in outcomes]
            advance(sum(outcome.info is not None for outcome in outcomes))
        with self.target.path.open("rb+") as file:
            sync(file)
        return done

    def _drop_duplicates(self, filled: Sequence[int]) -> set[int]:
        """Empty the rows that repeat an earlier picture; returns their items."""
        images = np.load(self.target.path, mmap_mode="r", allow_pickle=False)
        dropped: set[int] = set()
        found = self.journal.once(lambda: [digest.hex() for digest in digests(images, filled)])  # of pixels that may go
        for row, digest in zip(filled, found, strict=True):
            number = self.rows[row]
            if digest in self.digests and number is not None:
                dropped.add(number)
                self.rows[row] = None
                reject = Reject(self.source.items[number].name, DUPLICATE)
                self.tally.take_back(self.infos.pop(number), reject)
                self.rejects.append(reject)
            self.digests.add(digest)
        return dropped

    def _close_gaps(self) -> None:
        """Move the last rows into the gaps and cut the file off behind them."""
        filled = [row for row, number in enumerate(self.rows) if number is not None]
        if not filled:
            most = Counter(reject.reason for reject in self.rejects).most_common(3)
            reasons = [Message("data.counted", count=count, what=reason) for reason, count in most]
            raise SimulacraError("data.none_usable", source=self.source.name, reasons=reasons)
        images = np.load(self.target.path, mmap_mode="r+", allow_pickle=False)
        is_whole = len(images) == len(self.rows)  # else an earlier process has moved them
        for gap in [row for row in range(len(filled)) if self.rows[row] is None]:
            last = filled.pop()
            self.rows[gap], self.rows[last] = self.rows[last], None
            if is_whole:
                images[gap] = images[last]
        images.flush()
        del images
        self.chosen = [number for number in self.rows if number is not None]
        if len(self.chosen) < len(self.rows):
            shorten(self.target.path, len(self.chosen))
