"""A picture's latent: a model's own pictures are found again, whatever the GAN; photos come in as prepare makes them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support import build, forms, refused
from torch import Tensor

from simulacra import messages
from simulacra.console import Advance
from simulacra.data import decoding
from simulacra.errors import SimulacraError
from simulacra.generator import Generator
from simulacra.latent import encoder as encoding
from simulacra.latent import inversion, search
from simulacra.latent.inversion import Progress, invert
from simulacra.latent.latent_prior import latent_prior
from simulacra.latent.perceptual_loss import PerceptualLoss, premultiply, psnr, quantise
from simulacra.latent.project import preprocess_photo, project, project_photo, side_by_side
from simulacra.latent.recipe import Recipe, from_json, to_json, to_w
from simulacra.provenance import read_provenance
from simulacra.registry import configured
from simulacra.sampling import read_recipe, write_recipe
from simulacra.storage import save_model

SEED = 12_345


def planted(shape: tuple[int, int, int] = (3, 16, 16), spec: str = "mlp:tiny", **settings: object) -> Generator:
    """A small generator whose pictures differ: its weights are larger than those a training starts from."""
    generator: Generator = build(spec, shape, **settings).G.eval().requires_grad_(False)
    for weight in generator.parameters():
        weight.mul_(2.5)
    return generator


def attributed() -> Generator:
    """Three attributes, every mixture of them in the data."""
    gan, config = configured("mlp:tiny", (3, 16, 16), {"conditional": True}, labels=3, attributes=True)
    torch.manual_seed(0)
    generator: Generator = gan(config).G.eval().requires_grad_(False)
    for weight in generator.parameters():
        weight.mul_(2.5)
    generator.classes = ("glasses", "hair: red", "hair: grey")
    generator.store_labels(torch.rand(40, 3, generator=torch.Generator().manual_seed(1)))
    return generator


@torch.no_grad()
def own(generator: Generator, label: str = "", seed: int = SEED) -> Tensor:
    w = generator.mapping(generator.seeded([seed]), generator.conditions([seed], label))
    return quantise(generator.synthesis(w).float())[0]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that is quick and need not be good."""
    monkeypatch.setattr(inversion, "GUESSES", 8)
    monkeypatch.setattr("simulacra.latent.latent_prior.DRAWS", 256)


