"""Sliders that a person makes: kept under a name, and learned from labels, over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import exploring
import numpy as np
import pytest
import torch
from starlette.testclient import TestClient
from support import noise, on_disk, refused
from test_explore_api import HERE, is_refusal, news, opened, same

from simulacra.explore.server import Explorer
from simulacra.latent.combine import combine
from simulacra.latent.recipe import Direction, Edit, Recipe, to_w
from simulacra.latent.saved import (
    FILE,
    add_direction,
    directions_by_name,
    directions_file,
    is_read_only,
    save_directions,
)
from simulacra.latent.supervised import learn_directions
from simulacra.storage import load_generator, model_folder

EDITS = {"a": {"strength": 1.5}, "b": {"strength": -0.5}}


def axis(model: Path, name: str, number: int, layers: tuple[int, int] | None = None) -> Direction:
    """A direction along one number of w."""
    vector = torch.zeros(load_generator(model).w_dim)
    vector[number] = 1.0
    return Direction(name=name, vector=vector, kind="pca", layers=layers)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with layers and two directions."""
    folder = exploring.model(tmp_path / "styled", "stylegan2:tiny")
    save_directions([axis(folder, "a", 0), axis(folder, "b", 1)], folder)
    return folder


@pytest.fixture
def client(model: Path) -> Iterator[TestClient]:
    """A client of it."""
    explorer = Explorer(model)
    yield TestClient(explorer.application(), base_url=HERE)
    explorer.stop()


# --- kept under a name --------------------------------------------------------------------------------------


def test_what_sliders_do_together_is_kept_under_a_name(client: TestClient, model: Path) -> None:
    answer = client.post("/api/directions/save", json={"name": " hero ", "edits": EDITS}).json()
    assert [direction["name"] for direction in answer["directions"]] == ["hero", "a", "b"]
    assert answer["directions"][0] | {"about": "a +1.5, b -0.5", "own": True} == answer["directions"][0]
    assert (answer["path"], answer["bundled"]) == (str(model / FILE), False)
    before = client.post("/api/picture", json={"recipe": {"seed": 3, "edits": EDITS}}).content
    after = client.post("/api/picture", json={"recipe": {"seed": 3, "edits": {"hero": 1}}}).content
    assert same(before, opened(after))
    assert not same(before, opened(client.post("/api/picture", json={"recipe": {"seed": 3}}).content))
    assert directions_by_name(model)["hero"].own  # on disk, too


@pytest.mark.parametrize(
    ("edits", "name", "words"),
    [
        ({}, "x", "No slider is moved"),
        ({"a": 0}, "x", "No slider is moved"),
        ({"nobody": 1}, "x", "no direction called 'nobody'"),
        ({"a": 99}, "x", "from -10 to 10"),
        (EDITS, "a", "already is a direction"),
        (EDITS, "", "not empty"),
        (EDITS, "a=b", "not a name"),
        ({"a": 1, "b": {"strength": 1, "layers": [0, 2]}}, "x", "different layers"),
        ([1], "x", "recipe"),
    ],
)
def test_what_cannot_be_kept_is_told_in_a_sentence(client: TestClient, edits: Any, name: str, words: str) -> None:
    before = client.get("/api/directions").json()
    answer = client.post("/api/directions/save", json={"name": name, "edits": edits})
    assert answer.status_code == 400 and is_refusal(answer.json()) and words in answer.json()["error"]
    assert client.get("/api/directions").json() == before


def test_a_place_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("simulacra.latent.saved.user_data_path", lambda name: tmp_path / "file" / name)
    explorer = Explorer(None)
    client = TestClient(explorer.application(), base_url=HERE)
    answer = client.post("/api/directions/save", json={"name": "x", "edits": {"smile": 1}})
    assert answer.status_code == 400 and is_refusal(answer.json())
    assert str(tmp_path / "file") in answer.json()["error"] and "cannot be written" in answer.json()["error"]
    assert "x" not in [direction["name"] for direction in client.get("/api/directions").json()["directions"]]
    explorer.stop()


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_comes_along_is_kept_with_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("simulacra.latent.saved.user_data_path", lambda name: tmp_path / "data" / name)
    before = contents(model_folder())
    link = tmp_path / "link"
    link.symlink_to(model_folder())
    assert is_read_only(link) and not is_read_only(tmp_path)
    explorer = Explorer(link)  # by another path
    client = TestClient(explorer.application(), base_url=HERE)
    answer = client.post("/api/directions/save", json={"name": "hero", "edits": {"smile": 1, "glasses": 2}}).json()
    explorer.stop()
    assert answer["bundled"] and Path(answer["path"]).is_relative_to(tmp_path / "data")
    assert Path(answer["path"]).is_file() and directions_file(None) == Path(answer["path"])
    assert answer["directions"][0]["name"] == "hero" and len(answer["directions"]) == len(directions_by_name(None))
    assert contents(model_folder()) == before


