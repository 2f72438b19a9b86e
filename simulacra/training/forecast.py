"""Forecast of a run: its speed, timed on a copy before it starts, how long it takes, and what follows from that.

The copy has networks, optimizers and pictures of its own, and each step sets its seed, so the run itself is the same to
the bit as without a forecast.
"""

from __future__ import annotations

import gc
import math
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

from simulacra import distributed
from simulacra.data.dataset import Dataset
from simulacra.device import choose_device, set_threads
from simulacra.errors import SimulacraError
from simulacra.gan import GAN
from simulacra.measure.choose import SAMPLES, read_scores, since_best
from simulacra.measure.extractors.weights import bundled_weights
from simulacra.messages import Message
from simulacra.training import threads, trainer
from simulacra.training.cuda_graphs import EAGER
from simulacra.training.existing import Existing
from simulacra.training.journal import read_journal
from simulacra.training.lengths import SIDE as SMALLEST
from simulacra.training.lengths import images_needed
from simulacra.training.options import TrainOptions
from simulacra.training.plan import Plan, Values, plan
from simulacra.training.trainer import Trainer, TrainingDiverged

FEW_STEPS = 500  # shorter runs are over before a forecast of them is read
ROUNDS = 4  # rounds that are timed; in a round, D and G have their steps
SECONDS = 1.0  # timing ends after so long, if every kind of step was timed
CYCLE = 64  # steps of both from whose kinds a lazy penalty's share is counted
STAGES = 4  # moments at which a GAN that changes with time is timed
PROVISIONAL = 1_000_000  # images that schedules are laid out for while a run by minutes is timed
OVERHEAD = 0.05  # of a run's time goes into previews, journal and checkpoints
LONG = 3 * 3600.0  # seconds; a size that takes longer is too large for the machine
SHORT = 3600.0  # seconds that the size that is recommended instead takes at most
COMPILERS = ("c++", "g++", "clang++", "cl")
COMPILED = 600.0  # seconds; a longer run repays the half minute on all cores in which its steps are compiled

SCORING_SHARE = 0.05  # of a run's time, which scores may take
SCORE_SECONDS = 3.0  # of a score: its intervals
PICTURE_SECONDS = {"cpu": 4e-3, "other": 5e-4}  # of a score, for each fake: both judges' features
STEP_IN_DRAWINGS = 6  # a picture's training costs at least as much as drawing so many
FEWEST_PICTURES = 10  # of the training part
RECENT = 10  # journal lines from which a resumed run's speed is read
FEWEST, MOST = 5, 20  # scores of a run; fewer would not tell whether it still improves

UNITS = (  # length in seconds, most of them, and the words
    (1, 90, "forecast.seconds"),
    (60, 90, "forecast.minutes"),
    (3600, 36, "forecast.hours"),
    (86400, math.inf, "forecast.days"),
)

Make = Callable[[Plan], Trainer]
Times = defaultdict[tuple[str, Hashable], list[float]]  # seconds of steps, by player and graph key


def forecast(
    data: str | Path, options: TrainOptions, settings: Values, make_trainer: Make, first: Existing | None = None
) -> Plan:
    """The plan of `train`, with the speed of its run on this machine and what depends on it.

    Where minutes decide, the schedules' length is the images that will be shown in them. Scores are taken while training
    where they cost less than `SCORING_SHARE` of the time, and a long run on a CPU compiles its steps. A resumed run stays
    as it is, unless a new length is given. first: see `plan`.
    """
    resolved = plan(data, options, settings, first=first)
    set_threads(resolved.threads)
    minutes, total, batch = resolved.clock.minutes, resolved.clock.total, resolved.config.batch
    if total is not None and total < FEW_STEPS * batch:
        return resolved
    if resolved.resumed:
        return _extended(resolved, options)
    if total is not None:
        timed = _timed(resolved, options, lambda: _speed(make_trainer, resolved, total))
        return _compiled(_scored(timed, options), options)
    assert minutes is not None
    trial = plan(data, options, settings, schedule=PROVISIONAL, first=first)
    timed = _timed(resolved, options, lambda: _speed(make_trainer, trial, PROVISIONAL))
    if timed.speed is None:
        return resolved
    scheduled = plan(data, options, settings, schedule=images_in(timed, 60 * minutes), first=first)
    return _compiled(_scored(replace(scheduled, speed=timed.speed, threads=timed.threads), options), options)


def _extended(resumed: Plan, options: TrainOptions) -> Plan:
    """The plan of a resumed run; where a new length is given, with the speed of its journal and perhaps scores."""
    if options.total is options.epochs is options.minutes is None:
        return resumed
    speeds = [line["images_per_second"] for line in read_journal(resumed.folder / "journal.jsonl")[-RECENT:]]
    return _scored(replace(resumed, speed=max(1e-3, median(speeds))), options) if speeds else resumed


