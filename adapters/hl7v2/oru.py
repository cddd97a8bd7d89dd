"""ORU^R01: reports of imaging, laboratory and pathology. Only what is final becomes a document, or what corrects it.

The filler's order number and the service name a report: a correction replaces it, a cancellation takes it back. A
report finds its study by the study UID, else by its accession number, else by examination and time.

Source: HL7 2.8, chapter 7: 7.3.1, 7.4.1 (OBR), tables 0123 and 0074; DICOM PS3.16, DCM 113014
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from adapters.hl7v2.authorities import Receiver
from adapters.hl7v2.documents import WITHDRAWN, Body, Facts, documents, read_body, source_key
from adapters.hl7v2.errors import BadValue, Malformed, MissingField
from adapters.hl7v2.exchanges import Exchange, Read, events
from adapters.hl7v2.message import Field, Message, Segment
from adapters.hl7v2.patient import ReadPatient, read_patient
from adapters.hl7v2.results import numeric_results
from adapters.hl7v2.values import Moment, read_moment, read_staff_name
from adapters.hl7v2.visit import visit_key
from adapters.insurance.imaging import MODALITIES, examination_by_name, type_of
from registry.coded import (
    DCM,
    FORMAT_CODE,
    ICD10,
    IMAGING_REPORT,
    LOINC,
    MIME_TYPE_SUFFICIENT,
    SERVICE_CODE,
    CodedValue,
)
from registry.commands import ProvideSubmission
from registry.errors import InvalidValue
from registry.examinations import Examination, by_service_code
from registry.identifiers import ACCESSION, DICOM_UID, PatientIdentifier, check_uid
from registry.submissions import Submission, SubmittedDocument

PUBLISHED = frozenset({"F", "C"})
MAX_ORDERS = 500
"""Reports of one message, which become durable together."""

MAX_FILES = 4
"""PDFs and pictures of one report."""

_TEXT_REPORT = CodedValue("urn:ihe:rad:TEXT", FORMAT_CODE, "Radiology XDS-I Text")
_RADIOLOGY = CodedValue("394914008", "http://snomed.info/sct", "Radiology")
_LABORATORY = CodedValue("11502-2", LOINC, "Laboratory report")
_PATHOLOGY = CodedValue("11526-1", LOINC, "Pathology study")
_STUDY_REPORT = CodedValue("47045-0", LOINC, "Study report")
_IMAGING_SECTIONS = frozenset({"RAD", "RX", "CT", "NMR", "MR", "MRI", "CTH", "CUS", "RUS", "OUS", "VUS", "XRC", "NMS"})
_LABORATORY_SECTIONS = frozenset({"LAB", "HM", "CH", "MB", "BLB", "IMM", "SR", "TX", "URN", "VR", "MCB", "BG"})
_PATHOLOGY_SECTIONS = frozenset({"SP", "CP", "PAT", "CG", "GE"})
_STUDY_LINKS = frozenset({"113014", "110180"})
_TITLES = {"RAD": "Kết quả chẩn đoán hình ảnh", "LAB": "Kết quả xét nghiệm", "": "Kết quả cận lâm sàng"}


@dataclass(slots=True)
class Order:
    """One OBR with what belongs to it."""

    obr: Segment
    orc: Segment | None
    lines: list[Segment] = field(default_factory=list)
    links: list[Segment] = field(default_factory=list)
    diagnoses: list[Segment] = field(default_factory=list)

    def either(self, of_obr: int, of_orc: int) -> Field:
        """What OBR and ORC both may say."""
        found = self.obr.first(of_obr)
        return self.orc.first(of_orc) if not found.raw and self.orc else found


def decode(message: Message, receiver: Receiver) -> Read:
    """The reports of each patient in the message as one submission."""
    commands = [
        ProvideSubmission(submission)
        for pid, orders in _patients(message)
        if (submission := _submission(pid, orders, message, receiver))
    ]
    return Read(tuple(commands))


def _patients(message: Message) -> Iterator[tuple[Segment, list[Order]]]:
    pid, orc, orders = message.one("PID"), None, list[Order]()
    for segment in message.segments:
        if segment.name == "PID" and segment is not pid:
            yield pid, orders
            pid, orc, orders = segment, None, []
        elif segment.name == "ORC":
            orc = segment
        elif segment.name == "OBR":
            if segment.place > MAX_ORDERS:
                raise BadValue(f"OBR^{segment.place}", f"more than {MAX_ORDERS} reports in one message")
            orders.append(Order(segment, orc))
            orc = None
        elif not orders:
            _refuse_lost_result(segment)
        elif segment.name in ("OBX", "NTE"):
            orders[-1].lines.append(segment)
        elif segment.name in ("ZDS", "IPC"):
            orders[-1].links.append(segment)
        elif segment.name == "DG1":
            orders[-1].diagnoses.append(segment)
    message.one("OBR")
    yield pid, orders


def _refuse_lost_result(segment: Segment) -> None:
    if segment.name == "OBX":
        raise Malformed(f"OBX^{segment.place}", "expected OBR before OBX; nothing was stored")


def _submission(pid: Segment, orders: list[Order], message: Message, receiver: Receiver) -> Submission | None:
    patient = read_patient(pid, message, receiver)
    made: list[SubmittedDocument] = []
    withdrawn: list[str] = []
    for order in orders:
        status = _status(order)
        key = _key(order, message)
        forms = {form: source_key(receiver, key, form) for form in ("", *(f"file {n + 1}" for n in range(MAX_FILES)))}
        if status == "X":
            withdrawn += forms.values()
            continue
        if status not in PUBLISHED:
            message.note("a report that is not final was not published")
            continue
        found = _report(order, key, patient, message, receiver)
        if not found:
            message.note("a report without text or file was not published")
            continue
        made += found
        # a correction without the PDF that came before takes that back as well
        withdrawn += set(forms.values()) - {each.source_key for each in found}
    if not made and not withdrawn:
        return None
    return Submission(patient.mention, tuple(made), withdrawn=tuple(sorted(withdrawn)))


def _status(order: Order) -> str:
    """OBR-25, and what the OBX say of themselves. X where all of it is taken back."""
    told = order.obr.text(25).upper()
    states = [line.text(11).upper() for line in order.lines if line.name == "OBX"]
    if states and all(state in WITHDRAWN for state in states):
        return "X"
    if told:
        return told
    if not any(states):
        raise MissingField(order.obr.location(25))
    return "F" if all(state in PUBLISHED for state in states) else "P"


def _key(order: Order, message: Message) -> tuple[str, ...]:
    """The report's name: filler order number with its authority, and the service. Raises MissingField without one."""
    filler = order.either(3, 3)
    number = filler if filler.text() else order.either(2, 2)
    if not number.text():
        raise MissingField(order.obr.location(3))
    if number is not filler:
        message.note("OBR-3 is empty; the placer's number names the report")
    return ("ORU", number.text(2) or message.header.text(3), number.text(), order.obr.text(4) or order.obr.text(4, 2))


