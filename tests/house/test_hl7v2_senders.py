"""Visits of a feed, and what one sender writes differently: tried on what came before it counts."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import partial

import pytest

from adapters.hl7v2.mapping import read_mappings
from hie_node import feeds
from hie_node.mappings import compared, trial
from hie_node.publishing import publisher
from registry.coded import HIV
from registry.errors import InvalidValue
from registry.submissions import Visit
from tests.house.hospital import SYSTEM, Hospital, code
from tests.house.test_hl7v2 import adt


def visit(hospital: Hospital, number: str = "B1", key: str = "V7") -> Visit:
    record = hospital.record(number)
    assert record is not None
    with hospital.house.storage.read() as unit:
        found = unit.documents.visit(record.id, key)
    assert found is not None
    return found


PV1 = "PV1||{kind}|||||||||||||||||V7|||||||||||||||||||||||||{times}"


@pytest.mark.parametrize("event", ["A02", "A03", "A11", "A13"])
def test_a_visit_event_without_a_visit_number_is_said_to_change_nothing(hospital: Hospital, event: str) -> None:
    answer = hospital.tell(adt(event, "B1^^^OWN^PI||Lê^Hoa", "PV1||I"))
    assert code(answer) == "AA" and "PV1-19" in answer.one("ERR").text(8) and answer.one("ERR").field(4) == "W"
    assert hospital.record("B1") is None


def test_a_stay_is_followed_from_admission_to_its_end_and_back(hospital: Hospital) -> None:
    pid = "B1^^^OWN^PI||Lê^Hoa||1958"
    hospital.tell(adt("A01", pid, PV1.format(kind="I", times="202611230810"), "DG1|1||I63.9^Nhồi máu não^I10"))
    came = visit(hospital)
    assert (came.kind, came.admitted and came.admitted.hour, came.discharged) == ("inpatient", 8, None)
    assert [one.code for one in came.diagnoses] == ["I63.9"]
    hospital.tell(adt("A02", pid, PV1.format(kind="I", times=""), control="X2"))
    hospital.tell(adt("A03", pid, PV1.format(kind="I", times="|202611281530"), control="X3"))
    left = visit(hospital)
    assert (left.admitted, left.diagnoses) == (came.admitted, came.diagnoses)
    assert left.discharged is not None and left.discharged.day == 28
    hospital.tell(adt("A13", pid, PV1.format(kind="I", times=""), control="X4"))
    assert visit(hospital).discharged is None and visit(hospital).admitted == came.admitted
    hospital.tell(adt("A07", pid, PV1.format(kind="O", times=""), control="X5"))
    assert visit(hospital).kind == "ambulatory"
    hospital.tell(adt("A11", pid, PV1.format(kind="O", times=""), control="X6"))
    assert visit(hospital).cancelled


def test_a_visit_whose_patient_cannot_be_registered_leaves_nothing(hospital: Hospital) -> None:
    answer = hospital.tell(adt("A04", "B1^^^OWN^PI", PV1.format(kind="O", times="202611230810")))
    assert code(answer) == "AE" and hospital.record("B1") is None


def test_a_visit_with_a_closed_diagnosis_is_closed(hospital: Hospital) -> None:
    pid = "B1^^^OWN^PI||Lê^Hoa||1958"
    hospital.tell(adt("A01", pid, PV1.format(kind="I", times="202611230810"), "DG1|1||B20^^I10"))
    hospital.tell(adt("A08", pid, PV1.format(kind="I", times=""), "DG1|1||J18.9^^I10", control="X2"))
    assert visit(hospital).sensitivity == (HIV,)


# ---- one sender's habits ----

MAPPING = """
[[sender]]
application = "RIS"
[sender.authorities]
KHOACDHA = "SYSTEM"
[sender.segments]
ZBX = "OBX"
[sender.fields]
"OBR-3" = "OBR-18"
[sender.codes."OBR-4"]
CT01 = "18.0149.0040"
""".replace("SYSTEM", SYSTEM)
ODD = (
    "MSH|^~\\&|RIS|BV_BN|HIE|27001|20261123||ORU^R01|R1|P|2.5|||||VNM|UNICODE UTF-8\r"
    "PID|||B1^^^KHOACDHA^PI\r"
    "OBR|1|||CT01^CT so nao|||202611230845|||||||||||A77||||202611230930||RAD|F\r"
    "ZBX|1|TX|CT01^CT so nao||Không thấy chảy máu.||||||F\r"
)


def test_a_mapping_is_tried_on_what_came_before_it_is_used(hospital: Hospital) -> None:
    hospital.tell(adt("A04", "B1^^^OWN^PI||Lê^Hoa||1958"))
    assert code(hospital.tell(ODD)) == "AE"
    house = hospital.house
    compare = partial(compared, house, read_mappings(MAPPING))
    tried = trial(house, compare, feed="hl7v2", since=house.now() - timedelta(hours=1))
    (one,) = tried.differences
    assert (tried.looked_at, one.before[0][:12]) == (2, "refused: 204")
    assert any("examination CT/brain/plain" in line for line in one.after)
    assert not any("Hoa" in line or "B1" in line for line in (*one.before, *one.after))
    (house.settings.home / "hl7-mapping.toml").write_text(MAPPING)
    assert feeds.replay(house, one.item, publisher(house, "admin")).outcome == "stored"
    (report,) = hospital.documents("B1")
    assert (report.examination, hospital.text(report).count("chảy máu")) == ("CT/brain/plain", 1)


def test_a_broken_mapping_leaves_the_last_good_one(hospital: Hospital) -> None:
    file = hospital.house.settings.home / "hl7-mapping.toml"
    file.write_text(MAPPING)
    assert len(hospital.house.mappings.current()) == 1
    file.write_text("[[sender]]\napplication = 7\n")
    os.utime(file, ns=(1, 1))
    assert len(hospital.house.mappings.current()) == 1


@pytest.mark.parametrize("wrong", ["[sender]", "[[sender]]", "[[other]]", '[[sender]]\napplication="A"\nx=1', "[["])
def test_a_mapping_that_says_nothing_certain_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidValue):
        read_mappings(wrong)
