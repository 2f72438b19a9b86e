"""Two processes share the work of choose, evaluate and score, and of scores while training: the files are those of one."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measuring import stand_in
from PIL import Image
from support import Cli, noise, on_disk

from simulacra import cli, distributed
from simulacra.files import read_json
from simulacra.measure.choose import CheckpointScorer
from simulacra.measure.extractors import features
from simulacra.plugins import processes
from simulacra.training.options import train

PLACES = ("measure.evaluate", "measure.choose", "measure.set_scores", "training.scoring")
FAKES = 70  # three blocks of 32, the last one not whole
WHILE_TRAINING = 100  # fakes of a checkpoint


def pictures(folder: Path, count: int, seed: int) -> Path:
    """PNGs, one of them damaged."""
    folder.mkdir()
    for number, pixels in enumerate(noise(count, seed=seed)):
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    (folder / "050.png").write_bytes(b"\x89PNG nothing")
    return folder


def commands(run: str) -> list[list[str]]:
    """Each leaves a file of scores."""
    number = ["--samples", str(FAKES), "--device", "cpu"]
    return [
        ["choose", run, *number],
        ["evaluate", run, *number, "--metrics", "fd,kid,swd", "--out", f"{run}.json"],
        ["score", "fakes", "reals", "--out", f"{run}-score", "--samples", "130", "--device", "cpu"],
    ]


def work(rank: int, ports: list[int], folder: Path) -> None:
    """One of two processes, as torchrun starts them."""
    os.chdir(folder)
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
    os.environ["SIMULACRA_CACHE"] = str(folder / f"cache{rank if rank else ''}")
    for place in PLACES:
        setattr(importlib.import_module(f"simulacra.{place}"), "open_extractor", stand_in)  # noqa: B010
    defaults: Any = CheckpointScorer.__init__.__kwdefaults__
    defaults["samples"] = WHILE_TRAINING
    own: list[int] = []
    extract = features.Extractor.__call__

    def counted(extractor: features.Extractor, images: torch.Tensor, **options: Any) -> Any:
        own.append(len(images))
        return extract(extractor, images, **options)

    features.Extractor.__call__ = counted  # type: ignore[assignment, method-assign]
    numbers = []
    for port, words in zip(ports, [[], *commands("two")], strict=True):
        os.environ["MASTER_PORT"] = str(port)
        own.clear()
        with Path(f"output{rank}").open("a") as output, contextlib.redirect_stdout(output):
            if words:
                sys.argv = ["simulacra", *words]
                try:
                    cli.main()
                except SystemExit as stop:
                    assert not stop.code
            else:
                train("data", run="run", gan="mlp:tiny", total=48, save_every=24, measure_every=24, device="cpu",
                      precision="fp32", settings={"batch": 8}, quiet=True)  # fmt: skip
                shutil.copytree("run", "two") if rank == 0 else None
        numbers.append(sum(own))
    torch.save(numbers, f"numbers{rank}.pt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    on_disk(folder / "data", noise(40))
    pictures(folder / "fakes", 90, 1), pictures(folder / "reals", 130, 2)
    processes.in_two_processes(work, [processes.free_port() for _ in range(4)], folder)
    return folder


def same(one: Any, other: Any) -> bool:
    """Whether two records agree, numbers to 1e-6."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(np.isclose(one, other, rtol=1e-6, atol=0)) if isinstance(one, float) else bool(one == other)


def test_the_scores_are_those_of_one_process(
    folder: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path))
    for place in PLACES:
        monkeypatch.setattr(f"simulacra.{place}.open_extractor", stand_in)
    shutil.copytree("run", "one")
    for words in commands("one"):
        status, _, error = run_cli(*words)
        assert status == 0, error
    assert Path("one/scores.jsonl").read_bytes() == Path("two/scores.jsonl").read_bytes()
    assert Path("one/best.json").read_bytes() == Path("two/best.json").read_bytes()
    assert read_json(Path("one.json"))["scores"] == read_json(Path("two.json"))["scores"]
    assert same(read_json(Path("one-score/score.json")), read_json(Path("two-score/score.json")))
    assert len(read_json(Path("two-score/score.json"))["fakes"]["rejects"]) == 1
    # scored while training: chosen anew from the same checkpoints
    for name in ("scores.jsonl", "best.json"):
        Path("one", name).unlink()
    assert run_cli("choose", "one", "--samples", WHILE_TRAINING, "--device", "cpu")[0] == 0
    assert Path("one/scores.jsonl").read_bytes() == Path("run/scores.jsonl").read_bytes()
    assert read_json(Path("one/best.json"))["anew"] == read_json(Path("run/best.json"))["anew"]


def test_each_process_computes_a_part(folder: Path) -> None:
    """Half, to a block of 32 pictures; the first process alone prints."""
    first, second = (torch.load(folder / f"numbers{rank}.pt", weights_only=True) for rank in range(2))
    while_training, chosen, evaluated, scored = (one + other for one, other in zip(first, second, strict=True))
    reals = 40
    assert while_training - reals in (3 * WHILE_TRAINING, 4 * WHILE_TRAINING), (
        "two checkpoints, and the best and the last again"
    )
    assert chosen in (3 * FAKES, 4 * FAKES), "the reals are cached in both"
    assert evaluated == FAKES
    assert scored == 89 + 129, "without the damaged ones"
    assert all(abs(one - other) <= 0.2 * (one + other) + 32 for one, other in zip(first, second, strict=True))
    assert (folder / "output0").read_text() and not (folder / "output1").read_text()


def test_shares_are_whole_blocks_and_cover_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for total, world in ((0, 2), (1, 2), (32, 3), (70, 2), (1000, 7)):
        monkeypatch.setattr(distributed, "world", lambda world=world: world)
        ends = [0]
        for rank in range(world):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            start, stop = distributed.share(total, 32)
            assert start == ends[-1] and (stop % 32 == 0 or stop == total)
            ends.append(stop)
        assert ends[-1] == total
