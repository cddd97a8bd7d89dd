"""The registrar: doubts with their evidence side by side, and the decisions about them, each of which can be undone."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response

from consent.requesters import Role
from hie_node.flows.reviews import (
    Doubt,
    decide_review,
    decided_last,
    open_doubts,
    raise_doubt,
    read_doubt,
    read_person,
    undo_decision,
    undo_link,
)
from hie_node.web.aside import aside
from hie_node.web.differences import Difference, difference
from hie_node.web.front import Page, Refused, Visit
from hie_node.web.looks import NUMBERS, Looks
from hie_node.web.searching import results
from registry.errors import InvalidValue, NotFound, NotUnique, VersionConflict
from registry.identifiers import PatientIdentifier
from registry.matching import Agreement, compare
from registry.people import PatientInQuestion, SourceRecord

REGISTRAR = frozenset({Role.REGISTRAR})
MOST_DECIDED = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One field of two records beside each other; `agreement` is empty where the matcher does not weigh it, and what
    differs is not marked where both sides differ by nature."""

    label: str
    mine: str
    theirs: str
    agreement: str = ""
    marks: bool = True

    @property
    def difference(self) -> Difference:
        if not self.marks:
            return Difference(((self.mine, False),), ((self.theirs, False),))
        return difference(self.mine, self.theirs)


def reviews_page(visit: Visit) -> Response:
    facts = visit.facts()
    reviews = open_doubts(visit.act("open-reviews"))
    decided = decided_last(visit.act("open-reviews"), MOST_DECIDED)
    done = facts.get("decided", "")
    return visit.page("reviews.html", reviews=reviews, decided=decided, aside=aside(visit), done=done)


def review_page(visit: Visit) -> Response:
    """Both records in full: a registrar compares them with the paper or the person at the desk."""
    doubt = read_doubt(visit.act("read-review"), visit.params["review_id"])
    columns = [(other, compared(doubt.record, other, visit.looks)) for other in doubt.others]
    return visit.page("review.html", doubt=doubt, columns=columns, alone=_alone(doubt, visit.looks))


def compared(mine: SourceRecord, theirs: SourceRecord, looks: Looks) -> list[Row]:
    """Field by field, with what the matcher says about those that it weighs."""
    seen = compare(PatientInQuestion(mine.identifiers, mine.demographics), theirs)
    one, two = mine.demographics, theirs.demographics
    rows = [
        Row("field.name", looks.name(mine), looks.name(theirs), seen.name),
        Row("field.born", looks.born(one.birth_date), looks.born(two.birth_date), seen.birth_date),
        Row("field.sex", looks.sex(mine), looks.sex(theirs), seen.gender),
        Row("number.hospital", mine.identifier.value, theirs.identifier.value, marks=False),
    ]
    rows += [_numbers(system, key, mine, theirs) for system, key in NUMBERS.items()]
    rows += [
        Row("field.address", one.address.text if one.address else "", two.address.text if two.address else ""),
        Row("field.phone", ", ".join(one.phones), ", ".join(two.phones)),
        Row("field.mother", one.mothers_name or "", two.mothers_name or ""),
    ]
    return [row for row in rows if row.mine or row.theirs]


def _numbers(system: str, key: str, mine: SourceRecord, theirs: SourceRecord) -> Row:
    one, two = _of(system, mine), _of(system, theirs)
    agreement = ""
    if one and two:
        shared = {number.normal for number in mine.identifiers} & {number.normal for number in theirs.identifiers}
        same = any(number.system == system for number in shared)
        agreement = Agreement.SAME if same else Agreement.DIFFERENT
    return Row(key, one, two, agreement)


def _of(system: str, record: SourceRecord) -> str:
    return ", ".join(number.value for number in record.identifiers if number.system == system)


def _alone(doubt: Doubt, looks: Looks) -> list[Row]:
    """A record that now describes somebody else has nothing beside it."""
    return [] if doubt.others else compared(doubt.record, doubt.record, looks)


def decide(visit: Visit) -> Response:
    answer = visit.field("answer", 10)
    if answer not in ("same", "apart"):
        raise Refused(400, "error.400")
    act = visit.act("decide-review", action="U", direction="changed")
    try:
        decide_review(act, visit.params["review_id"], same=answer == "same")
    except (NotFound, VersionConflict):
        # somebody else was quicker, or the button was pressed twice
        raise Refused(409, "review.gone") from None
    return visit.go(f"/reviews?f={visit.seal(decided=answer)}")


def take_back(visit: Visit) -> Response:
    """The doubt waits again, whichever way it was decided."""
    try:
        undo_decision(visit.act("undo-decision", action="U", direction="changed"), visit.params["review_id"])
    except NotFound:
        raise Refused(409, "review.gone") from None
    return visit.go(f"/reviews?f={visit.seal(decided='undone')}")


def doubt_two(visit: Visit) -> Response:
    """This person and another number may be one: both stand beside each other before anybody decides."""
    record_id, number = visit.params["record_id"], visit.field("number", 100)
    act = visit.act("raise-doubt", action="U", direction="changed")
    try:
        identifier = PatientIdentifier(visit.house.settings.patient_id_system, number)
        review = raise_doubt(act, record_id, identifier)
    except (InvalidValue, NotFound):
        return _person_page(visit, status=400, problem="person.other.unknown")
    except NotUnique:
        return _person_page(visit, status=409, problem="person.other.same")
    if review.closed is not None:
        return _person_page(visit, status=409, problem="person.other.decided")
    return visit.go(f"/reviews/{review.id}")


def people_search(visit: Visit) -> Response:
    return visit.page("search.html", desk="/people", found=None, problem="")


def people_results(visit: Visit) -> Response:
    return results(visit, desk="/people")


def person_page(visit: Visit) -> Response:
    """One person: every record, every link with its evidence, and the way back."""
    return _person_page(visit)


def _person_page(visit: Visit, *, status: int = 200, problem: str = "") -> Response:
    known = read_person(visit.act("read-patient"), visit.params["record_id"])
    records = {record.id: record for record in known.person.records}
    links = [link for link in known.links if link.undone is not None or link.record_id in records]
    done = visit.facts().get("undone", "")
    return visit.page(
        "person.html", status=status, known=known, links=links, records=records, done=done, problem=problem
    )


def undo(visit: Visit) -> Response:
    """The record is a person of its own again. Only a link of the person on the page can be undone from it."""
    known = read_person(visit.act("read-patient"), visit.params["record_id"])
    link_id = visit.params["link_id"]
    if not any(link.id == link_id and link.undone is None for link in known.links):
        raise Refused(409, "review.gone")
    undo_link(visit.act("undo-link", action="U", direction="changed"), link_id)
    return visit.go(f"/people/{visit.params['record_id']}?f={visit.seal(undone='yes')}")


PAGES = (
    Page("reviews", "GET", "/reviews", reviews_page, REGISTRAR),
    Page("review", "GET", "/reviews/<review_id>", review_page, REGISTRAR),
    Page("decide-review", "POST", "/reviews/<review_id>", decide, REGISTRAR),
    Page("undo-decision", "POST", "/reviews/<review_id>/undo", take_back, REGISTRAR),
    Page("search-people", "GET", "/people", people_search, REGISTRAR),
    Page("search-people", "POST", "/people", people_results, REGISTRAR),
    Page("person", "GET", "/people/<record_id>", person_page, REGISTRAR),
    Page("raise-doubt", "POST", "/people/<record_id>/doubt", doubt_two, REGISTRAR),
    Page("undo-link", "POST", "/people/<record_id>/links/<link_id>/undo", undo, REGISTRAR),
)
