"""The registrar: images whose patient is in doubt, and whose they are."""

from __future__ import annotations

from flask import Response

from consent.requesters import Role
from hie_node.flows.quarantine import reject, waiting
from hie_node.flows.release import release
from hie_node.web.aside import aside
from hie_node.web.front import Page, Refused, Visit
from registry.errors import NotFound, SubmissionRejected
from registry.identifiers import PatientIdentifier

REGISTRAR = frozenset({Role.REGISTRAR})


def quarantine_page(visit: Visit) -> Response:
    """What the header says beside whom the index knows under that number."""
    done = visit.facts().get("decided", "")
    return visit.page("quarantine.html", waiting=waiting(visit.act("read-quarantine")), done=done, aside=aside(visit))


def decide(visit: Visit) -> Response:
    answer, number = visit.field("answer", 10), visit.field("patient", 64)
    act = visit.act("decide-quarantine", action="U", direction="changed")
    try:
        if answer == "reject":
            reject(act, visit.params["quarantine_id"])
        elif answer == "release" and number:
            own = visit.house.settings.patient_id_system
            release(act, visit.params["quarantine_id"], PatientIdentifier(own, number))
        else:
            raise Refused(400, "error.400")
    except NotFound:
        # no such patient here, or somebody else was quicker
        raise Refused(409, "quarantine.gone") from None
    except SubmissionRejected:
        raise Refused(409, "quarantine.other") from None
    return visit.go(f"/quarantine?f={visit.seal(decided=answer)}")


PAGES = (
    Page("quarantine", "GET", "/quarantine", quarantine_page, REGISTRAR),
    Page("decide-quarantine", "POST", "/quarantine/<quarantine_id>", decide, REGISTRAR),
)
