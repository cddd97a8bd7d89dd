"""A hospital lists more than one answer can hold: what it has is taken page by page, and what is left is said."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from ssl import SSLSocket
from typing import Any
from urllib.parse import parse_qs

import pytest

from consent.reconciling import PAGE
from hie_node.flows.page_by_page import FEW
from hie_node.flows.reconcile import reconcile
from tests.adapters.peers.peer_nodes import answer
from tests.house.test_lying_holders import document
from tests.impostors import Impostors, searchset
from tests.lab import Answer, Hospital, Lab
from tests.papers import LAN, ct_report, written_request

FHIR = "Content-Type: application/fhir+json\r\n"


class LongList:
    """A hospital with so many documents of one patient, each with a description of so many bytes."""

    def __init__(self, number: int, *, size: int = 0) -> None:
        self.number, self.size = number, size
        self.asked: list[bytes] = []
        self.link = "https://elsewhere.example/fhir/DocumentReference?_page={page}"

    def __call__(self, tls: SSLSocket, question: bytes) -> None:
        head, _, body = question.partition(b"\r\n\r\n")
        target = head.split(b" ")[1].decode()
        self.asked.append(head)
        told = parse_qs(target.partition("?")[2])
        start, count = map(int, told["_page"][0].split("-")) if told else (0, int(parse_qs(body.decode())["_count"][0]))
        self.tells(tls, start, count)

    def tells(self, tls: SSLSocket, start: int, count: int) -> None:
        end = min(start + count, self.number)
        more = {"link": [{"relation": "next", "url": self.link.format(page=f"{end}-{count}")}]}
        found = searchset(
            *map(self.document, range(start, end)), total=self.number, **(more if end < self.number else {})
        )
        tls.sendall(answer(json.dumps(found).encode(), extra=FHIR))

    def document(self, number: int) -> dict[str, Any]:
        one = document() | {"id": f"d{number}", "description": "x" * max(self.size, 1)}
        one["masterIdentifier"] = {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:1.2.840.99999.8.{number}"}
        return one


def asked(lab: Lab, impostors: Impostors, holder: LongList, **limits: Any) -> Answer:
    (bach_mai,) = lab.hospitals("bach-mai", **limits)
    impostors.behaves("99999", holder)
    bach_mai.registers(LAN)
    return bach_mai.finds_documents(LAN, _count="500")


def line(found: Answer) -> str:
    """What is said of the other hospital, in words."""
    (text,) = [issue["details"]["text"] for issue in found.issues if "(99999)" in issue["details"]["text"]]
    return str(text)


def test_a_list_of_several_pages_is_a_whole_one(lab: Lab, impostors: Impostors) -> None:
    holder = LongList(450)
    found = asked(lab, impostors, holder)
    assert (len(set(found.ids)), found.total) == (450, 450)
    assert found.said == ["answered", "answered"]
    assert len(holder.asked) == 3


def test_of_thousands_as_many_are_taken_as_one_hospital_may_bring_and_the_rest_is_said(
    lab: Lab, impostors: Impostors
) -> None:
    holder = LongList(3000)
    found = asked(lab, impostors, holder, peer_entries=700)
    assert found.total == 700
    assert "more than could be taken" in line(found) and "700 found" in line(found)
    assert len(holder.asked) == 4


def test_large_entries_come_in_smaller_pages(lab: Lab, impostors: Impostors) -> None:
    """Forty of 200 KB are 8 MB: too much at once, and nothing is wrong with them."""
    holder = LongList(40, size=200_000)
    found = asked(lab, impostors, holder)
    assert len(found.ids) == 40 and found.said == ["answered", "answered"]
    assert len(holder.asked) == 1 + 40 // FEW


def test_a_list_that_fills_the_memory_is_left_and_that_is_said(lab: Lab, impostors: Impostors) -> None:
    """Four answers' worth of bytes at most, however many pages it has."""
    holder = LongList(400, size=200_000)
    found = asked(lab, impostors, holder)
    assert 60 <= (found.total or 0) <= 120
    assert "more than could be taken" in line(found)


def test_a_hospital_that_sends_ten_times_too_much_is_named_and_left_early(lab: Lab, impostors: Impostors) -> None:
    sent: list[int] = []

    class Flood(LongList):
        def tells(self, tls: SSLSocket, start: int, count: int) -> None:
            tls.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + FHIR.encode() + b"\r\n")
            sent.append(0)
            for _ in range(50):
                tls.sendall(b"100000\r\n" + b" " * (1 << 20) + b"\r\n")
                sent[-1] += 1

    found = asked(lab, impostors, Flood(1))
    assert found.ids == [] and found.said == ["answered", "broken"]
    assert "too-much" in line(found)
    assert len(sent) == 2 and max(sent) < 20, "the connection is closed, not emptied"


def test_a_page_that_does_not_come_leaves_what_came_before_it(lab: Lab, impostors: Impostors) -> None:
    class Falters(LongList):
        def tells(self, tls: SSLSocket, start: int, count: int) -> None:
            if start:
                tls.sendall(answer(b"", head="HTTP/1.1 503 Service Unavailable"))
            else:
                super().tells(tls, start, count)

    found = asked(lab, impostors, Falters(450))
    assert found.total == 200
    assert found.said == ["answered", "incomplete"] and "more than could be taken" in line(found)


