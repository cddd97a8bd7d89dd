"""What is known of a person's earlier examinations, here and elsewhere, and asking the other hospitals for more.

Own records, and what other hospitals last listed; each is decided again at this moment, under what the patient has said
and this hospital keeps. What a holder has decided just now for this very person needs no second decision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from adapters.store.unit import UnitOfWork
from consent.consents import Consent
from hie_node import log
from hie_node.acts import Act
from hie_node.flows.ask_network import find_documents_everywhere, find_studies_everywhere
from hie_node.flows.identify import Identified
from hie_node.flows.last_known import NOTHING_HEARD, decide_elsewhere
from hie_node.flows.permission import consents_for
from hie_node.flows.remember import asker
from registry.advice import Line
from registry.answers import Community, OutcomeKind
from registry.commands import FindDocuments, FindStudies, Page
from registry.documents import DocumentEntry, DocumentStatus
from registry.earlier import Earlier, ListedStudy, bring_together, listed
from registry.identifiers import FacilityCode, HomeCommunityId
from registry.memory import Heard, Kind, Memory, remembered
from registry.searches import DocumentSearch, PatientSelector, StudySearch
from registry.studies import Study

MOST = 300
"""Documents and studies of this hospital that are looked at, the newest of each."""
ASKED_AGAIN = timedelta(seconds=60)
"""After which a hospital of which nothing was heard is asked again, whatever else is still fresh."""
AnyPage = Page[DocumentEntry] | Page[Study]
_LATER = ThreadPoolExecutor(max_workers=4, thread_name_prefix="order")
"""Asks with the whole answer budget where the short one was not enough, so that the next card knows more."""


@dataclass(frozen=True, slots=True)
class Known:
    """What may be shown of one person now."""

    person: Identified
    earlier: tuple[Earlier, ...]
    papers: tuple[DocumentEntry, ...]
    lines: tuple[Line, ...]
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """What was asked just now: who answered both questions, and the answers. Empty where nobody was asked."""

    homes: frozenset[HomeCommunityId] = frozenset()
    pages: tuple[tuple[Kind, AnyPage], ...] = ()


def ask(act: Act, patient: PatientSelector) -> Answers:
    """Both questions at once. Whoever was not in time is asked again behind it, so that the next card knows more."""
    budget = act.house.settings.limits.order_budget
    pages = _both(act, patient, budget)
    outcomes = [one for _, page in pages for one in page.outcomes]
    silent = {one.community.home for one in outcomes if one.kind in NOTHING_HEARD}
    if silent and budget < act.house.settings.limits.answer_budget and not act.caller.requester.purpose.is_emergency:
        _LATER.submit(_again, act, patient)
    return Answers(frozenset(one.community.home for one in outcomes) - silent, tuple(pages))


def _both(act: Act, patient: PatientSelector, budget: float | None) -> list[tuple[Kind, AnyPage]]:
    documents = FindDocuments(DocumentSearch(patient=patient, statuses=(DocumentStatus.CURRENT,), limit=MOST))
    studies = FindStudies(StudySearch(patient=patient, limit=MOST))
    questions: tuple[Callable[[], tuple[Kind, AnyPage]], ...] = (
        lambda: ("documents", find_documents_everywhere(_asking(act), documents, budget=budget)),
        lambda: ("studies", find_studies_everywhere(_asking(act), studies, budget=budget)),
    )
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda question: question(), questions))


def _asking(act: Act) -> Act:
    return Act(act.house, act.caller, act.transaction)


def _again(act: Act, patient: PatientSelector) -> None:
    try:
        _both(act, patient, None)
    except Exception as error:  # noqa: BLE001 - nobody waits for it; the card was given without it
        log.fault("order check", error, "")


def what_is_known(act: Act, unit: UnitOfWork, person: Identified, answers: Answers) -> Known:
    """Own records and remembered ones, each decided now."""
    consents = consents_for(act, unit, person, keep=False)
    memories = _memories(act, unit, person, answers)
    documents, earlier = _own(act, unit, person, consents)
    hidden = False
    taking_part = {peer.home for peer in act.house.directory.current().active}
    for home in dict.fromkeys(one.home for m in memories for one in m.heard if one.home in taking_part):
        parts = [heard for memory in memories if (heard := memory.of(home)) is not None]
        listed_there, shown, closed = _of_others(act, parts, consents, decided_there=home in answers.homes)
        documents += listed_there
        earlier += shown
        hidden = hidden or closed
    imaging = {one for each in earlier for one in each.ids}
    papers = tuple(document for document in documents if document.id not in imaging)
    return Known(
        person, tuple(earlier), papers, _lines(act, memories), not hidden and _is_fresh(act, memories, consents)
    )


def _memories(act: Act, unit: UnitOfWork, person: Identified, answers: Answers) -> list[Memory]:
    """What is remembered of this very person; in an emergency what was answered just now, which nobody remembers."""
    if act.caller.requester.purpose.is_emergency and answers.pages:
        return [
            remembered(
                None,
                page.outcomes[1:],
                page.items,
                record_id=person.first.id,
                kind=kind,
                record_ids=frozenset(person.record_ids),
                asker=asker(act),
                now=act.now,
            )
            for kind, page in answers.pages
        ]
    return [one for one in unit.orders.memories(person.record_ids) if one.record_ids <= set(person.record_ids)]


def _own(
    act: Act, unit: UnitOfWork, person: Identified, consents: Sequence[Consent]
) -> tuple[list[DocumentEntry], list[Earlier]]:
    """This hospital's documents, and the examinations that they and its studies are of."""
    search = DocumentSearch(record_ids=person.record_ids, statuses=(DocumentStatus.CURRENT,), limit=MOST)
    found = unit.studies.find(StudySearch(record_ids=person.record_ids, limit=MOST))
    documents = [one for one in islice(unit.documents.find(search), MOST) if act.weigh(one, consents).permit]
    studies = [listed(one) for one in islice(found, MOST) if act.weigh(one, consents).permit]
    return documents, list(bring_together(studies, documents, here=act.house.home))


