"""The registrar: doubts with their evidence side by side, and the decisions about them, each of which can be undone."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response

from consent.requesters import Role
from hie_node.flows.quarantine import how_many_wait
from hie_node.flows.reviews import Doubt, decide_review, open_doubts, read_doubt, read_person, undo_link
from hie_node.web.differences import Difference, difference
from hie_node.web.front import Page, Refused, Visit
from hie_node.web.looks import NUMBERS, Looks
from hie_node.web.searching import results
from registry.errors import NotFound, VersionConflict
from registry.matching import Agreement, compare
from registry.people import PatientInQuestion, SourceRecord

REGISTRAR = frozenset({Role.REGISTRAR})


@dataclass(frozen=True, slots=True)
class Row:
    """One field of two records beside each other; `agreement` is empty where the matcher does not weigh it."""

    label: str
    mine: str
    theirs: str
    agreement: str = ""

    @property
    def difference(self) -> Difference:
        """Two patient numbers differ by nature, so nothing of them is marked."""
        if self.label == "number.hospital":
            return Difference(((self.mine, False),), ((self.theirs, False),))
        return difference(self.mine, self.theirs)


def reviews_page(visit: Visit) -> Response:
    done = visit.facts().get("decided", "")
    reviews, aside = open_doubts(visit.act("open-reviews")), how_many_wait(visit.house)
    return visit.page("reviews.html", reviews=reviews, aside=aside, done=done)


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
        Row("number.hospital", mine.identifier.value, theirs.identifier.value),
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


def people_search(visit: Visit) -> Response:
    return visit.page("search.html", desk="/people", found=None, problem="")


def people_results(visit: Visit) -> Response:
    return results(visit, desk="/people")


def person_page(visit: Visit) -> Response:
    """One person: every record, every link with its evidence, and the way back."""
    known = read_person(visit.act("read-patient"), visit.params["record_id"])
    records = {record.id: record for record in known.person.records}
    links = [link for link in known.links if link.undone is not None or link.record_id in records]
    done = visit.facts().get("undone", "")
    return visit.page("person.html", known=known, links=links, records=records, done=done)


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
    Page("search-people", "GET", "/people", people_search, REGISTRAR),
    Page("search-people", "POST", "/people", people_results, REGISTRAR),
    Page("person", "GET", "/people/<record_id>", person_page, REGISTRAR),
    Page("undo-link", "POST", "/people/<record_id>/links/<link_id>/undo", undo, REGISTRAR),
)
