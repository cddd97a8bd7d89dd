"""What a node watches about itself: who opens unusually many patients, reviews that are late, a canary that must die.

Every alarm is a line of the log, a metric, a row that stays until somebody clears it (`hie audit alarms`), a line of
`hie check`, and a notice. Nothing in it names a patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from datetime import time as clock_time

from adapters.store.unit import UnitOfWork
from consent.consents import Consent
from consent.decide import AccessRequest, Item, decide, may_show_something
from consent.limits import Alarm, Breadth, BreadthRule
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node import log, metrics
from hie_node.house import House
from hie_node.notices import tell_of_alarm
from hie_node.quotas import person_at
from registry.coded import HIV
from registry.documents import DocumentEntry
from registry.errors import StorageUnavailable
from registry.identifiers import HomeCommunityId
from registry.local_time import VIET_NAM
from registry.searches import DocumentSearch

NOBODYS = HomeCommunityId("urn:oid:2.25.1")
"""A hospital that does not exist: no consent names it, so nothing opens to it."""
ALARM_NOTICE = "alarm-notice"
HISTORY = timedelta(days=30)
CANARIES = 20


def raise_alarm(house: House, alarm: Alarm) -> bool:
    """Once for each kind, day and whom it is about; False where it was raised already."""
    with house.storage.begin() as unit:
        is_new = unit.alarms.raise_(alarm)
        if is_new:
            payload = {
                "kind": alarm.kind,
                "about": alarm.about,
                "found": alarm.found,
                "raised": alarm.raised.isoformat(),
            }
            unit.jobs.enqueue(ALARM_NOTICE, payload, run_at=alarm.raised, dedup_key=f"alarm:{alarm.id}")
    if is_new:
        metrics.ALARMS.labels(alarm.kind).inc()
        log.warning("alarm", kind=alarm.kind, found=alarm.found)
    return is_new


def tell_not_indexed(house: House, found: str) -> None:
    """Images that came are not where doctors find them. Where the database is away, that is told instead."""
    with suppress(StorageUnavailable):
        raise_alarm(house, Alarm("images-not-indexed", str(house.home), found, house.now()))


def _told(alarm: Alarm) -> dict[str, str]:
    return {"kind": alarm.kind, "about": alarm.about, "found": alarm.found}


def notify(house: House, payload: dict[str, str]) -> str | None:
    """Tell the officer of one alarm; None when it is out."""
    return tell_of_alarm(house, Alarm(**{**payload, "raised": datetime.fromisoformat(payload["raised"])}))  # type: ignore[arg-type]


# -- breadth


def watch_breadth(house: House) -> None:
    """Count today's different patients of each person and hospital, and say where it is many."""
    now, limits = house.now(), house.settings.limits
    start = datetime.combine(now.astimezone(VIET_NAM).date(), clock_time.min, VIET_NAM)
    day = start.date().isoformat()
    with house.storage.begin() as unit:
        counted = dict(_counted(house, unit, start, now + timedelta(seconds=1)))
        since = (start - HISTORY).date().isoformat()
        history = {about: unit.breadths.before(about, day, since=since) for about in counted}
        for about, patients in counted.items():
            unit.breadths.note(about, day, patients)
        unit.breadths.forget_before((start - 2 * HISTORY).date().isoformat())
    rule = BreadthRule(limits.breadth_times, limits.breadth_least)
    for about, patients in counted.items():
        breadth = Breadth(patients, history[about])
        if rule.is_unusual(breadth):
            text = f"{patients} different patients today; {rule.bound(breadth):.0f} would be much already"
            raise_alarm(house, Alarm("unusual-breadth", about, text, now))
        quota = limits.patients_a_day_person if "#" in about else limits.patients_a_day_peer
        if quota and patients >= quota:
            text = f"{patients} different patients today: the quota of {quota} is reached, and nothing more is shown"
            raise_alarm(house, Alarm("quota", about, text, now))


def _counted(house: House, unit: UnitOfWork, since: datetime, until: datetime) -> Iterator[tuple[str, int]]:
    """Hospitals, and persons: ours and theirs."""
    yield from unit.disclosures.hospitals(since, until).items()
    for subject, other, patients in unit.disclosures.breadth(since, until):
        yield person_at(other or str(house.home), subject), patients


# -- late reviews


def watch_reviews(house: House) -> None:
    """An emergency that nobody looked at in its working days."""
    now = house.now()
    with house.storage.read() as unit:
        late = [one for one in unit.emergencies.waiting() if one.is_late(now)]
    if late:
        text = f"{len(late)} emergency accesses are not reviewed in their three working days"
        raise_alarm(house, Alarm("emergency-overdue", str(house.home), text, now))


# -- the canary


def ask_canaries(house: House) -> int:
    """Questions that must be refused, decided over records of this very moment; returns how many were asked.

    A hospital that does not exist asks for treatment, in a declared emergency for what the law closes, and as somebody
    who does not treat. Whoever breaks the rule, the wiring or the consents in the database is told of it by these.
    Nothing is shown by it and nobody's record says that they were looked at, since nobody looks.
    """
    asked = 0
    with house.storage.read() as unit:
        for entry in _some(unit):
            consents = unit.consents.of_records((entry.record_id,))
            if any(_speaks_to_everybody(one) for one in consents):
                continue
            asked += 1
            why = _answered(house, Item(id=entry.id, unique_id=entry.unique_id, made=entry.performed), consents)
            if why is not None:
                break
        else:
            why = None
    if why is not None:
        raise_alarm(house, Alarm("canary-answered", str(house.home), why, house.now()))
    return asked


def _some(unit: UnitOfWork) -> Iterator[DocumentEntry]:
    yield from unit.documents.find(DocumentSearch(limit=CANARIES))


def _speaks_to_everybody(consent: Consent) -> bool:
    """A patient may open their record to every hospital; then a stranger is no canary."""
    return any(not provision.actors or any(actor.home is None for actor in provision.actors)
               for provision in consent.provision.everywhere)  # fmt: skip


def _answered(house: House, item: Item, consents: tuple[Consent, ...]) -> str | None:
    """Which of the questions was answered, in words; None where each was refused, as it must be."""
    now = house.now()
    stranger = Requester("canary", Role.DOCTOR, NOBODYS)
    declared = replace(stranger, purpose=PurposeOfUse.BTG, reason="unconscious: canary")
    questions = {
        "a hospital that nobody named is shown a record": (stranger, item),
        "an emergency opens what the law closes": (declared, replace(item, labels=frozenset({HIV.code}))),
        "who does not treat is shown a record": (replace(declared, role=Role.ADMINISTRATOR), item),
    }
    for text, (requester, wanted) in questions.items():
        if decide(AccessRequest(requester, house.home, wanted), consents, house.policy, now=now).permit:
            return text
    if may_show_something(AccessRequest(stranger, house.home), consents, house.policy, now=now):
        return "a hospital that nobody named is told that there is something"
    return None
