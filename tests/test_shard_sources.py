"""Sources that come in shards themselves: parquet files of the Hugging Face Hub, and WebDataset tars."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import noise, prepared, refused
from test_shards import assert_same, make_shards

from simulacra.data import parquet
from simulacra.data.inspect import inspect
from simulacra.data.join import join
from simulacra.data.prepare_options import PrepareOptions
from simulacra.data.sources import open_source

pyarrow = pytest.importorskip("pyarrow", reason="needs the extra: pip install 'simulacra[parquet]'")
pytest.importorskip("pyarrow.parquet")


OPTIONS = PrepareOptions(size=(8, 8), workers=1)
PIXELS = noise(24, (3, 8, 8))


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_parquet(folder: Path, *, labels: str = "label", names: bool = True, files: int = 2, rows: int = 4) -> Path:
    """24 pictures in files of three row groups, as `datasets` writes them: structs, and names of classes in the metadata."""
    folder.mkdir(parents=True)
    features = {"image": {"_type": "Image"}, labels: {"_type": "ClassLabel", "names": ["cat", "dog", "eel"]}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if names else {}
    for file in range(files):
        numbers = range(file * 24 // files, (file + 1) * 24 // files)
        images = [{"bytes": png(PIXELS[n]), "path": f"{n}.png"} for n in numbers]
        columns = {"image": images, labels: [n % 3 for n in numbers], "note": [[n] for n in numbers]}
        table = pyarrow.table(columns).replace_schema_metadata(metadata)
        pyarrow.parquet.write_table(table, folder / f"train-{file:05d}.parquet", row_group_size=rows)
    return folder


def as_tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def test_parquet_is_prepared_with_its_labels(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "hub" / "data")
    data = prepared(tmp_path / "hub", tmp_path / "whole", OPTIONS)
    assert data.classes == ("cat", "dog", "eel") and len(data) == 24
    place = {bytes(pixels): number for number, pixels in enumerate(PIXELS)}
    assert data.labels is not None
    assert [place[bytes(pixels)] % 3 for pixels in data.images] == data.labels.tolist()
    assert_same(join(tmp_path / "joined", make_shards(tmp_path / "hub", tmp_path / "shard", 5, OPTIONS)), data)
    assert inspect(source / "train-00001.parquet", workers=1).classes == {"cat": 4, "dog": 4, "eel": 4}
    with open_source(source, labels="none") as opened:
        assert opened.labels is None and opened.kind == "parquet"


def test_each_row_group_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, opened, groups = write_parquet(tmp_path / "hub"), parquet._file, []

    class Counting:
        def __init__(self, path: str) -> None:
            self.path, self.file = path, opened(path)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def read_row_group(self, group: int, columns: list[str]) -> Any:
            groups.append((self.path, group))
            return self.file.read_row_group(group, columns=columns)

    monkeypatch.setattr(parquet, "_file", Counting)
    monkeypatch.setattr(parquet, "close", parquet._group.cache_clear)
    prepared(source, tmp_path / "whole", PrepareOptions(size=(8, 8), channels="rgb", workers=1))
    assert len(groups) == len(set(groups)) == 6


def test_bytes_alone_and_other_columns(tmp_path: Path) -> None:
    """Columns without a class become attributes; a row without a picture is set aside."""
    columns = {"picture": [png(p) for p in PIXELS[:9]] + [None], "age": [*range(9), 9], "vip": [True, False] * 5}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "faces.parquet")
    data = prepared(tmp_path / "faces.parquet", tmp_path / "out", OPTIONS)
    assert data.attributes == ("age", "vip") and len(data) == 9
    assert data.labels is not None and sorted(np.rint(data.labels[:, 0] * 9).astype(int).tolist()) == list(range(9))


def test_parquet_faults_are_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_parquet(tmp_path / "hub")
    with refused("data.no_column"), open_source(source, labels="hat"):
        pass
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "numbers.parquet")
    with refused("data.no_picture_column"), open_source(tmp_path / "numbers.parquet"):
        pass
    pyarrow.parquet.write_table(pyarrow.table({"a": [b"1"], "b": [b"2"]}), tmp_path / "two.parquet")
    with refused("data.not_one_picture_column"), open_source(tmp_path / "two.parquet"):
        pass
    (tmp_path / "text.parquet").write_text("not parquet")
    with refused("data.damaged_parquet"), open_source(tmp_path / "text.parquet"):
        pass
    write_parquet(tmp_path / "hub" / "other", labels="colour")
    with refused("data.other_columns"), open_source(tmp_path / "hub"):
        pass
    with monkeypatch.context() as patched, refused("data.needs_parquet"):
        patched.setattr(parquet, "missing", lambda extra: {extra: "absent"})
        with open_source(source):
            pass


def test_a_cut_off_row_group_sets_its_pictures_aside(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "hub", files=1)
    path = source / "train-00000.parquet"
    data = bytearray(path.read_bytes())
    data[100:400] = bytes(300)  # in the first row group
    path.write_bytes(data)
    report = inspect(source, workers=1)
    assert 20 <= report.usable < 24 and sum(map(len, report.rejects.values())) == 24 - report.usable


@pytest.mark.parametrize("kind", ["cls", "json"])
def test_webdataset_tars_are_prepared_with_their_labels(tmp_path: Path, kind: str) -> None:
    for tar in range(2):
        members: dict[str, bytes] = {}
        for n in range(tar * 12, tar * 12 + 12):
            label = str(n % 3).encode() if kind == "cls" else json.dumps({"label": f"kind {n % 3}", "size": n}).encode()
            members |= {f"{n:04d}.png": png(PIXELS[n]), f"{n:04d}.{kind}": label, f"{n:04d}.txt": b"a caption"}
        as_tar(tmp_path / "web" / f"train-{tar:04d}.tar", members)
    data = prepared(tmp_path / "web", tmp_path / "whole", OPTIONS)
    place = {bytes(pixels): number for number, pixels in enumerate(PIXELS)}
    assert data.classes == (("0", "1", "2") if kind == "cls" else ("kind 0", "kind 1", "kind 2"))
    assert data.labels is not None
    assert [place[bytes(pixels)] % 3 for pixels in data.images] == data.labels.tolist()
    assert_same(join(tmp_path / "joined", make_shards(tmp_path / "web", tmp_path / "shard", 3, OPTIONS)), data)
    assert inspect(tmp_path / "web" / "train-0001.tar", workers=1).usable == 12


def test_tars_without_labels_are_no_classes(tmp_path: Path) -> None:
    for tar in range(2):
        as_tar(tmp_path / "web" / f"{tar}.tar", {f"{n}.png": png(PIXELS[n]) for n in range(tar * 4, tar * 4 + 4)})
    with open_source(tmp_path / "web") as source:
        assert source.labels is None and [item.name for item in source.items][:2] == ["0/0.png", "0/1.png"]


def test_a_sample_without_a_label_is_set_aside(tmp_path: Path) -> None:
    members = {f"{n}.png": png(PIXELS[n]) for n in range(6)} | {f"{n}.cls": b"%d" % (n % 2) for n in range(5)}
    as_tar(tmp_path / "web.tar", members)
    with open_source(tmp_path / "web.tar") as source:
        assert len(source.items) == 5 and source.classes == ("0", "1") and len(source.rejects) == 1
