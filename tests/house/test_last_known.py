"""What a silent hospital last told is shown with its age, apart from what is heard now, and only while allowed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from adapters.fhir.check import check
from adapters.fhir.community import OUTCOME_SYSTEM
from adapters.fhir.last_known import EXTENSION, LAST_KNOWN
from consent.requesters import PurposeOfUse
from tests.lab import Answer, Hospital, Lab
from tests.papers import HOA, LAN, CtStudy, ct_report, refusal, written_request

TITLE = "CLVT sọ não"


@pytest.fixture
def two(lab: Lab) -> tuple[Hospital, Hospital]:
    """Bắc Ninh has a report and a CT; Bạch Mai has heard of both under Lan's request, and Bắc Ninh is down."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.publishes(ct_report(LAN, title=TITLE))
    bac_ninh.publishes_study(CtStudy(LAN))
    bach_mai.registers(LAN)
    return bac_ninh, bach_mai


def heard(two: tuple[Hospital, Hospital]) -> Any:
    """Her request is recorded, both questions are answered, and two hours later the holder is down."""
    consent = two[1].records(written_request(LAN, to="bach-mai"))
    assert two[1].finds_documents(LAN).found and two[1].finds_studies(LAN).found
    two[1].lab.clock.moves(by=timedelta(hours=2, minutes=5))
    two[0].goes_down()
    return consent


def remembered(answer: Answer) -> list[dict[str, Any]]:
    """What is contained in the entries of outcomes, each of which is in order as FHIR."""
    assert answer.status == 200 and LAST_KNOWN not in str(answer.found)
    outcomes = [one for one in answer.resources if one["resourceType"] == "OperationOutcome"]
    for one in outcomes:
        assert not [issue for issue in check(one) if issue.severity in ("error", "fatal")]
        pointed = {
            each["valueReference"]["reference"]
            for about in one.get("extension", ())
            for each in about["extension"]
            if each["url"] == "entry"
        }
        assert pointed == {f"#{inner['id']}" for inner in one.get("contained", ())}
    return [inner for one in outcomes for inner in one.get("contained", ())]


def test_a_silent_hospitals_line_carries_what_it_last_listed_and_how_old_that_is(
    two: tuple[Hospital, Hospital],
) -> None:
    heard(two)
    answer = two[1].finds_documents(LAN)
    assert answer.lines[str(two[0].home)] == "silent" and answer.total == 0
    (document,) = remembered(answer)
    assert document["resourceType"] == "DocumentReference" and TITLE in str(document)
    assert document["meta"] == {"tag": [{"system": OUTCOME_SYSTEM, "code": LAST_KNOWN}]}
    assert "contained" not in document and "'#" not in str(document)
    (issue,) = [one for one in answer.issues if one["details"]["coding"][0]["code"] == LAST_KNOWN]
    assert "2 hours ago" in issue["details"]["text"] and "may have changed" in issue["details"]["text"]
    (outcome,) = [one for one in answer.resources if "contained" in one]
    (about,) = outcome["extension"]
    assert about["url"] == EXTENSION and about["extension"][0]["valueInstant"]


def test_images_are_counted_as_they_were_listed(two: tuple[Hospital, Hospital]) -> None:
    heard(two)
    (study,) = remembered(two[1].finds_studies(LAN))
    assert study["numberOfInstances"] == len(CtStudy(LAN).slices("bac-ninh"))
    assert sum(one["numberOfInstances"] for one in study["series"]) == study["numberOfInstances"]


def test_what_is_shown_from_memory_is_on_record(two: tuple[Hospital, Hospital]) -> None:
    heard(two)
    (document,) = remembered(two[1].finds_documents(LAN))
    (row,) = [one for one in two[1].record if "remembered" in one.reasons]
    assert row.items == (document["id"],) and row.direction == "disclosed" and row.record_id
    assert row.requester.subject == two[1].requester().subject


