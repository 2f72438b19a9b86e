"""Every setting of every GAN changes what a run computes, or is refused; each has its sentence in both languages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from support import CPU, differences, noise, suitable

from simulacra import messages
from simulacra.config import explanation, setting, unmet, updated
from simulacra.data.feed import Feed
from simulacra.errors import SimulacraError
from simulacra.gan import GAN
from simulacra.registry import configured, find, gans
from simulacra.settings import Settings
from simulacra.training.trainer import Trainer

SHAPE = (3, 16, 16)
FROM_DATA = {"shape", "labels", "attributes"}
OF_THE_CLOCK = {"epochs"}  # read by the plan alone
OTHER: dict[str, Any] = {  # where the generic other value has no effect on so few steps, or is not valid
    **{"conditional": True, "balance": "fixed:2", "epochs": 7.0, "pixels": 512, "kernel": 6, "z": 9, "w": 9},
    **{
        "augment": "diff",
        "augment_kinds": ("colour",),
        "augment_images": 100.0,
        "augment_last": 0.5,
        "betas": (0.3, 0.9),
    },
    **{"features_max": 4, "hidden": (16,), "hidden_g": (16,), "hidden_d": (16,), "clip": 1e-4, "norm_g": "instance"},
    **{"norm_d": "instance", "gamma": 3.0, "bank": 9, "group": 2, "batch": 4, "output": "linear"},
    **{"fade": 8, "stable": 8, "lr_d": 3e-3, "length": 12.0, "halvings": 1, "blocks": 2, "fine": 4, "burn_in": 20.0},
    **{
        "augment_p": 0.3,
        "augment_target": 0.0,
        "ema": 0.05,
        "ema_first": 3.0,
        "path_share": 1.0,
        "zoom": 1.4,
        "pool": 2,
    },
}
BUILDS = [*(f"{name}:tiny" for name in gans()), "cyclegan:tiny-unet", "r3gan:auto", "cyclegan:auto"]
AUTO: dict[str, dict[str, Any]] = {  # what `auto` builds, narrower
    "r3gan:auto": {"network": "conv", "z": 8, "features": 8, "features_max": 16, "batch": 8, "lazy": 2},
    "cyclegan:auto": {
        **{"network": "unet", "features": 4, "batch": 4, "fine": 4, "norm": "none", "loss": "relativistic", "lazy": 2},
        **{"match": 10.0, "bank": 6, "zoom": 1.0, "change": True, "augment": "diff"},
    },
}


REFUSED = {
    "config.no_augmentation",
    "config.augment_last",
    "gan.idle_setting",
    "gan.not_conditional",
    "gan.only_conditional",
    "gan.norm_d_with_spectral_norm",
}
STEPS = 5


def build(spec: str, **settings: Any) -> GAN:
    """A GAN with the settings of a spec, and others on top as a user gives them."""
    fixed = AUTO.get(spec, {})
    settings = ({"burn_in": 40.0} if spec.startswith("r3gan") else {}) | settings
    gan, config = configured(spec.partition(":")[0] if fixed else spec, SHAPE, settings, labels=3, defaults=fixed)
    torch.manual_seed(0)
    return gan(config)


def another(gan: GAN, name: str) -> Any:
    """A valid value of the setting that is not its own."""
    value, hint = getattr(gan.config, name), get_type_hints(type(gan.config))[name]
    if name == "gamma" and isinstance(value, tuple):
        return (5.0, 2.0)
    if name in OTHER and OTHER[name] != value:
        return OTHER[name]
    if get_origin(hint) is Literal:
        return next(choice for choice in reversed(get_args(hint)) if choice != value)
    if isinstance(value, bool):
        return not value
    if name == "balance":
        return "fixed:1"
    return value + 1 if isinstance(value, int) else value * 0.6 if value else 0.3


def trained(gan: GAN, folder: Path, *, bf16: bool = False, steps: int = STEPS) -> dict[str, Any]:
    """Weights, buffers and the average after a few steps."""
    data = suitable(gan.name, noise(24))
    feed = Feed(data, CPU, seed=3, mirror=gan.config.mirror)
    feed.attach_labels(gan.G)
    trainer = Trainer(gan, feed, folder, seed=3, precision="bf16" if bf16 else "fp32")
    for _ in range(steps):
        trainer.step()
    state = trainer.state_dict()
    return {key: state[key] for key in ("gan", "ema")}


def without_effect(spec: str, folder: Path, names: Iterable[str], *, steps: int = STEPS, **base: Any) -> list[str]:
    """The settings whose other values change nothing, and are not refused."""
    plain, idle = build(spec, **base), list[str]()
    state = {
        bf16: trained(build(spec, **base), folder, bf16=bf16, steps=steps)
        for bf16 in {"penalty_precision" in names, False}
    }
    for name in names:
        try:
            gan = build(spec, **base | {name: another(plain, name)})
        except SimulacraError as error:
            assert error.code in REFUSED, f"{name}: {error}"
            continue
        bf16 = name == "penalty_precision"
        if not differences(state[bf16], trained(gan, folder, bf16=bf16, steps=steps)):
            idle.append(name)
    return idle


@pytest.mark.parametrize("spec", BUILDS)
def test_every_setting_has_an_effect_or_is_refused(spec: str, tmp_path: Path) -> None:
    names = [field.name for field in dataclasses.fields(build(spec).config)]
    assert without_effect(spec, tmp_path, [name for name in names if name not in FROM_DATA | OF_THE_CLOCK]) == []


@pytest.mark.parametrize(("spec", "names", "base"), [
    ("dcgan:tiny", ("augment_p", "augment_kinds"), {"augment": "ada", "augment_p": 0.4}),
    ("dcgan:tiny", ("augment_images",), {"augment": "ada", "augment_images": 200.0, "augment_p": 0.4}),
    ("dcgan:tiny", ("alpha",), {"optimizer": "rmsprop"}),
    ("r3gan:tiny", ("augment_last",), {"augment": "ada"}),
    ("cyclegan:tiny", ("bank",), {"match": 1.0, "bank": 6}),
], ids=str)  # fmt: skip
def test_idle_settings_wake(spec: str, names: tuple[str, ...], base: dict[str, Any], tmp_path: Path) -> None:
    config = build(spec).config
    assert all(name in build(spec).idle_settings(config) for name in names)
    assert without_effect(spec, tmp_path, names, steps=12, **base) == []


# --- explanations ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(gans()))
def test_every_setting_has_a_sentence_in_both_languages(name: str) -> None:
    gan = find(name)
    chinese = messages.catalogue("zh")
    assert gan.suits.endswith(".") and f"settings.{name}.suits" in chinese
    for field in dataclasses.fields(gan.Config):
        english = explanation(gan.Config, field.name)
        assert english.endswith(".") and english[0].isupper() and len(english) < 120, field.name
        assert {f"settings.{field.name}", f"settings.{name}.{field.name}"} & chinese.keys(), field.name


def test_a_gan_s_own_sentence_has_its_own_translation() -> None:
    """Settings of one name that two GANs explain differently."""
    sentences: dict[str, set[str]] = {}
    for name, gan in gans().items():
        for field in dataclasses.fields(gan.Config):
            if f"settings.{name}.{field.name}" not in messages.catalogue("zh"):
                sentences.setdefault(field.name, set()).add(explanation(gan.Config, field.name))
    assert {name: texts for name, texts in sentences.items() if len(texts) > 1} == {}


def test_a_changed_default_keeps_the_sentence() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Own(Settings):
        z: int = 5
        prior: Literal["normal", "uniform"] = setting("uniform", when={"z": "more than 0"})
        lr: float = setting(1.0, "Its own.")

    assert (Own().z, Own().prior, explanation(Own, "z")) == (5, "uniform", explanation(Settings, "z"))
    assert explanation(Own, "prior") == explanation(Settings, "prior") and explanation(Own, "lr") == "Its own."
    assert unmet(Own(), "prior") is None and unmet(Own(), "alpha") == "optimizer=rmsprop"
    assert unmet(updated(Own(), {"optimizer": "rmsprop"}, of="it"), "alpha") is None


def test_presets_and_defaults_may_have_no_effect_but_words_may_not() -> None:
    assert "blocks" in build("r3gan:auto").idle_settings(build("r3gan:auto").config)
    configured("r3gan", SHAPE, {}, defaults={"network": "conv", "blocks": 3})
    with pytest.raises(SimulacraError) as caught:
        configured("r3gan", SHAPE, {"network": "conv", "blocks": 3})
    assert caught.value.code == "gan.idle_setting" and "network=residual" in str(caught.value)
