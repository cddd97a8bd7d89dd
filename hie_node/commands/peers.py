"""peers: the directory of the network as this node keeps it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hie_node.commands.output import Json, caller_of, open_house, read_json, settings_of_node, show, table

if TYPE_CHECKING:
    from hie_node.acts import Act

Facility = Annotated[str, typer.Argument(help="The hospital's code, as `hie peers list` shows it.")]
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
    from hie_node.flows.network import give_entry

    entry = give_entry(_changing())
    show(entry, [json.dumps(entry, ensure_ascii=False, indent=2)], as_json=as_json)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="The entry that the other hospital's `hie peers export` printed.")],
    as_json: Json = False,
) -> None:
    """Admit a hospital by its entry; compare it with that hospital by telephone first."""
    from hie_node.flows.network import admit_peer

    entry = read_json(file)
    if not isinstance(entry, dict):
        raise ValueError(f"{file}: expected one entry, as `hie peers export` prints it")
    peer = admit_peer(_changing(), entry)
    show({"facility": str(peer.community.facility)}, [f"admitted {peer.community.name}"], as_json=as_json)


@app.command()
def suspend(facility: Facility, as_json: Json = False) -> None:
    """Neither ask this hospital nor answer it, until `hie peers resume`."""
    _set_state(facility, "suspended", as_json)


@app.command()
def resume(facility: Facility, as_json: Json = False) -> None:
    """Ask and answer a suspended hospital again. An expelled one has to be admitted anew, with `hie peers add`."""
    _set_state(facility, "active", as_json)


@app.command()
def expel(facility: Facility, as_json: Json = False) -> None:
    """Never again ask this hospital nor answer it; only its entry admits it anew."""
    _set_state(facility, "expelled", as_json)


@app.command("rotate-key")
def rotate_key(as_json: Json = False) -> None:
    """Sign with the key that was announced; then give the new entry to the other hospitals, before the next time."""
    from hie_node.flows.network import rotate_keys

    kid = rotate_keys(_changing())
    show({"kid": kid}, [f"signs with {kid} from now on; next: hie peers export"], as_json=as_json)


def _set_state(facility: str, state: str, as_json: bool) -> None:
    from hie_node.flows.network import set_peer_state
    from registry.directory import PeerState

    peer = set_peer_state(_changing(), facility, PeerState(state))
    show({"facility": facility, "state": state}, [f"{peer.community.name}: {state}"], as_json=as_json)


def _changing() -> Act:
    """A change of the network from this command line; it is on record."""
    from hie_node.acts import Act

    house = open_house()
    return Act(house, caller_of(house, None, "HOPERAT"), "hie peers")
