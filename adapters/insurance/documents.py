"""The documents that a dossier gives: reports, results, papers, referral slips, and the visit as text and as data.

The unique id follows from where a document stands and what it says, so the same file twice is the same document;
the source key follows from where it stands alone, so a corrected report replaces the earlier one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha1
from json.encoder import encode_basestring
from typing import Any
from uuid import UUID

from adapters.fhir import visit_document
from adapters.insurance.closed import document_sensitivity, icd_codes
from adapters.insurance.envelope import Dossier
from adapters.insurance.forms import FORMS, form_text
from adapters.insurance.imaging import MODALITIES, Report
from adapters.insurance.rows import Deviations, Row
from adapters.insurance.values import Moment, read_moment
from adapters.insurance.wording import CONTENT_TYPE, LANGUAGE, referral_text, report_text, results_text, visit_text
from registry.clinical import Finding
from registry.coded import (
    DCM,
    EPISODE_SUMMARY,
    FORMAT_CODE,
    HIV,
    IMAGING_REPORT,
    LABORATORY_REPORT,
    MIME_TYPE_SUFFICIENT,
    REFERRAL_NOTE,
    SERVICE_CODE,
    CodedValue,
)
from registry.documents import Attachment, Author, DocumentEntry
from registry.errors import InvalidValue
from registry.identifiers import VISIT, FacilityCode, HomeCommunityId, PatientIdentifier
from registry.submissions import WHOLE_VISIT, Bytes, PatientMention, SubmittedDocument, Visit

PRACTITIONER = "urn:hie-node:practitioner"
"""The health identifier of a person who works at a hospital (MA_BS_DOC_KQ); no public system has a name for it."""

_NAMES = UUID("6f0b6c1e-6f0a-5c7e-9a54-3d1c2f5b8e10")
_RADIOLOGY = CodedValue("394914008", "http://snomed.info/sct", "Radiology")
_TEXT_REPORT = CodedValue("urn:ihe:rad:TEXT", FORMAT_CODE, "Radiology XDS-I Text")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document comes from: the node, the facility, the patient, the visit, and what closes all of it."""

    home: HomeCommunityId
    facility: FacilityCode
    patient: PatientMention
    visit_key: str
    diagnoses: tuple[CodedValue, ...]
    labels: tuple[CodedValue, ...]

    _named: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        place = json.dumps([str(self.home), str(self.facility), self.visit_key], ensure_ascii=False)
        object.__setattr__(self, "_named", sha1(_NAMES.bytes + place[:-1].encode(), usedforsecurity=False))

    def name(self, *parts: str | int) -> str:
        """The UUID of a place: the same parts give the same one, here and now and after the next restart.

        Source: RFC 4122, 4.3 (version 5) over the parts as a JSON array; a visit has some hundred of them.
        """
        named = self._named.copy()
        told = (encode_basestring(part) if isinstance(part, str) else str(part) for part in parts)
        named.update(f", {', '.join(told)}]".encode())
        digits = named.hexdigest()
        variant = "89ab"[int(digits[16], 16) & 3]
        return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


@dataclass(frozen=True, slots=True)
class _Facts:
    """What tells one document of a dossier from another. `part` is what it came of: a table, or the whole visit."""

    part: str
    code: str
    number: int
    title: str
    type: CodedValue
    category: CodedValue
    format: CodedValue
    codes: tuple[CodedValue, ...]
    content_type: str = CONTENT_TYPE
    events: tuple[CodedValue, ...] = ()
    setting: CodedValue | None = None
    author: str = ""
    performed: Moment | None = None
    ended: Moment | None = None
    written: Moment | None = None
    examination: str | None = None

    @property
    def place(self) -> tuple[str | int, ...]:
        return (self.part, self.code, self.number)


@dataclass(frozen=True, slots=True)
class Part:
    """A document, and which part of the message it came of."""

    part: str
    document: SubmittedDocument


