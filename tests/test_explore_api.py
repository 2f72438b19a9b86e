"""The explorer's server: pictures as the library draws them, and manners towards everybody else."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import exploring
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from starlette.testclient import TestClient
from support import bomb, refused

from simulacra.errors import SimulacraError
from simulacra.explore import server
from simulacra.explore.background import JobRunner
from simulacra.explore.refusals import Busy
from simulacra.explore.server import Explorer
from simulacra.explore.worker import Worker
from simulacra.generator import to_image
from simulacra.latent.recipe import Direction
from simulacra.latent.saved import save_directions
from simulacra.messages import LANGUAGES, Message, catalogue
from simulacra.provenance import read_provenance
from simulacra.sampling import write_pictures
from simulacra.storage import load_generator

HERE = "http://127.0.0.1:8666"
SOAK = int(os.environ.get("SIMULACRA_SOAK", "0"))  # more requests, see `make soak`
LIMIT = 20.0  # seconds within which every request is answered
REFUSED = {400, 403, 404, 405, 413, 429}

Open = Callable[[Path], TestClient]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models and a run."""
    root = tmp_path_factory.mktemp("explore")
    exploring.model(root / "plain")
    exploring.model(root / "styled", "stylegan2:tiny")
    exploring.model(root / "labelled", "dcgan:tiny+labels")
    exploring.run(root / "run")
    save_directions(
        [Direction(name=name, vector=torch.ones(8) * (i + 1), kind="pca") for i, name in enumerate("ab")],
        root / "plain",
    )
    return root


@pytest.fixture(scope="module")
def clients(folder: Path) -> Iterator[dict[str, TestClient]]:
    """A client of each."""
    explorers = {name: Explorer(folder / name) for name in ("plain", "styled", "labelled", "run")}
    yield {name: TestClient(explorer.application(), base_url=HERE) for name, explorer in explorers.items()}
    for explorer in explorers.values():
        explorer.stop()


@pytest.fixture(scope="module")
def plain(clients: dict[str, TestClient]) -> TestClient:
    """A client of the model without layers or labels."""
    return clients["plain"]


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def same(data: bytes, image: Image.Image) -> bool:
    return np.array_equal(np.asarray(opened(data)), np.asarray(image))


def news(client: TestClient, job: str) -> list[dict[str, Any]]:
    """All that a job says until its end."""
    text = client.get(f"/api/jobs/{job}/events").text
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line]


