"""Scores, certificate, the best moment of a run, and two models side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measuring import blobs
from reporting import KID, scored
from support import on_disk, refused
from torch import Tensor

from simulacra import storage
from simulacra.data.dataset import content_hash
from simulacra.errors import SimulacraError
from simulacra.gan import Generator
from simulacra.measure import choose as choosing
from simulacra.measure.choose import add_score, choose, mark_best, ranking, read_scores, since_best
from simulacra.measure.compare import compare
from simulacra.measure.evaluate import evaluate
from simulacra.measure.printing import print_certificate, print_choice
from simulacra.registry import configured
from simulacra.storage import checkpoints
from simulacra.training.options import train

QUICK = ("fd", "kid", "prdc", "diversity")


pytestmark = pytest.mark.usefixtures("coarse_extractor")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 pictures, of them 20 held out."""
    folder = on_disk(tmp_path_factory.mktemp("data") / "blobs", blobs())
    record = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps(record | {"splits": {"train": 100, "valid": 20, "test": 0}}))
    return folder


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run with five checkpoints."""
    run = tmp_path_factory.mktemp("runs") / "a"
    return train(data, gan="dcgan:tiny", run=run, total=400, save_every=80, quiet=True)


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy that a test may change."""
    import shutil

    yield shutil.copytree(trained, tmp_path / "runs" / "a")


# --- evaluate ---------------------------------------------------------------------------------------------------------


def test_a_certificate_says_all_that_decided_the_scores(run: Path) -> None:
    certificate, path = evaluate(run, samples=64, metrics=QUICK)
    assert path == run / "certificate.json"
    assert json.loads(path.read_text()) == certificate
    assert certificate["model"]["hash"] == storage.fingerprint(run)
    assert certificate["data"] | {"hash": ""} == {
        "name": "tiny",
        "hash": "",
        "on": "train",
        "pictures": 64,
        "size": [3, 16, 16],
    }
    assert certificate["extractor"] == {
        "name": "coarse",
        "sha256": "0" * 64,
        "backend": "torch",
        "treatment": "1",
    }
    assert certificate["seeds"] == "1000000-1000063"
    assert {"simulacra", "torch", "python"} <= certificate["versions"].keys()
    assert certificate["leads"] == "fd-coarse-48", "at every number of pictures"
    assert any("as many pictures" in warning for warning in certificate["warnings"]), "fewer than 2,000"
    for name, score in certificate["scores"].items():
        assert score["low"] <= score["value"] <= score["high"], name
        assert score["n_floor"] == 32, "half against half"
    floors: dict[str, Any] = {name.partition("-")[0]: score["floor"] for name, score in certificate["scores"].items()}
    assert floors["precision"] > 0.5
    assert 0.8 < floors["diversity"] < 1.2
    assert evaluate(run, samples=64, metrics=QUICK)[0] == certificate, "the same again, to the last digit"


