"""The alarm: what is measured disturbs nothing, each verdict comes when it should, and healthy runs raise none."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import CLASSES, CPU, advance, differences, in_memory, make_trainer, noise, on_disk, pair_on_disk, snapshot
from torch import Tensor

from simulacra import augment
from simulacra.augment import Augment
from simulacra.augment.ada import AdaptiveAugment
from simulacra.console import console
from simulacra.data.dataset import Dataset, Pair
from simulacra.data.feed import to_tensor
from simulacra.data.opening import open_domain
from simulacra.files import read_json_lines
from simulacra.gan import Batch, Generator
from simulacra.gans.mlp import MLP
from simulacra.messages import text, using
from simulacra.plugins.harness import suitable
from simulacra.registry import configured, find, gans
from simulacra.settings import Settings
from simulacra.training import health
from simulacra.training.diversity import Leak, spread
from simulacra.training.health import ENDS, HOLD, STEPS, VERDICTS, Health, assess, explain, last_healthy
from simulacra.training.options import train
from simulacra.training.previews import open_previews

Line = dict[str, Any]


def measure(trainer: Any, valid: Dataset | Pair | None = None, *, tick: int = 240) -> dict[str, float]:
    data = suitable(type(trainer.gan), noise(40, trainer.config.shape))
    if isinstance(data, Pair) or trainer.gan.task == "upscale":
        previews = open_previews(data, trainer.gan.G)
        pictures = previews.shuffled(previews.draw(trainer.ema.average))
    else:
        pictures = torch.cat(list(trainer.ema.average.pictures(range(64))))
    return Health(data, valid, CPU, tick=tick, shown=64).measures(trainer, pictures)


# --- what is measured ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separate", [True, False])
@pytest.mark.parametrize("name", list(gans()))
def test_measuring_leaves_no_trace(name: str, separate: bool, tmp_path: Path) -> None:
    """Weights, buffers, modes, gradients and the next steps are what they are without it, to the bit."""
    options: dict[str, Any] = {"dropout": 0.2} | ({} if "separate" in find(name).unused else {"separate": separate})
    one, other = (advance(make_trainer(f"{name}:tiny", tmp_path, **options), 5) for _ in range(2))
    before = snapshot(one.gan)
    measures = measure(one, suitable(find(name), noise(30, seed=9)))
    assert {"overfit", "overfit_error", "diversity", "distinct"} >= measures.keys() >= {"diversity", "distinct"}
    assert all(math.isfinite(value) for value in measures.values())
    assert not differences(before, snapshot(one.gan))
    assert all(module.training for module in one.gan.modules())
    advance(one, 5), advance(other, 5)
    assert not differences(one.state_dict(), other.state_dict())
    assert measure(one) == measure(other), "it is a function of the state"


@pytest.mark.parametrize("options", [{"micro": 3}, {"precision": "bf16"}])
@pytest.mark.parametrize("shape", [(1, 16, 16), (4, 16, 24)])
def test_measuring_suits_every_way_of_training(options: dict[str, Any], shape: Any, tmp_path: Path) -> None:
    trainer = advance(make_trainer("dcgan:tiny", tmp_path, in_memory(noise(40, shape)), **options), 3)
    before = snapshot(trainer.gan)
    assert measure(trainer, in_memory(noise(30, shape, seed=9))).keys() >= {"diversity", "distinct"}
    assert not differences(before, snapshot(trainer.gan))


def scoring(trainer: Any, seen_logit: float, unseen_logit: float, fakes: float) -> None:
    """A D that gives black pictures `seen_logit`, white ones `unseen_logit` and fakes `fakes`, with a deviation of 1."""

    def discriminate_pair(batch: Batch, fake: Tensor) -> tuple[Tensor, Tensor]:
        around = torch.tensor([1.0, -1.0]).repeat(len(fake))[: len(fake)]
        return (seen_logit if batch.images.mean() < 0 else unseen_logit) + around, fakes + around

    trainer.gan.discriminate_pair = discriminate_pair


@pytest.mark.parametrize(
    ("scores", "expected"), [((8, 8, 0), 0), ((8, 2, 0), 0.75), ((8, 0, 0), 1), ((-1, -4, -5), 0.75)]
)
def test_overfitting_is_its_formula(scores: tuple[float, float, float], expected: float, tmp_path: Path) -> None:
    black, white = (in_memory(np.full((n, 16, 16, 3), level, np.uint8)) for n, level in ((40, 0), (20, 255)))
    trainer = make_trainer("mlp:tiny", tmp_path, black)
    scoring(trainer, *scores)
    look = Health(black, white, CPU, tick=10_000, shown=64)
    measures = look.overfitting(trainer)
    assert measures["overfit"] == pytest.approx(expected)
    error = math.sqrt(1 / 39 + 1 / 19)  # of means of 40 and 20 with a variance of n / (n - 1)
    assert measures["overfit_error"] == pytest.approx(error / (scores[0] - scores[2]))
    assert "diversity" not in look.measures(trainer, torch.zeros(64, 3, 16, 16)), "reals that are all the same"


def test_where_overfitting_cannot_be_told(tmp_path: Path) -> None:
    black, white = (in_memory(np.full((40, 16, 16, 3), level, np.uint8)) for level in (0, 255))
    trainer = make_trainer("mlp:tiny", tmp_path, black)
    scoring(trainer, 0, 0, 1)
    few = in_memory(white.images[:3])
    cases = [(None, 1000), (few, 1000), (white, 36), (white, 1000)]  # none, too few, too short a tick, D has lost
    assert all(Health(black, part, CPU, tick=tick, shown=64).overfitting(trainer) == {} for part, tick in cases)


@given(kinds=st.integers(1, 16), copies=st.integers(2, 6), size=st.sampled_from([5, 8, 20]), seed=st.integers(0, 99))
def test_so_many_kinds_are_counted(kinds: int, copies: int, size: int, seed: int) -> None:
    torch.manual_seed(seed)
    modes = torch.randn(kinds, 3, size, size)
    distance, count = spread(modes.repeat_interleave(copies, 0), scale=10.0)
    assert count == pytest.approx(kinds, rel=1e-3)
    assert distance >= 0 and (distance > 0) == (kinds > 1)
    shuffled = modes.repeat_interleave(copies, 0)[torch.randperm(kinds * copies)]
    assert spread(shuffled, scale=10.0) == pytest.approx((distance, count))
    assert spread(shuffled * 0.1, scale=1.0) == pytest.approx((distance * 0.1, count), rel=1e-4), "contrast is a scale"


@pytest.mark.parametrize("n", [1, 2, 3])
def test_very_few_pictures(n: int, tmp_path: Path) -> None:
    trainer = advance(make_trainer("mlp:tiny", tmp_path, in_memory(noise(n))), 2)
    pictures = torch.cat(list(trainer.ema.average.pictures(range(64))))
    measures = Health(in_memory(noise(n)), None, CPU, tick=1000, shown=64).measures(trainer, pictures)
    assert measures.keys() == ({"diversity", "distinct"} if n > 1 else set())


@pytest.fixture(scope="module")
def reals() -> Dataset:
    """The built-in people at 16 px."""
    images = open_domain("peeps").split("train").images[:400].reshape(-1, 16, 4, 16, 4, 3)
    return in_memory(images.mean((2, 4)).round().astype(np.uint8))


def changing(kind: str, p: float) -> Augment:
    augmentation = augment.make(Settings(augment=kind))  # type: ignore[arg-type]
    if isinstance(augmentation, AdaptiveAugment):
        augmentation.p.fill_(p)
    return augmentation


@pytest.mark.parametrize(("kind", "p"), [("ada", 0.3), ("ada", 0.6), ("ada", 0.9), ("diff", 1.0)])
def test_a_leak_is_where_fakes_lie_between_reals_and_augmented_reals(reals: Dataset, kind: str, p: float) -> None:
    look, augmentation = Leak(reals, 10_000), changing(kind, p)
    unseen = to_tensor(reals.images[200:264], CPU)
    torch.manual_seed(1)
    leaked = augmentation(unseen)
    cases = {"well": (unseen, 0.0), "leaked": (leaked, 1.0), "half": (torch.cat([unseen[:32], leaked[32:]]), 0.5)}
    for name, (pictures, expected) in cases.items():
        measures = look.measures(augmentation, pictures)
        assert measures["leak"] == pytest.approx(expected, abs=0.3), name
        assert 0 < measures["leak_error"] < 0.15
        line: Line = {"g_plays": 1} | measures
        assert bool(health.leaking([line], False)) == (name == "leaked"), name
        assert look.measures(augmentation, pictures) == measures, "it is a function of the state"


def test_fakes_that_are_like_neither_tell_nothing_of_a_leak(reals: Dataset) -> None:
    pictures = torch.zeros(64, 3, 16, 16)
    look = Leak(reals, 10_000)
    assert look.measures(changing("diff", 1), pictures) == {}
    assert look.measures(changing("ada", 0.5), pictures) == {"augment_p": 0.5}
    assert look.measures(changing("ada", 0.0), to_tensor(reals.images[:64], CPU)) == {"augment_p": 0.0}
    assert look.measures(Augment(), pictures) == {}
    assert Leak(reals, 5).measures(changing("diff", 1), pictures) == Leak(reals, 0).measures(Augment(), pictures) == {}


@pytest.mark.parametrize("kind", ["ada", "diff"])
def test_looking_for_a_leak_leaves_no_trace(kind: str, tmp_path: Path) -> None:
    one, other = (advance(make_trainer("dcgan:tiny", tmp_path, augment=kind), 5) for _ in range(2))
    measure(one, suitable(find("dcgan"), noise(30, seed=9)))
    advance(one, 5), advance(other, 5)
    assert not differences(one.state_dict(), other.state_dict())


# --- signs and verdicts -------------------------------------------------------------------------------------------

WELL: Line = {"d_loss": 0.8, "g_loss": 1.4, "acc_d": 0.9, "acc_g": 0.1, "d_norm": 20.0, "g_norm": 8.0}
WELL |= {"d_weight": 16.0, "g_weight": 20.0, "diversity": 0.8, "distinct": 0.7, "overfit": 0.1, "overfit_error": 0.1}
WELL |= {"leak": 0.1, "leak_error": 0.1}


def journal(sick: list[Line], *, steps: int = 50, critic: bool = False, first: int = 10, after: int = 0) -> list[Line]:
    """A journal of `first` healthy lines, the `sick` ones, and `after` healthy ones."""
    lines: list[Line] = []
    for i, change in enumerate([{}] * first + sick + [{}] * after):
        line = {"nimg": 1000 * (i + 1), "g_plays": steps * (i + 1)} | WELL | change
        lines.append(line | assess(lines, line, critic=critic))
    return lines


SICK: dict[str, list[Line]] = {
    "overfitting": [{"overfit": 0.9}],
    "leaking": [{"leak": 0.9}],
    "stalled": [{"g_norm": 1e-3, "acc_d": 0.995}],
    "collapsed": [{"diversity": 0.1}, {"distinct": 0.1}, {"diversity": 0.005}],
    "diverged": [{"d_loss": 9.0}, {"d_weight": 170.0}, {"g_weight": 210.0}, {"d_norm": 2100.0}, {"g_norm": 900.0}],
    "unbalanced": [{"acc_d": 0.9995, "acc_g": 0.0, "diversity": 0.3}, {"acc_d": 0.5, "acc_g": 0.97}],
}


@pytest.mark.parametrize(("name", "change"), [(name, change) for name in VERDICTS for change in SICK[name]])
def test_each_verdict_comes_stays_and_goes(name: str, change: Line) -> None:
    lines = journal([change] * 11, after=HOLD + 4)
    began = next(i for i, line in enumerate(lines) if "health" in line)
    slow = HOLD - 1 if "d_loss" in change else 0  # which is a mean over so many lines
    assert 9 + HOLD <= began <= 9 + HOLD + slow
    ends = next(i for i, line in enumerate(lines) if i > began and "health" not in line)
    assert 21 + ENDS - 1 <= ends <= 21 + ENDS - 1 + slow
    assert all(list(line["health"]) == [name] for line in lines[began:ends])
    assert not any("health" in line for line in lines[ends:])
    sentence = lines[began]["health"][name]
    assert (
        sentence.startswith(text(VERDICTS[name].meaning))
        and sentence.endswith(".")
        and any(c.isdigit() for c in sentence)
    )
    assert not journal([change] * (HOLD - 1), after=20)[-1].get("health"), "not by a sign that soon goes"
    assert not any("health" in line for line in journal([change, {}] * 20)), "nor by one that comes and goes"


@pytest.mark.parametrize("name", VERDICTS)
def test_a_verdict_is_computed_again_from_the_journal_in_another_language(name: str) -> None:
    lines = journal(SICK[name][:1] * 11, after=ENDS - 1)
    for n in (len(lines), len(lines) - ENDS + 1):
        (verdict,) = explain(lines[:n], critic=False).values()
        with using("en"):
            assert str(verdict) == lines[n - 1]["health"][name]
        with using("zh"):
            assert str(verdict).endswith("。") and text(VERDICTS[name].meaning) in str(verdict)
    assert explain(lines[:3], critic=False) == explain([], critic=False) == {}
    old: Line = {"nimg": 1, "g_plays": 1, "health": {name: "A sentence of an old version."}}
    assert str(explain([old], critic=False)[name]) == "A sentence of an old version."


@pytest.mark.parametrize("name", VERDICTS)
def test_many_short_ticks_are_no_more_than_few(name: str) -> None:
    lines = journal(SICK[name][:1] * 60, steps=3, first=80)
    began = next(line["g_plays"] for line in lines if "health" in line)
    assert STEPS <= began - 240 <= STEPS + 3 * HOLD


def test_a_verdict_outlives_a_single_better_tick() -> None:
    change = SICK["unbalanced"][0]
    lines = journal([change] * 8 + [{}] * (ENDS - 1) + [change] * 4)
    assert all("health" in line for line in lines[14:])
    assert last_healthy(lines) == lines[-1]["nimg"] and last_healthy([]) == 0, "going back would not help"
    serious = journal(SICK["collapsed"][:1] * 8 + [{}])
    assert last_healthy(serious) == 10_000, "while a verdict stands, a better tick is no health"


def test_a_grey_beginning_is_no_collapse_but_staying_grey_is() -> None:
    grey = {"diversity": 0.004, "distinct": 0.02, "g_norm": 0.4}
    assert not any("signs" in line for line in journal([grey] * 5, first=0))
    assert "collapsed" in journal([grey] * 20, first=0)[-1]["health"]
    repeating = {"diversity": 0.75, "distinct": 4 / 64}
    assert "collapsed" in journal([repeating] * 5, first=0)[-1]["health"], "four pictures, again and again"


def test_a_long_run_may_change_slowly() -> None:
    """Weights that grow to 40 times their size, and gradients that shrink to a fortieth, over 400 ticks."""
    slow = [
        {"g_weight": 20 + 2 * i, "d_weight": 16 + i, "g_norm": 30 / (1 + i / 10), "acc_d": 0.99} for i in range(400)
    ]
    assert not any("signs" in line for line in journal(slow, first=0))


def test_d_may_be_sure_while_the_pictures_become_better() -> None:
    sure = {"acc_d": 1.0, "acc_g": 0.0}
    rising = [sure | {"diversity": 0.05 * 1.1**i} for i in range(20)] + [sure | {"diversity": 0.5}] * 20
    assert not any("signs" in line for line in journal(rising, first=0))
    assert "unbalanced" in journal([sure | {"diversity": 0.05}] * 20, first=0)[-1]["health"]


def test_a_critic_may_be_sure() -> None:
    sure = {"acc_d": 1.0, "acc_g": 0.0, "d_loss": 12.0}
    assert not any("signs" in line for line in journal([sure] * 20, critic=True))
    assert "unbalanced" in journal([{"acc_d": 0.1, "acc_g": 0.97}] * 20, critic=True)[-1]["health"]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(sorted(WELL.keys() - {"overfit_error", "leak_error"})),
            st.floats(-1e9, 1e9, allow_nan=False),
            max_size=6,
        ),
        max_size=14,
    )
)
def test_whatever_a_journal_says(changes: list[Line]) -> None:
    """No verdict before its time, no matter the numbers; and every line follows from those before it alone."""
    lines: list[Line] = []
    for i, change in enumerate(changes):
        errors = {f"{name}_error": 0.1 for name in ("overfit", "leak") if name in change}
        line = {"nimg": i + 1, "g_plays": 40 * i} | errors | change
        lines.append(line | assess(lines, line, critic=False))
        assert i >= HOLD - 1 or "health" not in lines[-1]
        assert all(name in VERDICTS and said for name, said in lines[-1].get("health", {}).items())


@pytest.mark.parametrize("name", list(gans()))
def test_advice_is_made_of_this_gan_s_settings(name: str) -> None:
    gan, config = configured(f"{name}:tiny", (3, 16, 16), {"lr": 2e-4, "lr_d": 8e-5}, labels=CLASSES)
    for verdict in VERDICTS.values():
        advice = verdict.advise(gan, config)
        if verdict.name == "leaking" and "augment" in gan.unused:
            continue
        words = dict(word.strip(",;:").split("=") for word in advice.split() if "=" in word)
        fitting = {key: value for key, value in words.items() if key != "loss"}
        if verdict.name == "leaking":  # which takes augmentation
            fitting["augment"] = "ada"
        configured(name, (3, 16, 16), {key: _value(value) for key, value in fitting.items()}, labels=CLASSES)
        assert "{" not in advice
    assert "lr=0.0001" in VERDICTS["diverged"].advise(gan, config)
    assert "lr_d=4e-05" in VERDICTS["diverged"].advise(gan, config)


def _value(word: str) -> Any:
    return {"true": True, "ada": "ada"}.get(word) or float(word)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_verdict_is_said_once_when_it_begins_and_once_when_it_ends(
    terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def planted(past: list[Line], line: Line, *, critic: bool) -> Line:
        return {"health": {"stalled": "It is stuck."}} if 30 < line["nimg"] < 70 else {}

    monkeypatch.setattr(health, "assess", planted)
    monkeypatch.setattr(console, "_force_terminal", terminal)
    options: dict[str, Any] = {"device": "cpu", "precision": "fp32", "settings": {"batch": 8}, "every": 8}
    run = train(on_disk(tmp_path / "data", noise(24)), gan="mlp:tiny", run=tmp_path / "run", total=96, **options)
    out = capsys.readouterr().out
    assert out.count("32 images: stalled! It is stuck. To try: ") == 1 and out.count("stalled! ") == 1
    assert out.count("72 images: no longer stalled.") == 1 and out.count("no longer") == 1
    assert ["health" in line for line in read_json_lines(run / "journal.jsonl")] == [False] * 3 + [True] * 5 + [
        False
    ] * 4


# --- real runs, as small as they get -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The built-in people at 16 px: many for training, or few, and the same unseen ones."""
    data, folder = open_domain("peeps"), tmp_path_factory.mktemp("people")
    parts = {"many": data.split("train").images[:400], "few": data.split("train").images[:5]}
    folders = {}
    for name, part in parts.items():
        images = np.concatenate([part, data.split("valid").images[:64]]).reshape(-1, 16, 4, 16, 4, 3)
        small = images.mean((2, 4)).round().astype(np.uint8)
        folders[name] = on_disk(folder / name, small, np.arange(len(small)) % CLASSES, valid=64)
    folders["pair"] = pair_on_disk(folder / "pair", small, 255 - small[::-1], valid=64)
    return folders


