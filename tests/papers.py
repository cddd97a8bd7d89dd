"""The invented people of these tests, and the papers that hospitals keep of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from registry.coded import HIV, RESTRICTED, CodedValue
from registry.identifiers import INSURANCE_NUMBER, NATIONAL_ID
from tests.adapters.dicom.files import ct_slice, element

PDF = b"%PDF-1.4\n% a signed request\n%%EOF\n"


@dataclass(frozen=True)
class Person:
    """Somebody who does not exist. Each hospital knows them under a number of its own, made from `key`."""

    key: str
    name: str
    born: str
    gender: str = "female"
    national_id: str | None = None
    insurance: str | None = None

    def number_at(self, hospital: str) -> str:
        return f"{hospital[:2].upper()}-{self.key}"

    @property
    def numbers(self) -> tuple[tuple[str, str], ...]:
        given = ((NATIONAL_ID, self.national_id), (INSURANCE_NUMBER, self.insurance))
        return tuple((system, value) for system, value in given if value)

    @property
    def question(self) -> dict[str, str | list[str]]:
        """What a doctor elsewhere knows of them."""
        asked: dict[str, str | list[str]] = {
            "patient.name": self.name,
            "patient.birthdate": self.born,
            "patient.gender": self.gender,
        }
        if self.numbers:
            asked["patient.identifier"] = [f"{system}|{value}" for system, value in self.numbers]
        return asked


LAN = Person("0017", "Nguyễn Thị Lan", "1958-03-21", "female", "027158004321", "GD4270100000017")
HOA = Person("0023", "Trần Thị Hoa", "1971-09-02", "female", "027171009876", "GD4270100000023")
STRANGER = Person("0999", "Phạm Văn Không", "1990-12-30", "male", "001090055555", "GD4270100000999")


@dataclass(frozen=True)
class Report:
    """A report as a file with its sidecar. `labels` are those that the sender put on it."""

    patient: Person
    text: str = "Không thấy xuất huyết nội sọ."
    title: str = "CT sọ não"
    performed: str = "2026-05-03T09:15:00+07:00"
    labels: tuple[CodedValue, ...] = ()
    codes: tuple[CodedValue, ...] = ()
    author: str = "BS. Lê Văn Mẫu"
    unique_id: str = ""

    def files(self, hospital: str) -> tuple[bytes, bytes]:
        who = self.patient
        patient = {
            "id": who.number_at(hospital),
            "name": who.name,
            "birthDate": who.born,
            "gender": who.gender,
            "nationalId": who.national_id,
            "insuranceNumber": who.insurance,
        }
        note = {
            "patient": {name: value for name, value in patient.items() if value},
            "type": {"system": "http://loinc.org", "code": "18748-4"},
            "title": self.title,
            "created": self.performed,
            "performed": self.performed,
            "author": self.author,
        }
        if self.unique_id:
            note["uniqueId"] = self.unique_id
        return self.text.encode(), json.dumps(note, ensure_ascii=False).encode()


def ct_report(patient: Person, text: str = "Không thấy xuất huyết nội sọ.", **more: object) -> Report:
    return Report(patient, text, **more)  # type: ignore[arg-type]


def closed_report(patient: Person) -> Report:
    """On the closed list of the law, and labelled so by its sender."""
    return Report(patient, "Phác đồ điều trị.", title="Phiếu điều trị", labels=(HIV,))


def unreviewed_report(patient: Person) -> Report:
    """Free text with a word of the closed list: only a person can tell what it says."""
    return Report(patient, "Xét nghiệm HIV âm tính.", title="Xét nghiệm")


def restricted_report(patient: Person) -> Report:
    return Report(patient, "Hồ sơ tâm thần.", title="Khám tâm thần", labels=(RESTRICTED,))


@dataclass(frozen=True)
class CtStudy:
    """A small CT as the scanner writes it: `count` slices, with pixels of `size` bytes each."""

    patient: Person
    uid: str = "1.2.826.0.1.3680043.10.99.1"
    count: int = 3
    size: int = 32

    def slices(self, hospital: str) -> list[bytes]:
        who = self.patient
        family, _, given = who.name.rpartition(" ")
        extra = (
            (0x00100030, element(0x00100030, "DA", who.born.replace("-", "").encode())),
            (0x00100040, element(0x00100040, "CS", b"M" if who.gender == "male" else b"F")),
        )
        return [
            ct_slice(
                number,
                study=self.uid,
                series=f"{self.uid}.1",
                patient=who.number_at(hospital).encode(),
                name=f"{family}^{given}".encode(),
                extra=extra,
                pixels=bytes([number % 251]) * self.size,
            )
            for number in range(1, self.count + 1)
        ]


def sha256s(slices: list[bytes]) -> set[str]:
    return {hashlib.sha256(one).hexdigest() for one in slices}


@dataclass(frozen=True)
class WrittenRequest:
    """What a patient signs at a desk. `holder` and `recipient` are hospitals by name; no holder: every hospital."""

    by: Person
    to: str | None
    holder: str | None = None
    purposes: tuple[str, ...] = ("TREAT",)
    starts: timedelta = timedelta()
    lasts: timedelta = timedelta(days=180)
    given_ago: timedelta = timedelta()
    type: str = "permit"
    labels: frozenset[str] = field(default_factory=frozenset)
    evidence: bytes = PDF
    represented_by: str = ""

    def period(self, now: datetime) -> tuple[datetime, datetime]:
        return now + self.starts, now + self.starts + self.lasts


def written_request(by: Person, *, to: str, **more: object) -> WrittenRequest:
    return WrittenRequest(by, to, **more)  # type: ignore[arg-type]


def refusal(by: Person, *, to: str | None, **more: object) -> WrittenRequest:
    """The patient forbids it."""
    return replace(WrittenRequest(by, to, **more), type="deny")  # type: ignore[arg-type]
