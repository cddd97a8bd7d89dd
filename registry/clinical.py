"""What was found, given and done in a visit, as facts: for a summary, or for a system that reads data.

A time is aware. A code is None where the source wrote none; nothing is guessed from words.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from registry.coded import CodedValue


@dataclass(frozen=True, slots=True)
class Problem:
    """A diagnosis of a visit: its code, the words where there are some, and when it was made."""

    code: CodedValue | None
    text: str = ""
    made: datetime | None = None


@dataclass(frozen=True, slots=True)
class Medication:
    """One medicine that was prescribed or given.

    dose      as the prescriber wrote it
    quantity  in `unit`, as written: `30`, `0.5`
    """

    name: str
    code: CodedValue | None = None
    strength: str = ""
    route: str = ""
    dose: str = ""
    quantity: str = ""
    unit: str = ""
    ordered: datetime | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """One examination, treatment or operation that was done. `performed` is None where only its order is known."""

    name: str
    code: CodedValue | None = None
    performed: datetime | None = None
    ordered: datetime | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One value of a laboratory or another test.

    codes      what was measured, best code first; several systems may name the same
    value      as written: a number, or words
    service    under which service it was done
    normal     the range that the laboratory calls normal, as written
    flags      how the laboratory calls the value, in its codes (HL7 table 0078: H, LL, A)
    corrected  it replaces a value that was told before
    unit_code  the unit in UCUM, where a map says it; `unit` is as written
    """

    name: str
    value: str
    codes: tuple[CodedValue, ...] = ()
    unit: str = ""
    resulted: datetime | None = None
    service: CodedValue | None = None
    normal: str = ""
    flags: tuple[str, ...] = ()
    corrected: bool = False
    unit_code: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What an imaging report concludes, as far as a fact can tell; the report itself is a document."""

    name: str
    conclusion: str
    codes: tuple[CodedValue, ...] = ()
    performed: datetime | None = None
    resulted: datetime | None = None
