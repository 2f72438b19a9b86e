"""The JSON objects in a run's folder, as types; and how its `config.json` is read. Torch is not imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Required, TypedDict, cast

from simulacra.errors import SimulacraError
from simulacra.messages import Message
from simulacra.records import check_record, read_versioned

FORMAT = "simulacra-run-1"
# What an entry stands for in a run that was written before there was such an entry
ABSENT: dict[str, Any] = {"compile": False, "micro": None, "freeze": 0, "pretrained": None}

JournalLine = TypedDict(
    "JournalLine",
    {
        "nimg": int,  # images shown so far
        "epoch": float,
        "seconds": float,  # of training, over all sessions
        "d_plays": int,  # steps of D
        "g_plays": int,  # steps of G
        "d_loss": float,
        "g_loss": float,
        "adversarial": float,  # D's loss without penalties
        "D(x)": float,  # mean output of D for reals: a probability, or a critic's score
        "D(G(z)) before": float,  # for fakes, in steps of D
        "D(G(z)) after": float,  # for fakes, in steps of G
        "acc_d": float,
        "acc_g": float,
        "d_norm": float,  # of D's gradient
        "g_norm": float,
        "d_weight": float,  # norm of D's weights
        "g_weight": float,
        "images_per_second": float,
        "memory_mib": float,
        "overfit": float,  # see `health.Health`
        "overfit_error": float,
        "diversity": float,
        "distinct": float,
        "leak": float,
        "leak_error": float,
        "augment_p": float,
        "signs": list[str],  # names of verdicts whose sign this line shows
        "health": dict[str, str],  # standing verdicts, each with its English sentence
    },
    total=False,
)
"""A line of `journal.jsonl`. GANs add means of their own under other names."""


class RunLength(TypedDict, total=False):
    """`length` in a run's `config.json`."""

    total: Required[int | None]
    minutes: Required[float | None]
    tick: int
    tick_seconds: float | None
    save: int
    measure: int | None  # 0: never
    schedule: int | None
    patience: int
    rollback: int


class RunData(TypedDict, total=False):
    """`data` in a run's `config.json`."""

    hash: Required[str]
    pictures: int
    name: Required[str]
    source: Required[str]
    shape: list[int]


class PretrainedRecord(TypedDict):
    """`pretrained` in a run's `config.json`: the model that the run started from."""

    source: str
    hash: str
    nimg: int | None


class ForkRecord(TypedDict):
    """`fork` in a run's `config.json`: the checkpoint of another run that it began from."""

    run: str  # path
    checkpoint: str  # name of its folder
    hash: str  # of its model
    changes: dict[str, Any]  # settings by name, with their new values


class Reason(TypedDict):
    """Why a GAN or settings were chosen, as a message."""

    code: str
    values: dict[str, Any]


class RunConfig(TypedDict, total=False):
    """A run's `config.json`."""

    format: Required[str]
    task: str
    spec: Required[str]
    why: list[str]  # English sentences
    reasons: list[Reason]  # the same as messages; absent or empty in runs of 0.1
    gan: Required[str]
    gan_source: str  # of a GAN that is not built in
    gan_sha256: str  # of the file with its code
    config: Required[dict[str, Any]]
    data: Required[RunData]
    seed: Required[int]
    precision: Required[str]
    compile: bool
    micro: int | None
    threads: int  # processor threads; absent in runs of 0.1
    processes: int  # of the last session; absent in runs of 0.1
    pretrained: PretrainedRecord | None  # absent in runs of 0.1
    freeze: int  # images for which lower layers of D stay fixed
    fork: ForkRecord | None  # absent in runs that are no fork
    length: Required[RunLength]
    versions: dict[str, str]


RollbackRecord = TypedDict(
    "RollbackRecord", {"verdict": str, "seen": str, "from": int, "to": int, "seed": int}, total=False
)
"""A line of `rollbacks.jsonl`: from and to are images shown, seed is that of the run from then on."""


def stored_reasons(config: RunConfig) -> tuple[Message | str, ...]:
    """Why the GAN of a run was chosen: messages, or English sentences in a run of 0.1; empty where it was named."""
    if config.get("reasons"):
        return tuple(Message(reason["code"], **reason["values"]) for reason in config["reasons"])
    return tuple(config.get("why", ()))


def to_reasons(reasons: tuple[Message | str, ...]) -> list[Reason]:
    """Messages as `config.json` holds them."""
    return [{"code": reason.code, "values": reason.values} for reason in reasons if isinstance(reason, Message)]


def read_run(folder: Path) -> RunConfig | None:
    """The `config.json` of a run's folder, or None where there is no run.

    Raises `SimulacraError` for a damaged one, and for one of a later version.
    """
    path = folder / "config.json"
    if (folder / "G.safetensors").exists():
        return None
    has_trained = (folder / "checkpoints").is_dir() and (folder / "journal.jsonl").exists()
    if not path.is_file():
        if has_trained:
            raise SimulacraError("train.config_missing", path=path, folder=folder)
        return None
    try:
        config = read_versioned(path, FORMAT)
    except SimulacraError as error:
        if error.code != "files.not_json" or not has_trained:
            raise
        raise SimulacraError("files.damaged", folder=folder, **error.values) from error
    if config is None:
        if has_trained:
            raise SimulacraError("files.damaged_entry", path=path, entry="format", folder=folder)
        return None
    check_record(config, RunConfig, path)
    if not _is_shape(config["config"].get("shape")):
        raise SimulacraError("files.damaged_entry", path=path, entry="config.shape", folder=folder)
    return cast(RunConfig, ABSENT | config)


def _is_shape(value: Any) -> bool:
    """Whether a stored value is a picture's (C, H, W)."""
    return isinstance(value, list) and len(value) == 3 and all(type(side) is int and side > 0 for side in value)
