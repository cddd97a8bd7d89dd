"""Images of a hospital that speaks DICOMweb and no SOAP, for a system of ours that speaks SOAP: WADO-RS behind RAD-69.

What an answer over SOAP holds is listed before the first byte of it, and a WADO-RS answer lists nothing. So what was
asked for is brought first, into a file without a name; in memory is one piece of it. What arrives and was not asked
for, or is in a form that is not accepted, is not passed on.

Source: IHE RAD TF-2: 4.69.4.1.3, 4.107
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from adapters.dicom.client import parts
from adapters.dicom.errors import BrokenMultipart, UnsupportedMedia
from adapters.dicom.multipart import Part, Spool, SpooledPart
from adapters.dicom.part10 import head_of
from adapters.peers.errors import PeerBroken
from hie_node.acts import Act
from hie_node.flows.at_holder import ask_holder, still_shown
from hie_node.flows.fetch import DICOM_PARTS
from hie_node.flows.held import Held, images_from_here
from hie_node.flows.peer_call import Receipts
from hie_node.flows.streaming import Transfer, TransferStopped, arriving
from hie_node.flows.written_requests import still_asked_for
from registry.commands import DocumentAsked, RelayedDocuments
from registry.directory import Peer
from registry.errors import NotFound, OtherForm, RegistryError, StorageUnavailable
from registry.identifiers import is_oid
from registry.image_sets import ImageAsked, RetrieveImages
from registry.manifests import DICOM_FILE
from registry.ports import RemoteEntry

Missing = tuple[DocumentAsked, Exception]
Way = tuple[RemoteEntry, Peer, Receipts]


@dataclass(slots=True)
class _Brought:
    """What came so far, in its order, what did not, and what is still to come, by its SOP Instance UID."""

    spool: Spool
    left: dict[str, ImageAsked]
    objects: dict[ImageAsked, SpooledPart] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)


def bring_images(
    act: Act, way: Way, command: RetrieveImages, held: Held | None = None
) -> tuple[list[RelayedDocuments], list[Missing]]:
    """Objects of one study, out of the copy that is held here where its holder says that it is still the same.

    Raises PeerError; what the holder does not show is not here.
    """
    named = [one for one in command.wanted if _has_a_path(one)]
    brought = _Brought(Spool(str(act.house.settings.spool)), {one.sop_instance_uid: one for one in named})
    try:
        if named and not _bring(act, way, _path(named), command, brought, held):
            assert held is not None
            return images_from_here(act, held, command, still_shown(act, held, way[2]))
    except (NotFound, TransferStopped):
        # not to be had, or taken back while it came: nothing of it has left this node yet
        brought.objects.clear()
    absent = [one.document for one in command.wanted if one not in brought.objects]
    said = {asked for asked, _ in brought.missing}
    brought.missing += [(asked, NotFound("this object of another hospital")) for asked in absent if asked not in said]
    if not brought.objects:
        return [], brought.missing
    listed = tuple((one.document, DICOM_FILE) for one in brought.objects)
    flowing = ((place, iter(part.chunks())) for place, part in enumerate(brought.objects.values()))
    return [RelayedDocuments(listed, flowing)], brought.missing


def _has_a_path(asked: ImageAsked) -> bool:
    """What is no UID never becomes part of an address."""
    return all(map(is_oid, (asked.study_instance_uid, asked.series_instance_uid, asked.sop_instance_uid)))


def _path(wanted: Sequence[ImageAsked]) -> str:
    """The least that holds all of them; one question, since its token is good once."""
    first, series = wanted[0], {one.series_instance_uid for one in wanted}
    path = f"/dicomweb/studies/{first.study_instance_uid}"
    if len(series) == 1:
        path += f"/series/{first.series_instance_uid}"
    return f"{path}/instances/{first.sop_instance_uid}" if len(wanted) == 1 else path


def _bring(act: Act, way: Way, path: str, command: RetrieveImages, brought: _Brought, held: Held | None) -> bool:
    """False where nothing came because what is held here is the same."""
    with ExitStack() as stack:
        stream = ask_holder(act, way, held, stack, path=path, accept=DICOM_PARTS)
        if stream is None:
            return False
        with Transfer(arriving(act), lambda: still_asked_for(act, way[2])) as transfer:
            try:
                for part in parts(stream.headers.get("content-type", ""), stream.chunks()):
                    _keep(part, command, transfer, brought)
            except (NotFound, StorageUnavailable):
                raise
            except (BrokenMultipart, UnsupportedMedia, RegistryError) as error:
                raise PeerBroken("other-bytes", way[1].home) from error
            transfer.finish()
    return True


def _keep(part: Part, command: RetrieveImages, transfer: Transfer, brought: _Brought) -> None:
    """Into the spool, if it is one that is still to come; each is read to its end, since the next comes after it."""
    uid, syntax, content = head_of(part.chunks)
    asked = brought.left.pop(uid, None)
    if asked is not None and syntax in command.syntaxes:
        start, length = brought.spool.add(transfer.pass_on(content))
        brought.objects[asked] = SpooledPart(brought.spool.path, start, length, brought.spool)
        return
    for _ in transfer.pass_on(content):
        pass
    if asked is not None:
        brought.missing.append((asked.document, OtherForm(syntax)))
