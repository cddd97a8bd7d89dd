"""Which community is meant, and what became of the others: homeCommunityId at the gateways.

Source: IHE ITI TF-2: 3.38.4.1.2 (homeCommunityId rules), 3.38.4.1.3, 3.18.4.1.3; IHE ITI TF-3: Table 4.2.4.1-2
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.soap.errors import QueryFault
from adapters.soap.faults import ErrorLine
from adapters.soap.names import ERROR, WARNING
from adapters.wire import WireRequest
from registry.answers import CommunityOutcome, OutcomeKind
from registry.errors import InvalidIdentifier
from registry.identifiers import HomeCommunityId

_LINES: dict[OutcomeKind, tuple[str, str, str]] = {
    OutcomeKind.SILENT: ("XDSUnavailableCommunity", ERROR, "no answer from this community"),
    OutcomeKind.BROKEN: ("XDSUnavailableCommunity", ERROR, "the answer of this community cannot be used"),
    OutcomeKind.INCOMPLETE: ("XDSTooManyResults", WARNING, "this community has more than was brought"),
    OutcomeKind.WITHHELD: (
        "XDSUnknownPatientId", WARNING, "nothing can be shown without the patient's request"
    ),
    OutcomeKind.NOT_UNIQUE: ("XDSUnknownPatientId", WARNING, "several people fit there; one more detail is needed"),
}  # fmt: skip


def community_lines(outcomes: Sequence[CommunityOutcome], home: HomeCommunityId) -> list[ErrorLine]:
    """One line for each community that did not simply answer."""
    return [
        ErrorLine(code, told, str(outcome.community.home), severity)
        for outcome in outcomes
        if outcome.kind in _LINES
        for code, severity, told in (_LINES[outcome.kind],)
    ]


def check_home(request: WireRequest, named: str | None, *, needed: bool) -> None:
    """At a gateway a question may name the community that it is for, and has to where it starts from objects.

    Raises QueryFault. What is remembered is the community that is asked; None for all of them.
    """
    if request.door == "house":
        return
    if not named:
        if needed:
            raise QueryFault("XDSMissingHomeCommunityId", "the query has to name the community that it is for")
        return
    home = read_home(named)
    if home != request.home and request.door == "peer":
        raise QueryFault(
            "XDSUnknownCommunity", "this gateway answers for another community", location=str(request.home)
        )
    request.kept["home"] = home


def refuse_elsewhere(request: WireRequest, *, passed_on: bool) -> None:
    """Only a search for documents is passed on; another question to another community is refused, not half answered."""
    home = request.kept.get("home")
    if request.door == "network" and not passed_on and home not in (None, request.home):
        told = "only FindDocuments is passed on to other communities"
        raise QueryFault("XDSUnavailableCommunity", told, location=str(home))


def not_asked(request: WireRequest) -> list[ErrorLine]:
    """At the gateway: that sets and folders of other communities were not asked for."""
    if request.door != "network" or request.kept.get("home") is not None:
        return []
    return [ErrorLine("XDSUnavailableCommunity", "only FindDocuments is passed on; other communities were not asked")]


def read_home(text: str) -> HomeCommunityId:
    """A homeCommunityId as `urn:oid:…`; raises QueryFault for anything else."""
    try:
        return HomeCommunityId(text)
    except InvalidIdentifier as error:
        raise QueryFault("XDSUnknownCommunity", "homeCommunityId has to be urn:oid: and an OID") from error
