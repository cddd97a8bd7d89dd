"""Read one entry that another hospital listed: asked of its holder again, who decides again."""

from __future__ import annotations

import time
from dataclasses import replace

from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken
from adapters.peers.fhir_client import Question
from hie_node.acts import Act
from hie_node.flows.ask_network import DOCUMENTS, STUDIES, NetworkQuestion, Thing
from hie_node.flows.fetch import way_back
from hie_node.flows.find import read_document, read_study
from hie_node.flows.gateway_call import find_over_soap
from hie_node.flows.peer_call import Asking, call_peer
from registry.commands import ReadDocument, ReadStudy
from registry.directory import Peer
from registry.documents import DocumentEntry
from registry.errors import NotFound
from registry.ports import RemoteEntry
from registry.studies import Study


def read_document_anywhere(act: Act, command: ReadDocument) -> DocumentEntry:
    """The metadata of a document of this hospital, or of one that another hospital listed."""
    if "." not in command.id:
        return read_document(act, command)
    return _read(act, command.id, DOCUMENTS)


def read_study_anywhere(act: Act, command: ReadStudy) -> Study:
    """A study of the own index, or one that another hospital listed."""
    if "." not in command.id:
        return read_study(act, command)
    return _read(act, command.id, STUDIES)


def _read(act: Act, entry_id: str, kind: NetworkQuestion[Thing]) -> Thing:
    """Ask for the same person as when it was listed, so that the holder can tell who is meant."""
    remote, peer, receipts = way_back(act, lambda unit: unit.remote.entry(entry_id))
    asking = Asking(act.caller.requester, receipts, act.exchange)
    try:
        found = _listed_again(act, asking, remote, peer, kind)
    except BadAnswer as error:
        raise PeerBroken(error.reason) from error
    wanted = next((item for item in found if item.id == entry_id), None)
    if wanted is None:
        raise NotFound("this entry of another hospital")
    act.direction, act.action = "received", "R"
    with act.unit() as unit:
        unit.remote.remember([replace(remote, seen=act.now)])
    return wanted


def _listed_again(
    act: Act, asking: Asking, remote: RemoteEntry, peer: Peer, kind: NetworkQuestion[Thing]
) -> tuple[Thing, ...]:
    """What the holder lists now for the same person: this entry, or over SOAP all of them."""
    if "fhir" not in peer.speaks and kind.resource == DOCUMENTS.resource:
        deadline = time.monotonic() + act.house.settings.limits.answer_budget
        all_of_them, _, _ = find_over_soap(
            act, asking, peer, Question(kind.resource, remote.question), deadline=deadline
        )
        return all_of_them  # type: ignore[return-value]
    question = Question(kind.resource, remote.question, (("_id", remote.remote_id),))
    answer = call_peer(
        act.house,
        asking,
        peer,
        method="POST",
        path=f"/fhir/{kind.resource}/_search",
        body=question.body(),
        content_type="application/x-www-form-urlencoded",
    )
    if answer.status != 200:
        raise PeerBroken(f"status-{answer.status}")
    found, _, _ = kind.read(answer.body, peer, question)
    return found
