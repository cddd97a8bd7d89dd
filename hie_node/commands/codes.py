"""codes: the hospital's maps from its codes to those that others read, and what they do not hold."""

from __future__ import annotations

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
    limit: Annotated[int, typer.Option(help="How many at most, the most frequent first.")] = 50,
    as_json: Json = False,
) -> None:
    """Results of visits that no LOINC code names: what a map should hold next. Nothing is ever guessed."""
    from registry.code_maps import gaps as gaps_of

    house = open_house()
    with house.storage.read() as unit:
        found = gaps_of(result for visit in unit.documents.all_visits() for result in visit.results)
    rows = [[code.code if code else "-", number, name] for code, name, number in found[:limit]]
    document = {
        "gaps": [
            {"code": code.code if code else None, "system": code.system if code else None, "name": name, "times": times}
            for code, name, times in found[:limit]
        ],
        "more": max(0, len(found) - limit),
    }
    lines = [*table(rows, head=["code", "times", "name"]), f"{len(found)} codes without LOINC"]
    show(document, lines, as_json=as_json)
