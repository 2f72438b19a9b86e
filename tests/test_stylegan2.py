"""StyleGAN2: its penalties in float64, which steps take them, styles mixed and truncated, noise, and what is automatic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support import advance, build, make_trainer, refused, snapshot
from torch import Tensor, nn

from simulacra.gan import Batch
from simulacra.gans.stylegan2 import StyleGAN2
from simulacra.gans.stylegan2_networks import widths
from simulacra.registry import configured

SHAPE = (3, 8, 8)


def small(shape: tuple[int, int, int] = SHAPE, **settings: Any) -> StyleGAN2:
    settings = {"z": 4, "features": 4, "features_max": 4, "batch": 4} | settings
    gan = build("stylegan2:tiny", shape, **settings)
    assert isinstance(gan, StyleGAN2)
    return gan


def pictures(n: int = 4, seed: int = 1) -> Tensor:
    return torch.rand(n, *SHAPE, dtype=torch.double, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def sloped(gan: StyleGAN2, player: str, network: nn.Module, direction: dict[str, Tensor]) -> tuple[float, float]:
    """How a player's penalised loss changes along `direction`: by its gradient, and by finite differences."""

    def loss() -> Tensor:
        torch.manual_seed(3)
        value, _ = gan.d_loss(Batch(pictures())) if player == "D" else gan.g_loss(Batch(pictures()))
        return value

    loss().backward()  # type: ignore[no-untyped-call]
    slope = sum((p.grad * direction[name]).sum().item() for name, p in network.named_parameters() if p.grad is not None)
    ends = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.add_(direction[name], alpha=step)
        ends.append(loss().item())
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.sub_(direction[name], alpha=step)
    return slope, (ends[0] - ends[1]) / 2e-5


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("player", "settings"), [("D", {"gamma": 300.0}), ("G", {"path": 300.0})])
def test_penalties_against_finite_differences(player: str, settings: dict[str, Any]) -> None:
    """Where the penalty dominates, a second-order term that got lost would be the whole of the slope."""
    gan = small(**settings)
    network = gan.D if player == "D" else gan.G
    source = torch.Generator().manual_seed(2)
    direction = {name: torch.randn(p.shape, generator=source) for name, p in network.named_parameters()}
    for _, parameter in gan.G.named_parameters():
        parameter.requires_grad_(player == "G")
    slope, expected = sloped(gan, player, network, direction)
    assert slope == pytest.approx(expected, rel=1e-5)
    gan.zero_grad()
    gan.due = {"D": False, "G": False}
    without, _ = sloped(gan, player, network, direction)
    assert abs(slope - without) > 3 * abs(without), "the penalty does not dominate"


@pytest.mark.usefixtures("float64")
def test_the_penalties_have_the_paper_s_weights() -> None:
    """R1 of a linear D is |a|² γ/2, at each 16th step with 16 times the weight; a path length that is known the same."""
    gan = small(gamma=0.5)
    gan.D = nn.Sequential(nn.Flatten(), nn.Linear(192, 1), nn.Flatten(0))
    loss, stats = gan.d_loss(Batch(pictures()))
    weights = next(gan.D.parameters()).detach()
    assert stats["r1"].item() == pytest.approx(weights.square().sum().item())
    assert (loss - stats["adversarial"]).item() == pytest.approx(16 * 0.5 / 2 * stats["r1"].item())
    gan.length.fill_(0.3)
    loss, stats = gan.g_loss(Batch(pictures()))
    assert (loss - stats["adversarial"]).item() == pytest.approx(4 * 2 * stats["path"].item())
    assert stats["path"] >= (stats["length"] - 0.3).square() > 0


def test_lazy_steps_and_the_mean_length(tmp_path: Path) -> None:
    trainer = make_trainer("stylegan2:tiny", tmp_path, r1_every=3, path_every=2)
    gan, penalties = trainer.gan, list[str]()
    assert isinstance(gan, StyleGAN2)
    expected, inner = 0.0, gan.on_step_end

    def record(player: str, stats: Any) -> None:
        nonlocal expected
        penalties.extend(f"{name} {trainer.steps[player] - 1}" for name in ("r1", "path") if name in stats)
        expected += 0.01 * (stats["length"].item() - expected) if "length" in stats else 0
        inner(player, stats)

    gan.on_step_end = record  # type: ignore[method-assign]
    advance(trainer, 14)
    assert penalties == ["r1 0", "path 0", "path 2", "r1 3", "path 4", "r1 6", "path 6"]
    assert gan.length.item() == pytest.approx(expected) and expected > 0


