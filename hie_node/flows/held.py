"""What was brought ahead, shown as if its holder had just sent it: when the holder says that it still holds.

The question to the holder is the one that is always asked, made conditional (RFC 9110, If-None-Match): it decides and
records as ever, and where nothing has changed sends no content. Only where it is silent does what the patient signed
at this hospital decide, and the holder is told as soon as it can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerError
from adapters.store.codec import dump, load
from adapters.store.jobs import Job
from consent.decide import Decision
from consent.reasons import Reason
from consent.reconciling import LISTED
from consent.requesters import Requester
from hie_node import metrics
from hie_node.acts import Act, Caller
from hie_node.flows.gateway_studies import state_listed
from hie_node.flows.identify import by_identifier
from hie_node.flows.last_known import decide_elsewhere
from hie_node.flows.peer_call import Asking, stream_from_peer
from hie_node.flows.streaming import Begun, Transfer, arriving
from hie_node.flows.written_requests import requests_to
from hie_node.house import House
from registry.ahead import Ahead, with_held
from registry.commands import (
    DocumentAsked,
    RelayedDocuments,
    RetrievedObject,
    RetrievedStudy,
    RetrieveFrames,
    RetrieveStudy,
)
from registry.directory import Peer
from registry.documents import DocumentEntry
from registry.errors import NotFound, OtherForm
from registry.image_sets import RetrieveImages
from registry.manifests import DICOM_FILE
from registry.ports import RemoteEntry
from registry.studies import Instance, Study

TELL = "tell-holder"
"""The job that tells a holder what was shown while it was silent."""
FROM_HERE = "brought-ahead"
"""Stands among the reasons of a row whose bytes did not travel at that moment."""


@dataclass(frozen=True, slots=True)
class Held:
    """A copy that answers a question whole. `tag` as If-None-Match says it."""

    whole: Ahead
    item: DocumentEntry | Study
    tag: str
    content_hash: str = ""

    @property
    def state(self) -> str:
        """What the holder said of it when it came: the hash of a document, the fingerprint of a study."""
        return self.tag.strip('"')

    def bytes_of(self, act: Act, content_hash: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        for piece in act.house.contents.open(self.whole.id, content_hash, start=start, length=length):
            metrics.AHEAD.labels("shown").inc(len(piece))
            yield piece


def held_document(act: Act, remote: RemoteEntry) -> Held | None:
    with act.house.storage.read() as unit:
        found = unit.ahead.document(remote.id, now=act.now)
    if found is None or found[0].sender != remote.home:
        return None
    whole, kept = found
    return Held(whole, kept.entry, f'"{kept.entry.attachment.hash}"', kept.content_hash)


def held_study(act: Act, remote: RemoteEntry, command: RetrieveStudy | RetrieveFrames) -> Held | None:
    """The study with its copies, where every object that is asked for is here."""
    series, sop = command.series_instance_uid, command.sop_instance_uid
    return _held(act, remote, command.study_instance_uid, lambda study: study.selected(series, sop), sop)


def held_images(act: Act, remote: RemoteEntry, command: RetrieveImages) -> Held | None:
    """The same for objects of one study that are asked for one by one."""
    wanted = command.wanted
    uid, only = wanted[0].study_instance_uid, wanted[0].sop_instance_uid if len(wanted) == 1 else None

    def named(study: Study) -> tuple[Instance, ...]:
        found = [study.selected(one.series_instance_uid, one.sop_instance_uid) for one in wanted]
        return tuple(one for each in found for one in each) if all(found) else ()

    return _held(act, remote, uid, named, only)


def _held(
    act: Act, remote: RemoteEntry, uid: str, wanted_of: Callable[[Study], tuple[Instance, ...]], sop: str | None
) -> Held | None:
    with act.house.storage.read() as unit:
        for whole, kept in unit.ahead.studies(uid, now=act.now):
            if whole.sender != remote.home or not kept.fingerprint:
                continue
            copies = unit.ahead.instances_of(whole.id, uid, sop)
            held = {one.instance.sop_instance_uid: one.instance for one in copies}
            wanted = wanted_of(kept.study)
            if wanted and all(one.sop_instance_uid in held for one in wanted):
                return Held(whole, with_held(kept.study, held), f'"{kept.fingerprint}"')
    return None


def held_listing(act: Act, remote: RemoteEntry) -> Held | None:
    """What the holder last listed of it, where at least a part of it is here."""
    if remote.study_instance_uid is None:
        found = held_document(act, remote)
        return replace(found, tag="") if found else None
    with act.house.storage.read() as unit:
        kept = unit.ahead.studies(remote.study_instance_uid, now=act.now)
    mine = (Held(whole, one.study, "") for whole, one in kept if whole.sender == remote.home and one.fingerprint)
    return next(mine, None)


def openable(act: Act, entry_ids: Iterable[str]) -> frozenset[str]:
    """Which of these entries of a silent hospital can be opened whole from what is here, and may be."""
    found = set()
    for entry_id in entry_ids:
        with act.house.storage.read() as unit:
            remote = unit.remote.entry(entry_id)
        held = _held_whole(act, remote) if remote is not None else None
        if held is not None and may_show_alone(act, held):
            found.add(entry_id)
    return frozenset(found)


def _held_whole(act: Act, remote: RemoteEntry) -> Held | None:
    if remote.kind == "document":
        return held_document(act, remote)
    return held_study(act, remote, RetrieveStudy(remote.study_instance_uid or ""))


def refuse_closed(act: Act, held: Held) -> None:
    """The patient may have said no at this hospital, of which the holder knows nothing. Raises NotFound."""
    emergency = act.caller.requester.purpose.is_emergency
    if not emergency and _decision(act, held).reason is Reason.PATIENT_REFUSED:
        raise NotFound("this entry of another hospital")


def may_show_alone(act: Act, held: Held) -> bool:
    """The holder is silent: what the patient signed here has to permit it by itself. Never in an emergency."""
    return _decision(act, held).permit


def _decision(act: Act, held: Held) -> Decision:
    with act.house.storage.read() as unit:
        person = by_identifier(unit, held.whole.patient)
        consents = unit.consents.of_records(person.record_ids) if person else ()
    return decide_elsewhere(act, held.item, held.whole.sender, consents)


def still_held(act: Act, held: Held) -> bool:
    """Nobody has taken it away meanwhile."""
    with act.house.storage.read() as unit:
        return unit.ahead.one(held.whole.id) is not None


def study_from_here(act: Act, held: Held, command: RetrieveStudy, still: Callable[[], bool]) -> RetrievedStudy:
    assert isinstance(held.item, Study)
    wanted = held.item.selected(command.series_instance_uid, command.sop_instance_uid)
    return RetrievedStudy(held.item, _instances(act, held, wanted, still))


def _instances(
    act: Act, held: Held, wanted: tuple[Instance, ...], still: Callable[[], bool]
) -> Iterator[tuple[Instance, Iterator[bytes]]]:
    with Transfer(_from_here(act), still) as transfer:
        for instance in wanted:
            yield instance, transfer.pass_on(held.bytes_of(act, instance.content_hash))
        transfer.finish()


def images_from_here(
    act: Act, held: Held, command: RetrieveImages, still: Callable[[], bool]
) -> tuple[list[RelayedDocuments], list[tuple[DocumentAsked, Exception]]]:
    """Objects that are asked for one by one, as they would come from their holder."""
    assert isinstance(held.item, Study)
    listed: list[tuple[DocumentAsked, Instance]] = []
    missing: list[tuple[DocumentAsked, Exception]] = []
    for one in command.wanted:
        (instance,) = held.item.selected(one.series_instance_uid, one.sop_instance_uid)
        if instance.transfer_syntax in command.syntaxes:
            listed.append((one.document, instance))
        else:
            missing.append((one.document, OtherForm(instance.transfer_syntax)))
    if not listed:
        return [], missing
    flowing = _instances(act, held, tuple(instance for _, instance in listed), still)
    parts = ((place, content) for place, (_, content) in enumerate(flowing))
    return [RelayedDocuments(tuple((asked, DICOM_FILE) for asked, _ in listed), Begun(parts))], missing


def object_from_here(act: Act, held: Held, command: RetrieveFrames, still: Callable[[], bool]) -> RetrievedObject:
    assert isinstance(held.item, Study)
    (instance,) = held.item.selected(command.series_instance_uid, command.sop_instance_uid)
    transfer = Transfer(_from_here(act), still).__enter__()

    def read(start: int, length: int | None) -> Iterator[bytes]:
        return transfer.pass_on(held.bytes_of(act, instance.content_hash, start=start, length=length))

    return RetrievedObject(held.item, instance, read, transfer.end)


def document_from_here(
    act: Act, held: Held, still: Callable[[], bool], *, start: int, length: int | None
) -> Iterator[bytes]:
    with Transfer(_from_here(act), still) as transfer:
        yield from transfer.pass_on(held.bytes_of(act, held.content_hash, start=start, length=length))
        transfer.finish()


def _from_here(act: Act) -> Act:
    one = arriving(act)
    one.reasons[FROM_HERE] = 1
    return one


# ---- what was shown while the holder was silent ----


def tell_later(act: Act, held: Held, remote: RemoteEntry, *, path: str = "", accept: str = "") -> None:
    """The holder gets its own row of it, under the same exchange and for the same person, when it answers again.

    Without a path it is told over SOAP.
    """
    payload = {
        "entry": remote.id,
        "path": path,
        "accept": accept,
        "known": held.tag,
        "exchange": act.exchange,
        "requester": dump(act.caller.requester),
    }
    with act.house.storage.begin() as unit:
        unit.jobs.enqueue(TELL, payload, run_at=act.now, dedup_key=f"{TELL}:{act.exchange}")


def tell_holder(house: House, job: Job) -> str | None:
    """None once the holder has answered, whatever it says; else why not."""
    said: dict[str, Any] = job.payload
    with house.storage.read() as unit:
        remote = unit.remote.entry(said["entry"])
    peer = house.directory.current().peer(remote.home) if remote else None
    if remote is None or peer is None:
        return None
    requester = load(Requester, said["requester"])
    act = Act(house, Caller(requester, "house"), TELL)
    asking = _as_it_was_asked(act, peer, remote, said)
    try:
        if not said["path"]:
            state_listed(act, replace(asking, exchange=asking.exchange + LISTED), peer, remote)
            return None
        with stream_from_peer(house, asking, peer, path=said["path"], accept=said["accept"], known=said["known"]):
            return None
    except (PeerError, BadAnswer) as failure:
        return type(failure).__name__


def _as_it_was_asked(act: Act, peer: Peer, remote: RemoteEntry, said: dict[str, Any]) -> Asking:
    with act.house.storage.read() as unit:
        person = by_identifier(unit, remote.question)
        receipts = requests_to(act, unit, peer, person)
    return Asking(act.caller.requester, receipts, said["exchange"])
