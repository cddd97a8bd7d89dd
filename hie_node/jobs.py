"""What a node does by itself: seal the record, watch the drop folder, carry withdrawals and notices, forget.

One process; each round is short, and what may take long has a thread beside it. What fails is tried again with growing
pauses. Every task is safe to repeat.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from threading import Thread

import orjson

from adapters.peers.errors import PeerError
from adapters.store.jobs import Job
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node import feeds, log, metrics, telling
from hie_node.acts import EMERGENCY_NOTICE
from hie_node.administration import QUESTIONS
from hie_node.archives import look
from hie_node.atna import deliver_record
from hie_node.drop_folder import DropFolder, Publish
from hie_node.due import claimed, is_due
from hie_node.flows.ahead import bring_ahead
from hie_node.flows.audit import seal
from hie_node.flows.consents import NOTIFY_WITHDRAWAL
from hie_node.flows.copies import FORGET, drop_expired, erase_contents
from hie_node.flows.deferred import DEFERRED, answer_deferred
from hie_node.flows.heads import newest_head, offer_head
from hie_node.flows.held import TELL, tell_holder
from hie_node.flows.identity_changes import NOTIFY_IDENTITY
from hie_node.flows.peer_call import Asking, call_peer
from hie_node.flows.record_checks import VERIFY_RECORD, check_record
from hie_node.flows.referrals import announce_referrals
from hie_node.house import House
from hie_node.notices import tell_officer, tell_patient
from hie_node.watching import ALARM_NOTICE, ask_canaries, notify, watch_breadth, watch_reviews
from registry.errors import StorageUnavailable
from registry.identifiers import HomeCommunityId

LEASE = 60
LONGEST_PAUSE = timedelta(minutes=10)
TICK = 0.25
_ANSWERED = "status-"
"""Begins the reason where the other hospital heard it and did not acknowledge."""
BRINGERS = 2
"""Slips whose records are fetched at once: one slow line must not hold up the others."""


@dataclass(slots=True)
class Task:
    """Something to do every `every` seconds."""

    name: str
    every: float
    run: Callable[[], object]
    due: float = 0.0


def run(house: House, stopping: Callable[[], bool], *, publish: Publish | None = None) -> None:
    """Until told to stop. A database that is away is waited for; anything unexpected is logged and tried again.

    publish  reads what lies in the drop folder, by default in this process
    """
    drop = DropFolder(house, publish)
    tasks = [
        Task("seal", house.settings.limits.seal_every, lambda: _seal(house)),
        Task("withdrawals", 0.5, lambda: carry_withdrawals(house)),
        Task("changes of identity", 0.5, lambda: carry_identity_changes(house)),
        Task("deferred answers", 0.5, lambda: carry_deferred(house)),
        Task("notices", 1.0, lambda: carry_notices(house)),
        Task("heads", house.settings.limits.heads_every, lambda: _heads(house)),
        Task("atna", 5.0, lambda: _atna(house)),
        Task("breadth", 60.0, lambda: watch_breadth(house)),
        Task("reviews", 600.0, lambda: watch_reviews(house)),
        Task("canary", house.settings.limits.canary_every, lambda: _canary(house)),
        Task("referrals", 1.0, lambda: announce_referrals(house)),
        Task("ahead", 1.0, lambda: look_after_copies(house)),
        Task("forget", 600.0, lambda: forget(house)),
    ]
    tasks += [
        Task(f"pacs {each.name}", each.look_every, partial(look, house, each.name, days=each.days))
        for each in house.settings.pacs
    ]
    told = Thread(target=telling.run, args=(house, stopping), name="telling", daemon=True)
    looks = Thread(target=_look, args=(drop, stopping), name="drop folder", daemon=True)
    told.start()
    looks.start()
    for _ in range(BRINGERS):
        _beside("ahead", stopping, lambda: bring_ahead(house))
    _beside("verify", stopping, lambda: carry_checks(house))
    while not stopping():
        now = time.monotonic()
        for task in tasks:
            if task.due <= now:
                _do(task)
                task.due = time.monotonic() + task.every
        time.sleep(TICK)
    told.join()
    looks.join()


def look_around(house: House) -> None:
    """What is done at once at every start, as far as it stays in the house; twice, since statements are kept then.

    Before the processes part: what it needs for that is in their shared memory, and nothing comes of it later.
    """
    for _ in range(2):
        for quiet in (_seal, drop_expired, watch_breadth, watch_reviews, ask_canaries, newest_head, forget):
            _do(Task(quiet.__name__, 0.0, partial(quiet, house)))
        _do(Task("due", 0.0, partial(is_due, house, NOTIFY_WITHDRAWAL)))


def _look(drop: DropFolder, stopping: Callable[[], bool]) -> None:
    """Beside the rounds, since a file of a month is read for as long as it takes: no withdrawal waits for it."""
    task = Task("drop folder", 1.0, drop.look)
    while not stopping():
        _do(task)
        time.sleep(task.every)


def _beside(name: str, stopping: Callable[[], bool], run: Callable[[], object]) -> None:
    """Beside the rounds, since a study takes as long as its line needs, and a record of millions its minutes. What is
    left in the middle is claimed again."""
    at_once = Task(name, 0.0, run)

    def work() -> None:
        while not stopping():
            if not _do(at_once):
                time.sleep(1.0)

    Thread(target=work, name=name, daemon=True).start()


def _do(task: Task) -> object:
    """What the task gives; nothing where it failed."""
    try:
        return task.run()
    except StorageUnavailable as failure:
        log.storage_unavailable(f"job {task.name}", failure)
    except Exception as error:
        log.fault(f"job {task.name}", error, "")
    return None


def _seal(house: House) -> None:
    rows = seal(house)
    if rows:
        metrics.SEALED.inc(rows)


def _atna(house: House) -> None:
    deliver_record(house)


def _canary(house: House) -> None:
    ask_canaries(house)


def _heads(house: House) -> None:
    offer_head(house)


def carry(house: House, kind: str, act: Callable[[House, Job], str | None]) -> int:
    """Do each job of this kind that is due; what did not work (a reason) is tried again after a growing pause. Returns
    how many there were."""
    found = claimed(house, kind, lease=LEASE, limit=20)
    for job in found:
        why_not = act(house, job)
        with house.storage.begin() as unit:
            if why_not is None:
                unit.jobs.done(job.id)
            else:
                pause = min(LONGEST_PAUSE, timedelta(seconds=2 ** min(job.attempts, 10)))
                unit.jobs.failed(job.id, why_not, house.now() + pause)
    return len(found)


def carry_checks(house: House) -> int:
    """Verify the record where somebody asked for it."""
    return carry(house, VERIFY_RECORD, check_record)


def carry_withdrawals(house: House) -> None:
    """Tell each hospital that keeps a request that the patient took it back, until it acknowledged."""
    carry(house, NOTIFY_WITHDRAWAL, lambda at, job: _tell(at, job, "withdrawal", "/fhir/Consent/$withdraw-receipt"))


def carry_identity_changes(house: House) -> None:
    """Tell each hospital that was shown something of a patient that this one is another now, until it acknowledged."""
    carry(house, NOTIFY_IDENTITY, _tell_of_change)


def _tell_of_change(house: House, job: Job) -> str | None:
    why_not = _tell(house, job, "notice", "/fhir/Patient/$identity-changed")
    if why_not is None or why_not.startswith(_ANSWERED):
        with house.storage.begin() as unit:
            unit.identities.answered(job.payload["notice"], now=house.now(), acknowledged=why_not is None)
    return why_not


def carry_deferred(house: House) -> None:
    """Answer other gateways' questions that were to be answered later."""
    carry(house, DEFERRED, answer_deferred)


