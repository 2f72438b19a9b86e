"""`simulacra plan`: nested parts, what a doubling brings in closed form, the verdict's sentence, and a resumed plan."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring import blobs, stand_in
from PIL import Image
from support import Cli, on_disk, pair_on_disk, refused

from simulacra.data.opening import open_domain
from simulacra.measure.intervals import Interval
from simulacra.measure.metrics import by_name
from simulacra.messages import using
from simulacra.planning.gains import Gains, ScoreTable, Verdict, decide, effect, sentence
from simulacra.planning.learning_curve import learning_curve
from simulacra.planning.parts import DIVISORS, count, nested_order, unseen, write_part
from simulacra.planning.study import Study
from simulacra.storage import checkpoints

TINY: dict[str, Any] = {"gan": "mlp:tiny", "total": 128, "samples": 20, "device": "cpu"}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """80 training and 60 unseen pictures, and an extractor that costs nothing."""
    monkeypatch.setattr("simulacra.planning.learning_curve.open_extractor", stand_in)
    monkeypatch.setattr("simulacra.measure.scores.second_metric", lambda task: by_name("fd"))
    monkeypatch.setattr("simulacra.planning.design.TRIAL_MINUTES", 0.002)
    return on_disk(tmp_path / "data", blobs(140), valid=60)


# --- parts ------------------------------------------------------------------------------------------------------


def test_every_beginning_holds_the_classes_in_their_shares() -> None:
    labels = np.repeat([0, 1, 2], [400, 200, 40])
    order = nested_order(640, labels, seed=3)
    assert sorted(order) == list(range(640))
    for n in (80, 160, 320):
        assert np.abs(np.bincount(labels[order[:n]], minlength=3) - np.array([400, 200, 40]) * n / 640).max() <= 1
    assert np.array_equal(order, nested_order(640, labels, seed=3))
    assert not np.array_equal(order, nested_order(640, labels, seed=4))


def test_attributes_have_no_part_in_the_order() -> None:
    attributes = np.ones((50, 2), np.float32)
    assert np.array_equal(nested_order(50, attributes, 0), nested_order(50, None, 0))


def test_parts_are_nested_and_keep_the_unseen_pictures(tmp_path: Path) -> None:
    whole = open_domain(on_disk(tmp_path / "data", blobs(140), np.arange(140) % 4, valid=60))
    rows: list[set[bytes]] = []
    for part in DIVISORS:
        write_part(whole, tmp_path / part, part, 0)
        dataset = open_domain(tmp_path / part)
        assert len(dataset.split("train")) == count(80, part) == 80 // DIVISORS[part]
        assert np.array_equal(dataset.split("valid").images, whole.images[80:]) and dataset.classes == whole.classes
        rows.append({image.tobytes() for image in dataset.split("train").images})
    assert all(small <= large for small, large in itertools.pairwise(rows))
    assert np.array_equal(unseen(whole).images, whole.images[80:])


# --- what a doubling brings -------------------------------------------------------------------------------------


def table(values: list[list[list[float]]], *, higher: bool = False, noise: float = 0.0) -> ScoreTable:
    """Scores [P, S, T] with replicates that scatter independently."""
    array = np.array(values)
    scatter = np.random.default_rng(0).normal(0, noise, (*array.shape, 200)) if noise else np.zeros((*array.shape, 200))
    return ScoreTable(array, array[..., None] + scatter, higher)


LINE = [[[9.0, 8.0, 7.0, 6.0]], [[8.0, 7.0, 6.0, 5.0]], [[7.0, 6.0, 5.0, 4.0]], [[6.0, 5.0, 3.5, 3.0]]]  # one seed


def test_a_straight_line_goes_on() -> None:
    gains = table(LINE).gains()
    assert gains.pictures == Interval(1.0, 1.0, 1.0)  # (5 - 3) / 2, from a quarter to all
    assert gains.training == Interval(0.5, 0.5, 0.5)  # 3.5 - 3
    assert gains.difference.value == -0.5
    assert table(LINE, higher=True).gains().pictures.value == -1.0


def test_the_luck_of_training_widens_the_interval_as_students_t_says() -> None:
    """Runs at ±d around each part's mean: variance 2 d² of a run, d² / 2 of the gain, four degrees of freedom."""
    d = 0.1
    runs = [[[*row[:3], row[3] - d], [*row[:3], row[3] + d]] for ((*row,),) in LINE]
    gain = table(runs).gains().pictures
    assert gain.value == pytest.approx(1.0)
    reach = 2.776 * d / np.sqrt(2)  # the 97.5 % quantile of t
    assert gain.high - 1 == pytest.approx(reach, rel=0.05) and 1 - gain.low == pytest.approx(reach, rel=0.05)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    source, hits = np.random.default_rng(1), 0
    for _ in range(200):
        picture_noise, luck = source.normal(0, 0.05, (4, 1, 4, 1)), source.normal(0, 0.1, (4, 2, 4))
        values = np.array(LINE) + luck + picture_noise[..., 0]
        replicates = values[..., None] + source.normal(0, 0.05, (4, 1, 4, 200))
        gain = ScoreTable(values, replicates, higher=False).gains().pictures
        hits += gain.low <= 1.0 <= gain.high
    assert 184 <= hits <= 199


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 0.3, "helps"), (-0.3, -0.1, "hurts"), (-0.1, 0.05, "flat"), (-0.1, 0.5, "unclear")],
)
def test_effects(low: float, high: float, expected: str) -> None:
    assert effect(Interval((low + high) / 2, low, high), now=1.0) == expected


