"""Fill a node through its store, a thousand at a time: what is measured is the search, not the loading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from adapters.store.engine import make_engine
from adapters.store.unit import Storage
from hie_node.settings import Settings
from registry.coded import CodedValue
from registry.documents import Attachment, Author, DocumentEntry
from registry.identifiers import PatientIdentifier
from registry.people import BirthDate, Demographics, HumanName, SourceRecord
from tests.bench import messages

BATCH = 1000
_CT = CodedValue("18748-4", "http://loinc.org", "Diagnostic imaging study")
_IMAGING = CodedValue("18726-0", "http://loinc.org", "Radiology studies")
_FIRST = datetime(2020, 1, 1, 8, tzinfo=UTC)


def fill(settings: Settings, *, patients: int, documents_each: int, first: int = 0) -> None:
    """Patients `first` and on, each with so many documents."""
    storage = Storage(make_engine(settings.database_url))
    try:
        for start in range(first, first + patients, BATCH):
            with storage.begin() as unit:
                for n in range(start, min(start + BATCH, first + patients)):
                    unit.patients.save(_record(settings, n))
        everything = _entries(settings, first, patients, documents_each)
        more = True
        while more:
            more = False
            with storage.begin() as unit:
                for _, entry in zip(range(BATCH), everything, strict=False):
                    unit.documents.add(entry)
                    more = True
    finally:
        storage.close()


def _record(settings: Settings, n: int) -> SourceRecord:
    person = messages.patient(settings.patient_id_system, n)
    demographics = Demographics(HumanName(person["name"][0]["text"]), BirthDate(person["birthDate"]), "male")
    identifier = PatientIdentifier(settings.patient_id_system, messages.number(n))
    return SourceRecord(f"record-{n}", identifier, demographics, updated=_FIRST)


def _entries(settings: Settings, first: int, patients: int, each: int) -> Iterator[DocumentEntry]:
    plain = _plain()
    for n in range(first, first + patients):
        patient = PatientIdentifier(settings.patient_id_system, messages.number(n))
        for number in range(each):
            one, when = str(uuid4()), _FIRST + timedelta(hours=7 * number, minutes=n % 600)
            yield replace(plain, id=one, entry_uuid=f"urn:uuid:{one}", unique_id=f"urn:uuid:{uuid4()}",
                          patient=patient, record_id=f"record-{n}", date=when, start=when, updated=when)  # fmt: skip


def _plain() -> DocumentEntry:
    """A CT report as ITI-65 leaves it in the index."""
    return DocumentEntry(
        id="",
        entry_uuid="",
        unique_id="urn:oid:1.2.3",
        patient=PatientIdentifier("urn:oid:1.2", "1"),
        record_id="",
        attachment=Attachment("application/pdf", 4096, "0" * 40, "0" * 64, "vi-VN", "CT sọ não", "2026-05-04"),
        type=_CT,
        categories=(_IMAGING,),
        authors=(Author(person="BS. Trần Thị Mai Anh"),),
        events=(CodedValue("CT", "http://dicom.nema.org/resources/ontology/DCM"),),
    )
