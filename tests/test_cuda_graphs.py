"""Recorded steps: what they are recorded of, that nothing of a recording leaks, and on a GPU that they equal eager ones."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest
import torch
from support import advance, differences, make_trainer, noise
from torch import Tensor

from simulacra.data.feed import Feed
from simulacra.gan import GAN, Batch
from simulacra.plugins.harness import suitable
from simulacra.registry import find, gans
from simulacra.training import compiled, cuda_graphs
from simulacra.training.compiled import CompiledStep, Compiler
from simulacra.training.cuda_graphs import Recorder
from simulacra.training.trainer import Trainer

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
WORDS: dict[str, dict[str, Any]] = {"cyclegan": {"pool": 4}, "r3gan": {"lazy": 4}}
STEPS = 24


class Imitated(cuda_graphs.Recording):
    """A recording on a CPU: computed again into the same memory, as a graph is."""

    def __init__(self, gan: GAN, eager: Any, player: str, batch: Batch) -> None:
        self.mine = [parameter for parameter in gan.parameters() if parameter.requires_grad]
        images, labels, second = batch
        self.inputs = Batch(images.clone(), *(side if side is None else side.clone() for side in (labels, second)))
        saved = [(buffer, buffer.clone()) for buffer in gan.buffers()]
        self.outputs = eager(player, self.inputs)  # a capture computes nothing: what it changed is restored
        for buffer, before in saved:
            buffer.copy_(before)
        self.gradients = [parameter.grad for parameter in self.mine]
        self.graph = types.SimpleNamespace(replay=lambda: self.again(eager, player))  # type: ignore[assignment]

    def again(self, eager: Any, player: str) -> None:
        for parameter in self.mine:
            parameter.grad = None
        loss, stats = eager(player, self.inputs)
        places = [self.outputs[0], *self.outputs[1].values(), *(g for g in self.gradients if g is not None)]
        grads = [parameter.grad for parameter in self.mine if parameter.grad is not None]
        for place, value in zip(places, [loss, *stats.values(), *grads], strict=True):
            place.copy_(value)


def recorded(trainer: Trainer) -> Trainer:
    trainer.recorder = Recorder(trainer.gan, trainer.backward)
    return trainer


def compiled_and_recorded(trainer: Trainer, *, recording: bool) -> Trainer:
    """Its compiler without a compiler: the traced graph runs operation by operation."""
    trainer.compiler = Compiler(trainer.gan, trainer.backward, bf16=False, recorded=recording)
    if recording:
        trainer.recorder = Recorder(trainer.gan, trainer.compiler.step, trainer.compiler.prepare)
    return trainer


@pytest.mark.parametrize("name", sorted(gans()))
def test_a_recorded_run_is_the_eager_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "Recording", Imitated)
    spec, words = f"{name}:tiny", WORDS.get(name, {})
    eager, same = (make_trainer(spec, tmp_path / kind, **words) for kind in ("eager", "recorded"))
    advance(eager, STEPS)
    advance(recorded(same), STEPS)
    assert not differences(eager.state_dict(), same.state_dict())
    assert same.recorder is not None
    assert bool(same.recorder.recordings) == (same.gan.graph_key("D") is not None)
    assert len(same.recorder.recordings) <= cuda_graphs.MOST


def test_every_phase_has_a_recording_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "Recording", Imitated)
    trainer = advance(recorded(make_trainer("r3gan:tiny", tmp_path, lazy=2)), STEPS)
    assert trainer.recorder is not None
    assert {(player, phase) for player, phase, _ in trainer.recorder.recordings} == {
        ("D", (True, True)), ("D", (False, True)), ("G", (False, True)),
    }  # fmt: skip


@pytest.mark.parametrize(("name", "chosen"), [("dcgan", False), ("r3gan", True), ("progan", True)])
def test_a_compiled_step_is_recorded_as_it_runs(
    name: str, chosen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is timed as recorded; what was chosen is recorded, and the run is the one without recordings, bit for bit."""
    settings = {"progan": {"fade": 16, "stable": 64}}.get(name, WORDS.get(name, {}))
    timed = list[type]()

    def time(_: Compiler, way: Any, *__: Any) -> float:
        timed.append(type(way))
        return 1.0 + (len(timed) % 2 == 1) * (-0.5 if chosen else 0.5)

    monkeypatch.setattr(cuda_graphs, "Recording", Imitated)
    monkeypatch.setattr(compiled, "Recording", Imitated)
    monkeypatch.setattr(compiled.Compiler, "timed", time)
    monkeypatch.setattr(torch, "compile", lambda graph, **_: graph)
    plain, same = (make_trainer(f"{name}:tiny", tmp_path / kind, **settings) for kind in ("plain", "recorded"))
    advance(compiled_and_recorded(plain, recording=False), STEPS)
    timed.clear()
    advance(compiled_and_recorded(same, recording=True), STEPS)
    assert timed and set(timed) == {Imitated}
    assert same.recorder is not None and max(same.recorder.eager_steps.values()) > cuda_graphs.EAGER
    assert same.compiler is not None and set(same.compiler.chosen.values()) == {chosen}
    assert not differences(plain.state_dict(), same.state_dict())


