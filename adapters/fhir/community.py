"""What became of each community in a question, as entries of a searchset; written by holders and read by askers.

A searchset may carry warnings but no errors (FHIR R4, 3.1.1.6): a silent hospital is a warning in a good answer. The
kind stands exactly in `details.coding`; the issue code is its nearest word in FHIR.

Source: HL7 FHIR R4, OperationOutcome; IHE MHD 4.2.3, 2:3.67.4.1.3 (partial failure)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.fhir import Resource
from adapters.fhir.issues import Issue, operation_outcome
from adapters.fhir.last_known import told_before
from registry.answers import CommunityOutcome, OutcomeKind
from registry.commands import Page

OUTCOME_SYSTEM = "urn:hie-node:outcome"
HOME_COMMUNITY = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-homeCommunityId"

ISSUE_CODES: dict[OutcomeKind, str] = {
    OutcomeKind.ANSWERED: "informational",
    OutcomeKind.WITHHELD: "suppressed",
    OutcomeKind.NOT_UNIQUE: "multiple-matches",
    OutcomeKind.SILENT: "timeout",
    OutcomeKind.BROKEN: "processing",
    OutcomeKind.INCOMPLETE: "incomplete",
    OutcomeKind.DEFERRED: "transient",
}
"""Issue code of each kind, both ways. Source: http://hl7.org/fhir/issue-type."""

# over FHIR nobody answers later: a hospital that is busy says the same word
KINDS = {code: kind for kind, code in ISSUE_CODES.items() if kind is not OutcomeKind.DEFERRED}

TEXTS: dict[OutcomeKind, str] = {
    OutcomeKind.ANSWERED: "answered",
    OutcomeKind.WITHHELD: "nothing can be shown without the patient's request",
    OutcomeKind.NOT_UNIQUE: "more than one person fits; ask for one more detail",
    OutcomeKind.SILENT: "no answer",
    OutcomeKind.BROKEN: "an answer that cannot be used",
    OutcomeKind.INCOMPLETE: "answered in part; there is more",
    OutcomeKind.DEFERRED: "says later who the patient is there; ask again",
}


def community_outcome(outcome: CommunityOutcome, encode_item: Callable[[Any], Resource]) -> Resource:
    """One line of a federated answer: which community, what became of it, how many entries are from there; of a silent
    one what it last listed."""
    community = outcome.community
    why = f" ({outcome.detail})" if outcome.detail and outcome.detail != TEXTS[outcome.kind] else ""
    shown = f"{community.name} ({community.facility}): {TEXTS[outcome.kind]}{why}"
    if outcome.kind in (OutcomeKind.ANSWERED, OutcomeKind.INCOMPLETE):
        shown += f"; {outcome.count} found"
    said = _outcome(outcome.kind, shown)
    said["issue"][0]["extension"] = [{"url": HOME_COMMUNITY, "valueOid": community.home.value}]
    if outcome.last is not None:
        about, issue = told_before(outcome.last, encode_item, OUTCOME_SYSTEM)
        said = {"resourceType": said["resourceType"], **about, "issue": [*said["issue"], issue]}
    return said


def page_outcomes(page: Page[Any]) -> list[Resource]:
    """What is to be said of the answer as a whole; an answer with nothing to add says nothing."""
    kinds = []
    if page.not_unique:
        kinds.append(OutcomeKind.NOT_UNIQUE)
    elif page.withheld:
        kinds.append(OutcomeKind.WITHHELD)
    said = [_outcome(kind, TEXTS[kind].capitalize() + ".") for kind in kinds]
    if page.unasked:
        said.append(operation_outcome([Issue("warning", "incomplete", not_asked(page.unasked))]))
    return said


def not_asked(number: int) -> str:
    """Beyond a small network the question goes where the patient is known to have been, and this is said."""
    return f"Other hospitals not asked, where the patient is not known to have been: {number}."


def read_outcome(resource: Resource) -> tuple[OutcomeKind, str] | None:
    """The kind and the words in an entry of a peer's answer; None where it says nothing that changes the outcome."""
    for issue in resource.get("issue", ()):
        exact = {each.get("code") for each in issue.get("details", {}).get("coding", ()) if _is_ours(each)}
        known = [kind for kind in OutcomeKind if kind.value in exact]
        kind = known[0] if known else KINDS.get(issue.get("code", ""))
        if kind is None and issue.get("severity") in ("error", "fatal"):
            kind = OutcomeKind.BROKEN
        if kind is not None and kind is not OutcomeKind.ANSWERED:
            return kind, TEXTS[kind]
    return None


def _is_ours(coding: Resource) -> bool:
    return coding.get("system") == OUTCOME_SYSTEM


def _outcome(kind: OutcomeKind, text: str) -> Resource:
    severity = "information" if kind is OutcomeKind.ANSWERED else "warning"
    details = {"coding": [{"system": OUTCOME_SYSTEM, "code": kind.value}], "text": text}
    issue = {"severity": severity, "code": ISSUE_CODES[kind], "details": details}
    return {"resourceType": "OperationOutcome", "issue": [issue]}
