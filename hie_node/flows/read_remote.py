"""Read one entry that another hospital listed: asked of its holder again, who decides again."""

from __future__ import annotations

from dataclasses import replace

from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken
from adapters.peers.fhir_client import Question
from hie_node.acts import Act
from hie_node.flows.ask_network import DOCUMENTS, STUDIES, NetworkQuestion, Thing
from hie_node.flows.fetch import way_back
from hie_node.flows.find import read_document, read_study
from hie_node.flows.peer_call import Asking, call_peer
from registry.commands import ReadDocument, ReadStudy
from registry.documents import DocumentEntry
from registry.errors import NotFound
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
    question = Question(kind.resource, remote.question, (("_id", remote.remote_id),))
    answer = call_peer(
        act.house,
        Asking(act.caller.requester, receipts, act.exchange),
        peer,
        method="POST",
        path=f"/fhir/{kind.resource}/_search",
        body=question.body(),
        content_type="application/x-www-form-urlencoded",
    )
    if answer.status != 200:
        raise PeerBroken(f"status-{answer.status}")
    try:
        found, _, _ = kind.read(answer.body, peer, question)
    except BadAnswer as error:
        raise PeerBroken(error.reason) from error
    wanted = next((item for item in found if item.id == entry_id), None)
    if wanted is None:
        raise NotFound("this entry of another hospital")
    act.direction, act.action = "received", "R"
    with act.unit() as unit:
        unit.remote.remember([replace(remote, seen=act.now)])
    return wanted
