"""Directions that the weights alone tell: in closed form, and as principal components.

closed form:           eigenvectors of AᵀA, A the matrix by which w enters    (SeFa: Shen & Zhou 2021, arXiv:2007.06600)
principal components:  of w where a mapping network makes it, else of the first activations, regressed back to w
                       (GANSpace: Härkönen et al. 2020, arXiv:2004.02546)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from simulacra.generator import Generator, Layers

SAMPLES = 1024  # w that components are computed from
ENTRY = 4  # pictures drawn to see where w enters


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """An axis [w_dim] of length 1, and how it was found."""

    axis: Tensor
    kind: str
    layers: Layers = None


def embedded(generator: Generator, seeds: range) -> Tensor:
    """The w [N, w] of seeds, with what tells of their labels where w is z."""
    return generator.mapping(generator.seeded(seeds), generator.labelled(seeds))


@torch.no_grad()
def sefa(generator: Generator, count: int) -> list[Candidate]:
    """The `count` axes that the first affine layers stretch most; for styled generators of all layers and of each range."""
    matrices = entries(generator)
    found = []
    for kind, layers in ranges(generator):
        chosen = [matrix for layer, matrix in matrices if layers is None or layers[0] <= layer < layers[1]]
        if chosen:
            a = torch.cat(chosen).double()
            vectors = torch.linalg.eigh(a.T @ a).eigenvectors.flip(1)  # largest first
            found += [Candidate(axis=v.float(), kind=kind, layers=layers) for v in vectors.T[:count]]
    return found


def ranges(generator: Generator) -> list[tuple[str, Layers]]:
    """All layers, and where there are several: the coarse, middle and fine third of them."""
    whole: list[tuple[str, Layers]] = [("sefa", None)]
    n = generator.num_ws
    if n < 6:
        return whole
    cuts = [0, n // 3, 2 * n // 3, n]
    names = ("coarse", "middle", "fine")
    return whole + [(f"sefa {name}", (cuts[i], cuts[i + 1])) for i, name in enumerate(names)]


@torch.no_grad()
def entries(generator: Generator) -> list[tuple[int, Tensor]]:
    """The matrices [outputs, w_dim] by which w enters, each with its layer; 0 and only the first for plain generators."""
    w = embedded(generator, range(ENTRY))
    if generator.num_ws:
        many = embedded(generator, range(ENTRY * generator.num_ws))
        w = many.reshape(generator.num_ws, ENTRY, -1).transpose(0, 1).contiguous()  # every layer another w
    found: list[tuple[int, Tensor]] = []
    seen: list[tuple[nn.Module, Tensor]] = []
    with watched(generator, lambda module, x: seen.append((module, x))):
        generator.synthesis(w)
    for module, x in seen:
        layer = _layer(generator, w, x)
        if layer is not None:
            found.append((layer, matrix(module, x, generator.w_dim)))
    return found if generator.num_ws else found[:1]


def matrix(module: nn.Module, x: Tensor, size: int) -> Tensor:
    """[outputs, size]: how the output of an affine module changes with each of the first `size` numbers of x[:1]."""
    flat = x[:1].flatten(1)
    steps = torch.zeros(size, flat.shape[1], dtype=x.dtype, device=x.device)
    steps.fill_diagonal_(1.0)
    both = torch.cat([torch.zeros_like(flat), steps]).reshape(-1, *x.shape[1:])
    out: Tensor = module(both).flatten(1)
    return (out[1:] - out[:1]).T


@torch.no_grad()
def components(generator: Generator, count: int, *, first: int = 0, samples: int = SAMPLES) -> list[Candidate]:
    """The `count` axes along which w varies most; for plain generators, along which the first activations do."""
    w = embedded(generator, range(first, first + samples))
    if generator.num_ws:
        _, _, axes = torch.linalg.svd(w - w.mean(0), full_matrices=False)
        return [Candidate(axis=axis, kind="pca") for axis in axes[:count]]
    x = torch.cat([_first_activations(generator, part) for part in torch.split(w, 64)])
    x = x - x.mean(0)
    # The Gram matrix of the samples has the same components as the covariance of the activations, which is larger.
    values, vectors = torch.linalg.eigh((x @ x.T).double())
    coordinates = vectors.flip(1)[:, :count] * values.flip(0)[:count].clamp(min=0).sqrt()  # [N, count]
    z = w[:, : generator.w_dim].double()
    axes = torch.linalg.lstsq(coordinates, z - z.mean(0)).solution  # z from the coordinates
    return [Candidate(axis=(axis / axis.norm()).float(), kind="pca") for axis in axes if axis.norm() > 0]


def _first_activations(generator: Generator, w: Tensor) -> Tensor:
    """[N, D]: what the layer after the one that w enters is given; the picture where there is none."""
    entered: list[Tensor] = []

    def look(x: Tensor) -> None:
        if entered:
            raise _Enough(x)
        if _layer(generator, w, x) is not None:
            entered.append(x)

    try:
        with watched(generator, lambda _, x: look(x)):
            return generator.synthesis(w).flatten(1).float()
    except _Enough as enough:
        return enough.x.flatten(1).float()


class _Enough(Exception):
    """Ends a drawing of which no more is wanted: the layers that follow cost nearly all of it."""

    def __init__(self, x: Tensor) -> None:
        self.x = x


def _layer(generator: Generator, w: Tensor, x: Tensor) -> int | None:
    """Which layer's w an input x is, or begins with; None where it is something else."""
    size, flat = generator.w_dim, x.flatten(1)
    if flat.shape[1] < size or len(flat) != len(w):
        return None
    for layer, each in enumerate(w.unbind(1) if w.dim() == 3 else [w]):
        if torch.allclose(flat[:, :size], each[:, :size], rtol=1e-4, atol=1e-6):
            return layer
    return None


@contextmanager
def watched(generator: Generator, look: Callable[[nn.Module, Tensor], None]) -> Iterator[None]:
    """`look` is shown each layer with a weight matrix or kernels, and what it is given, in the order of the work."""

    def shown(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        look(module, inputs[0].detach())

    weighty = [module for module in generator.modules() if _weighs(module)]
    hooks = [module.register_forward_pre_hook(shown) for module in weighty]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _weighs(module: nn.Module) -> bool:
    weight = dict(module.named_parameters(recurse=False)).get("weight")
    return weight is not None and weight.dim() >= 2
