"""The registrar: papers in the drop folder that nobody could place, and whose they are."""

from __future__ import annotations

from datetime import datetime

from flask import Response

from consent.requesters import Role
from hie_node.flows.patients import find_patients
from hie_node.unsure_files import (
    OpenedFile,
    Told,
    content_of,
    decided_files,
    file_for,
    opened,
    reject_file,
    undo_file,
    unsure_files,
)
from hie_node.web.aside import aside
from hie_node.web.documents import CONTENT_POLICY
from hie_node.web.front import Page, Refused, Visit, attachment
from hie_node.web.looks import NUMBERS, Looks
from hie_node.web.registrar import MOST_DECIDED, Row, compared
from registry.commands import FindPatients
from registry.errors import InvalidValue, NotFound, SubmissionRejected, VersionConflict
from registry.identifiers import PatientIdentifier
from registry.local_time import VIET_NAM
from registry.people import SourceRecord
from registry.searches import PatientSearch

REGISTRAR = frozenset({Role.REGISTRAR})
CODES = {
    "images": "18748-4",
    "laboratory": "11502-2",
    "discharge": "18842-5",
    "referral": "57133-1",
    "others": "11503-0",
}
"""What a paper may be, by the headings of the doctor's page, as LOINC codes."""
WRITTEN = ("%d/%m/%Y %H:%M", "%d-%m-%Y %H:%M", "%d.%m.%Y %H:%M")


def files_page(visit: Visit) -> Response:
    """What waits, what was decided last, and how long rejected papers are kept."""
    return visit.page(
        "files.html",
        waiting=unsure_files(visit.house),
        decided=decided_files(visit.house, MOST_DECIDED),
        done=visit.facts().get("decided", ""),
        days=visit.house.settings.limits.keep_dropped,
        aside=aside(visit),
    )


def file_page(visit: Visit) -> Response:
    """The paper, what its note says, and beside it whom the registrar has chosen."""
    return _file_page(visit)


def _file_page(visit: Visit, *, status: int = 200, problem: str = "") -> Response:
    paper = opened(visit.house, visit.params["file_id"])
    chosen = _chosen(visit)
    return visit.page(
        "file.html",
        status=status,
        paper=paper,
        rows=_rows(paper, chosen, visit.looks),
        chosen=chosen,
        codes=tuple(CODES),
        sealed=visit.request.args.get("f", "") if chosen else "",
        problem=problem,
    )


def _chosen(visit: Visit) -> SourceRecord | None:
    """Whom the link that led here names; looking at a patient is on record."""
    number = visit.facts().get("patient", "")
    return patient_by_number(visit, number) if number else None


def patient_by_number(visit: Visit, number: str) -> SourceRecord | None:
    """Whom this hospital knows under that number of its own. Raises InvalidValue for what can be none."""
    wanted = PatientIdentifier(visit.house.settings.patient_id_system, number)
    found = find_patients(visit.act("search-patients"), FindPatients(PatientSearch(identifiers=(wanted,), limit=1)))
    return next((one for one in found.items if wanted in (one.identifier, *one.identifiers)), None)


def patient_of_the_form(visit: Visit) -> SourceRecord | None:
    """Whom the number means that somebody wrote; None where it means nobody, or is none."""
    number = visit.field("patient", 64)
    try:
        return patient_by_number(visit, number) if number else None
    except InvalidValue:
        return None


def _rows(paper: OpenedFile, chosen: SourceRecord | None, looks: Looks) -> list[Row]:
    """What the note says beside who was chosen; one of both may be missing."""
    told = paper.patient
    note = SourceRecord("", told.identifier, told.demographics, told.numbers) if told else None
    if note is not None and chosen is not None:
        return compared(note, chosen, looks)
    one = note or chosen
    if one is None:
        return []
    rows = [
        ("field.name", looks.name(one) if one.demographics.name else ""),
        ("field.born", looks.born(one.demographics.birth_date) if one.demographics.birth_date else ""),
        ("field.sex", looks.sex(one)),
        ("number.hospital", one.identifier.value),
        *((key, ", ".join(n.value for n in one.identifiers if n.system == system)) for system, key in NUMBERS.items()),
    ]
    return [Row(label, said if note else "", "" if note else said) for label, said in rows if said]


def content(visit: Visit) -> Response:
    """The paper as it came, in a frame of our own origin where it is a PDF, else as plain text or a download."""
    data = content_of(visit.act("open-file"), visit.params["file_id"])
    if data.startswith(b"%PDF-"):
        response = Response(data, content_type="application/pdf")
        response.headers["Content-Security-Policy"] = CONTENT_POLICY
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response
    response = Response(data, content_type="application/octet-stream")
    response.headers["Content-Disposition"] = attachment("document.txt")
    return response


def decide(visit: Visit) -> Response:
    """`look` shows who has that number; `file` and `reject` decide."""
    answer, file_id = visit.field("answer", 10), visit.params["file_id"]
    if answer == "look":
        return _look(visit)
    act = visit.act("decide-file", action="U", direction="changed")
    try:
        if answer == "reject":
            reject_file(act, file_id)
        elif answer == "file":
            chosen = _chosen(visit)
            if chosen is None:
                return _file_page(visit, status=400, problem="file.choose")
            file_for(act, file_id, chosen.identifier, _told(visit))
        else:
            raise Refused(400, "error.400")
    except InvalidValue:
        return _file_page(visit, status=400, problem="file.wrong")
    except (NotFound, VersionConflict):
        # somebody else was quicker, or the button was pressed twice
        raise Refused(409, "file.gone") from None
    except SubmissionRejected:
        return _file_page(visit, status=409, problem="file.rejected-by-rule")
    return visit.go(f"/files?f={visit.seal(decided='rejected' if answer == 'reject' else 'filed')}")


def _look(visit: Visit) -> Response:
    """Nobody is filed for unseen: the patient is shown before the paper is theirs."""
    known = patient_of_the_form(visit)
    if known is None:
        return _file_page(visit, status=400, problem="person.other.unknown")
    return visit.go(f"/files/{visit.params['file_id']}?f={visit.seal(patient=known.identifier.value)}")


def _told(visit: Visit) -> Told | None:
    """What stands on a paper without a note. Raises InvalidValue."""
    kind, title, when = visit.field("kind", 20), visit.field("title", 255), visit.field("performed", 20)
    if not kind and not title:
        return None
    if kind not in CODES or not title:
        raise InvalidValue("kind and title", expected="both")
    return Told(CODES[kind], title, _moment(when) if when else None)


def _moment(text: str) -> datetime:
    for form in WRITTEN:
        try:
            return datetime.strptime(text, form).replace(tzinfo=VIET_NAM)
        except ValueError:
            continue
    raise InvalidValue("performed", expected="dd/MM/yyyy HH:mm")


def take_back(visit: Visit) -> Response:
    """It waits again, whichever way it was decided."""
    try:
        lies = undo_file(visit.act("undo-file", action="U", direction="changed"), visit.params["file_id"])
    except NotFound:
        raise Refused(409, "file.gone") from None
    return visit.go(f"/files?f={visit.seal(decided='undone' if lies else 'undone-without-bytes')}")


PAGES = (
    Page("files", "GET", "/files", files_page, REGISTRAR),
    Page("file", "GET", "/files/<file_id>", file_page, REGISTRAR),
    Page("file-content", "GET", "/files/<file_id>/content", content, REGISTRAR),
    Page("decide-file", "POST", "/files/<file_id>", decide, REGISTRAR),
    Page("undo-file", "POST", "/files/<file_id>/undo", take_back, REGISTRAR),
)
