"""Walks: arcs and lines in closed form, loops that close, and films with the frames and the time they should have."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import build, forms, refused
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.generator import Generator, to_image
from simulacra.interpolation import interpolate_z, lerp, slerp
from simulacra.latent.film import walk as film_walk
from simulacra.latent.film import write_film, write_walk
from simulacra.latent.recipe import Recipe, to_w
from simulacra.latent.walk import Easing, Space, Walk, ease, seed_stops
from simulacra.provenance import read_provenance
from simulacra.sampling import read_recipe
from simulacra.storage import save_model

SPACES: tuple[Space, ...] = ("auto", "z", "w")

numbers = st.floats(-5, 5, allow_nan=False, width=32)
shares = st.floats(0, 1)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Two latents [1, d], d from 2 up."""
    d = draw(st.integers(2, 6))
    rows = [draw(st.lists(numbers, min_size=d, max_size=d)) for _ in range(2)]
    return torch.tensor(rows[:1]), torch.tensor(rows[1:])


def at(value: float) -> Tensor:
    return torch.tensor([value])


# --- arcs and lines -----------------------------------------------------------------------------------------------


@given(pairs(), shares)
def test_an_arc_keeps_lengths_in_proportion_and_ends_where_it_should(pair: tuple[Tensor, Tensor], t: float) -> None:
    one, other = pair
    if min(one.norm(), other.norm()) > 1e-3:
        expected = (1 - t) * one.norm() + t * other.norm()
        assert float(slerp(one, other, at(t)).norm()) == pytest.approx(float(expected), rel=1e-4)
    assert torch.allclose(slerp(one, other, at(0)), one, atol=1e-5)
    assert torch.allclose(slerp(one, other, at(1)), other, atol=1e-4)


@given(pairs(), shares)
def test_an_arc_is_the_same_both_ways(pair: tuple[Tensor, Tensor], t: float) -> None:
    one, other = pair
    cosine = torch.nn.functional.cosine_similarity(one.double(), other.double())
    if cosine > -0.999:  # nearly opposite ones could go round by either side
        forth, back = slerp(one, other, at(t)), slerp(other, one, at(1 - t))
        assert torch.allclose(forth, back, atol=2e-4)


def test_arcs_in_closed_form() -> None:
    x, y = torch.eye(3)[:1], torch.eye(3)[1:2]
    for t in (0.0, 0.25, 0.5, 1.0):
        arc = slerp(x, 2 * y, at(t))
        angle, length = t * math.pi / 2, 1 + t
        assert torch.allclose(arc, torch.tensor([[math.cos(angle), math.sin(angle), 0.0]]) * length, atol=1e-6)
    assert torch.allclose(slerp(x, 3 * x, at(0.5)), 2 * x), "the same direction: straight"
    around = slerp(x, -x, at(0.5))
    assert float(around.norm()) == pytest.approx(1) and abs(float(around[0, 0])) < 1e-6, "opposite ones: round"
    assert torch.allclose(around, slerp(-x, x, at(0.5)))
    assert torch.allclose(slerp(torch.zeros(1, 3), x, at(0.25)), 0.25 * x)


@given(pairs(), shares)
def test_a_line(pair: tuple[Tensor, Tensor], t: float) -> None:
    one, other = pair
    point = lerp(one, other, at(t))
    assert torch.allclose(point, one + t * (other - one), atol=1e-4)
    assert torch.allclose(point, lerp(other, one, at(1 - t)), atol=1e-4)
    assert torch.equal(lerp(one, other, at(0)), one) and torch.equal(lerp(one, other, at(1)), other)


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_a_step_between_two_latents_is_as_likely_as_they_are(prior: str) -> None:
    """Halfway between many: the same mean, spread and reach as the prior's; a straight line would have 1/√2 of it."""
    generator = build("mlp:tiny", z=64, prior=prior).G
    one, other = generator.seeded(range(400)), generator.seeded(range(400, 800))
    half = interpolate_z(one, other, torch.full((400,), 0.5), prior=prior)
    assert float(half.std()) == pytest.approx(float(one.std()), rel=0.02)
    assert float(half.mean()) == pytest.approx(0, abs=0.02)
    if prior == "uniform":
        assert half.abs().max() < 1
        quarters = half.flatten().quantile(torch.tensor([0.25, 0.5, 0.75]))
        assert torch.allclose(quarters, torch.tensor([-0.5, 0.0, 0.5]), atol=0.03), "uniform, not only as wide"
    for t, end in ((0.0, one), (1.0, other)):
        assert torch.allclose(interpolate_z(one, other, torch.full((400,), t), prior=prior), end, atol=1e-4)


@given(st.lists(shares, min_size=2, max_size=20), st.sampled_from(["linear", "smooth"]))
def test_easing_is_monotone_and_symmetric(t: list[float], easing: Easing) -> None:
    places = np.sort(np.array(t))
    eased = ease(places, easing)
    assert (np.diff(eased) >= 0).all()
    assert np.allclose(eased + ease(1 - places, easing), 1)
    assert ease(np.array([0.0, 0.5, 1.0]), easing).tolist() == [0, 0.5, 1]


