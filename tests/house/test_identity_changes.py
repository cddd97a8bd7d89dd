"""A hospital that was shown something of a patient hears when that patient turns out to be somebody else, or one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from adapters.store.schema import heard, identity_learnt, job, remote_entry
from adapters.trust.identity_notices import read_notice, write_notice
from consent.errors import InvalidReceipt
from consent.requesters import Role
from hie_node import administration, jobs
from hie_node.flows.erase import erase_patient
from hie_node.flows.identity_changes import CHANGED_ELSEWHERE, NOTIFY_IDENTITY
from hie_node.flows.register import look_alike
from hie_node.flows.reviews import decide_review, undo_decision
from registry.identifiers import NATIONAL_ID, HomeCommunityId, PatientIdentifier
from registry.identity_changes import IdentityChange, IdentityNotice, Learnt, ToldChange, groups
from registry.people import PatientInQuestion
from registry.searches import PatientSelector
from tests.house.test_kept_apart import act, waiting
from tests.lab import Hospital, Lab
from tests.papers import HOA, LAN, STRANGER, Person, ct_report, written_request

OTHER = Person("0018", "Nguyễn Thị Lân", "1958-03-21", "female", "027158009999", "GD4270100000018")


def asked(lab: Lab) -> tuple[Hospital, Hospital]:
    """Bạch Mai has asked Bắc Ninh about Lan and was shown her report; there somebody looks like her."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bac_ninh.registers(OTHER)
    bach_mai.registers(LAN)
    bach_mai.records(written_request(LAN, to="bach-mai"))
    assert report in bach_mai.finds_documents(LAN)
    assert remembered(bach_mai)
    return bac_ninh, bach_mai


def doubt(hospital: Hospital, one: Person, other: Person) -> str:
    """Somebody has to say whether the two are one."""
    doing = act(hospital)
    with doing.unit() as unit:
        first, second = (unit.patients.record(hospital.number_of(each)) for each in (one, other))
        assert first is not None
        assert second is not None
        return look_alike(doing, unit, second, unit.patients.person_of(first.id), ("another tone",))


def merges(hospital: Hospital, one: Person, other: Person) -> str:
    waits = doubt(hospital, one, other)
    decide_review(act(hospital), waits, same=True)
    return waits


def notices(hospital: Hospital) -> list[IdentityNotice]:
    """The oldest first."""
    with hospital.house.storage.read() as unit:
        return list(reversed(unit.identities.notices(limit=100)))


def states(hospital: Hospital) -> list[tuple[str, str]]:
    return [(one.change.value, one.state) for one in notices(hospital)]


def rows(hospital: Hospital, table: Any) -> list[Any]:
    with hospital.house.storage.read() as unit:
        return list(unit.patients._connection.execute(select(table)))  # type: ignore[attr-defined]


def remembered(hospital: Hospital) -> int:
    return len(rows(hospital, heard)) + len(rows(hospital, remote_entry))


def travelling(hospital: Hospital) -> list[ToldChange]:
    """The notices that wait to be carried, as the other hospital will read them."""
    keys_of = hospital.house.directory.current().keys_of
    waiting_jobs = [json.loads(row.payload) for row in rows(hospital, job) if row.kind == NOTIFY_IDENTITY]
    return [read_notice(one["jws"], keys_of) for one in waiting_jobs]


def test_who_was_shown_a_report_hears_of_the_merge_and_of_its_end_and_forgets_what_it_remembered(lab: Lab) -> None:
    bac_ninh, bach_mai = asked(lab)
    waits = merges(bac_ninh, LAN, OTHER)
    assert states(bac_ninh) == [("merged", "waiting")]
    bac_ninh.works()
    assert states(bac_ninh) == [("merged", "acknowledged")]
    assert states(bach_mai) == [("merged", "received")]
    assert remembered(bach_mai) == 0
    assert len(bach_mai.rows(direction="changed", other=bac_ninh.home)) == 1
    lab.clock.moves(by=timedelta(minutes=1))
    undo_decision(act(bac_ninh), waits)
    bac_ninh.works()
    assert states(bac_ninh) == [("merged", "acknowledged"), ("separated", "acknowledged")]
    assert [one.change for one in notices(bach_mai)] == [IdentityChange.MERGED, IdentityChange.SEPARATED]
    bac_ninh.works()
    assert len(notices(bach_mai)) == 2, "told once each"


