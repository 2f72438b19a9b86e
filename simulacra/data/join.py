"""Join shards to one dataset, without a copy of their pictures: check them, and write down where each picture lies."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.console import progress
from simulacra.data.dataset import SPLITS, Dataset
from simulacra.data.joined import ORDER, WHAT, as_npy, entry_of, joined_hash
from simulacra.data.opening import FORMAT, open_domain
from simulacra.data.shard_format import (
    BLOCKS,
    DIGESTS,
    KEYS,
    LABELS,
    Shard,
    check_pictures,
    read_array,
    read_shard,
    sha256,
)
from simulacra.data.stores import Store, is_address, open_store, relative, write_to
from simulacra.errors import SimulacraError
from simulacra.files import atomic_folder, write_json
from simulacra.messages import Message, text

SAME = ("options", "listing", "classes", "attributes", "bounds")  # entries of all shards of one source


def join(out: str | Path, places: Sequence[str | Path]) -> Dataset:
    """Write the dataset `out` of all shards of a source, at paths or addresses, and open it.

    Pictures follow each other by their keys, as in a dataset that is prepared in one go, whatever the order of
    `places`. Each shard is read once, to compare it with its hashes. Where shards were prepared with
    `drop_duplicates`, only the first of equal pictures is used.

    Raises SimulacraError for a shard that is damaged, missing, given twice or of another source, and for an existing `out`.
    """
    if not is_address(out) and (Path(out).exists() or Path(out).is_symlink()):
        raise SimulacraError("data.out_exists", path=out)
    found = [(read_shard(store), store) for store in map(open_store, places)]
    _check_same_source(found)
    found.sort(key=lambda entry: entry[0].number)
    with progress(text("data.checking_shards"), sum(shard.shape[0] for shard, _ in found)) as advance:
        for shard, store in found:
            check_pictures(store, shard, advance)
    files, record = _describe(found, str(out))
    if is_address(out):
        with tempfile.TemporaryDirectory(prefix="simulacra-") as scratch:
            _write(Path(scratch), files, record)
            write_to(str(out), Path(scratch))
    else:
        with atomic_folder(Path(out)) as folder:
            _write(folder, files, record)
    return open_domain(out)


def _write(folder: Path, files: dict[str, bytes], record: dict[str, Any]) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    write_json(folder / "data.json", record)


def _check_same_source(found: Sequence[tuple[Shard, Store]]) -> None:
    """Raise SimulacraError unless these are all shards of one source, each once."""
    if not found:
        raise SimulacraError("data.no_shards")
    (first, where), numbers = found[0], dict[int, str]()
    for shard, store in found:
        if shard.number in numbers:
            raise SimulacraError(
                "data.shard_twice", number=shard.number, first=numbers[shard.number], second=store.place
            )
        numbers[shard.number] = store.place
        other = [name for name in SAME if _comparable(shard, name) != _comparable(first, name)]
        if shard.shape[1:] != first.shape[1:] or shard.count != first.count or other:
            what = Message(f"data.differ.{(other or ['shape'])[0]}")
            raise SimulacraError("data.shards_differ", first=where.place, second=store.place, what=what)
    if missing := sorted(set(range(1, first.count + 1)) - numbers.keys()):
        raise SimulacraError("data.shards_missing", count=len(missing), of=first.count, numbers=missing)


def _comparable(shard: Shard, name: str) -> Any:
    value = getattr(shard, name)
    return {key: entry for key, entry in value.items() if key != "shard"} if name == "options" else value


def _describe(found: Sequence[tuple[Shard, Store]], out: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of a joined dataset, and its data.json."""
    keys = np.concatenate([read_array(store, KEYS, shard.files[KEYS]) for shard, store in found])
    order = np.argsort(keys, kind="stable")
    shard = found[0][0]
    if DIGESTS in shard.files:
        digests = np.concatenate([read_array(store, DIGESTS, shard.files[DIGESTS]) for shard, store in found])
        _, first = np.unique(digests[order], axis=0, return_index=True)
        order = order[np.sort(first)]
    # bounds of 2**64 are no uint64: no key is as large
    ends = [np.searchsorted(keys[order], np.uint64(b)) if b < 1 << 64 else len(order) for b in shard.bounds]
    counts = np.diff([0, *map(int, ends), len(order)]).tolist()
    files = {ORDER: as_npy(order.astype(np.uint32 if len(keys) < 1 << 32 else np.int64))}
    labels, classes = _labels(found, order)
    if labels is not None:
        files[LABELS] = as_npy(labels)
    entries = [entry_of(shard, relative(store.place, out), shard.files[BLOCKS]) for shard, store in found]
    record: dict[str, Any] = {"what": WHAT, "format": FORMAT, "name": Path(out).name}
    record |= {"shape": [len(order), *shard.shape[1:]], "splits": dict(zip(SPLITS, counts, strict=True))}
    record |= {"classes": list(classes), "attributes": list(shard.attributes)}
    record |= {"files": {name: sha256(data) for name, data in files.items()}}
    record |= {"shards": [dataclasses.asdict(entry) for entry in entries], "options": _comparable(shard, "options")}
    return files, record | {"hash": joined_hash(record)}


def _labels(
    found: Sequence[tuple[Shard, Store]], order: NDArray[np.int64]
) -> tuple[NDArray[Any] | None, tuple[str, ...]]:
    """Labels in the order of the pictures, and the names of their classes without those that have no picture."""
    shard = found[0][0]
    if LABELS not in shard.files:
        return None, ()
    labels = np.concatenate([read_array(store, LABELS, shard.files[LABELS]) for shard, store in found])[order]
    if not shard.classes:
        return labels, ()
    used, numbers = np.unique(labels, return_inverse=True)
    return numbers.astype(np.int64), tuple(shard.classes[n] for n in used)
