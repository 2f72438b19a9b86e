from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support import Cli, in_memory, noise, on_disk, refused

import simulacra
from simulacra import messages
from simulacra.files import append_json_line, read_json, read_json_lines
from simulacra.generator import as_generator
from simulacra.measure import worth_plan
from simulacra.measure.intervals import Resampled
from simulacra.measure.small_classifier import augment, classifier_input, steps_for, train_small_classifier
from simulacra.measure.worth import classes_of, drawing, run_plan
from simulacra.measure.worth_plan import Pictures, Plan, correct, make_plan, plan_hash, trainings
from simulacra.measure.worth_verdict import ArmBootstrap, more_reals, stretch, verdict
from simulacra.registry import configured

CLASSES = ("dark", "bright", "stripes")
ARMS = ("fakes-4", "augmented", "augmented-0.5", "real")


def kinds(labels: NDArray[Any], seed: int, blur: float = 60.0) -> NDArray[np.uint8]:
    """Noisy pictures [N, 16, 16, 1] of three classes that few examples do not teach."""
    source = np.random.default_rng([seed, 3])
    pictures = source.normal(0, blur, (len(labels), 16, 16, 1)) + 128
    pictures += np.array([-10.0, 10.0, 0.0])[labels][:, None, None, None]
    pictures += np.where(np.arange(16) % 2, 20, -20)[None, :, None, None] * (labels == 2)[:, None, None, None]
    return pictures.clip(0, 255).astype(np.uint8)


def pictures(draw: worth_plan.Draw = kinds, each: int = 8, unseen: int = 200) -> Pictures:
    """A small training set, many unseen pictures, and a generator."""
    train, test = np.arange(3 * each) % 3, np.arange(3 * unseen) % 3
    return Pictures(
        train=classifier_input(kinds(train, 1)), train_classes=train, conditions=train,
        unseen=classifier_input(kinds(test, 2)), unseen_classes=test, draw=lambda y, seed: draw(y, 100 + seed),
    )  # fmt: skip


def planned(data: Pictures, **options: Any) -> Plan:
    settings: dict[str, Any] = {"of": None, "ratio": 4.0, "seeds": 3, "flips": False, "sources": {}}
    return make_plan(data, classes=CLASSES, **settings | options)


@pytest.fixture(scope="module")
def of_reals() -> dict[tuple[str, int], NDArray[np.bool_]]:
    """The outcomes of the arms without fakes that a verdict needs."""
    data = pictures()
    plan = planned(data, seeds=4) | {"steps": 60}
    return {(arm, seed): correct(plan, data, arm, seed) for arm in ARMS[1:] for seed in plan["seeds"]}


def weighed(of_reals: dict[Any, Any], draw: worth_plan.Draw) -> dict[str, Any]:
    """The verdict on a planted generator."""
    data = pictures(draw)
    plan = planned(data, seeds=4)
    plan |= {"arms": {name: plan["arms"][name] for name in ARMS}, "steps": 60}
    of_fakes = {(ARMS[0], seed): correct(plan, data, ARMS[0], seed) for seed in plan["seeds"]}
    return verdict(plan, data.unseen_classes, of_reals | of_fakes)


def test_a_perfect_generator_helps(of_reals: dict[Any, Any]) -> None:
    good = weighed(of_reals, kinds)
    assert good["helps"] == "yes" and good["gain"]["low"] > 0, good["sentence"]
    assert "add" in good["sentence"]


def test_noise_does_not_help(of_reals: dict[Any, Any]) -> None:
    useless = weighed(of_reals, lambda labels, seed: noise(len(labels), (1, 16, 16), seed))
    assert useless["helps"] != "yes"


def test_wrong_labels_harm(of_reals: dict[Any, Any]) -> None:
    wrong = weighed(of_reals, lambda labels, seed: kinds((labels + 1) % 3, seed))
    assert wrong["helps"] == "harms" and "Fakes hurt" in wrong["sentence"]


