"""Every setting of every GAN changes what a run computes, or is refused; each has its sentence in both languages."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from simulacra import messages
from simulacra.config import FROM_DATA, explanation, setting, unmet, updated
from simulacra.errors import SimulacraError
from simulacra.gan import GAN
from simulacra.plugins.settings_check import OF_THE_CLOCK, without_effect
from simulacra.registry import configured, find, gans
from simulacra.settings import Settings

SHAPE = (3, 16, 16)
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


def build(spec: str, **settings: Any) -> GAN:
    """A GAN with the settings of a spec, and others on top as a user gives them."""
    fixed = AUTO.get(spec, {})
    settings = ({"burn_in": 40.0} if spec.startswith("r3gan") else {}) | settings
    gan, config = configured(spec.partition(":")[0] if fixed else spec, SHAPE, settings, labels=3, defaults=fixed)
    torch.manual_seed(0)
    return gan(config)


def refused(name: str, error: SimulacraError) -> None:
    assert error.code in REFUSED, f"{name}: {error}"


@pytest.mark.parametrize("spec", BUILDS)
def test_every_setting_has_an_effect_or_is_refused(spec: str, tmp_path: Path) -> None:
    names = {field.name for field in dataclasses.fields(build(spec).config)} - FROM_DATA - OF_THE_CLOCK
    assert without_effect(functools.partial(build, spec), tmp_path, sorted(names), on_refusal=refused) == []


@pytest.mark.parametrize(("spec", "names", "base"), [
    ("dcgan:tiny", ("augment_p", "augment_kinds"), {"augment": "ada", "augment_p": 0.4}),
    ("dcgan:tiny", ("augment_images",), {"augment": "ada", "augment_images": 200.0, "augment_p": 0.4}),
    ("dcgan:tiny", ("alpha",), {"optimizer": "rmsprop"}),
    ("r3gan:tiny", ("augment_last",), {"augment": "ada"}),
    ("dcgan:tiny", ("augment_colour",), {"augment": "ada", "augment_p": 0.4}),
    ("cyclegan:tiny", ("bank",), {"match": 1.0, "bank": 6}),
], ids=str)  # fmt: skip
def test_idle_settings_wake(spec: str, names: tuple[str, ...], base: dict[str, Any], tmp_path: Path) -> None:
    config = build(spec).config
    assert all(name in build(spec).idle_settings(config) for name in names)
    assert without_effect(functools.partial(build, spec, **base), tmp_path, names, steps=12, on_refusal=refused) == []


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
