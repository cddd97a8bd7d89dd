"""Is this the same person? Every combination of agreement, and the cases that go wrong in practice."""

from __future__ import annotations

from itertools import product

import pytest

from registry.identifiers import INSURANCE_NUMBER, NATIONAL_ID, PatientIdentifier
from registry.matching import Agreement, Candidate, Comparison, CorroboratedNumber, Zone, compare, name_agreement
from registry.people import BirthDate, Demographics, Gender, HumanName, PatientInQuestion, SourceRecord
from registry.vietnamese import folded, is_newborn_placeholder, toned

NUMBER = PatientIdentifier(NATIONAL_ID, "027158004321")
CARD = PatientIdentifier(INSURANCE_NUMBER, "GD4270100000017")


def person(
    name: str, born: str, gender: Gender = "female", *numbers: PatientIdentifier, key: str = "1"
) -> SourceRecord:
    who = Demographics(HumanName.of(name), BirthDate(born), gender)
    return SourceRecord(f"record {key}", PatientIdentifier("urn:x", key), who, numbers)


LAN = person("Nguyễn Thị Lan", "1958-03-21", "female", NUMBER, CARD)


def asked(name: str | None, born: str | None, gender: Gender, *numbers: PatientIdentifier) -> PatientInQuestion:
    who = Demographics(HumanName.of(name) if name else None, BirthDate(born) if born else None, gender)
    return PatientInQuestion(numbers, who)


def test_a_link_needs_a_shared_number_and_nothing_that_contradicts() -> None:
    """Over every combination of agreement: no link without a number, none against a difference, none in doubt."""
    for name, born, gender, shared, conflict, odd, newborn in product(
        Agreement, Agreement, Agreement, (True, False), (True, False), (True, False), (True, False)
    ):
        one = Comparison(name, born, gender, (NUMBER,) if shared else (), conflict, odd, newborn)
        if one.zone is not Zone.LINK:
            continue
        assert shared and not conflict and not newborn
        assert Agreement.DIFFERENT not in (name, born, gender)
        assert born in (Agreement.SAME, Agreement.LIKELY) and Agreement.SAME in (name, born)
        assert not odd or name is born is gender is Agreement.SAME


@pytest.mark.parametrize(
    ("wanted", "zone"),
    [
        (asked("Nguyễn Thị Lan", "1958-03-21", "female", NUMBER), Zone.LINK),
        (asked("NGUYEN THI LAN", "1958-03-21", "female", CARD), Zone.LINK),
        (asked("Nguyễn Lan", "1958-03-21", "female", NUMBER), Zone.LINK),
        (asked("Nguyễn Thị Lan", "1958", "female", NUMBER), Zone.LINK),
        (asked("Nguyễn Thị Lan", "1958-03-21", "female"), Zone.REVIEW),
        (asked(None, None, "unknown", NUMBER), Zone.REVIEW),
        (asked("Nguyễn Thị Lân", "1958-03-21", "female", NUMBER), Zone.REVIEW),
        (asked("Nguyễn Thị Lan", "1959-03-21", "female", NUMBER), Zone.REVIEW),
        (asked("Nguyễn Thị Lan", "1958-03-21", "male", NUMBER), Zone.REVIEW),
        (asked("Con bà Nguyễn Thị Lan", "1958-03-21", "female", CARD), Zone.REVIEW),
        (asked("Nguyễn Thị Lan", "1958-03-21", "female", PatientIdentifier(NATIONAL_ID, "027158004322")), Zone.REVIEW),
        (asked("Trần Văn Nam", "1990-01-02", "male"), Zone.NEW),
    ],
)
def test_who_is_linked_who_is_looked_at_and_who_is_new(wanted: PatientInQuestion, zone: Zone) -> None:
    assert CorroboratedNumber().judge(wanted, [Candidate("lan", (LAN,))]).zone is zone


def test_of_two_who_fit_neither_is_taken() -> None:
    twin = person("Nguyễn Thị Lan", "1958-03-21", "female", CARD, key="2")
    everything = asked("Nguyễn Thị Lan", "1958-03-21", "female", CARD)
    both = [Candidate("lan", (LAN,)), Candidate("twin", (twin,))]
    for order in (both, both[::-1]):
        assert CorroboratedNumber().judge(everything, order).zone is Zone.REVIEW


