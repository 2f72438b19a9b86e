"""Copies are found, in proportion; new pictures, however plain, blurred or alike, are not called copies."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support import on_disk, refused
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

import simulacra
from simulacra.data.dataset import content_hash
from simulacra.data.opening import open_domain
from simulacra.data.portraits import table
from simulacra.measure import aligned_search
from simulacra.measure.aligned_search import AlignedSearch, thumbnails, windows
from simulacra.measure.context import labels_of
from simulacra.measure.copy_detection import at_least, find_copies, find_copies_by_attributes, judge
from simulacra.measure.data_copying import c_t, cells_of, mann_whitney, resampled_c_t
from simulacra.measure.distances import Floats
from simulacra.measure.evaluate import evaluate
from simulacra.measure.memorisation import copy_scores
from simulacra.measure.scores import as_score
from simulacra.messages import Message
from simulacra.publish.report.stored import stored_sentences
from simulacra.training.options import train

FAKES, TRAIN = 600, 2400


@pytest.fixture(scope="module")
def people() -> Tensor:
    """All of peeps: 2400 to train on, then 600 held out."""
    packed = torch.from_numpy(np.array(open_domain("peeps").images))
    return packed.permute(0, 3, 1, 2) / 127.5 - 1


@pytest.fixture(scope="module")
def reals(people: Tensor) -> Tensor:
    return thumbnails(torch.split(people, 500))


@pytest.fixture(scope="module")
def fakes() -> Tensor:
    """Of the model that comes along, which has drawn no picture of its data."""
    return thumbnails(simulacra.load_generator().pictures(range(FAKES)))


def blurred(pictures: Tensor) -> Tensor:
    return avg_pool2d(pictures, 3, stride=1, padding=1, count_include_pad=False)


def moved(pictures: Tensor, down: int, right: int) -> Tensor:
    side = pictures.shape[2]
    return pad(pictures, (3, 3, 3, 3), mode="replicate")[:, :, 3 + down :, 3 + right :][:, :, :side, :side]


RETOUCHES: dict[str, Callable[[Tensor], Tensor]] = {  # what a generator does to a picture that it repeats
    "noise": lambda x: (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1),
    "blur": blurred,
    "brightness": lambda x: x * 0.95 + 0.05,
    "shift": lambda x: moved(x, 2, -2),
    "larger shift": lambda x: moved(x, -3, 2),
    "mirror": lambda x: x.flip(3),
    "mirror and shift": lambda x: moved(x.flip(3), 2, 1),
    "crop": lambda x: interpolate(x[:, :, 1:-1, :-2], x.shape[2:], mode="bilinear", antialias=True),
}


@pytest.fixture(scope="module")
def nearness(reals: Tensor, fakes: Tensor) -> tuple[AlignedSearch, Floats, Floats]:
    """The search in the training part, and the nearness of the model's fakes and of held-out pictures."""
    search = AlignedSearch(reals[:TRAIN])
    return search, search.nearest(fakes).nearness, search.nearest(reals[TRAIN:]).nearness


@pytest.mark.parametrize("how", RETOUCHES)
def test_planted_copies_are_found_in_proportion(
    how: str, people: Tensor, nearness: tuple[AlignedSearch, Floats, Floats]
) -> None:
    search, honest, null = nearness
    copies = search.nearest(thumbnails([RETOUCHES[how](people[:150])]))
    assert (copies.train == np.arange(150)).mean() > 0.97
    outcomes = [judge(np.concatenate([copies.nearness[:n], honest[n:]]), null) for n in (0, 18, 60, 150)]
    shares = [result.near.value for result in outcomes if result.near is not None]
    own = shares[0]  # of the model's own fakes some lie as near by chance
    assert own < 0.06 and shares == pytest.approx([p + (1 - p) * own for p in (0, 0.03, 0.1, 0.25)], rel=0.2, abs=0.012)
    assert [result.verdict for result in outcomes][::2] == ["no sign", "copying"]
    assert f"copying training pictures: {outcomes[3].sentence.values['near']} of 600 fakes" in str(outcomes[3].sentence)
    zs = [result.z for result in outcomes if result.z is not None]
    assert all(more < less for less, more in itertools.pairwise(zs)) and len(zs) == 4


