"""The tables of a report as rows of text: settings, data, alarms, rollbacks and the certificate."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simulacra.config import to_json, updated
from simulacra.data.dataset import Dataset, Pair
from simulacra.gan import GAN, Settings
from simulacra.measure.printing import by_direction, weakest
from simulacra.publish.report.contents import Evidence
from simulacra.publish.report.formatting import decimals, interval, number, pixels
from simulacra.training.health import VERDICTS

Line = dict[str, Any]

MOST_CLASSES = 16
MOST_ROLLBACKS = 50
HEX = 12  # digits of a hash that are shown


@dataclasses.dataclass(frozen=True)
class Setting:
    """A row of the settings."""

    name: str
    value: str
    default: str = ""
    changed: bool = False


@dataclasses.dataclass(frozen=True)
class Share:
    """How many pictures are of a class, or have an attribute."""

    name: str
    count: int
    share: float  # of all pictures
    bar: float  # of the longest bar, in percent


def settings(config: Mapping[str, Any], gan: type[GAN] | None) -> dict[str, list[Setting]]:
    """All settings of a run by group; those that differ from the game's defaults are marked."""
    defaults = {} if gan is None else to_json(gan.Config())
    common = {item.name for item in dataclasses.fields(Settings)}
    made: dict[str, list[Setting]] = {"Settings that every game has": [], f"Settings of {config['gan']}": []}
    every, own = made.values()
    for name, value in config["config"].items():
        if name == "shape":
            continue
        known = name in defaults
        row = Setting(name, plain(value), plain(defaults[name]) if known else "", known and defaults[name] != value)
        (every if name in common else own).append(row)
    run = {key: config.get(key) for key in ("spec", "seed", "precision", "compile", "micro")}
    run |= {f"length: {key}": value for key, value in config.get("length", {}).items()}
    run |= {f"version of {key}": value for key, value in config.get("versions", {}).items()}
    made["The run"] = [Setting(name, plain(value)) for name, value in run.items()]
    return {title: rows for title, rows in made.items() if rows}


def plain(value: Any) -> str:
    """A setting as it is typed on the command line."""
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    if isinstance(value, float):
        return f"{value:.12g}"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def facts(told: Evidence) -> dict[str, str]:
    """What is known of the data, with or without the data set."""
    stored = told.config["data"]
    found = {"name": str(stored["name"]), "pictures": pixels(told.shape)}
    if isinstance(told.data, Pair):
        for name, domain in zip(told.data.domains, (told.data.a, told.data.b), strict=True):
            counts = {_PARTS.get(part, part): count for part, count in domain.splits.items() if count}
            found[f"domain {name}"] = ", ".join(f"{count:,} for {part}" for part, count in counts.items())
    elif told.data is None:
        found["for training"] = f"{stored['pictures']:,}"
    else:
        found |= {f"for {_PARTS.get(part, part)}": f"{count:,}" for part, count in told.data.splits.items() if count}
    return found | {"sha256": stored["hash"][:HEX] + "…"}


_PARTS = {"train": "training", "valid": "validation", "test": "test"}


def shares(data: Dataset) -> tuple[str, list[Share], int]:
    """What is counted (classes or attributes), the most frequent of it, and how many more there are."""
    if data.labels is None:
        return "", [], 0
    if data.classes:
        names, counts = data.classes, np.bincount(data.labels, minlength=len(data.classes)).astype(float)
    else:
        names, counts = data.attributes, data.labels.sum(axis=0)
    order = sorted(range(len(names)), key=lambda i: -counts[i])[:MOST_CLASSES]
    longest = max(float(counts.max()), 1.0)
    rows = [
        Share(names[i], round(float(counts[i])), float(counts[i]) / len(data), 100 * float(counts[i]) / longest)
        for i in order
    ]
    return ("classes" if data.classes else "attributes"), rows, len(names) - len(rows)


@dataclasses.dataclass(frozen=True)
class Alarm:
    """A verdict on the run's health, over the stretch in which it held."""

    name: str
    begin: int
    end: int
    sentence: str  # the last one said

    @property
    def when(self) -> str:
        """In images."""
        return f"{self.begin:,}" if self.begin == self.end else f"{self.begin:,} to {self.end:,}"


def alarms(lines: Sequence[Line]) -> list[Alarm]:
    """The health verdicts of a journal: equal ones in a row are one, which lasts from the first to the last line."""
    done: list[Alarm] = []
    held: dict[str, Alarm] = {}
    for line in lines:
        said = line.get("health") or {}
        done += [alarm for name, alarm in held.items() if name not in said]
        held = {
            name: Alarm(name, held[name].begin if name in held else line["nimg"], line["nimg"], str(sentence))
            for name, sentence in said.items()
        }
    return sorted([*done, *held.values()], key=lambda alarm: alarm.begin)


def advice(alarms: Sequence[Alarm], told: Evidence) -> dict[str, str]:
    """What to try against each alarm, as settings of this run's game where it is known."""
    if told.gan is None:
        return {}
    config = updated(told.gan.Config(), told.config["config"], of=told.gan.name)
    return {alarm.name: VERDICTS[alarm.name].advise(told.gan, config) for alarm in alarms if alarm.name in VERDICTS}


