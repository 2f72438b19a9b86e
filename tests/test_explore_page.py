"""The explorer's page in a real browser: what a person does with it, by mouse, by keyboard, in both languages."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import exploring
import numpy as np
import pytest
import torch
from support import noise, on_disk

from simulacra.errors import SimulacraError
from simulacra.explore import drawing_api
from simulacra.latent import supervised
from simulacra.latent.inversion import invert
from simulacra.latent.recipe import Direction, Recipe, to_w
from simulacra.latent.saved import save_directions
from simulacra.messages import using
from simulacra.storage import load_generator

playwright: Any = importlib.import_module("playwright.sync_api") if importlib.util.find_spec("playwright") else None

PLACES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM = next((path for path in map(shutil.which, PLACES) if path), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(playwright is None, reason="no playwright: pip install 'simulacra[dev]'"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH: apt install chromium"),
]

TABS = ("gallery", "directions", "mix", "photo", "walk", "live", "numbers", "runs", "translate")
Visit = Callable[..., Any]
TALL = {"width": 1100, "height": 1500}  # nothing scrolls, so that nothing moves between two clicks

PIXELS = """() => {
  const picture = document.getElementById("picture");
  const paper = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  paper.drawImage(picture, 0, 0);
  return Array.from(paper.getImageData(0, 0, picture.width, picture.height).data).join();
}"""
WATCH = """() => {
  window.painted = 0;
  document.getElementById("picture").addEventListener("painted", () => (window.painted += 1));
}"""
DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, { type: "image/png" }));
  document.body.dispatchEvent(new DragEvent("dragover", { dataTransfer: files, bubbles: true, cancelable: true }));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the models."""
    return tmp_path_factory.mktemp("explore")


@pytest.fixture(scope="module")
def addresses(root: Path) -> Iterator[dict[str, str]]:
    """Explorers of a plain model, one with labels, and a run of one with layers, each at its address."""
    exploring.model(root / "plain")
    exploring.model(root / "labelled", "dcgan:tiny+labels")
    exploring.run(root / "run")
    exploring.model(root / "attributes", "dcgan:tiny+attributes")
    exploring.model(root / "lesson")
    config = json.loads((root / "lesson" / "config.json").read_text())
    data = on_disk(root / "data", noise(60), np.arange(60) % 3)
    (root / "lesson" / "config.json").write_text(json.dumps(config | {"data": str(data)}))
    with exploring.served(root, "plain", "labelled", "attributes", "lesson", "run") as urls:
        yield urls


