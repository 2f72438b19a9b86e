"""A connection to the explorer: a request must arrive whole within a time, or the connection is closed."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

ARRIVING = (h11.IDLE, h11.SEND_BODY)  # states of a client whose request has not arrived whole


class TimedProtocol(H11Protocol):
    """HTTP of one connection. Without a limit, clients that send a byte now and then would use up all connections."""

    SECONDS: ClassVar = 60.0  # for a request with its body, from its first byte; and for the first byte of the first

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the deadline holds until they make a whole request."""
        super().data_received(data)
        if self.conn.their_state not in ARRIVING:
            self._forget_deadline()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, by either side."""
        self._forget_deadline()
        super().connection_lost(exc)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