def test_finished_trainings_are_not_repeated(tmp_path: Path) -> None:
    data, path = pictures(each=8, unseen=10), tmp_path / "t.jsonl"
    plan = planned(data)
    plan["steps"] = 2
    whole = run_plan(plan, data, path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:5]) + lines[5][:30])  # killed within a line
    append_json_line(path, {"plan": "another", "arm": "real", "seed": 0})
    shown: list[int] = []
    again = run_plan(plan, data, path, lambda title, total: shown.append)
    assert shown[0] == 5 and sum(shown) == len(trainings(plan)) == 21
    assert all(np.array_equal(whole[key], again[key]) for key in whole)
    assert len(read_json_lines(path)) == 22


def test_equal_seeds_train_equal_classifiers_whatever_the_global_state() -> None:
    data = pictures(each=8, unseen=10)
    plan = planned(data)
    plan["steps"] = 5
    first = correct(plan, data, "fakes-4", 1)
    torch.manual_seed(99)
    assert np.array_equal(first, correct(plan, data, "fakes-4", 1))


def test_arms_hold_what_their_names_say(monkeypatch: pytest.MonkeyPatch) -> None:
    data, shown = pictures(each=8, unseen=10), []

    def record(images: torch.Tensor, labels: torch.Tensor, **options: Any) -> Any:
        shown.append((torch.bincount(labels).tolist(), options["crops"], options["flips"]))
        return train_small_classifier(images, labels, **options)

    monkeypatch.setattr(worth_plan, "train_small_classifier", record)
    plan = planned(data, ratio=1.0, flips=True)
    plan["steps"] = 1
    for arm in plan["arms"]:
        correct(plan, data, arm, 0)
    expected = {"real": 8, "augmented": 8, "augmented-0.5": 4, "augmented-0.75": 6, "fakes-1": 16, "fakes-0.5": 12}
    expected |= {"fakes-2": 24}
    assert dict(zip(plan["arms"], (counts for counts, *_ in shown), strict=True)) == {
        name: [count] * 3 for name, count in expected.items()
    }
    assert [(crops, flips) for _, crops, flips in shown] == [(False, False)] + [(True, True)] * 6


def test_the_plan_is_fixed_by_its_hash() -> None:
    data = pictures(each=8, unseen=10)
    assert plan_hash(planned(data)) == plan_hash(planned(data))
    assert plan_hash(planned(data)) != plan_hash(planned(data, ratio=2.0))
    assert planned(data, of="rarest")["decides"]["of"] == "dark"


def synthetic(seeds: int, unseen: int, source: np.random.Generator) -> tuple[Plan, NDArray[np.int64], dict[Any, Any]]:
    """Outcomes with effects of seeds and of pictures; the arm `fakes-1` gains 0.05 in the mean."""
    classes = np.arange(unseen) % 3
    data = pictures(each=8, unseen=10)
    plan = planned(replace(data, unseen_classes=classes), ratio=1.0, seeds=seeds)
    easy, outcomes = source.normal(0, 0.2, unseen), {}
    for arm in plan["arms"]:
        share = 0.7 + 0.05 * (arm == "fakes-1")
        for seed in range(seeds):
            level = share + source.normal(0, 0.02) + easy
            outcomes[arm, seed] = source.random(unseen) < level
    return plan, classes, outcomes


def test_intervals_hold_the_truth() -> None:
    source, held = np.random.default_rng(0), 0
    levels = 0.7 + source.normal(0, 0.2, 200_000)[:, None] + source.normal(0, 0.02, (200_000, 1))
    truth = float((levels + 0.05).clip(0, 1).mean() - levels.clip(0, 1).mean())
    for _ in range(60):
        interval = ArmBootstrap(*synthetic(4, 150, source)).gain("fakes-1").interval()
        held += interval.low <= truth <= interval.high
    assert held >= 54


def test_a_class_counts_alone_and_the_mean_counts_all_alike() -> None:
    plan, classes, outcomes = synthetic(3, 300, np.random.default_rng(1))
    bench = ArmBootstrap(plan, classes, outcomes)
    hits = np.mean([outcomes["real", seed] for seed in range(3)], 0)
    for number, name in enumerate(CLASSES):
        assert bench.accuracy("real", name).value == pytest.approx(hits[classes == number].mean())
    assert bench.accuracy("real").value == pytest.approx(np.mean([hits[classes == c].mean() for c in range(3)]))


