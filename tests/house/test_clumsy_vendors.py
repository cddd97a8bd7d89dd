"""What hospital systems get wrong by the thousand, at the doors where they hand in: nobody else pays for it."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from adapters.store.codec import dump
from hie_node import feeds
from hie_node.flows.publish import DATED_AHEAD
from tests.conformance.client import Client, Resource, own_name, provided, stored
from tests.conformance.soap import Document, SoapClient, Submission
from tests.house.hospital import Hospital
from tests.house.test_insurance import VISIT
from tests.lab import Lab


@pytest.mark.parametrize("what", ["identifier", "telecom"])
def test_a_patient_on_whom_a_program_hangs_everything_is_registered_like_others(client: Client, what: str) -> None:
    """A number for each visit, a telephone for each relative: more than one statement can look for."""
    many = {
        "identifier": [{"system": "http://his.example/visit", "value": f"V{n:06}"} for n in range(3_000)],
        "telecom": [{"system": "phone", "value": f"09{n:08}"} for n in range(3_000)],
    }[what]
    patient: Resource = {"resourceType": "Patient", "name": own_name(), "birthDate": "1990-12-01", what: many}

    def fed(number: str, **more: str) -> int:
        own = {"system": client.system, "value": number}
        carried = [own, *(many if what == "identifier" else ())]
        target = "/fhir/Patient?" + urlencode({"identifier": f"{client.system}|{number}"})
        return client("PUT", target, patient | {"identifier": carried} | more).status

    assert fed("BN11") == 201
    assert fed("BN11", birthDate="1990-12-02") == 200
    assert fed("BN12", birthDate="1990-12-02") == 201


def test_a_document_whose_metadata_no_answer_could_carry_is_refused_over_soap_too(soap: SoapClient) -> None:
    """It would have hidden every other record of its patient from the hospitals that ask."""
    Client(soap.hospital).registers("S1", birthDate="1958-03-21")
    for odd in ({"slots": {"x": ["v" * 250] * 2_000}}, {"title": "x" * 300_000}):
        assert soap.provides(Submission("S1", [Document("S1", **odd)])).codes == ["XDSRegistryMetadataError"]  # type: ignore[arg-type]
    assert soap.provides(Submission("S1", [Document("S1", slots={"x": ["v" * 250] * 100})])).codes == []


@pytest.mark.parametrize("inline", [True, False])
def test_a_document_without_a_byte_is_not_acknowledged_over_soap(soap: SoapClient, inline: bool) -> None:
    Client(soap.hospital).registers("S1", birthDate="1958-03-21")
    answer = soap.provides(Submission("S1", [Document("S1", content=b"")]), inline=inline, check=False)
    assert answer.codes == ["XDSMissingDocument"]
    assert not soap.finds("S1").documents


def test_a_whole_report_in_the_column_of_a_name_is_no_title(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    long = VISIT.replace("<MACSKCB>27001", f"<MACSKCB>{node.house.settings.facility_code}")
    long = re.sub("<MA_CSKCB>27001", f"<MA_CSKCB>{node.house.settings.facility_code}", long)
    long = long.replace("Chụp CLVT sọ não không tiêm", "Chụp CLVT sọ não " + "không tiêm " * 50_000)
    (done,) = node.publishes_files({"visit.xml": long.encode()})
    assert (done.outcome, done.documents) == ("stored", 5)
    report = next(one for one in node.holds() if (one.attachment.title or "").startswith("Chụp CLVT"))
    assert len(str(report.attachment.title)) == 255
    assert "không tiêm " * 1000 in Hospital(node.house).text(report), "the text has all of it"
    assert sum(len(dump(one)) for one in node.holds()) < 20_000


def test_a_document_of_next_year_is_not_the_newest_and_its_sender_is_told(client: Client) -> None:
    client.registers("BN13")
    now = client.hospital.house.now()
    true, wrong = (provided(client.subject("BN13"), profile="Minimal") for _ in range(2))
    for message, at in ((true, now - timedelta(days=3)), (wrong, now + timedelta(days=300))):
        message["entry"][1]["resource"]["context"] = {"period": {"start": at.isoformat(timespec="seconds")}}
    ids = [stored(client("POST", "/fhir", one)).partition("/")[2] for one in (true, wrong)]
    found = client.get("/fhir/DocumentReference", **{"patient.identifier": f"{client.system}|BN13"})
    assert found.ids == ids, "the one whose time is not known comes last"
    told = found.resources[1]["context"]["period"]["start"]
    assert told.startswith(str((now + timedelta(days=300)).year)), "what its sender said stays as it was given"
    (sender,) = feeds.senders(client.hospital.house, since=now - timedelta(hours=1))
    assert sender.deviations[DATED_AHEAD] == 1
