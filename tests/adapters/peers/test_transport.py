"""Asking peers that answer, and peers that do anything else: each costs its own line and no more than its time."""

from __future__ import annotations

import gzip
import socket
import time
from contextlib import suppress

import pytest
from peer_nodes import OTHER, OURS, THEIRS, answer

from adapters.peers.breaker import CircuitBreaker
from adapters.peers.errors import PeerBroken, PeerError, PeerTooSlow, PeerUnreachable
from adapters.peers.transport import PeerTransport, TransportLimits
from adapters.trust import certificates


def polite(tls, question):
    tls.sendall(answer(b'{"ok":1}', extra="X-One: 1\r\n"))


def sends(content, *, then_close=False):
    def behaviour(tls, question):
        tls.sendall(content)
        if then_close:
            tls.unwrap()
            raise ConnectionAbortedError

    return behaviour


def dripping(node_box, content, *, every=0.05):
    def behaviour(tls, question):
        for byte in content:
            tls.sendall(bytes([byte]))
            if node_box[0].wait(every):
                return

    return behaviour


def failure_of(call, kind):
    with pytest.raises(kind) as caught:
        call()
    return caught.value.reason


def test_a_peer_answers_and_its_connection_serves_the_next_question(node, ask):
    bac_ninh = node(polite)
    first, second = ask(bac_ninh.peer()), ask(bac_ninh.peer())
    assert (first.status, first.headers["x-one"], first.body) == (200, "1", b'{"ok":1}')
    assert first == second
    assert (bac_ninh.connections, len(bac_ninh.questions)) == (1, 2)
    assert b"\r\naccept-encoding: identity\r\n" in bac_ninh.questions[0].lower()


def test_the_first_question_finds_a_connection_that_waits(node, ask, transport):
    bac_ninh = node(polite)
    assert transport.warm([bac_ninh.peer()], deadline=time.monotonic() + 5) == {}
    ask(bac_ninh.peer())
    assert bac_ninh.connections == 1


def test_warming_again_does_not_make_an_old_connection_trusted_for_longer(node, transport):
    bac_ninh = node(polite)
    for _ in range(3):
        assert transport.warm([bac_ninh.peer()], deadline=time.monotonic() + 5) == {}
        (waiting,) = transport._lanes[THEIRS].idle
        waiting.idle_since -= 20
    assert bac_ninh.connections == 1
    transport.warm([bac_ninh.peer()], deadline=time.monotonic() + 5)
    assert bac_ninh.connections == 2


def test_warming_tells_who_is_away(transport, node):
    away = node(polite)
    away.end()
    found = transport.warm([away.peer()], deadline=time.monotonic() + 5)
    assert isinstance(found[THEIRS], PeerUnreachable)


def test_the_environment_of_the_process_changes_nothing(node, ask, desk, monkeypatch, tmp_path):
    other = certificates.make_authority("public", now=desk.now)
    (tmp_path / "bundle.pem").write_bytes(other.certificate)
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "bundle.pem"))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    assert ask(node(polite).peer()).status == 200
    rogue = node(polite, certificates.issue(other, THEIRS, organization="x", hosts=["127.0.0.1"], now=desk.now))
    assert failure_of(lambda: ask(rogue.peer()), PeerBroken) == "certificate"
    assert not (tmp_path / "keys.log").exists()


def test_a_certificate_of_the_federation_for_another_hospital_is_refused(node, ask, desk):
    wrong = node(polite, desk.credential(OTHER))
    assert failure_of(lambda: ask(wrong.peer()), PeerBroken) == "other-community"
    assert wrong.questions == []


def test_a_certificate_for_another_host_is_refused(node, ask, desk):
    wrong = node(polite, desk.credential(THEIRS, host="other.example"))
    assert failure_of(lambda: ask(wrong.peer()), PeerBroken) == "certificate"


def test_a_certificate_that_is_not_the_listed_one_is_refused(node, ask, desk):
    credential = desk.credential(THEIRS)
    bac_ninh = node(polite, credential)
    listed = certificates.thumbprint(certificates.to_der(credential.certificate))
    assert ask(bac_ninh.peer(thumbprints=frozenset({listed}))).status == 200
    assert failure_of(lambda: ask(bac_ninh.peer(thumbprints=frozenset({"x"}))), PeerBroken) == "certificate"


