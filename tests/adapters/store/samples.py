"""Invented people and papers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid5

from consent.consents import BASIC_NORMAL, Actor, Consent, Evidence, Period, Provision
from consent.disclosures import Disclosure
from consent.receipts import ConsentReceipt
from consent.requesters import PurposeOfUse, Requester, Role
from registry.coded import HIV, IMAGING_REPORT, NORMAL, CodedValue
from registry.documents import Attachment, Author, DocumentEntry, Relation, RelationKind
from registry.identifiers import INSURANCE_NUMBER, NATIONAL_ID, HomeCommunityId, PatientIdentifier
from registry.people import Address, BirthDate, Demographics, Gender, HumanName, SourceRecord
from registry.studies import Instance, Series, Study

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=timezone(timedelta(hours=7)))
LATER = NOW + timedelta(hours=1)
BAC_NINH = HomeCommunityId("urn:oid:1.2.826.0.1.3680043.10.1")
BACH_MAI = HomeCommunityId("urn:oid:1.2.826.0.1.3680043.10.2")
LOCAL = "urn:oid:1.2.826.0.1.3680043.10.1.1"
_SPACE = UUID("6f1c2a52-8f0e-4f39-9f0e-6a2d6b7c1a00")


def id_of(name: str) -> str:
    return str(uuid5(_SPACE, name))


def patient(
    local: str = "000123",
    name: str = "Trần Thị Thuỳ Dương",
    born: str = "1958-03-21",
    *,
    gender: Gender = "female",
    number: str | None = "027158004321",
    system: str = LOCAL,
) -> SourceRecord:
    return SourceRecord(
        id=id_of(system + local),
        identifier=PatientIdentifier(system, local),
        demographics=Demographics(
            HumanName.of(name),
            BirthDate(born),
            gender,
            phones=("0900000000",),
            address=Address("Thôn Đông, Bắc Ninh", commune="Đông Hồ", province="Bắc Ninh"),
        ),
        numbers=(PatientIdentifier(NATIONAL_ID, number), PatientIdentifier(INSURANCE_NUMBER, f"GD401{number[-10:]}"))
        if number
        else (),
        updated=NOW,
        extra={"occupation": "nông dân"},
    )


def entry(key: str = "report", record: SourceRecord | None = None, **changes: Any) -> DocumentEntry:
    whose = record or patient()
    full = DocumentEntry(
        id=id_of(key),
        entry_uuid=f"urn:uuid:{id_of('entry ' + key)}",
        unique_id=f"urn:uuid:{id_of('unique ' + key)}",
        patient=whose.identifier,
        record_id=whose.id,
        attachment=Attachment("application/pdf", 1234, "a" * 40, "b" * 64, "vi", "CT sọ não", "2026-05-31"),
        type=IMAGING_REPORT,
        categories=(IMAGING_REPORT,),
        events=(CodedValue("CT", "http://dicom.nema.org/resources/ontology/DCM"),),
        sensitivity=(NORMAL,),
        authors=(Author("BS Nguyễn Văn A", "BVĐK Bắc Ninh", identifier=PatientIdentifier("urn:x:doctors", "9")),),
        date=NOW,
        start=NOW - timedelta(days=1),
        references=(PatientIdentifier("urn:x:accession", "A-77"),),
        relations=(Relation(RelationKind.APPENDS, id_of("earlier")),),
        source_patient=whose.identifier,
        source_demographics=whose.demographics,
        updated=NOW.astimezone(UTC),
        home=BAC_NINH,
        extra={"unknown": ["kept", 1, None]},
    )
    return replace(full, **changes)


def closed_entry(key: str, record: SourceRecord | None = None) -> DocumentEntry:
    return entry(key, record, sensitivity=(HIV,))


def study(key: str = "1", record: SourceRecord | None = None, *, instances: int = 3, **changes: Any) -> Study:
    whose = record or patient()
    root = f"1.2.826.0.1.3680043.10.99.{key}"
    made = tuple(
        Instance(f"{root}.1.{number}", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", "c" * 64, 525_312, number)
        for number in range(1, instances + 1)
    )
    full = Study(
        id=id_of("study " + key),
        study_instance_uid=root,
        patient=whose.identifier,
        record_id=whose.id,
        started=NOW,
        sensitivity=(NORMAL,),
        series=(Series(f"{root}.1", "CT", 1, slice_thickness=1.25, started=NOW, instances=made),),
    )
    return replace(full, **changes)


def consent(key: str = "consent", record: SourceRecord | None = None, **changes: Any) -> Consent:
    whose = record or patient()
    exception = Provision("deny", "not the old one", instances=frozenset({id_of("old")}))
    rule = Provision(
        "permit",
        "root",
        Period(NOW, NOW + timedelta(days=365)),
        (Actor(BACH_MAI),),
        frozenset({PurposeOfUse.TREAT, PurposeOfUse.ETREAT}),
        provisions=(exception,),
    )
    evidence = Evidence("paper", "urn:x:scan", "d" * 64, explained_by="điều dưỡng B", language="vi")
    full = Consent(
        id_of(key),
        whose.identifier,
        whose.id,
        "active",
        NOW,
        BASIC_NORMAL,
        rule,
        custodian=BAC_NINH,
        evidence=evidence,
    )
    return replace(full, **changes)


def receipt(key: str = "receipt", *, signer: HomeCommunityId = BACH_MAI, **changes: Any) -> ConsentReceipt:
    full = ConsentReceipt(
        id=id_of(key),
        patient=frozenset(patient().identifiers),
        holders=frozenset({BAC_NINH}),
        recipient=signer,
        signer=signer,
        purposes=frozenset({PurposeOfUse.TREAT}),
        valid=Period(NOW, NOW + timedelta(days=30)),
        given=NOW,
        issued=NOW,
        evidence_hash="e" * 64,
    )
    return replace(full, **changes)


def disclosure(key: str, record: SourceRecord | None = None, *, recorded: datetime = NOW) -> Disclosure:
    whose = record or patient()
    return Disclosure(
        id=id_of("disclosure " + key),
        recorded=recorded.astimezone(UTC),
        direction="disclosed",
        action="R",
        transaction="ITI-67",
        requester=Requester("bs.lan", Role.DOCTOR, BACH_MAI, name="BS Lan"),
        patient=whose.identifier,
        record_id=whose.id,
        items=(id_of("report"),),
        reasons={"written-request": 1},
        other=BACH_MAI,
        exchange=key,
    )
