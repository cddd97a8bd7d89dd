"""Images are found and opened by who knows only documents: a manifest for each study, and those that others hand in."""

from __future__ import annotations

import io
import warnings
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pydicom
import pytest

from adapters.dicom.manifest import Source, read_manifest, write_manifest
from registry.identifiers import PatientIdentifier
from registry.manifests import key_of, study_key
from registry.people import NOTHING_KNOWN
from registry.studies import Instance, Series, Study
from tests.conformance.changes import everything_of
from tests.conformance.client import Client
from tests.conformance.dicom_files import faults
from tests.conformance.soap import CODES, NS, Document, SoapAnswer, SoapClient, Submission, oid, slot
from tests.papers import CtStudy, Person

KOS = "1.2.840.10008.5.1.4.1.1.88.59"
FORMAT = (CODES["format"][0], KOS, "1.2.840.10008.2.6.1", "KOS")


@pytest.fixture
def person(soap: SoapClient) -> Person:
    """A patient of the test's own, whom nobody resembles."""
    seed = uuid4()
    name = "".join(chr(ord("a") + int(digit, 16)) for digit in seed.hex)
    born = f"{1930 + seed.int % 80}-{1 + seed.int // 80 % 12:02}-{1 + seed.int // 960 % 28:02}"
    person = Person(seed.hex[:8], f"{name[:9]} {name[9:]}", born)
    soap.hospital.registers(person)
    return person


def study_of(soap: SoapClient, person: Person, *, count: int = 3, uid: str = "") -> CtStudy:
    """A CT that the hospital's scanner has sent."""
    study = CtStudy(person, uid or oid(), count=count)
    soap.hospital.publishes_study(study)
    return study


def asked(soap: SoapClient, person: Person, *slots: Any) -> SoapAnswer:
    return soap.finds(person.number_at("bac-ninh"), *slots)


def opened(content: bytes) -> Any:
    """As programs that are not ours read it; nothing about it may be wrong."""
    assert faults(content) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return pydicom.dcmread(io.BytesIO(content))


def listed(manifest: Any) -> set[str]:
    (study,) = manifest.CurrentRequestedProcedureEvidenceSequence
    return {one.ReferencedSOPInstanceUID for series in study.ReferencedSeriesSequence
            for one in series.ReferencedSOPSequence}  # fmt: skip


def test_a_study_is_found_and_opened_as_a_manifest(soap: SoapClient, person: Person) -> None:
    study = study_of(soap, person)
    found = asked(soap, person, ("$XDSDocumentEntryFormatCode", f"('{KOS}^^1.2.840.10008.2.6.1')"))
    (entry,) = found.documents
    assert entry.get("mimeType") == "application/dicom"
    references = slot(entry, "urn:ihe:iti:xds:2013:referenceIdList")
    assert f"{study.uid}^^^^urn:ihe:iti:xds:2016:studyInstanceUID" in references
    events = entry.findall(
        "r:Classification[@classificationScheme='urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4']", NS
    )
    assert [one.get("nodeRepresentation") for one in events] == ["CT"]

    (unique_id,) = found.unique_ids
    (content,) = soap.retrieves(unique_id).contents
    assert slot(entry, "size") == [str(len(content))]
    assert soap.retrieves(unique_id).contents == [content]
    manifest = opened(content)
    assert (manifest.SOPClassUID, manifest.SOPInstanceUID, manifest.Modality) == (KOS, unique_id, "KO")
    assert manifest.ConceptNameCodeSequence[0].CodeValue == "113030"
    assert manifest.PatientID == person.number_at("bac-ninh")
    assert listed(manifest) == {f"{study.uid}.1.{number}" for number in (1, 2, 3)}
    series = manifest.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert series.RetrieveLocationUID == soap.repository


def test_each_way_to_ask_finds_it_and_fhir_has_the_study_alone(soap: SoapClient, person: Person) -> None:
    study_of(soap, person)
    number = person.number_at("bac-ninh")
    (entry,) = asked(soap, person).documents
    (unique_id,) = asked(soap, person).unique_ids
    for slots in (
        ("$XDSDocumentEntryUniqueId", f"('{unique_id}')"),
        ("$XDSDocumentEntryEntryUUID", f"('{entry.get('id')}')"),
    ):
        assert soap.queries("GetDocuments", slots).unique_ids == [unique_id]
    assert everything_of(soap, number).unique_ids == [unique_id]
    fhir = Client(soap.hospital)
    question = {"patient.identifier": f"{fhir.system}|{number}"}
    assert fhir.get("/fhir/DocumentReference", **question).found == []
    assert len(fhir.get("/fhir/ImagingStudy", **question).found) == 1


