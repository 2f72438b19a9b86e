"""The registry of metrics: every entry keeps what it says of itself, and other packages add to it."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from measuring import blobs
from support import on_disk

from simulacra import messages
from simulacra.cli import judge
from simulacra.errors import SimulacraError
from simulacra.measure import metrics as registry
from simulacra.measure.compare import compare
from simulacra.measure.distances import Floats
from simulacra.measure.evaluate import evaluate
from simulacra.measure.intervals import Resampled, floor
from simulacra.measure.metrics import (
    TASKS,
    Better,
    Metric,
    by_name,
    feature_metrics,
    find,
    metrics,
    of_score,
    register,
    words,
)
from simulacra.measure.printing import print_certificate
from simulacra.model import Task
from simulacra.training.options import train

OF_FEATURES = [metric.name for metric in feature_metrics("draw")]


pytestmark = pytest.mark.usefixtures("coarse_extractor")


def features(n: int, seed: int, *, shift: float = 0.0, scale: float = 1.0) -> Floats:
    """A Gaussian set [n, 6]."""
    return np.random.default_rng(seed).normal(size=(n, 6)) * scale + shift


def value(metric: Metric, real: Floats, fake: Floats) -> Resampled:
    return metric.resampled(real, fake)[metric.name]


# --- every entry --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_FEATURES)
def test_one_source_scores_at_the_floor(name: str) -> None:
    metric = by_name(name)
    assert metric.score is not None
    real, fake = features(400, 0), features(400, 1)
    least = floor(metric.score, real)
    assert least is not None
    far = value(metric, real, features(400, 1, shift=2.0, scale=0.3)).value
    assert abs(value(metric, real, fake).value - least.value) < 0.2 * abs(far - least.value)
    assert value(metric, real, fake).value == pytest.approx(metric.score(real, fake)), "both ways to compute it agree"


@pytest.mark.parametrize("name", OF_FEATURES)
def test_worse_fakes_score_worse_in_the_stated_direction(name: str) -> None:
    metric = by_name(name)
    real = features(300, 0)
    worse: dict[str, dict[str, float]] = {"recall": {"scale": 0.2}, "diversity": {"scale": 0.2}}
    good, bad = (value(metric, real, features(300, 1, **shape)) for shape in ({}, worse.get(name, {"shift": 1.5})))
    gap = bad.minus(good).interval()
    assert gap.low > 0 if metric.better == "lower" else gap.high < 0
    if metric.better == "near 1":
        assert good.value == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_an_interval_holds_its_value(name: str) -> None:
    for shift in (0.0, 0.5, 3.0):
        interval = value(by_name(name), features(60, 0), features(50, 1, shift=shift)).interval()
        assert interval.low <= interval.value <= interval.high


@pytest.mark.parametrize("metric", metrics(), ids=lambda metric: metric.name)
def test_every_entry_says_what_it_is(metric: Metric) -> None:
    assert (metric.score is None) != (metric.compute is None)
    assert metric.better in get_args(Better) and set(metric.tasks) <= set(TASKS) and metric.tasks
    for language in messages.LANGUAGES:
        assert len(messages.catalogue(language)[metric.what]) > 5
    assert of_score(f"{metric.name}-efl0-1280") == metric
    assert metric in find([metric.option], metric.tasks[0])


def test_a_score_s_name_leads_to_its_metric() -> None:
    names = {"kid-efl0-1280:mean": "kid", "cycle-l1-disturbed:a2b": "cycle-l1-disturbed", "cycle-l1:a2b": "cycle-l1"}
    names |= {
        "within-kid-efl0-1280": "within",
        "pair-l1-ratio:b2a": "pair-l1-ratio",
        "fd-efl0-112-untranslated:a2b": "fd",
    }
    for score, metric in names.items():
        assert of_score(score) == by_name(metric)
    assert of_score("unheard-of") is None


def test_words_of_the_command_line_are_those_of_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    assert words("draw") == [
        "fd",
        "kid",
        "prdc",
        "diversity",
        "swd",
        "grain",
        "memorisation",
        "path",
        "classes",
        "within",
        "attributes",
    ]
    assert words("translate") == ["fd", "kid", "prdc", "diversity", "swd", "cycle", "identity", "pairs"]
    assert [metric.name for metric in find(["prdc"], "draw")] == ["precision", "recall", "density", "coverage"]
    judge.evaluate(metrics="help")
    out = capsys.readouterr().out
    for task in TASKS:
        for metric in metrics(task):
            assert f"{metric.name}: {messages.text(metric.what)[:20]}" in out and metric.option in out


@pytest.mark.parametrize(
    ("word", "task", "hint"),
    [("fdd", "draw", "fd"), ("pair", "translate", "pairs"), ("memorization", "draw", "memorisation")],
)
def test_near_words_are_suggested(word: str, task: Any, hint: str) -> None:
    with pytest.raises(SimulacraError) as caught:
        find([word], task)
    assert caught.value.code == "measure.unknown_metric"
    assert caught.value.values["hint"].values == {"name": hint}
    with pytest.raises(SimulacraError, match="memorisation, path"):
        find(["zzz"], "draw")


def test_an_entry_must_be_whole() -> None:
    with pytest.raises(TypeError, match="score or compute"):
        register(Metric(name="nothing", better="", what="Nothing."))


# --- from other packages ------------------------------------------------------------------------------------------------

PACKAGE = """
import numpy as np
from simulacra.measure.metrics import Metric, register

