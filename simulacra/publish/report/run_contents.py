"""What a run's folder holds, read in one place. A part may be missing; then a sentence says so."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from simulacra.data.dataset import Dataset, Pair
from simulacra.data.opening import open_dataset
from simulacra.errors import SimulacraError, near_path
from simulacra.files import JsonObject
from simulacra.gan import GAN, Generator, Shape
from simulacra.measure.choose import read_best, read_scores
from simulacra.measure.score_records import Certificate, ScoreLine
from simulacra.messages import Message
from simulacra.publish.report.stored import stored_sentences
from simulacra.records import read_record
from simulacra.registry import find_stored
from simulacra.storage import checkpoints, fingerprint, load, load_generator, model_folder
from simulacra.training import journal, rollback
from simulacra.training.previews import by_class
from simulacra.training.run_records import JournalLine, read_run
from simulacra.translator import Translator


@dataclass(frozen=True)
class MissingPart:
    """A sentence about a part that a run lacks, and the command that makes it, if there is one."""

    sentence: Message
    command: str = ""


@dataclass(kw_only=True)
class RunContents:
    """A run, finished or not. The report shows its best checkpoint, or the last one where none was chosen."""

    folder: Path
    config: JsonObject
    lines: list[JournalLine]
    scores: list[ScoreLine]
    best: JsonObject | None
    certificate: JsonObject | None
    rollbacks: list[JsonObject]
    checkpoint: Path  # the one that is shown
    checkpoint_hash: str
    ended: float  # when the journal was last written, in seconds since 1970
    gan: type[GAN] | None = None
    generator: Generator | None = None
    translator: Translator | None = None
    data: Dataset | Pair | None = None
    sentences: dict[str, Message] = field(default_factory=dict)  # of the certificate, by their stored text
    missing: dict[str, MissingPart] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return self.folder.resolve().name

    @property
    def nimg(self) -> int:
        """Images shown so far. A run that was stopped has a checkpoint after its last journal line."""
        return max([int(checkpoints(self.folder)[-1].name), *(int(line["nimg"]) for line in self.lines[-1:])])

    @property
    def has_health(self) -> bool:
        """Whether the journal has health measurements."""
        return any("g_norm" in line or "health" in line for line in self.lines)

    @property
    def checkpoint_nimg(self) -> int:
        """Images shown when the checkpoint of the report was written."""
        return int(self.checkpoint.name)

    @property
    def shows_best(self) -> bool:
        """Whether the checkpoint of the report is the one chosen as the best."""
        return self.best is not None and int(self.best["nimg"]) == self.checkpoint_nimg

    @property
    def own_certificate(self) -> JsonObject | None:
        """The certificate, if it is of the checkpoint of the report."""
        if self.certificate and self.certificate["model"]["hash"] == self.checkpoint_hash:
            return self.certificate
        return None

    @property
    def shape(self) -> Shape:
        """(C, H, W) of one picture."""
        channels, height, width = self.config["config"]["shape"]
        return channels, height, width

    @property
    def translates(self) -> bool:
        """Whether its model translates pictures."""
        return self.gan is not None and self.gan.task == "translate"

    @property
    def by_class(self) -> bool:
        """Whether the previews are sorted by class."""
        return self.generator is not None and by_class(self.generator)

    def command(self, verb: str) -> str:
        """The command line `simulacra VERB RUN`."""
        return f"simulacra {verb} {shlex.quote(str(self.folder))}"

    def translated(self, sentence: str) -> str:
        """A stored sentence of the certificate in the language in use, if it is known."""
        return str(self.sentences.get(sentence, sentence))

    @property
    def warnings(self) -> list[str]:
        """Warnings of the certificate."""
        return [self.translated(warning) for warning in (self.certificate or {}).get("warnings", [])]

    def certified_generator(self) -> tuple[Generator, JsonObject] | None:
        """The generator that the certificate describes, and the certificate; None if it is not in this run."""
        if self.certificate is None or self.generator is None:
            return None
        for folder in checkpoints(self.folder):
            if fingerprint(folder) == self.certificate["model"]["hash"]:
                generator = self.generator if folder == self.checkpoint else load_generator(folder)
                return generator, self.certificate
        return None


def read_contents(folder: Path) -> RunContents:
    """Read a run's folder. Raises `SimulacraError` if it is not a run or has no checkpoint."""
    if not folder.exists():
        raise SimulacraError("report.run_does_not_exist", path=folder, hint=near_path(folder))
    config = read_run(folder)
    if config is None:
        raise SimulacraError("report.not_a_run", path=folder)
    checkpoint = model_folder(folder)
    lines = folder / "journal.jsonl"
    contents = RunContents(
        folder=folder,
        config=cast(JsonObject, config),
        lines=journal.read_journal(lines),
        scores=list(read_scores(folder)),
        best=cast(JsonObject | None, read_best(folder)),
        certificate=_certificate(folder / "certificate.json"),
        rollbacks=cast(list[JsonObject], rollback.read_rollbacks(folder)),
        checkpoint=checkpoint,
        checkpoint_hash=fingerprint(checkpoint),
        ended=(lines if lines.exists() else checkpoint / "config.json").stat().st_mtime,
    )
    _open_model(contents)
    _open_data(contents)
    if contents.certificate:
        contents.sentences = stored_sentences(contents.certificate, contents.data)
    _name_missing_parts(contents)
    return contents


def _certificate(path: Path) -> JsonObject | None:
    return cast(JsonObject, read_record(path, Certificate)) if path.is_file() else None


def _open_model(contents: RunContents) -> None:
    """Load the GAN and its model. If this version cannot, the report says so and has no pictures."""
    try:
        contents.gan = find_stored(contents.config, trusted=False)
        model = load(contents.checkpoint)
        contents.generator = model if isinstance(model, Generator) else None
        contents.translator = model if isinstance(model, Translator) else None
    except SimulacraError as error:
        contents.missing["generator"] = MissingPart(Message("report.cannot_load", reason=error))


def _open_data(contents: RunContents) -> None:
    """Open the data set, if it still is the one that the run was trained on."""
    stored = contents.config["data"]
    try:
        data = open_dataset(stored["source"])
    except SimulacraError:
        sentence = Message("report.data_moved", name=stored["name"])
        contents.missing["data"] = MissingPart(sentence, contents.command("report"))
        return
    if data.hash != stored["hash"]:
        contents.missing["data"] = MissingPart(Message("report.data_changed", name=stored["name"]))
        return
    contents.data = data


def _name_missing_parts(contents: RunContents) -> None:
    if not contents.best:
        contents.missing["best"] = MissingPart(Message("report.no_best"), contents.command("choose"))
    if not contents.certificate:
        code = "report.no_certificate_translator" if contents.translates else "report.no_certificate"
        contents.missing["certificate"] = MissingPart(Message(code), contents.command("evaluate"))
    if not contents.lines:
        contents.missing["journal"] = MissingPart(Message("report.no_journal"), contents.command("train"))
