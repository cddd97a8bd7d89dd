"""One question to a hospital that speaks FHIR, and its studies as manifests where who asks knows only documents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic

from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken, PeerTooSlow, PeerUnreachable
from adapters.peers.fhir_client import Question, read_documents, read_studies
from consent.reconciling import STUDIES as BESIDE_STUDIES
from hie_node.acts import Act
from hie_node.flows.page_by_page import PageByPage, Read, Thing
from hie_node.flows.peer_call import Asking
from hie_node.flows.remote_manifests import manifests_of
from registry.answers import OutcomeKind
from registry.directory import Peer
from registry.documents import DocumentEntry
from registry.studies import Study


@dataclass(frozen=True, slots=True)
class NetworkQuestion(Generic[Thing]):
    """One kind of question to a peer: the resource it is about, and how its answer is read."""

    resource: str
    read: Read[Thing]


DOCUMENTS: NetworkQuestion[DocumentEntry] = NetworkQuestion("DocumentReference", read_documents)
STUDIES: NetworkQuestion[Study] = NetworkQuestion("ImagingStudy", read_studies)


def ask_over_fhir(
    act: Act,
    asking: Asking,
    peer: Peer,
    question: Question,
    body: bytes,
    kind: NetworkQuestion[Thing],
    deadline: float,
) -> tuple[tuple[Thing, ...], OutcomeKind, str]:
    found, outcome, detail = PageByPage(act, asking, peer, question, kind.read, deadline).all(body)
    if not question.manifests or outcome is OutcomeKind.WITHHELD:
        return found, outcome, detail
    studies, whole = _studies_beside(act, asking, peer, question, deadline)
    listed: tuple[Thing, ...] = (*found, *manifests_of(studies, question.patient))  # type: ignore[has-type, arg-type]
    if not whole and outcome is OutcomeKind.ANSWERED:
        outcome, detail = OutcomeKind.INCOMPLETE, "not all images of this hospital are listed"
    return listed, outcome, detail


def _studies_beside(
    act: Act, asking: Asking, peer: Peer, question: Question, deadline: float
) -> tuple[tuple[Study, ...], bool]:
    """The studies at a hospital that has no manifests, and whether these are all that it shows."""
    beside = Question(STUDIES.resource, question.patient)
    asking = replace(asking, exchange=asking.exchange + BESIDE_STUDIES)
    try:
        found, outcome, _ = ask_over_fhir(act, asking, peer, beside, beside.body(), STUDIES, deadline)
    except (PeerBroken, PeerUnreachable, PeerTooSlow, BadAnswer):
        return (), False
    return found, outcome in (OutcomeKind.ANSWERED, OutcomeKind.WITHHELD)