def _timed(resolved: Plan, options: TrainOptions, speed: Callable[[], float | None]) -> Plan:
    """The plan with its speed, and with the number of threads that is fastest, if that is undecided."""
    decided = resolved.threads is not None or choose_device(options.device).type != "cpu" or distributed.world() > 1
    measured = speed() if decided else threads.fastest(speed)
    return replace(resolved, speed=measured, threads=torch.get_num_threads())


# --- the speed ----------------------------------------------------------------------------------------------------


def _speed(make_trainer: Make, trial: Plan, total: int) -> float | None:
    """Images a second of a run of `total` images with the settings of `trial`; None for one that diverges at once."""
    try:
        return images_per_second(make_trainer(replace(trial, compile=False)), total)
    except TrainingDiverged:
        return None
    finally:
        if torch.cuda.is_available():  # a recording holds the memory of its steps
            gc.collect()
            torch.cuda.empty_cache()


def images_per_second(trial: Trainer, total: int) -> float:
    """Images a second of a run of `total` images, the same in all processes; `trial` is spent on it."""
    steady = not trial.gan.grows and all(trial.gan.graph_key(player) is not None for player in ("D", "G"))
    shares = [0.0] if steady else [(stage + 0.5) / STAGES for stage in range(STAGES)]
    speeds = [_speed_at(trial, int(share * total)) for share in shares]
    speed = torch.tensor(1 / mean(1 / speed for speed in speeds), device=trial.device)
    distributed.average([speed])
    return float(speed)


