"""Prepare: what is chosen, that it is the same each time, and that nothing half-written looks whole."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import colour_profile, prepared, refused

from simulacra.data import prepare as prepare_module
from simulacra.data import selection, writing
from simulacra.data.dataset import Dataset, content_hash, verify
from simulacra.data.decoding import DecodeOptions
from simulacra.data.duplicates import exact_groups, grids, near_groups
from simulacra.data.inspect import inspect, print_report
from simulacra.data.items import FilePart, Item, ZipMember, _zip, close_all
from simulacra.data.journal import Journal
from simulacra.data.opening import open_domain
from simulacra.data.prepare import export_zip, prepare
from simulacra.data.prepare_options import PrepareOptions, Size, parse_crop, parse_size
from simulacra.data.selection import select, shuffled, split_counts
from simulacra.data.sheet import mean_picture, random_grid
from simulacra.data.sizing import largest_reached
from simulacra.data.writing import ArrayTarget, Outcome, Task, new_array, shorten
from simulacra.errors import SimulacraError
from simulacra.messages import Message, using

TINY: dict[str, Any] = {"size": (8, 8), "workers": 1}


def make_folder(root: Path, n: int = 12, folders: int = 3, side: int = 16) -> Path:
    """n different pictures of noise in some folders."""
    rng = np.random.default_rng(0)
    for number in range(n):
        path = root / f"person {number % folders}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
    return root


def names(data: Dataset) -> list[str]:
    assert data.path is not None
    entries: list[str] = json.loads((data.path / "names.json").read_text("utf-8"))
    return entries


def leftovers(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


@given(st.integers(4, 2048), st.integers(4, 2048))
def test_sizes_are_written_width_by_height(width: int, height: int) -> None:
    assert parse_size(f"{width}x{height}") == (height, width)
    assert parse_size(str(width)) == (width, width)


@pytest.mark.parametrize("text", ["", "x", "64x", "3", "4096", "64x48x3", "-64", "6 4", "٦٤", "64.0"])
def test_what_is_no_size_is_a_sentence(text: str) -> None:
    with pytest.raises(SimulacraError, match="ize") as caught:
        parse_size(text)
    assert caught.value.code in ("data.not_a_size", "data.impossible_size")


def test_crops() -> None:
    assert (parse_crop("center"), parse_crop("none"), parse_crop("0.5")) == ("centre", "none", 0.5)
    for wrong in ("half", "0", "1.5", "nan"):
        with refused("data.unknown_crop"):
            PrepareOptions(crop=parse_crop(wrong))


@pytest.mark.parametrize(
    ("wrong", "code", "values"),
    [
        ({"size": (2, 2)}, "data.impossible_size", {"size": "2x2"}),
        ({"split": (0.5, 0.1, 0.1)}, "data.impossible_split", {}),
        ({"split": (0.0, 0.5, 0.5)}, "data.impossible_split", {}),
        ({"background": "whit"}, "data.not_a_colour", {"hint": Message("errors.did_you_mean", name="white")}),
        ({"limit": 0}, "data.count_below_one", {"option": "--limit", "value": 0}),
        ({"per_folder": -1}, "data.count_below_one", {"option": "--per-folder", "value": -1}),
        ({"channels": "gray"}, "data.unknown_channels", {}),
        ({"resample": "nearest"}, "data.unknown_filter", {}),
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any], code: str, values: dict[str, Any]) -> None:
    with refused(code, **values):
        PrepareOptions(**wrong)


@pytest.mark.parametrize(
    ("sizes", "crop", "side"),
    [
        ({(28, 28): 10}, "centre", 32),
        ({(31, 200): 10}, "centre", 32),
        ({(50, 90): 6, (20, 20): 4}, "centre", 48),
        ({(64, 64): 5, (63, 63): 5}, "centre", 48),
        ({(64, 64): 6, (63, 63): 5}, "centre", 64),
        ({(4000, 3000): 1}, "centre", 128),
        ({(192, 256): 1}, 0.5, 96),
        ({(96, 4000): 1}, "none", 96),
        ({}, "centre", 32),
    ],
)
def test_auto_takes_the_largest_size_that_most_pictures_reach(
    sizes: dict[tuple[int, int], int], crop: Any, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulacra.data.sizing._has_accelerator", lambda: True)
    assert largest_reached(sizes, crop) == side
    monkeypatch.setattr("simulacra.data.sizing._has_accelerator", lambda: False)
    assert largest_reached(sizes, crop) == min(side, 64)
    assert parse_size("auto") == "auto" and PrepareOptions().size == "auto"


def test_prepare_says_the_size_that_auto_takes_its_cost_and_what_is_enlarged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder(tmp_path / "in", 6, side=52)
    (root / "person 0" / "bad.png").write_bytes(b"no")
    assert inspect(root, workers=1).size == (48, 48)
    data = prepared(root, tmp_path / "set", workers=1)
    assert data.shape == (3, 48, 48)
    said = capfd.readouterr()
    assert "48x48" in said.out and "100%" in said.out and "0.56 times" in said.out.replace("\n", " ")
    assert "enlarged" not in said.err
    monkeypatch.setattr("simulacra.data.sizing._has_accelerator", lambda: False)
    assert prepared(make_folder(tmp_path / "large", 3, side=200), tmp_path / "large-set", workers=1).shape == (
        3,
        64,
        64,
    )
    assert "hours without a GPU" in " ".join(capfd.readouterr().out.split())
    for path in (root / "person 0").iterdir():
        path.unlink()
    Image.new("RGB", (28, 40), "red").save(root / "person 0" / "small.png")
    assert prepared(root, tmp_path / "other", workers=1).shape == (3, 48, 48)
    said = capfd.readouterr()
    assert "80%" in said.out and "1 picture of 5 is smaller than 48x48" in said.err.replace("\n", " ")
    assert json.loads((tmp_path / "other" / "data.json").read_text())["options"]["size"] == [48, 48]


def test_auto_takes_the_size_of_a_dataset_that_is_there(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in", 3, side=52)
    before = prepared(root, tmp_path / "set", **TINY)
    assert prepared(root, tmp_path / "set").hash == before.hash
    with refused("data.out_has_other_options"):
        prepare(root, tmp_path / "set", size=48)
    with refused("data.out_has_other_options"):
        prepare(root, tmp_path / "set", seed=1)


def test_keywords_of_prepare(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in", 3)
    sizes: list[Size] = [8, "8x12", (12, 8)]
    assert [prepare(root, tmp_path / f"set{n}", size=size, workers=1).shape for n, size in enumerate(sizes)] == [
        (3, 8, 8),
        (3, 12, 8),
        (3, 12, 8),
    ]
    with refused("data.unknown_option", name="siz", hint=Message("errors.did_you_mean", name="size")):
        prepare(root, tmp_path / "set", siz=8)  # type: ignore[call-overload]


@given(st.integers(1, 10_000), st.floats(0, 0.49), st.floats(0, 0.49))
def test_splits_add_up(n: int, valid: float, test: float) -> None:
    counts = split_counts(n, (1 - valid - test, valid, test))
    assert sum(counts.values()) == n and counts["train"] >= 1
    assert counts["valid"] <= n * valid + 1e-6 and counts["test"] <= n * test + 1e-6


@given(
    st.lists(st.integers(0, 4), max_size=40),
    st.none() | st.integers(1, 5),
    st.none() | st.integers(1, 30),
    st.integers(),
)
def test_limits_hold_and_no_more_is_left_out_than_must_be(
    folders: list[int], per_folder: int | None, limit: int | None, seed: int
) -> None:
    items = [Item(f"{folder}/{n}", FilePart("")) for n, folder in enumerate(folders)]
    order = shuffled(items, seed)
    assert sorted(order) == list(range(len(items)))
    chosen = select(order, [item.folder for item in items], per_folder, limit)
    counts = [sum(folders[n] == folder for n in chosen) for folder in set(folders)]
    assert all(per_folder is None or count <= per_folder for count in counts)
    possible = sum(min(folders.count(f), per_folder or 99) for f in set(folders))
    assert len(chosen) == min(possible, limit or 99)


@given(st.sets(st.text("abc", min_size=1, max_size=4), min_size=2), st.integers(0, 9))
def test_taking_one_picture_away_leaves_the_others_in_order(words: set[str], seed: int) -> None:
    items = [Item(word, FilePart("")) for word in sorted(words)]
    before = [items[n].name for n in shuffled(items, seed)]
    after = [items[1:][n].name for n in shuffled(items[1:], seed)]
    assert [name for name in before if name != items[0].name] == after


def test_the_same_seed_makes_the_same_set_on_any_number_of_workers(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in", 40)
    (root / "person 0" / "bad.png").write_bytes(b"no")
    hashes = [
        prepare(root, tmp_path / f"set{n}", PrepareOptions(size=(8, 8), seed=seed, workers=workers)).hash
        for n, (seed, workers) in enumerate([(0, 1), (0, 2), (0, 3), (1, 1)])
    ]
    assert len(set(hashes[:3])) == 1 and hashes[3] != hashes[0]


def test_limits_are_filled_up_with_pictures_that_can_be_used(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in", 30)
    for number in range(0, 30, 2):
        (root / f"person {number % 3}" / f"{number}.png").write_bytes(b"no picture")
    data = prepared(root, tmp_path / "set", PrepareOptions(**TINY, per_folder=3, limit=8))
    assert len(data) == 8 and sum(data.splits.values()) == 8
    assert max(sum(name.startswith(f"person {n}/") for name in names(data)) for n in range(3)) <= 3
    assert data.images.reshape(8, -1).max(axis=1).min() > 0, "an empty row"
    rejects = json.loads((tmp_path / "set" / "rejects.json").read_text())
    assert rejects and {reject["reason"] for reject in rejects} == {"not an image"}
    for name, pixels, label in zip(
        names(data), data.images, data.labels if data.labels is not None else [], strict=True
    ):
        whole = np.asarray(Image.open(root / name).resize((8, 8), Image.Resampling.LANCZOS))
        assert (pixels == whole).all() and data.classes[label] == name.split("/")[0]


def test_gaps_are_closed_when_nothing_is_left_to_fill_them(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in", 12)
    for number in (1, 5, 6):
        (root / f"person {number % 3}" / f"{number}.png").write_bytes(b"")
    data = prepared(root, tmp_path / "set", PrepareOptions(**TINY))
    assert len(data) == 9 and len(names(data)) == 9
    verify(data)


def test_duplicates_are_told_and_dropped_on_request(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in", 12, side=32)
    first = root / "person 0" / "0.png"
    (root / "person 1" / "copy.png").write_bytes(first.read_bytes())
    pixels = np.asarray(Image.open(first)) // 8 * 8  # a little coarser: no eye would see it
    Image.fromarray(pixels).save(root / "person 0" / "near.png")
    report = inspect(root, workers=1)
    assert [sorted(group) for group in report.duplicates] == [["person 0/0.png", "person 1/copy.png"]]
    assert [sorted(group) for group in report.near_duplicates] == [["person 0/0.png", "person 0/near.png"]]
    assert report.notes == [Message("data.in_several_classes", count=1)]
    assert len(prepare(root, tmp_path / "all", PrepareOptions(**TINY))) == 14
    assert len(prepare(root, tmp_path / "set", PrepareOptions(**TINY, drop_duplicates=True))) == 13


def test_near_is_not_far() -> None:
    rng = np.random.default_rng(0)
    smooth = [np.asarray(Image.fromarray(p).resize((32, 32))) for p in rng.integers(0, 256, (500, 6, 6, 3), np.uint8)]
    images = np.stack([*smooth, *(np.clip(p.astype(int) + rng.integers(-2, 3, p.shape), 0, 255) for p in smooth[:50])])
    groups = near_groups(images.astype(np.uint8))
    assert sorted(map(tuple, groups)) == [(n, 500 + n) for n in range(50)]
    assert exact_groups(np.repeat(images[:3].astype(np.uint8), 2, axis=0)) == [[0, 1], [2, 3], [4, 5]]


def test_grids_are_means() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 18, 1), dtype=np.uint8)
    by_hand = images.reshape(3, 8, 2, 9, 2).mean(axis=(2, 4))
    assert np.allclose(grids(images), by_hand, atol=1e-3)


def test_auto_is_grey_only_if_all_are(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("L", (20, 20), 50 * number).save(tmp_path / f"{number}.png")
    assert prepare(tmp_path, tmp_path / "grey", PrepareOptions(**TINY)).shape == (1, 8, 8)
    Image.new("RGB", (20, 20), "red").save(tmp_path / "red.png")
    assert prepare(tmp_path, tmp_path / "rgb", PrepareOptions(**TINY)).shape == (3, 8, 8)
    data = prepared(tmp_path, tmp_path / "rgba", PrepareOptions(size=(4, 12), channels="rgba", workers=1))
    assert data.shape == (4, 4, 12)
    with refused("data.zip_without_transparency"):
        export_zip(data, tmp_path / "out.zip")


def test_classes_without_pictures_are_left_out(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in", 6)
    for path in (root / "person 1").iterdir():
        path.write_bytes(b"")
    data = prepared(root, tmp_path / "set", PrepareOptions(**TINY))
    assert data.classes == ("person 0", "person 2") and data.labels is not None
    assert set(data.labels.tolist()) == {0, 1}


def test_nothing_usable_is_a_sentence_with_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.png").write_bytes(b"" if number else b"text")
    with refused("data.none_usable") as error:
        prepare(tmp_path / "in", tmp_path / "set", PrepareOptions(**TINY))
    reasons = [("data.empty_file", 2), ("data.not_a_picture", 1)]
    assert [(item.values["what"].code, item.values["count"]) for item in error.values["reasons"]] == reasons
    assert not (tmp_path / "set").exists() and not leftovers(tmp_path)


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with refused("files.disk_full"):
        prepare(make_folder(tmp_path / "in", 3), tmp_path / "set", PrepareOptions(**TINY))
    assert not (tmp_path / "set").exists() and not leftovers(tmp_path)


def test_again_is_free_other_is_refused(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in", 6)
    out = tmp_path / "set"
    prepare(root, out, PrepareOptions(**TINY))
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    prepare(root, out, PrepareOptions(size=(8, 8), workers=2))
    changed = Message("data.option_was", name="seed", before="0", now="1")
    with refused("data.out_has_other_options", options=[changed]):
        prepare(root, out, PrepareOptions(**TINY, seed=1))
    (root / "person 0" / "0.png").unlink()
    with refused("data.out_has_other_pictures"):
        prepare(root, out, PrepareOptions(**TINY))
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    (tmp_path / "mine").mkdir()
    with refused("data.out_is_not_a_dataset"):
        prepare(root, tmp_path / "mine", PrepareOptions(**TINY))


PREPARE = "import sys; from simulacra.data.prepare import prepare; prepare(sys.argv[1], sys.argv[2], size=8)"


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_prepare_leaves_nothing_that_looks_whole(tmp_path: Path, blow: signal.Signals) -> None:
    root = make_folder(tmp_path / "in", 1, side=700)
    for number in range(1, 1500):
        (root / "person 0" / f"{number}.png").hardlink_to(root / "person 0" / "0.png")
    process = subprocess.Popen(
        [sys.executable, "-c", PREPARE, str(root), str(tmp_path / "set")], stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 30
    while not leftovers(tmp_path) and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(process.pid, blow)
    if process.wait(60) == 0:  # the signal came when all was done
        assert blow == signal.SIGINT and len(open_domain(tmp_path / "set"))
        return
    assert not (tmp_path / "set").exists()
    if blow == signal.SIGINT:
        assert not leftovers(tmp_path)
    for aside in leftovers(tmp_path):
        with pytest.raises(SimulacraError):
            open_domain(tmp_path / aside)


def kill_after(owner: Any, name: str, decoded: Path, work: Callable[[], object]) -> int:
    """Carry out `work` in a fork that is killed when `name` has returned, "once" after a new step; returns its exit status.

    decoded: a file that gets a byte for each picture that is decoded.
    """

    def child() -> None:
        patched, decode, before = pytest.MonkeyPatch(), writing.decode_tasks, getattr(owner, name, None)

        def counted(target: ArrayTarget, tasks: Sequence[Task]) -> list[Outcome]:
            with decoded.open("ab") as file:
                file.write(b"." * len(tasks))
            return decode(target, tasks)

        def deadly(*arguments: Any) -> Any:
            is_old = name == "once" and arguments[0].resumes
            value = before(*arguments)  # type: ignore[misc]
            if not is_old:
                os.kill(os.getpid(), signal.SIGKILL)
            return value

        patched.setattr(writing, "decode_tasks", counted)
        if before is not None:
            patched.setattr(owner, name, deadly)
        work()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.skipif(not writing.FORKS, reason="needs forks")
def test_a_killed_prepare_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after each step, it makes the bytes of an unbroken one, and decodes no picture twice but for originals."""
    root = make_folder(tmp_path / "in", 40)
    for number in (3, 11, 12):
        (root / f"person {number % 3}" / f"{number}.png").write_text("broken")
    for number in range(6):
        (root / "person 0" / f"copy {number}.png").hardlink_to(root / "person 1" / "1.png")
    monkeypatch.setattr(selection, "BATCH", 10)
    decoded, out = tmp_path / "decoded", tmp_path / "broken" / "set"
    options = PrepareOptions(**TINY, limit=38, drop_duplicates=True, keep_originals=2)

    def work(to: Path) -> Callable[[], object]:
        return lambda: prepare(root, to, options)

    assert kill_after(None, "", decoded, work(tmp_path / "whole" / "set")) == 0
    whole = len(decoded.read_bytes())
    count, steps = len(open_domain(tmp_path / "whole" / "set")), 0
    while kill_after(Journal, "once", decoded, work(out)) == -signal.SIGKILL:
        steps += 1
        (unfinished,) = leftovers(out.parent)
        shutil.copytree(out.parent / unfinished, tmp_path / "states" / str(steps) / unfinished)
    assert steps > 6
    made = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert made == {name: (tmp_path / "whole" / "set" / name).read_bytes() for name in made}
    assert len(made) == sum(path.is_file() for path in (tmp_path / "whole" / "set").rglob("*"))
    assert len(decoded.read_bytes()) == 2 * whole and not leftovers(out.parent)

    last = tmp_path / "states" / str(steps)
    for owner, name in ((selection, "shorten"), (prepare_module, "write_sheet"), (prepare_module, "write_originals")):
        assert kill_after(owner, name, decoded, work(last / "set")) == -signal.SIGKILL
        assert len(leftovers(last)) == 1
    prepare(root, last / "set", options)
    assert {name: (last / "set" / name).read_bytes() for name in made} == made and not leftovers(last)
    assert len(decoded.read_bytes()) == 2 * whole + count, "the last call to be killed wrote the originals"

    other = tmp_path / "states" / "3"
    prepare(root, other / "set", PrepareOptions(**TINY))
    assert len(open_domain(other / "set")) == 43 and not leftovers(other), "other options begin anew"


