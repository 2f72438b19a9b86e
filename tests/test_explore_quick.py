"""The generator that the explorer looks with: the same pictures, sooner."""

from __future__ import annotations

from pathlib import Path

import exploring
import numpy as np
import pytest
import torch
from torch import nn

from simulacra.explore import rendering
from simulacra.explore.quick import Packed, quickened
from simulacra.gan import to_image
from simulacra.generator import Generator
from simulacra.latent.recipe import Recipe
from simulacra.storage import load_generator

SPECS = ("dcgan:tiny", "dcgan:tiny+labels", "stylegan2:tiny", "r3gan:tiny", "sngan:tiny", "mlp:tiny")


def pixels(generator: Generator, seed: int) -> np.ndarray:
    with torch.inference_mode():
        w = generator.mapping(generator.seeded([seed]), generator.labelled([seed]))
        return np.asarray(to_image(generator.synthesis(w)[0].float()), int)


@pytest.mark.parametrize("spec", SPECS)
def test_its_pictures_are_the_same_to_a_level(tmp_path: Path, spec: str) -> None:
    generator = load_generator(exploring.model(tmp_path / "m", spec))
    quick = quickened(generator)
    assert quick is not generator
    for seed in range(4):
        assert np.abs(pixels(quick, seed) - pixels(generator, seed)).max() <= 1


def test_convolutions_are_packed_and_the_model_itself_is_not(tmp_path: Path) -> None:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        pytest.skip("this torch has no oneDNN")
    generator = load_generator(exploring.model(tmp_path / "m"))
    quick = quickened(generator)
    assert any(isinstance(module, Packed) for module in quick.modules())
    assert not any(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in quick.modules())
    assert not any(isinstance(module, Packed) for module in generator.modules())


@pytest.mark.parametrize("fault", [AttributeError, RuntimeError, None])
def test_where_it_cannot_be_it_is_the_plain_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: type[Exception] | None
) -> None:
    def forward(self: Packed, x: torch.Tensor) -> torch.Tensor:
        if fault:
            raise fault("not in this version")
        return torch.ones(1, 3, 16, 16)  # or something else than was asked for

    generator = load_generator(exploring.model(tmp_path / "m"))
    monkeypatch.setattr(Packed, "forward", forward)
    quick = quickened(generator)
    assert not any(isinstance(module, Packed) for module in quick.modules())
    assert np.abs(pixels(quick, 1) - pixels(generator, 1)).max() <= 1


def test_the_explorer_looks_with_it_and_keeps_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = rendering.Model(exploring.model(tmp_path / "m"))
    used: list[str] = []

    def watched(name: str) -> None:
        one = getattr(model, name)
        real = one.render

        def render(w: torch.Tensor) -> torch.Tensor:
            used.append(name)
            drawn: torch.Tensor = real(w)
            return drawn

        monkeypatch.setattr(one, "synthesis", render)

    watched("quick")
    watched("generator")
    for format in ("auto", "auto", "png"):  # the first does not wait for it
        rendering.render(model, rendering.Request(recipes=[Recipe(seed=1)], format=format))
    assert used == ["generator", "quick", "generator"]
