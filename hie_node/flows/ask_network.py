"""Ask: own records and every chosen hospital at once, under one deadline; one outcome for each, whatever it was.

Identity travels inside the question, so a peer costs one round trip. Asking is itself recorded, before it happens;
what came back is recorded when it did. No transaction is open while the network is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Generic

from adapters import interpreter
from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken, PeerTooSlow, PeerUnreachable
from adapters.peers.fhir_client import Question
from adapters.soap.writing import registry_uuid
from adapters.store.unit import UnitOfWork
from consent.consents import Consent
from hie_node import log, metrics
from hie_node.acts import Act
from hie_node.flows.fhir_call import DOCUMENTS, STUDIES, NetworkQuestion, ask_over_fhir
from hie_node.flows.find import find_documents, find_studies
from hie_node.flows.gateway_call import find_over_soap
from hie_node.flows.gateway_studies import find_studies_over_soap
from hie_node.flows.identify import Identified, by_description, by_identifier, by_record_id
from hie_node.flows.last_known import with_last_known
from hie_node.flows.page_by_page import Thing
from hie_node.flows.peer_call import Asking, Receipts
from hie_node.flows.remember import remember_answers
from hie_node.flows.what_is_left import fitting, left_of
from hie_node.flows.written_requests import addressed_to, remember_sent, signed_requests
from hie_node.house import House
from registry.answers import CommunityOutcome, NetworkAnswer, OutcomeKind, PeerAnswer, merge
from registry.commands import FindDocuments, FindStudies, Page
from registry.directory import Peer
from registry.documents import DocumentEntry
from registry.errors import InvalidValue, NoSuchCommunity, NotUnique
from registry.identifiers import HomeCommunityId, repository_of
from registry.manifests import study_listed_in
from registry.people import NOTHING_KNOWN, PatientInQuestion
from registry.ports import RemoteEntry
from registry.searches import DocumentSearch, PatientSelector, StudySearch
from registry.studies import Study

EXECUTOR = ThreadPoolExecutor(max_workers=256, thread_name_prefix="ask")
"""Threads wait on sockets; one pool for all questions, so that a burst cannot make threads without end."""


def find_documents_everywhere(act: Act, command: FindDocuments, *, budget: float | None = None) -> Page[DocumentEntry]:
    """ITI-67 over the whole network, own records included; within `budget` seconds, by default `answer_budget`."""
    own = lambda one: find_documents(one, command)  # noqa: E731
    return _ask(act, command.search, DOCUMENTS, own, budget)


def find_studies_everywhere(act: Act, command: FindStudies, *, budget: float | None = None) -> Page[Study]:
    """ImagingStudy search over the whole network, own studies included."""
    own = lambda one: find_studies(one, command)  # noqa: E731
    return _ask(act, command.search, STUDIES, own, budget)


@dataclass(frozen=True, slots=True)
class Hearing(Generic[Thing]):
    """A question on its way: who was asked, and their answers in the order in which they come, the own ones first."""

    peers: tuple[Peer, ...]
    answers: Iterator[PeerAnswer[Thing]]


def answers_until(act: Act) -> float:
    """The moment, on the clock that only goes on, at which who is silent is given up. Two questions share it."""
    return time.monotonic() + act.house.settings.limits.answer_budget


def hear_documents(
    act: Act, command: FindDocuments, *, until: float, everybody: bool = False
) -> Hearing[DocumentEntry]:
    """ITI-67 over the network for somebody who watches the answers come in."""
    return _hear(act, command.search, DOCUMENTS, lambda one: find_documents(one, command), until, everybody)


def hear_studies(act: Act, command: FindStudies, *, until: float, everybody: bool = False) -> Hearing[Study]:
    """ImagingStudy search over the network for somebody who watches the answers come in."""
    return _hear(act, command.search, STUDIES, lambda one: find_studies(one, command), until, everybody)


def _hear(
    act: Act,
    search: DocumentSearch | StudySearch,
    kind: NetworkQuestion[Thing],
    own: Callable[[Act], Page[Thing]],
    deadline: float,
    everybody: bool,
) -> Hearing[Thing]:
    patient, peers, receipts, consents = prepare(act, search.patient, everybody=everybody)
    question = Question(kind.resource, patient, _conditions(search), _wants_manifests(search))
    body = question.body()
    waiting = {EXECUTOR.submit(_ask_one, act, peer, question, body, kind, receipts, deadline): peer for peer in peers}
    return Hearing(peers, _as_they_come(act, search, own, waiting, patient, consents, deadline))


def _as_they_come(
    act: Act,
    search: DocumentSearch | StudySearch,
    own: Callable[[Act], Page[Thing]],
    waiting: dict[Future[PeerAnswer[Thing]], Peer],
    patient: PatientInQuestion,
    consents: tuple[Consent, ...],
    deadline: float,
) -> Iterator[PeerAnswer[Thing]]:
    """Nothing is shown before it is recorded; answers that came in together become durable together."""
    yield _own_answer(act, own)[0]
    rest = dict(waiting)
    while rest:
        came = wait(rest, timeout=max(0.0, deadline - time.monotonic()), return_when=FIRST_COMPLETED).done
        heard = [_collect(rest.pop(future), future, act.house) for future in came or tuple(rest)]
        yield from _heard(act, [left_of(act, one, search, consents) for one in heard], patient, search)


def _heard(
    act: Act, answers: Sequence[PeerAnswer[Thing]], patient: PatientInQuestion, search: DocumentSearch | StudySearch
) -> Iterator[PeerAnswer[Thing]]:
    """Answers once they are recorded: each hospital's in a row of its own."""
    first, *others = [_received(act, one) for one in answers]
    first.extra_rows += [one.row() for one in others]
    first.heard += [heard for one in others for heard in one.heard]
    answer = NetworkAnswer(
        tuple(item for one in answers for item in one.found), (_own_line(act), *(one.outcome for one in answers))
    )
    told = _remember(first, answer, patient, search)
    for outcome, one in zip(told.outcomes[1:], answers, strict=True):
        yield PeerAnswer(outcome, one.found)


