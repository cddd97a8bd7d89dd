"""Objects of studies come as they are stored to who speaks XDS-I, by the list of forms that it takes."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from lxml import etree

from adapters.syslog import audit_message
from tests.conformance.images import (
    EXPLICIT,
    JPEG,
    RAD,
    RETRIEVE_IMAGES,
    image_request,
    images,
    refuse_faulty_request,
)
from tests.conformance.soap import SoapClient, envelope, oid, package
from tests.papers import CtStudy, Person


@pytest.fixture
def study(soap: SoapClient) -> CtStudy:
    """A CT of three slices of somebody of the test's own."""
    return scanned(soap)


def scanned(soap: SoapClient, **how: Any) -> CtStudy:
    seed = uuid4()
    name = "".join(chr(ord("a") + int(digit, 16)) for digit in seed.hex)
    born = f"{1930 + seed.int % 80}-{1 + seed.int // 80 % 12:02}-{1 + seed.int // 960 % 28:02}"
    person = Person(seed.hex[:8], f"{name[:9]} {name[9:]}", born)
    soap.hospital.registers(person)
    made = CtStudy(person, oid(), **how)
    soap.hospital.publishes_study(made)
    return made


def request(soap: SoapClient, study: CtStudy, *numbers: Any, **how: Any) -> str:
    given = {"repository": soap.repository, **how}
    series = given.pop("series", f"{study.uid}.1")
    return image_request(study.uid, series, [f"{study.uid}.1.{n}" for n in numbers], **given)


@pytest.mark.parametrize("mtom", [True, False])
def test_objects_come_as_they_are_stored(soap: SoapClient, study: CtStudy, mtom: bool) -> None:
    body = request(soap, study, 3, 1)
    refuse_faulty_request(body)
    answer = images(soap, body, mtom=mtom)
    assert (answer.outcome, answer.codes) == ("Success", [])
    assert answer.header("Action") == "urn:ihe:iti:2007:RetrieveDocumentSetResponse"
    slices = study.slices("bac-ninh")
    assert answer.contents == [slices[2], slices[0]]
    ids = [one.text for one in answer.all(".//x:DocumentUniqueId")]
    assert ids == [f"{study.uid}.1.3", f"{study.uid}.1.1"]
    assert {one.text for one in answer.all(".//x:mimeType")} == {"application/dicom"}


def test_what_is_stored_in_no_accepted_form_is_named_and_not_made_into_one(soap: SoapClient, study: CtStudy) -> None:
    answer = images(soap, request(soap, study, 1, 2, syntaxes=[JPEG]))
    assert (answer.outcome, answer.codes) == ("Failure", ["XDSRepositoryError"] * 2)
    either = images(soap, request(soap, study, 1, syntaxes=[JPEG, EXPLICIT]))
    assert (either.outcome, len(either.contents)) == ("Success", 1)


def test_what_is_missing_is_named_beside_what_is_there(soap: SoapClient, study: CtStudy) -> None:
    answer = images(soap, request(soap, study, 1, 9, 2))
    assert (answer.outcome, answer.codes) == ("PartialSuccess", ["XDSDocumentUniqueIdError"])
    (error,) = answer.all(".//rs:RegistryError")
    assert error.get("location") == f"{study.uid}.1.9"
    assert answer.contents == study.slices("bac-ninh")[:2]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"repository": "2.25.1"}, "XDSUnknownRepositoryId"),
        ({"home": "urn:oid:2.25.1"}, "XDSUnknownCommunity"),
        ({"series": "2.25.1"}, "XDSDocumentUniqueIdError"),
        ({"series": "../../etc"}, "XDSDocumentUniqueIdError"),
    ],
)
def test_whoever_asks_in_the_wrong_place_is_told_so(
    soap: SoapClient, study: CtStudy, how: dict[str, Any], code: str
) -> None:
    answer = images(soap, request(soap, study, 1, **how))
    assert (answer.outcome, answer.codes) == ("Failure", [code])


def test_a_study_that_is_not_here_is_not_here(soap: SoapClient, study: CtStudy) -> None:
    unknown = CtStudy(study.patient, oid())
    answer = images(soap, request(soap, unknown, 1, 2))
    assert (answer.outcome, answer.codes) == ("Failure", ["XDSDocumentUniqueIdError"] * 2)
    there = request(soap, study, 1)
    second = there.split("<i:TransferSyntaxUIDList>")[0].split(">", 1)[1]
    both = request(soap, unknown, 1).replace("<i:TransferSyntaxUIDList>", second + "<i:TransferSyntaxUIDList>")
    mixed = images(soap, both)
    assert (mixed.outcome, mixed.contents) == ("PartialSuccess", study.slices("bac-ninh")[:1])


