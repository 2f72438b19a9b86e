"""From a dropped folder to the first preview, in the studio's page.

    python benchmarks/studio.py DRAWINGS

DRAWINGS: a folder of pictures. The studio opens in a folder of its own, Chromium sends it the pictures, prepares them as
the page proposes, and starts a training; all seconds count from the drop.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from explore import chromium
from playwright.sync_api import sync_playwright

GOAL = 60  # seconds until the first preview


def main(pictures: Path) -> None:
    """Print the seconds."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        words = [sys.executable, "-m", "simulacra.cli", "studio", folder, "--no-open", "--port", "0"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as studio:
            assert studio.stdout is not None
            page = playwright.chromium.launch(executable_path=chromium()).new_page()
            page.set_default_timeout(600_000)
            page.goto(studio.stdout.readline().split()[0])
            page.wait_for_selector(".cards")
            began = time.perf_counter()
            page.set_input_files("#folder-of-files", pictures)
            for what, selector, then in (
                ("looked through", ".choices", "button:text-is('Prepare')"),
                ("prepared", ".sheet", "button:text-is('Start training')"),
                ("the training's page", ".watch", ""),
                (f"first preview (at most {GOAL})", "img.preview:not([hidden])", "button:text-is('Stop')"),
            ):
                page.wait_for_selector(selector)
                print(f"  {what:32} {time.perf_counter() - began:6.1f} s", flush=True)
                if then:
                    page.click(then)
            page.wait_for_selector("button:text-is('Go on')")
            studio.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