def photo(side: int = 40) -> bytes:
    file = io.BytesIO()
    pixels = np.linspace(0, 255, side * side * 3).reshape(side, side, 3).astype(np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def is_refusal(answer: Any) -> bool:
    """Whether a JSON answer is a refusal: a sentence, its code and its values."""
    return (
        set(answer) == {"error", "code", "values"} and len(answer["error"]) > 10 and "Traceback" not in answer["error"]
    )


# --- pictures -----------------------------------------------------------------------------------------------


def test_the_models_of_these_tests_draw_different_pictures(folder: Path) -> None:
    assert all(exploring.spread(load_generator(folder / name)) > 0.02 for name in ("plain", "styled", "labelled"))


@pytest.mark.parametrize("name", ["plain", "styled", "labelled"])
def test_a_picture_is_that_of_sample(clients: dict[str, TestClient], folder: Path, name: str) -> None:
    generator = load_generator(folder / name)
    for seed in (0, 7, 2**32 - 1):
        (wanted,) = generator.sample([seed], truncation=0.7)
        by_get = clients[name].get("/generate", params={"seed": seed, "truncation": 0.7})
        by_post = clients[name].post("/api/picture", json={"recipe": {"seed": seed, "truncation": 0.7}})
        assert same(by_get.content, wanted) and same(by_post.content, wanted)
        assert by_get.headers["content-type"] == "image/png"


def test_generate_takes_the_numbers_of_z(plain: TestClient, folder: Path) -> None:
    generator = load_generator(folder / "plain")
    z = generator.seeded([3])[0].tolist()
    answer = plain.get("/generate", params={"values": ",".join(map(str, z))})
    assert same(answer.content, generator.sample([3])[0])


@pytest.mark.parametrize("reach", [1.0, 3.0, 5.0])
def test_generate_takes_what_sliders_give_and_more(plain: TestClient, folder: Path, reach: float) -> None:
    generator = load_generator(folder / "plain")
    z = [round(reach * (-1) ** i * (i + 1) / generator.z_dim, 2) for i in range(generator.z_dim)]  # in steps of 0.01
    assert min(z) == -reach
    answer = plain.get("/generate", params={"values": ",".join(map(str, z))})
    assert answer.headers["content-type"] == "image/png"
    with torch.no_grad():
        wanted = to_image(generator(torch.tensor([z]))[0])
    gap = np.asarray(opened(answer.content), int) - np.asarray(wanted, int)
    assert np.abs(gap).max() <= 1
    # spaces and signs as people type them; as many as the model takes, no more and no fewer
    assert plain.get("/generate", params={"values": ", ".join(f"{value:+.2f}" for value in z)}).status_code == 200
    for wrong in (z[1:], [*z, 0.0]):
        answer = plain.get("/generate", params={"values": ",".join(map(str, wrong))})
        assert answer.status_code == 400 and f"takes {generator.z_dim}" in answer.json()["error"]


def test_a_label_is_that_of_sample(clients: dict[str, TestClient], folder: Path) -> None:
    wanted = load_generator(folder / "labelled").sample([5], label="bob")[0]
    assert same(clients["labelled"].get("/generate", params={"seed": 5, "label": "bob"}).content, wanted)
    answer = clients["labelled"].post("/api/numbers", json={"recipe": {"seed": 5}}).json()
    assert answer["label"] in ("ann", "bob", "cat")
    response = clients["labelled"].post("/api/picture", json={"recipe": {"w": answer["w"], "label": answer["label"]}})
    gap = np.asarray(opened(response.content), int) - np.asarray(
        load_generator(folder / "labelled").sample([5])[0], int
    )
    assert np.abs(gap).max() <= 1  # w is written down to five digits


def test_a_saved_picture_carries_its_recipe(plain: TestClient, folder: Path, tmp_path: Path) -> None:
    recipe = {"seed": 7, "numbers": {"2": 0.5}, "truncation": 0.8}
    saved = plain.post("/api/picture", json={"recipe": recipe, "side": 64}).content
    assert opened(saved).size == (64, 64)
    answer = plain.post("/api/open", content=saved).json()
    assert answer == {"model": plain.get("/api/model").json()["model"], "recipe": recipe}
    again = plain.post("/api/picture", json={"recipe": answer["recipe"], "side": 64})
    assert again.content == saved
    # so does one of `simulacra sample`
    (path,) = write_pictures(load_generator(folder / "plain"), tmp_path, [4], model="abc", truncation=0.5)
    assert plain.post("/api/open", content=path.read_bytes()).json()["recipe"] == {"seed": 4, "truncation": 0.5}
    assert plain.post("/api/open", content=photo()).json() == {}
    assert read_provenance(path) is not None


def test_a_sheet_holds_the_single_pictures(plain: TestClient, folder: Path) -> None:
    recipes = [{"seed": seed} for seed in range(5)]
    sheet = opened(plain.post("/api/picture", json={"recipes": recipes, "columns": 3}).content)
    assert sheet.size == (48, 32)
    for i, single in enumerate(load_generator(folder / "plain").sample(range(5))):
        x, y = 16 * (i % 3), 16 * (i // 3)
        gap = np.asarray(sheet.crop((x, y, x + 16, y + 16)), int) - np.asarray(single, int)
        assert np.abs(gap).max() <= 1  # a batch is summed in another order


@pytest.mark.parametrize("format", ["webp", "jpeg", "png"])
def test_formats_and_sides(plain: TestClient, format: str) -> None:
    answer = plain.post("/api/picture", json={"recipe": {"seed": 1}, "format": format, "side": 100})
    image = opened(answer.content)
    assert (image.format, image.size) == (format.upper(), (100, 100))
    assert answer.headers["content-type"] == f"image/{format}"


def test_numbers_are_z_and_w(clients: dict[str, TestClient], folder: Path) -> None:
    generator = load_generator(folder / "styled")
    answer = clients["styled"].post("/api/numbers", json={"recipe": {"seed": 3, "numbers": {"0": 0.25}}}).json()
    assert answer["z"][0] == 0.25
    assert answer["z"][1:] == generator.seeded([3])[0, 1:].tolist()
    assert np.shape(answer["w"]) == (1, generator.w_dim)
    assert clients["styled"].post("/api/numbers", json={"recipe": {"w": answer["w"]}}).json()["z"] is None


def test_facts_say_what_the_model_can_do(clients: dict[str, TestClient]) -> None:
    facts = {name: client.get("/api/model").json() for name, client in clients.items()}
    assert facts["plain"]["num_ws"] == 0 and facts["styled"]["num_ws"] > 0
    assert facts["labelled"]["labels"] == ["ann", "bob", "cat"] and not facts["labelled"]["attributes"]
    assert [facts[name]["run"] for name in ("plain", "run")] == [False, True]
    listed = clients["plain"].get("/api").json()
    assert "POST /api/picture" in listed and all(len(what) > 10 for what in listed.values())


def test_children_take_after_both_parents(clients: dict[str, TestClient]) -> None:
    one, other = ({"seed": seed} for seed in (1, 2))
    client = clients["plain"]
    recipes = client.post("/api/children", json={"a": one, "b": other, "count": 4, "seed": 0}).json()["recipes"]
    a, b = (client.post("/api/numbers", json={"recipe": recipe}).json()["w"][0] for recipe in (one, other))
    for child in recipes:
        from_a = [value == x for value, x in zip(child["w"][0], a, strict=True)]
        assert 0 < sum(from_a) < len(a)
        assert all(mine or value == y for mine, value, y in zip(from_a, child["w"][0], b, strict=True))
    assert len({str(child) for child in recipes}) == 4


# --- directions ---------------------------------------------------------------------------------------------


def test_directions_are_found_used_and_renamed(tmp_path: Path) -> None:
    explorer = Explorer(exploring.model(tmp_path / "m", "stylegan2:tiny"))
    client = TestClient(explorer.application(), base_url=HERE)
    assert client.get("/api/directions").json() == {"directions": []}
    last = news(client, client.post("/api/jobs/directions", json={}).json()["job"])[-1]
    assert last["state"] == "done"
    names = [direction["name"] for direction in last["directions"]]
    assert names and last["directions"] == client.get("/api/directions").json()["directions"]
    still = client.post("/api/picture", json={"recipe": {"seed": 1}}).content
    moved = client.post("/api/picture", json={"recipe": {"seed": 1, "edits": {names[0]: {"strength": 3}}}}).content
    assert not same(moved, opened(still))
    renamed = client.post("/api/directions/rename", json={"name": names[0], "to": "smile"}).json()["directions"]
    assert [direction["name"] for direction in renamed] == ["smile", *names[1:]]
    again = client.post("/api/picture", json={"recipe": {"seed": 1, "edits": {"smile": 3}}}).content
    assert same(again, opened(moved))
    for name, to in (("nobody", "x"), ("smile", names[1]), ("smile", ""), ("smile", "a\nb"), ("smile", "x" * 99)):
        answer = client.post("/api/directions/rename", json={"name": name, "to": to})
        assert answer.status_code == 400 and is_refusal(answer.json())
    explorer.stop()


# --- jobs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "styled", "labelled"])
def test_a_photo_is_looked_for(clients: dict[str, TestClient], name: str) -> None:
    target = clients[name].get("/generate", params={"seed": 9}).content
    job = clients[name].post("/api/jobs/photo", params={"steps": 12}, content=target).json()["job"]
    events = news(clients[name], job)
    assert events[-1]["state"] == "done"
    reached = [event["psnr"] for event in events if "psnr" in event]
    assert reached[-1] > reached[0]
    assert opened(clients[name].get(f"/api/jobs/{job}/picture").content).size == (16, 16)
    assert clients[name].post("/api/picture", json={"recipe": events[-1]["recipe"]}).status_code == 200


def test_a_search_is_stopped_with_the_best_so_far(plain: TestClient) -> None:
    job = plain.post("/api/jobs/photo", params={"steps": 5000}, content=photo()).json()["job"]
    busy = plain.post("/api/jobs/photo", content=photo())
    assert busy.status_code == 429 and is_refusal(busy.json())
    assert plain.delete(f"/api/jobs/{job}").status_code == 200
    last = news(plain, job)[-1]
    assert last["state"] == "done" and last["recipe"]["w"]


def test_a_film_goes_round(clients: dict[str, TestClient]) -> None:
    recipes = [{"seed": 1}, {"seed": 2, "truncation": 0.5}, {"seed": 3}]
    job = clients["styled"].post("/api/jobs/walk", json={"recipes": recipes, "frames": 4, "side": 32}).json()["job"]
    assert news(clients["styled"], job)[-1]["film"] == f"api/jobs/{job}/film"
    film = opened(clients["styled"].get(f"/api/jobs/{job}/film").content)
    assert (getattr(film, "n_frames", 1), film.size) == (12, (32, 32))
    for path in ("/api/jobs/nobody/film", "/api/jobs/nobody/events", f"/api/jobs/{job}/picture"):
        answer = clients["styled"].get(path)
        assert answer.status_code == 404 and is_refusal(answer.json())


def test_a_failed_job_says_so_and_the_next_one_runs() -> None:
    jobs = JobRunner()

    def fail(job: Any) -> dict[str, Any]:
        raise SimulacraError("explore.keep_size")

    failed = jobs.start(Message("explore.job_film"), fail)
    while not failed.ended:
        time.sleep(0.001)
    assert (failed.news["state"], failed.news["code"]) == ("failed", "explore.keep_size")
    jobs.start(Message("explore.job_film"), lambda job: {})


# --- runs ---------------------------------------------------------------------------------------------------


def test_a_run_shows_its_checkpoints_scores_and_previews(clients: dict[str, TestClient], folder: Path) -> None:
    (folder / "run" / "journal.jsonl").touch()  # a run whose journal is old is not being trained
    summary = clients["run"].get("/api/run").json()
    assert summary["checkpoints"] == ["000000160", "000000320", "000000480"]
    assert (summary["opened"], summary["best"], summary["training"]) == ("000000480", "000000480", True)
    assert [score["value"] for score in summary["scores"]] == [2.0, 1.0, 0.0]
    assert summary["previews"] == [160, 320, 480] and summary["journal"][0]["d_loss"] == 1.0
    preview = clients["run"].get("/api/run/previews/320")
    assert preview.content == (folder / "run/previews/000000320.png").read_bytes()
    for name in summary["checkpoints"]:
        response = clients["run"].post("/api/picture", json={"recipe": {"seed": 3}, "checkpoint": name})
        assert same(response.content, load_generator(folder / "run/checkpoints" / name).sample([3])[0])
    for path in ("/api/run/previews/7", "/api/model?checkpoint=000000007", "/api/model?checkpoint=../../plain"):
        answer = clients["run"].get(path)
        assert answer.status_code == 400 and is_refusal(answer.json())
    assert "not a run" in clients["plain"].get("/api/run").json()["error"]


# --- manners ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.com", "evil.com:8666", "127.0.0.1.evil.com", "localhost.evil.com:80", "x@y", ""]
)
def test_another_name_is_refused(plain: TestClient, host: str) -> None:
    answer = plain.get("/api/model", headers={"host": host})
    assert answer.status_code == 403 and is_refusal(answer.json())


@pytest.mark.parametrize("host", ["127.0.0.1:8666", "localhost:8666", "LOCALHOST", "[::1]:8666", "192.168.1.5:8666"])
def test_our_names_are_answered(plain: TestClient, host: str) -> None:
    assert plain.get("/api/model", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.com"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_site_is_refused(plain: TestClient, headers: dict[str, str]) -> None:
    for answer in (plain.post("/api/picture", json={"recipe": {"seed": 1}}, headers=headers),
                   plain.delete("/api/jobs/x", headers=headers), plain.get("/generate?seed=1", headers=headers)):  # fmt: skip
        assert answer.status_code == 403 and is_refusal(answer.json())


def test_our_page_and_a_followed_link_are_answered(plain: TestClient) -> None:
    own = {"origin": HERE, "sec-fetch-site": "same-origin"}
    assert plain.post("/api/picture", json={"recipe": {"seed": 1}}, headers=own).status_code == 200
    assert plain.get("/", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}).status_code == 200


def test_every_answer_is_strict(plain: TestClient) -> None:
    for path in (
        "/",
        "/static/main.js",
        "/api/model",
        "/generate?seed=1",
        "/nowhere",
        "/api/nowhere",
        "/static/../api.py",
    ):
        headers = plain.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] in ("no-store", "no-cache")
        assert not any(name.startswith("access-control") for name in headers)


