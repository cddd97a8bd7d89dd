"""One stored query to many communities: own registry and each of the others at once, under one deadline.

A gateway is asked the query itself (ITI-38), under its own number of the patient. Of a hospital that speaks FHIR alone
documents and their relations are known, so what follows from these is answered, and that there may be more is said.

Source: IHE ITI TF-2: 3.38.4.1.2, 3.38.4.1.3
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace

from adapters import interpreter
from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken, PeerTooSlow, PeerUnreachable
from adapters.peers.fhir_client import Question
from adapters.soap.writing import registry_uuid
from consent.consents import Consent
from consent.decide import Item
from consent.reasons import Reason
from hie_node import log
from hie_node.acts import Act
from hie_node.flows.ask_network import EXECUTOR, note, other_hospitals, prepare, way_back_of
from hie_node.flows.fhir_call import DOCUMENTS, ask_over_fhir
from hie_node.flows.gateway_call import query_over_soap
from hie_node.flows.last_known import decide_elsewhere, decide_on
from hie_node.flows.peer_call import Asking, Receipts
from hie_node.flows.query_registry import query_registry
from hie_node.flows.written_requests import addressed_to
from registry.answers import CommunityOutcome, OutcomeKind
from registry.commands import QueryKind, QueryRegistry
from registry.directory import Peer
from registry.documents import DocumentEntry, Folder, SubmissionSet
from registry.holdings import Holdings, NetworkHoldings, Thing, relations
from registry.identifiers import HomeCommunityId
from registry.people import PatientInQuestion
from registry.ports import RemoteEntry
from registry.searches import PatientSelector

_WHOLE_FROM_DOCUMENTS = (QueryKind.GET_DOCUMENTS, QueryKind.GET_RELATED_DOCUMENTS)
_LINKS_OF_DOCUMENTS = (QueryKind.GET_ASSOCIATIONS, QueryKind.GET_DOCUMENTS_AND_ASSOCIATIONS)
_FROM_DOCUMENTS = (QueryKind.GET_ALL, *_WHOLE_FROM_DOCUMENTS, *_LINKS_OF_DOCUMENTS)


NOTHING = Holdings()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one community has.

    only_listed  of its sets and folders nothing is known
    asked        it was; not where nothing that it could tell would be of use
    """

    outcome: CommunityOutcome
    holdings: Holdings = NOTHING
    only_listed: bool = False
    asked: bool = True


def ask_communities(
    act: Act, command: QueryRegistry, patient: PatientSelector, identifiers: tuple[str, ...] = ()
) -> NetworkHoldings:
    """All of them, or the one that the query names; `identifiers` of what it starts from there."""
    house, only = act.house, command.home
    deadline = time.monotonic() + house.settings.limits.answer_budget
    described, peers, receipts, consents = prepare(act, patient, only)
    question = Question(DOCUMENTS.resource, described, manifests=True)
    narrowed = replace(command, identifiers=identifiers)
    asked = {peer: EXECUTOR.submit(_ask_one, act, peer, question, narrowed, receipts, deadline) for peer in peers}
    own = [(house.home, _own(act, command))] if only is None else []
    with interpreter.waiting():
        wait(asked.values(), timeout=max(0.0, deadline - time.monotonic()))
    answers = [_left_of(act, _collect(act, peer, future), command, consents) for peer, future in asked.items()]
    _on_record(act, answers, described)
    return NetworkHoldings(
        (*own, *((one.outcome.community.home, one.holdings) for one in answers)),
        tuple(one.outcome for one in answers if one.asked),
        only_listed=tuple(one.outcome.community.home for one in answers if one.only_listed),
        unasked=0 if only else len(other_hospitals(house)) - len(peers),
    )


def _own(act: Act, command: QueryRegistry) -> Holdings:
    """This registry answers like any other community's, in a row of its own."""
    one = act.fork()
    one.direction, one.action = "disclosed", "R"
    return query_registry(one, command)


# ---- one community ----


def _ask_one(
    act: Act, peer: Peer, question: Question, command: QueryRegistry, receipts: Receipts, deadline: float
) -> Answer:
    """Every failure becomes its line."""
    if "xca" not in peer.speaks and command.kind not in _FROM_DOCUMENTS:
        outcome = CommunityOutcome(peer.community, OutcomeKind.INCOMPLETE, 0, "speaks FHIR alone; not asked")
        return Answer(outcome, only_listed=True, asked=False)
    started = time.monotonic()
    asking = Asking(act.caller.requester, addressed_to(peer, receipts), act.exchange)
    try:
        if "xca" in peer.speaks:
            holdings, kind, detail = query_over_soap(act, asking, peer, question, command, deadline=deadline)
            only_listed = False
        else:
            body = question.body()
            listed, kind, detail = ask_over_fhir(act, asking, peer, question, body, DOCUMENTS, deadline)
            holdings = from_documents(command, listed)
            only_listed = command.kind not in _WHOLE_FROM_DOCUMENTS and kind is not OutcomeKind.WITHHELD
    except (PeerUnreachable, PeerTooSlow) as failure:
        return _failed(peer, OutcomeKind.SILENT, failure.reason)
    except (PeerBroken, BadAnswer) as failure:
        return _failed(peer, OutcomeKind.BROKEN, failure.reason)
    outcome = CommunityOutcome(peer.community, kind, _count(holdings), detail, time.monotonic() - started)
    return Answer(outcome, holdings, only_listed)


