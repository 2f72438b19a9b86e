"""The tables of a report as rows of text: settings, data, alarms, rollbacks and the certificate."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simulacra.config import to_json
from simulacra.data.dataset import Dataset, Pair
from simulacra.files import JsonObject
from simulacra.gan import GAN, Settings
from simulacra.measure.printing import by_direction, weakest
from simulacra.measure.score_records import ScoreLine
from simulacra.messages import language, text
from simulacra.publish.report.formatting import NONE, decimals, interval, number, part_name, pixels
from simulacra.publish.report.run_contents import RunContents
from simulacra.publish.report.stored import STORED_LANGUAGE, meaning
from simulacra.settings import from_stored
from simulacra.training.health import VERDICTS, explain
from simulacra.training.run_records import JournalLine

MOST_CLASSES = 16
MOST_ROLLBACKS = 50
HEX = 12  # digits of a hash that are shown
ALARMS = {
    "overfitting": "report.overfitting",
    "stalled": "report.stalled",
    "collapsed": "report.collapsed",
    "diverged": "report.diverged",
    "unbalanced": "report.unbalanced",
    "leaking": "report.leaking",
}
BETTER = {"lower": "report.lower", "higher": "report.higher", "near 1": "report.near_one"}


@dataclasses.dataclass(frozen=True)
class SettingRow:
    """A row of the settings."""

    name: str
    value: str
    default: str = ""
    changed: bool = False


@dataclasses.dataclass(frozen=True)
class ShareRow:
    """How many pictures are of a class, or have an attribute."""

    name: str
    count: int
    share: float  # of all pictures
    bar: float  # of the longest bar, in percent


def settings(config: Mapping[str, Any], gan: type[GAN] | None) -> dict[str, list[SettingRow]]:
    """All settings of a run by group; those that differ from the GAN's defaults are marked."""
    defaults = {} if gan is None else to_json(gan.Config())
    common = {item.name for item in dataclasses.fields(Settings)}
    shared, own = list[SettingRow](), list[SettingRow]()
    for name, value in config["config"].items():
        if name == "shape":
            continue
        default = format_setting(defaults[name]) if name in defaults else ""
        row = SettingRow(name, format_setting(value), default, name in defaults and defaults[name] != value)
        (shared if name in common else own).append(row)
    run = {key: config.get(key) for key in ("spec", "seed", "precision", "compile", "micro")}
    run |= {text("report.length_of", key=key): value for key, value in config.get("length", {}).items()}
    run |= {text("report.version_of", key=key): value for key, value in config.get("versions", {}).items()}
    groups = {
        text("report.settings_shared"): shared,
        text("report.settings_of", name=config["gan"]): own,
        text("report.settings_run"): [SettingRow(name, format_setting(value)) for name, value in run.items()],
    }
    return {title: rows for title, rows in groups.items() if rows}


def format_setting(value: Any) -> str:
    """A setting as it is typed on the command line."""
    if isinstance(value, list | tuple):
        return ", ".join(map(format_setting, value))
    if isinstance(value, float):
        return f"{value:.12g}"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def data_facts(run: RunContents) -> dict[str, str]:
    """Facts about the data, by label, with or without the data set."""
    stored = run.config["data"]
    rows = {text("report.name"): str(stored["name"]), text("report.pictures"): pixels(run.shape)}
    if isinstance(run.data, Pair):
        for name, domain in zip(run.data.domains, (run.data.a, run.data.b), strict=True):
            counts = [
                text("report.count_for", count=count, part=part_name(part))
                for part, count in domain.splits.items()
                if count
            ]
            rows[text("report.domain", name=name)] = ", ".join(counts)
    else:
        splits = {"train": stored["pictures"]} if run.data is None else run.data.splits
        rows |= {text("report.for_part", part=part_name(part)): f"{count:,}" for part, count in splits.items() if count}
    return rows | {"sha256": stored["hash"][:HEX] + "…"}


def shares(data: Dataset) -> tuple[str, list[ShareRow], int]:
    """What is counted (`classes` or `attributes`), the most frequent ones, and how many more there are."""
    if data.labels is None:
        return "", [], 0
    if data.classes:
        names, counts = data.classes, np.bincount(data.labels, minlength=len(data.classes)).astype(float)
    else:
        names, counts = data.attributes, data.labels.sum(axis=0)
    order = sorted(range(len(names)), key=lambda i: -counts[i])[:MOST_CLASSES]
    longest = max(float(counts.max()), 1.0)
    rows = [
        ShareRow(names[i], round(float(counts[i])), float(counts[i]) / len(data), 100 * float(counts[i]) / longest)
        for i in order
    ]
    return ("classes" if data.classes else "attributes"), rows, len(names) - len(rows)


