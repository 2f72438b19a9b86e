"""The studio's page in a real browser: pictures to a dataset, a run that is watched, and two models side by side."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import exploring
import numpy as np
import pytest
import uvicorn
from PIL import Image
from support import noise, on_disk
from test_explore_page import CHROMIUM

from simulacra.explore import server
from simulacra.studio.server import Studio

playwright: Any = importlib.import_module("playwright.sync_api") if importlib.util.find_spec("playwright") else None
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(playwright is None, reason="no playwright: pip install 'simulacra[dev]'"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH: apt install chromium"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A studio with a dataset, two runs, and one that was stopped before its first picture."""
    root = tmp_path_factory.mktemp("studio")
    data = on_disk(root / "tiny", noise(30))
    stopped = exploring.with_config(exploring.run(root / "runs" / "stopped", checkpoints=1), data)
    for part in ("checkpoints", "previews"):
        shutil.rmtree(stopped / part)
    for part in ("journal.jsonl", "scores.jsonl", "best.json"):
        (stopped / part).unlink()
    for name in ("tiny-one", "tiny-two"):
        exploring.with_config(exploring.run(root / "runs" / name), data)
    studio, bound = Studio(root), server.listen("127.0.0.1", 0)
    running = uvicorn.Server(server.uvicorn_config(studio.application()))
    thread = threading.Thread(target=running.run, args=([bound],), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
    running.should_exit = True
    studio.explorers.stop()
    thread.join(10)


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The studio's page. No request may leave this machine, and the console must stay silent."""
    faults: list[str] = []
    requests: list[str] = []
    context = browser.new_context(viewport={"width": 1100, "height": 800}, locale="en-GB")
    context.set_default_timeout(30_000)
    opened = context.new_page()
    opened.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(address)
    opened.wait_for_selector(".cards")
    yield opened
    context.close()
    assert not faults
    assert all(url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:")) for url in requests)


def test_a_folder_becomes_a_dataset_without_a_terminal(page: Any, address: str, tmp_path: Path) -> None:
    folder = tmp_path / "my cats"
    for i in range(12):
        place = folder / ("black" if i % 2 else "white")
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 255, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{i}.png")
    (folder / "black" / "broken.png").write_text("broken")
    page.set_input_files("#folder-of-files", folder)
    page.wait_for_selector(".choices")
    report = page.inner_text(".report")
    assert "12 usable pictures" in report and "black, white" in report and "1 picture set aside" in report
    page.select_option("#size", "32")
    playwright.expect(page.locator(".examples")).to_have_js_property("naturalWidth", 160)
    page.fill("#name", "cats")
    page.click("text=Prepare")
    page.wait_for_selector(".sheet")
    assert page.url.endswith("#data/cats")
    page.go_back()
    page.goto(address)
    page.wait_for_selector("h3:text-is('cats')")
    page.locator(".card", has=page.locator("h3:text-is('cats')")).get_by_role("button", name="Bin").click()
    page.wait_for_selector("h3:text-is('cats')", state="detached")
    page.click("summary:has-text('Bin')")
    page.click("text=Bring back")
    page.wait_for_selector("h3:text-is('cats')")


def test_a_run_is_watched_and_its_model_opened_and_two_are_compared(page: Any, address: str) -> None:
    page.locator(".card", has_text="tiny-one").get_by_role("button", name="Training").click()
    page.wait_for_selector("img.preview:not([hidden])")
    assert "480 images" in page.inner_text("[role=status]")
    assert page.locator(".chart").count() == 2
    for button in ("Go on", "10 minutes more", "Score now"):
        assert page.get_by_role("button", name=button).count() == 1
    newest = page.locator("img.preview").get_attribute("src")
    page.locator("input[type=range]").fill("0")
    assert page.locator("img.preview").get_attribute("src") != newest
    page.click("text=Gallery and sliders")
    page.wait_for_selector("#stage.ready")
    assert "/model/runs/tiny-one/#" in page.url
    page.click("#all-models")
    page.wait_for_selector(".cards")
    for name in ("tiny-one", "tiny-two"):
        page.locator(".card", has_text=name).get_by_role("checkbox").click()  # the second opens the comparison
    for image in page.locator(".pairs img").all():
        playwright.expect(image).to_have_js_property("complete", True)
        playwright.expect(image).not_to_have_js_property("naturalWidth", 0)
    page.click("#language")
    page.wait_for_selector("text=并排比较")
    page.set_viewport_size({"width": 375, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_a_run_without_a_picture_says_so_and_offers_no_model(page: Any) -> None:
    card = page.locator(".card", has_text="stopped before its first picture")
    assert card.locator("h3").inner_text() == "stopped"
    assert card.get_by_role("link").count() == card.get_by_role("checkbox").count() == 0
    card.get_by_role("button", name="Training").click()
    page.wait_for_selector("text=It stopped before its first picture.")
    playwright.expect(page.get_by_role("button", name="Go on")).to_have_count(1)
    assert page.get_by_text("Gallery and sliders").count() == page.get_by_text("within a minute").count() == 0


def test_by_keyboard_alone(page: Any) -> None:
    def reach(text: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.innerText") == text:
                return
        pytest.fail(f"no way to {text!r}")

    reach("Training")
    page.keyboard.press("Enter")
    page.wait_for_selector("img.preview:not([hidden])")
    reach("Try another future")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#fork-name")).to_be_visible()
    page.keyboard.press("Shift+Tab")
    reach("Gallery and sliders")
    page.keyboard.press("Enter")
    page.wait_for_selector("#stage.ready")


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_whatever_is_killed_the_others_find_each_other_again(browser: Any, tmp_path: Path) -> None:
    """From dropped pictures to a zip of favourites, while the browser, the server and the training are killed on the way."""
    pictures, root = tmp_path / "cats", tmp_path / "studio"
    pictures.mkdir()
    for number, pixels in enumerate(noise(40)):
        Image.fromarray(pixels).save(pictures / f"{number}.png")
    words = [sys.executable, "-m", "simulacra", "studio", str(root), "--no-open", "--port"]
    servers: list[subprocess.Popen[str]] = []

    def serve(port: str = "0") -> str:
        for old in servers:
            old.kill()
            old.wait()
        servers.append(subprocess.Popen([*words, port], stdout=subprocess.PIPE, text=True))
        assert servers[-1].stdout is not None
        return servers[-1].stdout.readline().split()[0]

    address = serve()
    port = str(urlsplit(address).port)

    def visit(where: str) -> Any:
        page = browser.new_context(locale="en-GB").new_page()
        page.set_default_timeout(60_000)
        page.goto(where)
        return page

    page = visit(address)
    page.set_input_files("#folder-of-files", pictures)
    page.wait_for_selector(".choices")
    dropped = page.url
    page.context.close()
    address = serve(port)
    page = visit(address)
    page.goto(dropped)
    page.wait_for_selector(".choices")
    with page.expect_response("**/api/studio/prepare"):
        page.click("text=Prepare")
    serve(port)
    page.goto(address)
    page.locator(".card", has=page.locator("h3:text-is('cats')")).get_by_role(
        "button", name="Train", exact=True
    ).click()
    page.select_option("#minutes", "5")  # too short to compile anything
    page.click("button:text-is('Start training')")
    page.wait_for_selector("button:text-is('Stop')")
    watched = page.url
    serve(port)
    page.goto(address)
    page.goto(watched)
    page.wait_for_selector("button:text-is('Stop')")
    commands = {
        path: json.loads(path.with_name("command.json").read_text())["kind"] for path in root.rglob("begun.json")
    }
    (begun,) = (path for path, kind in commands.items() if kind == "train")
    os.kill(json.loads(begun.read_text())["pid"], signal.SIGKILL)
    page.click("button:text-is('Go on')")
    page.wait_for_selector("img.preview:not([hidden])", timeout=180_000)
    page.click("text=Slow motion")
    page.click("button:text-is('Pause')")
    page.wait_for_selector(".pace [role=status]:has-text('steps of D')")
    paused = page.inner_text(".pace [role=status]")
    page.click("button:text-is('10 steps')")
    playwright.expect(page.locator(".pace [role=status]")).not_to_have_text(paused, timeout=60_000)
    page.click("button:text-is('Stop')")
    page.wait_for_selector("button:text-is('Go on')")
    page.click("text=Gallery and sliders")
    for number in range(2):
        page.locator(".wall .star").nth(number).click()
    page.click("#view-stars:has-text('(2)')")
    with page.expect_download() as download:
        page.click("#panel a:text-is('Zip')")
    with zipfile.ZipFile(download.value.path()) as favourites:
        assert sum(name.endswith(".png") for name in favourites.namelist()) == 2
    page.context.close()
    servers[-1].kill()
    servers[-1].wait()


@pytest.mark.parametrize(("scheme", "locale"), [("dark", "zh-CN"), ("light", "en-GB")])
def test_axe_finds_no_violation(browser: Any, address: str, scheme: str, locale: str, tmp_path: Path) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-core: pip install simulacra[dev]"
    ).Axe()
    for number, pixels in enumerate(noise(10)):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    page = browser.new_page(color_scheme=scheme, locale=locale, reduced_motion="reduce")
    for view, shown in {
        "": ".cards",
        "data/tiny": ".sheet",
        "run/runs/tiny-one": "img.preview",
        "compare/runs%2Ftiny-one/runs%2Ftiny-two": ".pairs img",
    }.items():
        page.goto("about:blank")
        page.goto(f"{address}#{view}")
        page.wait_for_selector(shown)
        page.wait_for_load_state("networkidle")
        assert not (result := axe.run(page)).violations_count, f"{view}: {result.generate_report()}"
    page.goto("about:blank")
    page.goto(address)
    page.set_input_files("#folder-of-files", tmp_path)
    page.wait_for_selector(".choices")
    assert not (result := axe.run(page)).violations_count, result.generate_report()
    page.close()
