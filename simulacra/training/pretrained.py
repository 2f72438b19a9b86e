"""`--from`: a pretrained model whose networks a run starts from.

A run copies the model into its folder `pretrained/`, so that it never needs the source again: neither to resume nor to
start once more after a rollback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any
from weakref import ref

import torch
from torch import nn

from simulacra.data.dataset import Dataset, Pair
from simulacra.errors import SimulacraError
from simulacra.files import JsonObject, atomic_folder, read_json
from simulacra.gan import GAN
from simulacra.hub import is_hub, pinned
from simulacra.messages import Message
from simulacra.registry import find, split_spec
from simulacra.settings import Settings, Shape
from simulacra.storage import SHIPPED, fingerprint, load_weights, model_folder, read_config, save_model
from simulacra.training import auto, checkpoint
from simulacra.training.auto import Choice
from simulacra.training.run_records import PretrainedRecord
from simulacra.training.trainer import Trainer
from simulacra.training.transfer import Transfer, transfer

BUNDLED, START = "bundled", "start"  # its name for the user, and its folder's
FOLDER = "pretrained"  # in the run's folder
AUGMENTATION = frozenset(auto.NEEDED)  # what `auto` chooses for any GAN


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A model to start from. networks: "G", which is the average, and "D" where it is stored."""

    source: str  # its absolute path, "bundled" or "peeps"
    hash: str
    nimg: int | None
    spec: str  # of its GAN; of a run with the preset
    gan: type[GAN]
    config: Settings
    networks: Mapping[str, nn.Module]
    about: JsonObject  # its `config.json`

    def record(self) -> PretrainedRecord:
        """What the run's `config.json` says of it."""
        return {"source": self.source, "hash": self.hash, "nimg": self.nimg}

    def settings(self, gan: type[GAN]) -> dict[str, Any]:
        """Settings for a run of `gan` that starts from it: its networks' where the GAN is the same."""
        same = gan.name == self.gan.name
        names = self.config.of_the_networks if same else ()
        return {name: getattr(self.config, name) for name in sorted(names)} | dict(gan.fine_tuning)

    def spec_for(self, shape: Shape) -> str:
        """The GAN's spec, with its preset unless that is for another size."""
        name, preset = split_spec(self.spec)
        size = self.gan.presets[preset].size if preset in self.gan.presets else 0
        return self.spec if size is None or shape[1:] == (size, size) else name

    def choice(self, chosen: Choice, data: Dataset | Pair) -> Choice:
        """What `auto` has chosen for `data`, with the GAN and the networks of this model."""
        if (self.gan.task == "translate") != isinstance(data, Pair):
            code = "plan.from_a_translator" if self.gan.task == "translate" else "plan.from_a_generator"
            raise SimulacraError(code, source=self.source, data=data.name)
        usable = {*AUGMENTATION, "conditional"} if self.gan.takes_labels else set(AUGMENTATION)
        if chosen.spec == self.gan.name:
            usable = chosen.settings.keys() - self.config.of_the_networks
        groups = [(self.settings(self.gan), Message("auto.pretrained"))]
        for settings, reason in chosen.groups:
            if rest := {key: value for key, value in settings.items() if key in usable}:
                groups.append((rest, reason))
        return Choice(self.spec_for(data.shape), Message("auto.pretrained_gan", spec=self.spec), tuple(groups))

    def save(self, run: Path) -> None:
        """Copy the model into a run's folder, unless it is there."""
        if not (run / FOLDER).exists():
            G, D = self.networks["G"], self.networks.get("D")
            with atomic_folder(run / FOLDER) as aside:
                save_model(G, aside, gan=self.gan.name, config=self.config, about=self.about, D=D)  # type: ignore[arg-type]

    def start(self, gan: GAN) -> dict[str, Transfer]:
        """Let the networks of `gan` take over what they can; a network that is not stored leaves its own as it is.

        Raises `SimulacraError` where a network has nothing in common with that of `gan`.
        """
        channels, transfers = (self.config.shape[0], gan.config.shape[0]), dict[str, Transfer]()
        for player, network in self.networks.items():
            own = getattr(gan, player)
            if type(own) is type(network):
                transfers[player] = transfer(network, own, channels, sums=player == "D")
            if player not in transfers or not transfers[player].tensors:
                values = {"source": self.source, "player": player, "old": self.spec, "new": gan.name}
                raise SimulacraError("train.nothing_in_common", differs=self.differences(gan), **values)
        return transfers

    def differences(self, gan: GAN) -> Message | str:
        """The settings of the networks that the user has changed."""
        names = self.config.of_the_networks if gan.name == self.gan.name else ()
        pairs = [(name, getattr(self.config, name), getattr(gan.config, name)) for name in sorted(names)]
        changes = [Message("plan.change", name=name, old=old, new=new) for name, old, new in pairs if old != new]
        return Message("train.pretrained_differs", changes=changes) if changes else ""

    def description(self, gan: GAN, transfers: Mapping[str, Transfer], freeze: int) -> Message:
        """What `gan` has taken over, and for how long D's lower layers stay fixed."""
        parts = {"age": "", "D": Message("train.pretrained_without_d"), "frozen": ""}
        if self.nimg is not None:
            parts["age"] = Message("train.pretrained_age", nimg=self.nimg)
        if D := transfers.get("D"):
            parts["D"] = Message("train.pretrained_d", tensors=D.tensors, total=D.total)
            if D.lower and freeze:
                parts["frozen"] = Message("train.pretrained_frozen", nimg=freeze)
        G = transfers["G"]
        return Message(
            "train.pretrained",
            source=self.source,
            tensors=G.tensors,
            total=G.total,
            differs=self.differences(gan),
            **parts,
        )


