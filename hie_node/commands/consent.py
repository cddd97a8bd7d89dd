"""consent: the written requests of patients."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hie_node.commands.asking import BirthDay, DaysBack, Name, Number, Sex, selector
from hie_node.commands.output import Json, caller_of, one_of, open_house, show, table

if TYPE_CHECKING:
    from consent.consents import Consent
    from consent.emergency import EmergencyAccess

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
    days: Annotated[int, typer.Option(min=1, max=36_500, help="For how many days.")] = 180,
    kind: Annotated[str, typer.Option(help="paper (signed by hand), electronic (a signed PDF), witnessed.")] = "paper",
    represented_by: Annotated[str, typer.Option(help="Who signed for a child, or for who cannot.")] = "",
    explained_by: Annotated[str, typer.Option(help="Who explained it.")] = "",
    language: Annotated[str, typer.Option(help="In which language it was explained.")] = "vi",
    as_user: As = None,
    as_json: Json = False,
) -> None:
    """Record what a patient asked for in writing."""
    from consent.commands import RecordConsent
    from consent.consents import BASIC_NORMAL, Actor, Consent, Evidence, Period, Provision
    from consent.errors import RepresentativeMissing
    from consent.requesters import PurposeOfUse
    from hie_node.acts import Act
    from hie_node.flows.consents import record_consent
    from hie_node.flows.signed_papers import signed_paper
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
        evidence=Evidence(
            kind, "", explained_by=explained_by or as_user or "", language=language, represented_by=represented_by
        ),
    )
    body = signed_paper(evidence.read_bytes(), kind)
    act = Act(house, caller_of(house, as_user), "hie consent")
    try:
        made = record_consent(act, RecordConsent(consent, patient=who, evidence=body))
    except RepresentativeMissing as refusal:
        raise ValueError("--represented-by: this patient is a child; name who signed as representative") from refusal
    show(_consent(made), [f"recorded {made.id}, in force for {days} days"], as_json=as_json)


@app.command()
def form(
    out: Annotated[Path, typer.Option("--out", "-o", help="The PDF file to write.")],
    number: Number = None,
    name: Name = None,
    birth_date: BirthDay = None,
    gender: Sex = None,
    holder: Annotated[list[str] | None, typer.Option("--from", help="Whose records: facility codes, or *.")] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="For how many days; absent: a line to write on.")
    ] = None,
    represented_by: Annotated[str, typer.Option(help="Who signs for a child, or for who cannot.")] = "",
    language: Annotated[str, typer.Option(help="vi or en")] = "vi",
    as_user: As = None,
    as_json: Json = False,
) -> None:
    """The written request to print and sign, as PDF: for one patient, in Vietnamese or English."""
    from hie_node.acts import Act
    from hie_node.flows.identify import identify
    from hie_node.flows.reconcile import peer_by_name
    from hie_node.request_form import RequestForm, request_form
    from registry.errors import NotFound

    if language not in ("vi", "en"):
        raise ValueError(f"--language: expected vi or en; found {language}")
    house = open_house()
    act = Act(house, caller_of(house, as_user), "hie consent")
    who = selector(number, name, birth_date, gender, own_system=house.settings.patient_id_system)
    with act.unit() as unit:
        person = identify(act, unit, who)
        if person is None:
            raise NotFound("this patient")
        act.about(person.first)
    codes = holder or []
    holders = [peer.community for code in codes if code != "*" and (peer := peer_by_name(house, code))]
    if len(holders) != len([code for code in codes if code != "*"]):
        raise NotFound("a hospital with one of these codes")
    known = [peer.community for peer in house.directory.current().active if peer.home != house.home]
    wanted = RequestForm(
        person.first, house.settings.name, holders, "*" in codes, known, days, act.caller.requester.name,
        represented_by=represented_by,
    )  # fmt: skip
    out.write_bytes(request_form(wanted, language="en" if language == "en" else "vi", now=house.now()))
    show({"path": str(out)}, [f"wrote {out}: print it, have it signed, scan it, hie consent record"], as_json=as_json)


@app.command()
def evidence(
    consent_id: Annotated[str, typer.Argument(help="As `hie consent list` shows it.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")],
    as_user: As = None,
    as_json: Json = False,
) -> None:
    """The signed request behind a consent, as it was scanned; that it was opened is on record."""
    from hie_node.acts import Act
    from hie_node.flows.signed_papers import signed_request

    house = open_house()
    content = signed_request(Act(house, caller_of(house, as_user), "hie consent"), consent_id)
    out.write_bytes(content)
    show({"path": str(out), "bytes": len(content)}, [f"wrote {out}, {len(content)} bytes"], as_json=as_json)


@app.command()
def withdraw(
    consent_id: Annotated[str, typer.Argument(help="As `hie consent list` shows it.")],
    as_user: As = None,
    as_json: Json = False,
) -> None:
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


@app.command()
def emergency(
    reason: Annotated[str, typer.Option(help="unconscious, threat-to-life, cannot-sign, disaster, other")],
    text: Annotated[str, typer.Option(help="What happened.")],
    number: Number = None,
    name: Name = None,
    birth_date: BirthDay = None,
    gender: Sex = None,
    as_user: As = None,
    as_json: Json = False,
) -> None:
    """Declare an emergency: the doctor who does sees more for four hours, and it is reviewed."""
    from consent.emergency import EmergencyReason
    from hie_node.acts import Act
    from hie_node.flows.emergencies import declare

    house = open_house()
    who = selector(number, name, birth_date, gender, own_system=house.settings.patient_id_system)
    act = Act(house, caller_of(house, as_user), "hie consent")
    access = declare(act, who, reason=one_of(EmergencyReason, reason, "--reason"), text=text)
    lines = [f"declared {access.id}, until {access.ends.astimezone():%H:%M}; the data protection officer is told"]
    show(_emergency(access, house.now()), lines, as_json=as_json)


@app.command()
def emergencies(
    days: Annotated[
        int, typer.Option(min=0, max=36_500, help="With those reviewed of the last days; 0: only what waits.")
    ] = 0,
    as_user: As = None,
    as_json: Json = False,
) -> None:
    """Emergency access that waits for its review, what is due first on top."""
    from hie_node.acts import Act
    from hie_node.flows.emergencies import recent, waiting

    house = open_house()
    act = Act(house, caller_of(house, as_user), "hie consent")
    found = recent(act, days=days) if days else waiting(act)
    rows = [
        [a.id, "LATE" if a.is_late(house.now()) else a.review.finding if a.review else "waits", f"{a.due:%Y-%m-%d}",
         f"{a.declared.astimezone():%Y-%m-%d %H:%M}", a.name or a.subject, a.reason.value, a.text]
        for a in found
    ]  # fmt: skip
    head = ["emergency", "", "before", "declared", "by", "reason", "text"]
    document = [_emergency(access, house.now()) for access in found]
    show(document, table(rows, head=head) if rows else ["nothing waits"], as_json=as_json)


@app.command("review")
def review_emergency(
    access_id: Annotated[str, typer.Argument(help="As `hie consent emergencies` shows it.")],
    finding: Annotated[str, typer.Option(help="justified or unjustified")],
    as_user: Annotated[str, typer.Option("--as", help="The data protection officer.")],
    text: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Say whether an emergency access was justified; it is said once."""
    from hie_node.acts import Act
    from hie_node.flows.emergencies import review

    if finding not in ("justified", "unjustified"):
        raise ValueError(f"--finding: expected justified or unjustified; found {finding}")
    house = open_house()
    act = Act(house, caller_of(house, as_user), "hie consent")
    access = review(act, access_id, finding="justified" if finding == "justified" else "unjustified", text=text)
    show(_emergency(access, house.now()), [f"reviewed {access.id}: {finding}"], as_json=as_json)


