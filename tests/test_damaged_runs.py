"""Damaged runs: each file, damaged in each way, ends every command in success or a sentence, and loses nothing."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from reporting import scored
from support import Cli, differences, noise, on_disk, refused, state
from test_faults import OPTIONS, Malice, listing

from simulacra.errors import SimulacraError
from simulacra.explore.library import Library
from simulacra.files import read_json, write_json
from simulacra.measure.choose import mark_best
from simulacra.publish.report.run_contents import read_contents
from simulacra.storage import checkpoints, load
from simulacra.training import checkpoint
from simulacra.training.curves import make_film
from simulacra.training.options import train
from simulacra.training.repair import examine_run

SOAK = int(os.environ.get("SIMULACRA_SOAK", "0"))  # random damages beside those listed, see `make soak`
LAST, LENGTH = "checkpoints/000000048", 48
Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return on_disk(tmp_path_factory.mktemp("data") / "tiny", noise(24))


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 48 images with a checkpoint at every 16, scores, a best one and a certificate."""
    run = train(data, run=tmp_path_factory.mktemp("finished") / "run", total=LENGTH, **(OPTIONS | {"every": 8}))
    scored(run)
    (run / "rollbacks.jsonl").unlink()
    mark_best(run)
    return run


@pytest.fixture(scope="module")
def longer(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, trained on to 64 images."""
    run = shutil.copytree(finished, tmp_path_factory.mktemp("longer") / "run")
    return train(run, total=64, quiet=True)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


# --- ways of damage -----------------------------------------------------------------------------------------------


def remove(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """Change one byte in the second half, where weights and pixels are."""
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4] ^= 0x55
    path.write_bytes(data)


def not_utf8(path: Path) -> None:
    """A byte in the middle that no text in UTF-8 has."""
    text = path.read_bytes()
    path.write_bytes(text[: len(text) // 2] + b"\xff" + text[len(text) // 2 :])


def broken_line(path: Path) -> None:
    """The first of several lines is cut short."""
    first, *others = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first[: len(first) // 2], *others, b""]))


def line_of_another_shape(path: Path) -> None:
    _, *others = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([b'{"nimg": "many", "scores": []}', *others, b""]))


def a_list(path: Path) -> None:
    path.write_text("[]")


def numbers(path: Path) -> None:
    """An object whose entries are all of another type."""
    path.write_text(json.dumps(dict.fromkeys(json.loads(path.read_text()), 7)))


def without(name: str) -> Damage:
    def damage(path: Path) -> None:
        write_json(path, {key: value for key, value in read_json(path).items() if key != name})

    damage.__name__ = f"without_{name}"
    return damage


def edited(section: str, name: str, value: Any) -> Damage:
    def damage(path: Path) -> None:
        record = read_json(path)
        record[section][name] = value
        write_json(path, record)

    damage.__name__ = f"{section}_{name}_{value}"
    return damage


def no_keys(path: Path) -> None:
    torch.save({}, path)


def other_networks(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    state["gan"] = {name: value.flatten()[:1] for name, value in state["gan"].items()}
    torch.save(state, path)


def of_code(path: Path) -> None:
    torch.save({"gan": Malice(path.with_name("executed"))}, path)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(Malice(path.with_name("executed"))))


BYTES: tuple[Damage, ...] = (remove, cut, empty, flip)
JSON: tuple[Damage, ...] = (cut, not_utf8, a_list, numbers)
LINES: tuple[Damage, ...] = (not_utf8, broken_line, line_of_another_shape)
DAMAGES: dict[str, tuple[Damage, ...]] = {
    f"{LAST}/G.safetensors": BYTES,
    f"{LAST}/D.safetensors": (remove, cut),
    f"{LAST}/config.json": (remove, cut, a_list, without("classes"), edited("config", "z", 3)),
    f"{LAST}/state.pt": (*BYTES, no_keys, other_networks, of_code, pickled),
    "checkpoints/000000016/G.safetensors": (cut,),
    "config.json": (
        remove, *JSON, without("data"), without("length"), edited("config", "batch", 16),
        edited("config", "shape", [3, 8, 8]), edited("config", "shape", "big"),
    ),
    "journal.jsonl": (remove, cut, *LINES),
    "scores.jsonl": (remove, *LINES),
    "best.json": (remove, not_utf8, a_list, numbers, edited("last", "value", "low")),
    "certificate.json": (cut, a_list, numbers, without("model"), edited("model", "hash", 3)),
    "previews/000000048.png": (remove, cut),
    "previews/real.png": (cut,),
}  # fmt: skip
EVERY_CASE = [(name, damage) for name, damages in DAMAGES.items() for damage in damages]
CASES = EVERY_CASE if SOAK else EVERY_CASE[::3]  # each trains twice; `make soak` takes all
COMMANDS: dict[str, Callable[[Path], object]] = {
    "load": load,
    "page": lambda run: Library(run).run_summary(),
    "film": make_film,
    "choose": mark_best,
    "report": read_contents,
    "train": lambda run: train(run, total=64, quiet=True),
}


def models(run: Path) -> set[bytes]:
    return {path.read_bytes() for path in run.rglob("G.safetensors")}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(("name", "damage"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_every_command_ends_in_success_or_a_sentence(
    name: str, damage: Damage, run: Path, longer: Path, finished: Path
) -> None:
    """And what `doctor` reports as whole trains to the same end as a run that was never damaged."""
    damage(run / name)
    assert_nothing_is_lost(run, finished, longer, exact="batch" not in damage.__name__)


@pytest.mark.parametrize("seed", range(max(2, SOAK)))
def test_random_bytes_anywhere(seed: int, run: Path, longer: Path, finished: Path) -> None:
    """One file of the run is cut, or has random bytes at a random place."""
    chance = random.Random(seed)
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.name != ".lock")
    path = chance.choice(files)
    data = bytearray(path.read_bytes())
    start = chance.randrange(len(data))
    if chance.random() < 0.3:
        del data[start:]
    else:
        data[start : start + 8] = chance.randbytes(len(data[start : start + 8]))
    path.write_bytes(data)
    assert_nothing_is_lost(run, finished, longer, exact=path.name != "config.json")


def assert_nothing_is_lost(run: Path, finished: Path, longer: Path, *, exact: bool) -> None:
    """Every command on a damaged run; exact: unless a setting was changed, to the same end."""
    before = listing(run)
    for command, call in COMMANDS.items():
        try:
            call(run)
        except SimulacraError as error:
            assert str(error) != error.code
            assert "weights_only" not in str(error), "torch's advice to turn the safety off"
            if command == "train":
                assert "doctor" in str(error) or not (run / "config.json").exists(), str(error)
                changed = {path for path, data in listing(run).items() if before.get(path) != data}
                assert changed <= {".lock", "best.json", "film.webp"}, changed
    trained = checkpoints(run)[-1].name == "000000064"
    found = examine_run(run)
    assert not (run / LAST / "executed").exists()
    assert all(str(sentence) for sentence in found.repaired + found.remaining)
    assert models(finished) & set(before.values()) <= models(run), "no whole model is lost"
    if not trained and not found.remaining:
        train(run, total=64, quiet=True)
        trained = True
    if trained and exact:
        assert not differences(state(longer), state(run))
        load(run)


@pytest.mark.parametrize(("name", "damage"), [("config.json", remove), ("G.safetensors", cut), ("G.safetensors", flip)])
def test_the_next_session_writes_a_damaged_model_anew(name: str, damage: Damage, run: Path, finished: Path) -> None:
    """Although the run has reached its length; until then no other checkpoint stands for it."""
    (run / "best.json").unlink()
    damage(run / LAST / name)
    if damage is not flip:
        with pytest.raises(SimulacraError, match=LAST):
            load(run)
    train(run, quiet=True)
    for path in (finished / LAST).iterdir():
        if path.suffix == ".json":  # 1 becomes 1.0
            assert read_json(run / LAST / path.name) == read_json(path)
        elif path.suffix != ".pt":
            assert (run / LAST / path.name).read_bytes() == path.read_bytes()


def test_a_damaged_state_is_set_aside_and_the_run_continues_before_it(run: Path, longer: Path) -> None:
    cut(run / LAST / "state.pt")
    with refused("train.damaged_state"):
        train(run, total=64, quiet=True)
    examine_run(run)
    assert (run / LAST / "state.pt.damaged").exists()
    assert checkpoint.resumable(run)[-1].name == "000000032"
    train(run, total=64, quiet=True)
    assert not differences(state(longer), state(run))


def test_no_model_is_written_from_the_state_of_another_checkpoint(run: Path) -> None:
    shutil.copyfile(run / "checkpoints" / "000000032" / "state.pt", run / LAST / "state.pt")
    cut(run / LAST / "G.safetensors")
    before = models(run)
    found = examine_run(run)
    assert "the state is that of 32 images" in " ".join(map(str, found.remaining))
    assert models(run) == before


def test_a_broken_line_of_the_journal_costs_no_other(run: Path) -> None:
    journal = run / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], lines[2][:20] + b"\n", *lines[3:]]))
    broken = journal.read_bytes()
    with refused("files.damaged_line", line=3):
        train(run, total=64, quiet=True)
    assert journal.read_bytes() == broken
    found = examine_run(run)
    assert journal.read_bytes() == b"".join([*lines[:2], *lines[3:]])
    assert journal.with_name("journal.jsonl.damaged").read_bytes() == broken
    assert [sentence.code for sentence in found.repaired] == ["doctor.lines_left_out"]


def test_the_doctor_s_word(run: Path, run_cli: Cli) -> None:
    status, out, _ = run_cli("doctor", run)
    assert status == 0 and "is whole: 3 checkpoints, 2 of them" in out
    cut(run / LAST / "G.safetensors")
    (run / "best.json").write_text("[]")
    status, out, _ = run_cli("doctor", run)
    assert status == 0 and "is whole again" in out and "written anew from its state" in out
    assert out.count("repaired: ") == 3, "the model, best.json set aside, best.json made"
    assert run_cli("doctor", run)[1].count("repaired") == 0
    (run / "config.json").unlink()
    status, out, _ = run_cli("doctor", run)
    assert status == 1 and f"--from {run / LAST}" in out
    status, _, err = run_cli("doctor", run.parent)
    assert status == 1 and "is not a run" in err
