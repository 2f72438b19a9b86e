"""Experiments of the lab's page that show something within seconds: mode collapse, and what cures it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LabPreset:
    """An experiment, and the codes of its name and of the sentences that say what one sees."""

    target: str
    gan: str
    settings: Mapping[str, str]
    seed: int
    name: str
    about: str


# They differ in the rate of D alone. tests/test_lab_live.py holds how many modes both cover.
PRESETS: Mapping[str, LabPreset] = {
    "collapse": LabPreset("ring", "dcgan", {"lr_d": "0.0002"}, 0, "lab.preset_collapse", "lab.preset_collapse_about"),
    "cure": LabPreset("ring", "dcgan", {"lr_d": "0.002"}, 0, "lab.preset_cure", "lab.preset_cure_about"),
}
