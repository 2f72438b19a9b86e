"""The page of an exhibit in a real browser: opened as a file, without a network, it draws what torch draws."""

from __future__ import annotations

import base64
import importlib.util
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import exploring
import numpy as np
import pytest
import torch
from PIL import Image
from test_explore_page import CHROMIUM, DROP, FAKES, PIXELS

from simulacra.data.portraits import peeps
from simulacra.interpolation import interpolate_z
from simulacra.latent.recipe import Direction, from_json, to_w
from simulacra.latent.saved import directions_by_name, save_directions
from simulacra.provenance import read_provenance
from simulacra.publish.exhibit.assembling import OWN
from simulacra.publish.exhibit.writing import write_html
from simulacra.registry import configured
from simulacra.sampling import draw
from simulacra.storage import fingerprint, load_generator, save_model

playwright: Any = importlib.import_module("playwright.sync_api") if importlib.util.find_spec("playwright") else None
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(playwright is None, reason="no playwright: pip install 'simulacra[dev]'"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH: apt install chromium"),
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("onnx", "onnxruntime", "onnxscript"))),
        reason="needs the extra: pip install 'simulacra[onnx]'",
    ),
]

HOSTILE = "</script><script>window.owned = 1</script><img src=x onerror='window.owned = 1'>"
MODELS = ("peeps", "styled", "uniform", '"><img src=x onerror=alert(1)>')
TABS = ("gallery", "directions", "mix", "walk", "live", "numbers", "nearest", "certificate")
STARTS: list[dict[str, Any]] = [
    {"seed": 0}, {"seed": 4294967295}, {"seed": "my cat"}, {"seed": 5, "truncation": 0.5}, {"seed": 6, "numbers": {"3": 0.9}},
]  # fmt: skip
RECIPES: dict[str, list[dict[str, Any]]] = {
    "peeps": [*STARTS, {"seed": 3, "edits": {"glasses": {"strength": 2}}}],
    "styled": [
        *STARTS,
        {"seed": 3, "edits": {HOSTILE: {"strength": 2}}},
        {"seed": 3, "edits": {"wide": 1.5}, "layer_truncation": {"0-1": 0.4}},
        {"seed": 3, "other": {"seed": 4}, "layers": [0, 2]},
        {"w": [[0.1] * 8]},
    ],
    "uniform": [*STARTS, {"z": [0.5, -0.5] * 10}],
    MODELS[3]: [*STARTS, {"seed": 1, "label": HOSTILE}, {"seed": 2, "label": "hair: red=0.5"}, {"w": [[0.3] * 8], "label": "hair: brown"}],
}  # fmt: skip
Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, and the exhibit of each as NUMBER.html. One has names that would be scripts."""
    folder = tmp_path_factory.mktemp("exhibits")
    exploring.model(folder / "styled", "stylegan2:tiny")
    vectors = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    wide, some = (Direction(name=name, vector=v, kind="own", own=True) for name, v in zip(("wide", HOSTILE), vectors, strict=True))  # fmt: skip
    save_directions([wide, some], folder / "styled")
    gan, config = configured("mlp:tiny", (1, 12, 16), {"z": 20, "prior": "uniform"})
    built = gan(config)
    save_model(built.G, folder / "uniform", gan=built.name, config=config, about={})
    exploring.model(folder / MODELS[3], "dcgan:tiny+attributes")
    path = folder / MODELS[3] / "config.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"classes": [HOSTILE, "hair: red", "hair: brown"]}))
    for number, name in enumerate(MODELS):
        where = name if name == "peeps" else str(folder / name)
        write_html(load_generator(where), where, folder / f"{number}.html", nearest=name == "peeps")
    return folder


@pytest.fixture
def visit(browser: Any, root: Path) -> Iterator[Visit]:
    """Open an exhibit without a network. It asks for nothing but itself, and the console stays silent."""
    contexts: list[Any] = []
    faults: list[str] = []
    requests: list[str] = []

    def opened(name: str = "peeps", **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1100, "height": 800}, "locale": "en-GB"} | options)
        contexts.append(context)
        context.set_offline(True)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((root / f"{MODELS.index(name)}.html").as_uri())
        page.wait_for_selector("#stage.ready")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults
    assert all(url.startswith(("file:", "blob:", "data:")) for url in requests)


def settled(page: Any) -> str:
    """The pixels of the stage, once nothing is drawn any more."""
    page.wait_for_selector("#stage[aria-busy=false]")
    pixels: str = page.evaluate(PIXELS)
    return pixels


def show(page: Any, recipe: dict[str, Any]) -> np.ndarray:
    """Open a picture by its link: [H, W, 4]."""
    link = base64.urlsafe_b64encode(json.dumps({"recipe": recipe}).encode()).decode().rstrip("=")
    page.evaluate("() => document.getElementById('picture').removeAttribute('data-painted')")
    page.evaluate(
        "(link) => { const picture = document.getElementById('picture');"
        " picture.addEventListener('painted', () => picture.setAttribute('data-painted', ''), { once: true });"
        " location.hash = link; }",
        link,
    )
    page.wait_for_selector("#picture[data-painted]")
    width, height = page.evaluate("['width', 'height'].map((side) => document.getElementById('picture')[side])")
    return np.fromstring(page.evaluate(PIXELS), dtype=int, sep=",").reshape(height, width, 4)


def by_torch(where: str, recipe: dict[str, Any]) -> np.ndarray:
    """The same picture by torch: [H, W, C] from 0 to 255."""
    generator = load_generator(where)
    read = from_json(recipe)
    with torch.no_grad():
        picture = draw(generator, [read], to_w(generator, read, directions_by_name(where)))[0]
    pixels: np.ndarray = (picture.clamp(-1, 1) * 127.5 + 127.5).permute(1, 2, 0).numpy()
    return pixels


@pytest.mark.parametrize("name", MODELS)
def test_a_recipe_means_the_picture_that_torch_draws(visit: Visit, root: Path, name: str) -> None:
    page, where = visit(name), name if name == "peeps" else str(root / name)
    pictures = []
    for recipe in RECIPES[name]:
        pictures.append(show(page, recipe))
        expected = by_torch(where, recipe)
        assert np.abs(pictures[-1][..., : expected.shape[2]] - expected).max() <= 2, recipe
    assert all(np.abs(a - b).max() > 8 for a, b in itertools.pairwise(pictures))  # they do differ
    assert page.evaluate("window.owned") is None


def test_a_worker_draws_or_the_page_itself(blank: Any, root: Path) -> None:
    for refuse in (False, True):
        if refuse:
            blank.add_init_script("delete window.Worker")
        blank.goto((root / "1.html").as_uri())
        blank.wait_for_selector("#stage.ready")
        assert len(blank.workers) == (not refuse)
        picture, expected = show(blank, {"seed": 3})[..., :3], by_torch(str(root / "styled"), {"seed": 3})
        assert np.abs(picture - expected).max() <= 2


def test_the_page_is_small_and_says_what_it_is_made_of(visit: Visit, root: Path) -> None:
    assert (root / "0.html").stat().st_size < 25_000_000
    page = visit()
    assert page.title() == "peeps · simulacra"
    assert page.locator("#tabs button").all_inner_texts() == [
        "Gallery", "Directions", "Mix", "Walk", "Live", "All numbers", "Nearest", "Certificate"
    ]  # fmt: skip
    playwright.expect(page.locator(".wall canvas").nth(23)).to_be_visible()
    page.click("#tab-certificate")
    text = page.inner_text("#panel")
    assert "Made from 2,400 pictures of peeps" in text and "and from nothing else" in text
    assert peeps().hash in text and "no scores of its own" in text
    page.click("#tab-nearest")
    playwright.expect(page.locator("#panel canvas")).to_have_count(6)
    reals = peeps().split("train").images.astype(float)
    small = reals.reshape(-1, 16, 4, 16, 4, 3).mean((2, 4))
    for seed in (1, 2):
        shown = show(page, {"seed": seed})[..., :3].astype(float).reshape(16, 4, 16, 4, 3).mean((1, 3))
        distances = np.sqrt(((small - shown) ** 2).mean((1, 2, 3)))
        nearest = distances.min()
        first = page.locator("#panel li").first
        playwright.expect(first).to_have_attribute("data-number", str(distances.argmin()))
        assert float(first.inner_text()) == pytest.approx(nearest, abs=0.2)  # one is rounded to whole levels


def test_names_and_labels_are_texts(visit: Visit) -> None:
    page = visit(MODELS[3])
    assert page.inner_text("#name") == MODELS[3]
    page.click("#start summary")
    assert HOSTILE in page.inner_text("#start")
    page = visit("styled")
    page.click("#tab-directions")
    playwright.expect(page.locator(".sliders")).to_contain_text(HOSTILE)
    page.locator(".sliders input[type=range]").nth(1).fill("2")
    settled(page)
    assert page.evaluate("window.owned") is None and not page.locator("img[src=x]").count()


def test_a_saved_picture_carries_its_recipe_and_comes_back(visit: Visit, root: Path, tmp_path: Path) -> None:
    page = visit("styled")
    recipe = {"seed": "für dich", "edits": {HOSTILE: {"strength": 1}}}
    shown = show(page, recipe)
    page.select_option("#side", "16")
    with page.expect_download() as download:
        page.click("#save")
    path = tmp_path / "saved.png"
    download.value.save_as(path)
    assert read_provenance(path) == {"model": fingerprint(root / "styled"), "recipe": recipe}
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image.convert("RGBA")), shown)
    show(page, {"seed": 1})
    page.evaluate(DROP, ["saved.png", base64.b64encode(path.read_bytes()).decode()])
    playwright.expect(page.locator("#seed")).to_have_value("für dich")
    assert settled(page) == ",".join(map(str, shown.ravel()))
    page.evaluate(DROP, ["other.png", base64.b64encode(b"no picture").decode()])
    playwright.expect(page.locator("#toast")).to_contain_text("no recipe")


def test_stars_stay_after_a_reload_and_are_walked_through(visit: Visit) -> None:
    page = visit("uniform")
    for _ in range(2):
        page.click("#random")
        settled(page)
        page.click("#star")
    page.reload()
    page.wait_for_selector("#stage.ready")
    playwright.expect(page.locator("#view-stars")).to_have_text("Starred (2)")
    page.click("#view-stars")
    page.click("text=Film through them")
    playwright.expect(page.locator("#panel.walk canvas")).to_have_count(2)
    before = page.evaluate(PIXELS)
    page.click("#panel .primary")
    page.wait_for_timeout(500)
    assert page.evaluate(PIXELS) != before
    page.click("#panel .primary")
    assert settled(page) != before
    page.keyboard.press("z")
    assert settled(page) == before


def test_a_knob_and_the_microphone_play_the_picture(visit: Visit) -> None:
    page = visit("styled")
    page.evaluate(FAKES)
    page.click("#tab-live")
    page.get_by_label("Wander").select_option("no")
    page.click("text=MIDI")
    page.click("text=Add a connection")
    page.evaluate("turn(7, 0)")
    playwright.expect(page.get_by_label("What moves it")).to_have_value("knob 7")
    still = settled(page)
    page.click("#panel .primary")
    page.evaluate("turn(7, 127)")
    playwright.expect(page.locator("#picture")).to_have_attribute("aria-label", re.compile("1.33"))
    assert settled(page) != still
    page.click("text=Microphone")
    page.get_by_label("What moves it").select_option("level")
    playwright.expect(page.locator("#picture")).not_to_have_attribute("aria-label", re.compile("1.33"))
    page.click("#panel .primary")


def test_keys_and_links_work(visit: Visit) -> None:
    page = visit("styled")
    page.keyboard.press("r")
    pixels, address = settled(page), page.url
    page.keyboard.press("r")
    assert settled(page) != pixels
    page.goto(address)
    page.reload()
    page.wait_for_selector("#stage.ready")
    assert settled(page) == pixels
    page.keyboard.press("8")
    assert page.get_attribute("#tab-certificate", "aria-selected") == "true"
    page.keyboard.press("7")
    assert "no training pictures" in page.inner_text("#panel.nearest")


def test_parents_are_mixed_and_bred(visit: Visit) -> None:
    page = visit("styled")
    page.click("#tab-mix")
    playwright.expect(page.locator(".litter canvas")).to_have_count(12)
    playwright.expect(page.locator(".matrix canvas")).to_have_count(12)
    before = settled(page)
    page.locator(".litter button").nth(3).click()
    assert settled(page) != before


@pytest.mark.parametrize(("width", "scheme", "locale"), [(375, "dark", "zh-CN"), (1100, "light", "en-GB")])
def test_small_screens_dark_and_both_languages(visit: Visit, width: int, scheme: str, locale: str) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-core: pip install simulacra[dev]"
    ).Axe()
    page = visit(viewport={"width": width, "height": 800}, color_scheme=scheme, locale=locale, reduced_motion="reduce")
    for tab in TABS:
        page.click(f"#tab-{tab}")
        page.wait_for_selector(f"#panel.{tab}")
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
        result = axe.run(page)
        assert not result.violations_count, f"{tab}: {result.generate_report()}"
    claim = page.inner_text(".claim")
    page.click("#language")
    playwright.expect(page.locator(".claim")).not_to_have_text(claim)
    assert page.get_attribute("html", "lang") == ("en" if locale == "zh-CN" else "zh-Hans")


def module(page: Any, name: str, expression: str) -> Any:
    """Evaluate an expression of the exports `m` of one of the exhibit's modules."""
    source = (OWN / name).read_text().replace('import { PageError } from "./messages.js";', "")
    data = base64.b64encode(source.encode()).decode()
    return page.evaluate(
        f"async () => {{ const m = await import('data:text/javascript;base64,{data}'); return {expression}; }}"
    )


