"""OSC: values of other programs reach the page, and what is played reaches other programs."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import exploring
import httpx2 as httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import build_msg

from simulacra.errors import SimulacraError
from simulacra.explore.osc import MAX_ADDRESSES, Osc


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model."""
    return exploring.model(tmp_path_factory.mktemp("osc") / "plain").parent


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    """Another program."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(10)
        yield bound


@pytest.fixture
def address(root: Path, receiver: socket.socket) -> Iterator[tuple[str, int]]:
    """An explorer that listens and sends, and the port on which it listens."""
    osc = Osc(0, f"127.0.0.1:{receiver.getsockname()[1]}")
    with exploring.served(root, "plain", osc=osc) as urls:
        assert osc.port
        yield urls["plain"], osc.port


def test_messages_arrive_as_events_and_values_are_sent(address: tuple[str, int], receiver: socket.socket) -> None:
    url, port = address
    assert httpx.get(f"{url}api/osc").json() == {"port": port, "to": f"127.0.0.1:{receiver.getsockname()[1]}"}
    with httpx.stream("GET", f"{url}api/osc/events", timeout=10) as answer:
        lines = answer.iter_lines()
        assert next(lines) == ": listening"
        for data in (b"no osc", build_msg("/fader/1", [0.25, "x"]).dgram, build_msg("/note", [float("nan")]).dgram):
            receiver.sendto(data, ("127.0.0.1", port))
        receiver.sendto(build_msg("/bang", "text alone").dgram, ("127.0.0.1", port))
        news: dict[str, float] = {}
        while len(news) < 2:
            line = next(lines)
            news |= json.loads(line.removeprefix("data: ")) if line else {}
        assert news == {"/fader/1": 0.25, "/bang": 1.0}
    answer = httpx.post(f"{url}api/osc", json={"values": {"level": 0.5, "edit/my smile": -2}})
    assert answer.status_code == 200
    messages = [OscMessage(receiver.recv(1024)) for _ in range(2)]
    assert [(message.address, message.params) for message in messages] == [
        ("/simulacra/level", [0.5]),
        ("/simulacra/edit/my_smile", [-2.0]),
    ]


@pytest.mark.parametrize("values", [None, [], {"a": "b"}, {"": 1}, {"x" * 65: 1}, {str(i): 1 for i in range(65)}])
def test_wrong_values_are_refused(address: tuple[str, int], values: object) -> None:
    answer = httpx.post(f"{address[0]}api/osc", json={"values": values})
    assert answer.status_code == 400 and answer.json()["code"] == "explore.osc_values"


def test_without_the_option_nothing_listens(root: Path) -> None:
    with exploring.served(root, "plain") as urls:
        assert httpx.get(f"{urls['plain']}api/osc").json() == {"port": None, "to": None}
        assert httpx.get(f"{urls['plain']}api/osc/events").json()["code"] == "explore.osc_listens_nowhere"
        answer = httpx.post(f"{urls['plain']}api/osc", json={"values": {"a": 1}})
        assert answer.json()["code"] == "explore.osc_goes_nowhere"


@given(st.binary(max_size=200))
def test_any_datagram_is_taken_or_ignored(data: bytes) -> None:
    Osc().receive(data)
    Osc().receive(b"/a\0\0,f\0\0" + data)
    Osc().receive(b"#bundle\0" + data)


def test_there_are_not_endlessly_many_addresses() -> None:
    osc = Osc()
    for number in range(MAX_ADDRESSES + 10):
        osc.receive(build_msg(f"/{number}", 1.0).dgram)
    assert len(osc._addresses) == MAX_ADDRESSES


def test_bad_ports_and_a_missing_module_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = Osc(0)
    with pytest.raises(SimulacraError, match=f"port {taken.port}"):
        Osc(taken.port)
    with pytest.raises(SimulacraError, match="port 70000"):
        Osc(70_000)
    for to in ("nowhere", "host:", "host:0", "70000"):
        with pytest.raises(SimulacraError, match="--osc-to"):
            Osc(to=to)
    assert Osc(to="9001").to == "127.0.0.1:9001" and Osc(to="localhost:9001").to.endswith(":9001")
    monkeypatch.setitem(sys.modules, "pythonosc", None)
    with pytest.raises(SimulacraError, match=r"simulacra\[osc\]"):
        Osc(0)
