"""A linear layer between numbers and whole pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDE = 1 << 15  # numbers; 104 x 104 px in colour


class Linear(nn.Linear):
    """`nn.Linear`, in fp32 where one side has `WIDE` numbers or more.

    oneDNN's bf16 product of torch 2.13 divides by zero for some sums of that length on processors with AMX, such as 32
    pictures of 128 x 128 px in colour (32 x 49152), 16 x 98304 and 8 x 196608: the process is killed by SIGFPE.
    """

    def forward(self, input: Tensor) -> Tensor:
        """[N, in] -> [N, out]."""
        if max(self.in_features, self.out_features) < WIDE:
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())
