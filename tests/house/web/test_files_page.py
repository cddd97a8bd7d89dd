"""The registrar's page for papers in the drop folder that nobody could place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import pytest

from consent.requesters import Role
from hie_node.drop_folder import DropFolder
from registry.documents import DocumentEntry, DocumentStatus
from registry.searches import DocumentSearch
from tests.house.web.browser import Browser, Seen
from tests.lab import Hospital
from tests.papers import HOA, LAN, Person

PDF = b"%PDF-1.4\n%%EOF scanned"


def drops(hospital: Hospital, files: Mapping[str, bytes]) -> None:
    """As a system does; long ago, so that no note is waited for."""
    for name, content in files.items():
        path = hospital.house.settings.drop / name
        path.write_bytes(content)
        os.utime(path, (1, 1))
    folder = DropFolder(hospital.house)
    folder.look()
    folder.look()


def note(person: Person, **more: Any) -> bytes:
    """What is written beside a report: the number of Lan, whoever it describes."""
    patient = {"id": LAN.number_at("bach-mai"), "name": person.name, "birthDate": person.born, "gender": person.gender}
    return json.dumps({"patient": patient, "type": {"code": "18748-4"}, "title": "CLVT ngực", **more}).encode()


@pytest.fixture
def registrar(bach_mai: Hospital) -> Browser:
    bach_mai.registers(HOA)
    made = Browser(bach_mai)
    made.signs_in(Role.REGISTRAR)
    return made


def first(person: Browser) -> Seen:
    return person.opens(person.opens("/files").link("/files/"))


def chosen(person: Browser, patient: Person) -> Seen:
    page = first(person)
    return person.fills(page, page.address, answer="look", patient=patient.number_at("bach-mai"))


def gives(person: Browser, page: Seen, **told: str) -> Seen:
    """Send the form that names the chosen patient, as its button does."""
    form = next(one for one in page._read.forms if "?f=" in one.action and one.action.startswith("/files/"))
    return person._follow(person.sends("POST", form.action, data={**dict(form.fields), "answer": "file", **told}))


def documents(hospital: Hospital, person: Person) -> list[DocumentEntry]:
    with hospital.house.storage.read() as unit:
        record = unit.patients.record(hospital.number_of(person))
        assert record is not None
        search = DocumentSearch(record_ids=(record.id,), statuses=(DocumentStatus.CURRENT,), limit=10)
        return list(unit.documents.find(search))


def names(hospital: Hospital, folder: str) -> set[str]:
    return {one.name for one in (hospital.house.settings.drop / folder).iterdir()}


def test_a_report_under_the_wrong_number_goes_to_whom_it_describes(bach_mai: Hospital, registrar: Browser) -> None:
    drops(bach_mai, {"kq.pdf": PDF, "kq.json": note(HOA)})
    assert names(bach_mai, "refused") == {"kq.pdf", "kq.json", "kq.pdf.reason.txt"}
    page = first(registrar)
    assert HOA.name in page.text and "người khác" in page.text
    shown = chosen(registrar, HOA)
    assert shown.text.count(HOA.name) >= 2 and documents(bach_mai, HOA) == []
    done = gives(registrar, shown)
    assert "Đã trả về hồ sơ người bệnh" in done.text and documents(bach_mai, LAN) == []
    (entry,) = documents(bach_mai, HOA)
    assert entry.attachment.title == "CLVT ngực" and entry.patient == bach_mai.number_of(HOA)
    assert names(bach_mai, "refused") == set() and names(bach_mai, "done") == {"kq.pdf", "kq.json"}
    assert (bach_mai.house.settings.drop / "done" / "kq.pdf").read_bytes() == PDF
    row = next(one for one in bach_mai.rows(transaction="page decide-file") if entry.id in one.items)
    assert row.requester.subject == "tn.tuan" and row.patient == bach_mai.number_of(HOA)


def test_a_paper_without_a_note_is_told_by_the_registrar(bach_mai: Hospital, registrar: Browser) -> None:
    drops(bach_mai, {"quet-1.pdf": PDF})
    shown = chosen(registrar, LAN)
    assert gives(registrar, shown).status == 409 or documents(bach_mai, LAN) == []
    wrong = gives(registrar, shown, kind="images", title="CLVT sọ não", performed="31/02/2026 10:00")
    assert wrong.status == 400 and documents(bach_mai, LAN) == []
    gives(registrar, shown, kind="images", title="CLVT sọ não", performed="02/11/2026 09:30")
    (entry,) = documents(bach_mai, LAN)
    assert entry.start is not None and entry.start.isoformat() == "2026-11-02T09:30:00+07:00"
    assert entry.type is not None and entry.type.code == "18748-4"


def test_taken_back_it_waits_again_and_may_go_to_somebody_else(bach_mai: Hospital, registrar: Browser) -> None:
    drops(bach_mai, {"kq.pdf": PDF, "kq.json": note(HOA, uniqueId="1.2.3.4")})
    done = gives(registrar, chosen(registrar, LAN))
    assert len(documents(bach_mai, LAN)) == 1
    back = registrar.fills(done, "/files/")
    assert "chờ quyết định lại" in back.text and documents(bach_mai, LAN) == []
    assert "kq.pdf" in names(bach_mai, "refused") and "rút lại" in first(registrar).text
    gives(registrar, chosen(registrar, HOA))
    assert documents(bach_mai, LAN) == [] and len(documents(bach_mai, HOA)) == 1


def test_a_rejected_file_keeps_its_bytes_and_comes_back(bach_mai: Hospital, registrar: Browser) -> None:
    drops(bach_mai, {"la.pdf": PDF})
    page = first(registrar)
    done = registrar.fills(page, page.address, answer="reject")
    assert "Đã từ chối" in done.text
    assert (bach_mai.house.settings.drop / "rejected" / "la.pdf").read_bytes() == PDF
    assert registrar.fills(page, page.address, answer="reject").status == 409
    registrar.fills(done, "/files/")
    assert (bach_mai.house.settings.drop / "refused" / "la.pdf").read_bytes() == PDF
    assert registrar.fills(done, "/files/").status == 409


def test_two_registrars_and_two_clicks_file_it_once(bach_mai: Hospital, registrar: Browser) -> None:
    drops(bach_mai, {"kq.pdf": PDF, "kq.json": note(HOA)})
    mine, theirs = chosen(registrar, HOA), chosen(registrar, LAN)
    assert gives(registrar, mine).status == 200
    assert gives(registrar, theirs).status == 409 and gives(registrar, mine).status == 409
    assert len(documents(bach_mai, HOA)) == 1 and documents(bach_mai, LAN) == []


def test_a_file_that_was_decided_and_not_moved_is_not_decided_again(
    bach_mai: Hospital, registrar: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    drops(bach_mai, {"kq.pdf": PDF, "kq.json": note(HOA)})
    shown, other = chosen(registrar, HOA), chosen(registrar, LAN)
    with monkeypatch.context() as killed:
        killed.setattr("hie_node.unsure_files._move", lambda *_: None)
        gives(registrar, shown)
        assert gives(registrar, other).status == 409
    assert "kq.pdf" in names(bach_mai, "refused")
    assert "Không có tệp nào đang chờ" in registrar.opens("/files").text
    assert names(bach_mai, "refused") == set() and "kq.pdf" in names(bach_mai, "done")


def test_the_document_itself_is_opened_on_record(bach_mai: Hospital, registrar: Browser) -> None:
    drops(bach_mai, {"quet-1.pdf": PDF})
    page = first(registrar)
    given = registrar.opens(page.link(f"{page.address}/content"))
    assert given.response.data == PDF and given.response.mimetype == "application/pdf"
    assert bach_mai.rows(transaction="page open-file")[-1].items == (f"file/{page.address.rpartition('/')[2]}",)


def test_nothing_is_filed_unseen_by_a_forged_form_or_by_another_role(bach_mai: Hospital, registrar: Browser) -> None:
    drops(bach_mai, {"kq.pdf": PDF, "kq.json": note(HOA), "x.xml": b"<GIAMDINHHS><HOSO>"})
    page = first(registrar)
    assert len([one for one in registrar.opens("/files").links if one.startswith("/files/")]) == 1
    assert registrar.fills(page, page.address, answer="look", patient="BA-9999").status == 400
    assert registrar.fills(page, page.address, answer="file", patient=HOA.number_at("bach-mai")).status == 400
    forged = {"answer": "file", "token": "forged"}
    assert registrar.sends("POST", page.address, data=forged).status == 403
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    assert doctor.opens("/files").status == doctor.opens(f"{page.address}/content").status == 403
    assert documents(bach_mai, HOA) == documents(bach_mai, LAN) == []
