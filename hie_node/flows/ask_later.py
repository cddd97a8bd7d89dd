"""A question for a patient to a hospital that answers later; and its answer, when that comes.

Until then the line of that hospital says so. The answer is taken once, from the hospital that was asked, for a question
that stands; a number is kept like one that was told at once, and anything else holds for an hour.

Source: IHE ITI TF-2: 3.55.6.2 (Deferred Response option), 3.55.4.1.3 (caching correlations)
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from uuid import uuid4

from adapters.peers import xca_client
from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken
from adapters.peers.fhir_client import Question
from adapters.soap.iti55_deferred import read_acknowledgement
from adapters.trust.peer_tokens import receipt_hash
from consent.reconciling import DISCOVERY
from hie_node.acts import Act
from hie_node.flows.peer_call import Asking
from hie_node.flows.soap_call import call
from hie_node.house import House
from registry.answers import OutcomeKind
from registry.commands import TakeDiscovery
from registry.directory import Peer
from registry.errors import InvalidValue
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.ports import Correlation, DeferredQuestion

_HOLDS = (OutcomeKind.WITHHELD, OutcomeKind.NOT_UNIQUE)
"""After a refusal, and when a number that was told has had its time, the question is put anew."""
AWAITED_FOR = timedelta(hours=24)
"""As long as a node tries to answer."""
HOLDS_FOR = timedelta(hours=1)
"""An answer without a number: long enough for who asked to read it, short enough for what changes there meanwhile."""


def ask_later(act: Act, asking: Asking, peer: Peer, question: Question, *, deadline: float) -> OutcomeKind:
    """What the hospital answered to this question, DEFERRED until it did. Raises PeerError and BadAnswer.

    What was not acknowledged is sent again under the same id, so that it is one question there as well.
    """
    standing = _standing(act, asking, peer, question)
    if standing.outcome is not None:
        return standing.outcome
    if not standing.acknowledged:
        _send(act.house, asking, peer, question, standing, deadline=deadline)
    return OutcomeKind.DEFERRED


def _standing(act: Act, asking: Asking, peer: Peer, question: Question) -> DeferredQuestion:
    """The question as it was put before, else anew."""
    now, described = act.house.now(), xca_client.fingerprint(question.patient)
    requests = sorted(receipt_hash(jws) for _, jws in asking.receipts)
    asker = asking.requester
    words = [described, asker.subject, asker.role.value, asker.purpose.value, *requests]
    mark = sha256("\n".join(words).encode()).hexdigest()
    with act.house.storage.begin() as unit:
        known = unit.deferred.put(peer.home, mark, now=now)
        if known is not None and known.outcome in (None, *_HOLDS):
            return known
        new = DeferredQuestion(
            str(uuid4()), peer.home, mark, described, act.record_id or "", asking.exchange, now + AWAITED_FOR
        )
        unit.deferred.keep(new)
        return new


def _send(
    house: House, asking: Asking, peer: Peer, question: Question, standing: DeferredQuestion, *, deadline: float
) -> None:
    own = house.directory.current().peer(house.home)
    respond_to = own.peer_url + own.path("deferred") if own else house.settings.peer.url + "/xcpd"
    body = xca_client.discovery(
        question.patient, home=house.home, to=peer.home, now=house.now(), later=(standing.id, respond_to)
    )
    message = ("discovery", xca_client.DEFERRED_DISCOVERY, body)
    answer = call(house, asking, peer, message, exchange=asking.exchange + DISCOVERY, deadline=deadline)
    code = read_acknowledgement(answer.body)
    with house.storage.begin() as unit:
        now = unit.deferred.named(standing.id, of=peer.home, now=house.now())
        if code == "CE":
            unit.deferred.drop(standing)
        elif code == "CA" and now is not None:
            # the answer may have come before its acknowledgement
            unit.deferred.keep(replace(now, acknowledged=True))
    if code == "CE":
        raise BadAnswer("the question for the patient was refused")
    if code != "CA":
        raise PeerBroken("try-again", peer.home)


def take_discovery(act: Act, command: TakeDiscovery) -> None:
    """ITI-55, deferred, at the peer door. The same answer again changes nothing.

    Raises InvalidValue for an answer that nobody waits for, of a community that was not asked, or another than before.
    """
    act.transaction, act.direction, act.action = "ITI-55", "received", "E"
    home = act.caller.requester.home
    with act.unit() as unit:
        question = unit.deferred.named(command.question, of=home, now=act.now)
        if question is None:
            raise InvalidValue("targetMessage", expected="a question of this hospital to you that still stands")
        if isinstance(command.told, PatientIdentifier) and command.community != str(home):
            raise InvalidValue("custodian", expected="the community that was asked")
        act.exchange, act.record_id = question.exchange + DISCOVERY, question.record_id or None
        record = unit.patients.record_by_id(question.record_id) if question.record_id else None
        if record is not None:
            act.about(record)
        answered = _answered(question, command, act)
        if question.answer:
            if question.answer != answered.answer:
                raise InvalidValue("targetMessage", expected="a question that you have not answered otherwise")
            return
        unit.deferred.keep(answered)
        if isinstance(command.told, PatientIdentifier):
            unit.correlations.keep(_correlation(home, command.told, question, act))


def _answered(question: DeferredQuestion, command: TakeDiscovery, act: Act) -> DeferredQuestion:
    told = command.told
    number = f"{told.system}|{told.value}" if isinstance(told, PatientIdentifier) else told.value
    outcome = OutcomeKind.ANSWERED if isinstance(told, PatientIdentifier) else told
    digest = sha256(f"{question.id} {number}".encode()).hexdigest()
    return replace(question, outcome=outcome, answer=digest, expires=act.now + HOLDS_FOR)


def _correlation(home: HomeCommunityId, number: PatientIdentifier, question: DeferredQuestion, act: Act) -> Correlation:
    expires = act.now + timedelta(hours=act.house.settings.limits.correlation)
    return Correlation(home, False, number, question.record_id, question.description, expires)
