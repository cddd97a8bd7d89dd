"""Who has reached the quota of today: looked up every few seconds, so that a request costs nothing."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime

from adapters.store.unit import Storage
from consent.requesters import Requester, Role
from hie_node.setting_tables import Limits
from registry.local_time import VIET_NAM


def person_at(home: str, subject: str) -> str:
    """One login of one hospital, as quotas and alarms name it."""
    return f"{home}#{subject}"


@dataclass(slots=True)
class Quotas:
    """The quotas of this node; counted by `hie_node/watching.py`."""

    storage: Storage
    limits: Limits
    _until: float = 0.0
    _reached: frozenset[str] = frozenset()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def stops(self, requester: Requester, now: datetime) -> bool:
        """Nothing more is shown to this person or hospital today; a declared emergency is not stopped."""
        if not (self.limits.patients_a_day_peer or self.limits.patients_a_day_person):
            return False
        if requester.purpose.is_emergency and requester.reason:
            return False
        with self._lock:
            if time.monotonic() >= self._until:
                self._reached = self._look(now)
                self._until = time.monotonic() + self.limits.quota_look
        if requester.role is Role.SYSTEM:
            return str(requester.home) in self._reached
        names = {str(requester.home), person_at(str(requester.home), requester.subject)}
        return bool(names & self._reached)

    def _look(self, now: datetime) -> frozenset[str]:
        day = now.astimezone(VIET_NAM).date().isoformat()
        with self.storage.read() as unit:
            return unit.breadths.beyond(
                day, hospital=self.limits.patients_a_day_peer, person=self.limits.patients_a_day_person
            )
