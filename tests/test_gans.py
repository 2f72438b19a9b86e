"""Every GAN of the registry, at its tiny preset, passes every check: a new GAN gets these tests for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import forms, translating

from simulacra.plugins.checks import CHECKS, Skipped
from simulacra.registry import find, gans

# The checks that train for long, or start processes, stand in files of their own.
OF_THEIR_OWN = {"processes": "test_distributed", "learning": "test_learning", "settings": "test_settings"}


def test_the_registry_finds_every_file() -> None:
    assert {"mlp", "dcgan", "wgan", "wgan-gp"} <= gans().keys()
    assert [gan.year for gan in gans().values()] == sorted(gan.year for gan in gans().values())
    for name, gan in gans().items():
        assert find(name) is gan
        assert "tiny" in gan.presets


WITH_DCGANS_GENERATOR = ("wgan", "wgan-gp")  # exported once


@pytest.mark.parametrize(
    ("check", "spec"),
    [
        (check, spec)
        for check in sorted(CHECKS.keys() - OF_THEIR_OWN.keys())
        for spec in forms() + translating()
        if check != "onnx" or spec.partition(":")[0] not in WITH_DCGANS_GENERATOR
    ],
)
def test_every_gan_passes(check: str, spec: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    try:
        CHECKS[check](spec, tmp_path)
    except Skipped as reason:
        pytest.skip(str(reason))
    assert capfd.readouterr() == ("", ""), "nothing is printed on the way, by the ONNX exporter either"
