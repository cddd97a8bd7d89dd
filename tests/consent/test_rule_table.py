"""The rule as one table: role x purpose x state of the consent x label x own or other hospital, every cell of it.

What is expected is written down here a second time, as tables that a lawyer can read, and never asks the rule. A role,
purpose, reason or label that is not in the tables makes the first test fail.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from consent.closed_lists import sensitivity
from consent.consents import (
    ALL_NORMAL,
    BASIC_NORMAL,
    BREAK_GLASS_ONLY,
    DENY,
    POLICIES,
    Actor,
    Consent,
    Period,
    Provision,
)
from consent.decide import (
    CLOSED,
    RESTRICTED,
    STAYS,
    UNREVIEWED,
    AccessRequest,
    Decision,
    Item,
    _is,
    decide,
    may_show_something,
)
from consent.policy import VIET_NAM
from consent.reasons import Reason
from consent.requesters import PurposeOfUse, Requester, Role
from registry.identifiers import HomeCommunityId
from tests.consent.test_decide import ASKER, DAY, HOLDER, NOW, THIRD, consent

# role: may read here in the own hospital, may be shown records of another, may declare an emergency
ROLES = {
    "doctor": (True, True, True),
    "nurse": (True, True, True),
    "system": (True, True, True),
    "registrar": (True, False, False),
    "consent-desk": (True, False, False),
    "administrator": (True, False, False),
    "data-protection-officer": (True, False, False),
    "patient": (False, False, False),
}
# purpose: free in the own hospital, opened elsewhere by a request for treatment, by one that names no purpose
PURPOSES = {
    "TREAT": (True, True, True),
    "COC": (True, False, True),
    "ETREAT": (True, False, True),
    "BTG": (True, False, True),
    "HPAYMT": (True, False, False),
    "HOPERAT": (True, False, False),
    "PATRQT": (True, False, False),
    "HRESCH": (False, False, False),
    "PUBHLTH": (False, False, False),
}
EMERGENCIES = {"ETREAT", "BTG"}
# label: may leave at all, by which reason not, needs to be named by the request
LABELS = {
    "": (True, None, False),
    "N": (True, None, False),
    "R": (True, None, True),
    "HIV": (False, "closed-list", False),
    "V": (False, "closed-list", False),
    "UNREVIEWED": (False, "unreviewed-text", False),
    "STAYS": (False, "stays-here", False),
}
# reason: what makes it appear; each has to appear somewhere in the table or be named here
NEVER_OF_THE_RULE = {"not-one-person", "not-here", "quota", "outside-the-token"}

ANY = frozenset[PurposeOfUse]()
# state of the consents: (the consents, what the patient says to the asking hospital about treatment)
STATES: dict[str, tuple[tuple[Consent, ...], str]] = {
    "silent": ((), "nothing"),
    "a request for treatment": ((consent(),), "treatment"),
    "a request that names no purpose": ((consent(purposes=ANY),), "care"),
    "a request that names restricted data": ((consent(labels=frozenset({"R"})),), "treatment and restricted"),
    "a refusal of everything": ((consent("deny", purposes=ANY),), "no"),
    "a refusal under the policy for normal data": ((consent(type="deny", purposes=ANY),), "no"),
    "a refusal that says permit": ((consent(policy=DENY, purposes=ANY),), "no"),
    "a request for research": ((consent(purposes=frozenset({PurposeOfUse.HRESCH})),), "research"),
    "a refusal for treatment": ((consent("deny"),), "no treatment"),
    "a refusal of the own hospital": ((consent("deny", actors=(Actor(HOLDER),), purposes=ANY),), "own no"),
    "a request for the own hospital": ((consent(actors=(Actor(HOLDER),)),), "nothing"),
    "expired": ((consent(period=Period(None, NOW)),), "nothing"),
    "not begun": ((consent(period=Period(NOW + DAY)),), "nothing"),
    "given tomorrow": ((consent(given=NOW + DAY),), "nothing"),
    "withdrawn": ((consent(status="inactive"),), "nothing"),
    "a draft": ((consent(status="draft"),), "nothing"),
    "rejected": ((consent(status="rejected"),), "nothing"),
    "entered in error": ((consent(status="entered-in-error"),), "nothing"),
    "proposed": ((consent(status="proposed"),), "nothing"),
    "for another hospital": ((consent(actors=(Actor(THIRD),)),), "nothing"),
    "about another holder": ((consent(custodian=THIRD),), "nothing"),
    "for emergencies only": ((consent(policy=BREAK_GLASS_ONLY, purposes=ANY),), "emergencies"),
    "a request, refused later": ((consent(given=NOW - 2 * DAY), consent("deny", purposes=ANY)), "no"),
    "a refusal, requested later": ((consent("deny", given=NOW - 2 * DAY), consent()), "treatment after no"),
    "both at one moment": ((consent(), consent("deny")), "no treatment"),
    "for a hospital nobody knows": ((consent(actors=(Actor(facility="99999"),)),), "no"),
}
SAYS = {
    "nothing": ((), (), False),
    "treatment": (("TREAT",), (), False),
    "treatment after no": (("TREAT",), ("TREAT",), False),
    "care": (("TREAT", "COC", "ETREAT", "BTG"), (), False),
    "treatment and restricted": (("TREAT",), (), True),
    "no": ((), tuple(PURPOSES), False),
    "no treatment": ((), ("TREAT",), False),
    "own no": ((), (), False),
    "research": (("HRESCH",), (), False),
    "emergencies": (("ETREAT", "BTG"), (), False),
}
"""Purposes that it opens to the asking hospital, purposes that it closes, and whether restricted data are named."""

WAYS = {
    "no officer is named": (False, "", None),
    "declared where no officer is named": (False, "bất tỉnh", None),
    "nothing declared": (True, "", None),
    "declared now": (True, "unconscious: bất tỉnh", None),
    "declared an hour ago": (True, "bất tỉnh", NOW - timedelta(hours=1)),
    "declared four hours ago": (True, "bất tỉnh", NOW - timedelta(hours=4)),
    "declared for tomorrow": (True, "bất tỉnh", NOW + DAY),
}
DECLARED = {"declared now", "declared an hour ago"}


def test_nothing_is_missing_from_the_table() -> None:
    assert set(ROLES) == {role.value for role in Role}
    assert set(PURPOSES) == {purpose.value for purpose in PurposeOfUse}
    assert {says for _, says in STATES.values()} == set(SAYS)
    assert {one.status for consents, _ in STATES.values() for one in consents} == {
        "draft", "proposed", "active", "rejected", "inactive", "entered-in-error",
    }  # fmt: skip
    assert set(LABELS) - {"", "N"} == CLOSED | {UNREVIEWED, RESTRICTED, STAYS}
    made = {label.code for label in (*sensitivity(route="1.9"), *sensitivity(texts=("nhiễm HIV",)))}
    assert made <= set(LABELS), "what publishing labels is in the table"
    assert {BASIC_NORMAL, ALL_NORMAL, DENY, BREAK_GLASS_ONLY} == POLICIES


def _expected(role: str, purpose: str, state: str, label: str, *, own: bool, way: str) -> tuple[bool, str]:
    """Permit and reason, from the tables alone."""
    reads_here, treats, declares = ROLES[role]
    leaves, because, has_to_be_named = LABELS[label]
    _, says = STATES[state]
    opens, closes, names_restricted = SAYS[says]
    emergency = way in DECLARED and purpose in EMERGENCIES and declares
    if own:
        if not reads_here:
            return False, "role-not-allowed"
        if not PURPOSES[purpose][0]:
            return False, "purpose-not-allowed"
        if says == "own no":
            return (True, "emergency-access") if emergency else (False, "patient-refused")
        return True, "own-hospital"
    if not treats:
        return False, "role-not-allowed"
    if not leaves:
        assert because is not None
        return False, because
    if purpose in opens and (not has_to_be_named or names_restricted):
        return True, "written-request"
    if emergency:
        return True, "emergency-access"
    return False, "patient-refused" if purpose in closes else "no-written-request"


def _ask(role: str, purpose: str, label: str, *, own: bool, way: str) -> AccessRequest:
    _, reason, declared = WAYS[way]
    home = HOLDER if own else ASKER
    asker = Requester("s", Role(role), home, purpose=PurposeOfUse(purpose), reason=reason, declared=declared)
    return AccessRequest(asker, HOLDER, Item(frozenset({label} - {""}), "id", "unique", NOW - 100 * DAY))


@pytest.mark.parametrize("state", STATES)
def test_every_cell_of_the_table_is_as_written(state: str) -> None:
    consents, seen = STATES[state][0], set()
    for role, purpose, label, own, way in product(ROLES, PURPOSES, LABELS, (True, False), WAYS):
        policy = replace(VIET_NAM, emergency_access=WAYS[way][0])
        found = decide(_ask(role, purpose, label, own=own, way=way), consents, policy, now=NOW)
        expected = _expected(role, purpose, state, label, own=own, way=way)
        assert (found.permit, found.reason.value) == expected, (role, purpose, label, own, way)
        assert found.type == ("permit" if found.permit else "deny")
        assert (found.consent_id is not None) == (found.reason in (Reason.WRITTEN_REQUEST, Reason.PATIENT_REFUSED))
        seen.add(found.reason)
    assert seen >= {Reason.ROLE, Reason.PURPOSE, Reason.CLOSED_LIST, Reason.UNREVIEWED_TEXT, Reason.STAYS_HERE}


@pytest.mark.parametrize("state", STATES)
def test_whether_anything_may_be_shown_is_the_table_over_all_labels(state: str) -> None:
    consents = STATES[state][0]
    for role, purpose, own, way in product(ROLES, PURPOSES, (True, False), WAYS):
        policy = replace(VIET_NAM, emergency_access=WAYS[way][0])
        some = any(_expected(role, purpose, state, label, own=own, way=way)[0] for label in LABELS)
        asked = replace(_ask(role, purpose, "", own=own, way=way), item=Item())
        found = may_show_something(asked, consents, policy, now=NOW)
        assert found == some, (role, purpose, own, way)


def test_every_reason_is_given_somewhere() -> None:
    given = {
        _expected(role, purpose, state, label, own=own, way=way)[1]
        for role, purpose, state, label, own, way in product(ROLES, PURPOSES, STATES, LABELS, (True, False), WAYS)
    }
    assert given | NEVER_OF_THE_RULE == {reason.value for reason in Reason}


# -- conditions on items, each alone: (the provision's condition, an item that it covers, one that it does not)
MADE = NOW - 100 * DAY
CONDITIONS: dict[str, tuple[dict[str, object], Item, Item]] = {
    "period of the data": (
        {"data_period": Period(MADE, MADE + DAY)}, Item(made=MADE), Item(made=MADE + DAY)),
    "period of the data, undated item": (
        {"data_period": Period(MADE, None)}, Item(made=MADE), Item(made=None)),
    "instance by id": ({"instances": frozenset({"a"})}, Item(id="a"), Item(id="b")),
    "instance by unique id": ({"instances": frozenset({"a"})}, Item(unique_id="a"), Item(unique_id="b")),
    "author": ({"authors": frozenset({"x"})}, Item(authors=frozenset({"x", "y"})), Item(authors=frozenset({"y"}))),
    "label": ({"labels": frozenset({"R"})}, Item(frozenset({"R"})), Item(frozenset({"R", "PSY"}))),
}  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_holds_for_what_it_names(condition: str) -> None:
    changes, covered, other = CONDITIONS[condition]
    for item, permit in ((covered, True), (other, False)):
        asked = AccessRequest(Requester("s", Role.DOCTOR, ASKER), HOLDER, item)
        found = decide(asked, (consent(**changes),), VIET_NAM, now=NOW)
        assert found.permit == permit
        assert found.reason is (Reason.WRITTEN_REQUEST if permit else Reason.NO_WRITTEN_REQUEST)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_an_exception_takes_out_what_it_names_and_nothing_else(condition: str) -> None:
    changes, covered, other = CONDITIONS[condition]
    exception = Provision("deny", "e", **changes)  # type: ignore[arg-type]
    both = consent(labels=frozenset({"R", "PSY"}), provisions=(exception,))
    for item, permit in ((covered, False), (other, condition != "label")):
        asked = AccessRequest(Requester("s", Role.DOCTOR, ASKER), HOLDER, item)
        found = decide(asked, (both,), VIET_NAM, now=NOW)
        assert (found.permit, found.provision_id) == (permit, "rule" if permit else "e")


ACTORS: dict[str, tuple[Actor, Requester, bool]] = {
    "the hospital": (Actor(ASKER), Requester("s", Role.DOCTOR, ASKER), True),
    "another hospital": (Actor(THIRD), Requester("s", Role.DOCTOR, ASKER), False),
    "one person there": (Actor(ASKER, subject="s"), Requester("s", Role.DOCTOR, ASKER), True),
    "another person there": (Actor(ASKER, subject="t"), Requester("s", Role.DOCTOR, ASKER), False),
    "the same login elsewhere": (Actor(THIRD, subject="s"), Requester("s", Role.DOCTOR, ASKER), False),
    "a role there": (Actor(ASKER, role="nurse"), Requester("s", Role.NURSE, ASKER), True),
    "another role there": (Actor(ASKER, role="nurse"), Requester("s", Role.DOCTOR, ASKER), False),
    "anybody": (Actor(), Requester("s", Role.DOCTOR, ASKER), True),
    "a facility nobody knows": (Actor(facility="9"), Requester("s", Role.DOCTOR, ASKER), False),
}


@pytest.mark.parametrize("actor", ACTORS)
def test_an_actor_is_whom_it_names(actor: str) -> None:
    named, asker, permit = ACTORS[actor]
    found = decide(AccessRequest(asker, HOLDER, Item()), (consent(actors=(named,)),), VIET_NAM, now=NOW)
    assert found.permit == permit


def test_the_newest_of_several_consents_counts_wherever_it_stands() -> None:
    old, new = consent("deny", given=NOW - 2 * DAY), consent(given=NOW - DAY)
    asked = AccessRequest(Requester("s", Role.DOCTOR, ASKER), HOLDER, Item())
    assert decide(asked, (old, new), VIET_NAM, now=NOW) == decide(asked, (new, old), VIET_NAM, now=NOW)
    assert decide(asked, (old, new), VIET_NAM, now=NOW).permit


def test_a_refusal_of_which_only_the_day_is_known_stands_against_a_request_of_that_day() -> None:
    morning = NOW.replace(hour=1)
    refused = consent("deny", given=morning, given_by=morning + timedelta(hours=23))
    requested = consent(given=morning + timedelta(hours=5))
    asked = AccessRequest(Requester("s", Role.DOCTOR, ASKER), HOLDER, Item())
    for order in ((refused, requested), (requested, refused)):
        assert decide(asked, order, VIET_NAM, now=NOW).reason is Reason.PATIENT_REFUSED
    later = consent(given=morning + timedelta(hours=5), given_by=morning + timedelta(hours=24))
    assert not decide(asked, (refused, later), VIET_NAM, now=NOW).permit, "only a refusal is read so"


def test_a_decision_names_the_exception_that_closes_before_one_that_opens() -> None:
    exceptions = (Provision("permit", "p"), Provision("deny", "d"))
    asked = AccessRequest(Requester("s", Role.DOCTOR, ASKER), HOLDER, Item())
    found = decide(asked, (consent(provisions=exceptions),), VIET_NAM, now=NOW)
    assert found == Decision(False, Reason.PATIENT_REFUSED, "permit", "d")


def test_a_provision_without_an_id_has_none_in_the_decision() -> None:
    asked = AccessRequest(Requester("s", Role.DOCTOR, ASKER), HOLDER, Item())
    assert decide(asked, (consent(),), VIET_NAM, now=NOW).provision_id == "rule"
    bare = replace(consent(), provision=replace(consent().provision, id=""))
    assert decide(asked, (bare,), VIET_NAM, now=NOW).provision_id is None


def test_the_home_of_a_requester_is_a_whole_name() -> None:
    longer = HomeCommunityId(f"{ASKER}.1")
    asked = AccessRequest(Requester("s", Role.DOCTOR, longer), HOLDER, Item())
    assert not decide(asked, (consent(),), VIET_NAM, now=NOW).permit


def test_a_consent_whose_parties_nobody_knows_closes_what_an_older_one_had_opened() -> None:
    older, newer = consent(given=NOW - 2 * DAY), consent(actors=(Actor(facility="99999"),))
    asked = AccessRequest(Requester("s", Role.DOCTOR, ASKER), HOLDER, Item())
    assert decide(asked, (older, newer), VIET_NAM, now=NOW).reason is Reason.PATIENT_REFUSED
    assert not may_show_something(asked, (older, newer), VIET_NAM, now=NOW)


def test_what_a_request_says_of_research_opens_nothing_inside_the_own_hospital() -> None:
    research = consent(actors=(Actor(HOLDER),), purposes=frozenset({PurposeOfUse.HRESCH}))
    asked = AccessRequest(Requester("s", Role.DOCTOR, HOLDER, purpose=PurposeOfUse.HRESCH), HOLDER, Item())
    assert decide(asked, (research,), VIET_NAM, now=NOW).reason is Reason.PURPOSE
    assert not may_show_something(asked, (research,), VIET_NAM, now=NOW)


def test_a_normal_item_that_is_also_labelled_normal_is_what_a_label_covers() -> None:
    asked = AccessRequest(Requester("s", Role.DOCTOR, ASKER), HOLDER, Item(frozenset({"R", "N"})))
    assert decide(asked, (consent(labels=frozenset({"R"})),), VIET_NAM, now=NOW).permit


def test_a_newer_refusal_of_one_document_leaves_the_older_request_for_the_others() -> None:
    older = consent(given=NOW - 2 * DAY)
    newer = consent("deny", instances=frozenset({"a"}))
    asked = AccessRequest(Requester("s", Role.DOCTOR, ASKER), HOLDER, Item(id="b"))
    assert decide(asked, (older, newer), VIET_NAM, now=NOW).permit
    assert may_show_something(asked, (older, newer), VIET_NAM, now=NOW)
    assert not may_show_something(asked, (older, consent("deny")), VIET_NAM, now=NOW)


def test_a_hospital_that_nobody_knows_is_nobody() -> None:
    """Even where a consent slipped through with it."""
    assert not _is(Actor(facility="99999"), Requester("s", Role.DOCTOR, ASKER))
