"""Whose step is next, on hand-made logits, and how the trainer follows it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import advance, make_trainer
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.training.balance import D_TURN, AdaptiveBalance, FixedBalance, accuracies, make


def of(*values: float) -> Tensor:
    return torch.tensor([float(value) for value in values])


def measured(real: Tensor, fake: Tensor, *, critic: bool) -> tuple[float, float]:
    right, fooled = accuracies(real, fake, critic=critic)
    return right.item(), fooled.item()


@pytest.mark.parametrize(
    ("real", "fake", "acc_d", "acc_g"),
    [
        (of(3, 2), of(-1, -5), 1.0, 0.0),  # D calls all right
        (of(-3, -2), of(1, 5), 0.0, 1.0),  # and all wrong
        (of(3, -2), of(1, -5), 0.5, 0.5),
        (of(3, 1, 1, 1), of(1, -5, -5, -5), 0.875, 0.25),
        (of(0, 0), of(0, 0), 0.5, 0.0),  # a logit of 0 is no call for real
    ],
)
def test_accuracies_with_a_probability(real: Tensor, fake: Tensor, acc_d: float, acc_g: float) -> None:
    assert measured(real, fake, critic=False) == pytest.approx((acc_d, acc_g))


@pytest.mark.parametrize(
    ("real", "fake", "acc_d", "acc_g"),
    [
        (of(10, 12), of(1, 2), 1.0, 0.0),  # far above 0, and yet well separated
        (of(-9, -7), of(-1, -2), 0.0, 1.0),
        (of(0, 4), of(1, 3), 0.5, 0.5),  # mean real 2; pairs 0<1, 0<3, 4>1, 4>3
        (of(0, 4), of(3, 3), 0.5, 1.0),
        (of(1, 1, 4), of(3, 0), 4 / 6, 0.5),
        (of(2, 2), of(2, 2), 0.0, 0.0),
    ],
)
def test_accuracies_of_a_critic(real: Tensor, fake: Tensor, acc_d: float, acc_g: float) -> None:
    assert measured(real, fake, critic=True) == pytest.approx((acc_d, acc_g))


@given(st.lists(st.floats(-50, 50, width=32), min_size=1), st.lists(st.floats(-50, 50, width=32), min_size=1))
def test_accuracies_are_shares_and_a_critic_s_do_not_mind_a_shift(reals: list[float], fakes: list[float]) -> None:
    real, fake = torch.tensor(reals, dtype=torch.float64), torch.tensor(fakes, dtype=torch.float64)
    for critic in (False, True):
        assert all(0 <= share <= 1 for share in measured(real, fake, critic=critic))
    pairs = sum(r > f for r in reals for f in fakes) / (len(reals) * len(fakes))
    assert measured(real, fake, critic=True)[0] == pytest.approx(pairs)
    right = (sum(r > 0 for r in reals) / len(reals) + sum(f <= 0 for f in fakes) / len(fakes)) / 2
    assert measured(real, fake, critic=False)[0] == pytest.approx(right)


@pytest.mark.parametrize("ratio", [1, 2, 5])
def test_fixed_is_k_steps_of_d_to_one_of_g(ratio: int) -> None:
    rule = make(f"fixed:{ratio}", critic=False)
    players = []
    for _ in range(3 * (ratio + 1)):
        players.append(rule.next())
        rule.update(players[-1], {})
    assert players == (["D"] * ratio + ["G"]) * 3
    assert isinstance(rule, FixedBalance)
    assert rule.uses_images("D") and not rule.uses_images("G")


D_IS_BEHIND = {"real": of(-1, -1), "fake": of(1, 1)}
D_IS_AHEAD = {"real": of(1, 1), "fake": of(-1, -1)}


def test_adaptive_gives_d_five_steps_whenever_it_is_behind() -> None:
    rule = AdaptiveBalance(critic=False)

    def turn(stats: dict[str, Tensor]) -> str:
        player = rule.next()
        rule.update(player, stats if player == "D" else {"fake": stats["fake"]})
        return player

    assert "".join(turn(D_IS_AHEAD) for _ in range(D_TURN)) == "DDDDD"  # D opens
    assert "".join(turn(D_IS_AHEAD) for _ in range(3)) == "GGG"  # ahead: it is G for as long as that holds
    assert turn({"fake": of(1, 1)}) == "G"  # fooled by all, yet acc_d was 1/2 on its reals: 1/2 >= 1/2, D's turn
    assert "".join(turn(D_IS_BEHIND) for _ in range(D_TURN)) == "DDDDD"
    assert "".join(turn(D_IS_BEHIND) for _ in range(D_TURN)) == "DDDDD"  # still behind after its turn: another one
    assert "".join(turn(D_IS_AHEAD) for _ in range(D_TURN)) == "DDDDD"
    assert turn(D_IS_AHEAD) == "G"


@pytest.mark.parametrize(
    ("fake", "player"),
    [(of(1, 1, 1, -1), "G"), (of(1, 1, 1, 1), "D")],  # acc_g/2 = 3/8 < acc_d = 5/8; then 1/2 >= 1/2
)
def test_the_adaptive_rule_at_its_edge(fake: Tensor, player: str) -> None:
    rule = AdaptiveBalance(critic=False)
    for _ in range(D_TURN):
        rule.update("D", {"real": of(1, 1, 1, 1), "fake": fake})
    assert rule.next() == player


def test_adaptive_goes_on_from_its_state() -> None:
    chance = torch.Generator().manual_seed(0)
    batches = [{k: torch.randn(4, generator=chance) - 0.3 for k in ("real", "fake")} for _ in range(60)]

    def follow(rule: AdaptiveBalance, stats: list[dict[str, Tensor]]) -> str:
        players = ""
        for outputs in stats:
            player = rule.next()
            rule.update(player, outputs if player == "D" else {"fake": outputs["fake"]})
            players += player
        return players

    whole, first, second = (AdaptiveBalance(critic=True) for _ in range(3))
    expected = follow(whole, batches)
    assert {"D", "G"} <= set(expected[10:])
    begun = follow(first, batches[:17])
    second.load_state_dict(first.state_dict())
    assert begun + follow(second, batches[17:]) == expected


@pytest.mark.parametrize(
    "spec", ["fixed", "fixed:", "fixed:0", "fixed:-1", "fixed:1.5", "fair", "adaptive:3", "fixed:9999"]
)
def test_another_rule_is_refused(spec: str) -> None:
    with pytest.raises(SimulacraError) as caught:
        make(spec, critic=False)
    assert caught.value.code == "train.unknown_balance" and caught.value.values == {"spec": spec}


def test_the_trainer_follows_and_counts(tmp_path: Path) -> None:
    """With fixed:K D's steps use up pictures; with adaptive every step does."""
    fixed = advance(make_trainer("mlp:tiny", tmp_path, balance="fixed:3", batch=4), 8)
    assert fixed.steps == {"D": 6, "G": 2}
    assert fixed.nimg == 6 * 4
    adaptive = advance(make_trainer("mlp:tiny", tmp_path, balance="adaptive", batch=4), 12)
    assert adaptive.steps["D"] >= D_TURN and sum(adaptive.steps.values()) == 12
    assert adaptive.nimg == 12 * 4


def test_g_answers_to_the_pictures_that_come_next(tmp_path: Path) -> None:
    """Batches of a run are consecutive: no picture is skipped and none comes twice within a pass."""
    trainer = make_trainer("mlp:tiny", tmp_path, balance="fixed:1", batch=8)
    starts = []
    batch = trainer.feed.batch
    trainer.feed.batch = lambda start, count: (starts.append((trainer.balance.next(), start)), batch(start, count))[1]  # type: ignore
    advance(trainer, 6)
    assert [start for player, start in starts if player == "D"] == [0, 8, 16]
    assert list(islice((player for player, _ in starts), 4)) == ["D", "G", "D", "G"]
