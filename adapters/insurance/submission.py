"""One submission per dossier: the patient, the visit, a document per CT or MRI report, and the referral.

A hospital publishes only its own visits, so a dossier of another facility is refused (ForeignDomain), and so is one
whose tables name two visits or two patients (PatientMismatch). A fault costs its own dossier and no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.insurance.closed import dossier_sensitivity, icd_codes
from adapters.insurance.documents import Origin, referral_document, report_documents
from adapters.insurance.envelope import FILE, Dossier, DossierFault, Envelope, read_envelope
from adapters.insurance.imaging import Report, imaging_reports
from adapters.insurance.patient import read_patient
from adapters.insurance.rows import Deviations, Row
from adapters.insurance.values import read_moment
from adapters.insurance.wording import REFERRAL_REASONS, has_text
from registry.coded import CodedValue
from registry.errors import ForeignDomain, InvalidValue, PatientMismatch, RegistryError, Unreadable
from registry.identifiers import FacilityCode, HomeCommunityId
from registry.submissions import Referral, Submission, SubmittedDocument, Visit

MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class Receiver:
    """The hospital that reads the file: whose visits it may publish, and under which names."""

    facility: FacilityCode
    patient_id_system: str
    home: HomeCommunityId


def read_submissions(
    body: bytes, *, facility: FacilityCode, patient_id_system: str, home: HomeCommunityId
) -> list[Submission]:
    """All dossiers of a file; raises what is wrong with the first that cannot be used."""
    found = []
    for read in iter_submissions(body, facility=facility, patient_id_system=patient_id_system, home=home):
        if isinstance(read, DossierFault):
            raise read.error
        found.append(read)
    return found


def iter_submissions(
    body: bytes, *, facility: FacilityCode, patient_id_system: str, home: HomeCommunityId
) -> Iterator[Submission | DossierFault]:
    """One dossier after the other, each made when it is asked for.

    Raises Unreadable for a file that is none, ForeignDomain for a file of another facility.
    """
    envelope = read_envelope(body)
    receiver = Receiver(facility, patient_id_system, home)
    _own_facility(envelope.facility, receiver, f"{FILE}, MACSKCB")
    for dossier in envelope.dossiers():
        yield dossier if isinstance(dossier, DossierFault) else _judged(dossier, envelope, receiver)


def _judged(dossier: Dossier, envelope: Envelope, receiver: Receiver) -> Submission | DossierFault:
    try:
        return _submission(dossier, envelope, receiver)
    except RegistryError as error:
        return DossierFault(dossier.number, error)


def _submission(dossier: Dossier, envelope: Envelope, receiver: Receiver) -> Submission:
    where = f"{FILE}, dossier {dossier.number}"
    table, head = _head(dossier, where)
    _one_visit(dossier, head, where)
    told = _own_facility(head.get("MA_CSKCB", ""), receiver, f"{where}, {table}, MA_CSKCB")
    if not told and not envelope.facility:
        raise Unreadable(where, "expected the facility in MACSKCB or MA_CSKCB, found none")
    strange = Deviations()
    patient = read_patient(head, table, patient_id_system=receiver.patient_id_system, where=where, strange=strange)
    labels = dossier_sensitivity(dossier)
    origin = Origin(receiver.home, receiver.facility, patient, head.get("MA_LK", ""), _diagnoses(head), labels)
    reports = _reports(dossier, strange)
    documents = tuple(report_documents(reports, origin, strange))
    slips, referral = _referrals(dossier, head, origin, strange)
    deviations = (*envelope.deviations, *dossier.deviations, *strange.texts())
    visit = Visit(
        key=origin.visit_key,
        facility=receiver.facility,
        admitted=_at(head, "NGAY_VAO"),
        discharged=_at(head, "NGAY_RA"),
        diagnoses=origin.diagnoses,
        diagnosis_text=head.get("CHAN_DOAN_RV") or head.get("CHAN_DOAN_VAO") or None,
        kept=_kept(dossier, table, reports, slips),
        deviations=deviations,
        source=dossier.source,
    )
    return Submission(patient, (*documents, *slips), visit=visit, referral=referral)


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


def _reports(dossier: Dossier, strange: Deviations) -> list[Report]:
    found = []
    for report in imaging_reports(dossier.rows("XML4"), dossier.rows("XML3")):
        if has_text(report.result):
            found.append(report)
        else:
            strange.note(f"XML4, row {report.row}", "a CT or MRI without description and conclusion; not published")
    return found


def _at(head: Row, column: str) -> datetime | None:
    moment = read_moment(head.get(column, ""))
    return moment.at if moment else None


def _kept(dossier: Dossier, head: str, reports: Sequence[Report], slips: Sequence[SubmittedDocument]) -> dict[str, int]:
    """Rows that gave no noun, by table."""
    read = {
        head: 1,
        "XML3": len({id(report.service) for report in reports if report.service is not None}),
        "XML4": len(reports),
        "XML13": len(slips),
    }
    left = {table: len(rows) - read.get(table, 0) for table, rows in dossier.tables.items()}
    return {table: count for table, count in left.items() if count}


def _referrals(
    dossier: Dossier, head: Row, origin: Origin, strange: Deviations
) -> tuple[list[SubmittedDocument], Referral | None]:
    """Each slip that this facility issued as a document, and the first of them as a referral."""
    notes: list[SubmittedDocument] = []
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
