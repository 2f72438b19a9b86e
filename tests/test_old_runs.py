"""Runs and models of earlier versions open, draw what they drew, and resume."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import simulacra
import simulacra.storage
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


def test_the_bundled_model_draws_the_same_people() -> None:
    """Mean values of the first three and of their channels; another bundled model has others."""
    pictures = torch.cat(list(simulacra.load_generator().pictures(range(3))))
    assert pictures.mean((1, 2, 3)).tolist() == pytest.approx([0.0293, 0.1824, 0.4856], abs=2e-3)
    assert pictures.mean((0, 2, 3)).tolist() == pytest.approx([0.3789, 0.2497, 0.0687], abs=2e-3)


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


@every_version
@pytest.mark.parametrize("name", ["compile", "micro", "versions", "why"])
def test_what_a_run_was_written_without_has_its_former_value(version: str, name: str, tmp_path: Path) -> None:
    run = Path(shutil.copytree(OLD / version / "styled", tmp_path / "run"))
    config = json.loads((run / "config.json").read_text())
    del config[name]
    (run / "config.json").write_text(json.dumps(config))
    assert plan(run).resumed


@every_version
@pytest.mark.parametrize("of", ["run", "model"])
def test_what_a_later_version_wrote_says_which_to_install(version: str, of: str, tmp_path: Path) -> None:
    """Whether its format is unknown, or a setting of it; an unknown setting of an older file is just unknown."""
    run = Path(shutil.copytree(OLD / version / "styled", tmp_path / "run"))
    path = run / "config.json" if of == "run" else simulacra.storage.checkpoints(run)[-1] / "config.json"
    config = json.loads(path.read_text())

    def refusal(change: dict[str, Any], by: str) -> SimulacraError:
        versions = {"versions": {"simulacra": by}} if of == "run" else {"simulacra": by}
        path.write_text(json.dumps(config | change | versions))
        with pytest.raises(SimulacraError) as caught:
            plan(run) if of == "run" else simulacra.load(run)
        return caught.value

    setting = {"config": config["config"] | {"unheard_of": 1}}
    later = refusal({"format": f"simulacra-{of}-2"}, "9.1.0")
    assert later.code == "storage.newer_format" and "'simulacra==9.1.0'" in str(later)
    later = refusal(setting, "9.1.0")
    assert later.code == "storage.newer_setting" and "'simulacra==9.1.0'" in str(later)
    assert refusal(setting, simulacra.__version__).code == "config.unknown_setting"
