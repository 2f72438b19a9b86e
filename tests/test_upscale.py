"""Upscalers: exact pairs, a start at bicubic enlargement, steady colours, sizes, and what `upscale` leaves behind."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support import CPU, Cli, advance, build, in_memory, make_trainer, noise, refused

from simulacra.cascade import Cascade, cascade_at_least, cascade_of_size, factors, home
from simulacra.data.feed import to_tensor
from simulacra.data.prepare import prepare
from simulacra.explore.loaded import LoadedGenerator
from simulacra.gan import Batch
from simulacra.gans.upscale import UpscaleGAN, without_mean
from simulacra.generator import to_image
from simulacra.layers.filters import enlarge, reduce
from simulacra.provenance import read_provenance
from simulacra.storage import load, load_generator, load_upscaler
from simulacra.training.options import train
from simulacra.training.previews import UpscalePreviews
from simulacra.upscaler import Upscaler
from simulacra.upscaling.scores import better, compare, psnr, rounded, sharpened, unseen
from simulacra.upscaling.training import upscale


def upscaler(shape: tuple[int, int, int] = (3, 16, 16), *, trained: bool = False) -> Upscaler:
    """An upscaler at its start, or with a difference to bicubic enlargement."""
    model = build("upscale:tiny", shape).G.eval().requires_grad_(False)
    assert isinstance(model, Upscaler)
    if trained:
        torch.nn.init.normal_(model.last.weight, std=0.1)  # type: ignore[arg-type, union-attr]
    return model


def drawings(n: int = 24, side: int = 32, seed: int = 0) -> np.ndarray:
    """Flat discs on flat ground, with hard edges [n, side, side, 3]."""
    rng, at = np.random.default_rng(seed), np.arange(side)
    images = np.empty((n, side, side, 3), np.uint8)
    for image in images:
        (y, x), r = rng.integers(8, side - 8, 2), rng.integers(4, 10)
        inside = (at[:, None] - y) ** 2 + (at - x) ** 2 < r * r
        image[:] = np.where(inside[..., None], rng.integers(0, 256, 3), rng.integers(0, 256, 3))
    return images


# --- the network ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 16, 24), (4, 16, 16)])
def test_without_a_difference_it_is_bicubic_enlargement(shape: tuple[int, int, int]) -> None:
    small = reduce(to_tensor(noise(3, shape), CPU)).clamp(-1, 1)
    assert torch.equal(upscaler(shape).upscale(small), enlarge(small).clamp(-1, 1))


@pytest.mark.parametrize("size", [(5, 9), (8, 8), (33, 12)])
def test_any_size_is_doubled(size: tuple[int, int]) -> None:
    small = torch.rand(2, 3, *size) * 2 - 1
    large = upscaler(trained=True).upscale(small)
    assert large.shape == (2, 3, 2 * size[0], 2 * size[1])
    assert large.abs().max() <= 1


def test_a_colour_cannot_shift() -> None:
    assert without_mean(torch.full((1, 3, 24, 40), 0.3)).abs().max() < 1e-6
    difference = torch.randn(4, 3, 32, 32)
    means = torch.nn.functional.avg_pool2d(without_mean(difference), 32)
    assert means.abs().max() < 0.3 * torch.nn.functional.avg_pool2d(difference, 32).abs().max()
    flat = torch.full((1, 3, 16, 16), 0.2)
    inside = upscaler(trained=True).upscale(flat)[..., 12:-12, 12:-12]
    assert (inside.mean((2, 3)) - 0.2).abs().max() < 0.01


def test_pairs_are_exact_reductions_of_the_same_crop() -> None:
    gan = build("upscale:tiny", (3, 32, 32))
    assert isinstance(gan, UpscaleGAN)
    originals = to_tensor(noise(4, (3, 32, 32)), CPU)
    small, large = gan.pairs(originals)
    assert small.shape == (4, 3, 6, 6)
    assert large.shape == (4, 3, 12, 12)
    assert torch.equal(small, reduce(large))
    windows = originals.unfold(2, 12, 2).unfold(3, 12, 2)  # [N, C, rows, columns, 12, 12]
    assert (windows - large[:, :, None, None]).abs().sum((0, 1, 4, 5)).min() == 0, (
        "at an even place, so that pixels fit"
    )


def test_degraded_pictures_are_near_and_mostly_little_changed() -> None:
    gan = build("upscale:tiny", (3, 32, 32))
    assert isinstance(gan, UpscaleGAN)
    flat = torch.full((500, 3, 16, 16), 0.1)
    torch.manual_seed(0)
    deviation = (gan.degrade(flat) - flat).flatten(1).std(1)
    assert deviation.max() < 1.2 * gan.config.noise
    assert deviation.median() < 0.3 * gan.config.noise


def test_d_waits_while_g_learns_alone() -> None:
    gan = build("upscale:tiny", (3, 32, 32), alone=100.0)
    batch = Batch(to_tensor(noise(4, (3, 32, 32)), CPU))
    for nimg, waits in ((0, True), (99, True), (100, False)):
        gan.on_step_start(nimg, {"D": 1, "G": 1})
        loss, stats = gan.d_loss(batch)
        assert (float(loss.detach()) == 0) == waits
        assert ("adversarial" not in stats) == waits
        real, fake = gan.discriminate_pair(batch, gan.generate(batch, grad=False))
        assert bool((real == fake).all()) == waits


def test_originals_that_cannot_be_halved_are_refused() -> None:
    with refused("gan.odd_original", height=15, width=16):
        build("upscale:tiny", (3, 15, 16))
    with refused("gan.picture_too_small"):
        build("upscale:tiny", (3, 6, 6))


def test_a_little_training_beats_bicubic_on_unseen_pictures(tmp_path: Path) -> None:
    def squares(n: int, seed: int = 0) -> np.ndarray:
        return np.kron(noise(n, (3, 8, 8), seed), np.ones((1, 2, 2, 1), np.uint8))

    options: dict[str, Any] = {"weight": 0.0, "noise": 0.0, "blur": 0.0, "lr": 4e-3, "features": 8, "batch": 8}
    trainer = make_trainer("upscale:tiny", tmp_path, in_memory(squares(200)), ema=100.0, **options)
    advance(trainer, 100)
    large = to_tensor(squares(20, seed=1), CPU)
    small = rounded(reduce(large))
    gain = psnr(trainer.ema.average.upscale(small), large).mean() - psnr(enlarge(small), large).mean()
    assert gain > 5


def test_previews_show_bicubic_ours_and_the_original() -> None:
    previews = UpscalePreviews(in_memory(drawings(20)))
    pictures = previews.draw(upscaler((3, 32, 32)))
    assert pictures.shape == (48, 3, 32, 32)
    assert torch.equal(pictures[0].clamp(-1, 1), pictures[1]), "an untrained one is bicubic"
    assert torch.equal(pictures[2], previews.reals(None)[0])  # type: ignore[arg-type]
    assert len(previews.shuffled(pictures)) == 16


# --- scores ----------------------------------------------------------------------------------------------------


def test_scores_of_an_untrained_upscaler_are_those_of_bicubic() -> None:
    from measuring import stand_in

    data = in_memory(drawings(40))
    assert unseen(data)[0] == "train"
    record = compare(Cascade([upscaler((3, 32, 32))], (3, 16, 16)), data, stand_in())
    table = record["scores"]
    assert table["upscaler"] == table["bicubic"]
    assert table["sharpened"]["psnr"] != table["bicubic"]["psnr"]
    assert not better(record)
    assert {"psnr", "ssim", "fd-coarse-48", "swd-pyramid"} == table["bicubic"].keys()


def test_psnr_by_hand() -> None:
    one = torch.zeros(1, 3, 8, 8)
    assert psnr(one, one + 0.2)[0] == pytest.approx(20.0)
    assert psnr(one, one)[0] == pytest.approx(60.0)
    flat = torch.full((1, 3, 8, 8), 0.4)
    assert torch.allclose(sharpened(flat, 2), torch.full((1, 3, 16, 16), 0.4), atol=1e-6)


# --- a run and its upscalers -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for number, pixels in enumerate(drawings(60)):
        Image.fromarray(pixels).save(root / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run at 8 px on data with originals at x2 and x4."""
    folder = tmp_path_factory.mktemp("run")
    prepare(pictures, folder / "data", size=8, keep_originals=4, workers=1)
    return train(folder / "data", gan="mlp:tiny", run=folder / "run", total=64, quiet=True, precision="fp32")


