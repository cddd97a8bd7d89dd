"""pacs: the hospital's own archives, whose studies are indexed here."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from hie_node.commands.output import Json, open_house, show

app = typer.Typer(help="The hospital's own archives, whose studies are indexed here.", no_args_is_help=True)


@app.command()
def index(
    name: Annotated[str, typer.Argument(help="The name of the archive in node.toml.")],
    since: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The first day.")],
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day; by default today.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Index an archive's studies of these days, once; new ones are seen by themselves."""
    from hie_node.archives import look_between

    house = open_house()
    if name not in house.archives:
        raise ValueError(f"there is no archive {name} under [[pacs]] in node.toml")
    found = look_between(house, name, since.date(), (until or house.now()).date())
    show({"archive": name, "indexed": found}, [f"{found} studies of {name} are indexed anew"], as_json=as_json)
