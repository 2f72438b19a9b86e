"""Resolve a `train` command into a plan: a new run, or the continuation of an existing one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from simulacra.config import to_json, updated
from simulacra.data.dataset import Dataset, Pair
from simulacra.data.opening import open_dataset
from simulacra.device import choose_device, choose_precision
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.gan import GAN, Settings
from simulacra.messages import Message
from simulacra.registry import configured, find, find_stored, gans, short_name, split_spec
from simulacra.settings import from_stored
from simulacra.storage import stored_settings
from simulacra.training import auto, balance
from simulacra.training.clock import Clock, parse_count, resolve_clock
from simulacra.training.existing import Existing, is_in_use, named_folder, source_of
from simulacra.training.lengths import ImagesNeeded, images_needed
from simulacra.training.options import Setting, TrainOptions, check_numbers
from simulacra.training.pretrained import Pretrained, is_source, open_pretrained, reopen
from simulacra.training.run_records import ForkRecord, RunConfig, read_run, stored_reasons

PATIENCE = 8
AUTO = "auto"  # in place of a GAN's name: chosen for the pictures and the machine

Values = Mapping[str, Setting]  # settings by name


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides a run, and its length."""

    folder: Path
    gan: type[GAN]
    spec: str  # the GAN's name, with its preset
    reasons: tuple[Message | str, ...]  # where `auto` chose settings; str: of a run of 0.1
    choice: auto.Choice | None  # of `auto`, in a new run
    own: frozenset[str]  # names of the settings that the command gives
    config: Settings
    data: Dataset | Pair  # the training part
    source: str  # the data set's path, or the name of a built-in one
    seed: int
    precision: str
    compile: bool
    micro: int | None
    clock: Clock
    patience: int  # scores in a row without a new best that end the run; 0: never
    rollback: int  # times at most that the run returns to a healthy checkpoint
    pretrained: Pretrained | None  # the model that the run starts from
    freeze: int  # images for which lower layers of D stay as in that model
    resumed: bool  # the folder already holds this run
    needed: ImagesNeeded | None  # where `auto` chose settings of a GAN that draws
    threads: int | None  # processor threads; None: torch's own choice
    processes: int | None  # of the session before, if there was one and it is known
    fork: ForkRecord | None  # the checkpoint of another run that it begins at
    speed: float | None = None  # images a second on this machine; None: not measured

    def count(self) -> str:
        """The number of training pictures as text; for a pair that of each domain."""
        return " + ".join(f"{len(domain):,}" for domain in self.domains())

    def domains(self) -> tuple[Dataset, ...]:
        """The datasets that are trained on: one, or the two domains of a pair."""
        return (self.data.a, self.data.b) if isinstance(self.data, Pair) else (self.data,)

    def identity(self) -> dict[str, Any]:
        """What must stay the same over all sessions of a run."""
        return {
            "gan": self.gan.name,
            "config": to_json(self.config),
            "data": {"hash": self.data.hash, "pictures": len(self.data)},
            "seed": self.seed,
            "precision": self.precision,
            "compile": self.compile,
            "micro": self.micro,
            "pretrained": self.pretrained and self.pretrained.record(),
            "freeze": self.freeze,
        }


