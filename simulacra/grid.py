"""Many pictures laid out in one."""

from __future__ import annotations

import numpy as np
from PIL import Image
from torch import Tensor

from simulacra.game import Shape, to_image


class Grid:
    """Room for `count` pictures of `shape` (C, H, W) in rows, as square as it gets; add them one by one."""

    def __init__(self, count: int, shape: Shape) -> None:
        channels, self.height, self.width = shape
        self.columns = max(1, round(count**0.5))
        self.rows = -(-count // self.columns)
        self.pixels = np.full((self.rows * self.height, self.columns * self.width, channels), 255, np.uint8)
        self.taken = 0

    def add(self, picture: Tensor) -> None:
        """The next picture [C, H, W] in [-1, 1]."""
        y, x = divmod(self.taken, self.columns)
        tile = np.asarray(to_image(picture)).reshape(self.height, self.width, -1)
        self.pixels[y * self.height : (y + 1) * self.height, x * self.width : (x + 1) * self.width] = tile
        self.taken += 1

    def image(self) -> Image.Image:
        """The whole, white where no picture came."""
        return Image.fromarray(self.pixels[:, :, 0] if self.pixels.shape[2] == 1 else self.pixels)