def test_a_batch_in_parts_takes_them_too(tmp_path: Path) -> None:
    trainer = advance(make_trainer("stylegan2:tiny", tmp_path, micro=3, r1_every=2, path_every=2), 8)
    line = trainer.journal_line(images_per_second=1.0)
    assert trainer.meter.counts["r1"] == trainer.meter.counts["path"] == 2 and dict(line)["r1"] > 0  # type: ignore[operator]
    assert trainer.meter.counts["adversarial"] == 8


def test_rates_are_not_corrected_for_steps_that_do_not_exist(tmp_path: Path) -> None:
    """A lazy penalty is in the loss of its step: as many updates as without penalties, so the rates are those given."""
    trainer = advance(make_trainer("stylegan2:tiny", tmp_path, r1_every=2, path_every=2, lr=1e-3, betas=(0.5, 0.99)), 8)
    for player, optimizer in trainer.optimizers.items():
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"]) == (1e-3, (0.5, 0.99))
        assert {int(state["step"]) for state in optimizer.state.values()} == {trainer.steps[player]}


def test_rates_and_betas_of_older_runs() -> None:
    gan = small(lr=1e-3, lr_d=2e-3, betas=(0.5, 0.99), corrected=True)
    for player, share, lr in (("D", 16 / 17, 2e-3), ("G", 4 / 5, 1e-3)):
        (group,) = gan.optimizers()[player].param_groups
        assert group["lr"] == pytest.approx(share * lr)
        assert group["betas"] == pytest.approx((0.5**share, 0.99**share))
    plain = small(gamma=0, path=0, lr=1e-3).optimizers()  # corrected has no effect
    assert all(optimizer.param_groups[0]["lr"] == 1e-3 for optimizer in plain.values())
    (group,) = small(optimizer="rmsprop", lr=1e-3, corrected=True).optimizers()["G"].param_groups
    assert group["lr"] == pytest.approx(8e-4)


def test_without_weight_no_penalty_is_computed() -> None:
    gan = small(gamma=0, path=0)
    batch = Batch(pictures().float())
    for loss, stats in (gan.d_loss(batch), gan.g_loss(batch)):
        assert loss is stats["adversarial"]
        assert not stats.keys() & {"r1", "path", "length"}


def test_gamma_follows_size_and_batch() -> None:
    assert small(batch=4).gamma == pytest.approx(2e-4 * 64 / 4)
    assert small((3, 16, 24), batch=32).gamma == pytest.approx(2e-4 * 16 * 24 / 32)
    assert small(gamma=7).gamma == 7


def test_the_paper_s_preset_compares_eight_pictures() -> None:
    config: Any = configured("stylegan2:paper256", (3, 256, 256), {})[1]
    assert (config.group, config.gamma, config.batch, config.depth) == (8, 1.0, 64, 8)
    assert widths(config) == [512] * 4 + [256, 128, 64]


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_styles_are_mixed(share: float) -> None:
    gan = small(mixing=share)
    torch.manual_seed(0)
    w = gan.draw_ws(2000, None)
    assert w.shape == (2000, gan.G.num_ws, 4) == (2000, 4, 4)
    changes = (w[:, 1:] != w[:, :-1]).any(2)  # [N, L - 1]
    assert (changes.sum(1) <= 1).all(), "from one w to one other"
    assert changes.any(1).float().mean().item() == pytest.approx(share, abs=0.03)
    assert changes.float().mean(0).tolist() == pytest.approx([share / 3] * 3, abs=0.03), "at any layer alike"


def test_mixing_keeps_the_label() -> None:
    gan, labels = build("stylegan2:tiny+labels", SHAPE, mixing=1.0), list[Tensor | None]()
    assert isinstance(gan, StyleGAN2)

    def mapping(z: Tensor, y: Tensor | None = None) -> Tensor:
        labels.append(y)
        return z

    gan.G.mapping = mapping  # type: ignore[method-assign]
    gan.draw_ws(3, torch.eye(3))
    (y,) = labels
    assert y is not None and torch.equal(y, torch.eye(3).repeat(2, 1))


