"""The HL7 door as senders meet it: real sockets, a real process, and clients that behave badly."""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.hl7v2.framing import Framer, framed
from adapters.hl7v2.message import MAX_MESSAGE, Message, read_message
from hie_node.apart import USUAL, Bounds
from hie_node.bootstrap import build
from hie_node.house import House
from hie_node.line_door import listen
from hie_node.mllp import GARBAGE, run_mllp
from hie_node.operations import readiness
from hie_node.setting_tables import Hl7Sender, Mllp, UnsafeSettings
from hie_node.settings import Settings, load
from registry.feeds import FeedSearch
from tests.conformance.hl7v2 import refuse_faulty
from tests.house.hospital import Hospital, code, make_house
from tests.house.test_hl7v2 import sample
from tests.processes import PATIENCE, ended, forked, free_port, is_answered


def all_that_is_free() -> list[bytes]:
    """What earlier tests left in the heap: a bound of memory counts what a process has beyond what it has."""

    def has() -> int:
        return int(Path("/proc/self/statm").read_text("ascii").split()[0])

    before, held = has(), list[bytes]()
    while has() == before:
        held.append(bytes(1 << 20))
    return held


class Door:
    """The listener of one hospital, in a process of its own."""

    def __init__(self, house: House, bounds: Bounds = USUAL) -> None:
        self.hospital, self.settings, self.bounds = Hospital(house), house.settings, bounds
        self.pid = 0
        self._held = ExitStack()

    def open(self) -> None:
        self.hospital.house.storage.close()
        listening = listen(self.settings.mllp.host, self.settings.mllp_port)
        self.pid = forked(lambda: self._serve(listening))
        is_answered(listening)

    def _serve(self, listening: socket.socket) -> None:
        held = all_that_is_free()
        run_mllp(build(self.settings), listening, self.bounds)
        del held

    def end(self, number: int = signal.SIGTERM) -> int:
        pid, self.pid = self.pid, 0
        return ended(pid, number)

    def connect(self) -> Sender:
        return Sender(self.socket())

    def socket(self) -> socket.socket:
        found = socket.create_connection(("127.0.0.1", self.settings.mllp_port), PATIENCE)
        return self._held.enter_context(found)

    def close(self) -> None:
        """Nothing is left."""
        self._held.close()
        if self.pid:
            assert self.end() == 0
        self.hospital.house.storage.close()