def from_documents(command: QueryRegistry, listed: Sequence[DocumentEntry]) -> Holdings:
    """What follows from a patient's documents and their relations alone, for one of the kinds that ask for these."""
    documents = [replace(one, entry_uuid=registry_uuid(one)) for one in listed]
    links = list(relations(documents))
    if command.kind is QueryKind.GET_ALL:
        return Holdings(tuple(documents), associations=tuple(links))
    names = set(command.identifiers)
    named = [one for one in documents if {one.entry_uuid, one.unique_id} & names]
    ids = {one.entry_uuid for one in named}
    touching = tuple(one for one in links if {one.source, one.target} & ids)
    if command.kind is QueryKind.GET_DOCUMENTS:
        return Holdings(tuple(named))
    if command.kind is QueryKind.GET_RELATED_DOCUMENTS:
        touching = tuple(one for one in touching if one.kind in command.kinds)
        ends = {end for one in touching for end in (one.source, one.target)}
        return Holdings(tuple(one for one in documents if one.entry_uuid in ends), associations=touching)
    shown = named if command.kind is QueryKind.GET_DOCUMENTS_AND_ASSOCIATIONS else ()
    return Holdings(tuple(shown), associations=touching)


def _count(found: Holdings) -> int:
    return len(found.documents) + len(found.submission_sets) + len(found.folders)


def _failed(peer: Peer, kind: OutcomeKind, detail: str) -> Answer:
    return Answer(CommunityOutcome(peer.community, kind, 0, detail))


def _collect(act: Act, peer: Peer, future: Future[Answer]) -> Answer:
    if not future.done():
        future.cancel()
        return _failed(peer, OutcomeKind.SILENT, "no answer in time")
    error = future.exception()
    if error is not None:
        # a fault of ours with one hospital is its line too: the others' answers are still shown
        log.fault("ask", error, peer.community.facility.value)
        return _failed(peer, OutcomeKind.BROKEN, "could not be asked")
    return future.result()


# ---- what of it is shown, and recorded ----


def _left_of(act: Act, answer: Answer, command: QueryRegistry, consents: tuple[Consent, ...]) -> Answer:
    """What fits the query, without what the patient forbids at this hospital: of that the holder need not know."""
    came = answer.holdings
    fitting = _only(
        came,
        [one for one in came.documents if all(test(one) for test in command.documents)],
        [one for one in came.submission_sets if all(test(one) for test in command.submission_sets)],
        [one for one in came.folders if all(test(one) for test in command.folders)],
    )
    left = fitting
    if consents and not act.caller.requester.purpose.is_emergency:
        left = _permitted(act, fitting, answer.outcome.community.home, consents)
    taken = left != fitting and not (_count(left) or left.associations)
    kind = OutcomeKind.WITHHELD if taken else answer.outcome.kind
    return replace(answer, outcome=replace(answer.outcome, kind=kind, count=_count(left)), holdings=left)


def _permitted(act: Act, found: Holdings, home: HomeCommunityId, consents: tuple[Consent, ...]) -> Holdings:
    """Sets, folders and what connects things are decided like something of which nothing is known."""
    refused = [decide_elsewhere(act, one, home, consents).reason for one in found.documents]
    documents = [
        one for one, reason in zip(found.documents, refused, strict=True) if reason is not Reason.PATIENT_REFUSED
    ]
    if decide_on(act, Item(frozenset()), home, consents).reason is Reason.PATIENT_REFUSED:
        return Holdings(tuple(documents))
    return _only(found, documents, found.submission_sets, found.folders)


def _only(
    found: Holdings, documents: Sequence[DocumentEntry], sets: Sequence[SubmissionSet], folders: Sequence[Folder]
) -> Holdings:
    """These of the things that were found, and no association of another of them."""
    left = _uuids((*documents, *sets, *folders))
    gone = _uuids((*found.documents, *found.submission_sets, *found.folders)) - left
    links = tuple(one for one in found.associations if not {one.source, one.target} & gone)
    return Holdings(tuple(documents), tuple(sets), tuple(folders), links)


def _uuids(things: Sequence[Thing]) -> set[str]:
    return {one.entry_uuid for one in things}


def _on_record(act: Act, answers: Sequence[Answer], patient: PatientInQuestion) -> None:
    """What came, and the way back to each thing, so that it can be named in the next query."""
    ways: list[RemoteEntry] = []
    for one in answers:
        ways += [way_back_of(document, patient, act) for document in one.holdings.documents]
        packages: list[SubmissionSet | Folder] = [*one.holdings.submission_sets, *one.holdings.folders]
        ways += [_way_back(package, one, patient, act) for package in packages]
    note(act, [one.outcome for one in answers], [one.id for one in ways])
    act.heard = [one.outcome for one in answers if one.asked]
    with act.unit() as unit:
        unit.remote.remember(ways)


def _way_back(package: SubmissionSet | Folder, answer: Answer, patient: PatientInQuestion, act: Act) -> RemoteEntry:
    community = answer.outcome.community
    return RemoteEntry(
        id=f"{community.facility}.{package.id}",
        kind="folder" if isinstance(package, Folder) else "submission-set",
        home=community.home,
        remote_id=package.id,
        question=patient,
        content_type=None,
        size=None,
        hash=None,
        study_instance_uid=None,
        seen=act.now,
        unique_id=package.unique_id,
        over_soap=True,
        entry_uuid=package.entry_uuid,
    )
