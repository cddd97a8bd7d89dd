"""What visits say over time: of this hospital at once, and of the others when somebody asks for it.

Of another hospital a visit is a document of its own (LOINC 34133-9 as FHIR), and a laboratory report says whether its
values can be had as facts: each is opened like any other document, so its holder decides and both sides record. That is
why it is not done whenever a page is opened. What a report says in words alone is counted, and not guessed at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from adapters.fhir.read_visit_document import MAX_BYTES, read_visit_document
from adapters.peers.errors import PeerError
from hie_node import log
from hie_node.acts import Act
from hie_node.flows.ask_network import find_documents_everywhere
from hie_node.flows.fetch import fetch_document
from hie_node.flows.permission import consents_for
from hie_node.flows.streaming import TransferStopped, gathered
from hie_node.flows.summary import reports_with_values, visits_shown, whose
from registry.answers import CommunityOutcome, OutcomeKind
from registry.commands import FindDocuments, RetrieveDocument, SummarisePatient
from registry.course import Course, VisitFacts, course_of
from registry.documents import DocumentEntry, DocumentStatus, is_laboratory_report, is_visit_data
from registry.errors import RegistryError
from registry.identifiers import HomeCommunityId
from registry.searches import DocumentSearch, PatientSelector

MOST_LISTED, MOST_OPENED = 300, 40
"""Documents in the lists of all hospitals, and visits and reports that are opened: the newest."""
_OPENING = ThreadPoolExecutor(max_workers=32, thread_name_prefix="visit")
Sourced = tuple[HomeCommunityId, VisitFacts]
_Read = tuple[DocumentEntry, VisitFacts]


@dataclass(frozen=True, slots=True)
class CourseEverywhere:
    """All hospitals together. `lines` has one for each other hospital; its count is the visits that were read.

    reports   of each hospital, how many laboratory reports were read
    in_words  how many it has whose values are in its text alone: a person opens them
    """

    course: Course
    lines: tuple[CommunityOutcome, ...]
    older: int = 0
    reports: Mapping[HomeCommunityId, int] = field(default_factory=dict)
    in_words: Mapping[HomeCommunityId, int] = field(default_factory=dict)


def course_here(act: Act, record_id: str) -> Course:
    """Diagnoses, medicines of a year and laboratory values of one patient of this hospital. Raises NotFound."""
    own = _own(act, record_id)
    return course_of(own.told, now=act.now, withheld=own.visits_withheld, withheld_reports=own.reports_withheld)


def course_everywhere(act: Act, opening: Act, record_id: str) -> CourseEverywhere:
    """The same of every hospital. `act` looks at the own visits, `opening` asks the others. Raises NotFound."""
    own = _own(act, record_id)
    search = DocumentSearch(
        patient=PatientSelector(record_id=record_id), statuses=(DocumentStatus.CURRENT,), limit=MOST_LISTED
    )
    page = find_documents_everywhere(_another(opening), FindDocuments(search))
    theirs = [one for one in page.items if one.home not in (None, act.house.home)]
    listed = [one for one in theirs if is_visit_data(one) or one.tells_values]
    read, failed = _opened(opening, listed[:MOST_OPENED])
    others = [one for one in page.outcomes if one.community.home != act.house.home]
    told = [*own.told, *((entry.home or act.house.home, facts) for entry, facts in read)]
    homes = Counter(entry.home for entry, _ in read if is_visit_data(entry))
    lines = tuple(_line(one, homes[one.community.home], failed) for one in others)
    reports = Counter(entry.home for entry, _ in read if entry.home and not is_visit_data(entry))
    in_words = Counter(one.home for one in _in_words(theirs) if one.home)
    course = course_of(told, now=act.now, withheld=own.visits_withheld, withheld_reports=own.reports_withheld)
    return CourseEverywhere(course, lines, max(0, len(listed) - MOST_OPENED), reports, in_words)


def _in_words(listed: Sequence[DocumentEntry]) -> list[DocumentEntry]:
    """Laboratory reports without values of their own, of no visit that tells them as facts."""
    visits = {(one.home, number) for one in listed if is_visit_data(one) for number in one.encounters}
    reports = (one for one in listed if is_laboratory_report(one) and not one.tells_values)
    return [one for one in reports if not visits & {(one.home, number) for number in one.encounters}]


@dataclass(frozen=True, slots=True)
class _Own:
    """What visits and laboratory reports of this hospital say, and how many of each may not be seen."""

    told: list[Sourced]
    visits_withheld: int
    reports_withheld: int


def _own(act: Act, record_id: str) -> _Own:
    with act.unit() as unit:
        person = whose(act, unit, SummarisePatient(record_id=record_id))
        act.about(person.first)
        consents = consents_for(act, unit, person)
        visits, closed = visits_shown(act, unit, person, consents)
        reports, closed_reports = reports_with_values(act, unit, person, consents)
        act.items = [f"visit {one.key}" for one in visits] + [one.id for one in reports]
    took_place = [one for one in visits if not one.cancelled]
    facts = [
        VisitFacts(one.problems, one.medications, one.results, one.discharged or one.admitted) for one in took_place
    ]
    facts += [VisitFacts(results=one.results, ended=one.performed) for one in reports]
    return _Own([(act.house.home, one) for one in facts], closed, closed_reports)


def _another(act: Act) -> Act:
    """Each question to a holder is an exchange of its own."""
    return Act(act.house, act.caller, act.transaction)


def _opened(act: Act, entries: Sequence[DocumentEntry]) -> tuple[list[_Read], list[HomeCommunityId]]:
    """What could be read in time, and the hospitals of what could not, once for each."""
    waiting = {_OPENING.submit(_open, _another(act), entry): entry for entry in entries}
    wait(waiting, timeout=act.house.settings.limits.open_budget)
    read, failed = [], []
    for future, entry in waiting.items():
        facts = _facts_of(future)
        if facts is not None:
            read.append((entry, facts))
        elif entry.home is not None:
            failed.append(entry.home)
    return read, failed


def _facts_of(future: Future[VisitFacts]) -> VisitFacts | None:
    if not future.done():
        future.cancel()
        return None
    error = future.exception()
    if error is None:
        return future.result()
    if not isinstance(error, (PeerError, RegistryError, TransferStopped)):
        # a fault of ours with one visit is its hospital's line: the others are still shown
        log.fault("course", error, "")
    return None


def _open(act: Act, entry: DocumentEntry) -> VisitFacts:
    content = fetch_document(act, RetrieveDocument(entry.id, values=not is_visit_data(entry))).content
    return read_visit_document(gathered(content, "a visit of another hospital", limit=MAX_BYTES))


def _line(outcome: CommunityOutcome, count: int, failed: Sequence[HomeCommunityId]) -> CommunityOutcome:
    """What became of one hospital: it answered, and all its visits and values could be read, or some of them."""
    kind = OutcomeKind.INCOMPLETE if outcome.community.home in failed else outcome.kind
    return replace(outcome, kind=kind, count=count, last=None)
