"""Every kind of source, made here in small."""

import csv
import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import noise, prepared, refused

from simulacra.data.arrays import read_cifar
from simulacra.data.label_tables import labels_for, read_table
from simulacra.data.prepare import export_zip, prepare
from simulacra.data.prepare_options import PrepareOptions
from simulacra.data.rejects import Reject
from simulacra.data.source import Source
from simulacra.data.sources import open_source
from simulacra.errors import SimulacraError
from simulacra.messages import Message

TINY = PrepareOptions(size=(8, 8), workers=1)


def picture(path: Path, number: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 12), (20 * number % 256, 90, 200)).save(path)
    return path


def source_of(source: Path, labels: str = "auto") -> Source:
    with open_source(source, labels=labels) as opened:
        assert all(item.read() is not None for item in opened.items)
        return opened


def names(source: Source) -> list[str]:
    return [item.name for item in source.items]


def by_name(source: Source) -> dict[str, Any]:
    assert source.labels is not None
    return dict(zip(names(source), source.labels.tolist(), strict=True))


def folder_of(root: Path, *files: str) -> Path:
    for number, file in enumerate(files):
        picture(root / file, number)
    return root


def test_a_folder_to_the_bottom_in_natural_order_less_what_is_no_picture(tmp_path: Path) -> None:
    folder_of(tmp_path, "10.png", "9.png", "deep/er/1.JPG".replace("JPG", "png"), ".hidden/a.png", "__MACOSX/b.png")
    for name in ("Thumbs.db", ".DS_Store", "._9.png", "notes.doc", "README"):
        (tmp_path / name).write_text("x")
    source = source_of(tmp_path)
    assert names(source) == ["9.png", "10.png", "deep/er/1.png"]
    assert source.not_pictures == 5 and source.labels is None and not source.rejects


def test_a_folder_per_class(tmp_path: Path) -> None:
    source = source_of(folder_of(tmp_path, "cat/1.png", "dog/1.png", "dog/sub/2.png"))
    assert source.classes == ("cat", "dog")
    assert by_name(source) == {"cat/1.png": 0, "dog/1.png": 1, "dog/sub/2.png": 1}
    assert source_of(tmp_path, "none").labels is None


def test_train_and_test_are_no_classes(tmp_path: Path) -> None:
    source = source_of(folder_of(tmp_path, "train/cat/1.png", "train/dog/1.png", "test/cat/2.png"))
    assert source.classes == ("cat", "dog")


def test_links_loops_and_strange_files_end(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", "a.png")
    folder_of(tmp_path / "elsewhere", "b.png")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "self.png").symlink_to(tmp_path / "in" / "self.png")
    (tmp_path / "in" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    source = source_of(tmp_path / "in")
    assert names(source) == ["a.png", "out/b.png"]
    assert {reject.name: reject.reason.code for reject in source.rejects} == {
        "self.png": "data.link_to_itself",
        "lost.png": "data.link_to_nothing",
    }


def test_any_name(tmp_path: Path) -> None:
    odd = ["né.png", "写真.png", "😀.png", "a b\n'\"$[red].png", "-rf.png"]
    folder_of(tmp_path, *odd)
    raw = os.path.join(os.fsencode(tmp_path), b"\xff\xfe.png")  # noqa: PTH118
    Path(os.fsdecode(raw)).write_bytes((tmp_path / odd[0]).read_bytes())
    source = source_of(tmp_path)
    assert set(names(source)) == {*odd, "\\xff\\xfe.png"}
    data = prepared(tmp_path, tmp_path.parent / "写真 set", TINY)
    assert len(data) == 6
    assert set(json.loads((data.path or tmp_path).joinpath("names.json").read_text("utf-8"))) == set(names(source))


def zipped(root: Path, out: Path) -> Path:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, path.relative_to(root.parent))
    return out


