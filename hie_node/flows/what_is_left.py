"""What of another hospital's answer is shown: what fits the question, and what the patient does not forbid here."""

from __future__ import annotations

from dataclasses import replace

from consent.consents import Consent
from consent.reasons import Reason
from hie_node.acts import Act
from hie_node.flows.last_known import decide_elsewhere
from hie_node.flows.page_by_page import Thing
from registry.answers import OutcomeKind, PeerAnswer
from registry.searches import DocumentSearch, StudySearch


def fitting(answer: PeerAnswer[Thing], search: DocumentSearch | StudySearch) -> PeerAnswer[Thing]:
    """What meets every condition of the question; a holder may understand fewer of them than we do."""
    if not answer.found:
        return answer
    found = tuple(item for item in answer.found if search.fits(item))  # type: ignore[arg-type]
    return PeerAnswer(replace(answer.outcome, count=len(found)), found)


def left_of(
    act: Act, answer: PeerAnswer[Thing], search: DocumentSearch | StudySearch, consents: tuple[Consent, ...]
) -> PeerAnswer[Thing]:
    """What fits, without what the patient forbids at this hospital: of that the holder need not know."""
    whole, home = fitting(answer, search), answer.outcome.community.home
    if act.caller.requester.purpose.is_emergency or not (whole.found and consents):
        return whole
    said = [(item, decide_elsewhere(act, item, home, consents).reason) for item in whole.found]
    found = tuple(item for item, reason in said if reason is not Reason.PATIENT_REFUSED)
    if len(found) == len(whole.found):
        return whole
    kind = whole.outcome.kind if found else OutcomeKind.WITHHELD
    return PeerAnswer(replace(whole.outcome, kind=kind, count=len(found)), found)
