"""Tables and archives that are far larger than they look, and files that are not what their name promises: a sentence each."""

import gzip
import json
import lzma
import os
import shutil
import socket
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from support import refused

from simulacra.data import items, label_tables, unpacking
from simulacra.data.archives import is_tar, list_tar, uncompressed
from simulacra.data.arrays import unpack_idx, unpack_numpy
from simulacra.data.items import ZipMember
from simulacra.data.label_tables import read_table
from simulacra.data.rejects import UnusablePicture
from simulacra.data.sources import open_source
from simulacra.messages import Message

MB = 1 << 20
pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with one picture."""
    root = tmp_path / "pictures"
    root.mkdir()
    Image.new("RGB", (12, 12)).save(root / "a.png")
    return root


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with a megabyte left."""

    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(MB))


def open_(source: Path, labels: str = "auto") -> None:
    with open_source(source, labels=labels):
        pass


def test_a_table_of_more_than_the_limit_is_not_read(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert label_tables.MAX_BYTES == 64 * MB
    with (pictures / "huge.csv").open("wb") as file:
        file.truncate(64 * MB + 1)  # a hole: it takes no disk
    with refused("data.unreadable_table", name="huge.csv", reason=Message("data.too_many_bytes", limit=64)):
        open_(pictures)
    open_(pictures, "none")
    monkeypatch.setattr("simulacra.data.sources.MAX_BYTES", MB)
    with zipfile.ZipFile(pictures.parent / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(pictures / "a.png", "a.png")
        archive.writestr("huge.csv", bytes(2 * MB))
    with refused("data.unreadable_table", name="huge.csv", reason=Message("data.too_many_bytes", limit=1)):
        open_(pictures.parent / "bomb.zip")


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_rows_of_other_pictures_take_no_memory(traced: None) -> None:
    line = "z.png,1,2\n"
    data = b"file,x,y\n" + line.encode() * (MB // 4 // len(line)) + b"a.png,3,4\n"
    other = {
        "a.csv": data,
        "a.jsonl": b'{"file": "z.png"}\n' * (MB // 64),
        "list_attr_celeba.txt": b"1\nA B\n" + b"z 1 1\n" * (MB // 24),
    }
    for name, content in other.items():
        tracemalloc.reset_peak()
        table = read_table(name, content, ["in/a.png"])
        assert table.count > 15_000 and len(table.rows) == (name == "a.csv")
        assert tracemalloc.get_traced_memory()[1] < 3 * MB, name
    rows = {"z.png": ["1", "2"], "a.png": ["3", "4"]}
    assert read_table("a.csv", data, ["in/a.png"]).rows == {"a.png": rows["a.png"]}
    assert read_table("a.csv", data).rows == rows


def test_a_member_that_holds_more_than_it_says_is_not_unpacked_whole(tmp_path: Path, traced: None) -> None:
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", bytes(64 * MB))
    size = struct.pack("<I", 64 * MB)
    path.write_bytes(path.read_bytes().replace(size, struct.pack("<I", 10)))
    items.close_all()
    tracemalloc.reset_peak()
    with pytest.raises(UnusablePicture, match="damaged"):
        ZipMember(str(path), "a.csv").read()
    assert tracemalloc.get_traced_memory()[1] < 8 * MB
    items.close_all()


def test_too_many_columns_are_a_sentence() -> None:
    names = [f"c{n}" for n in range(label_tables.MAX_COLUMNS + 1)]
    for name, text in (("a.csv", ",".join(names)), ("a.jsonl", "\n".join(json.dumps({n: 1}) for n in names))):
        with refused("data.damaged_table", name=name):
            read_table(name, text.encode())


def test_deep_json_is_a_sentence() -> None:
    deep = b"[" * 50_000
    for name in ("dataset.json", "metadata.jsonl"):
        with refused("data.damaged_table", name=name):
            read_table(name, deep + b"]" * 50_000)


@pipes
@pytest.mark.parametrize("name", ["people.csv", "metadata.jsonl", "dataset.json", "list_attr_celeba.txt"])
def test_a_pipe_with_a_tables_name_is_a_sentence(pictures: Path, name: str) -> None:
    os.mkfifo(pictures / name)
    with refused("data.unreadable_table", name=name, reason=Message("data.not_a_regular_file")):
        open_(pictures)


@pipes
def test_a_socket_and_a_forbidden_table_are_sentences(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pictures)  # the address of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.csv")
        with refused("data.unreadable_table", name="s.csv"):
            open_(pictures)
    (pictures / "s.csv").unlink()
    (pictures / "t.csv").write_text("file,x\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(items.FilePart, "read", refuse)
        with refused("data.unreadable_table", name="t.csv", reason=Message("data.no_permission")):
            open_(pictures)


@pipes
@pytest.mark.parametrize("name", ["source", "source.npy", "source.zip", "train-images-idx3-ubyte.gz"])
def test_a_pipe_as_the_source_is_a_sentence(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with refused("data.not_a_source"):
        open_(tmp_path / name)


@pipes
def test_pipes_with_names_of_idx_files_are_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    with refused("data.no_pictures"):
        open_(tmp_path)


def test_what_unpacks_beyond_the_room_is_a_sentence(tmp_path: Path, little_room: None) -> None:
    for name, opener in (("a.tar.gz", gzip.open), ("a.tar.xz", lzma.open)):
        with opener(tmp_path / name, "wb") as file:
            file.write(tarfile.TarInfo("a.png").tobuf() + bytes(4 * MB))
        with refused("data.no_room_to_unpack", path=tmp_path / name, free=1):
            uncompressed(tmp_path / name, tmp_path)
        assert (tmp_path / "pictures.tar").stat().st_size <= unpacking.SHARE * MB
    idx = tmp_path / "train-images-idx3-ubyte.gz"
    idx.write_bytes(gzip.compress(struct.pack(">4I", 0x803, 4, 1024, 1024) + bytes(4 * MB)))
    with refused("data.no_room_to_unpack"):
        unpack_idx(idx, tmp_path / "a.npy")
    np.savez_compressed(tmp_path / "a.npz", np.zeros((4, 1024, 1024), np.uint8))
    with refused("data.no_room_to_unpack"):
        unpack_numpy(tmp_path / "a.npz", tmp_path)
    np.save(tmp_path / "b.npy", np.zeros((4, 3, 1024, 1024), np.float16))
    with refused("data.no_room_to_unpack"):
        unpack_numpy(tmp_path / "b.npy", tmp_path)


def test_a_header_of_a_tar_is_not_read_into_memory_whatever_it_says(tmp_path: Path, traced: None) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 64 * MB
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf() + bytes(64 * MB)))
    tracemalloc.reset_peak()
    assert not is_tar(path)
    after = tmp_path / "b.tar"
    with after.open("wb") as file:
        file.write(tarfile.TarInfo("a.png").tobuf() + header.tobuf())
        file.truncate(64 * MB)
    assert is_tar(after)
    with refused("data.damaged_archive"):
        list_tar(after)
    assert tracemalloc.get_traced_memory()[1] < 8 * MB


def test_a_part_of_cifar_that_is_too_large_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulacra.data.archives.CIFAR_BYTES", 100)
    with tarfile.open(tmp_path / "cifar.tar", "w") as archive:
        for name in ("batches.meta", "data_batch_1"):
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = 200
            archive.addfile(
                member, (tmp_path / "zeros").open("rb") if (tmp_path / "zeros").write_bytes(bytes(200)) else None
            )
    with refused("data.damaged_archive"):
        open_(tmp_path / "cifar.tar")
