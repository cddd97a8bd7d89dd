"""Fill a node through its store, a thousand at a time: what is measured is the search, not the loading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from secrets import token_hex
from typing import Any
from uuid import UUID

from sqlalchemy import insert

from adapters.store.documents import _columns
from adapters.store.engine import make_engine
from adapters.store.rows import moment
from adapters.store.schema import document
from adapters.store.unit import Storage
from hie_node.settings import Settings
from registry.coded import CodedValue
from registry.documents import Attachment, Author, DocumentEntry
from registry.identifiers import PatientIdentifier
from registry.people import BirthDate, Demographics, HumanName, SourceRecord
from tests.bench import messages

BATCH = 1000
ROWS, CACHE_KIB = 20_000, 262_144
"""Documents of one commit, and the memory that it may take."""
_INSERT = insert(document).inline()
MARKS = (
    str(UUID(int=1)),
    str(UUID(int=2)),
    "a-number",
    "a-record",
    datetime(1999, 9, 9, 9, 9, 9, tzinfo=UTC),
    "a:system",
)
"""What stands in the one document for what differs, in the order of `entry_of`."""
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
        everything = _rows(settings, first, patients, documents_each)
        while many := list(islice(everything, ROWS)):
            with storage.begin() as unit:
                unit.documents._connection.command(f"PRAGMA cache_size = -{CACHE_KIB}")  # type: ignore[attr-defined]
                unit.documents._connection.execute(_INSERT, many)  # type: ignore[attr-defined]
        storage.flush()  # a search would look through all of the log otherwise
    finally:
        storage.close()


def _record(settings: Settings, n: int) -> SourceRecord:
    person = messages.patient(settings.patient_id_system, n)
    demographics = Demographics(HumanName(person["name"][0]["text"]), BirthDate(person["birthDate"]), "male")
    identifier = PatientIdentifier(settings.patient_id_system, messages.number(n))
    return SourceRecord(f"record-{n}", identifier, demographics, updated=_FIRST)


def _rows(settings: Settings, first: int, patients: int, each: int) -> Iterator[dict[str, Any]]:
    """As the store would make them, many times as fast: what differs is put into the row of one document."""
    form, system = form_of(row_of(entry_of(*MARKS))), settings.patient_id_system
    for n in range(first, first + patients):
        for number in range(each):
            when = _FIRST + timedelta(hours=7 * number, minutes=n % 600)
            # in order: a million at random would each be written to places all over four indexes
            one, other = (f"{n:08x}-{number:04x}-4{kind}00-8000-{token_hex(6)}" for kind in "01")
            yield filled(form, one, other, messages.number(n), f"record-{n}", when, system)


Form = dict[str, tuple[Any, tuple[int, ...]]]
"""Each column of a row: its text with `%s` for what differs, and which of the differing things these are."""


def form_of(row: dict[str, Any]) -> Form:
    """The form of a row that holds the marks."""
    marks = _differing(*MARKS)
    pattern = re.compile("|".join(map(re.escape, marks)))
    form: Form = {}
    for name, value in row.items():
        found = tuple(marks.index(mark) for mark in pattern.findall(value or ""))
        text = pattern.sub("%s", value.replace("%", "%%")) if found else value
        form[name] = text, found
    return form


def filled(form: Form, *said: Any) -> dict[str, Any]:
    """The row of a document, told as `entry_of` is."""
    differing = _differing(*said)
    return {name: text % tuple(differing[i] for i in at) if at else text for name, (text, at) in form.items()}


def _differing(one: str, other: str, number: str, record: str, when: datetime, system: str) -> list[str]:
    return [one, other, number, record, system, moment(when), when.isoformat()]


def row_of(entry: DocumentEntry) -> dict[str, Any]:
    """What the store keeps of a document."""
    return {"id": entry.id, "source_key": None, **_columns(entry)}


def entry_of(one: str, other: str, number: str, record: str, when: datetime, system: str) -> DocumentEntry:
    return replace(_plain(), id=one, entry_uuid=f"urn:uuid:{one}", unique_id=f"urn:uuid:{other}",
                   patient=PatientIdentifier(system, number), record_id=record,
                   date=when, start=when, updated=when)  # fmt: skip


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
