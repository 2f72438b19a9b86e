"""A run worked out from its command, before anything starts: made new, or an existing one gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulacra.config import to_json, updated
from simulacra.data.dataset import Dataset, Pair
from simulacra.data.opening import open_dataset
from simulacra.device import choose_device, choose_precision
from simulacra.errors import SimulacraError
from simulacra.files import leftovers, read_json
from simulacra.gan import GAN, Settings, configured, find, gans
from simulacra.training import auto, balance
from simulacra.training.trainer import Clock

FORMAT = "simulacra-run-1"
PATIENCE = 8
AUTO = "auto"  # a game chosen for the pictures and the machine
TICKS = 100  # journal lines and previews in a run of known length
TICK_SECONDS = 15.0  # at least between those of a run whose length is in minutes


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides a run, and how far to take it."""

    folder: Path
    gan: type[GAN]
    spec: str  # the game, with its preset
    why: tuple[str, ...]  # the reasons, where the game was not named
    config: Settings
    data: Dataset | Pair  # the training part
    source: str  # where the data was opened
    seed: int
    precision: str
    compile: bool
    micro: int | None
    clock: Clock
    patience: int  # scores in a row without a new best that end the run; 0 is never
    rollback: int  # times at most that the run goes back to its last healthy checkpoint by itself
    resumed: bool  # the folder already holds this run

    def count(self) -> str:
        """How many training pictures there are, as text; of a pair in each domain."""
        return f"{len(self.data.a)} + {len(self.data.b)}" if isinstance(self.data, Pair) else str(len(self.data))

    def identity(self) -> dict[str, Any]:
        """What must stay the same over all sittings of a run."""
        return {
            "gan": self.gan.name,
            "config": to_json(self.config),
            "data": {"hash": self.data.hash, "pictures": len(self.data)},
            "seed": self.seed,
            "precision": self.precision,
            "compile": self.compile,
            "micro": self.micro,
        }


def parse_count(text: str | int) -> int:
    """`200k` -> 200000; also `1.5M` and plain numbers. Raises `SimulacraError` for anything else."""
    word = str(text).strip().lower()
    scale = {"k": 1_000, "m": 1_000_000}.get(word[-1:], 1)
    try:
        count = float(word[:-1] if scale > 1 else word) * scale
    except ValueError:
        count = float("nan")
    if not 1 <= count < 1e15:
        raise SimulacraError(f"{text!r} is not a count of images: write a number such as 5000, 200k or 1.5M.")
    return round(count)


def plan(
    data: str | Path,
    *,
    gan: str | None = None,
    run: str | Path | None = None,
    total: str | int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    balance: str | None = None,
    augment: str | None = None,
    precision: str | None = None,
    seed: int | None = None,
    compile: bool | None = None,
    micro: int | None = None,
    every: str | int | None = None,
    save_every: str | int | None = None,
    measure_every: str | int | None = None,
    patience: int | None = None,
    rollback: int | None = None,
    device: str = "auto",
    settings: Mapping[str, Any] | None = None,
) -> Plan:
    """Work out a run without starting it: see `train` for the arguments.

    Raises `SimulacraError` for bad input, and for a setting that would change a run that exists.
    """
    if sum(value is not None for value in (total, epochs, minutes)) > 1:
        raise SimulacraError("Give one length: --total, --epochs or --minutes.")
    for name, length in (("--epochs", epochs), ("--minutes", minutes)):
        if length is not None and not 0 < length < 1e9:
            raise SimulacraError(f"{name} is {length}; it must be a positive number.")
    for name, count in (("--patience", patience), ("--rollback", rollback)):
        if count is not None and not 0 <= count < 1e6:
            raise SimulacraError(f"{name} is {count}; it must be a number from 0 up.")
    named = {"balance": balance, "augment": augment}  # settings with an option of their own
    words = dict(settings or {}) | {key: word for key, word in named.items() if word}
    old = _stored(Path(data).expanduser()) if run is None else None
    folder = Path(data).expanduser() if old else None
    source = old["data"]["source"] if old else str(data)
    whole = open_dataset(source)
    part = whole.split("train")
    gan = None if gan == AUTO else gan
    choice = None if gan or old else auto.choose(part, choose_device(device))
    spec = gan or (old["spec"] if old else choice.spec if choice else "")
    folder = folder or Path(run or Path("runs") / f"{whole.name}-{spec.replace(':', '-')}").expanduser()
    old = old or _stored(folder)
    if old and gan is None:
        spec, choice = old["spec"], None
    why: tuple[str, ...] = tuple(old.get("why", ())) if old else ()
    if choice:
        why, words = choice.why(words), choice.settings | words
    if folder.exists() and not old and _is_in_use(folder):
        raise SimulacraError(f"{folder} exists and is not a run: choose another --run.")
    game, config = _settings(spec, part, words, old if gan is None else None)
    _fits(game, whole)
    stored = old["length"] if old else {}
    chosen = precision or (old["precision"] if old else "auto")
    clock = _clock(config, len(part), total, epochs, minutes, every, save_every, measure_every, old)
    config = _resolve_length(game, config, clock.total, old)
    made = Plan(
        folder=folder,
        gan=game,
        spec=spec,
        why=why,
        config=config,
        data=part,
        source=str(source) if whole.path is None else str(whole.path.resolve()),
        seed=seed if seed is not None else (old["seed"] if old else 0),
        precision=choose_precision(chosen, choose_device(device)),
        compile=compile if compile is not None else bool(old and old["compile"]),
        micro=micro if micro is not None else (old["micro"] if old else None),
        clock=clock,
        patience=patience if patience is not None else stored.get("patience", PATIENCE),
        rollback=rollback if rollback is not None else stored.get("rollback", 0),
        resumed=bool(old),
    )
    if old:
        _refuse_changes(folder, old, made)
    return made