def plan(
    data: str | Path,
    options: TrainOptions | None = None,
    settings: Values | None = None,
    *,
    schedule: int | None = None,
    first: Existing | None = None,
) -> Plan:
    """Resolve a run without starting it.

    data: a prepared dataset, `peeps`, or an existing run's folder. settings: those of the GAN. schedule: the length of
    schedules in images in a new run whose length is in minutes (see `forecast`). first: stands for the run's folder, which
    is not read then.

    Raises `SimulacraError` for bad input, and for a setting that would change an existing run.
    """
    options = options or TrainOptions()
    check_numbers(options)
    named = {"balance": options.balance, "augment": options.augment}  # settings with an option of their own
    overrides = dict(settings or {}) | {key: value for key, value in named.items() if value}
    device = choose_device(options.device)

    # the folder, and what it holds already
    read = (lambda _: first.stored) if first else read_run
    stored = read(Path(data).expanduser()) if options.run is None else None
    folder = first.folder if first else Path(data).expanduser() if stored else None
    source = source_of(data, stored)
    dataset = open_dataset(source)
    training = dataset.split("train")
    spec = None if options.gan == AUTO else options.gan
    folder = folder or named_folder(dataset.name, spec, options)
    stored = stored or (read(folder) if folder else None)
    pretrained, choice = None, None
    if options.pretrained is not None and not stored:
        pretrained = open_pretrained(options.pretrained, spec)
    if not stored:
        choice = auto.choose(training, device, unseen=_unseen(dataset))
        if pretrained and (spec is None or spec == choice.spec == pretrained.gan.name):
            choice = pretrained.choice(choice, training)
    name = spec or (stored["spec"] if stored else choice.spec if choice else "")
    folder = folder or Path("runs") / f"{dataset.name}-{short_name(name)}"
    stored = stored or read(folder)
    if stored:
        pretrained = _stored_pretrained(folder, stored, options, spec)
    if stored and spec in (None, stored["spec"]):
        name, spec = stored["spec"], None
    if stored or (choice and name != choice.spec):
        choice = None
    if not (first or stored) and folder.exists() and is_in_use(folder):
        raise SimulacraError("plan.not_a_run", folder=folder)

    # the GAN and its settings
    reasons = stored_reasons(stored) if stored else ()
    if choice:
        choice = choice if spec is None else choice.named()
        reasons = choice.reasons(overrides)
    defaults = choice.settings_beside(overrides) if choice else _defaults(name, pretrained)
    gan, config = _configure(name, training, overrides, stored, defaults, anew=spec is not None, folder=folder)
    _check_task(gan, dataset)
    needed = images_needed(training, config.batch) if reasons and not isinstance(training, Pair) else None
    by_curve = needed.good if needed and "epochs" not in overrides else None
    length = stored["length"] if stored else None
    clock = resolve_clock(config, len(training), options, length, images=by_curve, schedule=schedule)
    config = _resolve_length(gan, config, clock.total or clock.schedule, stored)

    precision = options.precision or (stored["precision"] if stored else "auto")
    resolved = Plan(
        folder=folder,
        gan=gan,
        spec=name,
        reasons=reasons,
        choice=choice,
        own=frozenset(overrides),
        config=config,
        data=training,
        source=source if dataset.path is None else str(dataset.path.resolve()),
        seed=_first(options.seed, stored and stored["seed"], 0),
        precision=choose_precision(precision, device),
        compile=_first(options.compile, stored and stored["compile"], False),
        micro=_first(options.micro, stored and stored["micro"], None),
        clock=clock,
        patience=_first(options.patience, length and length.get("patience"), PATIENCE),
        rollback=_first(options.rollback, length and length.get("rollback"), 0),
        pretrained=pretrained,
        freeze=_freeze(options, stored, pretrained),
        resumed=bool(stored),
        needed=needed,
        threads=_first(options.threads, stored and stored.get("threads")),
        processes=stored.get("processes") if stored else None,
        fork=stored.get("fork") if stored else None,
    )
    if stored:
        _refuse_changes(folder, stored, resolved)
    return resolved


def _stored_pretrained(folder: Path, stored: RunConfig, options: TrainOptions, spec: str | None) -> Pretrained | None:
    """The model that an existing run was started from. Raises `SimulacraError` where the command names another one."""
    record = stored.get("pretrained")
    if options.pretrained is not None and not is_source(options.pretrained, record):
        change = Message("plan.change", name="from", old=record and record["source"], new=str(options.pretrained))
        raise SimulacraError("plan.other_settings", folder=folder, changes=[change])
    return reopen(folder, record, spec, options.pretrained) if record else None


def _defaults(spec: str, pretrained: Pretrained | None) -> Values:
    """Settings that follow from the pretrained model where the user names the GAN; a preset's own stand over them."""
    if pretrained is None:
        return {}
    gan, preset = find(spec), split_spec(spec)[1]
    fixed = gan.presets[preset].settings if preset in gan.presets else {}
    return {name: value for name, value in pretrained.settings(gan).items() if name not in fixed}


