"""The page of a model that translates, in a real browser: by mouse, finger and keyboard, in both languages."""

from __future__ import annotations

import base64
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import exploring
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support import noise, pair_on_disk
from test_explore_page import Visit, expect_count, playwright, pytestmark, tab, visit  # noqa: F401  (fixtures)

from simulacra.provenance import read_provenance
from simulacra.storage import fingerprint, load
from simulacra.translation import translate_image
from simulacra.translator import Translator

OFF = ("gallery", "directions", "mix", "photo", "walk", "live", "numbers")
PIXELS = """(canvas) => {
  const { width, height } = canvas;
  const paper = new OffscreenCanvas(width, height).getContext("2d");
  paper.drawImage(canvas, 0, 0);
  return [height, width, Array.from(paper.getImageData(0, 0, width, height).data)];
}"""
GIVE = """([kind, files]) => {
  const given = new DataTransfer();
  for (const [name, data] of files) {
    given.items.add(new File([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))], name, { type: "image/png" }));
  }
  if (kind === "paste") return document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: given, bubbles: true, cancelable: true }));
  const how = { dataTransfer: given, bubbles: true, cancelable: true };
  document.body.dispatchEvent(new DragEvent("dragover", how));
  return document.body.dispatchEvent(new DragEvent("drop", how));
}"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that translates, a model alone that does, and one that draws."""
    root = tmp_path_factory.mktemp("translate")
    exploring.run(root / "run", data=pair_on_disk(root / "data", noise(40), noise(40, seed=1), valid=6))
    exploring.model(root / "alone", "cyclegan:tiny")
    exploring.model(root / "whole", "cyclegan:tiny-unet")
    exploring.model(root / "plain")
    return root


@pytest.fixture(scope="module")
def addresses(root: Path) -> Iterator[dict[str, str]]:
    """Each at its address."""
    with exploring.served(root, "run", "alone", "whole", "plain") as urls:
        yield urls


def picture(width: int = 16, height: int = 16, seed: int = 7) -> bytes:
    file = io.BytesIO()
    Image.fromarray(noise(1, (3, height, width), seed)[0]).save(file, "PNG")
    return file.getvalue()


def give(page: Any, *files: tuple[str, bytes], kind: str = "drop") -> None:
    page.evaluate(GIVE, [kind, [[name, base64.b64encode(data).decode()] for name, data in files]])


def done(page: Any, words: str | re.Pattern[str] = re.compile("pixels|像素")) -> None:
    """Nothing is translated any more, and what is said is this."""
    page.wait_for_selector("#stage[aria-busy=false]")
    playwright.expect(page.locator(".about")).to_have_text(words)


def pixels(page: Any, which: str) -> NDArray[np.uint8]:
    """What a canvas shows [H, W, 3]."""
    height, width, values = page.locator(f".compare canvas{which}").evaluate(PIXELS)
    return np.array(values, np.uint8).reshape(height, width, 4)[..., :3]


def before(page: Any) -> NDArray[np.uint8]:
    return pixels(page, ":first-child")


def after(page: Any) -> NDArray[np.uint8]:
    return pixels(page, ".after")


def comes(page: Any, output: NDArray[np.uint8]) -> None:
    """The translation comes to be this."""
    until = time.monotonic() + 15
    while not np.array_equal(after(page), output):
        assert time.monotonic() < until
        page.wait_for_timeout(50)


def wanted(where: Path, data: bytes, to: str, **options: Any) -> NDArray[np.uint8]:
    """What the library makes of a picture."""
    translator = load(where)
    assert isinstance(translator, Translator)
    return np.asarray(translate_image(translator, Image.open(io.BytesIO(data)), to, **options))


def at(page: Any) -> int:
    return int(page.input_value("#divider"))


def test_an_unseen_picture_is_translated_at_once(visit: Visit, root: Path) -> None:  # noqa: F811
    page = visit("run")
    done(page)
    example = noise(40)[34]
    assert np.array_equal(before(page), example)
    file = io.BytesIO()
    Image.fromarray(example).save(file, "PNG")
    assert np.array_equal(after(page), wanted(root / "run", file.getvalue(), "b"))
    expect_count(page, "[data-example]", 6)
    assert "not seen" in page.inner_text("#panel")
    page.click("[data-example=a3]")
    playwright.expect(page.locator("[data-example=a3]")).to_have_attribute("aria-current", "true")
    done(page)
    assert np.array_equal(before(page), noise(40)[37])
    assert page.locator(".own").is_hidden()  # examples are not one's own


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(visit: Visit, root: Path, kind: str) -> None:  # noqa: F811
    page = visit("run")
    done(page)
    tab(page, "runs")
    give(page, ("me.png", picture()), kind=kind)
    done(page, re.compile(r"^me.png · 16 × 16 pixels"))
    page.wait_for_selector("#panel.translate" if kind == "drop" else "#panel.runs")
    assert np.array_equal(before(page), np.asarray(Image.open(io.BytesIO(picture()))))
    assert np.array_equal(after(page), wanted(root / "run", picture(), "b"))
    tab(page, "translate")
    expect_count(page, ".own .face[aria-current=true]", 1)


