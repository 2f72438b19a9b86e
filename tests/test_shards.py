"""Shards: prepared apart, joined without a copy, and the same dataset as one that is prepared in one go."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from support import Cli, noise, prepared, refused

from simulacra.data import shards
from simulacra.data.dataset import Dataset, verify
from simulacra.data.inspect import inspect
from simulacra.data.join import join
from simulacra.data.opening import open_dataset
from simulacra.data.prepare_options import PrepareOptions
from simulacra.data.shard_format import KEYS, PICTURES, Share, parse_share
from simulacra.data.shards import prepare_shard
from simulacra.files import read_json, write_json
from simulacra.measure.picture_sets import open_set
from simulacra.storage import model_folder
from simulacra.training.options import train

TINY = PrepareOptions(size=(8, 8), workers=1)
SPLIT = PrepareOptions(size=(8, 8), workers=1, split=(0.6, 0.2, 0.2))


def make_photos(root: Path, n: int = 40, classes: int = 4) -> Path:
    """n different pictures of noise; those of a class follow each other in the listing."""
    for number, pixels in enumerate(noise(n, (3, 12, 12))):
        folder = root / f"class {number * classes // n}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return root


def make_shards(source: Path, out: Path, count: int, options: PrepareOptions = TINY) -> list[Path]:
    """All shards of a source, in folders `out-1`, `out-2`, ..."""
    folders = [out.with_name(f"{out.name}-{number}") for number in range(1, count + 1)]
    for number, folder in enumerate(folders, start=1):
        prepare_shard(source, folder, Share(number, count), options)
    return folders


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_same(a: Dataset, b: Dataset) -> None:
    """The same pictures, labels and parts in the same order."""
    assert np.array_equal(np.asarray(a.images), np.asarray(b.images))
    assert np.array_equal(np.asarray(a.labels), np.asarray(b.labels))
    assert (a.shape, a.classes, a.attributes, dict(a.splits)) == (b.shape, b.classes, b.attributes, dict(b.splits))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def three(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_shards(photos, tmp_path_factory.mktemp("shards") / "shard", 3, SPLIT)


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The same pictures prepared in one go."""
    return prepared(photos, tmp_path_factory.mktemp("whole") / "whole", SPLIT)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_shards_joined_are_the_dataset_of_one_go(photos: Path, whole: Dataset, tmp_path: Path, count: int) -> None:
    """Each class lies in one or two shards only, and their sizes differ."""
    joined = join(tmp_path / "joined", make_shards(photos, tmp_path / "shard", count, SPLIT))
    assert_same(joined, whole)
    assert len(joined.classes) == 4
    assert sum(path.stat().st_size for path in (tmp_path / "joined").iterdir()) < joined.images.nbytes


def test_the_order_of_names_has_no_influence(three: list[Path], tmp_path: Path, run_cli: Cli) -> None:
    written = []
    for number, order in enumerate(itertools.permutations(three)):
        status, out, err = run_cli("join", tmp_path / str(number) / "joined", *order)
        assert status == 0, err
        written.append(contents(tmp_path / str(number) / "joined"))
    assert all(files == written[0] for files in written)
    assert json.loads(written[0]["data.json"])["hash"][:12] in out


def test_indexing_reads_what_an_array_would(photos: Path, three: list[Path], tmp_path: Path) -> None:
    joined = join(tmp_path / "joined", three)
    images, whole = joined.images, np.asarray(joined.images)
    rows = np.array([5, 0, 39, 5, -1])
    assert np.array_equal(images[rows], whole[rows])
    assert np.array_equal(images[3], whole[3]) and np.array_equal(images[[]], whole[[]])
    assert np.array_equal(images[whole.mean((1, 2, 3)) > 127], whole[whole.mean((1, 2, 3)) > 127])
    assert np.array_equal(images[10:30:3][2:4], whole[10:30:3][2:4])
    assert np.array_equal(images[2:9, 1, ..., 0], whole[2:9, 1, ..., 0]) and np.array_equal(images[4, 2], whole[4, 2])
    assert np.array_equal(np.stack(list(images)), whole)
    assert np.array_equal(joined.split("test").images, whole[32:])


def test_commands_read_a_joined_dataset(photos: Path, three: list[Path], tmp_path: Path, run_cli: Cli) -> None:
    joined = join(tmp_path / "joined", three)
    status, out, err = run_cli("inspect", tmp_path / "joined", "--json")
    assert status == 0 and json.loads(out)["usable"] == 40, err
    again = prepare_shard(tmp_path / "joined", tmp_path / "again", Share(1, 1), TINY)
    assert again.shape == joined.images.shape and again.classes == joined.classes
    assert sorted(map(bytes, np.load(tmp_path / "again" / PICTURES))) == sorted(map(bytes, joined.images))
    with open_set(f"{tmp_path / 'joined'}:valid", samples=1) as unseen:
        assert [bytes(np.asarray(unseen.read(row))) for row in range(8)] == list(
            map(bytes, joined.split("valid").images)
        )


