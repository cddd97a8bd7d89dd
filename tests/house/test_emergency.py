"""Emergency access: declared, short, told at once, reviewed in its days, and never wider than the law."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from consent.emergency import EmergencyReason
from consent.errors import EmergencyRefused
from consent.requesters import PurposeOfUse, Role
from consent.working_days import Calendar, after_working_days
from hie_node import jobs
from hie_node.flows.emergencies import declare, recent, review, running_of, statistics_of, under, waiting
from hie_node.setting_tables import Notices, UnsafeSettings
from registry.errors import InvalidValue, NotFound
from registry.people import PatientInQuestion
from registry.searches import PatientSelector
from tests.lab import Hospital, Lab
from tests.papers import LAN, closed_report, ct_report, refusal, unreviewed_report

HOUR = timedelta(hours=1)
SAID = "unconscious: tai nạn giao thông"


def _declared(hospital: Hospital, **changes: object) -> object:
    return replace(hospital.requester(purpose=PurposeOfUse.BTG, reason=SAID), **changes)  # type: ignore[arg-type]


def _accesses(hospital: Hospital) -> tuple[object, ...]:
    return recent(hospital._act("test", Role.DATA_PROTECTION_OFFICER), days=3650)


def _officer(hospital: Hospital) -> object:
    return hospital._act("review", Role.DATA_PROTECTION_OFFICER)


def test_it_opens_what_the_patient_refused_and_never_what_the_law_closes(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    closed = [bac_ninh.publishes(closed_report(LAN)), bac_ninh.publishes(unreviewed_report(LAN))]
    bac_ninh.records(refusal(LAN, to="bach-mai"))
    answer = bach_mai.finds_documents(LAN, purpose=PurposeOfUse.BTG, reason=SAID)
    assert report in answer and not any(one in answer for one in closed)
    assert bac_ninh.record[-1].reasons["emergency-access"] == 1
    assert bac_ninh.record[-1].requester.reason == SAID


def test_who_does_not_treat_declares_none(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    for role in Role:
        answer = bach_mai.asks(bac_ninh, LAN, who=_declared(bach_mai, role=role))  # type: ignore[arg-type]
        assert (report in answer) == (role in (Role.DOCTOR, Role.NURSE, Role.SYSTEM)), role


def test_after_four_hours_the_holder_refuses_by_its_own_clock(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report, declared = bac_ninh.publishes(ct_report(LAN)), lab.clock()
    who = _declared(bach_mai, declared=declared)
    assert report in bach_mai.asks(bac_ninh, LAN, who=who)  # type: ignore[arg-type]
    lab.clock.moves(by=4 * HOUR - timedelta(seconds=1))
    assert report in bach_mai.asks(bac_ninh, LAN, who=who)  # type: ignore[arg-type]
    lab.clock.moves(by=timedelta(seconds=1))
    assert report not in bach_mai.asks(bac_ninh, LAN, who=who)  # type: ignore[arg-type]
    assert report not in bach_mai.asks(bac_ninh, LAN, who=_declared(bach_mai, declared=lab.clock() + HOUR))  # type: ignore[arg-type]
    assert len(_accesses(bac_ninh)) == 1
    assert report in bach_mai.asks(bac_ninh, LAN, who=_declared(bach_mai))  # type: ignore[arg-type]
    assert len(_accesses(bac_ninh)) == 2, "declared anew, it is told and reviewed anew"


def test_both_hospitals_tell_their_officer_once_and_no_name_of_the_patient_leaves(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.publishes(ct_report(LAN))
    bach_mai.registers(LAN)
    for _ in range(3):
        bach_mai.finds_documents(LAN, purpose=PurposeOfUse.BTG, reason=SAID)
    for hospital in (bac_ninh, bach_mai):
        jobs.carry_notices(hospital.house)
        jobs.carry_notices(hospital.house)
        (notice,) = hospital.house.settings.outbox.glob("*.json")
        told = json.loads(notice.read_text("utf-8"))
        assert told["to"] == "bv.lan" and "bất tỉnh" in told["text"] and "BS. Minh" in told["text"]
        for secret in (LAN.name, LAN.name.upper(), LAN.born, *(value for _, value in LAN.numbers)):
            assert secret not in notice.read_text("utf-8")
        assert [access.told for access in _accesses(hospital)] == [lab.clock()]  # type: ignore[attr-defined]


def test_a_patient_with_a_telephone_is_told_where_the_hospital_wants_it(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.house = replace(bac_ninh.house, settings=replace(bac_ninh.house.settings, notices=Notices(patients=True)))
    record_id = bac_ninh.registers(LAN)
    with bac_ninh.house.storage.begin() as unit:
        known = unit.patients.record_by_id(record_id)
        assert known is not None
        demographics = replace(known.demographics, phones=("0912345678",))
        unit.patients.save(replace(known, demographics=demographics, version=known.version + 1))
    _declare(bac_ninh, record_id)
    jobs.carry_notices(bac_ninh.house)
    (told,) = (json.loads(one.read_text()) for one in bac_ninh.house.settings.outbox.glob("patient-*"))
    assert told["to"] == "0912345678" and LAN.name not in told["text"]


def test_a_mail_server_that_is_away_gets_the_mail_later(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    with mail_server() as (port, mails):
        mail = Notices(
            "dpo@bv.example", smtp_host="127.0.0.1", smtp_port=port, smtp_security="none", sender="n@bv.example"
        )
        bac_ninh.house = replace(bac_ninh.house, settings=replace(bac_ninh.house.settings, notices=mail))
        record_id = bac_ninh.registers(LAN)
        mails.refuse = True
        _declare(bac_ninh, record_id)
        jobs.carry_notices(bac_ninh.house)
        assert mails.taken == [] and _accesses(bac_ninh)[0].told is None  # type: ignore[attr-defined]
        mails.refuse = False
        lab.clock.moves(by=timedelta(minutes=1))
        jobs.carry_notices(bac_ninh.house)
        jobs.carry_notices(bac_ninh.house)
    (taken,) = mails.taken
    assert "To: dpo@bv.example" in taken and LAN.name not in taken


@pytest.mark.parametrize(
    "chosen",
    [
        Notices(smtp_host="mail.bv.example"),
        Notices("a@b", smtp_host="mail.bv.example", sender="c@d", smtp_security="none"),
        Notices(smtp_security="ssl"),
    ],
)
def test_mail_that_strangers_could_read_is_refused_at_the_start(chosen: Notices) -> None:
    with pytest.raises(UnsafeSettings):
        chosen.check()


def _declare(hospital: Hospital, record_id: str, role: Role = Role.DOCTOR, text: str = "tai nạn") -> object:
    act = hospital._act("declare", role)
    return declare(act, PatientSelector(record_id=record_id), reason=EmergencyReason.UNCONSCIOUS, text=text)


def test_a_doctor_declares_it_once_and_asks_under_it_for_four_hours(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report, record_id = bac_ninh.publishes(ct_report(LAN)), bach_mai.registers(LAN)
    access = _declare(bach_mai, record_id)
    assert running_of(bach_mai.house, record_id, "bs.minh") == access
    assert running_of(bach_mai.house, record_id, "bs.khac") is None
    asker = under(bach_mai.requester(), reason=access.said, declared=access.declared)  # type: ignore[attr-defined]
    assert report in bach_mai.asks(bac_ninh, LAN, who=asker)
    lab.clock.moves(by=4 * HOUR)
    assert running_of(bach_mai.house, record_id, "bs.minh") is None


def test_what_is_no_declaration_opens_nothing(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    record_id = bac_ninh.registers(LAN)
    with pytest.raises(EmergencyRefused, match="doctor"):
        _declare(bac_ninh, record_id, Role.REGISTRAR)
    with pytest.raises(InvalidValue):
        _declare(bac_ninh, record_id, text=" . ")
    with pytest.raises(NotFound):
        declare(
            bac_ninh._act("declare", Role.DOCTOR),
            PatientSelector(described=PatientInQuestion((bac_ninh.number_of(LAN).__class__("urn:x", "9"),))),
            reason=EmergencyReason.OTHER,
            text="tai nạn",
        )
    bac_ninh.house = replace(bac_ninh.house, policy=replace(bac_ninh.house.policy, emergency_access=False))
    with pytest.raises(EmergencyRefused, match="data_protection_officer"):
        _declare(bac_ninh, record_id)
    assert _accesses(bac_ninh) == ()


def test_the_officer_says_once_whether_it_was_justified_and_the_queue_says_what_is_late(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    first = _declare(bac_ninh, bac_ninh.registers(LAN))
    assert [one.id for one in waiting(_officer(bac_ninh))] == [first.id]  # type: ignore[attr-defined,arg-type]
    with pytest.raises(EmergencyRefused):
        review(bac_ninh._act("review", Role.ADMINISTRATOR), first.id, finding="justified", text="")  # type: ignore[attr-defined]
    lab.clock.moves(by=timedelta(days=30))
    (late,) = waiting(_officer(bac_ninh))  # type: ignore[arg-type]
    assert late.is_late(lab.clock())
    act = _officer(bac_ninh)
    act.caller = replace(act.caller, requester=replace(act.caller.requester, subject="bv.lan"))  # type: ignore[attr-defined]
    assert review(act, first.id, finding="unjustified", text="không cần").review.by == "bv.lan"  # type: ignore[union-attr,arg-type,attr-defined]
    with pytest.raises(InvalidValue):
        review(_officer(bac_ninh), first.id, finding="justified", text="")  # type: ignore[arg-type,attr-defined]
    assert waiting(_officer(bac_ninh)) == ()  # type: ignore[arg-type]
    found = statistics_of(_officer(bac_ninh), days=60)  # type: ignore[arg-type]
    assert (found.total, found.open, found.late) == (1, 0, 1)
    assert found.by_reason == {"unconscious": 1} and found.by_finding == {"unjustified": 1}


def test_nobody_reviews_their_own_declaration(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    access = _declare(bac_ninh, bac_ninh.registers(LAN))
    with pytest.raises(EmergencyRefused, match="themselves"):
        review(_officer(bac_ninh), access.id, finding="justified", text="")  # type: ignore[arg-type,attr-defined]


TET = frozenset({date(2027, 2, day) for day in range(5, 12)})


@pytest.mark.parametrize(
    ("opened", "due"),
    [
        ("2026-11-23T03:00", "2026-11-27"),  # Monday: Tuesday, Wednesday, Thursday
        ("2026-11-27T03:00", "2026-12-03"),  # Friday: a weekend between
        ("2026-11-27T18:00", "2026-12-03"),  # already Saturday in Viet Nam
        ("2026-04-28T03:00", "2026-05-06"),  # two public holidays and a weekend
        ("2026-12-31T18:00", "2027-01-07"),  # the first of January in Viet Nam
        ("2027-02-04T03:00", "2027-02-17"),  # Tết
    ],
)
def test_the_clock_of_a_review_counts_working_days(opened: str, due: str) -> None:
    found = after_working_days(datetime.fromisoformat(opened).replace(tzinfo=UTC), 3, Calendar(TET))
    assert found.isoformat() == f"{due}T00:00:00+07:00"


class Mails:
    def __init__(self) -> None:
        self.refuse, self.taken = False, list[str]()


@contextmanager
def mail_server() -> Iterator[tuple[int, Mails]]:
    """A mail server of our own that takes mails, or refuses them for now."""
    mails = Mails()

    class Talk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 test\r\n")
            while line := self.rfile.readline():
                word = line[:4].upper()
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = []
                    while (one := self.rfile.readline()) != b".\r\n":
                        lines.append(one.decode())
                    mails.taken.append("".join(lines))
                refused = mails.refuse and word == b"MAIL"
                self.wfile.write(b"451 later\r\n" if refused else b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1], mails
        finally:
            server.shutdown()
            thread.join()


def test_a_list_of_many_patients_opened_in_an_emergency_is_reviewed_for_each(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    report = bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(replace(refusal(LAN, to="bac-ninh"), purposes=()))
    assert report not in bac_ninh.finds_own_documents()
    assert report in bac_ninh.finds_own_documents(purpose=PurposeOfUse.BTG, reason=SAID)
    assert len(_accesses(bac_ninh)) == 1
