"""The parts of a running node, built once by `bootstrap.py` and handed to every flow."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from adapters.hl7v2.mapping import SenderMapping
from adapters.peers.transport import PeerTransport
from adapters.store.contents import FolderContentStore
from adapters.store.unit import Storage
from adapters.trust.directory import LiveDirectory
from adapters.trust.keys import SigningKeys
from adapters.trust.smart import AccessTokens
from consent.closed_lists import ClosedLists
from consent.policy import BasePolicy
from hie_node.apart import Apart
from hie_node.lines import Lines
from hie_node.quotas import Quotas
from hie_node.settings import Settings
from registry.answers import Community
from registry.code_maps import CodeMaps
from registry.identifiers import HomeCommunityId
from registry.ports import Archive, Matcher


def _now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    """A random id: nobody guesses the next one."""
    return str(uuid.uuid4())


class Mappings(Protocol):
    """What single senders of HL7 v2 write differently, as it is configured now."""

    def current(self) -> tuple[SenderMapping, ...]: ...


@dataclass(frozen=True, slots=True)
class House:
    """One hospital's node. `now` is the only clock, `page_key` seals links to next pages, and what was sent to the
    hospital is read again `apart`, where a process opened that."""

    settings: Settings
    storage: Storage
    contents: FolderContentStore
    keys: SigningKeys
    directory: LiveDirectory
    transport: PeerTransport
    matcher: Matcher
    policy: BasePolicy
    quotas: Quotas
    lines: Lines
    mappings: Mappings
    code_maps: CodeMaps
    closed_lists: ClosedLists
    page_key: bytes = field(repr=False)
    archives: Mapping[str, Archive] = field(default_factory=dict)
    access_tokens: AccessTokens = field(default_factory=AccessTokens, repr=False)
    now: Callable[[], datetime] = field(default=_now)
    apart: Apart = field(default_factory=Apart, repr=False)

    @property
    def home(self) -> HomeCommunityId:
        return self.settings.home_community_id

    @property
    def community(self) -> Community:
        return Community(self.home, self.settings.facility_code, self.settings.name)
