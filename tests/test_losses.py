"""Losses and penalties against closed forms, finite differences and torch's own formulas, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import build
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, elu

from simulacra import losses
from simulacra.gan import Batch

LOGITS = torch.tensor([-8.0, -1.5, -0.2, 0.0, 0.7, 3.0, 9.0], dtype=torch.float64)
FAKES = torch.tensor([4.0, -0.9, 0.1, -6.0, 2.5, 0.0, -2.0], dtype=torch.float64)


def test_minimax_d_is_cross_entropy_of_probabilities() -> None:
    real_target, fake_target = torch.full_like(LOGITS, 0.9), torch.full_like(LOGITS, 0.05)
    expected = binary_cross_entropy(LOGITS.sigmoid(), real_target) + binary_cross_entropy(FAKES.sigmoid(), fake_target)
    torch.testing.assert_close(losses.minimax_d(LOGITS, FAKES, real_target, fake_target), expected)


def test_g_losses_are_cross_entropies_of_probabilities() -> None:
    ones, zeros = torch.ones_like(FAKES), torch.zeros_like(FAKES)
    torch.testing.assert_close(losses.non_saturating_g(FAKES), binary_cross_entropy(FAKES.sigmoid(), ones))
    torch.testing.assert_close(losses.minimax_g(FAKES), -binary_cross_entropy(FAKES.sigmoid(), zeros))


def test_wasserstein_is_a_difference_of_means() -> None:
    assert losses.wasserstein_d(LOGITS, FAKES).item() == pytest.approx(FAKES.mean().item() - LOGITS.mean().item())
    assert losses.wasserstein_g(FAKES).item() == pytest.approx(-FAKES.mean().item())


def test_squares_and_hinge_by_hand() -> None:
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 3.0])
    targets = torch.tensor([0.9, 0.9]), torch.tensor([0.1, 0.1])
    assert losses.squares_d(real, fake, *targets).item() == pytest.approx((1.21 + 3.61) / 2 + (0.16 + 8.41) / 2)
    assert losses.squares_g(fake).item() == pytest.approx((0.25 + 4) / 2)
    assert losses.hinge_d(real, fake).item() == pytest.approx((0 + 2) / 2 + (1.5 + 4) / 2)
    assert losses.hinge_g(fake).item() == pytest.approx(-1.75)


@pytest.mark.parametrize("size", [200.0, 2000.0])
def test_sure_logits_do_not_overflow(size: float) -> None:
    wrong = torch.tensor([-size], requires_grad=True)
    loss = losses.minimax_d(wrong, -wrong, *losses.targets(wrong, smoothing=0, noise=0)) + losses.non_saturating_g(
        wrong
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(3 * size)
    assert wrong.grad is not None
    assert wrong.grad.item() == pytest.approx(-3)


@pytest.mark.parametrize("loss", ["minimax", "nonsaturating"])
def test_minimax_vanishes_where_d_is_sure_and_non_saturating_does_not(loss: str) -> None:
    """The slope in the logit is σ(D) for minimax and 1 - σ(D) for non-saturating; the same where D is undecided."""
    gan = build("mlp:tiny", loss=loss)
    sizes = {}
    for sure in (0.0, 15.0):
        nn.init.constant_(list(gan.D.parameters())[-1], -sure)
        gan.zero_grad()
        torch.manual_seed(1)
        value, _ = gan.g_loss(Batch(torch.zeros(64, 3, 16, 16)))
        value.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in gan.G.parameters() if p.grad is not None]
        sizes[sure] = torch.cat([g.flatten() for g in gradients]).norm().item()
    ratio = sizes[15.0] / sizes[0.0]
    if loss == "minimax":
        assert ratio == pytest.approx(2 * torch.tensor(-15.0).sigmoid().item(), rel=0.2)
        assert ratio < 1e-6
    else:
        assert ratio == pytest.approx(2.0, rel=0.1)


@given(st.floats(0, 0.5), st.floats(0, 0.5), st.integers(0, 2**31))
def test_targets_keep_their_bounds(smoothing: float, noise: float, seed: int) -> None:
    torch.manual_seed(seed)
    real, fake = losses.targets(torch.zeros(50, dtype=torch.float64), smoothing=smoothing, noise=noise)
    tiny = 1e-12
    assert 1 - smoothing - noise - tiny <= real.min() and real.max() <= 1 - smoothing + tiny
    assert -tiny <= fake.min() and fake.max() <= noise + tiny
    if noise > 0.01:
        assert real.std() > 0 and fake.std() > 0
        assert not torch.allclose(1 - smoothing - real, fake), "the two sides are drawn apart"
    if not noise:
        assert (real == 1 - smoothing).all() and (fake == 0).all()


def test_noise_fills_its_range_evenly() -> None:
    torch.manual_seed(0)
    _, fake = losses.targets(torch.zeros(100_000), smoothing=0.0, noise=0.05)
    assert fake.mean().item() == pytest.approx(0.025, rel=0.02)
    assert fake.var().item() == pytest.approx(0.05**2 / 12, rel=0.03)


def test_a_gan_uses_its_smoothing_and_noise() -> None:
    gan = build("mlp:tiny", smoothing=0.1, label_noise=0.05)
    real, fake = gan.targets(torch.zeros(500))
    assert real.min() >= 0.85 and real.max() <= 0.9
    assert fake.min() >= 0 and 0.04 < fake.max() <= 0.05
    batch = Batch(torch.zeros(8, 3, 16, 16))
    values = []
    for smoothing in (0.0, 0.3):
        gan = build("mlp:tiny", smoothing=smoothing)
        torch.manual_seed(0)
        values.append(gan.d_loss(batch)[0].item())
    assert values[0] != values[1]


# --- penalties ------------------------------------------------------------------------------------------------


def linear(weights: Tensor) -> losses.Critic:
    return lambda images: images.flatten(1) @ weights.flatten()


def pictures(n: int = 4, seed: int = 0) -> Tensor:
    return torch.rand(n, 2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("size", [0.0, 0.3, 1.0, 2.5])
def test_penalties_of_a_linear_critic(size: float) -> None:
    """D(x) = w·x has the gradient w everywhere: R1 is |w|², the penalty (|w| - 1)², one-sided 0 below 1."""
    w = torch.randn(2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    critic = linear(w / w.norm() * size)
    real, fake = pictures(seed=1), pictures(seed=2)
    assert losses.r1(critic, real).item() == pytest.approx(size**2)
    assert losses.gradient_norms(critic, real).tolist() == pytest.approx([size] * 4)
    assert losses.gradient_penalty(critic, real, fake).item() == pytest.approx((size - 1) ** 2)
    assert losses.gradient_penalty(critic, real, fake, one_sided=True).item() == pytest.approx(max(0, size - 1) ** 2)


def test_norms_are_over_all_of_a_picture_and_of_each_alone() -> None:
    """D(x) = |x|²/2 has the gradient x: each picture has its own norm."""
    images = pictures()
    norms = losses.gradient_norms(lambda x: x.flatten(1).square().sum(1) / 2, images)
    torch.testing.assert_close(norms, images.flatten(1).norm(dim=1))


def test_the_penalty_is_taken_between_real_and_fake() -> None:
    """With D(x) = |x|²/2, reals at 1 and fakes at -1 everywhere, the norm at x̂ is √n |2ε - 1|, ε uniform."""
    points: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        points.append(x.detach())
        return x.flatten(1).square().sum(1) / 2

    torch.manual_seed(0)
    n = 20_000
    ones = torch.ones(n, 1, 2, 2, dtype=torch.float64)
    value = losses.gradient_penalty(critic, ones, -ones)
    mixed = points[0].flatten(1)
    assert (mixed.max(1).values == mixed.min(1).values).all(), "one ε a picture"
    epsilon = (mixed[:, 0] + 1) / 2
    assert epsilon.min() >= 0 and epsilon.max() <= 1
    quantiles = torch.quantile(epsilon, torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64))
    assert quantiles.tolist() == pytest.approx([0.1, 0.5, 0.9], abs=0.015)
    assert value.item() == pytest.approx(4 / 3 - 2 + 1, abs=0.02)  # E[(2|u| - 1)²] with u uniform in [-1, 1]


def test_a_flat_critic_has_a_finite_penalty() -> None:
    """At a gradient of zero the norm has no slope; the loss must still be finite, and so must what it asks of D."""
    weights = torch.zeros(2, 3, 3, dtype=torch.float64, requires_grad=True)
    value = losses.gradient_penalty(linear(weights), pictures(seed=1), pictures(seed=2))
    value.backward()  # type: ignore[no-untyped-call]
    assert value.item() == 1
    assert weights.grad is not None
    assert torch.isfinite(weights.grad).all()


def penalty(one_sided: bool) -> Callable[[losses.Critic, Tensor], Tensor]:
    def gradient_term(critic: losses.Critic, images: Tensor) -> Tensor:
        torch.manual_seed(0)
        return losses.gradient_penalty(critic, images, images.flip(0), one_sided=one_sided)

    return gradient_term


PENALTIES = {"r1": losses.r1, "gp": penalty(False), "one-sided": penalty(True)}


@pytest.mark.parametrize("name", PENALTIES)
def test_double_backward_against_finite_differences(name: str) -> None:
    """What each penalty asks of D's weights, through a smooth network with a norm, in float64."""
    source = torch.Generator().manual_seed(3)
    images = pictures()
    first = torch.randn(5, 2, 3, 3, dtype=torch.float64, generator=source, requires_grad=True)
    gain = torch.rand(5, dtype=torch.float64, generator=source).add(0.5).requires_grad_()
    last = torch.randn(45, dtype=torch.float64, generator=source).requires_grad_()

    def value(first: Tensor, gain: Tensor, last: Tensor) -> Tensor:
        def critic(x: Tensor) -> Tensor:
            hidden = nn.functional.conv2d(x, first, padding=1)
            hidden = nn.functional.instance_norm(hidden, weight=gain, eps=0.1)
            return elu(hidden).flatten(1) @ last

        return PENALTIES[name](critic, images)

    assert value(first, gain, last).dtype == torch.float64
    assert torch.autograd.gradcheck(value, (first, gain, last))


