"""Frames a second of the lab's page while it plays, for each target, in a real browser; and the page's picture.

    python benchmarks/lab.py [--gan mlp] [--seconds 6] [--screenshot docs/lab-page.webp]

The command runs as a user starts it, with one thread for training. A frame is ten steps, an evaluation of G, of its average
and of D's field, and their picture. Beside it stands what a frame costs in CPU time, which a busy machine changes less.
--screenshot: only take the guide's picture of the page.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

TARGETS = ("ring", "grid", "roll")
STEPS, FRAMES = 10, 40  # of a frame; frames of which the server's cost is taken


@contextmanager
def served() -> Iterator[str]:
    """The address of `simulacra lab --page`."""
    words = [sys.executable, "-m", "simulacra", "--lang", "en", "lab", "--page", "--no-open", "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    found = re.search(r"http://\S+/", next(line for line in process.stdout if "http" in line))
    assert found is not None
    yield found.group()
    process.terminate()
    process.wait(10)


@contextmanager
def opened(**options: Any) -> Iterator[Any]:
    """A page in Chromium."""
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"))
        yield browser.new_context(locale="en-GB", **options).new_page()
        browser.close()


def steps(page: Any) -> int:
    """Steps that the page shows."""
    return int(page.inner_text(".now").split(" (")[0].removeprefix("Step ").replace(",", ""))


def cpu_seconds() -> float:
    """CPU time of this process and all that it started: the server and the browser. On Linux."""
    parents, used = {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            fields = file.read_text().rpartition(")")[2].split()
            parents[int(file.parent.name)], used[int(file.parent.name)] = (
                int(fields[1]),
                int(fields[11]) + int(fields[12]),
            )
    mine, before = {os.getpid()}, 0
    while len(mine) > before:
        before = len(mine)
        mine |= {process for process, parent in parents.items() if parent in mine}
    return sum(used[process] for process in mine) / os.sysconf("SC_CLK_TCK")


def cost(target: str, gan: str) -> float:
    """Milliseconds of CPU time of a frame on the server."""
    import torch

    from simulacra.lab.live import LiveExperiment

    torch.set_num_threads(1)
    experiment = LiveExperiment(target, gan, {}, 0)
    experiment.advance(STEPS, "turn", {})
    start = time.process_time()
    for _ in range(FRAMES):
        experiment.advance(STEPS, "turn", {})
    return (time.process_time() - start) * 1000 / FRAMES


def measure(gan: str, seconds: float) -> None:
    """Print a line for each target."""
    with served() as address, opened() as page:
        for target in TARGETS:
            page.goto("about:blank")
            page.goto(f"{address}#target={target}&gan={gan}")
            page.wait_for_selector(".now")
            page.click(".play")
            page.wait_for_timeout(1000)
            start, began, before = time.monotonic(), cpu_seconds(), steps(page)
            page.wait_for_timeout(1000 * seconds)
            frames, spent = (steps(page) - before) / STEPS, 1000 * (cpu_seconds() - began)
            rate = frames / (time.monotonic() - start)
            page.click(".play")
            print(
                f"{target}, {gan}: {rate:.1f} frames of {STEPS} steps a second; CPU time of a frame "
                f"{spent / frames:.0f} ms, browser included, and {cost(target, gan):.0f} ms of the server alone"
            )


def screenshot(out: Path) -> None:
    """The page with mode collapse cured."""
    with served() as address, opened(viewport={"width": 1180, "height": 960}) as page:
        page.goto(address)
        page.wait_for_selector(".now")
        page.click("text=Cure it")
        while steps(page) < 900:
            page.wait_for_timeout(50)
        page.click(".play")
        page.wait_for_load_state("networkidle")
        page.evaluate("scrollTo(0, 0)")
        Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(out, quality=80, method=6)


def main() -> None:
    """The figures, or the screenshot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gan", default="mlp")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--screenshot", type=Path)
    options = parser.parse_args()
    if options.screenshot:
        screenshot(options.screenshot)
    else:
        measure(options.gan, options.seconds)


if __name__ == "__main__":
    main()
