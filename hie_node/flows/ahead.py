"""Bring ahead what a referred patient's hospital shows, in rounds: the slip that is due, and when it is due again."""

from __future__ import annotations

from datetime import datetime, timedelta

from adapters.store.jobs import Job
from adapters.store.unit import UnitOfWork
from hie_node.due import claimed
from hie_node.flows.bringing import BREAKS, LEASE, Bringing, NotNow, Taken
from hie_node.flows.copies import BRING
from hie_node.flows.streaming import TransferStopped
from hie_node.house import House
from hie_node.lines import LineTaken

LONGEST_PAUSE = timedelta(hours=1)
LOOKS = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=3))
"""After the announcement, when the holder's list is looked at again."""
WHEN_TAKEN = timedelta(seconds=20)


def bring_ahead(house: House) -> bool:
    """Work on the slip that is due, if there is one; whether there was."""
    found = claimed(house, BRING, lease=LEASE, limit=1)
    for job in found:
        reason, pause = _outcome(house, job)
        with house.storage.begin() as unit:
            if not reason:
                unit.jobs.done(job.id)
                _look_later(unit, job.payload["id"], house.now())
            else:
                unit.jobs.failed(job.id, reason, house.now() + pause)
    return bool(found)


def _look_later(unit: UnitOfWork, ahead_id: str, now: datetime) -> None:
    """A result may come to the holder when the patient has left already."""
    whole = unit.ahead.one(ahead_id)
    due = [whole.opened + each for each in LOOKS if whole.opened + each > now] if whole else []
    if due:
        unit.jobs.enqueue(BRING, {"id": ahead_id}, run_at=due[0], dedup_key=f"{BRING}:{ahead_id}")


def _outcome(house: House, job: Job) -> tuple[str, timedelta]:
    """Why it is to be tried again, and when; an empty reason for what is done."""
    pause = min(LONGEST_PAUSE, timedelta(seconds=2 ** min(job.attempts, 10)))
    try:
        Bringing(house, job).run()
    except (Taken, TransferStopped):
        house.contents.erase(job.payload["id"])
    except LineTaken:
        return "line-taken", WHEN_TAKEN
    except NotNow as failure:
        return failure.reason, failure.pause or pause
    except BREAKS as failure:
        return type(failure).__name__, pause
    return "", pause
