"""A trained model as a folder: `G.safetensors`, `config.json`, optionally `D.safetensors`. No pickle is ever executed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypedDict

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

import simulacra
from simulacra import hub
from simulacra.config import to_json
from simulacra.errors import SimulacraError, near_path
from simulacra.files import JsonObject, atomic_file, write_json
from simulacra.gan import GAN
from simulacra.generator import Generator, as_generator
from simulacra.model import Model, Task
from simulacra.records import read_record, read_versioned, writer_of
from simulacra.registry import find, find_stored, provenance
from simulacra.settings import Settings, from_stored
from simulacra.translator import Translator, as_translator
from simulacra.upscaler import Upscaler, as_upscaler

FORMAT = "simulacra-model-1"
SHIPPED = "peeps"


class Chosen(TypedDict):
    """What loading a run reads of its `best.json`."""

    checkpoint: str


def save_model(
    model: Model,
    folder: Path,
    *,
    gan: str,
    config: Settings,
    about: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
    D: nn.Module | None = None,
) -> None:
    """Write a model folder that `load` reads back.

    about: where the model comes from, for `config.json`. dtype: of the stored weights. D: the discriminator, from which
    another run can start; nothing else reads it.
    """
    for player, network in {"D": D, "G": model}.items():
        if network is not None:
            tensors = {
                name: value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype).contiguous()
                for name, value in network.state_dict().items()
            }
            metadata = {"format": FORMAT, "gan": gan, "version": simulacra.__version__}
            with atomic_file(folder / f"{player}.safetensors") as file:
                file.write(_sorted_header(save(tensors, metadata)))
    settings = {"format": FORMAT, "gan": gan, "task": model.task, "config": to_json(config)} | provenance(gan)
    write_json(folder / "config.json", settings | {"classes": list(model.classes)} | dict(about))


def _sorted_header(data: bytes) -> bytes:
    """A safetensors file with its metadata in order: the library writes them in a random one, which changes the hash."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def checkpoint_folders(run: Path) -> list[Path]:
    """The folders of a run's checkpoints, whether or not they are complete, oldest first."""
    folders = [path for path in (run / "checkpoints").glob("*") if path.name.isdecimal() and path.is_dir()]
    return sorted(folders, key=lambda path: int(path.name))


def checkpoints(run: Path) -> list[Path]:
    """A run's complete checkpoints, oldest first."""
    return [path for path in checkpoint_folders(run) if (path / "config.json").is_file()]


def best(run: Path) -> Path | None:
    """The checkpoint that a run's `best.json` names; None where none was chosen or it is gone."""
    if not (run / "best.json").is_file():
        return None
    chosen = run / "checkpoints" / read_record(run / "best.json", Chosen)["checkpoint"]
    return chosen if chosen in checkpoints(run) else None


def model_folder(where: str | Path | None = None) -> Path:
    """The model folder of a run (its best checkpoint if one was chosen, else its last), a checkpoint or a model.

    `peeps` or None is the bundled model; `hub:OWNER/NAME` is downloaded, see `hub`. Raises `SimulacraError` when there is
    none.
    """
    if where is None or str(where) == SHIPPED:  # a folder of that name is ./peeps
        return Path(str(resources.files("simulacra") / "models" / SHIPPED))
    if hub.is_hub(where):
        return hub.open_folder(where)
    path = Path(where).expanduser()
    if (path / "G.safetensors").is_file():
        return path
    if (path / "journal.jsonl").exists() or (path / "checkpoints").is_dir():
        if chosen := best(path):
            return chosen
        if folders := checkpoint_folders(path):
            if not (folders[-1] / "config.json").is_file():
                raise SimulacraError("storage.damaged_checkpoint", path=folders[-1], run=path)
            return folders[-1]
        raise SimulacraError("storage.no_checkpoint", run=path)
    if not path.exists():
        raise SimulacraError("storage.missing", path=path, bundled=SHIPPED, hint=near_path(path, [SHIPPED]))
    raise SimulacraError("storage.neither_run_nor_model", path=path)


