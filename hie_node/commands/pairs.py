"""pairs: reports and images that did not find each other, and what a person says of them."""

from __future__ import annotations

from typing import Annotated

import typer

from hie_node.commands.output import Json, caller_of, open_house, show, table

app = typer.Typer(help="Reports and images of one examination that did not find each other.", no_args_is_help=True)
As = Annotated[str, typer.Option("--as", help="Who looks or decides: a user of this hospital.")]


@app.command("list")
def list_apart(
    patient: Annotated[str, typer.Argument(help="This hospital's own number of the patient.")],
    as_user: As,
    as_json: Json = False,
) -> None:
    """Studies of a patient without a report, and reports without images, each with why."""
    from hie_node.acts import Act
    from hie_node.flows.pairs import apart
    from registry.identifiers import PatientIdentifier

    house = open_house()
    who = PatientIdentifier(house.settings.patient_id_system, patient)
    found = apart(Act(house, caller_of(house, as_user), "hie pairs"), who)
    document = [
        {
            "id": one.id,
            "kind": "images",
            "performed": one.started.isoformat() if one.started else "",
            "what": one.description or "/".join(one.modalities),
            "why": one.pairing or "",
        }
        for one in found.studies
    ]
    document += [
        {
            "id": one.id,
            "kind": "report",
            "performed": one.performed.isoformat() if one.performed else "",
            "what": one.attachment.title or one.examination or "",
            "why": "",
        }
        for one in found.reports
    ]
    head = ["id", "kind", "performed", "what", "why"]
    rows = [[one[column] for column in head] for one in document]
    show(document, table(rows, head=head) if rows else ["all of them are together"], as_json=as_json)


@app.command()
def join(
    images: Annotated[str, typer.Argument(help="The images, as `hie pairs list` shows them.")],
    report: Annotated[str, typer.Argument(help="Their report, likewise.")],
    as_user: As,
    as_json: Json = False,
) -> None:
    """Say that this is the report of these images; it is on record with your name."""
    from hie_node.acts import Act
    from hie_node.flows.pairs import put_together

    house = open_house()
    study = put_together(Act(house, caller_of(house, as_user), "hie pairs"), images, report)
    show({"images": study.id, "report": study.report_id}, [f"together: {images}, {report}"], as_json=as_json)