def rollbacks(lines: Sequence[Line]) -> list[list[str]]:
    """Of each time the run went back: why, from where to where, what was seen, and the seed it went on with."""
    keys = ("verdict", "from", "to", "seen")
    return [[*(number(line.get(key)) for key in keys), str(line.get("seed", "–"))] for line in lines[-MOST_ROLLBACKS:]]


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_cell(item)}" for key, item in value.items())
    return number(value)


@dataclasses.dataclass(frozen=True)
class Scored:
    """A row of the certificate."""

    name: str
    value: str
    interval: str
    floor: str
    before: str  # of untranslated pictures
    n: str
    better: str
    what: str
    leads: bool


@dataclasses.dataclass(frozen=True)
class Group:
    """Rows of the certificate: all, or those of a direction."""

    title: str
    rows: list[Scored]
    before: bool  # whether untranslated pictures have scores


def certified(certificate: Line) -> list[Group]:
    """The scores of a certificate, the leading one first; of a translator its means, then each direction's."""
    scores, leads = certificate["scores"], certificate["leads"]
    if "directions" not in certificate:
        order = sorted(scores, key=lambda name: name != leads)
        return [Group("Scores; the first one leads", _rows({name: scores[name] for name in order}, {}, leads), False)]
    titles = {"mean": "Means of both directions, of which one leads"}
    titles |= {name: f"{told['from']} to {told['to']}" for name, told in certificate["directions"].items()}
    groups = []
    for name, title in titles.items():
        mine, before = by_direction(scores, name)
        rows = _rows(mine, before, leads.partition(":")[0] if name == "mean" else "")
        groups += [Group(title, rows, bool(before))] if rows else []
    return groups


def _rows(scores: Mapping[str, Line], before: Mapping[str, Line], leads: str) -> list[Scored]:
    rows = []
    for name, score in scores.items():
        places = decimals(score)
        rows.append(
            Scored(
                name=name,
                value=number(score["value"], places),
                interval=interval(score, places),
                floor=number(score.get("floor"), places),
                before=number(before[name]["value"], places) if name in before else "–",
                n=number(score.get("n")),
                better=score.get("better") or "–",
                what=score.get("what", ""),
                leads=name == leads,
            )
        )
    return rows


@dataclasses.dataclass(frozen=True)
class Within:
    """The scores of single classes: names of columns, rows, and what is left out."""

    columns: list[str]
    rows: list[list[str]]  # the class's name first
    note: str


def within(certificate: Line) -> Within | None:
    """The scores within each class, those least often read as asked first where there are many; None without any."""
    told = certificate.get("within")
    if not told:
        return None
    lines = told["classes"]
    shown = lines if len(lines) <= MOST_CLASSES else weakest(lines, MOST_CLASSES)
    names = list(dict.fromkeys(name for line in lines for name in line["scores"]))
    scores = [line["scores"][name] for line in lines for name in names if name in line["scores"]]
    places, rows = decimals(*scores), []
    for line in shown:
        cells = [line["class"], number(line["n"]), number(line["n_real"])]
        for name in names:
            score = line["scores"].get(name)
            floor = number(score.get("floor"), places) if score else "–"
            cells += [
                number(score["value"], places) if score else "–",
                interval(score, places) if score else "–",
                floor,
            ]
        cells += [
            "–" if part is None else f"{part['value']:.0%}" for part in (line["agreement"], line["agreement_real"])
        ]
        other = line["else_read_as"]
        rows.append([*cells, "–" if other is None else f"{other} ({line['else_share']:.0%})"])
    columns = ["fakes", "reals", *(each for name in names for each in (name, "95 % interval", "reals : reals"))]
    left = (
        f" Shown are the {len(shown)} of {len(lines)} classes least often read as asked." if shown is not lines else ""
    )
    note = (
        "No further pictures were drawn: those of all scores, by the class each was asked for. A reader of the data's classes, "
        f"tested on {told['held_out']:,} reals it had not seen, says which class a picture is of.{left}"
    )
    return Within([*columns, "read as it", "reals read right", "else read as"], rows, note)


def terms(certificate: Line) -> dict[str, str]:
    """What the certificate was measured on and with."""
    model, data, extractor = certificate["model"], certificate["data"], certificate["extractor"]
    made = {
        "model": f"{model['hash']}, after {model['nimg']:,} images" if model.get("nimg") else str(model["hash"]),
        "data": f"{data['name']}, {data['on']} part, {number(data['pictures'])} pictures, sha256 {data['hash'][:HEX]}…",
        "fakes": _fakes(certificate),
        "extractor": f"{extractor['name']} ({extractor['backend']}), sha256 {extractor['sha256'][:HEX]}…",
    }
    return made | {"versions": _cell(certificate.get("versions", {}))}


def _fakes(certificate: Line) -> str:
    """How many, and what they were made from."""
    if "directions" not in certificate:
        return f"{certificate['n']:,}, seeds {certificate['seeds']}"
    each = [f"{told['n']:,} {told['from']} to {told['to']}" for told in certificate["directions"].values()]
    return f"translations of {certificate['data']['inputs']} pictures, {' and '.join(each)}"


def scored(scores: Sequence[Line], metric: str) -> list[tuple[int, str, str]]:
    """(images, value, interval) of each scored checkpoint."""
    there = [(line["nimg"], line["scores"][metric]) for line in scores if metric in line["scores"]]
    places = decimals(*(score for _, score in there))
    return [(nimg, number(float(score["value"]), places), interval(score, places)) for nimg, score in there]
