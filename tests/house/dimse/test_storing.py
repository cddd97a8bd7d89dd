"""C-ECHO, C-STORE and storage commitment as a modality meets them: DCMTK's tools against a real port."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from adapters.dicom.file_head import data_set_of
from adapters.dicom.network import pdu
from adapters.dicom.network.commands import ANSWER, Request, Status, write_command
from adapters.dicom.network.commitment import ALL_KEPT, REQUESTED, SOME_MISSING, Commitment, write_report
from adapters.dicom.network.pdu import Context
from adapters.dicom.network.services import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from tests.adapters.dicom.files import (
    CT_IMAGE,
    EXPLICIT,
    GSPS,
    IMPLICIT,
    JPEG_LS,
    STUDY,
    ct_slice,
    implicit_body,
    part10,
    slice_body,
    study_of,
)
from tests.house.dimse.port import Port


def data(content: bytes) -> bytes:
    return b"".join(data_set_of([content]))


def test_a_modality_finds_the_port_alive(port: Port) -> None:
    assert port.runs("echoscu", "-v").code == 0


def test_another_ae_title_than_ours_is_refused(port: Port) -> None:
    ran = port.runs("echoscu", "-v", called="ELSEWHERE")
    assert ran.code != 0 and "Called AE Title Not Recognized" in ran.said


def test_a_study_is_stored_as_it_was_sent(port: Port) -> None:
    files = study_of(5)
    ran = port.stores(*files)
    assert ran.code == 0, ran.said
    stored = port.contents(STUDY)
    assert {data(content) for content in stored.values()} == {data(content) for content in files}
    found = port.study(STUDY)
    assert found is not None and ("C-STORE", [found.id]) in port.recorded()


@pytest.mark.parametrize(
    ("number", "syntax", "options"), [(1, IMPLICIT, ("-xi",)), (2, JPEG_LS, ("-xt",)), (3, EXPLICIT, ("-x=",))]
)
def test_transfer_syntaxes_are_kept_untouched(port: Port, number: int, syntax: str, options: tuple[str, ...]) -> None:
    uid = f"{STUDY}.{number}"
    make = implicit_body if syntax == IMPLICIT else slice_body
    content = part10(make(1, study=uid, series=f"{uid}.1", encapsulated=syntax == JPEG_LS), syntax=syntax)
    ran = port.stores(content, options=options)
    assert ran.code == 0, ran.said
    (stored,) = port.contents(uid).values()
    found = port.study(uid)
    assert found is not None and found.selected()[0].transfer_syntax == syntax
    assert data(stored) == data(content)


def test_the_same_again_changes_nothing_and_other_bytes_are_refused(port: Port) -> None:
    uid = f"{STUDY}.4"
    first, other = (ct_slice(study=uid, series=f"{uid}.1", pixels=pixels * 16) for pixels in (b"\1\2", b"\3\4"))
    assert port.stores(first).code == 0
    before = port.contents(uid)
    assert port.stores(first).code == 0
    ran = port.stores(other)
    assert "0x111" in ran.said, ran.said
    assert port.contents(uid) == before


def test_an_instance_of_one_study_is_never_taken_into_another(port: Port) -> None:
    uid = f"{STUDY}.5"
    assert port.stores(ct_slice(study=uid, series=f"{uid}.1")).code == 0
    ran = port.stores(ct_slice(study=f"{uid}.9", series=f"{uid}.1"))
    assert "0x111" in ran.said, ran.said


def test_an_object_without_a_patient_is_refused_and_the_next_is_stored(port: Port) -> None:
    uid = f"{STUDY}.6"
    slices = [ct_slice(n, study=uid, series=f"{uid}.1", patient=b"" if n == 1 else b"BN-0042") for n in (1, 2)]
    ran = port.stores(*slices, options=("-xs", "-nh"))
    assert "CannotUnderstand" in ran.said, ran.said
    assert len(port.contents(uid)) == 1


def test_what_is_kept_for_good_is_committed(port: Port) -> None:
    uid = f"{STUDY}.7"
    assert port.stores(ct_slice(study=uid, series=f"{uid}.1")).code == 0
    line = port.associates(Context(1, STORAGE_COMMITMENT, (EXPLICIT,)))
    line.accepted()
    kept, missing, other = (CT_IMAGE, f"{uid}.1.1"), (CT_IMAGE, f"{uid}.1.2"), (GSPS, f"{uid}.1.1")
    for objects, event in (((kept,), ALL_KEPT), ((kept, missing, other), SOME_MISSING)):
        for piece in asks_to_keep(*objects):
            line.send(piece)
        assert line.answer().number("Status") == Status.SUCCESS
        told = line.answer()
        assert (told.kind, told.number("EventTypeID")) == (Request.EVENT_REPORT, event)
        report = line.data()
        assert report.count(b"\x08\x00\x97\x11") == len(objects) - 1
        line.send(pdu.data(1, write_command(Request.EVENT_REPORT | ANSWER, Status=0), is_command=True, is_last=True))


def asks_to_keep(*objects: tuple[str, str]) -> list[bytes]:
    command = write_command(
        Request.ACTION,
        RequestedSOPClassUID=STORAGE_COMMITMENT,
        MessageID=1,
        CommandDataSetType=1,
        RequestedSOPInstanceUID=STORAGE_COMMITMENT_INSTANCE,
        ActionTypeID=REQUESTED,
    )
    asked = write_report(Commitment("1.2.3.4", objects), objects, (), transfer_syntax=EXPLICIT)
    return [pdu.data(1, command, is_command=True, is_last=True), pdu.data(1, asked, is_command=False, is_last=True)]


def test_a_kill_loses_nothing_that_was_acknowledged(make_port: Callable[..., Port]) -> None:
    port = make_port()
    assert port.stores(*study_of(3)).code == 0
    assert port.end(signal.SIGKILL) == -signal.SIGKILL
    assert len(port.contents(STUDY)) == 3
    port.open()
    assert port.stores(ct_slice(4)).code == 0
    assert len(port.contents(STUDY)) == 4


def test_with_client_certificates_nobody_without_one_is_heard(make_port: Callable[..., Port]) -> None:
    port = make_port(tls=True, client_authority="tls/federation-ca.crt")
    tls = port.settings.tls
    authority = ("+cf", str(tls / "federation-ca.crt"))
    assert port.runs("echoscu", "-v", "+tla", *authority).code != 0
    assert port.runs("echoscu", "-v", "+tls", str(tls / "house.key"), str(tls / "house.crt"), *authority).code == 0
