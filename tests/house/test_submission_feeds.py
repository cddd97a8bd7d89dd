"""A refused submission over FHIR or SOAP is seen by the administrator, kept as it came, and read again when mended."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from typer.testing import CliRunner

from consent.requesters import Role
from hie_node import feeds, submission_feeds
from hie_node.cli import app
from hie_node.publishing import publisher
from registry.errors import Unreadable
from registry.feeds import REFUSED, FeedItem, FeedSearch
from tests.conformance import hl7v3
from tests.conformance.client import Client, Resource, own_name, provided, stored
from tests.conformance.hl7v3 import person
from tests.conformance.soap import Document, SoapClient, Submission, envelope
from tests.lab import Hospital
from tests.stand_in_edge import ask

FHIR = {"Content-Type": "application/fhir+json"}
SOAP = "application/soap+xml; charset=UTF-8"


def items(hospital: Hospital, outcome: str = "") -> list[FeedItem]:
    with hospital.house.storage.read() as unit:
        return list(unit.feeds.find(FeedSearch(outcome=outcome)))


def refused(hospital: Hospital) -> FeedItem:
    (item,) = items(hospital, REFUSED)
    return item


def original(hospital: Hospital, item: FeedItem) -> bytes:
    return b"".join(feeds.original(hospital.house, item))


def again(hospital: Hospital, item: FeedItem) -> FeedItem:
    return feeds.replay(hospital.house, item, publisher(hospital.house, "administrator"))


def bundle(client: Client, number: str = "BN7", size: int = 0) -> Resource:
    """One document that says nothing of its patient but the number."""
    return provided(client.subject(number), profile="Minimal", content=b"%PDF-1.4 x" + b"x" * size)


def simplified(client: Client, number: str) -> Resource:
    document: Resource = bundle(client, number)["entry"][1]["resource"]
    del document["identifier"]
    attachment = document["content"][0]["attachment"]
    attachment["data"] = b64encode(b"%PDF-1.4 x").decode()
    del attachment["url"]
    return document


def binary(client: Client, number: str) -> Resource:
    about = client.subject(number)
    data = b64encode(b"Ket qua: binh thuong").decode()
    inside = {"resourceType": "Binary", "contentType": "text/plain", "securityContext": about, "data": data}
    return {"resourceType": "Parameters", "parameter": [{"name": "document", "resource": inside}]}


def fhir_document(client: Client, number: str) -> Resource:
    """Its Composition names a patient by a reference that leads nowhere."""
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11502-2"}]},
        "date": "2026-11-01",
        "title": "Kết quả",
        "author": [{"display": "BS Mẫu"}],
        "subject": client.subject(number),
    }
    bundle = {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.25.31"},
        "timestamp": "2026-11-01T08:00:00Z",
        "entry": [{"fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "resource": composition}],
    }
    return {"resourceType": "Parameters", "parameter": [{"name": "document", "resource": bundle}]}


GENERATE = "/fhir/DocumentReference/$generate-metadata"


@pytest.mark.parametrize(
    ("where", "message", "name"),
    [
        ("/fhir", bundle, "ITI-65"),
        ("/fhir/DocumentReference", simplified, "ITI-105"),
        (GENERATE, binary, "ITI-106"),
        (GENERATE, fhir_document, "ITI-106"),
    ],
    ids=["bundle", "simplified", "binary", "document-bundle"],
)
def test_a_document_of_an_unknown_patient_waits_until_the_patient_is_known(
    client: Client, where: str, message: Any, name: str
) -> None:
    hospital, sent = client.hospital, message(client, "BN7")
    assert client("POST", where, sent).status == 422
    item = refused(hospital)
    assert (item.feed, item.name) == ("fhir his", name)
    assert "not known" in item.reasons[0] and "BN7" not in " ".join(item.reasons)
    assert original(hospital, item).endswith(b"\r\n\r\n" + json.dumps(sent).encode())
    assert client.registers("BN7").status == 201
    became = again(hospital, item)
    assert (became.outcome, became.documents, became.replayed is not None) == ("stored", 1, True)
    assert items(hospital, REFUSED) == []
    assert client("POST", where, sent).status in (200, 201)  # the sender itself changes nothing by coming again
    assert [one.outcome for one in items(hospital)].count("unchanged") == 1


def test_a_refused_patient_is_fed_again_unless_a_later_word_was_taken(client: Client) -> None:
    hospital = client.hospital
    target = "/fhir/Patient?" + urlencode({"identifier": f"{client.system}|BN8"})
    carried = [{"system": client.system, "value": "BN8"}]
    wrong = {"resourceType": "Patient", "identifier": carried, "name": own_name(), "birthDate": "1990-13-01"}
    assert client("PUT", target, wrong).status == 422
    first = refused(hospital)
    assert "BN8" not in first.name + " ".join(first.reasons)
    assert b"PUT /fhir/Patient?identifier=" in original(hospital, first)
    assert client("PUT", target, wrong | {"birthDate": "1990-12-01"}).status == 201
    assert again(hospital, first).outcome == REFUSED  # its birth date is wrong as ever
    other = {"resourceType": "Patient", "identifier": carried, "name": own_name(), "active": True}
    assert client("PUT", target, other, If_Match='W/"7"').status == 412
    (second,) = (one for one in items(hospital, REFUSED) if one.id != first.id)
    assert b'\r\nIf-Match: W/"7"\r\n' in original(hospital, second)
    hospital.lab.clock.moves(by=timedelta(seconds=1))
    assert client("PUT", target, wrong | {"birthDate": "1990-12-02"}).status == 200
    became = again(hospital, second)
    assert became.outcome == "unchanged"
    assert any("later message" in note for note in became.deviations)


def test_what_soap_refuses_is_kept_and_read_again(soap: SoapClient) -> None:
    hospital, client = soap.hospital, Client(soap.hospital)
    submission = Submission("S9", [Document("S9", drop=frozenset({"sourcePatientInfo"}))])
    assert soap.provides(submission).codes == ["XDSUnknownPatientId"]
    assert soap.registers(Submission("S9", [Document("S9")])).codes
    wrong = hl7v3.feeds(soap, "S8", person(), root="1.2.3.4")
    assert hl7v3.code(wrong) != "AA"
    names = {one.name.partition(" ")[0]: one for one in items(hospital, REFUSED)}
    assert set(names) == {"ITI-41", "ITI-42", "ITI-44"}
    assert all(one.feed == "soap his" and one.reasons and "S9" not in one.reasons[0] for one in names.values())
    assert b"%PDF-1.4 report" in original(hospital, names["ITI-41"])  # the package with its parts, as it came
    client.registers("S9", birthDate="1958-03-21", name=[{"text": "Nguyễn Thị Lan"}], gender="female")
    became = again(hospital, names["ITI-41"])
    assert (became.outcome, became.documents) == ("stored", 1), became.reasons
    assert len(soap.finds("S9").documents) == 1


def test_bytes_that_are_no_message_are_kept_where_their_sender_may_submit(soap: SoapClient) -> None:
    hospital = soap.hospital
    assert hospital.sends("POST", "/fhir", body=b'{"resourceType": "Bundle", "ty', headers=FHIR).status == 400
    assert hospital.sends("POST", "/xds/repository", body=b"<s:Envelope", headers={"Content-Type": SOAP}).status == 400
    feeds_and_names = {(one.feed, one.name) for one in items(hospital, REFUSED)}
    assert feeds_and_names == {("fhir his", submission_feeds.UNREAD), ("soap his", submission_feeds.UNREAD)}
    for one in items(hospital, REFUSED):
        assert again(hospital, one).outcome == REFUSED


def test_whoever_may_not_submit_leaves_nothing(soap: SoapClient) -> None:
    hospital = soap.hospital
    message = json.dumps(bundle(Client(hospital))).encode()
    reader = replace(hospital.requester(Role.SYSTEM), subject="reader")
    told = {"Accept": "application/fhir+json", **FHIR}
    nobody = ask(hospital.application, "house", "POST", "/fhir", headers=told, body=message)
    assert nobody.status == 401
    action = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
    for body in (b"<s:Envelope", envelope(action, "<x/>")):
        told = {"Accept": "*/*", "Content-Type": SOAP}
        ask(hospital.application, "house", "POST", "/xds/repository", headers=told, body=body)
    for where, body in (("/fhir", message), ("/fhir", b"{"), ("/fhir/DocumentReference", b"{")):
        reply = hospital.sends("POST", where, body=body, headers=FHIR, who=reader, scope="system/DocumentReference.rs")
        assert reply.status in (400, 403)
    assert items(hospital) == []


def test_what_is_accepted_is_counted_and_shows_what_was_strange(client: Client) -> None:
    client.registers("BN9")
    stored(client("POST", "/fhir", bundle(client, "BN9")))
    assert client("DELETE", "/fhir/Patient?" + urlencode({"identifier": f"{client.system}|BN9"})).status == 204
    (sender,) = feeds.senders(client.hospital.house, since=client.hospital.house.now() - timedelta(hours=1))
    assert (sender.feed, sender.outcomes) == ("fhir his", {"stored": 3})
    counted = {one.name: one.documents for one in items(client.hospital)}
    assert counted == {"ITI-104": 0, "ITI-65": 1}
    with pytest.raises(Unreadable, match="accepted"):
        again(client.hospital, items(client.hospital)[0])


def test_the_entries_of_a_batch_have_lines_of_their_own(client: Client) -> None:
    request = {"method": "POST", "url": "DocumentReference", "ifNoneExist": "identifier=a|b\r\nX-Other: 1"}
    entry = {"resource": simplified(client, "BN7"), "request": request}
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [entry, entry]}
    assert client("POST", "/fhir", batch).status == 200
    item = refused(client.hospital)
    assert item.name == "ITI-105"
    head = original(client.hospital, item).partition(b"\r\n\r\n")[0]
    assert b"\r\nX-Other" not in head
    assert client("POST", "/fhir", batch | {"entry": [entry] * 101}).status == 413
    (whole,) = (one for one in items(client.hospital, REFUSED) if one.name == "batch")
    assert "sent again by its sender" in again(client.hospital, whole).reasons[0]


def test_a_program_that_tries_all_night_has_one_line_a_day(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = bundle(client)
    for _ in range(5):
        assert client("POST", "/fhir", sent).status == 422
    item = refused(client.hospital)
    assert item.deviations[submission_feeds.SENT_AGAIN] == 4
    monkeypatch.setattr(submission_feeds, "MOST_A_DAY", 3)
    for _ in range(6):
        assert client("POST", "/fhir", bundle(client)).status == 422
    lines = items(client.hospital, REFUSED)
    assert len(lines) == 4
    (rest,) = (one for one in lines if one.name == submission_feeds.REST)
    assert rest.deviations == {submission_feeds.BEYOND: 4} and not rest.owner
    assert rest.id not in feeds.refused(client.hospital.house, "", since=rest.received - timedelta(days=1))


def test_bytes_are_kept_up_to_a_bound_and_all_else_is_a_line(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission_feeds, "LARGEST_KEPT", 20_000)
    large = bundle(client, size=30_000)
    for _ in range(2):
        assert client("POST", "/fhir", large).status == 422
    item = refused(client.hospital)
    assert (item.size, item.owner) == (0, "") and submission_feeds.NOT_KEPT in item.deviations
    monkeypatch.setattr(submission_feeds, "MOST_KEPT_A_DAY", 5_000)
    for _ in range(3):
        assert client("POST", "/fhir", bundle(client)).status == 422
    kept = [one for one in items(client.hospital, REFUSED) if one.owner]
    assert 0 < sum(one.size for one in kept) < 5_000 and len(kept) < 3


def test_a_large_refused_request_is_a_sealed_file(client: Client) -> None:
    sent = bundle(client, size=200_000)
    assert client("POST", "/fhir", sent).status == 422
    item = refused(client.hospital)
    assert item.kept_as and original(client.hospital, item).endswith(json.dumps(sent).encode())


def test_a_fault_of_ours_is_found_by_its_reference(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from hie_node.flows import publish

    def breaks(*_: object) -> None:
        raise RuntimeError("BN7")

    monkeypatch.setattr(publish, "_judge", breaks)
    client.registers("BN7")
    assert client("POST", "/fhir", bundle(client)).status == 500
    item = refused(client.hospital)
    assert re.search(r"reference [0-9a-f]{12}", item.reasons[-1]) and "BN7" not in " ".join(item.reasons)
    monkeypatch.undo()
    assert again(client.hospital, item).outcome == "stored"


def test_a_senders_own_number_stands_in_the_line_and_forges_none(client: Client) -> None:
    assert client("POST", "/fhir", bundle(client), X_Request_Id="abc-1").status == 422
    assert refused(client.hospital).name == "ITI-65 abc-1"
    odd = "x" * 3000 + "\x85\x1b"
    assert client("POST", "/fhir", bundle(client), X_Request_Id=odd).status == 422
    names = {one.name for one in items(client.hospital, REFUSED)}
    assert names == {"ITI-65 abc-1", f"ITI-65 {'x' * 100}"}


def test_replays_side_by_side_make_one_document(client: Client) -> None:
    assert client("POST", "/fhir", bundle(client)).status == 422
    client.registers("BN7")
    item = refused(client.hospital)
    with ThreadPoolExecutor(4) as at_once:
        became = list(at_once.map(lambda _: again(client.hospital, item).outcome, range(4)))
    assert set(became) <= {"stored", "unchanged"}
    found = client.get("/fhir/DocumentReference", **{"patient.identifier": f"{client.system}|BN7"})
    assert len(found.ids) == 1


def test_a_removal_of_nobody_does_not_remove_who_was_registered_since(client: Client) -> None:
    target = "/fhir/Patient?" + urlencode({"identifier": f"{client.system}|BN7"})
    assert client("DELETE", target).status == 404
    item = refused(client.hospital)
    client.hospital.lab.clock.moves(by=timedelta(seconds=1))
    assert client.registers("BN7").status == 201
    assert again(client.hospital, item).outcome == "unchanged"
    assert client.get("/fhir/Patient", identifier=f"{client.system}|BN7").resources[0]["active"] is True


def test_who_replays_is_on_record_and_not_the_system_that_sent(client: Client) -> None:
    assert client("POST", "/fhir", bundle(client)).status == 422
    client.registers("BN7")
    again(client.hospital, refused(client.hospital))
    (row,) = client.hospital.rows(direction="published")
    assert (row.requester.subject, row.transaction, len(row.items)) == ("administrator", "ITI-65", 1)


def test_the_command_reads_it_again_where_it_can_be_killed(client: Client) -> None:
    assert client("POST", "/fhir", bundle(client)).status == 422
    client.registers("BN7")
    house = client.hospital.house
    house.storage.close()  # nothing of it is open at a fork
    found = CliRunner().invoke(app, ["--home", str(house.settings.home), "feeds", "replay", "--feed", "fhir"])
    assert (found.exit_code, found.output.splitlines()[-1]) == (0, "1 read again, 0 refused again"), found.output
    assert [one.outcome for one in items(client.hospital) if one.name == "ITI-65"] == ["stored"]
