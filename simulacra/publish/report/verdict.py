"""What the scores of a run come to, in sentences that need no knowledge of the field, and drawn on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from simulacra.publish.report.contents import Evidence
from simulacra.publish.report.formatting import decimals, interval, number
from simulacra.publish.report.tables import Alarm

Score = Mapping[str, Any]

KINDS = {"fd": "Fréchet distance", "kid": "kernel distance"}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on the checkpoint that is shown."""

    sentences: list[Markup]
    metric: str  # the score it is told in; empty where there is none
    rows: list[tuple[str, Score]]  # scores on the same terms, the one of the checkpoint first
    notes: dict[str, str]  # memorisation, health
    warnings: list[str]


def verdict(told: Evidence, alarms: Sequence[Alarm]) -> Verdict:
    """The verdict, as far as the run was scored.

    A certificate of another checkpoint says nothing here. Scores of different numbers of pictures are not drawn side
    by side: the number is part of the score.
    """
    best = told.best if told.chosen else None
    mine = told.own_certificate
    leads = mine["leads"] if mine and mine["leads"] in mine["scores"] else ""
    sentences, rows = [_which(told)], list[tuple[str, Score]]()
    if mine and leads:
        sentences += _certified(mine, leads) + _translated(mine["scores"], leads)
        rows = _rungs(told, mine, best, leads)
    elif best:
        own, _ = judged(best)
        sentences += [_distance(own, str(best["by"]))]
        rows = [(f"best, at {told.drawn:,}", own)]
        if best["last"]["nimg"] != best["nimg"]:
            rows += [(f"last, at {best['last']['nimg']:,}", judged(best)[1])]
    if best and best["last"]["nimg"] != best["nimg"]:
        sentences.append(_instead_of_the_last(best, told, repeat=bool(leads)))
    notes = _honesty(mine) if told.translates else {"memorisation": _memorisation(mine)}
    notes |= {"health": _health(alarms, told)}
    return Verdict(
        sentences=sentences,
        metric=leads or (str(best["by"]) if best else ""),
        rows=rows,
        notes=notes,
        warnings=[said for said in (mine or {}).get("warnings", []) if said not in notes.values()],
    )


def judged(best: Score) -> tuple[Score, Score]:
    """The scores of the best and the last checkpoint: those of fresh seeds, where `choose` made them."""
    anew: Score = best.get("anew") or {}
    return anew.get("best", best), anew.get("last", best["last"])


def _which(told: Evidence) -> Markup:
    images = Markup("<strong>{:,} images</strong>").format(told.drawn)
    if told.chosen and told.best:
        of = f"Of {told.best['scored']} checkpoints" if told.best["scored"] > 1 else "Of one checkpoint"
        last = ", the last one," if told.best["last"]["nimg"] == told.drawn else ""
        return Markup("{}, the one after {}{} is the best.").format(of, images, last)
    why = "The checkpoint chosen as the best is gone" if told.best else "Nobody has looked yet which checkpoint is best"
    return Markup("{}; what is shown here is the last one, after {}.").format(why, images)


def _distance(score: Score, metric: str) -> Markup:
    name = KINDS.get(metric.partition("-")[0], metric)
    places = decimals(score)
    spread = interval(score, places)
    both = "translations and the real pictures of the target domain, in the mean of both directions,"
    whose = both if metric.endswith(":mean") else "pictures and the real ones"
    said = Markup(f"The {{}} between its {whose} is <strong>{{}}</strong>{{}}; lower is better.")
    between = Markup(' <span class="soft">({})</span>').format(spread) if spread else ""
    return said.format(name, number(float(score["value"]), places), between)


def _certified(certificate: Score, metric: str) -> list[Markup]:
    score = certificate["scores"][metric]
    floor, n = score.get("floor"), score.get("n_floor")
    if floor is None:
        return [_distance(score, metric)]
    data = certificate["data"]
    if data.get("inputs", data["on"]) == data["on"]:
        between = Markup("Between two halves of the real pictures{}").format(f", {n:,} each," if n else "")
    else:
        between = Markup("Between the real pictures and {:,} others that are real, too,").format(n)
    real = Markup("{} it is <strong>{}</strong>.")
    return [_distance(score, metric), real.format(between, number(float(floor), decimals(score)))]


