"""codes: the hospital's maps from its codes to those that others read, and what they do not hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from hie_node.commands.output import Json, open_house, show, table

app = typer.Typer(help="Maps between code systems, and their gaps.", no_args_is_help=True)


@app.command("list")
def list_maps(as_json: Json = False) -> None:
    """The maps that are in use, with their versions."""
    house = open_house()
    rows = [[one.name, one.version, len(one.entries), one.system, one.source] for one in house.code_maps.maps]
    names = ("name", "version", "entries", "from", "source")
    document = [dict(zip(names, row, strict=True)) for row in rows]
    show(document, table(rows, head=list(names)), as_json=as_json)


@app.command()
def gaps(
    days: Annotated[float, typer.Option(min=0, help="How many days back.")] = 30.0,
    limit: Annotated[int, typer.Option(min=1, help="How many of each feed at most, the most frequent first.")] = 50,
    as_json: Json = False,
) -> None:
    """What a map should hold next: codes of results without LOINC, units without UCUM, by sender. None is guessed."""
    from hie_node.feeds import gaps as gaps_of

    house = open_house()
    found = gaps_of(house, since=house.now() - timedelta(days=days))
    listed = [(feed, one) for feed, every in found.items() for one in every[:limit]]
    rows = [[feed, one.kind, one.code or "-", one.system or "-", one.times, one.name] for feed, one in listed]
    document = {
        "gaps": [
            {
                "feed": feed,
                "kind": one.kind,
                "code": one.code or None,
                "system": one.system,
                "name": one.name,
                "times": one.times,
            }
            for feed, one in listed
        ],
        "more": sum(max(0, len(every) - limit) for every in found.values()),
    }
    counts = [sum(one.kind == kind for every in found.values() for one in every) for kind in ("code", "unit")]
    lines = table(rows, head=["feed", "kind", "code", "system", "times", "name"])
    show(document, [*lines, f"{counts[0]} codes without LOINC, {counts[1]} units without UCUM"], as_json=as_json)