def _report(
    order: Order, key: tuple[str, ...], patient: ReadPatient, message: Message, receiver: Receiver
) -> tuple[SubmittedDocument, ...]:
    uids = list(_study_uids(order, message))
    body = read_body([line for line in order.lines if not _is_link(line)], message)
    if len(body.files) > MAX_FILES:
        raise BadValue(order.obr.location(4), f"more than {MAX_FILES} files in one report; nothing was stored")
    facts = _facts(order, key, uids, body, message, receiver)
    return documents(facts, _with_heading(body, facts), patient, receiver)


def _with_heading(body: Body, facts: Facts) -> Body:
    """An imaging report under one name of its own, as many systems send it, needs no heading besides its title."""
    if len(body.sections) == 1 and next(iter(body.sections)) == facts.title:
        return Body({"": next(iter(body.sections.values()))}, body.files)
    return body


def _facts(
    order: Order, key: tuple[str, ...], uids: list[str], body: Body, message: Message, receiver: Receiver
) -> Facts:
    obr = order.obr
    services = ordered_services(obr)
    modality, examination = _examination(services)
    section = _section(obr.text(24).upper(), modality, uids)
    performed, resulted = _moment(obr, 7, message), _moment(obr, 22, message)
    name = next((each.display for each in services if each.display), "")
    title = name or _TITLES.get(section, _TITLES[""])
    spoken = (performed.spoken if performed else "không ghi", resulted.spoken if resulted else "không ghi")
    author = read_staff_name(obr.first(32)) or next(
        filter(None, (read_staff_name(x.first(16)) for x in order.lines)), ""
    )
    events_ = (CodedValue(modality, DCM, MODALITIES[modality]),) if modality else ()
    return Facts(
        visit=visit_key(message),
        key=key,
        title=title[:255],
        type=_type(services, section, examination),
        category={"RAD": IMAGING_REPORT, "LAB": _LABORATORY, "PAT": _PATHOLOGY}.get(section, _STUDY_REPORT),
        format=_TEXT_REPORT if section == "RAD" else MIME_TYPE_SUFFICIENT,
        heads=(
            _TITLES.get(section, _TITLES[""]).upper(),
            f"Kỹ thuật thực hiện: {' '.join(filter(None, (services[0].code if services else '', name)))}",
            f"Thời điểm thực hiện: {spoken[0]}",
            f"Thời điểm có kết quả: {spoken[1]}",
            f"Bác sĩ đọc kết quả: {author}" if author else "",
        ),
        setting=_RADIOLOGY if section == "RAD" else None,
        events=(*events_, *services),
        codes=(*services, *_diagnoses(order)),
        references=_references(order, uids, message),
        results=numeric_results(order.lines, message, receiver, performed=performed),
        author=author,
        performed=performed,
        written=resulted,
        examination=examination.key if examination else None,
    )