def test_the_divider_by_keyboard_mouse_and_finger(visit: Visit) -> None:  # noqa: F811
    page = visit("run", has_touch=True)
    done(page)
    assert at(page) == 50
    page.focus("#divider")
    for key, place in (("ArrowRight", 51), ("ArrowLeft", 50), ("PageUp", 60), ("Home", 0), ("End", 100)):
        page.keyboard.press(key)
        assert at(page) == place
        assert page.locator(".compare").evaluate("(box) => box.style.getPropertyValue('--at')") == f"{place}%"
    assert "100" in page.get_attribute("#divider", "aria-valuetext")
    box = page.locator(".compare").bounding_box()
    x, y = box["x"], box["y"] + box["height"] / 3
    page.mouse.move(x + box["width"] / 4, y)
    page.mouse.down()
    assert at(page) == 25
    page.mouse.move(x + 3 * box["width"], y)  # beyond the edge
    assert at(page) == 100
    page.mouse.move(x + box["width"] * 0.7, y)
    page.mouse.up()
    page.mouse.move(x, y)
    assert at(page) == 70
    line = page.locator(".compare .line").bounding_box()
    assert abs(line["x"] + line["width"] / 2 - (x + box["width"] * 0.7)) < 2
    page.touchscreen.tap(x + box["width"] / 5, y)
    assert at(page) == 20
    page.locator(".compare").dblclick()
    assert at(page) == 50


def test_the_other_direction_is_one_click_away(visit: Visit, root: Path) -> None:  # noqa: F811
    page = visit("run")
    done(page)
    give(page, ("me.png", picture()))
    done(page, re.compile("^me"))
    page.click("#turn")
    playwright.expect(page.locator(".tag.after")).to_have_text("ones")
    done(page)
    assert np.array_equal(after(page), wanted(root / "run", picture(), "a"))
    assert page.locator("input[value=a]").is_checked() and page.locator("[data-example=b0]").count()
    page.click("text=ones → others")
    playwright.expect(page.locator(".tag.after")).to_have_text("others")
    done(page)
    assert np.array_equal(after(page), wanted(root / "run", picture(), "b"))
    page.click("[data-example=a2]")
    done(page, re.compile("^ones-2"))
    page.keyboard.press("d")  # an example is of its own domain: the other way there are others
    done(page, re.compile("^others-2"))
    assert np.array_equal(before(page), noise(40, seed=1)[36])


def test_what_is_saved_says_where_it_comes_from(visit: Visit, root: Path, tmp_path: Path) -> None:  # noqa: F811
    page = visit("alone")
    give(page, ("me.png", picture()))
    done(page)
    saved = tmp_path / "saved.png"
    for key, name, back in ((None, "me-others.png", False), ("s", "me-others-back.png", True)):
        if back:
            page.click("#back")
            done(page)
            playwright.expect(page.locator(".tag.after")).to_have_text("ones, translated back")
        with page.expect_download() as download:
            page.keyboard.press(key) if key else page.click("#savemade")
        download.value.save_as(saved)
        assert download.value.suggested_filename == name
        record = read_provenance(saved)
        assert record is not None and len(record.pop("sha256")) == 16
        assert record == {"model": fingerprint(root / "alone"), "to": "b", "source": "me.png"} | (
            {"back": True} if back else {}
        )
        assert np.array_equal(np.asarray(Image.open(saved)), after(page))
    again = io.BytesIO()
    Image.fromarray(wanted(root / "alone", picture(), "b")).save(again, "PNG")
    assert np.array_equal(after(page), wanted(root / "alone", again.getvalue(), "a"))


def test_the_result_is_the_next_picture(visit: Visit, root: Path) -> None:  # noqa: F811
    page = visit("alone")
    give(page, ("me.png", picture()))
    done(page)
    output = after(page)
    page.click("#swap")
    done(page, re.compile("^me-others.png"))
    assert np.array_equal(before(page), output)
    assert page.inner_text(".tag.after") == "ones"
    expect_count(page, ".own .face", 2)
    page.locator(".own .face").last.click()  # the first one again, its own way
    done(page, re.compile("^me.png"))
    assert np.array_equal(after(page), output)
    page.click("text=Clear")
    assert page.locator(".own").is_hidden()


