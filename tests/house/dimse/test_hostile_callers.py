"""Callers that are silent, slow or lying: each costs its own association and nobody else's time."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from adapters.dicom.network import pdu
from adapters.dicom.network.commands import Request, Status, write_command
from adapters.dicom.network.pdu import Context, Kind
from adapters.dicom.network.services import VERIFICATION
from hie_node.operations import readiness
from hie_node.setting_tables import Dicom, DicomSystem, UnsafeSettings
from tests.adapters.dicom.files import CT_IMAGE, EXPLICIT, IMPLICIT, STUDY, slice_body, study_of
from tests.house.dimse.port import Port
from tests.processes import free_port

ECHO = Context(1, VERIFICATION, (IMPLICIT,))
STORE = Context(3, CT_IMAGE, (EXPLICIT,))


def echo(number: int = 1) -> bytes:
    command = write_command(Request.ECHO, AffectedSOPClassUID=VERIFICATION, MessageID=number)
    return pdu.data(1, command, is_command=True, is_last=True)


def of(study: str, number: int = 1) -> bytes:
    return slice_body(number, study=study, series=f"{study}.1")


def store(body: bytes, *, uid: str = f"{STUDY}.1.1", sop_class: str = CT_IMAGE) -> list[bytes]:
    command = write_command(
        Request.STORE, AffectedSOPClassUID=sop_class, MessageID=1, CommandDataSetType=1, AffectedSOPInstanceUID=uid
    )
    half = len(body) // 4 * 2
    return [
        pdu.data(3, command, is_command=True, is_last=True),
        pdu.data(3, body[:half], is_command=False, is_last=False),
        pdu.data(3, body[half:], is_command=False, is_last=True),
    ]


def test_300_silent_and_slow_callers_keep_nobody_waiting(port: Port) -> None:
    for number in range(300):
        if number % 3 == 0:
            port.socket()
        elif number % 3 == 1:
            port.socket().send(b"\x01\x00\x00\x00")
        else:
            line = port.associates(ECHO, STORE)
            line.accepted()
            line.send(store(slice_body())[0])
    assert port.runs("echoscu", "-v", "-ta", "2", "-td", "2").code == 0


def test_when_all_places_are_taken_the_one_that_was_silent_longest_goes(make_port: Callable[..., Port]) -> None:
    port = make_port(associations=2)
    silent, speaking = port.associates(ECHO), port.associates(ECHO)
    silent.accepted(), speaking.accepted()
    speaking.send(echo())
    assert speaking.answer().number("Status") == Status.SUCCESS
    assert port.runs("echoscu", "-v").code == 0
    assert silent.pdu() is None
    speaking.send(echo(2))
    assert speaking.answer().number("Status") == Status.SUCCESS


@pytest.mark.parametrize(
    "lie",
    [
        struct.pack(">BxL", Kind.DATA, 2_000_000_000),
        struct.pack(">BxL", Kind.DATA, 10) + struct.pack(">LBB", 4_000_000_000, 1, 3) + bytes(4),
        struct.pack(">BxL", 99, 4) + bytes(4),
        pdu.data(7, write_command(Request.ECHO, MessageID=1), is_command=True, is_last=True),
        pdu.data(1, b"\xff" * 100, is_command=True, is_last=True),
        pdu.data(1, b"data without a command", is_command=False, is_last=True),
        pdu.framed(Kind.ASSOCIATE_AC, bytes(100)),
    ],
    ids=["2 GB", "fragment", "unknown kind", "context", "command", "no command", "out of turn"],
)
def test_a_caller_that_lies_is_cut_off_and_the_others_are_served(port: Port, lie: bytes) -> None:
    liar, other = port.associates(ECHO), port.associates(ECHO)
    liar.accepted(), other.accepted()
    liar.send(lie)
    answer = liar.pdu()
    assert answer is None or answer[0] is Kind.ABORT
    assert liar.pdu() is None
    other.send(echo())
    assert other.answer().number("Status") == Status.SUCCESS


def test_an_association_that_says_nonsense_is_not_made(port: Port) -> None:
    for body in (b"", bytes(68) + b"\x10\x00\xff\xff", b"\xff" * 200):
        line_socket = port.socket()
        line_socket.sendall(struct.pack(">BxL", Kind.ASSOCIATE_RQ, len(body)) + body)
        while line_socket.recv(4096):
            pass
    assert port.runs("echoscu", "-v").code == 0


def test_an_abort_in_the_middle_of_an_object_leaves_nothing(port: Port) -> None:
    line = port.associates(ECHO, STORE)
    line.accepted()
    for piece in store(slice_body())[:2]:
        line.send(piece)
    line.send(pdu.aborted(by_user=True))
    assert line.pdu() is None
    assert port.study(STUDY) is None
    assert list(port.settings.spool.glob("*")) == []


def test_a_slow_object_and_a_long_silence_end_the_association(make_port: Callable[..., Port]) -> None:
    port = make_port(pdu_seconds=0.3, idle_seconds=0.3, associate_seconds=0.3)
    never, silent, slow = port.socket(), port.associates(ECHO), port.associates(ECHO, STORE)
    silent.accepted(), slow.accepted()
    slow.send(store(slice_body())[0] + b"\x04")
    assert silent.pdu() is None and slow.pdu() is None and never.recv(1) == b""


def test_an_object_of_another_uid_than_announced_is_refused(port: Port) -> None:
    study = f"{STUDY}.2"
    line = port.associates(ECHO, STORE)
    line.accepted()
    for body, uid, status in (
        (of(study), "1.2.3", Status.DOES_NOT_MATCH),
        (of(study), "../../etc/passwd", Status.CANNOT_UNDERSTAND),
        (of(study)[:-40], f"{study}.1.1", Status.CANNOT_UNDERSTAND),
        (of(study), f"{study}.1.1", Status.SUCCESS),
    ):
        for piece in store(body, uid=uid):
            line.send(piece)
        assert line.answer().number("Status") == status
    assert len(port.contents(study)) == 1


def test_what_is_too_long_is_refused_and_the_association_goes_on(port: Port) -> None:
    line = port.associates(ECHO, STORE)
    line.accepted()
    command = write_command(Request.FIND, AffectedSOPClassUID=VERIFICATION, MessageID=1, CommandDataSetType=1)
    line.send(pdu.data(1, command, is_command=True, is_last=True))
    for _ in range(8):
        line.send(pdu.data(1, bytes(100_000), is_command=False, is_last=False))
    line.send(pdu.data(1, bytes(2), is_command=False, is_last=True))
    assert line.answer().number("Status") == Status.UNRECOGNIZED_OPERATION
    line.send(echo())
    assert line.answer().number("Status") == Status.SUCCESS


def test_contexts_are_accepted_by_what_is_spoken(port: Port) -> None:
    line = port.associates(
        ECHO,
        Context(3, CT_IMAGE, (IMPLICIT, EXPLICIT)),
        Context(5, "1.2.3.4", (IMPLICIT,)),
        Context(7, CT_IMAGE, ("1.2.3",)),
    )
    answered = {context.id: (context.result, context.transfer_syntax) for context in line.accepted().contexts}
    assert answered[1] == (0, IMPLICIT) and answered[3] == (0, EXPLICIT)
    assert (answered[5][0], answered[7][0]) == (3, 4)


def test_an_orderly_end_answers_what_was_begun(make_port: Callable[..., Port]) -> None:
    port = make_port()
    line = port.associates(ECHO)
    line.accepted()
    assert port.stores(*study_of(2)).code == 0
    assert port.end() == 0
    assert line.pdu() is None
    assert len(port.contents(STUDY)) == 2


# ---- settings


def test_an_open_port_off_loopback_is_refused() -> None:
    for unsafe in (
        Dicom(host="0.0.0.0"),
        Dicom(host="0.0.0.0", tls=True),
        Dicom(host="10.0.0.1", systems=(DicomSystem("CT1"),)),
        Dicom(client_authority="ca.crt"),
        Dicom(systems=(DicomSystem("A TITLE THAT IS TOO LONG"),)),
        Dicom(systems=(DicomSystem("CT1", ("nowhere",)),)),
    ):
        with pytest.raises(UnsafeSettings, match="dicom"):
            unsafe.check()
    Dicom(host="0.0.0.0", tls=True, client_authority="tls/ca.crt").check()
    Dicom(host="0.0.0.0", systems=(DicomSystem("CT1", ("10.0.0.0/8",)),)).check()


def test_a_port_that_is_closed_is_reported(port: Port) -> None:
    closed = replace(port.house, settings=replace(port.settings, dicom_port=free_port()))
    assert any("DICOM" in problem for problem in readiness(closed))
    assert not any("DICOM" in problem for problem in readiness(port.house))
