"""A consent as a value: what makes none, what holds when nothing is said, and hospitals that are still to be named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent.consents import (
    ALL_NORMAL,
    DENY,
    FACILITY_SYSTEM,
    Actor,
    Consent,
    Evidence,
    Period,
    Provision,
    look_at_items,
)
from consent.errors import EvidenceMissing, InvalidConsent
from registry.identifiers import PatientIdentifier
from tests.consent.test_decide import ASKER, DAY, HOLDER, NOW, consent

RULE = Provision("permit")
DEEP = Provision("permit", provisions=(Provision("deny", provisions=(Provision("permit"),)),))


@pytest.mark.parametrize(
    ("element", "changes"),
    [
        ("Consent.status", {"status": "agreed"}),
        ("Consent.policy.uri", {"policy": "urn:mine"}),
        ("Consent.provision.provision.provision", {"provision": DEEP}),
        ("Consent.source[x]", {"evidence": None}),
    ],
)
def test_what_its_profile_does_not_allow_is_no_consent(element: str, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidConsent) as refused:
        replace(consent(), **changes)
    assert refused.value.element == element
    assert isinstance(refused.value, EvidenceMissing) == (element == "Consent.source[x]")


@pytest.mark.parametrize(
    "changes", [{"receipt": "r"}, {"policy": DENY}, {"status": "draft"}, {"provision": Provision("deny")}]
)
def test_only_a_permission_of_this_hospital_needs_its_paper(changes: dict[str, object]) -> None:
    assert replace(consent(), **{"evidence": None, **changes}).evidence is None  # type: ignore[arg-type]


def test_a_permission_may_hide_in_an_exception() -> None:
    refusal = Provision("deny", provisions=(Provision("permit"),))
    with pytest.raises(EvidenceMissing):
        replace(consent(policy=ALL_NORMAL), provision=refusal, evidence=None)


def test_a_period_ends_at_its_start_or_later() -> None:
    assert Period(NOW, NOW).end == NOW and not Period(NOW, NOW).holds(NOW)
    with pytest.raises(InvalidConsent):
        Period(NOW, NOW - DAY)


def test_a_consent_that_says_no_more_is_the_first_version_and_stands() -> None:
    made = Consent(
        "c", PatientIdentifier("urn:x", "1"), "r", "active", NOW, ALL_NORMAL, RULE, evidence=Evidence("paper", "x")
    )
    assert (made.version, made.deleted) == (1, False)


def known(facility: str) -> object:
    return {"27001": HOLDER, "01929": ASKER}.get(facility)


def test_hospitals_are_resolved_by_the_directory_wherever_they_stand() -> None:
    nested = Provision("deny", actors=(Actor(facility="01929"), Actor(ASKER)))
    root = Provision("permit", authors=frozenset({f"{FACILITY_SYSTEM}|27001", "BS A"}), provisions=(nested,))
    made = replace(consent(), provision=root, custodian_facility="27001")
    assert made.is_unresolved
    found = made.resolved(known)  # type: ignore[arg-type]
    assert not found.is_unresolved and found.custodian == HOLDER
    assert found.provision.authors == {str(HOLDER), "BS A"}
    assert [actor.home for actor in found.provision.provisions[0].actors] == [ASKER, ASKER]
    assert found.resolved(lambda facility: None) is found, "nothing is left to ask for"


@pytest.mark.parametrize(
    "changes",
    [
        {"custodian_facility": "99999"},
        {"provision": Provision("permit", actors=(Actor(facility="99999"),))},
        {"provision": Provision("permit", authors=frozenset({f"{FACILITY_SYSTEM}|99999"}))},
        {"provision": Provision("permit", provisions=(Provision("deny", actors=(Actor(facility="99999"),)),))},
    ],
)
def test_a_hospital_that_the_directory_does_not_know_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidConsent):
        replace(consent(), **changes).resolved(known)  # type: ignore[arg-type]


def test_a_consent_about_every_hospital_needs_no_keeper_to_be_resolved() -> None:
    made = replace(consent(), provision=Provision("permit", actors=(Actor(facility="01929"),)))
    found = made.resolved(known)  # type: ignore[arg-type]
    assert found.custodian is None and found.provision.actors[0].home == ASKER
    again = replace(made, custodian=HOLDER, custodian_facility="99999").resolved(known)  # type: ignore[arg-type]
    assert again.custodian == HOLDER, "it was resolved before, whatever the directory says now"


def test_one_that_tells_items_apart_is_enough() -> None:
    assert look_at_items((consent(), consent(instances=frozenset({"x"}))))
    assert not look_at_items((consent(), consent("deny")))


LATER = Period(NOW)


@pytest.mark.parametrize(
    ("rule", "looks"),
    [
        (RULE, False),
        (Provision("permit", labels=frozenset({"R"}), period=LATER, actors=(Actor(ASKER),)), False),
        (Provision("permit", data_period=LATER), True),
        (Provision("permit", instances=frozenset({"x"})), True),
        (Provision("permit", authors=frozenset({"x"})), True),
        (Provision("permit", encounters=frozenset({"x"})), True),
        (Provision("permit", provisions=(Provision("deny"), Provision("deny", instances=frozenset({"x"})))), True),
        (Provision("permit", provisions=(Provision("deny"),)), False),
    ],
)
def test_what_tells_two_items_apart_are_conditions_on_the_data(rule: Provision, looks: bool) -> None:
    assert rule.looks_at_items == looks
    assert replace(rule, provisions=()).says_all == (
        not replace(rule, provisions=()).looks_at_items and not rule.labels
    )


@pytest.mark.parametrize(
    ("actor", "names", "others"),
    [
        (Actor(ASKER), [str(ASKER), "2"], ["1", "27001", "None", ""]),
        (Actor(facility="27001"), ["27001"], ["None", "2", ""]),
        (Actor(ASKER, subject="bs.lan"), ["bs.lan", "2"], ["bs.minh"]),
        (Actor(), [], ["None", ""]),
    ],
)
def test_a_search_names_an_actor_by_what_it_is_known_by(actor: Actor, names: list[str], others: list[str]) -> None:
    assert all(map(actor.is_named, names)) and not any(map(actor.is_named, others))


def test_only_an_actor_that_is_still_a_facility_is_asked_for() -> None:
    anybody, settled = Actor(role="nurse"), Actor(HOLDER, facility="99999")
    made = replace(consent(), provision=Provision("permit", actors=(anybody, settled, Actor(facility="01929"))))
    found = made.resolved(known)  # type: ignore[arg-type]
    assert found.provision.actors == (anybody, settled, Actor(ASKER, facility="01929"))


def test_a_consent_holds_from_the_moment_at_which_it_is_given() -> None:
    assert consent(given=NOW).in_force(NOW) and not consent(given=NOW + DAY).in_force(NOW)
    assert not consent(status="inactive", given=NOW).in_force(NOW)
