"""Fetch: decided again at this moment, streamed in constant memory, verified, recorded on both sides when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from adapters.dicom import dicom_json
from adapters.dicom.multipart import media_type
from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken, PeerError
from adapters.peers.transport import PeerStream
from adapters.peers.xca_client import read_content
from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.archives import archive_of, brought, from_archive
from hie_node.flows.find import Thing, permitted_one
from hie_node.flows.gateway_call import open_over_soap
from hie_node.flows.identify import by_identifier
from hie_node.flows.peer_call import Asking, Receipts, stream_from_peer
from hie_node.flows.streaming import Begun, Transfer, verified
from hie_node.flows.written_requests import addressed_to, signed_requests
from registry.coded import CodedValue
from registry.commands import (
    RelayedStudy,
    Retrieved,
    RetrievedObject,
    RetrieveDocument,
    RetrievedStudy,
    RetrieveFrames,
    RetrieveStudy,
)
from registry.directory import Peer
from registry.documents import Attachment, DocumentEntry
from registry.errors import NotFound, NotUnique
from registry.identifiers import PatientIdentifier
from registry.ports import RemoteEntry
from registry.studies import Instance, Study

DICOM_PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def retrieve_document(act: Act, command: RetrieveDocument) -> Retrieved:
    """ITI-68 from this node's own store."""
    with act.unit() as unit:
        entry = permitted_one(act, unit, _kept_here(unit.documents.entry(command.id)), "Binary")
    content = act.house.contents.open(
        entry.record_id, entry.attachment.content_hash, start=command.start, length=command.length
    )
    flowing = _flow(act, content, lambda: _still(act, entry))
    return Retrieved(entry, flowing, entry.attachment.size, command.start, command.length)


def _kept_here(entry: DocumentEntry | None) -> DocumentEntry | None:
    """What another repository of this hospital keeps is not to be had from this one."""
    return None if entry is None or entry.repository is not None else entry


def _flow(act: Act, content: Iterator[bytes], still: Callable[[], bool]) -> Iterator[bytes]:
    with Transfer(act, still) as transfer:
        yield from transfer.pass_on(content)
        transfer.finish()


def _still(act: Act, item: Thing) -> bool:
    """The decision again, with the consents as they are now; what it weighs is not written down each time."""
    one = act.fork()
    one.now = act.house.now()
    try:
        with act.house.storage.read() as unit:
            permitted_one(one, unit, item, "content", keep=False)
    except NotFound:
        return False
    return True


def retrieve_study(act: Act, command: RetrieveStudy) -> RetrievedStudy | RelayedStudy:
    """WADO-RS from this node's own store: a study, a series or one instance."""
    with act.unit() as unit:
        study = permitted_one(act, unit, unit.studies.by_uid(command.study_instance_uid), "study")
        wanted = study.selected(command.series_instance_uid, command.sop_instance_uid)
        if not wanted:
            raise NotFound("instance")
    if any(not instance.content_hash for instance in wanted):
        return _from_archive(act, study, wanted, command)
    return RetrievedStudy(study, _instances(act, study, wanted))


def _from_archive(
    act: Act, study: Study, wanted: Sequence[Instance], command: RetrieveStudy
) -> RetrievedStudy | RelayedStudy:
    """From the hospital's own PACS, as it comes. Objects that were handed in here as well come from there too."""
    path = tuple(
        uid for uid in (study.study_instance_uid, command.series_instance_uid, command.sop_instance_uid) if uid
    )
    if command.metadata_only and (headers := archive_of(act.house, study).metadata(path)) is not None:
        transfer = Transfer(act, lambda: _still(act, study))
        return RelayedStudy(dicom_json.MEDIA_TYPE, _passed(transfer, iter([dicom_json.dumped(headers)])))
    return RetrievedStudy(study, Begun(_archived(act, study, wanted, path)))


