"""What a step of two processes costs and computes: one collective, no wait for the device, graphs that end before it."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from support import advance, differences, make_trainer, refused
from test_cuda_graphs import Imitated
from torch.utils._python_dispatch import TorchDispatchMode

from simulacra import distributed
from simulacra.plugins import processes
from simulacra.registry import gans
from simulacra.training import compiled, cuda_graphs, readback
from simulacra.training.clock import Clock
from simulacra.training.cuda_graphs import Recorder
from simulacra.training.microbatches import largest_microbatch, own_microbatches, pictures_of_ranks
from simulacra.training.trainer import Trainer

COLLECTIVES = (
    "all_reduce",
    "all_gather",
    "all_gather_into_tensor",
    "broadcast",
    "barrier",
    "reduce",
    "gather",
    "scatter",
)
aten = torch.ops.aten
READS = (aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten._unique2, aten.equal)
ON_THE_HOST = {"upscale": 2}  # numbers a step that are drawn on the host, and so read without waiting
COUNTED, LAG = 2, 1  # steps
FOREVER = Clock(total=10**9, minutes=None, tick=10**8, save=10**8)

Results = dict[str, Any]


class Reads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations that wait for the device to give the host a number."""

    number = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.number += func._overloadpacket in READS
        return func(*args, **(kwargs or {}))


def count_steps(trainer: Trainer, calls: Counter[str]) -> list[tuple[dict[str, int], int]]:
    """Collectives and reads of the steps of a loop, from its second step on; losses and flags as on an accelerator."""
    trainer.loss_watch.every, trainer.flags.lag = readback.CHECK_EVERY, LAG
    steps: list[tuple[dict[str, int], int]] = []
    with Reads() as reads:  # type: ignore[no-untyped-call]

        def on_step() -> None:
            steps.append((dict(calls), reads.number))
            calls.clear()
            reads.number = 0

        trainer.fit(
            FOREVER,
            on_tick=lambda line: pytest.fail("no tick is due"),
            on_step=on_step,
            should_stop=lambda: distributed.rank() == 1 and len(steps) >= COUNTED,
        )
    return steps[1:]


def watched() -> Counter[str]:
    """Counts the collectives of torch from here on."""
    calls: Counter[str] = Counter()

    def count(function: Any, *arguments: Any, **options: Any) -> Any:
        calls[function.__name__] += 1
        return function(*arguments, **options)

    for name in COLLECTIVES:
        setattr(dist, name, functools.partial(count, getattr(dist, name)))
    return calls


def exchanged(rank: int) -> Results:
    """Stats of every kind, with one picture in the first process and two in the second."""
    rows = {
        "indices": torch.arange(rank + 1) + (1 << 40) + rank,
        "pictures": torch.full((rank + 1, 2, 2), 0.1 + rank, dtype=torch.float64),
    }
    rows["scores"] = torch.tensor([[1.5], [float("nan"), 2.5]][rank])
    stats = rows | {"loss": torch.tensor(1.0 + rank), "count": torch.tensor(3)}
    means = [torch.tensor([1.0 + rank]), torch.tensor([rank])]
    joined = distributed.reduce_step(means, stats, rows.keys(), (1, 2))
    return {"joined": joined, "means": means}


def recorded(folder: Path) -> Results:
    """States after eager steps and after recorded ones."""
    cuda_graphs.Recording = Imitated  # type: ignore[misc]
    states: Results = {}
    kinds: dict[str, Results] = {"mlp": {}, "r3gan": {"lazy": 2}}
    for name, settings in kinds.items():
        eager, same = (make_trainer(f"{name}:tiny", folder, **settings) for _ in range(2))
        same.recorder = Recorder(same.gan, same.backward)
        states[name] = differences(advance(eager, 18).state_dict(), advance(same, 18).state_dict())
        states[f"{name} recordings"] = len(same.recorder.recordings)
    return states


def compiled_steps(rank: int, folder: Path) -> Results:
    """Traced steps beside eager ones, and after a resume. The processes find different ways faster."""
    torch.compile = lambda graph, options, **rest: functools.partial(graph)  # type: ignore[assignment]
    slow = {True: 2.0, False: 2.5 - rank}  # seconds of a compiled and of an eager step
    compiled.Compiler.timed = lambda self, way, *_: slow[isinstance(way, compiled.CompiledStep)]  # type: ignore[method-assign]

    def make() -> Trainer:
        trainer = make_trainer("wgan-gp:tiny", folder)
        trainer.compiler = compiled.make_compiler(trainer.gan, trainer.backward, single=True, bf16=False)
        return trainer

    whole, eager = advance(make(), 8), advance(make_trainer("wgan-gp:tiny", folder), 8)
    first, second = advance(make(), 5), make()
    second.load_state_dict(first.state_dict())
    far = [
        name
        for (name, one), other in zip(whole.gan.named_parameters(), eager.gan.parameters(), strict=True)
        if not torch.allclose(one, other, rtol=1e-3, atol=1e-5)
    ]
    resumed = differences(whole.state_dict(), advance(second, 3).state_dict())
    return {"chosen": whole.state_dict()["compiled"], "far": far, "resumed": resumed}