def verdicts_of(
    data: Path,
    run: Path,
    gan: str,
    *,
    steps: int,
    every: int,
    batch: int = 16,
    balance: str = "fixed:1",
    **settings: Any,
) -> dict[str, int]:
    """Each verdict of a run, with the ticks for which it stood. `steps`, `every`: of D."""
    options: dict[str, Any] = {"device": "cpu", "precision": "fp32", "quiet": True, "save_every": 10**6}
    words: dict[str, Any] = {"batch": batch, "balance": balance} | settings
    train(data, gan=gan, run=run, total=steps * batch, every=every * batch, settings=words, **options)
    lines = read_json_lines(run / "journal.jsonl")
    names = [name for line in lines for name in line.get("health", {})]
    return {name: names.count(name) for name in names}


def test_minimax_against_a_fast_d_stalls(people: dict[str, Path], tmp_path: Path) -> None:
    verdicts = verdicts_of(people["many"], tmp_path, "mlp:tiny", steps=140, every=14, loss="minimax", lr_d=5e-3)
    assert verdicts.get("stalled", 0) >= 2


def test_a_thousandfold_rate_is_noticed(people: dict[str, Path], tmp_path: Path) -> None:
    verdicts = verdicts_of(people["many"], tmp_path, "mlp:tiny", steps=180, every=10, lr=0.2)
    assert verdicts.keys() & {"diverged", "collapsed", "stalled"}


