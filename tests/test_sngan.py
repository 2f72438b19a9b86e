"""SNGAN: what spectral normalisation promises, and residual blocks that are fused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support import advance, build, make_trainer, snapshot
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from simulacra.errors import SimulacraError
from simulacra.gan import GAN, Batch
from simulacra.gans import sngan

every_network = pytest.mark.parametrize("network", ["residual", "conv", "mlp"])


def norms(D: nn.Module) -> list[float]:
    """The largest singular value of each weight as it is used."""
    layers = [module for module in D.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert all(parametrize.is_parametrized(layer, "weight") for layer in layers)
    assert len(layers) >= 3
    return [float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) for layer in layers]


@every_network
def test_every_layer_of_d_has_norm_one(network: str, tmp_path: Path) -> None:
    """Before the first step, and after weights have moved fast and the estimates followed."""
    trainer = make_trainer("sngan:tiny+labels", tmp_path, network=network, lr=1e-3)
    assert norms(trainer.gan.D) == pytest.approx([1.0] * len(norms(trainer.gan.D)), abs=0.1)
    advance(trainer, 30)  # at a rate that outruns one power iteration a step a little
    before = trainer.gan.D.state_dict()
    assert norms(trainer.gan.D) == pytest.approx([1.0] * len(norms(trainer.gan.D)), abs=0.2)
    for _ in range(200):
        sngan.update_singular_values(trainer.gan.D)
    assert norms(trainer.gan.D) == pytest.approx([1.0] * len(norms(trainer.gan.D)), abs=1e-3)
    assert [value.shape for value in before.values()] == [value.shape for value in trainer.gan.D.state_dict().values()]


def test_estimates_move_once_a_step_of_d_and_never_else(tmp_path: Path) -> None:
    trainer = make_trainer("sngan:tiny", tmp_path)
    gan: GAN = trainer.gan
    before = snapshot(gan.D)
    batch = Batch(torch.rand(4, 3, 16, 16))
    for mode in (False, True):
        gan.train(mode)
        gan.d_loss(batch), gan.g_loss(batch), gan.discriminate(batch.images)
    assert all(torch.equal(value, before[key]) for key, value in gan.D.state_dict().items())
    advance(trainer, 1)
    moved = {key for key, value in gan.D.state_dict().items() if not torch.equal(value, before[key])}
    assert {key for key in before if key.endswith(("._u", "._v"))} - moved <= {"last.parametrizations.weight.0._u"}
    layer = gan.D.last  # one row: its u is 1 or -1 for ever
    assert layer.parametrizations.weight[0]._u.abs() == 1  # type: ignore[union-attr,index]


def test_a_d_without_residuals_has_no_slope_above_one() -> None:
    """Fully connected: each layer and each LeakyReLU has a slope of at most 1, and so has D."""
    gan = build("sngan:tiny", network="mlp")
    for _ in range(300):
        sngan.update_singular_values(gan.D)
    one, other = torch.rand(2, 64, 3, 16, 16) * 2 - 1
    steps = [(one - other), 1e-2 * (one - other)]
    for step in steps:
        slope = (gan.D(one) - gan.D(one - step)).abs() / step.flatten(1).norm(dim=1)
        assert 0 < slope.max() <= 1 + 1e-3


def test_the_losses_are_hinges(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a D that says 0.5, 3 of reals and -2, 0 of fakes: (0.5 + 0)/2 + (0 + 1)/2, and -(-2 + 0)/2."""
    gan = build("sngan:tiny")

    def logits_of(images: Tensor, y: Tensor | None = None) -> Tensor:
        return torch.tensor([0.5, 3.0, -2.0, 0.0] if len(images) == 4 else [-2.0, 0.0])

    monkeypatch.setattr(gan, "discriminate", logits_of)
    loss, stats = gan.d_loss(Batch(torch.zeros(2, 3, 16, 16)))
    assert float(loss) == pytest.approx(0.75)
    assert stats["real"].tolist() == [0.5, 3.0]
    assert float(gan.g_loss(Batch(torch.zeros(2, 3, 16, 16)))[0]) == pytest.approx(1.0)


@pytest.mark.parametrize("words", [{"norm_d": "batch"}, {"norm_d": "instance", "network": "conv"}])
def test_norms_in_d_are_refused(words: dict[str, Any]) -> None:
    with pytest.raises(SimulacraError, match="norm_d"):
        build("sngan:tiny", **words)


def test_one_step_follows_the_definition() -> None:
    """u ← Wv / ‖Wv‖, v ← Wᵀu / ‖Wᵀu‖ (algorithm 1)."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 4))
    sngan.normalise(net)
    estimate: Any = net[0].parametrizations.weight  # type: ignore[union-attr]
    W, v = estimate.original.detach(), estimate[0]._v.clone()
    sngan.update_singular_values(net)
    u = F.normalize(W @ v, dim=0)
    torch.testing.assert_close(estimate[0]._u, u)
    torch.testing.assert_close(estimate[0]._v, F.normalize(W.T @ u, dim=0))


def test_weights_start_as_its_authors_have_them() -> None:
    """Uniform in ±√(6 / (fan in + fan out)), √2 as far in the blocks' main paths alone; the last layers are no part of those."""
    gan = build("sngan", (3, 32, 32), features=16)
    for network in (gan.G, gan.D):
        for name, layer in network.named_modules():
            if not isinstance(layer, nn.Conv2d | nn.Linear):
                continue
            spectral: Any = layer.parametrizations.weight if parametrize.is_parametrized(layer) else None  # type: ignore[union-attr]
            weight = layer.weight if spectral is None else spectral.original
            area = weight[0, 0].numel()
            reach = (6 / (area * (weight.shape[0] + weight.shape[1]))) ** 0.5
            main = "blocks." in name and "shortcut" not in name
            assert weight.abs().max().item() == pytest.approx(reach * (2**0.5 if main else 1), rel=0.05), name
