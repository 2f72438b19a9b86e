"""Runs and models of earlier versions open, draw what they drew, and resume."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import simulacra
from simulacra.errors import SimulacraError
from simulacra.generator import Generator
from simulacra.training.plan import plan
from simulacra.translator import Translator

OLD = Path(__file__).parent / "data" / "runs"
VERSIONS = sorted(path.name for path in OLD.iterdir())
every_version = pytest.mark.parametrize("version", VERSIONS)


def expected(version: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((OLD / version / "expected.json").read_text())
    return record


@every_version
@pytest.mark.parametrize("name", ["styled", "paired"])
def test_a_generator_draws_the_same_pictures(version: str, name: str) -> None:
    generator = simulacra.load(OLD / version / name)
    assert isinstance(generator, Generator)
    pictures = torch.cat(list(generator.pictures(range(4))))
    assert pictures.mean((1, 2, 3)).tolist() == pytest.approx(expected(version)[name]["pixels"], abs=1e-3)


@every_version
def test_a_translator_translates_as_it_did(version: str) -> None:
    translator = simulacra.load(OLD / version / "translator")
    assert isinstance(translator, Translator)
    images = torch.linspace(-1, 1, 3 * 16 * 16).view(1, 3, 16, 16)
    means = [float(translator.translate(images, "a").mean()), float(translator.translate(images, "b").mean())]
    assert means == pytest.approx(expected(version)["translator"]["pixels"], abs=1e-3)


@every_version
def test_a_run_resumes(version: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(OLD / version / "styled", run)
    before = (run / "journal.jsonl").read_text()
    simulacra.train(run, total=36, quiet=True)
    journal = (run / "journal.jsonl").read_text()
    assert journal.startswith(before)
    last = json.loads(journal.splitlines()[-1])
    wanted = expected(version)["styled"]["resumed"]
    assert {name: last[name] for name in wanted} == pytest.approx(wanted, rel=0.02)


@every_version
def test_a_setting_that_a_run_is_older_than_has_its_former_value(version: str) -> None:
    """And saying so is no change, whereas another value is refused."""
    run = OLD / version / "styled"
    assert "corrected" not in json.loads((run / "config.json").read_text())["config"]
    for settings in ({}, {"corrected": True}):
        assert plan(run, settings=settings).config.corrected  # type: ignore[attr-defined]
    with pytest.raises(SimulacraError) as caught:
        plan(run, settings={"corrected": False})
    assert caught.value.code == "plan.other_settings" and "corrected" in str(caught.value)
