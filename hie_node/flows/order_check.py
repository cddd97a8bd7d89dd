"""At the moment of ordering: has this been done, here or elsewhere? Answered from what is known, completed by asking.

Own records, and what other hospitals last listed, each decided again at this moment under what the patient has said;
other hospitals are asked, within `order_budget`, where what is remembered is not fresh. What is shown is on record, and
what the doctor was told is kept until the decision comes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice

from adapters.store.unit import UnitOfWork
from consent.consents import Consent
from consent.decide import AccessRequest, Decision, decide
from consent.requesters import Role
from hie_node import log
from hie_node.acts import Act, item_of
from hie_node.flows.ask_network import find_documents_everywhere, find_studies_everywhere
from hie_node.flows.identify import Identified, identify
from hie_node.flows.permission import consents_for
from hie_node.ordering_tables import OrderingTables, tables
from registry.advice import Advice, AnswerCards, CheckOrder, Decided, Line, OrderAdvice, RequestedService
from registry.answers import Community, CommunityOutcome, OutcomeKind
from registry.commands import FindDocuments, FindStudies
from registry.conclusions import conclusion_of
from registry.documents import DocumentEntry, DocumentStatus
from registry.done_before import VIET_NAM, Match, done_before
from registry.earlier import Earlier, ListedStudy, bring_together, listed
from registry.errors import NotFound, NotUnique, RegistryError
from registry.identifiers import FacilityCode, HomeCommunityId
from registry.ledger import Told, entry
from registry.memory import Heard, Memory
from registry.ordered import Ordered, examination_of
from registry.searches import DocumentSearch, PatientSelector, StudySearch
from registry.studies import Study
from registry.validity import in_effect

MOST = 300
"""Documents and studies of this hospital that a card looks at, the newest of each."""
MOST_MATCHES = 5
MOST_READ, LONGEST_READ = 12, 64 << 10
"""Own reports that are opened for their conclusions, and their bytes at most."""
_CARDS = uuid.UUID("9a1c7f1e-2b52-5d0b-8b5e-5f0a2f6f4c11")
_LATER = ThreadPoolExecutor(max_workers=4, thread_name_prefix="order")
"""Asks with the whole answer budget where the short one was not enough, so that the next card knows more."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What may be shown of one person now."""

    person: Identified
    earlier: tuple[Earlier, ...]
    papers: tuple[DocumentEntry, ...]
    lines: tuple[Line, ...]
    is_fresh: bool


def check_order(act: Act, command: CheckOrder) -> OrderAdvice:
    """Tell what was done before that bears on these orders."""
    _speaking_for(act, command.person)
    looked = tables(act.house)
    requested = [one for one in (_ordered(each, looked) for each in command.requested) if one is not None]
    asked: frozenset[HomeCommunityId] = frozenset()
    if (requested or command.history) and _should_ask(act, command):
        asked = _ask(act, command.patient)
    with act.unit() as unit:
        try:
            person = identify(act, unit, command.patient)
        except NotUnique:
            return OrderAdvice(None, not_unique=True)
        if person is None or not (requested or command.history):
            return OrderAdvice(person.first.id if person else None)
        act.about(person.first)
        known = _known(act, unit, person, asked)
        advice = _advice(act, unit, command, known, requested, looked)
    # after the record is durable, and outside its transaction: contents are opened
    return with_conclusions(act, advice)


def with_conclusions(act: Act, advice: OrderAdvice) -> OrderAdvice:
    """The same with the conclusions of this hospital's own reports; those of others are read where they are opened."""

    def told(one: Earlier) -> Earlier:
        return one if one.conclusion else replace(one, conclusion=_conclusion(act, one))

    advices = tuple(
        replace(one, matches=tuple(replace(match, earlier=told(match.earlier)) for match in one.matches))
        for one in advice.advices
    )
    newest = tuple(told(one) for one in advice.history[:MOST_READ])
    return replace(advice, advices=advices, history=newest + advice.history[MOST_READ:])


def _conclusion(act: Act, one: Earlier) -> str:
    report = next((each for each in one.reports if each.record_id), None)
    if one.learnt is not None or report is None or not report.attachment.content_type.startswith("text/plain"):
        return ""
    if report.attachment.size > LONGEST_READ:
        return ""
    try:
        content = b"".join(act.house.contents.open(report.record_id, report.attachment.content_hash))
    except RegistryError:  # the card is worth giving without it; whoever opens the report is told what is wrong
        return ""
    return conclusion_of(content.decode("utf-8", errors="replace"))


def _speaking_for(act: Act, person: str) -> None:
    """A system that orders for a doctor says which: that is who stands in the record."""
    requester = act.caller.requester
    if person and requester.role is Role.SYSTEM:
        act.caller = replace(act.caller, requester=replace(requester, subject=person, role=Role.DOCTOR))