def load(
    where: str | Path | None = None, device: str | torch.device = "cpu", *, gan: str | None = None
) -> Generator | Translator | Upscaler:
    """The model of a run, a checkpoint, a model folder or the Hub, ready to sample; the bundled one without an argument.

    gan: the GAN it was trained with, where that is code of your own, such as `path/file.py:Class`. Raises
    `SimulacraError` for what is not a model.
    """
    folder = model_folder(where)
    about, kind, config = read_config(folder, gan)
    try:
        model = kind.generator(config)
    except (ArithmeticError, AssertionError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        path = folder / "config.json"
        raise SimulacraError("storage.impossible_config", path=path, reason=str(error)[:200]) from error
    assert isinstance(model, Generator | Translator | Upscaler)
    model.classes = tuple(about["classes"])
    load_weights(model, folder / "G.safetensors")
    return model.eval().requires_grad_(False).to(device)


def stored_settings(kind: type[GAN], record: JsonObject, path: Path, *, of: str) -> Settings:
    """The settings in the `config.json` of a run or a model; what it lacks has its old default.

    Raises `SimulacraError` for a value that cannot be read, and for a setting that only a later version knows.
    """
    try:
        return from_stored(kind.Config, record["config"], of=of)
    except SimulacraError as error:
        version = writer_of(record)
        if error.code != "config.unknown_setting" or not _is_later(version):
            raise
        name = error.values["name"]
        raise SimulacraError("storage.newer_setting", path=path, name=name, version=version) from error


def _is_later(requirement: str) -> bool:
    """Whether `simulacra==VERSION` is later than this version."""
    numbers = [re.findall(r"\d+", text) for text in (requirement, simulacra.__version__)]
    theirs, ours = ([int(number) for number in parts] for parts in numbers)
    return theirs > ours


def read_config(folder: Path, gan: str | None = None) -> tuple[JsonObject, type[GAN], Settings]:
    """The `config.json` of a model folder, with the GAN and the settings that it names; see `load`."""
    about = read_versioned(folder / "config.json", FORMAT)
    if about is None:
        raise SimulacraError("storage.wrong_format", path=folder / "config.json", format=FORMAT)
    classes = about.get("classes")
    texts = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    if not texts or not isinstance(about.get("gan"), str) or not isinstance(about.get("config"), dict):
        raise SimulacraError("storage.damaged_config", path=folder / "config.json")
    kind = find(gan) if gan else find_stored(about, trusted=False)
    return about, kind, stored_settings(kind, about, folder / "config.json", of=f"{folder}: {kind.name}")


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill a network with the weights of a safetensors file."""
    try:
        weights = load_file(path)
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})
    except (SafetensorError, RuntimeError, OSError) as error:
        raise SimulacraError("storage.damaged_weights", path=path, error=error) from error


def load_generator(where: str | Path | None = None, device: str | torch.device = "cpu") -> Generator:
    """`load` for a model that draws. Raises `SimulacraError` for one that translates."""
    return as_generator(load(where, device))


def load_translator(where: str | Path | None = None, device: str | torch.device = "cpu") -> Translator:
    """`load` for a model that translates. Raises `SimulacraError` for one that draws."""
    return as_translator(load(where, device), str(SHIPPED if where is None else where))


def load_upscaler(where: str | Path, device: str | torch.device = "cpu") -> Upscaler:
    """`load` for a model that enlarges pictures. Raises `SimulacraError` for another one."""
    return as_upscaler(load(where, device))


def task_of(about: Mapping[str, Any]) -> Task:
    """What the model of a `config.json` does; its GAN knows where the file is of an old version."""
    task: Task = about.get("task") or find_stored(about, trusted=False).task
    return task


def fingerprint(where: str | Path | None = None) -> str:
    """The model's content hash, 16 hex digits; pictures carry it to say where they come from."""
    return hashlib.sha256((model_folder(where) / "G.safetensors").read_bytes()).hexdigest()[:16]