def _archived(
    act: Act, study: Study, wanted: Sequence[Instance], path: tuple[str, ...]
) -> Iterator[tuple[Instance, Iterator[bytes]]]:
    with Transfer(act, lambda: _still(act, study)) as transfer:
        for instance, chunks in from_archive(act.house, study, wanted, path):
            yield instance, transfer.pass_on(chunks)
        transfer.finish()


def _passed(transfer: Transfer, content: Iterator[bytes]) -> Iterator[bytes]:
    with transfer:
        yield from transfer.pass_on(content)
        transfer.finish()


def _instances(act: Act, study: Study, wanted: Sequence[Instance]) -> Iterator[tuple[Instance, Iterator[bytes]]]:
    """Each instance with its bytes, opened when its turn comes; the whole run is one transfer."""
    with Transfer(act, lambda: _still(act, study)) as transfer:
        for instance in wanted:
            yield instance, transfer.pass_on(act.house.contents.open(study.record_id, instance.content_hash))
        transfer.finish()


def retrieve_frames(act: Act, command: RetrieveFrames) -> RetrievedObject:
    """WADO-RS frames and bulk data from this node's own store."""
    with act.unit() as unit:
        study = permitted_one(act, unit, unit.studies.by_uid(command.study_instance_uid), "study")
        found = study.selected(command.series_instance_uid, command.sop_instance_uid)
        if not found:
            raise NotFound("instance")
    transfer = Transfer(act, lambda: _still(act, study)).__enter__()
    stored: Callable[..., Iterator[bytes]]
    if found[0].content_hash:
        stored = partial(act.house.contents.open, study.record_id, found[0].content_hash)
    else:
        path = (command.study_instance_uid, command.series_instance_uid, command.sop_instance_uid)
        stored = brought(act.house, study, found[0], path).part

    def read(start: int, length: int | None) -> Iterator[bytes]:
        return transfer.pass_on(stored(start=start, length=length))

    return RetrievedObject(study, found[0], read, transfer.end)


def fetch_document(act: Act, command: RetrieveDocument) -> Retrieved:
    """ITI-68 over the network: the own store, or the hospital that listed the document in its answer."""
    if "." not in command.id:
        return retrieve_document(act, command)
    remote, peer, receipts = way_back(act, lambda unit: unit.remote.entry(command.id))
    range_ = _range(command)
    stack = ExitStack()
    if "fhir" not in peer.speaks:
        return _fetch_over_soap(act, command, remote, peer, receipts)
    path = f"/fhir/Binary/{remote.remote_id}"
    accept = remote.content_type or "*/*"
    stream = _open(act, peer, stack, path=path, accept=accept, receipts=receipts, range_=range_)
    whole = not range_
    size = remote.size if whole else _part(stream, command, remote, stack)
    content = verified(stream.chunks(), sha1=remote.hash if whole else None, size=size)
    flowing = Begun(_relay(act, stack, content, receipts))
    return Retrieved(_as_listed(remote), flowing, remote.size or 0, command.start, command.length)


def _fetch_over_soap(
    act: Act, command: RetrieveDocument, remote: RemoteEntry, peer: Peer, receipts: Receipts
) -> Retrieved:
    """ITI-39 knows no ranges: all of it comes, is checked, and what was not asked for is passed over here."""
    stack = ExitStack()
    asking = Asking(act.caller.requester, receipts, act.exchange)
    deadline = time.monotonic() + act.house.settings.limits.open_budget
    try:
        stream, kind = open_over_soap(act.house, asking, peer, remote, stack, deadline=deadline)
        content = verified(_usable(stream, kind, remote), sha1=remote.hash, size=remote.size)
        flowing = Begun(_relay(act, stack, content, receipts))
    except (NotFound, PeerError):
        stack.close()
        raise
    part = _cut(flowing, command) if command.start or command.length is not None else flowing
    return Retrieved(_as_listed(remote), part, remote.size or 0, command.start, command.length)


