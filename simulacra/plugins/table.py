"""`simulacra check-gan`: the checks of one GAN, printed as a table."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from simulacra.console import console, say
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.messages import text
from simulacra.plugins.checks import CHECKS, TITLES, Skipped, specs


class Result(NamedTuple):
    """What one check came to."""

    check: str
    spec: str
    outcome: str  # "passed", "failed" or "skipped"
    sentence: str
    seconds: float


def run(gan: str, only: Sequence[str] = ()) -> bool:
    """Run the checks of a GAN, print a table of them, and return whether all passed. Raises `SimulacraError` for unknown names."""
    if unknown := [name for name in only if name not in CHECKS]:
        raise SimulacraError(
            "check.unknown", name=unknown[0], names=list(CHECKS), hint=did_you_mean(unknown[0], CHECKS)
        )
    results = []
    for name in only or CHECKS:
        for spec in specs(gan):
            with console.status(f"{text(TITLES[name])} ({spec})"):
                results.append(result(name, spec))
    show(gan, results)
    failed = sum(entry.outcome == "failed" for entry in results)
    if failed:
        say("check.summary.failed", count=failed, total=len(results))
    else:
        say("check.summary.passed", count=len(results), gan=gan)
    return not failed


def result(name: str, spec: str) -> Result:
    """Run one check. An exception of the GAN's own code is a failure, too, and is shown with its place."""
    began = time.monotonic()
    outcome, sentence = "passed", ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            CHECKS[name](spec, Path(folder))
        except Skipped as reason:
            outcome, sentence = "skipped", str(reason)
        except SimulacraError as error:
            outcome, sentence = "failed", str(error)
        except Exception as error:  # whatever a stranger's code raises
            outcome, sentence = (
                "failed",
                text("check.crashed", place=_place(error), error=f"{type(error).__name__}: {error}"),
            )
    return Result(name, spec, outcome, sentence, time.monotonic() - began)


def _place(error: BaseException) -> str:
    """File and line of the innermost frame."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""


def show(gan: str, results: Sequence[Result]) -> None:
    """Print the table; `gan` is the spec without preset and form."""
    table = Table(
        *(text(code) for code in ("check.column.check", "check.column.gan", "check.column.result", "check.column.time"))
    )
    for entry in results:
        style = {"passed": "green", "failed": "red", "skipped": "yellow"}[entry.outcome]
        verdict = text(OUTCOMES[entry.outcome])
        table.add_row(
            text(TITLES[entry.check]),
            entry.spec.removeprefix(gan).lstrip(":"),
            f"[{style}]{verdict}[/{style}]",
            f"{entry.seconds:.1f} s",
        )
    console.print(table, soft_wrap=False)
    for entry in results:
        if entry.sentence:
            console.print(f"{entry.check}, {entry.spec}: {entry.sentence}", markup=False)


OUTCOMES = {"passed": "check.outcome.passed", "failed": "check.outcome.failed", "skipped": "check.outcome.skipped"}
