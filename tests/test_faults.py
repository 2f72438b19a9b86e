"""A run that meets with a full disk, changed data or settings, damage or malice: a sentence, and nothing lost."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from support import CPU, advance, build, differences, make_trainer, noise, on_disk, refused, state

from simulacra.errors import SimulacraError
from simulacra.files import read_json, write_json
from simulacra.generator import as_generator
from simulacra.messages import Message
from simulacra.storage import checkpoints, fingerprint, load, save_model
from simulacra.training import checkpoint
from simulacra.training.journal import Journal
from simulacra.training.options import train
from simulacra.training.session import run_lock

OPTIONS: dict[str, Any] = {"gan": "mlp:tiny", "every": 16, "save_every": 16, "quiet": True, "device": "cpu"}
OPTIONS |= {"precision": "fp32", "settings": {"batch": 8}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return on_disk(tmp_path_factory.mktemp("data") / "tiny", noise(24))


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(data, run=tmp_path_factory.mktemp("finished") / "run", total=32, **OPTIONS)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of a run of 32 images with checkpoints at 16 and 32."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- a run that meets with misfortune ---------------------------------------------------------------------------


def test_a_full_disk_keeps_the_last_checkpoint_whole(run: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(run)
    honest = torch.save

    def full(value: object, path: Any) -> None:
        honest(value, path)
        with Path(path).open("r+b") as file:
            file.truncate(1000)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with refused("files.disk_full"):
            train(run, total=64, quiet=True)
    assert not [path.name for path in run.rglob(".*") if path.name != ".lock"]
    assert not differences(before, state(run))
    train(run, total=64, quiet=True)
    assert not differences(state(train(data, run=run.with_name("whole"), total=64, **OPTIONS)), state(run))


@pytest.mark.parametrize("target", ["journal", "preview"])
def test_a_full_disk_in_the_journal_or_a_preview(target: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if target == "journal" and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full to write to")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if target == "preview":
            patch.setattr(os, "fsync", full)
        else:
            patch.setattr(Journal, "rewind", lambda self, nimg: [])
            (run / "journal.jsonl").unlink()
            (run / "journal.jsonl").symlink_to("/dev/full")
        with refused("files.disk_full"):
            train(run, total=64, quiet=True)
    if target == "journal":
        (run / "journal.jsonl").unlink()
    assert [int(path.name) for path in checkpoints(run)] == [16, 32]
    train(run, total=64, quiet=True)
    assert int(checkpoints(run)[-1].name) == 64


def test_two_trainers_on_one_folder(run: Path) -> None:
    before = listing(run)
    with run_lock(run), refused("train.locked"):
        train(run, total=64, quiet=True)
    assert listing(run) == before
    train(run, total=64, quiet=True)


@pytest.mark.parametrize(
    ("options", "name", "old", "new"),
    [
        ({"settings": {"batch": 8, "lr": 0.5}}, "lr", 0.0002, 0.5),
        ({"seed": 9}, "seed", 0, 9),
        ({"micro": 2}, "micro", None, 2),
        ({"gan": "wgan:tiny"}, "gan", "mlp", "wgan"),
        ({"balance": "adaptive"}, "balance", "fixed:1", "adaptive"),
        ({"precision": "bf16"}, "precision", "fp32", "bf16"),
    ],
)
def test_a_changed_setting_is_refused_and_named(
    options: dict[str, Any], name: str, old: Any, new: Any, run: Path, data: Path
) -> None:
    before = listing(run)
    with pytest.raises(SimulacraError) as refused:
        train(data, run=run, total=64, **(OPTIONS | options))
    assert refused.value.code == "plan.other_settings"
    assert Message("plan.change", name=name, old=old, new=new) in refused.value.values["changes"]
    assert f"{name} is {old!r} there and {new!r} here" in str(refused.value)
    assert listing(run) == before


def test_changed_and_missing_data(run: Path, tmp_path: Path) -> None:
    config = read_json(run / "config.json")
    mine = on_disk(tmp_path / "mine", noise(24))
    config["data"]["source"] = str(mine)
    write_json(run / "config.json", config)
    other = on_disk(tmp_path / "other", noise(24, seed=1))
    with refused("plan.other_data"):
        train(other, run=run, total=64, **OPTIONS)
    pixels = bytearray((mine / "images.npy").read_bytes())
    pixels[-1] ^= 1
    (mine / "images.npy").write_bytes(pixels)
    with refused("data.changed"):
        train(run, total=64, quiet=True)
    shutil.rmtree(mine)
    with pytest.raises(SimulacraError, match=str(mine)):
        train(run, total=64, quiet=True)
    assert [int(path.name) for path in checkpoints(run)] == [16, 32]


def test_a_folder_of_something_else_is_not_touched(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("mine")
    with refused("plan.not_a_run"):
        train(data, run=tmp_path / "run", total=64, **OPTIONS)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


# --- damage and malice --------------------------------------------------------------------------------------------


def test_damaged_state_is_a_sentence_that_names_it(run: Path) -> None:
    path = checkpoints(run)[-1] / "state.pt"
    whole, honest = path.read_bytes(), checkpoint.load(path.parent, CPU)
    for cut in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with refused("train.damaged_state"):
            checkpoint.load(path.parent, CPU)
    damaged = 0
    for place in range(7, len(whole), len(whole) // 150):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            got = checkpoint.load(path.parent, CPU)
        except SimulacraError:
            damaged += 1
        else:
            assert not differences(honest, got), f"a flipped byte at {place} was read as if it were whole"
    assert damaged > 50


def test_a_run_goes_on_from_the_last_checkpoint_that_has_a_state(data: Path, run: Path, tmp_path: Path) -> None:
    unharmed = train(data, run=tmp_path / "whole", total=64, **OPTIONS)
    last = checkpoints(run)[-1]
    (last / "state.pt").unlink()
    train(run, total=64, quiet=True)
    assert not differences(state(unharmed), state(run))
    for path in checkpoints(run):
        (path / "state.pt").unlink(missing_ok=True)
    with refused("train.no_states"):
        train(run, total=96, quiet=True)


class Malice:
    """A pickle that makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_nothing_in_a_checkpoint_is_executed(kind: str, run: Path, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    pickle.loads(pickle.dumps(Malice(mark)))
    assert mark.exists(), "the pickle is one that works"
    mark.unlink()
    path = checkpoints(run)[-1] / "state.pt"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Malice(mark)))
    else:
        torch.save({"gan": Malice(mark)}, path)
        assert zipfile.is_zipfile(path)
    with refused("train.damaged_state"):
        train(run, total=64, quiet=True)
    assert not mark.exists()


