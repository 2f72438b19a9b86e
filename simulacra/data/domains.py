"""Two domains of pictures, between which a game translates: two sources, or one that holds both in a known layout."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from simulacra.data.contents import common_folder
from simulacra.data.dataset import SPLITS, Pair, content_hash
from simulacra.data.opening import kind
from simulacra.data.sources import PARTS, Source, open_source
from simulacra.errors import SimulacraError
from simulacra.files import read_json, write_json

JOINT = re.compile(rf"({'|'.join(PARTS)})[ _-]?([ab])", re.IGNORECASE)  # trainA, test_b


@dataclass(frozen=True)
class Domain:
    """One of the two: all its pictures, and the parts that the layout gives; `train` is all of them where it gives none."""

    name: str
    whole: Source
    parts: Mapping[str, Source]

    def shares(self, part: str, split: tuple[float, float, float]) -> tuple[float, float, float]:
        """The shares of train, validation and test to cut one of the parts into: what the layout gives is not cut out."""
        if part != "train":
            return 1.0, 0.0, 0.0  # `joined` knows what it is
        valid, test = (0.0 if name in self.parts else split[i] for i, name in ((1, "valid"), (2, "test")))
        return 1 - valid - test, valid, test


@contextlib.contextmanager
def open_domains(source: str | Path, others: str | Path | None, *, labels: str = "auto") -> Iterator[list[Domain]]:
    """One domain, or two: `source` and `others`, or what a known layout in `source` holds.

    Raises `SimulacraError` where there is nothing, or the two are the same.
    """
    if others is None and kind(Path(source)) == Pair.WHAT:
        source, others = Path(source) / "a", Path(source) / "b"
    if others is not None:
        if Path(source).resolve() == Path(others).resolve():
            raise SimulacraError(f"Both domains are {source}: a translation needs two different ones.")
        with open_source(source, labels="none") as one, open_source(others, labels="none") as other:
            names = _names(Path(source).name, Path(others).name)
            yield [Domain(name, each, {"train": each}) for name, each in zip(names, (one, other), strict=True)]
        return
    with open_source(source, labels=labels) as found:
        parts = parts_of([item.name for item in found.items]) if labels in ("auto", "none") else None
        if parts is None:
            yield [Domain(Path(source).name, found, {"train": found})]
            return
        yield [_domain(letter, found, parts) for letter in "ab"]


def parts_of(names: Sequence[str]) -> dict[tuple[str, str], list[int]] | None:
    """(domain, part) -> which of the pictures called `names` belong to it; None where this is no pair.

    Known are trainA, trainB, testA, testB (also valA, valB, and train_a), train/A, train/B, …, and A, B alone, whose
    parts are left to the seed; every picture must belong somewhere, and both domains must have training pictures.
    """
    shared = len(common_folder(names))
    found: dict[tuple[str, str], list[int]] = {}
    for number, name in enumerate(names):
        place = _place(tuple(part.lower() for part in PurePosixPath(name).parts[shared:-1]))
        if place is None:
            return None
        found.setdefault(place, []).append(number)
    return found if {("a", "train"), ("b", "train")} <= found.keys() else None


def joined(parts: Mapping[str, Path], out: Path) -> None:
    """One data set in the new folder `out` of those in `parts`, which are deleted: `train`, and what the layout gave."""
    told = {part: read_json(folder / "data.json") for part, folder in parts.items()}
    sources = [(told["train"]["splits"] if part == "train" else dict.fromkeys(SPLITS, 0) | {part: told[part]["shape"][0]},
                np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False),
                read_json(folder / "names.json")) for part, folder in parts.items()]  # fmt: skip
    shutil.copytree(parts["train"], out)  # the sheet is that of the training pictures
    shape = (sum(len(rows) for _, rows, _ in sources), *sources[0][1].shape[1:])
    (out / "images.npy").unlink()  # a copy; the pictures of `train` are mapped from where they were
    whole = np.lib.format.open_memmap(out / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
    splits, together, row = dict.fromkeys(SPLITS, 0), list[str](), 0
    for split in SPLITS:
        for counts, rows, names in sources:
            begin, count = sum(counts[other] for other in SPLITS[: SPLITS.index(split)]), counts[split]
            whole[row : row + count] = rows[begin : begin + count]
            together += names[begin : begin + count]
            splits[split], row = splits[split] + count, row + count
    whole.flush()
    digest = content_hash(whole, None)
    write_json(out / "names.json", together)
    write_json(
        out / "rejects.json", [reject for folder in parts.values() for reject in read_json(folder / "rejects.json")]
    )
    now: dict[str, Any] = {"shape": list(whole.shape), "splits": splits, "hash": digest}
    write_json(out / "data.json", told["train"] | now)
    for folder in parts.values():
        shutil.rmtree(folder)


def _place(folders: tuple[str, ...]) -> tuple[str, str] | None:
    """(domain, part) of a picture in these folders, in lower case."""
    first, second = (*folders, "", "")[:2]
    if match := JOINT.fullmatch(first):
        return match[2], PARTS[match[1]]
    if first in PARTS and second in ("a", "b"):
        return second, PARTS[first]
    return (first, "train") if first in ("a", "b") else None


def _domain(letter: str, found: Source, parts: Mapping[tuple[str, str], Sequence[int]]) -> Domain:
    def some(numbers: Sequence[int]) -> Source:
        return replace(found, items=[found.items[n] for n in numbers], labels=None, classes=(), attributes=())

    own = {part: some(parts[letter, part]) for part in SPLITS if (letter, part) in parts}
    return Domain(letter.upper(), some(sorted(n for (a, _), some in parts.items() if a == letter for n in some)), own)


def _names(one: str, other: str) -> tuple[str, str]:
    """The domains' names: the folders', without the ending of an archive."""
    a, b = (
        re.sub(r"\.(zip|tar|tgz|tar\.gz)$", "", name, flags=re.IGNORECASE) or letter
        for name, letter in ((one, "A"), (other, "B"))
    )
    return (a, b) if a.lower() != b.lower() else ("A", "B")