@pytest.mark.parametrize("spec", ["mlp:tiny", "stylegan2:tiny"])
def test_how_long_a_search_takes_is_measured(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("simulacra.latent.inversion.time.monotonic", lambda: float(next(clock)))
    start, step = inversion.pace(build(spec, (3, 16, 16)).G)
    # one second each for the preparations, for some pictures and for each of two steps
    picture = 1 / inversion.PACE_PICTURES
    assert start == pytest.approx(1 + inversion.GUESSES * picture)
    assert step == pytest.approx(search.MEAN_STARTS + search.EVOLVED * picture)


def test_the_mean_of_the_starts_is_that_of_a_search() -> None:
    generator = planted()
    objective = search.Objective(generator, PerceptualLoss(own(generator)), latent_prior(generator))
    source = torch.Generator().manual_seed(0)
    u, y = torch.zeros(4, generator.w_dim), torch.zeros(4, 0)
    descent = search.Descent(objective, u, y, steps=40, descend_y=False, source=source)
    count = [len(descent.step(step)[0]) for step in range(40)]
    assert sum(count) / 40 / 4 == pytest.approx(search.MEAN_STARTS, abs=0.02)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """By pixels alone: the feature maps cost many times these generators."""
    monkeypatch.setattr(search, "FEATURES", 0.0)


# --- the search ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 16, 16), (4, 16, 24)])
@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_own_pictures_are_found_again(shape: tuple[int, int, int], prior: str, quick: None) -> None:
    generator = planted(shape, prior=prior)
    projection = invert(generator, own(generator), steps=100, seed=1)
    assert projection.psnr >= 28
    assert projection.psnr == pytest.approx(float(psnr(projection.picture[None], projection.target)))
    if prior == "uniform":
        assert all(-1 <= value <= 1 for value in projection.recipe.w[0])
    else:
        assert 0.4 < projection.radius < 1.6


def test_every_gan_s_loss_falls(few: None) -> None:
    """Two steps from the guesses, and what is found is a recipe that draws what was shown."""
    falls = []
    for spec in forms():
        generator: Generator = build(spec, (3, 16, 16)).G.requires_grad_(False)
        projection = invert(generator, own(generator.eval()), steps=2, starts=2)
        (first, _), (second, _) = projection.course
        falls.append(first - second)
        assert tuple(projection.picture.shape) == generator.shape, spec
        assert (
            projection.picture.isfinite().all()
            and np.isfinite([projection.psnr, projection.feature_distance, projection.radius]).all()
        ), spec
        recipe = from_json(json.loads(json.dumps(to_json(projection.recipe))))
        with torch.no_grad():
            again = generator.synthesis(to_w(generator, recipe, {}))[0]
        assert torch.equal(again, projection.picture), spec
    assert np.mean(falls) > 0


def test_the_loss_falls_to_the_end(quick: None) -> None:
    generator = planted()
    log: list[Progress] = []
    projection = invert(generator, own(generator), steps=60, on_step=log.append)
    assert [progress.step for progress in log] == [0] * 3 + list(range(1, 61)) and log[0].steps == 60
    bred, descended = log[:3], log[3:]
    assert bred[0].loss >= bred[1].loss >= bred[2].loss > descended[-1].loss, "of each generation the best stay"
    assert projection.course == tuple((progress.loss, progress.psnr) for progress in descended)
    losses = [progress.loss for progress in descended]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert log[0].picture.shape == generator.shape and not log[0].picture.requires_grad


def test_more_of_a_latent_is_recovered_than_of_its_picture_alone(quick: None) -> None:
    """A planted latent itself comes back, where the picture decides it."""
    generator = planted()
    projection = invert(generator, own(generator), steps=150)
    wanted = generator.seeded([SEED])[0]
    assert float((torch.tensor(projection.recipe.w[0]) - wanted).norm() / wanted.norm()) < 0.2


def test_the_same_again_is_the_same_and_chance_is_left_alone(few: None) -> None:
    generator = planted()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, other, different = (invert(generator, own(generator), steps=4, seed=seed) for seed in (1, 1, 2))
    assert one.recipe == other.recipe and one.course == other.course
    assert one.course != different.course
    assert torch.equal(torch.rand(2), expected)


def test_a_search_can_be_stopped_between_steps(few: None) -> None:
    generator = planted()
    log: list[Progress] = []
    stopped = invert(generator, own(generator), on_step=log.append, stop=lambda: sum(p.step > 0 for p in log) == 3)
    assert stopped.stopped and len(stopped.course) == 3
    log.clear()
    bred = invert(generator, own(generator), on_step=log.append, stop=lambda: len(log) == 2)
    assert bred.stopped and not bred.course and len(log) == 2, "while starts are bred"
    at_once = invert(generator, own(generator), stop=lambda: True)
    assert at_once.stopped and not at_once.course and at_once.psnr > 0
    assert not invert(generator, own(generator), steps=1).stopped


def test_weights_keep_no_gradients(few: None) -> None:
    generator: Generator = build("mlp:tiny").G  # as in training: they ask for some
    invert(generator, own(generator.eval()), steps=2)
    assert all(weight.grad is None for weight in generator.parameters())


# --- labels -------------------------------------------------------------------------------------------------------


def test_a_class_is_found_or_kept(quick: None) -> None:
    generator = planted(spec="mlp:tiny+labels")
    generator.store_labels(torch.arange(30) % 3)
    projection = invert(generator, own(generator, "2"), steps=100, starts=9)
    assert projection.recipe.label == "2" and projection.psnr > 26
    assert invert(generator, own(generator, "2"), steps=2, label="1").recipe.label == "1"


def test_attributes_are_found_or_kept(quick: None) -> None:
    generator = attributed()
    projection = invert(generator, own(generator, "glasses=0.9, hair: red=0.2, hair: grey=0.1"), steps=150)
    assert projection.psnr > 28
    amounts = generator.parse_label(projection.recipe.label)
    assert set(amounts) == {0, 1, 2} and all(0 <= amount <= 1 for amount in amounts.values())
    result = invert(generator, own(generator), steps=3, label="glasses=0.25, hair: red")
    assert generator.parse_label(result.recipe.label) == {0: 0.25, 1: 1, 2: 0}


def test_a_wrong_label_is_one_sentence() -> None:
    with refused("generator.no_labels"):
        invert(planted(), own(planted()), label="cat")


# --- layers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["stylegan:tiny", "stylegan2:tiny"])
def test_a_latent_for_each_layer(spec: str, few: None, quick: None) -> None:
    generator: Generator = build(spec, (3, 16, 16)).G.eval().requires_grad_(False)
    for name, buffer in generator.named_buffers():
        if name == "growth.nimg_buffer":
            buffer.fill_(10**9)  # grown to its full side, so that all layers draw
    with torch.no_grad():
        one, other = generator.mapping(generator.seeded([1, 2]))
        w = torch.stack([one] * 3 + [other] * (generator.num_ws - 3))[None]
        target = generator.synthesis(w)[0]
    narrow = invert(generator, target, steps=40, starts=2)
    wide = invert(generator, target, steps=40, starts=2, wide=True)
    assert len(narrow.recipe.w) == 1 and len(wide.recipe.w) == generator.num_ws
    assert wide.course[-1][0] <= narrow.course[-1][0] * 1.02


def test_what_is_known_of_a_model_s_own(few: None) -> None:
    for generator in (planted(), planted(prior="uniform"), build("stylegan2:tiny").G.eval()):
        prior = latent_prior(generator)
        with torch.no_grad():
            w = generator.mapping(generator.seeded(range(200)))
        u = prior.whiten(w)
        assert torch.allclose(prior.from_whitened(u), w, atol=1e-3)
        assert float(prior.radius(u).mean()) == pytest.approx(1, abs=0.1)
        assert float((prior.penalty(u) == 0).float().mean()) > 0.85, "most of the model's own lie inside"
        assert (prior.penalty(u * 3) > 0).float().mean() > 0.8
        assert torch.allclose(prior.penalty(torch.stack([u * 3] * 4, 1)), prior.penalty(u * 3), atol=1e-4)
    assert latent_prior(planted(prior="uniform")).from_whitened(torch.full((1, 8), 9.0)).max() == 1


# --- how close ----------------------------------------------------------------------------------------------------


def test_closeness() -> None:
    generator = planted()
    target, other = own(generator), own(generator, seed=7)
    loss = PerceptualLoss(target)
    both = torch.stack([target, other]).requires_grad_()
    pixels, features = loss.pixels(both), loss.features(both)
    assert float(pixels[0].detach()) == 0 and float(pixels[1].detach()) > 0
    assert float(features[0].detach()) == pytest.approx(0, abs=1e-6) and float(features[1].detach()) > 0.01
    (gradient,) = torch.autograd.grad((pixels + features).sum(), both)
    assert gradient.isfinite().all() and gradient[1].abs().max() > 0


def test_psnr_is_of_8_bits() -> None:
    grey = torch.zeros(1, 3, 8, 8)
    assert float(psnr(grey, grey[0])) == pytest.approx(100)
    assert float(psnr(grey + 0.001, grey[0])) == pytest.approx(100), "less than half a step"
    assert float(psnr(grey + 20 / 127.5, grey[0])) == pytest.approx(20 * np.log10(255 / 20), abs=1e-3)


def test_what_is_invisible_has_no_colour() -> None:
    one = torch.full((1, 4, 4, 4), -1.0)
    other = one.clone()
    other[:, 0] = 1
    assert torch.equal(premultiply(one), premultiply(other))
    assert float(psnr(one, other[0])) == pytest.approx(100)


# --- a photo ------------------------------------------------------------------------------------------------------


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Wider than high once it is upright: left half red, right half green."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30, 0] = pixels[:, 30:, 1] = 200
    exif = Image.Exif()
    exif[decoding.ORIENTATION] = 6  # lies on its side: to be turned by a quarter
    path = tmp_path / "photo.jpg"
    Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)
    return path


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 16, 16), (4, 16, 24), (3, 32, 16)])
def test_a_photo_is_seen_as_data_preparation_makes_it(photo: Path, shape: tuple[int, int, int]) -> None:
    channels, height, width = shape
    tensor = preprocess_photo(photo, shape)
    assert tuple(tensor.shape) == shape
    kinds = {1: "grey", 3: "rgb", 4: "rgba"}
    recipe = decoding.DecodeOptions(size=(height, width), channels=kinds[channels])  # type: ignore[arg-type]
    expected, facts = decoding.decode(photo.read_bytes(), recipe)
    assert facts.rotated
    assert np.array_equal(np.rint((tensor.permute(1, 2, 0).numpy() + 1) * 127.5), expected)
    assert torch.equal(tensor, preprocess_photo(photo.read_bytes(), shape))
    if channels > 1:
        assert tensor[0, :, 0].mean() > 0.3 > tensor[0, :, -1].mean(), "red is at the left, so it stands upright"


