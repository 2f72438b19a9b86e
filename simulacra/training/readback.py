"""Numbers of a step that the host needs: read from the device some steps later, so that no step waits for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from simulacra import distributed

CHECK_EVERY = 32  # steps between checks of the losses on an accelerator
LAG = 4  # steps after which flags are read from an accelerator

Flags = Callable[[], list[bool]]


class HostCopy:
    """A small tensor [n] on its way to the host. Reading it waits for no work that was queued after it."""

    def __init__(self, values: Tensor) -> None:
        self.values, self.event = values.detach(), None
        if values.device.type == "cuda":
            self.values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self.values.copy_(values.detach(), non_blocking=True)
            self.event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self.event.record()

    def read(self) -> list[float]:
        """The numbers."""
        if self.event is not None:
            self.event.synchronize()
        numbers: list[float] = self.values.tolist()
        return numbers


class LossWatch:
    """Finds losses that are not finite: at once on a CPU, and `CHECK_EVERY` to twice as many steps later on an accelerator."""

    def __init__(self, device: torch.device) -> None:
        self.every = 1 if device.type == "cpu" else CHECK_EVERY
        self.clear()

    def clear(self) -> None:
        """Forget the losses that were not checked."""
        self.losses, self.coming = list[tuple[int, Tensor]](), deque[tuple[list[int], HostCopy]]()

    def add(self, step: int, loss: Tensor) -> int | None:
        """Add a step's loss; returns the first step known to have one that is not finite."""
        self.losses.append((step, loss))
        return self.first(wait=self.every == 1) if len(self.losses) >= self.every else None

    def first(self, *, wait: bool = True) -> int | None:
        """The first step whose loss was not finite; without `wait` the newest losses are left for the next call."""
        if self.losses:
            finite = torch.isfinite(torch.stack([loss for _, loss in self.losses]))
            self.coming.append(([step for step, _ in self.losses], HostCopy(finite)))
            self.losses = []
        while len(self.coming) > (not wait):
            steps, finite_copy = self.coming.popleft()
            for step, is_finite in zip(steps, finite_copy.read(), strict=True):
                if not is_finite:
                    return step
        return None


class SharedFlags:
    """Flags that hold in all processes once one of them sets them, at the same step in each.

    They travel with the gradients of a step, and are read at the next one on a CPU, `LAG` steps later on an accelerator. A
    flag must stay set until it is acted on.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.lag = device, 0 if device.type == "cpu" else LAG
        self.start()

    def start(self) -> None:
        """Begin anew: the first flags are those of now."""
        self.own, self.coming = list[bool](), deque[HostCopy]()

    def agreed(self, flags: Flags) -> list[bool]:
        """The flags that have arrived from all processes; those of now before the first step, and in one process alone."""
        if distributed.world() == 1 or not self.own:
            return distributed.agree(*flags())
        if len(self.coming) <= self.lag:
            return [False] * len(self.own)
        return [value > 0 for value in self.coming.popleft().read()]

    def send(self, flags: Flags) -> None:
        """Send this process's flags with the next step."""
        if distributed.world() > 1:
            self.own = flags()

    def tensor(self) -> Tensor:
        """This process's flags, as a step sends them."""
        return torch.tensor(self.own, dtype=torch.float32).to(self.device, non_blocking=True)

    def arrived(self, sums: Tensor) -> None:
        """Take the flags of all processes, added up by a step."""
        if self.own:
            self.coming.append(HostCopy(sums.clone()))

    def forget(self) -> None:
        """Drop flags on their way: what they asked for was done."""
        self.coming.clear()
