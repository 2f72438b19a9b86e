"""Augmentation: what each kind does where the answer is known, derivatives of every order, and p's feedback."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import advance, build, differences, forms, labelled, make_trainer, noise, refused, snapshot
from torch import Tensor

from simulacra import augment
from simulacra.augment import base, diff, transforms
from simulacra.augment.ada import AdaptiveAugment
from simulacra.errors import SimulacraError
from simulacra.settings import AS_PUBLISHED, AUGMENTATIONS, MOST, Settings

KINDS = [(name, kind) for name, kinds in AUGMENTATIONS.items() for kind in kinds]
every_kind = pytest.mark.parametrize(("name", "kind"), KINDS, ids=["-".join(pair) for pair in KINDS])
SHAPES = [(3, 8, 8), (1, 8, 8), (4, 8, 8), (3, 6, 10), (2, 1, 1)]


def built(name: str, *kinds: str, p: float = 0.0, shape: Any = (3, 8, 8), **settings: Any) -> Any:
    augmentation = augment.make(Settings(shape=shape, augment=name, augment_kinds=kinds, **settings))  # type: ignore[arg-type]
    if isinstance(augmentation, AdaptiveAugment):
        augmentation.p.fill_(p)
    return augmentation


def pictures(n: int, shape: Any = (3, 8, 8), dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(1), dtype=dtype) * 2 - 1


# --- as a whole ---------------------------------------------------------------------------------------------------


def bits(x: Tensor) -> bytes:
    return x.contiguous().numpy().tobytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_without_probability_nothing_changes_by_a_bit(shape: Any) -> None:
    x = pictures(16, shape)
    x[0] = -0.0
    for kinds in [(), AUGMENTATIONS["ada"]]:
        assert bits(built("ada", *kinds, shape=shape)(x)) == bits(x)
    assert bits(built("none")(x)) == bits(x)


@pytest.mark.parametrize("kind", AUGMENTATIONS["ada"])
def test_a_picture_for_which_nothing_is_drawn_stays_to_the_bit(kind: str) -> None:
    torch.manual_seed(0)
    x = pictures(400)
    y = built("ada", kind, p=0.1)(x)
    same = sum(bits(one) == bits(other) for one, other in zip(x, y, strict=True)) / 400
    switches = {"blit": 3, "geometric": 4, "colour": 5, "filter": 4, "corrupt": 2, "cutout": 1}[kind]
    assert 0.9**switches - 0.08 < same < 0.9**switches + 0.12, "what is drawn may still be no change"


@every_kind
@given(
    n=st.integers(1, 5), channels=st.integers(1, 5), height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 99)
)  # fmt: skip
def test_any_shape(name: str, kind: str, n: int, channels: int, height: int, width: int, seed: int) -> None:
    torch.manual_seed(seed)
    x = pictures(n, (channels, height, width))
    y = built(name, kind, p=0.9)(x)
    assert y.shape == x.shape and y.dtype == x.dtype and torch.isfinite(y).all()


@every_kind
def test_alpha_keeps_its_colour_and_moves_along(name: str, kind: str) -> None:
    x = pictures(20, (4, 8, 8))
    torch.manual_seed(5)
    y = built(name, kind, p=0.9, shape=(4, 8, 8))(x)
    if kind == "colour":
        assert torch.equal(y[:, 3], x[:, 3]) and not torch.equal(y[:, :3], x[:, :3])
    else:
        assert not torch.equal(y[:, 3], x[:, 3])


@every_kind
def test_pictures_are_changed_independently_and_by_torch_s_seed(name: str, kind: str) -> None:
    x = pictures(1).expand(24, -1, -1, -1)
    changing = built(name, kind, p=0.9)
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        runs.append(changing(x))
    assert torch.equal(*runs)
    assert len(torch.unique(runs[0], dim=0)) >= 8, "an eighth of 8 is a pixel: at most nine translations"
    assert not torch.equal(runs[0], changing(x))


@every_kind
def test_derivatives_of_every_order_are_those_of_finite_differences(name: str, kind: str) -> None:
    x = pictures(2, (3, 4, 5), torch.float64).requires_grad_()
    changing = built(name, kind, p=0.9, shape=(3, 4, 5))

    def changed(x: Tensor) -> Tensor:
        torch.manual_seed(11)
        y: Tensor = changing(x).pow(3)
        return y

    assert torch.autograd.gradcheck(changed, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(changed, x, fast_mode=True)


@pytest.mark.parametrize("name", ["ada", "diff"])
def test_a_penalty_on_the_gradient_has_a_gradient(name: str) -> None:
    """As R1 has it: with respect to the pictures before they are augmented, and then to D's weights."""
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.Softplus(), torch.nn.Flatten(), torch.nn.Linear(144, 1)
    )
    x, changing = pictures(8).requires_grad_(), built(name, p=0.8)
    (gradient,) = torch.autograd.grad(network(changing(x)).sum(), x, create_graph=True)
    gradient.square().sum().backward()  # type: ignore[no-untyped-call]
    weights = [weight.grad for key, weight in network.named_parameters() if "weight" in key]
    assert all(grad is not None and torch.isfinite(grad).all() and grad.abs().sum() > 0 for grad in weights)


