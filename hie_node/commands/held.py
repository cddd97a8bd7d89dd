"""held: texts that the words of the closed lists hold back, and what people said who read them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hie_node.commands.output import Json, caller_of, one_of, open_house, show, table

app = typer.Typer(
    help="Texts that may tell what the law closes: kept here until somebody reads them.", no_args_is_help=True
)
Id = Annotated[str, typer.Argument(help="As `hie held list` shows it.")]
As = Annotated[str, typer.Option("--as", help="Who reads: a doctor, or the data protection officer.")]


@app.command("list")
def list_held(as_user: As, as_json: Json = False) -> None:
    """What waits for a reader, what was made last first."""
    from hie_node.acts import Act
    from hie_node.flows.held_texts import waiting

    house = open_house()
    queue = waiting(Act(house, caller_of(house, as_user), "hie held"))
    head = ["id", "patient", "name", "performed", "title"]
    document = [
        {
            "id": one.entry.id,
            "patient": one.patient.identifier.value,
            "name": one.patient.demographics.name.text if one.patient.demographics.name else "",
            "performed": one.entry.performed.isoformat() if one.entry.performed else "",
            "title": one.entry.attachment.title or "",
        }
        for one in queue.held
    ]
    rows = [[one[column] for column in head] for one in document]
    lines = [*table(rows, head=head), *(["there are more; they show once these are read"] if queue.more else [])]
    show(document, lines if rows else ["nothing waits"], as_json=as_json)


@app.command()
def read(document_id: Id, as_user: As) -> None:
    """The text itself, as it came."""
    from hie_node.acts import Act
    from hie_node.flows.fetch import fetch_document
    from hie_node.flows.held_texts import held_text
    from registry.commands import RetrieveDocument

    house = open_house()
    caller = caller_of(house, as_user)
    found = held_text(Act(house, caller, "hie held"), document_id)
    for piece in fetch_document(Act(house, caller, "hie held"), RetrieveDocument(found.entry.id)).content:
        sys.stdout.buffer.write(piece)


@app.command()
def decide(
    document_id: Id,
    finding: Annotated[str, typer.Argument(help="open (it may leave), closed (it must not), held (read it again).")],
    as_user: As,
    as_json: Json = False,
) -> None:
    """Say whether it may leave; it is on record with your name, and can be taken back with `held`."""
    from consent.held_texts import Finding
    from hie_node.acts import Act
    from hie_node.flows.held_texts import decide_text

    said = one_of(Finding, finding, "FINDING")
    house = open_house()
    entry = decide_text(Act(house, caller_of(house, as_user), "hie held"), document_id, said)
    show({"id": entry.id, "finding": said.value}, [f"{said.value}: {entry.id}"], as_json=as_json)