def gap(real, fake):
    return float(np.abs(real.mean(0) - fake.mean(0)).max())

METRIC = Metric(name="gap", layer="kid", better="lower", what="Largest difference of the mean features", score=gap)
"""
MODULE = """
from simulacra.measure.metrics import Metric, register

def count(context):
    return {}, {"warnings": [f"{len(context.seeds)} seeds"]}

register(Metric(name="count", better="", what="Nothing but a warning", tasks=("draw",), compute=count))
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package with a metric, a module that registers one, and an entry point that is broken."""
    site = tmp_path / "site"
    info = site / "gap_metric-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "gap_metric.py").write_text(PACKAGE)
    (site / "count_metric.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gap-metric\nVersion: 1.0\n")
    points = "gap = gap_metric:METRIC\ncount = count_metric\nlost = gap_metric:NOTHING\nwrong = gap_metric:gap\n"
    (info / "entry_points.txt").write_text(f"[simulacra.metrics]\n{points}")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(registry, "_METRICS", dict(registry._METRICS))
    importlib.invalidate_caches()
    registry._load.cache_clear()
    yield site
    registry._load.cache_clear()
    for module in ("gap_metric", "count_metric"):
        sys.modules.pop(module, None)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outside")
    data = on_disk(folder / "blobs", blobs(60))
    return train(data, gan="mlp:tiny", run=folder / "run", total=40, quiet=True)


def test_metrics_of_other_packages_are_in_the_certificate(
    outside: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate, _ = evaluate(run, samples=30, metrics=["kid", "gap", "count"])
    said = capsys.readouterr().err
    assert "lost of the package gap-metric cannot be loaded" in said and "wrong of the package" in said
    score = certificate["scores"]["gap-coarse-same"]
    assert score["low"] <= score["value"] <= score["high"] and score["floor"] is not None
    assert score["what"] == "Largest difference of the mean features"
    assert "30 seeds" in certificate["warnings"]
    assert {"gap", "count"} <= set(words("draw")) and "count" not in words("translate")
    print_certificate(certificate, None)
    assert "gap ↓: Largest difference" in capsys.readouterr().out
    assert "gap-coarse-same" in compare(run, run, samples=20)["scores"]
    with pytest.raises(SimulacraError, match="Did you mean 'gap'"):
        find(["gapp"], "draw")
    assert "gap" not in {metric.name for metric in feature_metrics("draw", built_in=True)}, "no part in a choice"


def test_a_second_metric_of_one_name_replaces_the_first_with_a_warning(
    outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert by_name("fd").resample
    other = Metric(name="fd", better="lower", what="Another one.", score=lambda real, fake: 0.0)
    register(other)
    assert by_name("fd") is other
    assert "registered twice" in capsys.readouterr().err


# --- in another language ------------------------------------------------------------------------------------------------


def test_a_certificate_is_stored_in_english_and_shown_in_the_language_in_use(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with messages.using("zh"):
        certificate, path = evaluate(run, samples=30, metrics=["kid", "memorisation"])
        print_certificate(certificate, path)
    out = capsys.readouterr().out
    assert "越低越好" in out and "无法判断生成器是否复制" in out and "Whether" not in out
    assert path is not None
    stored = path.read_text(encoding="utf-8")
    assert "is unknown" in stored and not re.search(r"[\u4e00-\u9fff]", stored)
    assert certificate["task"] == "draw" and set(get_args(Task)) == set(TASKS)