def _usable(stream: PeerStream, kind: str, remote: RemoteEntry) -> Iterator[bytes]:
    try:
        yield from read_content(stream.chunks(), kind, remote.unique_id or "")
    except BadAnswer as error:
        raise PeerBroken("other-bytes", remote.home) from error


def _cut(content: Iterator[bytes], command: RetrieveDocument) -> Iterator[bytes]:
    """A part of what flows through; it is read to its end, so that all of it is verified."""
    skip, left = command.start, command.length
    for piece in content:
        shown = piece[skip:] if left is None else piece[skip : skip + left]
        skip = max(0, skip - len(piece))
        left = None if left is None else left - len(shown)
        if shown:
            yield shown


def _range(command: RetrieveDocument) -> str:
    if not command.start and command.length is None:
        return ""
    last = "" if command.length is None else str(command.start + command.length - 1)
    return f"bytes={command.start}-{last}"


def _part(stream: PeerStream, command: RetrieveDocument, remote: RemoteEntry, stack: ExitStack) -> int:
    """Bytes of the part that the holder sends, when it is the part that was asked for; raises PeerBroken."""
    last = (remote.size or 0) - 1
    if command.length is not None:
        last = min(last, command.start + command.length - 1)
    if stream.headers.get("content-range") != f"bytes {command.start}-{last}/{remote.size}":
        stack.close()
        raise PeerBroken("other-range", remote.home)
    return last - command.start + 1


def fetch_study(act: Act, command: RetrieveStudy) -> RetrievedStudy | RelayedStudy:
    """WADO-RS over the network: the own store, or the one hospital that listed this study; never a guess."""
    uid = command.study_instance_uid
    with act.house.storage.read() as unit:
        own = unit.studies.by_uid(uid)
    if own is not None:
        return retrieve_study(act, command)
    _, peer, receipts = way_back(act, lambda unit: _only_one(unit.remote.of_study(uid)))
    stack = ExitStack()
    accept = "application/dicom+json" if command.metadata_only else DICOM_PARTS
    stream = _open(act, peer, stack, path=_wado_path(command), accept=accept, receipts=receipts)
    content_type = stream.headers.get("content-type", "")
    if not _is_imaging(content_type, command):
        stack.close()
        raise PeerBroken("other-type", peer.home)
    flowing = Begun(_relay(act, stack, stream.chunks(), receipts))
    return RelayedStudy(content_type, flowing, stream.length)


def fetch_frames(act: Act, command: RetrieveFrames) -> RetrievedObject | RelayedStudy:
    """WADO-RS frames and bulk data over the network, from where the study was listed."""
    uid = command.study_instance_uid
    with act.house.storage.read() as unit:
        own = unit.studies.by_uid(uid)
    if own is not None:
        return retrieve_frames(act, command)
    _, peer, receipts = way_back(act, lambda unit: _only_one(unit.remote.of_study(uid)))
    stack = ExitStack()
    stream = _open(act, peer, stack, path=_frames_path(command), accept=command.accept, receipts=receipts)
    content_type = stream.headers.get("content-type", "")
    if not _is_pixels(content_type):
        stack.close()
        raise PeerBroken("other-type", peer.home)
    flowing = Begun(_relay(act, stack, stream.chunks(), receipts))
    return RelayedStudy(content_type, flowing, stream.length)


def _frames_path(command: RetrieveFrames) -> str:
    instance = RetrieveStudy(command.study_instance_uid, command.series_instance_uid, command.sop_instance_uid)
    below = f"/frames/{','.join(map(str, command.frames))}" if command.frames else f"/bulkdata/{command.tag}"
    return _wado_path(instance) + below


def _is_pixels(content_type: str) -> bool:
    """Octets, or an image format that a browser runs no script of."""
    kind = media_type(content_type)
    value = kind.parameters.get("type", "") if kind.value == "multipart/related" else kind.value
    return value == "application/octet-stream" or (value.startswith("image/") and "svg" not in value)


