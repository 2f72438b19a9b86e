"""Directions: planted ones are found, every GAN has some, they are saved, and the command says what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support import Cli, build, forms, labelled, noise, refused
from torch import Tensor, nn
from torch.nn import functional as F

from simulacra import messages
from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError
from simulacra.gan import Generator
from simulacra.latent import names
from simulacra.latent.attribute_classifier import AttributeClassifier, auc, train_classifier
from simulacra.latent.directions import directions as find
from simulacra.latent.discovery import MAX_COSINE, discover, distinct, free_name, to_direction
from simulacra.latent.effects import MIN_AMOUNT, is_description, measure_effects, noise_floor, similarity, statistics
from simulacra.latent.recipe import Direction, move
from simulacra.latent.saved import (
    FILE,
    add_direction,
    directions_file,
    open_directions,
    rename_direction,
    save_directions,
)
from simulacra.latent.supervised import learn_directions, logistic_regression, without_span
from simulacra.latent.traits import Trait, traits
from simulacra.latent.unsupervised import Candidate, components, entry_matrices, sefa
from simulacra.layers import EqualisedLinear
from simulacra.messages import Message
from simulacra.settings import Settings
from simulacra.storage import save_model

SIZE = 16
Z = 6


class Planted(Generator):
    """A linear generator whose axes of w, and what they do, are known: number k adds `strengths[k]` times pattern k."""

    strengths = (0.02, 0.3, 0.05, 0.2, 0.01, 0.1)

    def __init__(self) -> None:
        super().__init__(Settings(shape=(3, SIZE, SIZE), z=Z))
        patterns = torch.linalg.qr(torch.randn(3 * SIZE * SIZE, Z, generator=torch.Generator().manual_seed(0)))[0]
        # Brightness is what the reader of these tests sees; number 3 is the only one that changes it.
        patterns -= patterns.mean(0)
        patterns[:, 3] = 3**-0.5 / SIZE
        self.first = nn.Linear(Z, 3 * SIZE * SIZE)
        with torch.no_grad():
            self.first.weight.copy_(patterns * torch.tensor(self.strengths) * SIZE)
            self.first.bias.zero_()

    def synthesis(self, w: Tensor) -> Tensor:
        return self.first(w).view(-1, *self.shape)  # type: ignore[no-any-return]


class Bright(nn.Module):
    """Logits of `bright` and of noise that is nowhere in the pictures' axes."""

    def forward(self, pictures: Tensor) -> Tensor:
        light = pictures.mean((1, 2, 3))
        return torch.stack([light, torch.sin(1e4 * light)], 1) * 10


def reader(names: tuple[str, ...] = ("bright", "luck"), accuracy: float = 0.95) -> AttributeClassifier:
    many = (accuracy,) * len(names)
    return AttributeClassifier(
        names=names, network=Bright(), threshold=torch.zeros(len(names)), auc=many, accuracy=many, share=many
    )


def attributed(names: tuple[str, ...], labels: np.ndarray, images: np.ndarray | None = None) -> Dataset:
    images = noise(len(labels)) if images is None else images
    return replace(labelled(images), labels=labels.astype(np.float32), classes=(), attributes=names)


def axis(number: int) -> Tensor:
    return F.one_hot(torch.tensor(number), Z).float()


def cosine(one: Tensor, other: Tensor) -> float:
    return abs(float(F.cosine_similarity(one, other, dim=0)))


def direction(name: str, vector: Tensor | None = None, **fields: object) -> Direction:
    vector = torch.randn(8, generator=torch.Generator().manual_seed(len(name))) if vector is None else vector
    return Direction(name=name, vector=vector, kind="sefa", **fields)  # type: ignore[arg-type]


# --- closed form, components -------------------------------------------------------------------------------


