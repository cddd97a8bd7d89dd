"""referrals: who is on the way here, and whether the next hospital knows of whom we sent on."""

from __future__ import annotations

from typing import Any

import typer

from hie_node.commands.output import Json, caller_of, open_house, show, table


def add_to(app: typer.Typer) -> None:
    app.command()(referrals)


def referrals(as_json: Json = False) -> None:
    """Patients on the way to this hospital, and patients sent on, while their slips are valid."""
    from hie_node.acts import Act
    from hie_node.flows.copies import arrived
    from hie_node.flows.referrals import expected_patients, referred_patients

    house = open_house()
    coming = expected_patients(Act(house, caller_of(house, None), "open-referrals"))
    with house.storage.read() as unit:
        here = [arrived(unit, one) for one in coming]
    sent = referred_patients(Act(house, caller_of(house, None), "open-referrals"))
    document: dict[str, Any] = {
        "coming": [
            {
                "number": one.referral.number,
                "from": str(one.referral.sender),
                "name": one.patient.demographics.name.text if one.patient.demographics.name else None,
                "birth_date": str(one.patient.demographics.birth_date or "") or None,
                "diagnoses": [code.code for code in one.referral.diagnoses],
                "reason": one.referral.reason,
                "documents": [{"id": each.id, "title": each.title} for each in one.documents],
                "here": {"documents": so_far.documents, "images": so_far.images, "complete": so_far.complete},
            }
            for one, so_far in zip(coming, here, strict=True)
        ],
        "sent": [
            {
                "number": one.referral.number,
                "to": str(one.referral.receiver),
                "patient": one.record.identifier.value,
                "told": one.referral.told.value,
            }
            for one in sent
        ],
    }
    lines = table([list(one.values())[:4] for one in document["coming"]], head=["slip", "from", "name", "born"])
    lines += ["", *table([list(one.values()) for one in document["sent"]], head=["slip", "to", "patient", "told"])]
    show(document, lines, as_json=as_json)
