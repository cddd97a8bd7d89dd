"""Unusual breadth, quotas, late reviews and the canary: whoever has to look is told, and nothing names a patient."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from adapters.store.engine import make_engine
from consent.limits import Alarm, Breadth, BreadthRule
from consent.policy import BasePolicy
from consent.reasons import Reason
from consent.requesters import PurposeOfUse, Role
from hie_node import checks, jobs
from hie_node.flows.audit import opened
from hie_node.watching import ask_canaries, raise_alarm, watch_breadth, watch_reviews
from tests.house.test_emergency import _declare
from tests.lab import Hospital, Lab
from tests.papers import HOA, LAN, STRANGER, ct_report, written_request


def _alarms(hospital: Hospital) -> list[tuple[str, str]]:
    with hospital.house.storage.read() as unit:
        return [(alarm.kind, alarm.about) for alarm in unit.alarms.open()]


@pytest.mark.parametrize(
    ("today", "before", "unusual"),
    [
        (100, (), False),
        (101, (), True),
        (150, (30, 30, 31), False),
        (151, (30, 30, 31), True),
        (900, (200, 200, 200), False),
        (1001, (200, 1, 200), True),
    ],
)
def test_breadth_is_held_against_the_own_usual_day(today: int, before: tuple[int, ...], unusual: bool) -> None:
    assert BreadthRule().is_unusual(Breadth(today, before)) == unusual


def test_who_opens_unusually_many_patients_is_named_once_a_day(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai", breadth_least=1, breadth_times=1.5)
    for person in (LAN, HOA):
        bac_ninh.publishes(ct_report(person))
        bac_ninh.records(written_request(person, to="bach-mai"))
    for person in (LAN, HOA, STRANGER):
        bach_mai.asks(bac_ninh, person)
    for _ in range(2):
        watch_breadth(bac_ninh.house)
    assert set(_alarms(bac_ninh)) == {
        ("unusual-breadth", str(bach_mai.home)),
        ("unusual-breadth", f"{bach_mai.home}#bs.minh"),
        ("unusual-breadth", f"{bac_ninh.home}#bs.minh"),
    }
    jobs.carry_notices(bac_ninh.house)
    assert len(list(bac_ninh.house.settings.outbox.glob("alarm-*"))) == 3
    lines = [check.name for check in checks.look_at(bac_ninh.house, checks.NEAR) if check.name.startswith("alarm")]
    assert len(lines) == 3
    with bac_ninh.house.storage.begin() as unit:
        (first, *_) = unit.alarms.open()
        assert unit.alarms.clear(first.id, lab.clock()) and not unit.alarms.clear(first.id, lab.clock())
    watch_breadth(bac_ninh.house)
    assert len(_alarms(bac_ninh)) == 2, "what somebody looked at is not raised again that day"
    lab.clock.moves(by=timedelta(days=1))
    watch_breadth(bac_ninh.house)
    assert len(_alarms(bac_ninh)) == 2, "a day on which nobody opens anything is no alarm"


def test_a_quota_stops_a_hospital_and_never_a_declared_emergency(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai", patients_a_day_peer=2, quota_look=0.001)
    reports = [bac_ninh.publishes(ct_report(person)) for person in (LAN, HOA)]
    for person in (LAN, HOA):
        bac_ninh.records(written_request(person, to="bach-mai"))
        assert bach_mai.asks(bac_ninh, person).status == 200
    watch_breadth(bac_ninh.house)
    stopped = bach_mai.asks(bac_ninh, LAN)
    assert stopped.status == 429 and reports[0] not in stopped
    assert bac_ninh.record[-1].reasons == {Reason.QUOTA.value: 1} and bac_ninh.record[-1].direction == "refused"
    declared = bach_mai.requester(purpose=PurposeOfUse.BTG, reason="unconscious: tai nạn")
    assert reports[0] in bach_mai.asks(bac_ninh, LAN, who=declared)
    assert bac_ninh.finds_own_documents(LAN).status == 200, "the own hospital is another matter"
    assert ("quota", str(bach_mai.home)) in _alarms(bac_ninh)
    lab.clock.moves(by=timedelta(days=1))
    assert reports[0] in bach_mai.asks(bac_ninh, LAN)


def test_a_quota_of_a_person_stops_that_person_alone(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh", patients_a_day_person=1, quota_look=0.001)
    bac_ninh.publishes(ct_report(LAN))
    assert bac_ninh.finds_own_documents(LAN).status == 200
    watch_breadth(bac_ninh.house)
    assert bac_ninh.finds_own_documents(LAN).status == 429
    assert bac_ninh.asked("GET", "/fhir/DocumentReference").status == 200, "the hospital's own system acts for all"
    assert bac_ninh.publishes(ct_report(HOA)), "what is published is never stopped"


def test_an_emergency_that_nobody_reviewed_in_time_is_an_alarm(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    _declare(bac_ninh, bac_ninh.registers(LAN))
    watch_reviews(bac_ninh.house)
    assert _alarms(bac_ninh) == []
    lab.clock.moves(by=timedelta(days=30))
    watch_reviews(bac_ninh.house)
    assert [kind for kind, _ in _alarms(bac_ninh)] == ["emergency-overdue"]


def test_the_canary_dies_while_the_rule_holds_and_sings_when_it_is_broken(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    assert ask_canaries(bac_ninh.house) == 0
    bac_ninh.publishes(ct_report(LAN))
    bac_ninh.publishes(ct_report(HOA))
    bac_ninh.records(written_request(HOA, to="bach-mai"))
    rows = len(bac_ninh.record)
    assert ask_canaries(bac_ninh.house) == 2 and _alarms(bac_ninh) == []
    assert len(bac_ninh.record) == rows, "nobody looked, so nobody's record says so"
    engine = make_engine(bac_ninh.house.settings.database_url)
    with engine.begin() as connection:  # somebody opens a record in the database itself
        body = connection.execute(text("SELECT body FROM consent")).scalar_one()
        changed = body.replace(str(lab.home_of("bach-mai")), "urn:oid:2.25.1")
        connection.execute(text("UPDATE consent SET body = :b"), {"b": changed})
    engine.dispose()
    ask_canaries(bac_ninh.house)
    assert _alarms(bac_ninh) == [("canary-answered", str(bac_ninh.home))]


def test_a_request_to_every_hospital_is_no_broken_rule(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(written_request(LAN, to=""))
    assert ask_canaries(bac_ninh.house) == 0 and _alarms(bac_ninh) == []


def test_an_alarm_is_raised_once_however_often_it_is_seen(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    alarm = Alarm("canary-answered", "x", "…", lab.clock())
    assert raise_alarm(bac_ninh.house, alarm) and not raise_alarm(bac_ninh.house, alarm)
    jobs.carry_notices(bac_ninh.house)
    assert len(list(bac_ninh.house.settings.outbox.glob("*"))) == 1


# -- the questions that must be answerable


def test_which_patients_a_person_or_a_hospital_opened(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    for person in (LAN, HOA):
        bac_ninh.publishes(ct_report(person))
    bach_mai.asks(bac_ninh, LAN)
    for _ in range(2):
        bach_mai.asks(bac_ninh, HOA, who=replace(bach_mai.requester(), subject="bs.khac"))
    since = lab.clock() - timedelta(days=1)

    def found(**which: object) -> dict[str, int]:
        act = bac_ninh._act("audit", Role.DATA_PROTECTION_OFFICER)
        rows = opened(act, **{"subject": None, "other": None, **which}, since=since)  # type: ignore[arg-type]
        return {number.value: one.times for one, number in rows if number}

    assert found(other=bach_mai.home) == {LAN.number_at("bac-ninh"): 1, HOA.number_at("bac-ninh"): 2}
    assert found(subject="bs.khac") == {HOA.number_at("bac-ninh"): 2}
    assert found(subject="nobody") == {}
    assert bac_ninh.record[-1].transaction == "audit", "asking who looked is itself on record"


@pytest.mark.parametrize("question", ["record_id", "subject", "other", "recorded"])
def test_no_question_about_the_record_reads_all_of_it(lab: Lab, question: str) -> None:
    """The plan of the database, which is the same at a million rows."""
    (bac_ninh,) = lab.hospitals("bac-ninh")
    engine = make_engine(bac_ninh.house.settings.database_url)
    wanted = "recorded >= '2026-01-01'" + ("" if question == "recorded" else f" AND {question} = 'x'")
    statement = f"SELECT body FROM disclosure WHERE {wanted} ORDER BY recorded DESC LIMIT 100"
    on_postgresql = engine.dialect.name == "postgresql"
    with engine.connect() as connection:
        if on_postgresql:
            connection.execute(text("SET enable_seqscan = off"))  # an empty table is read whole for good reason
        rows = connection.execute(text(("EXPLAIN " if on_postgresql else "EXPLAIN QUERY PLAN ") + statement)).all()
    engine.dispose()
    plan = " ".join(str(row) for row in rows)
    name = "ix_disclosure_recorded" if question == "recorded" else f"ix_disclosure_{question}_recorded"
    assert name in plan and "SCAN disclosure " not in plan, plan


def test_the_base_policy_that_a_node_runs_on_is_the_one_of_the_law(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    assert isinstance(bac_ninh.house.policy, BasePolicy) and bac_ninh.house.policy.name == "viet-nam-2026"
