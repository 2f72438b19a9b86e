"""The gate in front of the explorer: who may ask, strict headers, and the language of the answer.

A page on another site can send requests here from the same browser (cross-site), and a name that it owns can be made
to point here (DNS rebinding). So a request must name this machine, and must come from our own page or from no page.
Where other machines can reach the explorer, a request must also have the token of the printed address. The address sets
it as a cookie, which the page then sends; a program may send it as `Authorization: Bearer TOKEN`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import socket
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulacra.explore.refusals import Forbidden, refusal
from simulacra.messages import LANGUAGES, language, using

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
STRICT = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """ASGI middleware: refuses other sites, adds strict headers, and answers in the language of `Accept-Language`."""

    def __init__(self, app: ASGIApp, *, host: str, token: str = "") -> None:
        """token: that every request must have; empty: none."""
        self.app, self.token = app, token
        # Cookies are shared by all ports of a machine: each explorer has one of its own.
        self.cookie = f"simulacra-{hashlib.sha256(token.encode()).hexdigest()[:12]}"
        here = socket.gethostname().lower()
        self.names = {"localhost", host.lower(), here, f"{here}.local"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(STRICT)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        with using(preferred_language(headers.get("accept-language", ""))):
            try:
                self.check(scope["method"], scope["path"], headers)
                arrived = self.check_token(scope["path"], scope["query_string"].decode("latin1"), headers)
            except Forbidden as error:
                await refusal(error)(scope, receive, send_strictly)
            else:
                answer: ASGIApp = self.app if not arrived else self.page_with_cookie()
                await answer(scope, receive, send_strictly)

    def check(self, method: str, path: str, headers: Headers) -> None:
        """Raise `Forbidden` for a request that another site may have made."""
        host = headers.get("host", "")
        if not self.is_here(host):
            raise Forbidden("explore.wrong_host", host=host[:80])
        site = headers.get("sec-fetch-site", "none")
        arriving = method == "GET" and path == "/" and headers.get("sec-fetch-mode", "navigate") == "navigate"
        origin = headers.get("origin")
        if (site not in ("same-origin", "none") and not arriving) or (
            origin is not None and origin_host(origin) != host.lower()
        ):
            raise Forbidden("explore.other_site")

    def check_token(self, path: str, query: str, headers: Headers) -> bool:
        """Whether the token came by the printed address. Raises `Forbidden` for a request without the token."""
        if not self.token:
            return False
        if path == "/" and any(map(self._is_token, parse_qs(query).get("token", []))):
            return True
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if not (scheme.lower() == "bearer" and self._is_token(bearer.strip())) and not self._is_token(
            self._from_cookie(headers)
        ):
            raise Forbidden("explore.no_token")
        return False

    def page_with_cookie(self) -> RedirectResponse:
        """The way to the page without the token in its address, where others could read it."""
        response = RedirectResponse("/", 303)
        response.set_cookie(
            self.cookie, self.token, httponly=True, samesite="lax"
        )  # strict: not sent where a link in a message was followed
        return response

    def _from_cookie(self, headers: Headers) -> str:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return morsel.value if morsel else ""

    def _is_token(self, word: str) -> bool:
        return secrets.compare_digest(word.encode(), self.token.encode())

    def is_here(self, host: str) -> bool:
        """Whether a Host header names this machine: an IP address, which no other site can own, or one of our names."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            ipaddress.ip_address(name)
            return True
        except ValueError:
            return bool(host) and "@" not in host and name_of(host) in self.names


def preferred_language(accept_language: str) -> str:
    """The first language of an `Accept-Language` header that has a catalogue, else the one in use."""
    wishes = (wish.strip()[:2].lower() for wish in accept_language.split(","))
    return next((wish for wish in wishes if wish in LANGUAGES), None) or language()


def name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    return host.rsplit(":", 1)[0].lower() if host.rsplit(":", 1)[-1].isdecimal() else host.lower()


def origin_host(origin: str) -> str:
    """The host and port of an Origin header; empty if it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
