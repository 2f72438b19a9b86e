"""CycleGAN: its networks, the pool against a plain list, the falling rate, cuts, and sizes that do not divide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import advance, build, differences, make_trainer, noise, on_disk, pair_on_disk, paired, refused, snapshot
from torch import Tensor

from simulacra.augment.cut import cut
from simulacra.data.opening import open_pair
from simulacra.errors import SimulacraError
from simulacra.gan import Batch, Shape
from simulacra.gans.cyclegan import CycleGAN, Settings
from simulacra.gans.cyclegan_networks import PatchDiscriminator, UNet
from simulacra.generator import Generator as LatentGenerator
from simulacra.generator import as_generator
from simulacra.layers import Pool
from simulacra.losses import squares_d, squares_g
from simulacra.registry import configured, find
from simulacra.training.options import TrainOptions, train
from simulacra.training.plan import plan
from simulacra.training.previews import TranslationPreviews
from simulacra.translator import Translator, as_translator


def cyclegan(shape: Shape = (3, 16, 16), **words: Any) -> CycleGAN:
    model = build("cyclegan:tiny", shape, **words)
    assert isinstance(model, CycleGAN)
    return model


# --- networks ------------------------------------------------------------------------------------------------------


def test_the_networks_are_the_paper_s() -> None:
    """Parameters of the published networks, less the biases before instance norms, which these take away again."""
    gan, config = configured("cyclegan", (3, 256, 256), {})
    assert config == replace(config, batch=1, lr=2e-4, betas=(0.5, 0.999), cycle=10, same=5, pool=50, zoom=1.12)  # type: ignore[call-arg]
    model = gan(config)
    biases = 64 + 128 + 256 + 9 * 2 * 256 + 128 + 64
    assert sum(p.numel() for p in model.G.parameters()) == 2 * (11_378_179 - biases)
    assert sum(p.numel() for p in model.D.parameters()) == 2 * (2_764_737 - 128 - 256 - 512)
    small = find("cyclegan").generator(replace(config, shape=(3, 128, 128)))
    assert sum(p.numel() for p in small.parameters()) == 2 * (7_837_699 - (biases - 3 * 2 * 256))


@pytest.mark.parametrize(("halvings", "side"), [(1, 16), (2, 34), (3, 70)])
def test_a_critic_judges_patches_of_that_side(halvings: int, side: int) -> None:
    """The pixels that one score depends on."""
    torch.manual_seed(0)
    critic = PatchDiscriminator(Settings(shape=(1, 128, 128), features=4, halvings=halvings))
    for module in critic.modules():  # a norm lets every pixel have a say
        if isinstance(module, torch.nn.InstanceNorm2d):
            module.forward = lambda x: x  # type: ignore[method-assign, assignment]
    images = torch.randn(1, 1, 128, 128, requires_grad=True)
    scores = critic(images)
    scores[0, scores.shape[1] // 2 + int(scores.shape[1] ** 0.5) // 2].backward()
    assert images.grad is not None
    rows, columns = images.grad[0, 0].nonzero().T
    assert int(rows.max() - rows.min()) + 1 == int(columns.max() - columns.min()) + 1 == side


def test_without_norms_a_colour_is_not_taken_out() -> None:
    """An instance norm cannot tell one flat picture from another."""
    dark, bright = (torch.full((1, 3, 16, 16), value) for value in (-0.5, 0.5))
    apart = {}
    for norm in ("instance", "none"):
        torch.manual_seed(0)
        gan = cyclegan(norm=norm)
        moved = [float((net(dark) - net(bright)).abs().mean()) for net in (gan.G.into["b"], gan.D["a"])]
        apart[norm] = moved
        assert any(isinstance(module, torch.nn.InstanceNorm2d) for module in gan.modules()) == (norm == "instance")
    assert apart["instance"][0] < 1e-3 < 0.1 < apart["none"][0]
    assert apart["none"][1] > 0.1


def test_without_norms_the_variance_is_kept() -> None:
    torch.manual_seed(0)
    gan = cyclegan((3, 64, 64), norm="none", features=32, blocks=6)
    images = torch.randn(4, 3, 64, 64)
    assert 0.3 < float(gan.G.translate(images, "b").std()) < 0.9, "tanh of something near 1"
    assert 0.3 < float(gan.D["a"](images).std()) < 3
    block = next(module for module in gan.G.into["b"].modules() if type(module).__name__ == "Residual")
    x = torch.randn(1, 128, 8, 8)
    torch.testing.assert_close(block(x), x)


def test_a_unet_is_narrowest_in_the_middle_and_hands_on_what_it_sees() -> None:
    """Halved to 2 pixels or five times; with nothing from the middle, a picture still comes through each other side."""
    for side, halvings in ((16, 3), (32, 4), (64, 5), (256, 5)):
        gan = cyclegan((3, side, side), network="unet")
        assert gan.G.multiple == gan.G.least == 2**halvings
        net = next(module for module in gan.G.into["b"].modules() if isinstance(module, UNet))
        assert len(net.down) == len(net.up) == halvings
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    net = UNet(Settings(shape=(3, 16, 16), network="unet", features=4), 3)
    assert torch.nn.Sequential(*net.down)(x).shape == (1, 16, 2, 2)
    for i, layer in enumerate(net.up[:-1]):
        torch.nn.init.zeros_(layer[0].weight)  # type: ignore[index]
        images = x.clone().requires_grad_(True)
        net(images).sum().backward()
        assert images.grad is not None
        assert images.grad.abs().sum() > 0, i


def test_fine_layers_see_the_picture_itself() -> None:
    """Pixel by pixel: what the last doubling draws is no longer all that there is."""
    x = (torch.rand(1, 3, 16, 16) * 2 - 1).requires_grad_(True)
    for fine in (0, 5):
        net = UNet(Settings(shape=(3, 16, 16), network="unet", features=4, fine=fine), 3)
        torch.nn.init.zeros_(net.up[-1].weight)  # type: ignore[arg-type]
        y = net(x)
        assert y.shape == x.shape
        (gradient,) = torch.autograd.grad(y[0, :, 8, 8].sum(), x)
        rows, columns = gradient[0].abs().sum(0).nonzero().T
        assert len(rows) == (25 if fine else 0)
        if fine:
            assert int(rows.min()) == int(columns.min()) == 6


@pytest.mark.parametrize("fine", [0, 16])
def test_a_unet_without_norms_keeps_the_variance(fine: int) -> None:
    torch.manual_seed(0)
    gan = cyclegan((3, 64, 64), norm="none", network="unet", features=32, fine=fine)
    assert 0.2 < float(gan.G.translate(torch.randn(4, 3, 64, 64), "b").std()) < 0.9


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), to=st.sampled_from(["a", "b"]), unet=st.booleans())
def test_any_size_is_translated_and_keeps_its_size(height: int, width: int, to: Any, unet: bool) -> None:
    G = cyclegan(network="unet" if unet else "residual").G.eval()
    images = torch.rand(2, 3, height, width) * 2 - 1
    with torch.no_grad():
        translated = G.translate(images, to)
        assert (
            translated.shape == images.shape and torch.isfinite(translated).all() and translated.dtype == torch.float32
        )
        if height % G.multiple == 0 and width % G.multiple == 0 and min(height, width) >= G.least:
            assert torch.equal(translated, G.into[to](images))


def test_padding_is_cut_back() -> None:
    """What a size of 4n is given is what one of 4n - 1 is given, up to what the padding changes in the norms."""
    G = cyclegan().G.eval()
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    images[:, :, :, 31] = images[:, :, :, 29]  # what a reflection puts there
    with torch.no_grad():
        torch.testing.assert_close(G.translate(images[..., :31], "b"), G.translate(images, "b")[..., :31])


def test_a_change_is_little_at_first() -> None:
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    translated, plain = (cyclegan(change=change).G.eval().translate(images, "b") for change in (True, False))
    assert (translated - images).abs().mean() < 0.1 < (plain - images).abs().mean()


def test_a_change_stays_within_the_range_of_pictures_and_is_taught_beyond() -> None:
    images, wild = torch.rand(4, 3, 16, 16) * 2 - 1, cyclegan(change=True)
    for value in wild.G.parameters():
        torch.nn.init.normal_(value, 0, 3)
    translated = wild.G.translate(images, "a")
    torch.testing.assert_close(translated, wild.G.eval().translate(images, "a"))
    beyond = translated.abs() == 1
    assert translated.abs().max() <= 1 and beyond.float().mean() > 0.5
    last = wild.G.into["a"].network[-1].bias  # type: ignore[union-attr, index]
    (gradient,) = torch.autograd.grad(translated[beyond].sum(), last)
    assert (gradient != 0).all()


def test_domains_have_names_and_letters() -> None:
    G = cyclegan().G
    G.classes = ("Google", "twitter")
    assert [G.side(name) for name in ("a", "B", "google", " Twitter ")] == ["a", "b", "a", "b"]
    with pytest.raises(SimulacraError, match=r"There is no domain called 'twiter'.*twitter"):
        G.side("twiter")


def test_it_draws_nothing_from_seeds() -> None:
    G = cyclegan().G
    assert not isinstance(G, LatentGenerator) and as_translator(G) is G
    with pytest.raises(SimulacraError, match="simulacra translate") as caught:
        as_generator(G)
    assert caught.value.code == "generator.model_translates"


# --- the losses ----------------------------------------------------------------------------------------------------


def test_least_squares_of_d_are_halved() -> None:
    gan, real, fake = cyclegan(), torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    gan.on_step_start(0, {"D": 0, "G": 0})
    reals, fakes = gan.scores(torch.cat([real, fake]), "a").chunk(2)
    expected = squares_d(reals, fakes, torch.ones_like(reals), torch.zeros_like(fakes)) / 2
    torch.testing.assert_close(gan.critic_loss("a", real, fake)[0], expected)


class Nothing(torch.nn.Module):
    """Does nothing, on some device."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + 0 * self.weight