def test_the_model_that_comes_along_does_not_copy(nearness: tuple[AlignedSearch, Floats, Floats]) -> None:
    outcome = judge(*nearness[1:])
    assert outcome.verdict == "no sign" and outcome.near is not None and outcome.near.value < 0.06
    assert outcome.z is not None and outcome.z > 0, "its pictures are farther from its data than new people are"
    assert outcome.detectable is not None and outcome.detectable < 0.1
    assert f"{outcome.detectable:.1%} would have raised the alarm" in str(outcome.sentence)


@pytest.mark.parametrize("what", ["new", "blurred", "noisy", "pale", "one skin", "one style"])
def test_new_pictures_are_no_copies(what: str, people: Tensor, nearness: tuple[AlignedSearch, Floats, Floats]) -> None:
    """Held-out pictures as they are, spoilt, or of one kind only: the train part and the other half judge them."""
    rows = table()[TRAIN:]
    chosen = {"one skin": {"skin": "dark"}, "one style": {"hair": "bun"}}.get(what, {})
    index = [i for i, row in enumerate(rows) if all(row[key] == value for key, value in chosen.items())]
    test = people[TRAIN:][index[: 300 if not chosen else None]]
    spoilt = {"blurred": blurred(blurred(test)), "noisy": RETOUCHES["noise"](test), "pale": test * 0.7}
    judges = nearness[2][300:] if not chosen else nearness[2]
    outcome = judge(nearness[0].nearest(thumbnails([spoilt.get(what, test)])).nearness, judges)
    assert outcome.verdict == "no sign", outcome.sentence


@pytest.mark.parametrize("n", [120, 1000])
def test_false_alarms_are_as_rare_as_they_are_said_to_be(n: int) -> None:
    """Where fakes and held-out pictures come from one source, p is at most as often small as it says."""
    source = np.random.default_rng(0)
    outcomes = [judge(*source.standard_t(3, size=(2, n)) ** 2) for _ in range(400)]
    for level in (0.05, 0.2):
        assert level / 4 < np.mean([outcome.p is not None and outcome.p < level for outcome in outcomes]) < level + 0.04
    assert np.mean([outcome.verdict == "copying" for outcome in outcomes]) <= 0.015


def test_two_levels_find_few_copies_of_good_fakes() -> None:
    """Three in a hundred copies are too few for the 5 % level, where honest fakes fill it already."""
    source = np.random.default_rng(0)
    honest, null = source.random(1000), source.random(1000)
    fakes = np.where(np.arange(1000) < 30, 0.001, honest)
    outcome = judge(fakes, null)
    assert outcome.verdict == "copying" and outcome.sentence.values["expected"] == pytest.approx(0.01, abs=0.001)
    assert outcome.near is not None and outcome.near.value == pytest.approx(0.08, abs=0.02)
    assert outcome.expected == pytest.approx(0.05, abs=0.001)
    assert judge(honest, null).detectable == pytest.approx(0.025, abs=0.01)


def test_the_alarm_s_chance_is_that_of_draws() -> None:
    source = np.random.default_rng(1)
    threshold = np.sort(source.random((20_000, 40)), axis=1)[:, 2]
    samples = (source.random((20_000, 30)) < threshold[:, None]).sum(1)
    tail = at_least(30, 3, 40)
    assert tail[0] == pytest.approx(1)
    for count in (1, 3, 6):
        assert tail[count] == pytest.approx(np.mean(samples >= count), abs=0.015)


def random_thumbnails(n: int, seed: int) -> Tensor:
    coarse = torch.randn((n, 1, 8, 8), generator=torch.Generator().manual_seed(seed)) * 60
    return interpolate(coarse, (32, 32), mode="bilinear").half()


