"""`import simulacra`: every public name is there, typed, explained and imported on first use; wrong words get the near one."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from support import noise, on_disk

import simulacra
from simulacra.errors import SimulacraError
from simulacra.files import read_json
from simulacra.gans.mlp import Settings
from simulacra.training.options import TrainOptions

NOT_OPTIONS = {"data", "observers", "settings", "more_settings"}  # further parameters of `train`


def test_every_public_name_is_listed_and_explained() -> None:
    assert set(simulacra.__all__) <= set(dir(simulacra))
    assert simulacra.__all__ == sorted(simulacra.__all__)
    for name in set(simulacra.__all__) - {"GANS"}:
        value = getattr(simulacra, name)
        assert value.__name__ == name and value.__doc__, name
    assert "dcgan" in simulacra.GANS
    with pytest.raises(AttributeError):
        simulacra.trian  # type: ignore[attr-defined]  # noqa: B018


def test_the_import_is_light() -> None:
    code = "import simulacra, sys; dir(simulacra); import simulacra.training.options; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_train_has_the_keywords_of_its_options() -> None:
    parameters = inspect.signature(simulacra.train).parameters
    options = {option.name: option for option in fields(TrainOptions)}
    assert parameters.keys() - NOT_OPTIONS == options.keys()
    for name, option in options.items():
        kind = "str | Path | None" if name == "run" else option.type  # the command line makes it a Path
        assert (parameters[name].annotation, parameters[name].default) == (kind, option.default), name
        assert option.metadata["meaning"].endswith("."), name


THIRD_PARTY = ("torch", "numpy", "PIL", "matplotlib", "rich", "safetensors", "jinja2", "filelock", "platformdirs")


def test_types_are_seen_by_a_type_checker(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    names = [name for name in simulacra.__all__ if name not in ("GANS", "SimulacraError")]
    lines = ["import simulacra", *(f"reveal_type(simulacra.{name})" for name in names)]
    wrong = [
        "simulacra.trian",
        'simulacra.train("faces", epochs="many")',
        'simulacra.train("faces", lr=1e-4, device="gpu")',
    ]
    (tmp_path / "script.py").write_text("\n".join([*lines, *wrong]) + "\n")
    # reading torch takes minutes, and all of simulacra seconds
    skipped = "".join(f"[mypy-{name}.*]\nfollow_imports = skip\n" for name in ("simulacra", *THIRD_PARTY))
    modules = {getattr(simulacra, name).__module__ for name in names}
    homes = sorted(modules | {module.rpartition(".")[0] for module in modules})
    read = "".join(f"[mypy-{home}]\nfollow_imports = silent\n" for home in homes)
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nignore_missing_imports = true\n{skipped}{read}")
    where = ["--cache-dir", str(tmp_path / "cache"), "--config-file", str(tmp_path / "mypy.ini")]
    out, error, _ = api.run([*where, str(tmp_path / "script.py")])
    assert not error
    revealed = dict(zip(names, re.findall(r'Revealed type is "(.*)"', out), strict=True))
    for name, kind in revealed.items():
        assert kind.startswith(("def (", "Overload(def (")), f"{name}: {kind}"
    for option in fields(TrainOptions):
        assert f"{option.name}:" in revealed["train"]
    faults = re.findall(r"script\.py:(\d+): error", out)
    assert faults == [str(len(lines) + i + 1) for i in range(len(wrong))], out


def test_settings_are_keywords(tmp_path: Path) -> None:
    data = on_disk(tmp_path / "data", noise(24))
    run = simulacra.train(
        data, gan="mlp:tiny", run=str(tmp_path / "run"), total=16, quiet=True, device="cpu", lr=1e-4, batch=8,
        settings={"ema": 100.0},
    )  # fmt: skip
    config = read_json(run / "config.json")["config"]
    assert (config["lr"], config["batch"], config["ema"]) == (1e-4, 8, 100.0)


def test_a_path_may_be_a_text() -> None:
    """Of every public function, on its signature; `mypy` then finds where a text is used as a `Path`."""
    for name in set(simulacra.__all__) - {"GANS", "SimulacraError"}:
        for parameter in inspect.signature(getattr(simulacra, name)).parameters.values():
            kinds = set(str(parameter.annotation).split(" | "))
            assert "Path" not in kinds or "str" in kinds, f"{name}({parameter.name})"


@pytest.mark.parametrize(
    ("word", "near"), [("epoch", "epochs"), ("learning_rate", None), ("hiden", "hidden"), ("precison", "precision")]
)
def test_a_wrong_keyword_gets_the_near_one(word: str, near: str | None, tmp_path: Path) -> None:
    data = on_disk(tmp_path / "data", noise(24))
    with pytest.raises(SimulacraError) as caught:
        simulacra.train(data, gan="mlp:tiny", run=tmp_path / "run", quiet=True, **{word: 3})  # type: ignore[arg-type]
    assert caught.value.code == "plan.unknown_keyword" and word in str(caught.value)
    if near:
        assert repr(near) in str(caught.value)
    assert not (tmp_path / "run").exists() and not hasattr(Settings, word)
