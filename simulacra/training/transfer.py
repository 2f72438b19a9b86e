"""Tensors of a pretrained network for another one, which may be for another size, other channels or other labels."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from simulacra.layers import ConditionalNorm, LabelProjection, PictureOrder


@dataclass(frozen=True)
class Transfer:
    """What a network takes over: so many `tensors` of its `total` float ones.

    lower: parameters of the half of its layers nearest the picture, as far as these are taken over unchanged.
    """

    tensors: int
    total: int
    lower: tuple[nn.Parameter, ...]


@torch.no_grad()
def transfer(source: nn.Module, target: nn.Module, channels: tuple[int, int], *, sums: bool) -> Transfer:
    """Copy to `target` all tensors of `source` at the same place and of the same shape.

    A layer's place counts from the picture; see `PictureOrder`. Where labels differ, norms do for each label what they
    did on average. Where only the channels of the pictures differ, grey turns into colours or colours into grey.

    channels: of the pictures of source and target. sums: the network adds up the channels, as D does.
    """
    old, new = _tensors(source), _tensors(target)
    common = {place for place in new if place in old and _copy(old[place], new[place], channels, sums=sums)}
    norms = _norms(source)
    for place, norm in _norms(target).items():
        scale = f"{place}.affine.weight" if isinstance(norm, ConditionalNorm) else f"{place}.weight"
        if scale not in common and place in norms and _copy_affine(norms[place], norm):
            common |= {scale, scale.removesuffix("weight") + "bias"}
    for module in target.modules():
        if isinstance(module, LabelProjection) and not any(module.embedding.weight is new[place] for place in common):
            nn.init.zeros_(module.embedding.weight)  # the rest of the logit is trained already

    unchanged = {id(new[place]) for place in common if place in old and old[place].shape == new[place].shape}
    layers = [list(layer.parameters()) for layer in _layers(target)]
    layers = [parameters for parameters in layers if parameters]
    whole = itertools.takewhile(lambda parameters: all(id(p) in unchanged for p in parameters), layers)
    lower = itertools.chain(*itertools.islice(whole, len(layers) // 2))
    return Transfer(len(common), len(new), tuple(lower))


def _layers(network: nn.Module) -> list[nn.Module]:
    """The layers with tensors in order from the picture; empty for a network that does not list them."""
    layers = network.layers_from_picture() if isinstance(network, PictureOrder) else []
    return [layer for layer in layers if layer.state_dict()]


def _places(network: nn.Module) -> dict[str, str]:
    """The place of each module by its name: its layer's number from the picture and the rest of the name, or the name."""
    numbers = {id(layer): f"{number}" for number, layer in enumerate(_layers(network))}
    places = dict[str, str]()
    for name, module in network.named_modules():
        parent, _, own = name.rpartition(".")
        if parent and isinstance(network.get_submodule(parent), ConditionalNorm) and own == "norm":
            places[name] = places[parent]  # where a norm without labels has its statistics
        else:
            places[name] = numbers.get(id(module)) or f"{places.get(parent, '')}.{own}"
    return places


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """Float parameters and buffers by place."""
    places = _places(network)
    named = ((*name.rpartition("."), tensor) for name, tensor in network.state_dict(keep_vars=True).items())
    return {f"{places[path]}.{own}": tensor for path, _, own, tensor in named if tensor.is_floating_point()}


def _copy(old: Tensor, new: Tensor, channels: tuple[int, int], *, sums: bool) -> bool:
    """Copy a tensor if its shape allows it; returns whether it did."""
    if old.shape == new.shape:
        new.copy_(old)
        return True
    differing = [dim for dim, sizes in enumerate(zip(old.shape, new.shape, strict=False)) if sizes[0] != sizes[1]]
    if old.dim() != new.dim() or len(differing) != 1:
        return False
    (dim,) = differing
    if (old.shape[dim], new.shape[dim]) != channels:
        return False
    before, after = (min(count, 3) for count in channels)  # without alpha, which starts anew
    colours = old.narrow(dim, 0, before)
    if before != after:
        mean = colours.mean(dim, keepdim=True)
        colours = (mean * before / after if sums else mean).repeat_interleave(after, dim)
    new.narrow(dim, 0, after).copy_(colours)
    return True


def _norms(network: nn.Module) -> dict[str, nn.Module]:
    """Norms with gains and biases by place."""
    plain = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)
    places = _places(network)
    return {
        places[name]: module
        for name, module in network.named_modules()
        if isinstance(module, ConditionalNorm) or (isinstance(module, plain) and module.affine)
    }


def _copy_affine(old: Any, new: Any) -> bool:
    """Copy a norm's gains and biases for the average label, for all labels; returns whether the channels agree.

    What z does to them is copied, too, where both norms depend on equally many numbers of it.
    """
    gain, bias = _affine(old)
    if gain.shape != _affine(new)[0].shape:
        return False
    if isinstance(new, ConditionalNorm):
        new.affine.bias.copy_(torch.cat([gain - 1, bias]))
        nn.init.zeros_(new.affine.weight)
        if new.latent and isinstance(old, ConditionalNorm) and old.latent == new.latent:
            new.affine.weight[:, : new.latent].copy_(old.affine.weight[:, : old.latent])
    else:
        new.weight.copy_(gain)
        new.bias.copy_(bias)
    return True


def _affine(norm: Any) -> tuple[Tensor, Tensor]:
    """A norm's gains and biases [channels], for z = 0 and the average label."""
    if not isinstance(norm, ConditionalNorm):
        return norm.weight, norm.bias
    of_labels = norm.affine.weight[:, norm.latent :]
    gain, bias = (norm.affine.bias + (of_labels.mean(1) if of_labels.shape[1] else 0)).chunk(2)
    return gain + 1, bias