def test_several_are_done_one_after_another(visit: Visit, root: Path, tmp_path: Path) -> None:  # noqa: F811
    page = visit("alone")
    files = [(f"{i}.png", picture(seed=i)) for i in range(5)]
    give(page, *files)
    expect_count(page, ".own a", 5)
    done(page, re.compile("^0.png"))
    assert page.locator(".own .face").evaluate_all("(all) => all.map((each) => each.title)") == [
        name for name, _ in files
    ]
    for i, (_, data) in enumerate(files):
        with page.expect_download() as download:
            page.locator(".own a").nth(i).click()
        assert download.value.suggested_filename == f"{i}-others.png"
        download.value.save_as(tmp_path / "x.png")
        assert np.array_equal(np.asarray(Image.open(tmp_path / "x.png")), wanted(root / "alone", data, "b"))
    page.set_input_files("#pictures", [tmp_path / "x.png"])
    expect_count(page, ".own a", 6)


def test_many_can_be_stopped(visit: Visit) -> None:  # noqa: F811
    page = visit("alone")
    page.check("#keepsize")
    file = io.BytesIO()
    Image.new("RGB", (900, 900), "red").save(file, "PNG")
    give(page, *((f"{i}.png", file.getvalue()) for i in range(6)))
    page.wait_for_selector("text=/Picture [23] of 6/")
    page.click("button:text-is('Stop')")
    page.wait_for_selector("text=/Picture \\d of 6/", state="hidden")
    count = page.locator(".own a").count()
    assert 1 <= count < 6 and page.locator(".own .face").count() == count
    give(page, ("small.png", picture()))
    done(page, re.compile("^small.png"))


def test_a_picture_keeps_its_size(visit: Visit, root: Path) -> None:  # noqa: F811
    page = visit("alone")
    wide = picture(60, 40)
    give(page, ("wide.png", wide))
    done(page, re.compile("24 × 16 pixels"))
    box = page.locator(".compare").bounding_box()
    assert abs(box["width"] / box["height"] - 1.5) < 0.02
    page.check("#keepsize")
    done(page, re.compile("60 × 40 pixels"))
    assert np.array_equal(after(page), wanted(root / "alone", wide, "b", keep_size=True))


def test_a_model_for_one_size_alone_says_so(visit: Visit) -> None:  # noqa: F811
    note = "text=/learned pictures of 16 × 16 as a whole/"
    assert visit("whole").is_visible(note)
    assert not visit("alone").is_visible(note)


def test_without_data_the_page_says_so_and_waits(visit: Visit) -> None:  # noqa: F811
    page = visit("alone")
    assert "Drop a picture" in page.inner_text("#stage") and page.locator("#savemade").is_disabled()
    assert re.search(r"There are no examples: .*\(tiny\)", page.inner_text("#panel"))


def test_tabs_that_do_not_apply_say_why(visit: Visit) -> None:  # noqa: F811
    page = visit("run")
    done(page)
    assert page.locator("[role=tab]").first.inner_text() == "Translate"
    for name in OFF:
        assert "off" in page.get_attribute(f"#tab-{name}", "class")
        tab(page, name)
        assert "translates pictures" in page.inner_text("#panel .why")
    draws = visit("plain")
    assert "off" in draws.get_attribute("#tab-translate", "class")
    tab(draws, "translate")
    assert "translates none" in draws.inner_text("#panel .why")


def test_a_run_shows_the_same_picture_at_every_checkpoint(visit: Visit, root: Path) -> None:  # noqa: F811
    page = visit("run")
    done(page)
    give(page, ("me.png", picture()))
    done(page, re.compile("^me"))
    tab(page, "runs")
    expect_count(page, ".checkpoints img", 3)
    expect_count(page, "#panel .chart", 2)
    page.wait_for_selector(".previews img")
    sources = set(page.locator(".checkpoints img").evaluate_all("(all) => all.map((each) => each.src)"))
    assert len(sources) == 3
    page.locator(".checkpoints .face").first.click()
    page.wait_for_selector("text=Exploring the checkpoint after 160 images")
    comes(page, wanted(root / "run/checkpoints/000000160", picture(), "b"))
    give(page, ("other.png", picture(seed=8)))
    done(page, re.compile("^other"))
    tab(page, "runs")
    page.click("text=Back to the model opened")
    page.wait_for_selector("text=raining")
    comes(page, wanted(root / "run", picture(seed=8), "b"))


