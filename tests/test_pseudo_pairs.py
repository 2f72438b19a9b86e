"""PseudoPairBank between two domains: the plan against brute force, the memory against a plain list, the term in CycleGAN's loss."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import advance, build, differences, make_trainer, noise, paired, snapshot
from torch import Tensor

from simulacra.gan import Batch
from simulacra.gans.cyclegan import WARMUP_FILLINGS, CycleGAN
from simulacra.layers.pseudo_pairs import PseudoPairBank, downscale, pairwise_l1, transport
from simulacra.translator import OTHER

SHAPE = (3, 16, 16)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int, seed: int = 0) -> Tensor:
    """Pictures of 8 bits in [-1, 1]."""
    return torch.randint(256, (n, *SHAPE), generator=seeded(seed)).float() / 127.5 - 1


# --- the plan --------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 5), seed=st.integers(0, 1000))
def test_without_blur_the_plan_is_the_cheapest_assignment(n: int, seed: int) -> None:
    cost = torch.rand(n, n, generator=seeded(seed), dtype=torch.float64)
    costs = {order: float(cost[range(n), order].sum()) for order in itertools.permutations(range(n))}
    best, second = [*sorted(costs.values()), float("inf")][:2]
    assume(second - best >= 0.05)  # a near draw takes more rounds
    plan = transport(cost, blur=0.01, rounds=2_000)
    assert costs[tuple(plan.argmax(1).tolist())] == best
    assert plan.argmax(0)[plan.argmax(1)].tolist() == list(range(n))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 12), m=st.integers(1, 12), seed=st.integers(0, 1000), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_a_plan_carries_each_picture_once_at_any_scale(n: int, m: int, seed: int, scale: float) -> None:
    cost = torch.rand(n, m, generator=seeded(seed), dtype=torch.float64)
    plan = transport(cost * scale, blur=0.5, rounds=500)
    assert (plan >= 0).all()
    torch.testing.assert_close(plan.sum(1), torch.full((n,), 1 / n, dtype=torch.float64))
    torch.testing.assert_close(plan.sum(0), torch.full((m,), 1 / m, dtype=torch.float64), atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(plan, transport(cost, blur=0.5, rounds=500))


def test_a_plan_is_the_fixed_point_of_its_entropy() -> None:
    """cost + blur log plan is a sum of a row's price and a column's: the conditions of the optimum (Cuturi 2013, lemma 2)."""
    cost = torch.rand(7, 7, generator=seeded(0), dtype=torch.float64)
    above = cost - cost.amin(1, keepdim=True)
    blur = 0.3 * (above - above.amin(0)).mean()
    prices = cost + blur * transport(cost, blur=0.3, rounds=2_000).log()
    rest = prices - prices.mean(0) - prices.mean(1, keepdim=True) + prices.mean()
    assert rest.abs().max() < 1e-9


def test_costs_that_are_all_the_same_break_nothing() -> None:
    plan = transport(torch.full((4, 4), 0.3))
    assert torch.isfinite(plan).all()
    torch.testing.assert_close(plan, torch.full((4, 4), 1 / 16))


def test_a_picture_that_nothing_comes_near_to_takes_nothing_from_the_others() -> None:
    cost = 1 - torch.eye(5)
    cost[:, 4] = 1e4
    plan = transport(cost)
    assert torch.isfinite(plan).all()
    assert plan.argmax(1).tolist()[:4] == [0, 1, 2, 3]


@pytest.mark.parametrize("side", [8, 16, 32, 50])
def test_apart_is_the_mean_difference_of_reduced_pictures(side: int) -> None:
    one, other = torch.rand(3, 2, side, side), torch.rand(4, 2, side, side)
    small = [torch.nn.functional.adaptive_avg_pool2d(images, min(side, 16)) for images in (one, other)]
    expected = (small[0][:, None] - small[1][None]).abs().mean((2, 3, 4))
    torch.testing.assert_close(pairwise_l1(downscale(one), downscale(other)), expected)


# --- the memory --------------------------------------------------------------------------------------------------------


def test_rectangles_are_reduced_to_a_square() -> None:
    assert downscale(torch.rand(2, 3, 20, 64)).shape == (2, 3 * 16 * 16)
    assert downscale(torch.rand(2, 3, 8, 64)).shape == (2, 3 * 8 * 16)


def test_what_is_kept_comes_in_parts() -> None:
    bank = PseudoPairBank(70, SHAPE)
    bank.add({"a": pictures(70), "b": pictures(70)}, 0)
    assert not bank.images("a").std()
    bank.commit()
    assert [len(part) for part in bank.chunks("a")] == [64, 6]
    assert torch.equal(torch.cat(list(bank.chunks("a"))), bank.images("a"))


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 9), batches=st.lists(st.integers(1, 12), min_size=1, max_size=8))
def test_the_last_pictures_are_kept_exactly(size: int, batches: list[int]) -> None:
    bank, count = PseudoPairBank(size, SHAPE), 0
    every = pictures(sum(batches))
    for n in batches:
        bank.add({"a": every[count : count + n], "b": -every[count : count + n]}, count)
        count += n
        bank.commit()
        last = every[max(0, count - size) : count]
        expected = {tuple(picture.flatten().tolist()) for picture in last}
        remaining = bank.images("a")[: min(size, count)]
        assert {tuple(picture.flatten().tolist()) for picture in remaining} == expected
        torch.testing.assert_close(bank.images("b")[: min(size, count)], -remaining, rtol=0, atol=1e-6)


def test_draws_are_pictures_and_their_matches() -> None:
    bank, order = PseudoPairBank(20, SHAPE), torch.randperm(20, generator=seeded(0))
    a = pictures(20)
    bank.add({"a": a, "b": -a[order]}, 0)
    bank.commit()
    bank.assign(pairwise_l1(a.flatten(1), a[order].flatten(1)))
    pictures_drawn = set()
    for name in OTHER:
        mine, match = bank.draw(name, 64)
        torch.testing.assert_close(mine, -match, rtol=0, atol=1e-6)
        pictures_drawn |= {tuple(picture.flatten().tolist()) for picture in mine}
    assert len(pictures_drawn) > 30, "all are drawn from"


# --- in the GAN --------------------------------------------------------------------------------------------------------


def cyclegan(**words: Any) -> CycleGAN:
    model = build("cyclegan:tiny", SHAPE, **{"match": 2.0, "bank": 8, "batch": 4, "pool": 0, "zoom": 1.0} | words)
    assert isinstance(model, CycleGAN)
    return model


def run_steps(gan: CycleGAN, batches: list[Batch]) -> None:
    for number, batch in enumerate(batches):
        gan.on_step_start(0, {"D": number, "G": number})
        gan.on_step_end("D", gan.d_loss(batch)[1])
    gan.on_step_start(0, {"D": len(batches), "G": len(batches)})


def identity(gan: CycleGAN) -> None:
    for side in ("a", "b"):
        gan.G.into[side] = torch.nn.Identity()


def test_matches_are_the_most_alike_at_first_and_then_those_of_translations() -> None:
    """Domain b is a's negative; a G that draws negatives finds matches that look nothing alike."""
    a, order = pictures(8), torch.randperm(8, generator=seeded(1))
    alike = (a + pictures(8, 5) / 8).clamp(-1, 1)
    gan = cyclegan()
    identity(gan)
    batches = [Batch(a[i : i + 4], others=alike[order][i : i + 4]) for i in (0, 4)]
    run_steps(gan, batches)
    assert gan.pseudo_pairs is not None
    assert torch.equal(order[gan.pseudo_pairs.get_buffer("match_a")], torch.arange(8))
    assert torch.equal(gan.pseudo_pairs.get_buffer("match_b"), order)

    class Negative(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return -x

    for side in ("a", "b"):
        gan.G.into[side] = Negative()
    batches = [Batch(a[i : i + 4], others=-a[order][i : i + 4]) for i in (0, 4)]
    run_steps(gan, batches * WARMUP_FILLINGS)
    assert not torch.equal(gan.pseudo_pairs.get_buffer("match_b"), order)
    run_steps(gan, batches * (WARMUP_FILLINGS + 1))
    assert torch.equal(gan.pseudo_pairs.get_buffer("match_b"), order)
    _, stats = gan.g_loss(batches[0])
    assert float(stats["match"]) < 1e-5


def test_pictures_that_come_meanwhile_do_not_disturb_the_matches() -> None:
    """Half a filling later each picture still has the match that it was given."""
    a, gan = pictures(8), cyclegan()
    run_steps(gan, [Batch(a[i : i + 4], others=a[i : i + 4]) for i in (0, 4)])
    fresh = pictures(8, 9)
    gan.on_step_end("D", gan.d_loss(Batch(fresh[:4], others=fresh[4:]))[1])
    assert gan.pseudo_pairs is not None
    for name in OTHER:
        mine, match = gan.pseudo_pairs.draw(name, 32)
        assert torch.equal(mine, match)


@pytest.mark.parametrize("flip", [True, False])
def test_the_term_weighs_what_translations_lack_to_their_matches(flip: bool) -> None:
    """Pictures and matches are cut alike, or the same pictures in both domains would differ."""
    a = pictures(8)
    gan = cyclegan(flip=flip, zoom=1.5)
    identity(gan)
    run_steps(gan, [Batch(a[i : i + 4], others=a[i : i + 4]) for i in (0, 4)])
    batch = Batch(a[:4], others=a[4:])
    torch.manual_seed(0)
    assert float(gan.g_loss(batch)[1]["match"]) < 1e-5
    for side in ("a", "b"):
        gan.G.into[side] = torch.nn.Hardtanh(-0.1, 0.1)
    torch.manual_seed(0)
    loss, stats = gan.g_loss(batch)
    assert float(stats["match"]) > 0.1
    gan.config = replace(gan.config, match=0.0)
    torch.manual_seed(0)
    without, _ = gan.g_loss(batch)
    torch.testing.assert_close(loss - without, 2 * stats["match"])


def test_until_the_bank_is_full_pictures_are_those_of_the_batch() -> None:
    gan = cyclegan(bank=9)
    batch = Batch(pictures(4), others=pictures(4, 1))
    for number, full in enumerate((False, False, False, True)):
        gan.on_step_start(0, {"D": number, "G": number})
        assert ("match" in gan.g_loss(batch)[1]) == full
        assert gan.graph_key("G") == full
        gan.on_step_end("D", gan.d_loss(batch)[1])


def test_a_batch_larger_than_the_bank() -> None:
    gan = cyclegan(bank=3)
    run_steps(gan, [Batch(pictures(4), others=pictures(4, 1))])
    assert "match" in gan.g_loss(Batch(pictures(4), others=pictures(4, 1)))[1]


def test_a_gan_without_matches_remembers_none() -> None:
    assert not any("match" in name or "images_" in name for name in build("cyclegan:tiny").state_dict())


def test_a_resume_has_the_same_matches(tmp_path: Path) -> None:
    words: dict[str, Any] = {"match": 1.0, "bank": 16}
    data = paired(noise(24), noise(24, seed=1))
    trainer = advance(make_trainer("cyclegan:tiny", tmp_path, data, **words), 14)
    assert trainer.state_dict()["gan"]["pseudo_pairs.match_a"].unique().numel() > 4
    other = make_trainer("cyclegan:tiny", tmp_path, data, **words)
    other.load_state_dict(copy.deepcopy(trainer.state_dict()))
    for one in (trainer, other):
        advance(one, 12)
    assert not differences(snapshot(other.gan), snapshot(trainer.gan))
