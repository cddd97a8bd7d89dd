"""What an ordinary morning leaves for the registrar: three things that no rule may decide.

Somebody comes with her insurance card and a personal number that ends with the same digits turned round; a scanner has
somebody else under her patient number; and so has the note beside a report. All of it is about the person of the
story, so that whoever tries the registrar's pages knows her already.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from hie_node.lab.documents import report_pdf
from hie_node.lab.people import SyntheticPerson
from hie_node.lab.studies import SeriesSpec, StudySpec
from registry.identifiers import INSURANCE_NUMBER, NATIONAL_ID

SECOND_NUMBER = "026900001"
"""The patient number that she is given the second time; the story's hospital does not reach it."""
SOMEBODY = ("Trần", "Văn", "Bình", "19590203")
"""The man who is really in the pictures and in the report."""


def registered_again(person: SyntheticPerson, system: str) -> dict[str, Any]:
    """The Patient of the second registration: everything is the same but the end of the personal number."""
    known = person.national_id or ""
    numbers = [(system, SECOND_NUMBER), (NATIONAL_ID, known[:-3] + known[:-4:-1])]
    if person.insurance_number:
        numbers.append((INSURANCE_NUMBER, person.insurance_number))
    return {
        "resourceType": "Patient",
        "identifier": [{"system": one, "value": value} for one, value in numbers],
        "name": [{"text": person.full_name}],
        "birthDate": person.birth_date.isoformat(),
        "gender": person.gender,
        "telecom": [{"system": "phone", "value": person.phone}],
    }


def scanned_under_the_wrong_number(number: str, issuer: str, started: datetime) -> StudySpec:
    """Six slices of a chest."""
    family, middle, given, born = SOMEBODY
    return StudySpec(
        patient_id=number,
        family=family,
        middle=middle,
        given=given,
        birth_date=born,
        sex="M",
        issuer=issuer,
        accession_number=f"{started:%y%m%d}-nham-ma",
        started=started,
        modality="CT",
        body_part="CHEST",
        description="CLVT lồng ngực",
        protocol="CLVT lồng ngực",
        institution="",
        series=(SeriesSpec(1, "Ngực 5,0 mm", slices=6, region="chest"),),
    )


def reported_under_the_wrong_number(number: str, performed: datetime) -> dict[str, bytes]:
    """A report and its note, by file name."""
    family, middle, given, born = SOMEBODY
    name = f"{family} {middle} {given}"
    text = f"SIÊU ÂM Ổ BỤNG\nHọ và tên: {name}\nNăm sinh: {born[:4]}\nKết luận: Gan nhiễm mỡ độ I.\n"
    note = {
        "patient": {
            "id": number,
            "name": name,
            "birthDate": f"{born[:4]}-{born[4:6]}-{born[6:]}",
            "gender": "male",
        },
        "type": {"system": "http://loinc.org", "code": "24558-9", "display": "US Abdomen"},
        "title": "Siêu âm ổ bụng",
        "performed": performed.isoformat(),
    }
    return {"sieu-am.json": json.dumps(note, ensure_ascii=False).encode(), "sieu-am.pdf": report_pdf(text)}