@pytest.mark.parametrize("held_out", [None, 0, 3, 18])
def test_too_few_held_out_pictures_cannot_tell(held_out: int | None) -> None:
    x = random_thumbnails(80, 2)
    outcome = find_copies(x[:30], x[:50], None if held_out is None else x[60 : 60 + held_out])
    assert outcome.verdict == "cannot tell"
    assert outcome.sentence.code == "measure.copies_few_held_out" and outcome.sentence.values["least"] == 19
    assert (outcome.near, outcome.p, outcome.z, outcome.detectable, outcome.c_t) == (None, None, None, None, None)
    assert outcome.nearest[0].fake == outcome.nearest[0].train, "the nearest pairs are named all the same"
    assert (outcome.nearest[0].quantile is None) == (not held_out)


def test_nineteen_held_out_pictures_are_a_weak_judge() -> None:
    x = random_thumbnails(200, 3)
    outcome = find_copies(x[:100], x[100:180], x[180:199])
    assert outcome.verdict == "no sign" and outcome.detectable is not None and outcome.detectable > 0.2
    assert find_copies(x[100:180], x[100:180], x[180:199]).verdict == "copying"


def test_data_that_leaves_nothing_to_compare() -> None:
    x = random_thumbnails(60, 4)
    assert find_copies(x, x[:2], x).sentence == Message("measure.copies_few_training", number=2)
    duplicates = find_copies(x[:30], x[30:], x[30:])
    assert duplicates.verdict == "cannot tell" and duplicates.sentence.code == "measure.copies_held_out_twice"
    alike = find_copies(x[:30], torch.ones((20, 1, 32, 32)).half(), x[30:])
    assert alike.near is not None and math.isfinite(alike.nearest[0].nearness)
    with refused("measure.feature_widths"):
        find_copies(x.repeat(1, 3, 1, 1), x, x)


def test_the_distance_is_the_least_over_shifts_and_mirrorings() -> None:
    """Without tangents it is a plain search over all 98 windows of each picture."""
    x, train = random_thumbnails(6, 5).float(), random_thumbnails(40, 6).float()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aligned_search, "PENALTY", 1e9)
        found = AlignedSearch(train).nearest(x)
    ways = [windows(p, *shift) for p in (x, x.flip(3)) for shift in itertools.product(range(-3, 4), range(-3, 4))]
    plain = torch.stack([torch.cdist(way, windows(train)) for way in ways]).amin(0)
    assert found.distance == pytest.approx(plain.amin(1).numpy(), rel=1e-3)
    assert np.array_equal(found.train, plain.argmin(1).numpy())
    rest = (plain.sum(1) - plain.amin(1)) / 39
    assert found.nearness == pytest.approx((plain.amin(1) / rest).numpy(), rel=1e-3)


def test_the_alignment_is_named() -> None:
    x = random_thumbnails(60, 7).float()
    found = AlignedSearch(x).nearest(torch.cat([x[:5], moved(x[:5], 2, -1), x[:5].flip(3)]))
    assert list(found.train) == [*range(5)] * 3 and found.distance == pytest.approx(0, abs=0.01)
    assert not found.mirrored[:10].any() and found.mirrored[10:].all()
    assert (found.shift[5:10] * 32 == [-2, 1]).all() and not found.shift[:5].any()


def test_a_zoomed_or_blurred_copy_is_nearer_than_its_pixels() -> None:
    x = random_thumbnails(60, 8).float()
    search = AlignedSearch(x)
    for copy in (interpolate(x[..., 1:-1, 1:-1], (32, 32), mode="bilinear"), blurred(x), x * 1.1):
        plain = (windows(copy) - windows(x)).norm(dim=1)
        found = search.nearest(copy)
        assert (found.train == np.arange(60)).all() and (found.distance < 0.6 * plain.numpy()).all()


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


def test_c_t_by_hand() -> None:
    """Two cells weighted by their unseen pictures, a third with too few fakes."""
    source = np.random.default_rng(6)
    fake, unseen = source.random(70), source.random(50)
    fake_cells, unseen_cells = np.repeat([0, 1, 2], [30, 25, 15]), np.repeat([0, 1, 2], [10, 30, 10])
    parts = [mann_whitney(fake[fake_cells == cell], unseen[unseen_cells == cell]) for cell in (0, 1)]
    assert c_t(fake, fake_cells, unseen, unseen_cells) == pytest.approx((10 * parts[0] + 30 * parts[1]) / 40)
    assert c_t(fake[:10], fake_cells[:10], unseen, unseen_cells) is None
    everywhere, nowhere = np.zeros(70, int), np.zeros(50, int)
    assert c_t(fake, everywhere, unseen, nowhere) == pytest.approx(mann_whitney(fake, unseen)), "one cell: Z_U"
    apart = c_t(np.zeros(30), everywhere[:30], np.ones(30), nowhere[:30])  # all fakes nearer: U = 0
    ties = 30 * 30 / 12 * (61 - 2 * (30**3 - 30) / (60 * 59))
    assert apart == pytest.approx(-450 / math.sqrt(ties))


