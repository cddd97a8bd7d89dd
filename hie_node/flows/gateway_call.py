"""One question to a hospital that speaks SOAP: who is it there, then what is there of them, each in one round trip.

The number that a hospital told is kept for some hours, so that the next question is one round trip as well.

Source: IHE ITI TF-2: 3.55.4.1.3 (caching correlations), 3.38, 3.39
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import timedelta
from itertools import count
from uuid import uuid4

from adapters.peers import xca_client, xca_holdings, xca_images
from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken, PeerError
from adapters.peers.fhir_client import MORE_THAN_TAKEN, Question
from adapters.peers.transport import PeerResponse, PeerStream
from consent.reconciling import DISCOVERY, PAGE
from hie_node.acts import Act
from hie_node.flows.ask_later import ask_later
from hie_node.flows.page_by_page import ANSWERS_IN_A_LIST
from hie_node.flows.peer_call import Asking
from hie_node.flows.soap_call import call, receipts_beside, security_of, type_of
from hie_node.house import House
from registry.answers import OutcomeKind
from registry.commands import QueryRegistry
from registry.directory import Peer
from registry.documents import DocumentEntry, DocumentStatus
from registry.errors import NotFound
from registry.holdings import Holdings
from registry.identifiers import PatientIdentifier
from registry.image_sets import RetrieveImages
from registry.ports import Correlation, RemoteEntry

PART = 50
"""Entries that are asked for at once where all of them were too much; some 5 KB each in ebXML."""


def find_over_soap(
    act: Act, asking: Asking, peer: Peer, question: Question, *, deadline: float
) -> tuple[tuple[DocumentEntry, ...], OutcomeKind, str]:
    """Documents of the patient at a gateway. Raises PeerError and BadAnswer, as over FHIR."""
    number = _number_there(act, asking, peer, question, deadline=deadline)
    if isinstance(number, OutcomeKind):
        return (), _without_number(number, asking), ""
    body = xca_client.find_documents(number, peer.home, _statuses(question))
    message = ("query", xca_client.QUERY_ACTION, body)
    try:
        answer = call(act.house, asking, peer, message, exchange=asking.exchange, deadline=deadline)
    except PeerBroken as failure:
        if failure.reason != "too-much":
            raise
        return _in_parts(act, asking, peer, question, number, deadline=deadline)
    return xca_client.read_found(answer.body, type_of(answer), peer, question, number)


def query_over_soap(
    act: Act, asking: Asking, peer: Peer, question: Question, command: QueryRegistry, *, deadline: float
) -> tuple[Holdings, OutcomeKind, str]:
    """A stored query at a gateway, as it was asked here. Raises PeerError and BadAnswer."""
    number = _number_there(act, asking, peer, question, deadline=deadline)
    if isinstance(number, OutcomeKind):
        return Holdings(), _without_number(number, asking), ""
    assert command.as_asked is not None
    body = xca_holdings.pass_on(command.as_asked, peer.home, number, command.identifiers)
    message = ("query", xca_client.QUERY_ACTION, body)
    answer = call(act.house, asking, peer, message, exchange=asking.exchange, deadline=deadline)
    return xca_holdings.read_holdings(answer.body, type_of(answer), peer, question, number)


def _without_number(outcome: OutcomeKind, asking: Asking) -> OutcomeKind:
    # with the patient's request in its hands a hospital that finds nobody has said that nothing is there
    return OutcomeKind.ANSWERED if outcome is OutcomeKind.WITHHELD and asking.receipts else outcome


def _in_parts(
    act: Act, asking: Asking, peer: Peer, question: Question, number: PatientIdentifier, *, deadline: float
) -> tuple[tuple[DocumentEntry, ...], OutcomeKind, str]:
    """A list that is too much for one answer: which documents there are, then some of them at a time.

    Within the bounds that a list over FHIR has; what is left is said.
    """
    limits = act.house.settings.limits
    asked = count(2)

    def ask(body: str) -> PeerResponse:
        exchange = f"{asking.exchange}{PAGE}{next(asked)}"
        message = ("query", xca_client.QUERY_ACTION, body)
        return call(act.house, asking, peer, message, exchange=exchange, deadline=deadline)

    answer = ask(xca_client.find_documents(number, peer.home, _statuses(question), whole=False))
    listed = xca_client.read_references(answer.body, type_of(answer))
    found: list[DocumentEntry] = []
    size, slowest = len(answer.body), 0.0
    for start in range(0, min(len(listed), limits.peer_entries), PART):
        began = time.monotonic()
        if size > (ANSWERS_IN_A_LIST - 1) * limits.peer_answer or began + 3 * slowest >= deadline:
            break
        wanted = listed[start : start + PART]
        try:
            answer = ask(xca_client.get_documents(wanted, peer.home))
        except PeerError:
            break
        part, _, _ = xca_client.read_found(answer.body, type_of(answer), peer, question, number)
        if not {one.entry_uuid for one in part} <= set(wanted):
            raise BadAnswer("a document that was not asked for")
        found += part
        size, slowest = size + len(answer.body), max(slowest, time.monotonic() - began)
    if len(found) == len(listed):
        return tuple(found), OutcomeKind.ANSWERED, ""
    return tuple(found), OutcomeKind.INCOMPLETE, MORE_THAN_TAKEN


def _statuses(question: Question) -> tuple[DocumentStatus, ...]:
    wanted = dict(question.conditions).get("status", "")
    return tuple(map(DocumentStatus, wanted.split(","))) if wanted else tuple(DocumentStatus)


def _number_there(
    act: Act, asking: Asking, peer: Peer, question: Question, *, deadline: float
) -> PatientIdentifier | OutcomeKind:
    house, mark = act.house, xca_client.fingerprint(question.patient)
    with house.storage.read() as unit:
        known = unit.correlations.learnt(peer.home, mark, now=house.now())
    if known is not None:
        return known.number
    if peer.defers:
        return ask_later(act, asking, peer, question, deadline=deadline)
    body = xca_client.discovery(question.patient, home=house.home, to=peer.home, now=house.now())
    message = ("discovery", xca_client.DISCOVERY, body)
    answer = call(house, asking, peer, message, exchange=asking.exchange + DISCOVERY, deadline=deadline)
    found = xca_client.read_discovered(answer.body, type_of(answer), peer)
    if isinstance(found, PatientIdentifier):
        expires = house.now() + timedelta(hours=house.settings.limits.correlation)
        with house.storage.begin() as unit:
            unit.correlations.keep(Correlation(peer.home, False, found, act.record_id or "", mark, expires))
    return found


def open_over_soap(
    house: House, asking: Asking, peer: Peer, remote: RemoteEntry, stack: ExitStack, *, deadline: float
) -> tuple[PeerStream, str]:
    """The answer to ITI-39 as it flows, and its type. What the holder refuses is not here."""
    body = xca_client.retrieve(peer.home, remote.repository or "", remote.unique_id or "")
    return _opened(house, asking, peer, ("retrieve", xca_client.RETRIEVE_ACTION, body), stack, deadline=deadline)


def open_images(
    house: House, asking: Asking, peer: Peer, command: RetrieveImages, stack: ExitStack, *, deadline: float
) -> tuple[PeerStream, str]:
    """The answer to RAD-75 as it flows, and its type."""
    body = xca_images.question(peer.home, command)
    return _opened(house, asking, peer, ("images", xca_images.ACTION, body), stack, deadline=deadline)


def _opened(
    house: House, asking: Asking, peer: Peer, message: tuple[str, str, str], stack: ExitStack, *, deadline: float
) -> tuple[PeerStream, str]:
    """What comes back for a message, given as address, action and body, that is sent as a package."""
    of, action, body = message
    boundary = uuid4().hex
    envelope = xca_client.question(action, body, security_of(house, asking, peer, asking.exchange or uuid4().hex))
    kind = f'multipart/related; boundary="{boundary}"; type="application/xop+xml"; start="<root@hie-node>"; '
    kind += f'start-info="application/soap+xml"; action="{action}"'
    headers = {"Content-Type": kind, **receipts_beside(asking)}
    stream = stack.enter_context(
        house.transport.stream(
            peer,
            "POST",
            peer.path(of),
            headers,
            xca_client.as_package(envelope, boundary),
            deadline=deadline,
            max_bytes=house.settings.limits.dicom_body,
        )
    )
    if stream.status in (401, 403):
        raise NotFound("this entry of another hospital")
    if stream.status != 200:
        raise PeerBroken(f"status-{stream.status}", peer.home)
    return stream, type_of(stream)
