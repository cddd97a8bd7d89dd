"""One message to an endpoint that a system of this hospital named: HTTPS only, to places the administrator lists.

A name is looked up once, what it stands for is judged, and the connection goes to that very address, so that no name
can lead to a neighbour in the hospital's own network. Nothing of the endpoint's answer is used but its status.

Sources: RFC 9110; OWASP Server-Side Request Forgery Prevention; Subscriptions R5 Backport 1.1, safety and security
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

ANYWHERE = "*"
HTTPS = 443
LONGEST_URL = 2000
_ANSWER = 64 * 1024


class NotAllowed(Exception):
    """The endpoint is none that this node may call; `expected` says what one is."""

    def __init__(self, expected: str) -> None:
        self.expected = expected
        super().__init__(f"endpoint: expected {expected}")


class NotTaken(Exception):
    """The endpoint did not take the message; `reason` is a short code without anything of the message."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Places:
    """Where messages may go.

    hosts      `name` or `name:port` (443 where none is said); `*`: any on the internet, which no private address is
    authority  PEM file of who signed the endpoints' certificates; empty: the authorities of this machine
    """

    hosts: tuple[str, ...] = ()
    authority: str = ""

    def allowed(self, url: str) -> SplitResult:
        """The parts of an address that is allowed by its name. Raises NotAllowed."""
        try:
            parts = urlsplit(url)
            port = parts.port or HTTPS
        except ValueError as error:
            raise NotAllowed("a URL") from error
        if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.fragment:
            raise NotAllowed("a URL that begins with https:// and holds no login and no fragment")
        if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
            raise NotAllowed(f"at most {LONGEST_URL} characters of ASCII without spaces")
        if not self._lists(parts.hostname, port) and ANYWHERE not in self.hosts:
            raise NotAllowed("one of the endpoints that the administrator lists in [subscriptions]")
        return parts

    def _lists(self, host: str, port: int) -> bool:
        names = {each.lower() for each in self.hosts}
        return f"{host.lower()}:{port}" in names or (port == HTTPS and host.lower() in names)

    def address(self, host: str, port: int) -> str:
        """Where a name leads, if it may. Raises NotAllowed, and NotTaken where nobody knows the name."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NotTaken("name-unknown") from error
        listed = self._lists(host, port)
        for *_, place in found:
            if listed or is_public(str(place[0])):
                return str(place[0])
        raise NotAllowed("an address on the internet, or an endpoint that the administrator lists")


def is_public(address: str) -> bool:
    """Whether this is an address of the internet: no loopback, link-local, private, shared or multicast one."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    found = mapped or found
    return found.is_global and not found.is_multicast


class _Connection(http.client.HTTPSConnection):
    """To an address that was judged, under the name that its certificate must have."""

    def __init__(self, host: str, port: int, address: str, *, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._to, self._tls = address, context

    def connect(self) -> None:
        plain = socket.create_connection((self._to, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


def post(url: str, body: bytes, headers: Mapping[str, str], *, places: Places, seconds: float) -> None:
    """Send it; returns when the endpoint took it (2xx). Raises NotAllowed and NotTaken."""
    parts = places.allowed(url)
    host, port = parts.hostname or "", parts.port or HTTPS
    address = places.address(host, port)
    connection = _Connection(host, port, address, timeout=seconds, context=_context(places.authority))
    # an endpoint that answers byte by byte would hold us for hours
    over = threading.Event()
    timer = threading.Timer(seconds, _cut, [connection, over])
    timer.daemon = True
    timer.start()
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, dict(headers))
        answer = connection.getresponse()
        answer.read(_ANSWER)
    except (OSError, http.client.HTTPException, ValueError) as error:
        is_late = over.is_set() or isinstance(error, TimeoutError)
        reason = "tls" if isinstance(error, ssl.SSLError) else "unreachable"
        raise NotTaken("timeout" if is_late else reason) from error
    finally:
        timer.cancel()
        connection.close()
    if over.is_set():
        # what was cut off reads like an answer that ended
        raise NotTaken("timeout")
    if not 200 <= answer.status < 300:
        raise NotTaken(f"status-{answer.status}")


def _cut(connection: http.client.HTTPSConnection, over: threading.Event) -> None:
    over.set()
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _context(authority: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


_OURS = frozenset({
    "host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect",
    "keep-alive", "proxy-authorization", "proxy-connection",
})  # fmt: skip


def unfit_headers(headers: Iterable[str]) -> list[str]:
    """Those lines that are no header, or one that is ours to set; each by its place, since it may hold a secret."""
    return [f"[{place}]" for place, line in enumerate(headers) if not _is_fit(line)]


def _is_fit(line: str) -> bool:
    name, colon, value = line.partition(":")
    is_token = bool(name) and name.isascii() and all(c.isalnum() or c in "!#$%&'*+-.^_`|~" for c in name)
    is_text = value.isascii() and value.strip().isprintable() and len(value) <= 8000
    return bool(colon) and is_token and is_text and name.lower() not in _OURS
