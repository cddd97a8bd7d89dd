"""Who takes part in the network and where: each community as Organization, Location and Endpoints.

Read from the directory that this node keeps, the same one that it trusts. An endpoint answers other nodes only (mutual
TLS and a one-use token); a system of a hospital asks its own node.

Source: IHE mCSD 4.0, 1:46 and 2:3.90; HL7 FHIR R4, Organization, Location, Endpoint
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from adapters.fhir import Resource, outcome
from adapters.fhir.announce_referral import FACILITY
from adapters.fhir.elements import Element, filled
from adapters.fhir.searching import Asked, Reader, read_search, string, token
from adapters.fhir.writing import answer_format, respond, searchset
from adapters.transactions import HOUSE_AND_PEER, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import Page, ReadDirectory
from registry.directory import Peer
from registry.errors import NotFound
from registry.identifiers import URI_SYSTEM, PatientIdentifier
from registry.searches import Cursor

_CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
_MCSD = "https://profiles.ihe.net/ITI/mCSD/CodeSystem/MCSDEndpointTypes"
_ORGANIZATION_TYPE = "http://terminology.hl7.org/CodeSystem/organization-type"


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of one kind. `kind` is empty for an organisation or location, else what the endpoint speaks."""

    peer: Peer
    kind: str = ""

    @property
    def id(self) -> str:
        facility = str(self.peer.community.facility)
        return f"{facility}-{self.kind}" if self.kind else facility

    @property
    def numbers(self) -> tuple[PatientIdentifier, ...]:
        community = self.peer.community
        return (
            PatientIdentifier(FACILITY, str(community.facility)),
            PatientIdentifier(URI_SYSTEM, str(community.home)),
        )

    @property
    def status(self) -> str:
        return "active" if self.peer.active else "off" if self.kind else "suspended"


@dataclass(frozen=True, slots=True)
class _Speech:
    """One way to speak to a node: code and system of Endpoint.connectionType, and the path below the peer door."""

    code: str
    system: str
    path: str
    needs: str = ""


_SPEECHES = {
    "fhir": _Speech("hl7-fhir-rest", _CONNECTION, "/fhir"),
    "dicomweb": _Speech("dicom-wado-rs", _CONNECTION, "/dicomweb"),
    "xca": _Speech("ihe-xca", _MCSD, "/xca/responding", "xca"),
    "xcpd": _Speech("ihe-xcpd", _MCSD, "/xcpd", "xca"),
}


def _kinds_of(peer: Peer) -> list[str]:
    return [kind for kind, speech in _SPEECHES.items() if not speech.needs or speech.needs in peer.speaks]


def organization(place: Place) -> Resource:
    return filled(
        resourceType="Organization",
        id=place.id,
        identifier=_identifiers(place),
        active=place.peer.active,
        type=[{"coding": [{"system": _ORGANIZATION_TYPE, "code": "prov", "display": "Healthcare Provider"}]}],
        name=place.peer.community.name,
        endpoint=[{"reference": f"Endpoint/{Place(place.peer, kind).id}"} for kind in _kinds_of(place.peer)],
    )


def location(place: Place) -> Resource:
    return filled(
        resourceType="Location",
        id=place.id,
        identifier=_identifiers(place)[:1],
        status=place.status,
        name=place.peer.community.name,
        mode="instance",
        managingOrganization={"reference": f"Organization/{place.id}"},
    )


def endpoint(place: Place) -> Resource:
    speech = _SPEECHES[place.kind]
    return filled(
        resourceType="Endpoint",
        id=place.id,
        identifier=_identifiers(place)[1:],
        status=place.status,
        connectionType={"system": speech.system, "code": speech.code},
        managingOrganization={"reference": f"Organization/{place.peer.community.facility}"},
        payloadType=[{"text": "any"}],
        address=place.peer.peer_url + speech.path,
    )