def imported(name: str) -> set[str]:
    """A script, and all that it cannot start without."""
    names, queue = set[str](), [name]
    while queue:
        name = queue.pop()
        names.add(name)
        text = (server.STATIC / name).read_text()
        queue += set(re.findall(r'^(?:import|export) .*"\./([\w-]+\.js)";$', text, re.MULTILINE)) - names
    return names


def test_the_page_is_small_and_asks_nobody_else(plain: TestClient) -> None:
    for start in ("main.js", "compare.js"):  # the other one is of models that translate
        needed = imported(start) | {
            "main.js",
            "index.html",
            "style.css",
            "icon.svg",
            "tab-directions.js",
            "combine.js",
        }
        messages = max(len(server.page_messages(language).encode()) for language in LANGUAGES)
        assert messages + sum((server.STATIC / name).stat().st_size for name in needed) < 150_000
    files = sorted(server.STATIC.iterdir())
    assert sum(file.stat().st_size for file in files) < 200_000  # with what most people never open
    for file in files:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text and 'style="' not in text
        assert plain.get(f"/static/{file.name}").status_code == 200


def test_uploads_are_capped(plain: TestClient) -> None:
    for path in ("/api/jobs/photo", "/api/open"):
        answer = plain.post(path, content=bytes(33 << 20))
        assert answer.status_code == 413 and is_refusal(answer.json())
        chunked = plain.post(path, content=(bytes(1 << 20) for _ in range(40)))  # whose length nobody tells
        assert chunked.status_code == 413
    for data in (bomb(40_000, 40_000), b"", b"not a picture", photo()[:100]):
        answer = plain.post("/api/jobs/photo", content=data)
        assert answer.status_code == 400 and is_refusal(answer.json())
    assert (
        plain.post("/api/open", content=bomb(40_000, 40_000)).status_code == 200
    )  # its header says no recipe: nothing is decoded


