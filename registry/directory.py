"""Who the other hospitals are: where their nodes answer, by which keys they are known, and whether they may take part.

Sources: IHE mCSD (organisations and endpoints), RFC 7517 (keys), The Update Framework (a list with version and end).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from registry.answers import Community
from registry.errors import InvalidValue
from registry.identifiers import FacilityCode, HomeCommunityId

Address = IPv4Address | IPv6Address


class PeerState(StrEnum):
    """ACTIVE takes part; SUSPENDED for a time not; EXPELLED was put out. Only the first may ask or is asked."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPELLED = "expelled"


_STRICTNESS = tuple(PeerState)
SOAP_PATHS: Mapping[str, str] = {
    "query": "/xca/responding",
    "retrieve": "/xca/responding",
    "discovery": "/xcpd",
    "images": "/xca/responding",
    "deferred": "/xcpd",
}


@dataclass(frozen=True, slots=True)
class Peer:
    """One node of the network.

    peer_url     of its peer door, https, without a slash at the end
    jwks         public keys of its tokens, receipts and seals
    thumbprints  x5t#S256 of its TLS certificates; empty: any that the federation's authority issued to it
    speaks       `fhir`, `xca`
    paths        where a gateway takes SOAP, if not where a node does: `query`, `retrieve`, `discovery`, `images`,
                 `deferred`
    defers       a gateway that answers later who a patient is (ITI-55, deferred response), and is asked so
    """

    community: Community
    peer_url: str
    jwks: tuple[Mapping[str, Any], ...] = field(hash=False)
    thumbprints: frozenset[str] = frozenset()
    speaks: frozenset[str] = frozenset({"fhir"})
    state: PeerState = PeerState.ACTIVE
    paths: Mapping[str, str] = field(default_factory=dict, hash=False)
    defers: bool = False

    def __post_init__(self) -> None:
        check_peer_url(self.peer_url)
        _check_paths(self.paths)
        if self.defers and "xca" not in self.speaks:
            raise InvalidValue("defers", expected="only of a gateway, that speaks xca")

    @property
    def home(self) -> HomeCommunityId:
        return self.community.home

    @property
    def active(self) -> bool:
        return self.state is PeerState.ACTIVE

    def path(self, of: str) -> str:
        """Where it takes messages over SOAP: `query`, `retrieve`, `discovery`, `images`, or `deferred` answers."""
        return self.paths.get(of) or SOAP_PATHS[of]

    def stricter_state(self, other: Peer) -> PeerState:
        return max(self.state, other.state, key=_STRICTNESS.index)


@dataclass(frozen=True, slots=True)
class Directory:
    """All of them. `expires` is None for a list that is only kept by hand."""

    version: int
    expires: datetime | None
    peers: tuple[Peer, ...]
    _by_home: Mapping[HomeCommunityId, Peer] = field(init=False, repr=False, compare=False)
    _by_facility: Mapping[FacilityCode, Peer] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _each_once("homeCommunityId", (str(peer.home) for peer in self.peers))
        _each_once("facility code", (str(peer.community.facility) for peer in self.peers))
        object.__setattr__(self, "_by_home", {peer.home: peer for peer in self.peers})
        object.__setattr__(self, "_by_facility", {peer.community.facility: peer for peer in self.peers})

    def peer(self, home: HomeCommunityId) -> Peer | None:
        """The entry of a community, whatever its state."""
        return self._by_home.get(home)

    def at(self, facility: FacilityCode) -> Peer | None:
        """The entry of a facility, whatever its state."""
        return self._by_facility.get(facility)

    @property
    def active(self) -> tuple[Peer, ...]:
        return tuple(peer for peer in self.peers if peer.active)

    def keys_of(self, home: HomeCommunityId) -> tuple[Mapping[str, Any], ...]:
        """Public keys of a community that may take part; none of any other."""
        peer = self.peer(home)
        return peer.jwks if peer and peer.active else ()


def check_peer_url(url: str) -> None:
    """Raise InvalidValue unless it is https, of a host that can be a hospital's, and nothing else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidValue("peer URL", expected="https://host[:port][/path]") from error
    clean = not (parts.query or parts.fragment or "@" in parts.netloc or url.endswith("/") or port == 0)
    if parts.scheme != "https" or not parts.hostname or not clean or not url.isascii() or not url.isprintable():
        raise InvalidValue("peer URL", expected="https://host[:port][/path] without user, query or a slash at the end")
    if any(character in url for character in " \\?#"):
        raise InvalidValue("peer URL", expected="no spaces, backslashes or empty query")
    _check_host(parts.hostname)


def _check_paths(paths: Mapping[str, str]) -> None:
    for name, path in paths.items():
        clean = path.isascii() and path.isprintable() and not any(character in path for character in " \\?#")
        if name not in SOAP_PATHS or not path.startswith("/") or path.startswith("//") or not clean:
            raise InvalidValue("paths", expected=f"{', '.join(SOAP_PATHS)}; each a path of this host")


def _check_host(host: str) -> None:
    try:
        address = ip_address(host)
    except ValueError:
        labels = host.rstrip(".").split(".")
        # a number in the last place is an address in disguise (0x7f.1, 2130706433)
        if len(host) > 253 or labels[-1][:1].isdigit() or not all(_is_label(label) for label in labels):
            raise InvalidValue("peer URL", expected="a host name or an IP address") from None
    else:
        if not may_be_a_peer(address):
            raise InvalidValue("peer URL", expected="an address that a hospital can have")


def may_be_a_peer(address: Address) -> bool:
    """Not link-local (where a cloud keeps its secrets), multicast or unspecified; hospitals' own networks are."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return not (address.is_link_local or address.is_multicast or address.is_unspecified)


def _is_label(label: str) -> bool:
    joined = label.replace("-", "").replace("_", "")
    return 1 <= len(label) <= 63 and joined.isalnum() and not label.startswith("-") and not label.endswith("-")


def _each_once(what: str, values: Iterable[str]) -> None:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise InvalidValue(what, expected="each once in the directory", found=twice[0])