def _speed_at(trial: Trainer, nimg: int) -> float:
    """Images a second after `nimg` images. Kinds of steps, such as those with a lazy penalty, count by their share."""
    batch = trial.config.batch
    steps = dict.fromkeys(("D", "G"), nimg // batch)
    times, images = Times(list), 0
    for rounds in [1] * (1 if trial.recorder is None else EAGER + 1) + [ROUNDS]:  # the first steps are slower
        trial.nimg, trial.steps = steps["D"] * batch, dict(steps)
        times.clear()
        began = trainer.seconds_now()
        for number in range(1, rounds + 1):
            _time_round(trial, times)
            if number > 1 and trainer.seconds_now() - began > SECONDS and distributed.world() == 1:
                break
        images = (trial.nimg - steps["D"] * batch) // number
    spent = 0.0
    for player, shares in _shares(trial, steps).items():
        kinds = {key: values for (who, key), values in times.items() if who == player}
        if not kinds:  # the adaptive balance may give all rounds to G
            continue
        weights = {key: shares[key] or 1 for key in kinds}
        spent_once = sum(weights[key] * median(values) for key, values in kinds.items()) / sum(weights.values())
        spent += spent_once * sum(map(len, kinds.values())) / number
    return max(1, images) / max(1e-9, spent)


def _time_round(trial: Trainer, times: Times) -> None:
    """Add the seconds of each step up to the next one of G."""
    player = ""
    while player != "G":
        player, began = trial.balance.next(), trainer.seconds_now()
        trial.step()
        if trial.device.type != "cpu":
            torch.accelerator.synchronize()
        times[player, trial.gan.graph_key(player)].append(trainer.seconds_now() - began)


def _shares(trial: Trainer, steps: Mapping[str, int]) -> dict[str, Counter[Hashable]]:
    """How often each kind of step comes, by player."""
    shares: dict[str, Counter[Hashable]] = {player: Counter() for player in steps}
    for number in range(CYCLE):
        at = {player: count + number for player, count in steps.items()}
        trial.gan.on_step_start(at["D"] * trial.config.batch, at)
        for player, counter in shares.items():
            counter[trial.gan.graph_key(player)] += 1
    return shares


# --- what follows from it -----------------------------------------------------------------------------------------


def _scored(resolved: Plan, options: TrainOptions) -> Plan:
    """The plan with scores while training, if they are undecided and cost little beside it."""
    if resolved.speed is None or resolved.clock.measure is not None or resolved.gan.task != "draw":
        return resolved
    picture = PICTURE_SECONDS["cpu" if choose_device(options.device).type == "cpu" else "other"]
    cost = SCORE_SECONDS + SAMPLES * (picture + 1 / (STEP_IN_DRAWINGS * resolved.speed))
    count = min(MOST, int(SCORING_SHARE * seconds(resolved) / cost))
    if count < FEWEST or not _can_score(resolved):
        return resolved
    images = resolved.clock.total or images_in(resolved, seconds(resolved))
    batch = resolved.config.batch
    measure = math.ceil(images / count / batch) * batch
    decided = options.patience is not None or resolved.resumed
    patience = resolved.patience if decided else min(resolved.patience, max(FEWEST - 1, count // 2))
    return replace(resolved, clock=replace(resolved.clock, measure=measure), patience=patience)


def _compiled(resolved: Plan, options: TrainOptions) -> Plan:
    """The plan with compiled steps, if they are undecided, can be had and pay for themselves: each is timed both ways."""
    gan, device = resolved.gan, choose_device(options.device)
    if resolved.speed is None or options.compile is not None or options.micro is not None or device.type != "cpu":
        return resolved
    changing = gan.on_step_start is not GAN.on_step_start and gan.graph_key is GAN.graph_key
    able = gan.task == "draw" and not (gan.grows or changing) and any(map(shutil.which, COMPILERS))
    return replace(resolved, compile=able and seconds(resolved) >= COMPILED)


def _can_score(resolved: Plan) -> bool:
    """Whether there are the extractor's weights, and pictures to compare with."""
    try:
        bundled_weights(None)
    except SimulacraError:
        return False
    return len(resolved.data) >= FEWEST_PICTURES


def seconds(resolved: Plan) -> float:
    """About how long a run takes, in all sessions together."""
    if resolved.clock.minutes is not None:
        return 60 * resolved.clock.minutes
    assert resolved.clock.total is not None
    return seconds_of(resolved, resolved.clock.total)


def seconds_of(resolved: Plan, images: int) -> float:
    """Seconds in which so many images are shown."""
    assert resolved.speed
    return images / (resolved.speed * (1 - OVERHEAD))


def images_in(resolved: Plan, seconds: float) -> int:
    """Images shown in so many seconds: whole batches."""
    assert resolved.speed
    batch = resolved.config.batch
    return max(1, round(seconds * resolved.speed * (1 - OVERHEAD) / batch)) * batch


# --- sentences ----------------------------------------------------------------------------------------------------


def sentences(resolved: Plan) -> list[Message]:
    """What to expect of a run before it starts; nothing where its speed was not measured."""
    clock, needed = resolved.clock, resolved.needed
    if not resolved.speed:
        return []
    values: dict[str, Any] = {"speed": resolved.speed, "time": duration(seconds(resolved))}
    values["images"] = clock.total or images_in(resolved, seconds(resolved))
    may_stop = clock.measure and 0 < resolved.patience < values["images"] / clock.measure
    values["stops"] = Message("forecast.stops") if may_stop else ""
    cores, few = os.cpu_count() or 1, list[Message]()
    if resolved.threads and resolved.threads < cores:
        few = [Message("forecast.threads", threads=resolved.threads, cores=cores)]
    if resolved.resumed or needed is None:
        return [Message("forecast.in_all" if resolved.resumed else "forecast.length", **values), *few]
    first, good = (duration(seconds_of(resolved, images)) for images in (needed.first, needed.good))
    by_auto = clock.total == needed.good
    sentence = Message("forecast.by_auto" if by_auto else "forecast.beside_needed", first=first, good=good, **values)
    return [sentence, *few, *_too_large(resolved)]


def _too_large(resolved: Plan) -> list[Message]:
    """Advice to take smaller pictures where good ones of this side take too long on this machine."""
    assert resolved.needed and resolved.speed and isinstance(resolved.data, Dataset)
    side, batch = min(resolved.data.shape[1:]), resolved.config.batch
    if seconds_of(resolved, resolved.needed.good) < LONG or side < 2 * SMALLEST:
        return []
    smaller, time = side, LONG
    while time > SHORT and smaller >= 2 * SMALLEST:
        smaller //= 2
        images = images_needed(resolved.data, batch, smaller).good
        time = seconds_of(resolved, images) * (smaller / side) ** 2
    return [Message("forecast.too_large", side=side, smaller=smaller, time=duration(time))]


def longer(resolved: Plan, nimg: int, seconds: float) -> Message | None:
    """Advice to train on after `nimg` images and `seconds` of training, for a run that still improves.

    By its scores where there are some, else by the images that good pictures take.
    """
    if resolved.gan.task != "draw":
        return None
    scores = len(read_scores(resolved.folder)) if resolved.clock.measure else 0
    improves = since_best(resolved.folder) == 0 if scores > 1 else resolved.needed and nimg < resolved.needed.good
    minutes = max(1, math.ceil(2 * seconds / 60))
    return Message("forecast.longer", folder=resolved.folder, minutes=minutes) if improves else None


def duration(seconds: float) -> Message:
    """About how long, in one unit."""
    length, _, code = next(unit for unit in UNITS if seconds < unit[0] * unit[1])
    count = seconds / length
    return Message(code, count=round(count, 1) if length >= 3600 and count < 10 else max(1, round(count)))
