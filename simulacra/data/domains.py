"""The domains of a pair: two sources, or one source that holds both in a known layout."""

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
from simulacra.data.source import Source
from simulacra.data.sources import PARTS, open_source
from simulacra.errors import SimulacraError
from simulacra.files import read_json, write_json

JOINT = re.compile(rf"({'|'.join(PARTS)})[ _-]?([ab])", re.IGNORECASE)  # trainA, test_b


@dataclass(frozen=True)
class Domain:
    """One domain: all its pictures, and its parts. Where the layout gives no parts, `train` holds all pictures."""

    name: str
    whole: Source
    parts: Mapping[str, Source]

    def shares(self, part: str, split: tuple[float, float, float]) -> tuple[float, float, float]:
        """Shares of train, valid and test to cut `part` into: the training pictures supply the parts not given."""
        if part != "train":
            return 1.0, 0.0, 0.0  # `merge_parts` puts them where they belong
        valid, test = (0.0 if name in self.parts else split[i] for i, name in ((1, "valid"), (2, "test")))
        return 1 - valid - test, valid, test


@contextlib.contextmanager
def open_domains(source: str | Path, b: str | Path | None, *, labels: str = "auto") -> Iterator[list[Domain]]:
    """Open one domain or two: `source` and `b`, or both that `source` holds in a known layout.

    Raises SimulacraError if a source holds no pictures, or both are the same.
    """
    if b is None and kind(Path(source)) == Pair.WHAT:
        source, b = Path(source) / "a", Path(source) / "b"
    if b is not None:
        if Path(source).resolve() == Path(b).resolve():
            raise SimulacraError("data.same_domains", source=source)
        with open_source(source, labels="none") as first, open_source(b, labels="none") as second:
            names = _names(Path(source).name, Path(b).name)
            yield [Domain(name, whole, {"train": whole}) for name, whole in zip(names, (first, second), strict=True)]
        return
    with open_source(source, labels=labels) as opened:
        parts = parts_of([item.name for item in opened.items]) if labels in ("auto", "none") else None
        if parts is None:
            yield [Domain(Path(source).name, opened, {"train": opened})]
            return
        yield [_domain(letter, opened, parts) for letter in "ab"]


def parts_of(names: Sequence[str]) -> dict[tuple[str, str], list[int]] | None:
    """(domain, part) -> indices of the pictures called `names` that belong to it; None if this is not a pair.

    Known layouts: trainA, trainB, testA, testB (also valA, train_a, ...); train/A, train/B, ...; and A, B alone, which
    are split by the seed. Every picture must belong to a part, and both domains need training pictures.
    """
    shared = len(common_folder(names))
    parts: dict[tuple[str, str], list[int]] = {}
    for number, name in enumerate(names):
        place = _place(tuple(part.lower() for part in PurePosixPath(name).parts[shared:-1]))
        if place is None:
            return None
        parts.setdefault(place, []).append(number)
    return parts if {("a", "train"), ("b", "train")} <= parts.keys() else None


def merge_parts(parts: Mapping[str, Path], out: Path) -> None:
    """Merge the datasets in `parts` (part -> folder; `train` may hold several) into `out`, and delete them."""
    records = {part: read_json(folder / "data.json") for part, folder in parts.items()}
    sources = [
        (
            records["train"]["splits"]
            if part == "train"
            else dict.fromkeys(SPLITS, 0) | {part: records[part]["shape"][0]},
            np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False),
            read_json(folder / "names.json"),
        )
        for part, folder in parts.items()
    ]
    shutil.copytree(parts["train"], out)  # with its sheet, which shows the training pictures
    shape = (sum(len(rows) for _, rows, _ in sources), *sources[0][1].shape[1:])
    (out / "images.npy").unlink()
    images = np.lib.format.open_memmap(out / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
    splits, names, row = dict.fromkeys(SPLITS, 0), list[str](), 0
    for split in SPLITS:
        for counts, rows, own_names in sources:
            begin, count = sum(counts[other] for other in SPLITS[: SPLITS.index(split)]), counts[split]
            images[row : row + count] = rows[begin : begin + count]
            names += own_names[begin : begin + count]
            splits[split], row = splits[split] + count, row + count
    images.flush()
    rejects = [reject for folder in parts.values() for reject in read_json(folder / "rejects.json")]
    merged: dict[str, Any] = {"shape": list(images.shape), "splits": splits, "hash": content_hash(images, None)}
    write_json(out / "names.json", names)
    write_json(out / "rejects.json", rejects)
    write_json(out / "data.json", records["train"] | merged)
    for folder in parts.values():
        shutil.rmtree(folder)


def _place(folders: tuple[str, ...]) -> tuple[str, str] | None:
    """(domain, part) of a picture in these folders, given in lower case."""
    first, second = (*folders, "", "")[:2]
    if match := JOINT.fullmatch(first):
        return match[2], PARTS[match[1]]
    if first in PARTS and second in ("a", "b"):
        return second, PARTS[first]
    return (first, "train") if first in ("a", "b") else None


def _domain(letter: str, source: Source, parts: Mapping[tuple[str, str], Sequence[int]]) -> Domain:
    """The domain `letter` of a source that holds both."""

    def subset(numbers: Sequence[int]) -> Source:
        return replace(source, items=[source.items[n] for n in numbers], labels=None, classes=(), attributes=())

    own = {part: parts[letter, part] for part in SPLITS if (letter, part) in parts}
    whole = subset(sorted(n for numbers in own.values() for n in numbers))
    return Domain(letter.upper(), whole, {part: subset(numbers) for part, numbers in own.items()})


def _names(first: str, second: str) -> tuple[str, str]:
    """The domains' names: those of the sources, without the ending of an archive."""
    a, b = (
        re.sub(r"\.(zip|tar|tgz|tar\.gz)$", "", name, flags=re.IGNORECASE) or letter
        for name, letter in ((first, "A"), (second, "B"))
    )
    return (a, b) if a.lower() != b.lower() else ("A", "B")