def test_a_run_on_shards_is_the_run_on_one_dataset(three: list[Path], whole: Dataset, tmp_path: Path) -> None:
    """The same weights to the bit, across shards and epochs."""
    data = {"joined": join(tmp_path / "joined", three), "whole": whole}
    options: dict[str, Any] = {"gan": "mlp:tiny", "settings": {"batch": 8}, "precision": "fp32", "device": "cpu"}
    for name in data:
        train(data[name].source, run=tmp_path / f"run-{name}", total=64, every=64, quiet=True, **options)
    first, second = (load_file(model_folder(tmp_path / f"run-{n}") / "G.safetensors") for n in ("joined", "whole"))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_unusable_pictures_leave_all_others_in_their_part(whole: Dataset, tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos")
    assert whole.path is not None
    names = read_json(whole.path / "names.json")
    for place in (3, 20, 39):
        (photos / names[place]).write_bytes(b"\x89PNG broken")
    joined = join(tmp_path / "joined", make_shards(photos, tmp_path / "shard", 3, SPLIT))
    kept = np.delete(np.arange(40), [3, 20, 39])
    assert np.array_equal(np.asarray(joined.images), whole.images[kept])
    assert dict(joined.splits) == {"train": 22, "valid": 8, "test": 7}
    rejects = [read_json(tmp_path / f"shard-{n}" / "rejects.json") for n in (1, 2, 3)]
    assert sorted(reject["name"] for part in rejects for reject in part) == sorted(names[n] for n in (3, 20, 39))


def test_duplicates_of_other_shards_are_dropped(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 20)
    for path in list(photos.glob("*/*.png"))[:6]:
        shutil.copy(path, photos / "class 3" / f"copy of {path.name}")
    once = PrepareOptions(size=(8, 8), workers=1, drop_duplicates=True)
    joined = join(tmp_path / "joined", make_shards(photos, tmp_path / "shard", 4, once))
    one = prepared(photos, tmp_path / "one", once)
    assert len(joined) == 20
    assert sorted(map(bytes, np.asarray(joined.images))) == sorted(map(bytes, one.images))


def test_a_limit_chooses_what_one_go_would(photos: Path, tmp_path: Path) -> None:
    few = PrepareOptions(size=(8, 8), workers=1, limit=11, per_folder=4)
    joined = join(tmp_path / "joined", make_shards(photos, tmp_path / "shard", 3, few))
    assert_same(joined, prepared(photos, tmp_path / "whole", few))


# --- faults ------------------------------------------------------------------------------------------------------


def test_join_refuses_what_does_not_belong_together(
    photos: Path, three: list[Path], whole: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "joined"
    with refused("data.shards_missing", count=1, numbers=[2]):
        join(out, [three[2], three[0]])
    with refused("data.shard_twice", number=1):
        join(out, [*three, three[0]])
    with refused("data.no_shards"):
        join(out, [])
    with refused("data.not_a_shard"):
        join(out, [*three[:2], whole.source])
    with refused("files.missing"):
        join(out, [*three[:2], tmp_path / "absent"])
    others: dict[str, dict[str, Any]] = {
        "grey": {"channels": "grey"},
        "seed": {"seed": 1},
        "split": {"split": (0.8, 0.1, 0.1)},
    }
    for name, change in others.items():
        settings: dict[str, Any] = {"size": (8, 8), "workers": 1, "split": (0.6, 0.2, 0.2)} | change
        prepare_shard(photos, tmp_path / name, Share(2, 3), PrepareOptions(**settings))
        with refused("data.shards_differ"):
            join(out, [three[0], tmp_path / name, three[2]])
    prepare_shard(make_photos(tmp_path / "photos", 41), tmp_path / "more", Share(2, 3), SPLIT)
    with refused("data.shards_differ"):
        join(out, [three[0], tmp_path / "more", three[2]])
    assert not out.exists()
    join(out, three)
    with refused("data.out_exists"):
        join(out, three)


@pytest.mark.parametrize("file", [PICTURES, KEYS, "blocks.npy", "labels.npy", "data.json"])
def test_join_finds_a_changed_byte(three: list[Path], tmp_path: Path, file: str) -> None:
    copies = [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in three]
    data = bytearray((copies[1] / file).read_bytes())
    place = data.index(b'"hash"') + 12 if file == "data.json" else len(data) - 1
    data[place] = ord("0") + (data[place] == ord("0"))
    (copies[1] / file).write_bytes(data)
    with refused("data.damaged_block" if file == PICTURES else "data.damaged_shard", place=str(copies[1])):
        join(tmp_path / "joined", copies)


def test_a_joined_dataset_notices_changes(three: list[Path], tmp_path: Path) -> None:
    copies = [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in three]
    verify(join(tmp_path / "joined", copies))
    pictures = bytearray((copies[2] / PICTURES).read_bytes())
    pictures[-1] ^= 1
    (copies[2] / PICTURES).write_bytes(pictures)
    with refused("data.damaged_block", place=str(copies[2]), block=0):
        verify(open_dataset(tmp_path / "joined"))
    record = read_json(tmp_path / "joined" / "data.json")
    write_json(tmp_path / "joined" / "data.json", record | {"splits": {"train": 40, "valid": 0, "test": 0}})
    with refused("data.damaged_joined"):
        open_dataset(tmp_path / "joined")
    for name in ("../up", "..", "a\\b", ""):
        write_json(tmp_path / "joined" / "data.json", record | {"name": name})
        with refused("data.damaged_joined"):
            open_dataset(tmp_path / "joined")


def test_a_shard_that_is_gone_is_named(three: list[Path], tmp_path: Path) -> None:
    copies = [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in three]
    join(tmp_path / "joined", copies)
    shutil.rmtree(copies[2])
    with refused("data.shard_missing", number=3):
        open_dataset(tmp_path / "joined")


def test_a_shard_is_no_dataset(photos: Path, three: list[Path], run_cli: Cli, tmp_path: Path) -> None:
    with refused("data.is_a_shard", number=1, count=3):
        open_dataset(three[0])
    with refused("data.is_a_shard"):
        inspect(three[0])
    status, _, err = run_cli("train", three[0])
    assert status == 1 and "simulacra join" in err
    for word in ("0/3", "4/3", "1", "a/b", "1/0"):
        with refused("data.not_a_share"):
            parse_share(word)
    with refused("data.more_shards_than_pictures", count=40):
        prepare_shard(photos, tmp_path / "x", Share(1, 41), TINY)
    with refused("data.originals_of_shard"):
        prepare_shard(photos, tmp_path / "x", Share(1, 3), PrepareOptions(size=(8, 8), keep_originals=2))
    assert run_cli("prepare", photos, tmp_path / "x", "--shard", "1/2", "--zip", tmp_path / "z")[0] == 1


# --- interruptions -----------------------------------------------------------------------------------------------


def test_a_shard_that_was_killed_goes_on(tmp_path: Path) -> None:
    """Killed in the middle, twice, the folder has the bytes of an unbroken one, and no batch was decoded twice."""
    photos, words = make_photos(tmp_path / "photos", 160), ["--size", "8", "--workers", "1", "--shard", "1/2"]
    for place in (5, 50):
        (sorted(photos.glob("*/*.png"))[place]).write_text("broken")
    script = (
        "import sys, time; from simulacra.data import shards, writing; import simulacra.cli as cli\n"
        "shards.BATCH = 20; decode = writing.decode\n"
        "def slowly(*a): print('decoded', flush=True); time.sleep(.005); return decode(*a)\n"
        "writing.decode = slowly; cli.main()"
    )
    words = [sys.executable, "-c", script, "prepare", str(photos), "out", *words]
    decoded, broken = 0, tmp_path / "broken"
    broken.mkdir()
    for lines in (1, 3, None):
        process = subprocess.Popen(words, cwd=broken, stdout=subprocess.PIPE, text=True, env=os.environ)
        journal = broken / ".out.unfinished" / "done.jsonl"
        while lines is not None and (not journal.exists() or journal.read_bytes().count(b"\n") < lines):
            time.sleep(0.002)
        if lines is not None:
            process.send_signal(signal.SIGKILL)
        decoded += process.communicate()[0].count("decoded")
        assert process.returncode == (0 if lines is None else -signal.SIGKILL)
    assert not journal.parent.exists()
    assert 80 <= decoded <= 80 + 2 * 20, "only the batch in work is decoded again"
    (tmp_path / "whole").mkdir()
    prepare_shard(photos, tmp_path / "whole" / "out", Share(1, 2), PrepareOptions(size=(8, 8), workers=1))
    assert contents(broken / "out") == contents(tmp_path / "whole" / "out")


@pytest.mark.parametrize("place", ["shorten", "_block_hashes", "versions"])
def test_a_shard_that_stops_late_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Also between moving rows into gaps and the end."""
    photos = make_photos(tmp_path / "photos")
    for number in (3, 4, 19):
        (sorted(photos.glob("*/*.png"))[number]).write_text("broken")
    before = getattr(shards, place)

    def stop(*arguments: Any) -> None:
        if place == "shorten":
            before(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shards, place, stop)
        with pytest.raises(KeyboardInterrupt):
            prepare_shard(photos, tmp_path / "out", Share(1, 2), TINY)
    assert not (tmp_path / "out").exists()
    prepare_shard(photos, tmp_path / "out", Share(1, 2), TINY)
    (tmp_path / "whole").mkdir()
    prepare_shard(photos, tmp_path / "whole" / "out", Share(1, 2), TINY)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole" / "out")


def test_an_unfinished_shard_of_other_options_is_begun_anew(photos: Path, tmp_path: Path) -> None:
    unfinished = tmp_path / ".out.unfinished"
    unfinished.mkdir()
    write_json(unfinished / "origin.json", {"options": "other"})
    (unfinished / "done.jsonl").write_text('{"batch": 0, "rejects": []}\n')
    prepare_shard(photos, tmp_path / "out", Share(1, 3), TINY)
    prepare_shard(photos, tmp_path / "out", Share(1, 3), TINY)  # says that it is there
    with refused("data.out_has_other_options"):
        prepare_shard(photos, tmp_path / "out", Share(2, 3), TINY)
    assert np.load(tmp_path / "out" / PICTURES).any(axis=(1, 2, 3)).all()
