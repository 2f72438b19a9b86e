"""The report: one file without network requests, in two languages, that names what a run lacks."""

from __future__ import annotations

import json
import os
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from reporting import HOSTILE, KID, SECTIONS, Page, score, scored, write_certificate
from support import noise, on_disk, refused

from simulacra import messages
from simulacra.data.dataset import content_hash
from simulacra.errors import SimulacraError
from simulacra.publish.report import LIMIT, report
from simulacra.publish.report.page import MARK
from simulacra.publish.report.run_contents import read_contents
from simulacra.publish.report.tables import settings
from simulacra.publish.report.verdict import assess_checkpoint
from simulacra.storage import checkpoints
from simulacra.training.options import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps on a data set with a hostile name; never scored."""
    folder = tmp_path_factory.mktemp("report")
    data = on_disk(folder / "data", noise(24))
    record = json.loads((data / "data.json").read_text())
    (data / "data.json").write_text(json.dumps(record | {"name": HOSTILE}))
    Image.fromarray(noise(1, (3, 300, 500))[0]).save(data / "sheet.png")
    options: dict[str, Any] = {"total": 48, "every": 8, "save_every": 16, "settings": {"batch": 8, "lr": 3e-4}}
    return train(data, run=folder / "run", gan="mlp:tiny", quiet=True, **options)


@pytest.fixture(scope="module")
def plain(trained: Path) -> Page:
    """Its report."""
    return Page(report(trained))


@pytest.fixture
def bare(trained: Path, tmp_path: Path) -> Path:
    """A copy of it to be changed."""
    return Path(shutil.copytree(trained, tmp_path / "a run & <b>"))


@pytest.fixture(scope="module")
def full(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it with everything a run can have; the best checkpoint is not the last."""
    run = Path(shutil.copytree(trained, tmp_path_factory.mktemp("full") / "run"))
    scored(run)
    return run


@pytest.fixture(scope="module")
def page(full: Path) -> Page:
    return Page(report(full))


