"""The hand-kept list of peers: only who can write this node's disk changes it; a running node reads it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from adapters.trust.directory import BY_HAND, load, read_entry, write_by_hand
from adapters.trust.files import write_whole
from hie_node.settings import Settings
from registry.directory import Peer
from registry.errors import InvalidValue, NotFound


def admit(settings: Settings, entry: Mapping[str, Any]) -> Peer:
    """Add a hospital, or replace what was known of it; raises InvalidValue for an entry that claims to be this node."""
    peer = read_entry(entry)
    if peer.home == settings.home_community_id or peer.community.facility == settings.facility_code:
        raise InvalidValue("entry", expected="another hospital's", found="the id or the facility code of this node")
    others = [p for p in _known(settings) if p.home != peer.home and p.community.facility != peer.community.facility]
    write_by_hand(settings.network, [*others, peer])
    return peer


def change(settings: Settings, facility: str, how: Callable[[Peer], Peer]) -> Peer:
    """Change the entry of one hospital."""
    known = _known(settings)
    found = next((p for p in known if str(p.community.facility) == facility), None)
    if found is None:
        raise NotFound(f"a hospital with the code {facility}")
    changed = how(found)
    write_by_hand(settings.network, [changed if p is found else p for p in known])
    return changed


def kept(settings: Settings) -> bytes | None:
    """The list as it stands, to put back."""
    file = settings.network / BY_HAND
    return file.read_bytes() if file.exists() else None


def put_back(settings: Settings, before: bytes | None) -> None:
    """The list as it was, where it changed meanwhile."""
    if kept(settings) == before:
        return
    if before is None:
        (settings.network / BY_HAND).unlink()
    else:
        write_whole(settings.network / BY_HAND, before)


def _known(settings: Settings) -> tuple[Peer, ...]:
    return load(settings.network, now=datetime.now(UTC)).peers
