"""The page put together: every part made, as large as there is room for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from simulacra.data.dataset import Dataset, Pair
from simulacra.errors import SimulacraError
from simulacra.publish.report import formatting, plots, tables
from simulacra.publish.report.contents import Evidence
from simulacra.publish.report.formatting import number
from simulacra.publish.report.gallery import Gallery
from simulacra.publish.report.images import Film, columns_for, film
from simulacra.publish.report.translations import Translations
from simulacra.publish.report.verdict import verdict
from simulacra.training.curves import stills

MARK = '<meta name="generator" content="simulacra report">'
QUALITIES = (84, 50, 20)  # of the stills: the first at which the page is not too large
FILM_ROOM = 300_000  # bytes that the stills leave to the film, if a lower quality of them can
MOST_PLOTS = 12  # of scores
DRAWN = ("pictures", "film", "journeys", "nearest", "scores", "curves", "health", "data", "settings", "certificate")
TRANSLATED = ("translations", "film", "scores", "curves", "health", "data", "settings", "certificate")  # sections
MOST_JSON = 400_000  # characters of the certificate that are written into the page


def render(told: Evidence, *, limit: int) -> str:
    """The page in at most `limit` bytes. Raises `SimulacraError` where even the text alone is larger."""
    environment = Environment(
        loader=PackageLoader("simulacra", "publish/report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.j2")
    parts = _text_parts(told)
    gallery = Translations(told) if told.translates else Gallery(told)
    previews = stills(told.run)
    for quality in QUALITIES:
        shown = gallery.at(quality)
        text = template.render(**parts, **shown, film=None, previews=len(previews))
        room = limit - len(text.encode()) - 2000  # the film's own words
        if room >= (FILM_ROOM if quality != QUALITIES[-1] else 0):
            moving = _film(told, previews, room)
            return template.render(**parts, **shown, film=moving, previews=len(previews))
    raise SimulacraError(f"The report of {told.run} would be larger than {limit:,} bytes even without a film.")


def _film(told: Evidence, previews: Sequence[Path], room: int) -> Film | None:
    if not previews:
        return None
    return film(previews, told.shape, room=room, whole=told.by_class, translated=told.translates)


def _text_parts(told: Evidence) -> dict[str, Any]:
    """All but the pictures."""
    health = tables.alarms(told.lines)
    found = verdict(told, health)
    counted, shares, more = tables.shares(told.data) if isinstance(told.data, Dataset) else ("", [], 0)
    json_text = json.dumps(told.certificate, indent=2, ensure_ascii=False) if told.certificate else ""
    return {
        "mark": MARK,
        "anchors": TRANSLATED if told.translates else DRAWN,
        "style": resources.files("simulacra").joinpath("publish/report/style.css").read_text(encoding="utf-8"),
        "told": told,
        "missing": told.missing,
        "subtitle": _subtitle(told),
        "short": formatting.short,
        "fakes_are": _fakes_are(told),
        "terms_of_scores": _terms_of(told.scores),
        "verdict": found,
        "ladder": plots.ladder(found.rows, found.metric) if len(found.rows) > 1 else None,
        "alarms": health,
        "advice": tables.advice(health, told),
        "rollbacks": tables.rollbacks(told.rollbacks),
        "facts": tables.facts(told),
        "counted": counted,
        "shares": shares,
        "shares_more": more,
        "settings": tables.settings(told.config, told.gan),
        "certified": tables.certified(told.certificate) if told.certificate else [],
        "within": tables.within(told.certificate) if told.certificate else None,
        "terms": tables.terms(told.certificate) if told.certificate else {},
        "json": json_text if len(json_text) <= MOST_JSON else "",
        **_curves(told, health, told.drawn / 1000 if told.chosen else None),
    }


def _subtitle(told: Evidence) -> list[str]:
    """Game, data, length and versions, in sentences."""
    stored, versions = told.config["data"], told.config.get("versions", {})
    game = told.config.get("spec", told.config["gan"])
    titled = f" ({told.gan.title}, {told.gan.year})" if told.gan else ""
    counts = [stored["pictures"]]
    if isinstance(told.data, Pair):
        counts = [domain.splits["train"] for domain in (told.data.a, told.data.b)]
    pictures = " and ".join(f"{count:,}" for count in counts)
    made = [f"{game}{titled} on {pictures} training pictures of {stored['name']}, {formatting.pixels(told.shape)}."]
    total = told.config.get("length", {}).get("total")
    shown = f"{told.nimg:,} of {total:,} images shown" if total and told.nimg < total else f"{told.nimg:,} images shown"
    took = f", in {formatting.duration(told.lines[-1]['seconds'])}" if told.lines else ""
    made.append(f"{shown}, {number(told.nimg / stored['pictures'])} times the data{took}.")
    with_what = [f"{name} {version}" for name, version in versions.items()]
    return [*made, " · ".join([formatting.day(told.ended), str(told.config.get("precision", "")), *with_what])]


def _fakes_are(told: Evidence) -> str:
    if told.generator is None:
        return "Fake: the last preview of the run."
    seeds = columns_for(told.shape) ** 2
    return (
        f"Fake: seeds 0 to {seeds - 1}, as the checkpoint after {told.drawn:,} images draws them, not chosen by hand."
    )


def _terms_of(scores: Sequence[dict[str, Any]]) -> str:
    """What the scores over the run were measured with; all are on the terms of the last."""
    if not scores:
        return ""
    told = scores[-1]
    fakes = f"translations of {told['inputs']} pictures each way" if "inputs" in told else "fakes"
    return (
        f"{told['n']:,} {fakes} against {told['n_real']:,} reals ({told['on']}), extractor {told['extractor']['name']}."
    )


def _curves(told: Evidence, health: Sequence[tables.Alarm], best: float | None) -> dict[str, Any]:
    """The drawings of the journal and of the scores; `best` in thousands of images."""
    spans = [(alarm.begin / 1000, alarm.end / 1000) for alarm in health]
    names = list(dict.fromkeys(name for line in told.scores for name in line["scores"]))
    leads = told.scores[-1]["leads"] if told.scores else ""
    names.sort(key=lambda name: name != leads)
    bases = list(dict.fromkeys(name.partition(":")[0] for name in names))  # both directions are in one drawing
    pair = next(((n, n.replace("precision", "recall", 1)) for n in bases if n.startswith("precision")), None)
    floors = {
        name: score.get("floor")
        for name, score in (told.certificate or {}).get("scores", {}).items()
        if told.certificate and told.scores and told.certificate["n"] == told.scores[-1]["n"]
    }
    return {
        "curves": plots.journal_plots(told.lines, spans, best),
        "leads": leads,
        "score_plots": plots.score_plots(told.scores, bases[:MOST_PLOTS], best, floors),
        "score_names_more": bases[MOST_PLOTS:],
        "score_rows": tables.scored(told.scores, leads) if leads else [],
        "plane": plots.plane(told.scores, *pair, best) if pair and pair[1] in names and len(told.scores) > 1 else None,
    }
