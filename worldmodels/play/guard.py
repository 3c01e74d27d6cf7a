"""At the door: whose pages may speak to the server, and what browsers are told to refuse."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What the page may load and speak to: itself, and nobody else.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
HEADERS = (
    (b"content-security-policy", f"{POLICY}; frame-ancestors 'none'".encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Lets requests through whose Host and Origin are ours, and puts the headers on every answer.

    A page of somebody else's could otherwise reach a server on this machine through its visitor's browser, by its own
    name made to point here.

    Args:
        host: that the server listens on. Where that is every address of the machine ("0.0.0.0", "::"), any address
            in numbers will do, which no foreign page can have as its name, and the machine's own name.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = LOCAL | {host.lower(), socket.gethostname().lower()}
        self._any_address = host in ("0.0.0.0", "::")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif self._welcome(scope["headers"]):
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it was accepted: HTTP 403
        else:
            answer = _with_headers(send)
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await answer({"type": "http.response.start", "status": 403, "headers": headers})
            await answer({"type": "http.response.body", "body": b"this host or origin is not served here\n"})

    def _welcome(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        given: dict[bytes, list[str]] = {}
        for name, value in headers:
            given.setdefault(name.lower(), []).append(value.decode("latin-1"))
        hosts, origins = given.get(b"host", []), given.get(b"origin", [])
        if len(hosts) != 1 or len(origins) > 1 or not self._is_ours(hosts[0]):
            return False
        return not origins or origins[0].lower() in {
            f"{scheme}://{hosts[0].lower()}" for scheme in ("http", "https")
        }

    def _is_ours(self, host: str) -> bool:
        name = host_name(host)
        return name is not None and (name in self._names or (self._any_address and _is_address(name)))


def host_name(host: str) -> str | None:
    """The name in a Host header, without port and brackets; None where it is not well formed."""
    host = host.lower()
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        well_formed = bracket == "]" and (port == "" or (port.startswith(":") and port[1:].isdecimal()))
    else:
        name, colon, port = host.partition(":")
        well_formed = not colon or port.isdecimal()
    return name if well_formed and name else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Callable[[Message], Awaitable[Any]]:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            ours = {name for name, _ in HEADERS}
            others = [pair for pair in message.get("headers", []) if pair[0].lower() not in ours]
            message = {**message, "headers": [*others, *HEADERS]}
        await send(message)

    return sending
