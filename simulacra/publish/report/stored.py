"""A certificate stores its sentences in English. Here they are composed again from its numbers, as messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simulacra.data.dataset import Dataset, Pair
from simulacra.files import JsonObject
from simulacra.measure.copy_detection import LEAST_UNSEEN
from simulacra.measure.metrics import of_score
from simulacra.measure.scores import ENOUGH
from simulacra.measure.translation import cycle
from simulacra.messages import Message, language, text, using

STORED_LANGUAGE = "en"


def stored_sentences(certificate: JsonObject, data: Dataset | Pair | None) -> dict[str, Message]:
    """Messages by their stored English sentence. Those of another version of simulacra may be missing."""
    with using(STORED_LANGUAGE):
        return {str(message): message for message in _candidates(certificate, data)}


def meaning(name: str, score: Mapping[str, Any]) -> str:
    """The stored text about a score; in another language that of its metric, where it is installed."""
    metric = of_score(name)
    if metric is None or language() == STORED_LANGUAGE:
        return str(score.get("what", ""))
    return text("measure.what_ratio") if "-ratio" in name.removeprefix(metric.name) else text(metric.what)


def _candidates(certificate: JsonObject, data: Dataset | Pair | None) -> Iterator[Message]:
    """All messages whose values the certificate holds."""
    name, reals = certificate["data"]["name"], certificate["data"]["pictures"]
    yield Message("measure.warn_other_data", data=name)
    yield Message("measure.warn_few", number=reals)
    yield Message("measure.warn_bias", reals=reals, fakes=certificate["n"], enough=ENOUGH)
    yield Message("measure.warn_trained_on")
    yield Message("measure.warn_swapped", data=name)
    yield from _copies(certificate, data)
    scores = certificate["scores"]
    for key, entry in certificate.get("honesty", {}).items():
        direction = certificate["directions"][key]
        title = Message("measure.direction", source=direction["from"], target=direction["to"])
        clean, disturbed = (scores.get(f"{metric}:{key}") for metric in ("cycle-l1", "cycle-l1-disturbed"))
        if clean and disturbed:
            yield cycle.verdict(entry["value"], clean["value"], disturbed["value"], title)[1]


def _copies(certificate: JsonObject, data: Dataset | Pair | None) -> Iterator[Message]:
    """Messages of the search for copies."""
    yield Message("measure.copies_held_out_twice")
    search = certificate.get("memorisation", {})
    if "training_pictures" in search and "held_out" in search:
        yield Message("measure.copies_few_training", number=search["training_pictures"])
        yield Message("measure.copies_few_held_out", number=search["held_out"], least=LEAST_UNSEEN)
    score = next((score for name, score in certificate["scores"].items() if name.startswith("memorisation")), None)
    if score is None or score.get("floor") is None or not isinstance(data, Dataset):
        return
    values = {"near": round(score["value"] * score["n"]), "fakes": score["n"], "expected": score["floor"]}
    values |= {"held_out": sum(data.splits.get(part, 0) for part in ("valid", "test"))}
    values |= {key: search[key] for key in ("near", "expected", "held_out") if key in search}
    yield Message("measure.copying_by_attributes", **values)
    outcomes = [Message("measure.copying", **values), Message("measure.no_copying", **values)]
    if (detectable := search.get("detectable")) is not None:
        outcomes.append(Message("measure.no_copying_above", **values, detectable=detectable))
    for outcome in outcomes:
        yield outcome
        yield Message("measure.copies_attributes", outcome=outcome)