def test_a_step_that_cannot_be_recorded_is_timed_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    for module in (cuda_graphs, compiled):
        monkeypatch.setattr(module, "Recording", fails)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch, "compile", lambda graph, **_: graph)
    monkeypatch.setattr(compiled.Compiler, "timed", lambda _, way, *__: 1.0 - isinstance(way, CompiledStep) / 2)
    plain, same = (make_trainer("dcgan:tiny", tmp_path / kind) for kind in ("plain", "recorded"))
    advance(compiled_and_recorded(plain, recording=False), STEPS)
    advance(compiled_and_recorded(same, recording=True), STEPS)
    assert " ".join(capsys.readouterr().err.split()).count("cannot be recorded") == 1
    assert not differences(plain.state_dict(), same.state_dict())


def test_the_outputs_of_a_step_are_not_overwritten_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "Recording", Imitated)
    trainer = advance(recorded(make_trainer("dcgan:tiny", tmp_path)), 2 * cuda_graphs.EAGER + 2)
    trainer.gan.D.requires_grad_(True)
    outcomes = list[tuple[Tensor, dict[str, Tensor]]]()
    for _ in range(4):
        outcome = trainer.gradients("D", len(outcomes))
        outcomes.append((outcome[0], dict(outcome[1])))
        outcomes.append((outcome[0].clone(), {name: value.clone() for name, value in outcome[1].items()}))
    assert all(not differences(now, then) for now, then in zip(outcomes[::2], outcomes[1::2], strict=True))


def test_a_step_that_cannot_be_recorded_goes_on_eagerly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(cuda_graphs, "Recording", fails)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    trainer = advance(recorded(make_trainer("dcgan:tiny", tmp_path / "a")), STEPS)
    error = capsys.readouterr().err
    assert error.count("cannot be recorded") == 1 and "not permitted when stream is capturing)" in " ".join(
        error.split()
    )
    assert not differences(
        advance(make_trainer("dcgan:tiny", tmp_path / "b"), STEPS).state_dict(), trainer.state_dict()
    )


def test_recordings_give_way_where_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An eager step that runs out of memory is repeated, without them, and as if nothing had been."""
    trainer = recorded(make_trainer("r3gan:tiny", tmp_path / "a", lazy=6))
    recorder = trainer.recorder
    assert recorder is not None
    eager = recorder.eager
    monkeypatch.setattr(cuda_graphs, "Recording", lambda gan, _, player, batch: Imitated(gan, eager, player, batch))

    def short(player: str, batch: Batch) -> Any:
        outcome = eager(player, batch)
        if len(recorder.recordings) > 1:
            raise torch.OutOfMemoryError("too little")
        return outcome

    recorder.eager = short
    advance(trainer, STEPS)
    assert not recorder.usable and not recorder.recordings
    assert "leave too little memory" in " ".join(capsys.readouterr().err.split())
    same = advance(make_trainer("r3gan:tiny", tmp_path / "b", lazy=6), STEPS)
    assert not differences(same.state_dict(), trainer.state_dict())


@needs_gpu
@pytest.mark.parametrize(
    "name",
    sorted(set(gans()) - {"upscale"}),
)
def test_on_a_gpu_too(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)

    def trainer_of(kind: str) -> Trainer:
        spec = f"{name}:tiny"
        data = suitable(find(name), noise())
        trainer = make_trainer(spec, tmp_path / kind, data, **WORDS.get(name, {}))
        gan = trainer.gan.to("cuda")
        return Trainer(gan, Feed(data, torch.device("cuda"), seed=3), tmp_path / kind, seed=3)

    eager, same = trainer_of("eager"), trainer_of("recorded")
    eager.recorder = None
    advance(eager, STEPS)
    advance(same, STEPS)
    assert same.recorder is not None and same.recorder.recordings
    for mine, theirs in zip(same.gan.state_dict().values(), eager.gan.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-2, atol=1e-3)  # not all kernels add up in one order


def test_gans_that_change_with_time_say_so() -> None:
    for name, gan in gans().items():
        assert gan.on_step_start is GAN.on_step_start or gan.graph_key is not GAN.graph_key, name
        assert gan.grows == (name in ("progan", "stylegan")), name


@pytest.mark.parametrize("name", ["progan", "stylegan"])
def test_a_gan_that_grows_is_recorded_between_fades(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "Recording", Imitated)
    settings: dict[str, Any] = {"fade": 16, "stable": 64}
    eager, same = (make_trainer(f"{name}:tiny", tmp_path / kind, **settings) for kind in ("eager", "recorded"))
    levels, fading = set(), 0
    recorder = recorded(same).recorder
    assert recorder is not None
    for _ in range(40):
        advance(eager, 1)
        advance(same, 1)
        now = {cuda_graphs.level(key) for key in recorder.recordings}
        assert len(now) <= 1, "recordings of lower levels are forgotten"
        levels |= now
        fading += same.gan.graph_key("G") is None
    assert {0, 1} <= levels and fading
    assert not differences(eager.state_dict(), same.state_dict())