@pytest.mark.parametrize("norm", ["instance", "layer", "none"])
def test_wgan_gp_loss_is_the_paper_s_equation(norm: str) -> None:
    gan = build("wgan-gp:tiny", norm_d=norm, gp=7.0).double()
    real = torch.rand(6, 3, 16, 16, dtype=torch.float64) * 2 - 1
    gan.G.draw = lambda n: torch.zeros(n, 8, dtype=torch.float64)
    gan.G.forward = lambda z, y=None: gan.G.synthesis(z)
    torch.manual_seed(5)
    loss, stats = gan.d_loss(Batch(real))
    fake = gan.G(gan.G.draw(6)).detach()
    torch.manual_seed(5)
    epsilon = torch.rand(6, 1, 1, 1, dtype=torch.float64)
    mixed = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(gan.D(mixed).sum(), mixed)
    wanted = (slope.square().sum((1, 2, 3)).sqrt() - 1).square().mean()
    expected = gan.D(fake).mean() - gan.D(real).mean() + 7.0 * wanted
    assert stats["penalty"].item() == pytest.approx(wanted.item(), rel=1e-5)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert math.isfinite(loss.item())


@pytest.mark.parametrize("layers", [0, 3])
def test_path_lengths_are_those_of_the_jacobian(layers: int) -> None:
    """Pictures tanh(w A), a w a layer: ‖Jᵀ y‖ from the whole Jacobian, the mean of squares over layers."""
    source = torch.Generator().manual_seed(0)
    a = torch.randn(max(layers, 1) * 4, 2 * 3 * 5, dtype=torch.float64, generator=source)
    w = torch.randn(6, *([layers] if layers else []), 4, dtype=torch.float64, generator=source).requires_grad_()

    def synthesis(w: Tensor) -> Tensor:
        images = (w.flatten(-2 if layers else -1) @ a).tanh()
        return images.view(*images.shape[:-1], 2, 3, 5)

    torch.manual_seed(0)
    lengths = losses.path_lengths(synthesis(w), w)
    torch.manual_seed(0)
    y = torch.randn(6, 2, 3, 5, dtype=torch.float64) / math.sqrt(15)
    for picture, latent, length in zip(y, w, lengths, strict=True):
        jacobian = torch.func.jacrev(synthesis)(latent.detach())  # [2, 3, 5, (L,) z]
        slope = torch.tensordot(picture, jacobian, 3)
        assert length.item() == pytest.approx(slope.norm().item() / math.sqrt(layers or 1))

    def seeded(w: Tensor, a: Tensor) -> Tensor:
        torch.manual_seed(0)
        images = (w.flatten(-2 if layers else -1) @ a).tanh().view(6, 2, 3, 5)
        return losses.path_lengths(images, w).square().sum()

    assert torch.autograd.gradcheck(seeded, (w, a.requires_grad_()), fast_mode=True)
