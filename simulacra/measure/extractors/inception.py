"""Inception v3 as FID uses it, through torch-fidelity, with the user's weight file.

The distance on its 2048-d layer is the FID of papers, for the same reals and the same number of fakes
(Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017, arXiv:1706.08500).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from simulacra.errors import SimulacraError

LAYER = "2048"


def _library() -> Any:
    """The network class of torch-fidelity. Raises `SimulacraError` where it cannot be imported."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except Exception as error:  # torchvision of another build raises RuntimeError and others at import
        reason = f"{type(error).__name__}: {error}"
        raise SimulacraError("measure.inception_not_installed", torch=torch.__version__, reason=reason) from error
    return FeatureExtractorInceptionV3


class Inception(nn.Module):
    """The network, which resizes pictures itself as TensorFlow 1 did."""

    def __init__(self, published: Mapping[str, Tensor]) -> None:
        super().__init__()
        # The library unpickles any file, and downloads one where it gets none. It gets the tensors that were read
        # safely, saved again.
        copy = io.BytesIO()
        torch.save(dict(published), copy)
        copy.seek(0)
        self.network = _library()("inception-v3-compat", [LAYER], feature_extractor_weights_path=copy)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Pictures [N, 3, H, W], whole numbers in 0..255 -> features [N, 2048]."""
        features: tuple[Tensor, ...] = self.network(pictures.byte())
        return features