def _instead_of_the_last(best: Score, told: Evidence, *, repeat: bool) -> Markup:
    """What the last checkpoint would have been, and whether the difference is more than chance."""
    own, last = judged(best)
    places = decimals(own, last)
    gap = (best.get("anew") or {}).get("difference")
    apart = gap["high"] < 0 or gap["low"] > 0 if gap else own["high"] < last["low"] or last["high"] < own["low"]
    if gap and gap["value"] > 0:
        sure = "the last one is better" if apart else "the difference may be chance"
    else:
        sure = "the difference is more than chance" if apart else "the difference may be chance"
    a, b = (Markup("<strong>{}</strong>").format(number(float(score["value"]), places)) for score in (own, last))
    if repeat:
        n = f"{told.scores[-1]['n']:,}" if told.scores else "the same number of"
        name = KINDS.get(str(best["by"]).partition("-")[0], best["by"])
        said = Markup(
            "By the {} of {} pictures each, which decided the choice, it came to {} and the last checkpoint to {}: {}."
        )
        return said.format(name, n, a, b, sure)
    return Markup("The last checkpoint would have been {}: {}.").format(b, sure)


def _rungs(told: Evidence, mine: Score, best: Score | None, leads: str) -> list[tuple[str, Score]]:
    score = mine["scores"][leads]
    rows: list[tuple[str, Score]] = [(f"after {told.drawn:,}", score)]
    same = best and best["by"] == leads and told.scores and told.scores[-1]["n"] == mine["n"]
    if best and same and best["last"]["nimg"] != best["nimg"]:
        rows += [(f"last, after {best['last']['nimg']:,}", judged(best)[1])]
    if before := mine["scores"].get(leads.replace(":", "-untranslated:")):
        rows.append(("untranslated", before))
    return rows if score.get("floor") is None else [*rows, ("reals : reals", {"value": score["floor"]})]


def _translated(scores: Mapping[str, Score], leads: str) -> list[Markup]:
    """How much of the way between the domains a translator goes, and whether it finds true partners."""
    said = []
    if before := scores.get(leads.replace(":", "-untranslated:")):
        words = Markup("Of the pictures as they are, untranslated, it is <strong>{}</strong>.")
        said.append(words.format(number(float(before["value"]), decimals(before))))
    shares = [score["value"] for name, score in scores.items() if name.startswith("pair-l1-ratio:")]
    if shares:
        words = Markup(
            "From its true partner a translation differs by <strong>{:.0%}</strong> of what the picture itself does."
        )
        said.append(words.format(sum(shares) / len(shares)))
    return said


def _honesty(mine: Score | None) -> dict[str, str]:
    """What the translations hide, a sentence a direction."""
    found = (mine or {}).get("honesty")
    if not found or mine is None:
        return {"honesty": "nobody has looked whether the translations of this checkpoint hide pictures"}
    return {f"honesty, {name}": str(line["sentence"]) for name, line in found.items()}


def _memorisation(mine: Score | None) -> str:
    """Whether the model copies its training pictures, as far as anyone looked."""
    if mine and (found := mine.get("memorisation")):
        return str(found["sentence"])
    return "nobody has looked for copies of training pictures in this checkpoint"


def _health(alarms: Sequence[Alarm], told: Evidence) -> str:
    if not told.watched:
        return "not measured in this run"
    end = told.lines[-1]["nimg"]
    said = [
        f"{alarm.name} {'since' if alarm.end == end else 'from'} {alarm.begin:,}"
        + ("" if alarm.end == end else f" to {alarm.end:,}")
        + " images"
        for alarm in alarms
    ]
    times = len(told.rollbacks)
    said += [f"went back to an earlier checkpoint {'once' if times == 1 else f'{times} times'}"] if times else []
    return "; ".join(said) or "no alarm"