def _fits(game: type[GAN], data: Dataset | Pair) -> None:
    """A game that translates needs a pair of domains, and no other can play with one."""
    where = data.path or data.name
    if game.task == "translate" and not isinstance(data, Pair):
        raise SimulacraError(
            f"{game.name} translates between two domains, and {where} holds one: simulacra prepare A B PAIR makes a pair."
        )
    if isinstance(data, Pair) and game.task != "translate":
        able = ", ".join(name for name, other in gans().items() if other.task == "translate")
        raise SimulacraError(
            f"{where} is a pair of domains, and {game.name} plays with one: train on {where}/a or {where}/b, or with "
            f"--gan {able}."
        )


def _settings(
    spec: str, part: Dataset | Pair, words: dict[str, Any], old: dict[str, Any] | None
) -> tuple[type[GAN], Settings]:
    """The game and its settings: of the command, or of the stored run with the command's words on top."""
    if old is None:
        classes, attributes = ((), ()) if isinstance(part, Pair) else (part.classes, part.attributes)
        game, config = configured(spec, part.shape, words, labels=len(classes or attributes), attributes=not classes)
    else:
        game = find(old["gan"])
        config = updated(updated(game.Config(), old["config"], of=game.name), words, of=game.name)
    balance.make(config.balance, critic=game.critic)
    return game, config


def _resolve_length(game: type[GAN], config: Settings, total: int | None, old: dict[str, Any] | None) -> Settings:
    """The settings with what they leave to the run's length: that of its first sitting, if it is longer now."""
    suited: Settings = game.resolve(config, total)
    before, after = to_json(config), to_json(suited)
    kept = {key: old["config"].get(key) for key in after if after[key] != before[key]} if old else {}
    held: Settings = game.resolve(updated(suited, kept, of=game.name), total)
    return held


def _clock(
    config: Settings,
    n: int,
    total: str | int | None,
    epochs: float | None,
    minutes: float | None,
    every: str | int | None,
    save_every: str | int | None,
    measure_every: str | int | None,
    old: dict[str, Any] | None,
) -> Clock:
    """The run's length and rhythm; what the command does not say, an existing run says."""
    stored = old["length"] if old else None
    if total is None and epochs is None and minutes is None and stored:
        images, minutes = stored["total"], stored["minutes"]
    elif minutes is not None:
        images = None
    else:
        images = parse_count(total) if total is not None else max(1, round((epochs or config.epochs) * n))
    tick = parse_count(every) if every is not None else stored and stored["tick"]
    tick = tick or max(config.batch, images // TICKS if images else n)
    timed = minutes is not None and every is None and (stored is None or stored.get("tick_seconds") is not None)
    seconds = max(TICK_SECONDS, 60 * minutes / TICKS) if minutes is not None and timed else None
    save = parse_count(save_every) if save_every is not None else stored and stored["save"]
    save = save or max(config.batch, min(10 * n, images // 10 if images else 10 * n))
    measure = parse_count(measure_every) if measure_every is not None else stored and stored.get("measure")
    return Clock(total=images, minutes=minutes, tick=tick, tick_seconds=seconds, save=save, measure=measure)


def _stored(folder: Path) -> dict[str, Any] | None:
    """The `config.json` of a run's folder, or None where there is no run."""
    path = folder / "config.json"
    if not path.is_file() or (folder / "G.safetensors").exists():
        return None
    stored = read_json(path)
    return stored if isinstance(stored, dict) and stored.get("format") == FORMAT else None


def _is_in_use(folder: Path) -> bool:
    """Whether more stands there than a run leaves that was killed before it wrote its `config.json`."""
    ours = {folder / ".lock", *leftovers(folder)}
    return not folder.is_dir() or any(path not in ours for path in folder.iterdir())


def _refuse_changes(folder: Path, old: dict[str, Any], new: Plan) -> None:
    """A setting that would change an existing run is an error that names it."""
    fresh = new.identity()
    if old["data"]["hash"] != fresh["data"]["hash"]:
        raise SimulacraError(
            f"The data set {new.source} is not the one that {folder} was trained on (its content hash differs): bring the old "
            "one back, or start a new run with another --run."
        )
    pairs = [(key, old[key], fresh[key]) for key in ("gan", "seed", "precision", "compile", "micro")]
    pairs += [(key, old["config"].get(key), value) for key, value in fresh["config"].items()]
    changed = [f"{key} is {was!r} there and {now!r} here" for key, was, now in pairs if was != now]
    if changed:
        raise SimulacraError(
            f"{folder} is a run with other settings: {'; '.join(changed)}. Start a new one with another --run."
        )
