"""Scores of translators: each direction, what is hidden in a translation, ground-truth pairs, the choice, and the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measuring import Planted, blobs, pair_folder, run_of, stand_in
from PIL import Image
from support import Cli, on_disk, refused

from simulacra.data.opening import open_pair
from simulacra.errors import SimulacraError
from simulacra.measure.choose import CheckpointScorer, choose, read_scores
from simulacra.measure.compare import compare
from simulacra.measure.evaluate import evaluate
from simulacra.measure.intervals import resampled_mean
from simulacra.measure.metrics import metrics
from simulacra.measure.model_under_test import subsample
from simulacra.measure.translation.both_directions import for_choice, held_out, ratio
from simulacra.measure.translation.cycle import NOISE, cycle_errors, honesty, identity_errors, verdict
from simulacra.measure.translation.evaluation import TranslationContext, TranslationProtocol
from simulacra.measure.translation.ground_truth import ground_truth_pairs
from simulacra.measure.translation.similarity import ssim
from simulacra.training.options import train
from simulacra.translator import Translator

SAME = Planted(lambda x: x, lambda x: x)
NEGATIVE = Planted(lambda x: -x, lambda x: -x)
LEADS, KID = "fd-coarse-48:mean", "kid-coarse-same:mean"


pytestmark = pytest.mark.usefixtures("coarse_extractor")


def dark(n: int = 100, seed: int = 0) -> np.ndarray:
    """Dark pictures [n, 16, 16, 3]; their negatives are light ones."""
    return blobs(n, seed) // 4


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark pictures and their negatives in another order, known by their names; 20 of each held out, half of those known."""
    images, order = dark(), np.concatenate([np.random.default_rng(1).permutation(80), 80 + np.arange(20)[::-1]])
    names = [f"one/{i}.png" for i in range(100)]
    second_names = [f"other/{i}.jpg" if i % 2 else f"other/x{i}.jpg" for i in order]
    folder = tmp_path_factory.mktemp("data") / "pair"
    return pair_folder(folder, images, 255 - images[order], names=(names, second_names), test=20)


@pytest.fixture
def run(pair: Path, tmp_path: Path) -> Path:
    """A run with a good checkpoint and a bad one after it."""
    return run_of(tmp_path / "run", pair, [(0.75, -0.75), (-0.5, 0.5)])