def test_ctrl_c_waits_until_the_workers_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python loses an interrupt that comes while it forks, and `prepare` would wait for ever."""
    fork, held = os.fork, list[bool]()

    def watched() -> int:
        held.append(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
        return fork()

    monkeypatch.setattr(os, "fork", watched)
    prepared(make_folder(tmp_path / "in", 30), tmp_path / "set", PrepareOptions(**TINY), workers=2)
    assert held == [True, True]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_opening_what_is_not_whole_is_a_sentence(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in", 6)
    data = prepared(root, tmp_path / "set", PrepareOptions(**TINY))
    for path, code in [(tmp_path / "sett", "data.no_dataset"), (root, "data.not_prepared")]:
        with refused(code, path=path):
            open_domain(path)
    images = tmp_path / "set" / "images.npy"
    whole = images.read_bytes()
    for broken in (whole[:-1], whole + b"x", b"", b"junk" * 100):
        images.write_bytes(broken)
        with refused("data.damaged_dataset"):
            open_domain(tmp_path / "set")
    images.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with refused("data.changed"):
        verify(open_domain(tmp_path / "set"))
    images.write_bytes(whole)
    verify(open_domain(tmp_path / "set"))
    np.save(tmp_path / "set" / "labels.npy", np.full(6, 7))
    with refused("data.damaged_dataset"):
        open_domain(tmp_path / "set")
    (tmp_path / "set" / "data.json").unlink()
    with refused("data.half_written"):
        open_domain(tmp_path / "set")
    assert data.hash


def test_splits_are_views_in_order(tmp_path: Path) -> None:
    data = prepared(make_folder(tmp_path / "in", 10), tmp_path / "set", PrepareOptions(**TINY))
    parts = [data.split(name) for name in ("train", "valid", "test")]
    assert [len(part) for part in parts] == [8, 1, 1]
    assert (np.concatenate([part.images for part in parts]) == data.images).all()
    assert data.labels is not None and parts[1].labels is not None
    assert parts[1].labels.tolist() == data.labels[8:9].tolist()
    with refused("data.empty_part", part="test"):
        parts[0].split("test")
    with refused("data.unknown_part", part="tests"):
        data.split("tests")


def test_the_hash_sees_pixels_shape_labels_and_names() -> None:
    images, labels = np.zeros((4, 2, 2, 1), np.uint8), np.zeros(4, np.int64)
    other = images.copy()
    other[3, 1, 1, 0] = 1
    hashes = {
        content_hash(images, None),
        content_hash(other, None),
        content_hash(images.reshape(2, 4, 2, 1), None),
        content_hash(images, labels, ("a",)),
        content_hash(images, labels + 1, ("a",)),
        content_hash(images, labels, ("b",)),
    }
    assert len(hashes) == 6 and content_hash(images.copy(), None) in hashes


def test_an_array_is_shortened_in_place(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    new_array(ArrayTarget(path, DecodeOptions(size=(5, 7), channels="rgb")), 1000)
    rows = np.load(path, mmap_mode="r+")
    rows[:3] = np.arange(3)[:, None, None, None]
    del rows
    shorten(path, 3)
    short = np.load(path)
    assert short.shape == (3, 5, 7, 3) and short[2].min() == 2


def test_the_report_says_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_folder(tmp_path / "in", 6)
    (root / "person 0" / "[bold]odd.png").write_bytes(b"")
    (root / "notes.doc").write_text("x")
    Image.new("RGBA", (9, 30), (0, 0, 0, 0)).save(root / "person 1" / "clear.png")
    Image.new("RGBA", (9, 30), (0, 9, 0, 255)).save(root / "person 1" / "full.png", icc_profile=colour_profile())
    report = inspect(root, workers=1)
    assert (report.found, report.usable, report.not_pictures, report.blank) == (9, 8, 1, 1)
    assert report.rejects == {Message("data.empty_file"): ["person 0/[bold]odd.png"]}
    assert report.sizes == {(16, 16): 6, (9, 30): 2} and report.enlarged == 8
    assert (report.transparent, report.converted) == (1, 1)
    record = json.loads(json.dumps(report.to_json()))
    assert record["sizes"] == {"16x16": 6, "9x30": 2} and list(record["rejects"]) == ["empty file"]
    print_report(report)
    said = capsys.readouterr().out
    assert "8 of 9" in said and "sRGB" in said and "[bold]odd.png" in said and "empty file" in said
    with using("zh"):
        print_report(report)
        assert "empty file" in report.to_json()["rejects"], "files are in English"
    said = capsys.readouterr().out
    assert "空文件" in said and "空文件 (" not in said and "empty" not in said


def test_the_sheet_is_drawn_whatever_the_names(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "in", 6)
    (root / "person 0").rename(root / "$x_{写真} 😀")
    prepare(root, tmp_path / "set", PrepareOptions(**TINY))
    with Image.open(tmp_path / "set" / "sheet.png") as sheet:
        assert min(sheet.size) > 500 and len(sheet.convert("RGB").getcolors(1 << 22) or []) > 50
    record = json.loads((tmp_path / "set" / "sheet.json").read_text("utf-8"))
    assert record["usable"] == 6 and "$x_{写真} 😀" in record["classes"]


def test_the_mean_and_the_grid() -> None:
    images = np.stack([np.full((4, 6, 1), value, np.uint8) for value in (0, 100, 200)])
    assert (mean_picture(images) == 100).all()
    assert random_grid(images).shape == (4, 3 * 7 - 1, 3)


def held(target: ArrayTarget, tasks: Sequence[Task]) -> list[Outcome]:
    """In a worker: how many archives it holds open before it has read anything."""
    return [Outcome(_zip.cache_info().currsize, None) for task in tasks]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are not forked, and inherit nothing")
def test_workers_open_an_archive_for_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the parent opened, to look at a few pictures, has one place in the file for all who inherit it: they would
    read one another's bytes."""
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.writestr("1.png", b"")
    assert _zip(str(tmp_path / "one.zip")).namelist() == ["1.png"]
    monkeypatch.setattr(writing, "decode_tasks", held)
    target = ArrayTarget(tmp_path / "images.npy", DecodeOptions(size=(16, 16), channels="rgb"))
    tasks = [Task(row, Item("1.png", ZipMember(str(tmp_path / "one.zip"), "1.png"))) for row in range(8)]
    assert {outcome.row for part in writing.run(target, tasks, workers=2) for outcome in part} == {0}
    close_all()