def gains_of(pictures: tuple[float, float], training: tuple[float, float], difference: tuple[float, float]) -> Gains:
    return Gains(*(Interval(sum(ends) / 2, *ends) for ends in (pictures, training, difference)))


@pytest.mark.parametrize(
    ("gains", "verdict", "words"),
    [
        (
            gains_of((0.0001, 0.05), (0.06, 0.1), (0.01, 0.1)),
            ("helps", "helps", "training"),
            "Twice as many pictures would improve the score by about 0.025 (0.000 to 0.050); longer training brings more",
        ),
        (
            gains_of((0.2, 0.4), (0.02, 0.1), (-0.3, -0.1)),
            ("helps", "helps", "pictures"),
            "by about 0.30 (0.20 to 0.40); longer training brings less: its last doubling brought 0.06 (0.02 to 0.10). "
            "Collect more pictures.",
        ),
        (gains_of((0.2, 0.4), (0.1, 0.3), (-0.3, 0.1)), ("helps", "helps", None), "Both are worth it."),
        (
            gains_of((-0.03, 0.03), (0.2, 0.3), (0.2, 0.3)),
            ("flat", "helps", "training"),
            "The curve is flat: twice as many pictures bring nothing that can be measured: 0.00 (-0.03 to 0.03); longer "
            "training helps: its last doubling brought 0.25 (0.20 to 0.30). Train longer: simulacra train faces.",
        ),
        (gains_of((-0.3, -0.1), (-0.3, -0.1), (-1, 1)), ("hurts", "hurts", None), "simulacra list"),
        (gains_of((-0.3, 0.5), (-0.3, 0.5), (-1, 1)), ("unclear", "unclear", None), "Cannot tell"),
        (gains_of((-0.3, 0.5), (-0.01, 0.01), (-1, 1)), ("unclear", "flat", None), "--seeds 4"),
    ],
)
def test_the_verdict_in_words(gains: Gains, verdict: tuple[Any, Any, Any], words: str) -> None:
    assert decide(gains, now=1.0) == Verdict(*verdict)
    with using("en"):
        assert words in str(sentence(Verdict(*verdict), gains, data="faces", longer="--minutes 6", seeds=2))


# --- a plan -----------------------------------------------------------------------------------------------------


