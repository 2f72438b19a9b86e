"""Latency of the explorer, from the slider to the painted picture, in a real browser.

    python benchmarks/explore.py [MODEL] [--requests 10000] [--screenshot docs/explorer.png]

Without MODEL: an untrained DCGAN of 80 px, which costs as much as a trained one. The command runs as a user starts it,
and Chromium opens the page. "Painted" is the first frame of the screen after a picture has arrived.
--screenshot: only take the README's picture of the page, with MODEL or the bundled model.
"""

from __future__ import annotations

import argparse
import http.client
import io
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import sync_playwright

from simulacra.registry import configured
from simulacra.storage import load_generator, save_model

MOVES, EVENTS, CLIENTS, EACH = 200, 60, 8, 10
GOALS = {"p50": 25, "p95": 60, "frames": 30, "knob": 60, "last": 60, "flying": 1, "first": 3}
WARM = 1000  # requests after which memory is first looked at

WATCH = """() => {
  window.counts = { flying: 0, most: 0, frames: new Set(), last: 0 };
  const send = window.fetch;
  window.fetch = async (...call) => {
    counts.most = Math.max(counts.most, ++counts.flying);
    try { return await send(...call); } finally { counts.flying -= 1; }
  };
  window.painted = new EventTarget();
  document.getElementById("picture").addEventListener("painted", () => requestAnimationFrame((frame) => {
    counts.frames.add(frame);
    counts.last = performance.now();
    painted.dispatchEvent(new Event("now"));
  }));
  window.range = document.querySelector("#start input[type=range]");
  window.move = (value, what = "input") => {
    range.value = value;
    range.dispatchEvent(new Event(what, { bubbles: true }));
  };
}"""
ONE_BY_ONE = """async (moves) => {
  const took = [];
  for (let i = 0; i < moves; i++) {
    const paint = new Promise((resolve) => painted.addEventListener("now", resolve, { once: true }));
    const began = performance.now();
    move(0.3 + 0.05 * (i % 20));
    await paint;
    took.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  move(1, "change");
  return took;
}"""
DRAG = """async (events) => {
  await new Promise((resolve) => setTimeout(resolve, 800));
  counts.frames.clear();
  counts.most = counts.flying;
  const began = performance.now();
  for (let i = 0; i < events; i++) {
    while (performance.now() - began < (1000 / events) * i) await new Promise((resolve) => setTimeout(resolve, 1));
    move(0.2 + 0.9 * ((i + 1) / events));
  }
  const released = performance.now();
  move(1.1, "change");
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return { frames: counts.frames.size, last: counts.last - released, most: counts.most };
}"""

FAKE_KNOBS = """() => {
  const input = { name: "knobs", onmidimessage: null };
  navigator.requestMIDIAccess = async () => ({ inputs: new Map([["1", input]]), onstatechange: null });
  window.turn = (amount) => input.onmidimessage({ data: [0xb0, 7, amount] });
}"""
KNOBS = """async (turns) => {
  const took = [];
  for (let i = 0; i < turns; i++) {
    const paint = new Promise((resolve) => painted.addEventListener("now", resolve, { once: true }));
    const began = performance.now();
    turn(20 + 5 * (i % 20));
    await paint;
    took.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return took;
}"""
WANDER = """async (seconds) => {
  counts.frames.clear();
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  return counts.frames.size / seconds;
}"""


@contextmanager
def serving(model: str) -> Iterator[tuple[str, subprocess.Popen[str], float]]:
    """The running command: its address, its process, and the time of its start."""
    words = [sys.executable, "-m", "simulacra.cli", "explore", model, "--no-open", "--port", "0"]
    begun = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[0], process, begun
    finally:
        process.terminate()
        process.wait(10)


def untrained(folder: Path) -> str:
    """An untrained DCGAN of 80 px."""
    gan, config = configured("dcgan", (3, 80, 80), {})
    save_model(gan.generator(config), folder, gan=gan.name, config=config, about={})
    return str(folder)


def fetch(address: str, seed: int, times: int) -> list[bytes]:
    """The picture of a seed, fetched `times` times over one connection."""
    connection = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=120)
    pictures = []
    for _ in range(times):
        connection.request("GET", f"/generate?seed={seed}")
        pictures.append(connection.getresponse().read())
    connection.close()
    return pictures


def crowd(address: str, model: str) -> tuple[int, float]:
    """How many pictures of `CLIENTS` parallel clients equal those of the library, and seconds per picture."""
    generator = load_generator(model)
    wanted = [generator.sample([seed])[0] for seed in range(CLIENTS)]  # in a batch, a level may differ
    begun = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda seed: fetch(address, seed, EACH), range(CLIENTS)))
    seconds = (time.perf_counter() - begun) / (CLIENTS * EACH)
    right = sum(
        np.array_equal(np.asarray(Image.open(io.BytesIO(data))), np.asarray(image))
        for pictures, image in zip(answers, wanted, strict=True)
        for data in pictures
    )
    return right, seconds


