"""quarantine: images whose patient is in doubt, and the decisions of people about them."""

from __future__ import annotations

from typing import Annotated

import typer

from hie_node.commands.output import Json, caller_of, open_house, show, table

app = typer.Typer(help="Images whose patient is in doubt: kept, and not shown to anybody.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="As `hie quarantine list` shows it.")]
As = Annotated[str, typer.Option("--as", help="Who decides: a user of this hospital.")]


@app.command("list")
def list_waiting(as_user: As, as_json: Json = False) -> None:
    """What waits for a registrar, each beside the patient whom the index knows under its number."""
    from hie_node.acts import Act
    from hie_node.flows.quarantine import waiting

    house = open_house()
    found = waiting(Act(house, caller_of(house, as_user), "hie quarantine"))
    document = [
        {
            "id": aside.id,
            "study": aside.study_instance_uid,
            "patient": str(aside.patient),
            "name": _name(aside.demographics.name),
            "known_as": _name(record.demographics.name) if record else "",
            "instances": len(aside.instances),
            "received": aside.received.isoformat(),
            "reason": aside.reason,
        }
        for aside, record in found
    ]
    head = ["id", "patient", "name", "known_as", "instances", "received", "reason"]
    rows = [[one[column] for column in head] for one in document]
    show(document, table(rows, head=head) if rows else ["nothing waits"], as_json=as_json)


def _name(name: object) -> str:
    return str(getattr(name, "text", ""))


@app.command()
def release(
    quarantine_id: Id,
    patient: Annotated[str, typer.Option(help="This hospital's own number of the patient whose images these are.")],
    as_user: As,
    as_json: Json = False,
) -> None:
    """Store them for this patient, like images that came without doubt."""
    from hie_node.acts import Act
    from hie_node.flows.release import release as released
    from registry.identifiers import PatientIdentifier

    house = open_house()
    identifier = PatientIdentifier(house.settings.patient_id_system, patient)
    result = released(Act(house, caller_of(house, as_user), "hie quarantine"), quarantine_id, identifier)
    document = {"id": quarantine_id, "stored": len(result.stored), "failed": [one.text for one in result.failed]}
    show(document, [f"released: {quarantine_id}, {len(result.stored)} instances"], as_json=as_json)


@app.command()
def reject(quarantine_id: Id, as_user: As, as_json: Json = False) -> None:
    """Destroy them: they are of nobody who is treated here, and will be sent again rightly."""
    from hie_node.acts import Act
    from hie_node.flows.quarantine import reject as rejected

    house = open_house()
    rejected(Act(house, caller_of(house, as_user), "hie quarantine"), quarantine_id)
    show({"id": quarantine_id, "rejected": True}, [f"rejected: {quarantine_id}"], as_json=as_json)
