"""The page of two sets of pictures: their scores, samples of both, the nearest pairs and what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from markupsafe import Markup

from simulacra import messages
from simulacra.measure.score_records import SetRecord, shown
from simulacra.measure.set_printing import pixels, set_verdicts
from simulacra.measure.set_scores import ScoredSets
from simulacra.messages import text
from simulacra.publish.report import plots, tables
from simulacra.publish.report.formatting import number
from simulacra.publish.report.images import SHEET, TILE, InlinePicture, as_image, inlined, sheet
from simulacra.publish.report.page import HTML_LANGUAGES, MARK, environment

QUALITY = 84
PAIRS = 8  # nearest pairs shown, as in the report of a run
HEX = 12  # digits of a hash that are shown


def render_set_page(scored: ScoredSets) -> str:
    """The page, in the language in use."""
    record = scored.record
    fakes, reals, score = record["fakes"], record["reals"], record["scores"][record["leads"]]
    rungs: list[tuple[str, Mapping[str, Any]]] = [(fakes["name"], score)]
    rungs += [(text("report.reals_reals"), {"value": score["floor"]})] if score["floor"] is not None else []
    sections = {"pictures": "report.nav_pictures", "nearest": "report.nav_nearest", "scores": "report.nav_scores"}
    sections |= {"terms": "report.nav_terms"}
    return environment().get_template("sets.html.j2").render(
        lang=HTML_LANGUAGES[messages.language()], mark=MARK, record=record, fakes=fakes, reals=reals,
        style=resources.files("simulacra").joinpath("publish/report/style.css").read_text(encoding="utf-8"),
        sections={anchor: text(code) for anchor, code in sections.items()}, subtitle=_subtitle(scored),
        verdict=text("report.space").join(map(str, set_verdicts(record))), warnings=[shown(warning) for warning in record["warnings"]],
        memorisation=shown(record["memorisation"]["sentence"]) if "memorisation" in record else "",
        ladder=plots.ladder(rungs, record["leads"]) if len(rungs) > 1 else None,
        sheets=[_sheet(scored.fakes, fakes), _sheet(scored.reals, reals)], pairs=_pairs(scored),
        groups=tables.score_groups(dict(record)), terms=_terms(scored),
        json=json.dumps(record, indent=2, ensure_ascii=False),
    )  # fmt: skip


def _subtitle(scored: ScoredSets) -> str:
    record = scored.record
    values = {
        "n": record["n"],
        "of": record["fakes"]["of"],
        "n_real": record["n_real"],
        "of_real": record["reals"]["of"],
    }
    return text("report.sets_subtitle", **values, size=pixels(record["size"]))


def _sheet(tiles: list[Any], record: SetRecord) -> InlinePicture:
    columns = 6 if len(tiles) >= 36 else max(1, int(len(tiles) ** 0.5))
    return inlined(sheet(tiles, columns), text("report.alt_set", name=record["name"]), width=SHEET, quality=QUALITY)


def _pairs(scored: ScoredSets) -> list[dict[str, Any]]:
    """The nearest pairs with their pictures inlined."""
    rows = []
    for (fake, real), near in zip(scored.pairs[:PAIRS], scored.record["nearest"], strict=False):
        pictures = [
            inlined(as_image(tile), str(name), width=TILE, quality=QUALITY)
            for tile, name in ((fake, near["fake"]), (real, near["real"]))
        ]
        quantile = near.get("quantile")
        rows.append(
            {"fake": pictures[0], "real": pictures[1], "names": (near["fake"], near["real"])}
            | {"distance": number(float(near["distance"]), 1)}
            | {"quantile": "" if quantile is None else f"{quantile:.1%}"}
        )
    return rows


def _terms(scored: ScoredSets) -> dict[str, str | Markup]:
    """What was measured, and how, by label."""
    record, extractor = scored.record, scored.record["extractor"]
    terms: dict[str, str | Markup] = {}
    sets = {"report.fakes": record["fakes"], "report.reals": record["reals"]}
    sets |= {"report.unseen": record["unseen"]} if "unseen" in record else {}
    for label, pictures in sets.items():
        values = {"name": pictures["name"], "kind": pictures["kind"], "n": pictures["pictures"], "of": pictures["of"]}
        values |= {"size": pixels(pictures["size"]), "set_aside": pictures["set_aside"], "hash": pictures["hash"][:HEX]}
        terms[text(label)] = text("report.set_terms", **values)
    terms[text("report.common_size")] = f"{pixels(record['size'])}. {shown(record['resize'])}"
    name = f"{extractor['name']} ({extractor['backend']}), sha256 {extractor['sha256'][:HEX]}…"
    terms[text("report.extractor")] = text("report.treated", extractor=name, treatment=record["treatment"])
    terms[text("report.versions")] = "; ".join(f"{key}: {value}" for key, value in record["versions"].items())
    return terms