def _received(act: Act, answer: PeerAnswer[Thing]) -> Act:
    """The act of hearing one hospital."""
    one = act.fork()
    one.patient, one.record_id, one.other = act.patient, act.record_id, answer.outcome.community.home
    note(one, (answer.outcome,), _theirs(one, answer.found))
    return one


def _own_line(act: Act) -> CommunityOutcome:
    """The line of this hospital itself, which is not recorded among those of the others."""
    return CommunityOutcome(act.house.community, OutcomeKind.ANSWERED)


def _ask(
    act: Act,
    search: DocumentSearch | StudySearch,
    kind: NetworkQuestion[Thing],
    own: Callable[[Act], Page[Thing]],
    budget: float | None = None,
) -> Page[Thing]:
    house = act.house
    deadline = time.monotonic() + (budget or house.settings.limits.answer_budget)
    if not search.patient.is_given:
        raise InvalidValue("patient", expected="whom the question is about: patient, or patient.identifier and more")
    only = search.home
    patient, peers, receipts, consents = prepare(act, search.patient, only)
    question = Question(kind.resource, patient, _conditions(search), _wants_manifests(search))
    body = question.body()
    asked = {peer: EXECUTOR.submit(_ask_one, act, peer, question, body, kind, receipts, deadline) for peer in peers}
    # another community alone was asked for: then this hospital's own records are no part of the answer
    own_answer, own_total = _own_answer(act, own) if only in (None, house.home) else (None, 0)
    answers = [own_answer] if own_answer else []
    with interpreter.waiting():
        wait(asked.values(), timeout=max(0.0, deadline - time.monotonic()))
    answers += [left_of(act, _collect(peer, future, house), search, consents) for peer, future in asked.items()]
    merged = merge([fitting(one, search) for one in answers])
    note(act, merged.outcomes, _theirs(act, merged.found))
    answer = _remember(act, merged, patient, search)
    # own records are listed up to the limit, and none for a mere count; all of them are counted
    listed = len(own_answer.found) if own_answer else 0
    page = _page(answer, search, total=len(answer.found) + own_total - listed)
    return page if only else replace(page, unasked=len(other_hospitals(house)) - len(peers))


def _page(answer: NetworkAnswer[Thing], search: DocumentSearch | StudySearch, *, total: int) -> Page[Thing]:
    """All of it at once: an answer of many hospitals is not asked for twice. What is cut is said."""
    shown: tuple[Thing, ...] = () if search.count_only else answer.found[: search.limit]
    outcomes: tuple[CommunityOutcome, ...] = answer.outcomes
    if total > len(shown) and not search.count_only:
        told = f"{total - len(shown)} older entries are not shown"
        outcomes = (replace(outcomes[0], kind=OutcomeKind.INCOMPLETE, detail=told), *outcomes[1:])
    return Page(shown, total=total, outcomes=outcomes)


