"""The transactions of CDS Hooks 2.0: which services there are, a call of one, and feedback on its cards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from adapters.cdshooks.calls import FROM_CONTEXT, HOOKS, decode_call, decode_feedback
from adapters.cdshooks.cards import CardMaker
from adapters.cdshooks.errors import PrefetchMissing, problem
from adapters.cdshooks.sentences import language_of, say
from adapters.transactions import HOUSE, Transaction
from adapters.wire import WireRequest, WireResponse
from registry.advice import AnswerCards, CheckOrder, Decided, OrderAdvice

BASE = "/cds-services"
_JSON = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))


@dataclass(frozen=True, slots=True)
class ListServices:
    """Which services there are. Answered with the hospital's name."""


def _decode_discovery(request: WireRequest) -> ListServices:
    return ListServices()


def _encode_discovery(name: str, request: WireRequest) -> WireResponse:
    language = language_of(request.header("accept-language"))
    services = [
        {
            "hook": hook,
            "id": hook,
            "title": say(language, f"title.{hook}"),
            "description": say(language, f"description.{hook}"),
            "prefetch": {"patient": "Patient/{{context.patientId}}"},
        }
        for hook in HOOKS
    ]
    return _answer({"services": services})


def _encode_call(advice: OrderAdvice, request: WireRequest) -> WireResponse:
    if advice.record_id is None and not advice.not_unique and request.kept.get(FROM_CONTEXT):
        return problem(PrefetchMissing("patient"), request)
    language = language_of(request.header("accept-language"))
    maker = CardMaker(advice, language, request.base.removesuffix(BASE), "hie-node")
    return _answer({"cards": maker.cards()})


def _encode_feedback(decided: Decided, request: WireRequest) -> WireResponse:
    return _answer({})


def _answer(document: dict[str, Any]) -> WireResponse:
    return WireResponse(200, _JSON, orjson.dumps(document))


DISCOVERY = Transaction(
    "CDS-discovery",
    "Which CDS services there are",
    source="CDS Hooks 2.0, Discovery",
    route=("GET", ""),
    command=ListServices,
    decode=_decode_discovery,
    encode=_encode_discovery,
    error=problem,
    scope=("ImagingStudy", "s"),
    doors=HOUSE,
    discloses=False,
    family="cds",
    open_to_all=True,
)
CALL = Transaction(
    "CDS-call",
    "The card at the moment of ordering",
    source="CDS Hooks 2.0, Calling a CDS Service",
    route=("POST", "/<service>"),
    command=CheckOrder,
    decode=decode_call,
    encode=_encode_call,
    error=problem,
    scope=("ImagingStudy", "s"),
    doors=HOUSE,
    family="cds",
)
FEEDBACK = Transaction(
    "CDS-feedback",
    "What the doctor did with the card",
    source="CDS Hooks 2.0, Feedback",
    route=("POST", "/<service>/feedback"),
    command=AnswerCards,
    decode=decode_feedback,
    encode=_encode_feedback,
    error=problem,
    scope=("ImagingStudy", "s"),
    doors=HOUSE,
    discloses=False,
    family="cds",
)
TRANSACTIONS = (DISCOVERY, CALL, FEEDBACK)