@pytest.mark.parametrize("find", [sefa, components])
def test_planted_axes_are_found_in_the_order_of_their_strength(find: Callable[..., list[Candidate]]) -> None:
    candidates = find(Planted(), 4)
    for candidate, number in zip(candidates, (1, 3, 5, 2), strict=True):
        assert cosine(candidate.axis, axis(number)) > 0.98, number
        assert float(candidate.axis.norm()) == pytest.approx(1)


def test_components_of_a_mapping_are_those_of_w() -> None:
    G = build("stylegan2:tiny").G.eval()
    stretched = torch.tensor([1, 9, 1, 1, 4, 1, 1, 1.0])
    G.mapping = lambda z, y=None: z * stretched
    first, second = components(G, 2)
    assert float(first.axis[1].abs()) > 0.99
    assert float(second.axis[4].abs()) > 0.98


def test_a_style_enters_every_layer_and_ranges_see_their_own() -> None:
    G = build("stylegan2:tiny").G.eval()
    matrices = entry_matrices(G)
    assert {layer for layer, _ in matrices} == set(range(G.num_ws))
    styles = [module for name, module in G.named_modules() if name.startswith("layers.") and name.endswith(".style")]
    first = styles[0]
    assert isinstance(first, EqualisedLinear)
    assert torch.allclose(matrices[0][1], first.weight * first.scale, atol=1e-5)
    with torch.no_grad():
        for module in styles[4:]:
            module.get_parameter("weight")[:, 2] += 50.0  # number 2 now matters most at the end, and nowhere else
    candidates = {candidate.kind: candidate for candidate in reversed(sefa(G, 1))}
    assert float(candidates["sefa fine"].axis[2].abs()) > 0.95
    assert float(candidates["sefa coarse"].axis[2].abs()) < 0.9
    assert candidates["sefa fine"].layers == (4, 6)


def test_near_duplicates_are_dropped_in_w_and_by_effect() -> None:
    near = F.normalize(axis(0) + 0.1 * axis(1), dim=0)
    remaining = distinct([Candidate(axis=a, kind="x") for a in (axis(0), -near, axis(2))])
    assert [int(candidate.axis.argmax()) for candidate in remaining] == [0, 2]
    assert not distinct([Candidate(axis=axis(0), kind="x")], [direction("a", -3 * axis(0))])
    elsewhere = Candidate(axis=axis(0), kind="x", layers=(0, 2))
    assert len(distinct([Candidate(axis=axis(0), kind="x"), elsewhere])) == 2
    G = Planted()
    with torch.no_grad():
        G.first.weight[:, 0] = -2 * G.first.weight[:, 1]
    same, other = measure_effects(G, [direction("a", axis(0)), direction("b", axis(1))])
    assert similarity(same, other) > MAX_COSINE


def test_strength_one_is_a_deviation_of_w() -> None:
    w = torch.randn(4000, Z) * torch.arange(1, Z + 1)
    assert float(to_direction(Candidate(axis=axis(4), kind="x"), w).vector[4]) == pytest.approx(5, rel=0.05)


@pytest.mark.parametrize("spec", forms())
def test_every_gan_has_directions_that_change_its_pictures(spec: str) -> None:
    G = build(spec).G.eval()
    directions = discover(G, count=2, seed=5)
    assert 1 <= len(directions) <= 2  # an untrained model may have one alone that is seen
    assert len({direction.name for direction in directions}) == len(directions)
    w = G.mapping(G.seeded([1, 2]), G.conditions([1, 2]))
    for direction in directions:
        assert direction.vector.shape == (G.w_dim,)
        assert direction.about
        with torch.no_grad():
            assert (G.synthesis(move(G, w, direction, 2.0)) - G.synthesis(w)).abs().max() > 1e-5


def test_a_search_is_the_same_every_time() -> None:
    once, again = (discover(Planted(), count=3, seed=5) for _ in range(2))
    assert [direction.name for direction in once] == [direction.name for direction in again]
    assert all(torch.equal(a.vector, b.vector) for a, b in zip(once, again, strict=True))