def test_a_model_that_draws_its_training_pictures_scores_at_the_floor_and_noise_does_not(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reals(self: Any, seeds: range, **_: Any) -> Iterator[Tensor]:
        yield torch.from_numpy(blobs(len(seeds), seed=1)).permute(0, 3, 1, 2).float() / 127.5 - 1

    honest, _ = evaluate(run, samples=100, metrics=QUICK)
    monkeypatch.setattr("simulacra.gan.Generator.pictures", reals)
    ideal, _ = evaluate(run, samples=100, metrics=QUICK)
    fd, kid = ideal["scores"]["fd-coarse-48"], ideal["scores"]["kid-coarse-same"]
    assert fd["floor"] and fd["value"] < 1.5 * fd["floor"]
    assert kid["low"] < 0.05 * honest["scores"]["kid-coarse-same"]["value"]
    assert honest["scores"]["fd-coarse-48"]["low"] > 3 * fd["high"]
    assert ideal["scores"]["recall-coarse-48"]["value"] > 0.8 > honest["scores"]["recall-coarse-48"]["value"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"metrics": ["fdd"]}, "Did you mean 'fd'"),
        ({"samples": 1}, "--samples is 1"),
        ({"on": "test"}, "empty"),
        ({"data": "peeps"}, "64x64 RGB"),
        ({"data": "/nowhere"}, "/nowhere"),
        ({"where": "/nowhere"}, "/nowhere"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(run: Path, options: dict[str, Any], sentence: str) -> None:
    merged: dict[str, Any] = {"samples": 8, "metrics": ["fd"]} | options
    where = merged.pop("where", run)
    with pytest.raises(SimulacraError, match=sentence):
        evaluate(where, **merged)
    assert not (run / "certificate.json").exists()


def test_a_data_set_that_is_gone_is_asked_for(run: Path, data: Path) -> None:
    record = json.loads((run / "config.json").read_text())
    record["data"]["source"] = "/was/here"
    (run / "config.json").write_text(json.dumps(record))
    with pytest.raises(SimulacraError, match=r"/was/here.*--data"):
        evaluate(run, samples=8, metrics=["fd"])
    assert evaluate(run, samples=8, metrics=["fd"], data=data)[0]["warnings"]


def test_three_pictures_have_scores_that_call_themselves_guesses(tmp_path: Path) -> None:
    few = on_disk(tmp_path / "few", blobs(3))
    certificate, _ = evaluate(train(few, gan="mlp:tiny", run=tmp_path / "r", total=30, quiet=True), samples=8)
    assert any("guess" in warning for warning in certificate["warnings"])
    assert all(np.isfinite(score["value"]) for score in certificate["scores"].values())


def test_every_metric_comes_where_the_data_allows_it(run: Path) -> None:
    certificate, _ = evaluate(run, samples=40)
    kinds = {name.partition("-")[0] for name in certificate["scores"]}
    assert kinds >= {"fd", "kid", "precision", "recall", "density", "coverage", "diversity", "memorisation", "path"}
    assert len(certificate["nearest"]) > 0
    assert certificate["memorisation"]["verdict"] == "no sign"
    assert all(0 <= near["train"] < 100 and 1_000_000 <= near["seed"] < 1_000_040 for near in certificate["nearest"])
    with refused("measure.no_classes"):
        evaluate(run, samples=8, metrics=["classes"])


def test_classes_are_read_from_fakes_where_there_are_some(tmp_path: Path) -> None:
    pictures, labels = blobs(100), np.arange(100) % 2
    pictures[labels == 1] = 255 - pictures[labels == 1] // 4
    folder = on_disk(tmp_path / "two", pictures)
    np.save(folder / "labels.npy", labels)
    record = json.loads((folder / "data.json").read_text()) | {"classes": ["dark", "light"]}
    record["hash"] = content_hash(pictures, labels, ("dark", "light"))
    (folder / "data.json").write_text(json.dumps(record))
    certificate, _ = evaluate(train(folder, gan="mlp:tiny", run=tmp_path / "r", total=40, quiet=True), samples=30)
    score = certificate["scores"]["classes-coarse-same"]
    assert 1 <= score["value"] <= 2
    assert score["floor"] and score["floor"] > 1.8, "reals of two equally common classes"
    assert "100.0%" in score["what"]


@pytest.mark.parametrize(("kind", "few"), [("classes", "within"), ("attributes", "attributes")])
def test_few_labelled_pictures_have_the_other_scores(kind: str, few: str, tmp_path: Path) -> None:
    """Nine pictures are too few for a classifier: what needs one is left out, and refused where it is asked for."""
    pictures, names = blobs(9), ("dark", "light")
    labels = np.arange(9) % 2 if kind == "classes" else np.eye(2, dtype=np.float32)[np.arange(9) % 2]
    folder = on_disk(tmp_path / "few", pictures)
    np.save(folder / "labels.npy", labels)
    named: dict[str, tuple[str, ...]] = {"classes": (), "attributes": ()} | {kind: names}
    record = json.loads((folder / "data.json").read_text()) | named
    record["hash"] = content_hash(pictures, labels, named["classes"], named["attributes"])
    (folder / "data.json").write_text(json.dumps(record))
    run = train(folder, gan="dcgan:tiny", run=tmp_path / "r", total=16, quiet=True, settings={"conditional": True})
    certificate, _ = evaluate(run, samples=8)
    kinds = {name.partition("-")[0] for name in certificate["scores"]}
    assert "fd" in kinds and not kinds & {"classes", "within", "agreement", "attributes"}
    with refused("measure.too_few", least=10, number=9):
        evaluate(run, samples=8, metrics=[few])


SHADES = ("dark", "middle", "light")


def shades(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Pictures [n, 16, 16, 3] of three classes that differ in brightness."""
    pictures: np.ndarray = (blobs(len(labels), seed) // 6 + 80 * labels[:, None, None, None]).astype(np.uint8)
    return pictures


@pytest.fixture(scope="module")
def conditional_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional run of a few steps on 200 pictures of three classes, the last one rare."""
    labels = np.repeat(np.arange(3), (100, 88, 12))
    labels = np.random.default_rng(0).permutation(labels)
    pictures = shades(labels)
    folder = on_disk(tmp_path_factory.mktemp("data") / "shades", pictures)
    np.save(folder / "labels.npy", labels)
    record = json.loads((folder / "data.json").read_text()) | {"classes": list(SHADES)}
    record["hash"] = content_hash(pictures, labels, SHADES)
    (folder / "data.json").write_text(json.dumps(record))
    run = tmp_path_factory.mktemp("runs") / "conditional"
    return train(
        folder, gan="dcgan:tiny", run=run, total=160, save_every=80, quiet=True, settings={"conditional": True}
    )


@pytest.fixture
def labelled(conditional_run: Path, tmp_path: Path) -> Path:
    import shutil

    return shutil.copytree(conditional_run, tmp_path / "runs" / "conditional")


def drawing(shift: int) -> Any:
    """Pictures of the class that each seed has, `shift` classes further."""

    def pictures(self: Generator, seeds: range, **_: Any) -> Iterator[Tensor]:
        y = self.conditions(seeds)
        assert y is not None
        labels = (y.argmax(1).numpy() + shift) % 3
        yield torch.from_numpy(shades(labels, seed=1)).permute(0, 3, 1, 2).float() / 127.5 - 1

    return pictures


def test_a_model_that_is_told_classes_is_scored_within_each(labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulacra.gan.Generator.pictures", drawing(0))
    certificate, _ = evaluate(labelled, samples=300, metrics=["kid", "within"])
    lines = certificate["within"]["classes"]
    assert [line["class"] for line in lines] == list(SHADES)
    assert sum(line["n"] for line in lines) == 300 and [line["n_real"] for line in lines] == [100, 88, 12]
    assert abs(lines[0]["n"] - 150) < 35, "fakes have the classes in the shares of the data"
    for line in lines[:2]:
        score = line["scores"]["kid-coarse-same"]
        assert score["low"] <= score["value"] <= score["high"] and abs(score["value"] - score["floor"]) < 0.05
        assert line["agreement"]["value"] > 0.9 and line["agreement_real"]["value"] > 0.9
    assert lines[2]["scores"] == {}, "12 reals are too few"
    agreement = certificate["scores"]["agreement-coarse-same"]
    assert agreement["value"] > 0.9 and agreement["floor"] and agreement["floor"] > 0.9


def test_classes_drawn_one_for_the_other_show_only_within_them(labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulacra.gan.Generator.pictures", drawing(0))
    right, _ = evaluate(labelled, samples=200, metrics=["kid", "within"])
    monkeypatch.setattr("simulacra.gan.Generator.pictures", drawing(1))
    wrong, _ = evaluate(labelled, samples=200, metrics=["kid", "within"])
    name = "within-kid-coarse-same"
    assert wrong["scores"][name]["low"] > 10 * max(right["scores"][name]["high"], 0.001)
    assert wrong["scores"]["agreement-coarse-same"]["value"] < 0.05
    first = wrong["within"]["classes"][0]
    assert (first["else_read_as"], first["else_share"]) == ("middle", 1.0)


def test_every_metric_comes_for_a_model_that_is_told_classes(
    labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate, path = evaluate(labelled, samples=60)
    kinds = {name.partition("-")[0] for name in certificate["scores"]}
    assert kinds >= {"fd", "kid", "diversity", "path", "classes", "within", "agreement"}
    print_certificate(certificate, path)
    out = capsys.readouterr().out
    assert "Within each class" in out and "fewer than 20" in out and "None" not in out
    assert all(name in out for name in SHADES)
    assert choose(labelled, samples=30)["scored"] == 2
    assert compare(labelled, labelled / "checkpoints" / "000000080", samples=30)["n"] == 30


def test_within_needs_a_model_that_is_told_the_classes(run: Path, labelled: Path, data: Path) -> None:
    with refused("measure.not_conditional"):
        evaluate(run, samples=8, metrics=["within"])
    with refused("measure.not_conditional"):
        evaluate(labelled, samples=8, metrics=["within"], data=data)
    assert "within" not in evaluate(labelled, samples=30, data=data)[0], "other data is scored without it"


def test_a_generator_that_copies_is_told_on(run: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = torch.from_numpy(blobs()[:100]).permute(0, 3, 1, 2).float() / 127.5 - 1

    def thief(self: Any, seeds: range, **_: Any) -> Iterator[Tensor]:
        yield copies[torch.tensor([seed % 100 for seed in seeds])] + 0.02 * torch.randn(len(seeds), 3, 16, 16)

    torch.manual_seed(0)
    monkeypatch.setattr("simulacra.gan.Generator.pictures", thief)
    certificate, _ = evaluate(run, samples=100, metrics=["memorisation"])
    assert certificate["memorisation"]["verdict"] == "copying"
    assert any("copying" in warning for warning in certificate["warnings"])
    assert sum(near["seed"] % 100 == near["train"] for near in certificate["nearest"]) >= 18, "and names the pairs"


def test_another_model_s_certificate_is_kept(run: Path) -> None:
    first, path = evaluate(run / "checkpoints" / "000000080", samples=8, metrics=["fd"])
    assert path is not None
    evaluate(run, samples=8, metrics=["fd"])
    assert json.loads((run / f"certificate-{first['model']['hash']}.json").read_text()) == first
    (run / "notes.json").write_text("{}")
    with refused("measure.not_a_certificate"):
        evaluate(run, samples=8, metrics=["fd"], out=str(run / "notes.json"))
    _, path = evaluate(run, samples=8, metrics=["fd"], out=str(run / "other.json"))
    assert path == run / "other.json" and path.is_file()


# --- choose -----------------------------------------------------------------------------------------------------------


def test_the_best_checkpoint_becomes_the_run_s_model(run: Path) -> None:
    chosen = choose(run, samples=64)
    lines = read_scores(run)
    assert [line["nimg"] for line in lines] == [int(path.name) for path in checkpoints(run)] == [80, 160, 240, 320, 400]
    best = min(lines, key=lambda line: float(line["scores"]["fd-coarse-48"]["value"]))
    assert chosen["nimg"] == best["nimg"]
    assert chosen["last"]["nimg"] == 400
    assert chosen["scored"] == 5
    assert storage.model_folder(run) == run / "checkpoints" / chosen["checkpoint"]
    assert chosen["anew"]["seeds"].startswith("1000000-")
    again = (run / "scores.jsonl").read_text()
    assert choose(run, samples=64) == chosen
    assert (run / "scores.jsonl").read_text() == again, "nothing was scored twice"
    choose(run, samples=32)
    assert {line["n"] for line in read_scores(run)} == {32}, "only what was scored alike is compared"


def test_scores_of_an_earlier_version_open_and_are_not_compared_with_those_of_this_one(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They were of untreated pictures, KID led them, and no second judge stood beside it."""
    scored(run)
    old = json.loads((run / "certificate.json").read_text())
    assert {line["leads"] for line in read_scores(run)} == {KID} and ranking(run)
    again = mark_best(run)
    assert again is not None and again["by"] == KID and "second" not in again
    print_certificate(old, None)
    assert "fd-efl0-112" in capsys.readouterr().out
    chosen = choose(run, samples=32)
    lines = [line for line in read_scores(run) if line["extractor"]["name"] == "coarse"]
    assert len(lines) == 5 == chosen["scored"] and chosen["by"] == "fd-coarse-48", "all are scored anew"
    assert evaluate(run, samples=16, metrics=["fd"])[0]["leads"] == "fd-coarse-48"


def test_a_best_that_is_gone_gives_way_to_the_last(run: Path) -> None:
    best = choose(run, samples=16)
    import shutil

    shutil.rmtree(run / "checkpoints" / best["checkpoint"])
    assert storage.model_folder(run) == checkpoints(run)[-1]
    assert best["nimg"] not in ranking(run)


def score_record(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 1, "high": value + 1, "n": 9, "n_real": 9, "better": "less", "what": ""}


def line(nimg: int, value: float, **terms: Any) -> Any:
    score = score_record(value)
    same = {"extractor": {}, "on": "train", "data": "", "n": 9, "n_real": 9, "seeds": "0-8"} | terms
    return {"nimg": nimg, "model": str(nimg), "leads": "kid", "scores": {"kid": score}} | same


def test_the_sentence_says_whether_the_last_may_be_as_good(tmp_path: Path) -> None:
    for nimg in (10, 20, 30):
        folder = tmp_path / "checkpoints" / f"{nimg:09d}"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
    add_score(tmp_path, line(10, 5.0))
    add_score(tmp_path, line(20, 2.0))
    add_score(tmp_path, line(30, 3.5))
    best = mark_best(tmp_path)
    assert best is not None
    assert best["nimg"] == 20
    assert "overlap" in best["why"]
    assert since_best(tmp_path) == 1
    anew = {"by": "kid", "seeds": "9-17", "difference": {"value": 0.5, "low": -1, "high": 2}}
    anew |= {"best": {"value": 3.0, "low": 2, "high": 4}, "last": {"value": 2.5, "low": 2, "high": 3}}
    again = mark_best(tmp_path, anew)
    assert again is not None
    assert (again["value"], again["choice"]["best"]["value"], again["last"]["value"]) == (3.0, 2.0, 2.5)
    assert "not surely better" in again["why"] and mark_best(tmp_path) == again, "they stay with their choice"
    for low, high, said in ((-2, -1, ": better than the last"), (1, 2, "the last is better")):
        other = mark_best(tmp_path, anew | {"difference": {"value": 0, "low": low, "high": high}})
        assert other is not None and said in other["why"]
    add_score(tmp_path, line(30, 9.0))
    best = mark_best(tmp_path)  # the newest line of a checkpoint counts; another choice has to be scored again
    assert best is not None
    assert "apart" in best["why"]
    with (tmp_path / "scores.jsonl").open("a") as file:
        file.write('{"nimg": 40, "mod')  # cut short by a kill
    assert len(read_scores(tmp_path)) == 3
    add_score(tmp_path, line(30, 1.0))
    assert since_best(tmp_path) == 0


def test_a_best_of_an_earlier_version_opens_and_is_scored_again(run: Path) -> None:
    chosen = choose(run, samples=16)
    old = {key: value for key, value in chosen.items() if key not in ("choice", "second")}
    old |= chosen["choice"]["best"] | {"last": chosen["last"] | chosen["choice"]["last"]}
    (run / "best.json").write_text(json.dumps(old))
    assert storage.model_folder(run).name == chosen["checkpoint"]
    best = mark_best(run)
    assert best is not None
    assert "anew" not in best and best["value"] == chosen["choice"]["best"]["value"]
    assert choose(run, samples=16) == chosen


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.0, "sw, would choose 10 images: 1 (0 to 2) against 7 (6 to 8). Look at both."),
        (6.5, "against 7 (6 to 8); their intervals overlap."),
        (9.0, "sw, chooses the same."),
    ],
)
def test_the_second_judge_is_heard(tmp_path: Path, value: float, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    for nimg, first, second in ((10, 5.0, value), (20, 2.0, 7.0)):
        folder = tmp_path / "checkpoints" / f"{nimg:09d}"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        scores = {"kid": score_record(first), "sw": score_record(second)}
        add_score(tmp_path, line(nimg, first) | {"second": "sw", "scores": scores})
    best = mark_best(tmp_path)
    assert best is not None
    assert best["nimg"] == 20 and best["why"].endswith(said)
    assert best["second"]["nimg"] == (20 if value == 9 else 10)
    print_choice(tmp_path, best)
    assert ("Best by the second judge" in capsys.readouterr().out) == (value != 9)


# --- while training -----------------------------------------------------------------------------------------------------


def test_measuring_while_training_keeps_the_best_and_ends_when_nothing_improves(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([5.0, 3.0, 4.0, 4.5, 4.2, 1.0])

    def planted(self: Any, model: Any, nimg: int, digest: str) -> Any:
        return line(nimg, next(values)) | {"model": digest}

    monkeypatch.setattr(choosing.CheckpointScorer, "line", planted)
    options: dict[str, Any] = {"gan": "dcgan:tiny", "run": tmp_path / "r", "total": 4000, "save_every": 4000}
    run = train(data, **options, measure_every=80, patience=3, quiet=True)
    assert [score["nimg"] for score in read_scores(run)] == [80, 160, 240, 320, 400]
    assert storage.model_folder(run).name == "000000160"
    assert checkpoints(run)[-1].name == "000000400", "three scores without a new best end it"
    train(data, **options, patience=3, quiet=True)
    assert checkpoints(run)[-1].name == "000000400", "and the same command does not start it again"
    train(data, **options | {"total": 480}, patience=0, quiet=True)
    assert storage.model_folder(run).name == "000000480"
    best = json.loads((run / "best.json").read_text())
    assert best["choice"]["best"]["value"] == 1.0 and best["nimg"] == best["last"]["nimg"] == 480
    assert best["value"] == best["anew"]["best"]["value"] != 1.0, "fresh seeds, which had no part in the choice"


def test_the_best_is_scored_anew_wherever_a_run_stops(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"gan": "dcgan:tiny", "save_every": 80, "measure_every": 80}
    whole = train(data, run=tmp_path / "whole", total=240, **options)
    assert "Best: " in capsys.readouterr().out
    stopped = train(data, run=tmp_path / "stopped", total=160, quiet=True, **options)
    first = json.loads((stopped / "best.json").read_text())
    assert first["anew"]["seeds"].startswith("1000000-") and "Scored again" in first["why"]
    assert {key: first[key] for key in ("value", "low", "high")} == first["anew"]["best"]
    train(data, run=stopped, total=240, quiet=True, **options)
    stored = (stopped / "best.json").read_text()
    assert json.loads(stored) == json.loads((whole / "best.json").read_text()), "a stop on the way changes nothing"
    monkeypatch.setattr(choosing.CheckpointScorer, "line", None)
    monkeypatch.setattr(choosing, "load", None)
    train(data, run=stopped, total=240, quiet=True, **options)
    assert (stopped / "best.json").read_text() == stored, "and nothing is scored twice"
    assert choose(stopped)["value"] == json.loads(stored)["value"], "choose has the same terms"


def test_measuring_leaves_the_run_bit_for_bit_as_it_was(data: Path, tmp_path: Path) -> None:
    same: dict[str, Any] = {"gan": "dcgan:tiny", "total": 320, "save_every": 160, "quiet": True}
    plain = train(data, run=tmp_path / "plain", **same)
    measured = train(data, run=tmp_path / "measured", measure_every=80, **same)
    assert len(read_scores(measured)) == 4
    last = [storage.fingerprint(checkpoints(run)[-1]) for run in (plain, measured)]
    assert last[0] == last[1]


def black_out(generator: Generator) -> Generator:
    """The same with every weight at zero but the last bias, which makes all of it black."""
    for parameter in generator.parameters():
        parameter.zero_()
    list(generator.parameters())[-1].fill_(-5)
    return generator


# --- compare ------------------------------------------------------------------------------------------------------------


def test_a_model_is_not_better_than_itself_and_is_better_than_a_black_one(
    run: Path, data: Path, tmp_path: Path
) -> None:
    comparison = compare(run, run, samples=50)
    for score in comparison["scores"].values():
        assert score["better"] is None
        assert score["difference"]["value"] == 0
    grey = tmp_path / "grey"
    storage.save_model(
        black_out(storage.load_generator(run)),
        grey,
        gan="dcgan",
        config=configured("dcgan:tiny", (3, 16, 16), {})[1],
        about={},
    )
    comparison = compare(grey, run, samples=80, data=data)
    assert comparison["scores"]["fd-coarse-48"]["better"] == "b"
    assert comparison["scores"]["kid-coarse-same"]["better"] == "b"
    assert comparison["scores"]["diversity-coarse-48"]["better"] == "b"
    flipped = compare(run, grey, samples=80)
    assert flipped["scores"]["kid-coarse-same"]["better"] == "a"
    assert comparison["leads"] == "fd-coarse-48" and comparison["second"] == "swd-pyramid"
