"""For how many days an earlier examination may stand in for a new one: a table with versions, since the law is moving.

Validity runs from the day of performance. Source of the idea: Law 51/2024/QH15 Art. 3 k4 and the draft circular on
mutual recognition (August 2026); the days are data (`validity.json`), each version with its status and its source.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from registry.errors import InvalidValue
from registry.examinations import Examination

PLANNED = ""
"""No reason that the table knows: a planned examination."""


@dataclass(frozen=True, slots=True)
class ValidityRule:
    """`days` for a modality, some regions, a reason; what is empty holds for every one. The first that fits counts."""

    days: int
    modality: str = ""
    regions: frozenset[str] = frozenset()
    reason: str = ""

    def fits(self, examination: Examination, reason: str) -> bool:
        return (
            self.modality in ("", examination.modality)
            and (not self.regions or examination.region in self.regions)
            and self.reason in ("", reason)
        )


@dataclass(frozen=True, slots=True)
class ValidityTable:
    """One version. `status` is `assumed`, `draft` or `in-force`; it is shown wherever the days are."""

    version: str
    status: str
    effective: date
    source: str
    rules: tuple[ValidityRule, ...]
    reasons: Mapping[str, tuple[str, ...]]

    def reason_of(self, diagnoses: Iterable[str]) -> str:
        """Why it is ordered, as far as ICD-10 codes tell; the table's first reason that fits."""
        codes = [code.strip().upper() for code in diagnoses]
        for reason, beginnings in self.reasons.items():
            if any(code.startswith(beginnings) for code in codes):
                return reason
        return PLANNED

    def days(self, examination: Examination, reason: str = PLANNED) -> int | None:
        """None where the table is silent."""
        return next((rule.days for rule in self.rules if rule.fits(examination, reason)), None)


def read_tables(text: str) -> tuple[ValidityTable, ...]:
    """All versions of a table file, oldest first. Raises InvalidValue."""
    try:
        document = json.loads(text)
        reasons = {name: tuple(codes) for name, codes in document["reasons"].items()}
        tables = [_table(version, reasons) for version in document["versions"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidValue(
            "validity table", expected="versions with rules, and reasons by ICD-10 beginnings"
        ) from error
    if not tables:
        raise InvalidValue("validity table", expected="at least one version")
    return tuple(sorted(tables, key=lambda table: table.effective))


def _table(version: Mapping[str, Any], reasons: Mapping[str, tuple[str, ...]]) -> ValidityTable:
    rules = tuple(
        ValidityRule(int(r["days"]), r.get("modality", ""), frozenset(r.get("regions", ())), r.get("reason", ""))
        for r in version["rules"]
    )
    if any(rule.days < 0 or rule.reason not in ("", *reasons) for rule in rules):
        raise ValueError("a rule with negative days or an unknown reason")
    effective = date.fromisoformat(version["from"])
    return ValidityTable(version["version"], version["status"], effective, version["source"], rules, reasons)


def in_effect(tables: Iterable[ValidityTable], day: date) -> ValidityTable:
    """The newest version that is in effect on that day; before all of them, the oldest."""
    ordered = sorted(tables, key=lambda table: table.effective)
    return next((table for table in reversed(ordered) if table.effective <= day), ordered[0])


@cache
def shipped() -> tuple[ValidityTable, ...]:
    """The table that comes with the program."""
    return read_tables(files("registry").joinpath("validity.json").read_text("utf-8"))
