"""What a hospital sees of the front of its node: it answers, whoever else is knocking."""

import base64
import hashlib
import json
import select
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from hie_node.edge import Listener, ServerTls, UnsafeListener
from hie_node.edge.connection import route_hint
from hie_node.edge.http1 import BodyReader
from hie_node.edge.wire import Wire
from tests.house.front import Front, read_answer, resident_mb, start_front
from tests.processes import eventually

HEAD = b"Host: localhost\r\n"
MEGABYTE = 1 << 20
STUDY = 150 * MEGABYTE


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    running = start_front(tmp_path_factory.mktemp("front"))
    yield running
    running.close()


@pytest.fixture
def short(tmp_path: Path) -> Iterator[Front]:
    """A front with short limits, so that a test sees them end."""
    limits = {"head_seconds": 0.3, "body_gap_seconds": 0.3, "answer_seconds": 0.5, "slot_seconds": 0.5}
    running = start_front(tmp_path, limits={**limits, "reader_gap_seconds": 0.5, "connections": 40}, threads=2)
    yield running
    running.close()


def still_open(sockets: list[socket.socket]) -> int:
    poll = select.poll()
    for sock in sockets:
        poll.register(sock, select.POLLIN)
    return len(sockets) - len(poll.poll(0))


@pytest.mark.parametrize("door", ["house", "peer"])
def test_300_slow_clients_keep_nobody_waiting(front: Front, door: str) -> None:
    post = b"POST /fhir/Patient HTTP/1.1\r\n" + HEAD
    silent = [front.raw(door) for _ in range(60)]
    mute = [front.connect(door) for _ in range(60)]
    heads, bodies, halves = ([front.connect(door) for _ in range(60)] for _ in range(3))
    for sock in bodies:
        sock.sendall(post + b"Content-Length: 90000\r\n\r\n")
    for sock in halves:
        sock.sendall(post + b"Content-Length: 90000\r\n\r\n" + b"x" * 45000)
    for drop in b"GET /fhir/Pat":
        for sock in heads + bodies:
            sock.sendall(bytes([drop]))
        assert front.get(door, "/fhir/metadata").status == 200
    hanging = silent + mute + heads + bodies + halves
    assert still_open(hanging) == 300
    for sock in hanging:
        sock.close()


def test_the_application_sees_the_certificate_of_a_peer(front: Front) -> None:
    seen = front.get("peer", "/xcpd").json()["environ"]
    shown = x509.load_der_x509_certificate(base64.b64decode(seen["HTTP_X_HIE_CLIENT_CERTIFICATE"]))
    assert shown == x509.load_pem_x509_certificate(front.peer_files[0].read_bytes())
    assert seen["HTTP_X_HIE_DOOR"] == "peer"


@pytest.mark.parametrize("door", ["house", "peer", "ops"])
@pytest.mark.parametrize("style", ["X-Hie-", "x-hie-", "X_Hie_", "X-Hie_"])
def test_nobody_can_say_who_they_are_in_our_words(front: Front, door: str, style: str) -> None:
    forged = [style + name for name in ("Door: forged", "Client-Address: forged", "Client-Certificate: forged")]
    lines = [line.replace("-C", "_C") if "_" in style else line for line in forged]
    seen = front.get(door, "/", *lines, "X-Forwarded-Proto: gopher", "Proxy: forged").json()["environ"]
    assert seen["HTTP_X_HIE_DOOR"] == door
    assert seen["HTTP_X_HIE_CLIENT_ADDRESS"] == "127.0.0.1"
    assert "forged" not in json.dumps(seen)
    assert seen["wsgi.url_scheme"] == ("http" if door == "ops" else "https")


