"""Certificates, choices and comparisons as tables in a terminal or a log, with what the numbers mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.markup import escape
from rich.table import Table

from simulacra.console import console, say
from simulacra.measure.metrics import find, of_score, words
from simulacra.measure.score_records import Best, Certificate, Comparison, Difference, ScoreRecord, shown
from simulacra.measure.verdict import LEVEL
from simulacra.messages import text
from simulacra.model import Task

T = TypeVar("T")
MOST_LINES = 20  # of a table of classes or attributes
BEFORE = "-untranslated"
LEAST_P = 1e-4  # below, a p-value is the tail of a normal distribution: more digits would say nothing
TITLES: dict[Task, str] = {"draw": "measure.metrics_draw", "translate": "measure.metrics_translate"}
ARROWS = {"lower": "↓", "higher": "↑", "near 1": "→1"}


def print_certificate(certificate: Certificate, path: Path | None) -> None:
    """Print the scores with their intervals, the leading one first, what they mean, and warnings."""
    model, data = certificate["model"], certificate["data"]
    values = {"model": model["run"] or model["folder"], "gan": model["gan"], "data": data["name"]}
    values["moment"] = text("measure.at_images", nimg=model["nimg"]) if model["nimg"] else ""
    if "directions" in certificate:
        say("measure.title_translate", **values)
        _print_directions(certificate)
    else:
        say("measure.title_draw", **values, n=certificate["n"], n_real=data["pictures"], part=data["on"])
        print_scores(leading_first(certificate["scores"], certificate["leads"]), certificate["leads"])
    if "within" in certificate:
        _print_classes(certificate["within"])
    if "attributes" in certificate:
        _print_attributes(certificate["attributes"]["lines"])
    print_meanings(certificate["scores"])
    for warning in certificate["warnings"]:
        say("measure.beware", warning=shown(warning))
    if path is not None:
        say("measure.certificate", path=path)


def leading_first(scores: Mapping[str, T], leads: str) -> dict[str, T]:
    """The same scores, the leading one first."""
    return {name: scores[name] for name in sorted(scores, key=lambda name: name != leads)}


def print_scores(
    scores: Mapping[str, ScoreRecord], leads: str, before: Mapping[str, ScoreRecord] | None = None, n: int = 0
) -> None:
    """One row per score. before: scores of untranslated pictures. n: the size of floors that goes without saying."""
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    columns = [text("measure.column_score"), "", text("measure.column_value"), text("measure.column_interval")]
    columns += [text("measure.column_floor"), *([text("measure.column_before")] if before else [])]
    for column in columns:
        table.add_column(column, no_wrap=True)
    for name, score in scores.items():
        floor = _short(score["floor"]) + (f" (n {score['n_floor']})" if score["n_floor"] not in (None, n) else "")
        style = "bold" if name == leads else ""
        cells = [name, ARROWS.get(score["better"], ""), f"{score['value']:.4g}", _ends(score), floor]
        earlier = [_short(before[name]["value"]) if name in before else ""] if before else []
        table.add_row(*cells, *earlier, style=style)
    console.print(table, soft_wrap=False)


def print_meanings(names: Iterable[str]) -> None:
    """One line per metric: what its number means, and which direction is better."""
    metrics = {metric.name: metric for metric in map(of_score, names) if metric}
    console.print()
    for metric in metrics.values():
        values = {"name": metric.name, "what": text(metric.what)}
        if metric.better == "lower":
            say("measure.meaning_lower", **values)
        elif metric.better == "higher":
            say("measure.meaning_higher", **values)
        elif metric.better == "near 1":
            say("measure.meaning_near_one", **values)
        else:
            say("measure.meaning", **values)


def print_metrics() -> None:
    """Print the words of `--metrics` with what they mean, for each task."""
    for task, title in TITLES.items():
        say(title)
        table = Table(box=None, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for word in words(task):
            meanings = [
                text("measure.meaning", name=metric.name, what=text(metric.what)) for metric in find([word], task)
            ]
            table.add_row(word, escape("\n".join(meanings)))
        console.print(table, soft_wrap=False)


def _print_directions(certificate: Certificate) -> None:
    """One table per direction, and the means of both."""
    data = certificate["data"]
    for name, line in certificate["directions"].items():
        direction = text("measure.direction", source=line["from"], target=line["to"])
        values = {"n": line["n"], "inputs": data["inputs"], "n_real": line["n_real"], "part": data["on"]}
        console.print()
        say("measure.title_direction", name=name, direction=direction, **values)
        scores, before = by_direction(certificate["scores"], name)
        print_scores(scores, "", before, line["n"])
        if honesty := certificate.get("honesty", {}).get(name):
            console.print(shown(honesty["sentence"]), markup=False)
    scores, before = by_direction(certificate["scores"], "mean")
    if scores:
        console.print()
        say("measure.title_means")
        print_scores(scores, certificate["leads"].rpartition(":")[0], before, certificate["n"])


def by_direction(scores: Mapping[str, T], direction: str) -> tuple[dict[str, T], dict[str, T]]:
    """The scores of a direction by name without it; those of untranslated pictures, by the names they belong beside."""
    values = {name.rpartition(":")[0]: score for name, score in scores.items() if name.endswith(f":{direction}")}
    before = {name.removesuffix(BEFORE): score for name, score in values.items() if name.endswith(BEFORE)}
    return {name: score for name, score in values.items() if not name.endswith(BEFORE)}, before


def _print_classes(within: Mapping[str, Any]) -> None:
    """One row per class; of many classes, those that are read as themselves least often."""
    lines = within["classes"]
    rows = lines if len(lines) <= MOST_LINES else weakest(lines, MOST_LINES)
    names = list(dict.fromkeys(name for line in rows for name in line["scores"]))
    console.print()
    if rows is lines:
        say("measure.title_classes")
    else:
        say("measure.title_weakest_classes", number=len(rows), total=len(lines))
    table = Table(box=None)
    table.add_column(text("measure.column_class"), overflow="fold")
    for column in (
        text("measure.column_fakes"),
        *(column for name in names for column in (f"{name.partition('-')[0]} ↓", text("measure.column_interval"))),
        text("measure.column_read"),
        text("measure.column_reals"),
    ):
        table.add_column(column, no_wrap=True)
    table.add_column(text("measure.column_else"), overflow="fold")
    for line in rows:
        cells = [line["class"], str(line["n"])]
        for name in names:
            score = line["scores"].get(name)
            cells += [_short(score["value"]), _ends(score)] if score else ["–", ""]
        cells += [_percent(line["agreement"]), _percent(line["agreement_real"])]
        cells.append(f"{line['else_read_as']} {line['else_share']:.0%}" if line["else_read_as"] is not None else "")
        table.add_row(*map(escape, cells))
    console.print(table, soft_wrap=False)
    if any(not line["scores"] for line in lines):
        say("measure.few_of_class", least=within["fewest"])


def _print_attributes(lines: Sequence[dict[str, Any]]) -> None:
    """One row per attribute; of many attributes, those that are read from fakes worst."""
    rows = lines if len(lines) <= MOST_LINES else weakest(lines, MOST_LINES)
    console.print()
    if rows is lines:
        say("measure.title_attributes")
    else:
        say("measure.title_weakest_attributes", number=len(rows), total=len(lines))
    columns = ("measure.column_attribute", "measure.column_with_it", "measure.column_from_fakes")
    table = Table(*map(text, (*columns, "measure.column_interval", "measure.column_from_reals")), box=None)
    for line in rows:
        score, cells = line["agreement"], [line["attribute"], str(line["n"])]
        cells += [_short(score["value"]), _ends(score), _short(line["agreement_real"])] if score else ["–", "", "–"]
        table.add_row(*map(escape, cells))
    console.print(table, soft_wrap=False)


def weakest(lines: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The `count` classes or attributes with the lowest agreement, those without fakes last."""
    return sorted(lines, key=lambda line: line["agreement"]["value"] if line["agreement"] else 2.0)[:count]


