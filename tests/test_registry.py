"""GANs by name, from files and from installed packages; what a run and a model remember of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import noise, on_disk
from torch import nn

from simulacra.errors import SimulacraError
from simulacra.files import read_json
from simulacra.gan import REGISTERED, check_players, register
from simulacra.gans.mlp import MLP
from simulacra.registry import configured, find, find_stored, gans, short_name, split_spec
from simulacra.storage import load, load_generator, save_model
from simulacra.training.options import train

CODE = textwrap.dedent('''
    """A GAN of somebody's own."""

    from simulacra import gan
    from simulacra.gans import mlp


    @gan.register
    class {name}(mlp.MLP):
        """The same under another name."""

        name, title, year = "{key}", "Own", 2026
''')


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The registry as it was."""
    before = dict(gans())
    yield
    REGISTERED.clear()
    REGISTERED.update(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(CODE.format(name="Own", key="own"))
    return path


@pytest.mark.parametrize(("spec", "parts", "short"), [
    ("dcgan", ("dcgan", ""), "dcgan"),
    ("dcgan:celeba64", ("dcgan", "celeba64"), "dcgan-celeba64"),
    ("a/b.py:Own", ("a/b.py:Own", ""), "Own"),
    ("a/b.py:Own:tiny", ("a/b.py:Own", "tiny"), "Own-tiny"),
    ("a/b.py", ("a/b.py", ""), "b"),
    ("C:\\a.py:Own", ("C:\\a.py:Own", ""), "Own"),
    ("pack.age:Own:tiny", ("pack.age:Own", "tiny"), "Own-tiny"),
])  # fmt: skip
def test_specs(spec: str, parts: tuple[str, str], short: str) -> None:
    assert split_spec(spec) == parts and short_name(spec) == short


def test_near_names_are_suggested() -> None:
    for spec, near in (("dcgna:celeba64", "'dcgan'"), ("dcgan:celeba46", "'celeba64'")):
        with pytest.raises(SimulacraError, match=near):
            configured(spec, (3, 64, 64), {})
    with pytest.raises(SimulacraError, match="'clamp'"):
        configured("wgan", (3, 64, 64), {"clmap": 1})
    with pytest.raises(SimulacraError) as caught:
        configured("dcgan:zzz", (3, 64, 64), {})
    assert caught.value.code == "gan.unknown_preset" and "tiny" not in str(caught.value)


def test_another_gan_of_the_same_name_is_a_warning() -> None:
    class Other(MLP):
        """Of the same name."""

    with pytest.warns(UserWarning, match="'mlp' of simulacra.gans.mlp.MLP is overwritten"):
        register(Other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register(Other)  # the same again


def test_a_network_that_nothing_trains_is_refused() -> None:
    gan, config = configured("mlp:tiny", (3, 16, 16), {})
    model = gan(config)
    model.encoder = nn.Linear(2, 2)
    with pytest.raises(SimulacraError) as caught:
        check_players(model)
    assert caught.value.code == "gan.untrained_network" and caught.value.values["network"] == "encoder"
    model.encoder.requires_grad_(False)
    check_players(model)


# --- files ---------------------------------------------------------------------------------------------------


def test_a_file_s_gan_trains_and_its_run_opens_in_a_fresh_process(file: Path, tmp_path: Path) -> None:
    data, run = on_disk(tmp_path / "data", noise(24)), tmp_path / "run"
    train(data, gan=f"{file}:Own:tiny", run=run, total=48, quiet=True)
    about = read_json(run / "config.json")
    assert (about["gan"], about["gan_source"], about["task"]) == ("own", f"{file}:Own", "draw")
    model = next((run / "checkpoints").iterdir())
    script = "import sys, simulacra; print(len(simulacra.load(sys.argv[1]).sample([1])))"
    assert subprocess.run([sys.executable, "-c", script, model], capture_output=True, text=True).stdout == "1\n"
    with pytest.raises(SimulacraError, match=r"gone\.py"):
        load(changed(tmp_path / "moved", model, gan_source=f"{tmp_path / 'gone.py'}:Own"))


def changed(folder: Path, model: Path, **values: str) -> Path:
    """A copy of a model whose `config.json` says something else."""
    REGISTERED.pop("own", None)
    shutil.copytree(model, folder)
    about = read_json(folder / "config.json") | values
    (folder / "config.json").write_text(json.dumps(about))
    return folder


def test_code_that_changed_is_not_executed_for_a_model(file: Path, tmp_path: Path) -> None:
    gan, config = configured(f"{file}:Own:tiny", (3, 16, 16), {})
    save_model(gan(config).G, tmp_path / "model", gan="own", config=config, about={})
    assert load_generator(changed(tmp_path / "same", tmp_path / "model")).shape == (3, 16, 16)
    REGISTERED.pop("own")
    file.write_text(file.read_text() + "\nraise SystemExit('executed')\n")
    with pytest.raises(SimulacraError) as caught:
        load(tmp_path / "model")
    assert caught.value.code == "gan.untrusted" and "gan=" in str(caught.value)
    file.unlink()
    with pytest.raises(SimulacraError) as caught:
        load(tmp_path / "model")
    assert caught.value.code == "gan.missing_file"


def test_broken_files_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "empty.py").write_text("")
    for spec, code in (("broken.py:Own", "gan.broken_file"), ("empty.py:Own", "gan.no_such_class"),
                       ("gone.py:Own", "gan.missing_file")):  # fmt: skip
        with pytest.raises(SimulacraError) as caught:
            find(f"{tmp_path}/{spec}")
        assert caught.value.code == code
    with pytest.raises(SimulacraError) as caught:
        find("no.such.module:Own")
    assert caught.value.code == "gan.broken_module"


# --- packages ------------------------------------------------------------------------------------------------


def install(folder: Path, name: str, entry: str) -> None:
    (folder / f"{name}-1.0.dist-info").mkdir()
    (folder / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (folder / f"{name}-1.0.dist-info" / "entry_points.txt").write_text(f"[simulacra.gans]\nit = {entry}\n")


def test_an_installed_package_s_gans_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "their_gans.py").write_text(CODE.format(name="Their", key="their"))
    install(tmp_path, "their-gans", "their_gans")
    assert gans()["their"].source == "their-gans"
    config = configured("their:tiny", (3, 16, 16), {})[1]
    assert config.z == 8
    about = {"gan": "theirs", "gan_source": "their-other"}
    with pytest.raises(SimulacraError, match="pip install their-other") as caught:
        find_stored(about, trusted=False)
    assert caught.value.code == "gan.missing_package"


def test_a_broken_package_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "bad_gans.py").write_text("raise RuntimeError('nothing')")
    install(tmp_path, "bad-gans", "bad_gans:Own")
    with pytest.warns(UserWarning, match="bad-gans"):
        names = gans()
    assert "dcgan" in names
