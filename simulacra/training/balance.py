"""Who plays next: K plays of D to one of G, or whoever is behind."""

from __future__ import annotations

import torch
from torch import Tensor

from simulacra.errors import SimulacraError

D_TURN = 5  # plays that D gets when the adaptive rule calls it


def accuracies(real: Tensor, fake: Tensor, *, critic: bool) -> tuple[Tensor, Tensor]:
    """(acc_d, acc_g): D's share of right calls and G's share of fakes that fool D.

    With a probability: a call is right when the logit has the right sign. For a critic: acc_g is the share of
    fakes above the mean score of the reals, acc_d the share of pairs with the real above the fake.
    """
    if critic:
        return (real[:, None] > fake[None, :]).float().mean(), (fake > real.mean()).float().mean()
    fooled = (fake > 0).float().mean()
    return ((real > 0).float().mean() + 1 - fooled) / 2, fooled


class Fixed:
    """K plays of D, then one of G."""

    def __init__(self, ratio: int) -> None:
        self.ratio, self.turn = ratio, 0

    def next(self) -> str:
        """ "D" or "G"."""
        return "G" if self.turn % (self.ratio + 1) == self.ratio else "D"

    def shows(self, player: str) -> bool:
        """Whether this play uses up pictures of the data: D's plays do, G's answer to the same ones."""
        return player == "D"

    def update(self, player: str, stats: dict[str, Tensor]) -> None:
        """Take note of a finished play."""
        self.turn += 1

    def state_dict(self) -> dict[str, object]:
        """What an exact resume needs."""
        return {"turn": self.turn}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from `state_dict()`."""
        self.turn = int(state["turn"])  # type: ignore[call-overload]


class Adaptive:
    """When acc_g / 2 >= acc_d on the last minibatch, D plays the next five times; else G plays.

    Reals are scored only when D plays, so a play of G is judged against D's last reals. Each play uses up a
    minibatch of the data, whoever plays: an epoch is one pass over the minibatches.
    """

    def __init__(self, *, critic: bool) -> None:
        self.critic, self.turn = critic, D_TURN  # D opens
        self.reals: Tensor | None = None

    def next(self) -> str:
        """ "D" or "G"."""
        return "D" if self.turn else "G"

    def shows(self, player: str) -> bool:
        """Every play uses up a minibatch."""
        return True

    def update(self, player: str, stats: dict[str, Tensor]) -> None:
        """Take note of a finished play; this reads one number back from the device when a turn ends."""
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
        """Go on from `state_dict()`."""
        self.turn = int(state["turn"])  # type: ignore[call-overload]
        reals = state["reals"]
        self.reals = reals if isinstance(reals, torch.Tensor) else None


def make(spec: str, *, critic: bool) -> Fixed | Adaptive:
    """`adaptive` or `fixed:K`. Raises `SimulacraError` for anything else."""
    if spec == "adaptive":
        return Adaptive(critic=critic)
    kind, _, ratio = spec.partition(":")
    if kind == "fixed" and ratio.isdecimal() and 1 <= int(ratio) <= 1000:
        return Fixed(int(ratio))
    raise SimulacraError(
        f"The balance is {spec!r}; it must be adaptive or fixed:K, for example fixed:5 for five plays of D to one of G."
    )
