"""Fetch: decided again at this moment, streamed in constant memory, verified, recorded on both sides when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from hashlib import sha1

from adapters.dicom import dicom_json
from adapters.dicom.multipart import media_type
from adapters.dicom.negotiation import fingerprint_in
from adapters.fhir.values_document import RENDITION, values_document
from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken, PeerError
from adapters.peers.transport import PeerStream
from adapters.peers.xca_client import read_content
from hie_node.acts import Act
from hie_node.flows.archives import archive_of, brought, from_archive
from hie_node.flows.at_holder import ask_holder, is_as_listed, relay, still_shown, take_line, way_back
from hie_node.flows.find import Thing, permitted_one
from hie_node.flows.gateway_call import open_over_soap
from hie_node.flows.held import (
    Held,
    document_from_here,
    held_document,
    held_study,
    object_from_here,
    study_from_here,
)
from hie_node.flows.manifests import manifest_of, studies_of
from hie_node.flows.peer_call import Asking, Receipts
from hie_node.flows.streaming import Begun, Transfer, verified
from hie_node.flows.versions import refuse_removed
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
from registry.on_demand import FHIR_JSON
from registry.ports import RemoteEntry
from registry.studies import Instance, Study

DICOM_PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def retrieve_document(act: Act, command: RetrieveDocument) -> Retrieved:
    """ITI-68 from this node's own store."""
    if command.values:
        return _retrieve_values(act, command.id)
    with act.unit() as unit:
        known = unit.documents.entry(command.id)
        if known is None:
            refuse_removed(act, unit, command.id, "Binary")
        entry = permitted_one(act, unit, _kept_here(known), "Binary")
    content = act.house.contents.open(
        entry.record_id, entry.attachment.content_hash, start=command.start, length=command.length
    )
    flowing = _flow(act, content, lambda: _still_registered(act, entry))
    return Retrieved(entry, flowing, entry.attachment.size, command.start, command.length)


def _retrieve_values(act: Act, report_id: str) -> Retrieved:
    """The values of a report, made of the index as it is now and decided like the report.

    Raises NotFound where there are none, and for a report that any label closes.
    """
    with act.unit() as unit:
        known = unit.documents.entry(report_id)
        open_one = known is not None and known.results and not known.sensitivity
        report = permitted_one(act, unit, known if open_one else None, "Binary")
    content = values_document(report, act.house.home)
    digest = sha1(content).hexdigest()  # noqa: S324 (the hash that IHE prescribes)
    attachment = replace(report.attachment, content_type=FHIR_JSON, size=len(content), hash=digest)
    flowing = _flow(act, iter((content,)), lambda: _still_registered(act, report))
    return Retrieved(replace(report, attachment=attachment), flowing, len(content))


def retrieve_manifest(act: Act, unique_id: str) -> Retrieved:
    """ITI-43 of an imaging manifest, made of the index as it is now. Raises NotFound where none may be seen."""
    with act.unit() as unit:
        named = next((study for study, _ in studies_of(unit, (unique_id,), act.house)), None)
        study = permitted_one(act, unit, named, "document")
        manifest = manifest_of(act.house, unit, study)
    flowing = _flow(act, iter((manifest.content,)), lambda: still_permitted(act, study))
    return Retrieved(manifest.entry, flowing, len(manifest.content))


def _kept_here(entry: DocumentEntry | None) -> DocumentEntry | None:
    """What another repository of this hospital keeps is not to be had from this one."""
    return None if entry is None or entry.repository is not None else entry


def _flow(act: Act, content: Iterator[bytes], still: Callable[[], bool]) -> Iterator[bytes]:
    with Transfer(act, still) as transfer:
        yield from transfer.pass_on(content)
        transfer.finish()


def _still_registered(act: Act, entry: DocumentEntry) -> bool:
    """The decision again, on the metadata as they are now; what was removed meanwhile goes no further."""
    with act.house.storage.read() as unit:
        now = unit.documents.entry(entry.id)
    return now is not None and still_permitted(act, now)


def still_permitted(act: Act, item: Thing) -> bool:
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
    if study.fingerprint in command.known:
        return RetrievedStudy(study, iter(()), unchanged=True)
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
        transfer = Transfer(act, lambda: still_permitted(act, study))
        content = _passed(transfer, iter([dicom_json.dumped(headers)]))
        return RelayedStudy(dicom_json.MEDIA_TYPE, content, fingerprint=study.fingerprint)
    return RetrievedStudy(study, Begun(_archived(act, study, wanted, path)))


def _archived(
    act: Act, study: Study, wanted: Sequence[Instance], path: tuple[str, ...]
) -> Iterator[tuple[Instance, Iterator[bytes]]]:
    with Transfer(act, lambda: still_permitted(act, study)) as transfer:
        for instance, chunks in from_archive(act.house, study, wanted, path):
            yield instance, transfer.pass_on(chunks)
        transfer.finish()


def _passed(transfer: Transfer, content: Iterator[bytes]) -> Iterator[bytes]:
    with transfer:
        yield from transfer.pass_on(content)
        transfer.finish()


def _instances(act: Act, study: Study, wanted: Sequence[Instance]) -> Iterator[tuple[Instance, Iterator[bytes]]]:
    """Each instance with its bytes, opened when its turn comes; the whole run is one transfer."""
    with Transfer(act, lambda: still_permitted(act, study)) as transfer:
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
    if study.fingerprint in command.known:
        return RetrievedObject(study, found[0], _nothing, lambda complete: None, unchanged=True)
    transfer = Transfer(act, lambda: still_permitted(act, study)).__enter__()
    stored: Callable[..., Iterator[bytes]]
    if found[0].content_hash:
        stored = partial(act.house.contents.open, study.record_id, found[0].content_hash)
    else:
        path = (command.study_instance_uid, command.series_instance_uid, command.sop_instance_uid)
        stored = brought(act.house, study, found[0], path).part

    def read(start: int, length: int | None) -> Iterator[bytes]:
        return transfer.pass_on(stored(start=start, length=length))

    return RetrievedObject(study, found[0], read, transfer.end)


