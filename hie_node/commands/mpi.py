"""mpi: doubts about identity, and the decisions of people about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hie_node.commands import mpi_model
from hie_node.commands.output import Json, caller_of, open_house, settings_of_node, show, table
from registry.doubts import most_pressing_first
from registry.errors import NotFound
from registry.identifiers import mask

if TYPE_CHECKING:
    from adapters.store.unit import UnitOfWork
    from registry.people import Link, SourceRecord
    from registry.ports import Review

_MOST_NOTICES = 1000
ReviewId = Annotated[str, typer.Argument(help="As `hie mpi review` shows it.")]
app = typer.Typer(help="The patient index: doubts and decisions.", no_args_is_help=True)
mpi_model.add_to(app)


@app.command()
def review(
    review_id: Annotated[str | None, typer.Argument(help="One doubt, side by side; without it all.")] = None,
    kind: Annotated[str, typer.Option(help="Only these: look-alike, overlay or changed-elsewhere.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    page: Annotated[int, typer.Option(min=1, help="Which page of so many.")] = 1,
    as_json: Json = False,
) -> None:
    """What waits for a person, the most dangerous first: overwritten records (one number of two patients), then those
    whom another hospital changed, then look-alikes, then free text to be read; the newest of each kind first."""
    house = open_house()
    with house.storage.read() as unit:
        if review_id is not None:
            _side_by_side(unit, review_id, as_json=as_json)
            return
        waiting = most_pressing_first(r for r in unit.patients.reviews() if kind in ("", r.kind))
    found, after = waiting[(page - 1) * limit : page * limit], len(waiting) - page * limit
    document = {"waiting": len(waiting), "items": [_listed(r) for r in found], "more": after > 0}
    rows = [[r.id, r.kind, r.opened.strftime("%Y-%m-%d"), "; ".join(r.evidence)] for r in found]
    lines = table(rows, head=["review", "kind", "since", "evidence"]) if rows else ["nothing waits"]
    more = [f"{after} more of {len(waiting)}: --page {page + 1}"] if after > 0 else []
    show(document, [*lines, *more], as_json=as_json)


def _listed(review: Review) -> dict[str, object]:
    return {
        "id": review.id,
        "kind": review.kind,
        "record": review.subject,
        "other": review.other,
        "evidence": list(review.evidence),
        "opened": review.opened.isoformat(),
    }


@app.command()
def notices(
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that are not acknowledged yet.")] = False,
    as_json: Json = False,
) -> None:
    """Which hospitals were told that a patient is another one, or one with another, and which of them acknowledged."""
    house = open_house()
    with house.storage.read() as unit:
        found = unit.identities.notices(limit=_MOST_NOTICES)
    shown = [one for one in found if not waiting or one.state in ("waiting", "told")]
    document = [
        {
            "id": one.id,
            "hospital": str(one.home),
            "state": one.state,
            "change": one.change.value,
            "records": list(one.record_ids),
            "made": one.made.isoformat(),
            "acknowledged": one.acknowledged.isoformat() if one.acknowledged else None,
        }
        for one in shown
    ]
    rows = [
        [f"{one.made:%Y-%m-%d %H:%M}", str(one.home), one.state, one.change.value, " ".join(one.record_ids)]
        for one in shown
    ]
    head = ["when", "hospital", "state", "change", "records here"]
    show(document, table(rows, head=head) if rows else ["no notices"], as_json=as_json)


def _side_by_side(unit: UnitOfWork, review_id: str, *, as_json: bool) -> None:
    """Both as they were written, and what each field says; numbers stay masked at the command line."""
    doubt = unit.patients.review(review_id)
    record = unit.patients.record_by_id(doubt.subject) if doubt is not None else None
    if doubt is None or record is None:
        raise NotFound("review")
    others = unit.patients.records_of(doubt.other) if doubt.other else ()
    sides = [_side(one) for one in (record, *others)]
    rows = [[name, *(side[name] for side in sides)] for name in sides[0]]
    head = ["", "this record", *("that person" for _ in others)]
    document = {"id": doubt.id, "kind": doubt.kind, "sides": sides, "evidence": list(doubt.evidence)}
    show(document, [*table(rows, head=head), "", *doubt.evidence], as_json=as_json)


def _side(record: SourceRecord) -> dict[str, str]:
    said = record.demographics
    return {
        "record": record.id,
        "name": said.name.text if said.name else "",
        "birth date": str(said.birth_date or ""),
        "sex": said.gender,
        "numbers": ", ".join(str(number) for number in record.identifiers),
        "phones": ", ".join(map(mask, said.phones)),
        "address": said.address.text if said.address else "",
        "guardian": said.mothers_name or "",
    }


@app.command()
def merge(
    review_id: ReviewId,
    as_user: str = typer.Option(..., "--as", help="Who decides: a user of this hospital."),
    as_json: Json = False,
) -> None:
    """Decide that a look-alike is the same person."""
    _decide(review_id, as_user, same=True, as_json=as_json)


@app.command("keep-apart")
def keep_apart(
    review_id: ReviewId,
    as_user: str = typer.Option(..., "--as", help="Who decides: a user of this hospital."),
    as_json: Json = False,
) -> None:
    """Decide that a look-alike is somebody else."""
    _decide(review_id, as_user, same=False, as_json=as_json)


@app.command()
def unmerge(link_id: str, as_user: str = typer.Option(..., "--as"), as_json: Json = False) -> None:
    """Undo a link: the record is again where it was before, and what the same decision moved with it."""
    from hie_node.acts import Act
    from hie_node.flows.reviews import undo_link

    house = open_house()
    undo_link(Act(house, caller_of(house, as_user), "hie mpi"), link_id)
    show({"link": link_id, "undone": True}, [f"undone: {link_id}"], as_json=as_json)


@app.command()
def undo(
    review_id: ReviewId,
    as_user: str = typer.Option(..., "--as", help="Who takes it back: a user of this hospital."),
    as_json: Json = False,
) -> None:
    """Take back a decision, "same person" or "kept apart": the doubt waits again."""
    from hie_node.acts import Act
    from hie_node.flows.reviews import undo_decision

    house = open_house()
    decision = undo_decision(Act(house, caller_of(house, as_user), "hie mpi"), review_id)
    show({"review": review_id, "taken_back": decision}, [f"taken back: {decision}, {review_id}"], as_json=as_json)


@app.command()
def explain(
    record_id: Annotated[str, typer.Argument(help="A record, as `hie patients show` lists it.")],
    other_id: Annotated[str | None, typer.Argument(help="Another: why is it, or is it not, the same person?")] = None,
    as_json: Json = False,
) -> None:
    """Why a record belongs to its person: each link with its evidence; or what speaks for and against another record.

    Bits: each doubles the odds. No name and no number is shown.
    """
    house = open_house()
    with house.storage.read() as unit:
        record = unit.patients.record_by_id(record_id)
        person = unit.patients.person_of(record_id)
        if record is None or person is None:
            raise NotFound("patient record")
        if other_id is not None:
            _weighed(unit, record, other_id, as_json=as_json)
            return
        links = unit.patients.links_of(person)
    document = {"record": record_id, "person": person, "links": [_told(link) for link in links]}
    lines = [line for link in links for line in _link_lines(link)]
    show(document, lines or ["no link: the record is a person of its own"], as_json=as_json)


def _told(link: Link) -> dict[str, object]:
    return {
        "id": link.id,
        "record": link.record_id,
        "rule": link.rule,
        "author": link.author,
        "created": link.created.isoformat(),
        "undone": link.undone.isoformat() if link.undone else None,
        "undone_by": link.undone_by,
        "evidence": list(link.evidence),
    }


def _link_lines(link: Link) -> list[str]:
    end = f", undone {link.undone:%Y-%m-%d} by {link.undone_by}" if link.undone else ""
    head = f"link {link.id}: record {link.record_id}, {link.rule}, by {link.author}, {link.created:%Y-%m-%d}{end}"
    return [head, *(f"  {line}" for line in link.evidence)]


def _weighed(unit: UnitOfWork, record: SourceRecord, other_id: str, *, as_json: bool) -> None:
    from hie_node.bootstrap import model_of
    from registry.traits import traits_of_record
    from registry.weighing import Weighing

    other = unit.patients.record_by_id(other_id)
    if other is None:
        raise NotFound("patient record")
    weighing, persons = Weighing(model_of(settings_of_node())), [("0", [traits_of_record(other)])]
    found = weighing.explain(traits_of_record(record), persons, size=unit.patients.size())
    same = unit.patients.person_of(record.id) == unit.patients.person_of(other_id)
    document = {"record": record.id, "other": other_id, "one_person": same, "evidence": list(found)}
    show(document, [f"one person now: {'yes' if same else 'no'}", *found], as_json=as_json)


def _decide(review_id: str, username: str, *, same: bool, as_json: bool) -> None:
    from hie_node.acts import Act
    from hie_node.flows.reviews import decide_review

    house = open_house()
    decision = decide_review(Act(house, caller_of(house, username), "hie mpi"), review_id, same=same)
    show({"review": review_id, "decision": decision}, [f"{decision}: {review_id}"], as_json=as_json)
