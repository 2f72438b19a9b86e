"""Features: the network is the published one, the treatment is the same for all, kept features are the right ones."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measuring import stand_in
from support import in_memory, noise, refused
from torch import Tensor, nn

from simulacra.data.opening import open_domain
from simulacra.errors import SimulacraError
from simulacra.gan import to_image
from simulacra.measure.extractors import cache, dinov2, efficientnet, weights
from simulacra.measure.extractors.features import Extractor, features_of, features_of_data, open_extractor, preprocess


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def efl0() -> Extractor:
    return open_extractor()


def pictures(n: int = 5, shape: tuple[int, int, int] = (3, 16, 16), seed: int = 0) -> Tensor:
    """Pictures [n, C, H, W] in [-1, 1] whose values are not 8-bit."""
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def tiny(calls: list[int] | None = None, side: int | None = 8) -> Extractor:
    """An extractor that costs nothing: the means of colours and of rows."""

    def network(x: Tensor) -> tuple[Tensor, Tensor]:
        if calls is not None:
            calls.append(len(x))
        return x.mean((2, 3)), x.mean((1, 3))[:, :2]

    layers = {"layers": {"3": 3, "2": 2}, "fd_layer": "3", "kid_layer": "3", "neighbour_layer": "2"}
    return replace(stand_in(), name="tiny", side=side, network=network, **layers)  # type: ignore[arg-type]


# The network


def test_network_is_the_published_one() -> None:
    from efficientnet_lite_pytorch import EfficientNet

    state = torch.load(weights.bundled_weights(None), weights_only=True)
    reference = EfficientNet.from_name("efficientnet-lite0").eval()
    reference.load_state_dict(state)
    outputs: list[Tensor] = []
    reference._blocks[10].register_forward_hook(lambda block, x, y: outputs.append(y))
    images = torch.from_numpy(np.array(open_domain("peeps").images[:4])).permute(0, 3, 1, 2).float()
    images = torch.nn.functional.interpolate(images, (128, 128), mode="bicubic", antialias=True)
    with torch.no_grad():
        last = reference.extract_features((images - 127) / 128)
        ours = efficientnet.from_state(state)(images)
    assert outputs[0].shape == (4, 112, 8, 8)
    torch.testing.assert_close(ours[0], outputs[0].mean((2, 3)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours[1], last.mean((2, 3)), rtol=1e-4, atol=1e-4)


def test_weights_missing_or_unknown_are_refused() -> None:
    state = dict(torch.load(weights.bundled_weights(None), weights_only=True))
    with pytest.raises(KeyError):
        efficientnet.from_state({name: value for name, value in state.items() if name != "_bn0.bias"})
    with pytest.raises(KeyError, match="_more"):
        efficientnet.from_state(state | {"_more": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="size mismatch"):
        efficientnet.from_state(state | {"_conv_stem.weight": torch.zeros(32, 3, 5, 5)})


def test_onnx_runtime_agrees_with_torch(efl0: Extractor) -> None:
    plain = open_extractor(backend="torch")
    assert (efl0.backend, plain.backend) == ("onnxruntime", "torch")
    assert efl0.sha256 == plain.sha256 == weights.PUBLISHED
    for n in (1, 5):
        ours, theirs = efl0(pictures(n)), plain(pictures(n))
        for layer, width in {"112": 112, "1280": 1280}.items():
            assert ours[layer].shape == (n, width)
            assert (ours[layer] - theirs[layer]).abs().max() < 1e-3 * theirs[layer].std()


def test_torch_serves_where_onnx_runtime_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert open_extractor().backend == "torch"
    with refused("measure.onnx_not_installed"):
        open_extractor(backend="onnxruntime")


# The treatment


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 16, 24), (4, 16, 16)])
def test_a_fake_is_treated_as_its_saved_file(shape: tuple[int, int, int]) -> None:
    image = pictures(1, shape)
    saved = to_image(image[0])
    if shape[0] == 4:
        from PIL import Image

        saved = Image.alpha_composite(Image.new("RGBA", saved.size, "white"), saved)
    expected = torch.from_numpy(np.array(saved.convert("RGB"))).permute(2, 0, 1).float()
    result = preprocess(image)[0]
    assert result.shape == (3, *shape[1:])
    assert (result - expected).abs().max() <= (1 if shape[0] == 4 else 0)  # Pillow's own rounding of alpha
    assert torch.equal(result, result.round())


def test_rounding_can_be_left_out(efl0: Extractor) -> None:
    nearly = torch.full((1, 3, 16, 16), 0.5)
    apart = nearly + 1e-4
    assert torch.equal(efl0(nearly)["112"], efl0(apart)["112"])
    assert not torch.equal(efl0(nearly, rounded=False)["112"], efl0(apart, rounded=False)["112"])
    with refused("measure.extractor_rounds"):
        tiny(side=None)(nearly, rounded=False)


def test_any_size_is_squeezed_and_odd_channels_refused(efl0: Extractor) -> None:
    assert efl0(pictures(2, (1, 20, 300)))["1280"].shape == (2, 1280)
    with pytest.raises(SimulacraError, match=r"\(2, 2, 8, 8\)"):
        efl0(pictures(2, (2, 8, 8)))


# Streams of pictures


def test_the_same_bits_however_pictures_are_batched(efl0: Extractor) -> None:
    images = pictures(37)
    whole = features_of(efl0, [images], 37)
    for size in (7, 16):
        again = features_of(efl0, (images[start : start + size] for start in range(0, 37, size)), 37)
        assert all(np.array_equal(again[layer], whole[layer]) for layer in whole)
    alone = efl0(images[30:31])
    for layer in whole:
        assert whole[layer].dtype == np.float32
        np.testing.assert_allclose(alone[layer][0], whole[layer][30], rtol=1e-3, atol=1e-3)


def test_no_more_pictures_are_made_than_asked_for() -> None:
    sizes: list[int] = []
    steps: list[int] = []
    calls: list[int] = []

    def batches() -> Iterator[Tensor]:
        for number in range(100):
            sizes.append(number)
            yield pictures(10, seed=number)

    result = features_of(tiny(calls), batches(), 45, steps.append)
    assert result["3"].shape == (45, 3) and len(sizes) == 5
    assert max(calls) <= tiny().batch and sum(steps) == 45
    with refused("measure.pictures_missing", total=45, number=20):
        features_of(tiny(), [pictures(20)], 45)


# Kept features


def test_features_of_data_are_computed_once(own_cache: Path) -> None:
    calls: list[int] = []
    steps: list[int] = []
    data, extractor = in_memory(noise(40)), tiny(calls)
    first = features_of_data(extractor, data, np.array([3, 5, 8]), steps.append)
    images = torch.from_numpy(data.images[[3, 5, 8]]).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert np.array_equal(first["3"], extractor(images)["3"].numpy())
    del calls[:]
    again = features_of_data(extractor, in_memory(noise(40)), np.array([3, 5, 8]), steps.append)
    assert not calls and steps == [3, 3]
    assert all(np.array_equal(first[layer], again[layer]) for layer in first)
    for other, index in (
        (in_memory(noise(40)), [3, 5, 9]),
        (in_memory(noise(40)), [5, 3, 8]),
        (in_memory(noise(40, seed=1)), [3, 5, 8]),
    ):
        features_of_data(extractor, other, np.array(index))
    features_of_data(replace(extractor, backend="onnxruntime"), data, np.array([3, 5, 8]))
    features_of_data(replace(extractor, sha256="1" * 64), data, np.array([3, 5, 8]))
    assert calls == [3] * 5
    assert len(list(own_cache.rglob("*.safetensors"))) == 6


def test_views_of_one_set_are_told_apart() -> None:
    whole = replace(in_memory(noise(40)), splits={"train": 30, "valid": 10, "test": 0})
    parts = [features_of_data(tiny(), whole.split(part))["3"] for part in ("train", "valid")]
    np.testing.assert_allclose(np.concatenate(parts), features_of_data(tiny(), whole)["3"], rtol=1e-5)


@pytest.mark.parametrize("harm", ["a flipped bit", "cut short", "emptied", "something else"])
def test_a_damaged_file_is_computed_anew(own_cache: Path, harm: str) -> None:
    data = in_memory(noise(40))
    first = features_of_data(tiny(), data)
    (path,) = own_cache.rglob("*.safetensors")
    held = path.read_bytes()
    flipped = held[:-5] + bytes([held[-5] ^ 1]) + held[-4:]
    path.write_bytes(
        {"a flipped bit": flipped, "cut short": held[:-9], "emptied": b"", "something else": b"{}" * 99}[harm]
    )
    calls: list[int] = []
    again = features_of_data(tiny(calls), data)
    assert sum(calls) == 40 and np.array_equal(first["3"], again["3"])
    del calls[:]
    features_of_data(tiny(calls), data)
    assert not calls


def test_without_a_place_for_the_cache_all_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path / "file"))
    assert features_of_data(tiny(), in_memory(noise(40)))["2"].shape == (40, 2)


def test_the_cache_makes_room(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    places = [cache.path_for({"number": number}) for number in range(4)]
    values = {"3": np.zeros((100, 3), np.float32)}
    for number, place in enumerate(places[:3]):
        cache.store(place, values)
        os.utime(place, (number, number))
    assert cache.load(places[0]) is not None  # used now, so the second is the oldest
    monkeypatch.setattr(cache, "LIMIT", 3 * places[0].stat().st_size)
    cache.store(places[3], values)
    assert [place.exists() for place in places] == [True, False, True, True]


# Names and weight files


def test_an_unknown_name_and_a_wrong_sha256_are_sentences() -> None:
    with pytest.raises(SimulacraError, match="Did you mean 'inception'"):
        open_extractor("inceptoin")
    with pytest.raises(SimulacraError, match=r"sha256 .* not 00"):
        open_extractor(sha256="00")
    assert open_extractor(sha256=weights.PUBLISHED.upper(), backend="torch").name == "efl0d"


def test_weights_that_are_not_there_or_changed_are_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SimulacraError, match=r"w.pth is missing.*pip install"):
        open_extractor(weights=tmp_path / "w.pth")
    published = weights.bundled_weights(None)
    changed = bytearray(published.read_bytes())
    changed[-1000] ^= 1
    (tmp_path / "w.pth").write_bytes(changed)
    with pytest.raises(SimulacraError, match=r"sha256 differs.*pip install"):
        open_extractor(weights=tmp_path / "w.pth")
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with refused("measure.efl0_not_installed"):
        open_extractor()
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / "w.pth"))
    with pytest.raises(SimulacraError, match="sha256 differs"):
        open_extractor()
    monkeypatch.setenv(weights.VARIABLE, str(published))
    assert weights.bundled_weights(None) == published


# Inception, through a stand-in for torch-fidelity; and DINOv2


class Stand(nn.Module):
    """As torch-fidelity's class behaves: it unpickles what it is given and downloads if that is nothing."""

    def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: Any = None) -> None:
        super().__init__()
        assert name == "inception-v3-compat" and features_list == ["2048"]
        assert feature_extractor_weights_path is not None, "it would download"
        self.linear = nn.Linear(3, 2048)
        self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=False))

    def forward(self, x: Tensor) -> tuple[Tensor]:
        assert x.dtype == torch.uint8
        return (self.linear(x.float().mean((2, 3))),)