@app.command("statistics")
def emergency_statistics(days: DaysBack = 90, as_json: Json = False) -> None:
    """How often emergency access was used, for what, by whom, and what the reviews found."""
    from dataclasses import asdict

    from hie_node.acts import Act
    from hie_node.flows.emergencies import statistics_of

    house = open_house()
    found = asdict(statistics_of(Act(house, caller_of(house, None), "hie consent"), days=days))
    lines = [f"{name.replace('_', ' ')}: {_counted(value)}" for name, value in found.items()]
    show(found, lines, as_json=as_json)


def _counted(value: int | dict[str, int]) -> str:
    return str(value) if isinstance(value, int) else ", ".join(f"{k} {n}" for k, n in value.items()) or "none"


def _emergency(access: EmergencyAccess, now: datetime) -> dict[str, Any]:
    review = access.review
    return {
        "id": access.id,
        "declared": access.declared.isoformat(),
        "ends": access.ends.isoformat(),
        "by": access.name or access.subject,
        "role": access.role.value,
        "home": str(access.home),
        "reason": access.reason.value,
        "text": access.text,
        "due": access.due.isoformat(),
        "late": access.is_late(now),
        "told": access.told.isoformat() if access.told else None,
        "finding": review.finding if review else None,
        "reviewed_by": review.by if review else None,
    }


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
