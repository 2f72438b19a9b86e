"""The result of `prepare`, in a terminal or a log."""

from __future__ import annotations

from pathlib import Path

from simulacra.console import say
from simulacra.data.dataset import Dataset, Pair
from simulacra.data.originals import summary
from simulacra.files import read_json


def print_prepared(folder: Path, data: Dataset | Pair) -> None:
    """Print the pictures of each domain in its parts, and what was set aside."""
    domains = {folder / "a": data.a, folder / "b": data.b} if isinstance(data, Pair) else {folder: data}
    for path, domain in domains.items():
        parts = [f"{count:,} {part}" for part, count in domain.splits.items()]
        say("data.prepared", path=path, count=len(domain), parts=parts, sheet=path / "sheet.png")
        if count := len(read_json(path / "rejects.json")):
            say("data.set_aside", count=count, path=path / "rejects.json")
        for originals in summary(domain):
            say("data.originals", **vars(originals), whole=len(domain))
    if isinstance(data, Pair):
        say("data.pair_domains", a=data.domains[0], b=data.domains[1])
