"""Choose pictures of a source at random, and replace those that turn out to be unusable."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from simulacra.console import Advance, progress
from simulacra.data.dataset import SPLITS
from simulacra.data.decoding import DecodeOptions, ImageInfo
from simulacra.data.duplicates import digests
from simulacra.data.inspect import Tally
from simulacra.data.items import Item, ParquetRow
from simulacra.data.prepare_options import PrepareOptions
from simulacra.data.rejects import Reject
from simulacra.data.source import Source
from simulacra.data.writing import ArrayTarget, Task, new_array, run, shorten
from simulacra.errors import SimulacraError
from simulacra.messages import Message, text

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

    def __init__(self, source: Source, path: Path, decoding: DecodeOptions, options: PrepareOptions) -> None:
        self.source, self.options = source, options
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
        self.digests: set[bytes] = set()
        if selected:
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
        for outcomes in run(self.target, tasks, self.options.workers):
            for outcome in outcomes:
                number = owner[outcome.row]
                self.tally.add(outcome)
                if outcome.info is not None:
                    self.infos[number] = outcome.info
                    self.rows[outcome.row] = number
                    filled.append(outcome.row)
                elif outcome.reject is not None:
                    failed.add(number)
                    self.rejects.append(outcome.reject)
            advance(sum(outcome.info is not None for outcome in outcomes))
        return failed | (self._drop_duplicates(sorted(filled)) if self.options.drop_duplicates else set())

    def _drop_duplicates(self, filled: Sequence[int]) -> set[int]:
        """Empty the rows that repeat an earlier picture; returns their items."""
        images = np.load(self.target.path, mmap_mode="r", allow_pickle=False)
        dropped: set[int] = set()
        for row, digest in zip(filled, digests(images, filled), strict=True):
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
        for gap in [row for row in range(len(filled)) if self.rows[row] is None]:
            last = filled.pop()
            images[gap], self.rows[gap], self.rows[last] = images[last], self.rows[last], None
        images.flush()
        del images
        self.chosen = [number for number in self.rows if number is not None]
        if len(self.chosen) < len(self.rows):
            shorten(self.target.path, len(self.chosen))
