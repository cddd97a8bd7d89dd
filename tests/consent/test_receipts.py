"""The patient's written request as it travels: when it counts, and what it is made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from consent.consents import DENY, Actor, Evidence, Period, Provision
from consent.errors import InvalidReceipt
from consent.policy import BasePolicy
from consent.receipts import CLOCK_TOLERANCE, ConsentReceipt, receipt_of
from consent.requesters import PurposeOfUse, Requester, Role
from registry.identifiers import INSURANCE_NUMBER, NATIONAL_ID, PatientIdentifier
from registry.people import PatientInQuestion
from tests.consent.test_decide import ASKER, DAY, HOLDER, NOW, THIRD, consent

NUMBER = PatientIdentifier(NATIONAL_ID, "027158004321")
CARD = PatientIdentifier(INSURANCE_NUMBER, "GD4270100000017")
DOCTOR = Requester("s", Role.DOCTOR, ASKER)
GOOD = ConsentReceipt(
    id="r",
    patient=frozenset({NUMBER, CARD.normal}),
    holders=frozenset({HOLDER}),
    recipient=ASKER,
    signer=ASKER,
    purposes=frozenset({PurposeOfUse.TREAT}),
    valid=Period(NOW - DAY, NOW + DAY),
    given=NOW - DAY,
    issued=NOW,
    evidence_hash="e" * 64,
)


def test_a_good_receipt_counts() -> None:
    GOOD.check(DOCTOR, HOLDER, now=NOW)
    replace(GOOD, holders=frozenset()).check(DOCTOR, THIRD, now=NOW)
    GOOD.check(DOCTOR, HOLDER, now=NOW - CLOCK_TOLERANCE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"signer": THIRD}, "other-recipient"),
        ({"recipient": THIRD}, "other-recipient"),
        ({"recipient": THIRD, "signer": THIRD}, "other-recipient"),
        ({"holders": frozenset({THIRD})}, "other-holder"),
        ({"patient": frozenset()}, "no-patient"),
        ({"evidence_hash": ""}, "no-evidence"),
        ({"issued": NOW + timedelta(seconds=11)}, "from-the-future"),
        ({"given": NOW + timedelta(seconds=11)}, "from-the-future"),
        ({"valid": Period(NOW - DAY, NOW)}, "not-valid-now"),
        ({"valid": Period(NOW + timedelta(seconds=1))}, "not-valid-now"),
        ({"purposes": frozenset({PurposeOfUse.HPAYMT})}, "other-purpose"),
        ({"purposes": frozenset()}, "other-purpose"),
    ],
)
def test_a_receipt_that_does_not_count_says_why(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidReceipt) as refused:
        replace(GOOD, **changes).check(DOCTOR, HOLDER, now=NOW)  # type: ignore[arg-type]
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("identifiers", "speaks"),
    [
        ((NUMBER,), True),
        ((CARD,), True),
        ((PatientIdentifier(INSURANCE_NUMBER, "HT3 2701 00000017"),), True),
        ((PatientIdentifier("urn:oid:1.2.3", NUMBER.value),), False),
        ((CARD, PatientIdentifier(NATIONAL_ID, "027158004322")), False),
        ((PatientIdentifier(NATIONAL_ID, "027158004322"),), False),
        ((), False),
    ],
)
def test_whom_a_receipt_speaks_of(identifiers: tuple[PatientIdentifier, ...], speaks: bool) -> None:
    assert GOOD.speaks_of(PatientInQuestion(identifiers)) == speaks


def test_a_consent_travels_as_the_same_request() -> None:
    given = consent(custodian=HOLDER)
    made = receipt_of(given, [NUMBER, CARD], signer=ASKER, now=NOW)
    assert made is not None
    assert (made.patient, made.holders, made.recipient) == (GOOD.patient, GOOD.holders, ASKER)
    there = made.as_consent(PatientIdentifier("urn:y", "7"), "record", HOLDER)
    assert there.provision.period == given.provision.period and there.given == given.given
    assert there.receipt == given.id == there.id
    everywhere = receipt_of(replace(given, custodian=ASKER), [NUMBER], signer=ASKER, now=NOW)
    assert everywhere is not None and not everywhere.holders


@pytest.mark.parametrize("changes", [{"actors": (Actor(ASKER, subject="one doctor"),)}, {"labels": frozenset({"R"})}])
def test_what_a_request_is_limited_to_travels_with_it(changes: dict[str, object]) -> None:
    made = receipt_of(consent(**changes), [NUMBER], signer=ASKER, now=NOW)  # type: ignore[arg-type]
    assert made is not None
    there = made.as_consent(PatientIdentifier("urn:y", "7"), "record", HOLDER).provision
    assert {name: getattr(there, name) for name in changes} == changes


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "inactive"},
        {"given": NOW + DAY},
        {"period": Period(None, NOW)},
        {"actors": (Actor(THIRD),)},
        {"policy": DENY},
        {"type": "deny"},
        {"instances": frozenset({"one"})},
        {"provisions": (Provision("deny", instances=frozenset({"one"})),)},
        {"receipt": "brought by somebody"},
        {"evidence": Evidence("paper", "x", "")},
        {"custodian_facility": "99999"},
    ],
)
def test_what_opens_nothing_here_or_cannot_be_said_simply_does_not_travel(
    changes: dict[str, object],
) -> None:
    assert receipt_of(consent(**changes), [NUMBER], signer=ASKER, now=NOW) is None  # type: ignore[arg-type]


def test_a_receipt_is_from_the_future_by_more_than_clocks_differ() -> None:
    for given in (NOW, NOW + CLOCK_TOLERANCE):
        replace(GOOD, given=given, issued=given).check(DOCTOR, HOLDER, now=NOW)


def test_a_hash_is_one_of_the_two_that_are_known() -> None:
    for length in (40, 64):
        replace(GOOD, evidence_hash="a" * length).check(DOCTOR, HOLDER, now=NOW)
    for length in (39, 41, 63, 65, 128):
        with pytest.raises(InvalidReceipt):
            replace(GOOD, evidence_hash="a" * length).check(DOCTOR, HOLDER, now=NOW)


def test_at_the_holder_it_is_a_consent_for_the_recipient_or_for_whom_it_names_there() -> None:
    whole = GOOD.as_consent(NUMBER, "rec", HOLDER)
    assert whole.provision.actors == (Actor(ASKER),) and whole.provision.purposes == GOOD.purposes
    one = replace(GOOD, actors=(Actor(ASKER, subject="lan"),)).as_consent(NUMBER, "rec", HOLDER)
    assert one.provision.actors == (Actor(ASKER, subject="lan"),)
    assert (one.custodian, one.receipt, one.record_id, one.given) == (HOLDER, "r", "rec", GOOD.given)


LAN, NURSES = Actor(ASKER, subject="lan"), Actor(ASKER, role="nurse")


@pytest.mark.parametrize(
    ("actors", "custodian", "ours"),
    [
        ((Actor(ASKER),), HOLDER, ()),
        ((Actor(ASKER), LAN), HOLDER, ()),
        ((LAN,), HOLDER, (LAN,)),
        ((NURSES,), HOLDER, (NURSES,)),
        ((LAN, Actor(THIRD)), HOLDER, (LAN,)),
        ((Actor(THIRD),), HOLDER, None),
        ((Actor(subject="lan"),), HOLDER, None),
        ((), HOLDER, ()),
        ((), None, None),
        ((), ASKER, None),
    ],
)
def test_a_request_travels_for_whom_it_names_at_the_hospital_that_asks(
    actors: tuple[Actor, ...], custodian: object, ours: tuple[Actor, ...] | None
) -> None:
    made = consent(actors=actors, custodian=custodian)
    receipt = receipt_of(made, (NUMBER,), signer=ASKER, now=NOW)
    assert (receipt.actors if receipt else None) == ours


def test_a_request_without_a_purpose_travels_for_treatment_and_a_refusal_not_at_all() -> None:
    plain = receipt_of(consent(purposes=frozenset()), (NUMBER,), signer=ASKER, now=NOW)
    assert plain is not None and plain.purposes == {PurposeOfUse.TREAT}
    research = receipt_of(consent(purposes=frozenset({PurposeOfUse.HRESCH})), (NUMBER,), signer=ASKER, now=NOW)
    assert research is not None and research.purposes == {PurposeOfUse.HRESCH}
    refusal = consent(type="deny", provisions=(Provision("permit"),))
    assert receipt_of(refusal, (NUMBER,), signer=ASKER, now=NOW) is None


def test_a_hospital_says_whose_requests_count() -> None:
    everybody = BasePolicy("everybody", frozenset())
    some = replace(everybody, honoured=frozenset({"01929", str(THIRD)}))
    nobody = replace(everybody, honoured=frozenset())
    assert everybody.honours(str(ASKER), "01929") and everybody.honours()
    assert some.honours(str(ASKER), "01929") and some.honours(str(THIRD), "19001")
    assert not some.honours(str(ASKER), "27001") and not some.honours()
    assert not nobody.honours(str(ASKER), "01929")