@pytest.mark.parametrize("depth", [50, 400, 900, 50_000])
def test_a_deep_recipe_in_a_picture_is_a_refusal(plain: TestClient, depth: int) -> None:
    deep = '{"seed": 1, "other": ' * depth + '{"seed": 1}' + "}" * depth
    file, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("simulacra", f'{{"model": "m", "recipe": {deep}}}', zip=True)
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info)
    answer = plain.post("/api/open", content=file.getvalue())
    assert answer.json() == {} if depth == 50_000 else answer.status_code == 400 and is_refusal(answer.json())


WRONG: list[tuple[str, Any]] = [
    ("/api/picture", {}),
    ("/api/picture", {"recipe": {"seed": 1}, "recipes": [{"seed": 1}]}),
    ("/api/picture", {"recipe": {"seed": -1}}),
    ("/api/picture", {"recipe": {"seed": 2**32}}),
    ("/api/picture", {"recipe": {"seed": 1.5}}),
    ("/api/picture", {"recipe": {"seed": 1, "z": [1.0]}}),
    ("/api/picture", {"recipe": {"z": [0.0, 1.0]}}),
    ("/api/picture", {"recipe": {"z": [1e300] * 8}}),
    ("/api/picture", {"recipe": {"w": [[0.0]]}}),
    ("/api/picture", {"recipe": {"seed": 1, "numbers": {"99999": 0.0}}}),
    ("/api/picture", {"recipe": {"seed": 1, "numbers": {"0": 101}}}),
    ("/api/picture", {"recipe": {"seed": 1, "truncation": 9}}),
    ("/api/picture", {"recipe": {"seed": 1, "label": "glasses"}}),
    ("/api/picture", {"recipe": {"seed": 1, "edits": {"smile": 1}}}),
    ("/api/picture", {"recipe": {"seed": 1, "other": {"seed": 2}}}),
    ("/api/picture", {"recipe": {"seed": 1, "colour": 2}}),
    ("/api/picture", {"recipe": {"seed": 1}, "side": 100_000}),
    ("/api/picture", {"recipe": {"seed": 1}, "side": True}),
    ("/api/picture", {"recipe": {"seed": 1}, "format": "exe"}),
    ("/api/picture", {"recipe": {"seed": 1}, "format": []}),
    ("/api/picture", {"recipe": {"seed": 1}, "checkpoint": "1"}),
    ("/api/picture", {"recipe": {"seed": 1}, "client": 7}),
    ("/api/picture", {"recipes": []}),
    ("/api/picture", {"recipes": [{"seed": 1}] * 101}),
    ("/api/picture", {"recipes": [{"seed": 1}] * 100, "side": 2048}),
    ("/api/numbers", {}),
    ("/api/children", {"a": {"seed": 1}, "b": {"seed": 2}, "count": 0, "seed": 0}),
    ("/api/children", {"a": {"seed": 1}, "count": 1, "seed": 0}),
    ("/api/jobs/walk", {"recipes": [{"seed": 1}]}),
    ("/api/jobs/walk", {"recipes": [{"seed": 1}] * 2, "frames": 10**9}),
    ("/api/directions/rename", {"name": "axis 1"}),
    ("/api/directions/save", {"name": "x"}),
    ("/api/directions/save", {"name": "x", "edits": {"a": 1, "b": -0.5}}),
    ("/api/directions/save", {"name": "x", "edits": {"a": 1e9}}),
    ("/api/jobs/labels", {}),
    ("/api/jobs/labels", {"checkpoint": "1"}),
]


