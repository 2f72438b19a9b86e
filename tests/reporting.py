"""Shared by the tests of the report: the files of a run with every part, and a parsed page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from simulacra.storage import checkpoints, fingerprint

HOSTILE = "<script>alert(1)</script> & 'x' {{ 7*7 }} $x_1$"
EXTRACTOR = {"name": "efl0", "sha256": "ab" * 32, "backend": "torch"}
KID = "kid-efl0-1280"
SECTIONS = ["verdict", "pictures", "film", "journeys", "nearest", "scores"]
SECTIONS += ["curves", "health", "data", "settings", "certificate"]


def score(value: float, half: float = 0.01, **more: Any) -> dict[str, Any]:
    record = {"value": value, "low": value - half, "high": value + half, "n": 40, "n_real": 24, "better": "lower"}
    return record | {"what": f"a score {HOSTILE}", "floor": None, "n_floor": None} | more


def scored(run: Path) -> None:
    """Scores as `choose` and `evaluate` write them, and a journal with alarms."""
    folders = checkpoints(run)
    best, last = folders[-2], folders[-1]
    terms = {"extractor": EXTRACTOR, "on": "train", "data": "x", "n": 40, "n_real": 24, "seeds": "0-39"}
    values = {path: 0.5 - 0.1 * i for i, path in enumerate(folders)} | {best: 0.2, last: 0.3}
    names = ("precision-efl0-112", "recall-efl0-112")
    lines = [
        {"nimg": int(path.name), "model": fingerprint(path), "leads": KID}
        | terms
        | {"scores": {KID: score(value)} | {name: score(value / 2) for name in names}}
        for path, value in values.items()
    ]
    (run / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    anew = {"by": KID, "seeds": "9-9", "best": score(0.21), "last": score(0.32), "difference": score(-0.11)}
    record = {
        "checkpoint": best.name,
        "model": fingerprint(best),
        "nimg": int(best.name),
        "by": KID,
        **score(0.2),
        "scored": len(folders),
        "anew": anew,
        "why": "It is the best.",
    }
    (run / "best.json").write_text(json.dumps(record | {"last": {"nimg": int(last.name), "by": KID, **score(0.3)}}))
    write_certificate(run, best)
    path = run / "journal.jsonl"
    journal = [json.loads(line) for line in path.read_text().splitlines()]
    journal[2]["health"] = journal[3]["health"] = {"collapsed": f"all alike {HOSTILE}"}
    journal[-1]["health"] = {"unheard of": "a verdict of another version"}
    path.write_text("".join(json.dumps(line) + "\n" for line in journal))
    back = {"verdict": "diverged", "seen": HOSTILE, "from": 40, "to": 16, "seed": 1234567}
    (run / "rollbacks.jsonl").write_text(json.dumps(back) + "\n")


def write_certificate(run: Path, of: Path, **more: Any) -> None:
    model = {"hash": fingerprint(of), "gan": "mlp", "nimg": int(of.name), "folder": of.name, "run": run.name}
    data = {"name": HOSTILE, "hash": "cd" * 32, "on": "train", "pictures": 24, "size": [3, 16, 16]}
    certificate: dict[str, Any] = {
        "format": "simulacra-certificate-1",
        "model": model,
        "data": data,
        "extractor": EXTRACTOR,
    }
    certificate |= {"n": 60, "seeds": "1000000-1000059", "versions": {"torch": "9"}, "leads": KID}
    certificate["scores"] = {"fd-efl0-112": score(9.0), KID: score(0.213, floor=0.004, n_floor=12)}
    certificate["warnings"] = [f"Beware of {HOSTILE}"]
    certificate["memorisation"] = {"verdict": "no sign", "sentence": "No sign of copying: 0 of 60."}
    certificate["nearest"] = [
        {"seed": 1000000 + i, "train": i, "distance": 9.25 + i, "nearness": 0.5, "quantile": 0.25} for i in range(12)
    ]
    (run / "certificate.json").write_text(json.dumps(certificate | more))


class Page(HTMLParser):
    """A parsed page: tags with their attributes, and the text outside style and plots."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "img", "source", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and "svg" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def all(self, *names: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag in names]
