"""A trained generator as a folder: `G.safetensors` and `config.json`. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from simulacra.config import to_json, updated
from simulacra.errors import SimulacraError
from simulacra.files import read_json, write_json, written_aside
from simulacra.gan import Model, Settings, Task, find
from simulacra.generator import Generator, as_generator
from simulacra.translator import Translator, as_translator

FORMAT = "simulacra-model-1"
SHIPPED = "peeps"


def save_model(
    model: Model,
    folder: Path,
    *,
    gan: str,
    config: Settings,
    about: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a model folder that `load` reads back. `about` says where it comes from; `dtype` is how weights are stored."""
    tensors = {
        name: value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype).contiguous()
        for name, value in model.state_dict().items()
    }
    with written_aside(folder / "G.safetensors") as file:
        file.write(save(tensors))
    settings = {"format": FORMAT, "gan": gan, "task": model.task, "config": to_json(config)}
    write_json(folder / "config.json", settings | {"classes": list(model.classes)} | dict(about))


def checkpoints(run: Path) -> list[Path]:
    """A run's whole checkpoints, oldest first."""
    found = [
        path for path in (run / "checkpoints").glob("*") if path.name.isdecimal() and (path / "config.json").is_file()
    ]
    return sorted(found, key=lambda path: int(path.name))


def best(run: Path) -> Path | None:
    """The checkpoint that a run's `best.json` names, or None where none was chosen or it is gone."""
    if not (run / "best.json").is_file():
        return None
    chosen = run / "checkpoints" / str(read_json(run / "best.json")["checkpoint"])
    return chosen if chosen in checkpoints(run) else None


def model_folder(where: str | Path | None = None) -> Path:
    """The model folder meant by `where`: a run (its best checkpoint if one was chosen, else its last), a checkpoint,
    a model folder, `peeps` or nothing.

    Raises `SimulacraError` when there is none.
    """
    if where is None or str(where) == SHIPPED:  # a folder of that name is ./peeps
        return Path(str(resources.files("simulacra") / "models" / SHIPPED))
    path = Path(where).expanduser()
    if (path / "G.safetensors").is_file():
        return path
    if (path / "journal.jsonl").exists() or (path / "checkpoints").is_dir():
        kept = checkpoints(path)
        if kept:
            return best(path) or kept[-1]
        raise SimulacraError(f"The run {path} has no checkpoint yet; train it on: simulacra train {path}")
    if not path.exists():
        raise SimulacraError(
            f"{path} does not exist: give a run's folder, a model's folder, or {SHIPPED}, the model that comes along."
        )
    raise SimulacraError(f"{path} is neither a run nor a model: a model's folder holds G.safetensors and config.json.")


def load(where: str | Path | None = None, device: str | torch.device = "cpu") -> Model:
    """The model kept in a run's, a checkpoint's or a model's folder, ready to sample.

    Without an argument: the model shipped with the package. Raises `SimulacraError` for what is not a model.
    """
    folder = model_folder(where)
    settings = read_json(folder / "config.json")
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise SimulacraError(f"{folder / 'config.json'} is not of the format {FORMAT}.")
    if not {"gan", "config", "classes"} <= settings.keys():
        raise SimulacraError(f"{folder / 'config.json'} is damaged: it does not say which generator this is.")
    gan = find(settings["gan"])
    model = gan.generator(updated(gan.Config(), settings["config"], of=f"{folder}: {gan.name}"))
    model.classes = tuple(settings["classes"])
    try:
        weights = load_file(folder / "G.safetensors")
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})
    except (SafetensorError, RuntimeError, OSError) as error:
        raise SimulacraError(f"{folder / 'G.safetensors'} is damaged or of another model ({error}).") from error
    return model.eval().requires_grad_(False).to(device)


def load_generator(where: str | Path | None = None, device: str | torch.device = "cpu") -> Generator:
    """`load` for a model that draws. Raises `SimulacraError` for one that translates."""
    return as_generator(load(where, device))


def load_translator(where: str | Path | None = None, device: str | torch.device = "cpu") -> Translator:
    """`load` for a model that translates. Raises `SimulacraError` for one that draws."""
    return as_translator(load(where, device), str(SHIPPED if where is None else where))


def task_of(about: Mapping[str, Any]) -> Task:
    """Whether the model of a `config.json` draws or translates; a file of before `task` is read by its GAN."""
    task: Task = about.get("task") or find(about["gan"]).task
    return task


def fingerprint(where: str | Path | None = None) -> str:
    """The model's content hash, 16 hex digits: what pictures carry to say where they come from."""
    return hashlib.sha256((model_folder(where) / "G.safetensors").read_bytes()).hexdigest()[:16]
