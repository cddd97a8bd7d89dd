"""Promise 3: what is missing is said. No silent partial answer, no ignored parameter, no cut list without a mark."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from urllib.parse import urlencode

from adapters.fhir.json_format import to_json
from registry.identifiers import HomeCommunityId
from tests.adapters.peers.peer_nodes import answer
from tests.impostors import Impostors, searchset
from tests.lab import Answer, Lab
from tests.papers import LAN, CtStudy, ct_report, written_request

FHIR = "Content-Type: application/fhir+json\r\n"


def test_each_hospital_that_was_asked_has_its_one_line_whatever_it_did(lab: Lab, impostors: Impostors) -> None:
    """Silent, slow, gone, garbage, too much, somebody else: the others are shown, within the budget."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai", answer_budget=2.0)
    report = bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    bach_mai.finds_documents(LAN)
    deep = b'{"resourceType":"Bundle","a":' + b"[" * 100_000
    broken: dict[str, bytes] = {
        "html": b"<html>Nguyen Van A</html>",
        "another resource": b'{"resourceType":"Patient","id":"x"}',
        "no searchset": to_json({"resourceType": "Bundle", "type": "batch"}),
        "entries that are none": to_json({"resourceType": "Bundle", "type": "searchset", "entry": "x"}),
        "nested too deep": deep,
        "a number without end": b'{"resourceType":"Bundle","type":"searchset","total":1e999}',
        "a list of nothing": to_json(searchset(*[{"resourceType": "DocumentReference"}] * 3)),
        "too much": b" " * 6_000_000,
        "the same twice": b'{"resourceType":"Bundle","type":"searchset","type":"searchset"}',
    }
    expected: dict[str, str] = {}

    def behaves(code: int, kind: str, behaviour: Callable[..., object], as_home: HomeCommunityId | None = None) -> None:
        peer = impostors.behaves(f"{code}", lambda tls, _: behaviour(tls) and None, as_home=as_home)
        expected[str(peer.home)] = kind

    for number, body in enumerate(broken.values()):
        behaves(20_001 + number, "broken", lambda tls, body=body: tls.sendall(answer(body, extra=FHIR)))
    behaves(30_001, "broken", lambda tls: tls.sendall(b"\x00\xff not http\r\n\r\n"))
    behaves(30_002, "broken", lambda tls: tls.sendall(answer(b"{}", head="HTTP/1.1 500 Oops")))
    behaves(
        30_003, "broken", lambda tls: tls.sendall(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
    )
    behaves(
        30_004, "broken", lambda tls: tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{") or tls.close()
    )
    behaves(30_005, "silent", lambda tls: impostors.holds_still(5))
    behaves(30_006, "silent", lambda tls: _one_byte_at_a_time(tls, impostors))
    behaves(30_007, "broken", lambda tls: tls.sendall(answer(b"{}")), as_home=bac_ninh.home)
    gone = impostors.listed("30008", _closed_port())
    expected[str(gone.home)] = "silent"

    started = time.monotonic()
    found = bach_mai.finds_documents(LAN)
    took = time.monotonic() - started
    assert found.lines == expected | {str(bac_ninh.home): "answered", str(bach_mai.home): "answered"}
    assert found.ids == [f"27001.{report.id}"] and took < 2.0 + 3.0
    assert b"Nguyen Van A" not in found.body
    received = bach_mai.rows(direction="received")[-1]
    assert {k.partition(":")[0] for k in received.reasons} >= {"27001", "30005", "30008"}


def _one_byte_at_a_time(tls: socket.socket, impostors: Impostors) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    for number in range(100):
        tls.sendall(head + b" " if number == 0 else b" ")
        if impostors.holds_still(0.1):
            return


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def test_a_patient_with_many_written_requests_is_asked_about_all_the_same(lab: Lab) -> None:
    """More requests than a question can carry must not cost the whole answer."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bach_mai.registers(LAN)
    for number in range(20):
        bach_mai.records(written_request(LAN, to="bach-mai", evidence=b"%%PDF-%d" % number))
    found = bach_mai.finds_documents(LAN)
    assert found.status == 200 and report in found
    assert bach_mai.fetches(report).status == 200


def test_a_list_that_was_cut_says_so(lab: Lab, impostors: Impostors) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    for number in range(5):
        bac_ninh.publishes(ct_report(LAN, f"Lần {number}.", performed=f"2026-05-0{number + 1}T09:00:00+07:00"))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    page = bach_mai.asks(bac_ninh, LAN, _count="2")
    assert len(page.ids) == 2 and page.total == 5
    assert "next" in {link["relation"] for link in page.bundle["link"]}
    cut = bach_mai.finds_documents(LAN, _count="2")
    assert len(cut.ids) == 2 and cut.total == 5
    assert "incomplete" in cut.lines.values(), "three more are there"
    whole = bach_mai.finds_documents(LAN)
    assert len(whole.ids) == whole.total == 5 and set(whole.lines.values()) == {"answered"}
    honest = json.loads(bach_mai.asks(bac_ninh, LAN).body)["entry"][0]["resource"]
    partial = impostors.answers("19001", lambda: to_json(searchset(honest, total=7)))
    assert bach_mai.finds_documents(LAN).lines[str(partial.home)] == "incomplete"


def test_hospitals_that_were_not_asked_are_counted(lab: Lab) -> None:
    """In a large network a question goes where the patient is known to have been; it never looks like everybody's."""
    bac_ninh, _, bach_mai = lab.hospitals("bac-ninh", "thai-nguyen", "bach-mai", ask_everyone_up_to=1)
    told = bach_mai.finds_documents(LAN)
    assert list(told.lines) == [str(bach_mai.home)]
    assert [one for one in texts(told) if one.endswith("not known to have been: 2.")]
    number = bac_ninh.number_of(LAN)
    asked = {"patient.identifier": f"{number.system}|{number.value}"}
    named = bach_mai.asked("GET", f"/network/fhir/DocumentReference?{urlencode(asked)}")
    assert set(named.lines) == {str(bach_mai.home), str(bac_ninh.home)}
    assert [one for one in texts(named) if one.endswith("not known to have been: 1.")]


def texts(answer: Answer) -> list[str]:
    return [issue["details"]["text"] for issue in answer.issues]


def test_a_count_over_the_network_counts_every_hospital(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    for number in range(2):
        bac_ninh.publishes(ct_report(LAN, f"Lần {number}."))
    bach_mai.publishes(ct_report(LAN, "Ở đây."))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    for counting in ({"_summary": "count"}, {"_count": "0"}):
        counted = bach_mai.finds_documents(LAN, **counting)
        assert (counted.total, counted.ids) == (3, []), counting


def test_every_condition_of_a_question_over_the_network_is_applied(lab: Lab) -> None:
    """Also one that is no condition of the holder's: what comes back fits, or it is not shown."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.registers(LAN)
    one, other = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes(ct_report(LAN, "Bình thường.", title="X-quang"))
    study = bac_ninh.publishes_study(CtStudy(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    conditions = {
        "identifier": one.unique_id,
        "_id": f"27001.{one.id}",
    }
    for name, value in conditions.items():
        assert bach_mai.finds_documents(LAN, **{name: value}).ids == [f"27001.{one.id}"], name
    for nothing in ({"status": "superseded"}, {"type": "http://loinc.org|1-1"}, {"date": "lt2020"}, {"_id": "x"}):
        assert bach_mai.finds_documents(LAN, **nothing).ids == [], nothing
    assert len(bach_mai.finds_documents(LAN, date="gt2020").ids) == 2 and other.id
    assert bach_mai.finds_studies(LAN, _id=f"27001.{study.id}").ids == [f"27001.{study.id}"]
    assert bach_mai.finds_studies(LAN, _id="27001.other").ids == []
    uid = f"urn:dicom:uid|urn:oid:{study.study_instance_uid}"
    assert bach_mai.finds_studies(LAN, identifier=uid).ids == [f"27001.{study.id}"]
    assert bach_mai.finds_studies(LAN, identifier=uid + "9").ids == []


def test_a_parameter_that_is_not_known_is_refused_or_reported(lab: Lab) -> None:
    """Strict: an error. Lenient: missing in the link that says what was searched (FHIR R4, 3.1.1.4)."""
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.publishes(ct_report(LAN))
    strict = bac_ninh.finds_own_documents(LAN, headers={"Prefer": "handling=strict"}, colour="blue")
    assert strict.status == 400 and strict.issues
    lenient = bac_ninh.finds_own_documents(LAN, headers={"Prefer": "handling=lenient"}, colour="blue")
    assert lenient.status == 200 and len(lenient.ids) == 1
    assert "colour" not in lenient.bundle["link"][0]["url"]


def test_a_hospital_that_is_switched_off_is_silent_and_speaks_again(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    bac_ninh.goes_down()
    assert bach_mai.finds_documents(LAN).lines[str(bac_ninh.home)] == "silent"
    bac_ninh.comes_up()
    assert report in bach_mai.finds_documents(LAN)
