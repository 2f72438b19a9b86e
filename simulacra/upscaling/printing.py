"""The scores of an upscaler in a terminal or a log: a table, and what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from simulacra.console import console, say
from simulacra.messages import text
from simulacra.upscaling.scores import FEWEST, better

QUALITY = {"psnr": "upscaling.psnr", "ssim": "upscaling.ssim"}  # higher is better; for the judges, lower


def print_comparison(run: Path, factor: int, record: dict[str, Any], examples: Path) -> None:
    """Print the table of a stage, whether it is better than bicubic enlargement, and what to do next."""
    height, width = record["shape"][1:]
    sizes = {"small": f"{width // factor}x{height // factor}", "large": f"{width}x{height}"}
    code = "upscaling.title_seen" if record["part"] == "train" else "upscaling.title"
    say(code, **sizes, count=record["n"], part=record["part"])
    methods = record["scores"]
    table = Table(box=None)
    table.add_column("")
    for name in methods["upscaler"]:
        heading = text(QUALITY[name]) if name in QUALITY else text("upscaling.judge", name=name)
        table.add_column(heading, justify="right", overflow="fold")
    for name, values in methods.items():
        table.add_row(text(f"upscaling.{name}"), *(f"{value:.4g}" for value in values.values()))
    console.print(table)
    verdict = {True: "upscaling.better", False: "upscaling.not_better", None: "upscaling.too_few"}[better(record)]
    say(verdict, run=run, least=FEWEST)
    say("upscaling.examples", path=examples)
    say("upscaling.next", run=run, size=height)