def _ordered(requested: RequestedService, looked: OrderingTables) -> Ordered | None:
    found = examination_of(requested.codes, requested.texts, looked.codes)
    if found is None:
        return None
    return Ordered(found[0], found[1], requested.diagnoses, requested.reference)


def _should_ask(act: Act, command: CheckOrder) -> bool:
    if command.asking != "stale":
        return command.asking == "always"
    with act.house.storage.read() as unit:
        try:
            person = identify(act, unit, command.patient)
        except NotUnique:
            return False
        return person is not None and not _known(act.fork(), unit, person, frozenset()).is_fresh


def _ask(act: Act, patient: PatientSelector) -> frozenset[HomeCommunityId]:
    """Both questions at once; returns who answered just now. Whoever was not in time is asked again behind it."""
    budget = act.house.settings.limits.order_budget
    outcomes = _both(act, patient, budget)
    if any(one.kind is OutcomeKind.SILENT for one in outcomes) and budget < act.house.settings.limits.answer_budget:
        _LATER.submit(_again, act, patient)
    silent = {one.community.home for one in outcomes if one.kind in (OutcomeKind.SILENT, OutcomeKind.BROKEN)}
    return frozenset(one.community.home for one in outcomes) - silent


def _both(act: Act, patient: PatientSelector, budget: float | None) -> list[CommunityOutcome]:
    documents = FindDocuments(DocumentSearch(patient=patient, statuses=(DocumentStatus.CURRENT,), limit=MOST))
    studies = FindStudies(StudySearch(patient=patient, limit=MOST))
    questions: tuple[Callable[[], Sequence[CommunityOutcome]], ...] = (
        lambda: find_documents_everywhere(_asking(act), documents, budget=budget).outcomes,
        lambda: find_studies_everywhere(_asking(act), studies, budget=budget).outcomes,
    )
    with ThreadPoolExecutor(2) as pool:
        return [outcome for asked in pool.map(lambda question: question(), questions) for outcome in asked]


def _asking(act: Act) -> Act:
    return Act(act.house, act.caller, act.transaction)


def _again(act: Act, patient: PatientSelector) -> None:
    try:
        _both(act, patient, None)
    except Exception as error:  # noqa: BLE001 - nobody waits for it; the card was given without it
        log.fault("order check", error, "")


def _known(act: Act, unit: UnitOfWork, person: Identified, asked: frozenset[HomeCommunityId]) -> _Known:
    """Own records and remembered ones, each decided now."""
    consents = consents_for(act, unit, person, keep=False)
    memories = [m for m in unit.orders.memories(person.record_ids) if m.record_ids <= set(person.record_ids)]
    documents, earlier = _own(act, unit, person, consents)
    hidden = False
    taking_part = {peer.home for peer in act.house.directory.current().active}
    for home in dict.fromkeys(one.home for m in memories for one in m.heard if one.home in taking_part):
        parts = [heard for memory in memories if (heard := memory.of(home)) is not None]
        listed_there, shown, closed = _of_others(act, parts, consents, decided_there=home in asked)
        documents += listed_there
        earlier += shown
        hidden = hidden or closed
    imaging = {one for each in earlier for one in each.ids}
    papers = tuple(document for document in documents if document.id not in imaging)
    return _Known(
        person, tuple(earlier), papers, _lines(act, memories), not hidden and _is_fresh(act, memories, consents)
    )


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

    def may(item: DocumentEntry | Study) -> bool:
        return decided_there or _decide_elsewhere(act, item, parts[0].home, consents).permit

    studies = [one for heard in parts for one in heard.studies]
    documents = [one for heard in parts for one in heard.documents]
    shown_studies: list[ListedStudy] = [one for one in studies if may(one.study)]
    shown_documents = [one for one in documents if may(one)]
    learnt = max((heard.listed for heard in parts if heard.listed), default=None)
    found = bring_together(shown_studies, shown_documents, here=parts[0].home, learnt=learnt)
    closed = len(shown_studies) < len(studies) or len(shown_documents) < len(documents)
    return shown_documents, found, closed


def _decide_elsewhere(
    act: Act, item: DocumentEntry | Study, holder: HomeCommunityId, consents: Sequence[Consent]
) -> Decision:
    """As the holder would decide by the requests that this hospital keeps; never by an emergency."""
    looked_at = replace(item_of(item), id=item.id.partition(".")[2])
    ask = AccessRequest(act.caller.requester, holder, looked_at)
    return decide(ask, consents, replace(act.house.policy, emergency_access=False), now=act.now)


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
    """Both questions were asked a short while ago, and the patient has said nothing new since."""
    if {memory.kind for memory in memories} != {"documents", "studies"}:
        return False
    oldest = min(memory.asked for memory in memories)
    if act.now - oldest > timedelta(seconds=act.house.settings.limits.order_fresh):
        return False
    return not any((consent.updated or consent.given) > oldest for consent in consents)