def report_documents(reports: Iterable[Report], origin: Origin, strange: Deviations) -> Iterator[Part]:
    """A document for each report."""
    for report in reports:
        _tell_of_its_time(report, strange)
        service = CodedValue(report.code, SERVICE_CODE, report.title or None)
        facts = _Facts(
            "XML4",
            report.code,
            report.number,
            report.title or "Kết quả chẩn đoán hình ảnh",
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
        yield _text(report_text(report, origin.facility), facts, origin)


def results_document(rows: Sequence[Row], origin: Origin) -> Iterator[Part]:
    """Everything of table 4 that is no report of its own, on one page."""
    if not rows:
        return
    moments = [moment for row in rows if (moment := read_moment(row.get("NGAY_KQ", "")))]
    latest = max(moments, key=lambda each: each.at, default=None)
    facts = _Facts(
        "XML4",
        "",
        0,
        "Kết quả cận lâm sàng",
        LABORATORY_REPORT,
        LABORATORY_REPORT,
        MIME_TYPE_SUFFICIENT,
        origin.diagnoses,
        written=latest,
        performed=latest,
    )
    yield _text(results_text(rows, origin.facility), facts, origin)


def paper_documents(dossier: Dossier, origin: Origin) -> Iterator[Part]:
    """Course, discharge, summary, appointment: one document for each form that has something to say."""
    for form in FORMS:
        rows = dossier.rows(form.table)
        text = form_text(form, rows, origin.facility)
        if not text:
            continue
        last = rows[-1]
        facts = _Facts(
            form.table,
            "",
            1,
            form.title,
            form.type,
            form.type,
            MIME_TYPE_SUFFICIENT,
            origin.diagnoses,
            author=last.get(form.author, ""),
            written=read_moment(last.get(form.dated, "")),
        )
        yield _text(text, facts, origin)


def visit_documents(head: Row, visit: Visit, reports: Sequence[Report], origin: Origin) -> Iterator[Part]:
    """The visit as a page to read, and as data where it says when it was."""
    came, left = read_moment(head.get("NGAY_VAO", "")), read_moment(head.get("NGAY_RA", ""))
    title = "Tóm tắt lượt khám, chữa bệnh"
    written = left or came
    facts = _Facts(
        WHOLE_VISIT,
        "",
        1,
        title,
        EPISODE_SUMMARY,
        EPISODE_SUMMARY,
        MIME_TYPE_SUFFICIENT,
        origin.diagnoses,
        performed=came,
        ended=left,
        written=written,
    )
    text = visit_text(head, visit)
    yield _text(text, facts, origin)
    if written is None:
        return
    data = visit_document.visit_document(
        visit,
        origin.patient,
        [_finding(report) for report in reports],
        home=origin.home,
        name=origin.name,
        written=written.at,
    )
    facts = replace(facts, code="data", title=f"{title} (dữ liệu)", content_type=visit_document.CONTENT_TYPE)
    yield Part(WHOLE_VISIT, _document(data, facts, origin, texts=(text,)))


def _finding(report: Report) -> Finding:
    """A report as a fact, unless its words are for a person to read first."""
    said = report.result.get("KET_LUAN", "")
    told = "" if document_sensitivity((said,)) else said
    codes = (report.type, CodedValue(report.code, SERVICE_CODE, report.title or None))
    performed, resulted = report.performed, report.resulted
    return Finding(
        report.title or report.code,
        told,
        codes,
        performed.at if performed and not performed.day_only else None,
        resulted.at if resulted and not resulted.day_only else None,
    )


def referral_document(slip: Row, number: int, origin: Origin, written: Moment | None) -> Part:
    """The slip as a referral note."""
    codes = icd_codes(" ; ".join((slip.get("MA_BENH_CHINH", ""), slip.get("MA_BENH_KT", ""))))
    facts = _Facts(
        "XML13",
        "",
        number,
        "Phiếu chuyển cơ sở khám bệnh, chữa bệnh",
        REFERRAL_NOTE,
        REFERRAL_NOTE,
        MIME_TYPE_SUFFICIENT,
        tuple(dict.fromkeys((*origin.diagnoses, *codes))),
        written=written,
    )
    return _text(referral_text(slip, origin.facility), facts, origin)


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


def _text(text: str, facts: _Facts, origin: Origin) -> Part:
    return Part(facts.part, _document(text.encode("utf-8"), facts, origin, texts=(text,)))


def _document(content: bytes, facts: _Facts, origin: Origin, *, texts: tuple[str, ...]) -> SubmittedDocument:
    told = sha1(content, usedforsecurity=False).hexdigest()
    unique = origin.name(*facts.place, told)
    labels = origin.labels or document_sensitivity(texts)
    entry = DocumentEntry(
        id=unique,
        entry_uuid=f"urn:uuid:{origin.name(*facts.place, told, 'entry')}",
        unique_id=f"urn:uuid:{unique}",
        patient=origin.patient.identifier,
        record_id="",
        attachment=Attachment(
            content_type=facts.content_type,
            size=len(content),
            hash=told,
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
        start=_exact(facts.performed),
        stop=_exact(facts.ended),
        source_patient=origin.patient.identifier,
        source_demographics=origin.patient.demographics,
        home=origin.home,
        examination=facts.examination,
        encounters=(PatientIdentifier(f"{VISIT}:{origin.facility}", origin.visit_key),),
    )
    return SubmittedDocument(
        entry,
        Bytes(content),
        source_key=f"insurance:{origin.name(*facts.place)}",
        # A document that is closed for certain leaves no doubt for a person to resolve by reading its words.
        texts=() if HIV in labels else texts,
        codes=facts.codes,
    )


def _exact(moment: Moment | None) -> datetime | None:
    return moment.at if moment and not moment.day_only else None


def _author(code: str, facility: FacilityCode) -> Author:
    try:
        return Author(institution=str(facility), identifier=PatientIdentifier(PRACTITIONER, code) if code else None)
    except InvalidValue:
        return Author(institution=str(facility))
