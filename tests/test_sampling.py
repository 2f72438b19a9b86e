"""Pictures from seeds: the formulas, the files, and nothing overwritten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import build, refused
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.gan import Generator, to_image
from simulacra.generator import TYPICAL, as_generator
from simulacra.interpolation import slerp
from simulacra.latent.mix import cross_matrix
from simulacra.latent.recipe import to_json
from simulacra.latent.walk import seed_stops
from simulacra.provenance import KEY, png_info, read_provenance, write_png
from simulacra.sampling import read_recipe, write_pictures, write_recipe
from simulacra.seeds import WordSeed, format_seeds, parse_seeds


@pytest.fixture(scope="module")
def generator() -> Generator:
    model: Generator = build("dcgan:tiny").G.eval()
    return model


def pictures_of(generator: Generator, seeds: Sequence[int], **options: float) -> Tensor:
    return torch.cat(list(generator.pictures(seeds, **options)))  # type: ignore[arg-type]


# --- formulas -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("psi", [0.0, 0.5, 1.0, 1.5])
def test_truncation_turns_towards_the_most_typical_picture(psi: float, generator: Generator) -> None:
    with torch.no_grad():
        z, candidates = generator.seeded([3, 4]), torch.cat(list(generator.pictures(TYPICAL)))
        nearest = (candidates - candidates.mean(0)).square().flatten(1).sum(1).argmin()
        typical = generator.seeded([TYPICAL[int(nearest)]])
        w = slerp(typical.expand_as(z), z, torch.full((2,), psi))
        assert torch.equal(generator.truncate(z, psi), z if psi == 1 else w)
        torch.testing.assert_close(pictures_of(generator, [3, 4], truncation=psi), generator.synthesis(w))
    if psi == 0:
        torch.testing.assert_close(w, typical.expand_as(w))


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_a_truncated_latent_is_as_long_as_any(prior: str) -> None:
    """Shorter ones were never drawn in training: the bundled model melts them into patches."""
    generator = build("dcgan:tiny", prior=prior, z=64).G.eval()
    w = torch.cat([generator.truncate(generator.seeded(range(20)), psi) for psi in (0.0, 0.2, 0.5, 0.8)])
    lengths = generator.seeded(range(1000)).norm(dim=1)
    assert w.norm(dim=1).min() > 0.9 * lengths.min()
    assert prior == "normal" or w.abs().max() <= 1


def test_what_is_typical_follows_the_weights() -> None:
    generator = build("dcgan:tiny").G.eval()
    before = generator.truncate(generator.seeded([3]), 0.0)
    generator.train()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.normal_()
    generator.eval()
    generator.seeded = lambda seeds: torch.full((len(seeds), 8), 2.0)
    assert not torch.equal(generator.truncate(torch.ones(1, 8), 0.0), before)


@pytest.mark.parametrize("least", [0.0, 0.1, 2.0])
def test_min_latent_moves_small_numbers_out_and_keeps_their_sign(
    least: float, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs: list[Tensor] = []

    def mapping(z: Tensor, y: Tensor | None = None) -> Tensor:
        inputs.append(z)
        return z

    monkeypatch.setattr(generator, "mapping", mapping)
    plain = generator.seeded(range(50))
    plain[0, 0] = 0.0
    monkeypatch.setattr(generator, "seeded", lambda seeds: plain[list(seeds)].clone())
    pictures_of(generator, range(50), min_latent=least)
    z = torch.cat(inputs)
    assert z.abs().min() >= least
    far = plain.abs() >= least
    assert torch.equal(z[far], plain[far])
    assert (z[~far].abs() == least).all()
    assert (z.sign() == plain.sign())[plain != 0].all()
    assert z[0, 0] == least


@pytest.mark.parametrize("least", [-0.1, float("nan")])
def test_an_odd_min_latent_is_refused(least: float, generator: Generator) -> None:
    with refused("generator.negative_min_latent"):
        pictures_of(generator, [0], min_latent=least)


def test_priors() -> None:
    normal, uniform = (build("mlp:tiny", prior=prior).G for prior in ("normal", "uniform"))
    torch.manual_seed(0)
    for z in (normal.seeded(range(2000)), normal.draw(2000)):
        assert z.std().item() == pytest.approx(1, abs=0.03) and z.abs().max() > 3
    for z in (uniform.seeded(range(2000)), uniform.draw(2000)):
        assert z.abs().max() <= 1 and z.std().item() == pytest.approx(3**-0.5, abs=0.02)
        assert z.mean().item() == pytest.approx(0, abs=0.02)


def test_seeds_take_nothing_from_the_global_state_and_leave_it(generator: Generator) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = generator.seeded([5, 2**62])
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(generator.seeded([5, 2**62]), first)


def test_pictures_are_drawn_as_they_are_asked_for(generator: Generator) -> None:
    """Ten million seeds are no burden: a batch is drawn when it is wanted."""
    stream = generator.pictures(range(10_000_000), batch=4)
    assert [next(stream).shape for _ in range(3)] == [(4, 3, 16, 16)] * 3
    assert list(generator.pictures([])) == []


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_to_image_rounds_and_clamps(channels: int, mode: str) -> None:
    picture = torch.tensor([-9.0, -1.0, 0.0, 0.5, 1.0, 9.0]).repeat(channels, 2, 1)
    image = to_image(picture)
    assert (image.mode, image.size) == (mode, (6, 2))
    assert np.asarray(image).reshape(2, 6, channels)[1, :, -1].tolist() == [0, 0, 128, 191, 255, 255]


def test_every_byte_survives_the_way_to_a_tensor_and_back() -> None:
    grey = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    assert np.asarray(to_image(grey.float().div(127.5).sub(1))).ravel().tolist() == list(range(256))


# --- files --------------------------------------------------------------------------------------------------------


def test_pictures_say_where_they_come_from(generator: Generator, tmp_path: Path) -> None:
    paths = write_pictures(generator, tmp_path, [7, 1_000_000], model="abc", truncation=0.5, min_latent=0.1)
    assert [path.name for path in paths] == ["seed000007.png", "seed1000000.png"]
    assert read_provenance(paths[0]) == {"model": "abc", "seed": 7, "truncation": 0.5, "min_latent": 0.1}
    with Image.open(paths[0]) as image:
        expected = to_image(pictures_of(generator, [7, 1_000_000], truncation=0.5, min_latent=0.1)[0])
        assert np.array_equal(np.asarray(image), np.asarray(expected))
    Image.new("RGB", (2, 2)).save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("no picture")
    assert (
        read_provenance(tmp_path / "plain.png")
        is read_provenance(tmp_path / "text.png")
        is read_provenance(tmp_path / "gone.png")
        is None
    )


def test_bf16_is_near_and_recorded(generator: Generator, tmp_path: Path) -> None:
    (path,) = write_pictures(generator, tmp_path, [7], model="abc", bf16=True)
    record = read_provenance(path)
    assert record is not None and record["bf16"] is True
    exact, near = (pictures_of(generator, [7], bf16=bf16)[0] for bf16 in (False, True))
    assert 0 < float((exact - near).abs().max()) < 0.1
    with pytest.raises(SimulacraError, match="another picture"):
        write_pictures(generator, tmp_path, [7], model="abc")


def test_other_noise_is_another_file_that_opens_again(tmp_path: Path) -> None:
    model = build("stylegan2:tiny").G.eval()
    for layer in model.layers:
        torch.nn.init.constant_(layer.strength, 0.5)
    options: dict[str, Any] = {"model": "abc", "layer_truncation": {(0, 2): 0.5}}
    (plain,) = write_pictures(model, tmp_path, [7], **options)
    (path,) = write_pictures(model, tmp_path, [7], noise=3, **options)
    assert (plain.name, path.name) == ("seed000007.png", "seed000007-noise3.png")
    recipe = read_recipe(path)
    assert (recipe.noise, recipe.layer_truncation) == (3, {(0, 2): 0.5})
    again = write_recipe(model, tmp_path, recipe, {}, name="again", model="abc")
    with Image.open(path) as one, Image.open(again) as other, Image.open(plain) as third:
        assert one.tobytes() == other.tobytes() != third.tobytes()


def test_the_same_again_changes_nothing(generator: Generator, tmp_path: Path) -> None:
    ask = {"model": "abc", "grid": True}
    first = write_pictures(generator, tmp_path, [0, 1, 2], **ask)  # type: ignore[arg-type]
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in first}
    first[1].unlink()
    again = write_pictures(generator, tmp_path, [0, 1, 2], **ask)  # type: ignore[arg-type]
    assert again == first
    del before[first[1]]
    assert all((path.stat().st_mtime_ns, path.stat().st_ino) == stat for path, stat in before.items())
    assert first[1].exists(), "what was missing is drawn"


@pytest.mark.parametrize(
    "other",
    [
        {"model": "xyz"},
        {"truncation": 0.9},
        {"min_latent": 0.2},
        {"bf16": True},
        {"seeds": [0, 2], "singles": False, "grid": True},
    ],
)
def test_another_picture_is_never_overwritten(other: dict[str, object], generator: Generator, tmp_path: Path) -> None:
    ask: dict[str, object] = {"seeds": [0, 1], "model": "abc", "grid": True}
    write_pictures(generator, tmp_path, **ask)  # type: ignore[arg-type]
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with refused("sampling.another_picture"):
        write_pictures(generator, tmp_path, **(ask | other))  # type: ignore[arg-type]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_refusal_comes_before_anything_is_drawn(generator: Generator, tmp_path: Path) -> None:
    (tmp_path / "seed000002.png").write_text("mine")
    with pytest.raises(SimulacraError, match=r"seed000002\.png"):
        write_pictures(generator, tmp_path, [0, 1, 2], model="abc")
    assert [path.name for path in tmp_path.iterdir()] == ["seed000002.png"]


@pytest.mark.parametrize(("spec", "shape"), [("mlp:tiny", (3, 8, 8)), ("mlp:tiny", (1, 8, 6)), ("mlp:tiny", (4, 6, 8))])
def test_the_grid_s_layout(spec: str, shape: tuple[int, int, int], tmp_path: Path) -> None:
    """Seven pictures in rows of three; the last row is filled up with white."""
    generator = build(spec, shape).G
    (path,) = write_pictures(generator, tmp_path, range(7), model="abc", singles=False, grid=True)
    channels, height, width = shape
    with Image.open(path) as image:
        sheet = np.asarray(image).reshape(3 * height, 3 * width, channels)
    for i in range(9):
        y, x = divmod(i, 3)
        tile = sheet[y * height : (y + 1) * height, x * width : (x + 1) * width]
        alone = pictures_of(generator, [i])[0] if i < 7 else torch.ones(shape)
        expected = np.asarray(to_image(alone)).reshape(height, width, channels)
        assert np.abs(tile.astype(int) - expected).max() <= 1
    assert read_provenance(path) == {"model": "abc", "seeds": "0-6", "truncation": 1.0, "min_latent": 0.0}


def test_a_grid_too_large_is_refused(generator: Generator, tmp_path: Path) -> None:
    with refused("sampling.grid_too_large"):
        write_pictures(generator, tmp_path, range(1_100_000), model="abc", singles=False, grid=True)
    assert not list(tmp_path.iterdir())


def test_every_picture_has_its_own_seed_s_name_over_many_batches(tmp_path: Path) -> None:
    generator = build("mlp:tiny", (1, 4, 4)).G
    paths = write_pictures(generator, tmp_path, range(60, 200), model="abc")
    assert len(paths) == 140
    for path, seed in zip(paths, range(60, 200), strict=True):
        record = read_provenance(path)
        assert record is not None and record["seed"] == seed and path.name == f"seed{seed:06d}.png"
        with Image.open(path) as image:
            alone = np.asarray(to_image(pictures_of(generator, [seed])[0])).astype(int)
            assert np.abs(np.asarray(image) - alone).max() <= 1


def test_progress_counts_every_picture(generator: Generator, tmp_path: Path) -> None:
    counts: list[int] = []
    write_pictures(generator, tmp_path, range(70), model="abc", singles=False, grid=True, advance=counts.append)
    assert sum(counts) == 70 and len(counts) > 1


def test_provenance_survives_beside_other_texts(tmp_path: Path) -> None:
    path, image = tmp_path / "x.png", Image.new("RGB", (2, 2))
    write_png(image, path, {"seed": 7, "of": "Größe"}, texts={"Title": "Größe"})
    assert read_provenance(path) == {"seed": 7, "of": "Größe"}
    with Image.open(path) as stored:
        assert stored.info["Title"] == "Größe"
    image.save(path, pnginfo=png_info(None, {"Title": "x"}))
    assert read_provenance(path) is None
    for text in ("[1]", "no JSON"):
        info = png_info(None, {KEY: text})
        image.save(path, pnginfo=info)
        assert read_provenance(path) is None, "not a record"


# --- seeds --------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 30)), min_size=1, max_size=8))
def test_seeds_are_read_in_order(spans: list[tuple[int, int]]) -> None:
    text = ", ".join(f"{first}-{first + more}" if more else str(first) for first, more in spans)
    expected = [seed for first, more in spans for seed in range(first, first + more + 1)]
    assert parse_seeds(text) == expected
    assert parse_seeds(format_seeds(expected)) == expected


@pytest.mark.parametrize("seed", [-1, 2**63, 2**70, 1.5, "7", None, float("nan")])
def test_what_is_no_seed_is_a_sentence(seed: Any, generator: Generator) -> None:
    for draw in (generator.sample, generator.seeded, parse_seeds):
        with refused("sampling.not_a_seed", seed=str(seed)):
            draw([seed])
    assert len(generator.sample(np.array([3]))) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.7", None])
def test_a_truncation_that_is_no_number_is_a_sentence(value: Any, generator: Generator) -> None:
    draws: dict[str, Callable[[], object]] = {
        "sample": lambda: generator.sample([1], truncation=value),
        "mix": lambda: cross_matrix(generator, [1], [2], truncation=value),
        "walk": lambda: seed_stops([1, 2], truncation=value),
    }
    for draw in draws.values():
        with refused("generator.bad_truncation", value=str(value)):
            draw()


@given(st.text(alphabet="0123456789-,. xe²", max_size=12))
def test_any_text_is_seeds_or_a_sentence(text: str) -> None:
    try:
        seeds = parse_seeds(text)
    except SimulacraError as error:
        assert text in str(error) or repr(text) in str(error) or "seed" in str(error)
    else:
        assert seeds and all(0 <= seed < 2**32 or isinstance(seed, WordSeed) for seed in seeds)


@pytest.mark.parametrize(
    "text", ["", "-1", "3-", "-", "5-3", "1,,2", "1.5", "0-99999999", str(2**32), "0x10", "1e5", "²", "a\nb", "x" * 101]
)
def test_odd_seeds(text: str) -> None:
    with pytest.raises(SimulacraError, match="seed"):
        parse_seeds(text)


# --- words as seeds -------------------------------------------------------------------------------------------------


def test_a_word_names_a_picture_for_ever(generator: Generator) -> None:
    """Frozen: another number would be another picture for everybody who wrote the word down."""
    assert parse_seeds("my cat") == [4628542386727937539]
    assert parse_seeds("2, my cat ,0-1") == [2, *parse_seeds("my cat"), 0, 1]
    assert parse_seeds("é") == parse_seeds("e\u0301"), "however it is encoded"
    assert parse_seeds("猫") != parse_seeds("狗") and parse_seeds("My cat") != parse_seeds("my cat")
    assert format_seeds(parse_seeds("0-2,my cat,7")) == "0-2,my cat,7"
    (picture,), (again,) = generator.sample(["my cat"]), generator.sample("my cat")
    assert picture.tobytes() == again.tobytes() != generator.sample(["my dog"])[0].tobytes()


def test_the_word_is_kept(generator: Generator, tmp_path: Path) -> None:
    """In the file's name, in its record, and in the recipe, which draws the same picture."""
    seeds = parse_seeds("my cat,my-cat,3")
    paths = write_pictures(generator, tmp_path, seeds, model="m", grid=True)
    names = [path.name for path in paths]
    assert len(set(names)) == 4 and names[0].startswith("seed-my-cat-") and names[2] == "seed000003.png"
    record = read_provenance(paths[0])
    assert record is not None and record["seed"] == "my cat"
    grid = read_provenance(paths[-1])
    assert grid is not None and grid["seeds"] == "my cat,my-cat,3"
    recipe = read_recipe(paths[0])
    assert recipe.seed == "my cat" and to_json(recipe) == {"seed": "my cat"}
    drawn = write_recipe(generator, tmp_path / "again", recipe, {}, name="cat", model="m")
    with Image.open(paths[0]) as first, Image.open(drawn) as second:
        assert first.tobytes() == second.tobytes()


def test_a_word_picks_a_label_and_walks_and_mixes() -> None:
    conditional = as_generator(build("dcgan:tiny+labels").G)
    (number,) = parse_seeds("my cat")
    y, same = conditional.conditions(["my cat"]), conditional.conditions([int(number)])
    assert y is not None and same is not None and torch.equal(y, same)
    assert [stop.seed for stop in seed_stops(parse_seeds("1,my cat"))] == [1, "my cat"]
    assert cross_matrix(conditional, [1], parse_seeds("my cat")).size
