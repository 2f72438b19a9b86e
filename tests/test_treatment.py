"""What is done to pictures before they are compared: the blur is a Gaussian, the noise a function of the picture alone."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy  # whose parts are imported on first use
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import look, stand_in
from support import in_memory
from torch import Tensor

from simulacra.data.opening import open_domain
from simulacra.measure.distances import frechet
from simulacra.measure.extractors import features, pyramid, treatment
from simulacra.measure.extractors.features import (
    SECOND,
    Extractor,
    features_of,
    features_of_data,
    open_extractor,
    preprocess,
)
from simulacra.measure.extractors.treatment import BLUR, NOISE, REACH, blur, noise, treat
from simulacra.measure.grain import grain_of_features, possible


def pixels(n: int = 4, height: int = 12, width: int = 16, seed: int = 0) -> Tensor:
    """Pictures [n, 3, height, width] in whole numbers of 0..255."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, height, width), generator=generator).float()


def recorder(*, treated: bool, into: list[Tensor]) -> Extractor:
    """An extractor that keeps what its network is given."""

    def network(x: Tensor) -> tuple[Tensor, ...]:
        into.append(x)
        return look(x)

    name = "coarsed" if treated else "coarse"
    return replace(stand_in(), name=name, treated=treated, network=network, side=16)


# --- the blur ---------------------------------------------------------------------------------------------------------


def test_the_blur_is_a_gaussian() -> None:
    for deviation in (0.3, BLUR, 0.7):
        expected = scipy.ndimage.gaussian_filter(
            pixels().numpy(), (0, 0, deviation, deviation), mode="nearest", radius=REACH
        )
        np.testing.assert_allclose(blur(pixels(), deviation).numpy(), expected, atol=2e-4)


def test_the_blur_leaves_even_pictures_alone_and_keeps_the_mean_of_a_point() -> None:
    even = torch.full((1, 3, 9, 7), 201.0)
    torch.testing.assert_close(blur(even, BLUR), even)
    point = torch.zeros(1, 1, 9, 9)
    point[..., 4, 4] = 100
    spread = blur(point, BLUR)[0, 0]
    assert spread.sum() == pytest.approx(100, rel=1e-5)
    assert torch.allclose(spread, spread.T, atol=1e-5) and torch.allclose(spread, spread.flip(0), atol=1e-5)
    assert spread[4, 5] / spread[4, 4] == pytest.approx(np.exp(-1 / (2 * BLUR**2)), rel=1e-5)


# --- the noise --------------------------------------------------------------------------------------------------------


def test_values_are_those_of_this_version() -> None:
    """Where these change, `TREATMENT` must be increased: scores of before cannot be compared."""
    assert (BLUR, NOISE, treatment.TREATMENT) == (0.55, 7.0, 2)
    assert noise(torch.zeros(1, 3, 2, 2)).flatten()[:3].tolist() == pytest.approx([0.492849, -1.368863, -0.519494])
    picture = torch.arange(48.0).view(1, 3, 4, 4)
    assert treat(picture).flatten()[:3].tolist() == pytest.approx([1.156612, 0.642054, 7.141625], abs=1e-4)


@settings(max_examples=20)
@given(before=st.integers(0, 3), after=st.integers(0, 3), seed=st.integers(0, 99))
def test_a_picture_has_its_noise_in_every_batch(before: int, after: int, seed: int) -> None:
    picture = pixels(1, seed=seed)
    batch = torch.cat([pixels(before, seed=seed + 100), picture, pixels(after, seed=seed + 200)])
    assert torch.equal(noise(batch)[before], noise(picture)[0])
    last = batch.contiguous(memory_format=torch.channels_last)
    assert torch.equal(noise(last), noise(batch)), "however it lies in memory"
    torch.testing.assert_close(treat(batch)[before], treat(picture)[0])


def test_pictures_that_differ_in_one_pixel_have_noise_that_is_uncorrelated() -> None:
    batch = pixels(1, 64, 64).repeat(20, 1, 1, 1)
    for number in range(1, 20):
        batch[number, 0, 0, 0] = (batch[0, 0, 0, 0] + number) % 256
    correlations = np.corrcoef(noise(batch).flatten(1).numpy())
    apart = correlations[~np.eye(20, dtype=bool)]
    assert np.abs(apart).max() < 5 / np.sqrt(3 * 64 * 64)
    assert len(np.unique(noise(batch)[:, 0, 0, 0].numpy())) == 20