def test_truncation_by_layers() -> None:
    generator = small().G.eval()
    generator.update_w_avg(torch.full((5, 4), 200.0))
    torch.testing.assert_close(generator.w_avg, torch.ones(4))
    w = generator.mapping(generator.seeded(range(3)))
    whole = generator.truncate(w, 0.4)
    torch.testing.assert_close(whole, 1 + 0.4 * (w - 1))
    truncated = generator.truncate(w, 0.4, layers=(1, 3))
    assert truncated.shape == (3, 4, 4)
    for layer, expected in enumerate((w, whole, whole, w)):
        torch.testing.assert_close(truncated[:, layer], expected)
    torch.testing.assert_close(generator.truncate(truncated, 0.0), torch.ones(3, 4, 4))
    with torch.no_grad():
        one, same = generator.synthesis(w), generator.synthesis(generator.truncate(w, 0.4, layers=(0, 4)))
        torch.testing.assert_close(same, generator.synthesis(whole))
        assert not torch.allclose(one, generator.synthesis(truncated))
        mean, *rest = generator.synthesis(generator.truncate(w, 0.0))
    assert all(torch.equal(mean, other) for other in rest), "ψ = 0 is one picture"
    for wrong in ((0, 5), (2, 2), (-1, 3)):
        with refused("generator.no_such_layers", count=4):
            generator.truncate(w, 0.4, layers=wrong)


def test_each_layer_has_a_w() -> None:
    """Another w in one layer changes the picture, in every layer."""
    generator = small().G.eval()
    w = generator.broadcast_ws(generator.mapping(generator.seeded([0])))
    with torch.no_grad():
        torch.testing.assert_close(generator.synthesis(w), generator.synthesis(w[:, 0]))
        for layer in range(generator.num_ws):
            other = w.clone()
            other[:, layer] += 1
            assert not torch.allclose(generator.synthesis(w), generator.synthesis(other))


def test_noise_is_fresh_in_training_and_fixed_after() -> None:
    generator = small().G
    w = generator.mapping(generator.seeded([0, 0]))
    for layer in generator.layers:
        nn.init.constant_(layer.strength, 0.5)  # type: ignore[arg-type]
    with torch.no_grad():
        first, second = generator.synthesis(w), generator.synthesis(w)
        assert not torch.allclose(first, second) and not torch.allclose(first[0], first[1])
        generator.eval()
        one, other = generator.synthesis(w), generator.synthesis(w)
    assert torch.equal(one, other)
    torch.testing.assert_close(one[0], one[1])


def test_the_mean_w_moves_with_g_alone(tmp_path: Path) -> None:
    trainer = make_trainer("stylegan2:tiny", tmp_path)
    before = snapshot(trainer.gan.G)["w_avg"]
    advance(trainer, 1)
    assert trainer.steps == {"D": 1, "G": 0} and torch.equal(snapshot(trainer.gan.G)["w_avg"], before)
    advance(trainer, 1)
    assert not torch.equal(snapshot(trainer.gan.G)["w_avg"], before)


def test_labels_change_both_players_answers() -> None:
    gan = build("stylegan2:tiny+labels", SHAPE)
    z, images = gan.G.seeded([0] * 3), pictures(3).float()[:1].expand(3, -1, -1, -1)
    with torch.no_grad():
        one, other, _ = gan.G.eval()(z, torch.arange(3))
        scores = gan.D(images, torch.eye(3))
    assert (one - other).abs().mean() > 0.01
    assert scores.unique().numel() == 3


def test_features_of_a_picture_stay_channels_last() -> None:
    """All the way, in both players; or a CPU would be slower."""
    gan, wrong = small((3, 16, 16)), list[str]()

    def look(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if output.dim() == 4 and not output.is_contiguous(memory_format=torch.channels_last):
                wrong.append(name)

        return hook

    for name, module in gan.named_modules():
        if not isinstance(module, StyleGAN2) and name:
            module.register_forward_hook(look(name))
    gan.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    gan.d_loss(Batch(torch.zeros(4, 3, 16, 16).contiguous(memory_format=torch.channels_last)))
    assert not wrong
