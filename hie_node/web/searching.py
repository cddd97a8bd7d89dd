"""Find a patient of this hospital's index from what is scanned or typed; the same search serves every desk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flask import Response

from adapters.cards import read_card, written_date
from hie_node.flows.patients import find_patients, match_patient
from hie_node.web.front import Visit
from registry.commands import FindPatients, MatchPatient
from registry.errors import InvalidValue
from registry.identifiers import INSURANCE_NUMBER, PatientIdentifier, identity_number, insurance_last_ten
from registry.people import BirthDate, PatientInQuestion, SourceRecord
from registry.searches import PatientSearch
from registry.vietnamese import folded

MOST = 20
"""People in a list to choose from; more is a question to make sharper."""
_NAME_THEN_DATE = re.compile(r"([^\W\d_][^\d]*\s[^\d]*?)[\s,;:]+(\d[\d/.\-]{3,9})")
"""Both in the one line, as somebody in a hurry types them."""
_LINK = re.compile(r"https?://", re.IGNORECASE)
_PROBLEMS = {"link": "search.card-link", "birthDate": "search.born-unread"}


@dataclass(frozen=True, slots=True)
class Found:
    """Who fits. `sure` where exactly one does, without a doubt; `card` is what a scanned card says."""

    records: tuple[SourceRecord, ...] = ()
    sure: bool = False
    more: bool = False
    card: PatientInQuestion | None = None


def search(visit: Visit) -> Found:
    """What the one line and the field of the birth date say. Raises InvalidValue: `problem_of` says it in words."""
    line, born = visit.field("q", 2000), visit.field("born", 20)
    card = read_card(line)
    if card is not None:
        return _by_card(visit, card)
    if _LINK.match(line):
        raise InvalidValue("link", expected="a card with what it says")
    if any(character.isdigit() for character in line):
        found, both = _by_number(visit, line), _NAME_THEN_DATE.fullmatch(line)
        return _by_name(visit, both[1], written_date(born or both[2])) if both and not found.records else found
    if line:
        return _by_name(visit, line, written_date(born) if born else None)
    return Found()


def problem_of(error: InvalidValue) -> str:
    """The key of the words for what cannot be searched for."""
    return _PROBLEMS.get(error.element, "search.name-and-birth")


def _by_card(visit: Visit, card: PatientInQuestion) -> Found:
    """A card says enough to be sure; what it does not settle a person looks at."""
    matches = match_patient(visit.act("search-patients", action="E"), MatchPatient(card, count=MOST))
    certain = [match for match in matches if match.grade == "certain"]
    if len(certain) == 1:
        return Found((certain[0].record,), sure=True, card=card)
    return Found(tuple(match.record for match in matches), card=card)


def _by_number(visit: Visit, line: str) -> Found:
    for number in _readings(visit.house.settings.patient_id_system, line):
        found = _find(visit, PatientSearch(identifiers=(number,), limit=MOST))
        if found.records:
            return Found(found.records, sure=len(found.records) == 1)
    return Found()


def _readings(own_system: str, text: str) -> Iterator[PatientIdentifier]:
    """What kind of number it may be, the likeliest first: this hospital's own numbers have any form."""
    yield PatientIdentifier(own_system, text[:255])
    if joined := _inside_spaces(text):
        yield PatientIdentifier(own_system, joined)
    if insurance_last_ten(text):
        yield PatientIdentifier(INSURANCE_NUMBER, text)
    known = identity_number(text)
    if known is not None:
        yield known


def _inside_spaces(text: str) -> str:
    """A number that was read out in groups; nothing where it has no spaces."""
    joined = "".join(text.split())[:255]
    return joined if joined != text else ""


def _by_name(visit: Visit, name: str, born: BirthDate | None) -> Found:
    words = tuple(folded(name).split())
    if born is None or len(words) < 2:
        raise InvalidValue("born", expected="full name and birth date together")
    fits = lambda record: record.demographics.birth_date is None or born.compatible(record.demographics.birth_date)  # noqa: E731
    wanted = PatientSearch(name_words=words, where=(fits,), limit=MOST)
    return _find(visit, wanted)


def _find(visit: Visit, wanted: PatientSearch) -> Found:
    page = find_patients(visit.act("search-patients", action="E"), FindPatients(wanted))
    return Found(_one_each(visit, page.items), more=page.next is not None)


def _one_each(visit: Visit, records: tuple[SourceRecord, ...]) -> tuple[SourceRecord, ...]:
    """One record for each person, an active one where there is one: people are chosen, not records."""
    chosen: dict[str, SourceRecord] = {}
    with visit.house.storage.read() as unit:
        for record in sorted(records, key=lambda record: not record.active):
            chosen.setdefault(unit.patients.person_of(record.id) or record.id, record)
    return tuple(chosen.values())


def results(visit: Visit, *, desk: str) -> Response:
    """The one person at once, else a list to choose from. `desk` is where their pages are."""
    if not visit.field("q", 2000):
        return visit.page("search.html", desk=desk, found=None, problem="")
    try:
        found = search(visit)
    except InvalidValue as error:
        return visit.page("search.html", status=400, desk=desk, found=None, problem=problem_of(error))
    if found.sure:
        return visit.go(f"{desk}/{found.records[0].id}")
    return visit.page("search.html", desk=desk, found=found, problem="")