def test_c_t_of_one_source_is_within_its_interval() -> None:
    source = np.random.default_rng(7)
    inside = []
    for _ in range(30):
        interval = resampled_c_t(source.random(200), np.arange(200) % 4, source.random(200), np.arange(200) % 4)
        assert interval is not None
        inside.append(interval.interval().low <= 0 <= interval.interval().high)
    assert np.mean(inside) > 0.8


def test_cells_are_those_of_clusters() -> None:
    centres = torch.tensor([[0.0, 0], [9, 0], [0, 9]])
    which = torch.arange(90) % 3
    points = centres[which] + torch.randn((90, 2), generator=torch.Generator().manual_seed(0))
    cells = cells_of(points, 150)
    assert len(np.unique(cells)) == 3 and all(len(np.unique(cells[which.numpy() == i])) == 1 for i in range(3))
    assert not cells_of(points, 40).any(), "few unseen pictures: one cell"
    assert not cells_of(torch.ones(5, 2), 900).any(), "equal pictures: one cell"


def test_scores_of_any_three_sets(people: Tensor) -> None:
    """From pictures: batches of any size, the same record twice, the test of copying far below zero for copies."""
    train, unseen, fakes = people[:400], people[TRAIN : TRAIN + 200], moved(people[:200], 1, 1)
    scores, entries = copy_scores([fakes], torch.split(train, 150), torch.split(unseen, 64))
    assert copy_scores(torch.split(fakes, 100), [train], [unseen])[1] == entries
    assert set(scores) == {"memorisation-thumbnails-aligned", "ct-thumbnails-aligned"}
    assert as_score(scores["ct-thumbnails-aligned"]).value < -5 and entries["memorisation"]["verdict"] == "copying"
    first = entries["nearest"][0]
    assert first["fake"] == first["train"] and len(first["shift"]) == 2
    assert first["mirrored"] is False and entries["warnings"] == [entries["memorisation"]["sentence"]]
    honest = copy_scores([people[TRAIN + 300 : TRAIN + 500]], [train], [unseen])[0]
    assert abs(as_score(honest["ct-thumbnails-aligned"]).value) < 3
    assert copy_scores([fakes], [train], None)[0] == {}


def test_a_picture_s_own_attributes_may_give_that_picture(people: Tensor) -> None:
    """Not copying: who knows what attributes mean. Copying: who knows training pictures alone, or draws them for all."""

    def noisy(pictures: Tensor) -> Tensor:
        return thumbnails([RETOUCHES["noise"](pictures)])

    seen, unseen = people[:200], people[TRAIN : TRAIN + 200]
    train, held_out = thumbnails([seen]), thumbnails([unseen])
    knows = find_copies_by_attributes(noisy(seen), noisy(unseen), train, held_out)
    assert (knows.verdict, knows.with_attributes) == ("no sign", "held out")
    assert "attributes of held-out pictures" in str(knows.statement) and str(knows.sentence) in str(knows.statement)
    assert find_copies(noisy(seen), train, held_out).verdict == "copying", (
        "what the fakes of training pictures look like"
    )
    others = noisy(people[TRAIN - 200 : TRAIN])
    by_heart = find_copies_by_attributes(noisy(seen), others, train, held_out)
    assert (by_heart.verdict, by_heart.with_attributes) == ("copying", "train")
    assert by_heart.statement.code == "measure.copying_by_attributes"
    assert all(near.fake == near.train for near in by_heart.nearest)
    for_all = find_copies_by_attributes(noisy(seen), noisy(seen), train, held_out)
    assert (for_all.verdict, for_all.with_attributes) == ("copying", "held out")
    assert for_all.sentence.code == "measure.copying"


