"""mpi: doubts about identity, and the decisions of people about them."""

from __future__ import annotations

from typing import Annotated

import typer

from hie_node.commands.output import Json, caller_of, open_house, show, table

ReviewId = Annotated[str, typer.Argument(help="As `hie mpi review` shows it.")]
app = typer.Typer(help="The patient index: doubts and decisions.", no_args_is_help=True)


@app.command()
def review(as_json: Json = False) -> None:
    """What waits for a person: look-alikes, overwritten records, free text to be read."""
    house = open_house()
    with house.storage.read() as unit:
        found = unit.patients.reviews()
    document = [
        {
            "id": r.id,
            "kind": r.kind,
            "record": r.subject,
            "other": r.other,
            "evidence": list(r.evidence),
            "opened": r.opened.isoformat(),
        }
        for r in found
    ]
    rows = [[r.id, r.kind, r.opened.strftime("%Y-%m-%d"), "; ".join(r.evidence)] for r in found]
    show(
        document,
        table(rows, head=["review", "kind", "since", "evidence"]) if rows else ["nothing waits"],
        as_json=as_json,
    )


@app.command()
def merge(
    review_id: ReviewId,
    as_user: str = typer.Option(..., "--as", help="Who decides: a user of this hospital."),
    as_json: Json = False,
) -> None:
    """Decide that a look-alike is the same person."""
    _decide(review_id, as_user, same=True, as_json=as_json)


@app.command("keep-apart")
def keep_apart(
    review_id: ReviewId,
    as_user: str = typer.Option(..., "--as", help="Who decides: a user of this hospital."),
    as_json: Json = False,
) -> None:
    """Decide that a look-alike is somebody else."""
    _decide(review_id, as_user, same=False, as_json=as_json)


@app.command()
def unmerge(link_id: str, as_user: str = typer.Option(..., "--as"), as_json: Json = False) -> None:
    """Undo a link: the record is a person of its own again."""
    from hie_node.acts import Act
    from hie_node.flows.reviews import undo_link

    house = open_house()
    undo_link(Act(house, caller_of(house, as_user), "hie mpi"), link_id)
    show({"link": link_id, "undone": True}, [f"undone: {link_id}"], as_json=as_json)


def _decide(review_id: str, username: str, *, same: bool, as_json: bool) -> None:
    from hie_node.acts import Act
    from hie_node.flows.reviews import decide_review

    house = open_house()
    decision = decide_review(Act(house, caller_of(house, username), "hie mpi"), review_id, same=same)
    show({"review": review_id, "decision": decision}, [f"{decision}: {review_id}"], as_json=as_json)