def test_a_model_is_loaded_as_it_was_kept(run: Path, tmp_path: Path) -> None:
    trainer = advance(make_trainer("dcgan:tiny", tmp_path / "r"), 4)
    trainer.save()
    generator = load(tmp_path / "r")
    assert not differences(trainer.ema.average.state_dict(), generator.state_dict())
    assert not generator.training and not any(p.requires_grad for p in generator.parameters())
    assert fingerprint(tmp_path / "r") == fingerprint(checkpoints(tmp_path / "r")[-1])
    assert fingerprint(run) != fingerprint(tmp_path / "r")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("G.safetensors", b""),
        ("G.safetensors", b"\x80\x04."),
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("config.json", b'{"format": "simulacra-model-1"}'),
        ("config.json", b'{"format": "simulacra-model-1", "gan": "mlp", "config": {"zz": 1}, "classes": []}'),
        ("config.json", b'{"format": "simulacra-model-1", "gan": "mlp", "config": {"z": 3}, "classes": []}'),
        ("config.json", b'{"format": "simulacra-model-9"}'),
    ],
)
def test_a_damaged_model_is_a_sentence_that_names_it(name: str, content: bytes, run: Path) -> None:
    last = checkpoints(run)[-1]
    (last / name).write_bytes(content)
    with pytest.raises(SimulacraError, match=str(last)):
        load(last)


TYPES: dict[str, tuple[Any, ...]] = {
    "gan": (None, 3, ["mlp"], "zzz"),
    "classes": (None, 3, "ab", [1], {"a": 1}),
    "config": (None, 3, [], "z=3"),
    "config.z": (None, [], {}, "x", -3, 0, True, 10**400),
    "config.shape": (None, 3, "x", [3, 16], [3, -16, 16], [{}, 16, 16], [3, 0, 0]),
    "config.prior": (None, [], {}, 3),
    "config.hidden": (None, {}, "x", -1),
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in TYPES.items() for value in values])
def test_a_model_s_config_with_a_wrong_value_is_a_sentence(key: str, value: Any, tmp_path: Path) -> None:
    gan = build("mlp:tiny")
    save_model(gan.G, tmp_path / "m", gan="mlp", config=gan.config, about={})
    config = read_json(tmp_path / "m" / "config.json")
    *outer, name = key.split(".")
    (config["config"] if outer else config)[name] = value
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    try:
        model = as_generator(load(tmp_path / "m"))
    except SimulacraError as error:
        assert str(error)
    else:
        assert value is None or len(model.sample([1])) == 1, "a value that means the same"


def test_where_there_is_no_model(tmp_path: Path, data: Path) -> None:
    for where, sentence in ((tmp_path / "gone", "does not exist"), (data, "neither a run nor a model")):
        with pytest.raises(SimulacraError, match=sentence):
            load(where)
    (tmp_path / "checkpoints").mkdir()
    with refused("storage.no_checkpoint"):
        load(tmp_path)