def test_the_noise_has_the_stated_mean_and_deviation() -> None:
    pictures = pixels(60, 64, 64)
    added = treat(pictures) - blur(pictures, BLUR)
    count = added.numel()
    assert added.mean() == pytest.approx(0, abs=4 * NOISE / count**0.5)
    assert added.std() == pytest.approx(NOISE, rel=4 / (2 * count) ** 0.5)
    channels = np.corrcoef(added.transpose(0, 1).flatten(1).numpy())
    neighbours = (added[..., 1:] * added[..., :-1]).mean() / NOISE**2
    assert np.abs(channels[~np.eye(3, dtype=bool)]).max() < 0.01 and abs(neighbours) < 0.01


def test_the_noise_of_a_picture_larger_than_the_bank_goes_on_from_its_start() -> None:
    picture = pixels(1, 840, 860)
    assert picture.numel() > treatment.BANK
    start = zlib.crc32(picture.byte().numpy().tobytes()) % treatment.BANK
    expected = np.take(treatment._bank(), np.arange(start, start + picture.numel()), mode="wrap")
    assert np.array_equal(noise(picture).numpy().ravel(), expected)
    assert expected.std() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (3, 2)])
def test_pictures_of_a_pixel_are_treated(shape: tuple[int, int]) -> None:
    treated = treat(pixels(2, *shape))
    assert treated.shape == (2, 3, *shape) and treated.isfinite().all()
    assert np.ptp(treat(torch.zeros(1, 3, *shape)).numpy()) > 0


# --- in an extractor --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_network_sees_treated_pictures_only_where_it_should(channels: int) -> None:
    pictures = torch.rand(3, channels, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    seen: list[Tensor] = []
    treated = recorder(treated=True, into=seen)
    both, plain, unrounded = treated(pictures), treated.untreated(pictures), treated(pictures, rounded=False)
    torch.testing.assert_close(seen[0], treat(preprocess(pictures)))
    assert torch.equal(seen[1], preprocess(pictures)) and torch.equal(seen[2], preprocess(pictures, rounded=False))
    assert both.keys() == {"48", "same", SECOND} == unrounded.keys() and plain.keys() == {"48", "same"}
    second = pyramid.pyramid_features(treat(preprocess(pictures)))
    torch.testing.assert_close(both[SECOND], second)
    torch.testing.assert_close(recorder(treated=False, into=seen)(pictures)[SECOND], second)
    if channels == 1:
        torch.testing.assert_close(treated(pictures.expand(-1, 3, -1, -1))["48"], both["48"])


def test_the_untreated_extractor_is_called_as_the_network_is() -> None:
    treated = recorder(treated=True, into=[])
    plain = treated.untreated
    assert (treated.name, treated.treatment) == ("coarsed", treatment.TREATMENT)
    assert (plain.name, plain.treatment, plain.second, plain.network) == ("coarse", 1, False, treated.network)
    assert plain.widths == {"48": 48, "same": 48} and treated.widths == {**plain.widths, SECOND: pyramid.WIDTH}
    named = replace(stand_in(), name="speed")
    assert named.untreated.name == "speed", "a name that ends so of itself"


def test_cached_features_of_one_treatment_never_stand_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path))
    data = in_memory(pixels(5, 16, 16).permute(0, 2, 3, 1).byte().numpy())
    treated = recorder(treated=True, into=[])
    plain = replace(treated, name="coarse", treated=False)

    def files() -> int:
        for extractor in (treated, plain, treated.untreated):
            features_of_data(extractor, data)
        return len(list(tmp_path.rglob("*.safetensors")))

    assert files() == 3 == files()
    monkeypatch.setattr(features, "SECOND_VERSION", 99)
    assert files() == 3 + 2, "the second judge's features changed"
    monkeypatch.setattr(features, "TREATMENT", 99)
    assert files() == 5 + 2, "and with the treatment they change, even beside an untreated network's"


def test_noise_of_a_grey_level_is_seen_by_grain_alone() -> None:
    images = open_domain("peeps").images[:96]
    grains = np.random.default_rng(0).normal(size=images[48:].shape)
    noisy = np.clip(np.round(images[48:] + grains), 0, 255)
    pictures = [torch.from_numpy(x).permute(0, 3, 1, 2).float() / 127.5 - 1 for x in (images[:48], images[48:], noisy)]
    extractor = open_extractor()
    values = []
    for version in (extractor, extractor.untreated):
        real, others, damaged = (features_of(version, [batch], 48) for batch in pictures)
        values += [frechet(real["112"], others["112"]), frechet(real["112"], damaged["112"])]
    scores = grain_of_features(extractor.untreated, real, damaged)
    assert scores.keys() == {"grain-efl0-112"} and scores["grain-efl0-112"].value == pytest.approx(values[3])
    assert values[1] < 1.1 * values[0] and values[3] > 2 * values[2]
    assert possible(extractor) and not possible(extractor.untreated)
