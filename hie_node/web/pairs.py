"""The registrar: a report and images that may belong together side by side, and the word about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from flask import Response

from consent.requesters import Role
from hie_node.flows.pairs import (
    Pair,
    apart,
    decide_pair,
    decided_pairs,
    open_pairs,
    raise_pair,
    read_pair,
    undo_pair,
)
from hie_node.web.aside import aside
from hie_node.web.front import Page, Refused, Visit
from hie_node.web.looks import Looks
from hie_node.web.registrar import MOST_DECIDED, Row
from registry.documents import DocumentEntry
from registry.errors import InvalidValue, NotFound, PatientMismatch
from registry.examinations import Examination
from registry.identifiers import DICOM_UID, HomeCommunityId, PatientIdentifier
from registry.matching import Agreement
from registry.pairing import WINDOW
from registry.performed import as_performed
from registry.studies import Study

REGISTRAR = frozenset({Role.REGISTRAR})


def pairs_page(visit: Visit) -> Response:
    """What waits, what was decided last, and the way to what the rules have not put beside each other."""
    return _pairs_page(visit)


def _pairs_page(visit: Visit, *, status: int = 200, problem: str = "") -> Response:
    waiting = open_pairs(visit.act("open-pairs"))
    decided = decided_pairs(visit.act("open-pairs"), MOST_DECIDED)
    done = visit.facts().get("decided", "")
    return visit.page(
        "pairs.html", status=status, waiting=waiting, decided=decided, done=done, problem=problem, aside=aside(visit)
    )


def pairs_of_patient(visit: Visit) -> Response:
    """What of one patient has not found its other half, to choose one of each."""
    try:
        patient = PatientIdentifier(visit.house.settings.patient_id_system, visit.field("number", 100))
        found = apart(visit.act("find-pairs"), patient)
    except (InvalidValue, NotFound):
        return _pairs_page(visit, status=400, problem="person.other.unknown")
    return visit.page("pairs_of.html", found=found)


def compare_two(visit: Visit) -> Response:
    """Put beside each other; nothing is joined before somebody decides."""
    act = visit.act("raise-pair", action="U", direction="changed")
    try:
        doubt = raise_pair(act, visit.field("study", 64), visit.field("report", 64))
    except (NotFound, InvalidValue, PatientMismatch):
        raise Refused(409, "pair.gone") from None
    return visit.go(f"/pairs/{doubt.id}")


def pair_page(visit: Visit) -> Response:
    pair, others = read_pair(visit.act("read-pair"), visit.params["pair_id"])
    settings = visit.house.settings
    known = {str(settings.facility_code): settings.name}
    rows = compared(pair, visit.looks, here=visit.house.home, known=known)
    return visit.page("pair.html", pair=pair, others=others, rows=rows)


def compared(pair: Pair, looks: Looks, *, here: HomeCommunityId, known: Mapping[str, str]) -> list[Row]:
    """What is known of both, and how far it agrees; a registrar holds it against the request form.

    known  names of facilities by the code that a report may have instead
    """
    study, report = pair.study, pair.report
    taken, told = _examination((study,), (), here), _examination((), (report,), here)
    accession = next((one.value for one in report.references if one.system != DICOM_UID), "")
    author = next(iter(report.authors), None)
    place = (author.institution if author else "") or ""
    same = _same_examination(taken, told)
    near = _near(study.started, report.start)
    accessions = Row(
        "pair.accession", study.accession_number or "", accession, _same(study.accession_number, accession)
    )
    rows = [
        Row("pair.examination", _named(taken, looks), _named(told, looks), same, marks=False),
        Row("pair.when", looks.minute(study.started), looks.minute(report.start), near, marks=False),
        accessions,
        Row("pair.title", study.description or "", report.attachment.title or "", marks=False),
        Row("number.hospital", study.patient.value, report.patient.value, marks=False),
        Row("pair.place", study.institution or "", known.get(place, place), marks=False),
        Row("pair.who", study.referrer or "", (author.person if author else "") or "", marks=False),
        Row("pair.has", _images(study, looks), looks.say("pair.written", when=looks.minute(report.date)), marks=False),
    ]
    return [row for row in rows if row.mine or row.theirs]


def _examination(
    studies: Iterable[Study], reports: Iterable[DocumentEntry], here: HomeCommunityId
) -> Examination | None:
    return next(as_performed(studies, reports, here=here)).examination


def _named(examination: Examination | None, looks: Looks) -> str:
    if examination is None:
        return looks.say("pair.examination.unknown")
    return " ".join(filter(None, (looks.examination(examination), looks.contrast(examination))))


def _same_examination(one: Examination | None, other: Examination | None) -> str:
    if one is None or other is None:
        return Agreement.UNKNOWN
    if one == other:
        return Agreement.SAME
    return Agreement.LIKELY if one.may_be(other) else Agreement.DIFFERENT


def _near(one: datetime | None, other: datetime | None) -> str:
    """The rules let two hours pass between the images and what the report calls the time of the examination."""
    if one is None or other is None:
        return Agreement.UNKNOWN
    if one == other:
        return Agreement.SAME
    return Agreement.LIKELY if abs(one - other) <= WINDOW else Agreement.DIFFERENT


def _same(one: str | None, other: str) -> str:
    if not one or not other:
        return Agreement.UNKNOWN if one or other else ""
    return Agreement.SAME if one == other else Agreement.DIFFERENT


def _images(study: Study, looks: Looks) -> str:
    return looks.say("pair.images", n=study.instance_count, modalities=", ".join(study.modalities))


def decide(visit: Visit) -> Response:
    answer = visit.field("answer", 10)
    if answer not in ("together", "apart"):
        raise Refused(400, "error.400")
    act = visit.act("decide-pair", action="U", direction="changed")
    try:
        decide_pair(act, visit.params["pair_id"], together=answer == "together")
    except (NotFound, InvalidValue, PatientMismatch):
        # somebody else was quicker, the button was pressed twice, or one of the two has become another patient's
        raise Refused(409, "pair.gone") from None
    return visit.go(f"/pairs?f={visit.seal(decided=answer)}")


def take_back(visit: Visit) -> Response:
    """It waits again, whichever way it was decided."""
    try:
        undo_pair(visit.act("undo-pair", action="U", direction="changed"), visit.params["pair_id"])
    except NotFound:
        raise Refused(409, "pair.gone") from None
    return visit.go(f"/pairs?f={visit.seal(decided='undone')}")


PAGES = (
    Page("pairs", "GET", "/pairs", pairs_page, REGISTRAR),
    Page("find-pairs", "POST", "/pairs", pairs_of_patient, REGISTRAR),
    Page("raise-pair", "POST", "/pairs/compare", compare_two, REGISTRAR),
    Page("pair", "GET", "/pairs/<pair_id>", pair_page, REGISTRAR),
    Page("decide-pair", "POST", "/pairs/<pair_id>", decide, REGISTRAR),
    Page("undo-pair", "POST", "/pairs/<pair_id>/undo", take_back, REGISTRAR),
)
