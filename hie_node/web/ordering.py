"""The order form on the doctor's page, for hospitals whose ordering system has no hooks: the same question, the same
facts, the same ledger."""

from __future__ import annotations

import re

from flask import Response

from adapters.cdshooks import sentences
from consent.requesters import Role
from hie_node.flows.order_check import answer_cards, check_order
from hie_node.flows.reviews import read_person
from hie_node.web.front import Page, Visit
from registry.advice import AnswerCards, CardAnswer, CheckOrder, RequestedService
from registry.coded import CodedValue
from registry.earlier import Earlier
from registry.errors import InvalidValue
from registry.ledger import RepeatReason
from registry.searches import PatientSelector

TREATING = frozenset({Role.DOCTOR, Role.NURSE})
_CODE = re.compile(r"\d{2}\.\d{4}\.\d{4}\S*")
_DIAGNOSIS = re.compile(r"[A-Za-z]\d\d(\.?\w{1,4})?")


def order(visit: Visit) -> Response:
    """Has it been done? Other hospitals are asked where what is known is not fresh."""
    record_id, wanted = visit.params["record_id"], visit.field("examination", 300)
    diagnosis = visit.field("diagnosis", 20)
    known = read_person(visit.act("read-patient"), record_id)
    code = _CODE.search(wanted)
    command = CheckOrder(
        PatientSelector(record_id=record_id),
        (
            RequestedService(
                "",
                (CodedValue(code[0]),) if code else (),
                (wanted,),
                (diagnosis.upper(),) if _DIAGNOSIS.fullmatch(diagnosis) else (),
            ),
        ),
        via="page",
    )
    advice = check_order(visit.act("check-order", action="E"), command)

    def link(earlier: Earlier) -> str:
        """Whose it is goes along, so that an emergency of this patient opens it too."""
        performed = earlier.performed.isoformat() if earlier.performed else ""
        return visit.seal(
            record=record_id,
            title=earlier.title,
            performed=performed,
            hospital=advice.place(earlier.home),
            study=earlier.study_instance_uid,
            reports=" ".join(report.id for report in earlier.reports),
        )

    return visit.page(
        "order_advice.html",
        person=known.person,
        record_id=record_id,
        advice=advice,
        wanted=wanted,
        diagnosis=diagnosis,
        reasons=tuple(RepeatReason),
        words=sentences,
        link=link,
    )


def decide(visit: Visit) -> Response:
    """Use what is there, or repeat it with a reason; either enters the ledger."""
    record_id = visit.params["record_id"]
    verdict, reason = visit.field("verdict", 20), visit.field("reason", 40)
    if verdict not in ("used", "repeated"):
        raise InvalidValue("verdict", expected="used or repeated")
    answer = CardAnswer(visit.params["card"], "used" if verdict == "used" else "repeated", reason)
    answer_cards(visit.act("decide-order", action="C", direction="changed"), AnswerCards((answer,)))
    return visit.go(f"/patients/{record_id}/order/{verdict}")


def decided(visit: Visit) -> Response:
    """What was entered; the images and the report are one click away."""
    record_id = visit.params["record_id"]
    known = read_person(visit.act("read-patient"), record_id)
    used = visit.request.path.endswith("/used")
    return visit.page("order_decided.html", person=known.person, record_id=record_id, used=used)


PAGES = (
    Page("check-order", "POST", "/patients/<record_id>/order", order, TREATING),
    Page("decide-order", "POST", "/patients/<record_id>/order/<card>", decide, TREATING),
    Page("order-decided", "GET", "/patients/<record_id>/order/used", decided, TREATING),
    Page("order-decided", "GET", "/patients/<record_id>/order/repeated", decided, TREATING),
)