def prepare(
    act: Act, selector: PatientSelector, only: HomeCommunityId | None = None, *, everybody: bool = False
) -> tuple[PatientInQuestion, tuple[Peer, ...], Receipts, tuple[Consent, ...]]:
    """Who is meant, as far as this hospital knows; whom to ask; the written requests that it recorded, signed; and
    all that the patient said here."""
    act.direction, act.action = "asked", "E"
    with act.unit() as unit:
        person = _known_here(act, unit, selector)
        if person is not None:
            act.about(person.first)
        elif selector.record_id is not None:
            raise InvalidValue("patient", expected="a patient of this hospital, or a description of one")
        described = _describe(selector, person)
        receipts = signed_requests(act, unit, person) if person else ()
        consents = unit.consents.of_records(person.record_ids) if person else ()
        if only is not None:
            peers = _the_one(act.house, only)
        else:
            peers = other_hospitals(act.house) if everybody else choose_peers(act.house, described)
        remember_sent(unit, peers, receipts)
        return described, peers, receipts, tuple(consents)


def _known_here(act: Act, unit: UnitOfWork, selector: PatientSelector) -> Identified | None:
    if selector.record_id is not None:
        return by_record_id(unit, selector.record_id, selector.described)
    assert selector.described is not None
    try:
        known = by_identifier(unit, selector.described)
        return known or by_description(unit, selector.described, act.house.matcher)
    except NotUnique:
        return None


def _describe(selector: PatientSelector, person: Identified | None) -> PatientInQuestion:
    """What is known of the patient: as asked, completed by this hospital's own record where it has one."""
    asked = selector.described or PatientInQuestion()
    if person is None:
        return asked
    identifiers = dict.fromkeys((*asked.identifiers, *(i for r in person.records for i in r.identifiers)))
    mine, wanted = person.first.demographics, asked.demographics
    demographics = replace(
        NOTHING_KNOWN,
        name=wanted.name or mine.name,
        birth_date=wanted.birth_date or mine.birth_date,
        gender=wanted.gender if wanted.gender != "unknown" else mine.gender,
    )
    return PatientInQuestion(tuple(identifiers), demographics)


def other_hospitals(house: House) -> tuple[Peer, ...]:
    """Everyone in the directory who takes part, but this hospital."""
    return tuple(peer for peer in house.directory.current().active if peer.home != house.home)


def choose_peers(house: House, patient: PatientInQuestion) -> tuple[Peer, ...]:
    """Everyone while the network is small; beyond that, those whose own identifiers of the patient are known."""
    peers = other_hospitals(house)
    if len(peers) <= house.settings.limits.ask_everyone_up_to:
        return peers
    systems = {identifier.system for identifier in patient.identifiers}
    return tuple(peer for peer in peers if systems & {str(peer.home), *_own_systems(peer)})


def _the_one(house: House, home: HomeCommunityId) -> tuple[Peer, ...]:
    """The hospital that was named; nobody where it is this one. Raises NoSuchCommunity."""
    if home == house.home:
        return ()
    peer = house.directory.current().peer(home)
    if peer is None or not peer.active:
        raise NoSuchCommunity(str(home))
    return (peer,)


def _own_systems(peer: Peer) -> set[str]:
    """The identifier systems under which that hospital numbers its own patients, by the convention `<home>.1`."""
    return {f"{peer.home}.1"}


def _conditions(search: DocumentSearch | StudySearch) -> tuple[tuple[str, str], ...]:
    """Conditions that every holder understands; the rest is applied to what comes back."""
    if isinstance(search, DocumentSearch) and search.statuses:
        return (("status", ",".join(status.value for status in search.statuses)),)
    return ()


def _wants_manifests(search: DocumentSearch | StudySearch) -> bool:
    """FHIR lists studies as what they are; as documents they are known to SOAP alone."""
    return isinstance(search, DocumentSearch) and search.manifests


def _own_answer(act: Act, own: Callable[[Act], Page[Thing]]) -> tuple[PeerAnswer[Thing], int]:
    """This node's own records answer like any other community's; and how many there are in all."""
    started = time.monotonic()
    one = act.fork()
    one.direction, one.action = "disclosed", "R"
    page = own(one)
    act.patient, act.record_id = act.patient or one.patient, act.record_id or one.record_id
    kind = OutcomeKind.NOT_UNIQUE if page.not_unique else OutcomeKind.ANSWERED
    if page.next is not None:
        kind = OutcomeKind.INCOMPLETE
    seconds = time.monotonic() - started
    total = len(page.items) if page.total is None else page.total
    outcome = CommunityOutcome(act.house.community, kind, len(page.items) or total, seconds=seconds)
    return PeerAnswer(outcome, page.items), total


