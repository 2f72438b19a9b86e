"""Open Sound Control: other programs move the picture by UDP messages, and receive the values that it is drawn with.

A message's first number is the value of the source `osc ADDRESS` in the live tab; a message without one counts as 1.
What the page sends goes out as `/simulacra/NAME` with one float.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from simulacra.doctor import missing
from simulacra.errors import SimulacraError
from simulacra.explore import requests
from simulacra.explore.refusals import NotFound, json_response

MAX_ADDRESSES = 256  # that are listened to; others are ignored
MAX_ADDRESS = 64  # characters
MAX_VALUES = 64  # sent at once
PREFIX = "/simulacra/"


class Osc:
    """Both ways of a page. port: where messages arrive, on `host`. to: where values go, PORT or HOST:PORT; empty: nowhere.

    Raises `SimulacraError` if the extra `osc` is not installed, the port is taken, or `to` is no address.
    """

    def __init__(self, port: int | None = None, to: str = "", *, host: str = "127.0.0.1") -> None:
        self.port: int | None = None
        self.to = ""
        self._listeners: dict[asyncio.Event, dict[str, float]] = {}  # what each has not read yet
        self._addresses: set[str] = set()
        self._receiving = self._closed = False
        if port is None and not to:
            return
        if modules := missing("osc"):
            raise SimulacraError("explore.no_osc_extra", modules=list(modules))
        if to:
            self._sender, self._target = _sender(to)
            self.to = f"{self._target[0]}:{self._target[1]}"
        if port is not None:
            self._receiver = _receiver(host, port)
            self.port = self._receiver.getsockname()[1]

    def receive(self, data: bytes) -> None:
        """Remember the values in a datagram; one that is no OSC is ignored, since anybody may send to a port."""
        from pythonosc.osc_packet import OscPacket, ParseError

        try:
            messages = [timed.message for timed in OscPacket(data).messages]
        except (ParseError, ValueError, RecursionError):
            return
        for message in messages:
            numbers = [float(value) for value in message.params if isinstance(value, int | float)]
            value = numbers[0] if numbers else 1.0
            known = message.address in self._addresses or len(self._addresses) < MAX_ADDRESSES
            if not known or len(message.address) > MAX_ADDRESS or not math.isfinite(value):
                continue
            self._addresses.add(message.address)
            for news, values in self._listeners.items():
                values[message.address] = value
                news.set()

    def send(self, values: dict[str, float]) -> None:
        """Send values by name. A receiver that is not there, or not ready, misses them: newer ones follow."""
        from pythonosc.osc_message_builder import build_msg

        if not self.to:
            raise SimulacraError("explore.osc_goes_nowhere")
        for name, value in values.items():
            try:
                self._sender.sendto(build_msg(PREFIX + name, value).dgram, self._target)
            except OSError:
                return

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events {address: newest value}, as fast as they are read."""
        news = asyncio.Event()
        self._listeners[news] = {}
        try:
            if not self._receiving:
                self._receiving = True
                loop = asyncio.get_running_loop()
                await loop.create_datagram_endpoint(lambda: _Protocol(self), sock=self._receiver)
            yield b": listening\n\n"
            while not self._closed:
                await news.wait()
                news.clear()
                values, self._listeners[news] = self._listeners[news], {}
                if values:
                    yield b"data: " + json.dumps(values).encode() + b"\n\n"
        finally:
            del self._listeners[news]

    def close(self) -> None:
        """End all streams of events, so that the server can stop."""
        self._closed = True
        for news in self._listeners:
            news.set()

    def routes(self) -> list[Route]:
        """The API of both ways."""

        async def state(request: Request) -> Response:
            """Where OSC messages arrive and go: {port, to}; null: nowhere."""
            return json_response({"port": self.port, "to": self.to or None})

        async def events(request: Request) -> Response:
            """The values of OSC messages as server-sent events: {address: value}."""
            if self.port is None:
                raise NotFound("explore.osc_listens_nowhere")
            return StreamingResponse(self.events(), media_type="text/event-stream")

        async def send(request: Request) -> Response:
            """Send {values}: numbers by name, as OSC messages."""
            content = await requests.read_json(request, {"values"})
            self.send(_checked(content.get("values")))
            return json_response({})

        return [Route("/api/osc", state), Route("/api/osc/events", events), Route("/api/osc", send, methods=["POST"])]


class _Protocol(asyncio.DatagramProtocol):
    """Passes datagrams on."""

    def __init__(self, osc: Osc) -> None:
        self.osc = osc

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.osc.receive(data)


def _receiver(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    bound.setblocking(False)
    try:
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SimulacraError("explore.osc_port", port=port, reason=reason) from error
    return bound


def _sender(to: str) -> tuple[socket.socket, tuple[Any, ...]]:
    """A socket, and the address that `to` names."""
    host, _, port = to.rpartition(":")
    try:
        if not 0 < int(port) < 65536:
            raise ValueError(port)
        family, _, _, _, target = socket.getaddrinfo(
            host.strip("[]") or "127.0.0.1", int(port), type=socket.SOCK_DGRAM
        )[0]
    except (ValueError, OSError) as error:
        raise SimulacraError("explore.osc_to", to=to) from error
    sender = socket.socket(family, socket.SOCK_DGRAM)
    sender.setblocking(False)
    return sender, target


def _checked(values: object) -> dict[str, float]:
    """Numbers by name, which gets no spaces. Raises `SimulacraError` for anything else."""
    if isinstance(values, dict) and len(values) <= MAX_VALUES and all(map(_is_value, values.items())):
        return {name.replace(" ", "_"): float(value) for name, value in values.items()}
    raise SimulacraError("explore.osc_values", most=MAX_VALUES)


def _is_value(item: tuple[object, object]) -> bool:
    name, value = item
    named = isinstance(name, str) and 0 < len(name) <= MAX_ADDRESS
    return named and isinstance(value, int | float) and math.isfinite(value)
