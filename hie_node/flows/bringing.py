"""One slip's copies on their way: reports, key images, the current examination, then the rest.

Each piece is an ordinary fetch: its holder decides and records, this hospital records. What has arrived is not asked
for again, so a line that breaks costs one piece. It ends with the patient's request, at the next piece.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from adapters.dicom.client import parts
from adapters.dicom.errors import BrokenMultipart
from adapters.dicom.key_objects import names_of, pointed_at
from adapters.dicom.multipart import Part
from adapters.dicom.negotiation import digest_field
from adapters.dicom.part10 import head_of
from adapters.peers.errors import PeerBroken, PeerError
from adapters.store.jobs import Job
from adapters.store.unit import UnitOfWork
from hie_node import metrics
from hie_node.flows.ask_network import find_documents_everywhere, find_studies_everywhere
from hie_node.flows.copies import by_itself, drop
from hie_node.flows.fetch import fetch_document, fetch_study
from hie_node.flows.gateway_studies import (
    Manifests,
    gathered,
    manifests_by_study,
    state_of,
    state_of_study,
    study_of,
)
from hie_node.flows.image_sets import images_over_soap
from hie_node.house import House
from hie_node.lines import LineTaken
from registry.ahead import (
    POINTERS,
    Ahead,
    HeldDocument,
    HeldInstance,
    HeldStudy,
    Piece,
    all_images,
    key_images,
    newest_first,
    pointers,
)
from registry.answers import OutcomeKind
from registry.commands import FindDocuments, FindStudies, Page, RelayedStudy, RetrieveDocument, RetrieveStudy
from registry.directory import Peer
from registry.documents import DocumentEntry, DocumentStatus
from registry.errors import InvalidValue, NotFound, NotUnique, RegistryError, Unreadable
from registry.manifests import is_manifest
from registry.searches import DocumentSearch, PatientSelector, StudySearch
from registry.studies import Study

MOST = 300
"""Documents and studies of one patient."""
TOGETHER = 16
"""Objects that become durable by one wait for the disk."""
LEASE = 30
BREAKS = (PeerError, BrokenMultipart, Unreadable)
WHEN_FULL = timedelta(hours=1)
WHEN_SPOILED = timedelta(hours=6)


class Taken(Exception):
    """The patient's request, or the copy's time, ended meanwhile: nothing more of it is fetched or kept."""


class NotNow(RegistryError):
    """The holder did not give a list, or the disk is full; `reason` is a code."""

    def __init__(self, reason: str, pause: timedelta | None = None) -> None:
        self.reason, self.pause = reason, pause
        super().__init__(f"not brought ahead now: {reason}")


@dataclass(slots=True)
class Bringing:
    """One slip's copies on their way.

    seen     when the request was last looked at, s
    spoiled  documents and pieces that came as something else than listed; they do not hold up the others
    fresh    studies of which something came, and with it the state that they are in
    """

    house: House
    job: Job
    seen: float = 0.0
    spoiled: int = 0
    fresh: set[str] = field(default_factory=set)

    def run(self) -> None:
        whole = self._standing()
        peer = self.house.directory.current().peer(whole.sender)
        if peer is None or not peer.active:
            raise NotNow("not-in-the-directory")
        if not self.house.lines.is_open(peer, self.house.now()):
            raise LineTaken
        listed = self._shown_documents(whole)
        self._documents(whole, peer, listed)
        self._studies(whole, peer, listed)
        if self.spoiled:
            raise NotNow("other-bytes", WHEN_SPOILED)
        with self.house.storage.begin() as unit:
            standing = unit.ahead.one(whole.id)
            if standing is None:
                raise Taken
            unit.ahead.save(replace(standing, complete=True))

    def _standing(self) -> Ahead:
        with self.house.storage.read() as unit:
            whole = unit.ahead.one(self.job.payload["id"])
        if whole is None or whole.expires <= self.house.now():
            raise Taken
        return whole

    # -- reports

    def _documents(self, whole: Ahead, peer: Peer, shown_there: tuple[DocumentEntry, ...]) -> None:
        listed = [one for one in shown_there if "fhir" in peer.speaks or not is_manifest(one)]
        with self.house.storage.read() as unit:
            here = {one.entry.id: one.entry.attachment.hash for one in unit.ahead.documents_of(whole.id)}
        shown = {entry.id for entry in listed}
        self._remove(whole, [entry_id for entry_id in here if entry_id not in shown])
        for entry in listed:
            if here.get(entry.id) != entry.attachment.hash:
                self._unless_spoiled(partial(self._document, whole, peer, entry))

    def _shown_documents(self, whole: Ahead) -> tuple[DocumentEntry, ...]:
        """Of a hospital that speaks only SOAP with the manifests of its studies."""
        search = DocumentSearch(
            patient=PatientSelector(described=whole.patient),
            statuses=(DocumentStatus.CURRENT,),
            limit=MOST,
            home=whole.sender,
        )
        return self._listed(whole, find_documents_everywhere(by_itself(self.house), FindDocuments(search)))

    def _document(self, whole: Ahead, peer: Peer, entry: DocumentEntry) -> None:
        self._room()
        try:
            arriving = fetch_document(by_itself(self.house), RetrieveDocument(entry.id)).content
        except NotFound:
            return
        put = self.house.contents.put(whole.id, self._paced(peer, arriving), sha1=False)
        bare = replace(entry, source_demographics=None, extra={})
        self._hold(whole, lambda unit: unit.ahead.hold_document(HeldDocument(whole.id, bare, put.content_hash)))

    def _remove(self, whole: Ahead, entry_ids: list[str]) -> None:
        """What its holder shows no longer."""
        if entry_ids:
            self._hold(whole, lambda unit: unit.ahead.let_go(whole.id, entry_ids))

    # -- images

    def _studies(self, whole: Ahead, peer: Peer, shown_there: tuple[DocumentEntry, ...]) -> None:
        listed = self._shown_studies(whole, peer, shown_there)
        self._remove_studies(whole, listed)
        studies = newest_first([one for one in listed if not self._is_own(one)])
        arrived = {one.instance.sop_instance_uid for one in self._begun(whole, studies)}
        for piece in pointers(studies, arrived):
            self._unless_spoiled(partial(self._piece, whole, peer, piece, arrived))
        important = self._pointed_at(whole, studies)
        for piece in key_images(studies, important, arrived):
            self._unless_spoiled(partial(self._piece, whole, peer, piece, arrived))
        for piece in all_images(studies, arrived):
            self._unless_spoiled(partial(self._piece, whole, peer, piece, arrived))
        for study in studies:
            if study.study_instance_uid not in self.fresh:
                self._look_at_state(whole, peer, study)

    def _shown_studies(self, whole: Ahead, peer: Peer, shown_there: tuple[DocumentEntry, ...]) -> tuple[Study, ...]:
        if "fhir" in peer.speaks:
            search = StudySearch(patient=PatientSelector(described=whole.patient), limit=MOST, home=whole.sender)
            return self._listed(whole, find_studies_everywhere(by_itself(self.house), FindStudies(search)))
        listed = manifests_by_study(shown_there)
        with self.house.storage.read() as unit:
            known = {state_of_study(one.study): one.study for one in unit.ahead.studies_of(whole.id)}
        found = (known.get(state_of(them)) or self._by_manifests(peer, uid, them) for uid, them in listed.items())
        return tuple(one for one in found if one is not None)

    def _by_manifests(self, peer: Peer, uid: str, manifests: Manifests) -> Study | None:
        """What they list; one that cannot be read holds up no other study."""
        try:
            return study_of(uid, manifests, (self._manifest(peer, one) for one in manifests))
        except NotFound:
            return None
        except (Unreadable, InvalidValue):
            self.spoiled += 1
            return None

    def _manifest(self, peer: Peer, listed: DocumentEntry) -> bytes:
        arriving = fetch_document(by_itself(self.house), RetrieveDocument(listed.id)).content
        return gathered(self._paced(peer, arriving))

    def _look_at_state(self, whole: Ahead, peer: Peer, study: Study) -> None:
        """Nothing of it was missing; the state that its holder says it is in may still be another one."""
        if "fhir" not in peer.speaks:
            known = HeldStudy(whole.id, study, state_of_study(study))
            self._hold(whole, lambda unit: unit.ahead.hold_study(known))
            return
        series = next((one for one in study.series if one.instances), None)
        if series is None:
            return
        uid, sop = study.study_instance_uid, series.middle.sop_instance_uid
        command = RetrieveStudy(uid, series.series_instance_uid, sop, metadata_only=True)
        try:
            answer = fetch_study(by_itself(self.house), command)
        except (NotFound, NotUnique):
            return
        if isinstance(answer, RelayedStudy):
            for _ in answer.content:
                pass
            state = HeldStudy(whole.id, study, answer.fingerprint)
            self._hold(whole, lambda unit: unit.ahead.hold_study(state))

    def _remove_studies(self, whole: Ahead, listed: tuple[Study, ...]) -> None:
        shown = {one.study_instance_uid for one in listed}
        with self.house.storage.read() as unit:
            here = [one.study.study_instance_uid for one in unit.ahead.studies_of(whole.id)]
        gone = [uid for uid in here if uid not in shown]
        if gone:
            self._hold(whole, lambda unit: unit.ahead.let_go_of_studies(whole.id, gone))

    def _is_own(self, study: Study) -> bool:
        """A study that lies here as well is opened from here."""
        with self.house.storage.read() as unit:
            return unit.studies.record_of(study.study_instance_uid) is not None

    def _begun(self, whole: Ahead, studies: list[Study]) -> list[HeldInstance]:
        """Each study stands as it is listed now; what of it is here already."""
        here: list[HeldInstance] = []
        with self.house.storage.begin() as unit:
            if unit.ahead.one(whole.id) is None:
                raise Taken
            known = {one.study.study_instance_uid: one.fingerprint for one in unit.ahead.studies_of(whole.id)}
            for study in studies:
                uid = study.study_instance_uid
                unit.ahead.hold_study(HeldStudy(whole.id, study, known.get(uid, "")))
                here += unit.ahead.instances_of(whole.id, uid)
        return here

    def _pointed_at(self, whole: Ahead, studies: list[Study]) -> frozenset[str]:
        found: frozenset[str] = frozenset()
        with self.house.storage.read() as unit:
            held = {
                one.instance.sop_instance_uid: one.instance.content_hash
                for study in studies
                for one in unit.ahead.instances_of(whole.id, study.study_instance_uid)
            }
        for uid in _pointer_uids(studies):
            if uid in held:
                found |= pointed_at(self.house.contents.open(whole.id, held[uid]))
        return found

    def _piece(self, whole: Ahead, peer: Peer, piece: Piece, arrived: set[str]) -> None:
        self._room()
        opened = self._opened(peer, piece)
        if opened is None:
            return
        objects, fingerprint = opened
        waiting: list[HeldInstance] = []
        with self.house.contents.batch():
            try:
                for one in self._arriving(whole, piece, objects):
                    waiting.append(one)
                    if len(waiting) >= TOGETHER:
                        self._keep(whole, piece, waiting, fingerprint, arrived)
            finally:
                # what is whole is kept, also when the line breaks behind it
                self._keep(whole, piece, waiting, fingerprint, arrived)
        missing = piece.uids - arrived
        if missing:
            raise PeerBroken("other-bytes", whole.sender)

    def _opened(self, peer: Peer, piece: Piece) -> tuple[Iterator[Part], str] | None:
        """Its objects as they come, and the state of their study; None where the holder has none of them to show."""
        if "fhir" not in peer.speaks:
            objects = images_over_soap(by_itself(self.house), piece)
            return (Part({}, self._paced(peer, each)) for each in objects), state_of_study(piece.study)
        sop = piece.instance.sop_instance_uid if piece.instance else None
        command = RetrieveStudy(piece.study.study_instance_uid, piece.series.series_instance_uid, sop)
        try:
            answer = fetch_study(by_itself(self.house), command)
        except (NotFound, NotUnique):
            return None
        assert isinstance(answer, RelayedStudy)
        return parts(answer.content_type, self._paced(peer, answer.content)), answer.fingerprint

    def _arriving(self, whole: Ahead, piece: Piece, objects: Iterator[Part]) -> Iterator[HeldInstance]:
        """The objects of the piece as they become whole here; others, and spoiled ones, are passed over."""
        listed = {one.sop_instance_uid: one for one in piece.series.instances}
        for part in objects:
            uid, syntax, content = head_of(part.chunks)
            if uid not in piece.uids:
                continue
            put = self.house.contents.put(whole.id, content, sha1=False)
            said = part.headers.get("repr-digest", "")
            if said and said != digest_field(put.content_hash):
                continue
            copy = replace(listed[uid], content_hash=put.content_hash, size=put.size, transfer_syntax=syntax)
            series = piece.series.series_instance_uid
            yield HeldInstance(whole.id, piece.study.study_instance_uid, series, copy)

    def _keep(
        self, whole: Ahead, piece: Piece, waiting: list[HeldInstance], fingerprint: str, arrived: set[str]
    ) -> None:
        """Durable first, then named: nothing is shown that is not on the disk, and not what it says it is."""
        self.house.contents.sync()
        sound = [one for one in waiting if self._is_what_it_says(whole, one)]

        def rows(unit: UnitOfWork) -> None:
            unit.ahead.hold_study(HeldStudy(whole.id, piece.study, fingerprint))
            for one in sound:
                unit.ahead.hold_instance(one)

        waiting.clear()
        if sound:
            self._hold(whole, rows)
            self.fresh.add(piece.study.study_instance_uid)
            arrived.update(one.instance.sop_instance_uid for one in sound)

    def _is_what_it_says(self, whole: Ahead, one: HeldInstance) -> bool:
        names = names_of(self.house.contents.open(whole.id, one.instance.content_hash))
        return names == (one.study_instance_uid, one.series_instance_uid, one.instance.sop_instance_uid)

    # -- what all of it does

    def _unless_spoiled(self, bring: Callable[[], None]) -> None:
        try:
            bring()
        except PeerBroken as failure:
            if failure.reason != "other-bytes":
                raise
            self.spoiled += 1

    def _hold(self, whole: Ahead, rows: Callable[[UnitOfWork], object]) -> None:
        with self.house.storage.begin() as unit:
            if unit.ahead.one(whole.id) is None:
                raise Taken
            rows(unit)

    def _paced(self, peer: Peer, content: Iterator[bytes]) -> Iterator[bytes]:
        """At the pace of the budget, with an eye on the patient's request and on the lease."""
        for piece in self.house.lines.within_budget(peer, content, self.house.now):
            metrics.AHEAD.labels("brought").inc(len(piece))
            now = self.house.now().timestamp()
            if now - self.seen >= self.house.settings.limits.recheck:
                self.seen = now
                self._standing()
                with self.house.storage.begin() as unit:
                    unit.jobs.renew(self.job.id, now=self.house.now(), lease_seconds=LEASE)
            yield piece

    def _room(self) -> None:
        free = shutil.disk_usage(self.house.settings.contents).free
        if free < self.house.settings.ahead.leave_free * 1e9:
            raise NotNow("disk-full", WHEN_FULL)

    def _listed(self, whole: Ahead, page: Page[DocumentEntry] | Page[Study]) -> tuple:  # type: ignore[type-arg]
        """What the holder shows now; raises NotNow where it did not say, and Taken where it shows nothing any more."""
        kinds = {one.kind for one in page.outcomes if one.community.home == whole.sender}
        if OutcomeKind.WITHHELD in kinds:
            with self.house.storage.begin() as unit:
                drop(unit, [whole], by_itself(self.house))
            raise Taken
        if not kinds <= {OutcomeKind.ANSWERED, OutcomeKind.INCOMPLETE} or not kinds:
            raise NotNow(next(iter(kinds)).value if kinds else "not-asked")
        return page.items


def _pointer_uids(studies: Iterable[Study]) -> Iterator[str]:
    for study in studies:
        for series in study.series:
            if series.modality in POINTERS:
                yield from (one.sop_instance_uid for one in series.instances)