@pytest.mark.parametrize(
    "broken",
    [
        lambda body: body.replace(f"<i:TransferSyntaxUID>{EXPLICIT}</i:TransferSyntaxUID>", ""),
        lambda body: body.replace(EXPLICIT, " "),
        lambda body: body.replace("studyInstanceUID=", "study="),
        lambda body: body.replace("seriesInstanceUID=", "series="),
        lambda body: body.replace("SeriesRequest", "SerieRequest"),
        lambda body: body.replace("x:RepositoryUniqueId", "x:Repository"),
        lambda body: body.replace("RetrieveImagingDocumentSetRequest", "RetrieveDocumentSetRequest"),
        lambda body: body.replace(f'"{RAD}"', '"urn:x"'),
        lambda body: body.replace("</i:SeriesRequest>", body[body.index("<x:Doc") : body.index("</i:Ser")]
                                  + "</i:SeriesRequest>"),
    ],
)  # fmt: skip
def test_a_request_that_is_none_is_a_fault(soap: SoapClient, study: CtStudy, broken: Any) -> None:
    answer = images(soap, broken(request(soap, study, 1)), mtom=False)
    assert (answer.status, answer.fault[0]) == (400, "s:Sender")


def test_who_took_how_much_is_on_record(soap: SoapClient, study: CtStudy) -> None:
    answer = images(soap, request(soap, study, 1, 2, 3))
    sent = sum(map(len, answer.contents))
    with soap.hospital.house.storage.read() as unit:
        record = unit.patients.record(soap.hospital.number_of(study.patient))
        assert record is not None
        rows = [row for row in unit.disclosures.search(record_ids=(record.id,)) if row.transaction == "RAD-69"]
    assert [row.bytes_sent for row in rows if row.bytes_sent is not None] == [sent]
    assert all(row.complete for row in rows)


def test_a_large_study_leaves_piece_by_piece(soap: SoapClient) -> None:
    """Forty objects of a megabyte: no more than a few pieces are held while they leave."""
    study = scanned(soap, count=40, size=1 << 20)
    kind, body = package(envelope(RETRIEVE_IMAGES, request(soap, study, *range(1, 41))), {})
    tracemalloc.start()
    reply = soap.hospital.sends("POST", "/xds/repository", body=body, headers={"Content-Type": kind})
    size = sum(len(piece) for piece in reply.flowing)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == int(reply.headers["content-length"]) > 40 << 20
    assert most < 12 << 20


def test_who_hangs_up_is_on_record_as_that(soap: SoapClient) -> None:
    study = scanned(soap, count=3, size=1 << 20)
    kind, body = package(envelope(RETRIEVE_IMAGES, request(soap, study, 1, 2, 3)), {})
    reply = soap.hospital.sends("POST", "/xds/repository", body=body, headers={"Content-Type": kind})
    for number, _ in enumerate(reply.flowing):
        if number == 6:
            break
    reply.flowing.close()  # type: ignore[attr-defined]
    with soap.hospital.house.storage.read() as unit:
        record = unit.patients.record(soap.hospital.number_of(study.patient))
        assert record is not None
        (row,) = [r for r in unit.disclosures.search(record_ids=(record.id,)) if r.bytes_sent is not None]
    assert (row.transaction, row.complete, 0 < (row.bytes_sent or 0) < 3 << 20) == ("RAD-69", False, True)


@pytest.mark.parametrize(
    ("transaction", "direction", "action", "event"),
    [
        ("RAD-69", "disclosed", "R", "110104"),
        ("ITI-41", "published", "C", "110107"),
        ("ITI-57", "changed", "U", "110107"),
        ("ITI-62", "changed", "D", "110110"),
        ("ITI-86", "changed", "D", "110110"),
        ("ITI-43", "disclosed", "R", "110106"),
    ],
)
def test_each_transaction_is_the_event_that_its_profile_says(
    soap: SoapClient, transaction: str, direction: Any, action: Any, event: str
) -> None:
    row = replace(soap.hospital.rows()[0], transaction=transaction, direction=direction, action=action)
    message = etree.fromstring(audit_message(row, home=soap.hospital.home))
    (found,) = message.iter("EventIdentification")
    assert (found.get("EventActionCode"), found.find("EventID").get("csd-code")) == (action, event)
    assert found.find("EventTypeCode").get("csd-code") == transaction
