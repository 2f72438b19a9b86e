"""The explorer's API of a model that translates: the same pictures as the command's, and manners towards everybody else."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import exploring
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient
from support import bomb, coloured, noise, pair_on_disk
from test_explore_api import ANY, HERE, LIMIT, REFUSED, is_refusal, opened, photo

from simulacra.explore import translation_api
from simulacra.explore.server import Explorer
from simulacra.provenance import read_provenance
from simulacra.storage import load
from simulacra.translation import translate as command
from simulacra.translation import translate_image
from simulacra.translator import Translator

Clients = dict[str, TestClient]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that translates with its data, a model of its own, and one that draws."""
    root = tmp_path_factory.mktemp("translate")
    data = pair_on_disk(root / "data", noise(40), noise(40, seed=1), valid=6)
    exploring.run(root / "run", data=data)
    exploring.model(root / "alone", "cyclegan:tiny")
    exploring.model(root / "draws")
    return root


@pytest.fixture(scope="module")
def clients(folder: Path) -> Iterator[Clients]:
    """A client of each."""
    explorers = {name: Explorer(folder / name) for name in ("run", "alone", "draws")}
    yield {name: TestClient(explorer.application(), base_url=HERE) for name, explorer in explorers.items()}
    for explorer in explorers.values():
        explorer.stop()


def file(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, format, **options)
    return data.getvalue()


def post(client: TestClient, data: bytes, **query: Any) -> Image.Image:
    answer = client.post("/api/translate", params=query, content=data)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return opened(answer.content)


def equal(one: Image.Image, other: Image.Image) -> bool:
    return one.mode == other.mode and np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("to", ["a", "b", "others", "Ones"])
@pytest.mark.parametrize("keep", [False, True])
def test_a_translation_is_that_of_the_library(clients: Clients, folder: Path, to: str, keep: bool) -> None:
    translator = load(folder / "alone")
    assert isinstance(translator, Translator)
    wanted = translate_image(translator, coloured(40, 24), to, keep_size=keep)
    output = post(clients["alone"], file(coloured(40, 24)), to=to, keep_size=int(keep))
    assert equal(output, wanted) and output.size == ((40, 24) if keep else (27, 16))