def shares_caption(kind: str, more: int) -> str:
    """Caption of the table of `shares`."""
    if kind == "classes":
        return text("report.classes_and_more", more=more) if more else text("report.classes")
    return text("report.attributes_and_more", more=more) if more else text("report.attributes")


@dataclasses.dataclass(frozen=True)
class Alarm:
    """A verdict on the run's health, over the stretch in which it held."""

    name: str
    begin: int
    end: int
    sentence: str  # the last one
    line: int  # index of its last journal line

    @property
    def title(self) -> str:
        """Its name in the language in use."""
        return alarm_title(self.name)

    @property
    def when(self) -> str:
        """Its stretch, in images."""
        if self.begin == self.end:
            return f"{self.begin:,}"
        return text("report.range", low=f"{self.begin:,}", high=f"{self.end:,}")


def alarm_title(name: str) -> str:
    """A verdict in words; the name of an unknown one stays."""
    return text(ALARMS.get(name, name))


def alarms(lines: Sequence[JournalLine], *, critic: bool = False) -> list[Alarm]:
    """The health verdicts of a journal. Equal ones in a row are one alarm, from the first line to the last.

    The sentences are in the language in use: computed again from the journal's numbers if it is not English.
    critic: whether D is a critic.
    """
    ended: list[Alarm] = []
    current: dict[str, Alarm] = {}
    for i, line in enumerate(lines):
        health = line.get("health") or {}
        ended += [alarm for name, alarm in current.items() if name not in health]
        current = {
            name: Alarm(name, current[name].begin if name in current else line["nimg"], line["nimg"], str(sentence), i)
            for name, sentence in health.items()
        }
    verdicts = sorted([*ended, *current.values()], key=lambda alarm: alarm.begin)
    return verdicts if language() == STORED_LANGUAGE else [_in_language(alarm, lines, critic) for alarm in verdicts]


def _in_language(alarm: Alarm, lines: Sequence[JournalLine], critic: bool) -> Alarm:
    sentence = explain(lines[: alarm.line + 1], critic=critic)[alarm.name]
    return dataclasses.replace(alarm, sentence=str(sentence))


def advice(alarms: Sequence[Alarm], run: RunContents) -> dict[str, str]:
    """What to try against each alarm, as settings of this run's GAN; empty if the GAN is unknown."""
    if run.gan is None:
        return {}
    config = from_stored(run.gan.Config, run.config["config"], of=run.gan.name)
    return {alarm.name: VERDICTS[alarm.name].advise(run.gan, config) for alarm in alarms if alarm.name in VERDICTS}


def rollbacks(lines: Sequence[JsonObject]) -> list[list[str]]:
    """For each rollback: the alarm, from where, back to where, what was seen, and the next seed."""
    return [
        [
            alarm_title(str(line.get("verdict", NONE))),
            *(number(line.get(key)) for key in ("from", "to", "seen")),
            str(line.get("seed", NONE)),
        ]
        for line in lines[-MOST_ROLLBACKS:]
    ]


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_cell(item)}" for key, item in value.items())
    return number(value)


@dataclasses.dataclass(frozen=True)
class ScoreRow:
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
class ScoreGroup:
    """Rows of the certificate: all, or those of a direction."""

    title: str
    rows: list[ScoreRow]
    before: bool  # whether untranslated pictures have scores


def score_groups(certificate: JsonObject) -> list[ScoreGroup]:
    """The scores of a certificate, the leading one first; of a translator its means, then each direction's."""
    scores, leads = certificate["scores"], certificate["leads"]
    if "directions" not in certificate:
        order = sorted(scores, key=lambda name: name != leads)
        rows = _score_rows({name: scores[name] for name in order}, {}, leads)
        return [ScoreGroup(text("report.scores_leading_first"), rows, False)]
    titles = {"mean": text("report.means_of_directions")}
    for name, direction in certificate["directions"].items():
        titles[name] = text("report.direction", a=direction["from"], b=direction["to"])
    groups = []
    for name, title in titles.items():
        mine, before = by_direction(scores, name)
        rows = _score_rows(mine, before, leads.partition(":")[0] if name == "mean" else "")
        groups += [ScoreGroup(title, rows, bool(before))] if rows else []
    return groups