def _identifiers(place: Place) -> list[Element]:
    facility, home = place.numbers
    typed = {"coding": [{"system": "urn:ihe:iti:xca:2010", "code": "homeCommunityId"}]}
    return [
        {"system": facility.system, "value": facility.value},
        {"type": typed, "system": home.system, "value": home.value},
    ]


@dataclass(frozen=True, slots=True)
class _Directory:
    """One resource type of the directory: what there is of it, how it is written and searched."""

    name: str
    places: Callable[[Peer], Iterator[Place]]
    write: Callable[[Place], Resource]
    table: Mapping[str, Reader]

    def decode(self, request: WireRequest) -> ReadDirectory:
        request.kept["asked"] = read_search(request, self.table)
        return ReadDirectory()

    def encode(self, peers: tuple[Peer, ...], request: WireRequest) -> WireResponse:
        asked: Asked = request.kept["asked"]
        every = sorted((place for peer in peers for place in self.places(peer)), key=lambda one: one.id)
        found = [one for one in every if _fits(one, asked)]
        left = [one for one in found if asked.after is None or one.id > asked.after.id]
        shown = () if asked.count_only else tuple(left[: asked.limit])
        more = bool(shown) and len(left) > len(shown)
        page = Page(shown, total=len(found), next=Cursor(None, shown[-1].id) if more else None)
        told = request.kept
        return searchset(request, page, self.write, used=told["used"], warnings=told["unsupported"])

    def decode_read(self, request: WireRequest) -> ReadDirectory:
        answer_format(request)
        return ReadDirectory()

    def encode_read(self, peers: tuple[Peer, ...], request: WireRequest) -> WireResponse:
        for peer in peers:
            for place in self.places(peer):
                if place.id == request.params["id"]:
                    return respond(request, self.write(place))
        raise NotFound(self.name)

    def rows(self) -> tuple[Transaction, Transaction]:
        return (
            self._row(f"Find {self.name}s", f"/{self.name}", "s"),
            self._row(f"Read one {self.name}", f"/{self.name}/<id>", "r"),
        )

    def _row(self, title: str, path: str, action: str) -> Transaction:
        reads = action == "r"
        return Transaction(
            "ITI-90",
            title,
            source="IHE mCSD 4.0, 2:3.90",
            route=("GET", path),
            command=ReadDirectory,
            decode=self.decode_read if reads else self.decode,
            encode=self.encode_read if reads else self.encode,
            error=outcome.error,
            scope=(self.name, action),
            doors=HOUSE_AND_PEER,
            discloses=False,
            form=not reads,
        )


def _fits(place: Place, asked: Asked) -> bool:
    return (asked.ids is None or place.id in asked.ids) and all(condition(place) for condition in asked.where)


def _alone(peer: Peer) -> Iterator[Place]:
    yield Place(peer)


def _endpoints(peer: Peer) -> Iterator[Place]:
    return (Place(peer, kind) for kind in _kinds_of(peer))


_NAME = string(lambda place: (place.peer.community.name,))
_IDENTIFIER = token(lambda place: place.numbers)
_STATUS = token(lambda place: (place.status,))
_DIRECTORIES = (
    _Directory(
        "Organization",
        _alone,
        organization,
        {
            "identifier": _IDENTIFIER,
            "name": _NAME,
            "active": token(lambda place: ("true" if place.peer.active else "false",)),
        },
    ),
    _Directory("Location", _alone, location, {"identifier": _IDENTIFIER, "name": _NAME, "status": _STATUS}),
    _Directory("Endpoint", _endpoints, endpoint, {"identifier": _IDENTIFIER, "status": _STATUS}),
)
_TYPES = {"name": "string"}
SEARCH_PARAMETERS = {
    one.name: {name: _TYPES.get(name, "token") for name in ("_id", *one.table)} for one in _DIRECTORIES
}
TRANSACTIONS = tuple(row for directory in _DIRECTORIES for row in directory.rows())