def test_a_peer_that_refuses_our_certificate_is_a_line_in_the_answer(node, desk):
    stranger = certificates.make_authority("strangers", now=desk.now)
    certificate, key = desk.write("stranger", desk.credential(OURS, authority=stranger))
    ours = PeerTransport(certificate, key, desk.ca)
    bac_ninh = node(polite)
    with pytest.raises(PeerBroken):
        ours.request(bac_ninh.peer(), "GET", "/", {}, deadline=time.monotonic() + 5, max_bytes=10)
    ours.close()


def test_nobody_listens(ask, node):
    away = node(polite)
    away.end()
    assert failure_of(lambda: ask(away.peer()), PeerUnreachable) == "refused"


def test_a_name_that_leads_nowhere_or_to_the_machine_itself_is_refused(ask, node, monkeypatch):
    asked = []

    def resolve(host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert failure_of(lambda: ask(node(polite).peer(peer_url="https://metadata.example")), PeerUnreachable) == "address"
    assert asked == ["metadata.example"]


def test_a_port_that_is_open_and_silent_costs_the_deadline_and_no_more(ask, node):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        peer = node(polite).peer(peer_url=f"https://127.0.0.1:{silent.getsockname()[1]}")
        assert failure_of(lambda: ask(peer, seconds=0.3), PeerTooSlow) == "deadline"


def test_a_peer_that_never_answers_costs_the_deadline(node, ask):
    box = []
    box.append(node(lambda tls, question: box[0].wait(10)))
    assert failure_of(lambda: ask(box[0].peer(), seconds=0.3), PeerTooSlow) == "deadline"


@pytest.mark.parametrize(
    "content",
    [
        answer(b"x" * 500),
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 90,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100,
    ],
)
def test_a_peer_that_drips_cannot_make_the_doctor_wait_longer(node, ask, content):
    box = []
    box.append(node(dripping(box, content)))
    assert failure_of(lambda: ask(box[0].peer(), seconds=0.4), PeerTooSlow) == "deadline"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (answer(b"x" * 200_000), "too-much"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n", "too-much"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" + b"x" * 9_000_000, "too-much"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"b" * 60_000 + b"\r\nX-B: " + b"b" * 60_000, "too-much"),
        (answer(b"", head="HTTP/1.1 302 Found", extra="Location: https://127.0.0.1:1/\r\n"), "redirect"),
        (answer(gzip.compress(b"x" * 10_000_000), extra="Content-Encoding: gzip\r\n"), "encoded"),
        (b"\x00\xff garbage \r\n\r\n", "not-http"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "not-http"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "not-http"),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused(node, ask, content, reason):
    if "Transfer" in content[:60].decode("latin-1") and reason == "too-much" and b"-1" not in content[:60]:
        content += b"10000\r\n" + b"x" * 65536 + b"\r\n0\r\n\r\n"
    assert failure_of(lambda: ask(node(sends(content)).peer()), PeerBroken) == reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "cut-off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "cut-off"),
        (b"HTTP/1.1 200 OK\r\n\r\nno end to be checked", "unframed"),
        (b"", "closed"),
    ],
)
def test_half_an_answer_is_not_taken_for_a_whole_one(node, ask, content, reason):
    assert failure_of(lambda: ask(node(sends(content, then_close=True)).peer()), PeerBroken) == reason


def test_a_connection_that_the_peer_closed_meanwhile_is_replaced_quietly(node, ask):
    bac_ninh = node(sends(answer(), then_close=True))
    assert [ask(bac_ninh.peer()).status for _ in range(3)] == [200] * 3
    assert bac_ninh.connections == 3


def test_what_a_peer_sends_unasked_is_never_the_answer_to_the_next_question(node, ask):
    bac_ninh = node(sends(answer(b"first") + answer(b"smuggled")))
    assert [ask(bac_ninh.peer()).body for _ in range(2)] == [b"first"] * 2


def test_a_peer_that_keeps_failing_is_left_alone(node, ask):
    away = node(sends(b"garbage\r\n\r\n"))
    for _ in range(5):
        with pytest.raises(PeerBroken):
            ask(away.peer())
    assert failure_of(lambda: ask(away.peer()), PeerUnreachable) == "circuit-open"
    assert len(away.questions) == 5


def test_after_half_a_minute_one_question_tries_for_all():
    breaker = CircuitBreaker(failures=5, seconds=30)
    for _ in range(5):
        assert breaker.admits(100)
        breaker.failed(100)
    assert not breaker.admits(129)
    assert [breaker.admits(130), breaker.admits(130)] == [True, False]
    breaker.failed(131)
    assert not breaker.admits(160)
    assert breaker.admits(161)
    breaker.abandoned(161)
    assert breaker.admits(161)
    breaker.succeeded()
    assert [breaker.admits(161), breaker.admits(161)] == [True, True]


