"""How objects that a system sends one by one are stored: each is durable when it is acknowledged, many share a commit.

DICOM's default is one request at a time, so an association waits for the disk with each of its objects. The first of a
study goes the whole way: its patient and its study are known from then on. Those that follow, with the same patient in
the same words and a UID that is nowhere yet, are acknowledged once they lie in the journal; a thread indexes what has
gathered there, together. Whatever else comes goes the whole way, after what came before it. So no verdict is given
early that the index could take back, but for another door that takes the same UID in the same moment: then the object
waits for the registrar instead of being lost.

An object shows in searches a moment after its acknowledgement, at the latest before its association is released, or
anything is asked for over this port. Why: docs/decisions/0021-one-wait-for-the-disk.md
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby, islice

from adapters.dicom.part10 import read_instance
from adapters.store.journal import Entry
from adapters.store.keys import PatientKey
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node import log
from hie_node.acts import Act, Caller
from hie_node.flows.quarantine import doubt_about, set_aside
from hie_node.flows.store_instances import mention_of, owner_of, store_instances
from hie_node.house import House
from hie_node.watching import tell_not_indexed
from registry.commands import InstanceFailure, Stored, StoreInstances
from registry.errors import RegistryError, StorageUnavailable
from registry.studies import ReadInstance
from registry.submissions import Bytes, Content, StudySubmission

TOGETHER = 32
"""Objects that are indexed by one commit."""
GATHERING_SECONDS = 0.3
"""How long the first of them waits for the others, where nobody waits for it."""
MOST_WAITING, MOST_BYTES = 64, 24 << 20
"""What may wait to be indexed; who sends more waits with it. It is in memory as well."""
JOURNAL_BYTES = 256 << 20
"""At this size the journal is emptied before more is added."""
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 1.0
TOLD_AFTER = 60
"""Attempts to index what was acknowledged, one a second and more, until an administrator is told."""
STUDIES = 64
"""Studies that objects may follow in, the last ones used."""
CHECKED_SECONDS = 0.5
"""How long the index is not asked again whose study it is. It is asked once more when the object is indexed."""
FRESH_SECONDS = 60.0
"""After this silence the next object of a study goes the whole way again."""
OTHER_BYTES = "another object came under the same UID in the same moment"


@dataclass(slots=True)
class _Begun:
    """A study that is being sent.

    first    says whose it is
    known    SOP instance UIDs that nobody else may bring
    owner    the record that it belongs to, as the index said at `checked`; empty where it has to be asked
    """

    first: ReadInstance
    known: set[str]
    touched: float
    owner: str = ""
    checked: float = 0.0


@dataclass(frozen=True, slots=True)
class _Landed:
    """An object that is safe and not indexed yet."""

    number: int
    sender: str
    read: ReadInstance
    content: Bytes


class Landing:
    """Stores objects for all associations of the port."""

    def __init__(self, house: House) -> None:
        self.house, self._journal = house, house.contents.journal()
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._waiting: list[_Landed] = []
        self._open: set[int] = set()
        self._last = self._hurry = 0
        self._ending = self._stuck = False
        self._turn = threading.Condition()
        self._thread = threading.Thread(target=self._keep_indexing, name="dicom index", daemon=True)

    def recover(self) -> None:
        """Index what a killed process had acknowledged; before anything new is taken. Raises StorageUnavailable."""
        for segment in self._journal.left_behind():
            count, self._stuck = 0, False
            for part in _in_parts(filter(None, map(self._read_again, segment.entries()))):
                self._index_or_keep(part)
                count += len(part)
            if count:
                log.warning("dicom objects indexed after a restart", count=count)
            if not self._stuck:
                segment.remove()
        self._stuck = False

    def store(self, sender: str, read: ReadInstance, content: Content) -> Stored:
        """Durable when it returns, or not there. Raises RegistryError."""
        if isinstance(content, Bytes) and self._follows(sender, read, content):
            return Stored((), stored=((read.study.study_instance_uid, read.instance),))
        self.settle()
        result = self._stored(sender, [(read, content)])
        self._remember(read, result)
        return result

    def settle(self) -> None:
        """What was acknowledged is indexed when this returns. Raises StorageUnavailable where that takes too long."""
        with self._turn:
            before = set(self._open)
            self._hurry += 1
            self._turn.notify_all()
            try:
                if not self._turn.wait_for(lambda: before.isdisjoint(self._open), PATIENCE_SECONDS):
                    raise StorageUnavailable("index", "objects that came before wait for it")
            finally:
                self._hurry -= 1

    def close(self) -> None:
        """Index what waits, and end. What cannot be indexed now stays in the journal for the next start."""
        try:
            self.settle()
            with self._turn:
                self._empty_journal()
        except StorageUnavailable as error:
            log.storage_unavailable("C-STORE", error)
        with self._turn:
            self._ending = True
            self._turn.notify_all()
        self._journal.close()

    # ---- those that follow

    def _follows(self, sender: str, read: ReadInstance, content: Bytes) -> bool:
        """Whether it could be taken so, and was."""
        number = self._begin(read, len(content.value))
        if number is None:
            return False
        landed: _Landed | None = None
        try:
            key = self._key(read)
            if key is not None:
                self._journal.add(Entry(key.owner, sender, content.value), key)
                landed = _Landed(number, sender, read, content)
        finally:
            with self._turn:
                if landed is not None:
                    self._waiting.append(landed)
                else:
                    self._open.discard(number)
                    self._forget(read)
                self._turn.notify_all()
        return landed is not None

    def _begin(self, read: ReadInstance, size: int) -> int | None:
        """Its number among those that follow; its UID is taken by it alone from here on."""
        with self._turn:
            begun = self._begun.get(read.study.study_instance_uid)
            if begun is None or not _same_patient(begun.first, read):
                return None
            now, uid = time.monotonic(), read.instance.sop_instance_uid
            if uid in begun.known or now - begun.touched > FRESH_SECONDS or not self._has_room(size):
                return None
            begun.known.add(uid)
            begun.touched = now
            self._last += 1
            self._open.add(self._last)
            return self._last

    def _has_room(self, size: int) -> bool:
        there = sum(len(one.content.value) for one in self._waiting)
        return len(self._open) < MOST_WAITING and there + size <= MOST_BYTES and self._journal.size < JOURNAL_BYTES

    def _forget(self, read: ReadInstance) -> None:
        """The next object of this study goes the whole way."""
        self._begun.pop(read.study.study_instance_uid, None)

    def _key(self, read: ReadInstance) -> PatientKey | None:
        """What seals it, as its patient's; None where the index has something to say about it."""
        study, now = read.study.study_instance_uid, time.monotonic()
        begun = self._begun.get(study)
        with self.house.storage.read() as unit:
            if begun is None or unit.studies.holding([read.instance.sop_instance_uid]):
                return None
            if not begun.owner or now - begun.checked > CHECKED_SECONDS:
                mention = mention_of(self.house, read)
                doubt = doubt_about(unit, mention, study)
                begun.owner, begun.checked = "" if doubt else owner_of(unit, mention, study) or "", now
            return self._journal.key(unit, begun.owner) if begun.owner else None

    def _remember(self, read: ReadInstance, result: Stored) -> None:
        with self._turn:
            self._forget(read)
            if result.failed or result.aside or not result.studies:
                return
            known = {one.sop_instance_uid for study in result.studies for one in study.selected()}
            self._begun[read.study.study_instance_uid] = _Begun(read, known, time.monotonic())
            while len(self._begun) > STUDIES:
                self._begun.popitem(last=False)
            if self._thread.ident is None:
                self._thread.start()

    # ---- the index follows

    def _keep_indexing(self) -> None:
        tried = 0
        while (part := self._gathered()) is not None:
            try:
                self._index_or_keep(part)
            except StorageUnavailable as error:
                log.storage_unavailable("C-STORE", error)
                tried += 1
                if tried == TOLD_AFTER:
                    self._tell(len(self._waiting))
                time.sleep(PAUSE_SECONDS)
                continue
            tried = 0
            with self._turn:
                del self._waiting[: len(part)]
                self._open.difference_update(one.number for one in part)
                if self._journal.size >= JOURNAL_BYTES:
                    self._empty_journal()
                self._turn.notify_all()

    def _gathered(self) -> list[_Landed] | None:
        """The next to be indexed, once they are many, waited for, or old; None at the end."""
        with self._turn:
            while not self._ending:
                if self._waiting:
                    self._turn.wait_for(self._is_time, GATHERING_SECONDS)
                    return next(_in_parts(self._waiting))
                nobody_came = not self._turn.wait(PAUSE_SECONDS if self._journal.size and not self._stuck else None)
                if nobody_came:
                    self._empty_journal()
            return None

    def _is_time(self) -> bool:
        return bool(self._hurry) or self._ending or len(self._waiting) >= TOGETHER

    def _empty_journal(self) -> None:
        """Where all of it is indexed. What could not be is read again at the next start."""
        if not self._open and not self._stuck:
            self._journal.clear()

    def _index_or_keep(self, part: Sequence[_Landed]) -> None:
        """Whatever is wrong with one of them costs no other. Raises StorageUnavailable."""
        try:
            self._index(part)
        except StorageUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - acknowledged, so it stays where it is safe
            log.fault("C-STORE", error, "")
            if len(part) == 1:
                self._stuck = True
                self._tell(1)
            else:
                for one in part:
                    self._index_or_keep([one])

    def _tell(self, count: int) -> None:
        tell_not_indexed(self.house, f"{count} acknowledged images are safe in the journal and not indexed")

    def _index(self, part: Sequence[_Landed]) -> None:
        """All of one sender. One that the index does not take any more is kept aside, since it was acknowledged."""
        parts: list[tuple[ReadInstance, Content]] = [(one.read, one.content) for one in part]
        result = self._stored(part[0].sender, parts)
        refused = {one.sop_instance_uid: one for one in result.failed}
        for read, content in parts:
            failure = refused.get(read.instance.sop_instance_uid)
            if failure is not None:
                self._keep_aside(part[0].sender, read, content, failure)

    def _keep_aside(self, sender: str, read: ReadInstance, content: Content, failure: InstanceFailure) -> None:
        log.warning("dicom object kept aside after its acknowledgement", status=f"{failure.failure:04X}")
        act = Act(self.house, system_caller(self.house, sender), "C-STORE", "C", "published")
        set_aside(act, [(read, content)], mention_of(self.house, read), OTHER_BYTES)

    def _stored(self, sender: str, parts: Sequence[tuple[ReadInstance, Content]]) -> Stored:
        act = Act(self.house, system_caller(self.house, sender), "C-STORE", "C")
        result = store_instances(act, StoreInstances(StudySubmission(tuple(parts))))
        if not act.recorded:
            raise AssertionError("C-STORE answered without a record")
        return result

    def _read_again(self, entry: Entry) -> _Landed | None:
        content, own = entry.content, self.house.settings.patient_id_system
        try:
            read = read_instance(BytesIO(content), size=len(content), own_issuer=own)
        except RegistryError as error:
            log.fault("C-STORE", error, "")
            self._stuck = True
            return None
        return _Landed(0, entry.sender, read, Bytes(content))


def has_landed(house: House) -> bool:
    """Whether a killed process left something acknowledged to be indexed."""
    return next(house.contents.journal().left_behind(), None) is not None


def system_caller(house: House, title: str) -> Caller:
    """A system of this hospital, by the AE title that it gave."""
    shown = "".join(sign for sign in title if sign.isprintable())
    requester = Requester(
        f"dicom:{shown}", Role.SYSTEM, house.home, shown, house.settings.name, purpose=PurposeOfUse.TREAT
    )
    return Caller(requester, "house")


def _same_patient(first: ReadInstance, read: ReadInstance) -> bool:
    said = [(one.patient, one.numbers, one.demographics) for one in (first, read)]
    return said[0] == said[1] and read.patient is not None


def _in_parts(landed: Iterable[_Landed]) -> Iterator[list[_Landed]]:
    """Of one sender each, as they came."""
    for _, group in groupby(landed, lambda one: one.sender):
        while part := list(islice(group, TOGETHER)):
            yield part
