"""The registry of metrics. `evaluate`, `choose`, `compare`, the certificate and the command line read it; nothing else
lists metrics.

A metric of two sets of features is complete with a name, a layer, a sentence and a function:

    register(Metric(name="gap", layer="kid", better="lower", what="Distance of the mean features.", score=gap))

Packages add their own by an entry point of the group `simulacra.metrics`: a `Metric`, or a module that registers some.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Literal, get_args

from simulacra.console import warn
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.measure.distances import Floats
from simulacra.measure.intervals import Resampled, bootstrap
from simulacra.messages import Message
from simulacra.model import Task

# near 1: reals score about 1, and above is as bad as below; empty: no direction is better
Better = Literal["lower", "higher", "near 1", ""]
TASKS: tuple[Task, ...] = get_args(Task)
GROUP = "simulacra.metrics"
BUILT_IN = (  # modules of this room with METRICS, in the order of a certificate
    "feature_metrics",
    "grain",
    "memorisation",
    "path_length",
    "inception_score",
    "per_class",
    "attribute_accuracy",
    "translation.cycle",
    "translation.ground_truth",
)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric: either `score` compares features of reals and fakes, or `compute` works on an evaluation's context."""

    name: str  # a score is called NAME-EXTRACTOR-LAYER
    what: str  # a message code, or a sentence: what the number means
    better: Better
    word: str = ""  # of `--metrics`; the name if empty. Metrics with one word come together
    tasks: tuple[Task, ...] = TASKS
    layer: Literal["fd", "kid", "neighbour", "second"] = "kid"  # of the extractor; second: of the second judge
    # reals [N, D], fakes [M, D] -> the score; also gives the floor, reals against reals
    score: Callable[[Floats, Floats], float] | None = None
    # The same with bootstrap replicates, where there is a faster way than `bootstrap`; several metrics may share one
    # function that returns all of their scores by name
    resample: Callable[[Floats, Floats], Resampled | Mapping[str, Resampled]] | None = None
    # context -> scores by name, and further entries of the certificate; metrics with one function share one call
    compute: Callable[[Any], tuple[Mapping[str, Any], dict[str, Any]]] | None = None
    possible: Callable[[Any], bool] = lambda context: True  # whether model and data allow it

    @property
    def option(self) -> str:
        """The word that `--metrics` takes for it."""
        return self.word or self.name

    def resampled(self, real: Floats, fake: Floats) -> Mapping[str, Resampled]:
        """The resampled score by metric name, with those of metrics that share its function."""
        assert self.score is not None
        scores = self.resample(real, fake) if self.resample else bootstrap(self.score, real, fake)
        return {self.name: scores} if isinstance(scores, Resampled) else scores


_METRICS: dict[str, Metric] = {}
_BUILT_IN: set[Metric] = set()


def register(metric: Metric) -> Metric:
    """Add a metric to the registry. Warns where it replaces another one of its name."""
    if (metric.score is None) == (metric.compute is None):
        raise TypeError(f"the metric {metric.name} must define score or compute, and not both")
    if _METRICS.get(metric.name, metric) != metric:
        warn("measure.metric_replaced", name=metric.name)
    _METRICS[metric.name] = metric
    return metric


def metrics(task: Task | None = None) -> list[Metric]:
    """All metrics, or those of a task: the built-in ones first, in the order in which a certificate has them."""
    _load()
    return [metric for metric in _METRICS.values() if task is None or task in metric.tasks]


def feature_metrics(task: Task, *, built_in: bool = False) -> list[Metric]:
    """Those that compare two sets of features; `built_in`: without those of other packages."""
    return [metric for metric in metrics(task) if metric.score and (metric in _BUILT_IN or not built_in)]


def by_name(name: str) -> Metric:
    """The metric called `name`."""
    _load()
    return _METRICS[name]


def words(task: Task) -> list[str]:
    """What `--metrics` takes for a task."""
    return list(dict.fromkeys(metric.option for metric in metrics(task)))


def find(names: Iterable[str], task: Task) -> list[Metric]:
    """The metrics of the words of `--metrics`, in their order. Raises `SimulacraError` for an unknown word."""
    choices = words(task)
    for name in names:
        if name not in choices:
            hint = did_you_mean(name, choices) or Message("measure.metric_choices", names=choices)
            raise SimulacraError("measure.unknown_metric", name=name, hint=hint)
    return [metric for name in names for metric in metrics(task) if metric.option == name]


def of_score(name: str) -> Metric | None:
    """The metric that a score belongs to, by the score's name: `kid-efl0-1280-ratio:a2b` -> `kid`."""
    matches = [metric for metric in metrics() if f"{name.partition(':')[0]}-".startswith(f"{metric.name}-")]
    return max(matches, key=lambda metric: len(metric.name), default=None)


@functools.cache
def _load() -> None:
    for module in BUILT_IN:
        for metric in importlib.import_module(f"simulacra.measure.{module}").METRICS:
            _BUILT_IN.add(metric)
            _METRICS.setdefault(metric.name, metric)
    for point in entry_points(group=GROUP):
        _load_outside(point)


def _load_outside(point: EntryPoint) -> None:
    """Register what an entry point names; a broken one is a warning."""
    try:
        value = point.load()
        if isinstance(value, Metric):
            register(value)
        elif not isinstance(value, ModuleType):
            raise TypeError(f"{point.value} is {type(value).__name__}, not a Metric or a module")
    except Exception as error:  # whatever an installed package raises
        warn("measure.broken_metric", name=point.name, package=point.dist.name if point.dist else "?", error=error)
