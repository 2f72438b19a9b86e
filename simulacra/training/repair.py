"""`simulacra doctor RUN`: checks every file of a run, and repairs what can be repaired without training.

Nothing is deleted but the temporary files of a killed process: a file that cannot be repaired is set aside under its name
with `.damaged` after it, where no command reads it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from simulacra.data.opening import open_dataset
from simulacra.errors import SimulacraError, near_path
from simulacra.files import atomic_file, leftovers, sweep, write_json
from simulacra.measure.choose import mark_best, read_best, read_score_lines
from simulacra.measure.score_records import Certificate, ScoreLine
from simulacra.messages import Message
from simulacra.records import read_record, sort_lines
from simulacra.storage import checkpoint_folders, checkpoints, fingerprint, load, read_config
from simulacra.training import checkpoint, rollback
from simulacra.training.curves import curves
from simulacra.training.examination import Examination, keep_copy, picture_damage
from simulacra.training.journal import REQUIRED, read_journal
from simulacra.training.plan import plan
from simulacra.training.previews import open_previews
from simulacra.training.run import make_trainer
from simulacra.training.run_records import JournalLine, RunConfig, read_run
from simulacra.training.session import run_lock

CPU = torch.device("cpu")
# Codes of errors that mean damage; others, such as a GAN that is not installed, mean that a model cannot be checked here
DAMAGES = ("storage.damaged", "storage.wrong", "files.", "config.")


def examine_run(where: str | Path) -> Examination:
    """Check every file of a run and repair what can be repaired; says what was done and what could not be.

    Raises `SimulacraError` for what is no run, and while a process trains it.
    """
    run = Path(where).expanduser()
    if not run.exists():
        raise SimulacraError("train.no_run", run=run, hint=near_path(run))
    if not any((run / name).exists() for name in ("config.json", "journal.jsonl", "checkpoints")):
        raise SimulacraError("doctor.not_a_run", path=run)
    examination = Examination(run)
    with run_lock(run):
        _sweep(examination)
        for folder in checkpoint_folders(run):
            _check_state(examination, folder)
        config = _check_config(examination)
        for folder in checkpoint_folders(run):
            _check_model(examination, folder, config)
        _check_lines(examination, run / "scores.jsonl", ScoreLine, torn=True)
        _check_lines(examination, run / "journal.jsonl", JournalLine, required=REQUIRED)
        _check_rollbacks(examination)
        _check_gaps(examination, config)
        _check_hashes(examination)
        _check_best(examination)
        _check_certificate(examination)
        _check_previews(examination, config)
        _check_drawings(examination)
    return examination


def _sweep(examination: Examination) -> None:
    for folder in (examination.run, examination.run / "checkpoints", examination.run / "previews"):
        if count := len(leftovers(folder)):
            sweep(folder)
            examination.repaired.append(Message("doctor.swept", folder=folder, count=count))


# --- checkpoints --------------------------------------------------------------------------------------------------


def _check_state(examination: Examination, folder: Path) -> None:
    """Set a state aside that cannot be read or is not finite."""
    if not (folder / "state.pt").exists():
        return
    try:
        state = checkpoint.load(folder, CPU)
        entry = next((name for name in ("gan", "ema", "nimg", "plays", "optimizers") if name not in state), None)
        if entry is not None:
            raise SimulacraError("train.state_lacks", name=entry)
        if not _is_finite(state["gan"]) or not _is_finite(state["ema"]):
            raise SimulacraError("doctor.not_finite")
        if _damage(folder) is None:
            _, kind, config = read_config(folder)
            kind(config).load_state_dict(state["gan"])
    except (RuntimeError, TypeError, AttributeError):
        examination.set_aside(folder / "state.pt", Message("doctor.other_networks"))
    except SimulacraError as error:
        examination.set_aside(folder / "state.pt", error.values.get("reason", error))


def _check_model(examination: Examination, folder: Path, config: RunConfig | None) -> None:
    """Write a damaged model anew from its state; set a checkpoint aside that has neither."""
    reason = _damage(folder)
    if reason is None:
        return
    if isinstance(reason, SimulacraError) and not reason.code.startswith(DAMAGES):
        examination.remaining.append(Message("doctor.not_checked", path=folder, error=reason))
        return
    if not (folder / "state.pt").exists():
        examination.set_aside(folder, reason)
        return
    try:
        if config is None:
            raise SimulacraError("doctor.needs_config")
        _save_anew(examination.run, folder)
    except SimulacraError as error:
        examination.remaining.append(Message("doctor.not_rebuilt", path=folder, reason=reason, error=error))
    else:
        examination.repaired.append(Message("doctor.rebuilt", path=folder, reason=reason))


def _save_anew(run: Path, folder: Path) -> None:
    """Write the model of a checkpoint from its state, as training would."""
    trainer, _ = make_trainer(plan(run), CPU, rollback.count(run))
    checkpoint.restore(folder, CPU, trainer.load_state_dict)
    if trainer.nimg != int(folder.name):
        raise SimulacraError("doctor.state_of_another", nimg=trainer.nimg)
    trainer.save()


def _damage(folder: Path) -> Message | SimulacraError | str | None:
    """What is wrong with the model of a checkpoint; None if nothing is."""
    try:
        read_config(folder)
        model = load(folder)
        if not _is_finite(model.state_dict()):
            return Message("doctor.not_finite")
        if (folder / "D.safetensors").exists():
            load_file(folder / "D.safetensors")
        if (folder / "state.pt").exists():
            stored, average = load_file(folder / "G.safetensors"), checkpoint.load(folder, CPU).get("ema", {})
            if stored.keys() == average.keys() and not all(
                torch.equal(average[name].to(value.dtype), value) for name, value in stored.items()
            ):
                return Message("doctor.not_of_its_state")
    except SimulacraError as error:
        return error
    except SafetensorError as error:
        return SimulacraError("storage.damaged_weights", path=folder / "D.safetensors", error=error)
    return None


def _is_finite(tensors: dict[str, Any]) -> bool:
    return all(bool(value.isfinite().all()) for value in tensors.values() if torch.is_tensor(value))


# --- JSON -----------------------------------------------------------------------------------------------------------


def _check_config(examination: Examination) -> RunConfig | None:
    """The run's `config.json`, whose settings are those of its checkpoints; None where it is lost."""
    path, whole = (
        examination.run / "config.json",
        [folder for folder in checkpoints(examination.run) if _damage(folder) is None],
    )
    example = whole[-1] if whole else examination.run / "checkpoints"
    try:
        config: Any = read_run(examination.run)
        if config is None:
            raise SimulacraError("files.missing", path=path)
    except SimulacraError as error:
        examination.remaining.append(Message("doctor.config_lost", reason=error, checkpoint=example))
        return None
    settings = [read_config(folder)[0]["config"] for folder in whole]
    changed = [
        name
        for name, value in config["config"].items()
        if settings and all(name in each and each[name] == settings[0][name] != value for each in settings)
    ]
    if changed:
        copy = keep_copy(path)
        write_json(path, config | {"config": config["config"] | {name: settings[0][name] for name in changed}})
        examination.repaired.append(Message("doctor.settings_restored", path=path, names=changed, copy=copy))
        config = read_run(examination.run)
    return config  # type: ignore[no-any-return]


