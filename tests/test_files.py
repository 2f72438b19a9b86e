"""Atomic writes, the journal, and which checkpoints stay."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any, cast

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from simulacra.errors import SimulacraError
from simulacra.files import CLAIM, atomic_file, atomic_folder, claimed_folder, read_json, sweep, write_json
from simulacra.storage import checkpoints
from simulacra.training import checkpoint
from simulacra.training.journal import REQUIRED, Journal, read_journal
from simulacra.training.run_records import JournalLine

# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [None, "old"])
def test_a_file_takes_its_name_only_when_it_is_whole(old: str | None, tmp_path: Path) -> None:
    path = tmp_path / "sub" / "file.txt"
    if old:
        path.parent.mkdir()
        path.write_text(old)
    with pytest.raises(ZeroDivisionError), atomic_file(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert [p.read_text() for p in path.parent.iterdir()] == ([old] if old else [])
    with atomic_file(path) as file:
        file.write(b"new")
        assert not path.exists() or path.read_text() == old
    assert path.read_text() == "new"
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_folder_takes_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with pytest.raises(ZeroDivisionError), atomic_folder(path) as aside:
        (aside / "a").write_text("half")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    with atomic_folder(path) as aside:
        (aside / "a").write_text("whole")
        assert not path.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EACCES, "not_permitted"),
        (errno.EINVAL, "cannot_write"),
    ],
)
def test_errors_of_the_disk_name_the_path(number: int, code: str, tmp_path: Path) -> None:
    with pytest.raises(SimulacraError) as caught, atomic_file(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert caught.value.code == f"files.{code}" and str(tmp_path / "x") in str(caught.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(SimulacraError) as caught, atomic_file(tmp_path / "file" / "x"):
        pass
    assert caught.value.code == "files.file_in_the_way"


def test_sweep_deletes_only_temporary_files(tmp_path: Path) -> None:
    remaining = [".lock", ".gitignore", ".DS_Store", "journal.jsonl", ".config.json.bak"]
    for name in [*remaining, ".journal.jsonl.abcd_012"]:
        (tmp_path / name).write_text("")
    (tmp_path / ".000000080.deletion" / "inside").mkdir(parents=True)
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(remaining)


def test_a_claimed_folder_deletes_what_a_killed_process_left_of_it(tmp_path: Path) -> None:
    def left(name: str, *, claimed: bool = True, age: float = 0.0) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "images.npy").write_bytes(b"half")
        if claimed:
            (folder / CLAIM).touch()
        os.utime(folder, (time.time() - age,) * 2)
        return folder

    abandoned = [left(".faces.killed_1"), left(".faces.killed_2", claimed=False, age=1e5)]
    working = [left(".faces.working1"), left(".faces.begins_1", claimed=False)]
    others = [left(".faces2.killed_1"), left(".faces.of.mine")]
    with FileLock(working[0] / CLAIM), claimed_folder(tmp_path / "faces") as aside:
        assert not any(folder.exists() for folder in abandoned)
        with claimed_folder(tmp_path / "faces") as second:
            assert aside.exists() and second != aside
        (tmp_path / "faces").rmdir()
        (aside / "images.npy").write_bytes(b"whole")
    assert [path.name for path in (tmp_path / "faces").iterdir()] == ["images.npy"]
    assert all(folder.exists() for folder in working + others)


def test_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ü": [1, None]})
    assert read_json(tmp_path / "a.json") == {"ü": [1, None]}
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json") == {"ü": [1, None]}
    (tmp_path / "b.json").write_bytes(b'{"a": \xff')
    (tmp_path / "d.json").write_text("[" * 50_000)
    (tmp_path / "e.json").mkdir()
    codes = {
        "b.json": "files.not_json",
        "c.json": "files.missing",
        "d.json": "files.not_json",
        "e.json": "files.not_a_file",
    }
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "f.json")
        codes["f.json"] = "files.not_a_file"
    for name, code in codes.items():
        with pytest.raises(SimulacraError) as caught:
            read_json(tmp_path / name)
        assert caught.value.code == code


# --- the journal --------------------------------------------------------------------------------------------------


@given(st.integers(0, 200))
def test_a_journal_cut_anywhere_keeps_its_whole_lines(cut: int) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.jsonl")
        lines = [cast(JournalLine, dict.fromkeys(REQUIRED, 1) | {"nimg": 10 * i}) for i in range(1, 6)]
        for line in lines:
            journal.write(line)
        whole = journal.path.read_bytes()
        journal.path.write_bytes(whole[:cut])
        remaining = read_journal(journal.path)
        assert remaining == lines[: len(remaining)]
        assert whole[:cut].count(b"\n") <= len(remaining) <= whole[:cut].count(b"\n") + 1
        journal.rewind(30)
        journal.write(lines[0] | {"nimg": 40})
        assert [line["nimg"] for line in read_journal(journal.path)] == [
            line["nimg"] for line in remaining if line["nimg"] <= 30
        ] + [40]


# --- thinning -----------------------------------------------------------------------------------------------------


def remaining_after(
    tmp_path: Path, times: list[int], *, images_per_epoch: int, budget: float | None, **stay: Any
) -> list[int]:
    """Thinned out after each save, as a run does."""
    for nimg in times:
        folder = tmp_path / "checkpoints" / f"{nimg:09d}"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "state.pt").write_bytes(bytes(998))
        checkpoint.thin_out(tmp_path, images_per_epoch=images_per_epoch, budget=budget, **stay)
    assert not list((tmp_path / "checkpoints").glob(".*"))
    return [int(path.name) for path in checkpoints(tmp_path)]


def test_models_stay_spread_over_the_run_and_states_only_of_the_last_two(tmp_path: Path) -> None:
    remaining = remaining_after(tmp_path, list(range(30, 3600, 30)), images_per_epoch=10, budget=None)
    assert {1020, 2010, 3000, 3540, 3570} <= set(remaining), "each hundredth epoch's first and the last two"
    assert len(remaining) == 5 + checkpoint.MODELS
    gaps = [b - a for a, b in zip([0, *remaining], remaining, strict=False)]
    assert max(gaps) <= 3 * 3600 / len(remaining), f"spread over the run: {remaining}"
    assert [int(path.name) for path in checkpoint.resumable(tmp_path)] == [3540, 3570]


def test_the_best_and_what_must_stay_whole_stay(tmp_path: Path) -> None:
    best, whole = [50, 470, 30, 90], [610]
    times = list(range(10, 1010, 10))
    remaining = remaining_after(tmp_path / "roomy", times, images_per_epoch=10**6, budget=None, best=best, whole=whole)
    assert {50, 470, 30, 610, 990, 1000} <= set(remaining)
    assert [int(path.name) for path in checkpoint.resumable(tmp_path / "roomy")] == [610, 990, 1000]
    remaining = remaining_after(tmp_path / "tight", times, images_per_epoch=10**6, budget=3500, best=best, whole=whole)
    assert {50, 610, 990, 1000} <= set(remaining)
    assert sum(file.stat().st_size for file in (tmp_path / "tight").rglob("*.*")) <= 3500
    remaining = remaining_after(tmp_path / "none", times, images_per_epoch=10**6, budget=1, best=best, whole=whole)
    assert remaining == [50, 610, 990, 1000], "the best, the last two and what must stay, whatever the budget"


def test_a_disk_budget_is_kept_and_spread(tmp_path: Path) -> None:
    remaining = remaining_after(tmp_path, list(range(10, 1010, 10)), images_per_epoch=10**6, budget=8000)
    assert len(remaining) >= 8
    assert remaining[-2:] == [990, 1000]
    gaps = [b - a for a, b in zip([0, *remaining], remaining, strict=False)]
    assert max(gaps) <= 5 * 1000 / 8, f"spread over the run: {remaining}"
    assert remaining_after(tmp_path / "small", [1, 2, 3], images_per_epoch=10, budget=10) == [2, 3]
