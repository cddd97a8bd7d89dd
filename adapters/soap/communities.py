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
from registry.holdings import NetworkHoldings
from registry.identifiers import HomeCommunityId

_LINES: dict[OutcomeKind, tuple[str, str, str]] = {
    OutcomeKind.SILENT: ("XDSUnavailableCommunity", ERROR, "no answer from this community"),
    OutcomeKind.BROKEN: ("XDSUnavailableCommunity", ERROR, "the answer of this community cannot be used"),
    OutcomeKind.INCOMPLETE: ("XDSTooManyResults", WARNING, "this community has more than was brought"),
    OutcomeKind.WITHHELD: (
        "XDSUnknownPatientId", WARNING, "nothing can be shown without the patient's request"
    ),
    OutcomeKind.NOT_UNIQUE: ("XDSUnknownPatientId", WARNING, "several people fit there; one more detail is needed"),
    OutcomeKind.DEFERRED: (
        "XDSUnavailableCommunity", ERROR, "this community says later who the patient is there; ask again"
    ),
}  # fmt: skip


_ONLY_LISTED = "this community speaks FHIR alone: its submission sets and folders, and what ties them, are not known"
_NEVER_LISTED = "what no community has listed here cannot be asked for by its id, and was not"


def network_lines(found: NetworkHoldings) -> list[ErrorLine]:
    """What is to be said of an answer of many communities."""
    lines = community_lines(found.outcomes) + unasked_lines(found.unasked)
    lines += [ErrorLine("XDSUnavailableCommunity", _ONLY_LISTED, str(home)) for home in found.only_listed]
    if found.never_listed:
        lines.append(ErrorLine("XDSRegistryError", _NEVER_LISTED, severity=WARNING))
    return lines


def unasked_lines(unasked: int) -> list[ErrorLine]:
    """Beyond a small network not everybody is asked, and this is said."""
    told = f"communities not asked, where the patient is not known to have been: {unasked}"
    return [ErrorLine("XDSUnavailableCommunity", told, severity=WARNING)] if unasked else []


def community_lines(outcomes: Sequence[CommunityOutcome]) -> list[ErrorLine]:
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


def read_home(text: str) -> HomeCommunityId:
    """A homeCommunityId as `urn:oid:…`; raises QueryFault for anything else."""
    try:
        return HomeCommunityId(text)
    except InvalidIdentifier as error:
        raise QueryFault("XDSUnknownCommunity", "homeCommunityId has to be urn:oid: and an OID") from error
