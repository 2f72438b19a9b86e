"""The studio's API: names, uploads, processes that outlive the server, and the state of runs."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import exploring
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient
from support import noise, on_disk

from simulacra.errors import SimulacraError
from simulacra.explore.refusals import TooLarge
from simulacra.studio import pictures
from simulacra.studio.child import STATUS
from simulacra.studio.names import inside, safe_name, safe_path, unused
from simulacra.studio.processes import Process, Processes
from simulacra.studio.server import Studio, stored_token

HERE = "http://127.0.0.1"


def png(seed: int, side: int = 24) -> bytes:
    """A small picture's file."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a studio."""
    return tmp_path / "studio"


@pytest.fixture
def client(root: Path) -> Iterator[TestClient]:
    """A studio's API."""
    root.mkdir(exist_ok=True)
    studio = Studio(root)
    with TestClient(studio.application(), base_url=HERE) as opened:
        yield opened


def ended(processes: Processes, process: Process, seconds: float = 90) -> Process:
    """The process once it has ended."""
    until = time.monotonic() + seconds
    while (now := processes.find(process.id)).state == "running" and time.monotonic() < until:
        time.sleep(0.05)
    return now


# --- names ----------------------------------------------------------------------------------------------------------


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_every_name_becomes_one_that_every_system_takes(text: str) -> None:
    name = safe_name(text)
    assert name and len(name) <= 80
    assert not name.startswith((".", "-")) and not name.endswith((".", " "))
    assert not set(name) & set('<>:"/\\|?*\0\n')
    assert safe_name(name) == name