def _advice(
    act: Act,
    unit: UnitOfWork,
    command: CheckOrder,
    known: _Known,
    requested: Sequence[Ordered],
    looked: OrderingTables,
) -> OrderAdvice:
    table = in_effect(looked.validity, act.now.astimezone(VIET_NAM).date())
    advices = []
    for ordered in requested:
        matches = done_before(ordered, known.earlier, table, looked.levels, now=act.now)[:MOST_MATCHES]
        card = _card(act, known.person, ordered, matches)
        advices.append(Advice(card, ordered, matches))
        if matches:
            unit.orders.tell(_told(act, command, known.person, ordered, matches[0], card))
    history = tuple(sorted(known.earlier, key=_when, reverse=True)) if command.history else ()
    shown = [match.earlier for advice in advices for match in advice.matches] + list(history)
    papers = tuple(sorted(known.papers, key=_written, reverse=True)) if command.history else ()
    _on_record(act, shown)
    act.items += [one.id for one in papers]
    homes = dict.fromkeys((*(one.home for one in shown), *(one.home or act.house.home for one in papers)))
    places = tuple(community_of(act, home) for home in homes)
    who = known.person.first.id
    return OrderAdvice(who, tuple(advices), history, papers, known.lines, places, table.version, table.status)


def _when(earlier: Earlier) -> float:
    return earlier.performed.timestamp() if earlier.performed else 0.0


def _written(paper: DocumentEntry) -> float:
    return paper.performed.timestamp() if paper.performed else 0.0


def _on_record(act: Act, shown: Iterable[Earlier]) -> None:
    for earlier in shown:
        new = [one for one in earlier.ids if one not in act.items]
        act.items += new
        if new:
            act.reasons["own-hospital" if earlier.home == act.house.home else "remembered"] += 1


def _card(act: Act, person: Identified, ordered: Ordered, matches: Sequence[Match]) -> str:
    """One order of one examination on one day is one card, however often it is looked at: it gets one decision."""
    earlier = matches[0].earlier.ids[0] if matches and matches[0].earlier.ids else ""
    day = act.now.astimezone(VIET_NAM).date().isoformat()
    return str(uuid.uuid5(_CARDS, "\n".join((person.first.id, ordered.examination.key, earlier, day))))


def _told(act: Act, command: CheckOrder, person: Identified, ordered: Ordered, best: Match, card: str) -> Told:
    return Told(
        card=card,
        given=act.now,
        record_id=person.first.id,
        examination=ordered.examination.key,
        service=ordered.service.code if ordered.service else "",
        sender=str(community_of(act, best.earlier.home).facility),
        earlier_id=best.earlier.ids[0] if best.earlier.ids else "",
        performed=best.earlier.performed,
        stands_in=best.stands_in,
        via=command.via,
        subject=act.caller.requester.subject,
        comparable=best.likeness.answers,
    )


def community_of(act: Act, home: HomeCommunityId) -> Community:
    """A hospital by its community; one that left the directory keeps its number."""
    if home == act.house.home:
        return act.house.community
    peer = act.house.directory.current().peer(home)
    return peer.community if peer else Community(home, FacilityCode("00000"), str(home))


def answer_cards(act: Act, command: AnswerCards) -> Decided:
    """Enter what the doctor decided. A card that nobody was given is NotFound, and then nothing is entered; one about
    what is only related is no decision about a repeat."""
    act.direction, act.action = "changed", "C"
    prices = tables(act.house).prices
    facility, role = str(act.house.settings.facility_code), act.caller.requester.role.value
    with act.unit() as unit:
        entries = []
        for answer in command.answers:
            told = unit.orders.told(answer.card)
            if told is None:
                raise NotFound("card")
            if not told.comparable:
                continue
            made = entry(
                told, answer.verdict, reason=answer.reason, role=role, facility=facility, prices=prices, now=act.now
            )
            unit.orders.decide(made)
            entries.append(made)
            _decision_on_record(act, unit, told)
        return Decided(tuple(entries))


def _decision_on_record(act: Act, unit: UnitOfWork, told: Told) -> None:
    """Each patient about whom something was decided gets a row."""
    record = unit.patients.record_by_id(told.record_id)
    one = act.fork()
    if record is not None:
        one.about(record)
    one.items = [told.card]
    act.extra_rows.append(one.row())
