"""The mixing matrix: parents on the borders, and between them what the chosen layers make of both."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import game
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.game import to_image
from simulacra.generator import Generator
from simulacra.latent.mix import mixing_matrix

SIDE = 16


def grown(name: str) -> Generator:
    generator = game(f"{name}:tiny", (3, SIDE, SIDE)).G.eval()
    for key, buffer in generator.named_buffers():
        if key == "growth.shown":
            buffer.fill_(10**9)
    return generator


def tile(image: np.ndarray, row: int, column: int) -> np.ndarray:
    return image[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]


@torch.no_grad()
def picture(generator: Generator, w: Tensor) -> np.ndarray:
    return np.asarray(to_image(generator.render(w[None])[0])).astype(int)


@pytest.mark.parametrize("name", ["stylegan", "stylegan2"])
def test_a_mixing_matrix(name: str) -> None:
    generator, rows, columns = grown(name), [1, 2], [3, 4, 5]
    image = np.asarray(mixing_matrix(generator, rows, columns, (0, 2)))
    assert image.shape == (3 * SIDE, 4 * SIDE, 3)
    assert (tile(image, 0, 0) == 255).all()
    with torch.no_grad():
        one, other = (generator.embed(generator.seeded(seeds)) for seeds in (rows, columns))
    for j, w in enumerate(other):
        assert abs(tile(image, 0, j + 1) - picture(generator, w)).max() <= 1
    for i, v in enumerate(one):
        assert abs(tile(image, i + 1, 0) - picture(generator, v)).max() <= 1
        for j, w in enumerate(other):
            mixed = torch.stack([w] * 2 + [v] * (generator.styles - 2))
            assert abs(tile(image, i + 1, j + 1) - picture(generator, mixed)).max() <= 1
            assert abs(tile(image, i + 1, j + 1) - tile(image, i + 1, 0).astype(int)).max() > 1, (
                "the column decides too"
            )
            assert abs(tile(image, i + 1, j + 1) - tile(image, 0, j + 1).astype(int)).max() > 1, "and the row"


def test_all_layers_are_the_column_s_picture_and_the_mean_is_everywhere() -> None:
    generator = grown("stylegan")
    image = np.asarray(mixing_matrix(generator, [1, 2], [3, 4], (0, generator.styles))).astype(int)
    for i in (1, 2):
        assert abs(image[i * SIDE : (i + 1) * SIDE, SIDE:] - image[:SIDE, SIDE:]).max() <= 1
    still = np.asarray(mixing_matrix(generator, [1, 2], [3], (0, 2), truncation=0)).astype(int)
    assert abs(tile(still, 1, 0) - tile(still, 2, 1)).max() <= 1


def test_what_cannot_be_mixed_is_said() -> None:
    with pytest.raises(SimulacraError, match="no layers"):
        mixing_matrix(game("dcgan:tiny").G, [1], [2], (0, 1))
    for layers in ((0, 7), (2, 2), (-1, 2)):
        with pytest.raises(SimulacraError, match="has 6, from 0"):
            mixing_matrix(game("stylegan:tiny").G, [1], [2], layers)