@pytest.fixture
def visit(browser: Any, addresses: dict[str, str], root: Path) -> Iterator[Visit]:
    """Open the page of an explorer. No request may leave this machine, and the console must stay silent."""
    contexts, faults, requests = [], [], []

    def opened(name: str = "plain", fragment: str = "", **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1100, "height": 800}, "locale": "en-GB"} | options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{addresses[name]}{fragment}")
        page.wait_for_selector("#stage.ready")
        page.wait_for_selector("#tab-directions")
        return page

    for kept in root.glob("*/gallery/*.json"):  # of earlier tests
        kept.unlink()

    yield opened
    for context in contexts:
        context.close()
    assert not faults
    assert all(url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:")) for url in requests)


def expect_count(page: Any, selector: str, count: int) -> None:
    """So many of them come to be there."""
    playwright.expect(page.locator(selector)).to_have_count(count, timeout=15_000)


def settled(page: Any) -> str:
    """The picture's pixels, once nothing is drawn any more."""
    page.wait_for_selector("#stage[aria-busy=false]")
    pixels: str = page.evaluate(PIXELS)
    return pixels


def recipe(page: Any) -> dict[str, Any]:
    """What the address says is shown."""
    text = page.evaluate("location.hash.slice(1)").replace("-", "+").replace("_", "/")
    content: dict[str, Any] = json.loads(base64.b64decode(text + "=" * (-len(text) % 4)))["recipe"]
    return content


def tab(page: Any, name: str) -> None:
    page.click(f"#tab-{name}")
    page.wait_for_selector(f"#panel.{name}")


def directions(page: Any) -> None:
    """Open their tab, and find them where there are none yet."""
    tab(page, "directions")
    page.wait_for_selector("#panel .sliders, #panel .primary")
    if page.locator("#panel .primary").count():
        page.click("#panel .primary")
        page.wait_for_selector("#panel .sliders")


def test_random_undo_redo_and_a_link_that_reopens_the_same_picture(visit: Visit) -> None:
    page = visit()
    first = settled(page)
    start = recipe(page)
    page.click("#random")
    second = settled(page)
    assert second != first and recipe(page) != start
    page.click("#undo")
    assert settled(page) == first and recipe(page) == start
    assert page.locator("#undo").is_disabled()
    page.click("#redo")
    assert settled(page) == second
    expect_count(page, "#strip .face", 2)
    fragment = page.evaluate("location.hash")
    assert settled(visit(fragment=fragment)) == second
    page.locator("#strip .face").last.click()
    assert settled(page) == first


def test_the_page_works_at_any_address(visit: Visit, addresses: dict[str, str], tmp_path: Path) -> None:
    exploring.run(tmp_path / "below")
    with exploring.served(tmp_path, "below", prefix="/model/some") as urls:
        addresses.update(urls)
        page = visit("below")
        answers: list[tuple[int, str]] = []
        page.on("response", lambda response: answers.append((response.status, response.url)))
        page.click("#random")
        settled(page)
        page.locator("#side").select_option("512")
        tab(page, "runs")
        page.wait_for_selector(".checkpoints img >> nth=2")
        page.wait_for_selector(".previews img")
        page.click("#language")
        page.wait_for_load_state("networkidle")
        assert answers and {status for status, _ in answers} == {200}
        paths = [urlsplit(url).path for _, url in answers if not url.startswith("blob:")]
        assert not [path for path in paths if not path.startswith(("/model/some/api/", "/messages/", "/static/"))]
        del addresses["below"]


def test_the_gallery_grows_and_its_pictures_come_on_the_stage(visit: Visit) -> None:
    page = visit("labelled", viewport={"width": 1100, "height": 500})
    page.wait_for_selector(".wall canvas >> nth=23")
    count = page.locator(".wall li").count()
    page.locator("#panel > p button").scroll_into_view_if_needed()
    page.wait_for_selector(f".wall canvas >> nth={count + 23}")
    for _ in range(5):
        page.locator("#panel > p button").press("Enter")
    page.wait_for_selector(".wall canvas >> nth=120")
    before = settled(page)
    page.locator(".wall .face").nth(5).click()
    assert settled(page) != before and recipe(page) == {"seed": 5}
    assert page.locator(".wall [aria-current=true]").count() == 1
    page.select_option("#panel select", "bob")
    expect_count(page, ".wall canvas", 24)
    page.locator(".wall .face").nth(5).click()
    assert recipe(page) == {"seed": 5, "label": "bob"}


def test_stars_and_history_stay_through_reloads_and_for_other_pages(visit: Visit) -> None:
    page = visit()
    first = recipe(page)
    other = visit()
    assert recipe(other) == first  # a typical picture, not a random one
    page.locator(".wall li").nth(3).locator(".star").click()
    other.locator(".wall li").nth(4).locator(".star").click()
    page.click("#random")
    settled(page)
    starred = recipe(page)
    page.keyboard.press("f")
    page.wait_for_selector("#star[aria-pressed=true]")
    page.wait_for_load_state("networkidle")
    page.wait_for_selector("#view-stars:has-text('(3)')")  # the other page's, too
    page.reload()
    page.wait_for_selector("#view-stars:has-text('(3)')")
    expect_count(page, "#strip canvas", 2)
    page.click("#view-stars")
    expect_count(page, ".wall canvas", 3)
    page.locator(".wall .face").first.click()  # the newest
    assert settled(page) and recipe(page) == starred
    page.locator(".wall .star").first.click()
    page.wait_for_selector("#view-stars:has-text('(2)')")
    expect_count(page, ".wall li", 3)  # until it is looked at again
    page.click("#view-all")
    page.click("#view-stars")
    expect_count(page, ".wall li", 2)


def test_starred_pictures_are_downloaded_and_filmed(visit: Visit) -> None:
    page = visit()
    for number in (1, 2, 5):
        page.locator(".wall .star").nth(number).click()
    page.wait_for_selector("#view-stars:has-text('(3)')")
    page.wait_for_load_state("networkidle")
    page.click("#view-stars")
    for name, suggested in (("Zip", "plain-stars.zip"), ("Contact sheet", "plain-stars.png")):
        with page.expect_download() as download:
            page.click(f"#panel a:text-is('{name}')")
        assert download.value.suggested_filename == suggested
        assert Path(download.value.path()).stat().st_size > 1000
    page.click("text=Film through them")
    page.wait_for_selector("#panel.walk")
    expect_count(page, ".stop", 3)
    assert [json.loads(stop.get_attribute("data-key"))["seed"] for stop in page.locator(".stop").all()] == [5, 2, 1]
    page.click("#panel button.primary")
    page.wait_for_selector(".film img")
    page.click("text=Use the history")
    expect_count(page, ".stop", 1)


def test_a_seed_names_a_picture(visit: Visit) -> None:
    page = visit()
    for seed in ("7", "8", "7"):
        page.fill("#seed", seed)
        page.press("#seed", "Enter")
        settled(page)
        assert recipe(page) == {"seed": int(seed)}
    before = settled(page)
    page.fill("#seed", "my cat")
    page.press("#seed", "Enter")
    assert settled(page) != before and recipe(page) == {"seed": "my cat"}
    page.click("#undo")
    page.fill("#seed", "-3")
    page.press("#seed", "Enter")
    assert "whole number" in page.inner_text("#toast") and recipe(page) == {"seed": 7}


def test_a_link_that_means_nothing_gives_a_picture_all_the_same(visit: Visit) -> None:
    assert "seed" in recipe(visit(fragment="#nonsense"))


def test_a_drag_paints_many_pictures_and_asks_for_one_at_a_time(visit: Visit) -> None:
    page = visit()
    directions(page)
    before = settled(page)
    flying: list[int] = [0, 0]  # now, at most

    def count(by: int) -> Callable[[Any], None]:
        def listener(request: Any) -> None:
            if request.url.endswith("/api/picture") and '"client"' in (request.post_data or ""):  # of the stage
                flying[0] += by
                flying[1] = max(flying)

        return listener

    page.on("request", count(1))
    page.on("requestfinished", count(-1))
    page.evaluate(WATCH)
    box = page.locator("#panel input[type=range]").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for step in range(40):
        page.mouse.move(box["x"] + box["width"] * (0.5 + step / 100), box["y"] + box["height"] / 2)
        page.wait_for_timeout(10)
    page.mouse.up()
    after = settled(page)
    painted, (edit,) = page.evaluate("window.painted"), recipe(page)["edits"].values()
    assert after != before and edit["strength"] > 2
    assert painted >= 5 and flying[1] == 1
    page.click("#undo")  # the whole drag is one step
    assert settled(page) == before
    page.click("#redo")
    page.click("text=Reset all")
    assert settled(page) == before


def test_a_direction_shows_a_filmstrip_and_is_renamed(visit: Visit) -> None:
    page = visit("run")
    directions(page)
    page.locator(".chevron").first.click()
    page.wait_for_selector(".filmstrip .face")
    expect_count(page, ".filmstrip .face", 7)
    page.locator(".filmstrip .face").last.click()
    settled(page)
    ((name, edit),) = recipe(page)["edits"].items()
    assert edit["strength"] == 3
    page.locator(".layers select").first.select_option("2")
    settled(page)
    assert recipe(page)["edits"][name]["layers"][0] == 2
    shaped = settled(page)
    page.fill(".naming input", "shine")
    page.click(".naming button")
    page.wait_for_selector(".slider label:text-is('shine')")
    assert list(recipe(page)["edits"]) == ["shine"] and settled(page) == shaped
    page.reload()
    tab(page, "directions")
    page.wait_for_selector(".slider label:text-is('shine')")
    assert settled(page) == shaped


def test_directions_without_a_name_show_their_ends_and_are_named(visit: Visit) -> None:
    page = visit("attributes")
    directions(page)
    page.wait_for_selector(".ends canvas >> nth=1")
    assert page.locator(".ends label").first.inner_text() == "Direction 1"
    pixels = "(at) => document.querySelectorAll('.ends canvas')[at].toDataURL()"
    left, right = (page.evaluate(pixels, at) for at in (0, 1))
    assert left != right
    page.locator(".ends .face").nth(1).click()
    settled(page)
    (edit,) = recipe(page)["edits"].values()
    assert edit["strength"] == 3
    page.click("#random")  # another picture has other ends
    for _ in range(300):  # the page's policy forbids wait_for_function
        if page.evaluate(pixels, 0) != left:
            break
        page.wait_for_timeout(100)
    else:
        pytest.fail("the ends stay as they were")
    count = page.locator(".ends").count()
    page.locator(".ends .name").first.click()
    page.keyboard.type("glow")
    page.keyboard.press("Enter")
    page.wait_for_selector(".slider label:text-is('glow')")
    expect_count(page, ".ends", count - 1)


def test_directions_of_one_prefix_are_folded(visit: Visit, addresses: dict[str, str], tmp_path: Path) -> None:
    model = exploring.model(tmp_path / "many")
    names = ("glasses", "hair: red", "hair: brown", "clothes: red")
    save_directions([Direction(name=name, vector=torch.eye(8)[i], kind="learned choice") for i, name in enumerate(names)], model)  # fmt: skip
    with exploring.served(tmp_path, "many") as urls:
        addresses.update(urls)
        page = visit("many")
        tab(page, "directions")
        page.wait_for_selector("#panel .group")
        assert page.locator("#panel .group summary").all_inner_texts() == ["hair (2)"]
        assert page.locator("#panel .slider:visible").count() == 2
        page.click("#panel .group summary")
        slider = page.locator(".group input[type=range]").nth(1)
        slider.press("PageUp")
        assert settled(page) and "hair: brown" in recipe(page)["edits"]
        page.click("#language")
        page.wait_for_selector("#panel .group details[open]")
        del addresses["many"]


def test_save_and_drop_back(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    page.click("#random")
    wanted, saved_recipe = settled(page), recipe(page)
    page.select_option("#side", "256")
    with page.expect_download() as download:
        page.click("#save")
    saved = tmp_path / "saved.png"
    download.value.save_as(saved)
    assert download.value.suggested_filename == f"plain-{saved_recipe['seed']}.png"
    page.click("#random")
    assert settled(page) != wanted
    page.evaluate(DROP, ["saved.png", base64.b64encode(saved.read_bytes()).decode()])
    page.wait_for_selector("#toast:has-text('Restored')")
    assert settled(page) == wanted and recipe(page) == saved_recipe


def search_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches take 40 steps from here on, whatever the page asks for."""
    monkeypatch.setattr(drawing_api, "invert", lambda *words, steps, **options: invert(*words, steps=40, **options))


def test_a_photo_is_looked_for_and_becomes_the_picture(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    from test_explore_api import photo

    search_briefly(monkeypatch)
    page = visit()
    before = settled(page)
    page.evaluate(DROP, ["photo.png", base64.b64encode(photo()).decode()])  # one without a recipe
    page.wait_for_selector("#panel.photo")
    page.wait_for_selector(".pair img >> nth=1")
    page.wait_for_selector("text=It is now the picture", timeout=60_000)
    after = settled(page)
    assert after != before and "w" in recipe(page)
    expect_count(page, ".chart", 1)
    tab(page, "numbers")
    page.wait_for_selector("#panel .why")  # it has no z, and says so
    page.click("#undo")
    assert settled(page) == before


def test_a_search_can_be_stopped(visit: Visit, tmp_path: Path) -> None:
    from test_explore_api import photo

    (tmp_path / "photo.png").write_bytes(photo())
    page = visit("run")
    tab(page, "photo")
    page.wait_for_selector("#panel option:has-text('patient, about')", state="attached")  # how long it takes here
    page.select_option("#panel select", "1200")
    page.set_input_files("#photofile", tmp_path / "photo.png")
    page.wait_for_selector("button:text-is('Stop')")
    page.dispatch_event("button:text-is('Stop')", "click")  # it moves with the progress above it
    page.wait_for_selector("text=It is now the picture")
    assert "w" in recipe(page)


def test_a_page_that_is_left_ends_its_search(visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from test_explore_api import photo

    (tmp_path / "photo.png").write_bytes(photo())
    page = visit()
    tab(page, "photo")
    page.select_option("#panel select", "1200")
    page.set_input_files("#photofile", tmp_path / "photo.png")
    page.wait_for_selector("text=So far")
    page.goto("about:blank")
    search_briefly(monkeypatch)
    again = visit()  # the only search at a time must be free
    tab(again, "photo")
    again.select_option("#panel select", "150")
    again.set_input_files("#photofile", tmp_path / "photo.png")
    again.wait_for_selector("text=It is now the picture", timeout=60_000)


def test_all_numbers_are_shown_found_and_moved(visit: Visit) -> None:
    page = visit()
    before = settled(page)
    tab(page, "numbers")
    expect_count(page, "#panel .slider", 8)
    page.fill("#panel input[type=search]", "3, 5-6")
    page.wait_for_selector("#panel .slider")
    assert page.locator("#panel .slider label").all_inner_texts() == ["z3", "z5", "z6"]
    slider = page.locator("#panel input[type=range]").first
    assert [slider.get_attribute(name) for name in ("min", "max", "step")] == ["-3", "3", "0.01"]
    slider.focus()
    page.keyboard.press("End")
    assert settled(page) != before
    assert recipe(page)["numbers"] == {"3": 3}
    page.keyboard.press("ArrowLeft")  # by a hundredth
    settled(page)
    assert recipe(page)["numbers"] == {"3": 2.99}
    page.fill("#panel input[type=search]", "")
    expect_count(page, "#panel .slider", 8)


def test_mixing_gives_children_and_layers_of_the_other(visit: Visit) -> None:
    page = visit("run")
    before = settled(page)
    tab(page, "mix")
    page.wait_for_selector(".lanes .face")
    page.wait_for_load_state("networkidle")
    expect_count(page, ".litter .face", 12)
    expect_count(page, ".filmstrip .face", 7)
    page.locator(".litter .face").first.click()
    child = settled(page)
    assert child != before
    page.locator(".lanes .face").first.click()
    assert settled(page) not in (before, child)
    assert recipe(page)["layers"] == [0, 1]


def test_each_layer_is_taken_from_either_parent(visit: Visit) -> None:
    page = visit("run", viewport=TALL)
    a = settled(page)
    tab(page, "mix")
    page.wait_for_selector(".lane canvas")
    page.wait_for_load_state("networkidle")
    layers = page.locator(".lane").count()
    assert layers > 3 and settled(page) == a  # to look at the tab changes nothing
    seed = recipe(page)["seed"]
    page.click("text=All from B")
    b = settled(page)
    assert recipe(page)["other"]["seed"] != seed and recipe(page)["layers"] == [0, layers]
    page.click("text=All from A")
    assert settled(page) == a and recipe(page) == {"seed": seed}
    for layer in (0, 2):  # with a hole between them
        page.locator(".lane").nth(layer).locator("label").nth(1).click()
        playwright.expect(page.locator(".lane").nth(layer).locator("input").nth(1)).to_be_checked()
        mixed = settled(page)
    mixture = recipe(page)
    assert (
        mixture["layers"] == [0, 3]
        and mixture["other"]["layers"] == [1, 2]
        and mixture["other"]["other"] == {"seed": seed}
    )
    page.click("text=The other way round")
    assert len({a, b, mixed, settled(page)}) == 4
    page.locator(".lane input").first.focus()  # by keyboard, too: this layer is from A
    page.keyboard.press("ArrowDown")
    assert page.locator(".lane input").nth(1).is_checked()
    for layer in range(1, layers):
        page.locator(".lane").nth(layer).locator("label").nth(1).click()
        settled(page)
    assert settled(page) == b


def test_layers_of_parents_that_were_edited_are_mixed(visit: Visit) -> None:
    page = visit("run")
    directions(page)
    page.locator("#panel input[type=range]").first.focus()
    page.keyboard.press("End")
    a = settled(page)
    tab(page, "mix")
    page.click("#panel .parent button >> nth=0")  # the edited one
    page.wait_for_selector(".lane canvas")
    page.wait_for_load_state("networkidle")
    page.locator(".lane").nth(1).locator("label").nth(1).click()
    mixed = settled(page)
    assert mixed != a and len(recipe(page)["w"]) == page.locator(".lane").count()
    page.locator(".lane").nth(1).locator("label").nth(0).click()
    again = settled(page)
    gap = [abs(int(x) - int(y)) for x, y in zip(again.split(","), a.split(","), strict=True)]
    assert max(gap) <= 4  # w is written down to five digits


def test_sliders_are_kept_as_a_direction(visit: Visit) -> None:
    page = visit("attributes")
    directions(page)
    page.click(".keep summary")
    assert page.locator(".keep button").is_disabled() and "Nothing to save yet" in page.inner_text(".keep")
    for number in (0, 1):
        page.locator("#panel .sliders input[type=range]").nth(number).focus()
        page.keyboard.press("PageUp")
    shaped = settled(page)
    page.fill(".keep input", "hero")
    page.press(".keep input", "Enter")
    page.wait_for_selector(".slider label:text-is('hero')")
    expect_count(page, ".keep p:has-text('directions.safetensors')", 1)
    assert recipe(page)["edits"] == {"hero": {"strength": 1}}
    assert settled(page) == shaped
    assert page.evaluate("document.activeElement.matches('.keep input')")
    page.reload()
    tab(page, "directions")
    page.wait_for_selector(".slider label:text-is('hero')")
    assert settled(page) == shaped


def test_directions_are_learned_and_the_lesson_can_be_stopped(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    page = visit("lesson")
    tab(page, "directions")
    page.wait_for_selector(".learn :text('have 3 labels')")
    page.click("text=Learn directions")
    page.wait_for_selector(".learn :text('Learning to read: ')")
    tab(page, "walk")  # it goes on meanwhile
    tab(page, "directions")
    page.click(".learn button:text-is('Stop')")
    page.wait_for_selector(".learn :text('Stopped.')")
    expect_count(page, "#panel .sliders", 0)
    monkeypatch.setattr(supervised, "STEPS", 100)  # the lesson that was stopped is as long as anybody's
    page.click("text=Learn directions")
    page.wait_for_selector(".learn :text('Learned: ')", timeout=120_000)
    page.wait_for_selector("#panel .sliders")
    page.click(".learn summary")
    assert "held-out pictures" in page.inner_text(".learn details")  # noise cannot be read
    page.click("#language")
    page.wait_for_selector(".learn :text('学到')")
    page.click(".learn summary")
    playwright.expect(page.locator(".learn li")).to_contain_text(["留出"] * 3)


def test_a_film_is_made_of_the_history(visit: Visit) -> None:
    page = visit()
    tab(page, "walk")
    assert page.locator("#panel button.primary").is_disabled()
    for _ in range(2):
        page.click("#random")
        settled(page)
    page.wait_for_selector(".stop >> nth=2")
    page.locator(".stop").first.click()  # this one not
    page.click("#panel button.primary")
    page.wait_for_selector(".film img")
    with page.expect_download() as download:
        page.click(".film a")
    assert download.value.suggested_filename == "plain-walk.webp"


def test_a_run_shows_its_checkpoints_and_explores_one(visit: Visit) -> None:
    page = visit("run")
    before = settled(page)
    tab(page, "runs")
    page.wait_for_selector(".checkpoints img >> nth=2")
    expect_count(page, ".checkpoints .face", 3)
    expect_count(page, "#panel .chart", 2)
    page.wait_for_selector(".previews img")
    page.locator(".checkpoints .face").first.click()
    page.wait_for_selector("text=Exploring the checkpoint after 160 images")
    assert settled(page) != before
    page.click("text=Back to the model opened")
    page.wait_for_selector("text=raining")
    for _ in range(50):  # the words may come before the picture
        if (after := settled(page)) == before:
            break
        page.wait_for_timeout(100)
    assert after == before


def test_a_label_is_chosen(visit: Visit) -> None:
    page = visit("labelled")
    page.fill("#seed", "5")
    page.press("#seed", "Enter")
    pictures = set()
    for name in ("ann", "bob", "cat"):
        page.select_option("#label", name)
        pictures.add(settled(page))
        assert recipe(page) == {"seed": 5, "label": name}
    assert len(pictures) == 3


def test_attributes_are_chosen_by_group(visit: Visit) -> None:
    page = visit("attributes")
    page.fill("#seed", "5")
    page.press("#seed", "Enter")
    first = settled(page)
    page.click("#start summary")
    glasses, hair = page.locator("#start details select").all()
    assert hair.locator("option").all_inner_texts() == ["as in the data", "red", "brown"]
    pictures = {first}
    for field, value, label in (
        (hair, "hair: red", "hair: red"),
        (hair, "hair: brown", "hair: brown"),
        (glasses, "0.5", "hair: brown, glasses=0.5"),
        (hair, "", "glasses=0.5"),
    ):
        field.select_option(value)
        pictures.add(settled(page))
        assert recipe(page)["label"] == label
    glasses.select_option("")
    assert settled(page) == first and recipe(page) == {"seed": 5}
    assert len(pictures) == 3  # this seed had brown hair anyway


def test_what_a_model_cannot_do_says_why(visit: Visit) -> None:
    page = visit()
    assert page.locator("#start select").is_disabled() and "without labels" in page.inner_text("#start select")
    tab(page, "runs")
    assert "a model was opened" in page.inner_text("#panel")
    tab(page, "mix")
    assert "no layers" in page.inner_text("#panel .why")
    tab(page, "directions")
    page.wait_for_selector(".learn .why")
    assert "not there (tiny)" in page.inner_text(".learn .why")
    assert page.locator(".learn button").first.is_disabled()


def test_both_languages(visit: Visit) -> None:
    page = visit()
    assert page.inner_text("#random") == "Random" and page.evaluate("document.documentElement.lang") == "en"
    page.click("#language")
    playwright.expect(page.locator("#random")).to_have_text("随机")
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    page.reload()
    page.wait_for_selector("#tab-mix")
    assert page.inner_text("#tab-mix") == "混合"  # it is remembered


def test_a_refusal_is_a_sentence_in_the_language_of_the_page(
    browser: Any, addresses: dict[str, str], tmp_path: Path
) -> None:
    link = base64.urlsafe_b64encode(json.dumps({"recipe": {"z": [1, 2]}}).encode()).decode().rstrip("=")
    with pytest.raises(SimulacraError) as caught:
        to_w(load_generator(exploring.model(tmp_path / "m")), Recipe(z=(1.0, 2.0)), {})
    for locale, language, other in (("en-GB", "en", "zh"), ("zh-CN", "zh", "en")):
        page = browser.new_page(locale=locale)
        page.goto(f"{addresses['plain']}#{link}")
        page.wait_for_selector(f"#toast:has-text({sentence(caught.value, language)})")
        page.click("#language")
        page.wait_for_selector(f"#toast:has-text({sentence(caught.value, other)})")  # it is drawn again
        page.fill("#seed", "5000000000")  # the page's own error is in the other language too
        page.press("#seed", "Enter")
        page.wait_for_selector(f"#toast:has-text('{'整数' if other == 'zh' else 'whole number'}')")
        page.click("#random")
        page.wait_for_selector("#stage.ready")
        page.close()


def sentence(error: Exception, language: str) -> str:
    """An error in a language, as a quoted string for a selector."""
    with using(language):
        return json.dumps(str(error), ensure_ascii=False)


def test_no_english_is_left_on_the_page_in_chinese(visit: Visit) -> None:
    allowed = re.compile(
        r"English|simulacra|[\w./-]*/[\w./-]+|dcgan|stylegan2|GAN|StyleGAN2?|MIDI|px|dB|ms|kid|[ABDGSLRYZw]|z\d*"
    )
    for name in ("plain", "run", "attributes"):
        page = visit(name, locale="zh-CN")
        assert page.inner_text("#random") == "随机"
        directions(page)
        page.locator(".chevron").first.click()
        page.click(".keep summary")
        for tab_name in TABS:
            tab(page, tab_name)
            page.wait_for_load_state("networkidle")
            text = page.inner_text("body").replace(name, "")
            spoken = page.evaluate(
                "[...document.querySelectorAll('[aria-label], [title], [placeholder]')].flatMap((node) => "
                "['aria-label', 'title', 'placeholder'].map((what) => node.getAttribute(what) ?? '')).join('\\n')"
            ).replace(name, "")
            texts = re.sub(
                r"simulacra train PAIR --gan cyclegan|conditional=true|simulacra [a-z]+ (--\w+|runs/\w+)|--data|--osc(-to)?|simulacra explore|\(?tiny\)?|\b(glow|hero|shine)\b",
                "",
                f"{text}\n{spoken}",
            )  # commands; the data; names that other tests gave
            english = [word for word in re.findall(r"[A-Za-z][\w./-]*", texts) if not allowed.fullmatch(word)]
            assert not english, f"{name} {tab_name}: {english}"


def test_by_keyboard_alone(visit: Visit) -> None:
    page = visit()
    directions(page)
    first = settled(page)
    page.keyboard.press("r")
    assert settled(page) != first
    page.keyboard.press("z")
    assert settled(page) == first
    page.keyboard.press("y")
    page.keyboard.press("Control+z")
    assert settled(page) == first
    for number, name in enumerate(TABS, 1):
        page.keyboard.press(str(number))
        page.wait_for_selector(f"#panel.{name}")
    page.keyboard.press("ArrowRight")  # round to the first
    page.wait_for_selector("#panel.gallery")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#panel.directions")
    focused = []
    for _ in range(8):
        page.keyboard.press("Tab")
        focused.append(page.evaluate("document.activeElement.type"))
        if focused[-1] == "range":
            break
    assert focused[-1] == "range"
    page.keyboard.press("ArrowRight")
    assert settled(page) != first
    page.keyboard.press("Shift+?")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")
    page.focus("#seed")
    page.keyboard.type("r7")  # letters in a field are no commands
    assert page.input_value("#seed") == "r7"


@pytest.mark.parametrize("name", ["plain", "run"])
def test_a_phone_is_wide_enough(visit: Visit, name: str) -> None:
    page = visit(name, viewport={"width": 375, "height": 760}, has_touch=True)
    directions(page)
    for tab_name in TABS:
        tab(page, tab_name)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab_name
    page.evaluate("scrollTo(0, 0)")
    assert page.locator("#tabs").bounding_box()["y"] < 0.6 * 760  # the stage leaves room for the tools
    for button in page.locator("#tabs button").all():
        assert button.bounding_box()["x"] + button.bounding_box()["width"] <= 375
    assert not page.locator("#took").is_visible()


@pytest.mark.parametrize(
    ("name", "scheme", "locale"),
    [("plain", "dark", "zh-CN"), ("run", "light", "en-GB"), ("labelled", "light", "en-GB")],
)
def test_axe_finds_no_violation(visit: Visit, name: str, scheme: str, locale: str) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-core: pip install simulacra[dev]"
    ).Axe()
    page = visit(name, color_scheme=scheme, locale=locale, reduced_motion="reduce")
    directions(page)
    page.locator(".chevron").first.click()
    page.click(".keep summary")
    for tab_name in TABS if name != "labelled" else TABS[:1]:  # whose labels stand beside the picture
        tab(page, tab_name)
        page.wait_for_load_state("networkidle")
        result = axe.run(page)
        assert not result.violations_count, f"{tab_name}: {result.generate_report()}"
    page.click("#keys")
    assert not axe.run(page).violations_count


def test_noise_and_truncation_by_layers_have_sliders(visit: Visit) -> None:
    page = visit("run", viewport=TALL)
    page.get_by_text("Truncation by layers, and noise").click()
    before = settled(page)
    for name, steps in (("Coarse", 4), ("Noise", 3)):
        slider = page.get_by_role("slider", name=name)
        for _ in range(steps):
            slider.press("ArrowLeft" if name == "Coarse" else "ArrowRight")
    assert settled(page) != before
    assert (recipe(page)["layer_truncation"], recipe(page)["noise"]) == ({"0-1": 0.8}, 3)
    page.get_by_role("slider", name="Noise").dblclick()
    playwright.expect(page.get_by_role("slider", name="Noise")).to_have_value("0")
    settled(page)
    assert "noise" not in recipe(page)
    page.click("#random")
    assert recipe(page)["layer_truncation"] == {"0-1": 0.8}
    expect_count(visit("plain"), "#start details", 0)


FAKES = """() => {
  const input = { name: "Fake knobs", onmidimessage: null };
  navigator.requestMIDIAccess = async () => ({ inputs: new Map([["1", input]]), onstatechange: null });
  window.turn = (number, amount) => input.onmidimessage({ data: [0xb0, number, amount] });
  navigator.mediaDevices.getUserMedia = async () => {
    const context = new AudioContext();
    const [tone, sound] = [context.createOscillator(), context.createMediaStreamDestination()];
    tone.connect(sound);
    tone.start();
    return sound.stream;
  };
}"""


def test_knobs_sound_and_wandering_play_the_picture(visit: Visit) -> None:
    page = visit("plain")
    page.click("#random")  # the first picture is the typical one, which no truncation changes
    page.evaluate(FAKES)
    page.click("#tab-live")
    page.click("text=MIDI")
    playwright.expect(page.locator("#panel")).to_contain_text("Fake knobs")
    page.click("text=Add a connection")
    page.evaluate("turn(7, 0)")
    playwright.expect(page.get_by_label("What moves it")).to_have_value("knob 7")
    page.get_by_label("Wander").select_option("no")
    still = settled(page)
    page.click("#panel button.primary")
    page.evaluate("turn(7, 127)")
    playwright.expect(page.locator("#picture")).to_have_attribute("aria-label", re.compile("1.33"))
    moved = settled(page)
    assert moved != still
    page.locator("#start input[type=range]").first.fill("0.5")  # by hand, while it plays
    playwright.expect(page.locator("#picture")).to_have_attribute("aria-label", re.compile("0.83"))
    page.click("#panel button.primary")
    page.keyboard.press("z")
    assert settled(page) != moved
    page.get_by_label("Wander").select_option("random")
    page.click("text=Microphone")
    page.get_by_label("What moves it").select_option("level")
    page.click("#panel button.primary")
    first = settled(page)
    page.wait_for_timeout(600)
    page.click("#panel button.primary")
    assert settled(page) != first
    assert "z" in recipe(page)
    page.reload()
    page.wait_for_selector("#stage.ready")
    page.click("#tab-live")
    playwright.expect(page.get_by_label("What moves it")).to_have_value("level")  # kept for this model


def test_stars_are_keyframes_of_a_loop_that_ends_where_it_begins(visit: Visit) -> None:
    page = visit("plain")
    page.click("#tab-live")
    page.get_by_label("Wander").select_option("stars")
    page.click("#panel button.primary")
    playwright.expect(page.locator("#toast")).to_contain_text("Star at least two pictures")
    page.click("#panel button.primary")
    tab(page, "gallery")
    for number in (1, 2, 5):
        page.locator(".wall .star").nth(number).click()
    page.wait_for_selector("#view-stars:has-text('(3)')")
    stars = []
    for seed in ("1", "2", "5"):
        page.fill("#seed", seed)
        page.press("#seed", "Enter")
        stars.append(settled(page))
    tab(page, "live")
    for easing in ("linear", "smooth", "pause"):
        ways = page.evaluate(
            """async (easing) => {
              const { keyframeWay } = await import("/static/ways.js");
              const { state } = await import("/static/state.js");
              const way = await keyframeWay(state.stars, easing);
              return [0, 1 / 3, 2 / 3, 1, 0.1, 1 / 3 + 0.03].map(way);
            }""",
            easing,
        )
        start, second, third, end, between, near = (np.array(way["w"]) for way in ways)
        np.testing.assert_allclose(end, start, atol=1e-6)
        assert (np.abs(near - second).max() < 1e-3) == (easing == "pause")
        length = np.linalg.norm(between)
        assert min(map(np.linalg.norm, (start, second))) < length < max(map(np.linalg.norm, (start, second)))
        assert not np.allclose(second, third)
    page.evaluate(
        "() => (window.saved = [], HTMLAnchorElement.prototype.click = function () { window.saved.push(this.download); }, 0)"
    )
    page.locator("#panel input[type=range]").first.fill("4")
    page.evaluate(WATCH)
    page.click("text=Record one loop")
    page.wait_for_selector("text=Stop and save")
    page.wait_for_selector("text=Stop and save", state="hidden")  # by itself, after four seconds
    page.click("#panel button.primary")
    assert page.evaluate("window.saved") == ["plain.webm"] and page.evaluate("window.painted") > 10
    assert settled(page) not in stars and "w" in recipe(page)
