"""What a run's folder tells, gathered in one place; each part may be absent, and says so in a sentence."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulacra.data.dataset import Dataset, Pair
from simulacra.data.opening import open_dataset
from simulacra.errors import SimulacraError
from simulacra.files import read_json
from simulacra.gan import GAN, Generator, Shape, find
from simulacra.measure.choose import read_scores
from simulacra.storage import checkpoints, fingerprint, load, load_generator, model_folder
from simulacra.training import journal
from simulacra.training.plan import FORMAT
from simulacra.training.previews import by_class
from simulacra.translator import Translator

Line = dict[str, Any]


@dataclass(frozen=True)
class Missing:
    """A part that is not there: a sentence, and the command that makes it where there is one."""

    sentence: str
    command: str = ""


@dataclass(kw_only=True)
class Evidence:
    """A run, as far as it goes."""

    run: Path
    config: Line
    lines: list[Line]  # of the journal
    scores: list[Line]  # of scores.jsonl
    best: Line | None
    certificate: Line | None
    rollbacks: list[Line]
    model: Path  # the checkpoint that is drawn: the best, else the last
    hash: str  # of that checkpoint
    ended: float  # when the journal was last written, in seconds since 1970
    gan: type[GAN] | None = None
    generator: Generator | None = None  # that draws from seeds
    translator: Translator | None = None
    data: Dataset | Pair | None = None
    missing: dict[str, Missing] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the run's folder is called."""
        return self.run.resolve().name

    @property
    def nimg(self) -> int:
        """Images shown so far; a run that was stopped has a checkpoint after its last journal line."""
        return max([int(checkpoints(self.run)[-1].name), *(int(line["nimg"]) for line in self.lines[-1:])])

    @property
    def watched(self) -> bool:
        """Whether its health was measured."""
        return any("g_norm" in line or "health" in line for line in self.lines)

    @property
    def drawn(self) -> int:
        """Images shown to the checkpoint that is drawn."""
        return int(self.model.name)

    @property
    def chosen(self) -> bool:
        """Whether the checkpoint that is drawn is the one that was chosen as the best."""
        return self.best is not None and int(self.best["nimg"]) == self.drawn

    @property
    def own_certificate(self) -> Line | None:
        """The certificate, if it is of the checkpoint that is drawn."""
        return self.certificate if self.certificate and self.certificate["model"]["hash"] == self.hash else None

    @property
    def shape(self) -> Shape:
        """Of one picture: (C, H, W)."""
        channels, height, width = self.config["config"]["shape"]
        return channels, height, width

    @property
    def translates(self) -> bool:
        """Whether its model makes pictures of pictures, not of seeds."""
        return self.gan is not None and self.gan.task == "translate"

    @property
    def by_class(self) -> bool:
        """Whether the previews are in the order of their classes."""
        return self.generator is not None and by_class(self.generator)

    def command(self, verb: str) -> str:
        """The command line that makes a part of the report."""
        return f"simulacra {verb} {shlex.quote(str(self.run))}"

    def judged(self) -> tuple[Generator, Line] | None:
        """The generator that the certificate speaks of, and the certificate; None when it is not in this run."""
        told = self.certificate
        if told is None or self.generator is None:
            return None
        for folder in checkpoints(self.run):
            if fingerprint(folder) == told["model"]["hash"]:
                return (self.generator if folder == self.model else load_generator(folder)), told
        return None


def gather(run: Path) -> Evidence:
    """Read a run's folder. Raises `SimulacraError` for what is no run, and for a run without a checkpoint."""
    if not run.exists():
        raise SimulacraError(f"{run} does not exist: name the folder of a run, such as runs/faces.")
    config = read_json(run / "config.json") if (run / "config.json").is_file() else None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise SimulacraError(f"{run} is no run: name the folder that simulacra train made.")
    model = model_folder(run)
    kept = run / "journal.jsonl"
    told = Evidence(
        run=run,
        config=config,
        lines=journal.read(kept),
        scores=read_scores(run),
        best=_optional(run / "best.json"),
        certificate=_optional(run / "certificate.json"),
        rollbacks=journal.read(run / "rollbacks.jsonl"),
        model=model,
        hash=fingerprint(model),
        ended=(kept if kept.exists() else model / "config.json").stat().st_mtime,
    )
    _open_game(told)
    _open_data(told)
    _say_what_is_missing(told)
    return told


def _optional(path: Path) -> Line | None:
    if not path.is_file():
        return None
    told = read_json(path)
    if not isinstance(told, dict):
        raise SimulacraError(f"{path} is damaged: delete it and make it again.")
    return told


def _open_game(told: Evidence) -> None:
    """The game and the generator; what this version cannot load is said, and the rest is told without pictures."""
    try:
        told.gan = find(told.config["gan"])
        model = load(told.model)
        told.generator = model if isinstance(model, Generator) else None
        told.translator = model if isinstance(model, Translator) else None
    except SimulacraError as error:
        told.missing["generator"] = Missing(f"The checkpoint cannot be loaded by this version of simulacra: {error}")


def _open_data(told: Evidence) -> None:
    """The data set, if it still is the one that the run was trained on."""
    stored = told.config["data"]
    try:
        data = open_dataset(stored["source"])
    except SimulacraError:
        told.missing["data"] = Missing(
            f"The data set {stored['name']} is no longer where it was during training, so its pictures cannot be shown. "
            "Put it back and make the report again:",
            told.command("report"),
        )
        return
    if data.hash != stored["hash"]:
        told.missing["data"] = Missing(
            f"The data set {stored['name']} has changed since the run: what stands there now is another one, so its "
            "pictures are not shown.",
        )
        return
    told.data = data


def _say_what_is_missing(told: Evidence) -> None:
    if not told.best:
        told.missing["best"] = Missing(
            "The checkpoints of this run have not been compared, so nobody can say which is the best. This scores "
            "them all and marks it:",
            told.command("choose"),
        )
    if not told.certificate:
        told.missing["certificate"] = Missing(
            "There is no certificate: no score with its floor of reals against reals, and no "
            f"{'check of what translations hide' if told.translates else 'search for memorised pictures'}. This makes one:",
            told.command("evaluate"),
        )
    if not told.lines:
        told.missing["journal"] = Missing("The run has written no journal line yet.", told.command("train"))
