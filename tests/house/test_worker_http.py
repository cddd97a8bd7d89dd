"""Between the edge and a worker: what is broken shows as broken, and the next request is found behind it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hie_node.worker_http import Conversation, Unframed, environment
from tests.house.front import Answer, read_answer


def head(method: str, target: str, *, length: int = 0) -> bytes:
    return (
        f"{method} {target} HTTP/1.1\r\nX-Hie-Door: house\r\nX-Forwarded-Proto: https\r\naccept: a\r\n"
        f"Host: bac-ninh:8443\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def application(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
    path = environ["PATH_INFO"]
    if path == "/fails":
        raise ZeroDivisionError
    if path == "/nothing":
        start("204 No Content", [])
        return []
    if path == "/short":
        start("200 OK", [("Content-Length", "10")])
        return [b"12345"]
    if path == "/breaks":
        start("200 OK", [("Content-Type", "text/plain")])
        return _breaks()
    body = environ["wsgi.input"].read() if path == "/echo" else f"{path}?{environ['QUERY_STRING']}".encode("latin-1")
    start("200 OK", [("Content-Type", "text/plain")])
    return iter((body[:3], body[3:])) if path.startswith("/pieces") else [body]


def _breaks() -> Iterator[bytes]:
    yield b"half"
    raise ZeroDivisionError


@pytest.fixture
def edge() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    thread = threading.Thread(target=Conversation(theirs, application).run)
    thread.start()
    yield ours
    ours.close()
    thread.join(10)


def asked(edge: socket.socket, method: str, target: str, body: bytes = b"") -> Answer:
    edge.sendall(head(method, target, length=len(body)) + body)
    return read_answer(edge, head_only=method == "HEAD")


def test_one_request_after_the_other_is_answered(edge: socket.socket) -> None:
    assert asked(edge, "GET", "/a%C3%A0?b=%20").body == "/aà?b=%20".encode()
    assert asked(edge, "HEAD", "/a").body == b""
    assert asked(edge, "GET", "/nothing").status == 204
    assert asked(edge, "POST", "/echo", b"x" * 100_000).body == b"x" * 100_000
    assert asked(edge, "POST", "/echo", b"y" * 3_000_000).body == b"y" * 3_000_000


def test_a_body_that_nobody_read_is_not_taken_for_the_next_request(edge: socket.socket) -> None:
    assert asked(edge, "POST", "/a", b"GET /evil HTTP/1.1\r\n\r\n" * 50_000).body == b"/a?"
    assert asked(edge, "GET", "/b").body == b"/b?"


def test_an_answer_without_a_length_comes_in_chunks_that_end(edge: socket.socket) -> None:
    answer = asked(edge, "GET", "/pieces")
    assert (answer.headers["transfer-encoding"], answer.body, answer.complete) == ("chunked", b"/pieces?", True)


@pytest.mark.parametrize("path", ["/breaks", "/short"])
def test_an_answer_that_breaks_ends_the_connection_before_its_end(edge: socket.socket, path: str) -> None:
    assert not asked(edge, "GET", path).complete
    assert edge.recv(1) == b""


def test_a_failure_before_the_answer_is_a_500_without_an_inside(edge: socket.socket) -> None:
    answer = asked(edge, "GET", "/fails?name=lan")
    assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
    assert b"lan" not in answer.body
    assert edge.recv(1) == b""


def test_what_is_not_from_the_edge_is_not_answered(edge: socket.socket) -> None:
    edge.sendall(b"GET /a HTTP/1.1\r\n\r\n")
    assert edge.recv(1) == b""


@pytest.mark.parametrize("raw", [b"GET /a", b"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: x", b"GET  /a HTTP/1.1"])
def test_a_head_in_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(Unframed):
        environment(raw)