def test_counts_that_cannot_be_are_refused() -> None:
    with refused("latent.direction_count", most=1000):
        discover(Planted(), count=0)


# --- effects -----------------------------------------------------------------------------------------------


def test_effects_below_the_noise_get_no_slider() -> None:
    faint = Planted()
    with torch.no_grad():
        faint.first.weight.mul_(0.1)
    floor = noise_floor(faint)
    assert floor == MIN_AMOUNT  # this one has no noise
    directions = discover(faint, count=Z)
    assert 0 < len(directions) < len(discover(Planted(), count=Z))
    assert all(effect.amount >= floor for effect in measure_effects(faint, directions))
    with torch.no_grad():
        faint.first.weight.mul_(0.01)
    assert len(discover(faint, count=Z)) == Z  # nearly alike, as at the start of a training: all are shown


def test_the_noise_of_a_model_is_its_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    styled = build("stylegan2:tiny").G
    shades = {0: 0.25, 1: -0.25}
    monkeypatch.setattr(styled, "render", lambda w, noise: torch.full((len(w), 3, 8, 8), shades[noise]))
    assert noise_floor(styled) == 0.5


@pytest.mark.parametrize(
    ("name", "described"), [("darker", True), ("lower 3", True), ("another shape at the top 2", True), ("smile", False), ("hair: black 2", False)]
)  # fmt: skip
def test_a_description_is_told_from_a_name(name: str, described: bool) -> None:
    assert is_description(name) is described


def test_words_say_what_grows() -> None:
    directions = discover(Planted(), count=6, classifier=reader())
    bright = next(direction for direction in directions if cosine(direction.vector, axis(3)) > 0.98)
    assert bright.about.startswith("bright +")
    assert "brighter" in bright.about
    assert float(bright.vector[3]) > 0  # strength upwards is brighter
    amounts = [effect.amount for effect in measure_effects(Planted(), directions)]
    assert amounts == sorted(amounts, reverse=True)


def test_statistics_of_plain_pictures() -> None:
    picture = torch.full((1, 3, 20, 20), -1.0)
    base = statistics(picture)
    red, right = picture.clone(), picture.clone()
    red[:, 0] = 1.0
    right[:, :, 15:, 15:] = 1.0
    assert statistics(red)["warmth"] > base["warmth"]
    corner = statistics(right)
    assert corner["across"] > 0.8
    assert corner["down"] > 0.8
    assert corner["bottom"] > 0 > corner["top"]
    assert corner["left"] < 0
    for shape in ((1, 16, 24), (4, 16, 16)):
        assert all(len(values) == 2 for values in statistics(torch.rand(2, *shape)).values())


# --- readers and traits ------------------------------------------------------------------------------------


def test_a_reader_learns_what_is_there_and_admits_what_is_not() -> None:
    source = np.random.default_rng(0)
    labels = source.integers(0, 2, (300, 2))
    images = noise(300) // 2
    images[labels[:, 0] == 1, 4:12, 4:12] += 100
    data = attributed(("square", "coin"), labels, images)
    classifier = train_classifier(data, steps=40)
    assert classifier.accuracy[0] > 0.95
    assert classifier.auc[0] > 0.97
    assert classifier.accuracy[1] < 0.8
    again, other = (train_classifier(data, seed=seed, steps=2).network for seed in (0, 0))
    assert all(map(torch.equal, again.state_dict().values(), other.state_dict().values()))
    with refused("latent.data_without_labels"):
        train_classifier(replace(data, labels=None))
    with refused("latent.too_few_pictures"):
        train_classifier(attributed(("square",), labels[:6, :1]))


def test_auc_counts_pairs() -> None:
    yes, no = np.array([1.0, 3.0]), np.array([0.0, 1.0, 2.0])
    assert auc(yes, no) == pytest.approx((1.5 + 3) / 6)