def _of_others(
    act: Act, parts: Sequence[Heard], consents: Sequence[Consent], *, decided_there: bool
) -> tuple[list[DocumentEntry], tuple[Earlier, ...], bool]:
    """What one hospital listed, as far as the patient's requests kept here let it be seen now; and whether some of it
    they do not. What its holder has decided just now needs no second decision."""

    def may(item: DocumentEntry | Study, heard: Heard) -> bool:
        decided = decided_there and heard.asker == asker(act)
        return decided or decide_elsewhere(act, item, heard.home, consents).permit

    studies = [(one, heard) for heard in parts for one in heard.studies]
    documents = [(one, heard) for heard in parts for one in heard.documents]
    shown_studies: list[ListedStudy] = [one for one, heard in studies if may(one.study, heard)]
    shown_documents = [one for one, heard in documents if may(one, heard)]
    learnt = max((heard.listed for heard in parts if heard.listed), default=None)
    found = bring_together(shown_studies, shown_documents, here=parts[0].home, learnt=learnt)
    closed = len(shown_studies) < len(studies) or len(shown_documents) < len(documents)
    return shown_documents, found, closed


def _lines(act: Act, memories: Sequence[Memory]) -> tuple[Line, ...]:
    """One for each hospital that takes part now; the graver outcome where two questions ended differently."""
    lines = []
    for peer in act.house.directory.current().active:
        heard = [found for memory in memories if (found := memory.of(peer.home)) is not None]
        if heard and peer.home != act.house.home:
            worst = next((one for one in heard if one.kind is not OutcomeKind.ANSWERED), heard[0])
            lines.append(Line(peer.community, worst.kind, min(one.asked for one in heard)))
    return tuple(lines)


def _is_fresh(act: Act, memories: Sequence[Memory], consents: Sequence[Consent]) -> bool:
    """Both questions were asked a short while ago, the patient has said nothing new since, and no hospital of which
    nothing was heard is due to be asked again."""
    if {memory.kind for memory in memories} != {"documents", "studies"}:
        return False
    oldest = min(memory.asked for memory in memories)
    if act.now - oldest > timedelta(seconds=act.house.settings.limits.order_fresh):
        return False
    heard = (one for memory in memories for one in memory.heard)
    if any(one.kind in NOTHING_HEARD and act.now - one.asked > ASKED_AGAIN for one in heard):
        return False
    return not any((consent.updated or consent.given) > oldest for consent in consents)


def community_of(act: Act, home: HomeCommunityId) -> Community:
    """A hospital by its community; one that left the directory keeps its number."""
    if home == act.house.home:
        return act.house.community
    peer = act.house.directory.current().peer(home)
    return peer.community if peer else Community(home, FacilityCode("00000"), str(home))