def pictures(data: Path, side: str = "a") -> torch.Tensor:
    packed = open_pair(data).a if side == "a" else open_pair(data).b
    return torch.from_numpy(np.array(packed.images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def examine(translator: Translator, data: Path, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The scores of a planted translator and the certificate's other entries."""
    protocol = TranslationProtocol(
        open_pair(data), extractor=stand_in(), samples=200, reals=200, choosing=False, **options
    )
    context = TranslationContext(generator=translator, protocol=protocol)
    scores, entries = context.scores([metric for metric in metrics("translate") if metric.possible(context)])
    return {name: score.to_json() for name, score in scores.items()}, entries


# --- single pictures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 24, 13)])
def test_ssim_is_that_of_another_implementation(shape: tuple[int, int, int]) -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure as theirs

    x = torch.rand(6, *shape, generator=torch.Generator().manual_seed(0))
    y = (x + 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    _, everywhere = theirs(y.double(), x.double(), data_range=1.0, reduction="none", return_full_image=True)
    expected = everywhere[:, :, 5:-5, 5:-5].mean((1, 2, 3))  # at the edge the other one continues pictures
    assert torch.allclose(ssim(x, y), expected, atol=1e-6)
    assert torch.allclose(ssim(x, x), torch.ones(6, dtype=torch.float64))
    assert torch.equal(ssim(x, y), ssim(y, x))
    assert ssim(x[:, :, :8, :8], y[:, :, :8, :8]).shape == (6,), "smaller than the window"


def test_nothing_done_comes_back_whole_and_is_honest(pair: Path) -> None:
    cycle = cycle_errors(SAME, torch.split(pictures(pair), 7), "b")
    assert not cycle.clean.any() and not identity_errors(SAME, [pictures(pair)], "b").any()
    assert abs(cycle.disturbed.mean() - NOISE * np.sqrt(2 / np.pi)) < 2e-5, "mean absolute value of the noise"
    assert np.allclose(cycle.disturbed, cycle.disturbance)
    assert honesty(cycle).value == pytest.approx(1, abs=1e-4)
    again = cycle_errors(SAME, torch.split(pictures(pair), 32), "b")
    assert np.array_equal(again.disturbed, cycle.disturbed), "whatever the batches"


@pytest.mark.parametrize("levels", [0.25, 1.0])
def test_a_picture_hidden_in_the_lowest_bits_is_found_out(pair: Path, levels: float) -> None:
    """The translation is the same flat grey for all, but for `levels` grey levels, and all of a picture comes back."""
    least = 2 * levels / 255
    hider = Planted(lambda x: 0.5 + least * x, lambda y: ((y - 0.5) / least).clamp(-1, 1))
    cycle = cycle_errors(hider, [pictures(pair)], "b")
    assert cycle.clean.mean() < 1e-4
    interval = honesty(cycle).interval()
    assert interval.high < 0.1
    word, sentence = verdict(interval.value, 0.0, 0.3, "a to b")
    assert word == "hiding" and sentence.code == "measure.hiding"
    backwards = cycle_errors(NEGATIVE, [pictures(pair)], "a")
    assert honesty(backwards).value == pytest.approx(1, abs=1e-4)


def test_a_way_back_that_brings_little_back_hides_nothing(pair: Path) -> None:
    blurred = Planted(lambda x: x.mean((2, 3), keepdim=True).expand_as(x), lambda x: x)
    cycle = cycle_errors(blurred, [pictures(pair)], "b")
    assert cycle.clean.mean() > 0.02
    assert honesty(cycle).interval().low > 0.95


def test_a_ratio_to_what_may_be_nothing_is_not_told() -> None:
    values = np.random.default_rng(0).uniform(1, 2, 50)
    half = ratio(resampled_mean(values / 2), resampled_mean(values))
    assert half is not None and half.value == 0.5
    assert half.interval().low == pytest.approx(0.5) == half.interval().high, "resampled together"
    assert ratio(resampled_mean(values), resampled_mean(values - values.mean())) is None


# --- which pictures ----------------------------------------------------------------------------------------------------


def test_partners_are_found_by_name_within_a_part(pair: Path, tmp_path: Path) -> None:
    data = open_pair(pair)
    for part, begin, count in (("train", 0, 40), ("test", 80, 10)):
        rows = ground_truth_pairs(data, part) + begin
        assert len(rows) == count
        assert all((data.a.images[a] == 255 - data.b.images[b]).all() for a, b in rows)
    twice = pair_folder(
        tmp_path / "twice", dark(3), dark(3), names=(["a.png", "b.png", "c.png"], ["x/a.png", "y/a.png", "c"])
    )
    assert ground_truth_pairs(open_pair(twice), "train").tolist() == [[2, 2]]
    chance = pair_folder(tmp_path / "chance", dark(3), dark(3), names=(["1.png", "2.png", "3.png"], ["3", "4", "5"]))
    assert ground_truth_pairs(open_pair(chance), "train").shape == (0, 2), "one name in three"
    unnamed = pair_folder(tmp_path / "unnamed", dark(3), dark(3))
    assert ground_truth_pairs(open_pair(unnamed), "train").shape == (0, 2)


def test_a_choice_never_sees_pictures_for_tests(tmp_path: Path, pair: Path) -> None:
    data = open_pair(pair)
    assert (for_choice(data), held_out(data)) == ("train", "test")
    three = open_pair(pair_folder(tmp_path / "three", dark(), dark(), valid=10, test=10))
    assert (for_choice(three), held_out(three)) == ("valid", "test")
    same: dict[str, Any] = {"extractor": stand_in(), "samples": 50, "reals": 60}
    protocol = TranslationProtocol(three, **same)
    assert (protocol.inputs, protocol.on, protocol.fresh().inputs) == ("valid", "train", "test")
    for only in (open_pair(pair_folder(tmp_path / "only", dark(), dark())),):
        protocol = TranslationProtocol(only, **same)
        fresh = protocol.fresh()
        for one, other in zip(protocol.directions, fresh.directions, strict=True):
            assert one.n == other.n == 50 and not set(one.input_rows) & set(other.input_rows)
        assert fresh.source == {"inputs": "train, others"}
    few = TranslationProtocol(open_pair(pair_folder(tmp_path / "few", dark(3), dark(3))), **same)
    assert few.fresh().source == {"inputs": "train, the same"}
    assert subsample(10, 4).tolist() == subsample(10, 4).tolist() and not set(subsample(10, 4)) & set(
        subsample(10, 4, 4)
    )


# --- evaluate -----------------------------------------------------------------------------------------------------------


def test_a_certificate_has_both_directions(run: Path) -> None:
    certificate, path = evaluate(run, samples=64)
    assert path == run / "certificate.json" and json.loads(path.read_text()) == certificate
    assert certificate["directions"] == {
        "a2b": {"from": "ones", "to": "others", "n": 20, "n_real": 64},
        "b2a": {"from": "others", "to": "ones", "n": 20, "n_real": 64},
    }
    assert (
        certificate["n"],
        certificate["data"]["inputs"],
        certificate["data"]["on"],
        certificate["data"]["pictures"],
    ) == (
        20,
        "test",
        "train",
        64,
    )
    assert certificate["leads"] == LEADS and {LEADS, KID, "swd-pyramid:mean"} <= certificate["scores"].keys()
    bases = {f"{kind}-coarse-{layer}" for kind, layer in (("fd", 48), ("kid", "same"))} | {"swd-pyramid"}
    names = bases | {f"{base}-untranslated" for base in bases} | {f"{base}-ratio" for base in bases}
    names |= {f"{kind}-coarse-48" for kind in ("precision", "recall", "density", "coverage", "diversity")}
    names |= {"cycle-l1", "cycle-l1-disturbed", "honesty", "identity-l1"}
    names |= {
        f"pair-{what}" for what in ("l1", "l1-untranslated", "l1-ratio", "ssim", "ssim-untranslated", "dssim-ratio")
    }
    for way in ("a2b", "b2a"):
        assert {name.partition(":")[0] for name in certificate["scores"] if name.endswith(way)} == names
    for name, score in certificate["scores"].items():
        assert score["low"] <= score["value"] <= score["high"], name
        assert score["n"] == (10 if name.startswith("pair") else 20), name
        if name in {f"{base}:a2b" for base in bases}:
            assert score["n_floor"] == 20, "held-out reals, as many as translations"
    assert certificate["honesty"]["a2b"].keys() == {"value", "verdict", "sentence"}
    assert evaluate(run, samples=64)[0] == certificate, "the same again, to the last digit"


def test_the_true_translation_scores_at_the_floor_and_none_at_one(pair: Path, run: Path) -> None:
    true, _ = examine(NEGATIVE, pair)
    none, _ = examine(SAME, pair)
    for way in ("a2b", "b2a"):
        assert true[f"pair-l1:{way}"]["value"] < 1e-6 and true[f"pair-ssim:{way}"]["value"] > 0.999999
        assert true[f"pair-l1-ratio:{way}"]["value"] < 1e-5
        assert true[f"fd-coarse-48-ratio:{way}"]["value"] < 0.05
        assert true[f"fd-coarse-48:{way}"]["value"] < 1.5 * true[f"fd-coarse-48:{way}"]["floor"]
        for what in ("fd-coarse-48-ratio", "kid-coarse-same-ratio", "pair-l1-ratio", "pair-dssim-ratio"):
            score = none[f"{what}:{way}"]
            assert score["value"] == pytest.approx(1) == score["low"] == score["high"], what
        assert none[f"cycle-l1:{way}"]["value"] == none[f"identity-l1:{way}"]["value"] == 0
    assert true["identity-l1:a2b"]["value"] > 0.5
    assert true[KID]["value"] == pytest.approx(
        (true["kid-coarse-same:a2b"]["value"] + true["kid-coarse-same:b2a"]["value"]) / 2, rel=1e-4
    )


def test_a_collapse_and_a_hiding_place_are_said(pair: Path, run: Path) -> None:
    least = 0.5 / 255
    hider = Planted(lambda x: 0.75 + least * x, lambda y: ((y - 0.75) / least).clamp(-1, 1))
    scores, entries = examine(hider, pair)
    assert scores["diversity-coarse-48:a2b"]["value"] < 0.01
    assert scores["cycle-l1:a2b"]["value"] < 1e-4 and scores["honesty:a2b"]["high"] < 0.2
    assert entries["honesty"]["a2b"]["verdict"] == "hiding"
    assert entries["honesty"]["a2b"]["sentence"] in entries["warnings"]


def test_a_part_that_is_named_gives_inputs_and_reals(run: Path, pair: Path) -> None:
    certificate, _ = evaluate(run, on="train", metrics=["fd", "pairs"])
    assert certificate["directions"]["a2b"] == {"from": "ones", "to": "others", "n": 80, "n_real": 80}
    assert certificate["scores"]["fd-coarse-48:a2b"]["n_floor"] == 40, "half against half"
    assert certificate["scores"]["pair-l1:a2b"]["n"] == 40
    assert any("flatter" in warning for warning in certificate["warnings"])
    certificate, _ = evaluate(run, on="test", metrics=["kid"])
    assert (certificate["data"]["inputs"], certificate["data"]["on"], certificate["n"]) == ("test", "test", 20)
    assert certificate["scores"].keys() >= {KID, "kid-coarse-same-untranslated:b2a"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metrics": ["path"]}, "no metric 'path' for this model"),
        ({"metrics": ["pair"]}, "Did you mean 'pairs'"),
        ({"on": "valid"}, "empty"),
        ({"samples": 1}, "--samples is 1"),
        ({"data": "peeps"}, "is one domain and"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(run: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(SimulacraError, match=said):
        evaluate(run, **({"samples": 8} | options))
    assert not (run / "certificate.json").exists()


def test_a_pair_is_no_data_for_a_model_that_draws_from_seeds(pair: Path, run: Path, tmp_path: Path) -> None:
    generator = train(on_disk(tmp_path / "one", dark()), gan="mlp:tiny", run=tmp_path / "r", total=30, quiet=True)
    with refused("measure.data_is_pair"):
        evaluate(generator, samples=8, data=pair)
    with refused("measure.data_is_pair"):
        compare(run, generator, samples=8)


# --- choose and compare ------------------------------------------------------------------------------------------------


def test_the_better_checkpoint_is_chosen_by_both_directions(run: Path, pair: Path) -> None:
    best = choose(run, samples=64)
    assert (best["nimg"], best["by"], best["last"]["nimg"]) == (100, LEADS, 200)
    assert best["anew"]["inputs"] == "test" and best["anew"]["difference"]["high"] < 0
    lines = read_scores(run)
    assert [line["nimg"] for line in lines] == [100, 200]
    for line in lines:
        assert line["inputs"] == line["on"] == "train" and line["directions"]["b2a"]["n"] == 64
        assert {
            f"{kind}:{way}" for kind in ("kid-coarse-same", "fd-coarse-48") for way in ("a2b", "b2a", "mean")
        } <= line["scores"].keys()
        assert not any(name.startswith("pair") for name in line["scores"])
    stored = (run / "scores.jsonl").read_text()
    assert choose(run, samples=64) == best and (run / "scores.jsonl").read_text() == stored, "nothing is scored twice"
    other = shutil.copytree(pair, run.parent / "nameless")
    for names in other.glob("*/names.json"):
        names.unlink()
    (run / "scores.jsonl").unlink()
    assert choose(run, samples=64, data=other) == best, "names have no part in it"
    assert evaluate(run, samples=32, metrics=["kid"])[0]["model"]["nimg"] == 100


def test_one_good_direction_does_not_make_up_for_a_bad_one(pair: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path / "r", pair, [(0.75, 0.9), (0.6, -0.6)])
    best = choose(run, samples=64)
    first, second = (line["scores"] for line in read_scores(run))
    assert first["kid-coarse-same:a2b"]["value"] < second["kid-coarse-same:a2b"]["value"]
    assert best["nimg"] == 200


def test_measuring_while_training(pair: Path, tmp_path: Path) -> None:
    run = train(pair, gan="cyclegan:tiny", run=tmp_path / "r", total=160, save_every=80, measure_every=80, quiet=True)
    lines = read_scores(run)
    assert [line["nimg"] for line in lines] == [80, 160]
    assert json.loads((run / "best.json").read_text())["by"] == LEADS
    stored = (run / "scores.jsonl").read_text()
    choose(run)
    assert (run / "scores.jsonl").read_text() == stored, "the same terms"
    protocol = CheckpointScorer(open_pair(pair), extractor=stand_in()).protocol
    assert protocol.leads == LEADS and protocol.terms["inputs"] == "train"


def test_two_translators_side_by_side(run: Path) -> None:
    good, bad = (run / "checkpoints" / name for name in ("000000100", "000000200"))
    comparison = compare(good, bad, samples=64)
    assert comparison["leads"] == LEADS and comparison["inputs"] == "test"
    for name in (
        LEADS,
        KID,
        "swd-pyramid:mean",
        "fd-coarse-48:a2b",
        "kid-coarse-same:b2a",
        "pair-l1:a2b",
        "pair-l1:b2a",
    ):
        assert comparison["scores"][name]["better"] == "a", name
    assert "honesty:a2b" in comparison["scores"]
    same = compare(good, good, samples=64, out=run / "both.png")
    assert Path(same["verdict"]["picture"]) == run / "both.png"
    with Image.open(run / "both.png") as image:
        assert image.width >= 3 * 8 * 16 and image.height == 31 + 5 * 16, (
            "pictures of both directions, and both translations"
        )
    assert all(score["better"] is None and score["difference"]["value"] == 0 for score in same["scores"].values())


def test_the_command_line_tells_both_directions(run: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Cli) -> None:
    def call(*words: object) -> str:
        status, out, _ = run_cli(*words)
        assert status == 0
        return out

    monkeypatch.setenv("COLUMNS", "80")
    out = call("choose", run, "--samples", 32)
    assert "Scored again with pictures of test" in out and f"simulacra translate {run}" in out
    out = call("evaluate", run, "--samples", 32)
    assert "a2b, ones to others: 20 pictures (test) against 32 (train)" in out
    assert "b2a, others to ones" in out and "Means of both directions" in out
    assert "before" in out and "pair-l1-ratio" in out and "honesty" in out and "None" not in out
    assert "…" not in out, "nothing is cut off"
    out = call("compare", run / "checkpoints" / "000000100", run / "checkpoints" / "000000200", "--samples", 32)
    assert "20 pictures each (test, in each direction)" in out and "cycle-l1-disturbed" in out