def test_fakes_must_also_beat_real_pictures_alone() -> None:
    plan, classes, outcomes = synthetic(3, 900, np.random.default_rng(3))
    for seed in range(3):
        outcomes["fakes-1", seed] |= np.random.default_rng(seed).random(900) < 0.5
    assert verdict(plan, classes, outcomes)["helps"] == "yes"
    outcomes |= {("real", seed): outcomes["fakes-1", seed] for seed in range(3)}
    result = verdict(plan, classes, outcomes)
    assert result["helps"] == "no" and result["gain"]["low"] > 0 and "real pictures alone" in result["sentence"]


def test_more_reals_are_read_off_the_curve() -> None:
    steady = Resampled(0.02, np.full(100, 0.02))
    doubled = more_reals(steady, steady, 500, 0.95)
    assert doubled is not None and doubled.value == pytest.approx(500)
    most = more_reals(Resampled(0.5, np.full(100, 0.5)), steady, 500, 0.95)
    assert most is not None and most.value == pytest.approx(1500)
    flat = Resampled(0.0, np.linspace(-1, 1, 100))
    assert more_reals(steady, flat, 500, 0.95) is None


@pytest.mark.parametrize(("degrees", "t"), [(2, 4.303), (4, 2.776), (9, 2.262), (1e6, 1.960)])
def test_few_seeds_stretch_to_students_t(degrees: float, t: float) -> None:
    assert stretch(degrees, 0.95) * 1.959964 == pytest.approx(t, rel=0.04)


def test_augmentation_moves_and_mirrors_whole_pictures() -> None:
    ramp = torch.arange(16, dtype=torch.uint8).expand(64, 1, 16, 16)
    assert augment(ramp, crops=False, flips=False) is ramp
    flipped = augment(ramp, crops=False, flips=True)
    mirrored = (flipped[:, 0, 0, 0] == 15).float().mean()
    assert 0.2 < mirrored < 0.8 and {int(v) for v in flipped[:, 0, 0, 0]} == {0, 15}
    moved = augment(ramp, crops=True, flips=False)
    assert {int(v) for v in moved[:, 0, 0, 8]} == {7, 8, 9}


def test_steps_follow_the_pictures_within_limits() -> None:
    assert [steps_for(n) for n in (10, 500, 100_000)] == [200, 312, 3000]
    assert classifier_input(noise(2, (3, 96, 128))).shape == (2, 3, 48, 64)


def test_attributes_and_their_groups_can_be_classes() -> None:
    labels = np.array([[1, 0, 1], [0, 1, 0], [0.2, 0, 1]], np.float32)
    names = ("glasses", "hair: red", "hair: black")
    data = replace(in_memory(noise(3)), labels=labels, attributes=names)
    class_names, classes = classes_of(data, "glasses")
    assert class_names[1] == "glasses" and classes.tolist() == [1, 0, 0]
    class_names, classes = classes_of(data, "hair")
    assert class_names == ("red", "black") and classes.tolist() == [1, 0, 1]
    for label in (None, "nose"):
        with refused("measure.worth_which_label"):
            classes_of(data, label)


@pytest.mark.parametrize("attributes", [False, True])
def test_fakes_are_drawn_for_labels_with_seeds_of_their_training(attributes: bool) -> None:
    gan, config = configured("mlp:tiny", (3, 16, 16), {"conditional": True}, labels=3, attributes=attributes)
    generator = as_generator(gan.generator(config).eval())
    labels = np.eye(3, dtype=np.float32)[np.arange(70) % 3] if attributes else np.arange(70) % 3
    draw = drawing(generator)
    first = draw(labels, 0)
    assert first.shape == (70, 16, 16, 3) and first.dtype == np.uint8
    assert np.array_equal(first, draw(labels, 0)) and np.array_equal(first[:5], draw(labels[:5], 0))
    assert not np.array_equal(first, draw(labels, 1)) and not np.array_equal(first, draw(labels[::-1].copy(), 0))


# --- a run ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    labels = np.arange(72) % 2
    return on_disk(tmp_path_factory.mktemp("data") / "kinds", kinds(labels, 5), labels, valid=40)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("runs") / "cgan"
    return simulacra.train(data, gan="mlp:tiny", run=where, total=200, quiet=True, conditional=True)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worth_plan, "steps_for", lambda n: 2)