def _ask_one(
    act: Act,
    peer: Peer,
    question: Question,
    body: bytes,
    kind: NetworkQuestion[Thing],
    receipts: Receipts,
    deadline: float,
) -> PeerAnswer[Thing]:
    """One peer, one round trip; every failure becomes its line."""
    started = time.monotonic()
    try:
        asking = Asking(act.caller.requester, addressed_to(peer, receipts), act.exchange)
        if "fhir" not in peer.speaks or (question.manifests and "xca" in peer.speaks):
            found, outcome, detail = _over_soap(act, asking, peer, question, kind, deadline)
        else:
            found, outcome, detail = ask_over_fhir(act, asking, peer, question, body, kind, deadline)
    except (PeerUnreachable, PeerTooSlow) as failure:
        return _failed(peer, OutcomeKind.SILENT, failure.reason, started)
    except (PeerBroken, BadAnswer) as failure:
        return _failed(peer, OutcomeKind.BROKEN, failure.reason, started)
    seconds = time.monotonic() - started
    return PeerAnswer(CommunityOutcome(peer.community, outcome, len(found), detail, seconds), found)


def _over_soap(
    act: Act, asking: Asking, peer: Peer, question: Question, kind: NetworkQuestion[Thing], deadline: float
) -> tuple[tuple[Thing, ...], OutcomeKind, str]:
    """The same question to a gateway."""
    find: Callable[..., tuple[tuple[Thing, ...], OutcomeKind, str]]
    find = find_over_soap if kind.resource == DOCUMENTS.resource else find_studies_over_soap  # type: ignore[assignment]
    return find(act, asking, peer, question, deadline=deadline)


def _failed(peer: Peer, kind: OutcomeKind, detail: str, started: float) -> PeerAnswer[Thing]:
    return PeerAnswer(CommunityOutcome(peer.community, kind, 0, detail, time.monotonic() - started))


def _collect(peer: Peer, future: Future[PeerAnswer[Thing]], house: House) -> PeerAnswer[Thing]:
    budget = house.settings.limits.answer_budget
    if not future.done():
        future.cancel()
        outcome = CommunityOutcome(peer.community, OutcomeKind.SILENT, 0, "no answer in time", budget)
        return PeerAnswer(outcome)
    error = future.exception()
    if error is not None:
        # a fault of ours with one hospital is its line too: the others' answers are still shown
        log.fault("ask", error, peer.community.facility.value)
        return PeerAnswer(CommunityOutcome(peer.community, OutcomeKind.BROKEN, 0, "could not be asked", budget))
    return future.result()


def _theirs(act: Act, found: Sequence[Thing]) -> list[str]:
    return [item.id for item in found if item.home and item.home != act.house.home]


def note(act: Act, outcomes: Sequence[CommunityOutcome], items: list[str]) -> None:
    """What is written down of what came back: `items` of other hospitals."""
    act.direction, act.action = "received", "R"
    act.items = items
    act.reasons.clear()
    act.heard = [one for one in outcomes if one.community.home != act.house.home]
    for outcome in act.heard:
        metrics.OUTCOMES.labels(str(outcome.community.facility), outcome.kind.value).inc()
        act.reasons[f"{outcome.community.facility}:{outcome.kind.value}"] = outcome.count


def _remember(
    act: Act, answer: NetworkAnswer[Thing], patient: PatientInQuestion, search: DocumentSearch | StudySearch
) -> NetworkAnswer[Thing]:
    """Record what came back, and the way back to each entry, so that it can be opened; what the silent ones last
    listed goes with their lines."""
    with act.unit() as unit:
        unit.remote.remember(way_back_of(item, patient, act) for item in answer.found if item.home)
        remember_answers(act, unit, answer, search, patient)
        return replace(answer, outcomes=with_last_known(act, unit, answer.outcomes, search, patient))


def way_back_of(item: DocumentEntry | Study, patient: PatientInQuestion, act: Act) -> RemoteEntry:
    """What is kept of an entry of another hospital, so that it can be opened from here."""
    assert item.home is not None
    _, _, remote_id = item.id.partition(".")
    if isinstance(item, Study):
        return RemoteEntry(
            item.id, "study", item.home, remote_id, patient, None, None, None, item.study_instance_uid, act.now
        )
    a, repository = item.attachment, item.repository or repository_of(item.home)
    return RemoteEntry(
        item.id,
        "document",
        item.home,
        remote_id,
        patient,
        a.content_type,
        a.size,
        a.hash,
        study_listed_in(item),
        act.now,
        item.unique_id,
        repository,
        over_soap=item.repository is not None,
        entry_uuid=registry_uuid(item),
    )