# --- walks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", forms())
def test_every_gan_can_be_walked(spec: str) -> None:
    """Through the stops themselves, in a loop that closes, by steps that are small."""
    generator = build(spec).G.eval()
    stops = seed_stops([1, 2, 3])
    for space in SPACES:
        walk = Walk(generator, stops, space=space)
        with torch.no_grad():
            expected = torch.cat([generator.synthesis(to_w(generator, stop, {})) for stop in stops])
            reached = generator.synthesis(walk.latents_at(np.array([0.0, 1.0, 2.0])))
            ends = generator.synthesis(walk.latents_at(np.array([0.0, 3.0])))
        assert torch.allclose(reached, expected, atol=1e-4), space
        assert torch.allclose(ends[0], ends[1], atol=1e-4), "a loop closes"
        frames = list(walk.frames(9))
        assert len(frames) == 9 and frames[0].picture.shape == generator.shape
        assert torch.allclose(frames[3].picture, expected[1], atol=1e-4)


def test_a_way_there_ends_at_the_last_stop() -> None:
    generator = build("mlp:tiny").G
    frames = list(Walk(generator, seed_stops([1, 2, 3]), loop=False).frames(7))
    assert [frames[i].position for i in (0, 3, 6)] == [0, 1, 2]
    with torch.no_grad():
        assert torch.allclose(frames[6].w, generator.seeded([3])[0], atol=1e-5)


def test_a_loop_has_its_first_picture_once() -> None:
    positions = [frame.position for frame in Walk(build("mlp:tiny").G, seed_stops([1, 2])).frames(8, easing="linear")]
    assert positions == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75])


def test_a_walk_is_the_same_in_any_batch() -> None:
    walk = Walk(build("dcgan:tiny").G, seed_stops([1, 2, 3]))
    for one, other in zip(walk.frames(10, batch=3), walk.frames(10), strict=True):
        assert torch.allclose(one.picture, other.picture, atol=1e-5) and one.position == other.position


def test_an_even_walk_changes_pictures_evenly() -> None:
    walk = Walk(build("mlp:tiny").G, seed_stops([1, 2, 3, 4]))

    def unevenness(**options: bool) -> float:
        pictures = torch.stack([frame.picture for frame in walk.frames(60, easing="linear", **options)])
        steps = (pictures[1:] - pictures[:-1]).square().mean((1, 2, 3)).sqrt()
        return float(steps.std() / steps.mean())

    assert unevenness(even=True) < unevenness() / 2


def test_edited_and_found_pictures_can_be_walked_between() -> None:
    generator = build("stylegan2:tiny").G.eval()
    with torch.no_grad():
        w = generator.mapping(generator.seeded([1]))[0]
    wide = Recipe(w=tuple(tuple(row) for row in w.repeat(generator.num_ws, 1).tolist()))
    walk = Walk(generator, [wide, Recipe(seed=2)])
    assert walk.latents_at(np.array([0.3])).shape == (1, generator.num_ws, generator.w_dim)
    mixed = Recipe(seed=3, other=Recipe(seed=4), layers=(0, 2))
    assert len(list(Walk(generator, [mixed, wide]).frames(3))) == 3
    with refused("latent.walk_in_z_of_edited"):
        Walk(generator, [wide, Recipe(seed=2)], space="z")


def test_truncated_stops_stay_where_they_are() -> None:
    for spec in ("mlp:tiny", "stylegan:tiny"):
        generator = build(spec).G.eval()
        stops = seed_stops([1, 2], truncation=0.5)
        for space in SPACES[1:]:
            walk = Walk(generator, stops, space=space)
            with torch.no_grad():
                assert torch.allclose(walk.latents_at(np.array([1.0])), to_w(generator, stops[1], {}), atol=1e-5)


def test_what_cannot_be_walked_is_one_sentence() -> None:
    with refused("latent.too_few_stops"):
        Walk(build("mlp:tiny").G, seed_stops([1]))
    with refused("latent.walk_frames", frames=1):
        next(Walk(build("mlp:tiny").G, seed_stops([1, 2])).frames(1))


# --- films --------------------------------------------------------------------------------------------------------


def film(generator: Generator, out: Path, **options: object) -> int:
    settings: dict[str, object] = {"seconds": 0.5, "fps": 20, "easing": "smooth", "even": False, "size": None}
    walk = Walk(generator, seed_stops([1, 2]))
    return write_walk(walk, out, model="abc", **(settings | options))  # type: ignore[arg-type]


