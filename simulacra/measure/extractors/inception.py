"""Inception v3 as FID uses it, through torch-fidelity, with a weight file that the user brings.

The distance on its 2048-d layer is the FID that papers report, where reals, fakes and their number are as theirs
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
    """torch-fidelity's network class, or a sentence on what to install."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except Exception as error:  # torchvision of another build raises RuntimeError and others at import
        raise SimulacraError(
            "The feature extractor inception needs torch-fidelity and, for its sake, a torchvision built for this torch "
            f"({torch.__version__}): pip install 'simulacra[inception]', with torch and torchvision from the same index "
            f"({type(error).__name__}: {error})."
        ) from error
    return FeatureExtractorInceptionV3


class Inception(nn.Module):
    """The network, which resizes pictures itself as TensorFlow 1 did."""

    def __init__(self, published: Mapping[str, Tensor]) -> None:
        super().__init__()
        # The library unpickles whatever file it is given, and downloads one where it is given none: it gets what
        # was read safely, written again.
        again = io.BytesIO()
        torch.save(dict(published), again)
        again.seek(0)
        self.network = _library()("inception-v3-compat", [LAYER], feature_extractor_weights_path=again)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Pictures [N, 3, H, W], whole numbers in 0..255 -> features [N, 2048]."""
        found: tuple[Tensor, ...] = self.network(pictures.byte())
        return found