def test_the_page_asks_nothing_of_any_network(page: Page) -> None:
    assert not page.open
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base", "form", "video"}
    for _, attributes in page.tags:
        for name in ("src", "srcset", "href", "xlink:href", "poster", "action", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:image/webp;base64,"))
        assert not any(name.startswith("on") for name in attributes)
    assert all(inside.startswith("#") for inside in re.findall(r"url\(['\"]?([^)]*)", page.source))
    assert "@import" not in page.source
    policy = next(element["content"] for element in page.all("meta") if "http-equiv" in element)
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_a_full_run_has_all_of_it(page: Page, full: Path) -> None:
    assert [element["id"] for element in page.all("section")] == SECTIONS
    assert {element["href"] for element in page.all("a")} == {f"#{name}" for name in SECTIONS[1:]}
    assert len(page.source.encode()) == (full / "report.html").stat().st_size < LIMIT
    best = checkpoints(full)[-2]
    for words in (
        f"Of {len(checkpoints(full))} checkpoints, the one after {int(best.name)} images is the best.",
        "The kernel distance between its pictures and the real ones is 0.213 (0.203 to 0.223); lower is better.",
        "Between two halves of the real pictures, 12 each, it is 0.004.",
        "By the kernel distance of 40 pictures each, which decided the choice, it scores 0.210 and the last checkpoint "
        "0.320: the difference is more than chance.",
        "No sign of copying: 0 of 60.",
        "collapsed from 24 to 32 images; unheard of since 48 images; went back to an earlier checkpoint once",
        "diverged",
    ):
        assert words in page.text
    assert "missing" not in "".join(attributes.get("class", "") for attributes in page.all("p"))
    assert "untranslated" not in page.source
    for title in ("loss", "mean output of D", "accuracy", "steps per 1,000 images", "images per second", KID):
        assert re.search(rf"<figcaption>{re.escape(title)}[\s<]", page.source), title
    assert '"format": "simulacra-certificate-1"' in page.text


def test_names_cannot_break_out_of_the_text(page: Page) -> None:
    assert HOSTILE in page.text
    assert "<script" not in page.source and "{{ 7*7 }}" in page.source
    assert page.source.count("alert(1)") > 5


def test_pictures_have_words_and_headings_descend(page: Page) -> None:
    pictures = page.all("img")
    assert len(pictures) > 20
    assert all(image["alt"] and int(image["width"]) and int(image["height"]) for image in pictures)
    plots = page.all("svg")
    assert len(plots) > 8 and all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert len(page.all("table")) == len(page.all("caption"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_drawings_take_their_colours_from_the_page(page: Page) -> None:
    for svg in re.findall(r"<svg.*?</svg>", page.source, re.DOTALL):
        root = ElementTree.fromstring(svg)
        assert "currentColor" in svg and "var(--c0)" in svg
        assert not re.search("#0102", svg)
        assert not re.findall(r"(?:fill|stroke): #\w+", svg)
        ids = {element.get("id") for element in root.iter()}
        assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg)) <= ids


def test_a_bare_run_says_what_makes_the_rest(plain: Page, trained: Path) -> None:
    assert [element["id"] for element in plain.all("section")] == SECTIONS
    for verb in ("choose", "evaluate"):
        assert f"simulacra {verb} {trained}" in plain.text
    last = checkpoints(trained)[-1]
    words = f"The checkpoints have not been compared; this report shows the last one, after {int(last.name)} images."
    assert words in plain.text
    assert "No checkpoint of this run was scored." in plain.text


def test_a_chinese_report_has_no_english_sentence(full: Path, page: Page, tmp_path: Path) -> None:
    chinese = Page(report(full, tmp_path / "zh.html", language="zh"))
    assert chinese.all("html") == [{"lang": "zh-CN"}] and page.all("html") == [{"lang": "en"}]
    assert [tag for tag, _ in chinese.tags] == [tag for tag, _ in page.tags]
    assert HOSTILE in chinese.text and "<script" not in chinese.source
    texts = messages.catalogue("en")
    for code, entry in texts.items():
        if code.startswith("report.") and isinstance(entry, str) and entry.endswith(".") and "{" not in entry:
            assert entry not in chinese.text, code
    for alt in (attributes["alt"] for attributes in chinese.all("img")):
        assert re.search("[\u4e00-\u9fff]", alt), alt
    labels = [attributes["aria-label"] for attributes in chinese.all("svg")]
    assert sum(bool(re.search("[\u4e00-\u9fff]", label)) for label in labels) >= len(labels) - 5, "names of scores stay"
    with messages.using("zh"):
        assert report(full, tmp_path / "again.html").read_text() == chinese.source
    with pytest.raises(SimulacraError) as caught:
        report(full, tmp_path / "fr.html", language="fr")
    assert caught.value.code == "report.no_such_language"


def test_a_lost_data_set_and_a_checkpoint_of_the_future_are_said(bare: Path, tmp_path: Path) -> None:
    config = json.loads((bare / "config.json").read_text())
    config["data"]["source"] = str(on_disk(tmp_path / "other", noise(24, seed=7)))
    (bare / "config.json").write_text(json.dumps(config))
    assert read_contents(bare).missing["data"].sentence.code == "report.data_changed"
    config["data"]["source"] = "/nowhere/secret"
    (bare / "config.json").write_text(json.dumps(config))
    path = checkpoints(bare)[-1] / "config.json"
    model = json.loads(path.read_text())
    path.write_text(json.dumps(model | {"config": model["config"] | {"of_the_future": 1}}))
    page = Page(report(bare))
    assert "is no longer where it was" in page.text and "/nowhere" not in page.source
    assert f"simulacra report '{bare}'" in page.text
    assert "This version of simulacra cannot load the checkpoint" in page.text
    assert "Fake: the last preview of the run." in page.text
    assert "Real: training pictures saved with the run." in page.text


def test_a_certificate_of_another_checkpoint_is_no_verdict(bare: Path) -> None:
    write_certificate(bare, checkpoints(bare)[0])
    page = Page(report(bare))
    assert "This certificate is of another checkpoint" in page.text
    assert "0.213" not in page.text.partition("Real beside fake")[0]
    assert "nearest real" in page.text  # its model is still there to be drawn
    write_certificate(bare, checkpoints(bare)[0], model={"hash": "0" * 16, "nimg": 16, "gan": "mlp"})
    assert read_contents(bare).certified_generator() is None


def test_a_difference_that_may_be_chance_is_called_so(full: Path) -> None:
    run = read_contents(full)
    assert run.best is not None
    for gap, words in (
        (score(-0.11, 0.2), "the difference may be chance"),
        (score(-0.11, 0.02), "the difference is more than chance"),
        (score(0.11, 0.02), "the last one is better"),
        (score(0.11, 0.2), "the difference may be chance"),
    ):
        run.best["anew"]["difference"] = gap
        assert words in assess_checkpoint(run, []).sentences[-1]
    run.certificate = None
    assessment = assess_checkpoint(run, [])
    assert [name for name, _ in assessment.rows] == ["best, at 32", "last, at 48"]
    assert "The last checkpoint scores <strong>0.320</strong>" in assessment.sentences[-1]


@pytest.mark.parametrize("metric", ["swd-pyramid", "swd-pyramid:mean"])
def test_the_second_judge_has_a_sentence_in_words(full: Path, metric: str) -> None:
    run = read_contents(full)
    assert run.best is not None
    assert "second judge" not in " ".join(assess_checkpoint(run, []).sentences), "scores of an earlier version"
    same = {"nimg": run.best["nimg"], "by": metric, **score(2.0)}
    for second, words in (
        (same, "would choose the same checkpoint"),
        (same | {"nimg": 12345}, "would choose the checkpoint after <strong>12,345</strong> images"),
    ):
        run.best["second"] = second
        sentence = assess_checkpoint(run, []).sentences[-1]
        assert words in sentence and "the sliced Wasserstein distance between" in sentence


def test_the_leading_score_is_drawn_first_and_named_in_words(bare: Path) -> None:
    """Scores of this version: the Fréchet distance leads; scores of earlier ones are in the other tests."""
    scored(bare)
    for path in (bare / "scores.jsonl", bare / "best.json", bare / "certificate.json"):
        text = path.read_text().replace("precision-efl0-112", "swd-pyramid").replace("fd-efl0-112", "kid-efl0d-1280")
        path.write_text(text.replace(KID, "fd-efl0d-112"))
    page = Page(report(bare))
    assert "The Fréchet distance between its pictures and the real ones is 0.213" in page.text
    captions = re.findall(r"<figcaption>(\S+)</figcaption>", page.source)
    assert captions[0] == "fd-efl0d-112" and "swd-pyramid" in captions


def test_what_is_no_run_is_a_sentence(bare: Path, tmp_path: Path) -> None:
    for path, code in (
        (tmp_path / "nothing", "run_does_not_exist"),
        (tmp_path, "not_a_run"),
        (checkpoints(bare)[0], "not_a_run"),
    ):
        with pytest.raises(SimulacraError) as caught:
            report(path)
        assert caught.value.code == f"report.{code}" and str(path) in str(caught.value)
    shutil.rmtree(bare / "checkpoints")
    with refused("storage.no_checkpoint"):
        report(bare)


def test_only_reports_are_replaced(full: Path, page: Page, tmp_path: Path) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("<p>years of work</p>")
    with pytest.raises(SimulacraError) as caught:
        report(full, mine)
    assert caught.value.code == "report.out_is_other_file"
    assert mine.read_text() == "<p>years of work</p>"
    with pytest.raises(SimulacraError) as caught:
        report(full, tmp_path)
    assert caught.value.code == "report.out_is_folder"
    mine.write_text(f"<!doctype html>{MARK} an older one")
    assert report(full, mine) == mine
    assert mine.read_text() == page.source  # and the same run gives the same bytes


def test_pictures_by_label_of_a_model_that_takes_them(plain: Page, tmp_path: Path) -> None:
    images, labels, classes = noise(24), np.arange(24) % 12, (HOSTILE, *map(str, range(11)))
    data = on_disk(tmp_path / "data", images, labels)
    record = json.loads((data / "data.json").read_text())
    record |= {"classes": classes, "hash": content_hash(images, labels, classes)}
    (data / "data.json").write_text(json.dumps(record))
    options: dict[str, Any] = {"total": 16, "settings": {"batch": 8, "conditional": True}}
    page = Page(report(train(data, run=tmp_path / "run", gan="dcgan:tiny", quiet=True, **options)))
    assert "By label" in page.text and "first of 12 labels" in page.text and HOSTILE in page.text
    assert page.source.count("8 generated pictures") == 10
    assert "By label" not in plain.text


def test_the_worst_run_fits(tmp_path: Path) -> None:
    """Pictures of noise, 256 px: nothing is harder to make small."""
    data = on_disk(tmp_path / "data", noise(16, (3, 256, 256)))
    options: dict[str, Any] = {"total": 4, "settings": {"batch": 2, "hidden": "4,4"}}
    run = train(data, run=tmp_path / "run", gan="mlp", quiet=True, **options)
    previews = run / "previews"
    for path in previews.glob("0*.png"):
        path.unlink()
    random = np.random.default_rng(0)
    for i in range(3):
        pixels = random.integers(0, 256, (1024, 1024, 3), np.uint8)
        Image.fromarray(pixels).save(previews / f"{i + 1:09d}.png", compress_level=0)
    for i in range(3, 36):
        os.link(previews / f"{i % 3 + 1:09d}.png", previews / f"{i + 1:09d}.png")
    page = Page(report(run))
    assert LIMIT / 3 < len(page.source.encode()) <= LIMIT
    assert re.search(r"(\d+ of the run's 36 previews|Every preview), always the same seeds\. Reduced", page.text)


def test_the_film_gives_way_then_quality_then_it_is_an_error(plain: Page, bare: Path) -> None:
    whole = len(plain.source.encode())
    text = len(re.sub(r"data:image/webp[^\"]*", "", plain.source).encode())
    small = report(bare, limit=(whole + text) // 2)
    assert len(small.read_bytes()) <= (whole + text) // 2
    assert "Real beside fake" in Page(small).text
    with pytest.raises(SimulacraError) as caught:
        report(bare, limit=text // 2)
    assert caught.value.code == "report.too_large"


def test_settings_that_differ_are_marked(trained: Path) -> None:
    run = read_contents(trained)
    groups = settings(run.config, run.gan)
    rows = {row.name: row for group in groups.values() for row in group}
    assert (rows["lr"].value, rows["lr"].default, rows["lr"].changed) == ("0.0003", "0.0002", True)
    assert not rows["dropout"].changed and "shape" not in rows
    assert rows.keys() >= run.config["config"].keys() - {"shape"} | {"seed", "precision", "version of torch"}
