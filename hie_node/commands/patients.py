"""patients: who is known here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hie_node.commands.asking import BirthDay, Name, Number, Sex, patient_number, selector
from hie_node.commands.output import Json, caller_of, open_house, show, table

if TYPE_CHECKING:
    from registry.people import SourceRecord

Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]
app = typer.Typer(help="Who is known here.", no_args_is_help=True)


@app.command("search")
def search(number: Number = None, name: Name = None, limit: Limit = 20, as_json: Json = False) -> None:
    """Find patients of this hospital by number or name; marks and case do not matter."""
    from hie_node.acts import Act
    from hie_node.flows.patients import find_patients
    from registry.commands import FindPatients
    from registry.searches import PatientSearch
    from registry.vietnamese import folded

    house = open_house()
    own = house.settings.patient_id_system
    wanted = PatientSearch(
        identifiers=tuple(patient_number(n, own) for n in number or ()),
        name_words=tuple(folded(name).split()) if name else (),
        limit=limit,
    )
    page = find_patients(Act(house, caller_of(house, None), "hie patients"), FindPatients(wanted))
    rows = [[r.id, r.identifier.value, _name(r), _born(r), "" if r.active else "merged"] for r in page.items]
    lines = table(rows, head=["id", "number", "name", "born", ""]) if rows else ["nobody"]
    show([_record(r) for r in page.items], lines + (["… there are more"] if page.next else []), as_json=as_json)


@app.command("show")
def show_person(
    number: Number = None, name: Name = None, birth_date: BirthDay = None, gender: Sex = None, as_json: Json = False
) -> None:
    """One person with all source records and the evidence of each link."""
    from hie_node.acts import Act
    from hie_node.flows.identify import identify
    from registry.errors import NotFound

    house = open_house()
    act = Act(house, caller_of(house, None), "hie patients")
    who = selector(number, name, birth_date, gender, own_system=house.settings.patient_id_system)
    with act.unit() as unit:
        person = identify(act, unit, who)
        if person is None:
            raise NotFound("this patient")
        act.about(person.first)
        act.items = list(person.record_ids)
        links = unit.patients.links_of(person.person_id)
    document = {
        "person": person.person_id,
        "records": [_record(r) for r in person.records],
        "links": [
            {
                "record": link.record_id,
                "evidence": list(link.evidence),
                "rule": link.rule,
                "author": link.author,
                "created": link.created.isoformat(),
                "undone": link.undone.isoformat() if link.undone else None,
            }
            for link in links
        ],
    }
    lines = [f"person {person.person_id}"]
    lines += [f"  {r.identifier.value}  {_name(r)}  {_born(r)}" for r in person.records]
    lines += [f"  linked by {link.author}: {', '.join(link.evidence)}" for link in links]
    show(document, lines, as_json=as_json)


@app.command("erase")
def erase(
    number: Number,
    because: Annotated[str, typer.Option(help="Why; it goes on record.")],
    as_user: Annotated[str, typer.Option("--as", help="The data protection officer.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a patient: keys, contents, index and name. Nothing brings it back; the record of disclosures stays."""
    from hie_node.acts import Act
    from hie_node.flows.erase import erase_patient

    house = open_house()
    if not yes:
        typer.confirm("nothing brings this patient's records back; erase", abort=True)
    who = selector(number, None, None, None, own_system=house.settings.patient_id_system)
    done = erase_patient(Act(house, caller_of(house, as_user), "erase"), who, because=because)
    lines = [f"erased {len(done.records)} records of one person, {done.rows} rows and the keys of all contents"]
    lines.append("backups made before hold them until they are destroyed: make a new one, destroy the old")
    document = {"records": list(done.records), "rows": done.rows, "withdrawn": done.withdrawn}
    show(document, lines, as_json=as_json)


def _record(record: SourceRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "system": record.identifier.system,
        "number": record.identifier.value,
        "name": _name(record),
        "birth_date": _born(record),
        "gender": record.demographics.gender,
        "active": record.active,
    }


def _name(record: SourceRecord) -> str:
    return record.demographics.name.text if record.demographics.name else ""


def _born(record: SourceRecord) -> str:
    return str(record.demographics.birth_date or "")