def ordered_services(obr: Segment) -> tuple[CodedValue, ...]:
    """OBR-4 and OBR-44: a code, its text and system, and the same in another system."""
    found = []
    for each in (obr.first(4), obr.first(44)):
        for start in (1, 4):
            code, text, system = (each.text(start + offset) for offset in range(3))
            if code or (text and start == 1):
                found.append(CodedValue((code or text)[:255], _system(code, system), text[:255] or None))
    return tuple(dict.fromkeys(found))


def _system(code: str, told: str) -> str | None:
    if told.upper() in ("LN", "LOINC"):
        return LOINC
    return SERVICE_CODE if code and by_service_code(code) else None


def _examination(services: tuple[CodedValue, ...]) -> tuple[str, Examination | None]:
    names = [each.display for each in services if each.display]
    found = [known for each in services if (known := examination_by_name(each.code, names))]
    return next((each for each in found if each[1]), found[0] if found else ("", None))


def _section(told: str, modality: str, uids: list[str]) -> str:
    """RAD, LAB, PAT or nothing: OBR-24, else what the examination tells."""
    if told in _LABORATORY_SECTIONS:
        return "LAB"
    if told in _PATHOLOGY_SECTIONS:
        return "PAT"
    return "RAD" if told in _IMAGING_SECTIONS or modality or uids else ""


def _type(services: tuple[CodedValue, ...], section: str, examination: Examination | None) -> CodedValue:
    loinc = next((each for each in services if each.system == LOINC), None)
    if loinc:
        return loinc
    if section == "RAD":
        return type_of(examination)
    return {"LAB": _LABORATORY, "PAT": _PATHOLOGY}.get(section, _STUDY_REPORT)


def _moment(obr: Segment, number: int, message: Message) -> Moment | None:
    told = obr.text(number)
    found = read_moment(told)
    if told and found is None:
        message.note(f"OBR-{number} is no time that exists; it counts as unknown")
    return found


def _diagnoses(order: Order) -> tuple[CodedValue, ...]:
    """Why it was asked for, for the closed lists: DG1-3 and OBR-31."""
    fields = [*(each.first(3) for each in order.diagnoses), *order.obr.repetitions(31)]
    return tuple(CodedValue(code[:64], ICD10) for each in fields if (code := each.text(1)))


def _references(order: Order, uids: list[str], message: Message) -> tuple[PatientIdentifier, ...]:
    """Study UIDs and the accession number: OBR-18 or IPC-1, else the filler's number, which many systems use so."""
    found = [PatientIdentifier(DICOM_UID, f"urn:oid:{uid}") for uid in uids]
    ipc = next((each.text(1) for each in order.links if each.name == "IPC"), "")
    number = order.obr.text(18) or ipc or order.either(3, 3).text()
    try:
        found.append(PatientIdentifier(ACCESSION, number))
    except InvalidValue:
        message.note("the accession number cannot be one; not used")
    return tuple(found)


def _is_link(line: Segment) -> bool:
    """An OBX that names the study and says nothing of the patient."""
    if line.name != "OBX":
        return False
    code, name = line.text(3, 1), line.text(3, 2).lower()
    return code in _STUDY_LINKS or "study instance uid" in f"{code} {name}".lower()


def _study_uids(order: Order, message: Message) -> Iterator[str]:
    """OBX with DCM 113014, OBX "Study Instance UID", ZDS-1, IPC-3."""
    told = [line.text(5) for line in order.lines if _is_link(line)]
    told += [each.text(1 if each.name == "ZDS" else 3) for each in order.links]
    for uid in dict.fromkeys(filter(None, told)):
        try:
            yield check_uid(uid)
        except InvalidValue:
            message.note("a study UID is none; not used")


EXCHANGE = Exchange(
    "ORU-R01",
    "Unsolicited observation result",
    source="HL7 2.8: 7.3.1",
    events=events("ORU", "R01"),
    decode=decode,
)