def open_pretrained(where: str | Path, gan: str | None = None) -> Pretrained:
    """The model of a run (its best checkpoint, else its last), a checkpoint or a model folder; `bundled`, `peeps`.

    gan: the spec of the run that is to start, which may be code of the user's own. Raises `SimulacraError` for what is not
    a model, and for weights that are not finite.
    """
    folder = model_folder(_path(where))
    about = read_json(folder / "config.json")
    own = gan if gan and isinstance(about, dict) and about.get("gan") == find(gan).name else None
    about, kind, config = read_config(folder, own)
    model, run = kind(config), folder.parent.parent / "config.json"
    model.G.classes = tuple(about["classes"])
    load_weights(model.G, folder / "G.safetensors")
    networks: dict[str, nn.Module] = {"G": model.G}
    if _load_discriminator(model.D, folder):
        networks["D"] = model.D
    source = _absolute(where)
    for player, network in networks.items():
        if not all(value.isfinite().all() for value in network.state_dict().values()):
            raise SimulacraError("train.pretrained_not_finite", source=source, player=player)
    spec = str(read_json(run).get("spec")) if folder.parent.name == "checkpoints" and run.is_file() else ""
    if split_spec(spec)[0] != kind.name:  # it may name a file, which must not be executed
        spec = kind.name
    return Pretrained(
        source=source, hash=fingerprint(folder), nimg=about.get("nimg"), spec=spec, gan=kind, config=config,
        networks=networks, about=about,
    )  # fmt: skip


def _path(where: str | Path) -> str | Path:
    """Where the model is: `bundled` is the packaged start."""
    return Path(str(resources.files("simulacra") / "models" / START)) if str(where) == BUNDLED else where


def _absolute(where: str | Path) -> str:
    """The name of a packaged model, that of a model of the Hub with its commit, or an absolute path."""
    if is_hub(where):
        return pinned(where)
    return str(where) if str(where) in (BUNDLED, SHIPPED) else str(Path(where).expanduser().resolve())


def reopen(run: Path, record: PretrainedRecord, gan: str | None, where: str | Path | None = None) -> Pretrained:
    """The model that an existing run was started from: its own copy, or the source where there is none.

    where: the source, as the command names it; by default that of the record.
    """
    if (run / FOLDER).exists():
        return replace(open_pretrained(run / FOLDER, gan), source=record["source"], hash=record["hash"])
    pretrained = open_pretrained(where or record["source"], gan)
    if pretrained.hash != record["hash"]:
        raise SimulacraError("plan.pretrained_changed", source=record["source"], folder=run)
    return pretrained


def is_source(where: str | Path, record: PretrainedRecord | None) -> bool:
    """Whether `where` names the model of a run's record; it need not exist any more."""
    if record is None:
        return False
    try:
        if record["source"] == _absolute(where):
            return True
        return fingerprint(_path(where)) == record["hash"]
    except SimulacraError:
        return False


def freeze(trainer: Trainer, parameters: tuple[nn.Parameter, ...], until: int) -> None:
    """Keep parameters of D as they are until `until` images were shown.

    Their gradients are dropped before the update, not left out of the step: so a compiled step stays the same.
    """
    clock = ref(trainer)

    def drop_gradients(*_: Any) -> None:
        now = clock()
        if now is not None and now.nimg < until:
            for parameter in parameters:
                parameter.grad = None

    trainer.optimizers["D"].register_step_pre_hook(drop_gradients)


def _load_discriminator(D: nn.Module, folder: Path) -> bool:
    """Fill D with the weights beside G; of runs of 0.1, with those in the training state of this or the last checkpoint.

    False where there are none.
    """
    if (folder / "D.safetensors").is_file():
        load_weights(D, folder / "D.safetensors")
        return True
    last = checkpoint.resumable(folder.parent.parent)[-1:] if folder.parent.name == "checkpoints" else []
    for place in (folder, *last):
        if (place / "state.pt").is_file():
            weights = checkpoint.load(place, torch.device("cpu"))["gan"]
            D.load_state_dict({name[2:]: value for name, value in weights.items() if name.startswith("D.")})
            return True
    return False