def test_autocast_leaves_it_in_full_precision() -> None:
    x, changing = pictures(8), built("ada", *AUGMENTATIONS["ada"], p=0.8)
    runs = []
    for enabled in (True, False):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            runs.append(changing(x))
    assert torch.equal(*runs)
    assert changing(x.bfloat16()).dtype == torch.bfloat16


# --- what each kind does ------------------------------------------------------------------------------------------


def images_of(x: Tensor, kind: str, p: float, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    y: Tensor = built("ada", kind, p=p, shape=tuple(x.shape[1:]))(x)
    return y


def test_blitting_moves_whole_pixels() -> None:
    """Mirrored, turned by quarters and moved by at most an eighth: each result is one of those, exactly."""
    x = pictures(1, (1, 8, 8))
    y = images_of(x.expand(600, -1, -1, -1), "blit", 0.9)
    padded = torch.nn.functional.pad(x, (8, 8, 8, 8), mode="replicate")
    padded[:, :, 7], padded[:, :, 16] = padded[:, :, 8], padded[:, :, 15]
    possible = []
    for mirrored, quarters, down, right in itertools.product((0, 1), range(4), (-1, 0, 1), (-1, 0, 1)):
        turned = torch.rot90(padded.flip(3) if mirrored else padded, quarters, (2, 3))
        possible.append(turned[0, :, 8 + down : 16 + down, 8 + right : 16 + right])
    distances = (y[:, None] - torch.stack(possible)[None]).abs().flatten(2).amax(2)
    assert distances.min(1).values.max() < 1e-5
    share = torch.bincount(distances.min(1).indices, minlength=72) / 600
    assert (share > 0).sum() > 60, "all of them come up"
    # Nothing turned, mirrored or moved: (1 - p/2)(1 - 3p/4)(1 - p + p·P(rounded to 0)²), uniform in ±1 pixel.
    assert share.argmax() == 4 and share[4] == pytest.approx(0.55 * 0.325 * 0.325, abs=0.03)


def test_shares_before_augmentation_follow_from_those_after() -> None:
    """A picture in eight positions, some rarer: below p = 1 their shares follow from those of the augmented ones (section 2.2)."""
    x, p = pictures(1, (1, 3, 3)), 0.5  # at 3 pixels nothing moves
    eight = torch.cat([torch.rot90(side, turns, (2, 3)) for side in (x, x.flip(3)) for turns in range(4)])
    which = torch.multinomial(torch.arange(1.0, 9), 40_000, replacement=True)

    def places(images: Tensor) -> Tensor:
        distances = (images[:, None] - eight).abs().flatten(2).amax(2)
        assert distances.min(1).values.max() < 1e-5
        return distances.argmin(1)

    transitions = torch.stack(
        [
            torch.bincount(places(images_of(one.expand(20_000, -1, -1, -1), "blit", p)), minlength=8) / 20_000
            for one in eight
        ]
    )  # [from, to]
    assert float(torch.linalg.svdvals(transitions).min()) > 0.2, "(1 - p)² by theory"
    augmented_shares = torch.bincount(places(images_of(eight[which], "blit", p, seed=1)), minlength=8) / 40_000
    assert augmented_shares.std() < 0.6 * (torch.arange(1.0, 9) / 36).std(), "augmented, they are more alike"
    shares = torch.linalg.solve(transitions.T, augmented_shares)
    torch.testing.assert_close(shares, torch.bincount(which, minlength=8) / 40_000, rtol=0, atol=0.02)


def test_half_of_what_is_mirrored_by_chance_is_mirrored() -> None:
    x = torch.arange(8.0).expand(4000, 1, 8, 8) / 8
    torch.manual_seed(0)
    matrix, _, _ = transforms.blitting(x, torch.tensor(0.6))
    assert (torch.linalg.det(matrix) < 0).float().mean() == pytest.approx(0.3, abs=0.03)
    turned = matrix[:, 0, 0].abs() < 0.5
    assert turned.float().mean() == pytest.approx(0.3, abs=0.03), "two of the four turns are sideways"


@pytest.mark.parametrize("shape", [(1, 8, 16), (1, 16, 8)])
def test_translations_are_by_the_side_they_go_along(shape: Any) -> None:
    _, shift, _ = transforms.blitting(torch.zeros(2000, *shape), torch.tensor(0.999))
    assert shift.abs().amax(0).tolist() == [shape[2] / 8, shape[1] / 8], "right and down"


def test_geometry_has_the_paper_s_distributions() -> None:
    torch.manual_seed(0)
    matrix, shift, on = transforms.geometry(torch.zeros(20_000, 1, 16, 32), torch.tensor(0.5))
    size = torch.linalg.det(matrix).sqrt().log2()
    assert (size.abs() > 1e-4).float().mean() == pytest.approx(0.5, abs=0.02)
    assert size[size.abs() > 1e-4].std() == pytest.approx(0.2, abs=0.01)
    stretch = torch.linalg.svdvals(matrix).log2()
    assert ((stretch[:, 0] - stretch[:, 1]) > 1e-3).float().mean() == pytest.approx(0.5, abs=0.02)
    angle = torch.atan2(matrix[:, 1, 0] - matrix[:, 0, 1], matrix[:, 0, 0] + matrix[:, 1, 1])
    assert (angle.abs() > 1e-4).float().mean() == pytest.approx(0.5, abs=0.02), "either of two rotations happens with p"
    moved = shift[shift.any(1)]
    assert len(moved) / 20_000 == pytest.approx(0.5, abs=0.02)
    assert moved.std(0).tolist() == pytest.approx([4, 2], rel=0.05), "an eighth of each side"
    still = (on == 0).all(0)
    assert still.float().mean() == pytest.approx(0.5**4, abs=0.01)
    assert torch.equal(matrix[still], torch.eye(2).expand_as(matrix[still])), "the mode stays at the identity"


def test_looking_up_is_exact_at_pixels_and_linear_between() -> None:
    x = pictures(2, (3, 6, 10))
    matrix = torch.eye(2).expand(2, 2, 2)

    def moved(right: float, **how: bool) -> Tensor:
        return base.affine_sample(x, matrix, torch.tensor([[right, 0.0]]).expand(2, 2), **how)

    torch.testing.assert_close(moved(0), x, rtol=0, atol=1e-5)
    between = 0.75 * x[..., :-1] + 0.25 * x[..., 1:]
    torch.testing.assert_close(moved(0.25)[..., :-1], between, rtol=0, atol=1e-5)
    assert torch.equal(moved(1, nearest=True)[..., :-1], x[..., 1:])
    assert not moved(1, nearest=True)[..., -1].any(), "outside is 0"
    torch.testing.assert_close(moved(10, reflect=True), x.flip(3), rtol=0, atol=1e-5)
    turned = base.affine_sample(x[..., 2:8], torch.tensor([[0.0, -1.0], [1.0, 0.0]]).expand(2, 2, 2), torch.zeros(2, 2))
    torch.testing.assert_close(turned, torch.rot90(x[..., 2:8], 1, (2, 3)), rtol=0, atol=1e-5)


def test_turns_soften_as_their_docstring_says_and_blitting_does_not() -> None:
    torch.manual_seed(0)
    x = torch.randn(200, 1, 32, 32)
    turn = transforms.rotation(2 * math.pi * torch.rand(200))
    turned = base.affine_sample(x, turn, torch.zeros(200, 2), reflect=True)
    assert float(turned.var() / x.var()) == pytest.approx(0.46, abs=0.02), "4/9 where all offsets are equally likely"
    moved, _ = transforms.move(x, torch.tensor(1.0), geometric=False)
    assert float(moved.var() / x.var()) == pytest.approx(1, abs=0.03)


def test_colours_turn_around_grey() -> None:
    """What becomes of grey, black and red tells all: grey stays grey, hues keep their distance from grey."""
    grey, red = torch.full((3,), 0.5), torch.tensor([1.0, -1, -1])
    x = torch.stack([torch.zeros(3), grey, red], 1)[None, :, None].expand(500, -1, -1, -1)
    y = images_of(x, "colour", 0.7)[:, :, 0]  # [N, 3, (black, grey, red)]
    assert y[:, :, :2].std(1).max() < 1e-6
    black, brighter, changed = y.unbind(2)
    contrast = (brighter - black)[:, 0] / 0.5
    torch.testing.assert_close(changed.mean(1), black[:, 0] + contrast * red.mean(), rtol=1e-4, atol=1e-5)
    saturation = (changed - changed.mean(1, keepdim=True)).norm(dim=1) / contrast.abs() / (red - red.mean()).norm()
    factors = saturation.log2()
    changes = factors.abs() > 1e-4
    assert changes.float().mean() == pytest.approx(0.7, abs=0.06) and factors[changes].std() == pytest.approx(
        1, abs=0.12
    )
    assert (contrast < 0).float().mean() == pytest.approx(0.35, abs=0.06), "half of those drawn are flipped"
    first = changed[:, 0] > changed[:, 1:].amax(1)
    assert 0.3 < first.float().mean() < 0.8, "hues turn"


def test_grey_has_light_contrast_and_flips_alone() -> None:
    x = torch.tensor([0.0, 0.5, 1.0]).expand(300, 1, 1, 3)
    y = images_of(x, "colour", 0.8)[:, 0, 0]
    torch.testing.assert_close(y[:, 2] - y[:, 1], y[:, 1] - y[:, 0], rtol=1e-4, atol=1e-5)
    assert (y[:, 2] < y[:, 0]).float().mean() == pytest.approx(0.4, abs=0.08)


def test_bands_are_all_of_the_picture_and_each_goes_its_way() -> None:
    x = torch.zeros(1, 1, 16, 16)
    waves, shares = transforms.cosines(x, 3)
    torch.testing.assert_close(waves @ waves.T, torch.eye(16), rtol=0, atol=1e-5)
    torch.testing.assert_close(shares.sum(0), torch.ones(16))
    assert shares[0, 0] == 1 and shares[3, 15] > 0.9 and (shares >= 0).all()
    flat = images_of(torch.full((300, 1, 8, 8), 0.5), "filter", 0.6)
    assert (flat.flatten(1).std(1) < 1e-5).all(), "one grey has no waves"
    gains = flat[:, 0, 0, 0] / 0.5
    assert gains.min() < 0.7 and gains.max() < 1.3 * (13 / 12) ** 3, "at most the whole of a picture's power"


def test_corruption_is_noise_and_holes() -> None:
    y = images_of(torch.full((400, 3, 16, 16), 0.5), "corrupt", 0.5)
    holes = (y == 0).all(1).flatten(1).sum(1)
    assert (holes > 0).float().mean() == pytest.approx(0.5, abs=0.07)
    assert holes.max() == 64, "at most a rectangle of half the sides"
    noisy = (y[holes == 0].flatten(1).std(1) > 1e-6).float().mean()
    assert noisy == pytest.approx(0.5, abs=0.1)


def test_diffaugment_has_the_paper_s_ranges() -> None:
    x = pictures(1, (3, 16, 16)).expand(500, -1, -1, -1)
    torch.manual_seed(0)
    y = built("diff", "colour")(x)
    light = (y.mean((1, 2, 3)) - x.mean((1, 2, 3))).abs()
    assert 0.45 < light.max() <= 0.5
    grey, was = y.mean(1, keepdim=True), x.mean(1, keepdim=True)
    contrast = grey.flatten(1).std(1) / was.flatten(1).std(1)
    assert 0.5 <= contrast.min() < 0.55 and 1.45 < contrast.max() <= 1.5
    saturation = (y - grey).flatten(1).norm(dim=1) / (x - was).flatten(1).norm(dim=1) / contrast
    assert saturation.min() < 0.1 and 1.9 < saturation.max() <= 2
    moved = diff.translation(x + 2)
    gone = (moved == 0).all(1)
    assert gone.all(2).sum(1).max() == gone.all(1).sum(1).max() == 2, "an eighth of 16"
    inside = moved[~gone.any(1).any(1)]
    assert torch.equal(inside, (x + 2)[: len(inside)]), "where nothing came in, nothing has moved"
    cut = (built("diff", "cutout")(x + 2) == 0).all(1).flatten(1).sum(1)
    assert cut.min() >= 16 and cut.max() == 64, "a hole of half the sides, a quarter of it at least inside"


# --- p ------------------------------------------------------------------------------------------------------------


def p_after(augmentation: AdaptiveAugment, sure: float, times: int, n: int = 10, critic: bool = False) -> list[float]:
    """p after each of so many steps in which D is right about a share of the reals."""
    real = torch.where(torch.arange(n) < sure * n, 2.0, -2.0)
    probabilities = []
    for _ in range(times):
        augmentation.update(real + (7 if critic else 0), torch.full((n,), 7.0 if critic else -1.0), critic=critic)
        probabilities.append(float(augmentation.p))
    return probabilities


@pytest.mark.parametrize("critic", [False, True])
def test_p_rises_and_falls_every_fourth_step(critic: bool) -> None:
    augmentation = built("ada", augment_images=400.0, augment_p=0.0)
    assert p_after(augmentation, 0.9, 9, critic=critic) == pytest.approx([0, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2])
    assert p_after(augmentation, 0.7, 4, critic=critic)[-1] == pytest.approx(0.1), (
        "D is right about 70 %: a mean sign of 0.4"
    )
    assert min(p_after(augmentation, 0.5, 8, critic=critic)) == 0
    assert p_after(augmentation, 1.0, 60, critic=critic)[-1] == pytest.approx(MOST)
    assert p_after(built("ada", augment_target=0.9), 0.9, 4)[-1] == 0


def test_p_follows_unseen_pictures_and_rests_at_zero() -> None:
    augmentation = built("ada", augment_sensor="unseen", augment_target=0.5, augment_images=10_000.0, augment_p=0.0)
    images = torch.rand(4, 3, 8, 8)
    assert p_after(augmentation, 1.0, 8) == [0] * 8, "signs do not move it"
    assert not augmentation.active and augmentation(images) is images
    probabilities = []
    for overfit in (0.6, 0.4, 0.9, 0.9, 0.9):
        augmentation.steer(overfit)
        probabilities.append(float(augmentation.p))
    assert probabilities == pytest.approx([0.5, 0, 0.5, MOST, MOST])
    assert augmentation.active
    again = built("ada", augment_sensor="unseen", augment_p=0.0)
    assert not again.active
    again.load_state_dict(augmentation.state_dict())
    assert again.active


def test_unseen_pictures_are_scored_every_5000_images() -> None:
    augmentation, signs = built("ada", augment_sensor="unseen"), built("ada")
    assert [augmentation.due(before, before + 16) for before in (4968, 4984, 5000, 9984)] == [False, True, False, True]
    assert not signs.due(4984, 5000) and not augment.make(Settings()).due(4984, 5000)


def test_p_starts_at_its_setting() -> None:
    augmentation = augment.make(Settings(augment="ada", augment_p=0.3))
    assert float(augmentation.p) == pytest.approx(0.3)  # type: ignore[arg-type]
    assert not list(augmentation.parameters()) and set(augmentation.state_dict()) == {
        "p",
        "signs",
        "num_reals",
        "steps",
    }


@pytest.mark.parametrize(
    "words", [{"augment_p": 0.9}, {"augment_kinds": ("warp",)}, {"augment": "none", "augment_kinds": ("blit",)}]
)
def test_what_cannot_be_is_said(words: dict[str, Any]) -> None:
    with pytest.raises(SimulacraError, match=r"augment.*(at most 0\.8|it has blit|augment=ada)"):
        Settings(**({"augment": "ada"} | words))


# --- in training --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ada", "diff"])
@pytest.mark.parametrize("name", forms())
def test_every_gan_trains_with_it(name: str, kind: str, tmp_path: Path) -> None:
    """Both players still move, finitely; and what D sees is not what it is shown."""
    options: dict[str, Any] = {"augment_p": 0.7} if kind == "ada" else {}
    trainer = make_trainer(name, tmp_path, augment=kind, **options)
    plain = make_trainer(name, tmp_path)
    before = snapshot(trainer.gan)
    advance(trainer, 3), advance(plain, 3)
    assert all(torch.isfinite(value).all() for value in trainer.gan.state_dict().values())
    assert any(not torch.equal(value, before[key]) for key, value in trainer.gan.D.state_dict(prefix="D.").items())
    assert differences(snapshot(trainer.gan.D), snapshot(plain.gan.D))


@pytest.mark.parametrize("options", [{}, {"micro": 3}, {"precision": "bf16"}])
@pytest.mark.parametrize("name", ["dcgan:tiny", "wgan-gp:tiny"])
def test_p_goes_on_exactly_after_a_resume(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    words: dict[str, Any] = {"augment": "ada", "augment_p": 0.4, "augment_images": 100.0, **options}
    whole = advance(make_trainer(name, tmp_path / "whole", **words), 13)
    first = advance(make_trainer(name, tmp_path / "parts", **words), 5)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = make_trainer(name, tmp_path / "parts", **words)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert not differences(whole.state_dict(), advance(second, 8).state_dict())
    assert float(whole.gan.augment.p) != pytest.approx(0.4)  # type: ignore[arg-type]


def test_d_judges_what_it_sees_in_training() -> None:
    gan = build("dcgan:tiny", augment="diff", norm_d="none")
    images = pictures(8, (3, 16, 16))
    torch.manual_seed(0)
    augmented = gan.augment(images)
    torch.manual_seed(0)
    assert torch.equal(gan.discriminate(images), gan.D(augmented)) and not torch.equal(augmented, images)


def test_a_step_has_its_own_chance_whatever_the_parts(tmp_path: Path) -> None:
    """p counts all reals of a step, in however many microbatches it is computed."""
    sums = []
    for micro in (8, 3):
        trainer = make_trainer("dcgan:tiny", tmp_path, labelled(noise()), micro=micro, augment="ada")
        advance(trainer, 6)
        counts = trainer.gan.augment.state_dict()
        sums.append((int(counts["num_reals"]), int(counts["steps"])))
    assert sums == [(24, 3)] * 2 and math.isfinite(float(counts["signs"]))


def test_colours_may_have_a_lower_probability() -> None:
    """As in R3GAN's code: half of ADA's p for colours, p for the rest."""
    torch.manual_seed(0)
    gan = build("dcgan:tiny", augment="ada", augment_kinds=("colour",), augment_colour=0.5, augment_p=0.4)
    x = pictures(2000)
    same = sum(bits(one) == bits(other) for one, other in zip(x, gan.augment(x), strict=True)) / 2000
    assert 0.8**5 - 0.04 < same < 0.8**5 + 0.1, "what is drawn may still be no change"
    with refused("config.more_than_1", name="augment_colour"):
        build("dcgan:tiny", augment="ada", augment_colour=1.5)


def test_a_cutout_is_a_quarter_with_probability_p() -> None:
    torch.manual_seed(0)
    holes = (built("ada", "cutout", p=0.3)(torch.ones(1000, 3, 8, 8)) == 0).all(1).flatten(1).float().mean(1)
    assert 0.25 < (holes > 0).float().mean() < 0.35
    assert holes.max() == 0.25


def test_the_kinds_of_stored_runs_never_change() -> None:
    """A run stores no kinds for those of the paper: a new kind must not join them."""
    assert AS_PUBLISHED == {"ada": ("blit", "geometric", "colour"), "diff": ("colour", "translation", "cutout")}
