"""What the room writes as JSON: a certificate, a line of `scores.jsonl`, `best.json`, a comparison.

Sentences are stored in English. One that was just computed remembers its message, so that it can be shown in another
language: `shown`.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from simulacra.messages import Message, using


class IntervalRecord(TypedDict):
    """A score with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class ScoreRecord(IntervalRecord):
    """A score; see `scores.Score`."""

    n: int
    n_real: int
    better: str
    what: str
    floor: NotRequired[float | None]
    n_floor: NotRequired[int | None]


class ModelRecord(TypedDict):
    """The model that was scored."""

    hash: str
    gan: str
    nimg: int | None
    folder: NotRequired[str]
    run: NotRequired[str | None]


class DataRecord(TypedDict):
    """The real pictures it was compared with."""

    name: str
    hash: str
    on: str
    inputs: NotRequired[str]  # translators: the part that was translated
    pictures: int
    size: list[int]


# One direction of a translation: the domains' names, pictures translated, reals compared with
DirectionRecord = TypedDict("DirectionRecord", {"from": str, "to": str, "n": int, "n_real": int})


class Certificate(TypedDict):
    """`certificate.json`: the scores of a model, and everything that decided them."""

    format: str
    task: NotRequired[str]  # draw or translate
    model: ModelRecord
    extractor: dict[str, str]
    versions: dict[str, str]
    data: DataRecord
    n: int
    seeds: NotRequired[str]
    leads: str  # name of the score that decides
    warnings: list[str]
    directions: NotRequired[dict[str, DirectionRecord]]
    honesty: NotRequired[dict[str, Any]]
    memorisation: NotRequired[dict[str, Any]]
    nearest: NotRequired[list[dict[str, Any]]]
    within: NotRequired[dict[str, Any]]
    attributes: NotRequired[dict[str, Any]]
    scores: dict[str, ScoreRecord]


class ScoreLine(TypedDict):
    """A line of `scores.jsonl`: the scores of a checkpoint and the terms that decided them."""

    nimg: int
    model: str  # the model's hash
    extractor: dict[str, str]
    on: str
    data: str  # hash
    n: int
    n_real: int
    seeds: NotRequired[str]
    inputs: NotRequired[str]
    directions: NotRequired[dict[str, DirectionRecord]]
    leads: str
    second: NotRequired[str | None]  # name of the second judge's score
    scores: dict[str, ScoreRecord]


class Standing(IntervalRecord):
    """The leading score of a checkpoint."""

    nimg: int
    by: str


class Best(Standing):
    """`best.json`: the chosen checkpoint, and why. Its scores and those of `last` are those of `anew`, if there are any."""

    checkpoint: str
    model: str
    last: Standing
    why: str
    scored: int  # checkpoints
    choice: NotRequired[dict[str, IntervalRecord]]  # the scores of best and last that decided, which flatter the best
    second: NotRequired[dict[str, Any]]  # the checkpoint that the second judge would choose, and its score
    anew: NotRequired[dict[str, Any]]  # best and last, scored with seeds or pictures that had no part in the choice


class Difference(TypedDict):
    """A score of two models."""

    a: IntervalRecord
    b: IntervalRecord
    difference: IntervalRecord
    p: float | None  # corrected for the number of scores, see `verdict`; None where no direction is better
    better: str | None  # a or b, where p is at most 0.05


class Verdict(TypedDict):
    """Which of two models is better."""

    better: str | None  # a or b, where both judges find it better
    agree: bool | None  # whether both judges find the same; None without a second judge
    sentence: str
    picture: NotRequired[str]  # path of both models' pictures, side by side


class Comparison(TypedDict):
    """What `compare` returns."""

    a: dict[str, str]  # name and hash of the model, name and hash of the data that it was trained on
    b: dict[str, str]
    extractor: dict[str, str]
    on: str
    data: str  # name
    n: int
    n_real: int
    seeds: NotRequired[str]
    inputs: NotRequired[str]
    directions: NotRequired[dict[str, DirectionRecord]]
    leads: str  # name of the first judge's score
    second: str | None  # name of the second judge's score
    verdict: Verdict
    warnings: list[str]
    scores: dict[str, Difference]


class SetRecord(TypedDict):
    """One of the sets that `score` compares."""

    name: str
    kind: str  # folder, zip, tar, data set, model, …
    hash: str  # of the pictures as they were compared, whatever their names and order
    pictures: int  # that were compared
    of: int  # that there are; of a model, those that were drawn
    size: list[int]  # median height and width
    resized: int
    enlarged: int
    set_aside: int  # unusable
    rejects: list[dict[str, str]]  # the first of them, with their reasons
    part: NotRequired[str]
    data: NotRequired[str]  # the dataset's hash
    model: NotRequired[str]  # hash
    gan: NotRequired[str]
    seeds: NotRequired[str]


class SetScores(TypedDict):
    """What `score` returns: the scores of one set against another, and everything that decided them."""

    format: str
    fakes: SetRecord
    reals: SetRecord
    unseen: NotRequired[SetRecord]
    size: list[int]  # height and width that all pictures were brought to
    resize: str
    extractor: dict[str, str]
    treatment: int  # version of what happens to a picture before the extractor
    versions: dict[str, str]
    n: int
    n_real: int
    leads: str
    second: str | None  # name of the second judge's score
    p: dict[str, float]  # by score of a judge: how probable a score so high is for sets of one source
    warnings: list[str]
    memorisation: NotRequired[dict[str, Any]]
    nearest: list[dict[str, Any]]
    scores: dict[str, ScoreRecord]


class Sentence(str):
    """English text that remembers its message."""

    message: Message


def english(message: Message | str) -> str:
    """A message as it is stored."""
    if not isinstance(message, Message):
        return message
    with using("en"):
        text = Sentence(message)
    text.message = message
    return text


def shown(text: str) -> str:
    """A stored text in the language in use, where it was computed in this process; else as it is."""
    return str(text.message) if isinstance(text, Sentence) else text
