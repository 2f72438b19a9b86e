"""`RenamedTensors`: loading state dicts written before a tensor was renamed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn


class RenamedTensors(nn.Module):
    """A module that accepts former names of its own parameters, buffers and submodules in a state dict."""

    renamed_tensors: ClassVar[Mapping[str, str]] = {}  # former name -> name

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for former, name in self.renamed_tensors.items():
            for key in [key for key in state_dict if f"{key}.".startswith(f"{prefix}{former}.")]:
                state_dict[prefix + name + key.removeprefix(prefix + former)] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *rest)
