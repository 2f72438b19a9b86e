"""Thousands of pictures in one file: what it holds, in constant memory, and never half of one."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support import Cli, build, prepared, refused

from simulacra.bulk import write_bulk
from simulacra.generator import Generator, as_generator
from simulacra.provenance import read_provenance
from simulacra.registry import configured
from simulacra.sampling import write_pictures

ENDINGS = ("zip", "npz")


@pytest.fixture(scope="module")
def plain() -> Generator:
    return as_generator(build("dcgan:tiny").G.eval())


@pytest.fixture(scope="module")
def classes() -> Generator:
    model = as_generator(build("dcgan:tiny+labels").G.eval())
    model.classes = ("cat", "dog/wolf", "hen")
    return model


@pytest.fixture(scope="module")
def attributes() -> Generator:
    gan, config = configured("dcgan:tiny", (3, 16, 16), {"conditional": True}, labels=2, attributes=True)
    model = as_generator(gan(config).G.eval())
    model.classes = ("hat", "smile")
    return model


def pixels(file: Any) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image)


def test_a_zip_holds_the_same_files_as_a_folder(plain: Generator, tmp_path: Path) -> None:
    seeds = [*range(70), 99]
    assert write_bulk(plain, tmp_path / "a.zip", seeds, model="m", truncation=0.8, bf16=True) == 71
    write_pictures(plain, tmp_path / "folder", seeds, model="m", truncation=0.8, bf16=True)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None and len(archive.namelist()) == 71
        for name in ("seed000000.png", "seed000069.png", "seed000099.png"):
            packed = io.BytesIO(archive.read(name))
            assert (pixels(packed) == pixels(tmp_path / "folder" / name)).all()
            whole = read_provenance(tmp_path / "folder" / name)
            packed_record = read_provenance(packed)
            assert whole is not None and packed_record is not None
            assert (
                whole["seed"] == packed_record["seed"]
                and whole["bf16"] is packed_record["bf16"] is True
                and packed_record["truncation"] == 0.8
            )


def test_an_npz_holds_arrays(classes: Generator, tmp_path: Path) -> None:
    write_bulk(classes, tmp_path / "a.npz", range(66), model="m")
    write_pictures(classes, tmp_path / "folder", [65], model="m")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["images"].shape == (66, 16, 16, 3) and arrays["images"].dtype == np.uint8
        assert (arrays["images"][65] == pixels(tmp_path / "folder" / "seed000065.png")).all()
        assert arrays["seeds"].tolist() == list(range(66)) and list(arrays["classes"]) == ["cat", "dog/wolf", "hen"]
        y = classes.conditions(range(66))
        assert y is not None and arrays["labels"].tolist() == y.argmax(1).tolist()
        assert '"model": "m"' in str(arrays["provenance"])


def test_a_count_for_each_class_with_labels_as_csv(classes: Generator, tmp_path: Path) -> None:
    """And `prepare` reads the folders of the zip as the classes."""
    out, table = tmp_path / "a.zip", tmp_path / "labels.csv"
    assert write_bulk(classes, out, range(5), model="m", per_class=True, labels=table) == 15
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["label"] for row in rows] == ["cat"] * 5 + ["dog/wolf"] * 5 + ["hen"] * 5
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [row["file"] for row in rows]
        assert rows[5]["file"] == "dog-wolf/seed000000.png"
    data = prepared(out, tmp_path / "data", size=(16, 16), workers=1)
    assert data.classes == ("cat", "dog-wolf", "hen") and len(data) == 15
    write_bulk(classes, tmp_path / "a.npz", range(5), model="m", per_class=True)
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["labels"].tolist() == [0] * 5 + [1] * 5 + [2] * 5


def test_attributes_as_csv(attributes: Generator, tmp_path: Path) -> None:
    write_bulk(attributes, tmp_path / "a.npz", range(3), model="m", labels=tmp_path / "l.csv", label="hat, smile=0.5")
    rows = list(csv.DictReader((tmp_path / "l.csv").read_text().splitlines()))
    assert rows[2] == {"file": "seed000002.png", "hat": "1", "smile": "0.5"}
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["labels"].tolist() == [[1.0, 0.5]] * 3


@pytest.mark.parametrize("ending", ENDINGS)
def test_one_that_is_stopped_leaves_nothing(ending: str, classes: Generator, tmp_path: Path) -> None:
    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bulk(classes, tmp_path / f"a.{ending}", range(200), model="m", labels=tmp_path / "l.csv", advance=stop)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_deleted_by_the_next(plain: Generator, tmp_path: Path) -> None:
    old, new, other = (
        tmp_path / name for name in (".faces.zip.abcdefgh", ".faces.zip.ijklmnop", ".faces.zip.backup.old")
    )
    for path in (old, new, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (0, 0))
    write_bulk(plain, tmp_path / "faces.zip", range(2), model="x")
    assert not old.exists() and new.exists() and other.exists()


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_more_than_a_batch_is_in_memory(
    ending: str, plain: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file on the disk grows with the pictures that are drawn."""
    sizes: list[int] = []

    def look(count: int) -> None:
        (aside,) = tmp_path.glob(".a.*")
        sizes.append(aside.stat().st_size)

    write_bulk(plain, tmp_path / f"a.{ending}", range(64 * 8), model="m", advance=look)
    grown = np.diff([0, *sizes])
    assert len(sizes) == 8 and (grown[1:] > 0).all()
    assert max(grown) < sum(grown) / 2


def test_nothing_is_overwritten(classes: Generator, plain: Generator, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("mine")
    (tmp_path / "l.csv").write_text("mine")
    for out, labels in (("a.zip", None), ("b.zip", tmp_path / "l.csv")):
        with refused("sampling.file_exists"):
            write_bulk(classes, tmp_path / out, range(2), model="m", labels=labels)
    with refused("sampling.rows_of_one_class"):
        write_bulk(classes, tmp_path / "c.zip", range(2), model="m", label="cat", per_class=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "l.csv"]


def test_the_command(run_cli: Cli, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    status, out, err = run_cli("sample", "peeps", "--count", "3", "--npz", tmp_path / "a.npz", "--threads", "1")
    assert status == 0 and "3 pictures" in out and not err and before
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["images"].shape == (3, 64, 64, 3)
