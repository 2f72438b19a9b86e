"""Datasets at an address: read by blocks, cached within bounds, and never other pictures than those that were joined."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from serving import FileServer, serving
from support import Cli, noise, refused
from test_shards import SPLIT, contents, make_photos, make_shards

from simulacra.data import blocks, shard_format, stores
from simulacra.data.blocks import BlockCache
from simulacra.data.dataset import Dataset, verify
from simulacra.data.feed import Feed
from simulacra.data.inspect import inspect
from simulacra.data.join import join
from simulacra.data.opening import open_dataset, open_domain
from simulacra.data.shard_format import PICTURES, sha256
from simulacra.data.stores import RemoteFolder, relative, resolve
from simulacra.files import read_json, write_json
from simulacra.plugins import processes
from simulacra.storage import model_folder
from simulacra.training.options import train

fsspec = pytest.importorskip("fsspec", reason="needs the extra: pip install 'simulacra[remote]'")
pytest.importorskip("aiohttp", reason="needs the extra: pip install 'simulacra[remote]'")

OPTIONS: dict[str, Any] = {"gan": "mlp:tiny", "precision": "fp32", "device": "cpu", "quiet": True, "every": 1000}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures in three shards with blocks of three, and the dataset of them, as a bucket would hold them."""
    folder = tmp_path_factory.mktemp("bucket")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shard_format, "BLOCK_BYTES", 3 * 8 * 8 * 3)
        shards = make_shards(make_photos(tmp_path_factory.mktemp("photos")), folder / "shard", 3, SPLIT)
    join(folder / "joined", shards)
    return folder


