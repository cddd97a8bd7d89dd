"""One question to a hospital that speaks SOAP: who is it there, then what is there of them, each in one round trip.

The number that a hospital told is kept for some hours, so that the next question is one round trip as well.

Source: IHE ITI TF-2: 3.55.4.1.3 (caching correlations), 3.38, 3.39
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

from adapters.peers import xca_client
from adapters.peers.errors import PeerBroken
from adapters.peers.fhir_client import Question
from adapters.peers.transport import PeerResponse, PeerStream
from adapters.trust.peer_tokens import receipt_hash
from adapters.trust.saml import make_assertion
from hie_node.acts import Act
from hie_node.flows.peer_call import RECEIPT_HEADER, Asking
from hie_node.house import House
from registry.answers import OutcomeKind
from registry.directory import Peer
from registry.documents import DocumentEntry, DocumentStatus
from registry.errors import NotFound
from registry.identifiers import PatientIdentifier
from registry.ports import Correlation, RemoteEntry

DISCOVERY_EXCHANGE = "-discovery"
"""Behind the id of the question, in the record of the hospital that was asked who the patient is there."""


def find_over_soap(
    act: Act, asking: Asking, peer: Peer, question: Question, *, deadline: float
) -> tuple[tuple[DocumentEntry, ...], OutcomeKind, str]:
    """Documents of the patient at a gateway. Raises PeerError and BadAnswer, as over FHIR."""
    number = _number_there(act, asking, peer, question, deadline=deadline)
    if isinstance(number, OutcomeKind):
        # with the patient's request in its hands a hospital that finds nobody has said that nothing is there
        nothing = number is OutcomeKind.WITHHELD and bool(asking.receipts)
        return (), OutcomeKind.ANSWERED if nothing else number, ""
    body = xca_client.find_documents(number, peer.home, _statuses(question))
    answer = _call(act.house, asking, peer, "query", xca_client.QUERY_ACTION, body, asking.exchange, deadline)
    return xca_client.read_found(answer.body, _type(answer), peer, question, number)


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
    body = xca_client.discovery(question.patient, home=house.home, to=peer.home, now=house.now())
    exchange = asking.exchange + DISCOVERY_EXCHANGE
    answer = _call(house, asking, peer, "discovery", xca_client.DISCOVERY, body, exchange, deadline)
    found = xca_client.read_discovered(answer.body, _type(answer), peer)
    if isinstance(found, PatientIdentifier):
        expires = house.now() + timedelta(hours=house.settings.limits.correlation)
        with house.storage.begin() as unit:
            unit.correlations.keep(Correlation(peer.home, False, found, act.record_id or "", mark, expires))
    return found


def _call(
    house: House, asking: Asking, peer: Peer, of: str, action: str, body: str, exchange: str, deadline: float
) -> PeerResponse:
    envelope = xca_client.question(action, body, _security(house, asking, peer, exchange))
    headers = {"Content-Type": f'application/soap+xml; charset=UTF-8; action="{action}"', **_receipts(asking)}
    most = house.settings.limits.peer_answer
    answer = house.transport.request(peer, "POST", peer.path(of), headers, envelope, deadline=deadline, max_bytes=most)
    if answer.status != 200:
        raise PeerBroken(f"status-{answer.status}", peer.home)
    return answer


def _security(house: House, asking: Asking, peer: Peer, exchange: str) -> str:
    return make_assertion(
        house.keys,
        asking.requester,
        audience=peer.home,
        now=house.now(),
        assertion_id=exchange,
        receipts=[receipt_hash(jws) for _, jws in asking.receipts],
    )


def _receipts(asking: Asking) -> dict[str, str]:
    return {RECEIPT_HEADER: ",".join(jws for _, jws in asking.receipts)} if asking.receipts else {}


def _type(answer: Any) -> str:
    found: str = answer.headers.get("content-type", "")
    return found


def open_over_soap(
    house: House, asking: Asking, peer: Peer, remote: RemoteEntry, stack: ExitStack, *, deadline: float
) -> tuple[PeerStream, str]:
    """The answer to ITI-39 as it flows, and its type. What the holder refuses is not here."""
    body = xca_client.retrieve(peer.home, remote.repository or "", remote.unique_id or "")
    boundary = uuid4().hex
    envelope = xca_client.question(
        xca_client.RETRIEVE_ACTION, body, _security(house, asking, peer, asking.exchange or uuid4().hex)
    )
    kind = f'multipart/related; boundary="{boundary}"; type="application/xop+xml"; start="<root@hie-node>"; '
    kind += f'start-info="application/soap+xml"; action="{xca_client.RETRIEVE_ACTION}"'
    headers = {"Content-Type": kind, **_receipts(asking)}
    stream = stack.enter_context(
        house.transport.stream(
            peer,
            "POST",
            peer.path("retrieve"),
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
    return stream, _type(stream)
