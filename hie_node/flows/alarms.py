"""Alarms: what somebody has to look at, until they say that they did."""

from __future__ import annotations

from consent.limits import Alarm
from hie_node.acts import Act
from hie_node.house import House
from registry.errors import NotFound


def open_alarms(house: House) -> tuple[Alarm, ...]:
    """Those that nobody has looked at, the newest first. Nothing in them is about a patient."""
    with house.storage.read() as unit:
        return unit.alarms.open()


def clear_alarm(act: Act, alarm_id: str) -> None:
    """Somebody looked at it: it stays as history, and who said so is on record. Raises NotFound where none is open."""
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        if not unit.alarms.clear(alarm_id, act.now):
            raise NotFound("an open alarm with this id")
        act.items = [alarm_id]
