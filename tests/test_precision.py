"""bf16: where the penalty is kept in fp32, and that it is compiled too. (Slow but the same where it is emulated.)"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import build
from torch import Tensor

from simulacra.gan import Batch, Generator
from simulacra.training import compiled


class Fixed(Generator):
    """Fakes that no precision changes, so that penalties can be compared."""

    def synthesis(self, w: Tensor) -> Tensor:
        return torch.linspace(-1, 1, w.shape[0] * 3 * 16 * 16).view(-1, 3, 16, 16)


def penalty(dtype: str, **settings: Any) -> float:
    gan = build("wgan-gp:tiny", **settings)
    gan.G.forward = Fixed(gan.config).forward
    images = torch.linspace(1, -1, 8 * 3 * 16 * 16).view(8, 3, 16, 16)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
        loss, stats = gan.d_loss(Batch(images))
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in gan.D.parameters())
    return float(stats["penalty"].detach())


def test_the_penalty_is_fp32_where_asked() -> None:
    exact = penalty("fp32")
    assert penalty("bf16", penalty_precision="fp32") == exact
    assert penalty("bf16") != exact
    assert penalty("bf16") == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("precision", ["same", "fp32"])
def test_a_bf16_step_is_traced_as_it_runs(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda graph, **_: graph)
    gan = build("wgan-gp:tiny", penalty_precision=precision)
    gan.G.requires_grad_(False)
    batch = Batch(torch.rand(8, 3, 16, 16) * 2 - 1)
    state = {name: value.clone() for name, value in gan.state_dict().items()}
    graph = compiled.CompiledStep(gan, "D", batch, bf16=True)
    torch.manual_seed(1)
    loss, _ = graph(batch)
    traced = [parameter.grad for parameter in graph.mine]
    gan.load_state_dict(state)
    gan.zero_grad()
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        expected, _ = gan.d_loss(batch)
    expected.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(loss, expected.detach())
    for mine, parameter in zip(traced, graph.mine, strict=True):
        assert mine is not None and parameter.grad is not None
        error = (mine - parameter.grad).norm() / parameter.grad.norm().clamp(min=1e-3)
        assert error < 0.02  # the sums over D's three passes are rounded in another order
