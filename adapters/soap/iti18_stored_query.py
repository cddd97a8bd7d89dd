"""ITI-18 Registry Stored Query and ITI-38 Cross Gateway Query: one message at the registry, the gateway, and for peers.

Source: IHE ITI TF-2: 3.18, 3.38
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adapters.soap.communities import check_home, community_lines, network_lines, unasked_lines
from adapters.soap.errors import QueryFault
from adapters.soap.faults import ErrorLine, answer_action, error_line, error_list, fault, is_fault, respond, status_of
from adapters.soap.messages import payload
from adapters.soap.names import ERROR, ITI_2007, QUERY, RIM, WARNING, named
from adapters.soap.parameters import Parameters, read_parameters
from adapters.soap.queries import MOST_RESULTS, Command, read_query
from adapters.soap.writing import (
    registry_uuid,
    write_association,
    write_document,
    write_folder,
    write_reference,
    write_submission_set,
)
from adapters.transactions import HOUSE, NETWORK, PEER, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import FindDocuments, Page, QueryRegistry
from registry.documents import DocumentEntry, Folder, SubmissionSet
from registry.holdings import Holdings, NetworkHoldings, StoredQuery
from registry.identifiers import HomeCommunityId, PatientIdentifier

LEAF_CLASS, OBJECT_REF = "LeafClass", "ObjectRef"
TOO_MANY = ErrorLine("XDSTooManyResults", "more objects fit than one answer may have; ask more closely")
SEVERAL = ErrorLine("XDSResultNotSinglePatient", "the objects are of several patients; ask for ObjectRef")
MADE_ELSEWHERE = ErrorLine(
    "XDSRegistryError", "on-demand entries of other communities are not asked for", severity=WARNING
)
WITHHELD = "nothing can be shown without the patient's request"


def decode(request: WireRequest) -> Command:
    message = payload(request, QUERY, "AdhocQueryRequest")
    option, query = message.body.find(named(QUERY, "ResponseOption")), message.body.find(named(RIM, "AdhocQuery"))
    if query is None or option is None:
        raise QueryFault("XDSRegistryError", "a ResponseOption and an AdhocQuery are expected")
    return_type = option.get("returnType", "RegistryObject")
    if return_type not in (LEAF_CLASS, OBJECT_REF):
        raise QueryFault("XDSRegistryError", "returnType is LeafClass or ObjectRef")
    asked = read_parameters(query)
    command = read_query(query.get("id", ""), asked)
    check_home(request, query.get("home") or asked.one("$homeCommunityId"), needed=_starts_from_objects(command))
    request.kept.update(return_type=return_type, asked=asked, question=_question(query.get("id", ""), asked))
    home = request.kept.get("home") if request.door == "network" else None
    if isinstance(command, QueryRegistry):
        as_asked = StoredQuery(query.get("id", ""), asked.written) if request.door == "network" else None
        return replace(command, home=home, as_asked=as_asked)
    request.kept["on_demand"] = command.search.on_demand
    if command.search.patient.described is None:
        return command
    request.kept["patient"] = command.search.patient.described.identifiers[0]
    return FindDocuments(replace(command.search, home=home))


def _starts_from_objects(command: Command) -> bool:
    return isinstance(command, QueryRegistry) and bool(command.identifiers)


def _question(query_id: str, asked: Parameters) -> str:
    """The question as the record keeps it."""
    told = [f"{name}={';'.join(','.join(one) for one in values)}" for name, values in asked.slots.items()]
    return "&".join([query_id, *told])


def encode(found: Page[DocumentEntry] | Holdings | NetworkHoldings, request: WireRequest) -> WireResponse:
    if isinstance(found, NetworkHoldings):
        return _of_many(found, request)
    holdings, lines = _as_holdings(found, request)
    if request.kept["return_type"] == LEAF_CLASS and holdings.persons > 1:
        lines.append(SEVERAL)
        holdings = Holdings()
    if holdings.more:
        lines.append(TOO_MANY)
        holdings = Holdings()
    if request.door == "network" and request.kept.get("on_demand"):
        lines.append(MADE_ELSEWHERE)
    return _answer(request, [(request.home, holdings)], [*lines, *_left_over(request)])


def _of_many(found: NetworkHoldings, request: WireRequest) -> WireResponse:
    """Each community's things under its own homeCommunityId, and a line for each that did not simply answer."""
    lines, parts = network_lines(found), found.found
    if request.kept["return_type"] == LEAF_CLASS and found.persons > 1:
        lines.append(SEVERAL)
        parts = ()
    size = sum(len(one.documents) + len(one.submission_sets) + len(one.folders) for _, one in parts)
    if size > MOST_RESULTS or any(one.more for _, one in parts):
        lines.append(TOO_MANY)
        parts = ()
    return _answer(request, parts, [*lines, *_left_over(request)])