def test_a_group_whose_choices_lie_on_a_line_is_an_axis() -> None:
    chosen = np.arange(60) % 3
    labels = np.eye(3)[chosen]
    names = ("skin: mid", "skin: dark", "skin: light")
    light = np.array([120, 20, 220])[chosen].astype(np.uint8)
    images = np.broadcast_to(light[:, None, None, None], (60, SIZE, SIZE, 3)).copy()
    groups = traits(attributed(names, labels, images), reader(names))
    assert [trait.name for trait in groups] == ["skin", *names]
    assert groups[0].about == "from dark to light"
    logits = torch.tensor([[0.0, 5, 0], [0, 0, 5]])
    dark, pale = groups[0].score(logits).tolist()
    assert dark < 0 < pale
    hues = np.zeros((60, SIZE, SIZE, 3), np.uint8)
    hues[np.arange(60), :, :, chosen] = 200
    assert all(trait.kind == "choice" for trait in traits(attributed(names, labels, hues), reader(names)))


def test_classes_are_choices() -> None:
    assert [trait.kind for trait in traits(labelled(noise()), reader(("0", "1", "2")))] == ["choice"] * 3


# --- learning ----------------------------------------------------------------------------------------------


def test_a_planted_attribute_is_learned_and_luck_is_left_out() -> None:
    data = attributed(("bright", "luck"), np.zeros((40, 2)))
    learned = learn_directions(Planted(), data, classifier=reader(), samples=800)
    assert [direction.name for direction in learned.directions] == ["bright"]
    bright = learned.directions[0]
    assert cosine(bright.vector, axis(3)) > 0.99
    assert float(bright.vector[3]) > 0
    assert bright.accuracy is not None
    assert bright.accuracy > 0.95
    assert learned.left_out["luck"].code == "latent.left_out_inaccurate"
    blind = learn_directions(Planted(), data, classifier=reader(accuracy=0.6), samples=200)
    assert not blind.directions
    assert blind.left_out["bright"] == Message("latent.left_out_unrecognised", accuracy=0.6)


def test_what_brings_something_else_is_left_out() -> None:
    class Steps(nn.Module):
        def forward(self, pictures: Tensor) -> Tensor:
            light = pictures.mean((1, 2, 3)) * 3**0.5 / 0.2  # number 3 of w
            return torch.stack([light - 1.0, light - 0.5], 1)

    names = ("hat: high", "hat: low")
    eyes = replace(reader(names), network=Steps())
    learned = learn_directions(Planted(), attributed(names, np.zeros((40, 2))), classifier=eyes, samples=800)
    assert [direction.name for direction in learned.directions] == ["hat: low"]
    assert learned.left_out["hat: high"] == Message("latent.left_out_rival", name="hat: low")
    rare = replace(eyes, names=("hat: high", "cap"))
    learned = learn_directions(Planted(), attributed(rare.names, np.zeros((40, 2))), classifier=rare, samples=800)
    assert "latent.left_out_duplicate" in {reason.code for reason in learned.left_out.values()}


def test_learning_refuses_what_it_cannot_use() -> None:
    with refused("latent.data_of_another_shape"):
        learn_directions(Planted(), labelled(noise(shape=(1, 16, 16))), classifier=reader())
    with refused("latent.too_few_samples", least=100):
        learn_directions(Planted(), labelled(noise()), classifier=reader(), samples=5)


def test_rare_ones_weigh_as_much_as_the_others() -> None:
    x = torch.cat([torch.randn(3000, 2, generator=torch.Generator().manual_seed(0)), torch.ones(3000, 1)], 1)
    y = (x[:, 0] > 1.8).float()
    weight = logistic_regression(x, y)
    assert cosine(weight[:2], torch.tensor([1.0, 0.0])) > 0.98
    assert ((x[y > 0] @ weight) > 0).float().mean() > 0.95


