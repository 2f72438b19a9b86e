"""`worth`: does synthetic data help a classifier? The comparison is fixed first, then small classifiers are trained."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simulacra.console import Begin, silent
from simulacra.data.dataset import Dataset
from simulacra.data.opening import open_domain
from simulacra.errors import SimulacraError
from simulacra.files import JsonObject, append_json_line, read_json, read_json_lines, write_json
from simulacra.generator import Generator
from simulacra.measure.model_under_test import ModelUnderTest, model_under_test, subsample
from simulacra.measure.score_records import english
from simulacra.measure.small_classifier import classifier_input
from simulacra.measure.worth_plan import Draw, Pictures, Plan, correct, make_plan, plan_hash, trainings
from simulacra.measure.worth_verdict import Outcomes, verdict
from simulacra.messages import Message, text

FORMAT = "simulacra-worth-1"
SEEDS, RATIO = 5, 1.0
MOST_UNSEEN = 5000  # pictures; more cost as much time as the training
FIRST_FAKE, FAKES = 1 << 40, 1 << 24  # first seed of fakes, and seeds of one training: no other command draws them
BATCH = 64


def worth(
    where: str | Path,
    *,
    data: str | Path | None = None,
    unseen: str | Path | None = None,
    on: str | None = None,
    label: str | None = None,
    of: str | None = None,
    ratio: float = RATIO,
    seeds: int = SEEDS,
    flips: bool = True,
    out: str | Path | None = None,
    device: str | torch.device = "cpu",
    advance: Begin = silent,
    on_plan: Callable[[Path, Plan], object] | None = None,
) -> JsonObject:
    """Whether a conditional model's fakes make a classifier better, and how many more real pictures they are worth.

    where: a run (its best checkpoint), a checkpoint or a model folder, of a model with labels. data: where its data set
        lies now, if it was moved. unseen: another prepared data set with the same classes to test on; by default the
        pictures of the valid and test parts. on: one of those parts alone.
    label: the attribute to classify, or a group of them, where the data has attributes. of: the class whose accuracy
        decides, or `rarest`; by default the mean over classes.
    ratio: fakes for each real picture in the arm that decides. seeds: classifiers for each arm. flips: mirror pictures.
    out: path of the record; by default `worth.json` in the run. Beside it, `.trainings.jsonl` keeps each finished training,
        so that a second call continues. device: where to compute. advance: see `evaluate`. on_plan: called with path and
        plan when they are written.

    Returns the contents of the record, and its path: the plan, written before anything is trained, and the result. Raises
    `SimulacraError` for a model or data without labels, without unseen pictures, or with too few of a class.
    """
    model = model_under_test(where)
    path = Path(out) if out else model.run / "worth.json" if model.run else None
    if path is None:
        raise SimulacraError("measure.worth_out", model=model.folder)
    pictures, plan = _open_pictures(model, data, unseen, on, label, of, ratio, seeds, flips, device)
    record = _open_record(path, plan)
    if on_plan is not None:
        on_plan(path, plan)
    outcomes = run_plan(plan, pictures, path.with_suffix(".trainings.jsonl"), advance)
    record["result"] = verdict(plan, pictures.unseen_classes, outcomes)
    write_json(path, record)
    return record | {"path": str(path)}


def run_plan(plan: Plan, pictures: Pictures, path: Path, advance: Begin = silent) -> Outcomes:
    """The outcomes of all trainings of a plan. path: the file of finished ones, which are not repeated."""
    key, outcomes = plan_hash(plan), {}
    for line in read_json_lines(path):
        if isinstance(line, dict) and line.get("plan") == key:
            bits = np.frombuffer(base64.b64decode(line["correct"]), np.uint8)
            hits = np.unpackbits(bits, count=len(pictures.unseen)).astype(bool)
            outcomes[str(line["arm"]), int(line["seed"])] = hits
    todo = trainings(plan)
    begun = advance(text("measure.progress_worth"), len(todo))
    begun(len(outcomes))
    for arm, seed in todo:
        if (arm, seed) not in outcomes:
            hits = outcomes[arm, seed] = correct(plan, pictures, arm, seed)
            line = {"plan": key, "arm": arm, "seed": seed, "accuracy": round(float(hits.mean()), 6)}
            append_json_line(path, line | {"correct": base64.b64encode(np.packbits(hits).tobytes()).decode()})
            begun(1)
    return outcomes


def drawing(generator: Generator) -> Draw:
    """Fakes of a conditional generator as `sample` writes them: labels [N] or [N, A], seed -> [N, H, W, C] uint8."""

    @torch.no_grad()
    def draw(labels: NDArray[Any], seed: int) -> NDArray[np.uint8]:
        parts = []
        for start in range(0, len(labels), BATCH):
            y = torch.from_numpy(labels[start : start + BATCH]).to(generator.device)
            first = FIRST_FAKE + seed * FAKES + start
            images = generator(generator.seeded(range(first, first + len(y))), y)
            parts.append((images.clamp(-1, 1) * 127.5 + 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(parts)

    return draw


def _open_pictures(
    model: ModelUnderTest, source: str | Path | None, unseen: str | Path | None, on: str | None, label: str | None,
    of: str | None, ratio: float, seeds: int, flips: bool, device: str | torch.device,
) -> tuple[Pictures, Plan]:  # fmt: skip
    """The pictures, and what is compared on them."""
    if model.task != "draw":
        raise SimulacraError("measure.worth_translates", model=model.name)
    data = model.dataset(source)
    assert isinstance(data, Dataset)
    train = data.split("train")
    names, classes = classes_of(train, label)
    generator = model.load(device)
    assert isinstance(generator, Generator)
    if not generator.labels:
        raise SimulacraError("measure.worth_unconditional", model=model.name, data=data.path or data.name)
    if data.hash != model.config.get("data_hash", data.hash) or generator.classes != (data.classes or data.attributes):
        raise SimulacraError("measure.worth_other_data", model=model.name, data=data.path or data.name)
    parts = _unseen_parts(data, on) if unseen is None else [_unseen_set(data, unseen)]
    tests = np.concatenate([part.images for part in parts])
    test_classes = np.concatenate([classes_of(part, label)[1] for part in parts])
    fresh = _without_copies(train.images, tests)
    rows = fresh[subsample(len(fresh), MOST_UNSEEN)]
    pictures = Pictures(
        train=classifier_input(train.images).to(device),
        train_classes=classes,
        conditions=np.array(train.labels),
        unseen=classifier_input(tests[rows]).to(device),
        unseen_classes=test_classes[rows],
        draw=drawing(generator),
    )
    sources = {"model": model.hash, "data": data.hash, "on": on, "label": label}
    sources["unseen"] = hashlib.sha256(tests[rows].tobytes()).hexdigest()
    plan = make_plan(
        pictures, classes=names, of=of, ratio=ratio, seeds=seeds, flips=flips,
        copies_left_out=len(tests) - len(fresh), sources=sources,
    )  # fmt: skip
    return pictures, plan


def classes_of(data: Dataset, label: str | None) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names of the classes to tell apart, and that of each picture [N]: classes, or those of an attribute or group."""
    name = data.path or data.name
    if data.labels is None:
        raise SimulacraError("measure.worth_no_labels", data=name)
    if data.classes:
        if label is not None:
            raise SimulacraError("measure.worth_has_classes", data=name)
        return data.classes, np.asarray(data.labels, np.int64)
    if label in data.attributes:
        without = english(Message("measure.worth_without", name=label))
        return (without, label), (data.labels[:, data.attributes.index(label)] > 0.5).astype(np.int64)
    columns = [i for i, attribute in enumerate(data.attributes) if attribute.partition(":")[0] == label]
    if len(columns) < 2:
        raise SimulacraError("measure.worth_which_label", data=name, names=list(data.attributes))
    names = tuple(data.attributes[i].partition(":")[2].strip() for i in columns)
    return names, data.labels[:, columns].argmax(1).astype(np.int64)