def print_choice(run: Path, best: Best) -> None:
    """Print which checkpoint was chosen and why, and what to do next."""
    print_best(run, best)
    if "inputs" in best.get("anew", {}):
        say("measure.now_translates", run=run, path=run / "scores.jsonl")
    else:
        say("measure.now_draws", run=run, path=run / "scores.jsonl")


def print_best(run: Path, best: Best) -> None:
    """Print the best checkpoint, the second judge's where it is another one, and why."""
    say("measure.best", path=run / "checkpoints" / best["checkpoint"])
    if best.get("second", {}).get("nimg", best["nimg"]) != best["nimg"]:
        say("measure.second_best", path=run / "checkpoints" / best["second"]["checkpoint"])
    console.print(shown(best["why"]), markup=False)


def print_comparison(comparison: Comparison) -> None:
    """Print the scores of two models side by side, with what they mean."""
    for key, model in (("a", comparison["a"]), ("b", comparison["b"])):
        console.print(f"{key}: {model['name']}", markup=False)
    values = {
        "n": comparison["n"],
        "n_real": comparison["n_real"],
        "data": comparison["data"],
        "part": comparison["on"],
    }
    if "seeds" in comparison:
        say("measure.title_compare_seeds", **values, seeds=comparison["seeds"])
    else:
        say("measure.title_compare_inputs", **values, inputs=comparison["inputs"])
    scores, leads = comparison["scores"], comparison["leads"]
    if "directions" not in comparison:
        _print_differences(leading_first(scores, leads), leads)
    else:
        for name, line in comparison["directions"].items():
            direction = text("measure.direction", source=line["from"], target=line["to"])
            console.print(f"\n{name}, {direction}:", markup=False)
            _print_differences(by_direction(scores, name)[0], "")
        console.print()
        say("measure.title_means")
        _print_differences(by_direction(scores, "mean")[0], leads.rpartition(":")[0])
    print_meanings(scores)
    say("measure.corrected", level=LEVEL)
    for warning in comparison["warnings"]:
        say("measure.beware", warning=shown(warning))
    console.print()
    console.print(shown(comparison["verdict"]["sentence"]), markup=False)
    if "picture" in comparison["verdict"]:
        say("measure.side_by_side", path=comparison["verdict"]["picture"])


def _print_differences(scores: Mapping[str, Difference], leads: str) -> None:
    """One row per score."""
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    ends = (text("measure.column_interval"), text("measure.column_p"), text("measure.column_better"))
    for column in (text("measure.column_score"), "a", "b", "a - b", *ends):
        table.add_column(column, no_wrap=True)
    for name, score in scores.items():
        gap, style = score["difference"], "bold" if name == leads else ""
        cells = [name, _short(score["a"]["value"]), _short(score["b"]["value"]), _short(gap["value"]), _ends(gap)]
        table.add_row(*cells, _p_value(score["p"]), score["better"] or text("measure.cannot_tell"), style=style)
    console.print(table, soft_wrap=False)


def _p_value(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}" if value >= LEAST_P else f"< {LEAST_P:.4f}"


def _short(value: Any) -> str:
    return "" if value is None else f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _ends(score: Mapping[str, Any]) -> str:
    if score["low"] is None:
        return ""
    return text("measure.ends", low=_short(score["low"]), high=_short(score["high"]))


def _percent(share: Mapping[str, Any] | None) -> str:
    return "" if share is None else f"{share['value']:.0%}"
