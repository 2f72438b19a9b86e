"""The list of datasets and runs: what it says, that damage never stops it, and that nothing moved is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from reporting import scored
from support import Cli, noise, on_disk, pair_on_disk, refused
from test_damaged_runs import Damage, a_list, cut, empty, not_utf8, numbers, remove
from test_faults import OPTIONS

from simulacra.files import read_json, write_json
from simulacra.shelf.entries import Entry, entries, tree
from simulacra.shelf.moving import rename, restore, throw_away, thrown_away
from simulacra.training.options import train
from simulacra.training.plan import plan
from simulacra.training.session import run_lock

MODEL = Path(__file__).parent / "data" / "runs" / "0.1" / "styled" / "checkpoints" / "000000024"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset, a pair, a model, and a run of 32 images with scores."""
    folder = tmp_path_factory.mktemp("library")
    on_disk(folder / "tiny", noise(24), valid=4)
    pair_on_disk(folder / "two", noise(6), noise(8))
    shutil.copytree(MODEL, folder / "models" / "old")
    run = train(folder / "tiny", run=folder / "runs" / "mine", total=32, **(OPTIONS | {"every": 8}))
    scored(run)
    (folder / "photos").mkdir()
    (folder / "photos" / "config.json").write_text("{}")
    return folder


@pytest.fixture
def library(made: Path, tmp_path: Path) -> Path:
    """A copy of it, whose run is on its own dataset."""
    folder = Path(shutil.copytree(made, tmp_path / "library"))
    config = read_json(folder / "runs" / "mine" / "config.json")
    config["data"]["source"] = str((folder / "tiny").resolve())
    write_json(folder / "runs" / "mine" / "config.json", config)
    return folder


def by_name(folder: Path) -> dict[str, Entry]:
    return {entry.name: entry for entry in entries(folder)}


def test_what_each_entry_says(library: Path) -> None:
    listed = by_name(library)
    assert list(listed) == ["models/old", "runs/mine", "tiny", "two"]
    tiny, two, run, model = (listed[name] for name in ("tiny", "two", "runs/mine", "models/old"))
    assert (tiny.kind, tiny.pictures, tiny.size) == ("dataset", 24, (16, 16))
    assert (two.kind, two.pictures, two.size) == ("pair", 14, (16, 16))
    assert (model.kind, model.gan, model.size) == ("model", "stylegan2", (64, 64))
    assert (run.kind, run.gan, run.pictures, run.size, run.nimg) == ("run", "mlp:tiny", 20, (16, 16), 32)
    assert run.score is not None and run.score.value == 0.2 and run.score.low < 0.2 < run.score.high
    assert run.verdicts == {"unheard of": "a verdict of another version"}
    assert run.picture == library / "runs" / "mine" / "previews" / "000000032.png" and not run.alive
    assert run.hash == tiny.hash and run.changed >= tiny.changed > 0
    (alone,) = entries(library / "runs" / "mine")
    assert alone.name == "mine" and alone.score == run.score


def test_whether_a_run_is_alive(library: Path) -> None:
    run = library / "runs" / "mine"
    with run_lock(run):
        assert by_name(library)["runs/mine"].alive
    assert not by_name(library)["runs/mine"].alive
    train(run, total=40, quiet=True)


def last_line(text: str) -> Damage:
    """Append a line to a journal."""

    def damage(path: Path) -> None:
        path.write_text(path.read_text() + text)

    damage.__name__ = text
    return damage


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *[("config.json", damage) for damage in (remove, cut, empty, not_utf8, a_list, numbers)],
        *[("best.json", damage) for damage in (cut, empty, not_utf8, a_list, numbers)],
        *[("journal.jsonl", last_line(text)) for text in ("[]\n", '{"nimg": "many"}\n', "junk\n", "\xff\n")],
        *[(f"checkpoints/000000032/{name}", remove) for name in ("config.json", "G.safetensors")],
        ("checkpoints/000000016", shutil.rmtree),  # the best one
    ],
)
def test_a_damaged_run_is_listed_as_such(library: Path, file: str, damage: Damage) -> None:
    damage(library / "runs" / "mine" / file)
    listed = by_name(library)
    assert list(listed) == ["models/old", "runs/mine", "tiny", "two"]
    assert f"simulacra doctor {library / 'runs' / 'mine'}" in str(listed["runs/mine"].damage)


@pytest.mark.parametrize("damage", [remove, empty, last_line('{"nimg": 33, "sec')])
def test_a_journal_cut_short_by_a_kill_is_no_damage(library: Path, damage: Damage) -> None:
    damage(library / "runs" / "mine" / "journal.jsonl")
    run = by_name(library)["runs/mine"]
    assert run.damage is None and run.nimg == 32 and run.score


