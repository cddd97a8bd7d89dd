"""What a node does by itself: seal the record, watch the drop folder, carry withdrawals and notices, forget.

One process; each round is short, and what fails is tried again with growing pauses. Every task is safe to repeat.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import orjson

from adapters.peers.errors import PeerError
from adapters.store.jobs import Job
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node import feeds, log, metrics
from hie_node.acts import EMERGENCY_NOTICE
from hie_node.archives import look
from hie_node.atna import deliver_record
from hie_node.drop_folder import DropFolder
from hie_node.flows.audit import seal
from hie_node.flows.consents import NOTIFY_WITHDRAWAL
from hie_node.flows.heads import offer_head
from hie_node.flows.peer_call import Asking, call_peer
from hie_node.flows.referrals import announce_referrals
from hie_node.house import House
from hie_node.notices import tell_officer, tell_patient
from hie_node.watching import ALARM_NOTICE, ask_canaries, notify, watch_breadth, watch_reviews
from registry.errors import StorageUnavailable
from registry.identifiers import HomeCommunityId

LEASE = 60
LONGEST_PAUSE = timedelta(minutes=10)
TICK = 0.25


@dataclass(slots=True)
class Task:
    """Something to do every `every` seconds."""

    name: str
    every: float
    run: Callable[[], object]
    due: float = 0.0


def run(house: House, stopping: Callable[[], bool]) -> None:
    """Until told to stop. A database that is away is waited for; anything unexpected is logged and tried again."""
    drop = DropFolder(house)
    tasks = [
        Task("seal", house.settings.limits.seal_every, lambda: _seal(house)),
        Task("drop folder", 1.0, drop.look),
        Task("withdrawals", 0.5, lambda: carry_withdrawals(house)),
        Task("notices", 1.0, lambda: carry_notices(house)),
        Task("heads", house.settings.limits.heads_every, lambda: _heads(house)),
        Task("atna", 5.0, lambda: _atna(house)),
        Task("breadth", 60.0, lambda: watch_breadth(house)),
        Task("reviews", 600.0, lambda: watch_reviews(house)),
        Task("canary", house.settings.limits.canary_every, lambda: _canary(house)),
        Task("referrals", 1.0, lambda: announce_referrals(house)),
        Task("forget", 600.0, lambda: forget(house)),
    ]
    tasks += [
        Task(f"pacs {each.name}", each.look_every, partial(look, house, each.name, days=each.days))
        for each in house.settings.pacs
    ]
    while not stopping():
        now = time.monotonic()
        for task in tasks:
            if task.due <= now:
                _do(task)
                task.due = time.monotonic() + task.every
        time.sleep(TICK)


def _do(task: Task) -> None:
    try:
        task.run()
    except StorageUnavailable as failure:
        log.storage_unavailable(f"job {task.name}", failure)
    except Exception as error:
        log.fault(f"job {task.name}", error, "")


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


def carry(house: House, kind: str, act: Callable[[House, Job], str | None]) -> None:
    """Do each job of this kind that is due; what did not work (a reason) is tried again after a growing pause."""
    with house.storage.begin() as unit:
        claimed = unit.jobs.claim([kind], now=house.now(), lease_seconds=LEASE, limit=20)
    for job in claimed:
        why_not = act(house, job)
        with house.storage.begin() as unit:
            if why_not is None:
                unit.jobs.done(job.id)
            else:
                pause = min(LONGEST_PAUSE, timedelta(seconds=2 ** min(job.attempts, 10)))
                unit.jobs.failed(job.id, why_not, house.now() + pause)


def carry_withdrawals(house: House) -> None:
    """Tell each hospital that keeps a request that the patient took it back, until it acknowledged."""
    carry(house, NOTIFY_WITHDRAWAL, lambda at, job: _tell(at, HomeCommunityId(job.payload["home"]), job.payload["jws"]))


def carry_notices(house: House) -> None:
    """Tell the officer, and the patient where that is wanted, of each emergency; and of each alarm."""
    carry(house, EMERGENCY_NOTICE, _tell_of_emergency)
    carry(house, ALARM_NOTICE, lambda at, job: notify(at, job.payload))


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


def _tell(house: House, home: HomeCommunityId, jws: str) -> str | None:
    """None when it is acknowledged, else why not."""
    peer = house.directory.current().peer(home)
    if peer is None:
        return "not-in-the-directory"
    body = orjson.dumps({"resourceType": "Parameters", "parameter": [{"name": "withdrawal", "valueString": jws}]})
    requester = Requester("withdrawals", Role.SYSTEM, house.home, purpose=PurposeOfUse.TREAT)
    try:
        answer = call_peer(
            house, Asking(requester), peer, method="POST", path="/fhir/Consent/$withdraw-receipt", body=body
        )
    except PeerError as failure:
        return type(failure).__name__
    return None if answer.status == 200 else f"status-{answer.status}"


def forget(house: House) -> None:
    """Spent tokens past their time, what other hospitals listed long ago, old cards, messages nobody sends again."""
    now = house.now()
    with house.storage.begin() as unit:
        unit.tokens.forget_before(now - timedelta(minutes=5))
        unit.remote.forget_before(now - timedelta(days=house.settings.limits.remember_remote))
        unit.correlations.forget_before(now)
        unit.heads.thin(now - timedelta(days=2))
        unit.orders.forget_before(
            answers=now - timedelta(days=house.settings.limits.remember_remote),
            cards=now - timedelta(days=house.settings.limits.remember_remote),
        )
        unit.messages.forget_before(now - timedelta(days=house.settings.limits.remember_messages))
    feeds.forget(house)