def _freeze(options: TrainOptions, stored: RunConfig | None, pretrained: Pretrained | None) -> int:
    """Images for which lower layers of D stay fixed (FreezeD: Mo, Cho, Shin 2020, arXiv:2002.10964).

    By default 0: with 100 pictures, runs of one and two minutes got worse by 20,000.
    """
    if options.freeze is not None and not pretrained:
        raise SimulacraError("plan.freeze_without_from")
    if options.freeze is not None:
        return parse_count(options.freeze) if str(options.freeze) != "0" else 0
    return stored.get("freeze", 0) if stored else 0


def _first(*values: Any) -> Any:
    """The first value that is not None, or None."""
    return next((value for value in values if value is not None), None)


def _unseen(data: Dataset | Pair) -> int:
    """Pictures of the part valid, which tell while training whether D memorises."""
    return len(data.split("valid")) if isinstance(data, Dataset) and data.has("valid") else 0


def _check_task(gan: type[GAN], data: Dataset | Pair) -> None:
    """A GAN that translates needs a pair of domains, and no other GAN takes one."""
    where = data.path or data.name
    if gan.task == "translate" and not isinstance(data, Pair):
        raise SimulacraError("plan.needs_a_pair", gan=gan.name, data=where)
    if isinstance(data, Pair) and gan.task != "translate":
        able = [name for name, other in gans().items() if other.task == "translate"]
        raise SimulacraError("plan.is_a_pair", gan=gan.name, data=where, gans=able)


def _configure(
    spec: str, training: Dataset | Pair, overrides: Values, stored: RunConfig | None, defaults: Values, *, anew: bool,
    folder: Path,
) -> tuple[type[GAN], Settings]:  # fmt: skip
    """The GAN and its settings: of the spec where `anew`, else of the stored run; `overrides` stand over either.

    A command that is repeated on an existing run may name settings without effect, as old runs have them.
    """
    gan = find_stored(stored, trusted=True) if stored and not anew else find(spec)
    names = {field.name for field in dataclasses.fields(gan.Config)}
    for name in sorted(overrides.keys() - names):
        options = {field.name for field in dataclasses.fields(TrainOptions)}
        raise SimulacraError("plan.unknown_keyword", gan=gan.name, name=name, hint=did_you_mean(name, options | names))
    if stored is None or anew:
        classes, attributes = ((), ()) if isinstance(training, Pair) else (training.classes, training.attributes)
        count = len(classes or attributes)
        checked, defaults = ({}, {**defaults, **overrides}) if stored else (overrides, defaults)
        gan, config = configured(spec, training.shape, checked, labels=count, attributes=not classes, defaults=defaults)
    else:
        old = stored_settings(gan, cast(dict[str, Any], stored), folder / "config.json", of=gan.name)
        config = updated(old, overrides, of=gan.name)
    balance.make(config.balance, critic=gan.critic)
    return gan, config


def _resolve_length(gan: type[GAN], config: Settings, total: int | None, stored: RunConfig | None) -> Settings:
    """The settings with what they leave to the run's length filled in; in an existing run by its first length."""
    resolved: Settings = gan.resolve(config, total)
    before, after = to_json(config), to_json(resolved)
    first = _stored_values(gan.Config, stored) if stored else after
    derived = {key: first[key] for key in after if after[key] != before[key]}
    final: Settings = gan.resolve(updated(resolved, derived, of=gan.name), total)
    return final


def _stored_values(kind: type[Settings], stored: RunConfig) -> dict[str, Any]:
    """The settings of an existing run as JSON values; what it lacks has its old default."""
    return to_json(from_stored(kind, {}, of="")) | stored["config"]


def _refuse_changes(folder: Path, stored: RunConfig, new: Plan) -> None:
    """Raise `SimulacraError` that names each setting that would change an existing run."""
    fresh, old = new.identity(), cast(dict[str, Any], stored)
    if old["data"]["hash"] != fresh["data"]["hash"]:
        raise SimulacraError("plan.other_data", source=new.source, folder=folder)
    pairs = [(key, old[key], fresh[key]) for key in ("gan", "seed", "precision", "compile", "micro", "freeze")]
    values = _stored_values(type(new.config), stored)
    pairs += [(key, values[key], value) for key, value in fresh["config"].items()]
    changes = [Message("plan.change", name=key, old=was, new=now) for key, was, now in pairs if was != now]
    if changes:
        raise SimulacraError("plan.other_settings", folder=folder, changes=changes)