def test_after_a_withdrawal_nothing_is_remembered_also_under_a_new_request(two: tuple[Hospital, Hospital]) -> None:
    consent = heard(two)
    two[1].withdraws(consent)
    assert remembered(two[1].finds_documents(LAN)) == []
    two[1].lab.clock.moves(by=timedelta(minutes=1))
    two[1].records(written_request(LAN, to="bach-mai"))
    assert remembered(two[1].finds_documents(LAN)) == []


def test_a_list_that_a_later_request_permits_is_asked_for_anew(two: tuple[Hospital, Hospital]) -> None:
    """Bắc Ninh's own desk had let it be seen; that this hospital has a request of its own since opens no memory."""
    two[0].records(written_request(LAN, to="bach-mai"))
    assert two[1].finds_documents(LAN).found
    two[0].goes_down()
    two[1].lab.clock.moves(by=timedelta(minutes=1))
    assert remembered(two[1].finds_documents(LAN)) == []
    two[1].records(written_request(LAN, to="bach-mai"))
    assert remembered(two[1].finds_documents(LAN)) == []
    two[0].comes_up()
    assert two[1].finds_documents(LAN).found
    two[0].goes_down()
    assert len(remembered(two[1].finds_documents(LAN))) == 1


def test_a_refusal_that_came_later_hides_it(two: tuple[Hospital, Hospital]) -> None:
    heard(two)
    two[1].records(refusal(LAN, to="bach-mai"))
    assert remembered(two[1].finds_documents(LAN)) == []


def test_a_request_that_has_ended_shows_nothing_from_memory(two: tuple[Hospital, Hospital]) -> None:
    heard(two)
    two[1].lab.clock.moves(by=timedelta(days=400))
    assert remembered(two[1].finds_documents(LAN)) == []


def test_memory_is_of_one_patient_and_for_the_purpose_of_the_request(two: tuple[Hospital, Hospital]) -> None:
    heard(two)
    two[1].registers(HOA)
    assert remembered(two[1].finds_documents(HOA)) == []
    assert remembered(two[1].finds_documents(LAN, purpose=PurposeOfUse.HOPERAT)) == []


def test_conditions_of_the_question_hold_for_what_is_remembered(two: tuple[Hospital, Hospital]) -> None:
    heard(two)
    assert remembered(two[1].finds_documents(LAN, status="superseded")) == []
    assert remembered(two[1].finds_documents(LAN, date="lt1990-01-01")) == []
    assert remembered(two[1].finds_documents(LAN, _summary="count")) == []


def test_a_hospital_that_answers_again_is_heard_and_nothing_is_remembered_beside_it(
    two: tuple[Hospital, Hospital],
) -> None:
    heard(two)
    two[0].comes_up()
    answer = two[1].finds_documents(LAN)
    assert len(answer.found) == 1 and remembered(answer) == []


def test_what_the_patient_closed_here_before_is_not_shown_whatever_the_holder_listed(
    two: tuple[Hospital, Hospital],
) -> None:
    """Her newest word at Bắc Ninh's own desk permits; the word that is kept here does not, until she takes it back."""
    two[1].records(refusal(LAN, to="bach-mai", holder="bac-ninh"))
    two[1].lab.clock.moves(by=timedelta(minutes=1))
    two[0].records(written_request(LAN, to="bach-mai"))
    assert two[1].finds_documents(LAN).found == []
    two[0].goes_down()
    assert remembered(two[1].finds_documents(LAN)) == []


def test_after_an_unmerge_what_was_listed_for_both_is_nobodys(two: tuple[Hospital, Hospital]) -> None:
    heard(two)
    with two[1].house.storage.begin() as unit:
        for memory in unit.orders.newest(10):
            unit.orders.remember(replace(memory, record_ids=memory.record_ids | {"somebody-else"}))
    assert remembered(two[1].finds_documents(LAN)) == []
