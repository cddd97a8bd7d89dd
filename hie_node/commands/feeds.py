"""feeds: what the hospital's own systems sent, what became of it, and reading it again."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hie_node.commands.output import Json, caller_of, open_house, show, table

if TYPE_CHECKING:
    from registry.feeds import FeedItem

app = typer.Typer(help="What the hospital's own systems sent, and what became of it.", no_args_is_help=True)
Feed = Annotated[str, typer.Option(help="Only this feed, or those whose name begins so: insurance, hl7v2, dicom.")]
Days = Annotated[float, typer.Option(min=0, help="How many days back.")]
Item = Annotated[str, typer.Argument(help="The id that `hie feeds list` shows.")]


@app.command("senders")
def show_senders(days: Days = 1.0, as_json: Json = False) -> None:
    """Each feed: how much came, what became of it, and what its system does differently from its standard."""
    from hie_node.feeds import senders
    from registry.feeds import OUTCOMES

    house = open_house()
    found = senders(house, since=house.now() - timedelta(days=days))
    rows = [[one.feed, *(one.outcomes.get(name, 0) for name in OUTCOMES), len(one.deviations)] for one in found]
    lines = table(rows, head=["feed", *OUTCOMES, "deviations"])
    for one in found:
        lines += [f"{one.feed}: {text} ({number})" for text, number in one.deviations.items()]
    document = [{"feed": one.feed, "outcomes": one.outcomes, "deviations": one.deviations} for one in found]
    show(document, lines, as_json=as_json)


@app.command("list")
def list_items(
    feed: Feed = "",
    outcome: Annotated[str, typer.Option(help="stored, replaced, unchanged or refused.")] = "",
    days: Days = 1.0,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: Json = False,
) -> None:
    """What came, newest first."""
    from registry.feeds import OUTCOMES, FeedSearch

    if outcome and outcome not in OUTCOMES:
        raise ValueError(f"--outcome: expected one of {', '.join(OUTCOMES)}; found {outcome}")
    house = open_house()
    since = house.now() - timedelta(days=days)
    with house.storage.read() as unit:
        items = list(unit.feeds.find(FeedSearch(feed, outcome, since, limit + 1)))
    rows = [
        [i.id, f"{i.received:%d/%m %H:%M:%S}", i.feed, i.outcome, i.objects or "", i.name, "; ".join(i.reasons)]
        for i in items
    ]
    lines = table(rows[:limit], head=["id", "when", "feed", "outcome", "objects", "name", "why"])
    more = ["there is more; ask with a larger --limit"] if len(items) > limit else []
    show({"items": [_item(i) for i in items[:limit]], "more": bool(more)}, [*lines, *more], as_json=as_json)


@app.command("show")
def show_item(
    item: Item,
    original: Annotated[Path | None, typer.Option(help="Write the bytes as they came into this new file.")] = None,
    as_json: Json = False,
) -> None:
    """One item. Its original holds a patient's data, so opening it is written into the record."""
    from hie_node.feeds import open_original, read_item

    house = open_house()
    found = read_item(house, item)
    if original is not None:
        chunks = open_original(house, found, caller_of(house, None))
        with os.fdopen(os.open(original, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(chunks)
    document = _item(found)
    show(document, [f"{name}: {value}" for name, value in document.items() if value], as_json=as_json)


@app.command()
def replay(
    items: Annotated[list[str] | None, typer.Argument(help="Ids; without any, all that were refused.")] = None,
    feed: Feed = "",
    days: Days = 7.0,
    as_json: Json = False,
) -> None:
    """Read again what was refused, once the fault is mended: oldest first, so that the last word is the last."""
    from hie_node.feeds import refused
    from hie_node.reading_again import reader_of, replay_all

    house = open_house()
    since = house.now() - timedelta(days=days)
    with reader_of(house):
        became = replay_all(house, items or refused(house, feed, since=since), caller_of(house, None))
    left = [one for one in became if one.outcome == "refused"]
    lines = [f"{one.id}  {one.feed}  {one.name}  {one.outcome}  {'; '.join(one.reasons)}".rstrip() for one in became]
    lines.append(f"{len(became)} read again, {len(left)} refused again")
    show([_item(one) for one in became], lines, as_json=as_json)
    raise typer.Exit(1 if left else 0)


@app.command("try")
def try_mapping(
    file: Annotated[Path, typer.Argument(help="A mapping of HL7 v2 senders, as hl7-mapping.toml of the node's home.")],
    feed: Feed = "hl7v2",
    days: Days = 1.0,
    as_json: Json = False,
) -> None:
    """What another mapping would make of the messages that came; nothing is changed."""
    from functools import partial

    from adapters.hl7v2.mapping import read_mappings
    from hie_node.mappings import trial
    from hie_node.reading_again import compared, reader_of

    house = open_house()
    mapping = file.read_text("utf-8")
    read_mappings(mapping)
    since = house.now() - timedelta(days=days)
    with reader_of(house):
        found = trial(house, partial(compared, house, mapping), feed=feed, since=since)
    lines = []
    for one in found.differences:
        lines.append(f"{one.item.id}  {one.item.feed}  {one.item.name}")
        lines += [f"  - {line}" for line in one.before if line not in one.after]
        lines += [f"  + {line}" for line in one.after if line not in one.before]
    lines.append(f"{found.looked_at} messages, {len(found.differences)} would be read differently")
    if found.beyond:
        lines.append(f"{found.beyond} took more time or memory than a message may have, and are in neither number")
    document = {
        "looked_at": found.looked_at,
        "gone": found.gone,
        "beyond": found.beyond,
        "differences": [
            {"id": one.item.id, "feed": one.item.feed, "before": list(one.before), "after": list(one.after)}
            for one in found.differences
        ],
    }
    show(document, lines, as_json=as_json)


def _item(item: FeedItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "feed": item.feed,
        "name": item.name,
        "received": item.received.isoformat(),
        "outcome": item.outcome,
        "documents": item.documents,
        "objects": item.objects,
        "refused": item.refused,
        "size": item.size,
        "digest": item.digest,
        "reasons": list(item.reasons),
        "deviations": item.deviations,
        "same_as": item.same_as,
        "replayed": item.replayed.isoformat() if item.replayed else None,
    }
