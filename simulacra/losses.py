"""Adversarial losses and penalties: pure functions of logits and tensors.

Losses are means over the batch. Penalties are unweighted; the GANs apply the weights. D returns logits, and these
functions apply the sigmoid, as softplus, which never overflows: -log σ(x) = softplus(-x), -log(1 - σ(x)) = softplus(x).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from simulacra.layers import inputs_only

Critic = Callable[[Tensor], Tensor]


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of logits [N] against soft targets [N] in [0, 1]."""
    return (softplus(logits) - target * logits).mean()


def targets(logits: Tensor, *, smoothing: float, noise: float) -> tuple[Tensor, Tensor]:
    """D's targets for reals and for fakes, of the shape of `logits`.

    smoothing: one-sided label smoothing, reals have the target 1 - smoothing (Salimans et al. 2016, section 3.4).
    noise: each target moves towards the opposite one by a uniform random number from [0, noise].
    """
    real, fake = torch.full_like(logits, 1 - smoothing), torch.zeros_like(logits)
    if noise:
        real, fake = real - noise * torch.rand_like(logits), fake + noise * torch.rand_like(logits)
    return real, fake


def minimax_d(real: Tensor, fake: Tensor, real_target: Tensor, fake_target: Tensor) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))] with soft targets (Goodfellow et al. 2014, equation 1)."""
    return cross_entropy(real, real_target) + cross_entropy(fake, fake_target)


def minimax_g(fake: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))]: saturates, as its gradient vanishes when D is certain (Goodfellow et al. 2014, equation 1)."""
    return -softplus(fake).mean()


def non_saturating_g(fake: Tensor) -> Tensor:
    """-E[log D(G(z))] (Goodfellow et al. 2014, section 3)."""
    return softplus(-fake).mean()


def wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[D(G(z))] - E[D(x)] (Arjovsky et al. 2017, equation 2)."""
    return fake.mean() - real.mean()


def wasserstein_g(fake: Tensor) -> Tensor:
    """-E[D(G(z))]."""
    return -fake.mean()


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (Miyato et al. 2018, equation 16; Lim & Ye 2017)."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


def hinge_g(fake: Tensor) -> Tensor:
    """-E[D(G(z))] (Miyato et al. 2018, equation 17)."""
    return -fake.mean()


def squares_d(real: Tensor, fake: Tensor, real_target: Tensor, fake_target: Tensor) -> Tensor:
    """E[(D(x) - 1)²] + E[D(G(z))²] with soft targets (least squares: Mao et al. 2017, equation 2, without its halves)."""
    return (real - real_target).square().mean() + (fake - fake_target).square().mean()


def squares_g(fake: Tensor) -> Tensor:
    """E[(D(G(z)) - 1)²]."""
    return (fake - 1).square().mean()


def relativistic_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(-(D(x) - D(G(z))))], paired by index (Jolicoeur-Martineau 2018; R3GAN, section 2.1)."""
    return softplus(fake - real).mean()


def relativistic_g(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(-(D(G(z)) - D(x)))]: D's loss with reals and fakes exchanged."""
    return softplus(real - fake).mean()


def at_least_float32(tensor: Tensor) -> Tensor:
    """Cast bf16 and fp16 to fp32, in which sums of squares are accurate enough; float64 is unchanged."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def gradient_norms(critic: Critic, images: Tensor) -> Tensor:
    """‖∇x D(x)‖₂ over all of C, H, W of each picture [N]; differentiable."""
    images = images.detach().requires_grad_(True)
    with inputs_only():
        (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    norms: Tensor = at_least_float32(gradient).flatten(1).norm(dim=1)
    return norms


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, *, one_sided: bool = False) -> Tensor:
    """E[(‖∇x̂ D(x̂)‖₂ - 1)²] on x̂ = εx + (1 - ε)G(z), ε uniform in [0, 1] (Gulrajani et al. 2017, equation 3).

    one_sided: penalise only norms above 1, max(0, ‖∇‖ - 1)². Some published code draws ε from a normal distribution, or
    takes the norm over the channels only; both differ from the paper's penalty, which this is.
    """
    epsilon = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    excess = gradient_norms(critic, epsilon * real + (1 - epsilon) * fake) - 1
    return (excess.clamp(min=0) if one_sided else excess).square().mean()


def r1(critic: Critic, real: Tensor) -> Tensor:
    """E[‖∇x D(x)‖²] on reals (Mescheder et al. 2018, equation 9); on fakes it is R2."""
    images = real.detach().requires_grad_(True)
    return squared_gradients(critic(images), images).mean()


def squared_gradients(scores: Tensor, images: Tensor) -> Tensor:
    """‖∇x D(x)‖² [N] for `scores` [N] computed from `images`, which must require gradients; its mean is `r1`."""
    with inputs_only():
        (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return at_least_float32(gradient).square().flatten(1).sum(1)


def squared_differences(scores: Tensor, images: Tensor, critic: Critic, *, step: float = 0.02) -> Tensor:
    """((D(x + hv) - D(x)) / h)² [N], v normal: ‖∇x D(x)‖² in expectation as h -> 0, noisier but of first order.

    critic: must be `repeatable`; other randomness would be divided by h. scores: its D(x) [N]. step: h, for pictures
    in [-1, 1].
    """
    shifted = critic(images + step * torch.randn_like(images))
    return ((shifted - scores) / step).square()


def repeatable(critic: Critic) -> Critic:
    """A critic whose augmentation and dropout use the same random numbers in every call."""
    seed = int(torch.randint(1 << 62, ()))

    def seeded(images: Tensor) -> Tensor:
        torch.manual_seed(seed)
        return critic(images)

    return seeded


def path_lengths(images: Tensor, w: Tensor) -> Tensor:
    """‖J_wᵀ y‖₂ [N], J_w = ∂images/∂w, y normal (Karras et al. 2020, section 3.2, equation 4); differentiable.

    images: [N, C, H, W], computed from w. w: [N, z], or [N, L, z] with one per layer; squared lengths are then averaged
    over the layers. y is divided by √(H W), so that lengths do not depend on the pictures' size.
    """
    y = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
    with inputs_only():
        (gradient,) = torch.autograd.grad((images * y).sum(), w, create_graph=True)
    gradient = at_least_float32(gradient)
    lengths: Tensor = gradient.flatten(1).norm(dim=1) / math.sqrt(gradient[0].numel() / gradient.shape[-1])
    return lengths
