"""The mixing matrix: parents on the borders, and between them what the chosen layers make of both."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from support import build, forms, refused
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.gan import to_image
from simulacra.generator import Generator
from simulacra.latent.layer_ranges import parse_layers
from simulacra.latent.mix import cross_matrix, mix, mixing_matrix, write_mix
from simulacra.provenance import read_provenance
from simulacra.storage import fingerprint, save_model

SIDE = 16


def grown(name: str) -> Generator:
    generator: Generator = build(f"{name}:tiny", (3, SIDE, SIDE)).G.eval()
    for key, buffer in generator.named_buffers():
        if key == "growth.nimg_buffer":
            buffer.fill_(10**9)
    return generator


def tile(image: np.ndarray, row: int, column: int) -> np.ndarray:
    return image[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]


@torch.no_grad()
def picture(generator: Generator, w: Tensor) -> np.ndarray:
    return np.asarray(to_image(generator.synthesis(w[None])[0])).astype(int)


@pytest.mark.parametrize("name", ["stylegan", "stylegan2"])
def test_a_mixing_matrix(name: str) -> None:
    generator, rows, columns = grown(name), [1, 2], [3, 4, 5]
    image = np.asarray(mixing_matrix(generator, rows, columns, (0, 2)))
    assert image.shape == (3 * SIDE, 4 * SIDE, 3)
    assert (tile(image, 0, 0) == 255).all()
    with torch.no_grad():
        one, other = (generator.mapping(generator.seeded(seeds)) for seeds in (rows, columns))
    for j, w in enumerate(other):
        assert abs(tile(image, 0, j + 1) - picture(generator, w)).max() <= 1
    for i, v in enumerate(one):
        assert abs(tile(image, i + 1, 0) - picture(generator, v)).max() <= 1
        for j, w in enumerate(other):
            mixed = torch.stack([w] * 2 + [v] * (generator.num_ws - 2))
            assert abs(tile(image, i + 1, j + 1) - picture(generator, mixed)).max() <= 1
            assert abs(tile(image, i + 1, j + 1) - tile(image, i + 1, 0).astype(int)).max() > 1, (
                "the column decides too"
            )
            assert abs(tile(image, i + 1, j + 1) - tile(image, 0, j + 1).astype(int)).max() > 1, "and the row"


def test_all_layers_are_the_column_s_picture_and_the_mean_is_everywhere() -> None:
    generator = grown("stylegan")
    image = np.asarray(mixing_matrix(generator, [1, 2], [3, 4], (0, generator.num_ws))).astype(int)
    for i in (1, 2):
        assert abs(image[i * SIDE : (i + 1) * SIDE, SIDE:] - image[:SIDE, SIDE:]).max() <= 1
    still = np.asarray(mixing_matrix(generator, [1, 2], [3], (0, 2), truncation=0)).astype(int)
    assert abs(tile(still, 1, 0) - tile(still, 2, 1)).max() <= 1


def test_what_cannot_be_mixed_is_said() -> None:
    with refused("latent.no_layers_to_mix"):
        mixing_matrix(build("dcgan:tiny").G, [1], [2], (0, 1))
    for layers in ((0, 7), (2, 2), (-1, 2)):
        with refused("latent.no_such_layers", num_ws=6):
            mixing_matrix(build("stylegan:tiny").G, [1], [2], layers)


# --- children without layers --------------------------------------------------------------------------------------


def parents_and_children(
    monkeypatch: pytest.MonkeyPatch, generator: Generator, *args: object, **options: object
) -> list[Tensor]:
    """The w of all that is drawn, in the order of the grid."""
    ws: list[Tensor] = []
    synthesis = generator.synthesis

    def watched(w: Tensor) -> Tensor:
        ws.extend(w)
        return synthesis(w)

    monkeypatch.setattr(generator, "synthesis", watched)
    cross_matrix(generator, *args, **options)  # type: ignore[arg-type]
    return ws


@pytest.mark.parametrize("spec", forms())
@pytest.mark.parametrize("way", ["cross", "blend"])
def test_every_gan_can_mix(spec: str, way: Literal["cross", "blend"]) -> None:
    generator: Generator = build(spec, (3, SIDE, SIDE)).G.eval()
    image = np.asarray(cross_matrix(generator, [1, 2], [3, 4], way))
    assert image.shape == (3 * SIDE, 3 * SIDE, 3)
    with torch.no_grad():
        w = generator.mapping(generator.seeded([2]), generator.conditions([2]))[0]
    assert abs(tile(image, 2, 0) - picture(generator, w)).max() <= 1, "a parent at the left"


def test_a_child_takes_each_number_from_either_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    generator: Generator = build("mlp:tiny", z=200).G
    top, mother, child = parents_and_children(monkeypatch, generator, [1], [2])
    from_mother, from_top = child == mother, child == top
    assert (from_mother | from_top).all()
    assert 0.35 < from_mother.float().mean() < 0.65
    again = parents_and_children(monkeypatch, generator, [7, 1], [9, 2])
    assert torch.equal(again[-1], child), "whatever else is drawn, the same two have the same child"


def test_a_blend_is_halfway_and_as_long_as_its_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    top, mother, child = parents_and_children(monkeypatch, build("mlp:tiny", z=50).G, [1], [2], "blend")
    assert float(child.norm()) == pytest.approx(float(top.norm() + mother.norm()) / 2, rel=1e-4)
    cosines = [float(torch.cosine_similarity(child, parent, 0)) for parent in (top, mother)]
    assert cosines[0] == pytest.approx(cosines[1], abs=1e-4) and cosines[0] > 0.5


def test_a_child_of_two_classes_is_of_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    generator: Generator = build("mlp:tiny+labels").G
    generator.store_labels(torch.arange(30) % 3)
    ws = parents_and_children(monkeypatch, generator, range(6), range(10, 16))
    tops, rest = ws[:6], ws[6:]
    for row in range(6):
        mother, *born = rest[row * 7 : row * 7 + 7]
        for top, child in zip(tops, born, strict=True):
            assert any(torch.equal(child[8:], parent[8:]) for parent in (mother, top))


def test_a_mix_is_written_once_with_its_origin(tmp_path: Path) -> None:
    generator, out = build("mlp:tiny").G, tmp_path / "mix.png"
    write_mix(generator, out, [1, 2], [3], model="abc")
    record = read_provenance(out)
    assert record is not None and record["model"] == "abc"
    assert record["mix"] == {"rows": [1, 2], "columns": [3], "way": "cross", "truncation": 1.0}
    before = out.stat().st_mtime_ns
    assert write_mix(generator, out, [1, 2], [3], model="abc") == out and out.stat().st_mtime_ns == before
    with refused("latent.mix_exists"):
        write_mix(generator, out, [1, 2], [4], model="abc")
    styled = tmp_path / "styled.png"
    write_mix(grown("stylegan2"), styled, [1], [2], model="abc")
    record = read_provenance(styled)
    assert record is not None and record["mix"]["way"] == "layers" and record["mix"]["layers"][0] == 0


def test_mix_takes_a_model_by_name(tmp_path: Path) -> None:
    gan = build("stylegan2:tiny")
    save_model(gan.G, tmp_path / "model", gan="stylegan2", config=gan.config, about={})
    path = mix(tmp_path / "model", tmp_path / "mix.png", rows="1-2", columns=[5], layers="0-1", device="cpu")
    record = read_provenance(path)
    assert record is not None and record["model"] == fingerprint(tmp_path / "model")
    assert record["mix"] == {"rows": [1, 2], "columns": [5], "way": "layers", "truncation": 1.0, "layers": [0, 2]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": (0, 2)}, "no layers"),
        ({"way": "blend", "layers": (0, 2)}, "--layers"),
        ({"out": "mix.jpg"}, "no PNG"),
        ({"rows": range(1000)}, "take fewer"),
    ],
)
def test_a_mix_that_cannot_be_is_one_sentence(options: dict[str, object], message: str, tmp_path: Path) -> None:
    arguments: dict[str, object] = {"rows": [1], "columns": [2], "out": "mix.png", "model": "abc"} | options
    out = tmp_path / str(arguments.pop("out"))
    with pytest.raises(SimulacraError, match=message):
        write_mix(build("mlp:tiny").G, out, **arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_layers_are_read() -> None:
    assert (parse_layers("0-3"), parse_layers("2"), parse_layers("")) == ((0, 4), (2, 3), None)
    for text in ("3-1", "a", "-1", "1-", "1,2"):
        with refused("latent.not_layers"):
            parse_layers(text)