@pytest.fixture
def blank(browser: Any) -> Iterator[Any]:
    """An empty page."""
    page = browser.new_page()
    yield page
    page.close()


def test_the_policy_forbids_the_network_and_other_scripts(blank: Any, root: Path) -> None:
    blank.goto((root / "1.html").as_uri())
    blank.wait_for_selector("#stage.ready")
    policy = blank.get_attribute("meta[http-equiv=Content-Security-Policy]", "content")
    assert policy.startswith("default-src 'none'") and "connect-src" not in policy and "unsafe-inline" not in policy
    blank.evaluate(
        "window.blocked = []; addEventListener('securitypolicyviolation', (event) => blocked.push(event.effectiveDirective))"
    )
    blank.evaluate("fetch('https://example.com/').catch(() => null)")
    blank.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), { text: 'window.owned = 1' }))"
    )
    assert blank.evaluate("window.owned") is None
    assert blank.evaluate("blocked") == ["connect-src", "script-src-elem"]


def test_random_numbers_are_those_of_torch_and_numpy(blank: Any) -> None:
    for seed in (0, 7, 2**32 - 1, 2**40 + 3):
        for n in (1, 8, 15, 16, 17, 100, 512, 700):
            words = f"{{ low: {seed % 2**32}, high: {seed >> 32} }}"
            source = torch.Generator().manual_seed(seed)
            assert np.allclose(
                module(blank, "random.js", f"Array.from(m.normal({words}, {n}))"),
                torch.randn(n, generator=source).numpy(),
                rtol=0,
                atol=1e-5,
            ), (seed, n)
        source = torch.Generator().manual_seed(seed)
        numbers = module(blank, "random.js", f"Array.from(m.uniform({words}, 700))")
        assert np.array_equal(np.float32(numbers), torch.rand(700, generator=source).numpy())
        row = module(blank, "random.js", f"m.integer({words}, 7, 10)")
        assert row == np.random.default_rng([seed, 7]).integers(1024)


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_arcs_are_those_of_python(blank: Any, prior: str) -> None:
    a, b = torch.rand(2, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1
    pairs = [(a, b), (a, -a), (a, torch.zeros(24)), (torch.full((24,), 1.0), b)]
    for one, other in pairs:
        for t in (0.0, 0.3, 1.0, 1.4):
            expected = interpolate_z(one[None], other[None], torch.tensor([t]), prior=prior)[0]
            words = f"{one.tolist()}, {other.tolist()}, {t}, '{prior}'"
            assert np.allclose(module(blank, "arcs.js", f"m.interpolateZ({words})"), expected, atol=1e-5), (prior, t)
