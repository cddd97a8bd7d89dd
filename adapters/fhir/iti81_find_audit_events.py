"""Retrieve ATNA Audit Event: who saw what, for those who must know.

A search without a date is about the last 30 days, and says so.

Source: IHE ITI, RESTful ATNA, 2:3.81 (ITI-81); IHE BALP 1.1.4
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from adapters.fhir import Resource, outcome
from adapters.fhir.audit_event import audit_event
from adapters.fhir.elements import instant
from adapters.fhir.issues import BadRequest, Issue
from adapters.fhir.search_controls import Asked, date_values, read_search
from adapters.fhir.search_values import Parameter, ReferenceValue, TokenValue
from adapters.fhir.whose import WHOSE, whose
from adapters.fhir.writing import answer_format, meta_time, respond, searchset
from adapters.transactions import Transaction
from adapters.wire import Pairs, WireRequest, WireResponse
from consent.commands import FindDisclosures
from consent.disclosures import Disclosure
from registry.commands import Page
from registry.errors import NotFound

SOURCE = "IHE ITI, RESTful ATNA, 2:3.81"
SEARCH_PARAMETERS = {
    "_id": "token",
    "action": "token",
    "agent": "reference",
    "agent.identifier": "token",
    "date": "date",
    "entity": "reference",
    "outcome": "token",
    **WHOSE,
}
USUAL_DAYS = 30
_USUAL = Issue("information", "informational", f"No date was asked for: the last {USUAL_DAYS} days are shown.")


def decode(request: WireRequest) -> FindDisclosures:
    asked = read_search(request, SEARCH_PARAMETERS)
    selector = whose(asked, request.base)
    since, until = _span(asked)
    return FindDisclosures(
        patient=selector,
        ids=_ids(asked),
        identifier=selector.described.identifiers[0] if selector.described else None,
        since=since,
        until=until,
        where=tuple(_condition(each) for each in asked.conditions if each.name in _CONDITIONS),
        limit=asked.count,
        after=asked.after,
    )


def encode(page: Page[Disclosure], request: WireRequest) -> WireResponse:
    asked = read_search(request, SEARCH_PARAMETERS)
    usual = () if asked.named("date", "_id") else (_USUAL,)

    def shown(row: Disclosure) -> Resource:
        return audit_event(row, request.home)

    used = (*asked.used, *_held(asked, page))
    return searchset(request, asked.shown(page), shown, used=used, warnings=(*asked.warnings, *usual))


def _held(asked: Asked, page: Page[Disclosure]) -> Pairs:
    """The span of a first page, for its links: reading the record adds to it, and later pages are to count the same."""
    if page.next is None or asked.after is not None:
        return ()
    newest = ("date", f"le{meta_time(page.items[0].recorded)}")
    return (newest,) if asked.named("date") else (("date", f"ge{instant(_usual_start())}"), newest)


def _usual_start() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=USUAL_DAYS)


def decode_read(request: WireRequest) -> FindDisclosures:
    answer_format(request)
    return FindDisclosures(ids=(request.params["id"],), limit=1)


def encode_read(page: Page[Disclosure], request: WireRequest) -> WireResponse:
    if not page.items:
        raise NotFound("AuditEvent")
    return respond(request, audit_event(page.items[0], request.home))


# ---- when ----


def _span(asked: Asked) -> tuple[datetime | None, datetime | None]:
    """From `since` until before `until`. Raises BadRequest for dates that are no span."""
    since: datetime | None = None
    until: datetime | None = None
    for parameter in asked.named("date"):
        low, high = _bounds(parameter)
        since = max(each for each in (since, low) if each) if since or low else None
        until = min(each for each in (until, high) if each) if until or high else None
    if not asked.named("date", "_id"):
        since = _usual_start()
    return since, until


def _bounds(parameter: Parameter) -> tuple[datetime | None, datetime | None]:
    values = date_values(parameter)
    if len(values) != 1:
        raise BadRequest("date takes one value; give it twice for a span: date=ge…&date=le…")
    value = values[0]
    match value.prefix:
        case "eq":
            return value.low, value.high
        case "ge":
            return value.low, None
        case "gt" | "sa":
            return value.high, None
        case "le":
            return None, value.high
        case "lt" | "eb":
            return None, value.low
        case _:
            raise BadRequest("date takes the prefixes eq, ge, gt, le, lt, sa and eb.")


# ---- what and who ----


def _ids(asked: Asked) -> tuple[str, ...] | None:
    found: set[str] | None = None
    for parameter in asked.named("_id"):
        values = set(_plain(parameter))
        found = values if found is None else found & values
    return tuple(sorted(found)) if found is not None else None


def _plain(parameter: Parameter) -> tuple[str, ...]:
    if parameter.modifier:
        raise BadRequest(f"{parameter.name} takes no modifier.")
    return parameter.values


def _condition(parameter: Parameter) -> Callable[[Disclosure], bool]:
    return _CONDITIONS[parameter.name](parameter)


def _action(parameter: Parameter) -> Callable[[Disclosure], bool]:
    wanted = {TokenValue.parse(value).code for value in _plain(parameter)}
    return lambda row: row.action in wanted


def _outcome(parameter: Parameter) -> Callable[[Disclosure], bool]:
    wanted = {TokenValue.parse(value).code for value in _plain(parameter)}
    return lambda row: str(row.outcome) in wanted


def _agent(parameter: Parameter) -> Callable[[Disclosure], bool]:
    """A person, a client or a community, by the number that stands in the AuditEvent."""
    is_number = parameter.chain == "identifier" or parameter.modifier == "identifier"
    if parameter.modifier not in (None, "identifier") or not is_number:
        raise BadRequest("agent is searched by number: agent.identifier=system|value or agent:identifier=…")
    wanted = {TokenValue.parse(value).code for value in parameter.values}

    def acted(row: Disclosure) -> bool:
        asker = row.requester
        return bool({asker.subject, asker.client_id, str(asker.home), str(row.other)} & wanted)

    return acted


def _entity(parameter: Parameter) -> Callable[[Disclosure], bool]:
    """A record, a consent or a patient, by its id here."""
    values = [ReferenceValue.parse(value, parameter.modifier) for value in parameter.values]
    wanted = {each.id or (each.identifier.code if each.identifier else None) for each in values} - {None}
    return lambda row: bool({*row.items, *row.consents, row.record_id} & wanted)


_CONDITIONS: dict[str, Callable[[Parameter], Callable[[Disclosure], bool]]] = {
    "action": _action,
    "agent": _agent,
    "entity": _entity,
    "outcome": _outcome,
}
TRANSACTION = Transaction(
    "ITI-81",
    "Find AuditEvents",
    source=SOURCE,
    route=("GET", "/AuditEvent"),
    command=FindDisclosures,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("AuditEvent", "s"),
    form=True,
)
READ = Transaction(
    "ITI-81",
    "Read an AuditEvent",
    source=SOURCE,
    route=("GET", "/AuditEvent/<id>"),
    command=FindDisclosures,
    decode=decode_read,
    encode=encode_read,
    error=outcome.error,
    scope=("AuditEvent", "r"),
)
TRANSACTIONS = (TRANSACTION, READ)