def test_what_is_saved_is_what_the_command_writes(clients: Clients, folder: Path, tmp_path: Path) -> None:
    picture = file(coloured(40, 24), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", comment=b"by hand")
    (tmp_path / "me.jpg").write_bytes(picture)
    for keep in (False, True):
        out = tmp_path / f"out{keep}"
        command(folder / "alone", tmp_path / "me.jpg", out, "b", keep_size=keep, cycle=True, device="cpu")
        for name, show in (("me.png", "output"), ("me.cycle.png", "cycle")):
            query: dict[str, Any] = {"to": "b", "keep_size": int(keep), "show": show, "name": "me.jpg"}
            answer = clients["alone"].post("/api/translate", params=query, content=picture)
            assert answer.content == (out / name).read_bytes()
            assert read_provenance(out / name) == read_provenance(io.BytesIO(answer.content))


def test_the_picture_as_the_model_sees_it(clients: Clients) -> None:
    wide = file(coloured(64, 32), "JPEG", quality=95, exif=Image.Exif())
    model_input = post(clients["alone"], wide, to="b", show="input")
    assert (
        model_input.size == (32, 16)
        and model_input.mode == "RGB"
        and read_provenance(io.BytesIO(file(model_input))) is None
    )
    turned = Image.Exif()
    turned[0x0112] = 6
    assert post(clients["alone"], file(coloured(64, 32), "JPEG", exif=turned), to="b", show="input").size == (16, 32)
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert post(clients["alone"], file(clear), to="b", show="input").getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("size", [(1, 1), (7, 40), (16, 16), (33, 90)])
def test_any_mode_and_size(clients: Clients, mode: str, size: tuple[int, int]) -> None:
    format = "TIFF" if mode in ("CMYK", "F") else "PNG"
    data = file(coloured(*size).convert("L").convert(mode) if mode != "I;16" else Image.new(mode, size, 900), format)
    assert post(clients["alone"], data, to="b", keep_size=1).size == size
    assert min(post(clients["alone"], data, to="a").size) == 16


def test_a_checkpoint_translates(clients: Clients, folder: Path) -> None:
    for name in ("000000160", "000000480"):
        translator = load(folder / "run/checkpoints" / name)
        assert isinstance(translator, Translator)
        output = post(clients["run"], file(coloured(40, 24)), to="b", checkpoint=name)
        assert equal(output, translate_image(translator, coloured(40, 24), "b"))


def test_examples_are_of_the_unseen_part(clients: Clients, folder: Path) -> None:
    examples = clients["run"].get("/api/examples").json()
    assert examples == {"part": "valid", "why": "", "a": 6, "b": 6}
    for side, images in (("a", noise(40)), ("b", noise(40, seed=1))):
        for i in range(6):
            example = opened(clients["run"].get(f"/api/examples/{side}/{i}").content)
            assert np.array_equal(np.asarray(example), images[34 + i])
    for path in ("a/6", "c/0", "a/-1", "a/x", "a/" + "9" * 5000, "a/²"):
        answer = clients["run"].get(f"/api/examples/{path}")
        assert answer.status_code == 400 and is_refusal(answer.json())
    none = clients["alone"].get("/api/examples").json()
    assert (none["part"], none["a"], none["b"]) == ("", 0, 0) and len(none["why"]) > 20
    for name in ("alone", "draws"):
        answer = clients[name].get("/api/examples/a/0")
        assert answer.status_code == 400 and is_refusal(answer.json())


def test_facts_say_which_domains_there_are(clients: Clients) -> None:
    assert clients["alone"].get("/api/model").json()["domains"] == ["ones", "others"]
    tasks = {name: client.get("/api/model").json()["task"] for name, client in clients.items()}
    assert tasks == {"run": "translate", "alone": "translate", "draws": "draw"}
    listed = clients["alone"].get("/api").json()
    for route in ("POST /api/translate", "GET /api/examples", "GET /api/examples/{side}/{number}"):
        assert len(listed[route]) > 10


def test_a_run_that_translates_tells_what_any_does(clients: Clients) -> None:
    summary = clients["run"].get("/api/run").json()
    assert summary["checkpoints"] == ["000000160", "000000320", "000000480"] and summary["previews"] == [160, 320, 480]
    assert clients["run"].get("/api/run/previews/320").status_code == 200
    for nimg in ("7", "9" * 5000, "x"):
        answer = clients["run"].get(f"/api/run/previews/{nimg}")
        assert answer.status_code == 400 and is_refusal(answer.json())


# --- manners ------------------------------------------------------------------------------------------------


def test_what_draws_from_numbers_is_refused_in_a_sentence(clients: Clients) -> None:
    client = clients["alone"]
    recipe = {"seed": 1}
    answers = [
        client.post("/api/picture", json={"recipe": recipe}),
        client.post("/api/numbers", json={"recipe": recipe}),
        client.post("/api/children", json={"a": recipe, "b": recipe, "count": 1, "seed": 0}),
        client.get("/generate?seed=1"),
        client.get("/api/directions"),
        client.post("/api/jobs/photo", content=photo()),
        client.post("/api/jobs/directions", json={}),
        client.post("/api/jobs/walk", json={"recipes": [recipe] * 2}),
    ]
    for answer in answers:
        assert answer.status_code == 400 and answer.json()["code"] == "explore.translates"


def test_a_model_that_draws_translates_nothing(clients: Clients) -> None:
    answer = clients["draws"].post("/api/translate?to=b", content=photo())
    assert answer.status_code == 400 and answer.json()["code"] == "explore.draws"


def test_another_site_cannot_have_pictures_translated(clients: Clients) -> None:
    for headers in ({"origin": "http://evil.com"}, {"sec-fetch-site": "cross-site"}, {"host": "evil.com"}):
        for answer in (clients["alone"].post("/api/translate?to=b", content=photo(), headers=headers),
                       clients["run"].get("/api/examples/a/0", headers=headers)):  # fmt: skip
            assert answer.status_code == 403 and is_refusal(answer.json())
    assert clients["alone"].get("/api/translate?to=b").status_code == 405


def test_uploads_are_capped(clients: Clients) -> None:
    client = clients["alone"]
    answer = client.post("/api/translate?to=b", content=bytes(33 << 20))
    assert answer.status_code == 413 and is_refusal(answer.json())
    assert client.post("/api/translate?to=b", content=(bytes(1 << 20) for _ in range(40))).status_code == 413
    for data in (bomb(40_000, 40_000), b"", b"not a picture", photo()[:100]):
        answer = client.post("/api/translate?to=b", content=data)
        assert answer.status_code == 400 and is_refusal(answer.json())


def test_work_is_bounded(clients: Clients) -> None:
    begun = time.monotonic()
    side = int(translation_api.MAX_PIXELS**0.5) + 2
    for size, keep in (((side, side), 1), ((1, 20_000), 0), ((30_000, 2), 0)):  # long and thin ones grow
        answer = clients["alone"].post(f"/api/translate?to=b&keep_size={keep}", content=file(Image.new("L", size)))
        assert answer.status_code == 400 and "simulacra translate" in answer.json()["error"]
    assert time.monotonic() - begun < LIMIT
    assert post(clients["alone"], file(Image.new("L", (side, side))), to="b").size == (16, 16)


@pytest.mark.parametrize(
    "query",
    ["", "to=", "to=c", "to=oners", "to=b&keep_size=2", "to=b&show=all", "to=b&checkpoint=1", "to=b&checkpoint=..",
     "to=b&kept_size=1", "to=b&__init__=1"],
)  # fmt: skip
def test_what_is_wrong_is_told_in_a_sentence(clients: Clients, query: str) -> None:
    answer = clients["alone"].post(f"/api/translate?{query}", content=photo())
    assert answer.status_code == 400 and is_refusal(answer.json())


def test_a_name_is_recorded_as_far_as_it_is_one(clients: Clients) -> None:
    for name, recorded in (("小猫.png", "小猫.png"), ("a\nb\0.png", "ab.png"), ("x" * 999, "x" * 200), ("", "picture")):
        output = post(clients["alone"], photo(), to="b", name=name)
        assert json.loads(output.info["simulacra"])["source"] == recorded


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(
    which=st.sampled_from(["run", "alone", "draws"]),
    query=st.fixed_dictionaries(
        {},
        optional={
            "to": st.sampled_from(["a", "b", "ones"]) | st.text(max_size=8),
            "keep_size": st.sampled_from(["0", "1"]) | st.text(max_size=3),
            "show": st.sampled_from(["input", "output", "cycle"]) | st.text(max_size=5),
            "name": st.text(max_size=20),
            "client": st.text(max_size=5),
            "checkpoint": st.sampled_from(["000000160", "..", "/"]) | st.text(max_size=4),
            "more": st.text(max_size=3),
        },
    ),
    data=st.binary(max_size=60)
    | st.sampled_from([photo(), photo()[:90], file(coloured(3, 50), "JPEG"), bomb(40_000, 40_000)]),
)
def test_nothing_is_answered_by_a_fault(clients: Clients, which: str, query: dict[str, str], data: bytes) -> None:
    begun = time.monotonic()
    answer = clients[which].post("/api/translate", params=query, content=data)
    assert time.monotonic() - begun < LIMIT
    assert answer.status_code == 200 or (answer.status_code in REFUSED and is_refusal(answer.json()))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(["/api/picture", "/api/numbers", "/api/children", "/api/open"]), body=ANY)
def test_a_translator_answers_no_address_by_a_fault(clients: Clients, path: str, body: Any) -> None:
    for content in (body, {"recipe": body}, {"recipe": {"seed": 1}, "checkpoint": body}):
        answer = clients["run"].post(path, content=json.dumps(content))
        assert answer.status_code == 200 or (answer.status_code in REFUSED and is_refusal(answer.json()))
