"""The registrar: images whose patient is in doubt, and whose they are."""

from __future__ import annotations

from flask import Response

from consent.requesters import Role
from hie_node.flows.quarantine import reject, waiting
from hie_node.flows.release import release
from hie_node.web.aside import aside
from hie_node.web.files import patient_by_number, patient_of_the_form
from hie_node.web.front import Page, Refused, Visit
from hie_node.web.registrar import Row, compared
from registry.errors import NotFound, SubmissionRejected
from registry.people import SourceRecord
from registry.studies import Quarantined

REGISTRAR = frozenset({Role.REGISTRAR})


def quarantine_page(visit: Visit) -> Response:
    """What the header says beside whom the index knows under that number."""
    return _page(visit)


def _page(visit: Visit, *, status: int = 200, problem: str = "") -> Response:
    """`chosen` stands beside the images that somebody looks at a patient for; `problem` is about those images."""
    chosen = _chosen(visit)
    return visit.page(
        "quarantine.html",
        status=status,
        waiting=waiting(visit.act("read-quarantine")),
        done=visit.facts().get("decided", ""),
        aside=aside(visit),
        chosen=chosen,
        about=visit.params.get("quarantine_id") or visit.facts().get("images", ""),
        beside=lambda images: _beside(visit, images, chosen),
        sealed=visit.request.args.get("f", "") if chosen else "",
        problem=problem,
    )


def _beside(visit: Visit, images: Quarantined, chosen: SourceRecord | None) -> list[Row]:
    """What the scanner wrote, and who was chosen."""
    if chosen is None:
        return []
    return compared(SourceRecord("", images.patient, images.demographics), chosen, visit.looks)


def _chosen(visit: Visit) -> SourceRecord | None:
    """Whom the link that led here names, for these images; looking at a patient is on record."""
    facts = visit.facts()
    if not facts.get("patient") or facts.get("images") != visit.params.get("quarantine_id", facts.get("images")):
        return None
    return patient_by_number(visit, facts["patient"])


def decide(visit: Visit) -> Response:
    """`look` shows who has that number; `release` and `reject` decide."""
    answer = visit.field("answer", 10)
    if answer == "look":
        return _look(visit)
    act = visit.act("decide-quarantine", action="U", direction="changed")
    try:
        if answer == "reject":
            reject(act, visit.params["quarantine_id"])
        elif answer == "release":
            chosen = _chosen(visit)
            if chosen is None:
                return _page(visit, status=400, problem="quarantine.choose")
            release(act, visit.params["quarantine_id"], chosen.identifier)
        else:
            raise Refused(400, "error.400")
    except NotFound:
        # somebody else was quicker, or the button was pressed twice
        raise Refused(409, "quarantine.gone") from None
    except SubmissionRejected:
        raise Refused(409, "quarantine.other") from None
    return visit.go(f"/quarantine?f={visit.seal(decided=answer)}")


def _look(visit: Visit) -> Response:
    """Images are nobody's unseen: the patient is shown before they are theirs."""
    known = patient_of_the_form(visit)
    if known is None:
        return _page(visit, status=400, problem="person.other.unknown")
    told = visit.seal(patient=known.identifier.value, images=visit.params["quarantine_id"])
    return visit.go(f"/quarantine?f={told}#chosen")


PAGES = (
    Page("quarantine", "GET", "/quarantine", quarantine_page, REGISTRAR),
    Page("decide-quarantine", "POST", "/quarantine/<quarantine_id>", decide, REGISTRAR),
)