@pytest.mark.parametrize(("path", "content"), WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_what_is_wrong_is_told_in_a_sentence(plain: TestClient, path: str, content: Any) -> None:
    answer = plain.post(path, json=content)
    assert answer.status_code == 400 and is_refusal(answer.json())


@pytest.mark.parametrize("name", ["plain", "styled", "labelled", "run"])
def test_errors_of_all_rooms_are_in_the_language_of_the_request(clients: dict[str, TestClient], name: str) -> None:
    answers = [clients[name].post(path, json=content, headers={"accept-language": "zh"}) for path, content in WRONG]
    errors = [answer.json() for answer in answers if answer.status_code == 400]
    coded = [error for error in errors if error["code"] in catalogue("zh")]
    assert len(coded) > 25  # one model can do what another cannot
    assert all(re.search("[\u4e00-\u9fff]", error["error"]) for error in coded)
    error = (
        clients[name]
        .post("/api/jobs/photo", content=photo()[:100], headers={"accept-language": "zh-CN,en;q=0.5"})
        .json()
    )
    assert re.search("[\u4e00-\u9fff]", error["error"]) and "English" not in error["error"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"7", b'{"recipe": {"seed": NaN}}', b'{"recipe": {"z": [Infinity]}}', b"\xff\xfe", b'{"recipe":' * 5000,
     b'{"recipe": {"seed": 1' + b"0" * 5000 + b"}}", b'{"recipe": {"z": [1e999, -1e999]}}'],
)  # fmt: skip
def test_what_is_no_json_is_told_in_a_sentence(plain: TestClient, body: bytes) -> None:
    answer = plain.post("/api/picture", content=body)
    assert answer.status_code == 400 and is_refusal(answer.json())


