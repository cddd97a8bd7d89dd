"""Whose signature a request needs: a child under seven does not sign, one under sixteen not alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from consent.consents import DENY, Evidence
from consent.errors import RepresentativeMissing
from consent.representation import Signers, check_signers, signers
from registry.people import BirthDate
from tests.consent.test_decide import consent

TODAY = date(2026, 11, 23)
PATIENT, REPRESENTATIVE, BOTH = Signers.PATIENT, Signers.REPRESENTATIVE, Signers.BOTH


@pytest.mark.parametrize(
    ("born", "who"),
    [
        (None, PATIENT),
        ("1958-03-21", PATIENT),
        ("2010-11-23", PATIENT),
        ("2010-11-24", BOTH),
        ("2019-11-23", BOTH),
        ("2019-11-24", REPRESENTATIVE),
        ("2026-11-01", REPRESENTATIVE),
        ("2010-10", PATIENT),
        ("2010-11", BOTH),
        ("2010-12", BOTH),
        ("2019-11", REPRESENTATIVE),
        ("2019-10", BOTH),
        ("2010", BOTH),
        ("2009", PATIENT),
        ("2019", REPRESENTATIVE),
        ("2018", BOTH),
    ],
)
def test_who_signs_at_which_age(born: str | None, who: Signers) -> None:
    assert signers(BirthDate(born) if born else None, TODAY) is who


def test_a_grown_person_who_is_represented_does_not_sign_and_a_child_of_seven_still_does() -> None:
    assert signers(BirthDate("1958-03-21"), TODAY, represented=True) is REPRESENTATIVE
    assert signers(None, TODAY, represented=True) is REPRESENTATIVE
    assert signers(BirthDate("2015-01-01"), TODAY, represented=True) is BOTH
    assert BOTH.each == (PATIENT, REPRESENTATIVE) and REPRESENTATIVE.each == (REPRESENTATIVE,)


CHILD, GROWN = BirthDate("2015-01-01"), BirthDate("1958-03-21")
ALONE, WITH_MOTHER = Evidence("paper", "x", "a" * 64), Evidence("paper", "x", "a" * 64, represented_by="Lê Thị Ba")


def test_a_child_allows_nothing_alone() -> None:
    with pytest.raises(RepresentativeMissing):
        check_signers(replace(consent(), evidence=ALONE), CHILD)
    check_signers(replace(consent(), evidence=WITH_MOTHER), CHILD)
    check_signers(replace(consent(), evidence=ALONE), GROWN)
    check_signers(replace(consent(), evidence=ALONE), None)


def test_everybody_may_refuse_and_take_back_alone() -> None:
    check_signers(replace(consent("deny"), evidence=ALONE, policy=DENY), CHILD)
    check_signers(replace(consent(), evidence=ALONE, status="inactive"), CHILD)


def test_a_request_that_another_hospital_recorded_was_checked_there() -> None:
    check_signers(replace(consent(), evidence=None, receipt="r"), CHILD)


def test_the_day_of_signing_is_a_day_in_viet_nam() -> None:
    """At 18:00 UTC it is the next day there, and the child is sixteen."""
    born = BirthDate("2010-11-24")
    check_signers(replace(consent(), evidence=ALONE, given=datetime(2026, 11, 23, 18, tzinfo=UTC)), born)
    with pytest.raises(RepresentativeMissing):
        check_signers(replace(consent(), evidence=ALONE, given=datetime(2026, 11, 23, 16, tzinfo=UTC)), born)


def test_a_birth_date_without_its_day_counts_as_the_last_one() -> None:
    year_end, month_end = date(2026, 12, 31), date(2026, 10, 31)
    assert signers(BirthDate("2010"), year_end) is PATIENT
    assert signers(BirthDate("2010"), date(2026, 12, 30)) is BOTH
    assert signers(BirthDate("2010-10"), month_end) is PATIENT
    assert signers(BirthDate("2010-10"), date(2026, 10, 30)) is BOTH
