"""Prepare one shard of a source, so that many machines share the work; an interrupted shard continues where it stopped.

A shard is a contiguous range of the listing: its machine reads only its own part of archives and folders. Which pictures
are chosen, their order and their parts (train, valid, test) follow from the names in the whole source, not from the
shard. `join` makes one dataset of all shards.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from simulacra.console import progress, say
from simulacra.data.duplicates import digests
from simulacra.data.journal import JOURNAL, ORIGIN, Journal
from simulacra.data.prepare import check_same, choose_decoding, size_before, versions
from simulacra.data.prepare_options import PrepareOptions
from simulacra.data.rejects import english
from simulacra.data.selection import order_key, select, split_counts
from simulacra.data.shard_format import (
    BLOCKS,
    DIGESTS,
    FORMAT,
    KEYS,
    LABELS,
    PICTURES,
    WHAT,
    Shard,
    Share,
    block_ranges,
    read_shard,
    rows_of_block,
    sha256,
)
from simulacra.data.sizing import choose_size
from simulacra.data.source import Source
from simulacra.data.sources import open_source
from simulacra.data.stores import LocalFolder
from simulacra.data.writing import ArrayTarget, Task, new_array, run, shorten
from simulacra.errors import SimulacraError
from simulacra.files import disk_errors, read_json, sync, write_json
from simulacra.messages import Message, text

BATCH = 1024  # pictures that are decoded before they are safe from an interruption
LAST_KEY = 1 << 64  # above all keys
LOCK = ".lock"  # in the folder of an unfinished shard


def prepare_shard(source: str | Path, out: Path, share: Share, options: PrepareOptions) -> Shard:
    """Make one shard of a source in the folder `out`; the same call continues one that was interrupted.

    Chosen pictures that turn out to be unusable are not replaced, and `join` drops duplicates: a shard does not know the
    others. Raises SimulacraError as `prepare` does, and where another process prepares the same shard.
    """
    if options.keep_originals:
        raise SimulacraError("data.originals_of_shard")
    out = Path(out)
    with open_source(source, labels=options.labels) as opened:
        if options.size == "auto":
            size = size_before(out) or choose_size([list(opened.items)], options)
            options = dataclasses.replace(options, size=size)
        plan = _plan(opened, share, options)
        origin = {"options": options.to_json() | {"shard": str(share)}, "source": plan.source_json()}
        if out.exists() or out.is_symlink():
            check_same(out, origin)
            say("data.already_prepared", path=out)
        else:
            with disk_errors(out), _unfinished(out, origin | {"format": FORMAT}) as folder:
                _finish(plan, _Rows(plan, folder), folder, out.name, origin)
    return read_shard(LocalFolder(out))


@dataclass(frozen=True, eq=False)
class _Plan:
    """Which pictures of a source belong to a shard, and where each goes.

    members: their numbers in the listing, ascending. rows: the row of each, by their keys.
    """

    source: Source
    share: Share
    options: PrepareOptions
    members: NDArray[np.int64]
    keys: NDArray[np.uint64]  # of the members
    rows: NDArray[np.int64]
    bounds: tuple[int, int]
    listing: str

    def source_json(self) -> dict[str, Any]:
        """Where the pictures come from; the fingerprint is that of the shard's own."""
        own = dataclasses.replace(self.source, items=[self.source.items[n] for n in self.members.tolist()], labels=None)
        record = {"given": self.source.name, "kind": self.source.kind, "listing": self.listing}
        return record | {"fingerprint": own.fingerprint()}


def _plan(source: Source, share: Share, options: PrepareOptions) -> _Plan:
    items = source.items
    keys = np.fromiter((int.from_bytes(order_key(options.seed, item.name)) for item in items), np.uint64, len(items))
    order = np.argsort(keys, kind="stable")
    if options.limit is not None or options.per_folder is not None:
        folders = [item.folder for item in items]
        order = np.array(select(order.tolist(), folders, options.per_folder, options.limit), np.int64)
    counts = split_counts(len(order), options.split)
    ends = counts["train"], counts["train"] + counts["valid"]
    first, second = (int(keys[order[end]]) if end < len(order) else LAST_KEY for end in ends)
    if share.count > len(order):
        raise SimulacraError("data.more_shards_than_pictures", shards=share.count, source=source.name, count=len(order))
    own = share.range(len(order))
    members = np.sort(order)[own.start : own.stop]
    rows = np.empty(len(members), np.int64)
    rows[np.argsort(keys[members], kind="stable")] = np.arange(len(members))
    digest = hashlib.sha256(repr((source.classes, source.attributes)).encode("utf-8", "backslashreplace"))
    for item in items:
        digest.update(f"{item.name}\n".encode())
    if source.labels is not None:
        digest.update(np.ascontiguousarray(source.labels).data)
    return _Plan(source, share, options, members, keys[members], rows, (first, second), digest.hexdigest())


@contextlib.contextmanager
def _unfinished(out: Path, work: dict[str, Any]) -> Iterator[Path]:
    """The folder beside `out` that holds the shard until it is finished, and becomes `out` when the block ends.

    It stays when the block does not end, and is used again by the next call with the same pictures and options.
    """
    folder = out.with_name(f".{out.name}.unfinished")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise SimulacraError("data.shard_in_use", path=out) from error
    try:
        if not (folder / ORIGIN).exists() or read_json(folder / ORIGIN) != work:
            for path in folder.iterdir():
                if path.name != LOCK:
                    path.unlink()
            write_json(folder / ORIGIN, work)
        yield folder
        for name in (JOURNAL, ORIGIN):
            (folder / name).unlink()
    finally:
        lock.release()
    (folder / LOCK).unlink(missing_ok=True)
    folder.rename(out)