def test_a_peer_without_a_certificate_of_the_federation_is_not_heard(front: Front, tmp_path: Path) -> None:
    strangers = front.server_ca.issue("stranger")
    for context in (front.context(), front.context(certificate=strangers)):
        with context.wrap_socket(front.raw("peer"), server_hostname="localhost") as sock:
            try:
                sock.sendall(b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n")
                heard = sock.recv(100)  # with TLS 1.3 a client is told at its first read
            except (ssl.SSLError, ConnectionError):
                heard = b""
        assert heard == b""


def test_old_tls_and_weak_ciphers_are_refused(front: Front) -> None:
    weak = front.context()
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("ECDHE+AES128+SHA256:!AESGCM:!CHACHA20:!AESCCM")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        weak.wrap_socket(front.raw("house"), server_hostname="localhost")


AMBIGUOUS = {
    "length and chunks": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",  # noqa: E501
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "the same length twice": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
    "a signed length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
    "a hexadecimal length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc",
    "an empty length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n",
    "a folded first line": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "bare LF in the head": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare LF in one line": b"GET / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n",
    "bare CR in a value": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n",
    "a blank before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "an empty name": b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost: a\r\nX-A\r\n\r\n",
    "an empty line first": b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\nX-A: b\r\n\r\n",
    "a host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a host with a user": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "absolute form": b"GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "authority form": b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment": b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tab in the request line": b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "two blanks": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "no version": b"GET /\r\nHost: a\r\n\r\n",
    "another version": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "chunks in 1.0": b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a list of codings": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two codings": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",  # noqa: E501
    "a coding nearly chunked": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
}
BROKEN_CHUNKS = {
    "no number": b"zz\r\nabc\r\n0\r\n\r\n",
    "a signed size": b"+3\r\nabc\r\n0\r\n\r\n",
    "a prefixed size": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a negative size": b"-1\r\nabc\r\n0\r\n\r\n",
    "an empty size": b"\r\nabc\r\n0\r\n\r\n",
    "a blank behind the size": b"3 \r\nabc\r\n0\r\n\r\n",
    "a huge size": b"fffffffff\r\nabc\r\n0\r\n\r\n",
    "bare LF": b"3\nabc\n0\n\n",
    "longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "LF in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "an endless extension": b"3;" + b"a" * 5000,
    "a trailer": b"3\r\nabc\r\n0\r\nX-Hie-Door: ops\r\n\r\n",
}


def refused(front: Front, raw: bytes, status: int) -> None:
    with front.connect("house") as sock:
        sock.sendall(raw)
        answer = read_answer(sock)
        assert answer.status == status
        assert answer.headers["connection"] == "close"
        assert answer.json()["status"] == status
        assert sock.recv(1) == b""


@pytest.mark.parametrize("raw", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_a_request_that_can_be_read_in_two_ways_is_refused(front: Front, raw: bytes) -> None:
    refused(front, raw, 400)


@pytest.mark.parametrize("body", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS)
def test_a_broken_chunk_is_refused(front: Front, body: bytes) -> None:
    refused(front, b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body, 400)


OVER_THE_LIMIT = {
    "compressed": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", 415),
    "announced too long": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\nx", 413),
    "announced absurdly long": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999\r\n\r\n", 413),
    "too long in chunks": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1ffff\r\n" + b"x" * 110000, 413),  # noqa: E501
    "head too long": (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 17000 + b"\r\n\r\n", 431),
    "head without end": (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 17000, 431),
    "too many fields": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 101 + b"\r\n", 431),
    "another expectation": (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", 417),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "status"), OVER_THE_LIMIT.values(), ids=OVER_THE_LIMIT)
def test_what_is_too_much_is_refused_with_its_reason(front: Front, raw: bytes, status: int) -> None:
    refused(front, raw, status)


def test_a_request_is_read_the_same_way_however_it_is_cut(front: Front) -> None:
    raw = (
        b"POST /a?b=c|d HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    with front.connect("ops") as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(len(raw)):
            sock.sendall(raw[place : place + 1])
        found = read_answer(sock).json()
    assert found["sha256"] == hashlib.sha256(b"abcde").hexdigest()
    assert found["environ"]["CONTENT_LENGTH"] == "5"
    assert found["environ"]["QUERY_STRING"] == "b=c|d"
    assert "HTTP_TRANSFER_ENCODING" not in found["environ"]


def test_one_connection_carries_many_requests_even_at_once(front: Front) -> None:
    with front.connect("house") as sock:
        one = b"POST /%d HTTP/1.1\r\n" + HEAD + b"Content-Length: 2\r\n\r\nhi"
        sock.sendall(b"".join(one % number for number in range(5)))
        raw = b""
        while raw.count(b'"PATH_INFO"') < 5:
            raw += sock.recv(65536)
        assert [raw.count(b'"PATH_INFO": "/%d"' % number) for number in range(5)] == [1] * 5


def test_what_comes_behind_a_body_stays_for_the_next_message_however_it_is_cut() -> None:
    wire, reader = Wire(), BodyReader(10)
    wire.data_received(b"ab")
    assert reader.take(wire) == b"ab"
    wire.data_received(b"cd")
    wire.data_received(b"ef")
    assert reader.take(wire) == b"cdef", "two pieces that came before anybody took the first"
    wire.data_received(b"ghijGET ")
    assert (reader.take(wire), reader.done) == (b"ghij", True)
    wire.data_received(b"/ HTTP")
    assert wire.buffer == b"GET / HTTP"


def test_a_client_that_asks_first_is_told_to_continue(front: Front) -> None:
    with front.connect("house") as sock:
        sock.sendall(b"POST / HTTP/1.1\r\n" + HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"abc")
        assert read_answer(sock).json()["size"] == 3


def test_head_has_the_fields_and_no_body(front: Front) -> None:
    answer = front.ask("house", b"HEAD /sized?5000 HTTP/1.1\r\n" + HEAD + b"\r\n", head_only=True)
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5000", b"")


def test_an_old_client_gets_its_answer_and_the_end(front: Front) -> None:
    with front.connect("house") as sock:
        sock.sendall(b"GET /big?70000 HTTP/1.0\r\n\r\n")
        raw = b""
        while piece := sock.recv(65536):
            raw += piece
    assert len(raw.partition(b"\r\n\r\n")[2]) == 70000


@pytest.mark.parametrize("path", ["/breaks", "/breaks?sized"])
@pytest.mark.parametrize("door", ["house", "ops"])
def test_half_an_answer_never_looks_whole(front: Front, door: str, path: str) -> None:
    answer = front.get(door, path)
    assert not answer.complete


def test_a_worker_that_dies_is_an_error_in_the_language_of_the_door(front: Front) -> None:
    assert front.get("house", "/fhir/dies").json()["issue"][0]["code"] == "transient"
    problem = front.get("house", "/network/dies")
    assert (problem.status, problem.headers["content-type"]) == (502, "application/problem+json")
    assert front.get("house", "/").status == 200


def test_an_error_of_the_application_shows_no_inside(front: Front) -> None:
    answer = front.get("house", "/fails")
    assert answer.status == 500
    assert b"Nguyen" not in answer.body
    assert b"Nguyen" not in (front.folder / "stderr.txt").read_bytes()


def test_a_study_flows_through_in_constant_memory(front: Front) -> None:
    processes = front.children()
    before = {pid: resident_mb(pid) for pid in processes}
    with front.connect("house") as sock:
        sock.sendall(b"POST /dicomweb/upload HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % STUDY)
        block = bytes(MEGABYTE)
        for _ in range(150):
            sock.sendall(block)
        assert read_answer(sock).json()["size"] == STUDY
    for path in ("/big", "/sized"):
        answer = front.get("house", f"{path}?{STUDY}")
        assert (len(answer.body), answer.complete) == (STUDY, True)
    assert max(resident_mb(pid) - before[pid] for pid in processes) < 12
    assert list((front.folder / "spool").iterdir()) == []


def test_a_reader_who_stops_fills_no_memory_and_stops_the_worker_on_leaving(front: Front) -> None:
    edge, mark = front.child("edge"), front.folder / "endless"
    before = resident_mb(edge)
    sock = front.connect("house")
    sock.sendall(b"GET /endless?%s HTTP/1.1\r\n" % bytes(mark) + HEAD + b"\r\n")
    sock.recv(1000)
    for _ in range(20):
        assert front.get("house", "/").status == 200
    assert resident_mb(edge) - before < 8
    assert not mark.exists()
    sock.close()
    eventually(mark.exists, "the worker has stopped")


def test_readers_who_stop_keep_nobody_waiting(front: Front) -> None:
    stopped = [front.connect("house") for _ in range(24)]
    for sock in stopped:
        sock.sendall(b"GET /big?50000000 HTTP/1.1\r\n" + HEAD + b"\r\n")
    assert front.get("house", "/").status == 200
    for sock in stopped:
        sock.close()


def test_an_early_answer_reaches_a_client_that_still_sends(front: Front) -> None:
    with front.connect("house") as sock:
        size = 8 * MEGABYTE
        sock.sendall(b"POST /dicomweb/upload HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % size + bytes(size))
        assert read_answer(sock).status == 200
        sock.sendall(b"POST /ignores-body HTTP/1.1\r\n" + HEAD + b"Content-Length: 90000\r\n\r\n" + bytes(90000))
        assert read_answer(sock).status == 200
        sock.sendall(b"POST /too-long HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % size + bytes(size))
        assert read_answer(sock).status == 413


def test_a_new_certificate_is_shown_without_a_restart(front: Front) -> None:
    def shown() -> bytes | None:
        with front.connect("house") as sock:
            assert isinstance(sock, ssl.SSLSocket)
            return sock.getpeercert(binary_form=True)

    edge, first = front.child("edge"), shown()
    front.server_ca.issue("localhost", file="server")
    assert shown() != first
    (front.folder / "server.key").write_text("half a key")
    second = shown()
    assert second is not None
    front.server_ca.issue("localhost", file="server")
    assert shown() not in (first, second)
    assert front.child("edge") == edge


def test_the_access_line_names_no_patient(front: Front) -> None:
    front.get("house", "/fhir/Patient/001234567890?name=Nguyen")
    eventually(lambda: front.access_lines()[-1][2] == "/fhir/Patient", "the access line is written")
    door, method, _, status, _, size = front.access_lines()[-1]
    assert (door, method, status, size > 0) == ("house", "GET", 200, True)
    assert (route_hint(b"/"), route_hint(b"/me/4f2a/x"), route_hint(b"/.well-known/x")) == (
        "/",
        "/me/*",
        "/*/x",
    )


@pytest.mark.parametrize("door", ["house", "ops"])
def test_what_does_not_arrive_in_time_is_told_so(short: Front, door: str) -> None:
    with short.connect(door) as sock:
        sock.sendall(b"GET / HT")
        assert read_answer(sock).status == 408
    with short.connect(door) as sock:
        sock.sendall(b"POST /fhir/Patient HTTP/1.1\r\n" + HEAD + b"Content-Length: 9\r\n\r\nhalf")
        answer = read_answer(sock)
        assert (answer.status, answer.json()["issue"][0]["code"]) == (408, "timeout")


def test_a_worker_that_does_not_answer_is_given_up(short: Front) -> None:
    answer = short.get("house", "/network/fhir/sleeps?2")
    assert (answer.status, answer.json()["issue"][0]["code"]) == (504, "timeout")


def test_without_a_free_worker_the_answer_is_to_repeat(short: Front) -> None:
    busy = [short.connect("house") for _ in range(4)]
    for sock in busy:
        sock.sendall(b"GET /sleeps?0.4 HTTP/1.1\r\n" + HEAD + b"\r\n")
    waiting = short.connect("house")
    for sock in busy[:2]:
        assert read_answer(sock).status == 200
    waiting.sendall(b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n")
    assert read_answer(waiting).status == 200
    for sock in busy[2:]:
        assert read_answer(sock).status in (200, 503)


def test_a_stalled_reader_is_dropped(short: Front) -> None:
    mark = short.folder / "endless"
    sock = short.connect("house")
    sock.sendall(b"GET /endless?%s HTTP/1.1\r\n" % bytes(mark) + HEAD + b"\r\n")
    eventually(mark.exists, "the worker has stopped")


def test_when_the_house_is_full_the_oldest_idle_guest_makes_room(short: Front) -> None:
    silent = [short.raw("house") for _ in range(30)] + [short.connect("ops") for _ in range(30)]
    assert short.get("house", "/").status == 200
    eventually(lambda: still_open(silent) <= 40, "the oldest have gone")
    assert still_open(silent[-30:]) == 30


def test_a_door_without_protection_does_not_open() -> None:
    tls = ServerTls(Path("a.pem"), Path("a.key"))
    for name, host, protection in (
        ("house", "0.0.0.0", None),
        ("ops", "0.0.0.0", tls),
        ("peer", "127.0.0.1", tls),
    ):
        with pytest.raises(UnsafeListener):
            Listener(name, host, 8443, protection)


def test_long_heads_pass_and_no_refusal_is_a_page_or_quotes_the_request(front: Front) -> None:
    """A request may have 16 KB of head; the workers have no smaller bound of their own."""
    name = "NGUYEN-VAN-AN"
    assert front.get("house", f"/fhir/Patient?name={'x' * 9000}").status == 200
    assert front.get("house", "/fhir/Patient", f"Authorization: Bearer {'x' * 12000}").status == 200
    refused = [
        front.get("house", f"/fhir/Patient?name={name}", "Content-Encoding: gzip"),
        front.get("house", f"/fhir/Patient?name={name}{'x' * 20000}"),
        front.get("house", f"/fhir/Patient?name={name}", *(f"x-{n}: 1" for n in range(120))),
    ]
    assert [answer.status for answer in refused] == [415, 431, 431]
    assert {answer.json()["resourceType"] for answer in refused} == {"OperationOutcome"}
