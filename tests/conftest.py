"""One thread for every test: nets this small gain nothing from more, and lose much on a busy machine."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before torch is imported, and for child processes

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("simulacra", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("simulacra")


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the user's cache folder, nor do the processes that it starts."""
    os.environ["SIMULACRA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _threads() -> None:
    """A command under test may have changed it."""
    torch.set_num_threads(1)
