"""The documents that a dossier gives: one per CT or MRI report and one per referral slip.

The unique id follows from where a document stands and what it says, so the same file twice is the same document;
the source key follows from where it stands alone, so a corrected report replaces the earlier one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha1
from uuid import UUID, uuid5

from adapters.insurance.closed import document_sensitivity, icd_codes
from adapters.insurance.imaging import MODALITIES, Report
from adapters.insurance.rows import Deviations, Row
from adapters.insurance.values import Moment
from adapters.insurance.wording import CONTENT_TYPE, LANGUAGE, referral_text, report_text
from registry.coded import DCM, FORMAT_CODE, HIV, IMAGING_REPORT, REFERRAL_NOTE, SERVICE_CODE, CodedValue
from registry.documents import Attachment, Author, DocumentEntry
from registry.errors import InvalidValue
from registry.identifiers import FacilityCode, HomeCommunityId, PatientIdentifier
from registry.submissions import Bytes, PatientMention, SubmittedDocument

PRACTITIONER = "urn:hie-node:practitioner"
"""The health identifier of a person who works at a hospital (MA_BS_DOC_KQ); no public system has a name for it."""

_NAMES = UUID("6f0b6c1e-6f0a-5c7e-9a54-3d1c2f5b8e10")
_RADIOLOGY = CodedValue("394914008", "http://snomed.info/sct", "Radiology")
_TEXT_REPORT = CodedValue("urn:ihe:rad:TEXT", FORMAT_CODE, "Radiology XDS-I Text")
_ANY_TEXT = CodedValue("urn:ihe:iti:xds:2017:mimeTypeSufficient", FORMAT_CODE, "mimeType Sufficient")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document comes from: the node, the facility, the patient, the visit, and what closes all of it."""

    home: HomeCommunityId
    facility: FacilityCode
    patient: PatientMention
    visit_key: str
    diagnoses: tuple[CodedValue, ...]
    labels: tuple[CodedValue, ...]

    def name(self, *parts: str | int) -> UUID:
        """The same parts give the same name, here and now and after the next restart."""
        place = [str(self.home), str(self.facility), self.visit_key, *parts]
        return uuid5(_NAMES, json.dumps(place, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class _Facts:
    """What tells one document of a dossier from another."""

    table: str
    code: str
    number: int
    title: str
    type: CodedValue
    category: CodedValue
    format: CodedValue
    codes: tuple[CodedValue, ...]
    events: tuple[CodedValue, ...] = ()
    setting: CodedValue | None = None
    author: str = ""
    performed: Moment | None = None
    written: Moment | None = None
    examination: str | None = None


def report_documents(reports: Iterable[Report], origin: Origin, strange: Deviations) -> Iterator[SubmittedDocument]:
    """A document for each report."""
    for report in reports:
        _tell_of_its_time(report, strange)
        service = CodedValue(report.code, SERVICE_CODE, report.name or None)
        facts = _Facts(
            "XML4",
            report.code,
            report.number,
            report.name or "Kết quả chẩn đoán hình ảnh",
            report.type,
            IMAGING_REPORT,
            _TEXT_REPORT,
            (*origin.diagnoses, service),
            events=(CodedValue(report.modality, DCM, MODALITIES[report.modality]), service),
            setting=_RADIOLOGY,
            author=report.result.get("MA_BS_DOC_KQ", ""),
            performed=report.performed,
            written=report.resulted,
            examination=report.examination.key if report.examination else None,
        )
        yield _document(report_text(report, origin.facility), facts, origin)


def referral_document(slip: Row, number: int, origin: Origin, written: Moment | None) -> SubmittedDocument:
    """The slip as a referral note."""
    codes = icd_codes(" ; ".join((slip.get("MA_BENH_CHINH", ""), slip.get("MA_BENH_KT", ""))))
    facts = _Facts(
        "XML13",
        "",
        number,
        "Phiếu chuyển cơ sở khám bệnh, chữa bệnh",
        REFERRAL_NOTE,
        REFERRAL_NOTE,
        _ANY_TEXT,
        tuple(dict.fromkeys((*origin.diagnoses, *codes))),
        written=written,
    )
    return _document(referral_text(slip, origin.facility), facts, origin)


def _tell_of_its_time(report: Report, strange: Deviations) -> None:
    place = f"XML4, row {report.row}"
    if report.service is None:
        strange.note(place, "no row of table 3 has its code; the time of performance is not known")
    elif report.performed is None:
        strange.note(place, "NGAY_TH_YL is missing or no time; the time of performance is not known")
    elif report.approximate:
        strange.note(place, f"the time of performance is approximate: {report.approximate}")
    elif report.performed.day_only:
        strange.note(place, "NGAY_TH_YL gives only the day; the time of performance is left open")
    elif report.resulted and report.resulted.at < report.performed.at and not report.resulted.day_only:
        strange.note(place, "NGAY_KQ is before NGAY_TH_YL")


def _document(text: str, facts: _Facts, origin: Origin) -> SubmittedDocument:
    content = text.encode("utf-8")
    place = (facts.table, facts.code, facts.number)
    unique = origin.name(*place, text)
    labels = origin.labels or document_sensitivity((text,))
    entry = DocumentEntry(
        id=str(unique),
        entry_uuid=f"urn:uuid:{origin.name(*place, text, 'entry')}",
        unique_id=f"urn:uuid:{unique}",
        patient=origin.patient.identifier,
        record_id="",
        attachment=Attachment(
            content_type=CONTENT_TYPE,
            size=len(content),
            hash=sha1(content).hexdigest(),  # noqa: S324 (the hash that IHE prescribes)
            content_hash="",
            language=LANGUAGE,
            title=facts.title,
            creation=facts.written.fhir if facts.written else None,
        ),
        type=facts.type,
        categories=(facts.category,),
        format=facts.format,
        practice_setting=facts.setting,
        events=facts.events,
        sensitivity=labels,
        authors=(_author(facts.author, origin.facility),),
        date=facts.written.at if facts.written else facts.performed.at if facts.performed else None,
        start=facts.performed.at if facts.performed and not facts.performed.day_only else None,
        source_patient=origin.patient.identifier,
        source_demographics=origin.patient.demographics,
        home=origin.home,
        examination=facts.examination,
    )
    return SubmittedDocument(
        entry,
        Bytes(content),
        source_key=f"insurance:{origin.name(*place)}",
        # A document that is closed for certain leaves no doubt for a person to resolve by reading its words.
        texts=() if HIV in labels else (text,),
        codes=facts.codes,
    )


def _author(code: str, facility: FacilityCode) -> Author:
    try:
        return Author(institution=str(facility), identifier=PatientIdentifier(PRACTITIONER, code) if code else None)
    except InvalidValue:
        return Author(institution=str(facility))
