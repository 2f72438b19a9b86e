"""Adam in memory order: torch's results and state, without a copy of each weight."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile

from simulacra.optimizers import Adam, memory_order

SHAPES = [(24, 3, 4, 4), (16, 1, 4, 4), (1, 8, 3, 3), (8, 1, 1, 1), (5, 7), (3, 4, 5), (6,), ()]


def weights(seed: int, *, channels_last: bool) -> list[torch.nn.Parameter]:
    """One of each shape."""
    torch.manual_seed(seed)
    tensors = [torch.randn(shape) for shape in SHAPES]
    if channels_last:
        tensors = [t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t for t in tensors]
    return [torch.nn.Parameter(tensor) for tensor in tensors]


def train(parameters: list[torch.nn.Parameter], optimizer: Any, steps: int = 4) -> None:
    """Steps on random gradients; some parameters have none at some steps."""
    torch.manual_seed(7)
    for step in range(steps):
        for number, parameter in enumerate(parameters):
            gradient = torch.randn(parameter.shape)
            laid = torch.empty_like(parameter).copy_(gradient)
            parameter.grad = None if number == step else laid
        optimizer.step()


@pytest.mark.parametrize("channels_last", [False, True])
def test_adam_gives_torchs_results_and_state(channels_last: bool) -> None:
    mine, theirs = weights(0, channels_last=channels_last), weights(0, channels_last=channels_last)
    ours, torchs = Adam(mine, 1e-2, (0.5, 0.99)), torch.optim.Adam(theirs, 1e-2, (0.5, 0.99))
    train(mine, ours)
    train(theirs, torchs)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b)
        assert a.stride() == b.stride()
        for name in ("exp_avg", "exp_avg_sq", "step"):
            torch.testing.assert_close(ours.state[a][name], torchs.state[b][name])
            assert ours.state[a][name].stride() == torchs.state[b][name].stride()


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0)])
def test_a_gradient_in_another_order_is_read_by_its_shape(order: tuple[int, ...], channels_last: bool) -> None:
    (first, *_), (second, *_) = weights(0, channels_last=channels_last), weights(0, channels_last=channels_last)
    ours, torchs = Adam([first], 1e-2, (0.5, 0.99)), torch.optim.Adam([second], 1e-2, (0.5, 0.99))
    for parameter in (first, second):
        laid = torch.arange(float(parameter.numel())).reshape([parameter.shape[dim] for dim in order])
        parameter.grad = laid.permute([order.index(dim) for dim in range(4)])
    ours.step()
    torchs.step()
    torch.testing.assert_close(first, second)


def test_a_state_of_torchs_adam_goes_on() -> None:
    mine, theirs = weights(0, channels_last=True), weights(0, channels_last=True)
    ours, torchs = Adam(mine, 1e-2, (0.5, 0.99)), torch.optim.Adam(theirs, 1e-2, (0.5, 0.99), fused=True)
    train(theirs, torchs)
    ours.load_state_dict(copy.deepcopy(torchs.state_dict()))
    with torch.no_grad():
        for a, b in zip(mine, theirs, strict=True):
            a.copy_(b)
    train(mine, ours)
    train(theirs, torchs)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_no_weight_is_copied() -> None:
    parameter = torch.nn.Parameter(torch.randn(32, 16, 4, 4).contiguous(memory_format=torch.channels_last))
    optimizer = Adam([parameter], 1e-2, (0.5, 0.99))
    parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen:
        optimizer.step()
    copied = [event.input_shapes for event in seen.events() or [] if event.name == "aten::copy_"]
    assert not [shapes for shapes in copied if any(len(shape) == 4 for shape in shapes)]


@given(st.lists(st.integers(1, 4), max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_memory_order_makes_every_dense_tensor_contiguous(sizes: list[int], random: Any) -> None:
    order = list(range(len(sizes)))
    random.shuffle(order)
    tensor = torch.zeros(sizes).permute(order)
    assert tensor.permute(memory_order(tensor)).is_contiguous()


def test_a_training_does_not_import_torchs_compiler() -> None:
    """It takes a second at each start."""
    code = """
import sys, tempfile
from pathlib import Path
from simulacra.plugins.harness import advance, make_trainer
for name in ("r3gan", "wgan"):
    trainer = advance(make_trainer(f"{name}:tiny", Path(tempfile.mkdtemp())), 4)
    trainer.load_state_dict(trainer.state_dict())
assert "torch._dynamo" not in sys.modules, "torch._dynamo was imported"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
