"""Settings of every test: one thread, a cache of its own, and a summary of what was skipped.

Small networks gain nothing from more threads, and lose much on a busy machine. With SIMULACRA_REQUIRE_BROWSER=1 a
skipped browser test fails.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before torch is imported, and for child processes

from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import settings

if TYPE_CHECKING:
    from support import Cli

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background process ignores it; tests send it
torch.set_num_threads(1)
settings.register_profile("simulacra", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("simulacra")


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the user's cache folder, nor do the processes that it starts."""
    os.environ["SIMULACRA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _threads() -> None:
    """A command under test may have changed it."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, one for all tests of a file."""
    from playwright.sync_api import sync_playwright
    from test_explore_page import CHROMIUM

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM)
        yield opened
        opened.close()


@pytest.fixture
def float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute in float64; the casts to float32 of a GAN have no effect."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def coarse_extractor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Score with an extractor that costs nothing, and with an empty cache."""
    from measuring import stand_in

    monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path / "cache"))
    for place in ("measure.evaluate", "measure.choose", "measure.compare", "training.scoring", "upscaling.training"):
        monkeypatch.setattr(f"simulacra.{place}.open_extractor", stand_in)


@pytest.fixture
def run_cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """The command line in this process."""
    from simulacra import cli

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["simulacra", *map(str, words)])
        status, handler = 0, signal.getsignal(signal.SIGINT)
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        finally:
            signal.signal(signal.SIGINT, handler)
        out, err = capfd.readouterr()
        return status, out, err

    return call


def pytest_collection_finish() -> None:
    """Keep the garbage collector off what was imported: a tenth of the time went into searching it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: many tests wait for a browser or a child process."""
    return (os.cpu_count() or 1) + 1


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The reason of a skipped test or file, without pytest's prefix."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped browser test into a failure where a browser is required."""
    report = yield
    if report.skipped and os.environ.get("SIMULACRA_REQUIRE_BROWSER") and item.get_closest_marker("browser"):
        report.longrepr = f"A browser test was skipped, and a browser is required: {skip_reason(report)}"
        report.outcome = "failed"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests were skipped for each reason; under xdist the controller has all reports."""
    reasons = Counter(map(skip_reason, terminalreporter.getreports("skipped")))
    if reasons:
        terminalreporter.section(f"{reasons.total()} skipped")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count:4}  {reason}")
