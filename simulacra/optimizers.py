"""Torch's optimizers without two costs: a copy of each channels-last weight at a step, and a second at each start."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor


def _light(optimizer: type[Any]) -> type[Any]:
    """The class without the wrappers of torch that import its compiler, which takes a second."""
    for name in ("add_param_group", "state_dict", "load_state_dict", "zero_grad"):
        setattr(optimizer, name, inspect.unwrap(getattr(optimizer, name)))
    optimizer.step = torch.no_grad()(inspect.unwrap(optimizer.step))
    return optimizer


@_light
class Adam(torch.optim.Adam):
    """`torch.optim.Adam(fused=True)`, with the same results and state.

    On a CPU torch's own copies each weight that is not in the order of its shape, as channels-last ones are, at every
    step. Here each weight goes to the same kernel as a view of its memory.
    """

    def __init__(self, parameters: Any, lr: float, betas: tuple[float, float]) -> None:
        super().__init__(parameters, lr, betas, fused=True)

    def _init_group(self, group: Any, parameters: Any, gradients: Any, *state: Any) -> bool:
        complex_ = bool(super()._init_group(group, parameters, gradients, *state))  # type: ignore[no-untyped-call]
        *moments, _steps = state
        for i, parameter in enumerate(parameters):
            if not parameter.is_contiguous():
                order = memory_order(parameter)
                for tensors in (parameters, gradients, *moments):
                    if tensors:
                        tensors[i] = tensors[i].detach().permute(order)
            gradients[i] = gradients[i].contiguous()  # the kernel reads memory, whatever the strides
        return complex_


@_light
class RMSprop(torch.optim.RMSprop):
    """`torch.optim.RMSprop(foreach=True)`."""

    def __init__(self, parameters: Any, lr: float, alpha: float) -> None:
        super().__init__(parameters, lr, alpha, foreach=True)


def memory_order(tensor: Tensor) -> list[int]:
    """The tensor's dimensions from the largest stride to the smallest: permuted so, a dense tensor is contiguous."""
    strides = tensor.stride()
    return sorted(range(tensor.dim()), key=lambda dim: -strides[dim])
