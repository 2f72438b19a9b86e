"""The manners of a server on one's own machine: who may ask, and how much.

A page on another site can send requests here from the same browser (cross-site), and a name that it owns can be made
to point here (DNS rebinding). So a request must name this machine, and must come from our own page or no page at all.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """Refuses what does not come from our own page, and sends every answer with strict headers."""

    def __init__(self, app: ASGIApp, *, host: str) -> None:
        self.app = app
        here = socket.gethostname().lower()
        self.names = {"localhost", host.lower(), here, f"{here}.local"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SAFE)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        why = self.refusal(scope["method"], scope["path"], Headers(scope=scope))
        if why:
            await said(403, why)(scope, receive, send_safely)
        else:
            await self.app(scope, receive, send_safely)

    def refusal(self, method: str, path: str, headers: Headers) -> str:
        """Why a request is refused, in a sentence, or nothing."""
        host = headers.get("host", "")
        if not self.is_here(host):
            return f"The explorer does not answer to the name {host[:80]!r}: open it by the address that it printed."
        site = headers.get("sec-fetch-site", "none")
        arriving = method == "GET" and path == "/" and headers.get("sec-fetch-mode", "navigate") == "navigate"
        if site not in ("same-origin", "none") and not arriving:
            return "Another site's page asked for this: the explorer answers only its own page."
        origin = headers.get("origin")
        if origin is not None and (urlsplit_or_none(origin) or "") != host.lower():
            return "Another site's page asked for this: the explorer answers only its own page."
        return ""

    def is_here(self, host: str) -> bool:
        """Whether a Host header names this machine: a number, which no other site can own, or one of our names."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            ipaddress.ip_address(name)
            return True
        except ValueError:
            return bool(host) and "@" not in host and name_of(host) in self.names


def name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    return host.rsplit(":", 1)[0].lower() if host.rsplit(":", 1)[-1].isdecimal() else host.lower()


def urlsplit_or_none(origin: str) -> str | None:
    """The host and port of an Origin header."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


class TooLarge(Exception):
    """A body beyond its limit. The message is a sentence."""


async def body(request: Request, most: int) -> bytes:
    """A request's body, read no further than `most` bytes. Raises `TooLarge`."""
    why = f"The request is larger than {most // 1024} kB, which is the limit."
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told[:20]) > most:
        raise TooLarge(why)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise TooLarge(why)
        parts.append(part)
    return b"".join(parts)


def said(status: int, sentence: str) -> JSONResponse:
    """A refusal or an error, as every one is sent."""
    return JSONResponse({"error": sentence}, status)
