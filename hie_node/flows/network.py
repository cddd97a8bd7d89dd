"""Who belongs to the network as this node keeps it: a hospital is admitted, suspended, let in again or expelled, this
node's own entry is given out, its key changed. The record says by whom.

The list of peers is a file: it is changed inside the act's unit, as its last step, and put back where the record of
the change is not kept. A key that was changed stays changed; it was published long before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from adapters.store.unit import UnitOfWork
from adapters.trust.directory import entry_of
from hie_node import peer_list
from hie_node.acts import Act
from hie_node.init import own_entry
from registry.directory import Peer, PeerState
from registry.errors import InvalidValue


class PeerExpelled(ValueError):
    """Only a new entry admits this hospital again."""

    def __init__(self, facility: str) -> None:
        super().__init__(f"{facility} was expelled; to admit it again: hie peers add ENTRY-FILE")


def give_entry(act: Act) -> dict[str, Any]:
    """This node's own entry, for another hospital's administrator: an invitation."""
    act.direction, act.action = "changed", "R"
    with act.unit():
        _note(act, str(act.house.settings.facility_code), "entry-given")
        return entry_of(own_entry(act.house.settings, act.house.keys))


def admit_peer(act: Act, entry: Mapping[str, Any]) -> Peer:
    """Admit a hospital by its entry, or take over its new keys. Raises InvalidValue and DirectoryRefused."""
    with _changing(act):
        peer = peer_list.admit(act.house.settings, entry)
        _about(act, peer, "peer-admitted")
        return peer


def set_peer_state(act: Act, facility: str, state: PeerState) -> Peer:
    """Suspend a hospital, let it in again, or expel it. Raises NotFound, and PeerExpelled for one that was."""

    def changed(one: Peer) -> Peer:
        if one.home == act.house.home:
            raise InvalidValue("facility", expected="another hospital's")
        if one.state is PeerState.EXPELLED and state is not PeerState.EXPELLED:
            raise PeerExpelled(facility)
        return replace(one, state=state)

    with _changing(act):
        peer = peer_list.change(act.house.settings, facility, changed)
        _about(act, peer, f"peer-{state}")
        return peer


def rotate_keys(act: Act) -> str:
    """The key that was announced signs from now on; returns its kid."""
    act.direction, act.action = "changed", "U"
    with act.unit():
        kid = act.house.keys.rotate(now=act.now)
        _note(act, kid, "key-rotated")
        return kid


@contextmanager
def _changing(act: Act) -> Iterator[UnitOfWork]:
    """One change of the list at a time, and none without its record."""
    act.direction, act.action = "changed", "U"
    settings, seen = act.house.settings, list[bytes | None]()
    try:
        with act.unit() as unit:
            unit.takes_turns("list of peers")
            seen.append(peer_list.kept(settings))
            yield unit
    except BaseException:
        for before in seen:  # who did not get a turn changed nothing, and takes back nobody else's change
            peer_list.put_back(settings, before)
        raise


def _about(act: Act, peer: Peer, how: str) -> None:
    act.other = peer.home
    _note(act, str(peer.community.facility), how)


def _note(act: Act, whom: str, how: str) -> None:
    act.items.append(whom)
    act.reasons[how] += 1
