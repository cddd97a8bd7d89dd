"""Calling an endpoint that somebody named: only where the administrator lets it, and never longer than it may take."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.callback import NotAllowed, NotTaken, Places, is_public, post, unfit_headers
from adapters.trust import certificates
from registry.identifiers import HomeCommunityId

HOME = HomeCommunityId("urn:oid:1.2.3")
Behaviour = Callable[[ssl.SSLSocket], None]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
    ],
)
def test_an_address_of_the_hospitals_own_network_is_none_of_the_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "203.113.131.1", "2001:4860:4860::8888"])
def test_an_address_of_the_internet_is_one(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("hosts", "url", "allowed"),
    [
        ((), "https://example.org/", False),
        (("example.org",), "https://example.org/a?b=c", True),
        (("example.org",), "https://EXAMPLE.org/", True),
        (("example.org",), "https://example.org:8443/", False),
        (("example.org:8443",), "https://example.org:8443/", True),
        (("example.org",), "https://example.org.evil.example/", False),
        (("example.org",), "https://evil.example/#@example.org", False),
        (("example.org",), "https://evil.example\\@example.org/", False),
        (("example.org",), "https://user@example.org/", False),
        (("example.org",), "http://example.org/", False),
        (("example.org",), "https://example.org/ HTTP/1.1", False),
        (("example.org",), "https://example.org/\r\nX: y", False),
        (("*",), "https://anywhere.example/", True),
        (("*",), "ftp://anywhere.example/", False),
        (("*",), "https://[::1/", False),
        (("*",), "https://anywhere.example:99999/", False),
        (("*",), "https:///path", False),
    ],
)
def test_only_listed_names_are_allowed(hosts: tuple[str, ...], url: str, allowed: bool) -> None:
    if allowed:
        assert Places(hosts).allowed(url).hostname
        return
    with pytest.raises(NotAllowed):
        Places(hosts).allowed(url)


def test_a_name_that_leads_home_is_called_only_where_it_is_listed_itself() -> None:
    with pytest.raises(NotAllowed):
        Places(("*",)).address("localhost", 443)
    assert Places(("localhost",)).address("localhost", 443) in ("127.0.0.1", "::1")
    with pytest.raises(NotAllowed):
        Places(("localhost:8443",)).address("localhost", 443)
    with pytest.raises(NotTaken):
        Places(("*",)).address("no-such-name.invalid", 443)


def test_headers_that_are_the_nodes_own_or_none_are_named_by_their_place() -> None:
    lines = ["Authorization: Bearer x", "Host: a", "no colon", "X: a\nY: b", "content-length: 3", "X-Ward: 7", ": x"]
    assert unfit_headers(lines) == ["[1]", "[2]", "[3]", "[4]", "[6]"]


@contextmanager
def endpoint(folder: Path, behaviour: Behaviour, *, host: str = "127.0.0.1") -> Iterator[tuple[str, Places]]:
    """One that listens on loopback with a certificate for `host`, and is listed."""
    authority = certificates.make_authority("Of a hospital", now=datetime.now(UTC))
    issued = certificates.issue(authority, HOME, organization="x", hosts=[host], now=datetime.now(UTC))
    files = {name: folder / name for name in ("ca.crt", "own.crt", "own.key")}
    for file, content in zip(files.values(), (authority.certificate, issued.certificate, issued.key), strict=True):
        file.write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["own.crt"], files["own.key"])
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listening.accept()
                with suppress(OSError), context.wrap_socket(plain, server_side=True) as tls:
                    behaviour(tls)

    threading.Thread(target=serve, daemon=True).start()
    port = listening.getsockname()[1]
    try:
        yield f"https://127.0.0.1:{port}/told", Places((f"127.0.0.1:{port}",), str(files["ca.crt"]))
    finally:
        listening.close()


def answers(text: str) -> Behaviour:
    def behave(tls: ssl.SSLSocket) -> None:
        got = b""
        while not got.endswith(b"{}"):
            got += tls.recv(65536)
        tls.sendall(text.encode())

    return behave


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", None),
        ("HTTP/1.1 204 No Content\r\n\r\n", None),
        ("HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", "status-302"),
        ("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "status-500"),
        ("nonsense\r\n\r\n", "unreachable"),
        ("", "unreachable"),
    ],
)
def test_only_an_answer_of_success_counts_as_taken(tmp_path: Path, answer: str, reason: str | None) -> None:
    with endpoint(tmp_path, answers(answer)) as (url, places):
        if reason is None:
            post(url, b"{}", {}, places=places, seconds=5)
            return
        with pytest.raises(NotTaken) as refused:
            post(url, b"{}", {}, places=places, seconds=5)
    assert refused.value.reason == reason


def test_an_endpoint_under_another_name_or_authority_is_not_told(tmp_path: Path) -> None:
    got: list[bytes] = []

    def hears(tls: ssl.SSLSocket) -> None:
        got.append(tls.recv(65536))

    with endpoint(tmp_path, hears, host="elsewhere.example") as (url, places):
        with pytest.raises(NotTaken) as other_name:
            post(url, b"{}", {}, places=places, seconds=5)
        with pytest.raises(NotTaken) as other_authority:
            post(url, b"{}", {}, places=Places(places.hosts), seconds=5)
    assert (other_name.value.reason, other_authority.value.reason) == ("tls", "tls")
    assert got in ([], [b""], [b"", b""])


def test_an_endpoint_that_drips_is_let_go(tmp_path: Path) -> None:
    over = threading.Event()

    def drips(tls: ssl.SSLSocket) -> None:
        tls.recv(65536)
        tls.sendall(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.05):
            tls.sendall(b"X: y\r\n")

    with endpoint(tmp_path, drips) as (url, places):
        with pytest.raises(NotTaken) as refused:
            post(url, b"{}", {}, places=places, seconds=0.5)
        over.set()
    assert refused.value.reason == "timeout"
