"""publish, find, fetch: records in, records out."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hie_node.commands.asking import BirthDay, Name, Number, Sex, selector
from hie_node.commands.output import Json, caller_of, open_house, show, table
from registry.local_time import VIET_NAM

if TYPE_CHECKING:
    from hie_node.publishing import Published
    from registry.answers import CommunityOutcome
    from registry.documents import DocumentEntry
    from registry.studies import Study

As = Annotated[str | None, typer.Option("--as", help="Who asks: a user of this hospital.")]
Purpose = Annotated[str, typer.Option(help="Purpose of use: TREAT, ETREAT, BTG, …")]
Reason = Annotated[str, typer.Option(help="Why, for emergency access.")]


def add_to(app: typer.Typer) -> None:
    app.command()(publish)
    app.command()(find)
    app.command()(fetch)


def publish(
    paths: Annotated[list[Path], typer.Argument(help="Insurance XML, DICOM files and folders, PDF or text + sidecar.")],
    as_json: Json = False,
) -> None:
    """Publish from what exists. The same file again changes nothing; one that takes too much is refused by itself."""
    from rich.progress import Progress

    from hie_node.file_worker import file_worker_of

    house = open_house()
    results: list[Published] = []
    # the worker comes first: what draws the progress is a thread
    with file_worker_of(house) as worker, Progress(transient=True, disable=as_json or not sys.stderr.isatty()) as shown:
        task = shown.add_task("publishing", total=None)
        caller = caller_of(house, None).requester.subject
        for result in worker.publish_paths(house, paths, who=caller, on_file=lambda _: shown.advance(task)):
            results.append(result)
    totals = {name: sum(getattr(r, name) for r in results) for name in ("files", "documents", "studies", "instances")}
    outcomes = {o: sum(r.outcome == o for r in results) for o in ("stored", "replaced", "unchanged", "refused")}
    document = {"totals": totals, "outcomes": outcomes, "results": [_published(r) for r in results]}
    show(document, _publish_lines(results, totals, outcomes), as_json=as_json)
    raise typer.Exit(1 if any(r.outcome == "refused" or r.reason for r in results) else 0)


def _published(result: Published) -> dict[str, Any]:
    return {
        "path": str(result.path),
        "kind": result.kind,
        "outcome": result.outcome,
        "files": result.files,
        "documents": result.documents,
        "studies": result.studies,
        "instances": result.instances,
        "warnings": result.warnings,
        "reason": result.reason,
    }


def _publish_lines(results: list[Published], totals: dict[str, int], outcomes: dict[str, int]) -> list[str]:
    from hie_node.publishing import printable

    lines = [
        f"{r.outcome:<9}  {r.kind:<9}  {printable(str(r.path))}" + (f"\n           {r.reason}" if r.reason else "")
        for r in results
        if r.outcome == "refused" or r.reason or len(results) <= 20
    ]
    warnings = sum(len(r.warnings) for r in results)
    counted = ", ".join(f"{number} {name}" for name, number in totals.items())
    said = ", ".join(f"{number} {name}" for name, number in outcomes.items() if number)
    return [*lines, f"{counted}: {said or 'nothing to do'}; {warnings} warnings"]


def find(
    number: Number = None,
    name: Name = None,
    birth_date: BirthDay = None,
    gender: Sex = None,
    here: Annotated[bool, typer.Option("--here", help="Only this hospital; by default the whole network.")] = False,
    as_user: As = None,
    purpose: Purpose = "TREAT",
    reason: Reason = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most to show of each kind.")] = 100,
    as_json: Json = False,
) -> None:
    """Find a patient's documents and studies, here and at the other hospitals."""
    from hie_node.acts import Act
    from hie_node.flows.table import flow_for
    from registry.commands import FindDocuments, FindStudies
    from registry.documents import DocumentStatus
    from registry.searches import DocumentSearch, StudySearch

    house = open_house()
    caller = caller_of(house, as_user, purpose, reason)
    who = selector(number, name, birth_date, gender, own_system=house.settings.patient_id_system)
    documents = FindDocuments(DocumentSearch(patient=who, statuses=(DocumentStatus.CURRENT,), limit=limit))
    studies = FindStudies(StudySearch(patient=who, limit=limit))
    found = flow_for(documents, network=not here)(Act(house, caller, "hie find"), documents)
    images = flow_for(studies, network=not here)(Act(house, caller, "hie find"), studies)
    document = {
        "documents": [_document(entry) for entry in found.items],
        "studies": [_study(study) for study in images.items],
        "communities": [_outcome(outcome) for outcome in found.outcomes],
    }
    show(document, _find_lines(document), as_json=as_json)


def _document(entry: DocumentEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "performed": entry.performed.isoformat() if entry.performed else None,
        "title": entry.attachment.title or (entry.type.display if entry.type else None),
        "content_type": entry.attachment.content_type,
        "size": entry.attachment.size,
        "examination": entry.examination,
        "home": str(entry.home) if entry.home else None,
    }


def _study(study: Study) -> dict[str, Any]:
    return {
        "id": study.id,
        "study_instance_uid": study.study_instance_uid,
        "started": study.started.isoformat() if study.started else None,
        "description": study.description,
        "modalities": list(study.modalities),
        "instances": study.instance_count,
        "home": str(study.home) if study.home else None,
    }


def _outcome(outcome: CommunityOutcome) -> dict[str, Any]:
    return {
        "facility_code": str(outcome.community.facility),
        "name": outcome.community.name,
        "outcome": outcome.kind.value,
        "count": outcome.count,
        "detail": outcome.detail,
        "seconds": round(outcome.seconds, 3),
    }


def _find_lines(found: dict[str, Any]) -> list[str]:
    rows = [[_day(d["performed"]), "document", d["title"] or "", d["id"]] for d in found["documents"]]
    rows += [
        [_day(s["started"]), "images", f"{s['description'] or '/'.join(s['modalities'])} ({s['instances']})", s["id"]]
        for s in found["studies"]
    ]
    rows.sort(reverse=True)
    said = [
        f"  {c['facility_code']}  {c['name']}: {c['outcome']}"
        + (f", {c['count']}" if c["count"] else "")
        + (f" ({c['detail']})" if c["detail"] else "")
        for c in found["communities"]
    ]
    return [
        *(table(rows, head=["date", "", "what", "id"]) if rows else ["nothing is shown"]),
        *(["", *said] if said else []),
    ]


def _day(moment: str | None) -> str:
    return datetime.fromisoformat(moment).astimezone(VIET_NAM).strftime("%Y-%m-%d") if moment else "          "


def fetch(
    what: Annotated[
        str, typer.Argument(help="The id of a document or a study, as `hie find` shows it, or a study UID.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for a document, folder for a study.")],
    as_user: As = None,
    purpose: Purpose = "TREAT",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Bring a document or a study from wherever it is; what is not whole is not left behind."""
    from hie_node.fetching import fetch_to

    house = open_house()
    fetched = fetch_to(house, caller_of(house, as_user, purpose, reason), what, out)
    lines = [f"{fetched.files} file{'s' * (fetched.files != 1)}, {fetched.bytes} bytes: {out}"]
    show({"files": fetched.files, "bytes": fetched.bytes, "path": str(out)}, lines, as_json=as_json)
