"""A picture as numbers: what a recipe means, on every GAN, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import build, forms, refused
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.generator import Generator
from simulacra.latent.layer_ranges import parse_layer_truncation
from simulacra.latent.recipe import Direction, Edit, Recipe, from_json, move, to_json, to_w
from simulacra.latent.walk import Walk
from simulacra.sampling import draw

every_form = pytest.mark.parametrize("form", forms())
finite = st.floats(-50, 50, width=32)
pairs = st.one_of(st.none(), st.tuples(st.integers(0, 4), st.integers(5, 9)))


def generator(form: str) -> Generator:
    model: Any = build(form).G
    model.eval()
    return model  # type: ignore[no-any-return]


def way(model: Generator, name: str = "up") -> Direction:
    return Direction(name=name, vector=torch.arange(model.w_dim).float() / 10, kind="planted")


@torch.no_grad()
def rendered(model: Generator, recipe: Recipe, *directions: Direction) -> Tensor:
    return model.synthesis(to_w(model, recipe, {direction.name: direction for direction in directions}))


@every_form
@torch.no_grad()
def test_a_seed_is_the_picture_that_sampling_draws(form: str) -> None:
    model = generator(form)
    for psi in (1.0, 0.5):
        (expected,) = next(model.pictures([7], truncation=psi))
        torch.testing.assert_close(rendered(model, Recipe(seed=7, truncation=psi))[0], expected)


STYLED = ("stylegan:tiny", "stylegan2:tiny")


def noisy(form: str) -> Generator:
    """A generator whose layers add noise, as after training."""
    model: Any = build(form).G
    if form.startswith("stylegan:"):
        model.growth.update(10**6)
    for layer in model.layers:
        torch.nn.init.constant_(layer.strength, 0.5)
    model.w_avg.fill_(0.3)
    return model.eval()  # type: ignore[no-any-return]


@pytest.mark.parametrize("form", STYLED)
@torch.no_grad()
def test_noise_drawn_anew_is_the_same_picture_with_other_details(form: str) -> None:
    model = noisy(form)
    plain, one, other = (rendered_noisily(model, Recipe(seed=7, noise=noise)) for noise in (None, 1, 2))
    torch.testing.assert_close(plain, rendered(model, Recipe(seed=7)))
    assert not torch.allclose(plain, one, atol=1e-3) and not torch.allclose(one, other, atol=1e-3)
    assert torch.equal(one, rendered_noisily(model, Recipe(seed=7, noise=1)))
    torch.testing.assert_close(next(model.pictures([7, 8], noise=1))[:1], one)
    recipes = [Recipe(seed=7, noise=1), Recipe(seed=8), Recipe(seed=7, noise=2)]
    sheet = draw(model, recipes, torch.cat([to_w(model, recipe, {}) for recipe in recipes]))
    torch.testing.assert_close(sheet, torch.cat([rendered_noisily(model, recipe) for recipe in recipes]))
    frames = list(Walk(model, recipes[::2]).frames(4))
    torch.testing.assert_close(frames[0].picture, plain[0])
    frames = list(Walk(model, [recipes[0], Recipe(seed=8, noise=1)]).frames(4))
    torch.testing.assert_close(frames[0].picture, one[0])


def rendered_noisily(model: Generator, recipe: Recipe) -> Tensor:
    return draw(model, [recipe], to_w(model, recipe, {}))


@pytest.mark.parametrize("form", STYLED)
@torch.no_grad()
def test_each_range_of_layers_has_its_own_truncation(form: str) -> None:
    model = noisy(form)
    recipe = Recipe(seed=7, truncation=0.8, layer_truncation={(0, 2): 0.5, (3, 6): 0.0})
    w = to_w(model, Recipe(seed=7), {})
    expected = torch.stack([model.truncate(w, 0.8 * psi) for psi in (0.5, 0.5, 1, 0, 0, 0)], 1)
    torch.testing.assert_close(to_w(model, recipe, {}), expected)
    (drawn,) = next(model.pictures([7], truncation=0.8, layer_truncation=recipe.layer_truncation))
    torch.testing.assert_close(drawn, rendered(model, recipe)[0])
    assert to_json(recipe)["layer_truncation"] == {"0-1": 0.5, "3-5": 0.0}
    assert parse_layer_truncation("0-1=0.5, 3-5=0") == recipe.layer_truncation


@pytest.mark.parametrize("word", ["0-1", "0-1=", "x=1", "1-0=1", "0=nan", "0=9", "=1"])
def test_a_truncation_of_layers_that_cannot_be_is_one_sentence(word: str) -> None:
    with pytest.raises(SimulacraError) as caught:
        parse_layer_truncation(word)
    assert caught.value.code in {"latent.not_layer_truncation", "latent.not_layers"}


def test_models_without_layers_or_noise_say_so() -> None:
    model = generator("dcgan:tiny")
    with refused("generator.no_noise"):
        rendered_noisily(model, Recipe(seed=7, noise=1))
    with refused("generator.no_layers"):
        to_w(model, Recipe(seed=7, layer_truncation={(0, 1): 0.5}), {})
    for noise in (-1, 2**32):
        with refused("latent.not_a_seed", seed=noise):
            rendered_noisily(noisy(STYLED[1]), Recipe(seed=7, noise=noise))


@every_form
@torch.no_grad()
def test_z_and_w_written_down_are_the_same_picture(form: str) -> None:
    model = generator(form)
    expected = rendered(model, Recipe(seed=7))
    z = tuple(model.seeded([7])[0].tolist())
    label = "" if not model.labels else None
    if label is None:  # a seed draws its label; a written z is given the same one
        y = model.conditions([7])
        assert y is not None
        label = ", ".join(f"{i}={float(v):g}" for i, v in enumerate(y[0])) if model.attributes else str(int(y.argmax()))
        expected = rendered(model, Recipe(seed=7, label=label))
    torch.testing.assert_close(rendered(model, Recipe(z=z, label=label)), expected)
    w = to_w(model, Recipe(seed=7, label=label), {})[:, : model.w_dim]
    torch.testing.assert_close(rendered(model, Recipe(w=(tuple(w[0].tolist()),), label=label)), expected)
    changed = Recipe(seed=7, label=label, numbers={0: 3.0})
    torch.testing.assert_close(to_w(model, changed, {}), to_w(model, Recipe(z=(3.0, *z[1:]), label=label), {}))


@every_form
@torch.no_grad()
def test_edits_add_up_and_leave_what_tells_of_the_label(form: str) -> None:
    model = generator(form)
    up, down = way(model), Direction(name="down", vector=-2 * way(model).vector, kind="planted")
    plain = to_w(model, Recipe(seed=3), {})
    both = Recipe(seed=3, edits={"up": Edit(strength=2.0), "down": Edit(strength=1.0)})
    torch.testing.assert_close(to_w(model, both, {"up": up, "down": down}), plain)
    once = to_w(model, Recipe(seed=3, edits={"up": Edit(strength=1.5)}), {"up": up})
    torch.testing.assert_close((once - plain)[:, : model.w_dim], 1.5 * up.vector[None])
    assert torch.equal(once[:, model.w_dim :], plain[:, model.w_dim :])
    many = move(model, plain.repeat(3, 1), up, torch.tensor([0.0, 1.0, 1.5]))
    torch.testing.assert_close(many[::2], torch.cat([plain, once]))


@pytest.mark.parametrize("name", ["stylegan", "stylegan2"])
@torch.no_grad()
def test_layers_are_edited_and_mixed_alone(name: str) -> None:
    model = generator(f"{name}:tiny")
    assert model.num_ws > 2
    plain = to_w(model, Recipe(seed=3), {})[:, None].expand(-1, model.num_ws, -1)
    edited = to_w(model, Recipe(seed=3, edits={"up": Edit(strength=1.0, layers=(1, 2))}), {"up": way(model)})
    torch.testing.assert_close(edited[:, 1], plain[:, 1] + way(model).vector)
    assert torch.equal(edited[:, :1], plain[:, :1]) and torch.equal(edited[:, 2:], plain[:, 2:])
    other = Recipe(seed=4)
    mixed = to_w(model, Recipe(seed=3, other=other, layers=(0, 2)), {})
    torch.testing.assert_close(mixed[:, :2], to_w(model, other, {})[:, None].expand(-1, 2, -1))
    assert torch.equal(mixed[:, 2:], plain[:, 2:])
    rows = tuple(tuple(row.tolist()) for row in mixed[0])
    torch.testing.assert_close(to_w(model, Recipe(w=rows), {}), mixed)


BAD = [
    ({}, "exactly one"),
    ({"seed": 1, "z": [0.0]}, "exactly one"),
    ({"seed": -1}, "from 0 to"),
    ({"seed": 2**32}, "from 0 to"),
    ({"seed": 1.5}, "not a whole number"),
    ({"seed": True}, "not a whole number"),
    ({"sed": 1}, "Did you mean 'seed'"),
    ({"z": [0.0]}, "z has 1 numbers, and this model takes"),
    ({"w": [[0.0]]}, "w has 1 numbers, and this model takes"),
    ({"w": [[0.0], [1.0]]}, "w has 2 rows"),
    ({"w": [0.0, [1.0]]}, "not a picture's recipe"),
    ({"seed": 1, "numbers": {"99": 0}}, "no number 99"),
    ({"seed": 1, "numbers": {"0": float("nan")}}, "number 0 of z is nan"),
    ({"seed": 1, "numbers": {"0": 1e9}}, "from -100 to 100"),
    ({"seed": 1, "numbers": [1]}, "not a picture's recipe"),
    ({"seed": 1, "truncation": float("inf")}, "truncation is inf"),
    ({"seed": 1, "edits": {"upp": 1}}, "Did you mean 'up'"),
    ({"seed": 1, "edits": {"up": 11}}, "from -10 to 10"),
    ({"seed": 1, "edits": {"up": {"strength": 1, "layers": [0, 1]}}}, "has none"),
    ({"seed": 1, "other": {"seed": 2}}, "no layers"),
    ({"seed": 1, "label": "red"}, "without labels"),
    ({"seed": 1, "label": 7}, "not a text"),
    ({"w": {"0": 1}}, "not a list"),
    ({"seed": 1, "edits": {"up": {}}}, "no strength"),
    ([1], "JSON object"),
    (None, "JSON object"),
]


@pytest.mark.parametrize(("payload", "message"), BAD, ids=[str(payload)[:40] for payload, _ in BAD])
def test_what_is_wrong_is_said_in_a_sentence(payload: Any, message: str) -> None:
    model = generator("dcgan:tiny")
    with pytest.raises(SimulacraError, match=message):
        to_w(model, from_json(payload), {"up": way(model)})


def test_a_direction_of_another_model_is_refused() -> None:
    model = generator("dcgan:tiny")
    foreign = Direction(name="up", vector=torch.zeros(model.w_dim + 1), kind="planted")
    with refused("latent.direction_of_another_model"):
        to_w(model, Recipe(seed=1, edits={"up": Edit(strength=1.0)}), {"up": foreign})


starts = st.one_of(
    st.fixed_dictionaries({"seed": st.integers(0, 2**32 - 1)}),
    st.fixed_dictionaries({"z": st.lists(finite, min_size=1, max_size=4).map(tuple)}),
    st.fixed_dictionaries(
        {"w": st.lists(st.lists(finite, min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple)}
    ),
)
rest = st.fixed_dictionaries(
    {
        "label": st.text(max_size=5),
        "numbers": st.dictionaries(st.integers(0, 9), finite, max_size=3),
        "layers": pairs,
        "truncation": finite,
        "layer_truncation": st.dictionaries(pairs.filter(bool), finite, max_size=2),
        "noise": st.one_of(st.none(), st.integers(0, 9)),
        "edits": st.dictionaries(st.text(max_size=5), st.builds(Edit, strength=finite, layers=pairs), max_size=3),
    }
)


@settings(max_examples=50)
@given(starts, rest, st.one_of(st.none(), st.integers(0, 9)))
def test_a_recipe_written_as_json_is_read_back(start: Any, more: Any, other: int | None) -> None:
    recipe = Recipe(**start, **more, other=None if other is None else Recipe(seed=other))
    assert from_json(json.loads(json.dumps(to_json(recipe)))) == recipe


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(Recipe.__dataclass_fields__)), json_values))
def test_no_json_brings_anything_but_a_recipe_or_a_sentence(payload: Any) -> None:
    try:
        assert isinstance(from_json(payload), Recipe)
    except SimulacraError as error:
        assert str(error)