def identity(gan: CycleGAN) -> None:
    """Both translations leave pictures as they are."""
    for side in ("a", "b"):
        gan.G.into[side] = Nothing()


def test_a_translation_that_does_nothing_costs_nothing_but_the_critics() -> None:
    gan = cyclegan()
    identity(gan)
    batch = Batch(torch.rand(4, 3, 16, 16), None, torch.rand(4, 3, 16, 16))
    loss, stats = gan.g_loss(batch)
    assert stats["cycle"].item() == stats["same"].item() == 0
    torch.manual_seed(0)
    loss, _ = gan.g_loss(batch)
    torch.manual_seed(0)
    real = gan.crop_pair(batch)
    expected = squares_g(gan.scores(real["a"], "b")) + squares_g(gan.scores(real["b"], "a"))
    torch.testing.assert_close(loss, expected)


def test_the_weights_stand_where_they_should() -> None:
    """λ and λ_id weigh what the stats say."""
    batch = Batch(torch.rand(4, 3, 16, 16), None, torch.rand(4, 3, 16, 16))
    losses = {}
    for cycle, same in ((0, 0), (7, 0), (0, 3)):
        gan = cyclegan(cycle=cycle, same=same)
        torch.manual_seed(1)
        losses[cycle, same] = gan.g_loss(batch)
    bare, (more, with_cycle), (most, with_same) = losses[0, 0][0], losses[7, 0], losses[0, 3]
    torch.testing.assert_close(more - bare, 7 * with_cycle["cycle"])
    torch.testing.assert_close(most - bare, 3 * with_same["same"])


