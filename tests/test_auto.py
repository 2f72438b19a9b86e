"""What is chosen where no GAN is named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import CPU, differences, in_memory, noise, on_disk, paired, state

from simulacra.augment import ada
from simulacra.data.opening import open_domain
from simulacra.errors import SimulacraError
from simulacra.files import read_json, write_json
from simulacra.messages import Message, using
from simulacra.registry import configured
from simulacra.training import auto, health
from simulacra.training.options import TrainOptions, train
from simulacra.training.plan import plan

CUDA = torch.device("cuda")  # only its name is looked at
QUICK: dict[str, Any] = {"features": 8, "features_max": 8, "batch": 8, "z": 4}


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 32, 32), (4, 64, 96), (3, 128, 128)])
def test_what_is_chosen_can_be_built(shape: tuple[int, int, int], device: torch.device) -> None:
    choice = auto.choose(in_memory(noise(4, shape)), device)
    gan, config = configured(choice.spec, shape, choice.settings)
    assert len(choice.reasons({})) >= 3 and all(choice.reasons({}))
    with torch.device("meta"):
        gan(config)


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 64, 64), (3, 128, 96), (3, 512, 512)])
def test_what_is_chosen_for_a_pair_can_be_built(shape: tuple[int, int, int], device: torch.device) -> None:
    choice = auto.choose(paired(noise(4, shape), noise(4, shape)), device)
    gan, config = configured(choice.spec, shape, choice.settings)
    assert choice.spec == "cyclegan" and config.batch >= 1 and len(choice.reasons({})) >= 2
    with torch.device("meta"):
        gan(config)


def test_unseen_pictures_decide_when_to_augment(tmp_path: Path) -> None:
    pictures = in_memory(noise(40, (3, 16, 16)))
    assert "augment" not in auto.choose(pictures, CPU, unseen=auto.UNSEEN - 1).settings
    choice = auto.choose(pictures, CPU, unseen=auto.UNSEEN)
    assert choice.settings.items() >= auto.NEEDED.items()
    assert not choice.settings_beside({"augment": "diff"}).keys() & auto.NEEDED.keys()
    data = on_disk(tmp_path / "data", noise(40, (3, 16, 16)), valid=16)
    resolved = plan(data, TrainOptions(run=tmp_path / "run", augment="diff"), QUICK)
    assert (resolved.config.augment, resolved.config.augment_kinds) == ("diff", ())
    assert plan(data, TrainOptions(run=tmp_path / "run"), QUICK).config.augment_sensor == "unseen"


def test_ds_own_rate_goes_where_the_user_names_gs(tmp_path: Path) -> None:
    data = on_disk(tmp_path / "data", noise(20, (3, 16, 16)))
    rates = {}
    for words in ({}, {"lr": 1e-4}, {"lr_d": 3e-4}, {"lr": 1e-4, "lr_d": 3e-4}):
        resolved = plan(data, TrainOptions(run=tmp_path / "run"), QUICK | words)
        rates[tuple(words)] = (resolved.config.lr, resolved.config.lr_d)
        explained = Message("auto.slower_d") in auto.choose(open_domain(data), CPU).reasons(words)
        assert explained == (not words)
    haste = auto.HASTE["lr"]
    assert list(rates.values()) == [(haste, haste / 2), (1e-4, None), (haste, 3e-4), (1e-4, 3e-4)]


def test_augmentation_adapts_to_unseen_pictures_and_resumes_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ada, "IMAGES", 32)
    monkeypatch.setattr(
        health.Health, "overfitting", lambda self, trainer: {"overfit": 0.9 - trainer.nimg / 400, "overfit_error": 1.0}
    )
    data = on_disk(tmp_path / "data", noise(40, (3, 16, 16)), valid=16)
    settings = QUICK | {"augment_images": 320.0}
    whole = train(data, run=tmp_path / "whole", total=240, save_every=80, device="cpu", quiet=True, settings=settings)
    train(data, run=tmp_path / "parts", total=240, save_every=80, device="cpu", quiet=True, settings=settings)
    for path in (tmp_path / "parts" / "checkpoints").iterdir():
        if int(path.name) > 160:
            shutil.rmtree(path)
    train(tmp_path / "parts", device="cpu", quiet=True)
    one, other = state(whole), state(tmp_path / "parts")
    assert not differences(one, other)
    assert float(one["gan"]["augment.p"]) == pytest.approx(0.1)  # 4 times up, 3 times down


@pytest.mark.parametrize(
    ("a", "b", "augment"), [(auto.FEW, 2, "diff"), (2, auto.FEW, "diff"), (auto.FEW, auto.FEW, None)]
)
def test_the_smaller_domain_of_a_pair_decides_whether_to_augment(a: int, b: int, augment: str | None) -> None:
    pair = paired(noise(a, (1, 8, 8)), noise(b, (1, 8, 8)))
    assert auto.choose(pair, CPU).settings.get("augment") == augment


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
def test_small_pictures_of_a_pair_are_translated_as_wholes(device: torch.device) -> None:
    for side, whole in ((auto.WHOLE, True), (auto.WHOLE + 8, False)):
        words = auto.choose(paired(noise(4, (1, side, side)), noise(4, (1, side, side))), device).settings
        assert (words.get("network") == "unet") == whole


def test_classes_are_conditions_where_most_pictures_are_in_large_ones() -> None:
    large = auto.SMALLEST_CLASS
    for counts, conditional in (
        ([large] * 3, True),
        ([large, large, large - 1], False),
        ([5 * large, 4 * large, 5], True),  # a stray folder changes nothing
        ([9 * large, 5], False),
    ):
        labels = np.repeat(np.arange(len(counts)), counts)
        assert ("conditional" in auto.choose(in_memory(noise(len(labels)), labels), CPU).settings) == conditional
    one = in_memory(noise(100), np.zeros(100, np.int64))
    assert "conditional" not in auto.choose(one, CPU).settings, "one class is none"


def test_attributes_are_told_where_each_is_there_and_missing_often_enough() -> None:
    images, rare = noise(3 * auto.SMALLEST_CLASS), auto.SMALLEST_CLASS
    for count, conditional in ((rare, True), (rare - 1, False), (len(images) - rare + 1, False)):
        labels = np.zeros((len(images), 2), np.float32)
        labels[:count, 0], labels[:30, 1] = 1, 1
        data = replace(in_memory(images), labels=labels, attributes=("glasses", "hat"))
        assert ("conditional" in auto.choose(data, CPU).settings) == conditional


def test_the_penalty_grows_with_the_side() -> None:
    small, large = (auto.choose(in_memory(noise(4, (3, side, side))), CPU).settings["gamma"] for side in (32, 64))
    assert large[0] == pytest.approx(2**2.5 * small[0]) and large[1] < large[0]


def test_photos_take_a_stronger_penalty_on_a_processor() -> None:
    photos, drawings = in_memory(noise(4)), in_memory(np.zeros((4, 16, 16, 3), np.uint8))
    for device, factor in ((CPU, auto.PHOTOS), (torch.device("cuda"), 1)):
        strong, weak = (auto.choose(data, device) for data in (photos, drawings))
        assert strong.settings["gamma"][0] == pytest.approx(factor * weak.settings["gamma"][0])
        codes = {reason.code for reason in strong.reasons({})}
        assert ("auto.gamma_photos" in codes) == (factor > 1)


def test_the_choice_is_told_kept_and_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = on_disk(tmp_path / "things", noise(24))
    chosen = auto.choose(in_memory(noise(24)), CPU)
    run = train(data, total=16, settings=QUICK)
    assert run == Path("runs") / f"tiny-{chosen.spec}"
    out, reasons = capsys.readouterr().out, chosen.reasons(QUICK)
    assert all(str(reason) in out for reason in reasons)
    assert len(reasons) == len(chosen.groups) - 1 and "channels" not in out, "what the user set is not explained"
    stored = read_json(run / "config.json")
    assert stored["gan"] == chosen.spec and stored["why"] == [str(reason) for reason in reasons]
    assert stored["config"]["network"] == "conv" and stored["config"]["features"] == 8, "words stand over the choice"
    for gan in (None, "auto"):
        again = plan(data, TrainOptions(run=run, total=32, gan=gan))
        assert again.resumed and again.reasons == reasons
    with using("zh"):
        assert not {str(reason) for reason in again.reasons} & set(stored["why"])
    del stored["reasons"], stored["task"]  # as in a run of 0.1
    write_json(run / "config.json", stored)
    assert list(plan(run).reasons) == stored["why"]
    with pytest.raises(SimulacraError) as caught:
        plan(data, TrainOptions(run=run, total=32, augment="diff"))
    assert caught.value.code == "plan.other_settings"
    (change,) = caught.value.values["changes"]
    assert change == Message("plan.change", name="augment", old="none", new="diff")