def test_a_renewed_certificate_is_shown_without_a_restart(node, ask, desk, transport):
    seen = []

    def behaviour(tls, question):
        seen.append(certificates.thumbprint(tls.getpeercert(binary_form=True)))
        polite(tls, question)

    bac_ninh = node(behaviour)
    ask(bac_ninh.peer())
    before = transport.thumbprint
    _, key = desk.write("ours", desk.credential(OURS))
    ask(bac_ninh.peer())
    assert seen == [before, transport.thumbprint] and before != transport.thumbprint
    renewed, good = transport.thumbprint, key.read_bytes()
    key.write_bytes(b"half")
    assert ask(bac_ninh.peer()).status == 200
    assert transport.thumbprint == renewed and transport.trouble
    key.write_bytes(good)
    assert transport.thumbprint == renewed and not transport.trouble


def test_our_own_mistake_is_not_blamed_on_the_peer(node, ask):
    for path in ("no-slash", "/a b", "/a\r\nX: y", "/é"):
        with pytest.raises(ValueError, match="a path begins"):
            ask(node(polite).peer(), path=path)


def streamed(transport, peer, **changed):
    return transport.stream(peer, "GET", "/study", {}, deadline=time.monotonic() + 5, **changed)


def test_a_study_flows_through_and_its_connection_is_kept(node, transport):
    content = bytes(range(256)) * 4000
    bac_ninh = node(sends(answer(content)))
    for _ in range(2):
        with streamed(transport, bac_ninh.peer()) as stream:
            assert (stream.status, stream.length) == (200, len(content))
            parts = list(stream.chunks())
    assert b"".join(parts) == content
    assert max(map(len, parts)) <= 256 * 1024
    assert bac_ninh.connections == 1


def test_a_reader_who_leaves_stops_the_holder(node, transport):
    stopped = []

    def endless(tls, question):
        tls.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(OSError):
            while True:
                tls.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        stopped.append(True)

    bac_ninh = node(endless)
    with streamed(transport, bac_ninh.peer()) as stream:
        next(stream.chunks())
    assert bac_ninh.gone.wait(5) and stopped


def test_a_stream_closed_from_outside_is_not_taken_for_complete(node, transport):
    bac_ninh = node(sends(answer(b"x" * 1_000_000)))
    stream = streamed(transport, bac_ninh.peer())
    parts = stream.chunks()
    next(parts)
    stream.close()
    with pytest.raises(PeerBroken):
        list(parts)


@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_a_stream_that_stalls_or_drips_is_given_up(node, transport, framing):
    box = []

    def behaviour(tls, question):
        tls.sendall(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        dripping(box, b"1\r\nx\r\n" * 100)(tls, question)

    box.append(node(behaviour))
    with streamed(transport, box[0].peer()) as stream:
        assert failure_of(lambda: list(stream.chunks()), PeerTooSlow) == "stalled"


def test_a_stream_that_breaks_says_so(node, transport):
    half = answer(b"x" * 300_000)[:200_000]
    with streamed(transport, node(sends(half, then_close=True)).peer()) as stream:
        assert failure_of(lambda: list(stream.chunks()), PeerBroken) == "cut-off"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"100\r\n" + b"x" * 256 + b"\r\n"
    with streamed(transport, node(sends(chunked * 1, then_close=True)).peer()) as stream:
        assert failure_of(lambda: list(stream.chunks()), PeerBroken) == "cut-off"


def test_a_stream_larger_than_announced_or_allowed_is_refused(node, transport):
    bac_ninh = node(sends(answer(b"x" * 300_000)))
    assert failure_of(lambda: streamed(transport, bac_ninh.peer(), max_bytes=1000), PeerBroken) == "too-much"
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 50
    with streamed(transport, node(sends(chunks + b"0\r\n\r\n")).peer(), max_bytes=100_000) as stream:
        assert failure_of(lambda: list(stream.chunks()), PeerBroken) == "too-much"


def test_failures_name_the_hospital_and_nothing_of_its_answer():
    failure: PeerError = PeerBroken("not-http", THEIRS)
    assert str(failure) == f"{THEIRS} cannot be used: not-http"
    assert TransportLimits().failures == 5
