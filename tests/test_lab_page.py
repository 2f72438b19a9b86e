"""The lab's page in a real browser: play, pause, single steps, presets, the parallel lines, keys, languages and a phone."""

from __future__ import annotations

import importlib.util
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from test_explore_page import CHROMIUM

from simulacra.explore import server
from simulacra.explore.worker import Worker
from simulacra.lab.server import application
from simulacra.studio.server import Studio

playwright: Any = importlib.import_module("playwright.sync_api") if importlib.util.find_spec("playwright") else None
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(playwright is None, reason="no playwright: pip install 'simulacra[dev]'"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH: apt install chromium"),
]

Visit = Callable[..., Any]
REFUSED = "responded with a status of 400"  # the console's word on what the page says in a sentence
SMALL = "hidden=16&batch=16"  # settings of a quick experiment
LATIN = re.compile(r"[A-Za-z]{4,}")
# Names of GANs, settings, people, terms and commands are the same in both languages
SAME = re.compile(
    r"\b(simulacra|English|Wasserstein|Jensen|Shannon|Gaussian|adaptive|fixed|none|true|false|ReLU|Adam|RMSprop"
    r"|wgan(-gp)?|sngan|dcgan|r3gan|mlp|balance|betas|batch|hidden|smoothing|dropout|clamp|gamma|loss|nonsaturating|minimax"
    r"|ring|plays|seed|GANs?)\b|Generative Adversarial Nets \(Goodfellow et al\., 2014\)"
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The lab's page alone."""
    worker, bound = Worker(), server.listen("127.0.0.1", 0)
    running = uvicorn.Server(server.uvicorn_config(application(worker)))
    thread = threading.Thread(target=running.run, args=([bound],), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
    running.should_exit = True
    worker.stop()
    thread.join(10)


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    """Opens the page at an address after the #. No request may leave this machine, and the console must stay silent."""
    faults: list[str] = []
    requests: list[str] = []
    contexts = []

    def opened(place: str = f"target=ring&gan=mlp&{SMALL}", **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, "locale": "en-GB"} | options)
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda said: (
                faults.append(said.text) if said.type in ("error", "warning") and REFUSED not in said.text else None
            ),
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{address}#{place}")
        page.wait_for_selector(".now")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults
    assert all(url.startswith("http://127.0.0.1:") for url in requests)


def steps(page: Any) -> int:
    """Steps of both players that the page shows."""
    return int(re.search(r"[\d,]+", page.inner_text(".now")).group().replace(",", ""))  # type: ignore[union-attr]


def reached(page: Any, number: int, seconds: float = 60) -> int:
    """Wait for a step, and return the step that is shown then."""
    until = time.monotonic() + seconds
    while steps(page) < number and time.monotonic() < until:
        page.wait_for_timeout(50)
    return steps(page)


def modes(page: Any) -> int:
    """Modes that the page shows."""
    return int(re.search(r"(\d+) of 8 modes", page.inner_text(".now")).group(1))  # type: ignore[union-attr]


def picture(page: Any) -> str:
    """The canvas, as a data address."""
    return str(page.locator("canvas.plane").evaluate("canvas => canvas.toDataURL()"))


def test_play_moves_the_points_and_pause_stops_them(visit: Visit) -> None:
    page = visit()
    assert steps(page) == 0
    before = picture(page)
    page.click("text=Play")
    reached(page, 40)
    page.click("text=Pause")
    page.wait_for_load_state("networkidle")
    paused, still = steps(page), picture(page)
    assert paused >= 40 and paused % 10 == 0 and still != before
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.wait_for_timeout(400)
    assert not sent and steps(page) == paused and picture(page) == still, "a pause is the absence of requests"
    assert page.locator(".curves .chart").count() == 2
    assert f"simulacra lab ring --gan mlp hidden=16 batch=16 --plays {paused} --seed 0" in page.inner_text(".command")


def test_a_step_is_one_step_of_both_or_of_one(visit: Visit) -> None:
    page = visit()
    shown = page.locator(".now")
    page.get_by_role("button", name="Step", exact=True).click()
    playwright.expect(shown).to_contain_text("Step 2 (D 1, G 1)")
    page.get_by_role("button", name="D alone").click()
    playwright.expect(shown).to_contain_text("Step 3 (D 2, G 1)")
    page.get_by_role("button", name="G alone").click()
    playwright.expect(shown).to_contain_text("Step 4 (D 2, G 2)")
    assert "no single command" in page.inner_text(".command")


def test_the_same_clicks_draw_the_same_picture(visit: Visit) -> None:
    page, pictures = visit(f"target=roll&gan=r3gan&seed=4&{SMALL}"), []
    for begin in (
        lambda: None,
        lambda: page.get_by_role("button", name="Restart").click(),
        lambda: (page.fill(".seed", "5"), page.keyboard.press("Enter")),
    ):
        begin()
        playwright.expect(page.locator(".now")).to_contain_text("Step 0 (")
        for name in ("Step", "D alone", "Step"):
            page.get_by_role("button", name=name, exact=True).click()
        playwright.expect(page.locator(".now")).to_contain_text("Step 5 (D 3, G 2)")
        pictures.append(picture(page))
    assert pictures[0] == pictures[1] != pictures[2]


def test_keys_play_pause_and_step(visit: Visit) -> None:
    page = visit()
    page.keyboard.press("ArrowRight")
    playwright.expect(page.locator(".now")).to_contain_text("Step 2 (")
    page.keyboard.press(" ")
    assert page.inner_text(".play") == "Pause"
    reached(page, 20)
    page.keyboard.press(" ")
    page.wait_for_load_state("networkidle")
    assert page.inner_text(".play") == "Play"
    paused = steps(page)
    page.focus(".seed")
    page.keyboard.press("ArrowRight")  # moves the cursor in the field
    page.wait_for_timeout(200)
    assert steps(page) == paused
    page.get_by_role("slider", name="steps per frame").press("ArrowRight")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    playwright.expect(page.locator(".now")).to_contain_text(f"Step {paused + 2}")


def test_a_rate_changes_without_a_restart_and_other_settings_begin_anew(visit: Visit) -> None:
    page = visit()
    page.get_by_role("button", name="Step", exact=True).click()
    slider = page.get_by_role("slider", name="lr_d")
    assert slider.get_attribute("aria-valuetext") == "0.002"
    slider.press("ArrowRight")
    playwright.expect(slider).to_have_attribute("aria-valuetext", "0.0022")
    page.get_by_role("button", name="Step", exact=True).click()
    playwright.expect(page.locator(".now")).to_contain_text("Step 4 (")
    page.get_by_role("textbox", name="z", exact=True).fill("3")
    page.keyboard.press("Tab")
    playwright.expect(page.locator(".now")).to_contain_text("Step 0 (")
    assert "lr_d=0.0022" in page.url and "z=3" in page.url
    playwright.expect(page.get_by_role("textbox", name="smoothing")).to_be_focused()  # where Tab led
    assert "Size of the latent z." in page.inner_text(".settings-of-lab")


def test_what_is_refused_is_said_and_changes_nothing(visit: Visit) -> None:
    page = visit("target=ring&gan=stylegan2")
    assert "stylegan2 has no fully connected networks" in page.inner_text("#toast")
    assert page.input_value("#gan") == "dcgan", "an address that names nothing opens the first experiment"
    page.get_by_role("button", name="Step", exact=True).click()
    page.get_by_role("textbox", name="batch").fill("9999")
    page.keyboard.press("Tab")
    page.wait_for_selector("#toast:has-text('batch may be at most 1024')")
    assert page.get_by_role("textbox", name="batch").input_value() == "256" and "batch" not in page.url


def test_an_experiment_that_diverges_says_so(visit: Visit) -> None:
    page = visit(f"target=ring&gan=wgan&lr=1e30&clamp=1e30&{SMALL}")
    page.click("text=Play")
    page.wait_for_selector("#toast:has-text('Training diverged after')")
    assert page.inner_text(".play") == "Play"


def test_presets_collapse_and_cure(visit: Visit) -> None:
    page = visit()
    page.get_by_role("slider", name="steps per frame").fill("5")  # fifty
    page.click("text=Mode collapse")
    playwright.expect(page.locator(".about-target")).to_contain_text("hops from place to place")
    seen = []
    for number in (300, 400, 500):
        reached(page, number)
        seen.append(modes(page))
    assert max(seen) <= 2, seen
    page.click("text=Cure it")
    playwright.expect(page.get_by_role("button", name="Cure it")).to_have_attribute("aria-pressed", "true")
    reached(page, 600)
    page.click("text=Pause")
    assert "lr_d=0.002 " in page.inner_text(".command")
    assert modes(page) >= 6
    assert "preset=cure" in page.url and page.input_value("#gan") == "dcgan"


def test_the_parallel_lines(visit: Visit) -> None:
    page = visit()
    page.select_option("#target", "distances")
    page.wait_for_selector(".descents .chart")
    js, w = page.locator("[data-name=js] figcaption"), page.locator("[data-name=w] figcaption")
    for gap, wasserstein in (("1", "1"), ("2", "2"), ("-0.5", "0.5")):
        page.get_by_role("slider", name="gap").fill(gap)
        minus = gap.replace("-", "−")
        assert js.inner_text() == f"At a gap of {minus}: 0.693, slope 0"
        assert w.inner_text() == f"At a gap of {minus}: {wasserstein}, slope {'−1' if '-' in gap else '1'}"
    page.keyboard.press("Tab")
    page.locator("body").press("ArrowRight")
    playwright.expect(page.locator(".now")).to_contain_text(
        "Step 1 of gradient descent: a gap of −0.5 by JS, −0.48 by W."
    )
    page.get_by_role("button", name="Descend").click()
    playwright.expect(page.locator(".now")).to_contain_text(
        "Step 120 of gradient descent: a gap of −0.5 by JS", timeout=30_000
    )
    assert w.inner_text().startswith("At a gap of 0")
    assert page.url.endswith("#target=distances")


def test_chinese_has_no_english_left_and_keeps_the_experiment(visit: Visit) -> None:
    page = visit()
    page.get_by_role("button", name="Step", exact=True).click()
    playwright.expect(page.locator(".now")).to_contain_text("Step 2 (")
    page.click("#language")
    page.wait_for_selector("text=重新开始")
    assert "第 2 步" in page.inner_text(".now")
    for target in ("ring", "distances"):
        page.select_option("#target", target)
        page.wait_for_selector(".about-target >> text=/[一-龥]/")
        page.wait_for_load_state("networkidle")
        assert not LATIN.findall(SAME.sub("", page.inner_text("body"))), target


def test_a_phone_is_wide_enough(visit: Visit) -> None:
    page = visit(viewport={"width": 375, "height": 760}, has_touch=True)
    for target in ("ring", "distances"):
        page.select_option("#target", target)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, target


@pytest.mark.parametrize(("scheme", "locale"), [("dark", "zh-CN"), ("light", "en-GB")])
def test_axe_finds_no_violation(visit: Visit, scheme: str, locale: str) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-core: pip install simulacra[dev]"
    ).Axe()
    page = visit(color_scheme=scheme, locale=locale, reduced_motion="reduce")
    for target in ("ring", "distances"):
        page.select_option("#target", target)
        page.wait_for_load_state("networkidle")
        result = axe.run(page)
        assert not result.violations_count, f"{target}: {result.generate_report()}"


def test_the_library_leads_to_the_lab_and_back(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    studio, bound = Studio(tmp_path_factory.mktemp("studio")), server.listen("127.0.0.1", 0)
    running = uvicorn.Server(server.uvicorn_config(studio.application()))
    thread = threading.Thread(target=running.run, args=([bound],), daemon=True)
    thread.start()
    page = browser.new_page(locale="en-GB")
    page.goto(f"http://127.0.0.1:{bound.getsockname()[1]}/")
    page.get_by_role("link", name="Lab", exact=True).click()
    page.wait_for_selector(".now")
    assert "/lab#target=ring&gan=dcgan&seed=0" in page.url
    page.get_by_role("link", name="All models").click()
    page.wait_for_selector(".cards")
    page.close()
    running.should_exit = True
    studio.explorers.stop()
    thread.join(10)
