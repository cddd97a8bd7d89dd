"""One hospital speaks FHIR, one only SOAP, one both: a doctor's question is answered by all of them, and opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hie_node.flows.reconcile import reconcile
from registry.documents import DocumentEntry
from tests.lab import Hospital, Lab
from tests.papers import LAN, STRANGER, Report, WrittenRequest

ONLY_SOAP, ONLY_FHIR = frozenset({"xca"}), frozenset({"fhir"})


@pytest.fixture
def database(sqlite_template: Path) -> Callable[[Path], str]:
    """One kind is enough: what is asked here is asked over the network."""

    def copied(home: Path) -> str:
        (home / "node.db").write_bytes(sqlite_template.read_bytes())
        return f"sqlite:///{home / 'node.db'}"

    return copied


def network(lab: Lab) -> tuple[Hospital, Hospital, Hospital]:
    """Bắc Ninh speaks SOAP alone, Thái Nguyên FHIR alone, Bạch Mai both."""
    soap, fhir, both = lab.hospitals("bac-ninh", "thai-nguyen", "bach-mai")
    lab.lists(replace(soap.peer, speaks=ONLY_SOAP))
    lab.lists(replace(fhir.peer, speaks=ONLY_FHIR))
    return soap, fhir, both


def test_every_hospital_answers_in_its_language_and_everything_can_be_opened(lab: Lab) -> None:
    soap, fhir, both = network(lab)
    reports = [one.publishes(Report(LAN, f"Kết quả của {one.name}")) for one in (soap, fhir, both)]
    both.registers(LAN)
    both.records(WrittenRequest(LAN, to="bach-mai"))
    answer = both.finds_documents(LAN)
    assert answer.lines == {str(one.home): "answered" for one in (soap, fhir, both)}
    labels = {label(one, report, both): one for one, report in zip((soap, fhir, both), reports, strict=True)}
    assert set(answer.ids) == set(labels)
    for listed, one in labels.items():
        assert both.fetches(listed).body == f"Kết quả của {one.name}".encode()
    over_soap = label(soap, reports[0], both)
    assert both.asked("GET", f"/network/fhir/DocumentReference/{over_soap}").status == 200
    assert both.opens(over_soap, range_="bytes=4-9").body == f"Kết quả của {soap.name}".encode()[4:10]


def label(hospital: Hospital, report: DocumentEntry, asking: Hospital) -> str:
    """The id under which a document is listed: its own over FHIR, its entryUUID over SOAP."""
    if hospital is asking:
        return report.id
    own = report.id if hospital.peer.speaks == ONLY_FHIR else report.entry_uuid.removeprefix("urn:uuid:")
    return f"{hospital.facility}.{own}"


def test_without_the_patients_request_soap_tells_as_little_as_fhir(lab: Lab) -> None:
    soap, fhir, both = network(lab)
    for one in (soap, fhir):
        one.publishes(Report(LAN))
    unknown = both.finds_documents(STRANGER)
    known = both.finds_documents(LAN)
    assert known.found == unknown.found == []
    for answer in (known, unknown):
        assert {answer.lines[str(one.home)] for one in (soap, fhir)} == {"withheld"}
    assert soap.rows(direction="disclosed") == []


def test_with_a_request_a_hospital_that_has_nothing_says_so(lab: Lab) -> None:
    soap, _, both = network(lab)
    both.registers(LAN)
    both.records(WrittenRequest(LAN, to="bach-mai"))
    assert both.finds_documents(LAN).lines[str(soap.home)] == "answered"


def test_both_sides_record_what_was_shown_over_soap(lab: Lab) -> None:
    soap, _, both = network(lab)
    report = soap.publishes(Report(LAN))
    both.registers(LAN)
    both.records(WrittenRequest(LAN, to="bach-mai"))
    both.finds_documents(LAN)
    both.fetches(label(soap, report, both))
    asked = both.rows(direction="asked", transaction="ITI-67")
    (shown,) = soap.rows(direction="disclosed", transaction="ITI-38")
    assert shown.exchange in {row.exchange for row in asked}
    assert (shown.items, shown.requester.name, shown.other) == ((report.id,), "BS. Minh", both.home)
    assert [row.complete for row in soap.rows(transaction="ITI-39") if row.bytes_sent] == [True]
    assert soap.verifies()


def test_both_records_of_a_question_over_soap_are_alike(lab: Lab) -> None:
    soap, _, both = network(lab)
    soap.publishes(Report(LAN))
    both.registers(LAN)
    both.records(WrittenRequest(LAN, to="bach-mai"))
    (listed,) = both.finds_documents(LAN).ids
    assert both.fetches(listed).status == 200
    now = lab.clock()
    compared = reconcile(both.house, soap.peer, since=now - timedelta(hours=1), until=now + timedelta(hours=1))
    assert (compared.here, compared.there, compared.serious) == (2, 2, ())


def test_a_withdrawal_closes_what_soap_had_opened(lab: Lab) -> None:
    soap, _, both = network(lab)
    report = soap.publishes(Report(LAN))
    both.registers(LAN)
    request = both.records(WrittenRequest(LAN, to="bach-mai"))
    assert len(both.finds_documents(LAN).found) == 1
    both.withdraws(request)
    both.works()
    assert both.finds_documents(LAN).found == []
    assert both.fetches(label(soap, report, both)).status == 404


def test_a_number_that_was_told_is_asked_for_again_when_its_time_is_over(lab: Lab) -> None:
    soap, _, both = network(lab)
    soap.publishes(Report(LAN))
    both.registers(LAN)
    both.records(WrittenRequest(LAN, to="bach-mai"))
    for _ in range(2):
        assert len(both.finds_documents(LAN).found) == 1
    assert len(soap.rows(transaction="ITI-55")) == 1
    lab.clock.moves(by=timedelta(hours=25))
    assert len(both.finds_documents(LAN).found) == 1
    assert len(soap.rows(transaction="ITI-55")) == 2


def test_a_silent_gateway_costs_its_own_line_and_nothing_else(lab: Lab) -> None:
    soap, fhir, both = network(lab)
    fhir.publishes(Report(LAN))
    both.registers(LAN)
    both.records(WrittenRequest(LAN, to="bach-mai"))
    soap.goes_down()
    answer = both.finds_documents(LAN)
    assert (len(answer.found), answer.lines[str(soap.home)]) == (1, "silent")


def test_images_that_soap_cannot_search_for_are_said_to_be_missing(lab: Lab) -> None:
    soap, _, both = network(lab)
    both.registers(LAN)
    assert both.finds_studies(LAN).lines[str(soap.home)] == "incomplete"
