"""Compiled steps: the same gradients as eager, the same numbers after a resume, and a sentence where they fail."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from support import CLASSES, advance, build, differences, make_trainer

from simulacra.gan import GAN, Batch
from simulacra.training import compiled
from simulacra.training.trainer import Trainer

compiler_needed = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("c++", "g++", "clang++")), reason="no C++ compiler"
)
# Where the penalty dominates, a second-order term that got lost would be the whole of the gradient.
DOMINANT: dict[str, dict[str, Any]] = {
    "wgan-gp": {"gp": 1000.0},
    "r3gan": {"network": "conv", "gamma": (1000.0, 1000.0), "lazy": 2},
    "progan": {"gp": 1000.0, "stable": 1000},
    "stylegan": {"gamma": 1000.0, "stable": 1000},
}
EAGER_KERNELS = functools.partial(torch.compile, backend="aot_eager")


def turn(gan: GAN, player: str) -> Batch:
    """The player's turn, with a batch for it."""
    gan.G.requires_grad_(player == "G")
    gan.D.requires_grad_(player == "D")
    count = gan.config.batch
    return Batch(torch.rand(count, *gan.config.shape) * 2 - 1, torch.arange(count) % CLASSES)


def agree_with_eager(spec: str, player: str, steps: int = 0, **settings: Any) -> None:
    gan = build(spec, **settings)
    gan.on_step_start(100, {"D": steps, "G": steps})
    batch = turn(gan, player)
    before = {name: buffer.clone() for name, buffer in gan.named_buffers()}
    graph = compiled.CompiledStep(gan, player, batch, bf16=False)
    torch.testing.assert_close(dict(gan.named_buffers()), before, rtol=0, atol=0)  # tracing left no trace
    torch.manual_seed(7)
    loss, stats = graph(batch)
    gradients = [parameter.grad for parameter in graph.mine]
    after = {name: buffer.clone() for name, buffer in gan.named_buffers()}
    gan.load_state_dict(before, strict=False)
    gan.zero_grad()
    torch.manual_seed(7)
    expected, eager_stats = gan.d_loss(batch) if player == "D" else gan.g_loss(batch)
    expected.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(stats, {name: value.detach() for name, value in eager_stats.items()})
    torch.testing.assert_close(after, dict(gan.named_buffers()))
    for mine, parameter in zip(gradients, graph.mine, strict=True):
        torch.testing.assert_close(mine, parameter.grad, rtol=1e-9, atol=1e-11)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("name", "player", "steps"),
    [
        *((e, player, 0) for e in ("mlp", "dcgan", "wgan", "wgan-gp", "r3gan") for player in "DG"),
        ("r3gan", "D", 1),  # without penalties; the others' steps are all alike
        *((name, player, 0) for name in ("progan", "stylegan") for player in "DG"),
    ],
)
def test_the_traced_gradient_is_eagers(name: str, player: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda graph, options, **rest: EAGER_KERNELS(graph, **rest))
    agree_with_eager(f"{name}:tiny", player, steps, **DOMINANT.get(name, {}))


def test_a_step_with_a_penalty_is_another_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda graph, options, **rest: EAGER_KERNELS(graph, **rest))
    monkeypatch.setattr(
        compiled.Compiler, "timed", lambda self, way, *rest: 1.0 + (not isinstance(way, compiled.CompiledStep))
    )
    settings: dict[str, Any] = {"network": "conv", "lazy": 2, "burn_in": 40.0, "gamma": (2.0, 0.5)}
    eager = advance(make_trainer("r3gan:tiny", tmp_path, **settings), 8)
    traced = advance(compiling(make_trainer("r3gan:tiny", tmp_path, **settings)), 8)
    assert traced.state_dict()["compiled"] == {"D True": True, "D False": True, "G False": True}
    for one, other in zip(traced.gan.parameters(), eager.gan.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@compiler_needed
@pytest.mark.usefixtures("float64")
def test_the_compiled_penalty_is_eagers() -> None:
    agree_with_eager("wgan-gp:tiny", "D", **DOMINANT["wgan-gp"])


@pytest.mark.usefixtures("float64")
def test_noise_is_eagers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda graph, options, **rest: EAGER_KERNELS(graph, **rest))
    agree_with_eager("dcgan:tiny", "D", label_noise=0.1)


def same_state(one: Trainer, other: Trainer) -> None:
    """Equal bit for bit, whatever was chosen."""
    assert not differences(one.state_dict() | {"compiled": {}}, other.state_dict() | {"compiled": {}})


def compiling(trainer: Trainer) -> Trainer:
    trainer.compiler = compiled.Compiler(trainer.gan, trainer.backward, bf16=False)
    return trainer


@compiler_needed
def test_a_compiled_run_resumes_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = functools.partial(make_trainer, "mlp:tiny", tmp_path, dropout=0.3, label_noise=0.1)
    monkeypatch.setattr(
        compiled.Compiler, "timed", lambda self, way, *rest: 1.0 + (not isinstance(way, compiled.CompiledStep))
    )
    whole = advance(compiling(make()), 6)
    assert whole.state_dict()["compiled"] == {"D": True, "G": True}
    state = advance(compiling(make()), 3).state_dict()
    monkeypatch.setattr(compiled.Compiler, "timed", lambda *_: pytest.fail("the choice was made before"))
    torch._dynamo.reset()
    resumed = compiling(make())
    resumed.load_state_dict(state)
    same_state(advance(resumed, 3), whole)


def test_choosing_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda graph, options, **rest: EAGER_KERNELS(graph, **rest))
    monkeypatch.setattr(compiled.Compiler, "timed", slower(compiled.Compiler.timed))
    plain = advance(make_trainer("dcgan:tiny", tmp_path), 4)
    tried = advance(compiling(make_trainer("dcgan:tiny", tmp_path)), 4)
    assert tried.state_dict()["compiled"] == {"D": False, "G": False}
    same_state(tried, plain)


def slower(timed: Any) -> Any:
    """`timed`, to which every compiled step seems slow."""
    return lambda self, way, *rest: timed(self, way, *rest) + 1e6 * isinstance(way, compiled.CompiledStep)


def test_an_error_while_compiling_is_said_and_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no compiler\nand more")

    monkeypatch.setattr(torch, "compile", fail)
    tried = advance(compiling(make_trainer("wgan-gp:tiny", tmp_path)), 4)
    same_state(tried, advance(make_trainer("wgan-gp:tiny", tmp_path), 4))
    error = capsys.readouterr().err
    assert "D's step cannot be compiled (no compiler): it runs eagerly." in error and "and more" not in error


def test_where_compiling_does_not_apply(capsys: pytest.CaptureFixture[str]) -> None:
    gan = build("mlp:tiny")
    assert compiled.make_compiler(gan, lambda *_: pytest.fail(), single=False, bf16=False) is None
    assert "--micro" in capsys.readouterr().err