def test_a_list_that_turns_in_a_circle_ends(lab: Lab, impostors: Impostors) -> None:
    class Turns(LongList):
        def tells(self, tls: SSLSocket, start: int, count: int) -> None:
            super().tells(tls, 0, count)

    holder = Turns(450)
    found = asked(lab, impostors, holder)
    assert (found.total, found.said) == (200, ["answered", "incomplete"])
    assert len(holder.asked) == 2


def test_a_later_page_about_somebody_else_spoils_all_of_them(lab: Lab, impostors: Impostors) -> None:
    class Errs(LongList):
        def document(self, number: int) -> dict[str, Any]:
            one = super().document(number)
            system, _ = LAN.numbers[0]
            return one | (
                {"subject": {"identifier": {"system": system, "value": "001199999999"}}} if number == 250 else {}
            )

    found = asked(lab, impostors, Errs(450))
    assert found.ids == [] and found.said == ["answered", "broken"]


def test_what_is_taken_back_while_it_is_read_is_not_shown(lab: Lab, impostors: Impostors) -> None:
    class TakesBack(LongList):
        def tells(self, tls: SSLSocket, start: int, count: int) -> None:
            if not start:
                return super().tells(tls, start, count)
            coding = {"system": "urn:hie-node:outcome", "code": "withheld"}
            issue = {"severity": "warning", "code": "suppressed", "details": {"coding": [coding]}}
            said = {"resource": {"resourceType": "OperationOutcome", "issue": [issue]}, "search": {"mode": "outcome"}}
            tls.sendall(answer(json.dumps(searchset(total=0, entry=[said])).encode(), extra=FHIR))

    found = asked(lab, impostors, TakesBack(450))
    assert found.ids == [] and found.said == ["answered", "withheld"]


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example/fhir/Patient?_page={page}",
        "https://elsewhere.example/fhir/DocumentReference?patient.name=Lan&_page={page}",
        "https://elsewhere.example/fhir/DocumentReference",
        "https://[elsewhere/fhir/DocumentReference?_page={page}",
    ],
    ids=["to something else", "with a person in it", "to the beginning", "to nowhere"],
)
def test_a_link_that_leads_astray_is_not_followed(lab: Lab, impostors: Impostors, link: str) -> None:
    holder = LongList(450)
    holder.link = link
    found = asked(lab, impostors, holder)
    assert (found.total, found.said) == (200, ["answered", "incomplete"])
    assert len(holder.asked) == 1


def test_each_page_has_a_token_of_its_own_and_both_records_name_the_one_question(lab: Lab) -> None:
    """Between two real nodes: what the pages showed adds up to one exchange on both sides."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bach_mai.registers(LAN)
    many = [bac_ninh.publishes(ct_report(LAN, f"Lần thứ {n}")) for n in range(205)]
    bach_mai.records(written_request(LAN, to="bach-mai"))
    found = bach_mai.finds_documents(LAN, _count="500")
    assert set(found.ids) == {f"{bac_ninh.facility}.{one.id}" for one in many} and len(found.ids) == 205
    assert found.said == ["answered", "answered"]
    assert differences(bach_mai, bac_ninh) == []
    assert differences(bac_ninh, bach_mai) == []


@pytest.mark.parametrize(("peer_answer", "fits"), [(300_000, True), (100_000, False)])
def test_over_soap_a_list_that_is_too_much_at_once_comes_in_parts(lab: Lab, peer_answer: int, fits: bool) -> None:
    """SOAP knows no pages: it is asked which documents there are, then for some of them at a time."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai", peer_answer=peer_answer)
    lab.lists(replace(bac_ninh.peer, speaks=frozenset({"xca"})))
    bach_mai.registers(LAN)
    many = [bac_ninh.publishes(ct_report(LAN, f"Lần thứ {n}")) for n in range(105)]
    bach_mai.records(written_request(LAN, to="bach-mai"))
    found = bach_mai.finds_documents(LAN, _count="500")
    known = {f"{bac_ninh.facility}.{one.entry_uuid.removeprefix('urn:uuid:')}" for one in many}
    assert set(found.ids) == (known if fits else set())
    assert found.said == ["answered", "answered" if fits else "incomplete"]
    asked = [row.exchange for row in bac_ninh.rows(direction="disclosed")]
    assert any(PAGE in exchange for exchange in asked), "it was asked in parts"
    now = lab.clock()
    told = reconcile(bach_mai.house, bac_ninh.peer, since=now - timedelta(hours=1), until=now + timedelta(hours=1))
    assert told.serious == () and told.here == told.there


def differences(asker: Hospital, holder: Hospital) -> list[str]:
    now = asker.house.now()
    result = reconcile(asker.house, holder.peer, since=now - timedelta(hours=1), until=now + timedelta(minutes=1))
    return [one.kind for one in result.differences]