@pytest.mark.usefixtures("quick")
def test_the_plan_is_written_first_and_other_plans_are_remembered(run: Path, tmp_path: Path) -> None:
    out, before = tmp_path / "worth.json", []

    def stop(path: Path, plan: Plan) -> None:
        before.append(read_json(path))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulacra.worth(run, out=out, seeds=3, on_plan=stop)
    assert "result" not in before[0] and before[0]["plan"]["decides"]["arm"] == "fakes-1"
    assert not out.with_suffix(".trainings.jsonl").exists()
    record = simulacra.worth(run, out=out, seeds=3)
    assert record["plan"] == before[0]["plan"] and record["time"] == before[0]["time"]
    assert record["result"]["helps"] in ("yes", "no", "harms") and record["earlier"] == []
    other = simulacra.worth(run, out=out, seeds=3, of="1")
    assert [plan["plan"] for plan in other["earlier"]] == [record["plan"]]
    assert json.loads(out.read_text())["result"] == other["result"]


@pytest.mark.usefixtures("quick")
def test_the_command_prints_a_verdict_or_json(run: Path, run_cli: Cli) -> None:
    status, out, _ = run_cli("worth", run, "--seeds", "3")
    assert status == 0 and messages.text("measure.worth_information") in out
    status, out, _ = run_cli("worth", run, "--seeds", "3", "--json")
    assert status == 0 and json.loads(out)["result"]["sentence"]
    assert (run / "worth.json").is_file()


def test_wrong_inputs_are_one_sentence(run: Path, tmp_path: Path) -> None:
    labels = np.arange(72) % 2
    unlabelled = on_disk(tmp_path / "plain", kinds(labels, 5), valid=40)
    cases: list[tuple[str, Callable[[], Any]]] = [
        ("measure.worth_seeds", lambda: simulacra.worth(run, seeds=2)),
        ("measure.worth_ratio", lambda: simulacra.worth(run, ratio=0)),
        ("measure.worth_unknown_class", lambda: simulacra.worth(run, of="blue")),
        ("measure.worth_on_train", lambda: simulacra.worth(run, on="train")),
        ("measure.worth_has_classes", lambda: simulacra.worth(run, label="hair")),
        ("data.empty_part", lambda: simulacra.worth(run, on="test")),
        ("measure.worth_no_labels", lambda: simulacra.worth(run, data=unlabelled)),
        ("measure.worth_other_classes", lambda: simulacra.worth(run, unseen=unlabelled)),
        ("storage.missing", lambda: simulacra.worth(tmp_path / "nowhere")),
    ]
    for code, call in cases:
        with refused(code):
            call()
    other = on_disk(tmp_path / "other", kinds(labels, 6), labels, valid=40)
    with refused("measure.worth_other_data"):
        simulacra.worth(run, data=other)
    few = on_disk(tmp_path / "few", kinds(labels[:10], 7), labels[:10])
    with refused("measure.worth_few_unseen"):
        simulacra.worth(run, unseen=few)
    with refused("measure.worth_out"):
        simulacra.worth("peeps")
    (tmp_path / "worth.json").write_text("{}")
    with refused("measure.worth_not_a_record"):
        simulacra.worth(run, out=tmp_path / "worth.json")


def test_a_model_without_labels_and_data_without_unseen_pictures_are_refused(tmp_path: Path) -> None:
    labels = np.arange(40) % 2
    whole = on_disk(tmp_path / "whole", kinds(labels, 5), labels)
    plain = simulacra.train(whole, gan="mlp:tiny", run=tmp_path / "plain", total=100, quiet=True)
    with refused("measure.worth_unconditional"):
        simulacra.worth(plain)
    with_labels = simulacra.train(whole, gan="mlp:tiny", run=tmp_path / "c", total=100, quiet=True, conditional=True)
    with refused("measure.worth_no_unseen"):
        simulacra.worth(with_labels)
    with refused("measure.worth_few_unseen"):  # its own pictures are left out as copies
        simulacra.worth(with_labels, unseen=whole)


def test_too_few_classes_or_pictures_of_one() -> None:
    data = pictures(each=5, unseen=20)
    with refused("measure.worth_few_train", count=5):
        planned(data)
    with refused("measure.worth_one_class"):
        make_plan(data, classes=("one",), of=None, ratio=1.0, seeds=3, flips=True, sources={})