def work(rank: int, port: int, folder: Path) -> None:
    """One of two processes."""
    processes.join(rank, port)
    results: Results = {"exchanged": exchanged(rank), "recorded": recorded(folder)}
    results["uneven"] = advance(make_trainer("mlp:tiny", folder, batch=7), 8).gan.state_dict()
    calls = watched()
    results["steps"] = {name: count_steps(make_trainer(f"{name}:tiny", folder), calls) for name in gans()}
    results["adaptive"] = count_steps(make_trainer("mlp:tiny", folder, balance="adaptive"), calls)
    results["compiled"] = compiled_steps(rank, folder)
    torch.save(results, folder / f"rank{rank}.pt")
    distributed.stop()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    folder = tmp_path_factory.mktemp("collectives")
    processes.in_two_processes(work, processes.free_port(), folder)
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", list(gans()))
def test_a_step_is_one_collective_and_waits_for_no_number(name: str, ranks: list[Results]) -> None:
    """Ctrl-C in one process ends both after the same step."""
    for results in ranks:
        steps = results["steps"][name]
        assert len(steps) == COUNTED + LAG
        assert all(calls == {"all_reduce": 1} for calls, _ in steps), steps
        assert {reads for _, reads in steps} == {ON_THE_HOST.get(name, 0)}


def test_the_adaptive_balance_reads_one_number_when_d_s_turn_ends(ranks: list[Results]) -> None:
    for results in ranks:
        assert all(calls == {"all_reduce": 1} and reads <= 1 for calls, reads in results["adaptive"])


def test_stats_of_every_kind_are_exchanged_exactly(ranks: list[Results]) -> None:
    for rank, results in enumerate(ranks):
        joined, means = results["exchanged"]["joined"], results["exchanged"]["means"]
        assert str(joined["scores"].tolist()) == "[1.5, nan, 2.5]"
        assert joined["indices"].tolist() == [1 << 40, (1 << 40) + 1, (1 << 40) + 2]
        assert joined["pictures"].dtype == torch.float64
        assert joined["pictures"].tolist() == [[[value] * 2] * 2 for value in (0.1, 1.1, 1.1)]
        assert joined["loss"].item() == 3 and joined["count"].item() == 6
        assert means[0].item() == 1.5 and means[1].item() == rank, "numbers of steps are not averaged"


def test_a_recording_ends_before_the_all_reduce(ranks: list[Results]) -> None:
    """Recorded steps of two processes equal eager ones to the bit."""
    for results in ranks:
        assert results["recorded"] == {"mlp": [], "mlp recordings": 2, "r3gan": [], "r3gan recordings": 3}


def test_a_compiled_step_ends_before_the_all_reduce(ranks: list[Results]) -> None:
    """The slowest process counts; all choose alike, and resume to the bit."""
    for results in ranks:
        assert results["compiled"] == {"chosen": {"D": True, "G": True}, "far": [], "resumed": []}


def test_a_batch_need_not_divide(ranks: list[Results], tmp_path: Path) -> None:
    """Seven pictures in two processes are four and three, as in one process with microbatches of four."""
    assert not differences(ranks[0]["uneven"], ranks[1]["uneven"])
    alone = advance(make_trainer("mlp:tiny", tmp_path, batch=7, micro=4), 8)
    for name, value in alone.gan.named_parameters():
        torch.testing.assert_close(ranks[0]["uneven"][name], value.detach(), rtol=1e-3, atol=2e-5)


def test_every_picture_of_a_batch_has_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for batch, limit, world in itertools.product(range(1, 12), (None, 1, 4, 100), range(1, 8)):
        monkeypatch.setattr(distributed, "world", lambda world=world: world)
        if batch < world:
            with refused("train.small_batch", batch=batch, processes=world):
                largest_microbatch(batch, limit)
            continue
        micro, pictures = largest_microbatch(batch, limit), list[int]()
        assert micro <= (limit or batch)
        for rank in range(world):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            own = [start + i for _, start, count in own_microbatches(batch, micro) for i in range(count)]
            assert own and len(own) == pictures_of_ranks(batch, micro)[rank]
            pictures += own
        assert sorted(pictures) == list(range(batch))
