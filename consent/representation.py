"""Who signs: under seven the representative, from seven on both, and from sixteen on the person alone, unless a
representative signs for one who cannot.

Source: decree 356/2025/NĐ-CP (consent for children's data), Children Act 102/2016/QH13 Art. 1 (a child is under 16).
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from consent.consents import Consent
from consent.errors import RepresentativeMissing
from registry.local_time import VIET_NAM
from registry.people import BirthDate

OWN_WORD, GROWN = 7, 16


class Signers(StrEnum):
    """Whose signature a written request needs."""

    PATIENT = "patient"
    REPRESENTATIVE = "representative"
    BOTH = "both"

    @property
    def each(self) -> tuple[Signers, ...]:
        """Whoever signs, one by one."""
        return (Signers.PATIENT, Signers.REPRESENTATIVE) if self is Signers.BOTH else (self,)


def signers(born: BirthDate | None, on: date, *, represented: bool = False) -> Signers:
    """At that day. Of a birth date that is not known to the day the latest day counts: the younger is the safer.

    represented  somebody signs for a grown person who cannot
    """
    needed = _by_age(born, on)
    return Signers.REPRESENTATIVE if needed is Signers.PATIENT and represented else needed


def _by_age(born: BirthDate | None, on: date) -> Signers:
    if born is None:
        return Signers.PATIENT
    parts = [int(part) for part in str(born).split("-")]
    birthday = (parts[1], parts[2]) if len(parts) == 3 else (12, 31) if len(parts) == 1 else (parts[1], 31)
    age = on.year - parts[0] - ((on.month, on.day) < birthday)
    if age < OWN_WORD:
        return Signers.REPRESENTATIVE
    return Signers.BOTH if age < GROWN else Signers.PATIENT


def check_signers(consent: Consent, born: BirthDate | None) -> None:
    """Raise RepresentativeMissing where a child allows something and nobody signed for it, on the day it was given.

    To refuse and to take back, everybody may alone.
    """
    if not consent.permits_something or signers(born, consent.given.astimezone(VIET_NAM).date()) is Signers.PATIENT:
        return
    if consent.evidence is not None and not consent.evidence.represented_by:
        raise RepresentativeMissing
