"""Scores with a name, an interval and a sentence. A name carries extractor and layer: `fd-efl0d-112` is not FID."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from simulacra.measure.distances import checked_pair
from simulacra.measure.extractors.features import SECOND, Extractor, Features
from simulacra.measure.intervals import Floor, Resampled, floor
from simulacra.measure.metrics import Better, Metric, by_name, feature_metrics
from simulacra.measure.score_records import IntervalRecord, ScoreRecord, english
from simulacra.messages import Message
from simulacra.model import Task

ENOUGH = 2000  # pictures on each side from which the Fréchet distance is steady: its bias is small


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score with its 95 % interval, as a certificate holds it."""

    value: float
    low: float
    high: float
    n: int  # fakes
    n_real: int
    better: Better
    what: Message | str
    floor: float | None = None  # the same score of reals against reals, half against half
    n_floor: int | None = None  # pictures in each half

    def to_json(self) -> ScoreRecord:
        """As JSON: numbers to six digits, the sentence in English."""
        values: Any = {key: round_to(value) for key, value in vars(self).items()}
        record: ScoreRecord = values | {"what": english(self.what)}
        return record


@dataclass(frozen=True, kw_only=True)
class ResampledScore:
    """A score with its bootstrap replicates, so that another model's can be subtracted."""

    resampled: Resampled
    better: Better
    what: Message | str
    n: int
    n_real: int
    floor: Floor | None = None

    def score(self) -> Score:
        """The score with its interval."""
        interval, least = self.resampled.interval(), self.floor
        return Score(
            **vars(interval),
            n=self.n,
            n_real=self.n_real,
            better=self.better,
            what=self.what,
            floor=least.value if least else None,
            n_floor=least.n if least else None,
        )


def as_score(score: Score | ResampledScore) -> Score:
    """Either kind of score as a `Score`."""
    return score if isinstance(score, Score) else score.score()


def layer_of(metric: Metric, extractor: Extractor) -> str:
    """The layer whose features a metric compares."""
    layers = {"fd": extractor.fd_layer, "kid": extractor.kid_layer, "second": SECOND}
    return layers.get(metric.layer, extractor.neighbour_layer)


def score_name(metric: Metric, extractor: Extractor) -> str:
    """`fd-efl0d-112` for the metric `fd`; the second judge's has no extractor in its name."""
    if metric.layer == "second":
        return f"{metric.name}-{SECOND}"
    return f"{metric.name}-{extractor.name}-{layer_of(metric, extractor)}"


def leading_metric() -> Metric:
    """The metric that decides: the Fréchet distance.

    In `benchmarks/battery.py` it tells most damages from reals more surely than KID, from 50 pictures on, dropped kinds
    and repeated pictures above all. Its bias is the same for all models that are scored on as many pictures.
    """
    return by_name("fd")


def second_metric(task: Task) -> Metric | None:
    """The metric that decides for the second judge, which compares features that nothing was trained for."""
    return next((metric for metric in feature_metrics(task, built_in=True) if metric.layer == "second"), None)


def judges(task: Task, taught: bool = False) -> tuple[Metric, Metric | None]:
    """The metric that decides and the second judge's; the second judge's alone where the first network was a teacher."""
    first, second = leading_metric(), second_metric(task)
    return (second, None) if taught and second else (first, second)


def resampled(extractor: Extractor, real: Features, fake: Features, metrics: Iterable[Metric]) -> dict[str, Resampled]:
    """Scores by name, resampled with one seed, so that those of two models can be subtracted."""
    scores: dict[str, Resampled] = {}
    by_metric: dict[str, Resampled] = {}
    for metric in metrics:
        if metric.name not in by_metric:
            layer = layer_of(metric, extractor)
            by_metric |= metric.resampled(*checked_pair(real[layer], fake[layer]))
        scores[score_name(metric, extractor)] = by_metric[metric.name]
    return scores


def score_features(
    extractor: Extractor,
    real: Features,
    fake: Features,
    metrics: Iterable[Metric],
    floors: Mapping[str, Floor | None] | None = None,
) -> dict[str, ResampledScore]:
    """Scores by name, with sentences. `floors`: from `floors_of`, where they are needed."""
    metrics = list(metrics)
    values = resampled(extractor, real, fake, metrics)
    n, n_real = len(fake[extractor.fd_layer]), len(real[extractor.fd_layer])
    return {
        name: ResampledScore(
            resampled=score, better=metric.better, what=Message(metric.what), n=n, n_real=n_real,
            floor=(floors or {}).get(name),
        )
        for metric, (name, score) in zip(metrics, values.items(), strict=True)
    }  # fmt: skip


def groups(metrics: Iterable[Metric]) -> list[list[Metric]]:
    """Metrics that share a function come together, in their order, so that each group can be scored alone."""
    shared: dict[Any, list[Metric]] = {}
    for metric in metrics:
        shared.setdefault((metric.layer, metric.resample or metric.name), []).append(metric)
    return list(shared.values())


def floors_of(
    extractor: Extractor, real: Features, metrics: Iterable[Metric], unseen: Features | None = None
) -> dict[str, Floor | None]:
    """Floors by score name: the metric between reals and reals, half against half, or against `unseen` ones."""
    floors: dict[str, Floor | None] = {}
    for metric in metrics:
        layer, score = layer_of(metric, extractor), metric.score
        assert score is not None
        floors[score_name(metric, extractor)] = (
            floor(score, real[layer])
            if unseen is None
            else Floor(score(*checked_pair(real[layer], unseen[layer])), len(unseen[layer]))
        )
    return floors


def interval_record(score: Resampled) -> IntervalRecord:
    """A resampled score with its interval, as JSON."""
    record: Any = {key: round_to(value) for key, value in vars(score.interval()).items()}
    interval: IntervalRecord = record
    return interval


def round_to(value: Any) -> Any:
    """A number to six digits; anything else unchanged."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