def test_transparency_is_white_unless_the_model_has_it(tmp_path: Path) -> None:
    path = tmp_path / "glass.png"
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(path)
    assert (preprocess_photo(path, (3, 16, 16)) == 1).all()
    assert (preprocess_photo(path, (4, 16, 16))[3] == -1).all()


@pytest.mark.parametrize("what", ["missing", "folder", "text", "empty", "cut"])
def test_a_wrong_photo_is_one_sentence(what: str, photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.jpg"
    if what == "folder":
        path.mkdir()
    elif what != "missing":
        path.write_bytes({"text": b"no picture", "empty": b"", "cut": photo.read_bytes()[:300]}[what])
    message = {
        "missing": "does not exist",
        "folder": "is a folder",
        "text": "not an image",
        "empty": "empty",
        "cut": "",
    }
    with pytest.raises(SimulacraError, match=rf"odd\.jpg.*{message[what]}"):
        preprocess_photo(path, (3, 16, 16))


def test_what_is_found_is_kept_in_a_folder(photo: Path, tmp_path: Path, few: None) -> None:
    generator, out = planted(), tmp_path / "out"
    projection = project_photo(generator, photo, out, model="abc", steps=6, film=True)
    names = {path.name for path in out.iterdir()}
    assert names == {"result.png", "side-by-side.png", "recipe.json", "course.json", "course.webp"}
    assert read_recipe(out / "recipe.json") == read_recipe(out / "result.png") == projection.recipe
    record = read_provenance(out / "result.png")
    assert record is not None and record["model"] == "abc"
    course = json.loads((out / "course.json").read_text())
    assert len(course["loss"]) == len(course["psnr by step"]) == 6 and course["psnr"] == projection.psnr
    with Image.open(out / "side-by-side.png") as image:
        assert image.size == (3 * 256, 256)
    again = write_recipe(generator, tmp_path, read_recipe(out / "result.png"), {}, name="again", model="abc")
    with Image.open(again) as one, Image.open(out / "result.png") as other:
        assert np.array_equal(np.asarray(one), np.asarray(other))
    with refused("latent.projection_exists"):
        project_photo(generator, photo, out, model="abc", steps=6)


def test_project_takes_a_model_by_name(photo: Path, tmp_path: Path, few: None) -> None:
    gan = build("mlp:tiny", (3, 16, 16))
    save_model(gan.G, tmp_path / "model", gan="mlp", config=gan.config, about={})
    projection = project(photo, tmp_path / "model", steps=4, starts=2, device="cpu")
    out = photo.with_name("photo-projected")
    assert read_recipe(out / "recipe.json") == projection.recipe and not (out / "course.webp").exists()
    titles: list[str] = []

    def begin(title: str, total: int) -> Advance:
        titles.append(title)
        return lambda count: None

    options: dict[str, Any] = {"steps": 4, "encoder_minutes": 0.001, "film": True, "device": "cpu", "begin": begin}
    project(str(photo), str(tmp_path / "model"), str(tmp_path / "other"), **options)
    assert (tmp_path / "other" / "course.webp").is_file() and (tmp_path / "model" / encoding.FILE).is_file()
    assert len(titles) == 2
    with pytest.raises(SimulacraError) as caught:
        project(photo, tmp_path / "model")
    assert caught.value.code == "latent.projection_exists"


@pytest.mark.parametrize(
    ("psnr", "code"),
    [
        (12.7, "latent.psnr_rough"),
        (20.0, "latent.psnr_similar"),
        (27.9, "latent.psnr_similar"),
        (28.0, "latent.psnr_match"),
    ],
)
def test_a_verdict_says_what_the_psnr_means(psnr: float, code: str, few: None) -> None:
    projection = replace(invert(planted(), own(planted()), steps=1), psnr=psnr)
    assert projection.verdict().code == code
    for language, words in (("en", f"{psnr} dB, "), ("zh", f"{psnr} dB，")):
        with messages.using(language):
            assert str(projection.verdict()).startswith(words)


def test_nothing_is_left_of_a_projection_that_fails(photo: Path, tmp_path: Path) -> None:
    with refused("latent.steps_out_of_range"):
        project_photo(planted(), photo, tmp_path / "out", model="abc", steps=0)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("shape", [(1, 16, 16), (4, 16, 16)])
def test_difference_is_black_where_there_is_none(shape: tuple[int, int, int], few: None) -> None:
    generator = planted(shape)
    projection = invert(generator, own(generator), steps=1)
    object.__setattr__(projection, "picture", projection.target)
    pixels = np.asarray(side_by_side(projection).convert("RGB"))
    assert pixels[:, 512:].max() == 0


# --- an encoder ---------------------------------------------------------------------------------------------------


def test_an_encoder_learns_to_guess(few: None, tmp_path: Path) -> None:
    generator = planted()
    course: list[tuple[float, float]] = []
    encoder = encoding.train_encoder(generator, steps=60, on_step=lambda *values: course.append(values))
    assert len(course) == 60 and course[-1][0] == 1
    assert course[-1][1] < 0.8, "the mean of all latents has 1"
    target = own(generator)
    guess = encoder(target[None])
    assert guess.shape == (1, 8)
    projection = invert(generator, target, steps=1, starts=1, encoder=encoder)
    with torch.no_grad():
        start = psnr(generator.synthesis(guess), target)
    assert projection.course[0][1] == pytest.approx(float(start), abs=1.5), "it starts there, with noise"

    path = tmp_path / "encoder.safetensors"
    encoding.save_encoder(encoder, path, "abc")
    loaded = encoding.load_encoder(path, generator, "abc")
    assert loaded is not None and torch.equal(loaded(target[None]), guess)
    assert encoding.load_encoder(path, generator, "of another model") is None
    assert encoding.load_encoder(tmp_path / "none", generator, "abc") is None
    path.write_bytes(path.read_bytes()[:200])
    with refused("latent.encoder_damaged"):
        encoding.load_encoder(path, generator, "abc")


def test_an_encoder_is_taught_once(few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = planted()
    monkeypatch.setattr(encoding, "fingerprint", lambda where: "abc")
    monkeypatch.setattr(encoding, "encoder_file", lambda where: tmp_path / "encoder.safetensors")
    log: list[float] = []
    first = encoding.encoder_for("x", generator, minutes=0.001, on_step=lambda share, loss: log.append(share))
    count = len(log)
    second = encoding.encoder_for("x", generator, on_step=lambda share, loss: log.append(share))
    assert count == len(log) >= 1
    assert torch.equal(first(own(generator)[None]), second(own(generator)[None]))


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"target": torch.zeros(3, 8, 8)}, "3x8x8"),
        ({"target": torch.zeros(16, 16)}, "16x16"),
        ({"target": torch.full((3, 16, 16), float("nan"))}, "NaN"),
        ({"steps": 0}, "steps"),
        ({"steps": 10**7}, "steps"),
        ({"starts": 0}, "starts"),
        ({"starts": 65}, "starts"),
        ({"wide": True}, "no layers"),
    ],
)
def test_what_cannot_be_projected_is_one_sentence(odd: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"target": torch.zeros(3, 16, 16)} | odd
    with pytest.raises(SimulacraError, match=message):
        invert(planted(), **arguments)  # type: ignore[arg-type]


def test_a_file_without_a_recipe_is_one_sentence(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    (tmp_path / "list.json").write_text("[]")
    for name in ("plain.png", "list.json", "gone.png", "gone.json"):
        with pytest.raises(SimulacraError):
            read_recipe(tmp_path / name)


def test_a_sample_holds_its_recipe(tmp_path: Path) -> None:
    from simulacra.sampling import write_pictures

    generator = planted()
    (path,) = write_pictures(generator, tmp_path, [7], model="abc", truncation=0.5)
    assert read_recipe(path) == Recipe(seed=7, truncation=0.5)
    again = write_recipe(generator, tmp_path / "again", read_recipe(path), {}, name="x", model="abc")
    with Image.open(path) as one, Image.open(again) as other:
        assert np.array_equal(np.asarray(one), np.asarray(other))
    (odd,) = write_pictures(generator, tmp_path, [8], model="abc", min_latent=0.2)
    with refused("sampling.min_latent_has_no_recipe"):
        read_recipe(odd)
