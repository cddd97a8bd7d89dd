"""What a token leaves to whoever has the data: PCF's forbid and permit, and how they narrow a decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from consent.consents import BASIC_NORMAL, DENY, Actor, Period, Provision
from consent.decide import AccessRequest, Item, decide
from consent.reasons import Reason
from consent.requesters import PurposeOfUse, Requester, Role
from consent.residuals import FORBID_ALL, residual_of, used
from tests.consent.test_decide import ASKER, DAY, HOLDER, NOW, POLICY, THIRD, consent

DOCTOR = Requester("lan", Role.DOCTOR, ASKER)
OWN = Requester("minh", Role.DOCTOR, HOLDER)
YEAR = Period(NOW - 365 * DAY, NOW)
OLD, NEW = Item(id="old", made=NOW - 700 * DAY), Item(id="new", made=NOW - DAY)
RESTRICTED = Item(frozenset({"R"}), id="r", made=NOW - DAY)


def asked(item: Item = NEW, *rules: Provision, who: Requester = DOCTOR) -> AccessRequest:
    return AccessRequest(who, HOLDER, item, rules)


@pytest.mark.parametrize(
    ("rules", "item", "left"),
    [
        ((), NEW, True),
        ((FORBID_ALL,), NEW, False),
        ((FORBID_ALL, Provision("permit", instances=frozenset({"new"}))), NEW, True),
        ((FORBID_ALL, Provision("permit", instances=frozenset({"new"}))), OLD, False),
        ((Provision("permit", instances=frozenset({"new"})), FORBID_ALL), NEW, True),
        ((Provision("deny", instances=frozenset({"new"})),), NEW, False),
        ((Provision("deny", instances=frozenset({"new"})),), OLD, True),
        ((Provision("permit", instances=frozenset({"new"})),), OLD, True),
        ((Provision("deny", data_period=YEAR),), NEW, False),
        ((Provision("deny", data_period=YEAR),), OLD, True),
        ((FORBID_ALL, Provision("permit", labels=frozenset({"N"}))), NEW, True),
        ((FORBID_ALL, Provision("permit", labels=frozenset({"N"}))), RESTRICTED, False),
    ],
)
def test_a_permit_stands_against_a_forbid_and_what_no_rule_touches_flows(
    rules: tuple[Provision, ...], item: Item, left: bool
) -> None:
    allowing = [consent(labels=frozenset({"R"}))]
    without = decide(asked(item), allowing, POLICY, now=NOW)
    decision = decide(asked(item, *rules), allowing, POLICY, now=NOW)
    assert without.permit and decision.permit == left
    assert decision.reason is (Reason.WRITTEN_REQUEST if left else Reason.OUTSIDE)


def test_a_rule_of_a_token_opens_nothing() -> None:
    decision = decide(asked(NEW, Provision("permit")), [], POLICY, now=NOW)
    assert not decision.permit and decision.reason is Reason.NO_WRITTEN_REQUEST
    forbidden = decide(asked(NEW, FORBID_ALL), [], POLICY, now=NOW)
    assert forbidden.reason is Reason.NO_WRITTEN_REQUEST, "why it was refused anyway"
    own = decide(asked(NEW, FORBID_ALL, who=OWN), [], POLICY, now=NOW)
    assert not own.permit and own.reason is Reason.OUTSIDE


def rules_of(made: object, who: Requester = DOCTOR) -> tuple[Provision, ...]:
    ask = asked(who=who)
    return residual_of(used([made], ask, now=NOW), ask, now=NOW)  # type: ignore[list-item]


PLAIN = Provision("permit", "rule", actors=(Actor(ASKER),))
NESTED = Provision("deny", "not this", Period(None, NOW + DAY), (Actor(ASKER),), instances=frozenset({"old"}))
NOT_OLD = Provision("deny", instances=frozenset({"old"}))
OF_ANOTHER = replace(NESTED, actors=(Actor(THIRD),))
OPENED = Provision("permit", "but this", instances=frozenset({"new"}))


@pytest.mark.parametrize(
    ("root", "policy", "rules"),
    [
        (PLAIN, BASIC_NORMAL, ()),
        (replace(PLAIN, provisions=(NESTED, OF_ANOTHER)), BASIC_NORMAL, (NOT_OLD,)),
        (replace(PLAIN, data_period=YEAR), BASIC_NORMAL, (FORBID_ALL, Provision("permit", data_period=YEAR))),
        (
            replace(PLAIN, data_period=YEAR, provisions=(NESTED, OPENED)),
            BASIC_NORMAL,
            (FORBID_ALL, Provision("permit", data_period=YEAR), replace(OPENED, id="")),
        ),
        (replace(PLAIN, provisions=(NESTED, OPENED)), DENY, (FORBID_ALL, replace(OPENED, id=""))),
    ],
)  # fmt: skip
def test_a_consent_leaves_its_conditions_on_data(root: Provision, policy: str, rules: tuple[Provision, ...]) -> None:
    assert rules_of(replace(consent(), provision=root, policy=policy)) == rules


def test_inside_the_own_hospital_only_what_forbids_is_left() -> None:
    """As the rule has it: a permission that names this hospital takes nothing from its own treatment."""
    root = replace(PLAIN, actors=(Actor(HOLDER),), data_period=YEAR, provisions=(replace(NESTED, actors=()), OPENED))
    assert rules_of(replace(consent(), provision=root), OWN) == (NOT_OLD,)
    elsewhere = replace(root, actors=())
    ask = asked(who=OWN)
    assert used([replace(consent(), provision=elsewhere)], ask, now=NOW) == ()


def test_consents_that_do_not_speak_now_are_not_used_and_two_leave_no_rule() -> None:
    ask = asked()
    expired = replace(consent(), id="expired", provision=replace(PLAIN, period=Period(None, NOW)))
    research = replace(consent(purposes=frozenset({PurposeOfUse.HRESCH})), id="research")
    other_holder = replace(consent(), id="other", custodian=THIRD)
    older = replace(consent(), id="older", given=NOW - 2 * DAY, provision=replace(PLAIN, data_period=YEAR))
    newer = replace(consent(), id="newer", given=NOW - timedelta(hours=1))
    found = used([older, expired, research, other_holder, newer], ask, now=NOW)
    assert [one.id for one in found] == ["newer", "older"]
    assert residual_of(found, ask, now=NOW) == () != residual_of(found[1:], ask, now=NOW)
    assert residual_of(tuple(reversed(found)), ask, now=NOW) == residual_of((), ask, now=NOW) == ()
