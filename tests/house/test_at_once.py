"""Many who do the same, or the opposite, in the same moment: each has its effect once, and nobody is turned away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import pytest

from consent.reasons import Reason
from consent.requesters import Role
from hie_node import hl7v2
from hie_node.flows.anew import grouped_anew, was_in_the_way
from tests.lab import Hospital, Lab
from tests.papers import HOA, LAN

One = TypeVar("One")


def at_once(*acts: Callable[[], One]) -> list[One]:
    """What each gave, begun in the same moment."""
    gate = threading.Barrier(len(acts))

    def begun(act: Callable[[], One]) -> One:
        gate.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(begun, acts))


@pytest.fixture
def hospital(lab: Lab) -> Hospital:
    return lab.hospital("bac-ninh")


# ---- what stands in the way ----


def test_groups_of_units_that_wait_for_each_other_are_both_done(hospital: Hospital) -> None:
    house, gate = hospital.house, threading.Barrier(2)
    records = [hospital.registers(one) for one in (LAN, HOA)]

    def changes(first: str, second: str) -> None:
        def group() -> None:
            with house.storage.together():
                for place, record_id in enumerate((first, second)):
                    with house.storage.begin() as unit:
                        known = unit.patients.record_by_id(record_id)
                        assert known is not None
                        unit.patients.save(replace(known, version=known.version + 1))
                    if not place:
                        with suppress(threading.BrokenBarrierError):
                            gate.wait(0.3)

        grouped_anew(house, group)

    at_once(lambda: changes(*records), lambda: changes(*reversed(records)))
    with house.storage.read() as unit:
        assert [one.version for one in map(unit.patients.record_by_id, records) if one] == [3, 3]


def test_groups_of_messages_about_the_same_patients_do_not_wait_in_a_circle(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One system tells of them in this order, another in that."""
    oid = hospital.house.settings.patient_id_system.removeprefix("urn:oid:")
    numbers = [LAN.number_at("bac-ninh"), HOA.number_at("bac-ninh")]
    for one in (LAN, HOA):
        hospital.registers(one)

    def tells(number: str, phone: str) -> bytes:
        lines = (
            f"MSH|^~\\&|HIS|BVB|HIE|27001|20261101080000||ADT^A08^ADT_A01|{phone}|P|2.5",
            "EVN|A08|20261101080000",
            f"PID|1||{number}^^^&{oid}&ISO||Le^Mau||19600101|F|||||^^PH^^^^{phone}",
            "PV1|1|O",
        )
        return ("\r".join(lines) + "\r").encode()

    def group(place: int) -> list[str]:
        order = numbers if place % 2 else numbers[::-1]
        messages = [tells(number, f"09{place}{turn}") for turn, number in enumerate(order * 3)]
        return [one.verdict.code for one in hl7v2.handle_together(hospital.house, messages)]

    failures: list[Exception] = []
    monkeypatch.setattr(hl7v2, "was_in_the_way", lambda error: failures.append(error) or was_in_the_way(error))
    assert at_once(*(lambda p=p: group(p) for p in range(6))) == [["AA"] * 6] * 6
    assert failures == []


def test_an_act_that_is_begun_anew_has_noted_nothing(hospital: Hospital) -> None:
    act = hospital._act("test", Role.DOCTOR)
    act.refused(Reason.QUOTA)
    act.consents.add("one")
    act.begin_anew()
    assert (act.items, act.reasons, act.consents) == ([], {}, set())