def _check_lines(examination: Examination, path: Path, kind: type, **how: Any) -> None:
    """Leave out damaged lines, and journal lines out of order; the file as it was is kept beside it."""
    good: list[tuple[int, Any]]
    good, damaged = sort_lines(path, kind, **how)
    if kind is JournalLine:
        highest = itertools.accumulate((line["nimg"] for _, line in good), max, initial=-1)
        late = [number for (number, line), before in zip(good, highest, strict=False) if line["nimg"] <= before]
        good, damaged = [pair for pair in good if pair[0] not in late], sorted([*damaged, *late])
    if kind is ScoreLine:
        lost = [number for number, line in good if line["leads"] not in line["scores"]]
        good, damaged = [pair for pair in good if pair[0] not in lost], sorted([*damaged, *lost])
    if damaged:
        copy = keep_copy(path)
        with atomic_file(path) as file:
            file.writelines((json.dumps(line) + "\n").encode() for _, line in good)
        examination.repaired.append(Message("doctor.lines_left_out", path=path, lines=damaged, copy=copy))


def _check_rollbacks(examination: Examination) -> None:
    try:
        rollback.count(examination.run)
    except SimulacraError as error:
        examination.remaining.append(Message("doctor.rollbacks_lost", reason=error))


def _check_gaps(examination: Examination, config: RunConfig | None) -> None:
    """Report journal lines that are missing between others."""
    times = [line["nimg"] for line in read_journal(examination.run / "journal.jsonl")]
    steps = [after - before for before, after in itertools.pairwise([0, *times])]
    usual = max([median(steps), config["length"].get("tick", 1) if config else 1]) if steps else 1
    for before, after in itertools.pairwise([0, *times]):
        if after - before > 2 * usual:
            examination.remaining.append(
                Message("doctor.gap", path=examination.run / "journal.jsonl", before=before, after=after)
            )