def test_a_notice_reaches_a_hospital_that_was_down(lab: Lab) -> None:
    bac_ninh, bach_mai = asked(lab)
    bach_mai.goes_down()
    merges(bac_ninh, LAN, OTHER)
    for _ in range(3):
        bac_ninh.works()
        lab.clock.moves(by=timedelta(minutes=11))
    assert states(bac_ninh) == [("merged", "waiting")]
    assert administration.changes_told(bac_ninh.house)[str(bach_mai.home)]["waiting"] == 1
    assert remembered(bach_mai)
    bach_mai.comes_up()
    bac_ninh.works()
    assert states(bac_ninh) == [("merged", "acknowledged")]
    assert administration.changes_told(bac_ninh.house)[str(bach_mai.home)]["acknowledged"] == 1
    assert administration.changes_told(bach_mai.house)[str(bac_ninh.home)]["received"] == 1
    assert remembered(bach_mai) == 0


def test_it_is_told_only_by_the_numbers_that_it_asked_with(lab: Lab) -> None:
    """Nothing of the other patient, whom it never asked about; and nobody else is told."""
    bac_ninh, bach_mai = asked(lab)
    (third,) = lab.hospitals("thai-nguyen")
    merges(bac_ninh, LAN, OTHER)
    (told,) = travelling(bac_ninh)
    assert told.recipient == bach_mai.home
    named = {one.value for one in told.numbers}
    assert str(LAN.national_id) in named
    assert named <= {LAN.national_id, LAN.insurance, LAN.number_at("bach-mai")}
    bac_ninh.works()
    assert notices(third) == []


