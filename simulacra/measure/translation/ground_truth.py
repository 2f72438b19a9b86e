"""Which pictures of two domains show the same, by their files' names. Only scores look at this: never training, never a choice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from simulacra.data.dataset import Pair
from simulacra.files import read_json


def ground_truth_pairs(data: Pair, part: str) -> NDArray[np.int64]:
    """Rows [K, 2] in `part` of the first and of the second domain whose files have one name, whatever their endings.

    data: a whole pair. A name that a domain has twice pairs nothing. Empty where the names are not known.
    """
    none = np.empty((0, 2), np.int64)
    if data.path is None:
        return none
    rows = []
    for letter, domain in (("a", data.a), ("b", data.b)):
        names = _names(data.path / letter / "names.json")
        if len(names) != len(domain):
            return none
        begin = sum(domain.splits[each] for each in list(domain.splits)[: list(domain.splits).index(part)])
        stems = [PurePosixPath(name).stem for name in names[begin : begin + domain.splits[part]]]
        often = Counter(stems)
        rows.append({stem: row for row, stem in enumerate(stems) if often[stem] == 1})
    one, other = rows
    found = [(row, other[stem]) for stem, row in one.items() if stem in other]
    return np.array(found, np.int64).reshape(-1, 2)


def _names(path: Path) -> list[str]:
    found = read_json(path) if path.is_file() else []
    return [str(name) for name in found] if isinstance(found, list) else []
