"""audit: who saw what, and the proof that the record was not touched."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from hie_node.commands.asking import Number, selector
from hie_node.commands.output import Json, caller_of, open_house, show, table

if TYPE_CHECKING:
    from consent.disclosures import Disclosure

app = typer.Typer(help="The record of disclosures.", no_args_is_help=True)


@app.command()
def search(
    number: Number = None,
    days: Annotated[int, typer.Option(help="How far back.")] = 30,
    limit: int = 100,
    as_json: Json = False,
) -> None:
    """Who saw what, newest first; with --number, of one patient."""
    from consent.commands import FindDisclosures
    from hie_node.acts import Act
    from hie_node.flows.audit import find_disclosures
    from registry.searches import ANYBODY

    house = open_house()
    who = selector(number, None, None, None, own_system=house.settings.patient_id_system) if number else ANYBODY
    command = FindDisclosures(patient=who, since=house.now() - timedelta(days=days), limit=limit)
    page = find_disclosures(Act(house, caller_of(house, None), "hie audit"), command)
    rows = [_row(d) for d in page.items]
    head = ["when", "what", "how", "by", "from", "why", "items", "reasons"]
    show([d.as_json() for d in page.items], table(rows, head=head) if rows else ["nothing"], as_json=as_json)


def _row(d: Disclosure) -> list[object]:
    reasons = ", ".join(f"{name} {number}" for name, number in d.reasons.items())
    who = d.requester.name or d.requester.subject
    direction = d.direction if d.complete else f"{d.direction}, broken off"
    where = d.requester.organization or str(d.requester.home)
    return [_local(d.recorded), direction, d.transaction, who, where, d.requester.purpose, len(d.items), reasons]


def _local(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


@app.command()
def verify(as_json: Json = False) -> None:
    """Prove that no row was changed, removed, added or moved since it was sealed."""
    from hie_node.flows.audit import verify as check

    result = check(open_house())
    document = {
        "intact": not result.findings,
        "rows": result.rows,
        "seals": result.seals,
        "unsealed": result.unsealed,
        "findings": [{"position": f.position, "text": f.text} for f in result.findings],
    }
    lines = [f"{result.rows} rows under {result.seals} seals, {result.unsealed} not sealed yet"]
    lines += [f"FOUND: {f.text}" for f in result.findings] or ["intact"]
    show(document, lines, as_json=as_json)
    raise typer.Exit(1 if result.findings else 0)


@app.command()
def export(as_json: Json = False) -> None:
    """Every sealed row as one JSON object a line, in the order in which it was sealed."""
    import orjson

    house = open_house()
    with house.storage.read() as unit:
        last = unit.disclosures.last_seal()
        for position, row in unit.disclosures.sealed_rows(0, last.size if last else 0):
            sys.stdout.write(orjson.dumps({"position": position, **row.as_json()}).decode() + "\n")
