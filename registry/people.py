"""Who a patient is: what each source said, and the person that several sources turn out to be.

Sources: IHE ITI PDQm 3.2 (Patient), PIXm 3.1, IHE ITI TF-3: 4.2.3.2.23 (sourcePatientInfo).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Literal

from registry.errors import InvalidValue
from registry.identifiers import PatientIdentifier
from registry.syllables import bare
from registry.vietnamese import composed, syllable, syllables

Gender = Literal["male", "female", "other", "unknown"]
GENDERS: frozenset[str] = frozenset({"male", "female", "other", "unknown"})
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")


@dataclass(frozen=True, slots=True)
class BirthDate:
    """A birth date with the precision it arrived in: `1958`, `1958-03` or `1958-03-21` (FHIR date)."""

    value: str

    def __post_init__(self) -> None:
        found = _DATE.fullmatch(self.value)
        if found is None:
            raise InvalidValue("birthDate", expected="YYYY, YYYY-MM or YYYY-MM-DD")
        year, month, day = (int(part) if part else 1 for part in found.groups())
        try:
            date(year, month, day)
        except ValueError as error:
            raise InvalidValue("birthDate", expected="a day that exists") from error
        if year < 1850:
            raise InvalidValue("birthDate", expected="a year after 1850")

    def __str__(self) -> str:
        return self.value

    @property
    def year(self) -> int:
        return int(self.value[:4])

    @property
    def is_full(self) -> bool:
        """A full day; 1 January is often a placeholder for "year only" and then proves little."""
        return len(self.value) == 10

    def compatible(self, other: BirthDate) -> bool:
        """Neither contradicts the other: equal as far as both are precise; 1 January counts as year only."""
        one, two = self._known(), other._known()
        shared = min(len(one), len(two))
        return one[:shared] == two[:shared]

    def swapped(self) -> BirthDate | None:
        """The same date with day and month exchanged, a common typing fault; None where that is no date."""
        if not self.is_full or int(self.value[8:]) > 12:
            return None
        return BirthDate(f"{self.value[:4]}-{self.value[8:]}-{self.value[5:7]}")

    def _known(self) -> str:
        return self.value[:4] if self.value.endswith("-01-01") else self.value


@dataclass(frozen=True, slots=True)
class HumanName:
    """A name as it was written, surname first; `family` and `given` where the source told them apart."""

    text: str
    family: str | None = None
    given: str | None = None

    def __post_init__(self) -> None:
        if not self.text.strip() or len(self.text) > 255:
            raise InvalidValue("name", expected="1 to 255 characters")

    @staticmethod
    def of(text: str) -> HumanName:
        """Split a full Vietnamese name: the first word is the surname, the rest the given part."""
        whole = composed(text)
        family, _, given = whole.partition(" ")
        return HumanName(whole, family or None, given or None)

    @property
    def toned(self) -> str:
        return " ".join(map(syllable, syllables(self.text)))

    @property
    def folded(self) -> str:
        return " ".join(bare(word).replace("y", "i") for word in syllables(self.text))


@dataclass(frozen=True, slots=True)
class Address:
    """Where somebody lives; `commune` is the ward or commune, the level that survived the reform of 2025."""

    text: str
    commune: str | None = None
    province: str | None = None
    country: str | None = None
    postal_code: str | None = None


@dataclass(frozen=True, slots=True)
class Demographics:
    """What one source says of one patient. Everything but the identifier may be missing."""

    name: HumanName | None = None
    birth_date: BirthDate | None = None
    gender: Gender = "unknown"
    phones: tuple[str, ...] = ()
    address: Address | None = None
    mothers_name: str | None = None
    deceased: bool = False

    def __post_init__(self) -> None:
        if self.gender not in GENDERS:
            raise InvalidValue("gender", expected="male, female, other or unknown")

    @property
    def enough_to_register(self) -> bool:
        return self.name is not None


NOTHING_KNOWN = Demographics()


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One patient as one assigning authority knows them: (authority, local id) with its demographics as received.

    `numbers` are further identifiers (personal number, insurance card …) as received.
    `replaced_by` is the surviving local identifier after the source merged two of its records.
    """

    id: str
    identifier: PatientIdentifier
    demographics: Demographics
    numbers: tuple[PatientIdentifier, ...] = ()
    active: bool = True
    replaced_by: PatientIdentifier | None = None
    version: int = 1
    updated: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def identifiers(self) -> tuple[PatientIdentifier, ...]:
        return (self.identifier, *self.numbers)

    def revised(self, other: SourceRecord) -> SourceRecord:
        """This record with what `other`, a newer message about the same patient, says of it."""
        return replace(other, id=self.id, version=self.version + 1)

    def keeping(self, known: SourceRecord, unsaid: Collection[str]) -> SourceRecord:
        """This record with what a message left unsaid taken from what is `known`."""
        kept = {name: getattr(known.demographics, name) for name in unsaid if name != "numbers"}
        numbers = known.numbers if "numbers" in unsaid else self.numbers
        return replace(self, demographics=replace(self.demographics, **kept), numbers=numbers, extra=known.extra)

    def says_the_same(self, other: SourceRecord) -> bool:
        """Nothing in `other` is news."""
        return (
            self.demographics == other.demographics
            and set(self.numbers) == set(other.numbers)
            and (self.active, self.replaced_by) == (other.active, other.replaced_by)
            and self.extra == other.extra
        )


@dataclass(frozen=True, slots=True)
class KeptApart:
    """Somebody decided that two records are of two people."""

    record_id: str
    other_id: str
    decided: datetime
    author: str


@dataclass(frozen=True, slots=True)
class Link:
    """A source record belongs to a person: with the evidence, the rule and its author, and it can be undone.

    came_from   the person that the record belonged to before, to whom undoing gives it back
    replaces    the link that ended with this one, and stands again when this one is undone
    decision    the doubt that somebody resolved by this link and others made with it; they are undone together
    overruled   what kept this record apart from that person until then, and does again when this link is undone
    """

    id: str
    record_id: str
    person_id: str
    evidence: tuple[str, ...]
    rule: str
    author: str
    created: datetime
    undone: datetime | None = None
    undone_by: str | None = None
    came_from: str | None = None
    replaces: str | None = None
    decision: str | None = None
    overruled: tuple[KeptApart, ...] = ()


@dataclass(frozen=True, slots=True)
class PatientInQuestion:
    """The patient as a question describes them: what is known, no more. It travels inside the question."""

    identifiers: tuple[PatientIdentifier, ...] = ()
    demographics: Demographics = NOTHING_KNOWN

    @property
    def numbers(self) -> frozenset[PatientIdentifier]:
        return frozenset(identifier.normal for identifier in self.identifiers)

    @property
    def is_empty(self) -> bool:
        return not self.identifiers and self.demographics.name is None