def test_upscale_trains_prints_and_is_used(run: Path, tmp_path: Path, run_cli: Cli, coarse_extractor: None) -> None:
    with refused("cascade.run_without", factor=2, own="8x8"):
        cascade_of_size(run, (3, 8, 8), 16)
    words = ("upscale", run, "--factor", 4, "--total", 64, "--threads", 1)
    status, out, err = run_cli(*words)
    assert status == 0, err
    assert "8x8 to 16x16" in out
    assert "8x8 to 32x32" in out
    assert factors(run) == [2, 4]
    record = json.loads((run / "upscale" / "x4" / "comparison.json").read_text())
    assert record["part"] == "test"
    assert record["n"] == 6
    assert record["shape"] == [3, 32, 32]
    with Image.open(run / "upscale" / "x2" / "examples.png") as examples:
        assert examples.height == 4 * 128

    before = (run / "upscale" / "x2" / "comparison.json").stat().st_mtime_ns
    assert run_cli(*words)[0] == 0, "the same command again has nothing to do"
    assert (run / "upscale" / "x2" / "comparison.json").stat().st_mtime_ns == before

    status, out, _ = run_cli("sample", run, tmp_path / "large", "--seeds", "0-1", "--size", 32, "--grid")
    assert status == 0
    with Image.open(tmp_path / "large" / "seed000001.png") as image:
        assert image.size == (32, 32)
    with Image.open(tmp_path / "large" / "grid.png") as image:
        assert image.size == (32, 64) or image.size == (64, 32)
    written = read_provenance(tmp_path / "large" / "seed000001.png")
    cascade = cascade_of_size(run, (3, 8, 8), 32)
    assert cascade is not None
    assert written is not None
    assert (written["size"], written["upscaler"]) == (32, cascade.fingerprint)
    small = torch.cat(list(load_generator(run).pictures([0, 1])))
    assert cascade.enlarge(small).shape == (2, 3, 32, 32)

    assert cascade_of_size(run, (3, 8, 8), 8) is None
    assert [c and c.factor for c in (cascade_at_least(run, (3, 8, 8), size) for size in (None, 8, 12, 20, 99))] == [
        None, None, 2, 4, 4,
    ]  # fmt: skip
    with refused("cascade.impossible_size", sizes=[8, 16, 32, 64]):
        cascade_of_size(run, (3, 8, 8), 20)
    with refused("cascade.run_without", factor=8):
        cascade_of_size(run, (3, 8, 8), 64)
    with refused("generator.model_enlarges"):
        load_generator(run / "upscale" / "x2")
    with refused("cascade.not_an_upscaler"):
        load_upscaler(run)
    assert load(run / "upscale" / "x2").task == "upscale"


