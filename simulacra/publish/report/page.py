"""The page: all its parts, with pictures as large as the size limit allows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from simulacra import messages
from simulacra.data.dataset import Dataset, Pair
from simulacra.errors import SimulacraError
from simulacra.measure.score_records import ScoreLine
from simulacra.messages import text
from simulacra.publish.report import formatting, plots, tables
from simulacra.publish.report.formatting import number
from simulacra.publish.report.gallery import Gallery
from simulacra.publish.report.images import PreviewFilm, columns_for, preview_film
from simulacra.publish.report.run_contents import RunContents
from simulacra.publish.report.translations import TranslationGallery
from simulacra.publish.report.verdict import assess_checkpoint
from simulacra.training.curves import stills

MARK = '<meta name="generator" content="simulacra report">'
HTML_LANGUAGES = {"en": "en", "zh": "zh-CN"}
QUALITIES = (84, 50, 20)  # of the stills: the first at which the page is not too large
FILM_ROOM = 300_000  # bytes that the stills leave to the film, if a lower quality of them can
MOST_PLOTS = 12  # of scores
MOST_JSON = 400_000  # characters of the certificate that are written into the page
PICTURE_SECTIONS = {
    "pictures": "report.nav_pictures",
    "film": "report.nav_film",
    "journeys": "report.nav_journeys",
    "nearest": "report.nav_nearest",
}
TRANSLATION_SECTIONS = {"translations": "report.nav_translations", "film": "report.nav_film"}
SECTIONS = {
    "scores": "report.nav_scores",
    "curves": "report.nav_curves",
    "health": "report.nav_health",
    "data": "report.nav_data",
    "settings": "report.nav_settings",
    "certificate": "report.nav_certificate",
}


def environment() -> Environment:
    """The templates of this folder, with what all of them call."""
    templates = Environment(
        loader=PackageLoader("simulacra", "publish/report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {"t": text, "html": formatting.html}
    return templates


def render_page(run: RunContents, *, limit: int) -> str:
    """The page in at most `limit` bytes. Raises `SimulacraError` if the text alone is larger."""
    template = environment().get_template("page.html.j2")
    parts = _text_parts(run)
    gallery = TranslationGallery(run) if run.translates else Gallery(run)
    previews = stills(run.folder)
    for quality in QUALITIES:
        pictures = gallery.at(quality)
        page = template.render(**parts, **pictures, film=None, previews=len(previews))
        room = limit - len(page.encode()) - 2000  # the film's own words
        if room >= (FILM_ROOM if quality != QUALITIES[-1] else 0):
            film = _film(run, previews, room)
            return template.render(**parts, **pictures, film=film, previews=len(previews))
    raise SimulacraError("report.too_large", path=run.folder, limit=limit)


def _film(run: RunContents, previews: Sequence[Path], room: int) -> PreviewFilm | None:
    if not previews:
        return None
    return preview_film(previews, run.shape, room=room, whole=run.by_class, translated=run.translates)


def _text_parts(run: RunContents) -> dict[str, Any]:
    """All but the pictures, under the names of the template."""
    alarms = tables.alarms(run.lines, critic=run.gan is not None and run.gan.critic)
    verdict = assess_checkpoint(run, alarms)
    kind, shares, more = tables.shares(run.data) if isinstance(run.data, Dataset) else ("", [], 0)
    json_text = json.dumps(run.certificate, indent=2, ensure_ascii=False) if run.certificate else ""
    sections = (TRANSLATION_SECTIONS if run.translates else PICTURE_SECTIONS) | SECTIONS
    return {
        "lang": HTML_LANGUAGES[messages.language()],
        "mark": MARK,
        "sections": {anchor: text(code) for anchor, code in sections.items()},
        "style": resources.files("simulacra").joinpath("publish/report/style.css").read_text(encoding="utf-8"),
        "run": run,
        "missing": run.missing,
        "subtitle": _subtitle(run),
        "short": formatting.short,
        "fakes_caption": _fakes_caption(run),
        "terms_of_scores": _terms_of_scores(run.scores),
        "verdict": verdict,
        "ladder": plots.ladder(verdict.rows, verdict.metric) if len(verdict.rows) > 1 else None,
        "alarms": alarms,
        "advice": tables.advice(alarms, run),
        "rollbacks": tables.rollbacks(run.rollbacks),
        "facts": tables.data_facts(run),
        "shares": shares,
        "shares_caption": tables.shares_caption(kind, more),
        "settings": tables.settings(run.config, run.gan),
        "score_groups": tables.score_groups(run.certificate) if run.certificate else [],
        "per_class": tables.per_class_table(run.certificate) if run.certificate else None,
        "terms": tables.terms(run.certificate) if run.certificate else {},
        "json": json_text if len(json_text) <= MOST_JSON else "",
        **_plots(run, alarms, run.checkpoint_nimg / 1000 if run.shows_best else None),
    }


def _subtitle(run: RunContents) -> list[str]:
    """GAN, data, length and versions, as sentences."""
    stored, versions = run.config["data"], run.config.get("versions", {})
    name = run.config.get("spec", run.config["gan"])
    if run.gan:
        name = text("report.gan_title", spec=name, title=run.gan.title, year=run.gan.year)
    size = formatting.pixels(run.shape)
    if isinstance(run.data, Pair):
        a, b = run.data.a.splits["train"], run.data.b.splits["train"]
        sentences = [text("report.trained_on_pair", gan=name, a=a, b=b, data=stored["name"], size=size)]
    else:
        sentences = [text("report.trained_on", gan=name, n=stored["pictures"], data=stored["name"], size=size)]
    total = run.config.get("length", {}).get("total")
    counts = {"nimg": run.nimg, "epochs": number(run.nimg / stored["pictures"])}
    unfinished = total and run.nimg < total
    progress = text("report.shown_of", total=total, **counts) if unfinished else text("report.shown", **counts)
    if run.lines:
        progress = text("report.shown_in", shown=progress, time=formatting.duration(run.lines[-1]["seconds"]))
    sentences.append(text("report.shown_sentence", shown=progress))
    names = [f"{name} {version}" for name, version in versions.items()]
    return [*sentences, " · ".join([formatting.day(run.ended), str(run.config.get("precision", "")), *names])]


def _fakes_caption(run: RunContents) -> str:
    if run.generator is None:
        return text("report.fakes_of_preview")
    return text("report.fakes_of_checkpoint", last=columns_for(run.shape) ** 2 - 1, nimg=run.checkpoint_nimg)


def _terms_of_scores(scores: Sequence[ScoreLine]) -> str:
    """What the scores over the run were measured on; all are on the terms of the last."""
    if not scores:
        return ""
    line = scores[-1]
    values = {"n": line["n"], "n_real": line["n_real"], "extractor": line["extractor"]["name"]}
    values["part"] = formatting.part_name(line["on"])
    if "inputs" in line:
        return text("report.terms_translated", inputs=formatting.part_name(line["inputs"]), **values)
    return text("report.terms", **values)


def _plots(run: RunContents, alarms: Sequence[tables.Alarm], best: float | None) -> dict[str, Any]:
    """The plots of the journal and of the scores; `best` in thousands of images."""
    spans = [(alarm.begin / 1000, alarm.end / 1000) for alarm in alarms]
    names = list(dict.fromkeys(name for line in run.scores for name in line["scores"]))
    leads = run.scores[-1]["leads"] if run.scores else ""
    names.sort(key=lambda name: name != leads)
    bases = list(dict.fromkeys(name.partition(":")[0] for name in names))  # both directions are in one plot
    pair = next(((n, n.replace("precision", "recall", 1)) for n in bases if n.startswith("precision")), None)
    floors = {
        name: score.get("floor")
        for name, score in (run.certificate or {}).get("scores", {}).items()
        if run.certificate and run.scores and run.certificate["n"] == run.scores[-1]["n"]
    }
    return {
        "curves": plots.journal_plots(run.lines, spans, best),
        "leads": leads,
        "score_plots": plots.score_plots(run.scores, bases[:MOST_PLOTS], best, floors),
        "score_names_more": bases[MOST_PLOTS:],
        "score_rows": tables.checkpoint_scores(run.scores, leads) if leads else [],
        "plane": plots.plane(run.scores, *pair, best) if pair and pair[1] in names and len(run.scores) > 1 else None,
    }