@given(height=st.sampled_from([16, 20]), width=st.sampled_from([16, 24]), zoom=st.sampled_from([1.0, 1.12, 1.5]))
@settings(max_examples=12, deadline=None)
def test_cuts_keep_the_shape_and_cut_something_else_each_time(height: int, width: int, zoom: float) -> None:
    images = torch.rand(32, 3, height, width)
    torch.manual_seed(0)
    cuts = cut(images, zoom, flip=True)
    assert cuts.shape == images.shape
    assert images.min() <= cuts.min() and cuts.max() <= images.max()
    same, mirrored = (
        torch.tensor([torch.equal(a, b) for a, b in zip(cuts, wanted, strict=True)])
        for wanted in (images, images.flip(3))
    )
    if zoom == 1:
        assert (same | mirrored).all() and 4 < int(same.sum()) < 28
    else:
        assert not (same | mirrored).any()
        assert (
            len(
                {
                    tuple(picture.flatten().tolist())
                    for picture in cut(images[:1].expand(32, -1, -1, -1), zoom, flip=True)
                }
            )
            > 4
        )
    assert torch.equal(cut(images, 1, flip=False), images)


# --- the pool ------------------------------------------------------------------------------------------------------


class PlainPool:
    """The published rule, one picture at a time."""

    def __init__(self, size: int) -> None:
        self.size, self.held = size, list[float]()

    def pick(self, fresh: float, slot: int) -> float:
        if len(self.held) < self.size:
            self.held.append(fresh)
            return fresh
        if slot < 0:
            return fresh
        old, self.held[slot] = self.held[slot], fresh
        return old


