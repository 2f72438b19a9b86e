"""The scores of two sets of pictures in a terminal or a log: a table, what it means, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulacra.console import console, say
from simulacra.measure.printing import leading_first, print_meanings, print_scores
from simulacra.measure.score_records import SetScores, shown
from simulacra.messages import Message

SURE = 0.05  # the p-value up to which sets are said to differ


def print_set_scores(record: SetScores) -> None:
    """Print the scores with their intervals, the leading one first, what they mean, warnings and the verdict."""
    fakes, reals, leads = record["fakes"], record["reals"], record["leads"]
    values: dict[str, Any] = {"fakes": fakes["name"], "reals": reals["name"], "size": pixels(record["size"])}
    values |= {"n": record["n"], "of": fakes["of"], "n_real": record["n_real"], "of_real": reals["of"]}
    say("measure.title_sets", **values)
    print_scores(leading_first(record["scores"], leads), leads)
    print_meanings(record["scores"])
    sizes = {"name": fakes["name"], "size": pixels(fakes["size"])}
    sizes |= {"name_real": reals["name"], "size_real": pixels(reals["size"]), "resize": shown(record["resize"])}
    say("measure.set_sizes", **sizes)
    for warning in record["warnings"]:
        say("measure.beware", warning=shown(warning))
    for sentence in set_verdicts(record):
        console.print(str(sentence), markup=False)


def pixels(size: Sequence[int]) -> str:
    """[height, width] as `WIDTHxHEIGHT`."""
    return f"{size[1]}x{size[0]}"


def set_verdicts(record: SetScores) -> list[Message]:
    """Whether the leading score tells the sets apart, and whether the second judge agrees."""
    verdicts, second = [_verdict(record, record["leads"])], record["second"]
    if second is not None and second != record["leads"]:
        verdicts.append(_verdict(record, second))
        if len({verdict.code for verdict in verdicts}) > 1:
            verdicts.append(Message("measure.set_judges_differ"))
    return verdicts


def _verdict(record: SetScores, name: str) -> Message:
    """Whether a score tells the sets apart, by its permutation test."""
    score = record["scores"][name]
    ends = {"low": f"{score['low']:.3g}", "high": f"{score['high']:.3g}"}
    value = Message("measure.value", value=f"{score['value']:.3g}", **ends)
    if name not in record["p"]:
        return Message("measure.set_without_test", score=name, value=value)
    code = "measure.set_apart" if record["p"][name] <= SURE else "measure.set_alike"
    return Message(code, score=name, value=value, p=f"{record['p'][name]:.2g}")
