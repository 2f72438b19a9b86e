"""Does the interval of `simulacra worth` hold the truth? Twenty draws on 500 pictures of Fashion-MNIST, 50 of a class.

    simulacra prepare /usr/share/datasets/fashion-mnist fashion16 --size 16
    python benchmarks/worth.py fashion16 --folder worth

Three generators: `perfect` draws further real pictures, `noise` draws noise, `gan` is a conditional R3GAN trained on
the 500 pictures. Each is one arm of fakes against flips and crops. A draw has 3 trainings of each arm (the fewest that
`worth` takes, shared with one other draw) and 500 unseen pictures of its own; its truth is computed from the 27 other
trainings and the 9,500 other pictures. Finished trainings are kept in the folder: a second call continues.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import simulacra
from simulacra.console import progress
from simulacra.data.dataset import Dataset, content_hash
from simulacra.data.opening import FORMAT, open_domain
from simulacra.files import write_json
from simulacra.measure.intervals import Interval
from simulacra.measure.small_classifier import classifier_input
from simulacra.measure.worth import drawing, run_plan
from simulacra.measure.worth_plan import AGAINST, Arm, Draw, Pictures, Plan, make_plan
from simulacra.measure.worth_verdict import ArmBootstrap, more_reals
from simulacra.settings import DEFAULTS
from simulacra.training.auto import HASTE, LAPTOP, PENALTY

PER_CLASS, DRAWS, SEEDS, UNSEEN = 50, 20, 3, 50  # pictures of a class, draws, trainings and unseen of a class a draw
TRAININGS = 30  # of each arm: two draws share each three
RECOMBINED, DEFAULT = 1000, 5  # further draws, of any 5 of the trainings and any 500 of the pictures: not independent
CURVE = f"{AGAINST}-0.5"


def by_class(data: Dataset) -> list[NDArray[np.int64]]:
    """The rows of each class in a random order."""
    labels = np.asarray(data.labels)
    order = np.random.default_rng(0).permutation(len(labels))
    return [order[labels[order] == number] for number in range(len(data.classes))]


def small_set(data: Dataset, rows: list[NDArray[np.int64]], folder: Path) -> Path:
    """A prepared data set: 50 pictures of each class for training, the unseen ones of all draws as its test part."""
    if (folder / "data.json").exists():
        return folder
    parts = [rows_of(rows, 0, PER_CLASS), rows_of(rows, PER_CLASS, PER_CLASS + DRAWS * UNSEEN)]
    chosen = np.concatenate(parts)
    images, labels = data.images[chosen], np.asarray(data.labels)[chosen]
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    record = {"what": Dataset.WHAT, "format": FORMAT, "name": folder.name, "shape": list(images.shape)}
    record |= {"splits": {"train": len(parts[0]), "valid": 0, "test": len(parts[1])}, "attributes": []}
    record |= {"hash": content_hash(images, labels, data.classes), "classes": list(data.classes)}
    write_json(folder / "data.json", record)
    return folder


def rows_of(rows: list[NDArray[np.int64]], start: int, end: int) -> NDArray[np.int64]:
    """These rows of each class."""
    return np.concatenate([of_class[start:end] for of_class in rows])


def perfect(data: Dataset, rows: list[NDArray[np.int64]]) -> Draw:
    """A generator that draws real pictures of which nothing else is used."""
    spare = [of_class[PER_CLASS + DRAWS * UNSEEN :] for of_class in rows]

    def draw(labels: NDArray[Any], seed: int) -> NDArray[np.uint8]:
        source = np.random.default_rng([seed, 5])
        shuffled = [iter(source.permutation(of_class)) for of_class in spare]
        images: NDArray[np.uint8] = data.images[np.array([next(shuffled[label]) for label in labels])]
        return images

    return draw


def noise(shape: tuple[int, ...]) -> Draw:
    """A generator that draws noise."""
    return lambda labels, seed: np.random.default_rng([seed, 6]).integers(0, 256, (len(labels), *shape), np.uint8)


def gan(data: Path, folder: Path, total: str) -> Draw:
    """A conditional R3GAN trained on so many images."""
    settings = {"conditional": True} | LAPTOP | HASTE | {"gamma": (PENALTY, PENALTY / 5)}
    simulacra.train(
        data,
        gan=f"r3gan:{DEFAULTS}",
        run=folder,
        total=total,
        measure_every=0,
        threads=1,
        augment="diff",
        quiet=True,
        settings=settings,
    )
    return drawing(simulacra.load_generator(folder))


def outcomes_of(plan: Plan, pictures: Pictures, draws: dict[str, Draw], folder: Path) -> dict[tuple[str, int], Any]:
    """The outcomes of all trainings: of the arms without fakes, and of one arm for each generator."""
    jobs = {AGAINST: (Arm(), pictures.draw), CURVE: (Arm(reals=0.5), pictures.draw)}
    jobs |= {name: (Arm(ratio=1.0), draw) for name, draw in draws.items()}
    outcomes: dict[tuple[str, int], Any] = {}
    for name, (arm, draw) in jobs.items():
        job: Plan = {**plan, "arms": {name: asdict(arm)}, "seeds": list(range(TRAININGS))}
        with progress(name, TRAININGS, every_seconds=60) as advance:
            begin = lambda title, total: advance  # noqa: E731
            outcomes |= run_plan(job, replace(pictures, draw=draw), folder / f"{name}.jsonl", begin)
    return outcomes


class Draws:
    """Gains of an arm on some of the trainings and unseen pictures."""

    def __init__(self, plan: Plan, classes: NDArray[np.int64], outcomes: dict[tuple[str, int], Any]) -> None:
        self.plan, self.classes, self.outcomes = plan, classes, outcomes

    def gain(self, arm: str, seeds: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[Interval, Interval | None]:
        """The gain of an arm with its interval, and the number of real pictures that it is worth."""
        arms = {AGAINST: Arm(), CURVE: Arm(reals=0.5), arm: Arm(ratio=1.0)}
        plan: Plan = {**self.plan, "arms": {name: asdict(a) for name, a in arms.items()}, "seeds": seeds.tolist()}
        chosen = {(name, seed): self.outcomes[name, seed][rows] for name in arms for seed in plan["seeds"]}
        bench = ArmBootstrap(plan, self.classes[rows], chosen)
        gain = bench.gain(arm)
        return gain.interval(), more_reals(gain, bench.slope(), sum(plan["train"]), 0.95)

    def truth(self, arm: str, seeds: NDArray[np.int64], rows: NDArray[np.int64]) -> float:
        """The gain without the trainings and pictures of a draw; all classes have as many pictures."""
        others = np.setdiff1d(np.arange(TRAININGS), seeds)
        unused = np.setdiff1d(np.arange(len(self.classes)), rows)
        gains = [
            (self.outcomes[arm, s][unused].astype(float) - self.outcomes[AGAINST, s][unused]).mean() for s in others
        ]
        return float(np.mean(gains))

    def row(self, arm: str) -> dict[str, Any]:
        """The result of an arm: each draw with its truth, and how many intervals hold it."""
        lines: list[dict[str, Any]] = []
        own = np.arange(len(self.classes))
        for number in range(DRAWS):
            seeds = (number * SEEDS + np.arange(SEEDS)) % TRAININGS
            rows = own[(own % (DRAWS * UNSEEN)) // UNSEEN == number]  # of each class
            interval, more = self.gain(arm, seeds, rows)
            truth = self.truth(arm, seeds, rows)
            line = {"truth": truth, "gain": asdict(interval), "holds": interval.low <= truth <= interval.high}
            lines.append(line | {"more_reals": asdict(more) if more and interval.low > 0 else None})
        none = np.array([], int)
        truth, source, held = self.truth(arm, none, none), np.random.default_rng(1), []
        for _ in range(RECOMBINED):
            seeds = source.permutation(TRAININGS)[:DEFAULT]
            classes = [source.permutation(np.flatnonzero(self.classes == c))[:UNSEEN] for c in np.unique(self.classes)]
            interval, _ = self.gain(arm, seeds, np.concatenate(classes))
            held.append(interval.low <= truth <= interval.high)
        said = {word: sum(sign(line["gain"]) == word for line in lines) for word in ("yes", "no", "harms")}
        return {"arm": arm, "truth": truth, "held": sum(line["holds"] for line in lines), "draws": lines} | {
            "says": said, "recombined": float(np.mean(held)),
        }  # fmt: skip


def sign(gain: dict[str, float]) -> str:
    """What an interval says."""
    return "yes" if gain["low"] > 0 else "harms" if gain["high"] < 0 else "no"


def main() -> None:
    """Train what is missing, write a JSON file for each generator and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="Fashion-MNIST, prepared")
    parser.add_argument("--folder", type=Path, default=Path("worth"), help="the run, its data and finished trainings")
    parser.add_argument("--total", default="40k", help="images that the GAN is trained on")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--generators", default="gan,perfect,noise")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = open_domain(options.data)
    rows = by_class(data)
    small = open_domain(small_set(data, rows, options.folder / "fashion500"))
    train, test = small.split("train"), small.split("test")
    makers: dict[str, Callable[[], Draw]] = {
        "gan": lambda: gan(options.folder / "fashion500", options.folder / "run", options.total),
        "perfect": lambda: perfect(data, rows),
        "noise": lambda: noise(data.images.shape[1:]),
    }
    draws = {name: makers[name]() for name in options.generators.split(",")}
    pictures = Pictures(
        train=classifier_input(train.images), train_classes=np.array(train.labels), conditions=np.array(train.labels),
        unseen=classifier_input(test.images), unseen_classes=np.array(test.labels), draw=noise(data.images.shape[1:]),
    )  # fmt: skip
    plan = make_plan(
        pictures, classes=data.classes, of=None, ratio=1.0, seeds=SEEDS, flips=True, sources={"data": small.hash}
    )
    outcomes = outcomes_of(plan, pictures, draws, options.folder)
    print(
        "| generator | truth | intervals that hold it | of 1,000 recombined | above / around / below 0 | mean width |"
    )
    print("|---|---|---|---|---|---|")
    for arm in draws:
        row = Draws(plan, pictures.unseen_classes, outcomes).row(arm)
        record = {"data": data.name, "plan": plan, **row}
        (options.out / f"worth-{data.name}-{arm}.json").write_text(json.dumps(record, indent=1) + "\n")
        width = np.mean([line["gain"]["high"] - line["gain"]["low"] for line in row["draws"]])
        says = " / ".join(str(count) for count in row["says"].values())
        cells = [f"`{arm}`", f"{100 * row['truth']:+.1f}", f"{row['held']} of {DRAWS}", f"{row['recombined']:.1%}"]
        print(f"| {' | '.join([*cells, says, f'{100 * width:.1f}'])} |")


if __name__ == "__main__":
    main()