def _nothing(start: int, length: int | None) -> Iterator[bytes]:
    return iter(())


def fetch_document(act: Act, command: RetrieveDocument) -> Retrieved:
    """ITI-68 over the network: the own store, or the hospital that listed the document in its answer."""
    if "." not in command.id:
        return retrieve_document(act, command)
    way = remote, peer, receipts = way_back(act, lambda unit: unit.remote.entry(command.id))
    range_ = _range(command)
    stack = ExitStack()
    held = held_document(act, remote)
    if remote.over_soap or "fhir" not in peer.speaks:
        if held is None or not is_as_listed(act, way, held):
            return _fetch_over_soap(act, command, remote, peer, receipts)
        return _copy(act, command, remote, held, receipts)
    if command.values:
        return _fetch_values(act, way, stack)
    path, accept = f"/fhir/Binary/{remote.remote_id}", _as_it_is(remote.content_type)
    stream = ask_holder(act, way, held, stack, path=path, accept=accept, range_=range_)
    if stream is None:
        assert held is not None
        return _copy(act, command, remote, held, receipts)
    whole = not range_
    size = remote.size if whole else _part(stream, command, remote, stack)
    content = verified(stream.chunks(), sha1=remote.hash if whole else None, size=size)
    flowing = Begun(relay(act, stack, content, receipts))
    return Retrieved(_as_listed(remote), flowing, remote.size or 0, command.start, command.length)


def _fetch_values(act: Act, way: tuple[RemoteEntry, Peer, Receipts], stack: ExitStack) -> Retrieved:
    """What the holder makes of its report now: nothing was announced that it could be held against."""
    remote, _, receipts = way
    stream = ask_holder(act, way, None, stack, path=f"/fhir/Binary/{RENDITION}{remote.remote_id}", accept="*/*")
    assert stream is not None
    listed = _as_listed(remote)
    made = replace(listed, attachment=replace(listed.attachment, content_type=FHIR_JSON))
    return Retrieved(made, Begun(relay(act, stack, stream.chunks(), receipts)), 0)


def _copy(act: Act, command: RetrieveDocument, remote: RemoteEntry, held: Held, receipts: Receipts) -> Retrieved:
    """The same bytes from here."""
    still = still_shown(act, held, receipts)
    copy = Begun(document_from_here(act, held, still, start=command.start, length=command.length))
    return Retrieved(_as_listed(remote), copy, remote.size or 0, command.start, command.length)


def _as_it_is(content_type: str | None) -> str:
    """What is accepted. A document that is FHIR itself is not asked for by its type, which would mean a Binary."""
    return "*/*" if content_type is None or content_type.startswith("application/fhir+") else content_type


def _fetch_over_soap(
    act: Act, command: RetrieveDocument, remote: RemoteEntry, peer: Peer, receipts: Receipts
) -> Retrieved:
    """ITI-39 knows no ranges: all of it comes, is checked, and what was not asked for is passed over here."""
    stack = ExitStack()
    asking = Asking(act.caller.requester, receipts, act.exchange)
    deadline = time.monotonic() + act.house.settings.limits.open_budget
    take_line(act, peer, stack)
    try:
        stream, kind = open_over_soap(act.house, asking, peer, remote, stack, deadline=deadline)
        content = verified(_usable(stream, kind, remote), sha1=remote.hash, size=remote.size)
        flowing = Begun(relay(act, stack, content, receipts))
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
    way = remote, peer, receipts = way_back(act, lambda unit: _only_one(unit.remote.of_study(uid)))
    stack, held = ExitStack(), held_study(act, remote, command)
    accept = "application/dicom+json" if command.metadata_only else DICOM_PARTS
    stream = ask_holder(act, way, held, stack, path=_wado_path(command), accept=accept)
    if stream is None:
        assert held is not None
        return study_from_here(act, held, command, still_shown(act, held, receipts))
    content_type = stream.headers.get("content-type", "")
    if not _is_imaging(content_type, command):
        stack.close()
        raise PeerBroken("other-type", peer.home)
    flowing = Begun(relay(act, stack, stream.chunks(), receipts))
    return RelayedStudy(content_type, flowing, stream.length, fingerprint_in(stream.headers.get("etag", "")))


def fetch_frames(act: Act, command: RetrieveFrames) -> RetrievedObject | RelayedStudy:
    """WADO-RS frames and bulk data over the network, from where the study was listed."""
    uid = command.study_instance_uid
    with act.house.storage.read() as unit:
        own = unit.studies.by_uid(uid)
    if own is not None:
        return retrieve_frames(act, command)
    way = remote, peer, receipts = way_back(act, lambda unit: _only_one(unit.remote.of_study(uid)))
    stack, held = ExitStack(), held_study(act, remote, command)
    stream = ask_holder(act, way, held, stack, path=_frames_path(command), accept=command.accept)
    if stream is None:
        assert held is not None
        return object_from_here(act, held, command, still_shown(act, held, receipts))
    content_type = stream.headers.get("content-type", "")
    if not _is_pixels(content_type):
        stack.close()
        raise PeerBroken("other-type", peer.home)
    flowing = Begun(relay(act, stack, stream.chunks(), receipts))
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
