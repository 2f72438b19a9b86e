"""The gallery: stars and history on disk, their zip and contact sheet, and the first picture."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import exploring
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from support import refused
from test_explore_api import HERE, is_refusal, opened, same

from simulacra.explore import album, gallery, rendering
from simulacra.explore.gallery import Gallery
from simulacra.explore.loaded import LoadedGenerator, load_model
from simulacra.explore.server import Explorer
from simulacra.latent.recipe import Direction, Recipe
from simulacra.latent.saved import save_directions, user_folder
from simulacra.storage import load_generator, model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, whose models have layers, noise and a direction."""
    run = exploring.run(tmp_path_factory.mktemp("gallery") / "run", checkpoints=2)
    model = model_folder(run)
    save_directions([Direction(name="a", vector=torch.ones(load_generator(model).w_dim), kind="pca")], model)
    return run


@pytest.fixture(scope="module")
def explorer(folder: Path) -> Iterator[Explorer]:
    started = Explorer(folder)
    yield started
    started.stop()


@pytest.fixture
def client(explorer: Explorer, folder: Path) -> TestClient:
    """A client of it, with an empty gallery."""
    for path in folder.glob("gallery/*"):
        path.unlink()
    return TestClient(explorer.application(), base_url=HERE)


def change(client: TestClient, **changes: Any) -> list[Any]:
    answer = client.patch("/api/gallery", json=changes)
    assert answer.status_code == 200, answer.text
    stars: list[Any] = answer.json()["stars"]
    return stars


def test_stars_and_history_are_kept_beside_the_model(client: TestClient, folder: Path) -> None:
    assert client.get("/api/gallery").json() == {"stars": [], "history": []}
    edited = {"seed": 2, "edits": {"a": {"strength": 1.5}}}
    assert change(client, star=[{"seed": 1}, {"seed": 2, "edits": {"a": 1.5}}]) == [{"seed": 1}, edited]
    assert change(client, star=[{"seed": 1, "truncation": 1}]) == [{"seed": 1}, edited]  # the same picture
    assert change(client, unstar=[{"seed": 1}, {"seed": 9}], history=[{"seed": 5}, {"seed": 6}]) == [edited]
    change(client, history=[{"seed": 5}])
    again = Explorer(folder)  # another server
    kept = TestClient(again.application(), base_url=HERE).get("/api/gallery").json()
    again.stop()
    assert kept == {"stars": [edited], "history": [{"seed": 6}, {"seed": 5}]}
    (path,) = folder.glob("gallery/*.json")
    assert user_folder(model_folder(folder)) == folder and path.stem == client.get("/api/model").json()["model"]
    other = client.get("/api/gallery", params={"checkpoint": "000000160"}).json()
    assert other == {"stars": [], "history": []}  # its pictures are others


def test_a_model_has_its_gallery_with_it_and_a_bundled_one_with_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulacra.latent.saved.user_data_path", lambda name: tmp_path / "data")
    plain = exploring.model(tmp_path / "plain")
    assert Gallery(load_model(plain)).path.parent == plain / "gallery"
    assert Gallery(load_model(model_folder())).path.parent == tmp_path / "data" / "gallery"


def test_pages_that_change_it_at_once_lose_nothing(folder: Path, client: TestClient) -> None:
    model = load_model(model_folder(folder))
    with ThreadPoolExecutor(8) as pool:  # each with a lock of its own, like a process
        list(pool.map(lambda seed: Gallery(model).change(star=[Recipe(seed=seed)]), range(24)))
    assert sorted(star["seed"] for star in Gallery(model).read().stars) == list(range(24))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"star": [{"z": [1.0]}]}, "numbers"),
        ({"star": [{"seed": 1, "edits": {"nobody": 1}}]}, "no direction called"),
        ({"history": [{"seed": -1}]}, "seed"),
        ({"star": {"seed": 1}}, "list"),
        ({"stars": []}, "stars"),
        ({"star": [7]}, "object"),
    ],
)
def test_what_the_model_cannot_draw_is_not_kept(client: TestClient, changes: dict[str, Any], words: str) -> None:
    answer = client.patch("/api/gallery", json=changes)
    assert answer.status_code == 400 and is_refusal(answer.json()) and words in answer.json()["error"]
    assert client.get("/api/gallery").json() == {"stars": [], "history": []}


def test_there_is_a_bound(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "MAX_STARS", 3)
    monkeypatch.setattr(gallery, "MAX_HISTORY", 4)
    change(client, star=[{"seed": seed} for seed in range(3)], history=[{"seed": seed} for seed in range(9)])
    answer = client.patch("/api/gallery", json={"star": [{"seed": 3}]})
    assert answer.status_code == 400 and answer.json()["code"] == "explore.gallery_full"
    kept = client.get("/api/gallery").json()
    assert [[recipe["seed"] for recipe in kept[name]] for name in ("stars", "history")] == [[0, 1, 2], [5, 6, 7, 8]]
    monkeypatch.setattr(gallery, "MAX_HISTORY_BYTES", 25)  # room for two
    change(client, history=[{"seed": 9}])
    assert [recipe["seed"] for recipe in client.get("/api/gallery").json()["history"]] == [8, 9]