def test_a_plan_is_made_and_resumed_after_a_kill(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Cli
) -> None:
    score, calls = Study.score, 0

    def killed(self: Study, *words: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        score(self, *words)

    monkeypatch.setattr(Study, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        learning_curve(data, out=tmp_path / "plan", seeds=1, **TINY)
    assert not json.loads((tmp_path / "plan" / "plan.json").read_text())["finished"]
    with (tmp_path / "plan" / "scores.jsonl").open("a") as file:
        file.write('{"run": "cut sh')
    monkeypatch.setattr(Study, "score", score)
    curve = learning_curve(data, out=tmp_path / "plan", seeds=1, samples=20, device="cpu")
    words = ["plan", data, "--out", tmp_path / "whole", "--gan", "mlp:tiny", "--total", "128", "--seeds", "1"]
    words += ["--samples", "20"]
    status, out, _ = run_cli(*words, "--dry-run")
    assert status == 0 and "4 runs of mlp:tiny" in out and not (tmp_path / "whole").exists()
    status, out, _ = run_cli(*words, "--json")
    assert status == 0 and json.loads(out)["scores"] == curve["scores"]
    status, out, _ = run_cli(*words)
    assert status == 0 and "plan.png" in out and "--seeds 2" in out and "The second judge (fd-coarse-48) " in out
    assert json.loads((tmp_path / "plan" / "plan.json").read_text())["verdict"] == curve["verdict"]

    gain = curve["scores"][curve["leads"]]
    assert [part["pictures"] for part in gain["parts"]] == [10, 20, 40, 80]
    ends = [part["scores"][-1]["value"] for part in gain["parts"]]
    assert gain["pictures"]["value"] == pytest.approx((ends[1] - ends[3]) / 2, rel=1e-4)
    assert curve["terms"]["n_real"] == 60 and curve["design"]["images"] == 128
    for name in ("plan.png", "pictures.png"):
        with Image.open(tmp_path / "plan" / name) as image:
            assert image.width > 100
    before = [path.stat().st_mtime_ns for path in checkpoints(tmp_path / "plan" / "runs" / "all-0")]
    again = learning_curve(data, out=tmp_path / "plan", seeds=2, **TINY)  # a further seed, beside the runs there
    assert again["seeds"] == 2 and [len(part["runs"]) for part in again["scores"][again["leads"]]["parts"]] == [2] * 4
    assert before == [path.stat().st_mtime_ns for path in checkpoints(tmp_path / "plan" / "runs" / "all-0")]

    with refused("planning.other_plan"):
        learning_curve(data, out=tmp_path / "plan", gan="dcgan:tiny")
    with refused("planning.other_plan"):
        learning_curve(data, out=tmp_path / "plan", minutes=7)
    with refused("planning.other_data"):
        learning_curve(on_disk(tmp_path / "b", blobs(140, 1), valid=60), out=tmp_path / "plan")


def test_bad_input_is_one_sentence(data: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    with refused("data.not_prepared"):
        learning_curve(tmp_path / "raw")
    with refused("data.is_a_pair"):
        learning_curve(pair_on_disk(tmp_path / "pair", blobs(80), blobs(80, 1), valid=8))
    with refused("planning.few"):
        learning_curve(on_disk(tmp_path / "few", blobs(80), valid=20))
    with refused("planning.few_unseen", trained=390, unseen=10, split="0.8 0.1 0.1"):
        learning_curve(on_disk(tmp_path / "seen", blobs(400), valid=10))
    with refused("planning.not_a_plan"):
        learning_curve(data, out=tmp_path / "few")
    with refused("planning.translates"):
        learning_curve(data, out=tmp_path / "new", gan="cyclegan")
    with refused("planning.two_lengths"):
        learning_curve(data, out=tmp_path / "new", minutes=1, total=64)
    with refused("planning.number", name="--seeds"):
        learning_curve(data, out=tmp_path / "new", seeds=0)
    assert not (tmp_path / "new").exists()