def test_a_study_that_grows_has_another_manifest(soap: SoapClient, person: Person) -> None:
    study = study_of(soap, person, count=2)
    (first,) = asked(soap, person).unique_ids
    study_of(soap, person, count=3, uid=study.uid)
    (second,) = asked(soap, person).unique_ids
    assert first != second
    assert len(listed(opened(soap.retrieves(second).contents[0]))) == 3
    assert soap.retrieves(first).codes == ["XDSDocumentUniqueIdError"], "other bytes under the same id are never given"


def test_what_is_looked_at_is_on_record_as_the_study(soap: SoapClient, person: Person) -> None:
    study_of(soap, person)
    (unique_id,) = asked(soap, person).unique_ids
    assert soap.retrieves(unique_id).outcome == "Success"
    with soap.hospital.house.storage.read() as unit:
        record = unit.patients.record(soap.hospital.number_of(person))
        assert record is not None
        own = next(iter(unit.studies.by_manifest_key(key_of(f"urn:oid:{unique_id}") or ""))).id
        rows = unit.disclosures.search(record_ids=(record.id,))
    assert {row.transaction for row in rows if own in row.items} >= {"ITI-18", "ITI-43"}


# ---- handed in ----


def handed_in(person: Person, study_uid: str, *, count: int = 2, **how: Any) -> Document:
    """A manifest of another imaging source, with its metadata."""
    number = person.number_at("bac-ninh")
    objects = tuple(Instance(f"{study_uid}.1.{n}", "1.2.840.10008.5.1.4.1.1.2", "", "", 0) for n in range(1, count + 1))
    series = (Series(f"{study_uid}.1", "CT", instances=objects),)
    study = Study("x", study_uid, PatientIdentifier("urn:oid:2.25.4", number), "x", series=series)
    made = write_manifest(study, NOTHING_KNOWN, Source("2.25.9", "PACS"))
    given = {"content": made.content, "unique_id": made.entry.unique_id.removeprefix("urn:oid:"), **how}
    return Document(number, mime="application/dicom", codes={"format": FORMAT}, **given)


def test_a_manifest_that_is_handed_in_is_linked_to_its_study(soap: SoapClient, person: Person) -> None:
    study = study_of(soap, person)
    document = handed_in(person, study.uid)
    assert soap.provides(Submission(document.number, [document])).outcome == "Success"
    by_study = f"('{study.uid}^^^^urn:ihe:iti:xds:2016:studyInstanceUID')"
    patient = ("$XDSDocumentEntryPatientId", f"'{soap.cx(document.number)}'")
    status = ("$XDSDocumentEntryStatus", "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')")
    found = soap.queries("FindDocumentsByReferenceId", patient, status, ("$XDSDocumentEntryReferenceIdList", by_study))
    assert document.unique_id in found.unique_ids
    assert soap.retrieves(document.unique_id).contents == [document.content]
    with soap.hospital.house.storage.read() as unit:
        kept = unit.studies.by_uid(study.uid)
    assert kept is not None
    assert kept.report_id is None, "a manifest is no report"
    fhir = Client(soap.hospital)
    name = f"urn:ietf:rfc:3986|urn:oid:{document.unique_id}"
    (shown,) = fhir.get("/fhir/DocumentReference", identifier=name).found
    related = [one["identifier"]["value"] for one in shown["context"]["related"]]
    assert f"urn:oid:{study.uid}" in related


def test_a_manifest_of_somebody_elses_study_is_refused(soap: SoapClient, person: Person) -> None:
    study = study_of(soap, person)
    theirs = handed_in(person, study.uid)
    theirs.number = "A1"
    answer = soap.provides(Submission("A1", [theirs]))
    assert (answer.outcome, answer.codes) == ("Failure", ["XDSPatientIdDoesNotMatch"])
    assert soap.retrieves(theirs.unique_id).codes == ["XDSDocumentUniqueIdError"]


@pytest.mark.parametrize(
    "broken",
    [
        lambda good: b"%PDF",
        lambda good: good[:-7],
        lambda good: good[:200],
        lambda good: good.replace(b"1.2.840.10008.5.1.4.1.1.88.59", b"1.2.840.10008.5.1.4.1.1.88.11"),
        lambda good: good.replace(b"\xfe\xff\x00\xe0", b"\xfe\xff\x01\xe0"),
        lambda good: good.replace(b"2.25.", b"2.26."),
        lambda good: good + b"\x08\x00\x05\x00" * 100,
        lambda good: good[:132] + bytes(range(256)) * 400,
    ],
)
def test_what_is_no_manifest_is_refused_and_nothing_is_stored(soap: SoapClient, person: Person, broken: Any) -> None:
    document = handed_in(person, oid())
    document.content = broken(document.content)
    answer = soap.provides(Submission(document.number, [document]))
    assert (answer.outcome, answer.codes) == ("Failure", ["InvalidDocumentContent"])
    assert asked(soap, person).documents == []