def test_another_site_changes_nothing(client: TestClient) -> None:
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"host": "evil.example"}):
        assert client.patch("/api/gallery", json={"star": [{"seed": 1}]}, headers=headers).status_code == 403
        assert client.get("/api/gallery/zip", headers=headers).status_code == 403
    assert client.get("/api/gallery").json()["stars"] == []


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "other"}', '{"format": "simulacra-gallery-1", "first": 0, "stars": [1], "history": []}'])  # fmt: skip
def test_a_damaged_file_is_named_and_stays_and_the_page_opens(client: TestClient, folder: Path, text: str) -> None:
    change(client, star=[{"seed": 1}])
    (path,) = folder.glob("gallery/*.json")
    path.write_text(text)
    for answer in (client.get("/api/gallery"), client.patch("/api/gallery", json={"star": [{"seed": 2}]})):
        assert answer.status_code == 400 and str(path) in answer.json()["error"]
    assert path.read_text() == text and client.get("/api/first").status_code == 200


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["seed", "w", "edits", "other"]), inner, max_size=3), max_leaves=6), st.sampled_from(["star", "unstar", "history", "checkpoint", "x"]))  # fmt: skip
@settings(max_examples=25)
def test_no_change_is_answered_by_a_fault(explorer: Explorer, value: Any, name: str) -> None:
    answer = TestClient(explorer.application(), base_url=HERE).patch("/api/gallery", json={name: value})
    assert answer.status_code == 200 or is_refusal(answer.json())


def test_a_renamed_direction_is_renamed_in_the_stars(tmp_path: Path) -> None:
    model = exploring.model(tmp_path / "plain")
    save_directions([Direction(name="a", vector=torch.ones(8), kind="pca")], model)
    explorer = Explorer(model)
    client = TestClient(explorer.application(), base_url=HERE)
    change(client, star=[{"seed": 1, "edits": {"a": 1}}])
    assert client.post("/api/directions/rename", json={"name": "a", "to": "hero"}).status_code == 200
    assert client.get("/api/gallery").json()["stars"] == [{"seed": 1, "edits": {"hero": {"strength": 1.0}}}]
    explorer.stop()


# --- downloads ----------------------------------------------------------------------------------------------


def test_a_zip_holds_each_starred_picture_with_its_recipe(client: TestClient, folder: Path) -> None:
    stars = [{"seed": 3}, {"seed": 4, "noise": 2}, {"seed": 5, "edits": {"a": 1}}]
    change(client, star=stars)
    (path,) = folder.glob("gallery/*.json")
    path.write_text(path.read_text().replace('"a"', '"gone"'))  # a direction that is no more
    answer = client.get("/api/gallery/zip", params={"side": 40})
    assert answer.headers["content-type"] == "application/zip"
    with ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["0001-seed3.png", "0002-seed4.png", "left_out.txt"]
        assert "gone" in archive.read("left_out.txt").decode()
        for name, recipe in zip(archive.namelist(), stars[:2], strict=False):
            assert opened(archive.read(name)).size == (40, 40)
            assert client.post("/api/open", content=archive.read(name)).json()["recipe"] == recipe
        alone = client.post("/api/picture", json={"recipe": stars[1], "side": 40}).content
        assert archive.read("0002-seed4.png") == alone


def test_a_word_is_a_seed_and_no_path_in_a_zip(client: TestClient, folder: Path) -> None:
    assert change(client, star=[{"seed": "my cat"}]) == [{"seed": "my cat"}]
    with ZipFile(io.BytesIO(client.get("/api/gallery/zip").content)) as archive:
        assert same(archive.read("0001-seedmy cat.png"), load_generator(folder).sample(["my cat"])[0])
    assert album._name("../my cat") == "seed___my cat"
    assert album._name(None) == "shaped"


def test_a_contact_sheet_shows_all_of_them(client: TestClient) -> None:
    change(client, star=[{"seed": seed} for seed in range(5)])
    sheet = opened(client.get("/api/gallery/sheet").content)
    assert sheet.size == (2 * 136 + 8, 3 * 136 + 8)
    assert [recipe["seed"] for recipe in json.loads(sheet.info["simulacra"])["recipes"]] == [0, 1, 2, 3, 4]
    first = opened(client.post("/api/picture", json={"recipe": {"seed": 0}, "side": 128}).content)
    file = io.BytesIO()
    sheet.crop((8, 8, 136, 136)).save(file, "PNG")
    assert same(file.getvalue(), first.convert("RGB"))


def test_without_stars_there_is_nothing_to_download(client: TestClient) -> None:
    for path in ("/api/gallery/zip", "/api/gallery/sheet", "/api/gallery/zip?side=1"):
        answer = client.get(path)
        assert answer.status_code == 400 and is_refusal(answer.json())


# --- the first picture --------------------------------------------------------------------------------------


def test_the_first_picture_is_the_most_typical_one_and_remembered(
    client: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (seed,) = client.get("/api/first").json()["recipe"].values()
    pictures = torch.cat(list(load_generator(folder).pictures(range(rendering.TYPICAL))))
    small = torch.nn.functional.interpolate(pictures, (16, 16), mode="area").flatten(1)
    assert seed == int(torch.cdist(small, small).mean(1).argmin())
    monkeypatch.setattr(rendering, "typical_seed", None)  # it is not looked for again
    assert client.get("/api/first").json() == {"recipe": {"seed": seed}}
    assert Gallery(load_model(model_folder(folder))).read().first == seed


def test_a_slow_model_is_not_waited_for_and_compared_afterwards(
    client: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(model_folder(folder))
    assert isinstance(model, LoadedGenerator)
    wanted, points = rendering.typical_seed(model.generator, seconds=1e9)
    assert len(points) == rendering.TYPICAL
    monkeypatch.setattr(rendering.typical_seed, "__defaults__", (None, 0.0))  # there is time for one picture
    assert client.get("/api/first").json() == {"recipe": {"seed": 0}}
    assert client.get("/api/first").json() == {"recipe": {"seed": wanted}}  # the rest was compared meanwhile


def test_a_gallery_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulacra.latent.saved.user_data_path", lambda name: tmp_path / "file" / name)
    (tmp_path / "file").touch()
    with refused("files.file_in_the_way"):
        Gallery(load_model(model_folder())).change(star=[Recipe(seed=1)])