def test_orthogonal_leaves_the_others_alone() -> None:
    vectors = torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
    remainder = without_span(vectors[0], [vectors[1], vectors[2], vectors[2]])
    assert (vectors[1:] @ remainder).abs().max() < 1e-5
    assert float(remainder @ vectors[0]) > 0
    assert torch.equal(without_span(vectors[0], []), vectors[0])


def test_orthogonal_directions_are_learned() -> None:
    class Two(nn.Module):
        def forward(self, pictures: Tensor) -> Tensor:
            w = pictures.flatten(1) @ G.first.weight
            return torch.stack([w[:, 1] + w[:, 3], w[:, 3]], 1)

    G = Planted()
    eyes = replace(reader(("both", "one")), network=Two())
    data = attributed(("both", "one"), np.zeros((40, 2)))
    plain = learn_directions(G, data, classifier=eyes, samples=800)
    apart = learn_directions(G, data, classifier=eyes, samples=800, orthogonal=True)
    assert len(plain.directions) == len(apart.directions) == 2
    one = plain.directions[1].vector
    assert cosine(plain.directions[0].vector, one) > 10 * cosine(apart.directions[0].vector, one)


# --- kept --------------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    gan = build("dcgan:tiny")
    save_model(gan.G, tmp_path / "model", gan="dcgan", config=gan.config, about={"data": "nowhere"})
    return tmp_path / "model"


def test_round_trip(model: Path) -> None:
    assert open_directions(model) == []
    saved = direction("ä b", layers=(0, 2), about="größer", accuracy=0.75, label="size")
    save_directions([saved, direction("other", -torch.ones(8))], model)
    first, second = open_directions(model)
    assert torch.equal(first.vector, saved.vector)
    assert replace(first, vector=saved.vector).__dict__ == saved.__dict__
    assert second.name == "other"
    assert directions_file(model) == model / FILE
    assert (model / FILE).read_bytes().count("größer".encode()) == 1  # readable


def test_what_a_user_named_stays(model: Path) -> None:
    a, b = direction("a", axis(0)), direction("b", axis(1))
    save_directions([a, b], model)
    rename_direction("a", "hat", model)
    add_direction(direction("mine", axis(2)), model)
    saved = save_directions(
        [replace(a, vector=-a.vector), direction("mine", axis(4)), direction("new", axis(5))], model
    )
    assert [other.name for other in saved] == ["hat", "mine", "mine 2", "new"]
    assert [other.own for other in open_directions(model)] == [True, True, False, False]
    for old, new, message in (("none", "x", "no direction"), ("hat", "new", "already"), ("hat", " ", "not a name"),
                           ("hat", "a=b", "not a name"), ("hta", "x", "Did you mean 'hat'")):  # fmt: skip
        with pytest.raises(SimulacraError, match=message):
            rename_direction(old, new, model)
    with refused("latent.direction_name_used"):
        add_direction(direction("mine"), model)


def test_files_of_others_and_damaged_ones_are_refused(model: Path, tmp_path: Path) -> None:
    save_directions([direction("a")], model)
    tensors = load_file(model / FILE)
    gan = build("dcgan:tiny", smoothing=0.0)
    torch.nn.init.normal_(gan.G.first.weight)
    save_model(gan.G, tmp_path / "other", gan="dcgan", config=gan.config, about={})
    with refused("latent.directions_of_another_model"):
        open_directions(tmp_path / "other", model / FILE)
    with refused("latent.directions_of_another_model"):
        save_directions([direction("b")], tmp_path / "other", model / FILE)
    save_file(tensors, tmp_path / "x.safetensors")
    with refused("latent.directions_format"):
        open_directions(model, tmp_path / "x.safetensors")
    whole = (model / FILE).read_bytes()
    for damaged in (whole[:40], whole[:-8], whole.replace(b"accuracy", b"accurazy"), b""):
        (model / FILE).write_bytes(damaged)
        with pytest.raises(SimulacraError, match="anew"):
            open_directions(model)


