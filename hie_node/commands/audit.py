"""audit: who saw what, and the proof that the record was not touched."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hie_node.commands.asking import DaysBack, Number, selector
from hie_node.commands.output import Json, caller_of, open_house, show, table

if TYPE_CHECKING:
    from consent.disclosures import Disclosure
    from hie_node.house import House
    from registry.identifiers import HomeCommunityId

app = typer.Typer(help="The record of disclosures.", no_args_is_help=True)


@app.command()
def search(
    number: Number = None,
    by: Annotated[str | None, typer.Option("--by", help="Only what this person did: the login.")] = None,
    hospital: Annotated[str | None, typer.Option(help="Only with this hospital: its facility code.")] = None,
    days: DaysBack = 30,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
    as_json: Json = False,
) -> None:
    """Who saw what, newest first; with --number of one patient, with --by of one person, with --hospital of one."""
    from consent.commands import FindDisclosures
    from hie_node.acts import Act
    from hie_node.flows.audit import find_disclosures
    from registry.searches import ANYBODY

    house = open_house()
    who = selector(number, None, None, None, own_system=house.settings.patient_id_system) if number else ANYBODY
    since = house.now() - timedelta(days=days)
    command = FindDisclosures(patient=who, since=since, subject=by, other=_home(house, hospital), limit=limit)
    page = find_disclosures(Act(house, caller_of(house, None), "hie audit"), command)
    rows = [_row(d) for d in page.items]
    head = ["when", "what", "how", "by", "from", "why", "items", "reasons"]
    show([d.as_json() for d in page.items], table(rows, head=head) if rows else ["nothing"], as_json=as_json)


@app.command("opened")
def opened_patients(
    by: Annotated[str | None, typer.Option("--by", help="A person: the login.")] = None,
    hospital: Annotated[str | None, typer.Option(help="A hospital: its facility code.")] = None,
    days: DaysBack = 30,
    as_json: Json = False,
) -> None:
    """Which patients did this person, or this hospital, open: how often, first and last."""
    from hie_node.acts import Act
    from hie_node.flows.audit import opened

    if (by is None) == (hospital is None):
        raise ValueError("say whom you mean: either --by LOGIN or --hospital FACILITY")
    house = open_house()
    since = house.now() - timedelta(days=days)
    act = Act(house, caller_of(house, None), "hie audit")
    found = opened(act, subject=by, other=_home(house, hospital), since=since)
    rows = [[p.value if p else o.record_id, o.times, _local(o.first), _local(o.last)] for o, p in found]
    document = [
        {"patient": [p.system, p.value] if p else None, "record_id": o.record_id, "times": o.times,
         "first": o.first.isoformat(), "last": o.last.isoformat()}
        for o, p in found
    ]  # fmt: skip
    show(document, table(rows, head=["patient", "times", "first", "last"]) if rows else ["nobody"], as_json=as_json)


def _home(house: House, facility: str | None) -> HomeCommunityId | None:
    from hie_node.flows.reconcile import peer_by_name
    from registry.errors import NotFound

    if facility is None:
        return None
    peer = peer_by_name(house, facility)
    if peer is None:
        raise NotFound(f"a hospital with the code {facility}")
    return peer.home


def _row(d: Disclosure) -> list[object]:
    reasons = ", ".join(f"{name} {number}" for name, number in d.reasons.items())
    who = d.requester.name or d.requester.subject
    direction = d.direction if d.complete else f"{d.direction}, broken off"
    where = d.requester.organization or str(d.requester.home)
    return [_local(d.recorded), direction, d.transaction, who, where, d.requester.purpose, len(d.items), reasons]


def _local(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


@app.command()
def verify(
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the hospitals that keep our heads.")] = False,
    as_json: Json = False,
) -> None:
    """Prove that no row was changed, removed, added or moved since it was sealed, nor the whole record put back."""
    from hie_node.flows.audit import verify as check
    from hie_node.flows.heads import NOBODY_ASKED, ask_keepers

    house = open_house()
    result = check(house, NOBODY_ASKED if offline else ask_keepers(house))
    document = {
        "intact": not result.findings,
        "rows": result.rows,
        "seals": result.seals,
        "unsealed": result.unsealed,
        "kept_elsewhere": result.kept,
        "silent": list(result.silent),
        "notes": list(result.notes),
        "findings": [{"position": f.position, "text": f.text} for f in result.findings],
    }
    lines = [f"{result.rows} rows under {result.seals} seals, {result.unsealed} not sealed yet"]
    lines.append(f"held against {result.kept} heads that other hospitals keep")
    lines += [f"no answer from {facility}" for facility in result.silent]
    lines += [f"note: {note}" for note in result.notes]
    lines += [f"FOUND: {f.text}" for f in result.findings] or ["intact"]
    show(document, lines, as_json=as_json)
    raise typer.Exit(1 if result.findings else 0)


@app.command()
def answer(
    because: Annotated[str, typer.Option("--because", help="What happened: which disk, which backup.")],
    as_user: Annotated[str, typer.Option("--as", help="The data protection officer.")],
    as_json: Json = False,
) -> None:
    """Answer for rows that were lost when this node came back from a backup: verify says your name with the loss."""
    from hie_node.acts import Act
    from hie_node.flows.losses import answer_losses

    house = open_house()
    found = answer_losses(Act(house, caller_of(house, as_user), "hie audit"), because=because)
    document = [{"restored": one.restored.isoformat(), "kept": one.kept} for one in found]
    lines = [f"answered for the return on {_local(one.restored)}, to {one.kept} rows" for one in found]
    show(document, lines, as_json=as_json)


@app.command()
def reconcile(
    peer: Annotated[str, typer.Argument(help="The other hospital: its facility code.")],
    days: Annotated[int, typer.Option(min=1, max=360, help="How far back.")] = 1,
    as_json: Json = False,
) -> None:
    """Compare what we and another hospital wrote down of our questions to it, and name each difference."""
    from hie_node.flows.reconcile import peer_by_name
    from hie_node.flows.reconcile import reconcile as compare
    from registry.errors import NotFound

    house = open_house()
    found = peer_by_name(house, peer)
    if found is None:
        raise NotFound(f"a hospital with the code {peer}")
    now = house.now()
    result = compare(house, found, since=now - timedelta(days=days), until=now)
    document = {
        "here": result.here,
        "there": result.there,
        "alike": not result.serious,
        "differences": [
            {"exchange": d.exchange, "kind": d.kind, "recorded": d.recorded, "items": d.items, "serious": d.serious}
            for d in result.differences
        ],
    }
    lines = [f"{result.here} exchanges on record here, {result.there} there"]
    marks = {True: "DIFFERENT", False: "note"}
    lines += [
        f"{marks[d.serious]}: {d.kind}, {d.items} items, {_local(d.recorded)}, exchange {d.exchange}"
        for d in result.differences
    ] or ["alike"]
    show(document, lines, as_json=as_json)
    raise typer.Exit(1 if result.serious else 0)


@app.command()
def alarms(
    clear: Annotated[str | None, typer.Option("--clear", help="Somebody looked at this one; it is on record.")] = None,
    as_user: Annotated[str | None, typer.Option("--as", help="Who looked: the login.")] = None,
    as_json: Json = False,
) -> None:
    """What somebody has to look at: unusual breadth, quotas, records that contradict themselves, late reviews."""
    from hie_node.acts import Act
    from hie_node.flows.alarms import clear_alarm, open_alarms

    house = open_house()
    if clear is not None:
        clear_alarm(Act(house, caller_of(house, as_user), "hie audit"), clear)
        show({"cleared": clear}, [f"cleared {clear}"], as_json=as_json)
        return
    found = open_alarms(house)
    rows = [[a.id, _local(a.raised), a.found] for a in found]
    document = [
        {"id": a.id, "kind": a.kind, "about": a.about, "found": a.found, "raised": a.raised.isoformat()} for a in found
    ]
    show(document, table(rows, head=["alarm", "since", "what"]) if rows else ["none"], as_json=as_json)


@app.command()
def heads(
    peer: Annotated[str, typer.Argument(help="The hospital whose record it is: its facility code.")],
    as_json: Json = False,
) -> None:
    """The heads of another hospital's record that we keep for it: proof for whoever doubts that record."""
    from hie_node.flows.heads import kept_for, proof_line
    from hie_node.flows.reconcile import peer_by_name
    from registry.errors import NotFound

    house = open_house()
    found = peer_by_name(house, peer)
    if found is None:
        raise NotFound(f"a hospital with the code {peer}")
    told = kept_for(house, found)
    if as_json:  # one a line, as deploy/verify_record.py takes them
        for _, signature in told:
            sys.stdout.write(proof_line(house, signature))
        return
    show(
        [], table([[h.size, h.root, _local(h.sealed)] for h, _ in told], head=["rows", "root", "sealed"]), as_json=False
    )


@app.command()
def export(
    out: Annotated[Path | None, typer.Option("--out", help="A new folder, for deploy/verify_record.py.")] = None,
    as_json: Json = False,
) -> None:
    """Every sealed row as one JSON object a line; with --out, all that an authority needs to verify it without us."""
    import orjson

    from hie_node.exporting import export_record

    house = open_house()
    if out is not None:
        made = export_record(house, out)
        lines = [f"{made.rows} rows, {made.seals} seals, {made.kept} heads that others keep: {out}"]
        lines.append(f"verify: python3 verify_record.py {out}")
        show({"rows": made.rows, "seals": made.seals, "kept": made.kept, "path": str(out)}, lines, as_json=as_json)
        return
    with house.storage.read() as unit:
        last = unit.disclosures.last_seal()
        for position, row in unit.disclosures.sealed_rows(0, last.size if last else 0):
            sys.stdout.write(orjson.dumps({"position": position, **row.as_json()}).decode() + "\n")