def _score_rows(scores: Mapping[str, Any], before: Mapping[str, Any], leads: str) -> list[ScoreRow]:
    rows = []
    for name, score in scores.items():
        places, better = decimals(score), score.get("better") or NONE
        rows.append(
            ScoreRow(
                name=name,
                value=number(score["value"], places),
                interval=interval(score, places),
                floor=number(score.get("floor"), places),
                before=number(before[name]["value"], places) if name in before else NONE,
                n=number(score.get("n")),
                better=text(BETTER.get(better, better)),
                what=meaning(name, score),
                leads=name == leads,
            )
        )
    return rows


@dataclasses.dataclass(frozen=True)
class PerClassTable:
    """The scores of single classes: names of columns, rows, and what is left out."""

    columns: list[str]
    rows: list[list[str]]  # the class's name first
    note: str


def per_class_table(certificate: JsonObject) -> PerClassTable | None:
    """The scores of each class, those least often recognised first where there are many; None without any."""
    within = certificate.get("within")
    if not within:
        return None
    lines = within["classes"]
    listed = lines if len(lines) <= MOST_CLASSES else weakest(lines, MOST_CLASSES)
    names = list(dict.fromkeys(name for line in lines for name in line["scores"]))
    places = decimals(*(line["scores"][name] for line in lines for name in names if name in line["scores"]))
    columns = [text("report.fakes"), text("report.reals")]
    for name in names:
        columns += [name, text("report.interval_95"), text("report.reals_reals")]
    columns += [text("report.read_as_class"), text("report.reals_read_right"), text("report.read_as_other")]
    notes = [text("report.per_class", count=within["held_out"])]
    if listed is not lines:
        notes.append(text("report.weakest_classes", shown=len(listed), total=len(lines)))
    return PerClassTable(
        columns, [_class_row(line, names, places) for line in listed], text("report.space").join(notes)
    )


def _class_row(line: JsonObject, names: Sequence[str], places: int) -> list[str]:
    cells = [line["class"], number(line["n"]), number(line["n_real"])]
    for name in names:
        if score := line["scores"].get(name):
            cells += [number(score["value"], places), interval(score, places), number(score.get("floor"), places)]
        else:
            cells += [NONE] * 3
    cells += [NONE if part is None else f"{part['value']:.0%}" for part in (line["agreement"], line["agreement_real"])]
    other = line["else_read_as"]
    return [*cells, NONE if other is None else f"{other} ({line['else_share']:.0%})"]


def terms(certificate: JsonObject) -> dict[str, str]:
    """What the certificate was measured on and with, by label."""
    model, data, extractor = certificate["model"], certificate["data"], certificate["extractor"]
    name = str(model["hash"])
    if model.get("nimg"):
        name = text("report.model_after", hash=name, nimg=model["nimg"])
    pictures = text("report.certified_on", name=data["name"], part=part_name(data["on"]),
                    pictures=number(data["pictures"]), hash=data["hash"][:HEX])  # fmt: skip
    return {
        text("report.model"): name,
        text("report.data"): pictures,
        text("report.fakes"): _fakes(certificate),
        text("report.extractor"): f"{extractor['name']} ({extractor['backend']}), sha256 {extractor['sha256'][:HEX]}…",
        text("report.versions"): _cell(certificate.get("versions", {})),
    }


def _fakes(certificate: JsonObject) -> str:
    """How many fakes, and from which seeds or pictures."""
    if "directions" not in certificate:
        return text("report.fakes_of_seeds", n=certificate["n"], seeds=certificate["seeds"])
    directions = [
        text("report.n_of_direction", n=direction["n"], a=direction["from"], b=direction["to"])
        for direction in certificate["directions"].values()
    ]
    return text("report.fakes_of_inputs", part=part_name(certificate["data"]["inputs"]), directions=directions)


def checkpoint_scores(scores: Sequence[ScoreLine], metric: str) -> list[tuple[int, str, str]]:
    """(images, value, interval) of each scored checkpoint."""
    rows = [(line["nimg"], line["scores"][metric]) for line in scores if metric in line["scores"]]
    places = decimals(*(score for _, score in rows))
    return [(nimg, number(float(score["value"]), places), interval(score, places)) for nimg, score in rows]
