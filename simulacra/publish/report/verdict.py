"""What the scores of a run mean, in sentences that need no knowledge of the field, and as one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from simulacra.messages import Message, text
from simulacra.publish.report.formatting import decimals, html, interval, number
from simulacra.publish.report.run_contents import RunContents
from simulacra.publish.report.tables import Alarm

ScoreJson = Mapping[str, Any]  # a score in a certificate or in best.json

KINDS = {"fd": "report.kind_fd", "kid": "report.kind_kid", "swd": "report.kind_swd"}


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """The verdict on the checkpoint that the report shows."""

    sentences: list[Markup]
    metric: str  # the leading score; empty without one
    rows: list[tuple[str, ScoreJson]]  # comparable scores by label, the checkpoint's own first
    notes: dict[str, str]  # memorisation, health
    warnings: list[str]


def assess_checkpoint(run: RunContents, alarms: Sequence[Alarm]) -> Assessment:
    """The verdict, as far as the run was scored.

    A certificate of another checkpoint is ignored. Scores of different numbers of pictures are not drawn side by side,
    since that number is part of the score.
    """
    best = run.best if run.shows_best else None
    mine = run.own_certificate
    leads = mine["leads"] if mine and mine["leads"] in mine["scores"] else ""
    sentences, rows = [_which_checkpoint(run)], list[tuple[str, ScoreJson]]()
    if mine and leads:
        sentences += _certified(mine, leads) + _translated(mine["scores"], leads)
        rows = _rungs(run, mine, best, leads)
    elif best:
        own, last = fresh_scores(best)
        sentences += [_distance(own, str(best["by"]))]
        rows = [(text("report.rung_best", nimg=run.checkpoint_nimg), own)]
        if best["last"]["nimg"] != best["nimg"]:
            rows += [(text("report.rung_last", nimg=best["last"]["nimg"]), last)]
    if best and best["last"]["nimg"] != best["nimg"]:
        sentences.append(_last_checkpoint(best, run, named=bool(leads)))
    if best and best.get("second"):
        sentences.append(_second_judge(best))
    stored = _honesty(mine) if run.translates else {text("report.memorisation"): _memorisation(mine)}
    notes = {label: run.translated(sentence) for label, sentence in stored.items()}
    return Assessment(
        sentences=sentences,
        metric=leads or (str(best["by"]) if best else ""),
        rows=rows,
        notes=notes | {text("report.health"): _health(alarms, run)},
        warnings=[warning for warning in run.warnings if mine and warning not in notes.values()],
    )


def fresh_scores(best: ScoreJson) -> tuple[ScoreJson, ScoreJson]:
    """The scores of the best and the last checkpoint: those of fresh seeds, where `choose` computed them."""
    anew: ScoreJson = best.get("anew") or {}
    return anew.get("best", best), anew.get("last", best["last"])


def _which_checkpoint(run: RunContents) -> Markup:
    nimg = run.checkpoint_nimg
    if run.shows_best and run.best:
        code = "report.best_is_last" if run.best["last"]["nimg"] == nimg else "report.best_checkpoint"
        return html(code, count=run.best["scored"], nimg=nimg)
    return html("report.best_is_gone" if run.best else "report.best_unknown", nimg=nimg)


def _kind(metric: str) -> str:
    """A metric in words, if it is one of `KINDS`."""
    return text(KINDS.get(metric.partition("-")[0], metric))


def _distance(score: ScoreJson, metric: str) -> Markup:
    places = decimals(score)
    limits = interval(score, places)
    soft = Markup(' <span class="soft">({})</span>').format(limits) if limits else ""
    code = "report.distance_translated" if metric.endswith(":mean") else "report.distance"
    return html(code, metric=_kind(metric), value=number(float(score["value"]), places), interval=soft)


def _certified(certificate: ScoreJson, metric: str) -> list[Markup]:
    score = certificate["scores"][metric]
    floor, n = score.get("floor"), score.get("n_floor")
    if floor is None:
        return [_distance(score, metric)]
    data = certificate["data"]
    if data.get("inputs", data["on"]) != data["on"]:
        code = "report.floor_translated"
    else:
        code = "report.floor" if n else "report.floor_halves"
    return [_distance(score, metric), html(code, n=n, value=number(float(floor), decimals(score)))]


def _last_checkpoint(best: ScoreJson, run: RunContents, *, named: bool) -> Markup:
    """How the last checkpoint compares, and whether the difference is more than chance; named: with its metric."""
    own, last = fresh_scores(best)
    places = decimals(own, last)
    gap = (best.get("anew") or {}).get("difference")
    apart = gap["high"] < 0 or gap["low"] > 0 if gap else own["high"] < last["low"] or last["high"] < own["low"]
    code = "report.beyond_chance" if apart else "report.may_be_chance"
    if apart and gap and gap["value"] > 0:
        code = "report.last_is_better"
    values = {"last": number(float(last["value"]), places), "comparison": Message(code)}
    if not named:
        return html("report.last_checkpoint", **values)
    values |= {"metric": _kind(str(best["by"])), "own": number(float(own["value"]), places)}
    if not run.scores:
        return html("report.choice", **values)
    return html("report.choice_of", n=run.scores[-1]["n"], **values)


def _second_judge(best: ScoreJson) -> Markup:
    """Whether the second judge would choose the same checkpoint."""
    second = best["second"]
    code = "report.second_agrees" if second["nimg"] == best["nimg"] else "report.second_dissents"
    return html(code, metric=_kind(str(second["by"])), nimg=second["nimg"])


def _rungs(run: RunContents, mine: ScoreJson, best: ScoreJson | None, leads: str) -> list[tuple[str, ScoreJson]]:
    score = mine["scores"][leads]
    rows: list[tuple[str, ScoreJson]] = [(text("report.rung_own", nimg=run.checkpoint_nimg), score)]
    same = best and best["by"] == leads and run.scores and run.scores[-1]["n"] == mine["n"]
    if best and same and best["last"]["nimg"] != best["nimg"]:
        rows += [(text("report.rung_last", nimg=best["last"]["nimg"]), fresh_scores(best)[1])]
    if before := _untranslated(mine["scores"], leads):
        rows.append((text("report.untranslated"), before))
    return rows if score.get("floor") is None else [*rows, (text("report.reals_reals"), {"value": score["floor"]})]


def _untranslated(scores: Mapping[str, ScoreJson], metric: str) -> ScoreJson | None:
    """The score of the pictures before translation; None for a model that draws."""
    return scores.get(metric.replace(":", "-untranslated:")) if ":" in metric else None


def _translated(scores: Mapping[str, ScoreJson], leads: str) -> list[Markup]:
    """How much closer a translator brings pictures to the target domain, and to their ground-truth pairs."""
    sentences = []
    if before := _untranslated(scores, leads):
        value = number(float(before["value"]), decimals(before))
        sentences.append(html("report.distance_untranslated", value=value))
    shares = [score["value"] for name, score in scores.items() if name.startswith("pair-l1-ratio:")]
    if shares:
        sentences.append(html("report.pair_ratio", share=sum(shares) / len(shares)))
    return sentences


def _honesty(mine: ScoreJson | None) -> dict[str, str]:
    """What the translations hide, a sentence per direction."""
    directions = (mine or {}).get("honesty")
    if not directions:
        return {text("report.honesty"): text("report.honesty_unchecked")}
    return {text("report.honesty_of", direction=name): str(line["sentence"]) for name, line in directions.items()}


def _memorisation(mine: ScoreJson | None) -> str:
    """Whether the model copies training pictures, if that was checked."""
    search = (mine or {}).get("memorisation")
    return str(search["sentence"]) if search else text("report.memorisation_unchecked")


def _health(alarms: Sequence[Alarm], run: RunContents) -> str:
    if not run.has_health:
        return text("report.health_unmeasured")
    end = run.lines[-1]["nimg"]
    clauses = [
        text("report.alarm_since" if alarm.end == end else "report.alarm_span", name=alarm.title, begin=alarm.begin,
             end=alarm.end)
        for alarm in alarms
    ]  # fmt: skip
    if run.rollbacks:
        clauses.append(text("report.rolled_back", count=len(run.rollbacks)))
    return text("report.semicolon").join(clauses) or text("report.no_alarm")