def test_directions_of_a_run_outlive_its_checkpoint(model: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run" / "checkpoints" / "000000040"
    checkpoint.parent.mkdir(parents=True)
    model.rename(checkpoint)
    save_directions([direction("a")], tmp_path / "run")
    assert directions_file(tmp_path / "run") == tmp_path / "run" / "directions" / "000000040.safetensors"
    assert [saved.name for saved in open_directions(checkpoint)] == ["a"]


def test_names_are_free() -> None:
    assert free_name("a", ["a", "a 2"]) == "a 3"
    assert free_name("a", []) == "a"


def test_the_model_that_comes_along_has_some(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("simulacra.latent.saved.user_data_path", lambda name: tmp_path / name)
    bundled = open_directions()
    assert {"glasses", "beard", "smile", "hair length", "hair colour", "skin tone"} <= {saved.name for saved in bundled}
    rename_direction("glasses", "spectacles")
    assert directions_file().is_relative_to(tmp_path)
    assert [saved.own for saved in open_directions() if saved.name == "spectacles"] == [True]
    assert len(open_directions()) == len(bundled)


def test_directions_returns_what_is_saved(model: Path) -> None:
    saved = find(model, count=2, device="cpu")
    assert [direction.name for direction in saved] == [direction.name for direction in open_directions(model)]
    assert len(saved) == 2


# --- the command -------------------------------------------------------------------------------------------


def test_the_command_finds_keeps_and_draws(run_cli: Cli, model: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    status, out, err = run_cli("directions", model, "--count", 2, "--sheet", sheet)
    assert status == 0, err
    assert str(model / FILE) in out
    saved = open_directions(model)
    assert len(saved) == 2
    from PIL import Image

    with Image.open(sheet) as image:
        assert image.height == 2 * 64
        assert image.width > 7 * 64
    status, out, _ = run_cli("directions", model, "--rename", f"{saved[0].name}=hat")
    assert status == 0
    assert "hat" in out
    status, out, _ = run_cli("directions", model, "--count", 2)
    assert status == 0
    assert open_directions(model)[0].name == "hat"


def test_the_command_learns(run_cli: Cli, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from support import on_disk

    monkeypatch.setattr("simulacra.latent.supervised.STEPS", 3)
    data = on_disk(tmp_path / "data", noise(60), np.arange(60) % 3)
    status, out, err = run_cli("directions", model, "--data", data, "--samples", 100, "--count", 1)
    assert status == 0, err
    assert "Left out" in out  # noise cannot be read
    assert open_directions(model)[0].kind in ("pca", "sefa")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--count", "0"], "1 to 1000"),
        (["--orthogonal"], "--labels"),
        (["--labels"], "--data"),
        (["--data", "/nowhere"], "/nowhere"),
        (["--rename", "x"], "old=new"),
        (["--rename", "x=y"], "None were found yet"),
        (["--samples", "5", "--data", "peeps"], "64"),
    ],
)
def test_the_commands_errors_are_a_sentence(run_cli: Cli, model: Path, words: list[str], message: str) -> None:
    status, _, err = run_cli("directions", model, *words)
    assert status == 1
    assert message in err
    assert "Traceback" not in err
    assert not (model / FILE).exists()


def test_the_axis_of_a_trait_has_a_gradient() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    Trait(name="a", columns=(0, 2), places=(-1.0, 1.0), group="a").score(logits).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert float(logits.grad[:, 1].abs().max()) == 0


def test_descriptions_are_shown_in_the_language_in_use() -> None:
    about = "glasses: sunglasses +50%, from black to gray; darker in the middle, my own -3%"
    assert names.effect(about) == about
    with messages.using("zh"):
        assert names.effect(about) == "眼镜：墨镜 +50%，从黑色到灰色；中部更暗，my own -3%"
        assert names.title("more contrast 2") == "对比更强 2"