def test_a_personal_number_that_is_somebody_elses_is_a_doubt() -> None:
    son = person("Nguyễn Văn Hùng", "1975-01-01", "male", CARD, key="3")
    father = person("Nguyễn Văn Hùng", "1950-01-01", "male", PatientIdentifier(NATIONAL_ID, "027050000051"), key="4")
    mixed = asked("Nguyễn Văn Hùng", "1975", "male", PatientIdentifier(NATIONAL_ID, "027050000051"), CARD)
    assert CorroboratedNumber().judge(mixed, [Candidate("son", (son,))]).zone is Zone.LINK
    for order in ((son, father), (father, son)):
        judged = CorroboratedNumber().judge(mixed, [Candidate(one.id, (one,)) for one in order])
        assert judged.zone is Zone.REVIEW


def test_evidence_holds_no_value_of_the_patient() -> None:
    lines = " ".join(compare(asked("Nguyễn Thị Lan", "1958-03-21", "female", NUMBER), LAN).evidence)
    assert not any(value in lines for value in ("Lan", "1958", "027158004321"))


@pytest.mark.parametrize(
    ("one", "other", "agreement"),
    [
        ("Nguyễn Thuý Hoà", "Nguyễn Thúy Hòa", Agreement.SAME),
        ("Lý Đức", "LÍ ĐỨC", Agreement.SAME),
        ("Nguyễn Đức", "Nguyen Duc", Agreement.LIKELY),
        ("Nguyễn Thị Lan", "Nguyễn Lan", Agreement.LIKELY),
        ("Nguy?n Th? Lan", "Nguyễn Thị Lan", Agreement.LIKELY),
        ("Lan Nguyen Thi", "Nguyen Thi Lan", Agreement.LIKELY),
        ("Nguyễn Thị Lan", "Nguyễn Thị Lân", Agreement.DIFFERENT),
        ("Nguyễn Thị Lan", "Nguyễn Thị Hoa", Agreement.DIFFERENT),
        ("Nguyễn Văn Hùng", "Trần Văn Hùng", Agreement.DIFFERENT),
        ("Lan", "Nguyễn Thị Lan", Agreement.DIFFERENT),
    ],
)
def test_names_as_they_are_compared(one: str, other: str, agreement: Agreement) -> None:
    assert name_agreement(HumanName.of(one), HumanName.of(other)) is agreement
    assert name_agreement(HumanName.of(other), HumanName.of(one)) is agreement
    assert name_agreement(None, HumanName.of(one)) is Agreement.UNKNOWN


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Thuý Hoà", "thui hoa"),
        ("Nguyễn Đức Quý", "nguien duc qui"),
        ("ÐẶNG", "dang"),
        ("BS. Trần  Văn\u00a0A", "tran van a"),
    ],
)
def test_a_name_without_its_marks(name: str, letters: str) -> None:
    assert folded(name) == letters


def test_a_tone_is_one_wherever_it_is_written() -> None:
    assert toned("Thuý Hoà") == toned("THÚY HÒA") == "thui1 hoa2"
    assert toned("Lan") != toned("Lân") != toned("Lần")


def test_a_newborn_is_known_by_its_name() -> None:
    assert all(map(is_newborn_placeholder, ("Con bà Nguyễn Thị Lan", "con của chị Mai", "Bé sản phụ Hoa")))
    assert not any(map(is_newborn_placeholder, ("Nguyễn Thị Con", "Lê Bà Bé", "Bé Thị Hoa")))


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        ("1958-03-21", "1958-03-21", True),
        ("1958", "1958-03-21", True),
        ("1958-03", "1958-03-21", True),
        ("1958-01-01", "1958-03-21", True),
        ("1958-03-21", "1958-03-22", False),
        ("1958-04", "1958-03-21", False),
        ("1959", "1958-03-21", False),
    ],
)
def test_birth_dates_fit_as_far_as_they_are_precise(one: str, other: str, fits: bool) -> None:
    assert BirthDate(one).compatible(BirthDate(other)) == BirthDate(other).compatible(BirthDate(one)) == fits
