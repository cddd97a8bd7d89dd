"""The whole sealed record is verified beside the work of the day: somebody asks, a job computes, all see the result.

On a record of millions it takes minutes. A job that was killed in the middle is claimed again and begins anew.
"""

from __future__ import annotations

import time
from dataclasses import replace

from adapters.store.jobs import Job
from consent.verification import RecordCheck
from hie_node.acts import Act
from hie_node.flows.audit import verify
from hie_node.flows.heads import ask_keepers
from hie_node.house import House, new_id

VERIFY_RECORD = "verify-record"
TOLD_EVERY, LEASE = 1.0, 60
"""Seconds between two notes of how far it is; how long nobody else takes the job over after the last note."""


def ask_for_check(act: Act) -> RecordCheck:
    """Begin one, unless one waits or runs already. Who asked is on record."""
    act.action = "E"
    asker = act.caller.requester
    with act.unit() as unit:
        unit.takes_turns("verification of the record")
        known = next(iter(unit.record_checks.newest(1)), None)
        if known is not None and known.ended is None:
            act.items = [known.id]
            return known
        check = RecordCheck(new_id(), act.now, asker.subject, asker.name)
        unit.record_checks.save(check)
        unit.jobs.enqueue(VERIFY_RECORD, {"id": check.id}, run_at=act.now, dedup_key=f"{VERIFY_RECORD}:{check.id}")
        act.items = [check.id]
        return check


def check_record(house: House, job: Job) -> None:
    """Do one: with the heads that other hospitals hold, saying every second how far it is."""
    with house.storage.read() as unit:
        check = unit.record_checks.check(job.payload["id"])
    if check is None or check.ended is not None:
        return
    asked, told = check, time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told < TOLD_EVERY:
            return
        told = time.monotonic()
        with house.storage.begin() as unit:
            unit.record_checks.save(replace(asked, done=done, total=total))
            unit.jobs.renew(job.id, now=house.now(), lease_seconds=LEASE)

    found = verify(house, ask_keepers(house), tell=tell)
    with house.storage.begin() as unit:
        unit.record_checks.save(replace(asked, done=found.rows, total=found.rows, ended=house.now(), found=found))


def newest_checks(house: House, size: int) -> tuple[RecordCheck, ...]:
    """The last ones, also one that still runs; the newest first."""
    with house.storage.read() as unit:
        return unit.record_checks.newest(size)