def _check_hashes(examination: Examination) -> None:
    """Report models that are not the ones that were scored."""
    digests: dict[int, set[str]] = {}
    for line in read_score_lines(examination.run):
        digests.setdefault(line["nimg"], set()).add(line["model"])
    for folder in checkpoints(examination.run):
        scored = digests.get(int(folder.name))
        if scored and (folder / "G.safetensors").exists() and fingerprint(folder) not in scored:
            examination.remaining.append(
                Message("doctor.not_the_scored", path=folder / "G.safetensors", run=examination.run)
            )


def _check_best(examination: Examination) -> None:
    """Make `best.json` from the scores where it is damaged, or its checkpoint is gone."""
    path, scored = examination.run / "best.json", bool(read_score_lines(examination.run))
    advice: Message | str = "" if scored else Message("doctor.choose", run=examination.run)
    try:
        best = read_best(examination.run)
        if best and examination.run / "checkpoints" / best["checkpoint"] not in checkpoints(examination.run):
            examination.set_aside(path, Message("doctor.best_is_gone", name=best["checkpoint"]), advice)
    except SimulacraError as error:
        examination.set_aside(path, error, advice)
    if scored and not path.exists() and mark_best(examination.run):
        examination.repaired.append(Message("doctor.best_marked", path=path))


def _check_certificate(examination: Examination) -> None:
    path = examination.run / "certificate.json"
    try:
        if path.exists():
            read_record(path, Certificate)
    except SimulacraError as error:
        examination.set_aside(path, error, Message("doctor.evaluate", run=examination.run))


# --- pictures -------------------------------------------------------------------------------------------------------


def _check_previews(examination: Examination, config: RunConfig | None) -> None:
    """Draw damaged previews anew where their checkpoint is still there."""
    for path in sorted((examination.run / "previews").glob("*.png")):
        if (reason := picture_damage(path)) is None:
            continue
        model = examination.run / "checkpoints" / path.stem
        if path.stem == "real":
            examination.set_aside(path, reason, Message("doctor.train_draws"))
            continue
        examination.set_aside(path, reason)
        if config is not None and model in checkpoints(examination.run):
            _attempt(examination, path, lambda path=path, model=model: _draw(path, model, config))  # type: ignore[misc]


def _draw(path: Path, model: Path, config: RunConfig) -> None:
    generator = load(model)
    previews = open_previews(open_dataset(config["data"]["source"]), generator)
    previews.save(path, list(previews.draw(generator)))


def _check_drawings(examination: Examination) -> None:
    """Draw damaged curves and films anew, and all of them where previews or the journal changed."""
    drawings = [path for name in ("curves.png", "curves.svg", "film.webp") if (path := examination.run / name).exists()]
    damaged = [path for path in drawings if path.suffix != ".svg" and picture_damage(path) is not None]
    if damaged or (drawings and examination.repaired):
        _attempt(examination, examination.run / "curves.png", lambda: curves(examination.run))


def _attempt(examination: Examination, path: Path, draw: Callable[[], object]) -> None:
    try:
        draw()
        examination.repaired.append(Message("doctor.drawn", path=path))
    except SimulacraError as error:
        examination.remaining.append(Message("doctor.not_drawn", path=path, error=error))
