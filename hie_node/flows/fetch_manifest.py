"""Retrieve the manifest of a study at a hospital that speaks no SOAP: its holder lists the study again, and decides."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken
from hie_node.acts import Act
from hie_node.flows.at_holder import way_back
from hie_node.flows.fhir_call import STUDIES
from hie_node.flows.peer_call import Asking, Receipts
from hie_node.flows.read_remote import listed_again
from hie_node.flows.remote_manifests import made_of
from hie_node.flows.streaming import Begun, Transfer, arriving
from hie_node.flows.written_requests import still_asked_for
from registry.commands import Retrieved
from registry.errors import NotFound
from registry.manifests import key_of
from registry.ports import RemoteEntry


def is_made_here(remote: RemoteEntry) -> bool:
    """A document of another hospital that this node made of what that one lists."""
    return not remote.over_soap and bool(remote.study_instance_uid) and key_of(remote.unique_id or "") is not None


def fetch_manifest(act: Act, remote: RemoteEntry) -> Retrieved:
    """Raises NotFound where the holder lists the study no more, or another state of it."""
    _, peer, receipts = way_back(act, lambda unit: unit.remote.entry(remote.id))
    asking = Asking(act.caller.requester, receipts, act.exchange)
    try:
        studies = listed_again(act, asking, remote, peer, STUDIES)
    except BadAnswer as error:
        raise PeerBroken(error.reason, peer.home) from error
    study = next((one for one in studies if one.study_instance_uid == remote.study_instance_uid), None)
    manifest = made_of(study, remote.question) if study is not None else None
    if manifest is None or manifest.entry.unique_id != remote.unique_id:
        raise NotFound("this entry of another hospital")
    content = Begun(_passed(act, manifest.content, receipts))
    return Retrieved(manifest.entry, content, len(manifest.content))


def _passed(act: Act, content: bytes, receipts: Receipts) -> Iterator[bytes]:
    with Transfer(arriving(act), lambda: still_asked_for(act, receipts)) as transfer:
        yield from transfer.pass_on(iter((content,)))
        transfer.finish()