def test_a_combination_is_the_same_picture_in_the_same_layers(model: Path) -> None:
    generator = load_generator(model)
    directions = {"a": axis(model, "a", 0, (1, 3)), "b": axis(model, "b", 1)}
    edits = {"a": Edit(strength=2.0), "b": Edit(strength=-1.0, layers=(1, 3))}
    combination = combine(generator, "both", edits, directions)
    assert combination.layers == (1, 3) and combination.own
    both = to_w(generator, Recipe(seed=1, edits=edits), directions)
    one = to_w(generator, Recipe(seed=1, edits={"both": Edit(strength=1.0)}), {"both": combination})
    torch.testing.assert_close(one, both)
    # all layers are the same as none in particular
    edits = {"b": Edit(strength=1.0, layers=(0, generator.num_ws))}
    assert combine(generator, "all", edits, directions).layers is None


def test_sliders_that_undo_each_other_are_no_direction(model: Path) -> None:
    directions = {"a": axis(model, "a", 0), "b": axis(model, "b", 0)}
    with refused("latent.sliders_cancel_out"):
        combine(load_generator(model), "none", {"a": Edit(strength=1.0), "b": Edit(strength=-1.0)}, directions)


def test_those_made_by_a_person_come_first(model: Path) -> None:
    for name in ("one", "two"):
        directions = add_direction(axis(model, name, 3), model)
    assert [direction.name for direction in directions] == ["one", "two", "a", "b"]


# --- learned from labels ------------------------------------------------------------------------------------


@pytest.fixture
def lesson(model: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A client of a model whose data have labels."""
    data = on_disk(tmp_path / "data", noise(60), np.arange(60) % 3)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"data": str(data)}))
    explorer = Explorer(model)
    yield TestClient(explorer.application(), base_url=HERE)
    explorer.stop()


def test_learning_is_offered_where_the_labels_can_be_reached(lesson: TestClient, tmp_path: Path) -> None:
    assert lesson.get("/api/directions/labels").json() == {"labels": 3, "why": ""}
    (tmp_path / "data").rename(tmp_path / "moved")
    reply = lesson.get("/api/directions/labels").json()
    assert reply["labels"] == 0 and "not there" in reply["why"]
    answer = lesson.post("/api/jobs/labels", json={})
    assert answer.status_code == 400 and answer.json()["error"] == reply["why"]


def test_data_without_labels_teach_nothing(model: Path, tmp_path: Path) -> None:
    data = on_disk(tmp_path / "plain", noise(60))
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"data": str(data)}))
    explorer = Explorer(model)
    client = TestClient(explorer.application(), base_url=HERE)
    assert "no labels" in client.get("/api/directions/labels").json()["why"]
    explorer.stop()


def test_directions_are_learned_with_progress(lesson: TestClient, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulacra.latent.supervised.STEPS", 3)
    monkeypatch.setattr(learn_directions, "__kwdefaults__", (learn_directions.__kwdefaults__ or {}) | {"samples": 200})
    lesson.post("/api/directions/save", json={"name": "hero", "edits": EDITS})
    events = news(lesson, lesson.post("/api/jobs/labels", json={}).json()["job"])
    assert events[-1]["state"] == "done"
    assert {event["stage"] for event in events[:-1] if "stage" in event} & {
        "Learning to read",
        "Labelling",
        "Measuring",
    }
    assert all(0 <= event["share"] <= 1 for event in events)
    assert set(events[-1]["left_out"]) == {"0", "1", "2"}  # noise cannot be read
    assert events[-1]["directions"][0]["name"] == "hero"  # what a person made stays
    assert events[-1]["path"] == str(model / FILE)
    assert lesson.get("/api/directions").json()["directions"] == events[-1]["directions"]


def test_a_lesson_is_cancelled_and_changes_nothing(lesson: TestClient, model: Path) -> None:
    before = (model / FILE).read_bytes()
    job = lesson.post("/api/jobs/labels", json={}).json()["job"]
    busy = lesson.post("/api/jobs/labels", json={})
    assert busy.status_code == 429 and is_refusal(busy.json())
    assert lesson.delete(f"/api/jobs/{job}").status_code == 200
    begun = time.monotonic()
    assert news(lesson, job)[-1] == {"state": "cancelled"}
    assert time.monotonic() - begun < 10
    assert (model / FILE).read_bytes() == before
