"""pairs: reports and images that did not find each other, and what a person says of them."""

from __future__ import annotations

from typing import Annotated

import typer

from hie_node.commands.output import Json, caller_of, open_house, show, table

app = typer.Typer(help="Reports and images of one examination that did not find each other.", no_args_is_help=True)
As = Annotated[str, typer.Option("--as", help="Who looks or decides: a user of this hospital.")]
Images = Annotated[str, typer.Argument(help="The images, as `hie pairs list` or `review` shows them.")]
Report = Annotated[str, typer.Argument(help="The report, likewise.")]


@app.command()
def review(as_user: As, as_json: Json = False) -> None:
    """What waits for a word: images and a report that may belong together, the oldest first."""
    from hie_node.acts import Act
    from hie_node.flows.pairs import open_pairs

    house = open_house()
    found = open_pairs(Act(house, caller_of(house, as_user), "hie pairs"))
    document = [
        {
            "images": one.study.id,
            "report": one.report.id,
            "taken": one.study.started.isoformat() if one.study.started else "",
            "performed": one.report.performed.isoformat() if one.report.performed else "",
            "what": one.report.attachment.title or one.study.description or "",
        }
        for one in found
    ]
    head = ["images", "report", "taken", "performed", "what"]
    rows = [[one[column] for column in head] for one in document]
    show(document, table(rows, head=head) if rows else ["nothing waits"], as_json=as_json)


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
def join(images: Images, report: Report, as_user: As, as_json: Json = False) -> None:
    """Say that this is the report of these images; it is on record with your name."""
    from hie_node.acts import Act
    from hie_node.flows.pairs import put_together

    house = open_house()
    study = put_together(Act(house, caller_of(house, as_user), "hie pairs"), images, report)
    show({"images": study.id, "report": study.report_id}, [f"together: {images}, {report}"], as_json=as_json)


@app.command("keep-apart")
def keep_apart(images: Images, report: Report, as_user: As, as_json: Json = False) -> None:
    """Say that this is not the report of these images; no rule puts them together after that."""
    from hie_node.acts import Act
    from hie_node.flows.pairs import keep_apart as kept_apart

    house = open_house()
    kept_apart(Act(house, caller_of(house, as_user), "hie pairs"), images, report)
    show({"images": images, "report": report, "apart": True}, [f"apart: {images}, {report}"], as_json=as_json)


@app.command()
def undo(images: Images, report: Report, as_user: As, as_json: Json = False) -> None:
    """Take back what was said of these two, whichever way: they wait again."""
    from hie_node.acts import Act
    from hie_node.flows.pairs import undo_pair
    from registry.pairing import doubt_id

    house = open_house()
    undo_pair(Act(house, caller_of(house, as_user), "hie pairs"), doubt_id(images, report))
    show({"images": images, "report": report, "undone": True}, [f"wait again: {images}, {report}"], as_json=as_json)