class _Rows:
    """The pictures of a shard, decoded batch by batch; a batch that is on the disk is not decoded again."""

    def __init__(self, plan: _Plan, folder: Path) -> None:
        """Raises SimulacraError where no picture can be used."""
        self.plan, self.journal = plan, Journal(folder / JOURNAL)
        self.target = ArrayTarget(folder / PICTURES, choose_decoding(plan.source.items, plan.options))
        self.rejects: dict[int, dict[str, str]] = {}  # by row
        self._decode()
        self.rows = self._without_gaps()

    def _decode(self) -> None:
        """Decode in the order of the listing: a part of an archive is read once."""
        plan, n = self.plan, len(self.plan.members)
        if self.journal.resumes:
            done = min(n, self.journal.kept * BATCH)
            say("data.shard_goes_on", path=self.target.path.parent, done=done, count=n)
        elif n:
            new_array(self.target, n)
        with progress(text("data.preparing"), n) as advance:
            for start in range(0, n, BATCH):
                places = range(start, min(n, start + BATCH))
                self.rejects |= dict(self.journal.once(partial(self._decode_batch, places)))
                advance(len(places))
        if len(self.rejects) == n:
            most = Counter(reject["reason"] for reject in self.rejects.values()).most_common(3)
            reasons = [Message("data.counted", count=count, what=reason) for reason, count in most]
            raise SimulacraError("data.none_usable", source=plan.source.name, reasons=reasons)

    def _decode_batch(self, places: range) -> list[tuple[int, dict[str, str]]]:
        """Decode a batch onto the disk; returns its rejects, with their rows."""
        plan = self.plan
        numbers, rows = plan.members[places.start : places.stop], plan.rows[places.start : places.stop]
        tasks = [Task(row, plan.source.items[n]) for n, row in zip(numbers.tolist(), rows.tolist(), strict=True)]
        outcomes = (outcome for part in run(self.target, tasks, plan.options.workers) for outcome in part)
        rejects = [(outcome.row, outcome.reject.to_json()) for outcome in outcomes if outcome.reject is not None]
        _sync(self.target.path)
        return rejects

    def _without_gaps(self) -> NDArray[np.int64]:
        """Move the last rows into the gaps and cut the file off; returns the original row of each.

        A row that is moved is never written to, so that this can be interrupted and done again.
        """
        n = len(self.plan.members)
        filled = np.setdiff1d(np.arange(n), np.fromiter(self.rejects, np.int64, len(self.rejects)))
        rows = np.arange(len(filled))
        gaps = np.setdiff1d(rows, filled)
        rows[gaps] = filled[len(filled) - len(gaps) :][::-1]
        images = np.load(self.target.path, mmap_mode="r+", allow_pickle=False)
        if len(images) == n:
            for gap in gaps.tolist():
                images[gap] = images[rows[gap]]
            images.flush()
        del images
        _sync(self.target.path)
        shorten(self.target.path, len(filled))
        return rows


def _finish(plan: _Plan, pictures: _Rows, folder: Path, name: str, origin: dict[str, Any]) -> None:
    """Write everything beside the pictures; data.json, which makes the folder a shard, comes last."""
    at = np.argsort(plan.rows)[pictures.rows]  # the place among the members of the picture in each row
    numbers = plan.members[at]
    images = np.load(pictures.target.path, mmap_mode="r", allow_pickle=False)
    arrays: dict[str, NDArray[Any]] = {KEYS: plan.keys[at]}
    if plan.source.labels is not None:
        arrays[LABELS] = plan.source.labels[numbers]
    if plan.options.drop_duplicates:
        arrays[DIGESTS] = np.frombuffer(b"".join(digests(images)), np.uint8).reshape(-1, 16)
    shape, offset, block_rows = tuple(map(int, images.shape)), int(images.offset), rows_of_block(images.shape)
    del images
    values: dict[str, Any] = {"number": plan.share.number, "count": plan.share.count, "shape": shape, "offset": offset}
    values |= {"block_rows": block_rows, "classes": plan.source.classes, "attributes": plan.source.attributes}
    values |= {"bounds": plan.bounds, "options": origin["options"], "listing": plan.listing}
    arrays[BLOCKS] = _block_hashes(pictures.target.path, block_ranges(Shard(**values, files={})))
    for file, array in arrays.items():
        np.save(folder / file, array)
        _sync(folder / file)
    shard = Shard(**values, files={file: sha256((folder / file).read_bytes()) for file in sorted(arrays)})
    write_json(folder / "names.json", [plan.source.items[n].name for n in numbers.tolist()])
    own = [reject.to_json() for reject in plan.source.rejects] if plan.share.number == 1 else []
    write_json(folder / "rejects.json", own + [pictures.rejects[row] for row in sorted(pictures.rejects)])
    record = {"what": WHAT, "format": FORMAT, "name": name, "hash": shard.hash()} | dataclasses.asdict(shard)
    notes = [english(note) for note in plan.source.notes]
    write_json(folder / "data.json", record | {"source": origin["source"], "notes": notes, "versions": versions()})


def _block_hashes(path: Path, ranges: list[tuple[int, int]]) -> NDArray[np.uint8]:
    """The SHA-256 [blocks, 32] of each block of a file."""
    with path.open("rb") as file:
        file.seek(ranges[0][0])
        hashes = b"".join(hashlib.sha256(file.read(size)).digest() for _, size in ranges)
    return np.frombuffer(hashes, np.uint8).reshape(-1, 32)


def _sync(path: Path) -> None:
    """Wait until a file is on the disk, with what was written through memory maps."""
    with path.open("rb+") as file:
        sync(file)
