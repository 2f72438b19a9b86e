"""Which pictures of a source are taken, and how their places are filled when some turn out to be unusable."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from simulacra.console import Advance, progress
from simulacra.data.dataset import SPLITS
from simulacra.data.decoding import Facts, Recipe
from simulacra.data.duplicates import digests
from simulacra.data.inspect import Tally
from simulacra.data.items import Item
from simulacra.data.options import Options
from simulacra.data.sources import Source
from simulacra.data.writing import Job, Task, new_array, run, shorten
from simulacra.errors import SimulacraError


def shuffled(items: Sequence[Item], seed: int) -> list[int]:
    """The items' numbers in an order that only the seed and each one's name decide.

    So a picture that is added to the folder, or taken away, does not change the order of the others.
    """

    def key(number: int) -> tuple[bytes, int]:
        told = f"{seed}\0{items[number].name}".encode("utf-8", "backslashreplace")
        return hashlib.blake2b(told, digest_size=8).digest(), number

    return sorted(range(len(items)), key=key)


def select(order: Sequence[int], folders: Sequence[str], per_folder: int | None, limit: int | None) -> list[int]:
    """The first of `order`, at most `per_folder` from each folder and `limit` in all."""
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
    """How many of n go to train, valid and test; what rounding leaves goes to train."""
    valid, test = (int(n * share + 1e-9) for share in shares[1:])
    return dict(zip(SPLITS, (n - valid - test, valid, test), strict=True))


class Packing:
    """Fills `path` with pictures. One that fails is replaced by the next in order, as long as there is one."""

    def __init__(self, source: Source, path: Path, recipe: Recipe, options: Options) -> None:
        self.source, self.path, self.recipe, self.options = source, path, recipe, options
        self.tally = Tally(recipe)
        self.rejects: list[dict[str, str]] = [{"name": n, "reason": why} for n, why in source.set_aside]
        self.chosen: list[int] = []  # the item in each row

    def run(self) -> None:
        """Leave nothing in the array but usable pictures, in shuffled order; SimulacraError if there are none."""
        items, options = self.source.items, self.options
        folders = [item.folder for item in items]
        left = shuffled(items, options.seed)
        selected = select(left, folders, options.per_folder, options.limit)
        self.rows: list[int | None] = [None] * len(selected)
        self.facts: dict[int, Facts] = {}
        self.seen: set[bytes] = set()
        if selected:
            new_array(self.path, len(selected), self.recipe)
        with progress("preparing", len(selected)) as advance:
            while new := sorted(set(selected) - self.facts.keys(), key=self._places(selected)):
                failed = self._round(new, advance)
                left = [number for number in left if number not in failed]
                selected = select(left, folders, options.per_folder, options.limit)
        self._close_up()

    @staticmethod
    def _places(selected: Sequence[int]) -> Callable[[int], int]:
        return {number: place for place, number in enumerate(selected)}.__getitem__

    def _round(self, new: Sequence[int], advance: Advance) -> set[int]:
        """Try new items in the free rows; returns those that failed."""
        free = [row for row, number in enumerate(self.rows) if number is None]
        owner = dict(zip(free, new, strict=False))
        items = self.source.items
        failed: set[int] = set()
        done: list[int] = []
        tasks = [Task(row, items[number]) for row, number in owner.items()]
        for outcomes in run(Job(self.path, self.recipe), tasks, self.options.workers):
            for outcome in outcomes:
                number = owner[outcome.row]
                self.tally.add(items[number], outcome)
                if outcome.facts is None:
                    failed.add(number)
                    self._reject(number, outcome.reason, outcome.detail)
                else:
                    self.facts[number] = outcome.facts
                    self.rows[outcome.row] = number
                    done.append(outcome.row)
            advance(sum(outcome.facts is not None for outcome in outcomes))
        return failed | (self._drop_duplicates(done) if self.options.drop_duplicates else set())

    def _drop_duplicates(self, done: Sequence[int]) -> set[int]:
        images = np.load(self.path, mmap_mode="r", allow_pickle=False)
        dropped: set[int] = set()
        for row, digest in zip(done, digests(images, done), strict=True):
            number = self.rows[row]
            if digest in self.seen and number is not None:
                dropped.add(number)
                self.rows[row] = None
                self.tally.take_back(self.source.items[number], self.facts.pop(number), "a duplicate")
                self._reject(number, "a duplicate")
            self.seen.add(digest)
        return dropped

    def _reject(self, number: int, reason: str, detail: str = "") -> None:
        told = {"name": self.source.items[number].name, "reason": reason}
        self.rejects.append({**told, "detail": detail} if detail else told)

    def _close_up(self) -> None:
        """Move the last rows into the gaps, and cut the array off behind them."""
        filled = [row for row, number in enumerate(self.rows) if number is not None]
        if not filled:
            why = Counter(reject["reason"] for reject in self.rejects).most_common(3)
            told = "; ".join(f"{n} {reason}" for reason, n in why)
            raise SimulacraError(f"None of the pictures in {self.source.name} can be used: {told}.")
        images = np.load(self.path, mmap_mode="r+", allow_pickle=False)
        for gap in [row for row in range(len(filled)) if self.rows[row] is None]:
            last = filled.pop()
            images[gap], self.rows[gap], self.rows[last] = images[last], self.rows[last], None
        images.flush()
        del images
        self.chosen = [number for number in self.rows if number is not None]
        if len(self.chosen) < len(self.rows):
            shorten(self.path, len(self.chosen))
