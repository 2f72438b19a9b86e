"""Copies are found, in proportion; new pictures, however plain, blurred or alike, are not called copies."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support import refused
from torch import Tensor
from torch.nn.functional import avg_pool2d

import simulacra
from simulacra.data.opening import open_domain
from simulacra.data.portraits import table
from simulacra.errors import SimulacraError
from simulacra.measure.memorisation import at_least, find_copies, mann_whitney, thumbnails
from simulacra.messages import Message

Thumbnails = NDArray[np.float32]
FAKES, TRAIN = 600, 2400


@pytest.fixture(scope="module")
def people() -> Tensor:
    """All of peeps: 2400 to train on, then 600 held out."""
    packed = torch.from_numpy(np.array(open_domain("peeps").images))
    return packed.permute(0, 3, 1, 2) / 127.5 - 1


@pytest.fixture(scope="module")
def reals(people: Tensor) -> Thumbnails:
    return thumbnails(torch.split(people, 500))


@pytest.fixture(scope="module")
def fakes() -> Thumbnails:
    """Of the model that comes along, which has drawn no picture of its data."""
    return thumbnails(simulacra.load_generator().pictures(range(FAKES)))


def blurred(pictures: Tensor) -> Tensor:
    return avg_pool2d(pictures, 3, stride=1, padding=1, count_include_pad=False)


def retouched(pictures: Tensor, how: str) -> Tensor:
    """What a generator does to a picture that it repeats."""
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
    if how == "noise":
        return (pictures + 0.1 * noise).clamp(-1, 1)
    return blurred(pictures) if how == "blur" else (pictures * 0.95 + 0.05)


@pytest.mark.parametrize("how", ["noise", "blur", "brightness"])
def test_planted_copies_are_found_in_proportion(how: str, people: Tensor, reals: Thumbnails, fakes: Thumbnails) -> None:
    outcomes = []
    for percent in (0, 2, 10, 50):
        copies = FAKES * percent // 100
        mixed = np.concatenate([thumbnails([retouched(people[:copies], how)])[:copies], fakes[copies:]])
        outcomes.append(find_copies(mixed, reals[:TRAIN], reals[TRAIN:]))
    shares = [result.near.value for result in outcomes if result.near is not None]
    own = shares[0]  # of the model's own fakes some lie as near by chance
    assert own < 0.06 and shares == pytest.approx([p + (1 - p) * own for p in (0, 0.02, 0.1, 0.5)], abs=0.01)
    assert [result.verdict for result in outcomes] == ["no sign", "no sign", "copying", "copying"]
    assert f"copying training pictures: {round(600 * shares[3])} of 600 fakes" in str(outcomes[3].sentence)
    zs = [result.z for result in outcomes if result.z is not None]
    assert all(more < less for less, more in itertools.pairwise(zs)) and len(zs) == 4
    best = [near for near in outcomes[1].nearest if near.fake == near.train]
    assert len(best) >= 8, "even where there is no alarm, the 12 copies lead the table"
    assert best[0] in outcomes[1].nearest[:3]
    assert best[0].quantile is not None and best[0].quantile < 0.02


def test_the_model_that_comes_along_does_not_copy(reals: Thumbnails, fakes: Thumbnails) -> None:
    outcome = find_copies(fakes, reals[:TRAIN], reals[TRAIN:])
    assert outcome.verdict == "no sign" and outcome.near is not None and outcome.near.value < 0.06
    assert outcome.z is not None and outcome.z > 0, "its pictures are farther from its data than new people are"
    assert outcome.detectable is not None and outcome.detectable < 0.1
    assert f"{outcome.detectable:.1%} would have raised the alarm" in str(outcome.sentence)
    assert len(outcome.nearest) == 20
    assert [near.nearness for near in outcome.nearest] == sorted(near.nearness for near in outcome.nearest)


@pytest.mark.parametrize("what", ["new", "blurred", "noisy", "pale", "one skin", "one style"])
def test_new_pictures_are_no_copies(what: str, people: Tensor, reals: Thumbnails) -> None:
    """Held-out pictures as they are, spoilt, or of one kind only: the train part and the other half judge them."""
    rows = table()[TRAIN:]
    chosen = {"one skin": {"skin": "dark"}, "one style": {"hair": "bun"}}.get(what, {})
    index = [i for i, row in enumerate(rows) if all(row[key] == value for key, value in chosen.items())]
    test = people[TRAIN:][index[: 300 if not chosen else None]]
    spoilt = {"blurred": blurred(blurred(test)), "noisy": retouched(test, "noise"), "pale": test * 0.7}
    judges = reals[TRAIN + 300 :] if not chosen else reals[TRAIN:]
    outcome = find_copies(thumbnails([spoilt.get(what, test)]), reals[:TRAIN], judges)
    assert outcome.verdict == "no sign", outcome.sentence


def test_false_alarms_are_as_rare_as_they_are_said_to_be() -> None:
    """Where fakes and held-out pictures come from one source, p is uniform whatever that source is."""
    source = np.random.default_rng(0)
    samples = [source.standard_t(3, size=(340, 4)) for _ in range(200)]
    p = [find_copies(x[:120], x[120:240], x[240:], shown=0).p for x in samples]
    for level in (0.05, 0.2, 0.5):
        assert np.mean([value is not None and value < level for value in p]) == pytest.approx(level, abs=0.08)


def test_the_alarm_s_chance_is_that_of_draws() -> None:
    source = np.random.default_rng(1)
    threshold = np.sort(source.random((20_000, 40)), axis=1)[:, 2]
    samples = (source.random((20_000, 30)) < threshold[:, None]).sum(1)
    tail = at_least(30, 3, 40)
    assert tail[0] == pytest.approx(1)
    for count in (1, 3, 6):
        assert tail[count] == pytest.approx(np.mean(samples >= count), abs=0.015)


@pytest.mark.parametrize("held_out", [None, 0, 3, 18])
def test_too_few_held_out_pictures_cannot_tell(held_out: int | None) -> None:
    x = np.random.default_rng(2).normal(size=(80, 5))
    outcome = find_copies(x[:30], x[:50], None if held_out is None else x[60 : 60 + held_out])
    assert outcome.verdict == "cannot tell"
    assert outcome.sentence.code == "measure.copies_few_held_out" and outcome.sentence.values["least"] == 19
    assert (outcome.near, outcome.p, outcome.z, outcome.detectable) == (None, None, None, None)
    assert outcome.nearest[0].fake == outcome.nearest[0].train, "the nearest pairs are told all the same"
    assert (outcome.nearest[0].quantile is None) == (not held_out)


def test_nineteen_held_out_pictures_are_a_weak_judge() -> None:
    x = np.random.default_rng(3).normal(size=(200, 5))
    outcome = find_copies(x[:100], x[100:180], x[180:199])
    assert outcome.verdict == "no sign" and outcome.detectable is not None and outcome.detectable > 0.2
    assert find_copies(x[100:180], x[100:180], x[180:199]).verdict == "copying"


def test_data_that_leaves_nothing_to_compare() -> None:
    x = np.random.default_rng(4).normal(size=(60, 5))
    assert find_copies(x, x[:2], x).sentence == Message("measure.copies_few_training", number=2)
    duplicates = find_copies(x[:30], x[30:], x[30:])
    assert duplicates.verdict == "cannot tell" and duplicates.sentence.code == "measure.copies_held_out_twice"
    alike = find_copies(x[:30], np.ones((20, 5)), x[30:])
    assert alike.near is not None and math.isfinite(alike.nearest[0].nearness)


def test_mann_whitney_by_hand() -> None:
    assert mann_whitney(np.array([1.0, 2]), np.array([3.0, 4, 5])) == pytest.approx(-3 / math.sqrt(3))
    assert mann_whitney(np.array([1.0, 2]), np.array([1.0, 2])) == 0
    assert mann_whitney(np.ones(3), np.ones(4)) == 0
    x, y = np.random.default_rng(5).integers(0, 4, (2, 30)).astype(float)
    assert mann_whitney(x, y) == pytest.approx(-mann_whitney(y, x))
    pairs = np.sign(x[:, None] - y[None]).sum() / 2
    ties = np.unique(np.concatenate([x, y]), return_counts=True)[1]
    variance = 900 / 12 * (61 - (ties**3 - ties).sum() / (60 * 59))
    assert mann_whitney(x, y) == pytest.approx(pairs / math.sqrt(variance))


def test_thumbnails_are_in_grey_levels() -> None:
    """Distances are root mean square differences, whatever the size and the channels."""
    for shape in ((1, 3, 64, 64), (1, 1, 28, 28), (1, 3, 100, 60)):
        dark, bright = thumbnails([torch.full(shape, -1.0), torch.full(shape, 1.0)]).astype(float)
        assert np.linalg.norm(bright - dark) == pytest.approx(255, rel=1e-5)
    with refused("measure.no_thumbnails"):
        thumbnails([])


def test_features_that_are_no_features() -> None:
    x = np.random.default_rng(6).normal(size=(40, 5))
    with pytest.raises(SimulacraError, match="25 of 40 fakes hold NaN"):
        find_copies(np.where(x > 1, np.nan, x), x, x)
    with refused("measure.feature_widths"):
        find_copies(x[:, :3], x, x)
