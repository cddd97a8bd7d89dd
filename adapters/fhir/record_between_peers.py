"""What peers do for each other's records of disclosures: keep their heads, and say what they have of an exchange.

Nothing of a patient is in it: a head is a number and a hash, an entry is digests under an id that the asker made.
Sources: C2SP tlog-witness (who keeps heads never goes back), design section 7; the envelope is FHIR's Parameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from adapters.fhir import outcome
from adapters.fhir.operations import named, only, parameters, unusable
from adapters.fhir.reading import read_resource
from adapters.fhir.writing import respond
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from consent.commands import (
    ExchangesListed,
    HeadKept,
    KeepHead,
    ListExchanges,
    ListKeptHeads,
    ListWithdrawals,
    WithdrawalsListed,
)
from consent.reconciling import Entry

MOST_BYTES = 64 * 1024
LONGEST_PERIOD = timedelta(days=366)
SOURCE = "design section 7"
_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_EXCHANGE = re.compile(r"[A-Za-z0-9_-]{22,64}")
_DIGEST = re.compile(r"[0-9a-f]{16}")


def _decode_head(request: WireRequest) -> KeepHead:
    body, _ = read_resource(request, "Parameters", MOST_BYTES)
    jws = only(body, "head", "valueString")
    if jws is None or not _JWS.fullmatch(jws):
        raise unusable("head", "expected once, a signed head (JWS compact form) as valueString")
    return KeepHead(jws)


def _encode_kept(kept: HeadKept, request: WireRequest) -> WireResponse:
    told = {"cosignature": kept.cosignature, "conflict": kept.conflict}
    return respond(request, parameters([{"name": n, "valueString": v} for n, v in told.items() if v]))


def _decode_period(request: WireRequest) -> ListExchanges:
    body, _ = read_resource(request, "Parameters", MOST_BYTES)
    since, until = (_moment(body, name) for name in ("since", "until"))
    if not since < until <= since + LONGEST_PERIOD:
        raise unusable("until", "expected after since, by a year at most")
    return ListExchanges(since, until)


def _moment(body: dict[str, Any], name: str) -> datetime:
    value = only(body, name, "valueInstant")
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise unusable(name, "expected an instant") from error
    if found.tzinfo is None:
        raise unusable(name, "expected an instant with its offset")
    return found


def _encode_entries(listed: ExchangesListed, request: WireRequest) -> WireResponse:
    parts: list[dict[str, Any]] = [
        {
            "name": "exchange",
            "part": [
                {"name": "id", "valueString": entry.exchange},
                {"name": "who", "valueString": entry.who},
                {"name": "recorded", "valueInstant": entry.recorded.isoformat()},
                *({"name": "item", "valueString": item} for item in sorted(entry.items)),
            ],
        }
        for entry in listed.entries
    ]
    if listed.more_from is not None:
        parts.append({"name": "more-from", "valueInstant": listed.more_from.isoformat()})
    return respond(request, parameters(parts))


def read_entries(answer: dict[str, Any]) -> ExchangesListed:
    """What a peer answered; raises ValueError where it is something else."""
    entries = []
    for part in named(answer, "exchange"):
        told: dict[str, list[str]] = {}
        for each in part.get("part", ()):
            told.setdefault(str(each.get("name")), []).append(str(each.get("valueString") or each.get("valueInstant")))
        (exchange,), (who,), (recorded,) = told["id"], told["who"], told["recorded"]
        items = told.get("item", [])
        if not _EXCHANGE.fullmatch(exchange) or not all(map(_DIGEST.fullmatch, (who, *items))):
            raise ValueError("entry")
        entries.append(Entry(exchange, who, frozenset(items), _aware(recorded)))
    more = only(answer, "more-from", "valueInstant")
    return ExchangesListed(tuple(entries), _aware(more) if more else None)


def _aware(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("moment")
    return found


def read_strings(answer: dict[str, Any], name: str) -> tuple[str, ...]:
    """Each signed thing of this name in a peer's answer."""
    found = (part.get("valueString") for part in named(answer, name))
    return tuple(one for one in found if isinstance(one, str) and _JWS.fullmatch(one))


def _nothing(kind: type) -> Callable[[WireRequest], Any]:
    def decode(request: WireRequest) -> Any:
        read_resource(request, "Parameters", MOST_BYTES)
        return kind()

    return decode


def _encode_signed(name: str) -> Callable[[tuple[str, ...], WireRequest], WireResponse]:
    def encode(found: tuple[str, ...], request: WireRequest) -> WireResponse:
        return respond(request, parameters([{"name": name, "valueString": one} for one in found]))

    return encode


def _encode_withdrawals(listed: WithdrawalsListed, request: WireRequest) -> WireResponse:
    parts: list[dict[str, Any]] = [{"name": "withdrawal", "valueString": one} for one in listed.ours]
    for receipt_id, withdrawn in listed.yours:
        told = [
            {"name": "id", "valueString": receipt_id},
            {"name": "withdrawn", "valueInstant": withdrawn.isoformat()},
        ]
        parts.append({"name": "yours", "part": told})
    return respond(request, parameters(parts))


def _between(name: str, title: str, path: str, command: type, **ways: Any) -> Transaction:
    return Transaction(
        name,
        title,
        source=SOURCE,
        route=("POST", path),
        command=command,
        error=outcome.error,
        scope=("AuditEvent", "u"),
        doors=frozenset({"peer"}),
        discloses=False,
        **ways,
    )


TRANSACTIONS = (
    _between(
        "keep-head", "Keep the head of a record", "/AuditEvent/$keep-head", KeepHead,
        decode=_decode_head, encode=_encode_kept,
    ),
    _between(
        "kept-heads", "Which heads are kept", "/AuditEvent/$kept-heads", ListKeptHeads,
        decode=_nothing(ListKeptHeads), encode=_encode_signed("head"),
    ),
    _between(
        "exchanges", "What is on record of one's own questions", "/AuditEvent/$exchanges", ListExchanges,
        decode=_decode_period, encode=_encode_entries,
    ),
    _between(
        "withdrawals", "Which requests are withdrawn", "/Consent/$withdrawals", ListWithdrawals,
        decode=_nothing(ListWithdrawals), encode=_encode_withdrawals,
    ),
)  # fmt: skip
