"""An exhibit in Chromium, opened as a file without a network: its size, its speed, and how exact its pictures are.

    python benchmarks/exhibit.py [MODEL] [--size 128] [--opens 5] [--seeds 100] [--screenshot docs/exhibit.webp]

Without MODEL: the bundled one. "First picture" is the time from the request for the file to the painted picture, in a
browser that has already started; the median of several openings. Pictures are drawn one after the other, each for
another place of the truncation slider. Differences are in levels of 255, over all pixels of the first seeds.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import sync_playwright

from simulacra.cascade import cascade_of_size
from simulacra.generator import Generator
from simulacra.publish.exhibit.writing import write_html
from simulacra.storage import load_generator

SECONDS = 4.0  # of drawing
WATCH = """() => {
  const look = () => {
    const stage = document.getElementById("stage");
    if (stage?.classList.contains("ready")) window.firstPicture = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
RATE = """async (seconds) => {
  const range = document.querySelector("#start input[type=range]");
  const picture = document.getElementById("picture");
  const began = performance.now();
  let count = 0;
  while (performance.now() - began < 1000 * seconds) {
    const painted = new Promise((resolve) => picture.addEventListener("painted", resolve, { once: true }));
    range.value = 0.3 + 0.05 * (count++ % 20);
    range.dispatchEvent(new Event("input", { bubbles: true }));
    await painted;
  }
  return (1000 * count) / (performance.now() - began);
}"""
PIXELS = """async (seed) => {
  const field = document.getElementById("seed");
  const picture = document.getElementById("picture");
  if (field.value !== String(seed)) {
    const painted = new Promise((resolve) => picture.addEventListener("painted", resolve, { once: true }));
    field.value = seed;
    field.dispatchEvent(new Event("change"));
    await painted;
  }
  const paper = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  paper.drawImage(picture, 0, 0);
  return Array.from(paper.getImageData(0, 0, picture.width, picture.height).data);
}"""


def open_page(browser: Any, file: Path, **options: Any) -> Any:
    """The page of an exhibit, once its first picture is painted."""
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 860}} | options)
    context.set_offline(True)
    page = context.new_page()
    page.add_init_script(f"({WATCH})()")
    page.goto(file.as_uri(), wait_until="commit")
    page.wait_for_selector("#stage.ready", timeout=60_000)
    return page


def expected(generator: Generator, cascade: Any, seeds: int) -> NDArray[np.float64]:
    """What torch draws: [N, H, W, C] from 0 to 255."""
    pictures = [cascade.enlarge(batch) if cascade else batch for batch in generator.pictures(range(seeds))]
    return np.concatenate([np.asarray(batch.clamp(-1, 1) * 127.5 + 127.5, float).transpose(0, 2, 3, 1) for batch in pictures])  # fmt: skip


def screenshot(browser: Any, file: Path, out: Path) -> None:
    """The guide's picture of an exhibit."""
    page = open_page(browser, file, locale="en-GB")
    page.wait_for_timeout(5000)
    with Image.open(io.BytesIO(page.screenshot())) as image:
        image.save(out, quality=82, method=6)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="peeps")
    parser.add_argument("--size", type=int)
    parser.add_argument("--opens", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--screenshot", type=Path)
    options = parser.parse_args()
    generator = load_generator(options.model)
    cascade = cascade_of_size(options.model, generator.shape, options.size)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        began = time.monotonic()
        file = write_html(generator, options.model, Path(folder) / "exhibit.html", cascade=cascade)
        print(f"written in {time.monotonic() - began:.1f} s: {file.stat().st_size / 1e6:.1f} MB")
        if options.screenshot:
            screenshot(browser, file, options.screenshot)
            return
        firsts = []
        for _ in range(options.opens):
            page = open_page(browser, file)
            firsts.append(page.evaluate("window.firstPicture") / 1000)
            page.context.close()
        print(f"first picture: {statistics.median(firsts):.2f} s ({min(firsts):.2f} to {max(firsts):.2f})")
        page = open_page(browser, file)
        page.click("#tab-certificate")  # no wall is drawn meanwhile
        page.wait_for_selector("#stage[aria-busy=false]")
        print(f"pictures a second: {page.evaluate(RATE, SECONDS):.0f}")
        page = open_page(browser, file)  # without a truncation
        page.click("#tab-certificate")
        page.wait_for_selector("#stage[aria-busy=false]")
        pictures = expected(generator, cascade, options.seeds)
        worst = 0.0
        for seed, picture in enumerate(pictures):
            height, width, channels = picture.shape
            drawn = np.reshape(page.evaluate(PIXELS, seed), (height, width, 4))[..., :channels]
            worst = max(worst, float(np.abs(drawn - picture).max()))
        print(f"largest difference from torch, {options.seeds} seeds: {worst:.2f} of 255 levels")
        browser.close()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", file=sys.stderr)


if __name__ == "__main__":
    main()
