"""Read one entry that another hospital listed: asked of its holder again, who decides again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken, PeerTooSlow, PeerUnreachable
from adapters.peers.fhir_client import Question
from hie_node.acts import Act
from hie_node.flows.at_holder import way_back
from hie_node.flows.fhir_call import DOCUMENTS, STUDIES, NetworkQuestion
from hie_node.flows.find import read_document, read_study
from hie_node.flows.gateway_call import find_over_soap
from hie_node.flows.gateway_studies import find_studies_over_soap
from hie_node.flows.held import FROM_HERE, held_listing, may_show_alone, tell_later
from hie_node.flows.page_by_page import Thing
from hie_node.flows.peer_call import Asking, call_peer
from registry.answers import OutcomeKind
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
        found = listed_again(act, asking, remote, peer, kind)
    except BadAnswer as error:
        raise PeerBroken(error.reason) from error
    except (PeerUnreachable, PeerTooSlow):
        held = held_listing(act, remote)
        if held is None or not may_show_alone(act, held):
            raise
        path = f"/fhir/{kind.resource}/{remote.remote_id}" if "fhir" in peer.speaks else ""
        tell_later(act, held, remote, path=path, accept="application/fhir+json")
        found = (held.item,)  # type: ignore[assignment]
        act.reasons[FROM_HERE] = 1
    wanted = next((item for item in found if item.id == entry_id), None)
    if wanted is None:
        raise NotFound("this entry of another hospital")
    act.direction, act.action = "received", "R"
    with act.unit() as unit:
        unit.remote.remember([replace(remote, seen=act.now)])
    return wanted


def listed_again(
    act: Act, asking: Asking, remote: RemoteEntry, peer: Peer, kind: NetworkQuestion[Thing]
) -> tuple[Thing, ...]:
    """What the holder lists now for the same person: this entry, or over SOAP all of them."""
    is_document = kind.resource == DOCUMENTS.resource
    if "fhir" not in peer.speaks or (remote.over_soap and is_document):
        deadline = time.monotonic() + act.house.settings.limits.answer_budget
        find: Callable[..., tuple[tuple[Thing, ...], OutcomeKind, str]]
        find = find_over_soap if is_document else find_studies_over_soap  # type: ignore[assignment]
        return find(act, asking, peer, Question(kind.resource, remote.question), deadline=deadline)[0]
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
    found = kind.read(answer.body, peer, question).found
    return found