def carry_notices(house: House) -> None:
    """Tell the officer, and the patient where that is wanted, of each emergency; and of each alarm."""
    carry(house, EMERGENCY_NOTICE, _tell_of_emergency)
    carry(house, ALARM_NOTICE, lambda at, job: notify(at, job.payload))


def look_after_copies(house: House) -> None:
    """Erase copies of other hospitals whose time is over; tell holders what was shown while they were silent."""
    drop_expired(house)
    carry(house, FORGET, erase_contents)
    carry(house, TELL, tell_holder)


def _tell_of_emergency(house: House, job: Job) -> str | None:
    with house.storage.read() as unit:
        access = unit.emergencies.access(job.payload["id"])
        record = unit.patients.record_by_id(access.record_id) if access and access.record_id else None
    if access is None or access.told is not None:
        return None
    why_not = tell_officer(house, access)
    if why_not is not None:
        return why_not
    if record is not None:
        tell_patient(house, access, record.demographics.phones)
    with house.storage.begin() as unit:
        now = unit.emergencies.access(access.id)
        if now is not None:
            unit.emergencies.save(replace(now, told=house.now()))
    return None


def _tell(house: House, job: Job, what: str, path: str) -> str | None:
    """Hand over what the job carries, signed; None when it is acknowledged, else why not."""
    peer = house.directory.current().peer(HomeCommunityId(job.payload["home"]))
    if peer is None:
        return "not-in-the-directory"
    if "fhir" not in peer.speaks:
        return "speaks-no-fhir"
    parameter = {"name": what, "valueString": job.payload["jws"]}
    body = orjson.dumps({"resourceType": "Parameters", "parameter": [parameter]})
    requester = Requester(f"{what}s", Role.SYSTEM, house.home, purpose=PurposeOfUse.TREAT)
    try:
        answer = call_peer(house, Asking(requester), peer, method="POST", path=path, body=body)
    except PeerError as failure:
        return type(failure).__name__
    return None if answer.status == 200 else f"{_ANSWERED}{answer.status}"


def forget(house: House) -> None:
    """Spent tokens past their time, what other hospitals listed long ago, old cards, messages nobody sends again."""
    now = house.now()
    with house.storage.begin() as unit:
        unit.tokens.forget_before(now - timedelta(minutes=5))
        unit.remote.forget_before(now - timedelta(days=house.settings.limits.remember_remote))
        unit.correlations.forget_before(now)
        unit.deferred.forget_before(now)
        unit.open_queries.forget_before(now)
        unit.identities.forget_before(now - timedelta(days=house.settings.limits.remember_remote))
        unit.peer_answers.keep(QUESTIONS)
        unit.heads.thin(now - timedelta(days=2))
        unit.orders.forget_before(
            answers=now - timedelta(days=house.settings.limits.remember_remote),
            cards=now - timedelta(days=house.settings.limits.remember_remote),
        )
        unit.messages.forget_before(now - timedelta(days=house.settings.limits.remember_messages))
    feeds.forget(house)
    telling.forget(house)
