"""DCGAN's dense networks for 32 px (`network=dense`), from a textbook, which trained them on the frogs of CIFAR-10."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from simulacra import gan
from simulacra.layers import Conv2d, ConvTranspose2d, LabelProjection


class DenseGenerator(gan.Generator):
    """z -> 16x16x128 -> 5x5 convolutions of 256 channels around one doubling -> a 32 px picture."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        leaky = nn.LeakyReLU(0.3)
        self.first = nn.Linear(config.z + config.labels, 16 * 16 * 128)
        self.layers = nn.Sequential(
            leaky,
            *(Conv2d(128, 256, 5, padding=2), leaky),
            *(ConvTranspose2d(256, 256, 4, 2, 1), leaky),
            *(Conv2d(256, 256, 5, padding=2), leaky),
            *(Conv2d(256, 256, 5, padding=2), leaky),
            Conv2d(256, config.shape[0], 7, padding=3),
            nn.Tanh() if config.output == "tanh" else nn.Identity(),
        )

    def synthesis(self, w: Tensor) -> Tensor:
        """w [N, z] or [N, z + labels] -> pictures [N, C, 32, 32]."""
        images: Tensor = self.layers(self.first(w).unflatten(1, (16, 16, 128)).permute(0, 3, 1, 2))
        return images


class DenseDiscriminator(nn.Module):
    """A 32 px picture -> four unpadded convolutions of 128 channels -> dropout -> a logit."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        leaky = nn.LeakyReLU(0.3)
        convolutions: list[nn.Module] = [Conv2d(config.shape[0], 128, 3), leaky]
        for _ in range(3):
            convolutions += [Conv2d(128, 128, 4, 2), leaky]
        self.projection = LabelProjection(config.labels, 128) if config.labels else None
        self.layers = nn.Sequential(*convolutions, nn.Flatten(), nn.Dropout(config.dropout), nn.Linear(512, 1))

    def forward(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        """Pictures [N, C, 32, 32], y [N, labels] or None -> logits [N]."""
        features = self.layers[:-3](images)
        logits: Tensor = self.layers[-3:](features).flatten()
        return logits if self.projection is None else logits + self.projection(features, y)
