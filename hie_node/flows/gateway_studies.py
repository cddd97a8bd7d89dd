"""Studies of a hospital that speaks only SOAP: each goes by its manifest, and is shown where its copy is here.

Such a hospital lists documents. A manifest among them names the objects of a study, and another one takes its place
when the study has changed (RPLC), so the entry of the manifest stands for the state of the study. Before a copy is
shown the holder is asked what it lists of the patient now: it decides and records as ever.

Source: IHE RAD TF-2: 4.68.4.1.2, 4.75; IHE ITI TF-2: 3.38
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import attrgetter

from adapters.dicom.manifest import read_series
from adapters.dicom.network.services import TRANSFER_SYNTAXES
from adapters.peers.fhir_client import Question
from consent.reconciling import IMAGES
from hie_node.acts import Act
from hie_node.flows.gateway_call import find_over_soap
from hie_node.flows.peer_call import Asking
from registry.ahead import Piece
from registry.answers import OutcomeKind
from registry.commands import DocumentAsked
from registry.directory import Peer
from registry.documents import DocumentEntry, DocumentStatus
from registry.errors import Unreadable
from registry.image_sets import ImageAsked, RetrieveImages
from registry.manifests import study_listed_in
from registry.ports import RemoteEntry
from registry.studies import Series, Study

LOCATIONS, MANIFESTS = "RetrieveLocationUID", "Manifests"
"""In `Study.extra`: the repositoryUniqueId of each series, by its UID; and by which manifests it is known."""
LONGEST_MANIFEST = 16 << 20
NOT_HERE = "images of this hospital cannot be searched for over SOAP before they are here"


Manifests = tuple[DocumentEntry, ...]
"""All that a hospital lists of one study now, in the order of their ids; nearly always one."""


def manifests_by_study(listed: Iterable[DocumentEntry]) -> dict[str, Manifests]:
    """By Study Instance UID. What was replaced says nothing any more."""
    found: dict[str, Manifests] = {}
    for one in sorted(listed, key=attrgetter("id")):
        uid = study_listed_in(one)
        if uid is not None and one.status is DocumentStatus.CURRENT:
            found[uid] = (*found.get(uid, ()), one)
    return found


def state_of(manifests: Manifests) -> str:
    """Another manifest, another state."""
    return " ".join(one.id for one in manifests)


def state_of_study(study: Study) -> str:
    """That in which it was listed when it came; empty for one that came otherwise."""
    return str(study.extra.get(MANIFESTS, ""))


def study_of(uid: str, manifests: Manifests, contents: Iterable[bytes]) -> Study:
    """The study that manifests of another hospital list. Raises Unreadable, InvalidValue."""
    first, locations = manifests[0], {}
    series: dict[str, Series] = {}
    for manifest, content in zip(manifests, contents, strict=True):
        listed = read_series(content).get(uid)
        if not listed:
            raise Unreadable("manifest", "it lists another study than its entry names")
        for one in listed:
            name = one.series.series_instance_uid
            known = series.get(name)
            series[name] = replace(known, instances=known.instances + one.series.instances) if known else one.series
            locations[name] = one.location or manifest.repository
    return Study(
        id=first.id + IMAGES,
        study_instance_uid=uid,
        patient=first.patient,
        record_id="",
        started=first.start,
        description=first.attachment.title,
        series=tuple(series.values()),
        home=first.home,
        extra={LOCATIONS: locations, MANIFESTS: state_of(manifests)},
    )


def gathered(content: Iterator[bytes]) -> bytes:
    """A manifest in memory. Raises Unreadable for one that is too long."""
    found = bytearray()
    for piece in content:
        found += piece
        if len(found) > LONGEST_MANIFEST:
            raise Unreadable("manifest", f"longer than {LONGEST_MANIFEST >> 20} MiB")
    return bytes(found)


def images_of(piece: Piece) -> RetrieveImages:
    """The objects of a piece, as RAD-75 asks for them."""
    study, series = piece.study, piece.series.series_instance_uid
    at = str(study.extra[LOCATIONS][series])
    wanted = tuple(
        ImageAsked(study.study_instance_uid, series, DocumentAsked(at, f"urn:oid:{one.sop_instance_uid}", study.home))
        for one in piece.series.instances
        if one.sop_instance_uid in piece.uids
    )
    return RetrieveImages(wanted, TRANSFER_SYNTAXES)


def find_studies_over_soap(
    act: Act, asking: Asking, peer: Peer, question: Question, *, deadline: float
) -> tuple[tuple[Study, ...], OutcomeKind, str]:
    """Those whose manifest the holder lists now and whose copies are here; of others it is said that they may be there.

    Raises PeerError and BadAnswer.
    """
    copies = {state_of_study(one): one for one in _copies(act, peer)}
    if not copies:
        return (), OutcomeKind.INCOMPLETE, NOT_HERE
    found, outcome, detail = find_over_soap(act, asking, peer, question, deadline=deadline)
    listed = [state_of(manifests) for manifests in manifests_by_study(found).values()]
    studies = tuple(copies[one] for one in listed if one in copies)
    if len(studies) < len(listed) and outcome is OutcomeKind.ANSWERED:
        outcome, detail = OutcomeKind.INCOMPLETE, NOT_HERE
    return studies, outcome, detail


def _copies(act: Act, peer: Peer) -> Iterator[Study]:
    """Those that are here whole, in the state in which they were last listed."""
    with act.house.storage.read() as unit:
        for whole in unit.ahead.of_sender(peer.home):
            if whole.expires > act.now:
                for one in unit.ahead.studies_of(whole.id):
                    here = unit.ahead.instances_of(whole.id, one.study.study_instance_uid)
                    missing = {each.sop_instance_uid for each in one.study.selected()}
                    missing -= {each.instance.sop_instance_uid for each in here}
                    if one.fingerprint and one.fingerprint == state_of_study(one.study) and not missing:
                        yield one.study


def state_listed(act: Act, asking: Asking, peer: Peer, remote: RemoteEntry) -> str | None:
    """How the holder lists a document or a study now: its hash, or its state. None where it shows it no more.

    Raises PeerError and BadAnswer.
    """
    deadline = time.monotonic() + act.house.settings.limits.answer_budget
    question = Question("DocumentReference", remote.question)
    listed, _, _ = find_over_soap(act, asking, peer, question, deadline=deadline)
    if remote.kind == "document":
        return next((one.attachment.hash for one in listed if one.id == remote.id), None)
    manifests = manifests_by_study(listed).get(remote.study_instance_uid or "")
    return state_of(manifests) if manifests else None
