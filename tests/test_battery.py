"""On real pictures: scores rank damages as people do. `benchmarks/battery.py` is the whole of it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
import battery
import damages

from simulacra.data.opening import open_domain
from simulacra.measure.distances import frechet
from simulacra.measure.extractors.features import Features, open_extractor

N = 120  # twenty pictures repeated fill the five neighbours of each with copies
FEWER = {"noise": (1, 2, 4, 8), "blur": (0.3, 0.5, 1), "grid": (2, 8), "saturation": (0.75, 0.5)}
GREY = np.random.default_rng(0).integers(60, 200, (9, 16, 16, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def sets() -> dict[str, Features]:
    few = [replace(damage, strengths=FEWER[damage.name]) for damage in damages.DAMAGES if damage.name in FEWER]
    return battery.cases(open_domain("peeps"), N, open_extractor(), damages=few)


@pytest.fixture(scope="module")
def record(sets: dict[str, Features]) -> dict[str, Any]:
    return battery.scored(open_extractor(), sets)


def test_the_battery_holds(record: dict[str, Any]) -> None:
    assert record["n"] == N and len(record["cases"]) == 1 + 11 + 6
    assert record["broken"] == []


def test_what_people_see_is_told_from_reals(record: dict[str, Any]) -> None:
    for score in ("fd", "swd"):
        for case in ("blur 1 px", "20 repeated", "noise 8/255"):
            assert record["cases"][case][score] > record["floor"][score]["high"], (score, case)
    assert record["cases"]["20 repeated"]["recall"] < 0.3
    assert record["cases"]["20 repeated"]["precision"] > 0.9


def test_untreated_pictures_show_why_there_is_a_treatment(sets: dict[str, Features]) -> None:
    extractor = open_extractor().untreated
    few = [replace(damages.DAMAGES[0], strengths=(2,))]
    untreated = battery.cases(open_domain("peeps"), 60, extractor, damages=few)
    distance = {name: frechet(untreated["reals"]["112"], fake["112"]) for name, fake in untreated.items()}
    assert distance["noise 2/255"] > 5 * distance["20 repeated"] / 2 > distance[battery.OTHERS]


def test_a_broken_rule_is_named(record: dict[str, Any]) -> None:
    cases = {name: dict(case) for name, case in record["cases"].items()}
    cases["noise 2/255"]["fd"] = cases["20 repeated"]["fd"] + 1000
    cases["20 repeated"] |= {"precision": 0.5, "recall": 1.1}
    faults = battery.broken(record | {"cases": cases})
    assert "fd sees noise 2/255" in faults and "fd falls from noise 2/255 to noise 4/255" in faults
    assert {"precision falls with 20 repeated", "recall does not fall with 20 repeated"} < set(faults)


@pytest.mark.parametrize("damage", damages.DAMAGES, ids=lambda damage: damage.name)
def test_damages_are_stronger_where_they_say_so(damage: damages.Damage) -> None:
    before = GREY.copy()
    cases = damage.cases(GREY)
    assert np.array_equal(GREY, before) and len(cases) == len(damage.strengths)
    assert all(case.shape == GREY.shape and case.dtype == np.uint8 for case in cases.values())
    if damage.kind in ("quality", "colour") and damage.name != "average of":
        change = [float(np.abs(case.astype(float) - GREY).mean()) for case in cases.values()]
        assert change == sorted(change) and change[0] > 0


def test_fewer_distinct_pictures_and_classes() -> None:
    assert [len(np.unique(rows)) for rows in damages.repeated(200).values()] == [100, 40, 20]
    labels = np.repeat(np.arange(6), 10)
    kinds = [len(set(labels[rows])) for rows in damages.dropped(labels, np.arange(60), 30).values()]
    assert kinds[0] <= 5 and kinds[1] <= 4 and kinds[2] <= 3
