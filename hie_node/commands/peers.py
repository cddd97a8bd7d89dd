"""peers: the directory of the network as this node keeps it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from hie_node.commands.output import Json, read_json, settings_of_node, show, table

app = typer.Typer(help="The other hospitals of the network.", no_args_is_help=True)


@app.command("list")
def list_peers(as_json: Json = False) -> None:
    """Which hospitals are known, and in which state."""
    from datetime import UTC, datetime

    from adapters.trust.directory import entry_of, load

    settings = settings_of_node()
    directory = load(settings.network, now=datetime.now(UTC))
    rows = [
        [
            p.community.facility,
            p.community.name,
            p.state.value,
            p.peer_url,
            "(this node)" * (p.home == settings.home_community_id),
        ]
        for p in directory.peers
    ]
    show(
        [entry_of(p) for p in directory.peers], table(rows, head=["code", "name", "state", "url", ""]), as_json=as_json
    )


@app.command()
def export(as_json: Json = False) -> None:
    """This node's own entry, to be given to the other hospitals."""
    from adapters.trust.directory import entry_of
    from adapters.trust.keys import SigningKeys
    from hie_node.init import own_entry

    settings = settings_of_node()
    entry = entry_of(own_entry(settings, SigningKeys.load(settings.keys, lab=settings.lab)))
    show(entry, [json.dumps(entry, ensure_ascii=False, indent=2)], as_json=as_json)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="The entry that the other hospital's `hie peers export` printed.")],
    as_json: Json = False,
) -> None:
    """Admit a hospital by its entry; compare it with that hospital by telephone first."""
    from hie_node.peer_list import admit

    entry = read_json(file)
    if not isinstance(entry, dict):
        raise ValueError(f"{file}: expected one entry, as `hie peers export` prints it")
    peer = admit(settings_of_node(), entry)
    show({"facility": str(peer.community.facility)}, [f"admitted {peer.community.name}"], as_json=as_json)


@app.command()
def suspend(facility: str, as_json: Json = False) -> None:
    """Neither ask this hospital nor answer it until it is admitted again."""
    _set_state(facility, "suspended", as_json)


@app.command()
def resume(facility: str, as_json: Json = False) -> None:
    """Ask and answer a suspended hospital again. An expelled one has to be admitted anew, with `hie peers add`."""
    _set_state(facility, "active", as_json)


@app.command()
def expel(facility: str, as_json: Json = False) -> None:
    """Never again ask this hospital nor answer it."""
    _set_state(facility, "expelled", as_json)


def _set_state(facility: str, state: str, as_json: bool) -> None:
    from hie_node.peer_list import change
    from registry.directory import Peer, PeerState

    def changed(one: Peer) -> Peer:
        if one.state is PeerState.EXPELLED and state != "expelled":
            raise ValueError(f"{facility} was expelled; to admit it again: hie peers add ENTRY-FILE")
        return replace(one, state=PeerState(state))

    peer = change(settings_of_node(), facility, changed)
    show({"facility": facility, "state": state}, [f"{peer.community.name}: {state}"], as_json=as_json)
