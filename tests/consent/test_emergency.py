"""Emergency access as a rule: what counts as declared, for how long, by when it is reviewed, and the figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consent.emergency import (
    Declaration,
    EmergencyReason,
    Review,
    begun,
    declaration,
    is_declared,
    statistics,
)
from consent.policy import VIET_NAM, BasePolicy
from consent.requesters import PurposeOfUse, Requester, Role
from consent.working_days import Calendar
from registry.local_time import VIET_NAM as HANOI
from tests.consent.test_decide import ASKER, HOLDER, NOW

SECOND = timedelta(seconds=1)
DOCTOR = Requester("s", Role.DOCTOR, ASKER, "Trần A", purpose=PurposeOfUse.BTG, reason="unconscious: xe tông")
FIRST = begun("1", DOCTOR, "r", now=NOW, calendar=Calendar())


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("unconscious: struck by  a lorry", Declaration(EmergencyReason.UNCONSCIOUS, "struck by a lorry")),
        (" Disaster ", Declaration(EmergencyReason.DISASTER, "")),
        ("cannot-sign:", Declaration(EmergencyReason.CANNOT_SIGN, "")),
        ("bất tỉnh", Declaration(EmergencyReason.OTHER, "bất tỉnh")),
        ("12:30 ngã", Declaration(EmergencyReason.OTHER, "12:30 ngã")),
        ("other: abc", Declaration(EmergencyReason.OTHER, "abc")),
        ("abc", Declaration(EmergencyReason.OTHER, "abc")),
        ("other: ab", None),
        ("other", None),
        ("ab", None),
        ("", None),
    ],
)
def test_what_counts_as_declared(said: str, found: Declaration | None) -> None:
    assert declaration(said) == found


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"purpose": PurposeOfUse.ETREAT}, True),
        ({"purpose": PurposeOfUse.TREAT}, False),
        ({"role": Role.REGISTRAR}, False),
        ({"reason": ""}, False),
        ({"declared": NOW}, True),
        ({"declared": NOW - timedelta(hours=4) + SECOND}, True),
        ({"declared": NOW - timedelta(hours=4)}, False),
        ({"declared": NOW + timedelta(seconds=10)}, True),
        ({"declared": NOW + timedelta(seconds=11)}, False),
    ],
)
def test_who_may_declare_and_for_how_long_it_holds(changes: dict[str, object], counts: bool) -> None:
    asked = replace(DOCTOR, **changes)  # type: ignore[arg-type]
    assert is_declared(asked, VIET_NAM.emergency_roles, now=NOW) == counts


def test_it_lasts_from_the_declaration_and_is_reviewed_within_three_working_days() -> None:
    monday = datetime(2026, 11, 23, 3, tzinfo=UTC)
    said = begun("1", replace(DOCTOR, declared=monday - SECOND), "r", now=monday, calendar=Calendar())
    assert (said.declared, said.ends) == (monday - SECOND, monday - SECOND + timedelta(hours=4))
    assert said.due == datetime(2026, 11, 27, tzinfo=HANOI)
    ahead = begun("1", replace(DOCTOR, declared=monday + SECOND), "r", now=monday, calendar=Calendar())
    assert ahead.declared == monday
    assert FIRST.declared == NOW
    assert declaration(FIRST.said) == declaration(DOCTOR.reason)


def test_another_look_is_the_same_emergency_only_for_the_same_person_patient_and_hours() -> None:
    assert FIRST.is_same(DOCTOR, "r", NOW)
    assert FIRST.is_same(DOCTOR, "r", FIRST.ends - SECOND)
    assert not FIRST.is_same(DOCTOR, "r", FIRST.ends)
    assert not FIRST.is_same(DOCTOR, "r", NOW - SECOND)
    assert not FIRST.is_same(DOCTOR, "another", NOW)
    assert not FIRST.is_same(replace(DOCTOR, subject="t"), "r", NOW)
    assert not FIRST.is_same(replace(DOCTOR, home=HOLDER), "r", NOW)


def test_a_review_in_time_stays_in_time_and_a_late_one_stays_late() -> None:
    due = FIRST.due
    assert not FIRST.is_late(due)
    assert FIRST.is_late(due + SECOND)
    assert not replace(FIRST, review=Review("justified", "dpo", due, "")).is_late(due + SECOND)
    assert replace(FIRST, review=Review("justified", "dpo", due + SECOND, "")).is_late(due)


def test_statistics_count_by_reason_role_hospital_and_finding() -> None:
    reviewed = replace(FIRST, role=Role.NURSE, review=Review("unjustified", "dpo", NOW, ""))
    found = statistics([FIRST, replace(FIRST, home=HOLDER), reviewed], now=FIRST.due + SECOND)
    assert (found.total, found.open, found.late) == (3, 2, 2)
    assert found.by_reason == {"unconscious": 3}
    assert found.by_role == {"doctor": 2, "nurse": 1}
    assert found.by_hospital == {str(ASKER): 2, str(HOLDER): 1}
    assert found.by_finding == {"unjustified": 1}


def test_nothing_is_opened_by_an_emergency_where_the_policy_does_not_say_so() -> None:
    """It needs somebody who is told; without one it is off."""
    assert BasePolicy("made up", frozenset()).emergency_access is False
