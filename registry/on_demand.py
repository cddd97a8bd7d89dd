"""Documents that are made when they are retrieved: the summary of a patient. An entry says that one can be had.

The entry is not kept. Its id is the record's own, turned so that the two are not taken for one another.

Source: IHE ITI TF-1: 10.2.7 (On-Demand Documents option), IHE ITI TF-3: 4.2.3.2 (attributes of an on-demand entry)
"""

from __future__ import annotations

from uuid import UUID

from registry.coded import FORMAT_CODE, LOINC, CodedValue
from registry.documents import Attachment, DocumentEntry
from registry.people import SourceRecord

SUMMARY = CodedValue("60591-5", LOINC, "Patient summary Document")
SUMMARY_FORMAT = CodedValue("urn:ihe:pcc:ips:2020", FORMAT_CODE, "International Patient Summary")
FHIR_JSON = "application/fhir+json"
_TURN = UUID("5c1a9b70-2f36-c4d8-4b7e-19a0c3f5d264").int
"""Turns a random UUID into one of another variant, which nobody hands out as the id of anything else."""
_VARIANT = 3 << 62


def summary_uuid(record_id: str) -> UUID | None:
    """The id of the summary of a record; None for a record whose own id is no UUID."""
    try:
        return UUID(int=UUID(record_id).int ^ _TURN)
    except ValueError:
        return None


def record_of(identifier: str) -> str | None:
    """The record behind an id of a summary, entryUUID or uniqueId; None for what is none."""
    try:
        if identifier.startswith("urn:uuid:"):
            found = UUID(identifier).int
        elif identifier.startswith("urn:oid:2.25."):
            found = UUID(int=int(identifier.removeprefix("urn:oid:2.25."))).int
        else:
            return None
    except ValueError:
        return None
    return str(UUID(int=found ^ _TURN)) if found & _VARIANT == _VARIANT else None


def summary_entry(record: SourceRecord) -> DocumentEntry | None:
    """That the summary of a patient can be had."""
    uuid = summary_uuid(record.id)
    if uuid is None:
        return None
    return DocumentEntry(
        id=f"summary-{record.id}",
        entry_uuid=uuid.urn,
        unique_id=f"urn:oid:2.25.{uuid.int}",
        patient=record.identifier,
        record_id=record.id,
        attachment=Attachment(FHIR_JSON, 0, "0" * 40, "", title="Tóm tắt sức khỏe người bệnh"),
        type=SUMMARY,
        categories=(SUMMARY,),
        format=SUMMARY_FORMAT,
        updated=record.updated,
        on_demand=True,
    )
