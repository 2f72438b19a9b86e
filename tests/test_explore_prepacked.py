"""The explorer's faster copy of a generator: the same pictures, sooner."""

from __future__ import annotations

from pathlib import Path

import exploring
import numpy as np
import pytest
import torch
from torch import nn

from simulacra.explore import rendering
from simulacra.explore.loaded import LoadedGenerator, load_model
from simulacra.explore.prepacked import PrepackedConv, prepacked
from simulacra.generator import Generator, to_image
from simulacra.latent.recipe import Recipe
from simulacra.storage import load_generator

SPECS = ("dcgan:tiny", "dcgan:tiny+labels", "stylegan2:tiny", "r3gan:tiny", "sngan:tiny", "mlp:tiny")


def pixels(generator: Generator, seed: int) -> np.ndarray:
    with torch.inference_mode():
        w = generator.mapping(generator.seeded([seed]), generator.conditions([seed]))
        return np.asarray(to_image(generator.synthesis(w)[0].float()), int)


@pytest.mark.parametrize("spec", SPECS)
def test_its_pictures_are_the_same_to_a_level(tmp_path: Path, spec: str) -> None:
    generator = load_generator(exploring.model(tmp_path / "m", spec))
    fast = prepacked(generator)
    assert fast is not generator
    for seed in range(4):
        assert np.abs(pixels(fast, seed) - pixels(generator, seed)).max() <= 1


def test_convolutions_are_packed_and_the_model_itself_is_not(tmp_path: Path) -> None:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        pytest.skip("this torch has no oneDNN")
    generator = load_generator(exploring.model(tmp_path / "m"))
    fast = prepacked(generator)
    assert any(isinstance(module, PrepackedConv) for module in fast.modules())
    assert not any(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in fast.modules())
    assert not any(isinstance(module, PrepackedConv) for module in generator.modules())


@pytest.mark.parametrize("fault", [AttributeError, RuntimeError, None])
def test_where_it_cannot_be_it_is_the_plain_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: type[Exception] | None
) -> None:
    def forward(self: PrepackedConv, x: torch.Tensor) -> torch.Tensor:
        if fault:
            raise fault("not in this version")
        return torch.ones(1, 3, 16, 16)  # or something else than was asked for

    generator = load_generator(exploring.model(tmp_path / "m"))
    monkeypatch.setattr(PrepackedConv, "forward", forward)
    fast = prepacked(generator)
    assert not any(isinstance(module, PrepackedConv) for module in fast.modules())
    assert np.abs(pixels(fast, 1) - pixels(generator, 1)).max() <= 1


def test_the_explorer_looks_with_it_and_keeps_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(exploring.model(tmp_path / "m"))
    assert isinstance(model, LoadedGenerator)
    used: list[str] = []

    def watch(name: str) -> None:
        generator = getattr(model, name)
        synthesis = generator.synthesis

        def watched(w: torch.Tensor) -> torch.Tensor:
            used.append(name)
            pictures: torch.Tensor = synthesis(w)
            return pictures

        monkeypatch.setattr(generator, "synthesis", watched)

    watch("fast_generator")
    watch("generator")
    for format in ("auto", "auto", "png"):  # the first does not wait for it
        rendering.render(model, rendering.RenderRequest(recipes=[Recipe(seed=1)], format=format))
    assert used == ["generator", "fast_generator", "generator"]