def test_false_alarms_with_attributes_are_rare() -> None:
    """Pictures that attributes describe but for some noise, drawn by a model with its own noise."""
    source = torch.Generator().manual_seed(0)

    def pictures(attributes: Tensor) -> Tensor:
        coarse = interpolate(attributes.view(-1, 1, 4, 4), (32, 32), mode="nearest")
        return (coarse * 60 + 8 * torch.randn(coarse.shape, generator=source)).half()

    verdicts = []
    for _ in range(15):
        seen, unseen = (torch.randn((n, 16), generator=source) for n in (100, 60))
        sets = (seen[:60], unseen, seen, unseen)
        verdicts.append(find_copies_by_attributes(*map(pictures, sets)).verdict)
    assert verdicts.count("copying") <= 1


@pytest.mark.usefixtures("coarse_extractor")
def test_a_model_of_attributes_is_judged_by_those_it_has_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tuple(f"patch {i}" for i in range(16))
    labels = np.random.default_rng(0).random((300, 16)).astype(np.float32)
    shapes = np.kron(labels.reshape(-1, 4, 4), np.ones((4, 4)))[..., None].astype(float) * 200

    def pictures(values: NDArray[Any], seed: int) -> NDArray[np.uint8]:
        return (values + np.random.default_rng(seed).integers(0, 30, values.shape)).astype(np.uint8)

    reals = pictures(shapes, 0)
    folder = on_disk(tmp_path / "patches", reals, valid=60)
    np.save(folder / "labels.npy", labels)
    record = json.loads((folder / "data.json").read_text()) | {"attributes": list(names)}
    record["hash"] = content_hash(reals, labels, (), names)
    (folder / "data.json").write_text(json.dumps(record))
    settings = {"conditional": True}
    run = train(folder, gan="dcgan:tiny", run=tmp_path / "run", total=40, quiet=True, settings=settings)

    def drawing(of: Callable[[int], NDArray[Any]]) -> Any:
        def drawn(self: Any, seeds: range, *, y: Tensor | None = None, **_: Any) -> Iterator[Tensor]:
            asked = self.conditions(seeds) if y is None else y
            rows = [int(np.abs(labels - row.numpy()).sum(1).argmin()) for row in asked]
            images = pictures(np.stack([of(row) for row in rows]), 1)
            yield torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1

        return drawn

    drawings = {
        "no sign": lambda row: shapes[row],
        "copying": lambda row: shapes[row] if row < 240 else shapes[row][::-1],
    }
    for verdict, of in drawings.items():
        monkeypatch.setattr("simulacra.gan.Generator.pictures", drawing(of))
        certificate, _ = evaluate(run, samples=200, metrics=["memorisation"], out=tmp_path / f"{verdict}.json")
        assert certificate["memorisation"]["verdict"] == verdict
        part = {"no sign": "valid", "copying": "train"}[verdict]
        assert {near["attributes_of"][0] for near in certificate["nearest"]} == {part}
        data = open_domain(str(folder))
        assert certificate["memorisation"]["sentence"] in stored_sentences(dict(certificate), data)
        nearest = certificate["nearest"][0]
        assert labels_of(data, [tuple(nearest["attributes_of"])]).shape == (1, 16)
        assert verdict == "no sign" or nearest["attributes_of"] == ["train", nearest["train"]]


def test_thumbnails_are_in_grey_levels() -> None:
    """Distances are root mean square differences without brightness, whatever the size and the channels."""
    for shape in ((1, 3, 64, 64), (1, 1, 28, 28), (1, 3, 100, 60)):
        dark, bright = thumbnails([torch.full(shape, -1.0), torch.full(shape, 1.0)]).float()
        assert (bright - dark).eq(255).all() and dark.shape == (shape[1], 32, 32)
        split = torch.cat([torch.full(shape, -1.0), torch.full(shape, 1.0)], 3)
        sides = windows(thumbnails([split, split.flip(3)]).float())
        assert (sides[0] - sides[1]).norm().item() == pytest.approx(255, rel=0.05)
    with refused("measure.no_thumbnails"):
        thumbnails([])