def _as_holdings(found: Page[DocumentEntry] | Holdings, request: WireRequest) -> tuple[Holdings, list[ErrorLine]]:
    """Both kinds of result as one; the documents of one patient under the number that was asked for, if one was."""
    if isinstance(found, Holdings):
        return found, _withheld(found.withheld, request)
    patient: PatientIdentifier | None = request.kept.get("patient")
    documents = found.items
    if patient is not None:
        documents = tuple(e if e.home or e.patient == patient else replace(e, patient=patient) for e in documents)
    cut, people = found.next is not None, 1 if patient is not None else len({one.patient for one in documents})
    lines = community_lines(found.outcomes) + unasked_lines(found.unasked) + _withheld(found.withheld, request)
    return Holdings(documents, persons=people, more=cut), lines


def _withheld(withheld: bool, request: WireRequest) -> list[ErrorLine]:
    return [ErrorLine("XDSUnknownPatientId", WITHHELD, str(request.home))] if withheld else []


def _left_over(request: WireRequest) -> list[ErrorLine]:
    """A condition that this query does not know was not applied, and that is said."""
    asked: Parameters = request.kept["asked"]
    strange = sorted(set(asked.slots) - asked.understood)
    shown = [name if name.isascii() and name.isprintable() and len(name) <= 64 else "a parameter" for name in strange]
    return [ErrorLine("XDSRegistryError", f"{name} is not known to this query and was not applied", severity=WARNING)
            for name in shown]  # fmt: skip


def _answer(
    request: WireRequest, parts: Sequence[tuple[HomeCommunityId, Holdings]], lines: Sequence[ErrorLine]
) -> WireResponse:
    write = _references if _wants_references(request) else _objects
    objects = [written for home, holdings in parts for written in write(holdings, home)]
    status = status_of(lines, something=bool(objects) or _others_answered(lines, request))
    body = (
        f'<q:AdhocQueryResponse status="{status}">{error_list(lines)}'
        f"<r:RegistryObjectList>{''.join(objects)}</r:RegistryObjectList></q:AdhocQueryResponse>"
    )
    return respond(request, answer_action(request), body)


def _wants_references(request: WireRequest) -> bool:
    return bool(request.kept["return_type"] == OBJECT_REF)


def _others_answered(lines: Sequence[ErrorLine], request: WireRequest) -> bool:
    """At the gateway an answer without some communities is still one."""
    return request.door == "network" and all(line.location or line.severity != ERROR for line in lines)


def _objects(found: Holdings, home: HomeCommunityId) -> list[str]:
    return [
        *(write_document(one, home) for one in found.documents),
        *(write_submission_set(one, home) for one in found.submission_sets),
        *(write_folder(one, home) for one in found.folders),
        *(write_association(one, home) for one in found.associations),
    ]


def _references(found: Holdings, home: HomeCommunityId) -> list[str]:
    documents = [write_reference(registry_uuid(one), one.home or home) for one in found.documents]
    packages: list[SubmissionSet | Folder] = [*found.submission_sets, *found.folders]
    documents += [write_reference(registry_uuid(one), home) for one in packages]
    return [*documents, *(write_reference(one.id, home) for one in found.associations)]


def error(exception: Exception, request: WireRequest) -> WireResponse:
    """The error of a query, with an empty list beside it."""
    if is_fault(exception):
        return fault(exception, request)
    line = error_line(exception, location=str(request.home) if request.door != "house" else "")
    body = (
        f'<q:AdhocQueryResponse status="{status_of([line], something=False)}">{error_list([line])}'
        "<r:RegistryObjectList/></q:AdhocQueryResponse>"
    )
    return respond(request, answer_action(request), body)


TRANSACTION = Transaction(
    "ITI-18",
    "Registry Stored Query",
    source="IHE ITI TF-2: 3.18",
    route=("POST", "/"),
    action=ITI_2007 + "RegistryStoredQuery",
    command=FindDocuments,
    decode=decode,
    encode=encode,
    error=error,
    scope=("DocumentReference", "s"),
    doors=HOUSE,
    family="xds-registry",
)
TRANSACTIONS = (
    TRANSACTION,
    replace(TRANSACTION, title="Registry Stored Query, federated", family="xca", doors=NETWORK),
    replace(
        TRANSACTION,
        name="ITI-38",
        title="Cross Gateway Query",
        source="IHE ITI TF-2: 3.38",
        action=ITI_2007 + "CrossGatewayQuery",
        family="xca",
        doors=PEER,
    ),
)