def test_who_was_shown_nothing_hears_nothing(lab: Lab) -> None:
    """Without a written request the answer was empty, whether Lan is known or not; a notice would say that she is."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.publishes(ct_report(LAN))
    bac_ninh.registers(OTHER)
    bach_mai.registers(LAN)
    bach_mai.finds_documents(LAN)
    merges(bac_ninh, LAN, OTHER)
    assert notices(bac_ninh) == []
    assert travelling(bac_ninh) == []


def test_a_decision_that_two_are_two_is_told_as_well(lab: Lab) -> None:
    bac_ninh, bach_mai = asked(lab)
    decide_review(act(bac_ninh), doubt(bac_ninh, LAN, OTHER), same=False)
    bac_ninh.works()
    assert states(bach_mai) == [("kept-apart", "received")]
    assert states(bac_ninh) == [("kept-apart", "acknowledged")]


def test_a_merge_by_the_hospitals_own_system_is_told(lab: Lab) -> None:
    bac_ninh, bach_mai = asked(lab)
    bac_ninh.feeds(OTHER, merged_into=LAN.number_at("bac-ninh"))
    bac_ninh.works()
    assert states(bach_mai) == [("merged", "received")]


def test_who_was_shown_a_patient_hears_that_the_number_was_given_to_somebody_else(lab: Lab) -> None:
    bac_ninh, bach_mai = asked(lab)
    person = person_of(bac_ninh, LAN)
    bac_ninh.registers(STRANGER, number=LAN.number_at("bac-ninh"))
    assert [one.kind for one in waiting(bac_ninh)] == ["overlay"]
    assert person_of(bac_ninh, LAN) == person, "nobody is linked anew before a registrar has looked"
    assert states(bac_ninh) == [("separated", "waiting")]
    (told,) = travelling(bac_ninh)
    named = {one.value for one in told.numbers}
    assert not named & {STRANGER.national_id, STRANGER.insurance}
    bac_ninh.works()
    assert states(bac_ninh) == [("separated", "acknowledged")]
    assert states(bach_mai) == [("separated", "received")]
    assert remembered(bach_mai) == 0


def test_a_corrected_spelling_is_no_news(lab: Lab) -> None:
    bac_ninh, _ = asked(lab)
    bac_ninh.registers(replace(LAN, name=LAN.name.upper()), number=LAN.number_at("bac-ninh"))
    assert not waiting(bac_ninh)
    assert notices(bac_ninh) == []


def person_of(hospital: Hospital, one: Person) -> str | None:
    with hospital.house.storage.read() as unit:
        record = unit.patients.record(hospital.number_of(one))
        assert record is not None
        return unit.patients.person_of(record.id)


def test_a_new_registration_of_a_known_patient_is_no_news(lab: Lab) -> None:
    bac_ninh, _ = asked(lab)
    bac_ninh.registers(LAN, number="BA-second")
    assert notices(bac_ninh) == []


def test_a_registrar_looks_where_own_records_were_joined_on_such_a_number(lab: Lab) -> None:
    bac_ninh, bach_mai = asked(lab)
    bach_mai.registers(LAN, number="BA-second")
    before = len(waiting(bach_mai))
    merges(bac_ninh, LAN, OTHER)
    bac_ninh.works()
    found = [one for one in waiting(bach_mai) if one.kind == CHANGED_ELSEWHERE]
    assert len(found) == 1
    assert len(waiting(bach_mai)) == before + 1
    assert not any(text in str(found[0].evidence) for text in (str(LAN.national_id), "Lan"))


def test_what_belongs_to_others_stays(lab: Lab) -> None:
    bac_ninh, bach_mai = asked(lab)
    report = bac_ninh.publishes(ct_report(HOA))
    bach_mai.registers(HOA)
    bach_mai.records(written_request(HOA, to="bach-mai"))
    assert report in bach_mai.finds_documents(HOA)
    both = remembered(bach_mai)
    merges(bac_ninh, LAN, OTHER)
    bac_ninh.works()
    assert 0 < remembered(bach_mai) < both
    assert bach_mai.fetches(report).status == 200


@pytest.mark.parametrize("forged", ["signer", "recipient", "again"])
def test_nobody_tells_in_the_name_of_another_or_twice(lab: Lab, forged: str) -> None:
    bac_ninh, bach_mai = asked(lab)
    (third,) = lab.hospitals("thai-nguyen")
    number = PatientIdentifier(NATIONAL_ID, str(LAN.national_id))
    signer = bac_ninh.home if forged == "signer" else third.home
    recipient = third.home if forged == "recipient" else bach_mai.home
    told = ToldChange("n1", signer, recipient, IdentityChange.MERGED, (number,), lab.clock())
    jws = write_notice(third.house.keys, told)
    body = {"resourceType": "Parameters", "parameter": [{"name": "notice", "valueString": jws}]}
    answers = [
        third.calls(bach_mai, "POST", "/fhir/Patient/$identity-changed", body=json.dumps(body).encode())
        for _ in range(2)
    ]
    if forged == "again":
        assert [one.status for one in answers] == [200, 200]
        assert len(notices(bach_mai)) == 1
    else:
        assert all(one.status >= 400 for one in answers)
        assert notices(bach_mai) == []
        assert remembered(bach_mai)


def test_whether_a_patient_is_known_is_not_said(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bach_mai.registers(LAN)
    answers = []
    for who in (LAN, STRANGER):
        number = PatientIdentifier(NATIONAL_ID, str(who.national_id))
        told = ToldChange(f"n{who.key}", bac_ninh.home, bach_mai.home, IdentityChange.MERGED, (number,), lab.clock())
        jws = write_notice(bac_ninh.house.keys, told)
        body = {"resourceType": "Parameters", "parameter": [{"name": "notice", "valueString": jws}]}
        found = bac_ninh.calls(bach_mai, "POST", "/fhir/Patient/$identity-changed", body=json.dumps(body).encode())
        answers.append((found.status, found.body))
    assert answers[0] == answers[1]
    assert answers[0][0] == 200


@pytest.mark.parametrize("broken", ["numbers", "change", "to"])
def test_a_notice_that_says_too_little_is_refused(lab: Lab, broken: str) -> None:
    from adapters.trust.identity_notices import NOTICE_TYPE
    from adapters.trust.receipts import write_signed

    (bac_ninh,) = lab.hospitals("bac-ninh")
    now = lab.clock()
    claims: dict[str, Any] = {
        "iss": str(bac_ninh.home), "jti": "n1", "iat": int(now.timestamp()), "issued": now.isoformat(),
        "to": str(bac_ninh.home), "change": "merged", "patient": [{"system": NATIONAL_ID, "value": LAN.national_id}],
    }  # fmt: skip
    keys_of = bac_ninh.house.directory.current().keys_of
    assert read_notice(write_signed(bac_ninh.house.keys, claims, NOTICE_TYPE), keys_of).id == "n1"
    claims |= {"numbers": {"patient": []}, "change": {"change": "eaten"}, "to": {"to": "nobody"}}[broken]
    with pytest.raises(InvalidReceipt):
        read_notice(write_signed(bac_ninh.house.keys, claims, NOTICE_TYPE), keys_of)


def test_a_hospital_that_answers_without_acknowledging_was_told_and_is_told_again(lab: Lab) -> None:
    """It does not know us any more, say: it heard, refused, and the notice waits for a yes."""
    bac_ninh, bach_mai = asked(lab)
    merges(bac_ninh, LAN, OTHER)
    (waits,) = notices(bac_ninh)
    with bac_ninh.house.storage.begin() as unit:
        keep = next(json.loads(row.payload) for row in rows(bac_ninh, job) if row.kind == NOTIFY_IDENTITY)
        payload = {**keep, "jws": "aa.bb.cc"}
        unit.jobs.enqueue(NOTIFY_IDENTITY, payload, run_at=lab.clock(), dedup_key=f"{NOTIFY_IDENTITY}:{waits.id}")
    bac_ninh.works()
    assert states(bac_ninh) == [("merged", "told")]
    with bac_ninh.house.storage.begin() as unit:
        unit.jobs.enqueue(NOTIFY_IDENTITY, keep, run_at=lab.clock(), dedup_key=f"{NOTIFY_IDENTITY}:{waits.id}")
    lab.clock.moves(by=timedelta(minutes=11))
    bac_ninh.works()
    assert states(bac_ninh) == [("merged", "acknowledged")]
    assert states(bach_mai) == [("merged", "received")]


def test_nothing_of_an_erased_patient_is_kept_among_what_others_learnt(lab: Lab) -> None:
    bac_ninh, _ = asked(lab)
    merges(bac_ninh, LAN, OTHER)
    bac_ninh.works()
    assert rows(bac_ninh, identity_learnt)
    who = PatientSelector(described=PatientInQuestion((bac_ninh.number_of(LAN),)))
    erase_patient(bac_ninh._act("erase", Role.DATA_PROTECTION_OFFICER), who, because="theo yêu cầu của người bệnh")
    assert rows(bac_ninh, identity_learnt) == []
    assert notices(bac_ninh) == []


def test_what_was_learnt_is_forgotten_when_nobody_remembers_it_any_more(lab: Lab) -> None:
    bac_ninh, _ = asked(lab)
    jobs.forget(bac_ninh.house)
    assert rows(bac_ninh, identity_learnt)
    lab.clock.moves(by=timedelta(days=bac_ninh.house.settings.limits.remember_remote + 1))
    jobs.forget(bac_ninh.house)
    assert rows(bac_ninh, identity_learnt) == []


def test_numbers_that_were_never_named_together_travel_apart() -> None:
    one, two, three = (PatientIdentifier(NATIONAL_ID, f"02715800432{n}") for n in (1, 2, 3))
    home, other = HomeCommunityId("urn:oid:1.2.3"), HomeCommunityId("urn:oid:1.2.4")
    now = datetime(2026, 11, 29, tzinfo=UTC)
    learnt = (
        Learnt(home, "a", (one,), now), Learnt(home, "b", (three,), now), Learnt(home, "c", (one, two), now),
        Learnt(other, "b", (one,), now),
    )  # fmt: skip
    assert set(groups(learnt)) == {
        (home, (one, two), ("a", "c")),
        (home, (three,), ("b",)),
        (other, (one,), ("b",)),
    }
