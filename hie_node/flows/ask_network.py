"""Ask: own records and every chosen hospital at once, under one deadline; one outcome for each, whatever it was.

Identity travels inside the question, so a peer costs one round trip. Asking is itself recorded, before it happens;
what came back is recorded when it did. No transaction is open while the network is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from adapters import interpreter
from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken, PeerTooSlow, PeerUnreachable
from adapters.peers.fhir_client import Question, read_documents, read_studies
from adapters.store.unit import UnitOfWork
from hie_node import log, metrics
from hie_node.acts import Act
from hie_node.flows.find import find_documents, find_studies
from hie_node.flows.gateway_call import find_over_soap
from hie_node.flows.identify import Identified, by_description, by_identifier, by_record_id
from hie_node.flows.peer_call import Asking, Receipts, call_peer
from hie_node.flows.remember import remember_answers
from hie_node.flows.written_requests import addressed_to, remember_sent, signed_requests
from hie_node.house import House
from registry.answers import CommunityOutcome, NetworkAnswer, OutcomeKind, PeerAnswer, merge
from registry.commands import FindDocuments, FindStudies, Page
from registry.directory import Peer
from registry.documents import DocumentEntry
from registry.errors import InvalidValue, NoSuchCommunity, NotUnique
from registry.identifiers import HomeCommunityId, repository_of
from registry.people import NOTHING_KNOWN, PatientInQuestion
from registry.ports import RemoteEntry
from registry.searches import DocumentSearch, PatientSelector, StudySearch
from registry.studies import Study

Thing = TypeVar("Thing", DocumentEntry, Study)
Read = Callable[[bytes, Peer, Question], tuple[tuple[Thing, ...], OutcomeKind, str]]

_EXECUTOR = ThreadPoolExecutor(max_workers=256, thread_name_prefix="ask")
"""Threads wait on sockets; one pool for all questions, so that a burst cannot make threads without end."""


@dataclass(frozen=True, slots=True)
class NetworkQuestion(Generic[Thing]):
    """One kind of question to a peer: the resource it is about, and how its answer is read."""

    resource: str
    read: Callable[..., tuple[tuple[Thing, ...], OutcomeKind, str]]


DOCUMENTS: NetworkQuestion[DocumentEntry] = NetworkQuestion("DocumentReference", read_documents)
STUDIES: NetworkQuestion[Study] = NetworkQuestion("ImagingStudy", read_studies)


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


def hear_documents(act: Act, command: FindDocuments, *, everybody: bool = False) -> Hearing[DocumentEntry]:
    """ITI-67 over the network for somebody who watches the answers come in."""
    return _hear(act, command.search, DOCUMENTS, lambda one: find_documents(one, command), everybody=everybody)


def hear_studies(act: Act, command: FindStudies, *, everybody: bool = False) -> Hearing[Study]:
    """ImagingStudy search over the network for somebody who watches the answers come in."""
    return _hear(act, command.search, STUDIES, lambda one: find_studies(one, command), everybody=everybody)


def _hear(
    act: Act,
    search: DocumentSearch | StudySearch,
    kind: NetworkQuestion[Thing],
    own: Callable[[Act], Page[Thing]],
    *,
    everybody: bool,
) -> Hearing[Thing]:
    deadline = time.monotonic() + act.house.settings.limits.answer_budget
    patient, peers, receipts = _prepare(act, search.patient, everybody=everybody)
    question = Question(kind.resource, patient, _conditions(search))
    body = question.body()
    waiting = {_EXECUTOR.submit(_ask_one, act, peer, question, body, kind, receipts, deadline): peer for peer in peers}
    return Hearing(peers, _as_they_come(act, search, own, waiting, patient, deadline))


def _as_they_come(
    act: Act,
    search: DocumentSearch | StudySearch,
    own: Callable[[Act], Page[Thing]],
    waiting: dict[Future[PeerAnswer[Thing]], Peer],
    patient: PatientInQuestion,
    deadline: float,
) -> Iterator[PeerAnswer[Thing]]:
    """Nothing is shown before it is recorded, so each answer of a hospital gets a row of its own."""
    yield _own_answer(act, own)[0]
    rest = dict(waiting)
    with suppress(TimeoutError):
        for future in as_completed(waiting, timeout=max(0.0, deadline - time.monotonic())):
            yield _heard(act, _collect(rest.pop(future), future, act.house), patient, search)
    for future, peer in rest.items():
        yield _heard(act, _collect(peer, future, act.house), patient, search)


def _heard(
    act: Act, answer: PeerAnswer[Thing], patient: PatientInQuestion, search: DocumentSearch | StudySearch
) -> PeerAnswer[Thing]:
    """One answer, as far as it fits the question, once it is recorded."""
    fitting = _fitting(answer, search)
    one = act.fork()
    one.patient, one.record_id, one.other = act.patient, act.record_id, fitting.outcome.community.home
    _remember(one, NetworkAnswer(fitting.found, (_own_line(act), fitting.outcome)), patient, search)
    return fitting


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
    only = search.home if isinstance(search, DocumentSearch) else None
    patient, peers, receipts = _prepare(act, search.patient, only)
    question = Question(kind.resource, patient, _conditions(search))
    body = question.body()
    asked = {peer: _EXECUTOR.submit(_ask_one, act, peer, question, body, kind, receipts, deadline) for peer in peers}
    # another community alone was asked for: then this hospital's own records are no part of the answer
    own_answer, own_total = _own_answer(act, own) if only in (None, house.home) else (None, 0)
    answers = [own_answer] if own_answer else []
    with interpreter.waiting():
        wait(asked.values(), timeout=max(0.0, deadline - time.monotonic()))
    answers += [_collect(peer, future, house) for peer, future in asked.items()]
    answer = merge([_fitting(one, search) for one in answers])
    _remember(act, answer, patient, search)
    # own records are listed up to the limit, and none for a mere count; all of them are counted
    listed = len(own_answer.found) if own_answer else 0
    return _page(answer, search, total=len(answer.found) + own_total - listed)


def _fitting(answer: PeerAnswer[Thing], search: DocumentSearch | StudySearch) -> PeerAnswer[Thing]:
    """What meets every condition of the question; a holder may understand fewer of them than we do."""
    if not answer.found:
        return answer
    found = tuple(item for item in answer.found if search.fits(item))  # type: ignore[arg-type]
    return PeerAnswer(replace(answer.outcome, count=len(found)), found)


def _page(answer: NetworkAnswer[Thing], search: DocumentSearch | StudySearch, *, total: int) -> Page[Thing]:
    """All of it at once: an answer of many hospitals is not asked for twice. What is cut is said."""
    shown: tuple[Thing, ...] = () if search.count_only else answer.found[: search.limit]
    outcomes: tuple[CommunityOutcome, ...] = answer.outcomes
    if total > len(shown) and not search.count_only:
        told = f"{total - len(shown)} older entries are not shown"
        outcomes = (replace(outcomes[0], kind=OutcomeKind.INCOMPLETE, detail=told), *outcomes[1:])
    return Page(shown, total=total, outcomes=outcomes)


def _prepare(
    act: Act, selector: PatientSelector, only: HomeCommunityId | None = None, *, everybody: bool = False
) -> tuple[PatientInQuestion, tuple[Peer, ...], Receipts]:
    """Who is meant, as far as this hospital knows; whom to ask; and the written requests that it recorded."""
    act.direction, act.action = "asked", "E"
    with act.unit() as unit:
        person = _known_here(act, unit, selector)
        if person is not None:
            act.about(person.first)
        elif selector.record_id is not None:
            raise InvalidValue("patient", expected="a patient of this hospital, or a description of one")
        described = _describe(selector, person)
        receipts = signed_requests(act, unit, person) if person else ()
        if only is not None:
            peers = _the_one(act.house, only)
        else:
            peers = other_hospitals(act.house) if everybody else choose_peers(act.house, described)
        remember_sent(unit, peers, receipts)
        return described, peers, receipts


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
        if "fhir" not in peer.speaks:
            found, outcome, detail = _over_soap(act, asking, peer, question, kind, deadline)
        else:
            found, outcome, detail = _over_fhir(act, asking, peer, question, body, kind, deadline)
    except (PeerUnreachable, PeerTooSlow) as failure:
        return _failed(peer, OutcomeKind.SILENT, failure.reason, started)
    except (PeerBroken, BadAnswer) as failure:
        return _failed(peer, OutcomeKind.BROKEN, failure.reason, started)
    seconds = time.monotonic() - started
    return PeerAnswer(CommunityOutcome(peer.community, outcome, len(found), detail, seconds), found)


def _over_fhir(
    act: Act,
    asking: Asking,
    peer: Peer,
    question: Question,
    body: bytes,
    kind: NetworkQuestion[Thing],
    deadline: float,
) -> tuple[tuple[Thing, ...], OutcomeKind, str]:
    answer = call_peer(
        act.house,
        asking,
        peer,
        method="POST",
        path=f"/fhir/{question.resource}/_search",
        body=body,
        content_type="application/x-www-form-urlencoded",
        deadline=deadline,
    )
    if answer.status != 200:
        raise PeerBroken(f"status-{answer.status}")
    with interpreter.computing():
        return kind.read(answer.body, peer, question)


def _over_soap(
    act: Act, asking: Asking, peer: Peer, question: Question, kind: NetworkQuestion[Thing], deadline: float
) -> tuple[tuple[Thing, ...], OutcomeKind, str]:
    """The same question to a gateway; SOAP knows no search for studies, and that is said."""
    if kind.resource != DOCUMENTS.resource:
        return (), OutcomeKind.INCOMPLETE, "images of this hospital cannot be searched for over SOAP"
    found, outcome, detail = find_over_soap(act, asking, peer, question, deadline=deadline)
    return found, outcome, detail  # type: ignore[return-value]


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


def _remember(
    act: Act, answer: NetworkAnswer[Thing], patient: PatientInQuestion, search: DocumentSearch | StudySearch
) -> None:
    """Record what came back, and the way back to each entry, so that it can be opened."""
    act.direction, act.action = "received", "R"
    act.items = [item.id for item in answer.found if item.home and item.home != act.house.home]
    act.reasons.clear()
    for outcome in answer.outcomes:
        if outcome.community.home == act.house.home:
            continue
        metrics.OUTCOMES.labels(str(outcome.community.facility), outcome.kind.value).inc()
        act.reasons[f"{outcome.community.facility}:{outcome.kind.value}"] = outcome.count
    with act.unit() as unit:
        unit.remote.remember(_way_back(item, patient, act) for item in answer.found if item.home)
        remember_answers(act, unit, answer, search, patient)


def _way_back(item: DocumentEntry | Study, patient: PatientInQuestion, act: Act) -> RemoteEntry:
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
        None,
        act.now,
        item.unique_id,
        repository,
    )