def test_an_upscaler_of_few_pictures(tmp_path: Path, run_cli: Cli, coarse_extractor: None) -> None:
    """Of ten pictures one is held out: one preview has no diversity, and one original no score of a judge."""
    (tmp_path / "few").mkdir()
    for number, pixels in enumerate(drawings(10)):
        Image.fromarray(pixels).save(tmp_path / "few" / f"{number}.png")
    prepare(tmp_path / "few", tmp_path / "data", size=16, keep_originals=2, workers=1)
    folder = train(tmp_path / "data", gan="mlp:tiny", run=tmp_path / "run", total=32, quiet=True, precision="fp32")
    status, out, err = run_cli("upscale", folder, "--total", 32, "--threads", 1)
    assert status == 0, err
    assert "Both judges need 5 originals" in " ".join(out.split())
    record = json.loads((folder / "upscale" / "x2" / "comparison.json").read_text())
    assert (record["n"], set(record["scores"]["upscaler"])) == (1, {"psnr", "ssim"})
    assert better(record) is None


def test_a_stopped_upscaler_resumes_exactly(run: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    source = json.loads((run / "config.json").read_text())["data"]["source"]
    options: dict[str, Any] = {"gan": "upscale:tiny", "quiet": True, "precision": "fp32", "settings": {"batch": 4}}
    weights = []
    for name, lengths in (("whole", (48,)), ("parts", (20, 48))):
        for total in lengths:
            train(f"{source}/originals-x2", run=tmp_path / name, total=total, every=8, save_every=8, **options)
        weights.append(load_file(tmp_path / name / "checkpoints" / "000000048" / "G.safetensors"))
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_what_cannot_be_upscaled(run: Path, tmp_path: Path, run_cli: Cli) -> None:

    assert home(run) == run / "upscale"
    assert home("peeps").parent.name == "peeps"
    with refused("upscaling.not_a_run"):
        upscale(tmp_path)
    with refused("upscaling.unknown_factor", factor=3):
        upscale(run, factor=3)
    with refused("data.no_originals", factor=8):
        upscale(run, factor=8)
    with refused("plan.other_data", source="peeps"):
        upscale(run, data="peeps")
    with refused("cascade.model_without", size=256, factor=4):
        cascade_of_size(None, (3, 64, 64), 256)
    with refused("cascade.other_channels"):
        stage = train(
            f"{json.loads((run / 'config.json').read_text())['data']['source']}/originals-x2",
            gan="upscale:tiny", run=tmp_path / "model" / "upscale" / "x2", total=8, quiet=True, precision="fp32",
        )  # fmt: skip
        assert stage.is_dir()
        (tmp_path / "model" / "G.safetensors").write_bytes(b"")
        cascade_of_size(tmp_path / "model", (1, 8, 8), 16)
    status, _, err = run_cli("sample", run, tmp_path / "out", "--size", "13")
    assert status == 1
    assert "8, 16, 32, 64" in err


def test_the_bundled_model_draws_larger_pictures(tmp_path: Path, run_cli: Cli) -> None:
    status, _, err = run_cli("sample", "peeps", tmp_path / "out", "--seeds", "1", "--size", "128")
    assert status == 0, err
    with Image.open(next((tmp_path / "out").glob("*.png"))) as picture:
        assert picture.size == (128, 128)
        reduced = np.asarray(picture.convert("RGB").reduce(2), float)
    own = np.asarray(load_generator("peeps").sample([1])[0], float)
    assert 0 < np.abs(reduced - own).mean() < 4  # its details are new, its picture is the model's


@pytest.fixture
def enlarging(run: Path, tmp_path: Path) -> Path:
    """A model folder with an upscaler that is not bicubic."""
    from simulacra.storage import save_model

    generator, upscaling = build("mlp:tiny", (3, 8, 8)), build("upscale:tiny", (3, 16, 16))
    assert isinstance(upscaling, UpscaleGAN)
    torch.nn.init.normal_(upscaling.G.last.weight, std=0.1)
    for gan, place in ((generator, tmp_path / "model"), (upscaling, tmp_path / "model" / "upscale" / "x2")):
        save_model(gan.G, place, gan=gan.name, config=gan.config, about={})
    return tmp_path / "model"


def test_films_use_the_upscalers(enlarging: Path, tmp_path: Path) -> None:
    from simulacra.latent.film import walk

    expected = {}
    generator = load_generator(enlarging)
    cascade = cascade_of_size(enlarging, generator.shape, 16)
    assert cascade is not None
    (expected[16],) = cascade.enlarge(next(iter(generator.pictures([1]))))
    for size in (16, 24):
        walk(enlarging, tmp_path / str(size), seeds="1,2", seconds=0.2, fps=10, size=size)
        with Image.open(tmp_path / str(size) / "000000.png") as frame:
            assert frame.size == (size, size)
            if size in expected:
                assert np.array_equal(np.asarray(frame), np.asarray(to_image(expected[size])))


def test_the_explorer_saves_and_films_larger_pictures(enlarging: Path) -> None:
    from simulacra.explore.loaded import load_model
    from simulacra.explore.rendering import RenderRequest, render, walk
    from simulacra.latent.recipe import Recipe

    model = load_model(enlarging)
    assert isinstance(model, LoadedGenerator)
    assert model.facts()["factors"] == [2]
    cascade = model.cascade(16)
    assert cascade is not None
    expected = to_image(cascade.enlarge(next(iter(model.generator.pictures([3]))))[0])
    file = render(model, RenderRequest(recipes=[Recipe(seed=3)], side=16))
    with Image.open(io.BytesIO(file.data)) as image:
        assert np.array_equal(np.asarray(image), np.asarray(expected))
    record = read_provenance(io.BytesIO(file.data))
    assert record is not None
    assert record["upscaler"] == cascade.fingerprint
    assert model.cascade(None) is None
    assert model.cascade(8) is None
    film = walk(model, [Recipe(seed=1), Recipe(seed=2)], 2, 16, lambda share: None)
    with Image.open(io.BytesIO(film)) as frames:
        assert frames.size == (16, 16)


def test_the_exported_file_draws_large_pictures(enlarging: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from simulacra.publish.onnx import export

    generator = load_generator(enlarging)
    cascade = cascade_of_size(enlarging, generator.shape, 16)
    assert cascade is not None
    session = onnxruntime.InferenceSession(export(generator, tmp_path / "large.onnx", cascade=cascade))
    (pictures,) = session.run(["images"], {"z": generator.seeded(range(3)).numpy()})
    expected = cascade.enlarge(torch.cat(list(generator.pictures(range(3)))))
    assert np.abs(pictures - expected.numpy()).max() < 1e-5