@given(st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_no_path_of_an_upload_leads_out_of_it(text: str) -> None:
    try:
        path = safe_path(text)
    except SimulacraError as error:
        assert error.code == "studio.bad_path"
        return
    assert not path.is_absolute()
    assert all(part not in ("", ".", "..") and not part.startswith(".") for part in path.parts)


def test_a_long_name_keeps_its_ending() -> None:
    assert safe_name("a" * 200 + ".png").endswith("a.png")
    assert safe_name("con.png") == "_con.png"
    assert safe_name("...") == "pictures"


def test_names_that_are_taken_get_a_number(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces-2").mkdir()
    assert unused(tmp_path, "faces").name == "faces-3"
    assert unused(tmp_path, "cats").name == "cats"


@pytest.mark.parametrize("path", ["", "..", "../x", "/etc", "a/../../x", ".simulacra", "link", "not-there", "a\0b"])
def test_nothing_outside_the_folder_is_reached(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / ".simulacra").mkdir()
    (tmp_path / "x").mkdir()
    (root / "link").symlink_to(tmp_path / "x")
    assert inside(root, "a") == root / "a"
    with pytest.raises(SimulacraError, match="nothing at"):
        inside(root, path)


# --- uploads ----------------------------------------------------------------------------------------------------------


def test_uploads_keep_their_folders(client: TestClient, root: Path) -> None:
    into = client.post("/api/studio/pictures", json={"name": "my: cats?"}).json()["path"]
    assert into == "pictures/my_ cats_"
    for i, path in enumerate(["a/1.png", "b/2.png", "b/..hidden.png"]):
        answer = client.post("/api/studio/upload", params={"into": into, "path": path}, content=png(i))
        assert answer.status_code == 200, answer.text
    stored = sorted(path.relative_to(root / into).as_posix() for path in (root / into).rglob("*.png"))
    assert stored == ["a/1.png", "b/2.png", "b/hidden.png"]
    again = client.post("/api/studio/pictures", json={"name": "my: cats?"}).json()["path"]
    assert again == f"{into}-2"  # nothing is written over


def tar(files: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar of files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = (len(content), kind) if kind == tarfile.REGTYPE else (0, kind)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_many_small_files_come_in_one_request(client: TestClient, root: Path) -> None:
    into = client.post("/api/studio/pictures", json={"name": "cats"}).json()["path"]
    names = [f"{'long folder ' * 5}{i}/{'x' * 40}猫{i}.png" for i in range(12)]
    answer = client.post("/api/studio/upload", params={"into": into}, content=tar({name: png(0) for name in names}))
    assert answer.json() == {"files": 12}
    assert len(list((root / into).rglob("*猫*.png"))) == 12
    for bad in (
        tar({"../x": b""}),
        tar({"/x": b""}),
        tar({"x": b""}, tarfile.SYMTYPE),
        tar({"x": png(1)})[:700],
        b"x" * 600,
    ):
        answer = client.post("/api/studio/upload", params={"into": into}, content=bad)
        assert answer.status_code == 400 and answer.json()["error"], bad[:20]
    assert not [path for path in (root / into).rglob("*") if path.is_symlink() or path.name.startswith(".")]


@pytest.mark.parametrize("path", ["../x.png", "/x.png", "", "a/b/c/d/e/f/g/h/i.png"])
def test_an_upload_cannot_leave_its_folder(client: TestClient, path: str) -> None:
    into = client.post("/api/studio/pictures", json={"name": "cats"}).json()["path"]
    answer = client.post("/api/studio/upload", params={"into": into, "path": path}, content=b"x")
    assert answer.status_code == 400 and answer.json()["code"] == "studio.bad_path"


def test_uploads_go_nowhere_but_into_uploads(client: TestClient, root: Path) -> None:
    (root / "faces").mkdir()
    answer = client.post("/api/studio/upload", params={"into": "faces", "path": "x.png"}, content=b"x")
    assert answer.status_code == 400
    assert not list((root / "faces").iterdir())


def test_a_file_that_is_too_large_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "PICTURE_BYTES", 10)

    async def content() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"12345"

    with pytest.raises(TooLarge, match="larger than"):
        asyncio.run(pictures.receive(tmp_path, "a.png", content()))
    assert not list(tmp_path.iterdir())


def test_an_upload_of_one_archive_is_that_archive(tmp_path: Path) -> None:
    assert pictures.source_of(tmp_path) == tmp_path
    (tmp_path / "cats.zip").write_bytes(b"")
    assert pictures.source_of(tmp_path) == tmp_path / "cats.zip"
    (tmp_path / "more.png").write_bytes(b"")
    assert pictures.source_of(tmp_path) == tmp_path


def test_examples_show_five_pictures_at_the_size_that_is_asked_for(client: TestClient, root: Path) -> None:
    folder = root / "pictures" / "cats"
    folder.mkdir(parents=True)
    for i in range(9):
        (folder / f"{i}.png").write_bytes(png(i) if i % 4 else b"broken")
    answer = client.get("/api/studio/examples", params={"source": "pictures/cats", "size": "16", "crop": "0.8"})
    assert Image.open(io.BytesIO(answer.content)).size == (16 * 5, 16)
    for query in ({"size": "banana"}, {"crop": "7"}, {"source": "pictures/dogs"}, {"source": ""}):
        answer = client.get("/api/studio/examples", params={"source": "pictures/cats"} | query)
        assert answer.status_code == 400 and answer.json()["error"]


# --- processes --------------------------------------------------------------------------------------------------------


def test_a_process_tells_what_it_printed_and_how_it_ended(root: Path) -> None:
    root.mkdir()
    processes = Processes(root)
    done = ended(processes, processes.start("list", "gans", ["list", "dcgan"]))
    assert done.state == "done" and any("features" in line for line in done.lines)
    failed = ended(processes, processes.start("inspect", "nothing", ["inspect", "nothing"]))
    assert failed.state == "failed" and "nothing" in failed.lines[-1]
    assert [process.kind for process in Processes(root).all()] == ["inspect", "list"]  # another server finds them


def test_a_process_outlives_its_server_and_can_be_stopped_by_the_next(root: Path) -> None:
    root.mkdir()
    begin = (
        "import sys; from pathlib import Path; from simulacra.studio.processes import Processes; "
        "print(Processes(Path(sys.argv[1])).start('train', 'peeps', ['train', 'peeps', '--gan', 'mlp', '--total', '100M', "
        "'--threads', '1', '--every', '200', '--no-compile']).id)"
    )
    server = subprocess.run([sys.executable, "-P", "-c", begin, str(root)], capture_output=True, text=True, check=True)
    processes = Processes(root)
    process = processes.find(server.stdout.strip())
    assert process.state == "running"
    with pytest.raises(SimulacraError, match="already running on peeps"):
        processes.start("train", "peeps", ["list"])
    journal = root / "runs" / "peeps-mlp" / "journal.jsonl"
    until = time.monotonic() + 90
    while not (journal.exists() and journal.stat().st_size) and time.monotonic() < until:
        time.sleep(0.1)
    processes.stop(process.id)
    stopped = ended(processes, process)
    assert stopped.state == "stopped", stopped.lines
    assert list((root / "runs" / "peeps-mlp" / "checkpoints").iterdir())
    processes.stop(process.id)  # nothing happens


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_killed_process_is_seen_to_be_killed(root: Path) -> None:
    root.mkdir()
    processes = Processes(root)
    process = processes.start("train", "peeps", ["train", "peeps", "--gan", "mlp", "--total", "100M", "--threads", "1"])
    begun = processes.folder / process.id / "begun.json"
    while not begun.exists():
        time.sleep(0.02)
    os.kill(json.loads(begun.read_text())["pid"], signal.SIGKILL)
    assert ended(processes, process).state == "killed"


def test_no_more_than_a_few_run_at_once_and_old_ones_are_forgotten(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir()
    processes = Processes(root)
    monkeypatch.setattr("simulacra.studio.processes.AT_ONCE", 0)
    with pytest.raises(SimulacraError, match="running"):
        processes.start("list", "gans", ["list"])
    for i in range(4):
        folder = processes.folder / f"{i:020d}-00000000"
        folder.mkdir(parents=True)
        (folder / "command.json").write_text(json.dumps({"kind": "list", "subject": "x", "words": [], "started": 0}))
        (folder / STATUS).write_text(json.dumps({"status": 0}))
    monkeypatch.setattr("simulacra.studio.processes.KEPT", 2)
    processes._prune()
    assert [process.id[:20] for process in processes.all()] == [f"{i:020d}" for i in (3, 2)]
    for name in ("..", "x", "../../etc"):
        with pytest.raises(SimulacraError, match="no such process"):
            processes.find(name)


# --- the whole way --------------------------------------------------------------------------------------------------


def wait(client: TestClient, process: dict[str, Any], seconds: float = 120) -> dict[str, Any]:
    """What the API says of a process once it has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        now: dict[str, Any] = client.get(f"/api/studio/processes/{process['id']}").json()
        if now["state"] != "running":
            return now
        time.sleep(0.1)
    raise AssertionError(now)


def test_from_pictures_to_a_model_without_a_terminal(client: TestClient, root: Path) -> None:
    into = client.post("/api/studio/pictures", json={"name": "cats"}).json()["path"]
    for i in range(24):
        client.post("/api/studio/upload", params={"into": into, "path": f"{i}.png"}, content=png(i))
    client.post("/api/studio/upload", params={"into": into, "path": "broken.png"}, content=b"broken")
    report = wait(client, client.post("/api/studio/inspect", json={"source": into}).json())["result"]
    assert report["usable"] == 24 and sum(map(len, report["rejects"].values())) == 1
    content = {"source": into, "name": "cats", "size": "16", "crop": "centre", "drop_duplicates": True}
    prepared = wait(client, client.post("/api/studio/prepare", json=content).json())
    assert prepared["state"] == "done", prepared["lines"]
    library = client.get("/api/studio").json()
    assert [(entry["name"], entry["kind"], entry["pictures"]) for entry in library["entries"]] == [
        ("cats", "dataset", 24)
    ]
    assert client.get("/api/studio/picture", params={"path": "cats"}).headers["content-type"] == "image/png"
    trained = wait(client, client.post("/api/studio/train", json={"data": "cats", "minutes": 0.02}).json())
    assert trained["state"] == "done", trained["lines"]
    (run,) = (entry["path"] for entry in client.get("/api/studio").json()["entries"] if entry["kind"] == "run")
    state = client.get("/api/studio/run", params={"path": run}).json()
    assert state["images"] > 0 and not state["alive"] and state["previews"] and state["reasons"]
    preview = client.get("/api/studio/preview", params={"path": run, "nimg": state["previews"][0]})
    assert preview.headers["content-type"] == "image/png"
    page = client.get(f"/model/{run}/")
    assert "<canvas" in page.text
    facts = client.get(f"/model/{run}/api/model").json()
    assert facts["shape"] == [3, 16, 16] and facts["run"]
    picture = client.post(f"/model/{run}/api/picture", json={"recipe": {"seed": 1}})
    assert Image.open(io.BytesIO(picture.content)).size == (16, 16)
    forked = client.post("/api/studio/fork", json={"run": run, "name": "other", "settings": "lr=1e-3"}).json()
    assert wait(client, forked)["state"] == "done" and forked["subject"] == "runs/other"
    tree = {entry["path"]: entry["fork"] for entry in client.get("/api/studio").json()["entries"]}
    assert tree["runs/other"]["run"] == str(root / run)
    renamed = client.post("/api/studio/rename", json={"path": run, "name": "kittens"}).json()["path"]
    client.post("/api/studio/throw-away", json={"path": renamed})
    library = client.get("/api/studio").json()
    assert [entry["path"] for entry in library["entries"]] == ["cats", "runs/other"]
    client.post("/api/studio/restore", json={"path": library["bin"][0]["path"]})
    assert client.get("/api/studio/run", params={"path": renamed}).status_code == 200


def test_a_run_shows_its_verdicts_and_its_clock(client: TestClient, root: Path) -> None:
    data = on_disk(root / "tiny", noise(30))
    exploring.with_config(exploring.run(root / "runs" / "tiny-stylegan2"), data, total=4800)
    answer = client.get("/api/studio/run", params={"path": "runs/tiny-stylegan2"})
    assert answer.status_code == 200, answer.text
    state = answer.json()
    assert state["images"] == 480 and state["left"] == pytest.approx((4800 - 480) / 9 / 0.95)
    assert state["scores"] and state["best"] and state["health"] == []


def test_requests_that_make_no_sense_get_a_sentence(client: TestClient) -> None:
    for path, content in (
        ("train", {}),
        ("train", {"data": "peeps", "run": "x"}),
        ("train", {"data": "../x"}),
        ("train", {"data": "peeps", "minutes": "many"}),
        ("train", {"data": "peeps", "minutes": -1}),
        ("train", {"data": "peeps", "minutes": True}),
        ("train", {"data": "peeps", "--gan": "x"}),
        ("prepare", {"source": "nowhere", "name": "x"}),
        ("prepare", {"source": "peeps"}),
        ("score", {"run": ".."}),
        ("pace", {"run": "nowhere", "pace": "paused"}),
        ("pace", {"run": "nowhere", "pace": "paused", "steps": "many"}),
        ("compare", {"a": "nowhere"}),
        ("compare", {"a": "..", "b": "/"}),
        ("rename", {"path": "nowhere", "name": "x"}),
        ("throw-away", {"path": ""}),
        ("restore", {"path": "nowhere"}),
        ("inspect", {"source": 7}),
        ("pictures", {"name": ""}),
    ):
        answer = client.post(f"/api/studio/{path}", json=content)
        assert answer.status_code in (400, 404), (path, content, answer.text)
        assert answer.json()["error"], (path, content)
    for path in (
        "/model/nowhere/",
        "/model/nowhere/api/model",
        "/model/../x/",
        "/model//",
        "/api/studio/run?path=peeps",
    ):
        answer = client.get(path, follow_redirects=False)
        assert answer.status_code in (400, 404), (path, answer.status_code)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
    | st.sampled_from(["peeps", "..", "/", "/etc/passwd", "--help", "a/../../b", ".simulacra", "tiny", "\0", "~root"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
KEYS = (
    "at",
    "settings",
    "path",
    "name",
    "source",
    "size",
    "crop",
    "data",
    "run",
    "minutes",
    "drop_duplicates",
    "keep_originals",
    "pace",
    "steps",
    "a",
    "b",
)
POSTS = (
    "train",
    "fork",
    "prepare",
    "inspect",
    "forecast",
    "score",
    "upscale",
    "pace",
    "compare",
    "rename",
    "throw-away",
    "restore",
    "pictures",
)


@given(st.sampled_from(POSTS), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_posted_gets_an_answer_and_nothing_outside_is_written(
    client: TestClient, root: Path, monkeypatch: pytest.MonkeyPatch, path: str, content: dict[str, Any]
) -> None:
    def refuse(self: Processes, kind: str, subject: str, words: list[str]) -> None:
        given = {"prepare": words[3:], "fork": [words[1]]}.get(kind, words[1:])
        assert all(word.startswith(("/", "--size=", "--crop=", "--minutes=", "--drop", "--keep", "--factor=", "--dry-run",
                                    "--json")) or word == "peeps" for word in given)  # fmt: skip
        raise SimulacraError("studio.no_process")

    monkeypatch.setattr(Processes, "start", refuse)
    before = {entry.name for entry in root.parent.iterdir()}
    answer = client.post(f"/api/studio/{path}", json=content)
    assert answer.status_code in (200, 400, 404, 413), answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]
    assert {entry.name for entry in root.parent.iterdir()} == before


def test_other_users_of_this_machine_need_the_token_that_only_the_owner_can_read(root: Path) -> None:
    root.mkdir()
    token = stored_token(root)
    assert stored_token(root) == token and len(token) > 16  # a studio that starts anew knows its pages
    assert (root / ".simulacra" / "token").stat().st_mode & 0o077 == 0
    with TestClient(Studio(root).application(token=token), base_url=HERE) as client:
        assert client.get("/api/studio").status_code == 403
        assert client.get("/", params={"token": token}).status_code == 200
        assert client.get("/api/studio").status_code == 200  # by the cookie


def test_the_bundled_model_is_there(client: TestClient) -> None:
    assert client.get("/model/@peeps", follow_redirects=False).headers["location"] == "/model/@peeps/"
    client.get("/model/@peeps/")
    assert client.get("/model/@peeps/api/model").json()["shape"] == [3, 64, 64]