def test_a_million_values_are_refused_at_once(plain: TestClient) -> None:
    begun = time.monotonic()
    posted = plain.post("/api/picture", json={"recipe": {"z": [0.0] * 1_000_000}})
    assert posted.status_code == 413 and is_refusal(posted.json())
    nested = plain.post("/api/picture", json={"recipe": {"w": [[0.0] * 100] * 1000}})
    assert nested.status_code == 400 and is_refusal(nested.json())
    for query in ("values=" + "0," * 20_000 + "0", "values=nan", "values=inf", "values=", "values=a", "", "seed=1e5",
                  "seed=-1", "seed=1&values=0", "seed=1&truncation=nan", "seed=99999999999999999999", "seed=²"):  # fmt: skip
        answer = plain.get(f"/generate?{query}")
        assert answer.status_code == 400 and is_refusal(answer.json()), query
    assert time.monotonic() - begun < LIMIT
    assert plain.get("/generate?seed=my%20cat").status_code == 200, "a word is a seed"


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NUMBERS = st.lists(st.floats(-200, 200) | ANY, max_size=9)
RECIPES: st.SearchStrategy[Any] = st.deferred(
    lambda: st.fixed_dictionaries(
        {},
        optional={
            "seed": st.integers(-2, 2**33) | ANY,
            "z": NUMBERS,
            "w": NUMBERS | st.lists(NUMBERS, max_size=4),
            "label": st.sampled_from(["bob", "0", "a=1", ","]) | ANY,
            "numbers": st.dictionaries(st.sampled_from(["0", "3", "-1", "x", "9" * 30]), st.floats() | ANY, max_size=3),
            "other": RECIPES | ANY,
            "layers": st.lists(st.integers(-1, 9), max_size=3) | ANY,
            "truncation": st.floats() | ANY,
            "edits": st.dictionaries(st.text(max_size=6), ANY, max_size=2) | ANY,
        },
    )
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "recipe": RECIPES | ANY,
        "recipes": st.lists(RECIPES, max_size=3) | ANY,
        "a": RECIPES,
        "b": RECIPES,
        "count": st.integers(-1, 200) | ANY,
        "seed": st.integers() | ANY,
        "side": st.integers(0, 300) | ANY,
        "columns": st.integers(-1, 5) | ANY,
        "format": st.sampled_from(["webp", "jpeg", "png"]) | ANY,
        "client": ANY,
        "checkpoint": st.sampled_from(["000000160", "..", "/"]) | ANY,
        "frames": st.integers(-1, 3) | ANY,
        "name": st.sampled_from(["hero", "a"]) | ANY,
        "edits": st.dictionaries(
            st.sampled_from(["a", "b"]) | st.text(max_size=6), st.floats(-12, 12) | ANY, max_size=3
        )
        | ANY,
        "to": ANY,
    },
)
PATHS = ("/api/picture", "/api/numbers", "/api/children", "/api/directions/rename", "/api/directions/save",
         "/api/jobs/labels", "/api/jobs/walk", "/api/open")  # fmt: skip