def _is_imaging(content_type: str, command: RetrieveStudy) -> bool:
    """A holder that erred or lies could hand a viewer a page with a script in it."""
    kind = media_type(content_type)
    if command.metadata_only:
        return kind.value in ("application/dicom+json", "application/json")
    if kind.value == "multipart/related":
        return kind.parameters.get("type", "application/dicom") == "application/dicom"
    return kind.value == "application/dicom"


def _only_one(found: tuple[RemoteEntry, ...]) -> RemoteEntry | None:
    if len({entry.home for entry in found}) > 1:
        raise NotUnique("study")
    return found[0] if found else None


def _wado_path(command: RetrieveStudy) -> str:
    path = f"/dicomweb/studies/{command.study_instance_uid}"
    if command.series_instance_uid:
        path += f"/series/{command.series_instance_uid}"
    if command.sop_instance_uid:
        path += f"/instances/{command.sop_instance_uid}"
    return path + ("/metadata" if command.metadata_only else "")


def way_back(act: Act, find: Callable[[UnitOfWork], RemoteEntry | None]) -> tuple[RemoteEntry, Peer, Receipts]:
    """The hospital that listed it, and the requests that open it there. Asking is written down first."""
    act.direction = "asked"
    with act.unit() as unit:
        remote = find(unit)
        peer = act.house.directory.current().peer(remote.home) if remote else None
        if remote is None or peer is None:
            raise NotFound("this entry of another hospital")
        act.other = remote.home
        act.items = [remote.id]
        person = by_identifier(unit, remote.question)
        if person is not None:
            act.about(person.first)
        receipts = addressed_to(peer, signed_requests(act, unit, person)) if person else ()
        return remote, peer, receipts


def _open(
    act: Act, peer: Peer, stack: ExitStack, *, path: str, accept: str, receipts: Receipts, range_: str = ""
) -> PeerStream:
    """Open the transfer at the holder, who decides again. What it refuses is not here."""
    try:
        stream = stack.enter_context(
            stream_from_peer(
                act.house,
                Asking(act.caller.requester, receipts, act.exchange),
                peer,
                path=path,
                accept=accept,
                range_=range_,
            )
        )
        if stream.status in (403, 404, 410):
            raise NotFound("this entry of another hospital")
        if stream.status != (206 if range_ else 200):
            raise PeerBroken(f"status-{stream.status}")
        return stream
    except (NotFound, PeerError):
        stack.close()
        raise


def _relay(act: Act, stack: ExitStack, content: Iterator[bytes], receipts: Receipts) -> Iterator[bytes]:
    """Pass on what the holder sends; closing here closes there, and a request taken back here stops it at once."""
    one = act.fork()
    one.direction, one.items, one.other = "received", list(act.items), act.other
    one.patient, one.record_id = act.patient, act.record_id
    with stack, Transfer(one, lambda: _still_asked_for(act, receipts)) as transfer:
        yield from transfer.pass_on(content)
        transfer.finish()


def _still_asked_for(act: Act, receipts: Receipts) -> bool:
    """One of the requests that opened it still holds; what none had opened is the holder's to judge."""
    with act.house.storage.read() as unit:
        known = [unit.consents.consent(receipt.id) for receipt, _ in receipts]
    now = act.house.now()
    return not known or any(consent is not None and consent.in_force(now) for consent in known)


def _as_listed(remote: RemoteEntry) -> DocumentEntry:
    """The entry as far as serving its bytes needs it."""
    attachment = Attachment(
        remote.content_type or "application/octet-stream", remote.size or 0, remote.hash or "0" * 40, ""
    )
    nobody = PatientIdentifier("urn:hie-node:remote", remote.id)
    return DocumentEntry(
        id=remote.id,
        entry_uuid="",
        unique_id=f"urn:hie-node:{remote.id}",
        patient=nobody,
        record_id="",
        attachment=attachment,
        categories=(CodedValue("remote"),),
        home=remote.home,
    )
