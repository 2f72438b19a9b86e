"""Settings: a dataclass, then a preset, then words; every odd value is a sentence that names its setting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import build, refused

from simulacra.config import parse_words, to_json, updated
from simulacra.errors import SimulacraError
from simulacra.gan import Settings
from simulacra.gans.dcgan import base
from simulacra.registry import configured, find, gans
from simulacra.training.clock import parse_count


@dataclass(frozen=True, kw_only=True)
class Sample:
    whole: int = 1
    share: float = 0.5
    maybe: float | None = None
    on: bool = False
    kind: Literal["a", "b"] = "a"
    pair: tuple[float, float] = (0.1, 0.2)
    many: tuple[int, ...] = (1, 2)
    text: str = "x"


@pytest.mark.parametrize(
    ("key", "word", "value"),
    [
        ("whole", "7", 7),
        ("whole", "1e3", 1000),
        ("whole", 7.0, 7),
        ("share", "1e-4", 1e-4),
        ("share", "-2", -2.0),
        ("maybe", "none", None),
        ("maybe", "0.3", 0.3),
        ("on", "true", True),
        ("on", "No", False),
        ("on", True, True),
        ("kind", "b", "b"),
        ("pair", "0,0.9", (0.0, 0.9)),
        ("pair", [0, 1], (0.0, 1.0)),
        ("many", "8", (8,)),
        ("many", 8, (8,)),
        ("many", "8,9,10", (8, 9, 10)),
        ("text", "y=z", "y=z"),
    ],
)
def test_words_become_values(key: str, word: Any, value: Any) -> None:
    got = getattr(updated(Sample(), {key: word}, of="it"), key)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("key", "word", "sentence"),
    [
        ("whole", "1.5", "it's whole is '1.5'; it must be a whole number"),
        ("whole", "many", "a whole number"),
        ("whole", "", "a whole number"),
        ("share", "nan", "it's share"),
        ("share", "inf", "must be a number"),
        ("share", None, "must be a number"),
        ("on", "perhaps", "true or false"),
        ("kind", "c", "one of a, b"),
        ("pair", "1", "takes 2 values"),
        ("pair", "1,2,3", "has 3"),
        ("pair", "1,x", "must be a number"),
        ("many", "", "a whole number"),
        ("wholly", "1", "Did you mean 'whole'"),
        ("zzz", "1", "It has: kind, many"),
    ],
)
def test_odd_values_are_sentences(key: str, word: Any, sentence: str) -> None:
    with pytest.raises(SimulacraError) as caught:
        updated(Sample(), {key: word}, of="it")
    assert sentence in str(caught.value)


def test_words() -> None:
    assert parse_words(["gp=10", "name=a=b", "x="]) == {"gp": "10", "name": "a=b", "x": ""}
    for words, sentence in ((["lr"], "key=value"), (["=3"], "key=value"), (["a=1", "a=2"], "twice")):
        with pytest.raises(SimulacraError, match=sentence):
            parse_words(words)


@given(
    st.fixed_dictionaries(
        {
            "whole": st.integers(-(2**40), 2**40),
            "share": st.floats(allow_nan=False, allow_infinity=False),
            "maybe": st.none() | st.floats(-5, 5),
            "on": st.booleans(),
            "kind": st.sampled_from("ab"),
            "pair": st.tuples(st.floats(0, 1), st.floats(0, 1)),
            "many": st.lists(st.integers(0, 99), max_size=4).map(tuple),
            "text": st.text(),
        }
    )
)
def test_settings_survive_json_and_words(values: dict[str, Any]) -> None:
    config = Sample(**values)
    assert updated(Sample(), json.loads(json.dumps(to_json(config))), of="it") == config
    words = {k: ",".join(map(str, v)) if isinstance(v, tuple) else str(v) for k, v in values.items()}
    if values["many"] and values["maybe"] is not None:
        assert updated(Sample(), words, of="it") == config


@pytest.mark.parametrize("name", list(gans()))
def test_every_preset_is_valid_and_survives_json(name: str) -> None:
    gan = find(name)
    assert issubclass(gan.Config, Settings)
    for preset_name, preset in gan.presets.items():
        side = preset.size or 32
        shape = (3, side, side)
        _, config = configured(f"{name}:{preset_name}", shape, {}, labels=2)
        for key, value in preset.settings.items():
            assert getattr(config, key) == value
        assert updated(gan.Config(), json.loads(json.dumps(to_json(config))), of=name) == config
        assert config.shape == shape
        if preset_name != "tiny":
            assert preset.note
    assert all(field.kw_only for field in fields(gan.Config))


def test_order_of_precedence() -> None:
    assert configured("dcgan", (3, 64, 64), {})[1].batch == 128
    assert configured("dcgan:instance64", (3, 64, 64), {})[1].batch == 32
    assert configured("dcgan:instance64", (3, 64, 64), {"batch": "16"})[1].batch == 16


@pytest.mark.parametrize(
    ("spec", "settings", "sentence"),
    [
        ("dcgam", {}, "Did you mean 'dcgan'"),
        ("zzz", {}, "There are: cgan"),
        ("dcgan:celeb", {}, "Did you mean 'celeba64'"),
        ("dcgan:faces80", {}, "prepare them with --size 80"),
        ("dcgan", {"shape": "3,8,8"}, "comes from the data set"),
        ("wgan", {"smoothing": 0.1}, "critic"),
        ("wgan-gp", {"label_noise": 0.1}, "critic"),
        ("mlp", {"z": 0}, "z is 0"),
        ("mlp", {"batch": 0}, "batch is 0"),
        ("mlp", {"lr": -1}, "lr is -1"),
        ("mlp", {"lr_d": 0}, "lr_d is 0"),
        ("mlp", {"betas": "0.5,1"}, "betas is"),
        ("mlp", {"dropout": 1}, "dropout is 1"),
        ("mlp", {"smoothing": 2}, "smoothing is 2"),
        ("mlp", {"label_noise": -0.1}, "label_noise is -0.1"),
        ("mlp", {"clip": -1}, "clip is -1"),
        ("mlp", {"ema": -1}, "ema is -1"),
        ("mlp", {"lr_decay": -1}, "lr_decay is -1"),
        ("mlp", {"epochs": 0}, "epochs is 0"),
        ("mlp", {"hidden": "32,0"}, "hidden is"),
        ("dcgan", {"features": 0}, "features is 0"),
        ("wgan", {"clamp": 0}, "clamp is 0"),
        ("wgan-gp", {"gp": -1}, "gp is -1"),
    ],
)
def test_what_cannot_be_trained_is_refused(spec: str, settings: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(SimulacraError) as caught:
        configured(spec, (3, 64, 64), settings)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (32, 32, (4, 4, 3)),
        (64, 64, (4, 4, 4)),
        (80, 80, (5, 5, 4)),
        (96, 96, (6, 6, 4)),
        (112, 112, (7, 7, 4)),
        (128, 128, (4, 4, 5)),
        (160, 160, (5, 5, 5)),
        (48, 64, (6, 8, 3)),
        (64, 48, (8, 6, 3)),
        (32, 128, (4, 16, 3)),
        (80, 240, (5, 15, 4)),
        (8, 8, (4, 4, 1)),
    ],
)
def test_base(height: int, width: int, expected: tuple[int, int, int]) -> None:
    assert base((3, height, width)) == expected
    assert (expected[0] << expected[2], expected[1] << expected[2]) == (height, width)


@pytest.mark.parametrize(
    ("height", "width"), [(30, 30), (100, 100), (7, 7), (4, 4), (33, 64), (80, 120), (72, 72), (1, 1)]
)
def test_sides_that_do_not_double_are_named(height: int, width: int) -> None:
    with pytest.raises(SimulacraError) as caught:
        base((3, height, width))
    assert f"{width}x{height}" in str(caught.value)
    assert "--size" in str(caught.value)


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_dense_networks_have_their_exact_counts() -> None:
    gan = build("dcgan:frogs32", (3, 32, 32))
    assert parameters(gan.G) == 6_264_579
    assert parameters(gan.D) == 790_913


def test_dcgan_at_64_has_the_paper_s_channels() -> None:
    gan = build("dcgan:celeba64", (3, 64, 64))
    with torch.no_grad():
        sizes: list[tuple[int, ...]] = []
        for network in (gan.G, gan.D):
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.register_forward_hook(lambda m, i, out: sizes.append(tuple(out.shape[1:])))
        pictures = gan.G(gan.G.draw(2))
        gan.D(pictures)
    assert sizes[:4] == [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32)]
    assert sizes[4:] == [(128, 16, 16), (256, 8, 8), (512, 4, 4)]  # the first layer of D is not normalised
    assert build("dcgan:faces80", (3, 80, 80)).G.z_dim == 128


def test_dcgan_s_weights_start_as_the_paper_says() -> None:
    gan = build("dcgan:celeba64", (3, 64, 64))
    for network in (gan.G, gan.D):
        for key, value in network.named_parameters():
            if value.dim() > 1:
                assert value.std().item() == pytest.approx(0.02, rel=0.05), key
                assert value.mean().item() == pytest.approx(0, abs=0.002)
            elif key.endswith("weight"):
                assert value.mean().item() == pytest.approx(1, abs=0.02), key
            else:
                assert not value.any(), key


@pytest.mark.parametrize(
    ("text", "count"), [("5000", 5000), ("200k", 200_000), ("1.5M", 1_500_000), (7, 7), (" 2K ", 2000)]
)
def test_counts(text: str | int, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "k", "lots", "-5", "0", "0.1", "nan", "inf", "1e99"])
def test_odd_counts(text: str) -> None:
    with refused("plan.not_a_count"):
        parse_count(text)


@pytest.mark.parametrize("name", list(gans()))
def test_every_gan_checks_the_common_settings(name: str) -> None:
    odd: dict[str, Any] = {"batch": 0, "lr": 0.0, "clip": -1.0, "dropout": 1.0}
    for setting in odd:
        with pytest.raises(SimulacraError, match=setting):
            find(name).Config(**{setting: odd[setting]})
