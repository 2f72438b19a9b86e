"""Whose step is next: K steps of D to one of G, or adaptive."""

from __future__ import annotations

import torch
from torch import Tensor

from simulacra.errors import SimulacraError

D_TURN = 5  # steps of D in a row when the adaptive rule calls it


def accuracies(real: Tensor, fake: Tensor, *, critic: bool) -> tuple[Tensor, Tensor]:
    """(acc_d, acc_g): D's accuracy, and the share of fakes that fool D. real, fake: D's outputs [N].

    A logit is right when its sign is. For a critic, acc_d is the share of pairs with the real above the fake, and
    acc_g the share of fakes above the mean score of the reals.
    """
    if critic:
        return (real[:, None] > fake[None, :]).float().mean(), (fake > real.mean()).float().mean()
    fooled = (fake > 0).float().mean()
    return ((real > 0).float().mean() + 1 - fooled) / 2, fooled


class FixedBalance:
    """K steps of D, then one of G."""

    def __init__(self, ratio: int) -> None:
        self.ratio, self.turn = ratio, 0

    def next(self) -> str:
        """ "D" or "G"."""
        return "G" if self.turn % (self.ratio + 1) == self.ratio else "D"

    def uses_images(self, player: str) -> bool:
        """Whether a step advances the clock: steps of D do, those of G see the next batch without using it."""
        return player == "D"

    def update(self, player: str, stats: dict[str, Tensor]) -> None:
        """Count a finished step."""
        self.turn += 1

    def state_dict(self) -> dict[str, object]:
        """What an exact resume needs."""
        return {"turn": self.turn}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from `state_dict()`."""
        self.turn = int(state["turn"])  # type: ignore[call-overload]


class AdaptiveBalance:
    """When acc_g / 2 >= acc_d on the last batch, the next five steps are D's; else the next step is G's.

    Reals are scored only in steps of D, so fakes of a step of G are compared with D's last reals. Every step, of D or
    of G, uses a batch of the data: an epoch is one pass over the batches.
    """

    def __init__(self, *, critic: bool) -> None:
        self.critic, self.turn = critic, D_TURN  # D begins
        self.reals: Tensor | None = None

    def next(self) -> str:
        """ "D" or "G"."""
        return "D" if self.turn else "G"

    def uses_images(self, player: str) -> bool:
        """Every step advances the clock."""
        return True

    def update(self, player: str, stats: dict[str, Tensor]) -> None:
        """Count a finished step; this waits for one number from the device when D's turn ends."""
        if player == "D":
            self.reals = stats["real"]
            self.turn -= 1
        if not self.turn:
            assert self.reals is not None
            right, fooled = accuracies(self.reals, stats["fake"], critic=self.critic)
            self.turn = D_TURN if bool(fooled / 2 >= right) else 0

    def state_dict(self) -> dict[str, object]:
        """What an exact resume needs."""
        return {"turn": self.turn, "reals": self.reals}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from `state_dict()`."""
        self.turn = int(state["turn"])  # type: ignore[call-overload]
        reals = state["reals"]
        self.reals = reals if isinstance(reals, torch.Tensor) else None


def make(spec: str, *, critic: bool) -> FixedBalance | AdaptiveBalance:
    """`adaptive` or `fixed:K`. Raises `SimulacraError` for anything else."""
    if spec == "adaptive":
        return AdaptiveBalance(critic=critic)
    kind, _, ratio = spec.partition(":")
    if kind == "fixed" and ratio.isdecimal() and 1 <= int(ratio) <= 1000:
        return FixedBalance(int(ratio))
    raise SimulacraError("train.unknown_balance", spec=spec)
