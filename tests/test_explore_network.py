"""The explorer's socket: slow and vanishing clients, and the token where other machines can reach it."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import exploring
import pytest
from starlette.testclient import TestClient

from simulacra.explore import server
from simulacra.explore.connection import TimedProtocol
from simulacra.explore.server import Explorer

TOKEN = "a-secret"
THERE = "http://192.168.1.5:8666"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model."""
    root = tmp_path_factory.mktemp("explore")
    exploring.model(root / "plain")
    return root


@pytest.fixture(scope="module")
def explorer(folder: Path) -> Iterator[Explorer]:
    opened = Explorer(folder / "plain")
    yield opened
    opened.stop()


@pytest.fixture
def stranger(explorer: Explorer) -> TestClient:
    """A client on another machine that has not opened the printed address."""
    return TestClient(explorer.application("192.168.1.5", TOKEN), base_url=THERE)


REQUESTS: list[tuple[str, str]] = [
    *(
        ("GET", path)
        for path in ("/", "/static/main.js", "/messages/en.json", "/api", "/api/model", "/generate?seed=1")
    ),
    *(("GET", path) for path in ("/?token=", "/?token=a-secre", "/api/model?token=a-secret")),
    *(("POST", path) for path in ("/api/picture", "/api/directions/rename", "/api/jobs/photo", "/api/jobs/walk")),
    *(("POST", path) for path in ("/?token=x", "/api/jobs/walk?token=a-secret")),
    ("DELETE", "/api/jobs/x"),
]
WRONG: list[dict[str, str]] = [
    {},
    {"cookie": "simulacra=a-secret"},
    {"authorization": "Bearer a-secret2"},
    {"cookie": '"=;;\\'},
]


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_without_the_token_nothing_is_answered(stranger: TestClient, method: str, path: str) -> None:
    for headers in WRONG:
        answer = stranger.request(method, path, headers=headers, follow_redirects=False)
        assert (answer.status_code, answer.json()["code"]) == (403, "explore.no_token")


def test_the_printed_address_opens_the_page_and_its_jobs(stranger: TestClient) -> None:
    answer = stranger.get(f"/?token={TOKEN}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/"), "the token leaves the address bar"
    assert {"httponly", "samesite=lax"} <= {word.strip().lower() for word in answer.headers["set-cookie"].split(";")}
    assert "<html" in stranger.get("/").text and stranger.get("/api/model").status_code == 200
    assert stranger.post("/api/picture", json={"recipe": {"seed": 1}}).status_code == 200


def test_a_program_sends_the_token_in_a_header(stranger: TestClient) -> None:
    answer = stranger.get("/generate?seed=1", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"


def test_the_token_does_not_open_the_explorer_to_other_sites(stranger: TestClient) -> None:
    stranger.get(f"/?token={TOKEN}")
    for headers in ({"origin": "http://evil.com"}, {"sec-fetch-site": "cross-site"}):
        assert stranger.post("/api/picture", json={"recipe": {"seed": 1}}, headers=headers).status_code == 403
    assert stranger.get("/", headers={"host": "evil.com"}).status_code == 403


@pytest.mark.parametrize(("host", "needed"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_the_address_has_a_token_where_others_can_reach_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str, needed: bool
) -> None:
    given: list[str] = []
    application = Explorer.application
    monkeypatch.setattr(server._Server, "run", lambda self, sockets: None)
    monkeypatch.setattr(
        Explorer,
        "application",
        lambda self, host, token: given.append(token) or application(self, host, token),  # type: ignore[func-returns-value]
    )
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    server.explore(str(folder / "plain"), port=0, host=host, open=True)
    (address,) = re.findall(r"http://\S+", "".join(capsys.readouterr().out.split("\n")))
    assert urlsplit(address.split("Press")[0]).query == (f"token={given[0]}" if needed else "") and opened[0].endswith(
        given[0]
    )
    assert len(given[0]) >= 20 if needed else given == [""]


@pytest.fixture
def address(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """A running explorer that waits 0.4 s for a request."""
    monkeypatch.setattr(TimedProtocol, "SECONDS", 0.4)
    with exploring.served(folder, "plain") as urls:
        place = urlsplit(urls["plain"])
        yield str(place.hostname), int(place.port or 0)


HEAD = b"POST /api/picture HTTP/1.1\r\nhost: 127.0.0.1\r\n"
BODY = b"content-length: 1000\r\n\r\n{"


@pytest.mark.parametrize("start", [b"", b"G", HEAD, HEAD + BODY])
def test_a_request_that_does_not_arrive_is_closed(address: tuple[str, int], start: bytes) -> None:
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(start)
        begun = time.monotonic()
        dripping = threading.Event()

        def drip() -> None:
            while start and not dripping.wait(0.05):
                try:
                    client.sendall(b" ")
                except OSError:  # closed, as it should be
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass
        finally:
            dripping.set()
            thread.join()
        assert time.monotonic() - begun < 4
    with urlopen(f"http://{address[0]}:{address[1]}/api/model", timeout=5) as answer:
        assert answer.status == 200


def test_a_client_in_time_is_not_closed(address: tuple[str, int]) -> None:
    get = b"GET /api/model HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    with socket.create_connection(address, timeout=5) as client:
        for _ in range(3):
            for part in (get[:20], get[20:]):
                client.sendall(part)
                time.sleep(0.15)
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_a_client_that_leaves_is_no_fault(
    address: tuple[str, int], capfd: pytest.CaptureFixture[str], caplog: Any
) -> None:
    for part in (HEAD, HEAD + BODY):
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(part)
            time.sleep(0.1)
    with urlopen(f"http://{address[0]}:{address[1]}/api/model", timeout=5) as answer:
        assert answer.status == 200
    assert "Traceback" not in capfd.readouterr().err and not caplog.records
