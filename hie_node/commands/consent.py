"""consent: the written requests of patients."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hie_node.commands.asking import BirthDay, Name, Number, Sex, selector
from hie_node.commands.output import Json, caller_of, one_of, open_house, show, table

if TYPE_CHECKING:
    from consent.consents import Consent

app = typer.Typer(help="The written requests of patients.", no_args_is_help=True)
As = Annotated[str | None, typer.Option("--as", help="Who records it: a user of this hospital.")]


@app.command()
def record(
    evidence: Annotated[Path, typer.Option("--evidence", help="The signed request, scanned.")],
    number: Number = None,
    name: Name = None,
    birth_date: BirthDay = None,
    gender: Sex = None,
    holder: Annotated[str | None, typer.Option("--from", help="Whose records: facility code; absent: all.")] = None,
    recipient: Annotated[str | None, typer.Option("--to", help="Who may see them: facility code; absent: we.")] = None,
    days: Annotated[int, typer.Option(help="For how many days.")] = 180,
    as_user: As = None,
    as_json: Json = False,
) -> None:
    """Record what a patient asked for in writing."""
    from consent.commands import RecordConsent
    from consent.consents import BASIC_NORMAL, Actor, Consent, Evidence, Period, Provision
    from consent.requesters import PurposeOfUse
    from hie_node.acts import Act
    from hie_node.flows.consents import record_consent
    from registry.identifiers import PatientIdentifier

    house = open_house()
    now = datetime.now(UTC)
    who = selector(number, name, birth_date, gender, own_system=house.settings.patient_id_system)
    to = recipient or str(house.settings.facility_code)
    consent = Consent(
        id="",
        patient=PatientIdentifier(house.settings.patient_id_system, "to be resolved"),
        record_id="",
        status="active",
        given=now,
        policy=BASIC_NORMAL,
        provision=Provision(
            "permit",
            period=Period(now, now + timedelta(days=days)),
            actors=(Actor(facility=to),),
            purposes=frozenset({PurposeOfUse.TREAT}),
        ),
        custodian_facility=holder,
        evidence=Evidence("paper", ""),
    )
    body = (evidence.read_bytes(), "application/pdf")
    act = Act(house, caller_of(house, as_user), "hie consent")
    made = record_consent(act, RecordConsent(consent, patient=who, evidence=body))
    show(_consent(made), [f"recorded {made.id}, in force for {days} days"], as_json=as_json)


@app.command()
def withdraw(consent_id: str, as_user: As = None, as_json: Json = False) -> None:
    """Take a request back, here and at every hospital that keeps it."""
    from consent.commands import DeleteConsent
    from hie_node.acts import Act
    from hie_node.flows.consents import delete_consent

    house = open_house()
    made = delete_consent(Act(house, caller_of(house, as_user), "hie consent"), DeleteConsent(consent_id))
    show(_consent(made), [f"withdrawn {made.id}; the hospitals that keep it are being told"], as_json=as_json)


@app.command("list")
def list_consents(
    number: Number = None,
    name: Name = None,
    birth_date: BirthDay = None,
    gender: Sex = None,
    as_json: Json = False,
) -> None:
    """The consents of one patient."""
    from consent.commands import FindConsents
    from hie_node.acts import Act
    from hie_node.flows.consents import find_consents

    house = open_house()
    who = selector(number, name, birth_date, gender, own_system=house.settings.patient_id_system)
    page = find_consents(Act(house, caller_of(house, None), "hie consent"), FindConsents(patient=who, deleted_too=True))
    rows = [[c.id, c.status, c.provision.type, c.given.strftime("%Y-%m-%d"), _to(c)] for c in page.items]
    lines = table(rows, head=["consent", "status", "", "given", "to"]) if rows else ["no consent is recorded"]
    show([_consent(c) for c in page.items], lines, as_json=as_json)


@app.command()
def preview(
    facility: Annotated[str, typer.Option("--for", help="The hospital that would ask: its facility code.")],
    number: Number = None,
    name: Name = None,
    birth_date: BirthDay = None,
    gender: Sex = None,
    purpose: Annotated[str, typer.Option(help="Purpose of use.")] = "TREAT",
    role: Annotated[str, typer.Option(help="Role of the person who would ask.")] = "doctor",
    as_json: Json = False,
) -> None:
    """What would that hospital see of this patient now, and why?"""
    from consent.requesters import PurposeOfUse, Role
    from hie_node.acts import Act
    from hie_node.flows.preview import preview as foresee
    from registry.errors import NotFound
    from registry.identifiers import FacilityCode

    house = open_house()
    peer = house.directory.current().at(FacilityCode(facility))
    if peer is None:
        raise NotFound(f"a hospital with the code {facility}")
    who = selector(number, name, birth_date, gender, own_system=house.settings.patient_id_system)
    act = Act(house, caller_of(house, None), "hie consent")
    found = foresee(
        act, who, asking=peer, purpose=one_of(PurposeOfUse, purpose, "--purpose"), role=one_of(Role, role, "--role")
    )
    rows = [["shown" if f.permit else "hidden", f.reason, f.what, f.id] for f in found]
    document = [
        {"id": f.id, "what": f.what, "shown": f.permit, "reason": f.reason, "consent": f.consent_id} for f in found
    ]
    show(document, table(rows, head=["", "because", "what", "id"]) if rows else ["nothing is here"], as_json=as_json)


def _to(consent: Consent) -> str:
    return ", ".join(str(actor.home) for actor in consent.provision.actors) or "everybody"


def _consent(consent: Consent) -> dict[str, Any]:
    end = consent.provision.period.end
    return {
        "id": consent.id,
        "status": consent.status,
        "type": consent.provision.type,
        "given": consent.given.isoformat(),
        "until": end.isoformat() if end else None,
        "from": str(consent.custodian) if consent.custodian else None,
        "to": [str(actor.home) for actor in consent.provision.actors],
    }
