"""The rule itself, over all roles, purposes, states of the consent, labels, own and other hospital."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from consent.consents import (
    ALL_NORMAL,
    BASIC_NORMAL,
    BREAK_GLASS_ONLY,
    DENY,
    Actor,
    Consent,
    Evidence,
    Period,
    Provision,
)
from consent.decide import AccessRequest, Decision, Item, covers_item, decide, may_show_something
from consent.policy import VIET_NAM
from consent.reasons import Reason
from consent.requesters import PurposeOfUse, Requester, Role
from registry.identifiers import HomeCommunityId, PatientIdentifier

HOLDER, ASKER, THIRD = (HomeCommunityId(f"urn:oid:1.2.840.99999.{number}") for number in (1, 2, 3))
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = replace(VIET_NAM, emergency_access=True)
WITHOUT_EMERGENCY = VIET_NAM
LABELS = {
    "none": frozenset[str](),
    "normal": frozenset({"N"}),
    "restricted": frozenset({"R"}),
    "hiv": frozenset({"HIV"}),
    "very restricted": frozenset({"V"}),
    "unreviewed": frozenset({"UNREVIEWED"}),
    "hiv and normal": frozenset({"N", "HIV"}),
}
CLOSED = {"hiv", "very restricted", "unreviewed", "hiv and normal"}


def consent(kind: str = "permit", *, given: datetime = NOW - DAY, **changes: object) -> Consent:
    rule = Provision(
        "deny" if kind == "deny" else "permit",
        "rule",
        Period(NOW - 30 * DAY, NOW + 30 * DAY),
        (Actor(ASKER),),
        frozenset({PurposeOfUse.TREAT}),
    )
    rule_changes = {name: changes.pop(name) for name in list(changes) if name in Provision.__slots__}
    made = Consent(
        id=kind,
        patient=PatientIdentifier("urn:x", "1"),
        record_id="r",
        status="active",
        given=given,
        policy=DENY if kind == "deny" else BASIC_NORMAL,
        provision=replace(rule, **rule_changes),
        evidence=Evidence("paper", "x", "a" * 64),
    )
    return replace(made, **changes)


STATES: dict[str, tuple[Consent, ...]] = {
    "silent": (),
    "permit": (consent(),),
    "deny": (consent("deny"),),
    "expired": (consent(period=Period(None, NOW)),),
    "not begun": (consent(period=Period(NOW + DAY)),),
    "given tomorrow": (consent(given=NOW + DAY),),
    "withdrawn": (consent(status="inactive"),),
    "draft": (consent(status="draft"),),
    "to somebody else": (consent(actors=(Actor(THIRD),)),),
    "of another holder": (consent(custodian=THIRD),),
    "permit, then deny": (consent(given=NOW - 2 * DAY), consent("deny")),
    "deny, then permit": (consent("deny", given=NOW - 2 * DAY), consent()),
    "a tie": (consent(), consent("deny")),
    "a tie, the other way round": (consent("deny"), consent()),
    "for a hospital nobody knows": (consent(actors=(Actor(facility="99999"),)),),
}
OPENS = {"permit", "deny, then permit"}


def ask(
    role: Role, purpose: PurposeOfUse, labels: frozenset[str], *, own: bool = False, reason: str = ""
) -> AccessRequest:
    requester = Requester("s", role, HOLDER if own else ASKER, purpose=purpose, reason=reason)
    return AccessRequest(requester, HOLDER, Item(labels, "id", "unique", NOW - 100 * DAY))


@pytest.mark.parametrize("state", STATES)
def test_another_hospital_sees_what_a_request_in_force_opens_to_it_and_nothing_else(state: str) -> None:
    for role, purpose, label in product(Role, PurposeOfUse, LABELS):
        found = decide(ask(role, purpose, LABELS[label]), STATES[state], POLICY, now=NOW)
        opened = state in OPENS and role.treats and purpose is PurposeOfUse.TREAT and label in ("none", "normal")
        assert found.permit == opened, (role, purpose, label)
        assert (found.reason is Reason.WRITTEN_REQUEST) == opened
        if opened:
            assert (found.consent_id, found.provision_id) == ("permit", "rule")
        elif not role.treats:
            assert found.reason is Reason.ROLE
        elif label in CLOSED:
            assert found.reason in (Reason.CLOSED_LIST, Reason.UNREVIEWED_TEXT)
        else:
            assert found.reason in (Reason.NO_WRITTEN_REQUEST, Reason.PATIENT_REFUSED)


@pytest.mark.parametrize("state", STATES)
def test_a_declared_emergency_opens_all_but_the_closed_lists(state: str) -> None:
    for role, purpose, label in product(Role, (PurposeOfUse.ETREAT, PurposeOfUse.BTG), LABELS):
        declared = ask(role, purpose, LABELS[label], reason="bất tỉnh")
        found = decide(declared, STATES[state], POLICY, now=NOW)
        assert found.permit == (role.treats and label not in CLOSED), (role, purpose, label)
        undeclared = decide(ask(role, purpose, LABELS[label]), STATES[state], POLICY, now=NOW)
        assert not undeclared.permit
        assert not decide(declared, STATES[state], WITHOUT_EMERGENCY, now=NOW).permit


@pytest.mark.parametrize("state", STATES)
def test_inside_the_own_hospital_what_was_said_to_others_changes_nothing(state: str) -> None:
    for role, purpose, label in product(Role, PurposeOfUse, LABELS):
        found = decide(ask(role, purpose, LABELS[label], own=True), STATES[state], POLICY, now=NOW)
        may = (role.treats or role in POLICY.reading_roles) and purpose in POLICY.own_purposes
        assert found.permit == may, (role, purpose, label)


def test_a_refusal_that_names_the_own_hospital_holds_there_but_in_a_declared_emergency() -> None:
    refused = (consent("deny", actors=(Actor(HOLDER),), purposes=frozenset()),)
    for purpose in POLICY.own_purposes:
        for reason in ("", "bất tỉnh"):
            found = decide(ask(Role.DOCTOR, purpose, frozenset(), own=True, reason=reason), refused, POLICY, now=NOW)
            assert found.permit == (purpose.is_emergency and bool(reason))


@pytest.mark.parametrize("state", STATES)
def test_whether_anything_may_be_shown_is_so_whenever_some_item_may(state: str) -> None:
    """It never says no where an item is open; and says no to roles, purposes and states that open nothing."""
    for role, purpose in product(Role, PurposeOfUse):
        asked = ask(role, purpose, frozenset())
        some = any(
            decide(ask(role, purpose, labels), STATES[state], POLICY, now=NOW).permit for labels in LABELS.values()
        )
        assert may_show_something(asked, STATES[state], POLICY, now=NOW) == some, (role, purpose)


ITEM_RULES: dict[str, tuple[Consent, bool]] = {
    "one document": (consent(instances=frozenset({"other"})), True),
    "one author": (consent(authors=frozenset({"BS A"})), True),
    "of last year": (consent(data_period=Period(NOW - 900 * DAY, NOW - 300 * DAY)), True),
    "restricted only": (consent(labels=frozenset({"R"})), True),
    "all but one": (consent(provisions=(Provision("deny", instances=frozenset({"id"})),)), True),
    "all but everything": (consent(provisions=(Provision("deny"),)), False),
    "nothing but one": (
        consent("deny", policy=BASIC_NORMAL, provisions=(Provision("permit", instances=frozenset({"x"})),)),
        True,
    ),
    "everything, and once more": (consent(provisions=(Provision("permit"),)), True),
    "all but what is normal": (
        consent(labels=frozenset({"R"}), provisions=(Provision("permit"), Provision("deny", labels=frozenset({"N"})))),
        True,
    ),
    "nothing but everything": (consent("deny", provisions=(Provision("permit"),)), True),
    "nothing but what is for others": (
        consent("deny", policy=BASIC_NORMAL, provisions=(Provision("permit", actors=(Actor(THIRD),)),)),
        False,
    ),
}


@pytest.mark.parametrize("rule", ITEM_RULES)
def test_a_request_for_single_items_is_a_request(rule: str) -> None:
    """Although an item that is looked at without its name is not covered."""
    given, shows = ITEM_RULES[rule]
    asked = ask(Role.DOCTOR, PurposeOfUse.TREAT, frozenset())
    assert may_show_something(asked, (given,), POLICY, now=NOW) == shows
    older = consent(given=NOW - 9 * DAY)
    assert may_show_something(asked, (older, consent("deny")), POLICY, now=NOW) is False


@pytest.mark.parametrize(
    ("policy", "purposes", "purpose", "opened"),
    [
        (BASIC_NORMAL, (), PurposeOfUse.TREAT, True),
        (BASIC_NORMAL, (), PurposeOfUse.COC, True),
        (BASIC_NORMAL, (), PurposeOfUse.HRESCH, False),
        (ALL_NORMAL, (), PurposeOfUse.HRESCH, True),
        (ALL_NORMAL, (PurposeOfUse.TREAT,), PurposeOfUse.HRESCH, False),
        (BREAK_GLASS_ONLY, (), PurposeOfUse.TREAT, False),
        (BREAK_GLASS_ONLY, (), PurposeOfUse.BTG, True),
        (DENY, (), PurposeOfUse.TREAT, False),
    ],
)
def test_the_policies_of_pcf(
    policy: str, purposes: tuple[PurposeOfUse, ...], purpose: PurposeOfUse, opened: bool
) -> None:
    given = consent(policy=policy, purposes=frozenset(purposes))
    assert decide(ask(Role.DOCTOR, purpose, frozenset()), (given,), WITHOUT_EMERGENCY, now=NOW).permit == opened


@pytest.mark.parametrize(
    ("exception", "labels", "permit"),
    [
        (Provision("deny", "e", instances=frozenset({"id"})), frozenset(), False),
        (Provision("deny", "e", instances=frozenset({"unique"})), frozenset(), False),
        (Provision("deny", "e", instances=frozenset({"other"})), frozenset(), True),
        (Provision("deny", "e", labels=frozenset({"R"})), frozenset({"N"}), True),
        (Provision("deny", "e", labels=frozenset({"N"})), frozenset(), False),
        (Provision("deny", "e", labels=frozenset({"R"})), frozenset(), True),
        (Provision("deny", "e", labels=frozenset({"N"})), frozenset({"R"}), True),
        (Provision("deny", "e", actors=(Actor(THIRD), Actor(ASKER))), frozenset(), False),
        (Provision("deny", "e", actors=(Actor(ASKER, role="nurse"),)), frozenset(), True),
        (Provision("deny", "e", actors=(Actor(ASKER, subject="s"),)), frozenset(), False),
        (Provision("deny", "e", data_period=Period(NOW - 200 * DAY, NOW)), frozenset(), False),
        (Provision("deny", "e", period=Period(NOW + DAY)), frozenset(), True),
        (Provision("deny", "e", authors=frozenset({"BS A"})), frozenset(), True),
    ],
)
def test_exceptions_to_a_request(exception: Provision, labels: frozenset[str], permit: bool) -> None:
    given = consent(provisions=(exception,), labels=labels & {"R"})
    found = decide(ask(Role.DOCTOR, PurposeOfUse.TREAT, labels), (given,), POLICY, now=NOW)
    assert found.permit == permit
    assert found.provision_id == ("rule" if permit else "e")


@pytest.mark.parametrize("policy", [DENY, BASIC_NORMAL])
def test_an_exception_to_a_refusal_opens_what_it_names_and_no_more(policy: str) -> None:
    exception = Provision("permit", "e", instances=frozenset({"id"}))
    given = consent("deny", policy=policy, provisions=(exception,))
    asked = ask(Role.DOCTOR, PurposeOfUse.TREAT, frozenset())
    found = decide(asked, (given,), POLICY, now=NOW)
    assert (found.permit, found.provision_id) == (True, "e")
    other = decide(replace(asked, item=Item(id="other")), (given,), POLICY, now=NOW)
    assert (other.permit, other.provision_id) == (False, "rule")


def test_a_newer_refusal_of_one_item_leaves_the_older_request_for_the_rest() -> None:
    asked = ask(Role.DOCTOR, PurposeOfUse.TREAT, frozenset())
    said = (consent(given=NOW - 9 * DAY), consent("deny", instances=frozenset({"x"})))
    assert decide(asked, said, POLICY, now=NOW).permit
    assert may_show_something(asked, said, POLICY, now=NOW)
    assert may_show_something(replace(asked, item=Item(id="x")), said, POLICY, now=NOW)


def test_a_refusal_of_the_own_hospital_among_others_holds_there() -> None:
    said = (consent("deny", actors=(Actor(THIRD), Actor(HOLDER)), purposes=frozenset()),)
    assert not decide(ask(Role.DOCTOR, PurposeOfUse.TREAT, frozenset(), own=True), said, POLICY, now=NOW).permit


def test_a_decision_says_why() -> None:
    assert decide(ask(Role.DOCTOR, PurposeOfUse.TREAT, frozenset()), (), POLICY, now=NOW) == Decision(
        False, Reason.NO_WRITTEN_REQUEST
    )


SCANNED = Item(frozenset(), "id", "unique", NOW - 100 * DAY, frozenset({"BS A"}), frozenset({"urn:v|7"}))


@pytest.mark.parametrize(
    ("condition", "covered"),
    [
        ({}, True),
        ({"instances": frozenset({"id", "x"})}, True),
        ({"instances": frozenset({"x"})}, False),
        ({"authors": frozenset({"BS A", "BS B"})}, True),
        ({"authors": frozenset({"BS B"})}, False),
        ({"encounters": frozenset({"urn:v|7", "urn:v|8"})}, True),
        ({"encounters": frozenset({"urn:v|8"})}, False),
        ({"data_period": Period(NOW - 200 * DAY, NOW)}, True),
        ({"data_period": Period(NOW - 10 * DAY)}, False),
        ({"encounters": frozenset({"urn:v|7"}), "authors": frozenset({"BS B"})}, False),
    ],
)
def test_a_condition_on_the_data_is_about_the_item_alone(condition: dict[str, Any], covered: bool) -> None:
    assert covers_item(Provision("permit", **condition), SCANNED) == covered
    nothing_known = Item(id="other")
    assert covers_item(Provision("permit", **condition), nothing_known) == (not condition)


@pytest.mark.parametrize("labels", [frozenset({"R"}), frozenset({"R", "PSY"})])
def test_a_policy_that_denies_makes_a_permit_a_denial_of_all_that_carries_its_label(labels: frozenset[str]) -> None:
    """A message that contradicts itself closes: it is read as a denial."""
    wide = consent(given=NOW - 2 * DAY, labels=frozenset({"N", "R", "PSY"}))
    contradictory = consent(policy=DENY, labels=frozenset({"R"}))
    decision = decide(ask(Role.DOCTOR, PurposeOfUse.TREAT, labels), (wide, contradictory), POLICY, now=NOW)
    assert decision.reason is Reason.PATIENT_REFUSED
