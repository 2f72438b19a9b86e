"""The pictures of one source, with their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulacra.data.items import Item
from simulacra.data.rejects import Reject
from simulacra.messages import Message


@dataclass(frozen=True, eq=False)
class Source:
    """The pictures of one source: `items` in natural order, and `labels` with one row per item.

    `labels` is None, [N] int64 (indices into `classes`) or [N, A] float32 in [0, 1] (`attributes`). `rejects` are
    pictures that cannot even be opened; `not_pictures` counts other files.
    """

    name: str
    kind: str
    items: Sequence[Item]
    labels: NDArray[Any] | None = None
    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    rejects: tuple[Reject, ...] = ()
    not_pictures: int = 0
    notes: tuple[Message, ...] = ()

    def fingerprint(self) -> str:
        """SHA-256 of names, versions and labels; it does not change as long as the pictures do not."""
        digest = hashlib.sha256(repr((self.classes, self.attributes)).encode("utf-8", "backslashreplace"))
        for item in self.items:
            digest.update(f"{item.name}\0{item.stamp}\n".encode())
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()