class Sender:
    """One connection of a hospital's system."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self._framer, self._waiting = sock, Framer(MAX_MESSAGE), list[bytes]()
        sock.settimeout(PATIENCE)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self) -> Message:
        while not self._waiting:
            data = self.sock.recv(65536)
            assert data, "the connection was closed without an answer"
            self._waiting += [each for each in self._framer.feed(data) if isinstance(each, bytes)]
        refuse_faulty(answer := self._waiting.pop(0))
        return read_message(answer)

    def ask(self, data: bytes) -> Message:
        self.send(framed(data))
        return self.answer()

    def is_closed(self) -> bool:
        """Waits for the end."""
        try:
            return self.sock.recv(1) == b""
        except (ConnectionError, ssl.SSLError):
            return True


MakeDoor = Callable[..., Door]


@pytest.fixture
def make_door(tmp_path: Path) -> Iterator[MakeDoor]:
    """Opens a door with these bounds."""
    made: list[Door] = []

    def make(**bounds: Any) -> Door:
        made.append(Door(make_house(tmp_path, mllp_port=free_port(), mllp=Mllp(**bounds))))
        made[-1].open()
        return made[-1]

    yield make
    for door in made:
        door.close()


@pytest.fixture
def door(make_door: MakeDoor) -> Door:
    return make_door()


def test_pipelined_messages_are_answered_in_order(door: Door) -> None:
    sender = door.connect()
    numbers = [f"M{number}" for number in range(1, 101)]
    sender.send(b"".join(framed(sample("adt_a04", **{"|M1|": f"|{number}|"})) for number in numbers))
    assert [sender.answer().one("MSA").text(2) for _ in numbers] == numbers
    assert door.hospital.record("A1") is not None


def test_a_message_arrives_however_its_bytes_are_cut(door: Door) -> None:
    sender = door.connect()
    data = b"garbage\r\n" + framed(sample("adt_a04"))
    for place in range(0, len(data), 7):
        sender.send(data[place : place + 7])
    assert code(sender.answer()) == "AA"


def test_an_end_without_its_last_byte_is_answered_at_once(door: Door) -> None:
    sender = door.connect()
    for number in ("1", "2"):
        sender.send(framed(sample("adt_a04", **{"|M1|": f"|{number}|"}))[:-1])
        assert sender.answer().one("MSA").text(2) == number


def test_whatever_comes_is_answered_and_the_connection_stays(door: Door) -> None:
    sender = door.connect()
    for data in (b"", b"hello", b"MSH|", b"MSH|^~\\&|" + b"|" * 100_000, b"\xff\xfe\x00" * 50):
        assert code(sender.ask(data)) in ("AR", "AE")
    assert code(sender.ask(sample("adt_a04"))) == "AA"


def test_300_silent_senders_keep_nobody_waiting(door: Door) -> None:
    for number in range(300):
        silent = door.connect()
        if number % 3 == 0:
            silent.send(b"\x0bMSH|^~\\&|half a message")
    assert code(door.connect().ask(sample("adt_a04"))) == "AA"


def test_a_message_without_end_is_refused_and_the_connection_closed(door: Door) -> None:
    sender = door.connect()
    sender.send(b"\x0b" + sample("adt_a04"))
    piece = b"x" * (1 << 20)
    for _ in range((MAX_MESSAGE >> 20) - 1):
        sender.send(piece)
    sender.send(piece)
    answer = sender.answer()
    assert (code(answer), answer.one("MSA").text(2)) == ("AR", "M1") and sender.is_closed()
    assert code(door.connect().ask(sample("adt_a04"))) == "AA"


def test_a_sender_of_too_much_hears_so_although_it_is_still_sending_and_that_is_seen(door: Door) -> None:
    sender = door.connect()
    sender.send(framed(sample("adt_a04") + b"x" * (2 * MAX_MESSAGE)))
    answer = sender.answer()
    assert (code(answer), answer.one("MSA").text(2)) == ("AR", "M1")
    with door.hospital.house.storage.read() as unit:
        (item,) = unit.feeds.find(FeedSearch("hl7v2"))
    assert (item.feed, item.name, item.outcome, item.owner) == ("hl7v2 HIS|BV_BN", "M1", "refused", "")
    assert "larger than this door allows" in item.reasons[0]


def test_endless_garbage_ends_the_connection(door: Door) -> None:
    sender = door.connect()
    sender.send(b"x" * (GARBAGE + 1))
    assert sender.is_closed()


def test_a_slow_message_and_a_long_silence_end_the_connection(make_door: MakeDoor) -> None:
    door = make_door(idle_seconds=0.3, frame_seconds=0.3)
    silent, slow = door.connect(), door.connect()
    slow.send(b"\x0bMSH|")
    assert silent.is_closed() and slow.is_closed()


def test_when_all_places_are_taken_the_one_that_was_silent_longest_goes(make_door: MakeDoor) -> None:
    door = make_door(connections=2)
    first, second = door.connect(), door.connect()
    assert code(second.ask(sample("adt_a04"))) == "AA"
    third = door.connect()
    assert code(third.ask(sample("adt_a08"))) == "AA"
    assert first.is_closed() and code(second.ask(sample("adt_a04"))) == "AA"


def test_who_is_not_at_a_listed_address_is_not_heard(make_door: MakeDoor) -> None:
    door = make_door(senders=(Hl7Sender("HIS", "", ("10.1.0.0/16",)),))
    assert door.connect().is_closed()


def test_with_client_certificates_nobody_without_one_is_heard(make_door: MakeDoor) -> None:
    door = make_door(tls=True, client_authority="tls/federation-ca.crt")
    tls = door.settings.tls
    context = ssl.create_default_context(cafile=str(tls / "federation-ca.crt"))
    with context.wrap_socket(door.socket(), server_hostname="localhost") as stranger:
        assert Sender(stranger).is_closed()
    context.load_cert_chain(tls / "house.crt", tls / "house.key")
    with context.wrap_socket(door.socket(), server_hostname="localhost") as known:
        assert code(Sender(known).ask(sample("adt_a04"))) == "AA"


def test_a_kill_loses_nothing_that_was_acknowledged(door: Door) -> None:
    sender = door.connect()
    acknowledged = sender.ask(sample("oru_ct"))
    assert code(acknowledged) == "AA"
    assert door.end(signal.SIGKILL) == -signal.SIGKILL
    documents = door.hospital.documents("A1")
    assert len(documents) == 2
    door.open()
    again = door.connect().ask(sample("oru_ct"))
    assert [s.raw for s in again.segments[1:]] == [s.raw for s in acknowledged.segments[1:]]
    assert door.hospital.documents("A1") == documents


def test_an_orderly_end_answers_what_was_begun(door: Door) -> None:
    idle, sender = door.connect(), door.connect()
    assert code(sender.ask(sample("adt_a04"))) == "AA"
    assert door.end() == 0
    assert idle.is_closed() and sender.is_closed()


# ---- settings ----


def test_an_open_door_off_loopback_is_refused() -> None:
    for unsafe in (
        Mllp(host="0.0.0.0"),
        Mllp(host="0.0.0.0", tls=True),
        Mllp(host="10.0.0.1", senders=(Hl7Sender("HIS"),)),
        Mllp(client_authority="ca.crt"),
        Mllp(threads=33),
        Mllp(senders=(Hl7Sender("HIS", addresses=("nowhere",)),)),
    ):
        with pytest.raises(UnsafeSettings, match="mllp"):
            unsafe.check()
    Mllp(host="0.0.0.0", tls=True, client_authority="tls/ca.crt").check()
    Mllp(host="0.0.0.0", senders=(Hl7Sender("HIS", addresses=("10.0.0.0/8",)),)).check()


def test_a_lab_listens_on_loopback_only(hospital: Hospital) -> None:
    mllp = Mllp(host="0.0.0.0", tls=True, client_authority="tls/ca.crt")
    settings: Settings = replace(hospital.house.settings, mllp=mllp, mllp_port=2575)
    with pytest.raises(UnsafeSettings, match="loopback"):
        settings.check()


def test_the_settings_are_read_from_the_file(hospital: Hospital) -> None:
    file = hospital.house.settings.home / "node.toml"
    text = file.read_text("utf-8").replace("mllp_port = 0", "mllp_port = 2575")
    more = '[[mllp.senders]]\napplication = "HIS"\naddresses = ["127.0.0.0/8"]\n'
    more += '[mllp.authorities]\nbvb = "urn:oid:1.2.4"\n'
    file.write_text(text + more, "utf-8")
    mllp = load(file.parent).mllp
    assert (mllp.host, mllp.senders[0].addresses, mllp.authorities) == (
        "127.0.0.1",
        ("127.0.0.0/8",),
        {"BVB": "urn:oid:1.2.4"},
    )


def test_a_door_that_is_closed_is_reported(hospital: Hospital) -> None:
    house = replace(hospital.house, settings=replace(hospital.house.settings, mllp_port=free_port()))
    assert any("HL7" in problem for problem in readiness(house))
    assert not any("HL7" in problem for problem in readiness(hospital.house))