KEYS = {"/api/picture": {"recipe", "recipes", "side", "columns", "format", "client", "checkpoint"},
        "/api/numbers": {"recipe", "checkpoint"}, "/api/children": {"a", "b", "count", "seed", "checkpoint"},
        "/api/directions/rename": {"name", "to", "checkpoint"}, "/api/jobs/walk": {"recipes", "frames", "side", "checkpoint"},
        "/api/directions/save": {"name", "edits", "checkpoint"}, "/api/jobs/labels": {"checkpoint"}, "/api/open": set()}  # fmt: skip


@settings(max_examples=max(80, 20 * SOAK), suppress_health_check=[HealthCheck.too_slow])
@given(
    which=st.sampled_from(["plain", "styled", "labelled", "run"]),
    path=st.sampled_from(PATHS),
    body=BODIES,
    valid_keys=st.booleans(),
)
def test_nothing_is_answered_by_a_fault(
    clients: dict[str, TestClient], which: str, path: str, body: Any, valid_keys: bool
) -> None:
    if valid_keys:  # else most would fail by a key that does not exist
        body = {key: value for key, value in body.items() if key in KEYS[path]}
    begun = time.monotonic()
    answer = clients[which].post(path, content=json.dumps(body))
    assert time.monotonic() - begun < LIMIT
    assert answer.status_code == 200 or (answer.status_code in REFUSED and is_refusal(answer.json()))


