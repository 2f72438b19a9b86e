"""The way from a folder of pictures to a zip of favourites in the studio's page, walked and timed.

    python benchmarks/studio.py DRAWINGS --minutes 10 --shots tour

DRAWINGS: a folder of pictures. The studio opens in a folder of its own, Chromium sends it the pictures, prepares them as
the page proposes, trains for some minutes, opens the model, stars the first pictures of its gallery and downloads them.
All seconds count from the drop; no click waits for a person.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from explore import chromium
from playwright.sync_api import sync_playwright

GOAL = 60  # seconds until the first preview
STARS = 6
WAY = (  # a stage, what shows its end, and the click that begins the next one
    ("looked through", ".choices", "button:text-is('Prepare')"),
    ("prepared", ".sheet", "button:text-is('Start training')"),
    ("the training's page", ".watch", ""),
    (f"first preview (at most {GOAL})", "img.preview:not([hidden])", ""),
)


def main() -> None:
    """Print the seconds of each stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="a folder of pictures")
    parser.add_argument("--minutes", type=float, default=0, help="of training, from its first preview on")
    parser.add_argument("--shots", type=Path, help="a folder for a screenshot of each stage")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        words = [sys.executable, "-m", "simulacra.cli", "studio", folder, "--no-open", "--port", "0"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as studio:
            assert studio.stdout is not None
            page = playwright.chromium.launch(executable_path=chromium()).new_page(
                viewport={"width": 1180, "height": 820}
            )
            page.set_default_timeout(600_000)
            page.goto(studio.stdout.readline().split()[0])
            page.wait_for_selector(".cards")
            walk(page, options.pictures, options.minutes, options.shots)
            studio.terminate()


def walk(page: Any, pictures: Path, minutes: float, shots: Path | None) -> None:
    """The whole way."""
    began = time.perf_counter()

    def reached(what: str) -> None:
        print(f"  {what:32} {time.perf_counter() - began:6.1f} s", flush=True)
        if shots:
            page.screenshot(path=shots / f"{what.split(' (')[0].replace(' ', '-')}.png")

    page.set_input_files("#folder-of-files", pictures)
    for what, selector, then in WAY:
        page.wait_for_selector(selector)
        reached(what)
        if then:
            page.click(then)
    page.wait_for_timeout(60_000 * minutes)
    reached("trained")
    page.click("button:text-is('Stop')")
    page.wait_for_selector("button:text-is('Go on')")
    reached("stopped")
    page.click("text=Gallery and sliders")
    page.wait_for_selector("#stage.ready")
    page.wait_for_selector(".wall canvas >> nth=23")
    reached("a wall of new pictures")
    for number in range(STARS):
        page.locator(".wall .star").nth(number).click()
    page.wait_for_selector(f"#view-stars:has-text('({STARS})')")
    page.click("#view-stars")
    with page.expect_download() as download:
        page.click("#panel a:text-is('Zip')")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len([name for name in archive.namelist() if name.endswith(".png")]) == STARS
    reached("favourites in a zip")


if __name__ == "__main__":
    main()