@pytest.fixture
def server(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    """The bucket served over HTTP, and an empty cache."""
    monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(stores, "FIRST_WAIT", 0.001)
    with serving(root) as running:
        yield running


@pytest.fixture
def local(root: Path) -> Dataset:
    return open_domain(root / "joined")


def everything(data: Dataset) -> bytes:
    return np.asarray(data.images).tobytes()


def test_a_dataset_at_an_address_is_the_one_on_the_disk(server: FileServer, local: Dataset) -> None:
    data = open_domain(server.address("joined"))
    assert everything(data) == everything(local) and data.hash == local.hash
    assert np.array_equal(np.asarray(data.labels), np.asarray(local.labels)) and data.classes == local.classes
    verify(data)
    assert {path for path, _ in server.requests} >= {f"/shard-{n}/{PICTURES}" for n in (1, 2, 3)}
    assert inspect(server.address("joined"), workers=1).usable == 40
    with refused("data.address_missing"):
        open_dataset(server.address("absent"))
    with refused("data.address_not_joined"):
        open_dataset(server.address("shard-1"))


def test_join_writes_to_an_address_and_reads_from_one(root: Path, local: Dataset, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for number in (1, 2, 3):
        memory.put(str(root / f"shard-{number}"), f"bucket/shard-{number}", recursive=True)
    addresses = [f"memory://bucket/shard-{number}" for number in (3, 1, 2)]
    data = join("memory://bucket/joined", addresses)
    assert data.hash == local.hash and everything(data) == everything(local)
    assert contents(root / "joined") == {
        name: memory.cat(f"bucket/joined/{name}") for name in contents(root / "joined")
    }
    mixed = join(tmp_path / "joined", [root / "shard-1", *addresses[::2]])
    assert mixed.hash == local.hash and everything(mixed) == everything(local)
    memory.rm("bucket", recursive=True)


def test_a_second_reading_asks_for_nothing(server: FileServer, local: Dataset) -> None:
    everything(open_domain(server.address("joined")))
    first, server.requests = len(server.requests), []
    assert everything(open_domain(server.address("joined"))) == everything(local)
    assert {path for path, _ in server.requests} == {"/joined/data.json"} and first > 14


def test_what_is_gone_from_the_cache_is_read_again(server: FileServer, local: Dataset) -> None:
    """Blocks that were compared with their hashes are mapped from the cache, if they are still there."""
    data = open_domain(server.address("joined"))
    reader = data.images.source.reader  # type: ignore[attr-defined]
    everything(data)
    for keep in (True, False):
        reader.blocks.clear()
        server.requests = []
        if not keep:
            shutil.rmtree(Path(os.environ["SIMULACRA_CACHE"]) / "blocks")
        assert everything(data) == everything(local) and bool(server.requests) != keep


def test_only_the_blocks_that_are_needed_are_read(server: FileServer) -> None:
    data = open_domain(server.address("joined"))
    assert not any(path.endswith(PICTURES) for path, _ in server.requests)
    data.images[[0, 20]]
    assert sum(path.endswith(PICTURES) for path, _ in server.requests) <= 2


# --- a network that fails ----------------------------------------------------------------------------------------


def test_a_run_on_a_bad_network_is_the_run_on_the_disk(server: FileServer, root: Path, tmp_path: Path) -> None:
    """Every fiftieth request fails, and the run is stopped in the middle of an epoch, where a batch crosses shards."""
    server.fail_every = 50
    settings = {"batch": 8}
    train(root / "joined", run=tmp_path / "here", total=80, settings=settings, **OPTIONS)
    for total in (16, 80):
        train(server.address("joined"), run=tmp_path / "away", total=total, settings=settings, save_every=16, **OPTIONS)
    here, away = (load_file(model_folder(tmp_path / name) / "G.safetensors") for name in ("here", "away"))
    assert all(torch.equal(here[name], away[name]) for name in here)
    server.fail_every = 2
    for _ in range(3):
        assert RemoteFolder(server.address("joined")).read("data.json") == (root / "joined" / "data.json").read_bytes()


def test_a_network_that_is_down_is_one_sentence(server: FileServer, run_cli: Cli) -> None:
    server.fail_every = 1
    with refused("data.address_unreadable", tries=5):
        open_dataset(server.address("joined"))
    assert server.count == 5
    status, _, err = run_cli("train", server.address("joined"), "--dry-run")
    assert status == 1 and err.startswith("simulacra: http://") and len(err.strip().splitlines()) == 1


def test_a_damaged_block_is_read_anew_once(server: FileServer, local: Dataset) -> None:
    server.damage = 1
    assert everything(open_domain(server.address("joined"))) == everything(local) and not server.damage


def test_a_damaged_shard_is_named_with_its_block(root: Path, server: FileServer, local: Dataset) -> None:
    path = root / "shard-2" / PICTURES
    sound = path.read_bytes()
    place = 128 + 4 * (3 * 8 * 8 * 3)
    try:
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        data = open_domain(server.address("joined"))
        with refused("data.damaged_block", place=server.address("shard-2"), block=4):
            everything(data)
    finally:
        path.write_bytes(sound)
    assert server.requests.count((f"/shard-2/{PICTURES}", place)) == 2
    assert everything(data) == everything(local), "a block that failed is tried anew"


@pytest.mark.parametrize(
    "place", ["../../etc", "/etc", "file:///etc", "s3://other/shard-1", "C:\\shard", "http://127.0.0.1:1/x"]
)
def test_an_address_cannot_name_files_of_this_machine(server: FileServer, root: Path, place: str) -> None:
    record = read_json(root / "joined" / "data.json")
    (root / "evil").mkdir(exist_ok=True)
    entries = [entry | {"place": place} for entry in record["shards"]]
    write_json(root / "evil" / "data.json", record | {"shards": entries})
    with refused("data.foreign_place", place=place):
        open_dataset(server.address("evil"))


def test_places_are_relative_where_they_can_be(tmp_path: Path) -> None:
    pairs = [("s3://b/x/s1", "s3://b/x/joined", "../s1"), ("s3://c/s1", "s3://b/joined", "../../c/s1")]
    for place, base, expected in pairs:
        assert relative(place, base) == expected and resolve(expected, base) == place
    assert relative("memory://s1", "memory:///joined") == "../s1" and resolve("../s1", "file:///a/b") == "file:///a/s1"
    assert relative("gs://b/s1", "s3://b/joined") == "gs://b/s1"
    assert relative("gs://b/s1", "joined") == "gs://b/s1" == resolve("gs://b/s1", "joined")
    assert relative(str(tmp_path / "a" / "s1"), str(tmp_path / "b" / "joined")) == "../../a/s1"
    assert relative(str(tmp_path), "s3://b/joined") == str(tmp_path)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused("data.address_needs_package", install="gcsfs"):
        open_dataset("gs://bucket/faces")
    with refused("data.address_refused"):
        open_dataset("nothing://bucket/faces")
    monkeypatch.setitem(os.sys.modules, "fsspec.core", None)  # type: ignore[attr-defined]
    with refused("data.address_needs_package", install="'simulacra[remote]'"):
        open_dataset("http://bucket/faces")


# --- bounds ------------------------------------------------------------------------------------------------------


def cached(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.glob("*/*")}


def test_the_cache_keeps_its_bound_and_what_was_used_last(tmp_path: Path) -> None:
    cache = BlockCache(tmp_path, 10_000)
    files = [bytes(row) for row in noise(40, (1, 30, 30))]
    digests = [sha256(data) for data in files]
    for number, (digest, data) in enumerate(zip(digests, files, strict=True)):
        cache.put(digest, data)
        os.utime(tmp_path / digest[:2] / digest, ns=(number, number))
        assert cache.get(digests[0]) == files[0], "it is used all the time"
        assert sum(cached(tmp_path).values()) <= 10_000
    assert cache.get(digests[1]) is None and cache.get(digests[-1]) == files[-1]
    (tmp_path / digests[-1][:2] / digests[-1]).write_bytes(b"torn")
    assert cache.get(digests[-1]) is None and digests[-1] not in cached(tmp_path)
    cache.put(sha256(bytes(20_000)), bytes(20_000))
    assert sum(cached(tmp_path).values()) <= 10_000


def test_processes_share_a_cache(tmp_path: Path) -> None:
    """One that does not know what the others have written counts again before they are far above the bound."""
    caches = [BlockCache(tmp_path, 100_000) for _ in range(3)]
    for number, data in enumerate(bytes(row) for row in noise(300, (1, 30, 30))):
        caches[number % 3].put(sha256(data), data)
    assert sum(cached(tmp_path).values()) <= 100_000 * (1 + 3 * blocks.RECOUNT)


def test_blocks_in_memory_are_bounded(server: FileServer, local: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULACRA_CACHE_GB", "0")
    monkeypatch.setattr(blocks, "MEMORY", 0)
    monkeypatch.setattr(blocks, "THREADS", 2)
    data = open_domain(server.address("joined"))
    reader = data.images.source.reader  # type: ignore[attr-defined]
    for rows in (np.arange(40), np.arange(40)[::-1]):
        assert np.array_equal(data.images[rows], local.images[rows])
        assert len(reader.blocks) <= reader.most == 4
    reader.ahead(np.stack([np.zeros(13, np.int64), np.arange(13)], 1))
    assert len(reader.blocks) <= 4
    assert not cached(Path(os.environ["SIMULACRA_CACHE"]) / "blocks")
    monkeypatch.setenv("SIMULACRA_CACHE_GB", "much")
    with refused("data.not_a_cache_size", value="much"):
        open_dataset(server.address("joined"))


def test_batches_are_read_ahead(server: FileServer) -> None:
    """After one batch the next two are on their way; a batch that was read ahead asks for nothing."""
    data = open_domain(server.address("joined"))
    feed = Feed(data.split("train"), torch.device("cpu"), seed=0)
    feed.batch(4, 2)
    for future in list(data.images.source.reader.blocks.values()):  # type: ignore[attr-defined]
        future.result()
    server.requests = []
    for start in (6, 8):
        feed.images[feed.order(start, 2)[0]]
    assert not server.requests


# --- several processes -------------------------------------------------------------------------------------------


def read_in_two(rank: int, port: int, address: str, folder: Path) -> None:
    """One of two processes: a run, and which pictures its trainer has read."""
    processes.join(rank, port)
    os.environ["SIMULACRA_CACHE"] = str(folder / f"cache{rank}")
    rows: list[int] = []
    batch = Feed.batch

    def recorded(feed: Feed, start: int, count: int) -> Any:
        if count == 4:  # a microbatch of the trainer; previews are one picture at a time
            rows.extend(feed.order(start, count)[0].tolist())
        return batch(feed, start, count)

    Feed.batch = recorded  # type: ignore[method-assign, assignment]
    train(address, run=folder / "run", total=24, settings={"batch": 8}, micro=4, **OPTIONS)
    torch.save(sorted(set(rows)), folder / f"rows{rank}.pt")


def test_two_processes_read_disjoint_parts(server: FileServer, tmp_path: Path) -> None:
    processes.in_two_processes(read_in_two, processes.free_port(), server.address("joined"), tmp_path)
    first, second = (set(torch.load(tmp_path / f"rows{rank}.pt")) for rank in (0, 1))
    assert not first & second and len(first) == len(second) == 12