@given(size=st.integers(0, 9), batch=st.integers(1, 6), steps=st.integers(1, 30), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_the_pool_is_a_plain_list(size: int, batch: int, steps: int, seed: int) -> None:
    pool, plain = Pool(size, {"a": (1, 8, 8), "b": (1, 8, 8)}), PlainPool(size)
    torch.manual_seed(seed)
    fresh = iter(range(1, 10_000))
    for number in range(steps):
        pool.count = number * batch
        values = torch.tensor([float(next(fresh)) for _ in range(batch)])
        pictures = values[:, None, None, None].expand(-1, 1, 8, 8)
        output, rows = pool({"a": pictures, "b": -pictures})
        assert torch.equal(output["a"], -output["b"]), "both domains have the same fate"
        expected = [plain.pick(value, int(row)) for value, row in zip(values.tolist(), rows, strict=True)]
        assert output["a"][:, 0, 0, 0].tolist() == expected
        pool.keep({"a": pictures, "b": -pictures}, rows)
        assert pool.get_buffer("a")[: len(plain.held), 0, 0, 0].tolist() == plain.held


def test_half_of_the_fakes_are_earlier_ones() -> None:
    pool = Pool(50, {"a": (1, 8, 8)})
    pool.count = 50
    picture = torch.ones(1, 1, 8, 8)
    torch.manual_seed(0)
    rows = [int(pool({"a": picture})[1]) for _ in range(2000)]
    slots = [row for row in rows if row >= 0]
    assert 900 < len(slots) < 1100
    assert set(slots) == set(range(50))


def test_the_pool_is_in_the_checkpoint(tmp_path: Path) -> None:
    trainer = advance(make_trainer("cyclegan:tiny", tmp_path), 12)
    saved = trainer.state_dict()["gan"]
    assert saved["pool.a"].std() > 0
    other = make_trainer("cyclegan:tiny", tmp_path)
    other.load_state_dict(trainer.state_dict())
    assert not differences(snapshot(other.gan), snapshot(trainer.gan))


# --- time ----------------------------------------------------------------------------------------------------------


def test_the_rate_is_constant_and_then_falls_to_zero() -> None:
    gan = cyclegan(length=1000)
    rates = []
    for nimg in (0, 250, 500, 750, 1000, 1200):
        gan.on_step_start(nimg, {"D": 0, "G": 0})
        rates.append(gan.rate(0))
    assert rates == [1, 1, 1, 0.5, 0, 0]
    forever = cyclegan()
    forever.on_step_start(10**9, {"D": 0, "G": 0})
    assert forever.rate(0) == 1


def test_the_rate_runs_out_with_the_run(tmp_path: Path) -> None:
    data = pair_on_disk(tmp_path / "pair", noise(12), noise(12, seed=1))
    resolved = plan(data, TrainOptions(gan="cyclegan:tiny", run=tmp_path / "run", epochs=5))
    assert resolved.config.length == 60  # type: ignore[attr-defined]
    assert plan(data, TrainOptions(gan="cyclegan:tiny", run=tmp_path / "run", minutes=5)).config.length == 0  # type: ignore[attr-defined]


def test_a_run_cannot_go_on_where_the_rate_is_zero(tmp_path: Path) -> None:
    data = pair_on_disk(tmp_path / "pair", noise(8), noise(8, seed=1))
    words: dict[str, Any] = {"gan": "cyclegan:tiny", "run": tmp_path / "run", "device": "cpu", "precision": "fp32"}
    train(data, total=16, quiet=True, **words)
    assert plan(data, TrainOptions(**words)).config.length == 16  # type: ignore[attr-defined]
    with refused("gan.run_longer_than_rate", length=16):
        plan(data, TrainOptions(total=32, **words))


# --- a whole run ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(12, 7), (1, 1), (40, 1)])
def test_a_run_on_domains_of_any_size(n: int, m: int, tmp_path: Path) -> None:
    data = pair_on_disk(tmp_path / "pair", noise(n), noise(m, seed=1))
    run = train(
        data, gan="cyclegan:tiny", run=tmp_path / "run", total=16, every=8, device="cpu", precision="fp32", quiet=True
    )
    assert len(list((run / "previews").glob("0*.png"))) == 2 and (run / "previews" / "real.png").is_file()
    from simulacra.storage import load

    translator = load(run)
    assert isinstance(translator, Translator) and translator.domains == ("ones", "others")


def test_previews_are_pictures_translations_and_what_comes_back() -> None:
    data = paired(noise(20), noise(20, seed=1))
    previews, gan = TranslationPreviews(data), cyclegan()
    identity(gan)
    rows = previews.draw(gan.G)
    assert len(rows) == 6 * 16 and previews.columns == 12
    for i in range(16):
        a, to_b, back, b, to_a, again = rows[6 * i : 6 * i + 6]
        assert torch.equal(a, to_b) and torch.equal(a, back) and torch.equal(b, to_a) and torch.equal(b, again)
        assert not torch.equal(a, b)
    assert len(previews.shuffled(rows)) == previews.count == 32


def test_batches_are_unpaired(tmp_path: Path) -> None:
    """The same pictures in both domains are not shown together, and each once in a pass."""
    images = noise(40)
    trainer = make_trainer("cyclegan:tiny", tmp_path, paired(images, images))
    together, second = 0, list[Tensor]()
    for start in range(0, 40, 8):
        batch = trainer.feed.batch(start, 8)
        assert batch.others is not None
        together += sum(torch.equal(a, b) for a, b in zip(batch.images, batch.others, strict=True))
        second += list(batch.others)
    assert together < 6
    assert len({tuple(picture.flatten().tolist()) for picture in second}) == 40


@pytest.mark.parametrize("pair", [True, False])
def test_gans_and_data_must_fit(pair: bool, tmp_path: Path) -> None:
    data = pair_on_disk(tmp_path / "p", noise(8), noise(8)) if pair else on_disk(tmp_path / "p", noise(8))
    with pytest.raises(SimulacraError) as caught:
        plan(data, TrainOptions(gan="dcgan" if pair else "cyclegan", run=tmp_path / "run"))
    assert caught.value.code == ("plan.is_a_pair" if pair else "plan.needs_a_pair")
    assert not (tmp_path / "run").exists()


def test_a_pair_is_translated_where_no_gan_is_named(tmp_path: Path) -> None:
    data = pair_on_disk(tmp_path / "p", noise(8), noise(8))
    resolved = plan(data, TrainOptions(run=tmp_path / "run", device="cpu"))
    assert resolved.gan is CycleGAN and isinstance(resolved.config, Settings)
    assert resolved.config.network == "unet" and len(resolved.reasons) == 6
    assert open_pair(data).domains == ("ones", "others")


def test_too_small_is_a_sentence() -> None:
    with refused("gan.picture_too_small", height=16, width=6):
        cyclegan((3, 16, 6))


def test_lazy_penalties_come_every_so_many_steps_and_weigh_as_much_more() -> None:
    images, second = (torch.from_numpy(noise(4, (3, 16, 16), seed)).permute(0, 3, 1, 2) / 127.5 - 1 for seed in (0, 1))
    batch = Batch(images.float(), others=second.float())
    penalties = []
    for lazy, steps in ((1, 0), (4, 0), (4, 1), (4, 4)):
        torch.manual_seed(0)
        gan = cyclegan(loss="relativistic", lazy=lazy, gamma=2.0, pool=0, zoom=1.0, flip=False)
        gan.on_step_start(0, {"D": steps, "G": steps})
        loss, stats = gan.d_loss(batch)
        penalties.append((float(loss - stats["adversarial"]), "r1" in stats))
    (once, _), *lazily = penalties
    assert once > 0
    assert lazily == [
        (pytest.approx(4 * once, rel=1e-4), True),
        (0.0, False),
        (pytest.approx(4 * once, rel=1e-4), True),
    ]