@pytest.mark.parametrize(("locale", "words"), [("en-GB", "The picture cannot be used"), ("zh-CN", "无法使用此图片")])
def test_a_refusal_is_a_sentence_on_the_page(browser: Any, addresses: dict[str, str], locale: str, words: str) -> None:
    context = browser.new_context(locale=locale)  # whose console may say that a request was refused
    page = context.new_page()
    page.goto(addresses["alone"])
    page.wait_for_selector("#stage.ready")
    give(page, ("good.png", picture()), ("bad.png", b"no picture"), ("fine.png", picture(seed=2)))
    expect_count(page, ".own a", 2)
    assert words in page.inner_text(".own .failed")
    page.locator(".own .face").nth(1).click()
    done(page, re.compile(words))
    give(page, ("long.png", picture(20_000, 1)))
    done(page, re.compile("simulacra translate"))
    give(page, ("good.png", picture()))
    done(page, re.compile("^good"))
    context.close()


def test_both_languages(visit: Visit) -> None:  # noqa: F811
    page = visit("run")
    done(page)
    assert page.inner_text("#tab-translate") == "Translate" and page.inner_text("#turn") == "Other direction"
    page.click("#language")
    playwright.expect(page.locator("#tab-translate")).to_have_text("翻译")
    assert page.inner_text("#turn") == "反方向"
    done(page, re.compile("像素"))
    english = re.sub(r"ones|others|simulacra translate runs/run IN OUT --to b|png", "", page.inner_text("main"))
    assert not re.search("[a-z]{3}", english), english
    assert "没有示例" in visit("alone", locale="zh-CN").inner_text("#panel")


def test_by_keyboard_alone(visit: Visit) -> None:  # noqa: F811
    page = visit("run")
    done(page)
    for number, name in enumerate(("translate", "runs", *OFF), 1):
        page.keyboard.press(str(number))
        page.wait_for_selector(f"#panel.{name}")
    page.keyboard.press("ArrowRight")  # round to the first
    page.wait_for_selector("#panel.translate")
    page.keyboard.press("b")
    playwright.expect(page.locator("#back")).to_have_attribute("aria-pressed", "true")
    done(page)
    page.keyboard.press("w")
    done(page, re.compile("^ones-0-others"))
    page.keyboard.press("z")  # nothing is undone here
    page.focus("input[value=a]")
    page.keyboard.press("ArrowUp")
    playwright.expect(page.locator("input[value=b]")).to_be_checked()
    page.keyboard.press("Shift+?")
    assert "Move the focused divider" in page.inner_text("dialog[open]")
    page.keyboard.press("Escape")
    for letter in "zryl":
        page.keyboard.press(letter)
    assert page.evaluate("location.hash") == ""


def test_a_phone_is_wide_enough(visit: Visit) -> None:  # noqa: F811
    page = visit("run", viewport={"width": 375, "height": 760}, has_touch=True)
    done(page)
    give(page, *((f"a rather long name of a picture {i}.png", picture(300, 40, i)) for i in range(3)))
    expect_count(page, ".own a", 3)
    for tab_name in ("translate", "runs", "mix"):
        tab(page, tab_name)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab_name
    box = page.locator(".compare").bounding_box()
    assert box["width"] <= 375 and abs(box["width"] / box["height"] - 120 / 16) < 0.5


@pytest.mark.parametrize(
    ("name", "scheme", "locale"), [("run", "light", "en-GB"), ("run", "dark", "zh-CN"), ("alone", "light", "en-GB")]
)
def test_axe_finds_no_violation(visit: Visit, name: str, scheme: str, locale: str) -> None:  # noqa: F811
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-core: pip install simulacra[dev]"
    ).Axe()
    page = visit(name, color_scheme=scheme, locale=locale, reduced_motion="reduce")
    result = axe.run(page)
    assert not result.violations_count, result.generate_report()
    give(page, ("me.png", picture()), ("you.png", picture(seed=3)))
    expect_count(page, ".own a", 2)
    page.click("#back")
    done(page)
    for tab_name in ("translate", "runs", "walk"):
        tab(page, tab_name)
        page.wait_for_load_state("networkidle")
        result = axe.run(page)
        assert not result.violations_count, f"{tab_name}: {result.generate_report()}"
    page.click("#keys")
    assert not axe.run(page).violations_count


@pytest.mark.parametrize("name", ["run", "plain"])
def test_the_page_is_small_before_its_first_picture(browser: Any, addresses: dict[str, str], name: str) -> None:
    context = browser.new_context(locale="zh-CN")
    page, sizes = context.new_page(), list[int]()
    page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", 0)))
            if "/static/" in answer.url or "/messages/" in answer.url or answer.url == addresses[name] else None)  # fmt: skip
    page.goto(addresses[name])
    page.wait_for_selector("#stage.ready")
    assert 40_000 < sum(sizes) < 150_000
    context.close()
