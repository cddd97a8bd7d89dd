"""One submission per dossier: the patient, the visit with its facts, its documents, and the referral.

A hospital publishes only its own visits, so a dossier of another facility is refused (ForeignDomain), and so is one
whose tables name two visits or two patients (PatientMismatch). A fault costs its own dossier and no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from adapters.insurance import facts
from adapters.insurance.closed import dossier_sensitivity, icd_codes
from adapters.insurance.documents import (
    Origin,
    Part,
    paper_documents,
    referral_document,
    report_documents,
    results_document,
    visit_documents,
)
from adapters.insurance.envelope import FILE, Dossier, DossierFault, Heads, read_dossiers
from adapters.insurance.imaging import Report, imaging_reports
from adapters.insurance.patient import read_patient
from adapters.insurance.rows import Deviations, Row
from adapters.insurance.to_come import without_times_to_come
from adapters.insurance.values import read_moment
from adapters.insurance.wording import REFERRAL_REASONS, has_text
from registry.clinical import Result
from registry.code_maps import NO_MAPS, CodeMaps
from registry.coded import CodedValue
from registry.errors import ForeignDomain, InvalidValue, PatientMismatch, RegistryError, Unreadable
from registry.identifiers import FacilityCode, HomeCommunityId
from registry.submissions import WHOLE_VISIT, Referral, Submission, Visit

MAX_KEY = 255
READ = frozenset({"XML0", "XML1", "XML2", "XML3", "XML4", "XML5", "XML7", "XML8", "XML13", "XML14"})
"""Tables that become facts or documents. Certificates for the insurer (9 to 12) and table 15 are kept as they came."""

_FACTS = {"XML2": "medications", "XML3": "services", "XML4": "results"}
_OF_TABLE_1 = frozenset({"discharged", "diagnoses", "diagnosis_text", "kind"})
_KINDS = {"03": "inpatient", "04": "inpatient", "09": "inpatient"}
"""MA_LOAI_KCB, as far as it is a stay; an arrival as an emergency is said by MA_DOITUONG_KCB 2."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """The hospital that reads the file: whose visits it may publish, under which names, and its maps of codes.

    now  when the file is read: nothing in it can have happened later; None where nobody looks at a clock
    """

    facility: FacilityCode
    patient_id_system: str
    home: HomeCommunityId
    maps: CodeMaps = NO_MAPS
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class FileRemarks:
    """What is strange about the file as a whole; it comes last."""

    texts: tuple[str, ...]


Piece: TypeAlias = Submission | DossierFault | FileRemarks


def iter_submissions(chunks: Iterable[bytes], receiver: Receiver) -> Iterator[Piece]:
    """One dossier after the other, each read and made when it is asked for; then the remarks, if there are any.

    Raises Unreadable for a file that is none or breaks off, ForeignDomain for a file of another facility.
    """
    heads = Heads()
    for dossier in read_dossiers(chunks, heads):
        _own_facility(heads.facility, receiver, f"{FILE}, MACSKCB")
        yield dossier if isinstance(dossier, DossierFault) else _judged(dossier, heads, receiver)
    _own_facility(heads.facility, receiver, f"{FILE}, MACSKCB")
    if heads.deviations:
        yield FileRemarks(heads.deviations)


def _judged(dossier: Dossier, heads: Heads, receiver: Receiver) -> Submission | DossierFault:
    try:
        return _submission(dossier, heads, receiver)
    except RegistryError as error:
        return DossierFault(dossier.number, error)


def _submission(dossier: Dossier, heads: Heads, receiver: Receiver) -> Submission:
    where = f"{FILE}, dossier {dossier.number}"
    table, head = _head(dossier, where)
    _one_visit(dossier, head, where)
    told = _own_facility(head.get("MA_CSKCB", ""), receiver, f"{where}, {table}, MA_CSKCB")
    if not told and not heads.facility:
        raise Unreadable(where, "expected the facility in MACSKCB or MA_CSKCB, found none")
    strange = Deviations()
    if receiver.now is not None:
        dossier = replace(dossier, tables=without_times_to_come(dossier.tables, receiver.now, strange))
        head = dossier.rows(table)[0]
    patient = read_patient(
        head, table, patient_id_system=receiver.patient_id_system, where=where, strange=strange, now=receiver.now
    )
    labels = dossier_sensitivity(dossier)
    origin = Origin(receiver.home, receiver.facility, patient, head.get("MA_LK", ""), _diagnoses(head), labels)
    imaging = imaging_reports(dossier.rows("XML4"), dossier.rows("XML3"))
    reports = _reports(imaging, strange)
    others = facts.other_results(dossier.rows("XML4"), (one.row for one in imaging), strange)
    results = facts.results(others, receiver.maps)
    visit = _visit(dossier, (table, head), origin, results, strange)
    parts = [*report_documents(reports, origin, strange), *results_document(others, origin)]
    parts += paper_documents(dossier, origin)
    slips, referral = _referrals(dossier, head, origin, strange)
    parts += slips
    if table == "XML1":
        parts += visit_documents(head, visit, reports, origin)
    visit = replace(
        visit,
        published={str(one.document.source_key): one.part for one in parts},
        deviations=(*dossier.deviations, *strange.texts()),
    )
    return Submission(patient, tuple(one.document for one in parts), visit=visit, referral=referral)


def _visit(
    dossier: Dossier, head: tuple[str, Row], origin: Origin, results: tuple[Result, ...], strange: Deviations
) -> Visit:
    """The visit as facts; a table that is not in the file says nothing about what it would hold."""
    table, row = head
    tables = frozenset(name for name in dossier.tables if name in READ)
    return Visit(
        key=origin.visit_key,
        facility=origin.facility,
        admitted=_at(row, "NGAY_VAO"),
        discharged=_at(row, "NGAY_RA"),
        diagnoses=origin.diagnoses,
        diagnosis_text=row.get("CHAN_DOAN_RV") or row.get("CHAN_DOAN_VAO") or None,
        kept={name: len(rows) for name, rows in dossier.tables.items() if name not in READ and rows},
        source=dossier.source,
        kind="emergency" if row.get("MA_DOITUONG_KCB") == "2" else _KINDS.get(row.get("MA_LOAI_KCB", ""), "ambulatory"),
        medications=facts.medications(dossier.rows("XML2")),
        services=facts.services(dossier.rows("XML3"), strange),
        results=results,
        sensitivity=origin.labels,
        parts=tables | ({WHOLE_VISIT} if table == "XML1" else frozenset()),
        unsaid=frozenset(name for kept, name in _FACTS.items() if kept not in tables)
        | (_OF_TABLE_1 if table == "XML0" else frozenset()),
    )


def _head(dossier: Dossier, where: str) -> tuple[str, Row]:
    """The row that says whose visit it is: of table 1, or of the check-in where there is no table 1 yet."""
    for table in ("XML1", "XML0"):
        if dossier.rows(table):
            return table, dossier.rows(table)[0]
    raise Unreadable(where, "expected table XML1 (or the check-in XML0), which names the patient; found neither")


def _one_visit(dossier: Dossier, head: Row, where: str) -> None:
    """Every row belongs to the visit and the patient of the head, or nothing of the dossier is used."""
    key, patient = head.get("MA_LK", ""), head.get("MA_BN", "")
    if not key or not key.isprintable() or len(key) > MAX_KEY:
        raise Unreadable(where, f"MA_LK: expected the key of the visit, 1 to {MAX_KEY} characters")
    for table, rows in dossier.tables.items():
        for place, row in enumerate(rows, 1):
            if row.get("MA_LK", key) not in ("", key):
                raise PatientMismatch(
                    f"{where}, {table}, row {place}, MA_LK", expected="the visit of the dossier", found="another visit"
                )
            if row.get("MA_BN", patient) not in ("", patient):
                raise PatientMismatch(
                    f"{where}, {table}, row {place}, MA_BN",
                    expected="the patient of the dossier",
                    found="another patient",
                )


def _own_facility(code: str, receiver: Receiver, where: str) -> bool:
    """Whether the facility is told, and is this one. Raises ForeignDomain for another one."""
    told = code.strip().upper().replace("-", "")
    if not told:
        return False
    if told != str(receiver.facility):
        try:
            raise ForeignDomain(f"facility {FacilityCode(told)}")
        except InvalidValue:
            raise Unreadable(where, "expected a facility code of five characters") from None
    return True


def _diagnoses(head: Row) -> tuple[CodedValue, ...]:
    return icd_codes(" ; ".join((head.get("MA_BENH_CHINH", ""), head.get("MA_BENH_KT", ""))))


def _reports(imaging: Sequence[Report], strange: Deviations) -> list[Report]:
    found = []
    for report in imaging:
        if has_text(report.result):
            found.append(report)
        else:
            strange.note(f"XML4, row {report.row}", "a CT or MRI without description and conclusion; not published")
    return found


def _at(head: Row, column: str) -> datetime | None:
    moment = read_moment(head.get(column, ""))
    return moment.at if moment else None


def _referrals(dossier: Dossier, head: Row, origin: Origin, strange: Deviations) -> tuple[list[Part], Referral | None]:
    """Each slip that this facility issued as a document, and the first of them as a referral."""
    notes: list[Part] = []
    referral = None
    for place, slip in enumerate(dossier.rows("XML13"), 1):
        if slip.get("MA_CSKCB", "") not in ("", str(origin.facility)):
            strange.note(f"XML13, row {place}", "MA_CSKCB names another facility as the sender; kept, not published")
            continue
        left = read_moment(slip.get("NGAY_RA", "")) or read_moment(head.get("NGAY_RA", ""))
        notes.append(referral_document(slip, len(notes) + 1, origin, left))
        referral = referral or _referral(slip, origin, f"XML13, row {place}", strange)
    return notes, referral


def _referral(slip: Row, origin: Origin, place: str, strange: Deviations) -> Referral | None:
    numbers = (slip.get(column, "") for column in ("SO_CHUYENTUYEN", "GIAY_CHUYEN_TUYEN", "SO_HOSO"))
    try:
        receiver = FacilityCode(slip.get("MA_NOI_DEN", "").upper().replace("-", ""))
    except InvalidValue:
        strange.note(place, "MA_NOI_DEN is no facility code; nobody can be told of the referral")
        return None
    if receiver == origin.facility:
        strange.note(place, "MA_NOI_DEN is this facility itself; no referral")
        return None
    closed = bool(origin.labels)
    if closed:
        strange.note(place, "the referral goes without diagnoses and reason: closed list")
    codes = icd_codes(" ; ".join((slip.get("MA_BENH_CHINH", ""), slip.get("MA_BENH_KT", "")))) or origin.diagnoses
    return Referral(
        number=next(filter(None, numbers), ""),
        sender=origin.facility,
        receiver=receiver,
        diagnoses=() if closed else codes,
        reason=None if closed else REFERRAL_REASONS.get(slip.get("MA_LYDO_CT", "")),
    )