def test_damaged_data_are_listed_as_such(library: Path) -> None:
    (library / "tiny" / "data.json").unlink()
    cut(library / "two" / "b" / "data.json")
    listed = by_name(library)
    assert "incomplete" in str(listed["tiny"].damage) and "Prepare it again" in str(listed["two"].damage)


def test_the_command_prints_a_table_or_json(library: Path, run_cli: Cli) -> None:
    (library / "two" / "data.json").write_text("[]")
    status, out, err = run_cli("runs", library)
    assert status == 0 and not err
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert "mlp:tiny" in lines["runs/mine"] and "0.2 (" in lines["runs/mine"] and "16x16" in lines["runs/mine"]
    assert "damaged" in lines["two"] and "Prepare it again" in out
    status, out, _ = run_cli("runs", library, "--json")
    assert status == 0
    listed = {entry["name"]: entry for entry in json.loads(out)}
    assert listed["runs/mine"]["score"]["value"] == 0.2 and listed["two"]["damage"]


def test_an_empty_folder_says_how_to_begin(tmp_path: Path, run_cli: Cli) -> None:
    status, out, _ = run_cli("runs", tmp_path)
    assert status == 0 and "simulacra prepare" in out


def test_listing_needs_no_torch_and_reads_no_weights(library: Path) -> None:
    """Hundreds of runs are listed by opening a few small files of each."""
    code = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "from simulacra.shelf.entries import entries\n"
        f"listed = entries({str(library)!r})\n"
        f"inside = [path for path in opened if path.startswith({str(library)!r})]\n"
        "print(len(listed), len(inside), [path for path in inside if path.endswith(('.safetensors', '.pt', '.npy'))])\n"
        "print(sorted({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    counts, modules = done.stdout.splitlines()
    count, opened, heavy = counts.split(maxsplit=2)
    assert heavy == modules == "[]" and int(count) == 4 and int(opened) <= 12


def test_forks_follow_their_parent(library: Path) -> None:
    runs = library / "runs"

    def fork(name: str, parent: str) -> None:
        shutil.copytree(runs / "mine", runs / name)
        config = read_json(runs / name / "config.json")
        config["fork"] = {"run": str((runs / parent).resolve()), "checkpoint": "000000016", "hash": "x", "changes": {}}
        write_json(runs / name / "config.json", config)

    fork("a", "mine")
    fork("b", "a")
    fork("lost", "gone")
    order = [(depth, entry.name) for depth, entry in tree(entries(runs))]
    assert order == [(0, "lost"), (0, "mine"), (1, "a"), (2, "b")]
    rename(runs / "mine", "yours")
    order = [(depth, entry.name) for depth, entry in tree(entries(runs))]
    assert order == [(0, "lost"), (0, "yours"), (1, "a"), (2, "b")]


def test_a_renamed_entry_goes_on(library: Path) -> None:
    """A run under its new name, and on data under their new name."""
    assert rename(library / "tiny", "faces", library=library) == library / "faces"
    run = rename(library / "runs" / "mine", "first try", library=library)
    assert plan(run).resumed and plan(run).source == str((library / "faces").resolve())
    train(run, total=40, quiet=True)
    assert by_name(library)["runs/first try"].nimg == 40


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "a\\b", "a:b", "x ", "a\nb", "x" * 201])
def test_a_name_that_no_folder_can_have(library: Path, name: str) -> None:
    with refused("shelf.impossible_name"):
        rename(library / "tiny", name)


def test_the_bin_gives_back_what_it_took(library: Path) -> None:
    run = library / "runs" / "mine"
    before = {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    thrown = throw_away(run)
    assert not run.exists() and "runs/mine" not in by_name(library)
    shutil.copytree(thrown, run)
    again = throw_away(run)
    assert again != thrown and {entry.path for entry in thrown_away(run.parent)} == {thrown, again}
    assert restore(again) == run
    assert {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    with refused("shelf.name_taken", path=run):
        restore(thrown)
    assert [entry.path for entry in thrown_away(run.parent)] == [thrown]


def test_nothing_moves_while_a_run_is_trained(library: Path) -> None:
    run = library / "runs" / "mine"
    with run_lock(run):
        for move in (throw_away, lambda path, **how: rename(path, "other", **how)):
            with refused("train.locked"):
                move(run)
            with refused("shelf.data_in_use"):
                move(library / "tiny", library=library)
    throw_away(library / "tiny", library=library)


def test_what_cannot_be_moved(library: Path, tmp_path: Path) -> None:
    with refused("shelf.no_entry"):
        throw_away(library / "photos")
    with refused("shelf.no_entry"):
        rename(library / "gone", "x")
    with refused("shelf.name_taken"):
        rename(library / "tiny", "two")
    with refused("shelf.not_in_the_bin"):
        restore(library / "tiny")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_read_is_left_out(library: Path) -> None:
    (library / "models").chmod(0)
    try:
        assert list(by_name(library)) == ["runs/mine", "tiny", "two"]
    finally:
        (library / "models").chmod(0o755)
