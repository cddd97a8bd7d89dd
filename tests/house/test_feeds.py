"""Nothing that a sender believes delivered is gone; what was refused can be read again when the fault is mended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hie_node import feeds
from hie_node.hl7v2 import handle_together
from hie_node.publishing import publisher
from hie_node.setting_tables import Mllp
from registry.errors import Gone, NotFound
from registry.feeds import FeedItem, FeedSearch
from tests.house.hospital import Hospital, code, written
from tests.house.test_insurance import VISIT, dropped

A04 = """
MSH|^~\\&|HIS|BV_BN|HIE|HIE|20261102080000||ADT^A04^ADT_A01|{id}|P|2.5|||||||UNICODE UTF-8
EVN|A04|20261102080000
PID|1||{number}^^^OWN^MR||{name}||19640318|F
PV1|1|O
"""
ORU = """
MSH|^~\\&|RIS|BV_BN|HIE|HIE|20261102093000||ORU^R01^ORU_R01|{id}|P|2.5|||||||UNICODE UTF-8
PID|1||{number}^^^{authority}^MR
OBR|1|P1|F1|18.0149.0040^CT sọ não^L|||20261102084500|||||||||||||||20261102093000||RAD|F
OBX|1|TX|18.0149.0040^CT sọ não^L||Không thấy chảy máu.||||||F
"""


def items(hospital: Hospital, outcome: str = "") -> list[FeedItem]:
    with hospital.house.storage.read() as unit:
        return list(unit.feeds.find(FeedSearch(outcome=outcome)))


def registers(hospital: Hospital, number: str = "BN1", name: str = "Nguyễn^Thị Thử", *, id: str = "1") -> None:
    assert code(hospital.tell(A04.format(id=id, number=number, name=name))) == "AA"


def test_every_message_is_kept_as_it_came(hospital: Hospital) -> None:
    message = written(A04.format(id="1", number="BN1", name="Nguyễn^Thị Thử"))
    hospital.handled(message)
    (item,) = items(hospital)
    assert (item.feed, item.name, item.outcome, item.size) == ("hl7v2 HIS|BV_BN", "1", "stored", len(message))
    assert b"".join(feeds.original(hospital.house, item)) == message
    assert b"Th" not in (hospital.house.settings.home / "node.db-wal").read_bytes().split(item.id.encode())[-1][:400]


def test_a_refused_report_is_read_again_after_the_mending(hospital: Hospital) -> None:
    registers(hospital)
    answer = hospital.tell(ORU.format(id="2", number="BN1", authority="KHOACDHA"))
    assert code(answer) == "AE"
    (item,) = items(hospital, "refused")
    assert "204" in item.reasons[0] and "BN1" not in item.reasons[0]
    mended = replace(hospital.house.settings, mllp=Mllp(authorities={"KHOACDHA": "urn:oid:2.25.4711.1"}))
    house = replace(hospital.house, settings=mended)
    became = feeds.replay(house, item, publisher(house, "test"))
    assert (became.outcome, became.documents) == ("stored", 1)
    assert len(hospital.documents("BN1")) == 1
    assert items(hospital, "refused") == []


def test_a_late_replay_does_not_undo_what_came_since(hospital: Hospital) -> None:
    hospital.tell(A04.format(id="1", number="BN1", name="Nguyễn^Thị Cũ").replace("OWN", "LA"))
    (item,) = items(hospital, "refused")
    registers(hospital, name="Nguyễn^Thị Mới", id="2")
    mended = replace(hospital.house.settings, mllp=Mllp(authorities={"LA": "urn:oid:2.25.4711.1"}))
    house = replace(hospital.house, settings=mended)
    became = feeds.replay(house, item, publisher(house, "test"))
    assert any("later message" in note for note in became.deviations)
    record = hospital.record("BN1")
    assert record is not None and record.demographics.name is not None
    assert record.demographics.name.text == "Nguyễn Thị Mới"


def test_a_late_replay_of_a_merge_does_not_merge_what_was_spoken_of_since(hospital: Hospital) -> None:
    merge = "MSH|^~\\&|HIS|BV_BN|HIE|HIE|20261102080000||ADT^A40^ADT_A39|9|P|2.5|||||||UNICODE UTF-8\n"
    merge += "PID|1||BN2^^^LA^MR||Nguyễn^Thị Hai\nMRG|BN1^^^LA^MR"
    mended = replace(hospital.house.settings, mllp=Mllp(authorities={"LA": "urn:oid:2.25.4711.1"}))
    house = replace(hospital.house, settings=mended)
    for number, name in (("BN1", "Nguyễn^Thị Một"), ("BN2", "Nguyễn^Thị Hai")):
        registers(hospital, number, name, id=number)
    hospital.tell(merge)
    (item,) = items(hospital, "refused")
    registers(hospital, "BN1", "Nguyễn^Thị Mới", id="10")
    became = feeds.replay(house, item, publisher(house, "test"))
    assert any("later message" in note for note in became.deviations)
    assert hospital.person("BN1") != hospital.person("BN2")


def test_an_insurance_file_is_kept_and_its_twin_is_recognised(hospital: Hospital, tmp_path: Path) -> None:
    dropped(hospital, tmp_path, VISIT, "thang11.xml")
    dropped(hospital, tmp_path, VISIT, "thang11 (2).xml")
    second, first = items(hospital)
    assert (second.outcome, second.same_as) == ("unchanged", "thang11.xml")
    assert b"".join(feeds.original(hospital.house, first)) == VISIT.encode()
    (sender,) = feeds.senders(hospital.house, since=hospital.house.now() - timedelta(hours=1))
    assert sender.outcomes == {"stored": 1, "unchanged": 1}
    assert any("required and empty" in text for text in sender.deviations)


def test_after_its_time_an_original_cannot_be_opened_by_anybody(hospital: Hospital) -> None:
    registers(hospital)
    (item,) = items(hospital)
    later = hospital.house.now() + timedelta(days=hospital.house.settings.limits.keep_feeds + 2)
    feeds.forget(replace(hospital.house, now=lambda: later))
    assert items(hospital) == []
    with pytest.raises((Gone, NotFound)):
        list(feeds.original(hospital.house, item))


def test_whoever_opens_an_original_is_on_record(hospital: Hospital) -> None:
    registers(hospital)
    (item,) = items(hospital)
    before = hospital.rows()
    list(feeds.open_original(hospital.house, item, publisher(hospital.house, "admin")))
    assert hospital.rows() == before + 1


def test_pipelined_messages_are_answered_in_order_and_one_bad_one_costs_only_itself(hospital: Hospital) -> None:
    sent = [written(A04.format(id=n, number=f"BN{n}", name=f"Nguyễn^Thị {chr(65 + n)}")) for n in range(1, 9)]
    sent[3] = written(A04.format(id=4, number="", name="Nguyễn^Thị D"))
    handled = handle_together(hospital.house, sent)
    assert [one.verdict.code for one in handled] == ["AA"] * 3 + ["AE"] + ["AA"] * 4
    assert all(hospital.record(f"BN{n}") for n in (1, 2, 3, 5, 6, 7, 8))
    assert [item.outcome for item in items(hospital)].count("refused") == 1
    assert all(one.again for one in handle_together(hospital.house, sent[4:]))


def test_a_report_in_the_same_group_finds_the_patient_registered_just_before(hospital: Hospital) -> None:
    first = written(A04.format(id=1, number="BN1", name="Nguyễn^Thị Thử"))
    second = written(ORU.format(id="2", number="BN1", authority="OWN"))
    assert [one.verdict.code for one in handle_together(hospital.house, [first, second])] == ["AA", "AA"]
    assert len(hospital.documents("BN1")) == 1