def test_archives_hold_the_same_as_their_folder(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", "cat/1.png", "dog/1.png", "dog/2.png")
    hashes = {prepared(root, tmp_path / "set", TINY).classes: None}
    sources = [zipped(root, tmp_path / "pets.zip")]
    for mode in ("", "gz", "bz2", "xz"):
        sources.append(tmp_path / f"pets.tar.{mode}".rstrip("."))
        with tarfile.open(sources[-1], f"w:{mode}") as archive:  # type: ignore[call-overload]
            archive.add(root, "pets")
    for number, source in enumerate(sources):
        opened = source_of(source)
        assert opened.classes == ("cat", "dog") and names(opened)[2] == "pets/dog/2.png"
        hashes[prepared(source, tmp_path / f"set{number}", TINY).classes] = None
    assert list(hashes) == [("cat", "dog")]


def test_a_broken_archive_is_a_sentence(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", *(f"{n}.png" for n in range(9)))
    with tarfile.open(tmp_path / "pets.tar.gz", "w:gz") as archive:
        archive.add(root, "pets")
    data = (tmp_path / "pets.tar.gz").read_bytes()
    (tmp_path / "pets.tar.gz").write_bytes(data[: len(data) * 3 // 4])
    with refused("data.damaged_archive"):
        source_of(tmp_path / "pets.tar.gz")
    whole = zipped(root, tmp_path / "pets.zip").read_bytes()
    at = whole.index(b"PK\3\4", 200) + 50  # inside one member
    (tmp_path / "pets.zip").write_bytes(whole[:at] + bytes(9) + whole[at + 9 :])
    assert len(prepare(tmp_path / "pets.zip", tmp_path / "set", TINY)) == 8


def test_celeba(tmp_path: Path) -> None:
    folder_of(tmp_path, *(f"img_align_celeba/{n:06d}.jpg" for n in range(1, 5)))
    rows = ["4", "Bald Smiling ", "000001.jpg -1  1", "000002.jpg  1  1", "000003.jpg -1 -1"]
    (tmp_path / "list_attr_celeba.txt").write_text("\n".join(rows) + "\n")
    source = source_of(tmp_path)
    assert source.attributes == ("Bald", "Smiling")
    assert source.labels is not None and source.labels.tolist() == [[0, 1], [1, 1], [0, 0]]
    assert source.rejects == (
        Reject("img_align_celeba/000004.jpg", Message("data.no_row", table="list_attr_celeba.txt")),
    )
    smiling = source_of(tmp_path, "Smiling")
    assert (
        smiling.classes == ("not Smiling", "Smiling")
        and smiling.labels is not None
        and smiling.labels.tolist() == [1, 1, 0]
    )
    with refused("data.no_column", hint=Message("errors.did_you_mean", name="Smiling")):
        source_of(tmp_path, "Smilling")


def test_a_csv_of_attributes(tmp_path: Path) -> None:
    folder_of(tmp_path, "a.png", "b.png", "c.png")
    with (tmp_path / "people.csv").open("w", newline="") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(["file", "age", "hair", "year", "note"])
        table.writerows([["a.png", 20, "red", 1999, ""], ["b.png", 70, "black", 1999, "x"]])
        table.writerow(["c.png", 45, "red", 1999, ""])
    source = source_of(tmp_path)
    assert source.attributes == ("age", "hair: black", "hair: red")
    assert source.labels is not None and source.labels.tolist() == [[0, 0, 1], [1, 1, 0], [0.5, 0, 1]]
    assert [note.code for note in source.notes] == ["data.constant_column", "data.column_with_gaps"]
    assert source_of(tmp_path, "hair").classes == ("black", "red")


def test_imagefolder_with_metadata(tmp_path: Path) -> None:
    folder_of(tmp_path, "train/a.png", "train/b.png", "test/a.png")
    lines = [{"file_name": "a.png", "label": "cat"}, {"file_name": "b.png", "label": "dog"}]
    (tmp_path / "train" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "test" / "metadata.jsonl").write_text(json.dumps({"file_name": "a.png", "label": "dog"}))
    source = source_of(tmp_path)
    assert source.classes == ("cat", "dog")
    assert by_name(source) == {"train/a.png": 0, "train/b.png": 1, "test/a.png": 1}


def test_a_stray_table_does_not_empty_the_set(tmp_path: Path) -> None:
    folder_of(tmp_path, "cat/a.png", "dog/b.png")
    (tmp_path / "shopping.csv").write_text("what,price\nmilk,1\nbread,2\n")
    source = source_of(tmp_path)
    assert source.classes == ("cat", "dog")
    assert source.notes == (Message("data.unused_tables", tables=["shopping.csv"]),)


def test_a_broken_table_is_a_sentence() -> None:
    for name, text in [("a.csv", "file,age\nx.png\n"), ("a.jsonl", "{"), ("dataset.json", "[]"), ("l.txt", "")]:
        with refused("data.damaged_table", name=name):
            read_table(name, text.encode())
    table = read_table("a.csv", b"name,age\nx,1\ny,2\n")  # names without a suffix
    assert labels_for(table, ["sub/x.png", "y.png", "z.png"], "auto").has_row.tolist() == [True, True, False]


def idx(path: Path, pixels: np.ndarray[Any, Any], labels: list[int] | None) -> None:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wb") as file:
        file.write(struct.pack(">4I", 0x803, *pixels.shape) + pixels.tobytes())
    if labels is not None:
        beside = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
        with opener(beside, "wb") as file:
            file.write(struct.pack(">2I", 0x801, len(labels)) + bytes(labels))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx(tmp_path: Path, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    idx(tmp_path / f"train-images-idx3-ubyte{suffix}", pixels[:3], [2, 0, 1])
    idx(tmp_path / f"t10k-images-idx3-ubyte{suffix}", pixels[3:], [1, 2])
    source = source_of(tmp_path)
    assert names(source)[:3] == ["t10k/000000", "t10k/000001", "train/000000"]
    assert source.classes == ("0", "1", "2") and by_name(source)["train/000000"] == 2
    data = prepared(tmp_path, tmp_path / "set", TINY)
    assert data.shape == (1, 8, 8)
    assert sorted(p.tobytes() for p in data.images) == sorted(p.tobytes() for p in pixels)  # untouched
    assert len(source_of(tmp_path / f"train-images-idx3-ubyte{suffix}").items) == 3


def test_a_damaged_idx_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    idx(path, np.zeros((5, 8, 8), np.uint8), [1, 2])
    with refused("data.labels_do_not_match", count=5):
        source_of(tmp_path)
    whole = path.read_bytes()
    for broken in (whole[:-9], whole[:20], gzip.compress(struct.pack(">4I", 0x803, 2**31, 28, 28)), b"junk"):
        path.write_bytes(broken)
        with pytest.raises(SimulacraError, match=r"damaged|not an IDX"):
            source_of(tmp_path)


def cifar(path: Path, batches: dict[str, Any]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, batch in batches.items():
            data = pickle.dumps(batch, protocol=2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_cifar(tmp_path: Path) -> None:
    planes = np.zeros((4, 3, 32, 32), np.uint8)
    planes[:, 0] = 255
    rows = planes.reshape(4, -1)
    ten = {
        "cifar-10-batches-py/batches.meta": {b"label_names": [b"frog", b"ship"]},
        "cifar-10-batches-py/data_batch_1": {b"data": rows, b"labels": [0, 1, 0, 1]},
        "cifar-10-batches-py/test_batch": {"data": rows[:1], "labels": [1]},
    }
    data = prepared(cifar(tmp_path / "cifar-10-python.tar.gz", ten), tmp_path / "set", TINY)
    assert data.classes == ("frog", "ship") and data.shape == (3, 8, 8) and len(data) == 5
    assert (data.images == (255, 0, 0)).all()
    hundred = {
        "cifar-100-python/meta": {"fine_label_names": ["apple", "bee"]},
        "cifar-100-python/train": {"data": rows, "fine_labels": [1, 1, 0, 0], "coarse_labels": [0] * 4},
    }
    source = source_of(cifar(tmp_path / "cifar-100.tar", hundred))
    assert source.classes == ("apple", "bee") and source.labels is not None and source.labels.tolist() == [1, 1, 0, 0]


class Evil:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


def test_nothing_in_a_pickle_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "owned"
    for evil in (Evil(os.system, f"touch {mark}"), Evil(eval, f"open({str(mark)!r}, 'w')"), np.dtype("O")):
        for protocol in range(6):
            with refused("data.untrusted_pickle"):
                read_cifar(pickle.dumps({"data": evil}, protocol), "data_batch_1")
    meta = {"cifar-10-batches-py/batches.meta": {"label_names": ["a"]}}
    bad = {**meta, "cifar-10-batches-py/data_batch_1": Evil(os.system, f"touch {mark}")}
    with refused("data.untrusted_pickle"):
        source_of(cifar(tmp_path / "bad.tar.gz", bad))
    assert not mark.exists()


def test_stylegans_zip_there_and_back(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", *(f"{kind}/{n}.png" for kind in ("cat", "dog") for n in range(3)))
    data = prepared(root, tmp_path / "set", TINY)
    export_zip(data, tmp_path / "stylegan.zip")
    with zipfile.ZipFile(tmp_path / "stylegan.zip") as archive:
        labels = json.loads(archive.read("dataset.json"))
        assert data.labels is not None and [n for _, n in labels["labels"]] == data.labels.tolist()
        first = np.asarray(Image.open(io.BytesIO(archive.read("00000/img00000000.png"))))
    assert (first == data.images[0]).all()
    source = source_of(tmp_path / "stylegan.zip")
    assert source.classes == ("cat", "dog")
    assert source.labels is not None and source.labels.tolist() == data.labels.tolist()


def test_a_prepared_set_is_a_source_too(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", "cat/1.png", "dog/1.png")
    first = prepared(root, tmp_path / "set", TINY)
    again = prepared(tmp_path / "set", tmp_path / "smaller", PrepareOptions(size=(4, 4), workers=1))
    assert again.shape == (3, 4, 4) and again.classes == first.classes
    assert {p.tobytes() for p in first.images[:, :4, :4]} == {p.tobytes() for p in again.images}


def test_sets_inside_the_source_are_not_pictures_of_it(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", "1.png", "2.png")
    prepare(root, root / "set", TINY)
    assert names(source_of(root)) == ["1.png", "2.png"]


def test_peeps_is_a_source() -> None:
    with open_source("peeps") as source:
        assert len(source.items) == 3000 and "glasses" in source.attributes
    with open_source("peeps", labels="glasses") as source:
        assert source.classes == ("not glasses", "glasses")


def test_what_is_no_source_is_a_sentence(tmp_path: Path) -> None:
    folder_of(tmp_path / "pictures", "a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "letter.txt").write_text("Dear diary")
    with refused("data.no_source", hint=Message("errors.did_you_mean", name=str(tmp_path / "pictures"))):
        source_of(tmp_path / "picturs")
    with refused("data.no_files"):
        source_of(tmp_path / "empty")
    with refused("data.not_a_source"):
        source_of(tmp_path / "letter.txt")


def test_arrays_of_numpy_are_pictures(tmp_path: Path) -> None:
    pixels = noise(6, (3, 16, 16))
    np.savez(tmp_path / "bytes.npz", pictures=pixels, labels=np.arange(6))
    np.save(tmp_path / "floats.npy", pixels.transpose(0, 3, 1, 2) / 127.5 - 1)
    for name in ("bytes.npz", "floats.npy"):
        assert source_of(tmp_path / name).kind == "NumPy"
        data = prepared(tmp_path / name, tmp_path / name.partition(".")[0], PrepareOptions(size=(16, 16), workers=1))
        assert {picture.tobytes() for picture in data.images} == {picture.tobytes() for picture in pixels}