def test_an_id_leads_to_its_study_and_a_foreign_one_nowhere() -> None:
    assert key_of(f"urn:oid:2.25.{uuid4().int}") is None
    assert key_of("urn:oid:2.25.x") is None
    assert key_of("urn:oid:2.25." + "9" * 60) is None
    assert key_of("urn:uuid:no") is None
    study = Study("x", "1.2.3", PatientIdentifier("urn:oid:2.25.4", "1"), "x")
    made = write_manifest(study, NOTHING_KNOWN, Source("2.25.9", "")).entry
    assert key_of(made.entry_uuid) == key_of(made.unique_id) == study_key("1.2.3")


# ---- IHE MADO, a draft behind a switch ----

CT_IMAGE, SR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.11"
SLICES = tuple(Instance(f"1.2.3.1.{n}", CT_IMAGE, "", "", 0) for n in (1, 2))
TWO_SERIES = Study(
    "x",
    "1.2.3",
    PatientIdentifier("urn:oid:2.25.4", "1"),
    "x",
    updated=datetime(2026, 11, 23, 8, tzinfo=UTC),
    series=(
        Series("1.2.3.1", "CT", body_part="HEAD", instances=SLICES),
        Series("1.2.3.2", "SR", instances=(Instance("1.2.3.2.1", SR, "", "", 0),)),
        Series("1.2.3.3", "CT"),
    ),
)


def named(items: Any, code: str) -> list[Any]:
    return [one for one in items if "ConceptNameCodeSequence" in one
            and one.ConceptNameCodeSequence[0].CodeValue == code]  # fmt: skip


def test_a_manifest_of_mado_tells_what_each_series_is_and_where_it_is_had() -> None:
    source = Source("2.25.9", "PACS", "https://node.example/dicomweb")
    content = write_manifest(TWO_SERIES, NOTHING_KNOWN, source).content
    (number,) = faults(content, "dciodvfy")
    assert "<NUM>" in number, "the draft counts series by a kind of item that a KOS has not; nothing else is wrong"
    manifest = pydicom.dcmread(io.BytesIO(content))
    evidence = {one.SeriesInstanceUID: one for one in
                manifest.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence}  # fmt: skip
    urls = {uid: one.RetrieveURL for uid, one in evidence.items()}
    assert urls == {uid: f"https://node.example/dicomweb/studies/1.2.3/series/{uid}" for uid in ("1.2.3.1", "1.2.3.2")}
    top = manifest.ContentSequence
    assert [one.ConceptCodeSequence[0].CodeValue for one in named(top, "121139")] == ["CT", "SR"]
    assert named(top, "123014")[0].ConceptCodeSequence[0].CodeMeaning == "Head"
    assert named(top, "131565")[0].MeasuredValueSequence[0].NumericValue == 2
    (library,) = named(top, "111028")
    groups = named(library.ContentSequence, "126200")
    for group in groups:
        uid = named(group.ContentSequence, "112002")[0].UID
        here = [one.ReferencedSOPSequence[0] for one in group.ContentSequence if "ReferencedSOPSequence" in one]
        assert here == list(evidence[uid].ReferencedSOPSequence), "what stands in two places is the same"
    kinds = [[one.ValueType for one in group.ContentSequence if "ReferencedSOPSequence" in one] for group in groups]
    assert kinds == [["IMAGE", "IMAGE"], ["COMPOSITE"]]
    assert read_manifest(content).studies == {"1.2.3": ("1.2.3.1.1", "1.2.3.1.2", "1.2.3.2.1")}, "a KOS as before"


def test_without_the_switch_nothing_of_the_draft_is_said() -> None:
    content = write_manifest(TWO_SERIES, NOTHING_KNOWN, Source("2.25.9", "PACS")).content
    manifest = opened(content)
    for cut in (b"PACS", b"113030"):
        assert cut in content
    assert faults(content.replace(b"113030", b"      ")) and faults(content[:-40])
    assert named(manifest.ContentSequence, "111028") == []
    series = manifest.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert all("RetrieveURL" not in one for one in series)