def resident(process: subprocess.Popen[str]) -> float:
    """MiB that a process has in memory."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def line(what: str, value: float, unit: str, goal: float, most: bool = True) -> None:
    """Print a figure beside its goal."""
    met = value <= goal if most else value >= goal
    print(
        f"  {what:52} {value:8.1f} {unit:8} ({'at most' if most else 'at least'} {goal:g}{'' if met else ', MISSED'})"
    )


def measure(model: str, requests: int) -> None:
    """Print all figures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium())
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        with serving(model) as (address, process, begun):
            page.goto(address)
            page.wait_for_selector("#stage.ready")
            line("first picture after the command", time.perf_counter() - begun, "s", GOALS["first"])
            page.wait_for_selector("#start input[type=range]")
            page.wait_for_timeout(1500)
            page.evaluate(WATCH)
            took = sorted(page.evaluate(ONE_BY_ONE, MOVES))
            line("slider to painted picture, median", statistics.median(took), "ms", GOALS["p50"])
            line("slider to painted picture, 95 of 100", took[int(0.95 * MOVES)], "ms", GOALS["p95"])
            drags: list[dict[str, Any]] = [page.evaluate(DRAG, EVENTS) for _ in range(5)]
            middle = {name: statistics.median(drag[name] for drag in drags) for name in ("frames", "last")}
            line(f"frames painted in a drag of a second, {EVENTS} events", middle["frames"], "", GOALS["frames"], False)
            line("the last of them after release", middle["last"], "ms", GOALS["last"])
            line("requests in flight at most", max(drag["most"] for drag in drags), "", GOALS["flying"])
            live(page)
            browser.close()
            right, seconds = crowd(address, model)
            line(f"right pictures for {CLIENTS} clients at once", right, "", CLIENTS * EACH, False)
            print(f"  {'a picture for one of them':52} {1000 * seconds:8.1f} ms")
            if requests:
                fetch(address, 1, min(WARM, requests))
                before = resident(process)
                fetch(address, 1, requests)
                print(
                    f"  memory after {WARM} requests {before:.0f} MiB, after {requests} more {resident(process):.0f} MiB"
                )


def live(page: Any) -> None:
    """Print the figures of playing live, with a MIDI device that the page makes believe it has."""
    page.fill("#seed", "7")  # the typical picture does not change with truncation
    page.press("#seed", "Enter")
    page.evaluate(FAKE_KNOBS)
    page.click("#tab-live")
    page.click("text=MIDI")
    page.click("text=Add a connection")
    page.evaluate("turn(1)")
    wander = page.get_by_label("Wander")
    wander.select_option("no")
    page.click("#panel button.primary")
    took = sorted(page.evaluate(KNOBS, MOVES))
    line("knob to painted picture, median", statistics.median(took), "ms", GOALS["knob"])
    line("knob to painted picture, 95 of 100", took[int(0.95 * MOVES)], "ms", GOALS["knob"])
    page.click("#panel button.primary")
    wander.select_option("random")
    page.click("#panel button.primary")
    line("pictures a second while wandering", page.evaluate(WANDER, 5), "", GOALS["frames"], False)
    page.click("#panel button.primary")


def screenshot(model: str, out: Path) -> None:
    """Write the README's picture of the page."""
    with sync_playwright() as playwright, serving(model) as (address, _, _):
        browser = playwright.chromium.launch(executable_path=chromium())
        page = browser.new_page(viewport={"width": 1180, "height": 880}, device_scale_factor=1.5)
        page.goto(address)
        page.wait_for_selector("#stage.ready")
        page.click("#tab-directions")
        page.wait_for_selector("#panel .sliders, #panel .primary")
        if page.locator("#panel .primary").count():
            page.click("#panel .primary")
            page.wait_for_selector("#panel .sliders", timeout=600_000)
        for seed in (5, 11, 30, 47, 60, 33):
            page.fill("#seed", str(seed))
            page.press("#seed", "Enter")
            page.wait_for_selector("#stage[aria-busy=false]")
            page.wait_for_timeout(300)
        page.locator(".chevron").nth(0).click()
        page.wait_for_selector(".filmstrip .face")
        page.locator(".filmstrip .face").nth(5).click()
        page.wait_for_timeout(1500)
        page.evaluate("document.activeElement.blur()")
        page.mouse.move(0, 0)
        page.wait_for_timeout(300)
        image = Image.open(io.BytesIO(page.screenshot()))
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(out, optimize=True)
        browser.close()
    print(out)


def chromium() -> str | None:
    """Path of the browser; None leaves the choice to playwright."""
    return shutil.which("chromium") or shutil.which("google-chrome")


def main() -> None:
    """The figures, or the screenshot."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--screenshot", type=Path)
    options = parser.parse_args()
    if options.screenshot:
        screenshot(options.model or "peeps", options.screenshot)
        return
    with tempfile.TemporaryDirectory() as folder:
        print(
            f"{options.model or 'an untrained DCGAN of 80 px'}, {torch.get_num_threads()} threads of the measuring side"
        )
        measure(options.model or untrained(Path(folder) / "dcgan80"), options.requests)


if __name__ == "__main__":
    main()
