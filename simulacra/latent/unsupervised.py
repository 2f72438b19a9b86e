"""Directions from the weights alone: in closed form, and as principal components.

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

SAMPLES = 1024  # w for the principal components
PROBES = 4  # pictures drawn to find the layers that w enters
BATCH = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """An axis [w_dim] of length 1, the method that found it, and the layers where it acts."""

    axis: Tensor
    kind: str
    layers: Layers = None


def seeds_to_w(generator: Generator, seeds: range) -> Tensor:
    """The w [N, w] of seeds, with the label beside it where w is z."""
    return generator.mapping(generator.seeded(seeds), generator.conditions(seeds))


@torch.no_grad()
def sefa(generator: Generator, count: int) -> list[Candidate]:
    """The `count` axes that the first affine layers stretch most: of all layers, and of each range of them."""
    matrices = entry_matrices(generator)
    candidates = []
    for kind, layers in layer_ranges(generator):
        part = [matrix for layer, matrix in matrices if layers is None or layers[0] <= layer < layers[1]]
        if part:
            a = torch.cat(part).double()
            vectors = torch.linalg.eigh(a.T @ a).eigenvectors.flip(1)  # largest first
            candidates += [Candidate(axis=v.float(), kind=kind, layers=layers) for v in vectors.T[:count]]
    return candidates


def layer_ranges(generator: Generator) -> list[tuple[str, Layers]]:
    """All layers; with six or more, also the coarse, middle and fine third of them."""
    whole: list[tuple[str, Layers]] = [("sefa", None)]
    n = generator.num_ws
    if n < 6:
        return whole
    cuts = [0, n // 3, 2 * n // 3, n]
    names = ("coarse", "middle", "fine")
    return whole + [(f"sefa {name}", (cuts[i], cuts[i + 1])) for i, name in enumerate(names)]


@torch.no_grad()
def entry_matrices(generator: Generator) -> list[tuple[int, Tensor]]:
    """The matrices [outputs, w_dim] by which w enters, each with its layer; for plain generators only the first."""
    w = seeds_to_w(generator, range(PROBES))
    if generator.num_ws:
        probes = seeds_to_w(generator, range(PROBES * generator.num_ws))
        w = probes.reshape(generator.num_ws, PROBES, -1).transpose(0, 1).contiguous()  # another w for every layer
    matrices: list[tuple[int, Tensor]] = []
    inputs: list[tuple[nn.Module, Tensor]] = []
    with watch_inputs(generator, lambda module, x: inputs.append((module, x))):
        generator.synthesis(w)
    for module, x in inputs:
        layer = _entered_layer(generator, w, x)
        if layer is not None:
            matrices.append((layer, affine_matrix(module, x, generator.w_dim)))
    return matrices if generator.num_ws else matrices[:1]


def affine_matrix(module: nn.Module, x: Tensor, size: int) -> Tensor:
    """The derivative [outputs, size] of an affine module's output by each of the first `size` numbers of x[:1]."""
    flat = x[:1].flatten(1)
    steps = torch.zeros(size, flat.shape[1], dtype=x.dtype, device=x.device)
    steps.fill_diagonal_(1.0)
    batch = torch.cat([torch.zeros_like(flat), steps]).reshape(-1, *x.shape[1:])
    out: Tensor = module(batch).flatten(1)
    return (out[1:] - out[:1]).T


@torch.no_grad()
def components(generator: Generator, count: int, *, first: int = 0, samples: int = SAMPLES) -> list[Candidate]:
    """The `count` axes along which w varies most; for plain generators, along which the first activations do."""
    w = seeds_to_w(generator, range(first, first + samples))
    if generator.num_ws:
        _, _, axes = torch.linalg.svd(w - w.mean(0), full_matrices=False)
        return [Candidate(axis=axis, kind="pca") for axis in axes[:count]]
    x = torch.cat([_first_activations(generator, part) for part in torch.split(w, BATCH)])
    x = x - x.mean(0)
    # The Gram matrix of the samples has the same components as the covariance of the activations, which is larger.
    values, vectors = torch.linalg.eigh((x @ x.T).double())
    coordinates = vectors.flip(1)[:, :count] * values.flip(0)[:count].clamp(min=0).sqrt()  # [N, count]
    z = w[:, : generator.w_dim].double()
    axes = torch.linalg.lstsq(coordinates, z - z.mean(0)).solution  # z from the coordinates
    return [Candidate(axis=(axis / axis.norm()).float(), kind="pca") for axis in axes if axis.norm() > 0]


def _first_activations(generator: Generator, w: Tensor) -> Tensor:
    """The input [N, D] of the layer after the one that w enters; the picture where there is none."""
    entered: list[Tensor] = []

    def look(x: Tensor) -> None:
        if entered:
            raise _Stop(x)
        if _entered_layer(generator, w, x) is not None:
            entered.append(x)

    try:
        with watch_inputs(generator, lambda _, x: look(x)):
            return generator.synthesis(w).flatten(1).float()
    except _Stop as stop:
        return stop.x.flatten(1).float()


class _Stop(Exception):
    """Ends a forward pass early: the layers that follow cost nearly all of it."""

    def __init__(self, x: Tensor) -> None:
        self.x = x


def _entered_layer(generator: Generator, w: Tensor, x: Tensor) -> int | None:
    """The layer whose w an input x is, or begins with; None if it is something else."""
    size, flat = generator.w_dim, x.flatten(1)
    if flat.shape[1] < size or len(flat) != len(w):
        return None
    for layer, layer_w in enumerate(w.unbind(1) if w.dim() == 3 else [w]):
        if torch.allclose(flat[:, :size], layer_w[:, :size], rtol=1e-4, atol=1e-6):
            return layer
    return None


@contextmanager
def watch_inputs(generator: Generator, look: Callable[[nn.Module, Tensor], None]) -> Iterator[None]:
    """Call `look` with each module that has a weight matrix or kernels, and its input, in forward order."""

    def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        look(module, inputs[0].detach())

    handles = [module.register_forward_pre_hook(hook) for module in generator.modules() if _has_weight(module)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _has_weight(module: nn.Module) -> bool:
    weight = dict(module.named_parameters(recurse=False)).get("weight")
    return weight is not None and weight.dim() >= 2
