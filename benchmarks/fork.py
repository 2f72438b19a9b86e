"""How much better a difference of settings is known from two forks of one run than from two independent runs.

    python benchmarks/fork.py peeps32 forks --parents 8

Each of several runs, which differ by their seed, is trained for a while and forked twice: without a change, and with
another setting. Both forks are trained on and scored on the same seeds. The paired difference is that of the two forks of one
parent; the independent one that of forks of different parents, whose variance is the sum of both variances. Everything
is resumed where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulacra.config import parse_words
from simulacra.data.opening import open_domain
from simulacra.measure.choose import CheckpointScorer
from simulacra.measure.extractors.features import open_extractor
from simulacra.storage import checkpoints, fingerprint, load
from simulacra.training.fork import fork
from simulacra.training.options import train

KINDS = ("same", "changed")


def scores_of_forks(
    data: Path, out: Path, *, parents: int, begin: int, total: int, gan: str, change: Sequence[str], samples: int,
    **settings: Any,
) -> dict[str, list[float]]:  # fmt: skip
    """The leading score of both forks of each parent, lower is better."""
    options: dict[str, Any] = {"save_every": begin, "every": begin, "measure_every": 0, "quiet": True, "device": "cpu"}
    scorer = CheckpointScorer(open_domain(data), extractor=open_extractor(), samples=samples)
    scores: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for seed in range(parents):
        parent = train(data, run=out / f"{seed}", gan=gan, total=begin, seed=seed, settings=settings, **options)
        for kind in KINDS:
            folder = out / f"{seed}-{kind}"
            if not folder.exists():
                fork(parent, folder.resolve(), settings=parse_words(change) if kind == "changed" else {})
            train(folder, total=total, **options)
            model = checkpoints(folder)[-1]
            line = scorer.line(load(model), int(model.name), fingerprint(model))
            scores[kind].append(line["scores"][line["leads"]]["value"])
            print(f"{folder.name}: {line['leads']} {scores[kind][-1]:.4g}", flush=True)
    return scores


def variances(scores: dict[str, list[float]]) -> dict[str, float]:
    """The mean difference, and the variance of a paired and of an independent difference."""
    same, changed = (scores[kind] for kind in KINDS)
    differences = [b - a for a, b in zip(same, changed, strict=True)]
    independent = statistics.variance(same) + statistics.variance(changed)
    paired = statistics.variance(differences)
    return {
        "difference": statistics.fmean(differences),
        "paired": paired,
        "independent": independent,
        "ratio": independent / paired if paired else float("inf"),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--parents", type=int, default=8)
    parser.add_argument("--begin", type=int, default=4000, help="images before the fork")
    parser.add_argument("--total", type=int, default=6000, help="images in all")
    parser.add_argument("--gan", default="dcgan")
    parser.add_argument("--settings", nargs="*", default=["features=16", "batch=32"])
    parser.add_argument("--change", nargs="*", default=["lr=1e-4"])
    parser.add_argument("--samples", type=int, default=500)
    words = parser.parse_args()
    scores = scores_of_forks(
        words.data, words.out, parents=words.parents, begin=words.begin, total=words.total, gan=words.gan,
        change=words.change, samples=words.samples, **parse_words(words.settings),
    )  # fmt: skip
    result = variances(scores)
    (words.out / "forks.json").write_text(json.dumps({"scores": scores} | result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