def frames_and_time(path: Path) -> tuple[int, int]:
    """Frames and milliseconds."""
    with Image.open(path) as image:
        total, count = 0, getattr(image, "n_frames", 1)
        for i in range(count):
            image.seek(i)
            image.load()
            total += image.info["duration"]
    return count, total


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 10), (4, 8, 8)])
@pytest.mark.parametrize(("kind", "fps"), [(".webp", 20), (".webp", 30), (".gif", 20), (".gif", 30)])
def test_a_film_has_its_frames_and_its_time(kind: str, fps: int, shape: tuple[int, int, int], tmp_path: Path) -> None:
    path = tmp_path / f"walk{kind}"
    count = film(build("mlp:tiny", shape).G, path, fps=fps, size=16)
    assert count == fps // 2
    frames, milliseconds = frames_and_time(path)
    assert frames <= count and milliseconds == 500  # equal neighbours may be merged
    assert frames > count / 2
    with Image.open(path) as image:
        assert image.size == (16 * shape[2] // shape[1], 16)
        assert image.info["loop"] == 0


@pytest.mark.parametrize("shape", [(3, 15, 8), (1, 8, 8), (4, 8, 8)])
def test_an_mp4(shape: tuple[int, int, int], tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "walk.mp4"
    write_film(path, (Image.new("RGB", (7, 16), (i * 9, 0, 0)) for i in range(12)), 12, fps=24)
    with av.open(path) as opened:
        stream = opened.streams.video[0]
        assert (stream.frames, stream.average_rate, stream.width, stream.height) == (12, 24, 8, 16)
        assert opened.duration / 1e6 == pytest.approx(0.5, abs=0.05)
        means = [frame.to_ndarray(format="rgb24").mean() for frame in opened.decode(video=0)]
    assert len(means) == 12 and means[-1] > means[0] + 10
    generator = build("mlp:tiny", shape).G
    assert film(generator, tmp_path / "other.mp4") == 10


def test_walk_takes_a_model_by_name(tmp_path: Path) -> None:
    gan = build("mlp:tiny")
    save_model(gan.G, tmp_path / "model", gan="mlp", config=gan.config, about={})
    for seeds in ("1,2", [1, 2]):
        out = tmp_path / f"walk{len(seeds)}.webp"
        assert film_walk(tmp_path / "model", out, seeds=seeds, seconds=0.5, fps=20, device="cpu") == out
        film(gan.G, tmp_path / "expected.webp")
        assert out.read_bytes() == (tmp_path / "expected.webp").read_bytes()
        (tmp_path / "expected.webp").unlink()


def test_a_folder_of_frames_each_with_its_recipe(tmp_path: Path) -> None:
    generator = build("mlp:tiny").G
    out = tmp_path / "frames"
    assert film(generator, out) == 10
    paths = sorted(out.iterdir())
    assert [path.name for path in paths] == [f"{i:06d}.png" for i in range(10)]
    with Image.open(paths[3]) as image, torch.no_grad():
        again = to_image(generator.synthesis(to_w(generator, read_recipe(paths[3]), {}))[0])
        assert np.abs(np.asarray(image).astype(int) - np.asarray(again)).max() <= 1


def test_frames_between_labels_say_where_on_the_walk_they_are(tmp_path: Path) -> None:
    film(build("cgan:tiny").G, tmp_path / "frames")
    record = read_provenance(tmp_path / "frames" / "000005.png")
    assert record is not None and record["walk"]["place"] == 1
    with refused("sampling.no_recipe"):
        read_recipe(tmp_path / "frames" / "000005.png")


def test_frames_are_made_as_they_are_wanted(tmp_path: Path) -> None:
    """Few of them are there at once, however many the film has."""
    alive, most = 0, 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def frames() -> Iterator[Image.Image]:
        nonlocal alive, most
        for i in range(60):
            frame = Image.new("RGB", (16, 16), (i, 0, 0))
            alive += 1
            weakref.finalize(frame, gone)
            most = max(most, alive)
            yield frame

    for name in ("a.webp", "a.mp4", "a"):
        alive, most = 0, 0
        write_film(tmp_path / name, frames(), 60)
        assert most <= 12, name


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("walk.avi", {}, r"\.webp"),
        ("there.webp", {}, "exists already"),
        ("walk.webp", {"fps": 0}, "a second"),
        ("walk.webp", {"fps": 1000}, "a second"),
        ("walk.webp", {"seconds": 0}, "seconds"),
        ("walk.webp", {"seconds": 1e9}, "seconds"),
        ("walk.webp", {"size": 0}, "--size"),
        ("walk.webp", {"fps": float("nan")}, "a second"),
    ],
)
def test_a_film_that_cannot_be_is_one_sentence(
    name: str, options: dict[str, object], message: str, tmp_path: Path
) -> None:
    (tmp_path / "there.webp").write_text("mine")
    with pytest.raises(SimulacraError, match=message):
        film(build("mlp:tiny").G, tmp_path / name, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["there.webp"]
    assert (tmp_path / "there.webp").read_text() == "mine"


def test_without_pyav_an_mp4_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with refused("latent.film_needs_av"):
        film(build("mlp:tiny").G, tmp_path / "walk.mp4")
    assert not list(tmp_path.iterdir())


def test_a_gif_too_large_for_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulacra.latent.film.MAX_GIF", 100)
    with refused("latent.gif_too_large"):
        film(build("mlp:tiny").G, tmp_path / "walk.gif")
    assert not list(tmp_path.iterdir())