@pytest.fixture
def fidelity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The package is there; a weight file that fits."""
    module: Any = types.ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = Stand
    monkeypatch.setitem(sys.modules, "torch_fidelity", types.ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    torch.save({f"linear.{name}": value for name, value in nn.Linear(3, 2048).state_dict().items()}, tmp_path / "i.pth")
    return tmp_path / "i.pth"


def test_inception_takes_the_users_file(fidelity: Path) -> None:
    digest = weights.file_sha256(fidelity)
    extractor = open_extractor("inception", weights=fidelity, sha256=digest)
    assert (extractor.sha256, extractor.fd_layer, extractor.kid_layer) == (digest, "2048", "2048")
    images = pictures(3)
    expected = torch.load(fidelity, weights_only=True)
    pixels = (images * 127.5 + 127.5).round().mean((2, 3))
    torch.testing.assert_close(
        extractor(images)["2048"], pixels @ expected["linear.weight"].T + expected["linear.bias"], rtol=1e-4, atol=1e-3
    )


def test_inception_refuses_in_sentences_and_never_downloads(fidelity: Path, tmp_path: Path) -> None:
    with pytest.raises(SimulacraError, match=r"weights-inception-2015-12-05-6726825d\.pth"):
        open_extractor("inception")
    with pytest.raises(SimulacraError, match=r"There is no weight file .*none.pth"):
        open_extractor("inception", weights=tmp_path / "none.pth")
    with refused("measure.weights_checksum"):
        open_extractor("inception", weights=fidelity, sha256="0" * 64)
    torch.save({"linear.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with refused("measure.weights_of_another", name="inception"):
        open_extractor("inception", weights=tmp_path / "other.pth")
    with refused("measure.onnx_for_efl0"):
        open_extractor("inception", weights=fidelity, backend="onnxruntime")


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


def test_a_weight_file_is_never_unpickled(fidelity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"linear.weight": Bomb()}, tmp_path / "bomb.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "text.pth").write_text("no weights")
    for name in ("bomb.pth", "plain.pth", "text.pth"):
        with refused("measure.weights_unreadable"):
            open_extractor("inception", weights=tmp_path / name)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("missing", [True, False])
def test_inception_without_its_library_says_what_to_install(
    fidelity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    for name in ("torch_fidelity", "torch_fidelity.feature_extractor_inceptionv3"):
        monkeypatch.delitem(sys.modules, name)
    if missing:
        monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    else:  # as when torchvision was built for another torch
        (tmp_path / "torch_fidelity.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
        monkeypatch.syspath_prepend(tmp_path)
    with refused("measure.inception_not_installed"):
        open_extractor("inception", weights=fidelity)


def vision_transformer() -> dict[str, Tensor]:
    """Weights of a small network, made of sines."""
    shapes = dinov2.VisionTransformer(64, 2, 25).state_dict()
    return {
        name: (torch.arange(value.numel(), dtype=torch.float64) * (number + 1)).sin().mul(0.3).float().view(value.shape)
        for number, (name, value) in enumerate(sorted(shapes.items()))
    }


def test_dinov2_is_the_published_network(tmp_path: Path) -> None:
    torch.save(vision_transformer(), tmp_path / "vit.pth")
    extractor = open_extractor("dinov2", weights=tmp_path / "vit.pth")
    assert extractor.layers == {"64": 64} and extractor.side == 224
    x = (torch.arange(3 * 224 * 224) % 251).float().view(1, 3, 224, 224)
    result = extractor(x / 127.5 - 1)["64"][0, ::8]
    # DinoVisionTransformer of facebookresearch/dinov2 (img_size=70, embed_dim=64, depth=2, num_heads=1,
    # init_values=1.0, interpolate_offset=0.1) gave these for the same weights and (x / 255 - mean) / deviation
    expected = [0.0, 0.220973, -0.108798, -0.562655, -0.193489, 0.632690, -0.227499, 0.223517]
    torch.testing.assert_close(result, torch.tensor(expected), rtol=1e-3, atol=1e-4)


def test_dinov2_refuses_other_weights(tmp_path: Path) -> None:
    with pytest.raises(SimulacraError, match=r"dinov2_vitl14_pretrain\.pth"):
        open_extractor("dinov2")
    state = vision_transformer()
    for name, other in {"more": state | {"w12.weight": torch.zeros(2)}, "none": {}}.items():
        torch.save(other, tmp_path / f"{name}.pth")
        with refused("measure.weights_of_another", name="dinov2"):
            open_extractor("dinov2", weights=tmp_path / f"{name}.pth")