def test_five_pictures_are_learned_by_heart(people: dict[str, Path], tmp_path: Path) -> None:
    verdicts = verdicts_of(people["few"], tmp_path, "dcgan:tiny", steps=300, every=20, lr=4e-3, lr_d=2e-3)
    assert verdicts.get("overfitting", 0) >= 2


def test_a_g_that_gives_up_its_variety_collapses(
    people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G is taught to draw all kinds of pictures at first, and then always the same one."""
    steps = itertools.count()

    def g_loss(self: MLP, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        images = self.G(self.G.draw(len(batch.images)))
        return images.var(0).mean() * (-1 if next(steps) < 60 else 100), {"fake": self.D(images)}

    monkeypatch.setattr(MLP, "g_loss", g_loss)
    verdicts = verdicts_of(people["many"], tmp_path, "mlp:tiny", steps=220, every=12, lr=4e-3, lr_d=1e-5, ema=0)
    assert verdicts.get("collapsed", 0) >= 2


@pytest.mark.parametrize("leaks", [True, False])
@pytest.mark.parametrize("kind", ["ada", "diff"])
def test_a_run_whose_pictures_are_augmented_leaks(
    kind: str, leaks: bool, people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Previews are planted: unseen people, plain or as the augmentation makes them."""
    unseen = to_tensor(open_domain(people["many"]).split("valid").images, CPU)
    torch.manual_seed(1)
    planted = changing(kind, 0.9)(unseen) if leaks else unseen
    monkeypatch.setattr(Generator, "pictures", lambda self, seeds: [planted])
    words: dict[str, Any] = {"augment": kind} | ({"augment_p": 0.7} if kind == "ada" else {})
    verdicts = verdicts_of(people["many"], tmp_path, "mlp:tiny", steps=140, every=14, **words)
    line = read_json_lines(tmp_path / "journal.jsonl")[-1]
    assert line["leak"] == pytest.approx(1 if leaks else 0, abs=0.35) and ("augment_p" in line) == (kind == "ada")
    assert bool(verdicts.get("leaking")) == leaks


SENSIBLE: dict[str, dict[str, Any]] = {
    "mlp": {"lr": 1e-3},
    "dcgan": {"lr": 2e-3, "lr_d": 5e-4},
    "wgan": {"lr": 1e-3, "clamp": 0.05},
    "wgan-gp": {"lr": 1e-3},
}


@pytest.mark.parametrize("name", list(gans()))
def test_a_run_that_is_well_raises_no_alarm(name: str, people: dict[str, Path], tmp_path: Path) -> None:
    words = SENSIBLE.get(name, {})
    data = people["pair" if find(name).task == "translate" else "many"]
    assert not verdicts_of(data, tmp_path, f"{name}:tiny", steps=112, every=10, batch=8, **words)