@settings(max_examples=max(60, 10 * SOAK))
@given(
    path=st.text(max_size=20),
    query=st.text(max_size=20),
    host=st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=20),
)
def test_no_address_is_answered_by_a_fault(plain: TestClient, path: str, query: str, host: str) -> None:
    answer = plain.get(f"{HERE}/generate", params={"values": query, "label": path})
    assert answer.status_code in REFUSED
    assert plain.get(f"{HERE}/api/jobs/x", params={"seed": path}).status_code in REFUSED
    assert plain.get("/generate?seed=1", headers={"host": host.strip()}).status_code in {200, 403}


# --- the worker, the socket ---------------------------------------------------------------------------------


def test_the_newest_wish_of_a_client_wins() -> None:
    worker, gate = Worker(capacity=3), threading.Event()
    first = worker.submit(gate.wait, "page")
    while worker._queue:  # until it is under way
        time.sleep(0.001)
    done: list[int] = []
    mine = [worker.submit(lambda i=i: done.append(i), "page") for i in range(5)]  # type: ignore[misc]
    anonymous = [worker.submit(lambda i=i: done.append(i), "") for i in (10, 11, 12)]  # type: ignore[misc]
    gate.set()
    assert first.result(5) and mine[4].result(5) is None
    for future in [*mine[:4], anonymous[2]]:  # four were replaced, one found the queue full
        with pytest.raises(Busy):
            future.result(5)
    assert anonymous[1].result(5) is None
    assert done == [4, 10, 11]
    worker.stop()


def test_eight_at_once_each_get_their_own_picture(plain: TestClient, folder: Path) -> None:
    wanted = load_generator(folder / "plain").sample(range(8))
    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(lambda seed: plain.get("/generate", params={"seed": seed}).content, range(8)))
    assert all(same(data, image) for data, image in zip(pictures, wanted, strict=True))


def test_a_taken_port_gives_the_next_and_nonsense_a_sentence() -> None:
    with server.listen("127.0.0.1", 0) as one:
        port = one.getsockname()[1]
        with server.listen("127.0.0.1", port) as other:
            assert port < other.getsockname()[1] < port + server.PORTS
    for host, number in (("127.0.0.1", 70_000), ("nowhere.invalid", 8666), ("203.0.113.7", 8666)):
        with pytest.raises(SimulacraError):
            server.listen(host, number)


def test_what_is_no_model_ends_with_a_sentence(tmp_path: Path) -> None:
    with refused("explore.no_model"):
        server.explore(str(tmp_path / "nothing"), port=0, host="127.0.0.1", open=False)
    with pytest.raises(
        SimulacraError, match="neither a run nor a model"
    ):  # only seen when loaded: the server then ends
        server.explore(str(tmp_path), port=0, host="127.0.0.1", open=False)


def test_the_command_serves_and_ends_by_ctrl_c_amid_a_search(folder: Path) -> None:
    words = [sys.executable, "-m", "simulacra.cli", "explore", str(folder / "plain"), "--no-open", "--port", "0"]
    # a shell's background job would ignore Ctrl-C, and so would its children
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))  # fmt: skip
    assert process.stdout is not None
    address = process.stdout.readline().split()[0]
    assert address.startswith("http://127.0.0.1:")
    with urlopen(Request(f"{address}api/jobs/photo?steps=5000", photo()), timeout=LIMIT * 10) as answer:
        job = json.load(answer)["job"]
    with urlopen(f"{address}api/jobs/{job}/events", timeout=LIMIT * 10) as events:
        assert b"running" in events.readline()
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=LIMIT * 10)
    assert (process.returncode, complaints) == (0, "")


def test_a_page_that_waits_for_a_model_that_is_none_is_told(tmp_path: Path) -> None:
    explorer = Explorer(tmp_path)
    client = TestClient(explorer.application(), base_url=HERE)
    assert client.get("/").status_code == 200
    answer = client.get("/api/model")
    assert answer.status_code == 400 and is_refusal(answer.json())
    explorer.stop()


def test_loopback_is_told_from_the_rest() -> None:
    assert all(map(server.is_loopback, ("127.0.0.1", "::1", "localhost")))
    assert not any(map(server.is_loopback, ("0.0.0.0", "192.168.1.5", socket.gethostname() + ".lan")))