def _unseen_parts(data: Dataset, on: str | None) -> list[Dataset]:
    """The parts that the GAN was not trained on, or one of them."""
    if on == "train":
        raise SimulacraError("measure.worth_on_train")
    parts = [part for part in ("valid", "test") if data.has(part)] if on is None else [on]
    if not parts:
        raise SimulacraError("measure.worth_no_unseen", data=data.path or data.name)
    return [data.split(part) for part in parts]


def _unseen_set(data: Dataset, source: str | Path) -> Dataset:
    """Another data set, which must have the same classes and shape."""
    other = open_domain(source)
    if (other.classes, other.attributes, other.shape) != (data.classes, data.attributes, data.shape):
        raise SimulacraError("measure.worth_other_classes", unseen=source, data=data.path or data.name)
    return other


def _without_copies(images: NDArray[np.uint8], tests: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Rows of `tests` that equal no picture of `images` to the last bit."""
    training = {hashlib.sha256(image.tobytes()).digest() for image in images}
    fresh = [hashlib.sha256(image.tobytes()).digest() not in training for image in tests]
    return np.flatnonzero(fresh)


def _open_record(path: Path, plan: Plan) -> JsonObject:
    """The record at `path` with this plan, written before anything is trained; other plans are kept in `earlier`."""
    before: Any = None
    if path.exists():
        before = read_json(path)
        if not isinstance(before, dict) or before.get("format") != FORMAT:
            raise SimulacraError("measure.worth_not_a_record", path=path)
        if before["plan"] == plan:
            return {key: before[key] for key in ("format", "time", "earlier", "plan")}
    earlier = before["earlier"] + [{k: before[k] for k in ("time", "plan", "result") if k in before}] if before else []
    record: JsonObject = {"format": FORMAT, "time": datetime.now(UTC).isoformat(timespec="seconds")}
    record |= {"earlier": earlier, "plan": plan}
    write_json(path, record)
    return record
